"""What the store does with words and with text that is not what it seems."""

from __future__ import annotations

import pytest

from documents import project, run
from nabla.errors import BadInput, NotFound
from nabla.schema import Project, Run
from nabla.store import Store


async def test_search_finds_the_beginnings_of_all_words(store: Store) -> None:
    projects = store.collection(Project)
    await projects.add(project("p1", name="Zürich_weather", description="A forecast, hourly", tags=["météo"]))
    await projects.add(project("p2", name="digits", description="weather"))

    async def found(q: str, **filters: object) -> list[str]:
        return [p.id for p in (await projects.list(teams=filters.pop("teams", None), q=q, **filters)).items]

    assert await found("weath") == ["p2", "p1"]
    assert await found("zurich WEATHER") == ["p1"]
    assert await found("meteo hour") == ["p1"]
    assert await found("eather") == []
    assert await found("weather", teams=["t9"]) == []
    await projects.change("p1", lambda p: setattr(p, "description", "sunshine"))
    assert await found("forecast") == []
    assert await found("sun") == ["p1"]


HOSTILE = [
    *(
        '"',
        "'",
        "*",
        "a*",
        'x" OR "y',
        "NEAR(a b)",
        "a AND",
        "-a",
        "_k_run",
        "^a",
        "a:b",
        "(",
        "\\",
        "\0",
        "\ud800",
    ),
    *("a" * 10_000, "a " * 10_000, "'; DROP TABLE documents; --", "∇", "& | !", "日本語", "%", "<->"),
]


@pytest.mark.parametrize("q", HOSTILE)
async def test_no_search_text_breaks_the_search(store: Store, q: str) -> None:
    await store.collection(Run).add(run("r1"))
    assert (await store.collection(Run).list(teams=["t1"], q=q)).items == []
    assert await store.collection(Run).count(teams=["t1"], q=q) == 0


@pytest.mark.parametrize("bad", ["a\0b", "\ud800"])
async def test_text_that_no_database_holds_is_refused(store: Store, bad: str) -> None:
    projects = store.collection(Project)
    for field in ("name", "owner", "team"):
        with pytest.raises(BadInput, match="cannot be stored"):
            await projects.add(project("p1").model_copy(update={field: bad}))
    with pytest.raises(NotFound):
        await projects.get(bad)
    for field in ("name", "project", "owner", "tag", "state"):
        with pytest.raises(BadInput):
            await projects.list(teams=None, **{field: bad})
    with pytest.raises(BadInput):
        await projects.find(team="t1", name=bad)
    await projects.add(project("p1", description="a\0b"))
    assert (await projects.get("p1")).description == "a\0b"
