"""How a dataset and work on it look in a notebook: a widget while that is live, else plain HTML."""

from __future__ import annotations

import sys
import time
from html import escape
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from nabla.cli.bar import told
from nabla.cli.output import size

if TYPE_CHECKING:
    from nabla.content.entry import Progress
    from nabla.data.dataset import LocalDataset

EVERY = 0.2
WIDGET = "application/vnd.jupyter.widget-view+json"
_CELL = 'style="text-align: left; padding: 0 1.5em 0 0; vertical-align: top"'


def in_notebook() -> bool:
    """Tell whether this runs in a kernel, whose front end shows widgets."""
    if "ipykernel" not in sys.modules or "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    return getattr(shell, "kernel", None) is not None


def bundle(dataset: LocalDataset) -> dict[str, Any]:
    """Return a dataset as a widget, as HTML and as text, so that every viewer finds one that it shows."""
    html = card(dataset)
    shown: dict[str, Any] = {"text/plain": repr(dataset), "text/html": html}
    if in_notebook():
        shown |= _widget(html)
    return shown


def card(dataset: LocalDataset) -> str:
    """Return the HTML of a dataset; whatever people wrote is text in it."""
    version = dataset.version
    rows = [
        ("version", version.id),
        ("files", f"{version.files:,}"),
        ("size", size(version.size)),
        ("message", version.message),
        ("path", str(dataset._path) if dataset._path else ""),
    ]
    lines = "".join(
        f"<tr><th {_CELL}>{escape(name)}</th><td {_CELL}>{escape(value)}</td></tr>"
        for name, value in rows
        if value
    )
    return f"<div><strong>{escape(dataset.name)}</strong><table>{lines}</table></div>"


def _widget(html: str) -> dict[str, Any]:
    from ipywidgets import HTML

    view = HTML(value=html)._repr_mimebundle_()
    return {WIDGET: view[WIDGET]}


class LiveBar:
    """A report of `nabla.content` as a widget that gives way to one line when the work is over."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._since = time.monotonic()
        self._painted = 0.0
        self._end = ""
        self._shown: Any = None

    def __enter__(self) -> Self:
        return self

    def __call__(self, progress: Progress) -> None:
        """Show how far it is, once it takes longer than a moment."""
        moment = time.monotonic()
        if moment - max(self._painted, self._since) < EVERY:
            return
        self._painted = moment
        if self._shown is None:
            self._begin()
        done = progress.done_bytes / progress.size if progress.size else 0.0
        self._bar.value = done
        self._bar.bar_style = "" if progress.size else "info"
        self._text.value = escape(told(progress, moment - self._since))

    def end(self, text: str) -> None:
        """Say what is left of it when it is over."""
        self._end = text

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        text = self._end or (f"{self._title}: interrupted" if error else "")
        if self._shown is None:
            if text and not error:
                self._display(_line(text), None)
            return
        text = text or f"{self._title}: done in {time.monotonic() - self._since:.1f} s"
        self._shown.update(_line(text), raw=True)
        for widget in (self._box, self._bar, self._text):
            widget.close()

    def _begin(self) -> None:
        from ipywidgets import HTML, FloatProgress, VBox

        self._bar = FloatProgress(value=0.0, min=0.0, max=1.0, layout={"width": "30em"})
        self._text = HTML()
        self._box = VBox([HTML(value=escape(self._title)), self._bar, self._text])
        view = self._box._repr_mimebundle_()
        self._shown = self._display(_line(f"{self._title} …") | {WIDGET: view[WIDGET]}, True)

    @staticmethod
    def _display(data: dict[str, Any], display_id: bool | None) -> Any:
        from IPython.display import display

        return display(data, raw=True, display_id=display_id)  # type: ignore[no-untyped-call]


def _line(text: str) -> dict[str, Any]:
    return {"text/plain": text, "text/html": f"<div>{escape(text)}</div>"}
