"""Storage providers over HTTP, in Python and on the command line, with a real S3 service behind them."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nabla.content.local import LocalStore
from nabla.content.s3 import S3Store
from nabla.embedded import Embedded
from nabla.errors import BadInput, Conflict, Forbidden, NotFound, Unavailable
from nabla.ids import new_id
from nabla.integrations.sealing import FILE
from nabla.schema import Dataset, DatasetVersion
from nabla.schema.storage import MANAGED
from nabla.services.access import membership, private_id
from s3_server import ACCESS_KEY, S3, SECRET_KEY, md5

from .conftest import until

Person = Callable[[str], httpx.Client]
KEYS = {"access_key": ACCESS_KEY, "secret_access_key": SECRET_KEY}


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    embedded = Embedded(tmp_path_factory.mktemp("home"), "the tests")
    embedded.nabla.allowed_addresses = ["127.0.0.0/8"]
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture(scope="module")
def team(brain: Embedded, person: Person) -> str:
    """The team `vision`: olga owns it, mia is a member, vic a viewer; eve is in none."""
    for name in ("mia", "vic", "eve", "root"):
        person(name).get("me").raise_for_status()
    id = str(person("olga").post("teams", json={"name": "vision"}).raise_for_status().json()["id"])
    for user, role in (("mia", "member"), ("vic", "viewer")):
        row = membership(id, user, role=role, source="added")
        brain.call(brain.nabla.store.collection(type(row)).add(row))
    return id


@pytest.fixture
def olga(person: Person, team: str) -> httpx.Client:
    return person("olga")


def make(client: httpx.Client, s3: S3, name: str = "", **more: Any) -> dict[str, Any]:
    """Make a storage provider of the team at a place of its own."""
    name = name or f"p-{os.urandom(4).hex()}"
    about = {"name": name, "team": "vision", "bucket": f"data/{name}", "endpoint": s3.url, **KEYS, **more}
    answer = client.post("storage-providers", json=about)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def dataset_with(brain: Embedded, provider: str, team: str, hash: str = "") -> Dataset:
    """Store a dataset that lies with a provider, and with `hash` a committed version of it."""
    dataset = Dataset(
        id=new_id("dataset"), team=team, owner="olga", name=f"d-{os.urandom(4).hex()}",
        storage_provider=provider,
    )  # fmt: skip
    store = brain.nabla.store
    brain.call(store.collection(Dataset).add(dataset))
    if hash:
        version = DatasetVersion(
            id=f"{dataset.id}:abcdefg", team=team, owner="olga", name="abcdefg", parent=dataset.id,
            state="Committed", target="Committed", hash=hash,
        )  # fmt: skip
        brain.call(store.collection(DatasetVersion).add(version))
    return dataset


def store_of(brain: Embedded, provider: str, team: str) -> S3Store:
    store = brain.call(brain.nabla.storage_providers.stores.at(team, provider))
    assert isinstance(store, S3Store)
    return store


def test_a_provider_is_made_found_changed_and_deleted(olga: httpx.Client, s3: S3) -> None:
    made = make(olga, s3, "archive", region="eu-west-1", tags=["cold", "cold "])
    assert made["id"].startswith("spl")
    assert made["access_key_hint"] == ACCESS_KEY[-4:]
    assert made["tags"] == ["cold"]
    for ref in (made["id"], "archive", "vision%2Farchive"):
        assert olga.get(f"storage-providers/{ref}").json()["id"] == made["id"], ref
    changed = olga.patch("storage-providers/archive", json={"name": "attic", "version": made["version"]})
    assert changed.json()["name"] == "attic"
    late = olga.patch("storage-providers/attic", json={"name": "cellar", "version": made["version"]})
    assert late.status_code == 409
    assert olga.get("search", params={"q": "attic"}).json()["items"][0]["id"] == made["id"]
    assert olga.put(f"tags/{made['id']}", json={"add": ["s3"]}).json()["tags"] == ["cold", "s3"]
    assert olga.delete("storage-providers/attic").status_code == 204
    assert olga.get(f"storage-providers/{made['id']}").status_code == 404


def test_the_list_begins_with_the_managed_one_and_ends_with_the_clusters(
    olga: httpx.Client, person: Person, s3: S3
) -> None:
    clusters = [make(person("root"), s3, team="cluster")["id"] for _ in range(2)]
    mine = [make(olga, s3)["id"] for _ in range(3)]
    wanted = [MANAGED, *reversed(mine), *reversed(clusters)]
    for limit in (1, 2, 3, 4, 200):
        found, cursor = [], None
        while True:
            query = {"limit": limit} | ({"cursor": cursor} if cursor else {})
            page = olga.get("storage-providers", params=query).raise_for_status().json()
            found += [one["id"] for one in page["items"]]
            cursor = page["cursor"]
            if not cursor:
                break
        assert [id for id in found if id in wanted] == wanted, limit
        assert len(found) == len(set(found))
    assert olga.get("storage-providers", params={"cursor": "nonsense"}).status_code == 400
    stranger = person("eve").get("storage-providers").json()["items"]
    assert {one["id"] for one in stranger} & set(wanted) == {MANAGED, *clusters}
    named = olga.get("storage-providers", params={"q": "managed"}).json()["items"]
    assert [one["id"] for one in named] == [MANAGED]
    for id in clusters:
        assert person("root").delete(f"storage-providers/{id}").status_code == 204


def test_a_test_says_what_does_not_work(olga: httpx.Client, s3: S3) -> None:
    def tried(**more: Any) -> tuple[bool, str]:
        answer = olga.post(f"storage-providers/{make(olga, s3, **more)['id']}/test").json()
        return answer["works"], answer["message"]

    works, said = tried()
    assert works, said
    assert [name for name in s3.names("data") if "nabla-" in name] == []
    for more, expected in (
        ({"secret_access_key": "wrong"}, "does not take its keys"),
        ({"access_key": "AKIANOBODY"}, "does not take its keys"),
        ({"bucket": "no-such-bucket"}, "has no bucket 'no-such-bucket'"),
        ({"endpoint": "http://127.0.0.1:1"}, "cannot be reached"),
        ({"endpoint": "http://169.254.169.254"}, "not an address of the internet"),
        ({"endpoint": "http://no-such-host.invalid"}, "cannot be resolved"),
    ):
        works, said = tried(**more)
        assert not works
        assert expected in said
    managed = olga.post("storage-providers/managed/test").json()
    assert managed["works"]


@pytest.mark.parametrize(
    ("about", "field"),
    [
        ({"bucket": "a/../b"}, "bucket"), ({"bucket": "-x"}, "bucket"), ({"endpoint": "ftp://x"}, "endpoint"),
        ({"endpoint": "http://user:password@x"}, "endpoint"), ({"region": "no region"}, "region"),
        ({"name": "managed"}, "name"), ({"name": "a/b"}, "name"), ({"access_key": "a b\n"}, "access_key"),
        ({"secret_access_key": "ends with a space "}, "secret_access_key"), ({"type": "azure"}, "type"),
        ({"secret_access_key": ""}, "secret_access_key"), ({"team": "eves"}, "team"),
        ({"signature_version": "s3v9"}, "signature_version"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_the_field(
    olga: httpx.Client, s3: S3, about: dict[str, str], field: str
) -> None:
    sent = {"name": "x", "team": "vision", "bucket": "data/x", "endpoint": s3.url, **KEYS, **about}
    answer = olga.post("storage-providers", json=sent)
    assert answer.status_code == 400, answer.text
    assert field in answer.json()["field"]


def test_two_providers_of_one_name_or_place_are_not_made(olga: httpx.Client, person: Person, s3: S3) -> None:
    one = make(olga, s3, "first")
    about = {"team": "vision", "endpoint": s3.url, **KEYS}
    for more in ({"name": "first", "bucket": "data/other"}, {"name": "second", "bucket": "s3://data/first/"}):
        assert olga.post("storage-providers", json=about | more).status_code == 409
    everybody = person("root").post(
        "storage-providers", json={**about, "team": "cluster", "name": "all", "bucket": "data/first"}
    )
    assert everybody.status_code == 409
    assert "first" not in everybody.json()["message"].replace("data/first", "")
    other = make(olga, s3, "second")
    assert olga.patch(f"storage-providers/{other['id']}", json={"bucket": "data/first"}).status_code == 409
    assert olga.get(f"storage-providers/{other['id']}").json()["bucket"] == "data/second"
    own = {**about, "team": None, "name": "mine", "bucket": "data/first"}
    assert (
        olga.post("storage-providers", json=own).status_code == 201
    )  # another team's: below a folder of its own
    assert olga.delete(f"storage-providers/{one['id']}").status_code == 204


def test_the_managed_one_is_as_it_is(olga: httpx.Client, person: Person) -> None:
    for client in (olga, person("root")):
        assert client.get("storage-providers/managed").json()["id"] == MANAGED
        assert client.patch(f"storage-providers/{MANAGED}", json={"name": "x"}).status_code in {400, 403}
        assert client.delete("storage-providers/managed").status_code in {400, 403}


def test_members_use_it_admins_change_it_and_others_do_not_see_it(
    olga: httpx.Client, person: Person, s3: S3
) -> None:
    made = make(olga, s3)
    path = f"storage-providers/{made['id']}"
    for name, sees, tries in (
        ("mia", 200, 200),
        ("vic", 200, 403),
        ("eve", 404, 404),
        ("olga@page", 200, 200),
    ):
        client = person(name)
        assert client.get(path).status_code == sees, name
        assert client.post(f"{path}/test").status_code == tries, name
        for change in (client.patch(path, json={"name": "x"}), client.delete(path)):
            assert change.status_code == (404 if sees == 404 else 403), name
    shared = make(person("root"), s3, team="cluster")
    path = f"storage-providers/{shared['id']}"
    for name in ("mia", "eve", "olga"):
        assert person(name).get(path).status_code == 200
        assert person(name).post(f"{path}/test").json()["works"] is True
        assert person(name).delete(path).status_code == 403
    assert person("root@page").delete(path).status_code == 403
    assert person("root").delete(path).status_code == 204


def test_one_that_datasets_lie_with_is_not_deleted(
    olga: httpx.Client, brain: Embedded, team: str, s3: S3
) -> None:
    made = make(olga, s3)
    one, other = (dataset_with(brain, made["id"], team) for _ in range(2))
    refused = olga.delete(f"storage-providers/{made['id']}")
    assert refused.status_code == 409
    assert "2 datasets lie with" in refused.json()["message"]
    datasets = brain.nabla.store.collection(Dataset)
    brain.call(datasets.delete(one.id))
    assert "1 dataset lies with" in olga.delete(f"storage-providers/{made['id']}").json()["message"]
    brain.call(datasets.delete(other.id))
    assert olga.delete(f"storage-providers/{made['id']}").status_code == 204
    with pytest.raises(Unavailable, match="does not exist any more"):
        store_of(brain, made["id"], team)
    with pytest.raises(Conflict, match="was deleted just now"):
        brain.call(brain.nabla.store.read(lambda t: brain.nabla.storage_providers.hold(t, made["id"])))


def test_another_place_is_taken_only_when_what_versions_name_is_there(
    olga: httpx.Client, brain: Embedded, team: str, s3: S3
) -> None:
    made = make(olga, s3)
    listing = b"[]"
    name = f"{md5(listing)}.dir"
    store_of(brain, made["id"], team).put(name, io.BytesIO(listing), len(listing))
    dataset = dataset_with(brain, made["id"], team, name)
    moved = f"data/moved-{made['name']}"
    refused = olga.patch(f"storage-providers/{made['id']}", json={"bucket": moved})
    assert refused.status_code == 409
    assert repr(dataset.name) in refused.json()["message"]
    assert olga.patch(f"storage-providers/{made['id']}", json={"region": "eu-west-1"}).status_code == 200
    place = f"storage-providers/{made['id']}"
    elsewhere = {"endpoint": "http://127.0.0.1:1"}
    unkept = olga.patch(place, json=elsewhere)
    assert (unkept.status_code, unkept.json()["field"]) == (400, "endpoint")
    keys = {"access_key": "AKIAANOTHER", "secret_access_key": "another"}
    assert olga.patch(place, json=elsewhere | keys).status_code == 503
    s3.write("data", f"{moved.removeprefix('data/')}/{team}/files/md5/{name[:2]}/{name[2:]}", listing)
    assert olga.patch(f"storage-providers/{made['id']}", json={"bucket": moved}).status_code == 200
    assert store_of(brain, made["id"], team).size(name) == 2


def test_a_store_is_kept_until_its_provider_changes(
    olga: httpx.Client, brain: Embedded, team: str, s3: S3
) -> None:
    made = make(olga, s3)
    first = store_of(brain, made["id"], team)
    assert store_of(brain, made["id"], team) is first
    other = store_of(brain, made["id"], private_id("mia"))
    assert other.settings.prefix == f"{made['name']}/{private_id('mia')}"
    assert first.settings.prefix == f"{made['name']}/{team}"
    olga.patch(f"storage-providers/{made['id']}", json={"secret_access_key": "wrong"}).raise_for_status()
    with pytest.raises(Forbidden):
        store_of(brain, made["id"], team).check()
    olga.patch(f"storage-providers/{made['id']}", json=KEYS).raise_for_status()
    assert store_of(brain, made["id"], team).check()
    assert isinstance(brain.call(brain.nabla.storage_providers.stores.at(team, MANAGED)), LocalStore)


def test_a_dataset_lies_only_with_a_provider_of_its_team_or_of_the_cluster(
    olga: httpx.Client, brain: Embedded, team: str, s3: S3
) -> None:
    mine, theirs = make(olga, s3, team=None), make(olga, s3)
    actor = brain.call(brain.nabla.teams.actor("olga", "token", False))
    providers = brain.nabla.storage_providers
    assert brain.call(providers.get(actor, theirs["name"], "run", team=team)).id == theirs["id"]
    assert brain.call(providers.get(actor, "managed", "run", team=team)).id == MANAGED
    with pytest.raises(BadInput, match="is of another team"):
        brain.call(providers.get(actor, mine["id"], "run", team=team))
    with pytest.raises(NotFound, match="is of the team olga"):
        brain.call(providers.get(actor, mine["name"], "run", team=team))


def test_keys_are_in_no_answer_log_audit_line_or_database(
    olga: httpx.Client, person: Person, brain: Embedded, s3: S3, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret, access = "hunter2/never+shown", "AKIANEVERSHOWN1234"
    made = make(olga, s3, access_key=access, secret_access_key=secret)
    path = f"storage-providers/{made['id']}"
    said = [
        olga.get(path),
        olga.post(f"{path}/test"),
        olga.get("storage-providers"),
        olga.get("audit?team=vision"),
    ]
    said += [
        olga.patch(path, json={"secret_access_key": secret + "2"}),
        olga.patch(path, json={"access_key": ""}),
    ]
    said += [
        olga.get("teams/vision/activity"),
        olga.get(f"search?q={made['name']}"),
        olga.get("audit?team=vision"),
    ]
    said += [olga.patch(path, json={"secret": secret}), olga.post("storage-providers", json=made | KEYS)]
    for answer in said:
        assert secret not in answer.text
        assert access not in answer.text
    assert "keys_set" in said[-3].text  # that they were set is told
    assert "1234" in said[0].text
    assert secret not in caplog.text
    for file in Path(brain.home).rglob("*"):
        if file.is_file() and not file.is_symlink():
            raw = file.read_bytes()
            assert secret.encode() not in raw, file
            assert access.encode() not in raw, file


def test_keys_move_under_a_new_key_and_are_missed_with_a_lost_one(
    olga: httpx.Client, person: Person, brain: Embedded, s3: S3
) -> None:
    made = make(olga, s3)
    test = f"storage-providers/{made['id']}/test"
    root = person("root")
    before = root.get("secret-keys").json()["keys"][0]["id"]
    root.post("secret-keys").raise_for_status()
    until(lambda: not root.get("secret-keys").json()["moving"], "all keys to move")
    assert root.get("secret-keys").json()["keys"][0]["id"] != before
    assert olga.post(test).json()["works"] is True
    key, kept = Path(brain.home) / FILE, Path(brain.home) / "kept"
    key.rename(kept)
    try:
        tried = olga.post(test).json()
        assert tried["works"] is False
        assert "encryption key" in tried["message"]
        about = {"name": "x", "team": "vision", "bucket": "data/lost", "endpoint": s3.url, **KEYS}
        assert olga.post("storage-providers", json=about).status_code == 503
        assert olga.patch(f"storage-providers/{made['id']}", json=KEYS).status_code == 503
        assert olga.get(f"storage-providers/{made['id']}").json()["keys_set"] == 1
    finally:
        kept.rename(key)
    assert olga.post(test).json()["works"] is True


def test_one_that_was_moved_to_another_row_does_not_open(olga: httpx.Client, brain: Embedded, s3: S3) -> None:
    """The keys of one provider, put in the place of another's by somebody with the database, are refused."""
    from sqlalchemy import update

    from nabla.store.tables import secret_values

    mine, theirs = make(olga, s3), make(olga, s3)
    c = secret_values.c

    def swap(store: Any) -> None:
        rows = dict.fromkeys((mine["id"], theirs["id"]))
        for id in rows:
            found = store.connection.execute(secret_values.select().where(c.secret == id)).one()
            rows[id] = found
        taken = rows[theirs["id"]]
        store.connection.execute(
            update(secret_values).where(c.secret == mine["id"]).values(nonce=taken.nonce, sealed=taken.sealed)
        )

    brain.call(brain.nabla.store.call(swap))
    tried = olga.post(f"storage-providers/{mine['id']}/test").json()
    assert not tried["works"]
    assert "damaged, or stands in the place of another one" in tried["message"]


def test_a_team_that_is_deleted_takes_its_providers_and_keys_along(
    person: Person, brain: Embedded, s3: S3, team: str
) -> None:
    from nabla.store import values

    olga = person("olga")
    olga.post("teams", json={"name": "passing"}).raise_for_status()
    made = make(olga, s3, team="passing")
    olga.delete("teams/passing").raise_for_status()
    assert olga.get(f"storage-providers/{made['id']}").status_code == 404
    assert brain.call(brain.nabla.store.read(lambda t: values.newest(t, made["id"]))) is None
