"""From a request to a record: what was asked for, what it needs, and carrying it out.

The same request continues a killed run, and a finished one is found. A failure is recorded as what
it was; a request that is wrong leaves nothing behind. The stages themselves are in ``bench.stages``.
"""

from __future__ import annotations

import errno
import itertools
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import registry
from bench.data import prepare
from bench.device import rank
from bench.errors import UserError, unknown
from bench.files import StorageError
from bench.method import Method
from bench.models import locate
from bench.progress import say
from bench.settings import parse_given
from bench.spec import PROTOCOLS, SCALES, make_spec, resolve_run
from bench.stages import Attempt, Specified
from bench.store import RunDir, Store
from bench.task import Protocol, Task

DEFAULT_MODEL = {"mini": "mini-gpt2", "paper": "gpt2-medium"}
MINI_NOTE = (
    "These are mini numbers: an invented world and a backbone of 1.5 million parameters. They say that the\n"
    "machinery works and how methods compare here; they are not the paper's and never stand beside them."
)
SCALE_NOTE = "Scale mini: settings for a trial on real files; no paper number can be compared with this."


@dataclass(frozen=True)
class Common:
    """What all runs of one command share."""

    model: str | None = None
    scale: str = "mini"
    protocol: Protocol = "original"
    data_dir: Path | None = None
    runs: Path = Path("runs")
    offline: bool = False
    strict: bool = True
    given: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """One run that was asked for."""

    task: Task
    method: Method
    options: Mapping[str, object]
    seed: int
    common: Common

    def describe(self) -> str:
        options = ",".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.method.name}{f'[{options}]' if options else ''} on {self.task.name}, seed {self.seed}"


def expand(methods: str, tasks: str, seeds: str, common: Common) -> list[Request]:
    """The product of the lists; every name is checked before anything runs."""
    if common.scale not in SCALES:
        raise unknown("scale", common.scale, SCALES)
    if common.protocol not in PROTOCOLS:
        raise unknown("protocol", common.protocol, PROTOCOLS)
    chosen_tasks = [registry.get_task(name.strip()) for name in tasks.split(",")]
    chosen = [(registry.get_method(name), options) for name, options in registry.parse_selector(methods)]
    for method, options in chosen:
        method.resolve_options(options)
    parse_given(common.given)
    numbers = []
    for text in seeds.split(","):
        try:
            numbers.append(int(text))
        except ValueError:
            raise UserError(f"--seed {seeds}: expected whole numbers separated by commas") from None
    return [
        Request(task, method, options, seed, common)
        for task, (method, options), seed in itertools.product(chosen_tasks, chosen, numbers)
    ]


def specify(request: Request) -> Specified:
    """Find data and backbone, and resolve every setting. Nothing is written."""
    common = request.common
    model = locate(common.model or DEFAULT_MODEL[common.scale], allow_download=not common.offline)
    resolved = resolve_run(
        request.task,
        request.method,
        request.options,
        common.given,
        model.name,
        common.scale,
        common.protocol,
    )
    # Untrained methods do not need the training files.
    splits = resolved.splits if request.method.trains else (resolved.settings["test_split"].value,)
    data = prepare(
        request.task,
        common.data_dir,
        allow_download=not common.offline,
        scale=common.scale,
        splits=splits,
        strict=common.strict,
    )
    spec = make_spec(
        request.task,
        request.method,
        options=request.options,
        given=common.given,
        model=model.name,
        model_fingerprint=model.fingerprint,
        scale=common.scale,
        protocol=common.protocol,
        seed=request.seed,
        data_origin=data.origin,
        data_fingerprint=data.fingerprint,
    )
    given_dir = str(common.data_dir) if data.origin == "directory" else None
    command = spec.command(common.model, given_dir)
    return Specified(spec, request.task, request.method, data, model, command)


def run(request: Request) -> dict[str, Any] | None:
    """Carry a request out, or find it done; the record. Raises what went wrong, after recording it.

    In a launch of many processes the first one keeps the run's folder; the others only take part in
    the training and return None.
    """
    specified = specify(request)
    spec = specified.spec
    folder = Store(request.common.runs).run(spec.run_id)
    done = folder.done_record()
    if done is not None:
        say(f"{spec.run_id} is done already ({folder.path}); nothing to do")
        return done
    if rank() > 0:
        Attempt(specified, folder).take_part()
        return None
    with folder.claim() as claim:
        folder.write_spec(spec.to_json())
        attempt = Attempt(specified, folder, beat=claim.beat)
        try:
            with attempt.stoppable():
                record = attempt.record("done", attempt.carry_out())
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt) or is_interrupt(error)
            status = "cancelled" if interrupted else "failed"
            keep(folder, attempt.record(status, {"error": describe_error(error)}))
            if interrupted:
                raise KeyboardInterrupt(
                    f"{error or 'stopped'}; the same command continues from there: {specified.command}"
                ) from error
            raise
        folder.write_record(record)
        discard_checkpoints(folder)
    return record


def keep(folder: RunDir, record: Mapping[str, Any]) -> None:
    """Write the record of a failure; where even that fails (a full disk), say so and let the cause be seen."""
    try:
        folder.write_record(record)
    except StorageError as error:
        say(f"the failure could not be recorded: {error}", important=True)


def discard_checkpoints(folder: RunDir) -> None:
    """The training state is of no use any more once the run is done; it can be large."""
    for name in ("checkpoint.safetensors", "best.safetensors"):
        (folder.path / name).unlink(missing_ok=True)


def is_interrupt(error: BaseException) -> bool:
    from bench.train import Interrupted

    return isinstance(error, Interrupted)


def describe_error(error: BaseException) -> dict[str, str]:
    """What a failure was, for the record: infrastructure failures are told from wrong requests and bugs."""
    name = type(error).__name__
    if name in ("OutOfMemoryError", "MemoryError") or "out of memory" in str(error).lower():
        kind = "out-of-memory"
    elif (isinstance(error, OSError) and error.errno == errno.ENOSPC) or "No space left" in str(error):
        kind = "disk-full"
    elif isinstance(error, UserError):
        kind = "request"
    elif is_interrupt(error) or isinstance(error, KeyboardInterrupt):
        kind = "interrupted"
    else:
        kind = "error"
    trace = "".join(traceback.format_exception(error))
    return {"kind": kind, "type": name, "message": str(error), "traceback": trace[-4000:]}


def show(record: Mapping[str, Any]) -> None:
    """A finished run as a person reads it, on standard output."""
    import click

    training, parameters = record["training"], record["parameters"]
    click.echo(f"\n{record['method']} on {record['task']}, {record['model']}, seed {record['seed']}")
    share = 100 * parameters["stored"] / parameters["backbone"]
    click.echo(f"  stored parameters  {parameters['stored']:,} ({share:.3g} % of the backbone)")
    if training is not None:
        click.echo(f"  training           {training['updates']} updates, {training['seconds']:.0f} s")
    decoding = record["decoding"]
    click.echo(f"  decoding           {decoding['items']} items, {decoding['seconds']:.0f} s")
    for group, scores in record["scores"].items():
        shown = [f"{name.upper()} {s['value']:.2f}" for name, s in scores.items() if s["value"] is not None]
        click.echo(f"  {group:<18} {', '.join(shown) or 'no score'}")
    missing = sorted({n for s in record["scores"].values() for n, one in s.items() if one["value"] is None})
    if missing:
        click.echo(f"  not computed       {', '.join(missing)} (reasons in the record)")
    if record["data_origin"] == "mini":
        click.echo(MINI_NOTE)
    elif record["scale"] == "mini":
        click.echo(SCALE_NOTE)
    limit = record["settings"]["limit"]["value"]
    if limit is not None:
        click.echo(f"--limit {limit}: a part of the data; no paper number can be compared with this.")
    sys.stdout.flush()
