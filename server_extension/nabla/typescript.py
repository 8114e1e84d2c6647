"""The panels' wire types, made from the schema so that nobody types them twice."""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, create_model

from nabla import schema, states
from nabla.errors import BadInput

TARGET = Path(__file__).parents[2] / "lab_extension" / "src" / "generated" / "api.ts"
HEADER = "// Made by `python -m nabla.typescript` from nabla.schema: change that, then run it again.\n"
REQUESTS = frozenset({"Manifest", "NewProject", "NewRun", "ProjectChange", "Rerun"})
"""Bodies that are sent: there, what has a default may be left out. In an answer nothing is missing."""

_SCALARS = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*")


def typescript(node: dict[str, Any]) -> str:
    """Return the TypeScript type of one JSON Schema node (what it does not narrow is `unknown`)."""
    if "$ref" in node:
        return str(node["$ref"]).rsplit("/", 1)[-1]
    if "const" in node:
        return json.dumps(node["const"])
    if "enum" in node:
        return " | ".join(json.dumps(value) for value in node["enum"])
    for union in ("anyOf", "oneOf"):
        if union in node:
            return " | ".join(dict.fromkeys(typescript(option) for option in node[union]))
    kind = node.get("type")
    if isinstance(kind, list):
        return " | ".join(typescript({**node, "type": one}) for one in kind)
    if kind == "array":
        item = typescript(node.get("items", {}))
        return f"({item})[]" if " | " in item else f"{item}[]"
    if kind == "object":
        values = node.get("additionalProperties", {})
        return f"Record<string, {typescript(values) if isinstance(values, dict) else 'unknown'}>"
    return _SCALARS.get(str(kind), "unknown")


def _comment(text: str, indent: str = "") -> str:
    line = " ".join(text.replace("*/", "* /").split())
    return f"{indent}/** {line} */\n" if line else ""


def interface(name: str, node: dict[str, Any], parameters: tuple[str, ...] = ()) -> str:
    """Return the exported interface of an object's JSON Schema, its `parameters` being type variables."""
    required = set(node.get("required", ()))
    lines = [_comment(node.get("description", "")), f"export interface {name}"]
    lines.append(f"<{', '.join(parameters)}> {{\n" if parameters else " {\n")
    for key, value in node["properties"].items():
        optional = "?" if name in REQUESTS and key not in required else ""
        written = key if _IDENTIFIER.fullmatch(key) else json.dumps(key)
        lines.append(_comment(value.get("description", ""), "  "))
        lines.append(f"  {written}{optional}: {typescript(value)};\n")
    return "".join([*lines, "}\n"])


def _definitions(model: type[BaseModel]) -> dict[str, str]:
    """Return the interfaces, by name, of `model` and of all that it holds."""
    variables = tuple(str(v) for v in model.__pydantic_generic_metadata__["parameters"])
    names = tuple(variable.lstrip("~") for variable in variables)
    concrete = model[tuple(create_model(name) for name in names)] if names else model  # type: ignore[index]
    whole = concrete.model_json_schema(mode="serialization")
    parts = {key: part for key, part in whole.pop("$defs", {}).items() if key not in names}
    parts[model.__name__] = whole
    return {
        key: interface(key, part, names if key == model.__name__ else ())
        for key, part in parts.items()
        if part.get("properties")
    }


def render() -> str:
    """Return the module: every noun of `nabla.schema`, by name, and the states of a run."""
    found: dict[str, str] = {}
    for name in schema.__all__:
        noun = getattr(schema, name)
        if isinstance(noun, type) and issubclass(noun, BaseModel):
            found |= _definitions(noun)
        elif not inspect.isroutine(noun):
            found[name] = f"export type {name} = {typescript(TypeAdapter(noun).json_schema())};\n"
    run_states = " | ".join(json.dumps(state.value) for state in states.RunState)
    found["RunState"] = f"export type RunState = {run_states};\n"
    final = json.dumps([state.value for state in states.RunState if state.final])
    constant = f"export const FINAL_STATES: readonly string[] = {final};\n"
    return "\n".join([HEADER, *(found[name] for name in sorted(found)), constant])


def main(arguments: list[str]) -> int:
    """Write the module into the checkout, or with `--check` only tell (1) that it is out of date."""
    if arguments not in ([], ["--check"]):
        raise BadInput(f"{' '.join(arguments)} is not understood: give --check, or nothing.")
    text = render()
    current = TARGET.read_text(encoding="utf-8") if TARGET.exists() else ""
    if text == current:
        return 0
    if arguments:
        sys.stderr.write(f"{TARGET} is out of date: run `python -m nabla.typescript`.\n")
        return 1
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
