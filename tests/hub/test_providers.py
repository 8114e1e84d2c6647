"""A wrong list of providers stops the start in one sentence that names the key and says what to write."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from house import House, free_port
from openid import configure

from nabla.errors import BadInput
from nabla_hub.providers import TYPES, at_path, build, group_names

OIDC = {"issuer": "https://id.example", "client_id": "nabla", "client_secret": "s"}


def one(**more: Any) -> dict[str, Any]:
    return {"name": "company", "type": "oidc", "options": OIDC} | more


def options(**more: Any) -> list[dict[str, Any]]:
    return [one(options=OIDC | more)]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (["github"], r"providers\[0\] is no dict"),
        ([one(nmae="x")], r"providers\[0\] has no key 'nmae'.*Did you mean \"name\""),
        ([one(name="Company X")], r'providers\[0\]\["name"\] is \'Company X\': write a name of letters'),
        ([one(), one()], r'providers\[1\]\["name"\] is "company" as an earlier one'),
        ([one(label=3)], r'providers\[0\]\["label"\] is 3'),
        ([one(type="gihtub")], r'\["type"\] is \'gihtub\': write one of oidc.*Did you mean "github"'),
        ([one(type="os.path.join")], r'\["type"\] is \'os.path.join\''),
        ([one(type="oauthenticator.nothing.Nothing")], r'\["type"\]'),
        ([one(type=None)], r'\["type"\] is None'),
        ([one(options=[])], r'\["options"\] is no dict'),
        ([one(options={})], r'\["options"\]\["issuer"\] is missing: write "issuer": "…"'),
        (options(client_secret=None), r'\["client_secret"\] is missing: write "client_secret": "env:NAME"'),
        (options(client_secret=7), r'\["client_secret"\] is a secret of another shape'),
        (options(client_secret="env:NOT_SET_AT_ALL"), r"NOT_SET_AT_ALL, which is not set"),
        (options(client_secret="file:/not/there"), r"/not/there, which cannot be read \(No such file"),
        (options(group_claim="x"), r'no key \'group_claim\'.*Did you mean "groups_claim"'),
        (options(allowed_groups="staff"), r'\["allowed_groups"\] is \'staff\': write a list of texts'),
        (options(allow_all="yes"), r'\["allow_all"\] is \'yes\': write True or False'),
        (options(session_hours=-1), r'\["session_hours"\] is -1: write a number, 0 or more'),
        (options(issuer="http://id.example"), r"issuer 'http://id.example': write its address with https"),
        (options(issuer="javascript:alert(1)"), r"write its address with https"),
        ([one(type="ldap", options={"server": "host", "base": "x"})], r"write ldaps://host"),
        ([one(type="ldap", options={"server": "ldap://h", "base": "x", "bind_dn": "y"})], r"bind_password"),
        ([one(type="ldap", options={"server": "ldap://h", "base": "x", "filter": "a=b"})], r"in brackets"),
        (
            [one(type="github", options={"client_id": "a", "client_secret": "b", "traits": {"scop": []}})],
            r"'scop'",
        ),
        (
            [one(type="github", options={"client_id": "a", "client_secret": "b", "url": "http://x"})],
            r"write https",
        ),
    ],
)
def test_a_wrong_provider_is_named_by_its_key(said, sentence):
    with pytest.raises(BadInput, match=sentence):
        build(said)


def test_no_sentence_repeats_a_secret():
    with pytest.raises(BadInput) as caught:
        build([one(options={"client_secret": ["very secret"], "issuer": "https://x", "client_id": "y"})])
    assert "very secret" not in caught.value.message


def test_a_secret_comes_from_the_environment_or_a_file(monkeypatch, tmp_path):
    monkeypatch.setenv("COMPANY_SECRET", "from the environment")
    file = tmp_path / "secret"
    file.write_text("from a file\n")
    said = [
        one(options=OIDC | {"client_secret": "env:COMPANY_SECRET"}),
        one(name="two", options=OIDC | {"client_secret": f"file:{file}"}),
    ]
    assert [provider.options["client_secret"] for provider in build(said)] == [
        "from the environment",
        "from a file",
    ]


def test_every_type_can_be_built():
    needed: dict[str, dict[str, Any]] = {
        "oidc": OIDC,
        "google": {"client_id": "a", "client_secret": "b"},
        "gitlab": {"client_id": "a", "client_secret": "b"},
        "github": {"client_id": "a", "client_secret": "b"},
        "ldap": {"server": "ldaps://directory.example", "base": "dc=example"},
        "oauthenticator.bitbucket.BitbucketOAuthenticator": {"client_id": "a", "client_secret": "b"},
        "oauthenticator.generic.GenericOAuthenticator": {
            "client_id": "a",
            "client_secret": "b",
            "traits": {
                "authorize_url": "https://x/a",
                "token_url": "https://x/t",
                "userdata_url": "https://x/u",
            },
        },
    }
    assert set(TYPES) - set(needed) == {"saml"}  # which has tests of its own
    said = [
        {"name": f"p{number}", "type": kind, "options": of}
        for number, (kind, of) in enumerate(needed.items())
    ]
    assert [provider.name for provider in build(said)] == [one["name"] for one in said]


def test_a_wrong_configuration_stops_the_start_in_a_sentence(tmp_path):
    home = tmp_path / "home"
    configure(home, [one(type="gihtub")])
    house = House(home, port=free_port())
    started = house.launch()
    said, _ = started.communicate(timeout=120)
    assert started.returncode != 0
    assert "c.NablaHub.providers[0][\"type\"] is 'gihtub': write one of" in said
    assert "Traceback" not in said


def test_no_library_of_a_provider_is_loaded_without_one():
    loads = (
        "import nabla_hub.authenticator, sys; print({'ldap3', 'oauthenticator', 'jwt'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("claims", "path", "found"),
    [
        ({"groups": ["a"]}, "groups", ["a"]),
        ({"realm": {"roles": ["a"]}}, "realm.roles", ["a"]),
        ({"https://company.org/groups": ["a"]}, "https://company.org/groups", ["a"]),
        ({"realm": "text"}, "realm.roles", None),
        ({}, "a.b", None),
        (None, "a", None),
    ],
)
def test_a_claim_is_found_by_a_dotted_path(claims, path, found):
    assert at_path(claims, path) == found


def test_groups_are_texts_whatever_a_claim_holds():
    assert group_names("staff") == ("staff",)
    assert group_names(["b", "a", "a", 3, None, "", "x" * 300, {"name": "c"}, {"id": 1}, ["d"]]) == (
        "a",
        "b",
        "c",
    )
    assert len(group_names([f"g{n}" for n in range(5000)])) == 1000
    assert group_names({"name": "one"}) == ("one",)
