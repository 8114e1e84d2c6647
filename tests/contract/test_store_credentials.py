"""Texts that let somebody in: found while they are good, and nowhere in the database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from nabla.schema import now
from nabla.store import Store, credentials


async def test_a_text_is_found_by_its_kind_until_it_is_dropped(store: Store) -> None:
    key = await store.call(lambda t: credentials.add(t, "key", "key1"))
    link = await store.call(lambda t: credentials.add(t, "link", "ln1"))
    assert key.startswith("nbl_")
    assert link.startswith("nbv_")
    assert len(key) == 44
    assert await store.read(lambda t: credentials.find(t, "key", key)) == "key1"
    assert await store.read(lambda t: credentials.find(t, "link", key)) is None
    assert await store.read(lambda t: credentials.find(t, "key", key[:-1])) is None
    await store.call(lambda t: credentials.drop(t, "key1"))
    assert await store.read(lambda t: credentials.find(t, "key", key)) is None
    assert await store.read(lambda t: credentials.find(t, "link", link)) == "ln1"


async def test_a_text_that_has_expired_is_found_no_more(store: Store) -> None:
    past, future = now() - timedelta(seconds=1), now() + timedelta(hours=1)
    old = await store.call(lambda t: credentials.add(t, "invitation", "inv1", past))
    good = await store.call(lambda t: credentials.add(t, "invitation", "inv2", future))
    assert await store.read(lambda t: credentials.find(t, "invitation", old)) is None
    assert await store.read(lambda t: credentials.find(t, "invitation", good)) == "inv2"


async def test_the_database_holds_no_text_that_lets_in(store: Store) -> None:
    text = await store.call(lambda t: credentials.add(t, "key", "key1"))
    rows = await store.read(lambda t: t.connection.exec_driver_sql("SELECT * FROM credentials").all())
    assert len(rows) == 1
    assert text not in str(rows)
    assert text.removeprefix("nbl_") not in str(rows)


@pytest.mark.parametrize("text", ["", "nbl_", "\0", "\ud800", "nbl_" + "a" * 100_000])
async def test_no_text_breaks_the_look(store: Store, text: str) -> None:
    assert await store.read(lambda t: credentials.find(t, "key", text)) is None
