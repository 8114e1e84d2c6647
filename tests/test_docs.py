"""The documentation names everything there is, its links lead somewhere, and its examples run."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from traitlets.config import Configurable

import nabla
import nabla_hub
import nabla_spawners
from nabla.cli.__main__ import cli

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])
RUNNABLE = re.compile(r"<!-- runnable -->\n```(bash|python)\n(.*?)```", re.DOTALL)
EXAMPLE_SECONDS = 300


def page(name: str) -> str:
    return (DOCS / name).read_text()


def verbs(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command, info_name=path)
    for name in command.list_commands(context):
        yield from verbs(command.get_command(context, name), f"{path} {name}")


VERBS = dict(verbs(cli, "nabla"))


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_and_option_is_documented(verb):
    sections = dict(
        re.findall(r"^### (nabla[^\n]*)\n(.*?)(?=^### |\Z)", page("cli.md"), re.MULTILINE | re.DOTALL)
    )
    assert verb in sections, f"docs/cli.md has no section `### {verb}`"
    options = [
        name for option in VERBS[verb].params if isinstance(option, click.Option)
        for name in [*option.opts, *option.secondary_opts]
    ]  # fmt: skip
    assert [name for name in options if f"`{name}`" not in sections[verb]] == []


def test_no_verb_is_documented_that_does_not_exist():
    assert set(re.findall(r"^### (nabla.*)$", page("cli.md"), re.MULTILINE)) == set(VERBS)


def test_every_verb_has_a_help_that_is_a_sentence():
    assert [verb for verb, command in VERBS.items() if not (command.help or "").rstrip().endswith(".")] == []


def test_every_verb_that_prints_data_takes_json_and_every_one_that_starts_work_takes_watch():
    def has(verb: str, option: str) -> bool:
        return any(option in parameter.opts for parameter in VERBS[verb].params)

    prints_none = {"nabla up", "nabla openapi"}
    assert [verb for verb in VERBS if verb not in prints_none and not has(verb, "--json")] == []
    assert [verb for verb in ("nabla run", "nabla runs rerun") if not has(verb, "--watch")] == []


def test_every_route_is_documented():
    from nabla.api.application import table

    routes = [f"{verb} {path}" for path, handler in table() for verb in handler.rules]
    assert [route for route in routes if f"`{route}`" not in page("api.md")] == []
    documented = re.findall(r"^\| `([A-Z]+ [^`]+)` \|", page("api.md"), re.MULTILINE)
    assert sorted(documented) == sorted(routes)


def configurables() -> dict[str, type[Configurable]]:
    found = {}
    for package in (nabla, nabla_hub, nabla_spawners):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if ".migrations" in module.name or "__main__" in module.name:
                continue
            for name, thing in vars(importlib.import_module(module.name)).items():
                own = inspect.isclass(thing) and thing.__module__.startswith("nabla")
                if own and issubclass(thing, Configurable):
                    found[name] = thing
    return found


def test_every_trait_is_documented_with_what_its_help_says():
    text = page("configuration.md")
    missing = []
    for name, kind in configurables().items():
        for trait in kind.class_own_traits(config=True).values():
            line = next(
                (row for row in text.splitlines() if row.startswith(f"| `{name}.{trait.name}` |")), ""
            )
            if not line or trait.help not in line:
                missing.append(f"{name}.{trait.name}")
    assert missing == []


def test_every_environment_variable_is_documented():
    named = set()
    for root in ("server_extension", "hub_config", "spawners"):
        for source in (ROOT / root).rglob("*.py"):
            named |= set(re.findall(r"environ(?:\.get\(|\[)\"(NABLA_[A-Z_]+)\"", source.read_text()))
    assert [name for name in sorted(named) if f"`{name}`" not in page("configuration.md")] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_and_picture_leads_somewhere(path):
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, heading = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        if not found.exists() or (heading and heading not in anchors(found.read_text())):
            broken.append(target)
    assert broken == []


def anchors(text: str) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_page_can_be_reached_from_the_first_one():
    reached, ahead = set(), [ROOT / "README.md"]
    while ahead:
        current = ahead.pop()
        if current in reached:
            continue
        reached.add(current)
        named = re.findall(r"\]\(([^)#\s]+\.md)", current.read_text())
        ahead += [(current.parent / target).resolve() for target in named]
    assert [str(path.relative_to(ROOT)) for path in DOCS.rglob("*.md") if path not in reached] == []


def test_the_first_screen_of_the_readme_has_a_picture_and_both_commands():
    first = "\n".join((ROOT / "README.md").read_text().splitlines()[:40])
    assert re.search(r"!\[[^]]+\]\(docs/images/run\.png\)", first)
    assert "make up" in first
    assert "make test" in first


EXAMPLES = [
    (f"{path.relative_to(ROOT)}-{number}", language, code)
    for path in PAGES
    for number, (language, code) in enumerate(RUNNABLE.findall(path.read_text()), 1)
]


@pytest.mark.parametrize(("language", "code"), [pytest.param(*found[1:], id=found[0]) for found in EXAMPLES])
def test_an_example_of_the_documentation_runs(language, code, tmp_path):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    kept = {key: value for key, value in os.environ.items() if not key.startswith("NABLA_")}
    command = ["bash", "-euo", "pipefail", "-c"] if language == "bash" else [sys.executable, "-c"]
    done = subprocess.run(
        [*command, code],
        cwd=tmp_path,
        env=kept
        | {
            "NABLA_HOME": str(tmp_path / "home"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        },
        capture_output=True,
        text=True,
        timeout=EXAMPLE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
