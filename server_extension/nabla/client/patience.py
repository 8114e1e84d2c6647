"""Trying again what may be repeated, for as long as a service takes to come back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import httpx

from nabla.content.entry import Cancelled
from nabla.errors import TooOften, Unavailable

PAUSES = (0.2, 0.4, 0.8, 1.6, 3.2, 4.0, 4.0, 4.0)
"""Seconds before each further try: about 18 in all."""
T = TypeVar("T")


def persist(work: Callable[[], T], stop: threading.Event | None = None) -> T:
    """Return what `work` returns, called again while nobody answers or too much was asked.

    Raises what the last try raised, and `Cancelled` once `stop` is set.
    """
    stop = stop or threading.Event()
    for pause in PAUSES:
        if stop.is_set():
            raise Cancelled
        try:
            return work()
        except TooOften as error:
            pause = max(pause, min(error.seconds, 30))
        except (Unavailable, httpx.TransportError):
            pass
        if stop.wait(pause):
            raise Cancelled
    try:
        return work()
    except httpx.TransportError as error:
        why = str(error).rstrip(".") or type(error).__name__
        raise Unavailable(f"The connection broke off ({why}): run it again, what was done is kept.") from None
