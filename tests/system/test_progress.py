"""Progress is seen where it should be, seldom enough, and never in the way."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bench.cli import main
from bench.system import progress


class Screen(io.StringIO):
    """Standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def monotonic(self) -> float:
        return self.time


@pytest.fixture(autouse=True)
def loud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "settings", progress.ProgressSettings(quiet=False))
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    out, err = capsys.readouterr()
    assert out == ""  # standard output belongs to the answer
    return err.splitlines()


def test_items_pass_through_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress.track_progress(["a", "b"], "reading", "files")) == ["a", "b"]
    assert list(progress.track_progress(5, "counting", start=2)) == [2, 3, 4]
    assert list(progress.track_progress(iter("xyz"), "unknown length")) == ["x", "y", "z"]
    shown = lines(capsys)
    assert len(shown) == 3
    assert shown[0].startswith("reading: 2/2 files (100 %)")
    assert shown[1].startswith("counting: 5/5 (100 %)")
    assert shown[2].startswith("unknown length: 3")
    assert all(", done after 0 s" in text for text in shown)


def test_lines_at_most_every_ten_seconds(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    for _ in progress.track_progress(1000, "fast", "steps"):
        clock.time += 0.1  # 100 seconds in all: a tenth each ten seconds
    assert 9 <= len(lines(capsys)) <= 11
    for _ in progress.track_progress(100_000, "slow", "steps"):
        clock.time += 0.036  # an hour: a line a minute
    assert 55 <= len(lines(capsys)) <= 62


def test_rate_and_time_left_do_not_count_what_an_earlier_attempt_did(
    capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    with progress.track_progress(1000, "training", "steps", start=500) as bar:
        for _ in range(200):
            bar.note("loss 2.31")
            clock.time += 0.5
            bar.advance()
        first = lines(capsys)[0]
        assert first == "training: 600/1000 steps (60 %), 2.0 steps/s, 3 min 20 s left, loss 2.31"
    assert lines(capsys)[-1].endswith("done after 1 min 40 s, loss 2.31")


def test_a_stopped_loop_does_not_say_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), progress.track_progress(3, "training") as bar:
        bar.advance()
        raise KeyError
    with pytest.raises(KeyError):
        for _ in progress.track_progress(failing(), "decoding"):
            pass
    assert ["stopped" in text for text in lines(capsys)] == [True, True]


def failing() -> Iterator[int]:
    yield 1
    raise KeyError


def test_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    for item in progress.track_progress(3, "training", "steps"):
        if item == 1:
            progress.print_message("validation loss 2.1")
    text = screen.getvalue()
    assert "\r" in text
    assert "training: 100%" in text
    assert "3/3" in text
    assert "validation loss 2.1\n" in text
    assert progress._Bar.count == 0


def test_a_bar_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    monkeypatch.setattr(sys, "stderr", Screen())
    before = threading.active_count()
    with progress.track_progress(3, "training") as bar:
        bar.advance()
        assert threading.active_count() == before


def test_dumb_terminals_get_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "dumb")
    list(progress.track_progress(3, "training"))
    assert "\r" not in screen.getvalue()


def test_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    progress.settings.quiet = True
    assert list(progress.track_progress(3, "training")) == [0, 1, 2]
    progress.print_message("a remark")
    progress.print_message("a warning", important=True)
    assert lines(capsys) == ["a warning"]
    monkeypatch.setenv("BENCH_QUIET", "1")
    assert progress.ProgressSettings().quiet
    monkeypatch.setenv("BENCH_QUIET", "0")
    assert not progress.ProgressSettings().quiet


def test_quietness_ends_where_it_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), progress.silence_progress():
        progress.print_message("a remark")
        raise ZeroDivisionError
    assert main(["-q", "list", "methods"]) == 0
    capsys.readouterr()
    progress.print_message("another")
    assert lines(capsys) == ["another"]


@pytest.mark.parametrize("broken", ["closed", "none"])
def test_a_broken_screen_does_not_stop_the_work(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    screen = io.StringIO()
    screen.close()
    monkeypatch.setattr(sys, "stderr", screen if broken == "closed" else None)
    assert list(progress.track_progress(3, "training")) == [0, 1, 2]
    progress.print_message("heard by nobody")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (59.6, "1 min 00 s"), (440, "7 min 20 s"), (11_100, "3 h 05 min")],
)
def test_durations(seconds: float, words: str) -> None:
    assert progress.format_duration(seconds) == words


def test_slow_steps_are_told_in_seconds_each() -> None:
    shown = progress.format_progress_line("runs", "runs", 2, 4, 2, 60.0)
    assert shown == "runs: 2/4 runs (50 %), 30.0 s per run, 1 min 00 s left"


@pytest.mark.parametrize(
    ("unit", "one"),
    [("updates", "update"), ("batches", "batch"), ("sentences", "sentence"), ("files", "file"), ("", "it")],
)
def test_slow_work_is_told_per_one(unit: str, one: str) -> None:
    assert f", 1.1 s per {one}, " in progress.format_progress_line("training", unit, 10, 100, 10, 11.0)


# --- texts of others


HOSTILE = "\x1b[2J\x07\u202ename\nforged"


def test_a_message_is_short_and_acts_on_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    progress.print_message(f"left out: {HOSTILE}{'x' * 5_000_000}; remove it", important=True)
    message = capsys.readouterr().err
    assert message.startswith("left out: \\x1b[2J\\x07\\u202ename\n  forgedxxx")
    assert message.endswith("x; remove it\n") and len(message) <= 501


def test_labels_and_notes_of_progress_are_escaped_and_cut(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.track_progress(3, f"label {HOSTILE}", "steps") as tracker:
        tracker.note(f"{HOSTILE}{'y' * 5_000_000}")
        tracker.advance()
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "\x1b" not in line and "\u202e" not in line
    assert "label \\x1b[2J" in line and "(5,000,017 characters)" in line


def test_a_traceback_keeps_its_last_line_and_acts_on_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    progress.print_traceback(ValueError(f"{'z' * 5_000_000}\n{HOSTILE}" + "\nline" * 5_000 + "\nthe end"))
    trace = capsys.readouterr().err
    assert trace.startswith("ValueError: zzz") and trace.endswith("\nthe end\n")
    assert "(5,000,012 characters)" in trace and "lines left out)" in trace and len(trace) < 20_000
    assert "\x1b" not in trace and "\\x1b[2J\\x07\\u202ename\n" in trace


def test_what_python_prints_of_errors_and_warnings_is_escaped() -> None:
    code = (
        "import warnings; from bench.system.progress import escape_interpreter_output as escape; escape(); "
        f"warnings.warn({HOSTILE!r}); raise ValueError({HOSTILE!r})"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1 and "Traceback" in ran.stderr and "UserWarning: \\x1b[2J" in ran.stderr
    assert "\x1b" not in ran.stderr and "\u202e" not in ran.stderr
