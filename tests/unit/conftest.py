"""A service on a home of its own for tests of its clients, and notebooks for it to run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nabla.client import Client
from nabla.embedded import Embedded

MakeNotebook = Callable[..., Path]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """A service with a real backend, which ends with the module."""
    embedded = Embedded(tmp_path_factory.mktemp("home"), "the tests")
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home that nobody serves, and an environment that names no service; returns the home."""
    for name in ("NABLA_URL", "NABLA_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "nobody"
    monkeypatch.setenv("NABLA_HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return home


@pytest.fixture
def home(served: Embedded, nobody: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of the service, named in the environment."""
    monkeypatch.setenv("NABLA_HOME", str(served.home))
    return served.home


@pytest.fixture
def client(home: Path) -> Iterator[Client]:
    """A client that found the service by its home."""
    with Client() as client:
        yield client


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeNotebook:
    """Makes `work/NAME.ipynb` of cells; the first is tagged `parameters`. The current folder is another."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def make(*cells: str, name: str = "train", parameters: str = "n = 1\nlabel = 'a'") -> Path:
        made = [
            {
                "cell_type": "code",
                "id": f"c{index}",
                "metadata": {} if index else {"tags": ["parameters"]},
                "source": source,
                "outputs": [],
                "execution_count": None,
            }
            for index, source in enumerate([parameters, *cells])
        ]
        spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        text = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": spec}, "cells": made}
        path = tmp_path / "work" / f"{name}.ipynb"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(text))
        return path

    return make
