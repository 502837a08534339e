"""What schemathesis has to be told to make requests of this service: named in schemathesis.toml."""

import datetime
import json

import schemathesis
from hypothesis import strategies as st

# RFC 3339 in the years that the service takes, not in the future, with an offset.
schemathesis.openapi.format(
    "date-time",
    st.datetimes(
        min_value=datetime.datetime(1970, 1, 2),
        max_value=datetime.datetime(2024, 12, 31),
        timezones=st.sampled_from([datetime.timezone.utc, datetime.timezone(datetime.timedelta(hours=2))]),
    ).map(datetime.datetime.isoformat),
)


@schemathesis.serializer("application/x-ndjson")
def lines(ctx, value):
    """A text goes as it is; anything else as one line of JSON."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", errors="replace")
    return json.dumps(value).encode()
