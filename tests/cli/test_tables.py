"""Tables on standard output: plain lines in a pipe, fitted to the width of a terminal."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import pytest

from bench.cli.tables import CellAlignment, Column, print_table
from bench.foreign_text import escape_controls

ROWS = [["prefix", 250880, "-"], ["ft-full with a rather long summary of what it trains", 1, ""]]


class Terminal(io.StringIO):
    """Standard output that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Terminal]:
    """Makes standard output a terminal of some columns."""

    def make(width: int) -> Terminal:
        output = Terminal()
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setattr("sys.stdout", output)
        return output

    return make


def strip_styles(text: str) -> str:
    return re.sub("\x1b\\[[0-9;]*m", "", text)


def test_in_a_pipe_every_row_is_a_line_of_aligned_cells(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name", "stored", "share"], ROWS)
    assert capsys.readouterr().out.splitlines() == [
        "name                                                  stored  share",
        "prefix                                                250880      -",
        "ft-full with a rather long summary of what it trains       1",
    ]


def test_a_column_may_say_its_side(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(
        [Column("seed", CellAlignment.LEFT), Column("when", CellAlignment.RIGHT)], [[1, "a"], [10, "bc"]]
    )
    assert capsys.readouterr().out == "seed  when\n1        a\n10      bc\n"


def test_no_rows_leave_the_header(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["a", "b"], [])
    assert capsys.readouterr().out == "a  b\n"


@pytest.mark.parametrize("width", [20, 40, 60, 100])
def test_on_a_terminal_lines_fit_words_wrap_and_nothing_is_lost(
    terminal: Callable[[int], Terminal], width: int
) -> None:
    output = terminal(width)
    print_table(["name", "stored", "share"], ROWS)
    lines = strip_styles(output.getvalue()).splitlines()
    assert max(map(len, lines)) <= width
    everything = "name stored share" + "".join(str(cell) for row in ROWS for cell in row)
    assert sorted("".join("".join(lines).split())) == sorted("".join(everything.split()))
    if width >= 40:
        column = " ".join(line[: lines[0].index("stored")].strip() for line in lines[2:])
        assert " ".join(column.split()) == ROWS[1][0], "words stay whole"


def test_a_long_name_is_folded_and_not_cut(terminal: Callable[[int], Terminal]) -> None:
    output = terminal(30)
    name = "webnlg-prefix-mini-gpt2-s101-0123456789abcdef"
    print_table(["run", "state"], [[name, "done"]])
    lines = strip_styles(output.getvalue()).splitlines()
    assert "".join(line[:24].strip() for line in lines[1:]) == name


@pytest.mark.parametrize("in_terminal", [False, True])
def test_what_others_wrote_cannot_steer_the_terminal(
    terminal: Callable[[int], Terminal], capsys: pytest.CaptureFixture[str], in_terminal: bool
) -> None:
    hostile = "\x1b[31mred\x1b]0;title\x07 two\nlines\u202eright-to-left [bold]no markup[/bold] :smile:"
    output = terminal(200) if in_terminal else None
    print_table(["error"], [[hostile]])
    text = strip_styles(output.getvalue()) if output is not None else capsys.readouterr().out
    assert len(text.splitlines()) == 2
    assert not set(text) & {"\x1b", "\x07", "\u202e"}
    assert r"\x1b[31mred\x1b]0;title\x07 two\nlines\u202eright-to-left" in text
    assert "[bold]no markup[/bold] :smile:" in text


def test_text_in_any_script_stays_as_it_is() -> None:
    assert escape_controls("naïve 東京\u00a0£5 – σ²") == "naïve 東京\u00a0£5 – σ²"
