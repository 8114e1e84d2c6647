"""A service killed with a secret in its hands: its run is done once and whole, the value is nowhere."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from api.conftest import events, final, notebook, start, until, upload
from api.hidden import ALL_FORMS, VALUE, put, traces

from .conftest import GATE, Brain, mark, processes

Start = Callable[..., Brain]
SHOW = f"""
import os
value = os.environ["TOKEN"]
right = value == {VALUE[:9]!r} + {VALUE[9:]!r}
with open("trace", "a") as trace: trace.write("seen\\n" if right else "other\\n")
print(value)
os.system("printf '%s\\n' $TOKEN")
"""
SECRETS = {"env": {"TOKEN": "secret:TOKEN"}, "secret_files": {"token": "secret:TOKEN"}}
DATA = b"a file that is laid out with the notebook"


@contextmanager
def stuck(home: Path, sha256: str) -> Iterator[Callable[[], int | None]]:
    """Let whoever reads a stored content wait; yields what returns a descriptor once somebody does."""
    (stored,) = home.glob(f"objects/**/{sha256[:2]}/{sha256[2:]}*")
    aside = stored.with_name("aside")
    stored.rename(aside)
    os.mkfifo(stored)

    def reader() -> int | None:
        with suppress(OSError):  # nobody has it open
            return os.open(stored, os.O_WRONLY | os.O_NONBLOCK)
        return None

    try:
        yield reader
    finally:
        aside.replace(stored)


def was_done_once_and_hidden(served: Brain, run: dict[str, Any]) -> None:
    done = final(served.api, run)
    assert (done["state"], done["failure"]) == ("Succeeded", None)
    assert (served.job(run["id"]) / "work" / "trace").read_text() == "seen\nb\n"
    told = [event for _, event in events(served.api, run)]
    assert [event["type"] for event in told].count("end") == 1
    assert [event["index"] for event in told if event["type"] == "cell_end"] == [0, 1, 2]
    shown = served.api.get(f"runs/{run['id']}/notebook").text
    assert shown.count("[secret:TOKEN]") >= 2
    shown += served.api.get(f"runs/{run['id']}/log").text + str(told) + str(done)
    assert not any(form in shown for form in ALL_FORMS)
    assert traces(served.home, *ALL_FORMS) == []
    assert not processes(VALUE)


def test_a_service_killed_between_a_secret_and_the_start_does_the_run_once_after_it(
    brain: Start, home: Path
) -> None:
    first = brain()
    put(first.api, "user/-", "TOKEN")
    snapshot = upload(
        first.api, {"train.ipynb": notebook(SHOW, "import os; os.listdir()", mark("b")), "data.bin": DATA}
    )
    with stuck(home, hashlib.sha256(DATA).hexdigest()) as reader:
        body = {"snapshot": snapshot, "notebook": "train.ipynb", **SECRETS}
        run = first.api.post("runs", json=body).raise_for_status().json()
        held = until(reader, "the layout of the run, for which its secrets are known")
        assert first.api.get("secrets/user/-").json()["items"][0]["used"], "it was not resolved before"
        first.kill()
        os.close(held)
    assert traces(home, *ALL_FORMS) == []
    second = brain()
    was_done_once_and_hidden(second, run)
    assert (second.job(run["id"]) / "work" / "data.bin").read_bytes() == DATA


def test_a_service_killed_while_a_secret_is_in_use_leaves_the_run_going_and_masked(brain: Start) -> None:
    first = brain()
    put(first.api, "user/-", "TOKEN")
    run = start(first.api, SHOW, GATE, "print(value)\n" + mark("b"), **SECRETS)
    first.at_gate(run["id"], 1)
    first.kill()
    assert [path for path in traces(first.home, *ALL_FORMS) if not path.startswith("/dev/shm/nabla-")] == []
    second = brain()
    assert not processes(VALUE)
    second.open_gate(run["id"])
    was_done_once_and_hidden(second, run)
