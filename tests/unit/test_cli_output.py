"""What reaches a terminal: nothing that acts on it, and colours only where they belong."""

from __future__ import annotations

from datetime import timedelta

import pytest

from nabla.cli.output import age, duration, fields, plain, printed, size, table
from nabla.cli.progress import Progress
from nabla.schema import now

EVIL = "\x1b]0;title\x07\x1b]52;c;ZXZpbA==\x07a\x1b[2Jb\x1b[31mred\x1b[0m\rc\x00\x9b5n\u202etxt"


def test_a_name_reaches_the_terminal_as_plain_text_on_one_line():
    assert plain(EVIL) == "abredc5ntxt"
    assert plain("two\nlines\there") == "two lines here"


def test_what_a_notebook_printed_keeps_its_lines_and_at_most_its_colours():
    assert printed(EVIL, colour=False) == "abredc5ntxt"
    assert printed(EVIL, colour=True) == "ab\x1b[31mred\x1b[0mc5ntxt"
    assert printed("one\ntwo\t3\n", colour=False) == "one\ntwo\t3\n"


def test_a_table_is_aligned_and_without_colours_in_a_pipe(capsys):
    table(["ID", "STATE"], [("r1", "Succeeded"), ("r200", "Failed")], states=1)
    assert capsys.readouterr().out == "ID    STATE\nr1    Succeeded\nr200  Failed\n"


def test_fields_that_are_empty_are_left_out(capsys):
    fields([("a", "1"), ("long name", ""), ("b", None)])
    assert capsys.readouterr().out == "a  1\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (12.4, "12 s"), (59.6, "1 min 00 s"), (3725, "1 h 02 min"), (None, "")],
)
def test_a_time_span_is_readable(seconds, text):
    assert duration(seconds) == text


def test_ages_and_sizes_are_readable():
    assert age(now() - timedelta(minutes=3, seconds=5)) == "3 min ago"
    assert age(now() + timedelta(seconds=5)) == "0 s ago"
    assert [size(count) for count in (0, 999, 1500, 64_000_000)] == ["0 B", "999 B", "1.5 kB", "64 MB"]


def follow(live: bool, **options: bool) -> None:
    cells = [{"cell_type": kind} for kind in ("markdown", "code", "code")]
    with Progress(live=live, **options) as progress:
        for event in (
            {"type": "kernel", "state": "ready", "display_name": "Python 3", "seconds": 0.5},
            {"type": "notebook", "cells": cells},
            {"type": "cell_start", "index": 1},
            {"type": "stream", "index": 1, "name": "stdout", "text": "hello\x1b[2J\n"},
            {"type": "cell_end", "index": 1, "status": "ok", "seconds": 1.25},
            {"type": "cell_start", "index": 2},
            {"type": "cell_end", "index": 2, "status": "error", "seconds": 12.0},
            {"type": "unheard of"},
        ):
            progress.event(event)


def test_progress_is_plain_lines_in_a_pipe(capsys):
    follow(live=False)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        "Python 3 is ready after 0.5 s",
        "cell 2 of 3 · 1.2 s",
        "cell 3 of 3 · 12 s · error",
    ]


def test_progress_is_one_line_that_changes_on_a_terminal(capsys):
    follow(live=True)
    shown = capsys.readouterr().err
    assert "\r\x1b[2Kcell 2 of 3" in shown
    assert "cell 3 of 3 · 12 s · error\n" in shown
    assert shown.endswith("\r\x1b[2K")


def test_what_cells_print_is_shown_when_asked_for(capsys):
    follow(live=False, log_output=True)
    assert "hello\n" in capsys.readouterr().err
    follow(live=False, quiet=True)
    assert capsys.readouterr().err == ""
