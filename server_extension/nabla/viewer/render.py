"""A notebook, cell by cell, as one piece of HTML for the frame of a shared page."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from latex2mathml import exceptions
from latex2mathml.converter import convert
from nbconvert.filters import Highlight2HTML, ansi2html
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode

from nabla.viewer.clean import clean, shows

TEXT = 2 << 20
"""Characters of one output that are shown."""
SCRIPTED = (
    "This output needs scripts, which a shared page does not run. Open a copy of the notebook to see it."
)
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
WRONG: tuple[type[Exception], ...] = (
    *(error for error in vars(exceptions).values() if isinstance(error, type)),
    *(ValueError, TypeError, AttributeError, LookupError, StopIteration, RecursionError),
)
"""What the converter of formulas raises at one that is written wrongly."""
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+")


class Renderer(IPythonRenderer):
    """Markdown as HTML, with formulas as MathML, which browsers draw without any script."""

    def block_math(self, body: str) -> str:
        """Return a formula that stands alone."""
        return _formula(body, "block")

    def inline_math(self, body: str) -> str:
        """Return a formula in a line."""
        return _formula(body, "inline")

    def latex_environment(self, name: str, body: str) -> str:
        """Return an environment as the formula that it is."""
        return _formula(rf"\begin{{{name}}}{body}\end{{{name}}}", "block")


def _formula(latex: str, display: str) -> str:
    try:
        return str(convert(latex, display=display))
    except WRONG:  # shown as it was typed
        return f"<code>{escape(latex)}</code>"


def markdown(source: str, attachments: Mapping[str, Any] | None = None) -> str:
    """Return Markdown as HTML that was cleaned."""
    renderer = Renderer(escape=False, attachments=dict(attachments or {}), exclude_anchor_links=True)
    return clean(str(MarkdownWithMath(renderer=renderer).render(source)))


def body(notebook: NotebookNode) -> str:
    """Return the cells of a notebook (nbformat 4) as HTML."""
    language = str(notebook.metadata.get("language_info", {}).get("pygments_lexer", "")) or "ipython3"
    code = Highlight2HTML(pygments_lexer=language)  # type: ignore[no-untyped-call]
    return "\n".join(_cell(cell, code) for cell in notebook.cells)


def _cell(cell: NotebookNode, code: Highlight2HTML) -> str:
    if cell.cell_type == "markdown":
        return f'<section class="nb-text">{markdown(cell.source, cell.get("attachments"))}</section>'
    if cell.cell_type != "code":
        return f'<section class="nb-text"><pre>{escape(cell.source)}</pre></section>'
    hidden = cell.metadata.get("jupyter", {}) if isinstance(cell.metadata.get("jupyter", {}), dict) else {}
    count = cell.get("execution_count")
    source = clean(str(code(cell.source[:TEXT]))) if cell.source.strip() else ""
    outputs = "".join(_output(output) for output in cell.get("outputs", []))
    shown = _folded(_box("source", source), "Code", hidden.get("source_hidden"))
    shown += _folded(_box("outputs", outputs), "Output", hidden.get("outputs_hidden"))
    number = f"[{count}]" if isinstance(count, int) else ""
    if not shown:
        return ""
    return f'<section class="nb-code"><div class="nb-count">{number}</div><div>{shown}</div></section>'


def _box(name: str, html: str) -> str:
    return f'<div class="nb-{name}">{html}</div>' if html else ""


def _folded(html: str, what: str, hidden: object) -> str:
    return f"<details><summary>{what}</summary>{html}</details>" if html and hidden is True else html


def _output(output: NotebookNode) -> str:
    kind = output.output_type
    if kind == "stream":
        error = " nb-stderr" if output.get("name") == "stderr" else ""
        return f'<div class="nb-stream{error}">{_terminal(output.text)}</div>'
    if kind == "error":
        said = "\n".join(map(str, output.traceback)) or f"{output.ename}: {output.evalue}"
        return f'<div class="nb-error">{_terminal(said)}</div>'
    return f'<div class="nb-data">{_data(output.data)}</div>'


def _terminal(text: str) -> str:
    more = "\n…" if len(text) > TEXT else ""
    html: str = ansi2html(text[:TEXT] + more)  # type: ignore[no-untyped-call]
    return clean(f"<pre>{html}</pre>")


def _data(data: Mapping[str, Any]) -> str:
    """Return the richest form that can be shown."""
    for kind, show in SHOWN.items():
        if kind in data and (html := show(kind, data[kind])):
            return html
    return f'<p class="nb-note">{SCRIPTED}</p>' if data else ""


def _html(_: str, value: Any) -> str:
    found = clean(_text(value)[:TEXT])
    return found if shows(found) else ""


def _svg(_: str, value: Any) -> str:
    # As a picture an SVG runs no script and fetches nothing, whatever is in it.
    data = base64.b64encode(_text(value).encode(errors="replace")).decode()
    return f'<img alt="" src="data:image/svg+xml;base64,{data}">'


def _picture(kind: str, value: Any) -> str:
    data = _text(value)
    return f'<img alt="" src="data:{kind};base64,{"".join(data.split())}">' if _BASE64.fullmatch(data) else ""


def _plain(_: str, value: Any) -> str:
    return f"<pre>{escape(_text(value)[:TEXT])}</pre>"


def _text(value: Any) -> str:
    return "".join(map(str, value)) if isinstance(value, list) else str(value)


SHOWN: dict[str, Callable[[str, Any], str]] = {
    "text/html": _html,
    "image/svg+xml": _svg,
    **dict.fromkeys(PICTURES, _picture),
    "text/markdown": lambda _, value: markdown(_text(value)[:TEXT]),
    "text/latex": lambda _, value: markdown(_text(value)[:TEXT]),
    "text/plain": _plain,
}
"""How each type of output is shown, the richest first."""
