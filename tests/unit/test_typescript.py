"""The wire types of the panels say exactly what the schema says."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from nabla import typescript
from nabla.errors import BadInput
from nabla.schema import Run


class Leaf(BaseModel):
    """Ends */ here."""

    size: int


class Tree(BaseModel):
    """A noun with one field of every shape."""

    name: str = Field(description="As written.")
    mode: Literal["a", "b"] = "a"
    leaf: Leaf | None = None
    leaves: list[Leaf] = []
    mixed: list[int | str] = []
    by_name: dict[str, Leaf] = {}
    anything: Any = None
    ratio: float | None = None


def shown(name: str) -> str:
    return typescript.interface(name, Tree.model_json_schema())


def test_every_shape_of_a_field_has_its_type() -> None:
    text = shown("Tree")
    assert "  /** As written. */\n  name: string;" in text
    assert '  mode: "a" | "b";' in text
    assert "  leaf: Leaf | null;" in text
    assert "  leaves: Leaf[];" in text
    assert "  mixed: (number | string)[];" in text
    assert "  by_name: Record<string, Leaf>;" in text
    assert "  anything: unknown;" in text
    assert "  ratio: number | null;" in text


def test_a_sent_body_may_leave_out_what_has_a_default() -> None:
    text = shown("NewRun")
    assert "  name: string;" in text
    assert "  ratio?: number | null;" in text


def test_a_docstring_cannot_end_its_comment_early() -> None:
    text = typescript.interface("Leaf", Leaf.model_json_schema())
    assert text.startswith("/** Ends * / here. */\n")


def test_a_page_keeps_its_type_variable() -> None:
    assert "export interface Page<T> {\n  items: T[];" in typescript.render()


def test_every_field_of_a_run_reaches_the_panels() -> None:
    text = typescript.render()
    run = text.split("export interface Run {")[1].split("}")[0]
    for field in Run.model_fields:
        assert f"  {field}: " in run


def test_check_tells_a_stale_file_from_a_fresh_one(tmp_path, monkeypatch, capsys) -> None:
    target = tmp_path / "generated" / "api.ts"
    monkeypatch.setattr(typescript, "TARGET", target)
    assert typescript.main(["--check"]) == 1
    assert "python -m nabla.typescript" in capsys.readouterr().err
    assert not target.exists()
    assert typescript.main([]) == 0
    assert typescript.main(["--check"]) == 0


def test_another_argument_is_refused() -> None:
    with pytest.raises(BadInput, match="--chekc"):
        typescript.main(["--chekc"])


def test_the_types_in_the_checkout_are_up_to_date() -> None:
    assert typescript.main(["--check"]) == 0
