"""The experiments: the runs behind each table and figure of the paper, one TOML file each.

    from bench.experiments.expansion import expand_experiments
    expand_experiments("table5", "mini").requests

A file names tasks, methods, models, seeds and settings, each setting with where its value comes from;
``expand_experiments`` makes requests of them (``bench.config.request``) that the harness runs like any other.
What a file prescribes lies between the method's own settings and the command line: it is the paper's, not the
user's. A run that several experiments need is one run. See ``bench/experiments/table5.toml`` for a short
file and ``figure3.toml`` for one with subsets; ``bench.experiments.files`` says what a file may hold.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench import registry
from bench.config import run_key
from bench.config.request import CommonOptions, RunRequest, check_common_options, parse_seeds
from bench.config.setting_lists import (
    expand_typed_settings,
    list_varied_settings,
    parse_elements,
    parse_setting_values,
)
from bench.config.settings import DEFINITIONS_BY_NAME, format_flag, format_value
from bench.config.specification import ResolvedSettings
from bench.errors import UnknownNameError, UserError
from bench.experiments.files import (
    PrescribedRun,
    has_experiment,
    list_experiments,
    list_paper_experiments,
    list_prescribed_runs,
)
from bench.models.catalogue import MODELS

__all__ = [
    "Expansion",
    "ExperimentRun",
    "ExperimentSelection",
    "PrescribedRun",
    "expand_experiments",
    "list_experiments",
    "select_runs",
]


@dataclass(frozen=True)
class ExperimentSelection:
    """Which runs of an experiment, as typed on the command line; None: all."""

    tasks: str | None = None
    methods: str | None = None
    models: str | None = None
    seeds: str | None = None
    """These in place of the experiment's own: more of them extend it."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """Values of settings that the experiment varies, lists as typed: ``{"train_subset": "50,100"}``."""


@dataclass
class ExperimentRun:
    """One run that an experiment wants, and the request for it, or why there is none here."""

    prescribed: PrescribedRun
    request: RunRequest | None = None
    resolved: ResolvedSettings | None = None
    reason: str = ""
    key: str = ""
    """Of ``bench.config.run_key``; of the wanted run's own words where it is not available."""
    experiments: list[str] = field(default_factory=list)
    """Those that want it."""
    copies: int = 0
    """How often it was wanted."""


@dataclass
class Expansion:
    """The runs of one or several experiments, each once."""

    names: tuple[str, ...]
    scale: str
    runs: list[ExperimentRun]

    @property
    def duplicates(self) -> int:
        """How many more there would be if every experiment had its own."""
        return sum(run.copies - 1 for run in self.runs)

    @property
    def requests(self) -> list[RunRequest]:
        """Those that can be asked for here."""
        return [run.request for run in self.runs if run.request is not None]

    @property
    def unavailable(self) -> list[ExperimentRun]:
        """Those whose task, method or model is not part of this installation."""
        return [run for run in self.runs if run.request is None]


def expand_experiments(
    experiments: str | Sequence[str],
    scale: str,
    chosen: ExperimentSelection | None = None,
    common: CommonOptions | None = None,
) -> Expansion:
    """The runs of ``experiments`` (names, or ``all``) at a scale, narrowed by ``chosen``, with its seeds if any.

    ``common.given`` overrides what experiments prescribe, save for settings that they vary: those
    narrow. ``common.model`` is not used: an experiment names its models. Raises ``UserError`` for
    an unknown experiment (with the nearest names) and for a selection that fits no run.
    """
    asked = [experiments] if isinstance(experiments, str) else list(experiments)
    asked = list(list_paper_experiments()) if "all" in asked else list(dict.fromkeys(asked))
    for name in asked:
        if not has_experiment(name):
            raise UnknownNameError("experiment", name, [*list_experiments(), "all"], "bench list experiments")
    base = replace(common or CommonOptions(), scale=scale, model=None)
    check_common_options(base)
    chosen = chosen or ExperimentSelection()
    pieces = [
        (name, run)
        for name in asked
        for run in replace_seeds(list_prescribed_runs(name, scale), chosen.seeds)
    ]
    varied = {name for _, run in pieces for name in run.varied}
    narrowing = {name: value for name, value in base.given.items() if name in varied}
    combinations = expand_typed_settings({n: v for n, v in base.given.items() if n not in narrowing})
    listed = list_varied_settings(combinations)
    chosen = replace(chosen, settings={**chosen.settings, **narrowing})

    runs: dict[str, ExperimentRun] = {}
    for (name, run), given in itertools.product(pieces, combinations):
        candidate = request_run(run, replace(base, given=given), listed)
        entry = runs.setdefault(candidate.key, candidate)
        entry.copies += 1
        if name not in entry.experiments:
            entry.experiments.append(name)
    candidates = list(runs.values())
    source = ", ".join(asked) if len(asked) <= 3 else "these experiments"
    return Expansion(tuple(asked), scale, select_runs(candidates, chosen, source))


def replace_seeds(runs: Sequence[PrescribedRun], typed_seeds: str | None) -> list[PrescribedRun]:
    """The runs as the experiment has them, or each once with every seed that was typed."""
    if typed_seeds is None:
        return list(runs)
    seeds = parse_seeds(typed_seeds)
    distinct = {repr(replace(run, seed=0).words()): run for run in runs}
    return [replace(run, seed=seed) for run in distinct.values() for seed in seeds]


def request_run(
    prescribed: PrescribedRun, base: CommonOptions, listed: tuple[str, ...] = ()
) -> ExperimentRun:
    """The request for a prescribed run; where its task, method or model is unknown, the reason."""
    try:
        registry.get_task(prescribed.task)
        if prescribed.model not in MODELS:
            raise UnknownNameError("model", prescribed.model, MODELS)
        request = RunRequest(
            registry.get_task(prescribed.task),
            registry.get_method(prescribed.method),
            options={},
            seed=prescribed.seed,
            common=replace(base, model=prescribed.model),
            preset={**prescribed.options, **prescribed.settings},
            experiment=prescribed.experiment,
            selecting=(*prescribed.options, *prescribed.varied),
            listed=listed,
        )
        replace(request, common=replace(request.common, given={})).resolve(prescribed.model)
    except UserError as error:
        return ExperimentRun(prescribed, reason=_why(error, prescribed), key=repr(prescribed.words()))
    resolved = request.resolve(prescribed.model)  # what is wrong with typed values is the user's to know
    return ExperimentRun(prescribed, request, resolved, key=run_key.compute_run_key(request, resolved))


def _why(error: UserError, prescribed: PrescribedRun) -> str:
    """The reason in few words; a name that is not here needs no guesses at others."""
    for kind, name in (("task", prescribed.task), ("method", prescribed.method), ("model", prescribed.model)):
        if isinstance(error, UnknownNameError) and (error.kind, error.name) == (kind, name):
            return f"{kind} {name} is not part of this installation"
    return str(error)


def select_runs(
    runs: Sequence[ExperimentRun], chosen: ExperimentSelection, source: str
) -> list[ExperimentRun]:
    """The runs that fit every selector; ``UserError`` where a selector, or all together, fit none."""
    if not runs:
        return []
    selected = list(runs)
    for attribute, text, values in (
        ("task", chosen.tasks, [run.prescribed.task for run in runs]),
        ("model", chosen.models, [run.prescribed.model for run in runs]),
    ):
        if text is not None:
            picked = parse_elements(f"--{attribute}", text, str, f"--{attribute} {','.join(values[:2])}")
            for word in picked:
                if word not in values:
                    raise UnknownNameError(f"{attribute} of {source}", word, set(values))
            selected = [run for run in selected if getattr(run.prescribed, attribute) in picked]
    if chosen.methods is not None:
        selected = _by_method(runs, selected, chosen.methods, source)
    for name, typed in chosen.settings.items():
        values = _parse_present_values(runs, name, typed, source)
        selected = [run for run in selected if _value(run, name) in values]
    if not selected:
        raise UserError(f"{source}: no run fits all of these selectors; see bench plan")
    return selected


def _parse_present_values(runs: Sequence[ExperimentRun], name: str, typed: object, source: str) -> list[Any]:
    """The typed values of a setting, each of which must be that of one of ``runs``."""
    values = parse_setting_values(DEFINITIONS_BY_NAME[name], typed)
    have = {_value(run, name) for run in runs}
    for value in values:
        if value not in have:
            raise UserError(
                f"{format_flag(name)} {format_value(value)}: {source} has {_list_values(have)}; "
                "expected one of them"
            )
    return values


def _list_values(values: Iterable[object]) -> str:
    """Values of a setting as one types them, in a fixed order."""
    texts = (format_value(value) for value in values if value is not None)
    return ", ".join(sorted(texts, key=lambda text: (len(text), text)))


def _by_method(
    runs: Sequence[ExperimentRun], selected: Iterable[ExperimentRun], selectors: str, source: str
) -> list[ExperimentRun]:
    """Those of ``kept`` that fit one of the method selectors, each of which must fit one of ``runs``."""
    parsed = registry.parse_selector(selectors)
    for name, options in parsed:
        same = [run for run in runs if run.prescribed.method == name]
        if not same:
            raise UnknownNameError(f"method of {source}", name, {run.prescribed.method for run in runs})
        if not any(_has_options(run, options) for run in same):
            if (method := registry.methods().get(name)) is not None:
                method.resolve_options(options)  # a misspelt option or a bad value says so
            typed_options = ",".join(f"{option}={value}" for option, value in options.items())
            listing = ", ".join(dict.fromkeys(run.prescribed.selector for run in same))
            raise UserError(
                f"--method {name}[{typed_options}]: {source} has {listing}; expected some of them"
            )
    return [
        run
        for run in selected
        if any(run.prescribed.method == name and _has_options(run, options) for name, options in parsed)
    ]


def _has_options(run: ExperimentRun, options: Mapping[str, str]) -> bool:
    if run.request is None or run.resolved is None:
        return all(str(run.prescribed.options.get(n, (None,))[0]) == value for n, value in options.items())
    definitions = {option.name: option for option in run.request.method.options}
    for name, value in options.items():
        if name not in definitions:
            return False
        try:
            parsed = definitions[name].parse(value, run.prescribed.method)
        except UserError:
            return False
        if run.resolved.options[name].value != parsed:
            return False
    return True


def _value(run: ExperimentRun, name: str) -> Any:
    """A setting of a run, as far as it is known."""
    if run.resolved is not None:
        return run.resolved.settings[name].value if name in run.resolved.settings else None
    return (
        DEFINITIONS_BY_NAME[name].parse(run.prescribed.settings[name][0])
        if name in run.prescribed.settings
        else None
    )
