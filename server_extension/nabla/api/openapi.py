"""The OpenAPI document, made from the routes' rules and the schema's classes."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from nabla._version import __version__
from nabla.api.application import API, table
from nabla.api.handler import NablaHandler, Rule
from nabla.schema import Problem

QUERY = {
    "q": ("string", "Words to search for; the last may be the beginning of one."),
    "cursor": ("string", "Where the page starts: the `cursor` of the page before."),
    "limit": ("integer", "How many, 1 to 200; 50 unless told."),
    "tag": ("string", "Only what has this tag."),
    "archived": ("boolean", "Only what is, or is not, archived; both unless told."),
    "project": ("string", "Only what is in this project (id or name)."),
    "state": ("string", "Only what is in this state; may be repeated."),
    "name": ("string", "Only what has this name."),
    "confirm": ("boolean", "Whether to do it; otherwise the answer tells what would go."),
    "after": ("integer", "The offset, or the number of a line, after which to begin."),
    "follow": ("string", "What to follow, `run:ID@OFFSET`; may be repeated."),
    "all": ("boolean", "Every team there is; for an admin of the hub."),
    "by": ("string", "The admin of the hub who removes them; only on the Unix socket."),
    "transfer_to": ("string", "Who gets what they own: a member, or a service account of the team."),
    "service_account": ("string", "Id of the service account whose keys are meant."),
    "path": ("string", "A path: of the notebook, for messages, or in a version; of files, may be repeated."),
    "team": ("string", "Only what is in this team (id or name)."),
    "actor": ("string", "Only what this user did or tried."),
    "object": ("string", "Only what was done to the thing with this id."),
    "verb": ("string", "Only what was done with this verb."),
    "kind": ("string", "Only what is of this kind, or was done to it: `run`, `project`, …"),
    "outcome": ("string", "Only what was `done`, `denied` or `failed`."),
    "since": ("string", "Only from this time on (ISO 8601; without a zone: UTC)."),
    "until": ("string", "Only up to this time."),
    "begin": ("string", "The path after which to begin."),
    "committed": ("boolean", "Only what is, or is not, committed; both unless told."),
    "force": ("boolean", "Whether to do it all the same."),
    "offset": ("integer", "How many bytes are there already."),
    "recursive": ("boolean", "All files below the folder, however deep."),
    "size": ("integer", "How many bytes it has in all."),
    "to": ("string", "The version to compare with: seven characters, a tag or `latest`."),
    "hash": ("string", "The hash that the line `after` had when it was noted."),
}


@cache
def document() -> dict[str, Any]:
    """Return this API as an OpenAPI 3.1 document."""
    models: set[type[BaseModel]] = {Problem}
    for _, handler in table():
        for rule in handler.rules.values():
            models |= {part for part in (rule.answer, rule.body) if isinstance(part, type)}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, schemas = models_json_schema(
        [(model, "serialization") for model in ordered], ref_template="#/components/schemas/{model}"
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Nabla", "version": __version__, "license": {"name": "BSD-3-Clause"}},
        "servers": [{"url": f"/services/nabla/{API}"}, {"url": f"/nabla/{API}"}],
        "security": [{"token": []}],
        "paths": {f"/{path}": _path(path, handler) for path, handler in table()},
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "`token` or `Bearer`."}
            },
        },
    }


def _path(path: str, handler: type[NablaHandler]) -> dict[str, Any]:
    named = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", path)
    ]
    operations = {method.lower(): _operation(path, method, rule) for method, rule in handler.rules.items()}
    return {**({"parameters": named} if named else {}), **operations}


def _operation(path: str, method: str, rule: Rule) -> dict[str, Any]:
    words = re.sub(r"\W+", " ", path.replace("{", "by "))
    answers: dict[str, Any] = {str(rule.status): {"description": "Done.", **_content(rule.answer)}}
    answers["default"] = {"description": "It did not work.", **_content(Problem)}
    operation: dict[str, Any] = {
        "operationId": method.lower() + words.title().replace(" ", ""),
        "summary": rule.summary,
        "x-access": rule.access,
        "responses": answers,
    }
    if rule.access == "open":
        operation["security"] = []
    if rule.query:
        operation["parameters"] = [
            {"name": name, "in": "query", "schema": {"type": QUERY[name][0]}, "description": QUERY[name][1]}
            for name in rule.query
        ]
    if rule.body is not None:
        operation["requestBody"] = {"required": True, **_content(rule.body)}
    return operation


def _content(part: type[BaseModel] | str | None) -> dict[str, Any]:
    if part is None:
        return {}
    if isinstance(part, str):
        return {"content": {part: {"schema": {}}}}
    name = re.sub(r"\W", "_", part.__name__)
    return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}}
