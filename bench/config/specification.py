"""The specification of a run: an immutable value whose canonical form names the run.

Everything that can change the result is in it, each setting with its origin, together with the
fingerprints of the data and of the backbone. The same specification is the same run: re-issuing a
command continues it or finds it done.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from bench.config import settings as known
from bench.config.judgement import parse_seed
from bench.config.settings import Setting, SettingLayer, resolve_settings
from bench.errors import UserError
from bench.method import DECODER_ONLY, Method, ModelKind, Settings
from bench.system.files import sha256_text
from bench.system.json_files import JsonObject, to_canonical_json
from bench.task import PROTOCOLS as PROTOCOLS
from bench.task import SCALES as SCALES
from bench.task import ProtocolName, Task
from bench.training.selection import KeepRule

FORMAT = 2
"""Raised when the meaning of a specification changes, so that old runs are not taken for new ones."""


@dataclass(frozen=True)
class RunSpec:
    """One training, decoding and scoring with one seed."""

    task: str
    method: str
    options: Mapping[str, Setting]
    model: str
    model_fingerprint: str
    scale: str
    protocol: ProtocolName
    seed: int
    settings: Mapping[str, Setting]
    data_origin: str
    data_fingerprint: str
    trains: bool = True
    """Whether the method trains at all; if not, no setting of the training makes another run."""

    def __getitem__(self, name: str) -> Any:
        """The value of a setting."""
        return self.settings[name].value

    @property
    def option_values(self) -> dict[str, Any]:
        return {name: setting.value for name, setting in self.options.items()}

    def identity(self) -> dict[str, Any]:
        """What makes this run this run: values only, no origins, nothing about where it runs."""
        return {
            "format": FORMAT,
            "task": self.task,
            "method": self.method,
            "options": self.option_values,
            "model": self.model_fingerprint,
            "scale": self.scale,
            "protocol": self.protocol,
            "seed": self.seed,
            "data": self.data_fingerprint,
            "settings": {
                name: setting.value
                for name, setting in self.settings.items()
                if is_part_of_identity(name, self.trains) and not is_silent(name, setting.value)
            },
        }

    @property
    def key(self) -> str:
        """SHA-256 of the identity."""
        return sha256_text(to_canonical_json(self.identity()))

    @property
    def run_id(self) -> str:
        """A readable name ending in the first 12 digits of the specification's hash."""
        return f"{self.task}-{self.method}-{self.model}-s{self.seed}-{self.key[:12]}"

    def to_json(self) -> JsonObject:
        """Everything, with origins, for ``spec.json`` and the record."""

        def origins(table: Mapping[str, Setting]) -> dict[str, Any]:
            return {name: setting.to_json() for name, setting in table.items()}

        return {
            "run_id": self.run_id,
            "task": self.task,
            "method": self.method,
            "options": origins(self.options),
            "model": self.model,
            "model_fingerprint": self.model_fingerprint,
            "scale": self.scale,
            "protocol": self.protocol,
            "seed": self.seed,
            "data_origin": self.data_origin,
            "data_fingerprint": self.data_fingerprint,
            "settings": origins(self.settings),
        }

    def command(
        self,
        model: str | None = None,
        data_dir: str | None = None,
        experiment: str | None = None,
        selecting: Collection[str] = (),
    ) -> str:
        """The command line that asks for this run again; ``model`` and ``data_dir`` as they were given.

        A run of an ``experiment`` is asked for by that name, with the options and settings in
        ``selecting``, which tell it from the experiment's other runs: typed alone, they would be the
        user's settings and not the experiment's.
        """
        import shlex

        def is_typed(name: str, setting: Setting) -> bool:
            return setting.typed or name in selecting

        selector = self.method
        typed = [f"{n}={s.value}" for n, s in self.options.items() if is_typed(n, s)]
        if typed:
            selector += f"[{','.join(typed)}]"
        words = ["bench", "run", *([experiment] if experiment else [])]
        words += ["--method", selector, "--task", self.task]
        words += ["--model", model or self.model]
        words += ["--scale", self.scale, "--protocol", self.protocol, "--seed", str(self.seed)]
        for name, setting in self.settings.items():
            if is_typed(name, setting) and known.DEFINITIONS_BY_NAME[name].identity:
                words += [known.format_flag(name), known.format_value(setting.value)]
        if data_dir is not None:
            words += ["--data-dir", data_dir]
        return shlex.join(words)


def is_part_of_identity(name: str, trains: bool) -> bool:
    """Whether another value of a setting makes another run; none of the training does where nothing trains."""
    definition = known.DEFINITIONS_BY_NAME[name]
    return definition.identity and (trains or definition.stage != "train")


def is_silent(name: str, value: object) -> bool:
    """Whether a run does not mention a setting: it came later and has the value that all runs had before."""
    definition = known.DEFINITIONS_BY_NAME.get(name)
    return definition is not None and definition.later and value == definition.default


def select_training_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a run's settings that its trained parameters depend on; the others say what is decoded, and how."""
    # Where outputs for the dev split decide what is kept, how they are decoded does too.
    decides_by_outputs = settings.get("keep") == KeepRule.BEST_ROUGE2
    drawn = any(settings.get(name) is not None for name in ("train_subset", "train_share", "dev_subset"))
    decoded = {"test_split", "test_subset", *([] if drawn else ["data_seed"])}
    return {
        name: value
        for name, value in settings.items()
        if (decides_by_outputs or known.DEFINITIONS_BY_NAME[name].stage != "decode") and name not in decoded
    }


def list_settings_of_other_runs(settings: Mapping[str, Setting], keep: KeepRule) -> list[dict[str, Setting]]:
    """Settings of the runs that are trained alike and keep other parameters, by the rule ``keep``.

    Those of the last update are also what a run that never looks at the dev split ends with.
    """
    changes: list[dict[str, Any]] = [{"keep": keep.value}]
    if keep is KeepRule.LAST and settings["patience"].value is None:
        unwatched = {"keep": keep.value, "eval_every": None, "dev_subset": None, "dev_limit": None}
        if all(settings[name].value is None for name in known.DRAWS if name != "dev_subset"):
            unwatched["data_seed"] = None
        changes.append(unwatched)
    return [
        {**settings, **{name: Setting(value, "") for name, value in changed.items()}} for changed in changes
    ]


@dataclass(frozen=True)
class ResolvedSettings:
    """Options and settings of a run, each with its origin, before data and weights are looked for."""

    options: Mapping[str, Setting]
    settings: Mapping[str, Setting]

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that the run reads."""
        names = [self.settings["train_split"].value]
        if self.settings["eval_every"].value is not None:
            names.append("dev")
        return tuple(dict.fromkeys([*names, self.settings["test_split"].value]))


def resolve_run_settings(
    task: Task,
    method: Method,
    options: Mapping[str, object],
    typed: Mapping[str, object],
    model: str,
    scale: str,
    protocol: ProtocolName,
    kind: ModelKind = DECODER_ONLY,
    preset: Settings = MappingProxyType({}),
) -> ResolvedSettings:
    """Weakest to strongest: defaults, kind of model, scale, method, task, ``preset``, ``plain``, command line.

    ``preset``: what an experiment prescribes, options and settings, each with its origin. Raises
    ``UserError`` where the method is not made for this kind of model.
    """
    if kind not in method.kinds:
        raise UserError(f"{method.name} is for {' and '.join(method.kinds)} models; this run's is {kind}")
    names = {option.name for option in method.options}
    prescribed = {name: value for name, (value, _) in preset.items() if name in names}
    parsed = method.resolve_options({**prescribed, **options})
    table = method.settings_for(scale, task.name, parsed, model, kind)
    chosen: dict[str, Setting] = {}
    for option in method.options:
        if option.name in options:
            chosen[option.name] = Setting(parsed[option.name], known.COMMAND_LINE, SettingLayer.COMMAND_LINE)
        elif option.name in prescribed:
            chosen[option.name] = Setting(
                parsed[option.name], preset[option.name][1], SettingLayer.EXPERIMENT
            )
        elif option.name in table:
            value, origin = table[option.name]
            chosen[option.name] = Setting(option.parse(value, method.name), origin, SettingLayer.METHOD)
        else:
            chosen[option.name] = Setting(option.default, "method default")
    settled = method.settle({name: setting.value for name, setting in chosen.items()})
    for name, value in settled.items():
        if value != chosen[name].value:
            if name in options or name in prescribed:
                raise UserError(f"{method.name}[{name}={parsed[name]}]: another option given decides this")
            chosen[name] = Setting(value, "decided by another option", SettingLayer.OPTION)
    layers: list[tuple[SettingLayer, Settings]] = [
        (SettingLayer.SCALE, known.MINI if scale == "mini" else {}),
        (SettingLayer.METHOD, {name: entry for name, entry in table.items() if name not in chosen}),
        (SettingLayer.TASK, task.settings.get(scale, {})),
        (SettingLayer.EXPERIMENT, {name: entry for name, entry in preset.items() if name not in names}),
    ]
    return ResolvedSettings(chosen, resolve_settings(layers, protocol, typed, kind))


def make_spec(
    task: Task,
    method: Method,
    resolved: ResolvedSettings,
    *,
    model: str,
    model_fingerprint: str,
    scale: str,
    protocol: ProtocolName,
    seed: int,
    data_origin: str,
    data_fingerprint: str,
) -> RunSpec:
    """The specification of a run whose settings are resolved and whose data and backbone were found."""
    parse_seed(seed)
    return RunSpec(
        task=task.name,
        method=method.name,
        options=resolved.options,
        model=model,
        model_fingerprint=model_fingerprint,
        scale=scale,
        protocol=protocol,
        seed=seed,
        settings=resolved.settings,
        data_origin=data_origin,
        data_fingerprint=data_fingerprint,
        trains=method.trains,
    )
