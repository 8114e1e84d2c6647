"""What it costs a run that its secrets are masked: 500 cells with 0, 1 and 20 secrets, in turns, in one run.

`python benchmarks/masking.py [--quick]` prints its tables in Markdown. Each run is a `python -m nabla.runner`
with its kernel, given its secrets as a workload is.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nabla import masking

CELLS = 500
COUNTS = (0, 1, 20)
LINES = "'\\n'.join(f'{n:6d} loss 0.{n * 7919 % 10007:05d} of step {n}' for n in range(600))"
OUTPUTS = {
    "one line": "print('step', 1)",
    "600 lines printed, 20 kB": f"print({LINES})",
    "a page of HTML, 20 kB": f"from IPython.display import HTML, display\ndisplay(HTML('<pre>' + {LINES}))",
    "a secret printed, if there is one": "import os\nprint('it is', os.environ.get('SECRET_0'))",
}


def environment(values: list[str]) -> dict[str, str]:
    """Return an environment with these values as secrets."""
    known = {f"SECRET_{number}": value for number, value in enumerate(values)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NABLA_", "SECRET_"))}
    return kept | known | ({masking.NAMES: masking.told(known, {}, {})} if known else {})


def cost(folder: Path, source: str, values: list[str]) -> tuple[float, float]:
    """Run a notebook of `CELLS` such cells, and return seconds by the clock and of the processor.

    The processor's are those of the runner and of its kernel. No value may be in the notebook.
    """
    job = folder / "job"
    shutil.rmtree(job, ignore_errors=True)
    (job / "work").mkdir(parents=True)
    cells = [
        {"cell_type": "code", "id": f"c{number}", "metadata": {}, "source": source, "outputs": []}
        | {"execution_count": None}
        for number in range(CELLS)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (job / "work" / "n.ipynb").write_text(json.dumps(made))
    (job / "run.json").write_text(json.dumps({"run": "r", "notebook": "n.ipynb"}))
    began = time.perf_counter()
    words = [sys.executable, "-m", "nabla.runner", str(job)]
    process = subprocess.Popen(words, env=environment(values), stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    took = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{words} ended with {process.returncode}.")
    text = (job / "output.ipynb").read_text()
    if any(value in text for value in values):
        raise SystemExit("A value is in the notebook.")
    return took, used.ru_utime + used.ru_stime


def run_table(rounds: int) -> list[str]:
    """Compare whole runs."""
    lines = ["| each of 500 cells gives | secrets | s | processor s | to none |", "|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory(prefix="nabla-bench-") as name:
        for what, source in OUTPUTS.items():
            found: dict[int, list[tuple[float, float]]] = {count: [] for count in COUNTS}
            for _ in range(rounds):
                for count in COUNTS:
                    values = [secrets.token_urlsafe(30) for _ in range(count)]
                    found[count].append(cost(Path(name), source, values))
            middle = {
                count: [statistics.median(one) for one in zip(*found[count], strict=True)] for count in COUNTS
            }
            for count, (took, used) in middle.items():
                lines.append(f"| {what} | {count} | {took:.2f} | {used:.2f} | {used / middle[0][1]:.2f} |")
    return lines


def mask_table() -> list[str]:
    """Measure the mask alone, on 10 MB in pieces of 20 kB."""
    piece = "".join(f"{n:6d} loss 0.{n * 7919 % 10007:05d} of step {n}\n" for n in range(600))
    pieces = [piece] * (10_000_000 // len(piece))
    lines = ["| the mask alone, per MB | processor ms |", "|---|---|"]
    for count in COUNTS[1:]:
        masks = masking.Masks((f"S{n}", secrets.token_urlsafe(30)) for n in range(count))
        stream = masks.stream()
        began = time.process_time()
        for text in pieces:
            stream.feed(text)
        took = 1000 * (time.process_time() - began)
        lines.append(f"| {count} secret{'s' * (count > 1)} | {took / (len(piece) * len(pieces) / 1e6):.1f} |")
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round instead of three")
    options = parser.parse_args()
    tables = [run_table(1 if options.quick else 3), mask_table()]
    print("\n\n".join("\n".join(table) for table in tables))


if __name__ == "__main__":
    main()
