"""Stopping: after the update in training, at once elsewhere, and once only in a scheduler's job."""

from __future__ import annotations

import signal
import threading

import pytest

from bench.runs.job_context import JobContext
from bench.runs.stopping import Stopping


def test_outside_training_it_stops_at_once() -> None:
    stopping = Stopping()
    with pytest.raises(KeyboardInterrupt), stopping.listening():
        signal.raise_signal(signal.SIGTERM)
    assert stopping.asked


def test_in_training_it_waits_for_the_update_and_a_second_signal_does_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stopping = Stopping()
    with stopping.listening(), stopping.after_update():
        signal.raise_signal(signal.SIGINT)
        assert stopping.asked
        assert "stopping after this update; once more to stop at once" in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert not stopping.waits_for_update


def test_a_scheduler_may_repeat_itself_and_its_first_signal_is_noted() -> None:
    place = JobContext({}, (signal.SIGUSR2,))
    stopping = Stopping(place)
    with stopping.listening(), stopping.after_update():
        signal.raise_signal(signal.SIGUSR2)
        signal.raise_signal(signal.SIGTERM)  # changes nothing
        assert place.stopped_by == signal.SIGUSR2
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)  # a person insists


def test_the_handlers_from_before_come_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Stopping().listening():
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] != before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_another_thread_cannot_listen_and_works_all_the_same() -> None:
    done: list[bool] = []

    def work() -> None:
        with Stopping().listening():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
