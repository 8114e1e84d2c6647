"""The service and the command from outside: starts, delays, crowds, live views, memory.

`python benchmarks/service.py [--quick] [--only NAME …]` starts a `nabla up` on a home of its own and ends
with one table. Peers (papermill, a bare jupyter_client script, `python -c pass`) run in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import panels
from _house import House, peak, resident
from _table import Line, Table, p99
from notebook_run import BIG, SMALL, Bench, medians

from nabla.client import Client
from nabla.client.events import events
from nabla.client.find import Service

MB = 1e6
SLOW_S = 0.05


class Measure:
    """A running house, notebooks to run on it, and the table that takes what is found."""

    def __init__(self, house: House, bench: Bench, table: Table, *, quick: bool) -> None:
        self.house = house
        self.bench = bench
        self.table = table
        self.quick = quick
        self.client = Client(home=house.home)

    def upload(self, cells: int, source: str) -> dict[str, Any]:
        """Make a notebook in a folder of its own and upload it; return what a run of it asks for."""
        written = self.bench.notebook(cells, source)
        folder = written.parent / f"folder-{written.stem}"
        folder.mkdir(exist_ok=True)
        notebook = shutil.copy(written, folder)
        snapshot, packed = self.client.snapshots.upload(folder, include=Path(notebook))
        return {"snapshot": snapshot, "notebook": packed.notebook}

    def start(self, wanted: dict[str, Any]) -> str:
        """Start a run over HTTP, through the proxy, and return its id."""
        answer = self.house.proxy.post("runs", json=wanted)
        answer.raise_for_status()
        return str(answer.json()["id"])

    def run(self, id: str) -> dict[str, Any]:
        """Return a run as the API tells it."""
        return dict(self.house.direct.get(f"runs/{id}").json())

    def follow(self, id: str) -> Iterator[tuple[float, dict[str, Any]]]:
        """Yield the time of arrival and each event of a run that the page's stream tells, to its end."""
        path = f"stream?follow=run:{id}@0"
        with self.house.proxy.stream("GET", path, timeout=None) as answer:
            for event in events(answer.iter_raw()):
                if event.name == "run":
                    told = json.loads(event.data)["event"]
                    yield time.time(), told
                    if told["type"] == "end":
                        return

    def finished(self, id: str) -> dict[str, Any]:
        """Wait until the run is final."""
        while True:
            found = self.run(id)
            if found["finished"]:
                return found
            time.sleep(0.005)


def starts(measure: Measure) -> None:
    """`import nabla` and `nabla --help`, beside a Python that does nothing."""
    nabla = str(Path(sys.executable).with_name("nabla"))
    commands = {
        "pass": [sys.executable, "-c", "pass"],
        "import": [sys.executable, "-c", "import nabla"],
        "help": [nabla, "--help"],
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(7 if measure.quick else 21):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            taken[name].append((time.perf_counter() - began) * 1000)
    bare = statistics.median(taken["pass"])
    for name, label, limit in (("import", "`import nabla`", 150.0), ("help", "`nabla --help`", 300.0)):
        measure.table.add(Line(label, statistics.median(taken[name]), "ms", bare, "python -c pass", limit))


def in_process(measure: Measure) -> None:
    """Run 20 trivial cells by the command, a bare script and papermill."""
    notebook = measure.bench.notebook(20, SMALL)
    ways = [measure.bench.run_nabla, measure.bench.run_bare, measure.bench.run_papermill]
    (ours, _), (bare, _), (papermill, _) = medians(notebook, ways, 3 if measure.quick else 7)
    what = "20 cells, `nabla run` in process"
    measure.table.add(
        Line(what, ours, "s", bare, "bare jupyter_client", 1.25, of_peer=True),
        Line(what, ours, "s", papermill, "papermill", 0.6, of_peer=True),
    )


def idle(measure: Measure) -> None:
    """Memory of a `nabla up` that has nothing to do."""
    measure.house.wait_warm()
    found = measure.house.memory()
    own = [one for one in found if one.role in {"hub", "proxy", "service"}]
    measure.table.add(
        Line(
            "idle `nabla up`: hub + proxy + service, RSS", sum(one.rss for one in own) / MB, "MB", limit=450.0
        ),
        Line("the same, PSS", sum(one.pss for one in own) / MB, "MB", limit=450.0),
    )
    told = [f"{m.role} {m.rss / MB:.0f} MB ({m.pss / MB:.0f})" for m in found if m.role != "warm runner"]
    warm = [one for one in found if one.role == "warm runner"]
    told.append(f"warm runner {sum(m.rss for m in warm) / MB:.0f} MB ({sum(m.pss for m in warm) / MB:.0f})")
    measure.table.note(f"Idle processes, RSS (PSS): {', '.join(told)}.")


def requests(measure: Measure) -> None:
    """Time small requests, through the proxy and directly."""
    for path in ("me", "projects", "runs"):
        found = {}
        for name, http in (("direct", measure.house.direct), ("proxy", measure.house.proxy)):
            taken = []
            for _ in range(100 if measure.quick else 500):
                began = time.perf_counter()
                http.get(path).raise_for_status()
                taken.append((time.perf_counter() - began) * 1000)
            found[name] = (statistics.median(taken), p99(taken))
        for index, label in enumerate(("p50", "p99")):
            ours, direct = found["proxy"][index], found["direct"][index]
            measure.table.add(Line(f"GET {path}, {label}, through the proxy", ours, "ms", direct, "direct"))


def warm(measure: Measure) -> None:
    """Time from asking to final, above the cells' own time, with a warm slot ready."""
    wanted = measure.upload(1, SMALL)
    above, queued = [], []
    for _ in range(5 if measure.quick else 15):
        measure.house.wait_warm()
        began = time.time()
        run = measure.finished(measure.start(wanted))
        own = sum(event["seconds"] for event in log_of(measure, run) if event["type"] == "cell_end")
        above.append(time.time() - began - own)
        queued.append(moment(run["finished"]) - moment(run["created"]) - own)
    measure.table.add(
        Line(
            "1 cell, warm service: queued to finished, above its cell",
            statistics.median(queued),
            "s",
            limit=0.5,
        ),
        Line("the same seen over HTTP, asked to told", statistics.median(above), "s", limit=0.5),
        Line("the same, slowest", max(above), "s"),
    )


def delay(measure: Measure) -> None:
    """Time from an event's moment in the runner to its arrival at a reader behind the proxy."""
    wanted = measure.upload(20, "import time; time.sleep(0.1); print({number})")
    run = measure.start(wanted)
    late = [
        (arrived - event["time"]) * 1000
        for arrived, event in measure.follow(run)
        if event["type"] == "stream"
    ]
    measure.finished(run)
    measure.table.add(
        Line("live event: from the runner to a reader behind the proxy, p50", statistics.median(late), "ms"),
        Line("the same, slowest of 20", max(late), "ms", limit=250.0),
    )


def live(measure: Measure) -> None:
    """Run many trivial cells with a reader, beside papermill's default."""
    compared = 100 if measure.quick else 500
    for count in [100, 200] if measure.quick else [100, 200, 500, 1000]:
        wanted = measure.upload(count, SMALL)
        measure.house.wait_warm()
        began = time.perf_counter()
        run = measure.start(wanted)
        ends = sum(event["type"] == "cell_end" for _, event in measure.follow(run))
        assert measure.finished(run)["state"] == "Succeeded"
        ours = time.perf_counter() - began
        assert ends == count
        peer = None
        if count == compared:
            peer, _ = measure.bench.run_papermill(measure.bench.notebook(count, SMALL))
        measure.table.add(
            Line(
                f"{count} trivial cells, live view on ({1000 * ours / count:.1f} ms a cell)",
                ours,
                "s",
                peer,
                "papermill",
                0.1 if count == 500 else None,
                of_peer=True,
            )
        )


def output(measure: Measure) -> None:
    """Run cells with much output, read live; the service's memory must not follow."""
    pid = measure.house.service
    grown = []
    for count in [10, 50] if measure.quick else [25, 50, 100, 200]:
        wanted = measure.upload(count, BIG)
        measure.house.wait_warm()
        before = resident(pid)
        peak(pid, reset=True)
        began = time.perf_counter()
        run = measure.start(wanted)
        read = sum(len(event.get("text", "")) for _, event in measure.follow(run))
        assert measure.finished(run)["state"] == "Succeeded"
        ours = time.perf_counter() - began
        highest = peak(pid)
        assert read >= count * 500_000, read
        grown.append((highest - before) / MB)
        measure.table.add(
            Line(f"{count} cells x 500 kB, live view on ({1000 * ours / count:.0f} ms a cell)", ours, "s")
        )
        measure.table.note(
            f"Service with {count} x 500 kB read live: {before / MB:.0f} MB before, {highest / MB:.0f} MB at "
            f"its peak, {resident(pid) / MB:.0f} MB after."
        )
    what = "service: most memory above idle, largest output"
    measure.table.add(Line(what, max(grown[1:]), "MB", limit=32.0))


def crowd(measure: Measure) -> None:
    """Start 64 notebooks at once."""
    count = 16 if measure.quick else 64
    wanted = measure.upload(5, SMALL)
    pid = measure.house.service
    before = resident(pid)
    peak(pid, reset=True)
    ids: list[str] = []
    began = time.perf_counter()
    threads = [threading.Thread(target=lambda: ids.append(measure.start(wanted))) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asked = time.perf_counter() - began
    ended = [measure.finished(id) for id in ids]
    took = time.perf_counter() - began
    done = [run["state"] for run in ended].count("Succeeded")
    for run in ended:
        if run["state"] != "Succeeded":
            said = measure.house.direct.get(f"runs/{run['id']}/log").text
            measure.table.note(f"{run['id']} is {run['state']}: {run['reason']} {said[-800:]}")
    measure.table.add(
        Line(
            f"{count} notebooks at once on {os.cpu_count()} cores: succeeded",
            done,
            "",
            limit=count,
            at_least=True,
        ),
        Line(f"{count} notebooks at once: all asked for", asked, "s"),
        Line(f"{count} notebooks at once: all done ({1000 * took / count:.0f} ms each)", took, "s"),
    )
    measure.table.note(
        f"Service with {count} notebooks at once: {before / MB:.0f} MB before, {peak(pid) / MB:.0f} MB peak."
    )


def blocked(measure: Measure) -> None:
    """Start many notebooks on a service of its own whose event loop is watched."""
    count = 16 if measure.quick else 64
    home = measure.bench.folder / "watched"
    command = [sys.executable, str(Path(__file__).with_name("_watched.py")), str(home), str(SLOW_S)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as service:
        while not (home / "service.json").exists():
            time.sleep(0.05)
        # Its socket has the routes at one place in every mode, and nothing else serves it.
        socket = Service("http://nabla/nabla/api/v1/", str(home), socket=home / "service.sock")
        with Client(service=socket) as client:
            notebook = measure.bench.notebook(5, SMALL)
            folder = notebook.parent / "watched-folder"
            folder.mkdir()
            path = Path(shutil.copy(notebook, folder))
            first = client.run(path, wait=False)
            ids = [first.id] + [client.runs.rerun(first.id).id for _ in range(count - 1)]
            states = [client.runs.wait(id).state for id in ids]
        said, _ = service.communicate()
    assert states == ["Succeeded"] * count, states
    found = json.loads(said.splitlines()[-1])
    what = f"event loop: longest stop while {count} notebooks run"
    measure.table.add(Line(what, found["longest"] * 1000, "ms", limit=SLOW_S * 1000))
    measure.table.note(f"The loop with nothing to do was woken up to {found['starved'] * 1000:.0f} ms late.")
    for place in found["places"]:
        measure.table.note(f"The loop stood still: {place}")


def log_of(measure: Measure, run: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the events of a run."""
    file = measure.house.home / "runs" / run["workload"] / "job" / "events.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()]


def moment(text: str) -> float:
    """Return the seconds since the epoch of a time as the API writes it."""
    return datetime.fromisoformat(text).timestamp()


PARTS: dict[str, Callable[[Measure], None]] = {
    "idle": idle,
    "starts": starts,
    "in_process": in_process,
    "warm": warm,
    "delay": delay,
    "requests": requests,
    "live": live,
    "output": output,
    "crowd": crowd,
    "blocked": blocked,
    "panels": lambda measure: panels.measure(measure.table),
}


def main() -> int:
    """Measure, print the table, and return 1 when a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller numbers")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="measure only these")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="nabla-bench-"))
    table = Table()
    try:
        bench = Bench(folder, use_runner=False)
        with House(folder / "served") as house:
            measure = Measure(house, bench, table, quick=options.quick)
            for name in options.only:
                PARTS[name](measure)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{table.markdown()}")
    return 1 if any(line.met is False for line in table.lines) else 0


if __name__ == "__main__":
    raise SystemExit(main())
