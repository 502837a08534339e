"""Rotation. The one of the signing key is in three commits, so that no replica ever meets a token whose key it does not have:

  announce  the new key beside the old one: all replicas come to accept it, the old one still signs
  sign      the new key signs; the old one stays good for the tokens that are out
  retire    the old key goes, when its last token has ended

A sealed value is bound to name and namespace of its Secret, not to its key in it: so a key moves from one place to another
within the file without being opened. Nobody needs to see a signing key, not even the one who rotates it.
"""

import datetime

from . import documents, templates
from .basics import Environment, Problem
from .documents import ROTATED, Sealed, now, parse_stamp, stamp

PHASE = "detection-system/rotation"  # announced, signing; none: no rotation is under way
SINCE = "detection-system/rotation-since"
NEXT = "detection-system/rotation-next"
OLD = "detection-system/rotation-old"
SIGNS = "secret_key"
# A mounted Secret takes up to two minutes to every node, the service looks every second; Argo CD and a margin.
SPREADS = datetime.timedelta(minutes=10)


def key_name(time: datetime.datetime, taken: dict) -> str:
    while (name := time.strftime("key-%Y%m%dT%H%M%SZ")) in taken:
        time += datetime.timedelta(seconds=1)
    return name


def wait_for(document: Sealed, least: datetime.timedelta, why: str) -> None:
    ready = parse_stamp(document.notes[SINCE]) + least
    if now() < ready:
        left = int((ready - now()).total_seconds())
        raise Problem(f"{document.name}: too early by {left // 3600} h {left % 3600 // 60} min {left % 60} s ({why}); "
                      f"from {stamp(ready)} on. --after shortens it, at the price of refused tokens")


def signing_key(environment: Environment, document: Sealed, after: datetime.timedelta | None) -> str:
    """The next of the three steps -> what was done and what comes next."""
    phase = document.notes.get(PHASE)
    if phase is None:
        return announce(environment, document)
    if phase == "announced":
        wait_for(document, SPREADS if after is None else after, "every replica must accept the new key before it signs")
        return sign(environment, document)
    if phase == "signing":
        life = datetime.timedelta(hours=environment.token_life_h) + SPREADS
        wait_for(document, life if after is None else after, f"tokens of the old key live for up to {environment.token_life_h:g} h")
        return retire(document)
    raise Problem(f"{document.where}: '{phase}' is no step of a rotation")


def announce(environment: Environment, document: Sealed) -> str:
    template = templates.load(document.name, environment.name)
    data, time = document.data, now()
    same = [key for key, value in data.items() if key != SIGNS and value == data[SIGNS]]
    if not same:  # the first rotation: the key that signs gets a name of its own
        begun = document.rotated() or time
        same = [key_name(begun, data)]
        data[same[0]] = data[SIGNS]
    fresh = key_name(time, data)
    data.update(documents.encrypt(environment, template, {fresh: templates.new_value()}))
    document.notes.update({PHASE: "announced", SINCE: stamp(time), NEXT: fresh, OLD: same[0]})
    return f"{fresh} is accepted beside {same[0]}, which still signs. Commit; when it is synced, after {minutes(SPREADS)}: the same command"


def sign(environment: Environment, document: Sealed) -> str:
    data, time = document.data, now()
    data[SIGNS] = data[document.notes[NEXT]]
    document.notes.update({PHASE: "signing", SINCE: stamp(time), ROTATED: stamp(time)})
    return (f"{document.notes[NEXT]} signs, {document.notes[OLD]} is still accepted. Commit; "
            f"after {environment.token_life_h:g} h and {minutes(SPREADS)}: the same command")


def retire(document: Sealed) -> str:
    old = document.notes[OLD]
    document.data.pop(old, None)
    for note in (PHASE, SINCE, NEXT, OLD):
        document.notes.pop(note, None)
    return f"{old} is gone: its tokens are refused. Commit; the rotation is done"


def signing_key_at_once(environment: Environment, document: Sealed) -> str:
    """For a key that others know: it ends now, and with it every token."""
    template = templates.load(document.name, environment.name)
    fresh = key_name(now(), document.data)
    sealed = documents.encrypt(environment, template, {fresh: templates.new_value()})[fresh]
    document.data.clear()
    document.data.update({SIGNS: sealed, fresh: sealed})
    for note in (PHASE, SINCE, NEXT, OLD):
        document.notes.pop(note, None)
    document.notes[ROTATED] = stamp(now())
    return "every other key is gone: all tokens are refused as soon as the commit is synced. Whoever needs one asks for a new one"


def minutes(length: datetime.timedelta) -> str:
    return f"{length.total_seconds() / 60:g} min"


def ages(environment: Environment) -> list[dict]:
    """Each secret of an environment with its age and what is due."""
    rows = []
    for name in templates.names():
        template = templates.load(name, environment.name)
        if not template.wanted:
            continue
        path = documents.path_of(environment, name)
        if not path.is_file():
            if not template.optional:
                rows.append({"secret": name, "state": "missing"})
            continue
        document = documents.read(path)
        rotated = document.rotated()
        row = {"secret": name, "state": "good", "rotated": stamp(rotated) if rotated else None, "days": template.days}
        if rotated is None:
            row["state"] = "unknown"
        elif template.days is not None:
            due = rotated + datetime.timedelta(days=template.days)
            row["due"] = stamp(due)
            row["state"] = "overdue" if now() > due else "good"
        if phase := document.notes.get(PHASE):
            row["rotation"] = f"{phase} since {document.notes[SINCE]}"
        rows.append(row)
    return rows
