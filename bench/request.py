"""What was asked for, and what it needs: from the words of a command to specifications of runs."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import registry
from bench.data import prepare
from bench.errors import UserError, unknown
from bench.method import Method
from bench.models import Located, locate
from bench.settings import BY_NAME, parse_given
from bench.spec import PROTOCOLS, SCALES, RunSpec, make_spec, resolve_run
from bench.task import Prepared, Protocol, Task

DEFAULT_MODEL = {"mini": "mini-gpt2", "paper": "gpt2-medium"}


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

    def to_json(self) -> dict[str, Any]:
        """Plain data from which ``from_json`` makes the request again, on another machine too."""
        common = self.common
        return {
            "task": self.task.name,
            "method": self.method.name,
            "options": dict(self.options),
            "seed": self.seed,
            "model": common.model,
            "scale": common.scale,
            "protocol": common.protocol,
            "data_dir": None if common.data_dir is None else str(common.data_dir),
            "runs": str(common.runs),
            "offline": common.offline,
            "strict": common.strict,
            "given": dict(common.given),
        }


def from_json(data: Mapping[str, Any]) -> Request:
    """The inverse of ``Request.to_json``."""
    common = Common(
        model=data["model"],
        scale=data["scale"],
        protocol=data["protocol"],
        data_dir=None if data["data_dir"] is None else Path(data["data_dir"]),
        runs=Path(data["runs"]),
        offline=data["offline"],
        strict=data["strict"],
        given=data["given"],
    )
    task, method = registry.get_task(data["task"]), registry.get_method(data["method"])
    return Request(task, method, data["options"], data["seed"], common)


@dataclass(frozen=True)
class Specified:
    """A request with everything found that it needs."""

    spec: RunSpec
    task: Task
    method: Method
    data: Prepared
    model: Located
    command: str
    """The command line that asks for this run again."""
    strict: bool = True
    """Whether every split was required to have its published size."""

    @property
    def not_comparable(self) -> list[str]:
        """Why no number of the paper can stand beside this run's; empty where one can."""
        spec = self.spec
        reasons = []
        if spec.scale != "paper":
            reasons.append(f"scale {spec.scale}")
        if spec.protocol != "original":
            reasons.append(f"protocol {spec.protocol}")
        if self.data.origin == "mini":
            reasons.append("data of an invented world")
        if not self.strict:
            reasons.append("the splits' sizes were not required to be the published ones")
        if not (self.model.origin == "BENCH_MODELS" or self.model.origin.startswith("hub ")):
            reasons.append(f"backbone: {self.model.origin}")
        typed = [name for name, one in spec.settings.items() if one.origin == "command line"]
        typed = [name for name in typed if BY_NAME[name].identity]
        if typed:
            reasons.append(f"settings from the command line: {', '.join(typed)}")
        return reasons


def expand(methods: str, tasks: str, seeds: str, common: Common) -> list[Request]:
    """The product of the lists; every name is checked before anything runs."""
    if common.scale not in SCALES:
        raise unknown("scale", common.scale, SCALES)
    if common.protocol not in PROTOCOLS:
        raise unknown("protocol", common.protocol, PROTOCOLS)
    if common.data_dir is not None and not common.data_dir.is_dir():
        raise UserError(
            f"--data-dir {common.data_dir}: no such directory; expected one with e2e/, webnlg/ or dart/"
        )
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


Found = MutableMapping[tuple[object, ...], Any]
"""Data and backbones that were found and hashed already, for the many requests of one command."""


def specify(request: Request, found: Found | None = None) -> Specified:
    """Find data and backbone, and resolve every setting. Nothing is written.

    ``found`` keeps what was found from one call to the next, so that files that many requests share are
    hashed once.
    """
    common = request.common
    found = {} if found is None else found
    wanted = common.model or DEFAULT_MODEL[common.scale]
    weights = (wanted, common.offline)
    if weights not in found:
        found[weights] = locate(wanted, allow_download=not common.offline)
    model: Located = found[weights]
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
    files = (request.task.name, common.data_dir, common.offline, common.scale, splits, common.strict)
    if files not in found:
        found[files] = prepare(
            request.task,
            common.data_dir,
            allow_download=not common.offline,
            scale=common.scale,
            splits=splits,
            strict=common.strict,
        )
    data: Prepared = found[files]
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
    if not common.strict:
        command += " --any-row-count"
    if common.runs != Path("runs"):
        command += f" --runs {shlex.quote(str(common.runs))}"
    return Specified(spec, request.task, request.method, data, model, command, common.strict)
