"""Paths of a version that a disk, or an eye, takes for the same."""

from __future__ import annotations

import sqlite3
import unicodedata

from nabla.errors import BadInput

WARNINGS = 100
_ODD = """
    SELECT path FROM files WHERE path GLOB '*[^ -~]*'
    UNION ALL SELECT path FROM folders WHERE path GLOB '*[^ -~]*'
"""
_SAME_FORM = f"""
    SELECT min(path), max(path) FROM ({_ODD}) GROUP BY nfc(path) HAVING min(path) <> max(path)
    UNION ALL
    SELECT path, nfc(path) FROM ({_ODD}) AS odd WHERE nfc(path) <> path AND (
        EXISTS (SELECT 1 FROM files WHERE files.path = nfc(odd.path))
        OR EXISTS (SELECT 1 FROM folders WHERE folders.path = nfc(odd.path)))
    LIMIT 1
"""  # noqa: S608 (two constants)
_SAME_CASE = """
    SELECT min(path), max(path) FROM (SELECT path FROM files UNION ALL SELECT path FROM folders)
    GROUP BY CASE WHEN path GLOB '*[^ -~]*' THEN fold(path) ELSE lower(path) END
    HAVING min(path) <> max(path) LIMIT ?
"""


def collisions(link: sqlite3.Connection) -> list[str]:
    """Return sentences on paths of an index that differ only in case, at most 100.

    Raises `BadInput` when two differ only in their Unicode form, so that nobody can tell them apart.
    """
    link.create_function("nfc", 1, _nfc, deterministic=True)
    link.create_function("fold", 1, _fold, deterministic=True)
    row = link.execute(_SAME_FORM).fetchone()
    if row:
        raise BadInput(
            f"The paths {row[0]!a} and {row[1]!a} look the same and differ only in how Unicode writes them: "
            "rename one of them.",
            field="path",
        )
    return [
        f"{one!r} and {other!r} differ only in case: some disks can hold only one of them."
        for one, other in link.execute(_SAME_CASE, (WARNINGS,))
    ]


def _nfc(path: str) -> str:
    return unicodedata.normalize("NFC", path)


def _fold(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()
