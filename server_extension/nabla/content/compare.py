"""Two versions side by side: what differs, file by file, and how much."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nabla.content.database import connect, sentences, uri

if TYPE_CHECKING:
    from nabla.content.index import Index
    from nabla.schema.dataset import DatasetFile, DifferenceCount, FileDifference

_DIFFERENCES = """
    SELECT b.path, b.md5, b.size, a.md5, a.size
    FROM main.files AS b LEFT JOIN other.files AS a ON a.path = b.path
    WHERE b.path > :after AND (a.md5 IS NULL OR a.md5 <> b.md5)
    UNION ALL
    SELECT a.path, NULL, 0, a.md5, a.size FROM other.files AS a LEFT JOIN main.files AS b ON a.path = b.path
    WHERE a.path > :after AND b.path IS NULL
    ORDER BY 1 LIMIT :limit
"""
_COUNT = """
    SELECT count(*), coalesce(sum(a.md5 = b.md5), 0),
        coalesce(sum(CASE WHEN a.md5 = b.md5 THEN a.size END), 0)
    FROM main.files AS b CROSS JOIN other.files AS a WHERE a.path = b.path
"""


def differences(
    before: Index, after: Index, cursor: str | None, limit: int
) -> tuple[list[FileDifference], str | None]:
    """Return what differs between two versions, by path, and the cursor of what follows."""
    from nabla.schema.dataset import DatasetFile, FileDifference

    def file(path: str, md5: bytes | None, size: int) -> DatasetFile | None:
        return DatasetFile(path=path, size=size, md5=md5.hex()) if md5 else None

    with _beside(before, after) as link:
        rows = link.execute(_DIFFERENCES, {"after": cursor or "", "limit": limit + 1}).fetchall()
    found = [
        FileDifference(
            path=path,
            change="added" if old is None else "removed" if new is None else "changed",
            before=file(path, old, old_size),
            after=file(path, new, new_size),
        )
        for path, old, old_size, new, new_size in rows[:limit]
    ]
    return found, (found[-1].path if len(rows) > limit else None)


def difference_count(before: Index, after: Index) -> DifferenceCount:
    """Return how much differs between two versions; a changed file counts with both its sizes."""
    from nabla.schema.dataset import DifferenceCount

    old, new = before.total(), after.total()
    with _beside(before, after) as link:
        both, same, same_bytes = link.execute(_COUNT).fetchone()
    return DifferenceCount(
        added=new.files - both,
        removed=old.files - both,
        changed=both - same,
        unchanged=same,
        added_bytes=new.size - same_bytes,
        removed_bytes=old.size - same_bytes,
    )


@contextmanager
def _beside(before: Index, after: Index) -> Iterator[sqlite3.Connection]:
    """Open one index with another one, named `other`, at its side."""
    with sentences(after.path):
        link = connect(before.path, before.mode)
        try:
            link.execute("ATTACH ? AS other", (uri(after.path, after.mode),))
            yield link
        finally:
            link.close()
