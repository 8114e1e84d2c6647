"""What a search over everything promises, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from documents import START, project, run
from nabla.errors import BadInput, NotFound
from nabla.schema import Document, Link, Project, Run, Team
from nabla.store import Store, finding
from nabla.store.finding import Looked
from nabla.store.words import words_of

KINDS: dict[str, type[Document]] = {"project": Project, "run": Run, "team": Team, "link": Link}
ALL = {"kinds": list(KINDS), "teams": ["t1", "t2", "t3"]}


async def found(store: Store, limit: int = 50, cursor: str | None = None, **looked: object) -> list[str]:
    """Return the ids of every page, in order."""
    given = Looked(**{**ALL, **looked})  # type: ignore[arg-type]
    ids: list[str] = []
    while True:
        items, cursor = await store.read(lambda t, at=cursor: finding.found(t, given, KINDS, at, limit))
        ids += [one.id for one in items]
        if cursor is None:
            return ids


async def fill(store: Store, *made: Document) -> None:
    await store.call(lambda t: [t.add(one) for one in made])


async def test_names_come_before_other_matches_and_the_newest_first(store: Store) -> None:
    await fill(
        store,
        project("p1", name="digits", created=START),
        project("p2", name="other", description="about digits", created=START + timedelta(hours=3)),
        run("r1", name="digits again", created=START + timedelta(hours=1)),
        run("r2", name="x", tags=["digits"], created=START + timedelta(hours=2)),
    )
    assert await found(store, q="digits") == ["r1", "p1", "p2", "r2"]
    assert await found(store, q="digits", limit=1) == ["r1", "p1", "p2", "r2"]


async def test_the_last_word_may_be_the_beginning_of_one_and_the_others_not(store: Store) -> None:
    await fill(store, project("p1", name="Großes Übungs Heft"))
    for asked in ("grosses ubungs he", "HEFT", "übu", "heft grosses"):
        assert await found(store, q=asked) == ["p1"], asked
    for asked in ("gro heft", "eft", "heft x"):
        assert await found(store, q=asked) == [], asked


async def test_tags_are_met_whole_and_all_of_them(store: Store) -> None:
    await fill(
        store,
        run("r1", tags=["night run", "gpu"]),
        run("r2", tags=["nightrun"]),
        run("r3", tags=["Night Run"]),
        project("p1", tags=["night run"]),
    )
    assert await found(store, tags=["night run"]) == ["p1", "r1"]
    assert await found(store, tags=["night run", "gpu"]) == ["r1"]
    assert await found(store, tags=["night run"], q="train") == ["r1"]
    assert await found(store, tags=["night run"], kinds=["project"]) == ["p1"]
    assert await found(store, tags=["nothing"]) == []


async def test_only_what_is_in_sight_is_found_however_many_teams_that_is(store: Store) -> None:
    await fill(
        store,
        project("p1", name="plan", team="t1"),
        project("p2", name="plan", team="t2"),
        run("r2", name="plan", team="t2", project="p2"),
        run("r3", name="plan", team="t3", project="p3"),
        Team(id="t9", team="t9", owner="eve", name="plan"),
    )
    many = [f"x{n}" for n in range(80)]
    for more in ([], many):
        assert await found(store, q="plan", teams=["t1", *more]) == ["p1"]
        guest = {"teams": ["t1", *more], "shared": ["p2"], "shared_kinds": ["project", "run"]}
        assert set(await found(store, q="plan", **guest)) == {"p1", "p2", "r2"}
        assert set(await found(store, **guest)) == {"p1", "p2", "r2"}
        guest["shared_kinds"] = ["project"]
        assert set(await found(store, q="plan", **guest)) == {"p1", "p2"}
        assert await found(store, q="plan", teams=["t1", "t3", *more], only={"run": ["t1"]}) == ["p1"]
    assert await found(store, q="plan", teams=[]) == []


async def test_every_search_finds_what_plain_python_finds(store: Store) -> None:
    dice = random.Random(2)
    words = ["alpha", "beta", "gamma", "alp", "be"]
    made: list[Document] = []
    for n in range(150):
        name = " ".join(dice.sample(words, 2)) + f" {n}"
        about = {"name": name, "team": dice.choice(ALL["teams"]), "created": START + timedelta(seconds=n)}
        tags = dice.choice([[], ["alpha"], ["x"]])
        make = dice.choice([project, run])
        made.append(make(f"{'p' if make is project else 'r'}{n:03}", tags=tags, **about))
    await fill(store, *made)

    def begins(asked: list[str], texts: list[str]) -> bool:
        *whole, last = asked
        return all(w in texts for w in whole) and any(t.startswith(last) for t in texts)

    for _ in range(60):
        asked = dice.sample(words, dice.choice([1, 2]))
        teams, kinds = dice.sample(ALL["teams"], 2), dice.choice([["run"], ["project", "run"]])
        seen = [one for one in reversed(made) if one.team in teams and one.kind in kinds]
        named = [one.id for one in seen if begins(asked, words_of(one.name))]
        rest = [
            one.id for one in seen if begins(asked, words_of(one.search_text())) and one.id not in set(named)
        ]
        assert await found(store, limit=7, q=" ".join(asked), teams=teams, kinds=kinds) == [*named, *rest]


async def test_a_change_of_the_name_is_found_and_the_old_one_is_not(store: Store) -> None:
    await fill(store, project("p1", name="before"))
    await store.collection(Project).change("p1", lambda one: setattr(one, "name", "after"))
    assert await found(store, q="before") == []
    assert await found(store, q="after") == ["p1"]
    await store.collection(Project).delete("p1")
    assert await found(store, q="after") == []


async def test_a_question_without_words_is_answered_and_one_without_letters_finds_nothing(
    store: Store,
) -> None:
    await fill(store, project("p1"), run("r1"))
    assert await found(store) == ["r1", "p1"]
    assert await found(store, q=" ") == ["r1", "p1"]
    for asked in ("!!", "∇", '"', "_t_t1", "' OR 1=1 --", "*", "NOT", "\x00"):
        assert await found(store, q=asked) == [], asked


async def test_a_cursor_of_another_list_is_refused(store: Store) -> None:
    for cursor in ("", "x", "AQAAAAAAAAABAg", "é"):
        with pytest.raises(BadInput, match="cursor"):
            await found(store, cursor=cursor)


async def test_anything_is_found_by_its_id_and_only_of_the_kinds_that_are_meant(store: Store) -> None:
    await fill(store, project("p1"), run("r1"))
    assert (await store.read(lambda t: finding.by_id(t, "r1", KINDS))).kind == "run"
    for none in ("r2", "", "\x00", "\ud800"):
        with pytest.raises(NotFound, match="There is nothing with the id"):
            await store.read(lambda t, one=none: finding.by_id(t, one, KINDS))
    with pytest.raises(NotFound):
        await store.read(lambda t: finding.by_id(t, "r1", {"project": Project}))


async def test_tags_in_use_are_counted_within_sight(store: Store) -> None:
    await fill(
        store,
        run("r1", tags=["gpu", "Night"]),
        run("r2", tags=["gpu"]),
        project("p1", tags=["gpu", "100%"]),
        run("r3", team="t2", tags=["gpu", "hidden"]),
    )
    looked = Looked(kinds=list(KINDS), teams=["t1"])

    async def used(begins: str = "", limit: int = 50) -> list[tuple[str, int]]:
        return await store.read(lambda t: finding.tags_in_use(t, looked, begins, limit))

    assert await used() == [("gpu", 3), ("100%", 1), ("Night", 1)]
    assert await used("ni") == [("Night", 1)]
    assert await used("100%") == [("100%", 1)]
    assert await used("%") == []
    assert await used(limit=1) == [("gpu", 3)]
