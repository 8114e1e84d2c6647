"""The hub's own doors: sessions, links, names, the brake on guessing, and what their pages give away."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from house import Browser, House, call, until
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from nabla.ids import folder_name
from nabla.services.teams import Teams
from nabla_hub.authenticator import NablaAuthenticator

PASSWORD = "correct horse battery"
SERVICE = "access:services!service=nabla"


def link_of(page: httpx.Response) -> str:
    found = re.search(r'value="(http://[^"]+)"', page.text)
    assert found, page.text
    return found[1].replace("&amp;", "&")


def invited(house: House, name: str) -> Browser:
    """Return a browser of a new person whom the admin invited."""
    browser = house.browser()
    link = link_of(house.admin().act("invite"))
    assert browser.form(link, username=name, password=PASSWORD).status_code == 200
    assert browser.user == name
    return browser


class TestSessions:
    """Who is removed, or changes the password, is out everywhere else."""

    def test_a_new_password_ends_the_other_sessions_and_keeps_this_one(self, house: House) -> None:
        own = invited(house, "ada")
        stolen = house.browser()
        stolen.sign_in("ada", PASSWORD)
        assert stolen.user == "ada"
        assert own.form("/hub/password", old=PASSWORD, password="another long one").status_code == 200
        assert own.user == "ada"
        assert stolen.user == ""

    def test_a_password_set_by_a_link_ends_the_sessions_before_it(self, house: House) -> None:
        stolen = invited(house, "lin")
        fresh = house.browser()
        fresh.take(link_of(house.admin().act("link", "lin")), password="another long one", next="/hub/home")
        assert fresh.user == "lin"
        assert stolen.user == ""

    def test_who_is_removed_reads_no_open_stream_to_its_end(self, house: House) -> None:
        token = invited(house, "leaver").token("leaver")
        opened, closed = threading.Event(), threading.Event()

        def read() -> None:
            with httpx.stream(
                "GET",
                f"{house.url}/services/nabla/api/v1/stream",
                headers={"Authorization": f"token {token}"},
                timeout=120,
            ) as answer:
                for _ in answer.iter_lines():
                    opened.set()
            closed.set()

        threading.Thread(target=read, daemon=True).start()
        assert opened.wait(60)
        house.admin().act("remove", "leaver")
        assert closed.wait(60)
        assert call(house, token, "GET", "me").status_code == 401

    def test_cookies_are_for_this_site_and_not_for_scripts(self, house: House) -> None:
        admin = house.admin()
        kept = {cookie.name: cookie for cookie in admin.cookies.jar}
        for name in ("jupyterhub-hub-login", "jupyterhub-session-id", "_xsrf"):
            assert kept[name].has_nonstandard_attr("HttpOnly")
        for cookie in kept.values():
            assert cookie.get_nonstandard_attr("SameSite") == "Lax", cookie.name


class TestNames:
    """A name is one person's for ever, and its folder is nobody else's."""

    def test_the_name_of_a_removed_person_stays_taken_until_the_admin_lets_them_back_in(
        self, house: House
    ) -> None:
        invited(house, "grace")
        house.admin().act("remove", "grace")
        thief = house.browser()
        link = link_of(house.admin().act("invite"))
        answer = thief.form(link, username="grace", password="my own long one")
        assert answer.status_code == 409
        assert "is taken" in answer.text
        assert thief.user == ""
        thief.sign_in("grace", PASSWORD)
        assert thief.user == ""
        house.admin().act("approve", "grace")
        back = house.browser()
        back.take(link_of(house.admin().act("link", "grace")), next="/hub/home")
        assert back.user == "grace"

    def test_no_two_names_share_a_folder_or_a_team_and_no_folder_leads_elsewhere(self) -> None:
        names = [
            *(
                "a--b",
                "a-b",
                "a_b",
                "a.b",
                "a..b",
                "A-B",
                "a b",
                "a/b",
                "..",
                ".",
                "",
                "~",
                "~a-b",
                "\uff41-b",
            ),
            *("é", "e\u0301", "É", "-", "_", "con", "a" * 64, "a" * 65, "a" * 300, "a\0b", "a\nb", ".new-1"),
            *("a%2fb", "../a", "/etc", "$(id)", "ß", "ss", "\u0131", "i", "K", "k", "\u200ba", "a\u200b"),
        ]
        folders = {folder_name(name) for name in names}
        assert len(folders) == len(names)
        assert len({Teams.private_id(name) for name in names}) == len(names)
        assert len({folder.casefold() for folder in folders}) == len(names)
        for folder in folders:
            assert re.fullmatch(r"[a-z~][a-z0-9._-]{0,63}", folder), folder

    @pytest.mark.parametrize("name", ["../up", "..", "a/b", "a b", "é", "a" * 32, "1a", "<b>x", "a\0", "a;b"])
    def test_no_other_names_can_be_signed_up(self, name: str) -> None:
        from nabla.errors import BadInput
        from nabla_hub.accounts import check_account_name

        with pytest.raises(BadInput):
            check_account_name(name)


class TestSecrets:
    """Nothing that opens a door is left where others look."""

    def test_an_invitation_is_not_in_the_log(self, house: House) -> None:
        link = link_of(house.admin().act("invite"))
        secret = link.rpartition("=")[2]
        assert "You are invited" in house.browser().get(link).text
        until(lambda: "GET /hub/signup?" in house.log, "the visit in the log")
        assert secret not in house.log

    def test_no_process_shows_a_secret_in_its_command(self, house: House) -> None:
        token = house.admin().token(house.owner)
        secret = (house.home / "hub/cookie_secret").read_text().strip()
        commands = " ".join(house.pids().values())
        assert "nabla_hub.service" in commands
        for word in (token, secret, "CONFIGPROXY_AUTH_TOKEN", "JUPYTERHUB_API_TOKEN"):
            assert word not in commands

    def test_what_the_home_holds_is_the_owners_alone(self, house: House) -> None:
        assert house.home.stat().st_mode & 0o777 == 0o700
        for name in ("accounts.json", "cookie_secret", "hub.log"):
            assert (house.home / "hub" / name).stat().st_mode & 0o077 == 0, name
        for name in ("service.sock", "service.json", "lease"):
            assert (house.home / name).stat().st_mode & 0o077 == 0, name


class TestGuessing:
    """The brake counts what our own proxy saw."""

    @pytest.mark.parametrize("header", ["X-Real-Ip", "X-Forwarded-For"])
    def test_an_address_that_a_caller_makes_up_does_not_count(self, house: House, header: str) -> None:
        name = f"slow-{header.lower()[2:6]}"
        invited(house, name)
        browser = house.browser()
        for number in range(5):
            browser.headers[header] = f"10.0.0.{number}"
            assert browser.sign_in(name, "not the password").status_code == 403
        browser.headers[header] = "10.0.0.99"
        assert browser.sign_in(name, PASSWORD).status_code == 429

    async def test_a_name_that_is_none_is_not_kept(self, tmp_path: Path) -> None:
        door = NablaAuthenticator(accounts_file=str(tmp_path / "accounts.json"))
        request = HTTPServerRequest(
            start_line=RequestStartLine("POST", "/hub/login", "HTTP/1.1"), headers=HTTPHeaders({"Host": "x"})
        )
        asked = SimpleNamespace(request=request, get_secure_cookie=lambda *args, **named: None)
        assert await door.authenticate(asked, {"username": "x" * 1_000_000, "password": "y"}) is None
        assert sum(len(key) for _, key in door.tries._failures) < 100

    def test_a_password_over_its_bound_is_never_right(self, house: House) -> None:
        browser = house.browser()
        assert browser.sign_in(house.owner, "a long enough password" + "x" * 100_000).status_code in (
            403,
            429,
        )
        assert browser.user == ""


class TestPages:
    """The hub's pages show what is typed as text, in no frame, and lead to no other site."""

    @pytest.mark.parametrize("path", ["login", "signup", "first", "password", "home"])
    def test_no_page_is_framed_or_sniffed(self, house: House, path: str) -> None:
        headers = house.browser().get(f"/hub/{path}").headers
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]

    @pytest.mark.parametrize("field", ["token", "next", "username", "error"])
    @pytest.mark.parametrize("path", ["login", "signup", "first"])
    def test_what_is_typed_is_shown_as_text(self, house: House, path: str, field: str) -> None:
        evil = "\"'><script>alert(1)</script>"
        page = house.browser().get(f"/hub/{path}", params={field: evil})
        assert "<script>alert(1)" not in page.text

    def test_a_name_that_is_refused_is_shown_as_text(self, house: House) -> None:
        answer = house.browser().form(
            "/hub/signup", username='"><script>alert(1)</script>', password=PASSWORD
        )
        assert answer.status_code == 400
        assert "<script>alert(1)" not in answer.text

    @pytest.mark.parametrize("path", ["people", "password", "signup", "first", "login"])
    def test_no_change_without_the_pages_own_token(self, house: House, path: str) -> None:
        admin = house.admin()
        fields = {"action": "invite", "old": "x", "password": PASSWORD, "username": "mallory"}
        answer = admin.post(f"/hub/{path}", data=fields, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403


class TestTwoPeople:
    """What one person has answers 404 to the other and to the admin, whatever they prove themselves with."""

    def test_ids_of_others_answer_404_for_every_kind_of_token(self, house: House) -> None:
        ben, eve = invited(house, "ben"), invited(house, "eve")
        token = ben.token("ben")
        project = call(house, token, "POST", "projects", json={"name": "secret plan"}).json()
        strangers = {
            "another's token": eve.token("eve"),
            "another's page": eve.token("eve", "access:servers!server=eve/", SERVICE),
            "another's narrow token": eve.token("eve", SERVICE, "read:users:name!user"),
            "the admin's token": house.admin().token(house.owner),
        }
        for who, stranger in strangers.items():
            for method, path in [
                ("GET", f"projects/{project['id']}"),
                ("PATCH", f"projects/{project['id']}"),
                ("DELETE", f"projects/{project['id']}?confirm=true"),
                ("GET", "projects/secret plan"),
                ("GET", f"runs?project={project['id']}"),
            ]:
                body = {} if method == "PATCH" else None
                answer = call(house, stranger, method, path, json=body)
                assert answer.status_code == 404, (who, method, path, answer.text)
                assert (
                    "secret plan" not in answer.text.replace("'secret plan'", "") or "projects/secret" in path
                )
            listed = call(house, stranger, "GET", "projects").json()["items"]
            assert project["id"] not in [one["id"] for one in listed], who
        assert call(house, token, "GET", f"projects/{project['id']}").status_code == 200

    def test_nobody_makes_a_token_of_another(self, house: House) -> None:
        eve = invited(house, "eva")
        for user in (house.owner, "eva2"):
            page = eve.get("/hub/home")
            xsrf = re.search(r'xsrf_token: "([^"]*)"', page.text)
            assert xsrf
            answer = eve.post(
                f"/hub/api/users/{user}/tokens",
                params={"_xsrf": xsrf[1]},
                headers={"Referer": str(page.url)},
                json={},
            )
            assert answer.status_code in (403, 404)

    def test_a_token_cannot_ask_for_more_than_its_user_may(self, house: House) -> None:
        eve = invited(house, "evi")
        for scope in ("admin:users", "access:servers", "tokens", f"access:servers!server={house.owner}/"):
            with pytest.raises(httpx.HTTPStatusError):
                eve.token("evi", scope)
