"""A real OpenLDAP server for the tests, with a company in it, on free ports with and without TLS."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from house import free_port, until

BASE = "dc=company,dc=org"
ROOT, ROOT_PASSWORD = f"cn=root,{BASE}", "the directory's own password"
PEOPLE = {
    "ada": ("ada's password", ["staff", "team-red"]),
    "bob": ("bob's password", ["staff"]),
    "o'neil (x)*": ("odd password", ["staff"]),
}

CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/pid
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
allow bind_anon_dn
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{root}" read by users read by * none
database mdb
suffix "{base}"
rootdn "{root}"
rootpw "{password}"
directory {folder}/data
"""


class Directory:
    """The server's process and where it listens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "data").mkdir()
        certify(folder)
        config = folder / "slapd.conf"
        config.write_text(CONFIG.format(folder=folder, base=BASE, root=ROOT, password=ROOT_PASSWORD))
        (folder / "people.ldif").write_text(ldif())
        program = shutil.which("slapd") or "/usr/sbin/slapd"
        filled = [Path(program).with_name("slapadd"), "-f", config, "-l", folder / "people.ldif"]
        subprocess.run(filled, check=True, capture_output=True)
        self.port, self.tls_port = free_port(), free_port()
        addresses = f"ldap://127.0.0.1:{self.port}/ ldaps://127.0.0.1:{self.tls_port}/"
        self.process = subprocess.Popen(
            [program, "-f", config, "-h", addresses, "-d", "0"], stderr=subprocess.DEVNULL
        )
        until(self._listens, "the directory listens")

    def _listens(self) -> bool:
        assert self.process.poll() is None, "slapd ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.tls_port), 1):
            return True
        return False

    def change(self, text: str) -> None:
        """Apply an LDIF of changes, as the directory's admin."""
        import ldap3

        server = ldap3.Server("127.0.0.1", port=self.port, get_info=ldap3.NONE)
        with ldap3.Connection(server, ROOT, ROOT_PASSWORD, raise_exceptions=True) as connection:
            verb, dn, *rest = text.split("|")
            if verb == "delete":
                connection.delete(dn)
            else:
                action = {"add": ldap3.MODIFY_ADD, "remove": ldap3.MODIFY_DELETE}[verb]
                connection.modify(dn, {rest[0]: [(action, [rest[1]])]})

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def directory(folder: Path) -> Iterator[Directory]:
    """Run a directory."""
    server = Directory(folder)
    try:
        yield server
    finally:
        server.stop()


def dn(name: str) -> str:
    """Return where somebody is in the directory."""
    return f"uid={name},ou=people,{BASE}"


def ldif() -> str:
    """Return the company."""
    entries = [
        f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: Company\ndc: company",
        f"dn: ou=people,{BASE}\nobjectClass: organizationalUnit\nou: people",
        f"dn: ou=groups,{BASE}\nobjectClass: organizationalUnit\nou: groups",
    ]
    groups: dict[str, list[str]] = {}
    for name, (password, theirs) in PEOPLE.items():
        entries.append(
            f"dn: {dn(name)}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: {name}\n"
            f"mail: someone@company.org\nuserPassword: {password}"
        )
        for group in theirs:
            groups.setdefault(group, []).append(name)
    for group, names in groups.items():
        members = "\n".join(f"member: {dn(name)}" for name in [*names, "nobody"])
        entries.append(f"dn: cn={group},ou=groups,{BASE}\nobjectClass: groupOfNames\ncn: {group}\n{members}")
    return "\n\n".join(entries) + "\n"


def certify(folder: Path) -> None:
    """Write a certificate for 127.0.0.1 that signs itself, and one for another host."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = datetime.datetime.now(datetime.UTC)
    for file, host in (("server", x509.IPAddress(ipaddress.ip_address("127.0.0.1"))), ("other", None)):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, file)])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([host or x509.DNSName("other.example")]), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        (folder / f"{file}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
        (folder / f"{file}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
