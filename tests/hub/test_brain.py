"""What the hub can say to the service, and what it hears when there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nabla.embedded import Embedded
from nabla.errors import NotFound, Unavailable
from nabla_hub.brain import Brain


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    embedded = Embedded(tmp_path_factory.mktemp("home"), "the tests", drive=False)
    embedded.start()
    yield embedded.home
    embedded.stop()


async def test_the_hub_reaches_the_service_without_a_token_as_its_owner(served: Path) -> None:
    me = await Brain(served).ask("GET", "me")
    assert me["admin"] is True
    made = await Brain(served).ask("POST", "projects", {"name": "from the hub"})
    assert (await Brain(served).ask("GET", f"projects/{made['id']}"))["name"] == "from the hub"


async def test_what_the_service_refuses_comes_as_its_error(served: Path) -> None:
    with pytest.raises(NotFound, match="no project"):
        await Brain(served).ask("GET", "projects/nothing")


async def test_a_service_that_is_down_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        await Brain(tmp_path).ask("GET", "me")
    (tmp_path / "service.sock").write_text("no socket")
    with pytest.raises(Unavailable, match="does not answer"):
        await Brain(tmp_path).ask("DELETE", "people/ada")
