"""A brain in a process of its own, so that a test can kill it: `serve.py HOME`, until its input ends.

The line `interrupt` stops it as `nabla up` is stopped: runs are ended, and their ids printed as JSON.
With `DIE_AT` in the environment it dies at that step of what it does (`dying.py`).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from nabla.embedded import Embedded
from nabla.errors import NablaError


def main() -> int:
    """Serve, and return an exit code."""
    if step := os.environ.get("DIE_AT"):
        from dying import die_at

        die_at(Path(sys.argv[1]), int(step))
    brain = Embedded(Path(sys.argv[1]), "the tests")
    try:
        brain.start()
    except NablaError as error:
        print(error.message, file=sys.stderr)
        return error.exit_code
    print("serving", flush=True)
    for line in sys.stdin:
        if line == "interrupt\n":
            ended = brain.call(brain.nabla.stop(interrupt=True))
            print(json.dumps([run.id for run in ended]), flush=True)
            break
    brain.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
