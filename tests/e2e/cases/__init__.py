"""The tests, in the order in which they run; each takes the world and returns its figures in words."""

from harness.cluster import Failure

TESTS = []


def case(name, *, nodes=3, quick=False):
    """Registers a test. quick: it is in ./test; the others only in ./test e2e."""
    def register(function):
        TESTS.append((name, nodes, quick, function))
        return function
    return register


def want(held, words):
    if not held:
        raise Failure(words)
