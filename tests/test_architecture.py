"""What the architecture page promises, measured: layers, sizes, one version, generated files up to date."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nabla import __version__

ROOT = Path(__file__).parents[1]
SOURCES = ("server_extension", "hub_config", "spawners")
MODULE_LINES = 400
FUNCTION_LINES = 50


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def python_files() -> list[Path]:
    return [path for path in tracked("*.py") if path.suffix == ".py"]


def lab_files() -> list[Path]:
    return [path for path in tracked("*.ts", "*.tsx") if "generated" not in path.parts]


def test_every_module_imports_only_what_its_layer_may() -> None:
    ran = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]


def test_no_module_is_longer_than_the_limit() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in [*python_files(), *lab_files()]
        if (lines := len(path.read_text().splitlines())) > MODULE_LINES
    }
    assert not long, f"split these rooms (limit {MODULE_LINES}): {long}"


def test_no_function_is_longer_than_the_limit() -> None:
    long = {}
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    long[f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"] = lines
    assert not long, f"split these functions (limit {FUNCTION_LINES}): {long}"


def test_every_module_says_why_it_exists() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for source in SOURCES
        for path in python_files()
        if path.is_relative_to(ROOT / source)
        and path.read_text().strip()
        and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent


def test_there_is_one_version_everywhere() -> None:
    assert json.loads((ROOT / "package.json").read_text())["version"] == __version__
    lock = json.loads((ROOT / "package-lock.json").read_text())
    assert lock["version"] == __version__
    assert re.search(rf"^## {re.escape(__version__)}", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_the_generated_typescript_types_are_up_to_date() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "nabla.typescript", "--check"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_openapi_document_is_up_to_date() -> None:
    from nabla.api.openapi import document

    written = json.loads((ROOT / "docs" / "openapi.json").read_text())
    assert written == json.loads(json.dumps(document())), "run `nabla openapi > docs/openapi.json`"


def test_every_route_states_who_may_call_it() -> None:
    from nabla.api.application import table

    for path, handler in table():
        methods = {m.upper() for m in ("get", "post", "put", "patch", "delete") if m in vars(handler)}
        assert methods == set(handler.rules), f"{path}: {handler.__name__} must state a rule for each method"
    open_to_all = {
        path for path, handler in table() for rule in handler.rules.values() if rule.access == "open"
    }
    assert open_to_all == {"health", "openapi.json"}


@pytest.mark.parametrize(
    "lock",
    [
        "package-lock.json",
        "hub_config/nabla_hub/proxy/package-lock.json",
        "tests/providers/package-lock.json",
    ],
)
def test_no_lock_file_names_a_registry(lock: str) -> None:
    assert '"resolved"' not in (ROOT / lock).read_text()


def test_no_file_names_a_path_of_the_machine_it_was_made_on() -> None:
    here = f"{ROOT}/"
    for path in tracked():
        if path.suffix != ".png":
            assert here.encode() not in path.read_bytes(), path
