"""The first lines of a job: the program that Python runs, by its path in the snapshot of the source.

    python -P SNAPSHOT/bench/cluster/bootstrap.py [--job] [--cores N] [--folder DIR] -u -m MODULE ...

Runs MODULE with the packages beside this file, whatever PYTHONPATH says: that one cannot name a directory with a
``:`` in its path. Where Python imports another ``bench`` all the same the job fails at once. With ``--job``:

- a signal that comes while Python still imports is noted, and does not kill the job;
- libraries start no more threads than the job was given, ``--cores`` of them at most;
- the launcher's own reports and the libraries' hints stay out of the log;
- submitit reads and writes in ``--folder``, by a path that it can read (``plain_folder``).

What takes time is imported after that.
"""

from __future__ import annotations

import os
import signal
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
QUIET = {
    "SUBMITIT_LOG_LEVEL": "ERROR",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "DATASETS_VERBOSITY": "error",
}
"""What libraries read to say less; what the user set stays."""


def note_signals() -> list[int]:
    """From now on the signals that stop a job are noted; the list that they are noted in."""
    noted: list[int] = []
    name = os.environ.get("SUBMITIT_PREEMPT_SIGNAL", "USR2")
    for number in {signal.SIGTERM, getattr(signal, f"SIG{name}", signal.SIGUSR2)}:
        signal.signal(number, lambda number, _frame: noted.append(number))
    return noted


def use_source() -> None:
    """Import the packages beside this file before all others; exit where Python has others."""
    sys.path[:] = [SOURCE, *(path for path in sys.path if path != SOURCE)]
    import bench

    imported = os.path.dirname(os.path.dirname(os.path.abspath(bench.__file__ or "")))  # noqa: PTH100, PTH120
    if os.path.realpath(imported) != os.path.realpath(SOURCE):
        sys.exit(
            f"bench: failed [error] this job is to run the source in {SOURCE!r} and imports the one in "
            f"{imported!r}: nothing was run. Submit from an environment where no other bench comes first"
        )


def take_option(words: list[str], name: str) -> str | None:
    """The value of an option that stands first in ``words``, taken out of them."""
    if words[:1] != [name]:
        return None
    del words[0]
    return words.pop(0)


def main(words: list[str]) -> None:
    """Run what the command line names."""
    is_job = words[:1] == ["--job"]
    noted = note_signals() if is_job else []
    del words[: int(is_job)]
    cores, folder = take_option(words, "--cores"), take_option(words, "--folder")
    use_source()
    if is_job:
        from bench.cluster import job_start
        from bench.system import cpus

        job_start.signals = noted
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        cpus.limit_threads(None if cores is None else int(cores))
        job_start.cpus = cpus.find_cpu_share()
    options = words.index("-m")
    module, *arguments = words[options + 1 :]
    run_module(module, arguments, folder)


def run_module(module: str, arguments: list[str], folder: str | None) -> None:
    """As ``python -m module arguments``; ``folder`` replaces the last one of them."""
    import contextlib
    import runpy
    from pathlib import Path

    with contextlib.ExitStack() as stack:
        if folder is not None:
            from bench.cluster.plain_folder import open_plain_folder

            arguments[-1] = str(stack.enter_context(open_plain_folder(Path(folder))))
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
