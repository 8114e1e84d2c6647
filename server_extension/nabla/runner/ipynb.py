"""Notebook files on disk: read from where papermill can, written as nbformat writes them, in one step."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring
from pathlib import Path
from typing import Any

from nabla.errors import BadInput, NablaError, NoSpace, NotFound, Unavailable

_SCHEME = re.compile(r"^[a-z][a-z0-9+.\-]*://|^-$", re.IGNORECASE)
_SPLIT = ("application/javascript", "image/svg+xml")


def is_remote(path: str) -> bool:
    """Tell whether `path` needs one of papermill's readers and writers (`s3://…`, `https://…`, `-`)."""
    return _SCHEME.match(path) is not None


def read(path: str) -> bytes | str:
    """Return the text of the notebook at `path`. Raises `NotFound`, `BadInput` or `Unavailable`."""
    if is_remote(path):
        return _read_remote(path)
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise NotFound(f"There is no notebook {path}.", field="notebook") from None
    except IsADirectoryError:
        raise BadInput(f"{path} is a folder: name the notebook in it.", field="notebook") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.", field="notebook") from None


def _read_remote(path: str) -> str:
    from papermill.exceptions import PapermillException  # type: ignore[import-untyped]
    from papermill.iorw import papermill_io  # type: ignore[import-untyped]

    try:
        return str(papermill_io.read(path))
    except (PapermillException, OSError, ValueError) as error:
        raise Unavailable(f"{path} cannot be read: {error}", field="notebook") from None


def write(notebook: dict[str, Any], path: str) -> None:
    """Write `notebook` to `path`: all of it or nothing."""
    if is_remote(path):
        from papermill.exceptions import PapermillException
        from papermill.iorw import papermill_io

        try:
            papermill_io.write(b"".join(chunks(notebook)).decode(), path)
        except (PapermillException, OSError, ValueError) as error:
            raise Unavailable(f"{path} cannot be written: {error}", field="output") from None
    else:
        replace(Path(path), chunks(notebook))


def replace(path: Path, data: Iterable[bytes], *, durable: bool = True) -> None:
    """Put the pieces of `data` into `path`, all or nothing; `durable` survives a power cut."""
    temporary = path.with_name(f".{path.name[:100]}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.writelines(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise write_error(path, error) from None


def write_error(path: Path, error: OSError) -> NablaError:
    """Return the sentence for a file that could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(f"The disk is full: {path} could not be written. Free some space and run it again.")
    return BadInput(f"{path} cannot be written: {error.strerror}.", field="output")


def chunks(notebook: dict[str, Any]) -> Iterator[bytes]:
    """Yield the bytes of an .ipynb: sorted keys, indented by one, long texts as lists of lines.

    No more than a cell is held at once. A lone surrogate, which has no UTF-8, becomes a question mark.
    """
    cells: list[dict[str, Any]] = notebook["cells"]
    for key in sorted(notebook):
        yield f"{'{' if key == min(notebook) else ','}\n {encode_basestring(key)}: ".encode()
        if key == "cells" and cells:
            for number, cell in enumerate(cells):
                text = "".join(_pieces(_split_cell(cell), "\n  "))
                yield f"{',' if number else '['}\n  {text}".encode("utf-8", "replace")
            yield b"\n ]"
        else:
            yield "".join(_pieces(notebook[key], "\n ")).encode("utf-8", "replace")
    yield b"\n}\n"


def _split_cell(cell: dict[str, Any]) -> dict[str, Any]:
    split = {**cell, "source": cell["source"].splitlines(True)}
    if isinstance(cell.get("attachments"), dict):
        split["attachments"] = {name: _split_bundle(data) for name, data in cell["attachments"].items()}
    if cell["cell_type"] == "code":
        split["outputs"] = [_split_output(output) for output in cell["outputs"]]
    return split


def _split_output(output: dict[str, Any]) -> dict[str, Any]:
    if output["output_type"] == "stream":
        return {**output, "text": output["text"].splitlines(True)}
    return {**output, "data": _split_bundle(output["data"])} if "data" in output else output


def _split_bundle(data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    return {
        kind: value.splitlines(True)
        if isinstance(value, str) and (kind.startswith("text/") or kind in _SPLIT)
        else value
        for kind, value in data.items()
    }


def _pieces(value: Any, line: str) -> Iterator[str]:
    # json's own encoder is slow when it indents; lists of strings, which are most of a notebook, go at once.
    inner = line + " "
    if isinstance(value, dict) and value:
        opening = "{"
        for key in sorted(value):
            yield f"{opening}{inner}{encode_basestring(str(key))}: "
            yield from _pieces(value[key], inner)
            opening = ","
        yield line + "}"
    elif isinstance(value, (list, tuple)) and value:
        if all(isinstance(item, str) for item in value):
            yield "[" + inner + f",{inner}".join(map(encode_basestring, value)) + line + "]"
            return
        opening = "["
        for item in value:
            yield opening + inner
            yield from _pieces(item, inner)
            opening = ","
        yield line + "]"
    else:
        yield json.dumps(value, ensure_ascii=False)
