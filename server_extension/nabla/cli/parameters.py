"""Parameters on a command line, as papermill takes them, and `NAME=VALUE` too."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from nabla.errors import BadInput

_PAIR = re.compile(r"[^\W\d]\w*=", re.ASCII)
_FLAGS = frozenset({"-p", "--parameters", "--parameter", "-r", "--parameters_raw", "--raw"})
F = TypeVar("F", bound=Callable[..., Any])


class ParameterCommand(click.Command):
    """A verb whose `-p` and `-r` take `NAME VALUE` and `NAME=VALUE`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Split `NAME=VALUE` in two before click looks."""
        words = iter(args)
        split: list[str] = []
        for word in words:
            split.append(word)
            if word == "--":
                break
            if word in _FLAGS and (value := next(words, None)) is not None:
                name, equals, rest = value.partition("=")
                split += [name, rest] if equals and _PAIR.match(value) else [value, *_one(words)]
        return super().parse_args(ctx, [*split, *words])


def _one(words: Any) -> list[str]:
    value = next(words, None)
    return [] if value is None else [value]


def parameter_options(verb: F) -> F:
    """Give a verb the options that set parameters."""
    kept: dict[str, Any] = {"multiple": True, "metavar": "NAME VALUE"}
    for option in (
        click.option(
            "-b", "--parameters_base64", multiple=True, metavar="TEXT", help="YAML, base64-encoded."
        ),
        click.option("-y", "--parameters_yaml", multiple=True, metavar="YAML", help="YAML: `{n: 1}`."),
        click.option("-f", "--parameters_file", multiple=True, metavar="FILE", help="A YAML file."),
        click.option("-r", "--parameters_raw", "--raw", nargs=2, **kept, help="A parameter, always as text."),
        click.option(
            "-p",
            "--parameters",
            "--parameter",
            nargs=2,
            **kept,
            help="A parameter; NAME=VALUE too. Numbers, True, False and None are read as such.",
        ),
    ):
        verb = option(verb)
    return verb


def collect(given: dict[str, Any]) -> dict[str, Any]:
    """Take the parameter options out of `given` and return the parameters, in papermill's order."""
    found: dict[str, Any] = {}
    for text in given.pop("parameters_base64"):
        try:
            decoded = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise BadInput(f"-b {text[:40]} is not base64.", field="-b") from None
        found |= _mapping(decoded, "-b")
    for name in given.pop("parameters_file"):
        try:
            found |= _mapping(Path(name).read_bytes(), name)
        except OSError as error:
            raise BadInput(f"{name} cannot be read: {error.strerror}.", field="-f") from None
    for text in given.pop("parameters_yaml"):
        found |= _mapping(text, "-y")
    found |= _pairs(given)
    return found


def _pairs(given: dict[str, Any]) -> dict[str, Any]:
    from nabla.parameters import parse_cli_value

    typed = {name: parse_cli_value(value) for name, value in given.pop("parameters")}
    return typed | dict(given.pop("parameters_raw"))


def _mapping(text: str | bytes, where: str) -> dict[str, Any]:
    """Return the parameters in a YAML text: times stay text, as in papermill."""
    import yaml

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {
            letter: [entry for entry in entries if entry[0] != "tag:yaml.org,2002:timestamp"]
            for letter, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    try:
        found = yaml.load(text, Loader=Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark else ""
        raise BadInput(f"The parameters in {where} are not YAML{line}.", field=where) from None
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise BadInput(f"The parameters in {where} have to be names with values, as `n: 1`.", field=where)
    return found
