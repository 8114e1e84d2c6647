"""One notebook from start to end: Nabla against a bare jupyter_client script and papermill, in the same run.

`python benchmarks/notebook_run.py [--quick]` prints its tables in Markdown. Nabla is the command `nabla run`
in process, or `python -m nabla.runner` where that command cannot be used (`--runner` asks for that).
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
import time
from collections.abc import Callable
from pathlib import Path

BARE = """
import json, sys
from jupyter_client.manager import start_new_kernel
cells = [c["source"] for c in json.load(open(sys.argv[1]))["cells"]]
manager, client = start_new_kernel(kernel_name="python3")
try:
    for source in cells:
        asked = client.execute(source)
        while True:
            message = client.get_iopub_msg(timeout=60)
            if message["parent_header"].get("msg_id") == asked and message["msg_type"] == "status":
                if message["content"]["execution_state"] == "idle":
                    break
        client.get_shell_msg(timeout=60)
finally:
    client.stop_channels()
    manager.shutdown_kernel()
"""
BIG = "print('x' * 499_999)"
SMALL = "x = {number}\nprint(x)"


class Bench:
    """A folder with notebooks, and the ways to run one."""

    def __init__(self, folder: Path, *, use_runner: bool) -> None:
        self.folder = folder
        self.bare_script = folder / "bare.py"
        self.bare_script.write_text(BARE)
        command = Path(sys.executable).with_name("nabla")
        self.nabla = str(command)
        self.by_command = not use_runner and self._works(command)
        self.env = {
            name: value for name, value in os.environ.items() if name not in ("NABLA_URL", "NABLA_API_KEY")
        } | {"NABLA_HOME": str(folder / "home")}

    @staticmethod
    def _works(command: Path) -> bool:
        try:
            return (
                subprocess.run([command, "run", "--help"], capture_output=True, check=False).returncode == 0
            )
        except OSError:
            return False

    def notebook(self, count: int, source: str) -> Path:
        """Write a notebook of `count` cells and return its path."""
        cells = [
            {
                "cell_type": "code",
                "id": f"c{number}",
                "metadata": {},
                "source": source.format(number=number),
                "outputs": [],
                "execution_count": None,
            }
            for number in range(count)
        ]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        path = self.folder / f"{count}-{len(source)}.ipynb"
        path.write_text(
            json.dumps(
                {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
            )
        )
        return path

    def run_nabla(self, notebook: Path) -> tuple[float, int]:
        """Run it with Nabla; return seconds and the peak memory of its process, in bytes."""
        output = self.folder / "nabla-output.ipynb"
        if self.by_command:
            return self._timed([self.nabla, "run", str(notebook), str(output)])
        job = self.folder / "job"
        shutil.rmtree(job, ignore_errors=True)
        (job / "work").mkdir(parents=True)
        shutil.copy(notebook, job / "work")
        (job / "run.json").write_text(json.dumps({"run": "r", "notebook": notebook.name}))
        measured = self._timed([sys.executable, "-m", "nabla.runner", str(job)])
        shutil.copy(job / "output.ipynb", output)
        return measured

    def run_bare(self, notebook: Path) -> tuple[float, int]:
        """Run its cells with a bare jupyter_client script."""
        return self._timed([sys.executable, str(self.bare_script), str(notebook)])

    def run_papermill(self, notebook: Path) -> tuple[float, int]:
        """Run it with the papermill command."""
        command = str(Path(sys.executable).with_name("papermill"))
        return self._timed([command, str(notebook), str(self.folder / "papermill-output.ipynb")])

    def _timed(self, command: list[str]) -> tuple[float, int]:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=self.env, cwd=self.folder
        )
        peak = 0
        while process.poll() is None:
            peak = max(peak, resident_peak(process.pid))
            time.sleep(0.01)
        seconds = time.perf_counter() - started
        if process.returncode:
            assert process.stderr is not None
            raise SystemExit(f"{command} failed: {process.stderr.read().decode()[-2000:]}")
        return seconds, peak


def resident_peak(pid: int) -> int:
    """Return the most memory one process held so far, in bytes (0 off Linux)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


Way = Callable[[Path], tuple[float, int]]


def medians(notebook: Path, ways: list[Way], rounds: int) -> list[tuple[float, int]]:
    """Run each way `rounds` times, in turns, and return the median seconds and memory of each."""
    found: list[list[tuple[float, int]]] = [[] for _ in ways]
    for _ in range(rounds):
        for way, results in zip(ways, found, strict=True):
            results.append(way(notebook))
    return [
        (statistics.median(s for s, _ in results), int(statistics.median(m for _, m in results)))
        for results in found
    ]


def short_table(bench: Bench, rounds: int) -> list[str]:
    """Compare a notebook of 20 trivial cells."""
    notebook = bench.notebook(20, SMALL)
    (ours, _), (bare, _), (papermill, _) = medians(
        notebook, [bench.run_nabla, bench.run_bare, bench.run_papermill], rounds
    )
    return [
        "| 20 trivial cells | seconds | Nabla to it | wanted |",
        "|---|---|---|---|",
        f"| Nabla | {ours:.2f} | | |",
        f"| bare jupyter_client script | {bare:.2f} | {ours / bare:.2f} | <= 1.25 |",
        f"| papermill | {papermill:.2f} | {ours / papermill:.2f} | <= 0.6 |",
    ]


def growth_table(bench: Bench, source: str, title: str, counts: list[int], compared: list[int]) -> list[str]:
    """Show how the cost grows with the number of cells, with papermill's beside it where it is `compared`."""
    lines = [
        f"| {title} | Nabla, s | ms a cell | its process' peak, MB | papermill, s | Nabla to papermill |",
        "|---|---|---|---|---|---|",
    ]
    for count in counts:
        notebook = bench.notebook(count, source)
        ways: list[Way] = [bench.run_nabla] + ([bench.run_papermill] if count in compared else [])
        (ours, peak), *peer = medians(notebook, ways, 1)
        beside = f"{peer[0][0]:.2f} | {ours / peer[0][0]:.3f}" if peer else "|"
        lines.append(
            f"| {count} cells | {ours:.2f} | {1000 * ours / count:.1f} | {peak / 1e6:.0f} | {beside} |"
        )
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds, and papermill only where it is fast"
    )
    parser.add_argument("--runner", action="store_true", help="measure python -m nabla.runner")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="nabla-bench-"))
    try:
        bench = Bench(folder, use_runner=options.runner)
        print(f"Nabla is {'`nabla run`' if bench.by_command else '`python -m nabla.runner`'}.\n")
        tables = [short_table(bench, 3 if options.quick else 5)]
        small = [100, 200, 500] if options.quick else [100, 200, 500, 1000]
        tables.append(
            growth_table(bench, SMALL, "trivial cells", small, [100] if options.quick else [100, 200, 500])
        )
        big = [20, 50, 100] if options.quick else [25, 50, 100, 200]
        tables.append(
            growth_table(bench, BIG, "cells of 500 kB output", big, [20] if options.quick else [25, 50, 100])
        )
        print("\n\n".join("\n".join(table) for table in tables))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
