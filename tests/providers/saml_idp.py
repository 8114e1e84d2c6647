"""A real SAML identity provider (pysaml2's, with xmlsec1) for the tests: asks who it is, signs what it says.

Started as `saml_idp.py FOLDER PORT SP_METADATA_ADDRESS`, with `idp.key` and `idp.pem` in the folder.
It prints its metadata's address when it listens; each line of JSON on its input says whom it knows.
"""

from __future__ import annotations

import base64
import html
import json
import shutil
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.saml import NAME_FORMAT_BASIC, NAMEID_FORMAT_PERSISTENT, NameID
from saml2.server import Server

# Whom it knows: attributes by name.
PEOPLE: dict[str, dict[str, list[str]]] = {}
PASSWORD = "known at the provider"


class Idp:
    """The provider; it reads the metadata of the hub when somebody comes from there for the first time."""

    def __init__(self, folder: Path, port: int, sp_metadata: str) -> None:
        self.folder, self.sp_metadata = folder, sp_metadata
        self.base = f"http://localhost:{port}"
        self._server: Server | None = None
        self._lock = threading.Lock()

    def config(self, *, with_partner: bool) -> IdPConfig:
        """Return pysaml2's configuration."""
        said: dict[str, Any] = {
            "entityid": f"{self.base}/metadata",
            "xmlsec_binary": shutil.which("xmlsec1"),
            "key_file": str(self.folder / "idp.key"),
            "cert_file": str(self.folder / "idp.pem"),
            "service": {
                "idp": {
                    "endpoints": {"single_sign_on_service": [(f"{self.base}/sso", BINDING_HTTP_REDIRECT)]},
                    "want_authn_requests_signed": True,
                    "policy": {"default": {"lifetime": {"minutes": 5}, "name_form": NAME_FORMAT_BASIC}},
                    "name_id_format": [NAMEID_FORMAT_PERSISTENT],
                }
            },
        }
        if with_partner:
            file = self.folder / "sp.xml"
            with urllib.request.urlopen(self.sp_metadata, timeout=60) as answer:
                file.write_bytes(answer.read())
            said["metadata"] = {"local": [str(file)]}
        return IdPConfig().load(said)

    def metadata(self) -> bytes:
        """Return the provider's metadata."""
        return str(entity_descriptor(self.config(with_partner=False))).encode()

    def server(self) -> Server:
        """Return pysaml2's server."""
        with self._lock:
            if self._server is None:
                self._server = Server(config=self.config(with_partner=True))
            return self._server

    def answer(self, query: dict[str, str], name: str) -> tuple[str, str]:
        """Return where to post and what, for a request that pysaml2 has checked."""
        server = self.server()
        request = server.parse_authn_request(
            query["SAMLRequest"],
            BINDING_HTTP_REDIRECT,
            relay_state=query.get("RelayState"),
            sigalg=query.get("SigAlg"),
            signature=query.get("Signature"),
        )
        args = server.response_args(request.message, bindings=[BINDING_HTTP_POST])
        args.pop("name_id_policy", None)
        args.pop("binding", None)
        response = server.create_authn_response(
            PEOPLE[name],
            userid=name,
            name_id=NameID(format=NAMEID_FORMAT_PERSISTENT, text=name),
            authn={"class_ref": "urn:oasis:names:tc:SAML:2.0:ac:classes:Password", "authn_auth": self.base},
            sign_assertion=True,
            sign_response=True,
            sign_alg="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            digest_alg="http://www.w3.org/2001/04/xmlenc#sha256",
            **args,
        )
        return args["destination"], str(response)


FORM = """<!doctype html><title>The company</title><h1>Sign in at the company</h1>
<form method="post" action="/login">{hidden}<label>Name <input name="name"></label>
<label>Password <input type="password" name="password"></label><button>Sign in here</button></form>"""
POST = """<!doctype html><title>Back</title>
<form method="post" action="{action}">{hidden}<button>Go on</button></form>
<script>document.forms[0].submit()</script>"""


def hidden(**fields: str) -> str:
    """Return hidden fields of a form."""
    return "".join(f'<input type="hidden" name="{k}" value="{html.escape(v)}">' for k, v in fields.items())


def handler(idp: Idp) -> type[BaseHTTPRequestHandler]:
    """Return the pages of the provider."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Show the metadata, or the form for a request."""
            parts = urlsplit(self.path)
            if parts.path == "/metadata":
                self._send(idp.metadata(), "application/samlmetadata+xml")
            else:
                query = {key: values[0] for key, values in parse_qs(parts.query).items()}
                self._send(FORM.format(hidden=hidden(**query)).encode())

        def do_POST(self) -> None:
            """Answer the request for somebody who knows the password."""
            raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
            said = {key: values[0] for key, values in parse_qs(raw).items()}
            name = said.get("name", "")
            if name not in PEOPLE or said.get("password") != PASSWORD:
                self._send(b"<h1>No</h1>", status=403)
                return
            action, answer = idp.answer(said, name)
            fields = {"SAMLResponse": base64.b64encode(answer.encode()).decode()}
            fields["RelayState"] = said.get("RelayState", "")
            self._send(POST.format(action=html.escape(action), hidden=hidden(**fields)).encode())

        def _send(self, body: bytes, kind: str = "text/html; charset=utf-8", status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Pages


def main() -> None:
    """Serve until the input ends."""
    folder, port, partner = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    idp = Idp(folder, port, partner)
    server = ThreadingHTTPServer(("127.0.0.1", port), handler(idp))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"{idp.base}/metadata", flush=True)
    for line in sys.stdin:
        PEOPLE.clear()
        PEOPLE.update(json.loads(line))
        print("heard", flush=True)


if __name__ == "__main__":
    main()
