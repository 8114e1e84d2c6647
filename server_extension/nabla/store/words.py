"""The full-text index: the same words and the same answers on SQLite and on PostgreSQL."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, cast, delete, insert, literal_column, select, text

from nabla.schema import Document
from nabla.store.tables import search

WORD = re.compile(r"[^\W_]+")
WORD_LENGTH = 64
WORD_COUNT = 5000
QUERY_WORDS = 20
SCOPED_TEAMS = 50


def words_of(prose: str) -> list[str]:
    """Return the words of `prose`, without accents and case: letters and digits only."""
    plain = unicodedata.normalize("NFKD", prose)
    folded = "".join(c for c in plain if not unicodedata.combining(c)).casefold()
    return [match[:WORD_LENGTH] for match in WORD.findall(folded)[:WORD_COUNT]]


def _mark(what: str, value: str) -> str:
    # No word holds an underscore, so a mark can never be met by what a person types.
    return f"_{what}_" + "".join(words_of(value))


def indexed_words(document: Document) -> str:
    """Return what the index holds of a document: marks of its kind, team and project, then its words."""
    marks = [_mark("k", document.kind), _mark("t", document.team)]
    if document.project:
        marks.append(_mark("p", document.project))
    return " ".join([*marks, *dict.fromkeys(words_of(document.search_text()))])


def write_words(connection: Connection, seq: int, words: str) -> None:
    """Index `words` under `seq`, unless they are there already."""
    old = connection.execute(select(search.c.words).where(search.c.rowid == seq)).scalar()
    if old == words:
        return
    if old is not None:
        remove_words(connection, seq)
    if connection.dialect.name == "postgresql":
        connection.execute(_PUT_POSTGRESQL, {"seq": seq, "words": words})
    else:
        connection.execute(insert(search), {"rowid": seq, "words": words})


def remove_words(connection: Connection, seq: int) -> None:
    """Take a document out of the index."""
    connection.execute(delete(search).where(search.c.rowid == seq))


_PUT_POSTGRESQL = text(
    "INSERT INTO search (rowid, words, vector) "
    "VALUES (:seq, :words, array_to_tsvector(string_to_array(:words, ' ')))"
)


def matching(
    dialect: str, q: str, *, kind: str, teams: Collection[str] | None, project: str | None
) -> ColumnElement[bool]:
    """Return the condition on `search` that every word of `q` begins a word there (`q` has one at least)."""
    words = list(dict.fromkeys(words_of(q)))[:QUERY_WORDS]
    marks = [[_mark("k", kind)]]
    if project is not None:
        marks.append([_mark("p", project)])
    if teams is not None and len(teams) <= SCOPED_TEAMS:
        marks.append([_mark("t", team) for team in teams])
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import TSQUERY

        parts = ["(" + " | ".join(f"'{mark}'" for mark in some) + ")" for some in marks]
        query = " & ".join([*parts, *(f"'{word}':*" for word in words)])
        return literal_column("search.vector").bool_op("@@")(cast(query, TSQUERY))
    parts = ["(" + " OR ".join(f'"{mark}"' for mark in some) + ")" for some in marks]
    query = " AND ".join([*parts, *(f'"{word}" *' for word in words)])
    return literal_column("search").bool_op("MATCH")(query)
