"""A service killed with -9 at every step of a fetch: the dataset comes whole, once, or is asked for again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import httpx
import pytest

from api.conftest import until

from .conftest import Brain
from .test_dataset_kills import every_step, read

SOURCE = Path(click.__file__).parent / "core.py"
ENTRY = """
- name: {name}
  licence: BSD-3-Clause
  sources:
    - url: package:click/core.py
      path: in/core.py
    - url: package:click/types.py
"""


def over(api: httpx.Client, name: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = api.get(f"public-datasets/{name}").raise_for_status().json()
        return found if found["state"] != "Fetching" else None

    return dict(until(look, f"the end of the fetch of {name}"))


@pytest.mark.parametrize("apart", [9, pytest.param(1, marks=pytest.mark.long)])
def test_a_fetch_that_is_killed_at_any_step_goes_on(
    brain: Callable[..., Brain], home: Path, apart: int
) -> None:
    names: list[str] = []

    def prepare(_api: httpx.Client) -> str:
        names.append(f"set{len(names)}")
        (home / "catalogue").mkdir(exist_ok=True)
        (home / "catalogue" / f"{names[-1]}.yaml").write_text(ENTRY.format(name=names[-1]))
        return names[-1]

    def work(api: httpx.Client, name: str) -> None:
        api.post(f"public-datasets/{name}/fetch").raise_for_status()
        assert over(api, name)["state"] == "Ready"

    def look(api: httpx.Client, name: str) -> None:
        if over(api, name)["state"] == "Listed":  # it was killed before anybody was told it began
            api.post(f"public-datasets/{name}/fetch").raise_for_status()
        found = over(api, name)
        assert (found["state"], found["reason"]) == ("Ready", "")
        files = read(api, "latest", f"public%2F{name}")
        assert files["in/core.py"] == SOURCE.read_bytes()
        assert sorted(files) == ["in/core.py", "types.py"]
        dataset = api.get(f"datasets/public%2F{name}").raise_for_status().json()
        assert dataset["versions"] == 1
        drafts = api.get(f"datasets/{dataset['id']}/versions", params={"committed": "false"}).json()
        assert drafts["items"] == []
        until(lambda: list((home / "fetching").glob("pf*")) == [], "nothing to be left")

    assert every_step(brain, home, apart, prepare, work, look) > 10
