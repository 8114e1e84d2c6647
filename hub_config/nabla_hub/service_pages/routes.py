"""Where the service's pages are, below its address."""

from __future__ import annotations

import re
from typing import Any

from nabla_hub.service_pages import audit, keys, secrets, storage, teams
from nabla_hub.service_pages.base import STATIC, Static


def handlers(prefix: str) -> list[tuple[Any, ...]]:
    """Return the pages as Tornado takes them, below `prefix` (which ends in a slash)."""
    front = re.escape(prefix)
    pages = [route for module in (keys, secrets, storage, teams, audit) for route in module.routes]
    return [
        *((front + path, page) for path, page in pages),
        (front + r"static/(pages\.(?:css|js))", Static, {"path": str(STATIC)}),
    ]
