"""What GitHub answers, over HTTP on this machine: a stand-in for a provider that nobody can run."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class GitHub:
    """Serves the addresses that a sign-in asks for; what it answers, a test may change."""

    def __init__(self) -> None:
        self.user: dict[str, Any] = {"id": 7, "login": "Ada", "email": "unverified@example.org"}
        self.emails = [{"email": "ada@company.org", "primary": True, "verified": True}]
        self.teams = [{"slug": "core", "organization": {"login": "Company"}}]
        self.revoked = False
        self.asked: list[dict[str, str]] = []
        stand_in = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stand_in._get(self)

            def do_POST(self) -> None:
                stand_in._post(self)

            def log_message(self, *said: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _get(self, answer: Any) -> None:
        address = urlsplit(answer.path)
        if address.path == "/login/oauth/authorize":
            asked = {key: values[0] for key, values in parse_qs(address.query).items()}
            self.asked.append(asked)
            answer.send_response(302)
            answer.send_header("Location", f"{asked['redirect_uri']}?code=good&state={asked['state']}")
            answer.end_headers()
            return
        known = {"/api/user": self.user, "/api/user/emails": self.emails, "/api/user/teams": self.teams}
        if self.revoked or answer.headers["Authorization"] != "Bearer the-token":
            self._say(answer, {"message": "Bad credentials"}, 401)
        else:
            self._say(answer, known[address.path])

    def _post(self, answer: Any) -> None:
        body = answer.rfile.read(int(answer.headers["Content-Length"])).decode()
        asked = {key: values[0] for key, values in parse_qs(body).items()}
        self.asked.append(asked)
        if asked["client_secret"] != "right":
            said = {"error": "incorrect_client_credentials", "error_description": "They are incorrect."}
        elif asked["code"] != "good":
            said = {"error": "bad_verification_code", "error_description": "It is incorrect."}
        else:
            said = {"access_token": "the-token", "token_type": "bearer", "scope": "read:org,user:email"}
        self._say(answer, said)

    def _say(self, answer: Any, said: Any, status: int = 200) -> None:
        body = json.dumps(said).encode()
        answer.send_response(status)
        answer.send_header("Content-Type", "application/json")
        answer.send_header("Content-Length", str(len(body)))
        answer.end_headers()
        answer.wfile.write(body)

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
