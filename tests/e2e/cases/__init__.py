"""The tests, in the order in which they run; each takes the world and returns its figures in words."""

from typing import Callable, NamedTuple

from harness.cluster import Failure

GROUPS = ("kubernetes", "release", "recovery")  # each has a page of figures: docs/architecture/phase05-GROUP-figures.md


class Test(NamedTuple):
    name: str
    nodes: int
    quick: bool
    group: str
    function: Callable
    shares: str  # the stand that it has in common with others (World.kept); any other test finds it taken down


TESTS: list[Test] = []


def case(name, *, nodes=3, quick=False, group="kubernetes", shares=""):
    """Registers a test. quick: it is in ./test; the others only in ./test e2e."""
    def register(function):
        TESTS.append(Test(name, nodes, quick, group, function, shares))
        return function
    return register


def want(held, words):
    if not held:
        raise Failure(words)
