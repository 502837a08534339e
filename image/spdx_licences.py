"""From the licence names of Debian's machine-readable copyright files to SPDX expressions."""

import re

# Debian's short names (lower case) -> SPDX. What is not here becomes a LicenseRef with the text of the file.
KNOWN = {
    "apache-2.0": "Apache-2.0",
    "artistic": "Artistic-1.0-Perl",
    "boost-1.0": "BSL-1.0",
    "bsl-1.0": "BSL-1.0",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd-4-clause": "BSD-4-Clause",
    "cc0": "CC0-1.0",
    "cc0-1.0": "CC0-1.0",
    "curl": "curl",
    "expat": "MIT",
    "isc": "ISC",
    "mit": "MIT",
    "mpl-1.1": "MPL-1.1",
    "mpl-2.0": "MPL-2.0",
    "openldap-2.8": "OLDAP-2.8",
    "openssl": "OpenSSL",
    "postgresql": "PostgreSQL",
    "zlib": "Zlib",
}
for family in ("gpl", "lgpl", "agpl", "gfdl"):
    for version in ("1", "1.2", "1.3", "2", "2.0", "2.1", "3", "3.0"):
        whole = version if "." in version else version + ".0"
        KNOWN[f"{family}-{version}"] = f"{family.upper()}-{whole}-only"
        KNOWN[f"{family}-{version}+"] = f"{family.upper()}-{whole}-or-later"


class Expressions:
    """Collects the LicenseRefs of a document while it translates."""

    def __init__(self) -> None:
        self.references: dict[str, dict] = {}

    def one(self, package: str, name: str, text: str) -> str:
        if known := KNOWN.get(name.lower()):
            return known
        identifier = "LicenseRef-" + re.sub(r"[^A-Za-z0-9.-]+", "-", f"{package}-{name}").strip("-")
        self.references.setdefault(
            identifier,
            {
                "licenseId": identifier,
                "name": name,
                "extractedText": text or f"{name}: see /usr/share/doc/{package}/copyright in the image",
            },
        )
        return identifier

    def expression(self, package: str, names: dict[str, str]) -> str:
        """All licences of a package; `a or b` and `a and b` of Debian keep their meaning (a comma ends an operand)."""
        terms = set()
        for name, text in names.items():
            alternatives = []
            for alternative in re.split(r",?\s+or\s+|\s*\|\s*", name):
                joined = [self.one(package, part, text) for part in re.split(r",?\s+and\s+|,\s*", alternative) if part]
                alternatives.append(" AND ".join(joined))
            if len(alternatives) == 1:
                terms.update(alternatives[0].split(" AND "))
            else:
                terms.add("(" + " OR ".join(f"({a})" if " AND " in a else a for a in alternatives) + ")")
        return " AND ".join(sorted(terms))
