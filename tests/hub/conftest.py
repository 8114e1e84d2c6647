"""A house that a whole file of tests shares, and one that a test may burn down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from house import House


def _tear_down(houses: list[House]) -> None:
    for house in houses:
        try:
            house.stop()
        finally:
            house.slay()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running house whose admin has taken the link and set a password."""
    house = House(tmp_path_factory.mktemp("house") / "home").start()
    try:
        house.browser().take(house.link, password="a long enough password", next="/hub/home")
        yield house
    finally:
        _tear_down([house])


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Makes houses of the test's own, all of them gone at its end."""
    houses: list[House] = []

    def make(*options: str, name: str = "home", port: int | None = None) -> House:
        houses.append(House(tmp_path / name, *options, port=port))
        return houses[-1].start()

    yield make
    _tear_down(houses)
