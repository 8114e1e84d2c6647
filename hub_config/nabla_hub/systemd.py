"""A systemd unit for `nabla up`, so that a machine that reboots does its due work again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from nabla.errors import BadInput

UNIT = """\
[Unit]
Description=Nabla, on {home}
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
ExecStart={command}
Environment={environment}
# Nabla stops what it started; when it dies by itself, runs and notebook servers go on and are found again.
KillMode=process
KillSignal=SIGTERM
TimeoutStopSec=120
Restart=on-failure
RestartSec=5

[Install]
WantedBy={target}
"""


def unit_file() -> Path:
    """Return where the unit goes: the system's folder for root, else the user's own."""
    if os.geteuid() == 0:
        return Path("/etc/systemd/system/nabla.service")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return config / "systemd/user/nabla.service"


def unit(home: Path, host: str, port: int, trust_all_users: bool, as_root: bool) -> str:
    """Return the text of the unit."""
    words = [
        sys.executable,
        "-m",
        "nabla.cli",
        "up",
        "--host",
        host,
        "--port",
        str(port),
        "--home",
        str(home),
    ]
    if trust_all_users:
        words.append("--trust-all-users")
    return UNIT.format(
        home=_escaped(str(home)),
        command=" ".join(_quoted(word) for word in words),
        environment=_quoted(f"PATH={Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"),
        target="multi-user.target" if as_root else "default.target",
    )


def install(
    home: Path, host: str, port: int, trust_all_users: bool = False, file: Path | None = None
) -> list[str]:
    """Write the unit, let systemd read it where it runs, and return what to tell the person."""
    as_root = os.geteuid() == 0
    file = file or unit_file()
    scope = [] if as_root else ["--user"]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(unit(home, host, port, trust_all_users, as_root))
    except OSError as error:
        raise BadInput(f"The unit {file} cannot be written: {error.strerror}.") from None
    enable = " ".join(["systemctl", *scope, "enable", "--now", file.name])
    said = [f"Wrote {file}."]
    systemctl = shutil.which("systemctl")
    if systemctl and Path("/run/systemd/system").is_dir():
        subprocess.run([systemctl, *scope, "daemon-reload"], check=False, capture_output=True)
        said.append(f"Start it now and at every boot: {enable}")
    else:
        said.append(f"systemd does not run here. Where it does: {enable}")
    said.append(f"Its sign-in link: journalctl {' '.join([*scope, '-u', file.name])}")
    if not as_root:
        said.append("So that it starts before you sign in to the machine: loginctl enable-linger")
    return said


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """Quote a word as systemd reads it: backslash, quotes, specifiers (%) and variables ($)."""
    if "\n" in word:
        raise BadInput("A path with a line break cannot be put into a systemd unit.")
    plain = _escaped(word).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{plain}"'
