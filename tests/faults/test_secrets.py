"""A key is in no log, no error and no list of processes, of whatever is started with it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from api.conftest import DEADLINE, start, until

from .conftest import GATE, NABLA, Brain, environment, processes

KEY = "nbl_5ecret5ecret5ecret"
Start = Callable[..., Brain]


def test_a_key_is_repeated_by_no_command(home: Path) -> None:
    for words in (["runs", "list"], ["status"], ["projects", "list"], ["runs", "get", "r0123456789abc"]):
        done = subprocess.run(
            [NABLA, *words],
            env=environment(home, NABLA_URL="http://127.0.0.1:9", NABLA_API_KEY=KEY),
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert done.returncode == 5
        assert KEY not in done.stdout + done.stderr
    assert not processes(KEY)


def test_a_key_of_the_service_reaches_no_log_no_process_list_and_no_run(brain: Start, home: Path) -> None:
    served = brain(NABLA_API_KEY=KEY, JUPYTERHUB_API_TOKEN=KEY)
    look = "import os\nprint(sorted(os.environ))\nprint([v for v in os.environ.values() if '5ecret' in v])"
    run = start(served.api, look, GATE)
    served.at_gate(run["id"], 1)
    headers = {"Authorization": f"token {KEY}"}
    served.api.get("projects/none", headers=headers)
    served.api.get("nothing", headers=headers)
    served.api.post("projects", content=b"{", headers=headers)
    assert not processes(KEY)
    left = [pid for pid in processes(env=KEY) if pid != served.process.pid]
    assert left == [], "a run has the service's key in its environment"
    served.open_gate(run["id"])
    until(lambda: served.run(run["id"])["state"] == "Succeeded", "the end")
    assert KEY not in served.stop()
    for file in (path for path in home.rglob("*") if path.is_file()):
        assert KEY.encode() not in file.read_bytes(), file
    assert os.environ.get("NABLA_API_KEY") != KEY
