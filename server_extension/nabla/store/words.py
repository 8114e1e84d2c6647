"""The full-text index: the same words and the same answers on SQLite and on PostgreSQL."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, Connection, cast, delete, insert, literal_column, select, text

from nabla.schema import Document
from nabla.store.tables import search

WORD = re.compile(r"[^\W_]+")
WORD_LENGTH = 64
WORD_COUNT = 5000
QUERY_WORDS = 20
SCOPED_TEAMS = 100


def words_of(prose: str) -> list[str]:
    """Return the words of `prose`, without accents and case: letters and digits only."""
    plain = unicodedata.normalize("NFKD", prose)
    folded = "".join(c for c in plain if not unicodedata.combining(c)).casefold()
    return [match[:WORD_LENGTH] for match in WORD.findall(folded)[:WORD_COUNT]]


def _mark(what: str, value: str) -> str:
    # No word holds an underscore, so a mark can never be met by what a person types.
    return f"_{what}_" + "".join(words_of(value))


def indexed_words(document: Document) -> str:
    """Return what the index holds of a document: marks of what it is and whose, then its words."""
    home = document.id if document.kind == "project" else document.project
    marks = [_mark("k", document.kind), _mark("t", document.team), *([_mark("p", home)] if home else [])]
    marks += [_mark("g", tag) for tag in document.tags]
    marks += [_mark("n", word) for word in words_of(document.name)]
    return " ".join(dict.fromkeys([*marks, *words_of(document.search_text())]))


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


@dataclass(frozen=True)
class Token:
    """A word or a mark of the index; `begins`: also what only begins with it."""

    text: str
    begins: bool = False


def expression(
    dialect: str, groups: Sequence[Sequence[Token]], without: Sequence[Token] = ()
) -> ColumnElement[bool]:
    """Return the condition on `search` that of each group one token is there, and not all of `without`."""
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import TSQUERY

        def quoted(token: Token) -> str:
            return f"'{token.text}'" + (":*" if token.begins else "")

        query = " & ".join("(" + " | ".join(map(quoted, group)) + ")" for group in groups)
        if without:
            query += " & !(" + " & ".join(map(quoted, without)) + ")"
        return literal_column("search.vector").bool_op("@@")(cast(query, TSQUERY))

    def fts(token: Token) -> str:
        return f'"{token.text}"' + (" *" if token.begins else "")

    query = " AND ".join("(" + " OR ".join(map(fts, group)) + ")" for group in groups)
    if without:
        query = f"({query}) NOT ({' AND '.join(map(fts, without))})"
    return literal_column("search").bool_op("MATCH")(query)


def matching(
    dialect: str, q: str, *, kind: str, teams: Collection[str] | None, project: str | None
) -> ColumnElement[bool]:
    """Return the condition on `search` that every word of `q` begins a word there (`q` has one at least)."""
    words = list(dict.fromkeys(words_of(q)))[:QUERY_WORDS]
    groups = [[Token(_mark("k", kind))]]
    if project is not None:
        groups.append([Token(_mark("p", project))])
    if teams is not None and len(teams) <= SCOPED_TEAMS:
        groups.append([Token(_mark("t", team)) for team in teams])
    return expression(dialect, [*groups, *([Token(word, begins=True)] for word in words)])


def mark(what: Literal["k", "t", "p", "g", "n"], value: str) -> Token:
    """Return the mark of a kind, a team, a project, a tag, or of a word that is in the name."""
    return Token(_mark(what, value))
