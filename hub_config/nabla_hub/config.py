"""What Nabla sets in JupyterHub, as traitlets, so that every choice has a name, a unit and a default."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import secrets
import sys
from importlib import resources
from pathlib import Path
from typing import NoReturn

from traitlets import Any as Anything
from traitlets import Bool, Dict, Enum, Float, Integer, List, TraitError, Unicode, default
from traitlets.config import Config, Configurable
from traitlets.config.loader import LazyConfigValue

from nabla.errors import BadInput
from nabla.grouping import read_rules
from nabla_hub import servers
from nabla_hub.accounts import account_name
from nabla_hub.processes import free_port
from nabla_hub.providers import build

SERVICE = "nabla"
PAGE_SCOPES = [f"access:services!service={SERVICE}"]


def default_home() -> Path:
    """Return the home when none is named: `NABLA_HOME`, else `~/.nabla`."""
    return Path(os.environ.get("NABLA_HOME") or "~/.nabla").expanduser().absolute()


class NablaHub(Configurable):
    """Nabla on JupyterHub, on one machine. Set these as `c.NablaHub.…` before `nabla_hub.configure(c)`."""

    home = Unicode(help="Folder that holds everything Nabla knows on this machine (NABLA_HOME).").tag(
        config=True
    )
    host = Unicode(
        help="Address that JupyterHub listens on (NABLA_HOST; default 127.0.0.1: this machine only)."
    ).tag(config=True)
    port = Integer(help="TCP port that JupyterHub listens on (NABLA_PORT; default 8000).").tag(config=True)
    admin = Unicode(help="Account that owns this Nabla (default: the OS user who starts it).").tag(
        config=True
    )
    trust_all_users = Bool(
        help="Let several people in although the machine cannot wall them off (NABLA_TRUST_ALL_USERS)."
    ).tag(config=True)
    link_minutes = Float(
        30.0, help="Minutes that the link printed at each start stays valid, unless it is used before."
    ).tag(config=True)
    invitation_hours = Float(72.0, help="Hours that an invitation made by an admin stays valid.").tag(
        config=True
    )
    require_second_factor = Enum(
        ["nobody", "admins", "everybody"],
        "nobody",
        help="Whose local accounts must have a second factor: nobody, admins or everybody.",
    ).tag(config=True)
    providers = List(
        Anything(),
        help="Who else may say who somebody is: a list of dicts with name, label, type and options.",
    ).tag(config=True)
    group_rules = List(
        Dict(),
        help="What groups of providers stand for in teams: dicts with group, team, role and create.",
    ).tag(config=True)
    local_accounts = Bool(
        True,
        help="Whether people have passwords of ours beside the providers; one-time links work always.",
    ).tag(config=True)
    identity_seconds = Integer(
        1,
        help="Seconds that the service remembers whose a token is; a removed person is out after that.",
    ).tag(config=True)
    server_start_seconds = Integer(60, help="Seconds that a person's notebook server gets to start.").tag(
        config=True
    )
    server_poll_seconds = Integer(
        5, help="Seconds between two looks at whether a person's notebook server is still alive."
    ).tag(config=True)
    proxy_memory = Integer(96, help="Megabytes that the proxy's JavaScript heap may grow to.").tag(
        config=True
    )

    @default("home")
    def _default_home(self) -> str:
        return str(default_home())

    @default("host")
    def _default_host(self) -> str:
        return os.environ.get("NABLA_HOST") or "127.0.0.1"

    @default("port")
    def _default_port(self) -> int:
        return int(os.environ.get("NABLA_PORT") or 8000)

    @default("admin")
    def _default_admin(self) -> str:
        return account_name(os.environ.get("NABLA_ADMIN") or getpass.getuser())

    @default("trust_all_users")
    def _default_trust_all_users(self) -> bool:
        return os.environ.get("NABLA_TRUST_ALL_USERS", "") not in {"", "0"}

    @property
    def folder(self) -> Path:
        """Return the folder of JupyterHub's own files."""
        return Path(self.home) / "hub"

    def ports(self) -> dict[str, int]:
        """Return the inner ports (hub, proxy, service), the same as last time where they are free.

        Servers of people that outlive a crash of the hub look for it where it was.
        """
        file = self.folder / "ports.json"
        try:
            known = json.loads(file.read_text())
        except (FileNotFoundError, ValueError):
            known = {}
        ports: dict[str, int] = {}
        for name in ("hub", "proxy", "service"):
            port = free_port(known.get(name))
            while port in {*ports.values(), self.port}:
                port = free_port()
            ports[name] = port
        file.write_text(json.dumps(ports))
        return ports


def configure(c: Config) -> None:
    """Write all of Nabla's settings into `c`."""
    from nabla_spawners.isolation import works as isolation_works

    try:
        nabla = NablaHub(config=c)
        build(nabla.providers)
        read_rules(nabla.group_rules)
        if not nabla.local_accounts and not nabla.providers:
            raise BadInput("c.NablaHub.local_accounts is False, and there is no provider: name one.")
    except (BadInput, TraitError) as error:
        _refuse(str(error))
    nabla.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ports = nabla.ports()
    isolated = isolation_works()
    _hub(c, nabla, ports)
    _people(c, nabla, isolated)
    _service(c, nabla, ports, isolated)
    _servers(c, nabla, ports, isolated)


def _refuse(sentence: str) -> NoReturn:
    """End the start; `nabla up` says the sentence."""
    folder = default_home() / "hub"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "service-problem").write_text(sentence)
    sys.exit(sentence)


def _hub(c: Config, nabla: NablaHub, ports: dict[str, int]) -> None:
    package = resources.files("nabla_hub")
    c.JupyterHub.bind_url = f"http://{_bracketed(nabla.host)}:{nabla.port}"
    c.JupyterHub.hub_ip = "127.0.0.1"
    c.JupyterHub.hub_port = ports["hub"]
    c.JupyterHub.db_url = f"sqlite:///{nabla.folder}/jupyterhub.sqlite"
    c.JupyterHub.upgrade_db = True
    c.JupyterHub.cookie_secret_file = str(nabla.folder / "cookie_secret")
    c.JupyterHub.template_paths = [str(package / "templates")]
    # Said, because not all browsers take it for granted: no other site's form or picture carries a cookie.
    # The pages of people's servers have the hub's origin: they must not open a page of ours and read it.
    # Nor may their scripts read the secret of our forms, which every page of ours has in itself.
    c.JupyterHub.tornado_settings = {
        "cookie_options": {"samesite": "Lax"},
        "xsrf_cookie_kwargs": {"httponly": True, "samesite": "Lax"},
        "headers": {"Cross-Origin-Opener-Policy": "noopener-allow-popups"},
    }
    c.JupyterHub.logo_file = str(package / "static" / "logo.svg")
    # Ctrl-C stops what people run; a hub that dies takes nothing with it, and finds their servers again.
    c.JupyterHub.cleanup_servers = True
    c.JupyterHub.cleanup_proxy = True
    c.JupyterHub.shutdown_on_logout = False
    c.JupyterHub.implicit_spawn_seconds = 1
    c.ConfigurableHTTPProxy.command = [sys.executable, "-m", "nabla_hub.proxy", str(nabla.proxy_memory)]
    c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{ports['proxy']}"
    c.ConfigurableHTTPProxy.pid_file = str(nabla.folder / "proxy.pid")
    c.ConfigurableHTTPProxy.log_level = "warn"


def _people(c: Config, nabla: NablaHub, isolated: bool) -> None:
    c.JupyterHub.authenticator_class = "nabla_hub.authenticator.NablaAuthenticator"
    c.NablaAuthenticator.accounts_file = str(nabla.folder / "accounts.json")
    c.NablaAuthenticator.admin_name = nabla.admin
    c.NablaAuthenticator.many_people = isolated or nabla.trust_all_users
    c.NablaAuthenticator.trusting = nabla.trust_all_users and not isolated
    c.NablaAuthenticator.link_file = str(nabla.folder / "link")
    c.NablaAuthenticator.link_minutes = nabla.link_minutes
    c.NablaAuthenticator.invitation_hours = nabla.invitation_hours
    c.NablaAuthenticator.require_second_factor = nabla.require_second_factor
    c.NablaAuthenticator.local_accounts = nabla.local_accounts
    c.JupyterHub.template_vars = {"local_accounts": nabla.local_accounts}
    if nabla.providers:
        c.NablaAuthenticator.providers = nabla.providers
        # What a provider wants to see again when it is asked about somebody later, encrypted.
        c.NablaAuthenticator.enable_auth_state = True
        if "keys" not in c.CryptKeeper:
            c.CryptKeeper.keys = [_sign_in_key(nabla.folder / "sign_in_key")]
    c.JupyterHub.load_roles = [{"name": "user", "scopes": ["self", *PAGE_SCOPES]}]


def _sign_in_key(file: Path) -> str:
    """Return the key that providers' tokens are kept under, made at the first start: 32 bytes in hex."""
    with contextlib.suppress(FileExistsError):
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w") as made:
            made.write(secrets.token_hex(32))
    return file.read_text().strip()


def _service(c: Config, nabla: NablaHub, ports: dict[str, int], isolated: bool) -> None:
    c.JupyterHub.services = [
        {
            "name": SERVICE,
            "url": f"http://127.0.0.1:{ports['service']}",
            "command": [sys.executable, "-m", "nabla_hub.service"],
            "cwd": nabla.home,
            "oauth_no_confirm": True,
            # A browser that visits the service itself may say that it is an admin's; a page's token cannot.
            "oauth_client_allowed_scopes": ["read:users!user"],
            "display": False,
            "timeout": 60,
            "environment": {
                "NABLA_HOME": nabla.home,
                "NABLA_ADMIN": nabla.admin,
                "NABLA_GROUP_RULES": json.dumps(nabla.group_rules),
                "NABLA_IDENTITY_SECONDS": str(nabla.identity_seconds),
                "NABLA_PUBLIC_URL": f"http://{_bracketed(nabla.host)}:{nabla.port}/services/{SERVICE}/",
                "NABLA_SERVERS_WALLED": "1" if isolated else "",
                # Only what the service needs of the hub's environment, and glibc's arenas kept few.
                "MALLOC_ARENA_MAX": "2",
                "NABLA_TRUSTED_PROXIES": " ".join(c.JupyterHub.get("trusted_downstream_ips", [])),
                # Asked when the service starts: what stands in the file after `configure` counts, too.
                "NABLA_TRAITS": lambda _: _traits(c),
                **{key: os.environ[key] for key in _PASSED_ON if key in os.environ},
            },
        }
    ]


_PASSED_ON = (
    "NABLA_DATABASE_URL",
    "NABLA_AUDIT_DAYS",
    "NABLA_DATASET_CACHE_SIZE",
    "NABLA_DATASET_GRACE",
    "NABLA_SECRET_KEY",
    "NABLA_SECRET_KEY_FILE",
    "HOME",
    "TMPDIR",
    "CUDA_VISIBLE_DEVICES",
    "TZ",
    "JUPYTER_PATH",
)


def _traits(c: Config) -> str:
    """Return what the file says of the service's own classes, as JSON."""
    said = {name: c[name] for name in ("Nabla", "LocalBackend", "Reconciler") if name in c}
    return json.dumps(said, default=_written)


def _written(value: object) -> object:
    """Write what JSON does not know as a file of JSON would have it: a class, a list that was appended to."""
    if isinstance(value, LazyConfigValue):
        return value.get_value({} if "update" in value.to_dict() else [])
    return f"{value.__module__}.{value.__qualname__}" if isinstance(value, type) else str(value)


def _servers(c: Config, nabla: NablaHub, ports: dict[str, int], isolated: bool) -> None:
    c.JupyterHub.spawner_class = "nabla_spawners.local.NablaLocalSpawner"
    c.NablaLocalSpawner.home = nabla.home
    c.NablaLocalSpawner.isolate = isolated
    c.Spawner.default_url = "/lab"
    c.Spawner.start_timeout = nabla.server_start_seconds
    c.Spawner.http_timeout = nabla.server_start_seconds
    c.Spawner.poll_interval = nabla.server_poll_seconds
    c.Spawner.pre_spawn_hook, c.Spawner.post_stop_hook = servers.told(nabla.home)
    # JupyterHub puts a visitor's token with the first scopes into the page; the server's own has the second.
    c.Spawner.oauth_client_allowed_scopes = PAGE_SCOPES
    c.Spawner.server_token_scopes = ["users:activity!user", "access:servers!server", *PAGE_SCOPES]
    c.Spawner.environment = {
        "NABLA_URL": f"http://127.0.0.1:{ports['service']}/services/{SERVICE}/",
        "NABLA_SERVICE_PREFIX": f"/services/{SERVICE}/",
    }


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
