"""What was asked for, and what it needs: from the words of a command to specifications of runs."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench import registry
from bench.config.comparability import Incomparable, IncomparableKind, make_backbone_not_verified
from bench.config.judgement import check_resolved_settings, parse_seed
from bench.config.setting_lists import expand_typed_settings, list_varied_settings, parse_elements
from bench.config.settings import DEFINITIONS_BY_NAME, format_value
from bench.config.specification import (
    PROTOCOLS,
    SCALES,
    ResolvedSettings,
    RunSpec,
    make_spec,
    resolve_run_settings,
)
from bench.config.subset_sizes import check_subset_sizes
from bench.data.dataset import prepare
from bench.errors import DataError, UnknownNameError, UserError
from bench.foreign_text import show_foreign
from bench.method import Method, Settings
from bench.models.catalogue import (
    MODEL_KIND_BY_TASK_KIND,
    MODELS,
    LocatedModel,
    find_model_kind,
    find_model_sizes,
    inspect_checkpoint,
    locate_model,
)
from bench.system.json_files import JsonObject
from bench.system.paths import find_folder_problem
from bench.system.progress import print_message
from bench.task import DataOrigin, Prepared, ProtocolName, Task

DEFAULT_MODEL = {
    "table-to-text": {"mini": "mini-gpt2", "paper": "gpt2-medium"},
    "summarization": {"mini": "mini-bart", "paper": "bart-large"},
}
"""Kind of task -> scale -> model where none is given."""


@dataclass(frozen=True)
class CommonOptions:
    """What all runs of one command share."""

    model: str | None = None
    scale: str = "mini"
    protocol: ProtocolName = "original"
    data_dir: Path | None = None
    runs: Path = Path("runs")
    offline: bool = False
    strict: bool = True
    given: Mapping[str, object] = field(default_factory=dict)
    """Settings that were typed; a command's may be lists (``bench.config.setting_lists``), a request's are not."""


@dataclass(frozen=True)
class RunRequest:
    """One run that was asked for."""

    task: Task
    method: Method
    options: Mapping[str, object]
    seed: int
    common: CommonOptions
    preset: Settings = field(default_factory=dict)
    """Options and settings that an experiment prescribes, each with its origin; the command line wins."""
    experiment: str | None = None
    selecting: tuple[str, ...] = ()
    """Names in ``preset`` that tell this run from the others of its experiment."""
    listed: tuple[str, ...] = ()
    """Typed settings that tell this run from the others of its command: they were typed as lists."""

    @property
    def model(self) -> str:
        """The backbone's name or directory."""
        return self.common.model or DEFAULT_MODEL[self.task.kind][self.common.scale]

    def resolve(self, model: str) -> ResolvedSettings:
        """Options and settings with their origins; ``model``: the backbone's name. Looks for nothing.

        Raises ``UserError`` for what cannot be carried out, whoever decided it (``bench.config.judgement``).
        """
        kind = find_model_kind(self.model)
        resolved = resolve_run_settings(
            self.task,
            self.method,
            self.options,
            self.common.given,
            model,
            self.common.scale,
            self.common.protocol,
            kind,
            self.preset,
        )
        options = {name: setting.value for name, setting in resolved.options.items()}
        settings = {name: setting.value for name, setting in resolved.settings.items()}
        check_resolved_settings(self.method, options, settings, kind, find_model_sizes(self.model))
        return resolved

    def describe(self) -> str:
        shown_values = {name: self.preset[name][0] for name in self.selecting} | dict(self.options)
        shown_values |= {name: format_value(self.common.given[name]) for name in self.listed}
        option_names = {option.name for option in self.method.options}
        inside = ",".join(f"{name}={value}" for name, value in shown_values.items() if name in option_names)
        parts = [f"{self.method.name}{f'[{inside}]' if inside else ''} on {self.task.name}"]
        parts += [f"{name} {value}" for name, value in shown_values.items() if name not in option_names]
        return ", ".join([*parts, f"seed {self.seed}"])

    def to_json(self) -> JsonObject:
        """Plain data from which ``read_request`` makes the request again, on another machine too."""
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
            "preset": {name: list(entry) for name, entry in self.preset.items()},
            "experiment": self.experiment,
            "selecting": list(self.selecting),
            "listed": list(self.listed),
        }


def read_request(data: Mapping[str, Any]) -> RunRequest:
    """The inverse of ``Request.to_json``; ``DataError`` for a document that is no request."""
    try:
        common = CommonOptions(
            model=data["model"],
            scale=data["scale"],
            protocol=data["protocol"],
            data_dir=None if data["data_dir"] is None else Path(data["data_dir"]),
            runs=Path(data["runs"]),
            offline=data["offline"],
            strict=data["strict"],
            given=dict(data["given"]),
        )
        names = str(data["task"]), str(data["method"])
        preset = {name: (value, origin) for name, (value, origin) in dict(data["preset"]).items()}
        options, seed, experiment = dict(data["options"]), int(data["seed"]), data["experiment"]
        selecting, listed = tuple(data["selecting"]), tuple(data.get("listed", ()))
    except (KeyError, TypeError, ValueError) as error:
        problem = f"{type(error).__name__}: {show_foreign(error)}"
        raise DataError(
            f"a job's request is damaged ({problem}); submit the run again: bench submit"
        ) from error
    return RunRequest(
        registry.get_task(names[0]),
        registry.get_method(names[1]),
        options,
        seed,
        common,
        preset=preset,
        experiment=experiment,
        selecting=selecting,
        listed=listed,
    )


@dataclass(frozen=True)
class SpecifiedRun:
    """A request with everything found that it needs."""

    spec: RunSpec
    task: Task
    method: Method
    data: Prepared
    model: LocatedModel
    command: str
    """The command line that asks for this run again."""
    strict: bool = True
    """Whether every split was required to have its published size."""
    experiment: str | None = None
    """The experiment that the run was asked for by."""
    common: CommonOptions = field(default_factory=CommonOptions)
    """What the run shares with the others of its command: where runs are kept, whether the network may be asked."""

    @property
    def incomparable(self) -> list[Incomparable]:
        """Why no number of the paper can stand beside this run's; empty where one can."""
        spec = self.spec
        reasons = []
        if spec.scale != "paper":
            reasons.append(Incomparable(IncomparableKind.SCALE, f"scale {spec.scale}"))
        if spec.protocol != "original":
            reasons.append(Incomparable(IncomparableKind.PROTOCOL, f"protocol {spec.protocol}"))
        if self.data.origin == DataOrigin.MINI:
            reasons.append(Incomparable(IncomparableKind.INVENTED_DATA, "data of an invented world"))
        if not self.strict:
            text = "the splits' sizes were not required to be the published ones"
            reasons.append(Incomparable(IncomparableKind.ROW_COUNTS, text))
        if not self.model.verification.is_verified:
            if self.model.origin.is_named:
                reasons.append(make_backbone_not_verified(self.model.name, self.model.verification.reason))
            else:
                reasons.append(Incomparable(IncomparableKind.BACKBONE, f"backbone: {self.model.origin.text}"))
        typed = [
            name
            for name, setting in spec.settings.items()
            if setting.typed and DEFINITIONS_BY_NAME[name].identity
        ]
        if typed:
            text = f"settings from the command line: {', '.join(typed)}"
            reasons.append(Incomparable(IncomparableKind.TYPED_SETTINGS, text))
        return reasons

    @property
    def not_comparable(self) -> list[str]:
        """``incomparable`` in words."""
        return [reason.text for reason in self.incomparable]


def expand_requests(methods: str, tasks: str, seeds: str, common: CommonOptions) -> list[RunRequest]:
    """The product of the lists, those of ``common.given`` too, each run once; every name is checked first."""
    check_common_options(common)
    chosen_tasks = parse_elements("--task", tasks, registry.get_task, "--task e2e,webnlg")
    chosen = list_selections(methods)
    combinations = expand_typed_settings(common.given)
    listed = list_varied_settings(combinations)
    return [
        RunRequest(task, method, options, seed, replace(common, given=given), listed=listed)
        for task, (method, options), given, seed in itertools.product(
            chosen_tasks, chosen, combinations, parse_seeds(seeds)
        )
    ]


def list_selections(methods: str) -> list[tuple[Method, dict[str, str]]]:
    """The methods and options that a selector stands for; those that come to the same once."""
    distinct: dict[str, tuple[Method, dict[str, str]]] = {}
    for name, options in registry.parse_selector(methods):
        method = registry.get_method(name)
        resolved = method.resolve_options(options)
        # What was typed counts as well: a typed default is on record as typed.
        distinct.setdefault(repr((name, resolved, sorted(options))), (method, options))
    return list(distinct.values())


def check_common_options(common: CommonOptions) -> None:
    """Refuse a scale, protocol, data directory or setting that cannot be."""
    if common.scale not in SCALES:
        raise UnknownNameError("scale", common.scale, SCALES)
    if common.protocol not in PROTOCOLS:
        raise UnknownNameError("protocol", common.protocol, PROTOCOLS)
    if common.data_dir is not None:
        problem = find_folder_problem(common.data_dir)
        if problem is None and not common.data_dir.is_dir():
            problem = "no such directory"
        if problem is not None:
            raise UserError(
                f"--data-dir {show_foreign(common.data_dir)}: {problem}; "
                "expected a directory with e2e/, webnlg/, dart/ or xsum/"
            )
    expand_typed_settings(common.given)


def parse_seeds(text: str) -> list[int]:
    """``1,2,3`` as numbers, each once."""

    def parse(element: str) -> int:
        try:
            return parse_seed(element)
        except UserError as error:
            place = "" if element == text else f", in the list {show_foreign(text)}"
            raise UserError(f"{error}{place}") from None

    return parse_elements("--seed", text, parse, "--seed 101,22,9")


def check_model_fits_task(task: Task, model: str) -> None:
    """Refuse a kind of model that a kind of task is not run on, before its weights are looked for.

    The paper has table-to-text on GPT-2 and summarisation on BART only (its footnote 5 drops GPT-2 on
    XSUM), and everything that a run takes from it, settings, framing and decoding, is for these pairs.
    """
    kind, expected = find_model_kind(model), MODEL_KIND_BY_TASK_KIND[task.kind]
    if kind != expected:
        fitting = ", ".join(name for name, entry in MODELS.items() if entry.kind == expected)
        raise UserError(
            f"--task {task.name} ({task.kind}) with --model {model} ({kind}): the paper and its code have "
            f"this task on {expected} models only; expected {fitting}, or a directory with such a checkpoint"
        )


class Resolver:
    """Finds data and backbones for the many runs of one command or job, each once.

    Files that runs share are looked for and hashed once, and so is what cannot be had: a network that does not
    answer is waited for once. One resolver belongs to one command: later changes of the files are not seen.
    """

    def __init__(self) -> None:
        self._results: dict[tuple[object, ...], Any] = {}

    def specify(self, request: RunRequest) -> SpecifiedRun:
        """Find data and backbone, and resolve every setting. Nothing is written.

        Raises ``UserError``: an unknown or unfit model, data or weights that cannot be had, a bad setting.
        """
        check_model_fits_task(request.task, request.model)
        model = self.locate_model(request)
        resolved = request.resolve(model.name)
        data = self.prepare_data(request, list_splits(request, resolved))
        return build_specified_run(request, model, data, resolved)

    def locate_model(self, request: RunRequest) -> LocatedModel:
        """The request's backbone, its files inspected and hashed.

        One that costs the paper's scale and fills no cell is said beforehand.
        """
        offline = request.common.offline

        def find() -> LocatedModel:
            model = locate_model(request.model, allow_download=not offline)
            inspect_checkpoint(model)
            if (
                request.common.scale == "paper"
                and model.origin.is_named
                and not model.verification.is_verified
            ):
                reason = make_backbone_not_verified(model.name, model.verification.reason)
                print_message(
                    f"no number of the paper can stand beside these runs: {reason.text}", important=True
                )
            return model

        result: LocatedModel = self._once(("model", request.model, offline), find)
        return result

    def prepare_data(self, request: RunRequest, splits: tuple[str, ...]) -> Prepared:
        """The files of ``splits``, hashed and counted."""
        common = request.common
        key = (request.task.name, common.data_dir, common.offline, common.scale, splits, common.strict)
        result: Prepared = self._once(
            ("data", *key),
            lambda: prepare(
                request.task,
                common.data_dir,
                allow_download=not common.offline,
                scale=common.scale,
                splits=splits,
                strict=common.strict,
            ),
        )
        return result

    def _once(self, key: tuple[object, ...], find: Callable[[], Any]) -> Any:
        """What ``find`` returns or refuses, the same for every request with this ``key``."""
        if key not in self._results:
            try:
                self._results[key] = find()
            except UserError as error:
                self._results[key] = error
        if isinstance(self._results[key], UserError):
            raise self._results[key].with_traceback(None)
        return self._results[key]


def specify_run(request: RunRequest, resolver: Resolver | None = None) -> SpecifiedRun:
    """``Resolver.specify`` for a single run."""
    return (resolver or Resolver()).specify(request)


def list_splits(request: RunRequest, resolved: ResolvedSettings) -> tuple[str, ...]:
    """The splits whose files the run reads: untrained methods do not need the training's."""
    return resolved.splits if request.method.trains else (resolved.settings["test_split"].value,)


def build_specified_run(
    request: RunRequest, model: LocatedModel, data: Prepared, resolved: ResolvedSettings | None = None
) -> SpecifiedRun:
    """The request with a backbone and data that were found; ``resolved``: its settings, if at hand."""
    common = request.common
    spec = make_spec(
        request.task,
        request.method,
        resolved or request.resolve(model.name),
        model=model.name,
        model_fingerprint=model.fingerprint,
        scale=common.scale,
        protocol=common.protocol,
        seed=request.seed,
        data_origin=data.origin,
        data_fingerprint=data.fingerprint,
    )
    if request.method.trains:
        check_subset_sizes(spec.settings, data.expected, request.task.name)
    given_dir = str(common.data_dir) if data.origin == DataOrigin.DIRECTORY else None
    command = spec.command(common.model, given_dir, request.experiment, request.selecting)
    if not common.strict:
        command += " --any-row-count"
    if common.runs != Path("runs"):
        command += f" --runs {shlex.quote(str(common.runs))}"
    return SpecifiedRun(
        spec, request.task, request.method, data, model, command, common.strict, request.experiment, common
    )
