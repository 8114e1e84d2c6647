"""What a notebook asks to be given: typed fields read from its `parameters` cell, and checks of values."""

from __future__ import annotations

import ast
import io
import json
import math
import re
import shlex
import tokenize
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypedDict

from nabla import leaks
from nabla.errors import BadInput, did_you_mean
from nabla.notebook import Notebook, check_notebook, kernel_name, language, tags

if TYPE_CHECKING:
    from nabla.schema import NotebookSummary

__all__ = ["check", "check_declared", "check_notebook", "declared", "parse_cli_value", "summary"]

PARAMETERS_TAG = "parameters"
HOW_TO_TAG = "tag the cell that sets the defaults `parameters` (in JupyterLab: Property Inspector, Cell Tags)"
_INFERRED = ("python", "bash")
_NAMED_TYPES = {
    "str": "str",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "list": "list",
    "List": "list",
    "Sequence": "list",
    "tuple": "list",
    "Tuple": "list",
    "dict": "dict",
    "Dict": "dict",
    "Mapping": "dict",
    "None": "none",
    "NoneType": "none",
}
_WORDS = {
    "str": "text (str)",
    "int": "a whole number (int)",
    "float": "a number (float)",
    "bool": "True or False (bool)",
    "list": "a list",
    "dict": "a dict",
}
_BASH_LINE = re.compile(r"^\s*(?:export\s+|declare\s+)?([A-Za-z_]\w*)=(\S.*|)$")


class Declared(TypedDict, total=False):
    """The fields of a `nabla.schema.Parameter`, before pydantic is loaded."""

    name: str
    type: str
    default: Any
    source: str
    help: str
    choices: list[Any] | None
    optional: bool


def parameters_cell(notebook: Notebook) -> int | None:
    """Return the index of the first cell tagged `parameters`, or None."""
    return next((i for i, cell in enumerate(notebook["cells"]) if PARAMETERS_TAG in tags(cell)), None)


def summary(path: str, notebook: Notebook) -> NotebookSummary:
    """Return what a form needs to know of a checked `notebook`.

    Raises `BadInput`, naming the line, when its `parameters` cell is not valid Python.
    """
    from nabla.schema import NotebookSummary, Parameter

    return NotebookSummary(
        path=path,
        kernel=kernel_name(notebook),
        language=language(notebook),
        cells=len(notebook["cells"]),
        parameters=[Parameter.model_validate(found) for found in declared(path, notebook)],
        has_parameters_cell=parameters_cell(notebook) is not None,
        warnings=leaks.in_notebook(notebook),
    )


def declared(path: str, notebook: Notebook) -> list[Declared]:
    """Return the parameters that a notebook declares, in order (none for languages we cannot read)."""
    index = parameters_cell(notebook)
    if index is None:
        return []
    source = notebook["cells"][index]["source"]
    if language(notebook) == "bash":
        return _bash(source)
    return _python(source, path, index) if language(notebook) == "python" else []


def check(summary: NotebookSummary, given: dict[str, Any]) -> dict[str, Any]:
    """Return `given` when each of its names is declared in `summary` and each value has the type.

    An int does for a float. Raises `BadInput` with the nearest name, or with the type that is wanted.
    """
    known: list[Declared] = [
        Declared(name=p.name, type=p.type, choices=p.choices, optional=p.optional) for p in summary.parameters
    ]
    return check_declared(
        summary.path, known, given, has_cell=summary.has_parameters_cell, language=summary.language
    )


def check_declared(
    path: str, known: list[Declared], given: dict[str, Any], *, has_cell: bool, language: str
) -> dict[str, Any]:
    """Do what `check` does, for parameters not yet made into a summary."""
    if given and not has_cell:
        name = next(iter(given))
        raise BadInput(
            f'{path} takes no parameters, so "{name}" cannot be set: {HOW_TO_TAG}.',
            field=name or "parameters",
        )
    if language not in _INFERRED:
        _check_names(path, given)
        return dict(given)
    by_name = {parameter["name"]: parameter for parameter in known}
    for name, value in given.items():
        if name not in by_name:
            names = ", ".join(by_name) or "none"
            near = did_you_mean(name, by_name)
            raise BadInput(
                f'{path} has no parameter "{name}".{near} It has: {names}.', field=name or "parameters"
            )
        _check_value(path, by_name[name], value)
    return dict(given)


def _check_names(path: str, given: dict[str, Any]) -> None:
    """Refuse a name that is no name: it would be written into the notebook as code."""
    for name in given:
        if not re.fullmatch(r"[A-Za-z_.][\w.]*", name, re.ASCII):
            raise BadInput(
                f'"{name}" cannot be a parameter of {path}: it is no name.', field=name or "parameters"
            )


def _check_value(path: str, parameter: Declared, value: Any) -> None:
    name, wanted, choices = parameter["name"], parameter["type"], parameter.get("choices")
    if value is None and parameter.get("optional"):
        return
    if choices is not None and not any(type(c) is type(value) and c == value for c in choices):
        near = (
            did_you_mean(value, [c for c in choices if isinstance(c, str)]) if isinstance(value, str) else ""
        )
        listed = ", ".join(map(repr, choices))
        raise BadInput(f'Parameter "{name}" of {path} is one of {listed}, not {value!r}.{near}', field=name)
    if choices is not None or wanted in ("any", "none") or _fits(wanted, value):
        return
    advice = f' Write it as "{value}" (with -p: use -r {name} {value}).' if wanted == "str" else ""
    shown = value if len(repr(value)) <= 80 else f"{str(value)[:70]}…"
    raise BadInput(
        f'Parameter "{name}" of {path} takes {_WORDS[wanted]}, '
        f"not {shown!r} ({type(value).__name__}).{advice}",
        field=name,
    )


def _fits(wanted: str, value: Any) -> bool:
    if isinstance(value, bool):
        return wanted == "bool"
    kinds: dict[str, tuple[type, ...]] = {
        "str": (str,),
        "int": (int,),
        "float": (int, float),
        "list": (list, tuple),
        "dict": (dict,),
    }
    return isinstance(value, kinds.get(wanted, ()))


def parse_cli_value(text: str) -> Any:
    """Return what `-p NAME text` means, as in papermill: True, False, None, int, float, else the text."""
    named = {"True": True, "False": False, "None": None}
    if text in named:
        return named[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _python(source: str, path: str, index: int) -> list[Declared]:
    # Magics and shell lines are IPython's: blanked, so that line numbers stay true.
    lines = ["" if line.lstrip().startswith(("%", "!")) else line for line in source.split("\n")]
    plain = "\n".join(lines)
    try:
        tree = ast.parse(plain)
        comments = _comments(plain)
    except (SyntaxError, ValueError, RecursionError, tokenize.TokenError) as error:
        line = getattr(error, "lineno", None) or 1
        shown = lines[line - 1].strip() if line <= len(lines) else ""
        raise BadInput(
            f"The parameters cell (cell {index + 1}) of {path} is not valid Python: line {line}, `{shown}` "
            f"({getattr(error, 'msg', error)}).",
            field="parameters",
        ) from None
    found: dict[str, Declared] = {}
    for statement in tree.body:
        comment = comments.get(statement.end_lineno or 0, "")
        for name, annotation, value in _assignments(statement):
            found[name] = _declare(name, annotation, value, comment, plain)
    return list(found.values())


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("#").strip() for t in tokens if t.type == tokenize.COMMENT}


def _assignments(statement: ast.stmt) -> Iterator[tuple[str, ast.expr | None, ast.expr | None]]:
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        yield statement.target.id, statement.annotation, statement.value
    elif isinstance(statement, ast.Assign):
        for target in statement.targets:
            if isinstance(target, ast.Name):
                yield target.id, None, statement.value
            elif isinstance(target, ast.Tuple) and isinstance(statement.value, ast.Tuple):
                for each, value in zip(target.elts, statement.value.elts, strict=False):
                    if isinstance(each, ast.Name):
                        yield each.id, None, value


def _declare(
    name: str, annotation: ast.expr | None, value: ast.expr | None, comment: str, source: str
) -> Declared:
    note = re.match(r"type:\s*(\S+)\s*(.*)", comment)
    if note:
        comment = note[2]
        annotation = annotation or _expression(note[1])
    kind, choices, optional = _annotated(annotation)
    written = ast.get_source_segment(source, value) if value is not None else ""
    default, literal = _literal(value)
    if kind is None:
        kind = _type_of(default) if literal else "any"
    return Declared(
        name=name,
        type=kind if literal or value is None else "any",
        default=default,
        source=written or "",
        help=comment,
        choices=choices,
        optional=optional or (literal and default is None and value is not None),
    )


def _expression(text: str) -> ast.expr | None:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        return None


def _literal(value: ast.expr | None) -> tuple[Any, bool]:
    if value is None:
        return None, False
    try:
        found = ast.literal_eval(value)
        json.dumps(found, allow_nan=False)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None, False
    return (list(found) if isinstance(found, tuple) else found), True


def _type_of(value: Any) -> str:
    return "none" if value is None else _NAMED_TYPES.get(type(value).__name__, "any")


def _annotated(node: ast.expr | None) -> tuple[str | None, list[Any] | None, bool]:
    """Return type, choices and whether None is accepted, of an annotation (type None: it says nothing)."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        node = _expression(node.value)
    if isinstance(node, ast.Constant) and node.value is None:
        return "none", None, True
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _either([node.left, node.right])
    if isinstance(node, ast.Subscript):
        name = _last_name(node.value)
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if name == "Optional":
            return (*_annotated(inner[0])[:2], True)
        if name == "Union":
            return _either(inner)
        if name == "Annotated":
            return _annotated(inner[0])
        if name == "Literal":
            choices = [value for value, literal in map(_literal, inner) if literal]
            types = {_type_of(choice) for choice in choices}
            return (types.pop() if len(types) == 1 else "any"), choices, None in choices
        return _NAMED_TYPES.get(name, "any"), None, False
    name = _last_name(node)
    return (_NAMED_TYPES.get(name, "any") if name else None), None, False


def _either(members: list[ast.expr]) -> tuple[str | None, list[Any] | None, bool]:
    read = [_annotated(member) for member in members]
    some = [member for member in read if member[0] != "none"]
    optional = len(some) < len(read) or any(member[2] for member in some)
    if len(some) == 1:
        return some[0][0], some[0][1], optional
    numbers = {member[0] for member in some} == {"int", "float"}
    return ("float" if numbers else "any"), None, optional


def _last_name(node: ast.expr | None) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _bash(source: str) -> list[Declared]:
    found: dict[str, Declared] = {}
    for line in source.splitlines():
        match = _BASH_LINE.match(line)
        if match is None:
            continue
        try:
            words = shlex.split(match[2], comments=True)
        except ValueError:
            words = []
        _, _, comment = match[2].partition(" #")
        plain = len(words) <= 1 and not re.search(r"[$`(]", match[2].split(" #")[0])
        value = _bash_value(words[0]) if words else ""
        found[match[1]] = Declared(
            name=match[1],
            type=_type_of(value) if plain else "any",
            default=value if plain else None,
            source=match[2].split(" #")[0].strip(),
            help=comment.strip(),
            choices=None,
            optional=False,
        )
    return list(found.values())


def _bash_value(word: str) -> Any:
    if word in ("true", "false"):
        return word == "true"
    value = parse_cli_value(word)
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return value if number else word
