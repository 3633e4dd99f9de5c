import pytest

from worldtokens.collect.go_explore.archive import Route


@pytest.fixture(name="route")
def _route():
    """Makes a route of a cell."""

    def make(key, score=0.0, lives=3, steps=10, room=0, state=b"state"):
        return Route(key, room, score, lives, steps, state)

    return make
