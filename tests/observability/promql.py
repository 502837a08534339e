"""What a PromQL expression asks for: its metrics, their matchers, and the labels it groups or joins by.

No parser of the whole language (promtool is one): it reads the tokens that promtool has found to be well formed.
"""
import re

KEYWORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset", "atan2",
            "inf", "nan", "start", "end"}
GROUPINGS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
TOKEN = re.compile(r"""(?P<space>\s+|\#[^\n]*)|(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)|(?P<range>\[[^\]]*\])
    |(?P<number>0x[0-9a-fA-F]+|(?:\d+(?:ms|[smhdwy]))+|\d+\.?\d*(?:[eE][+-]?\d+)?)
    |(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)|(?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^<>=(){},@])""", re.VERBOSE)


def tokens(expression):
    """(kind, text); Grafana's variables outside of strings stand for a duration or a name."""
    expression = re.sub(r"\[\$\{?__?\w+\}?(:[^\]]*)?\]", "[5m]", expression)
    expression = re.sub(r"\$\{?__(range|interval|rate_interval)\w*\}?", "5m", expression)
    at, found = 0, []
    while at < len(expression):
        match = TOKEN.match(expression, at)
        if not match:
            raise ValueError(f"unexpected {expression[at:at + 20]!r}")
        at = match.end()
        if match.lastgroup != "space":
            found.append((match.lastgroup, match.group()))
    return found


def read_matchers(stream, at):
    """The matchers between { and }, from the token after {: [(label, operator, value)], place after }."""
    matchers = []
    while stream[at][1] != "}":
        if stream[at][0] == "name":
            matchers.append((stream[at][1], stream[at + 1][1], stream[at + 2][1][1:-1]))
            at += 3
        else:
            at += 1
    return matchers, at + 1


def read_labels(stream, at):
    """The names between ( and ), from the token (."""
    labels = []
    while stream[at][1] != ")":
        if stream[at][0] == "name":
            labels.append(stream[at][1])
        at += 1
    return labels, at + 1


def analyse(expression):
    """([(metric, matchers)], labels grouped or joined by). A metric is "" where only __name__ says which."""
    stream = tokens(expression) + [("end", "")]
    selectors, labels, at = [], set(), 0
    while stream[at][0] != "end":
        kind, text = stream[at]
        following = stream[at + 1][1]
        if kind == "name" and text in GROUPINGS and following == "(":
            names, at = read_labels(stream, at + 1)
            labels.update(names)
        elif kind == "name" and text.lower() not in KEYWORDS and following not in ("(", "by", "without"):
            matchers = []
            at += 1
            if following == "{":
                matchers, at = read_matchers(stream, at + 1)
            selectors.append((text, matchers))
        elif text == "{":
            matchers, at = read_matchers(stream, at + 1)
            selectors.append(("", matchers))
        else:
            at += 1
    return selectors, labels
