"""Which small runs the regression check makes, with which settings, and which of them can run here.

``standard`` cases are every method on every task. ``SPECIAL`` cases are runs of a method with other settings,
so that every mechanism that decides a number acts in one of them: truncation, weight decay, clipping,
accumulation, the search's lengths, drawn subsets, the best checkpoint, real words as a prefix.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from bench import registry
from bench.errors import UnknownNameError, UserError
from bench.system import progress
from bench.system.json_files import JsonObject
from bench.task import SPLITS, ProtocolName

if TYPE_CHECKING:
    from bench.config.request import RunRequest

SEED = 1
"""Of every run: same seed is compared with same seed."""
STANDARD = ""
"""The variant of a case that is its method with the settings of its kind of task."""
TABLE_TO_TEXT: Mapping[str, object] = {
    "batch_size": 4,
    "max_steps": 14,
    "warmup_steps": 3,
    "eval_every": 14,
    "max_new_tokens": 30,
    "device": "cpu",
}
SETTINGS: Mapping[str, Mapping[str, object]] = {
    "table-to-text": {"limit": 18, **TABLE_TO_TEXT},
    "summarization": {
        "limit": 8,
        "batch_size": 3,
        "max_steps": 10,
        "warmup_steps": 3,
        "eval_every": 10,
        "device": "cpu",
    },
}
"""What every run of a kind of task is cut down to."""


class Suite(StrEnum):
    """Where the texts come from."""

    EMBEDDED = "embedded"
    REAL = "real"


@dataclass(frozen=True)
class Special:
    """Settings, options and protocol of a case beside the standard ones, and what they make act."""

    about: str
    given: Mapping[str, object] = field(default_factory=dict)
    options: str = ""
    protocol: ProtocolName = "original"


LONG: Mapping[str, object] = {
    "limit": 40,
    "batch_size": 10,
    "max_steps": 50,
    "eval_every": 50,
    "max_new_tokens": 50,
}
SPECIAL: Mapping[tuple[str, str, str], Special] = {
    ("webnlg", "ft-full", "decay"): Special(
        "weight decay, a clip norm that always acts, accumulation, no warm-up",
        {"weight_decay": 0.5, "clip_norm": 0.1, "accumulation": 3, "warmup_steps": 0},
    ),
    ("webnlg", "ft-full", "plain"): Special(
        "protocol plain: linearisation, no PAD row, lengths of the search", protocol="plain"
    ),
    ("webnlg", "prefix", "words"): Special(
        "a prefix that begins as the activations of words", {}, "init=summarize the table"
    ),
    ("webnlg", "prefix", "long"): Special("trained until outputs are sentences", LONG),
    ("webnlg", "prompt", "search"): Special(
        "three beams, a length penalty, outputs that are cut",
        {"beams": 3, "length_penalty": 2.5, "max_new_tokens": 14},
    ),
    ("e2e", "prefix", "best"): Special(
        "the best of several dev losses is kept, and patience ends the training",
        {
            "keep": "best",
            "eval_every": 2,
            "patience": 1,
            "lr": 0.006,
            "train_subset": 3,
            "dev_subset": 8,
            "test_subset": 8,
            "max_steps": 36,
            "max_new_tokens": 16,
        },
    ),
    ("e2e", "prefix", "draws"): Special(
        "drawn parts of the splits, another objective, no clipping, two micro-batches",
        {
            "train_subset": 15,
            "dev_subset": 9,
            "test_subset": 11,
            "data_seed": 3,
            "objective": "sum",
            "clip_norm": "none",
            "accumulation": 2,
            "max_new_tokens": 20,
        },
    ),
    ("e2e", "ft-full", "long"): Special("trained until outputs are sentences", LONG),
    ("dart", "embedding", "free"): Special(
        "embeddings without the MLP", {"limit": 12, "lr": 0.1, "max_new_tokens": 16}, "mlp=no"
    ),
    ("xsum", "prefix", "cut"): Special(
        "documents, targets and references that are cut, another search",
        {
            "max_source_tokens": 24,
            "max_target_tokens": 12,
            "max_reference_tokens": 16,
            "max_new_tokens": 14,
            "min_new_tokens": 3,
            "length_penalty": 2.5,
            "no_repeat_ngram": 2,
            "early_stopping": False,
            "beams": 3,
            "weight_decay": 0.1,
        },
    ),
    ("xsum", "ft-full", "long"): Special(
        "trained until outputs are sentences", {"limit": 16, "max_steps": 30, "eval_every": 30}
    ),
    ("xsum", "ft-full", "plain"): Special(
        "protocol plain for encoder-decoders", {"limit": 10}, protocol="plain"
    ),
}
"""(task, method, variant) -> its settings."""

REAL_METHODS = ("ft-full", "prefix", "prompt")
REAL_SETTINGS: Mapping[str, Mapping[str, object]] = {
    "table-to-text": {
        "train_subset": 18,
        "dev_subset": 12,
        "test_subset": 18,
        "data_seed": 0,
        **TABLE_TO_TEXT,
    },
    "summarization": {
        "train_subset": 8,
        "dev_subset": 6,
        "test_subset": 6,
        "data_seed": 0,
        "batch_size": 3,
        "max_steps": 10,
        "warmup_steps": 2,
        "eval_every": 10,
        "max_source_tokens": 256,
        "device": "cpu",
    },
}
"""The same for published data: rows are drawn by the hash of (data seed, task, split, size)."""

REAL_TASKS: Mapping[str, Mapping[str, object]] = {
    "dart": {"train_split": "dev", "dev_subset": "none", "eval_every": "none"}
}
"""Of a task beside these. DART's large training file is not needed: the rows come from its dev split."""


def list_real_splits(task: str) -> tuple[str, ...]:
    """The splits that the check reads of a task's published files."""
    return ("dev", "test") if "train_split" in REAL_TASKS.get(task, {}) else SPLITS


@dataclass(frozen=True)
class Case:
    """One run of the check. ``data_dir`` None: of the embedded suite."""

    task: str
    method: str
    variant: str = STANDARD
    data_dir: Path | None = None

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.task, self.method, self.variant) if part)

    @property
    def special(self) -> Special:
        return SPECIAL.get((self.task, self.method, self.variant), Special("standard"))

    def matches(self, selector: str) -> bool:
        """Whether ``selector`` is the name of its task, of its method, of both, or its own."""
        return selector in (self.name, self.task, self.method, f"{self.task} {self.method}")

    def list_settings(self) -> dict[str, object]:
        """The settings that are typed for it."""
        table = SETTINGS if self.data_dir is None else REAL_SETTINGS
        own = {} if self.data_dir is None else REAL_TASKS.get(self.task, {})
        return {**table[registry.get_task(self.task).kind], **own, **self.special.given}

    def describe(self) -> JsonObject:
        """What a reference is of: a case with other settings is another one."""
        special = self.special
        return {"given": self.list_settings(), "options": special.options, "protocol": special.protocol}

    def make_request(self, runs: Path) -> RunRequest:
        """The run, kept below ``runs``."""
        from bench.config.request import CommonOptions, expand_requests

        special = self.special
        common = CommonOptions(
            runs=runs,
            offline=True,
            given=self.list_settings(),
            protocol=special.protocol,
            data_dir=self.data_dir,
        )
        selector = f"{self.method}[{special.options}]" if special.options else self.method
        [request] = expand_requests(methods=selector, tasks=self.task, seeds=str(SEED), common=common)
        return request


def parse_case(name: str, data_dir: Path | None = None) -> Case:
    """The case with this name."""
    task, method, *variant = name.split(" ", 2)
    return Case(task, method, variant[0] if variant else STANDARD, data_dir)


def list_registered_cases(data_dir: Path | None = None) -> list[Case]:
    """Every task with every method, in the order of their names, each followed by its special cases."""
    if data_dir is not None:
        return [
            Case(task, method, data_dir=data_dir)
            for task in registry.tasks()
            for method in registry.methods()
            if method in REAL_METHODS
        ]
    special: dict[tuple[str, str], list[str]] = {}
    for task, method, variant in SPECIAL:
        special.setdefault((task, method), []).append(variant)
    return [
        Case(task, method, variant)
        for task in registry.tasks()
        for method in registry.methods()
        for variant in [STANDARD, *special.get((task, method), ())]
    ]


def select_cases(selectors: Iterable[str], candidates: Sequence[Case]) -> list[Case]:
    """The candidates that match one of the selectors; all without selectors.

    A selector that matches none is an ``UnknownNameError``.
    """
    selectors = list(selectors)
    for selector in selectors:
        check_selector(selector, candidates)
    return [
        case for case in candidates if not selectors or any(case.matches(selector) for selector in selectors)
    ]


def check_selector(selector: str, candidates: Sequence[Case]) -> None:
    """Refuse a selector that matches no candidate, with the names that come near it."""
    tasks, methods = {case.task for case in candidates}, {case.method for case in candidates}
    task, blank, rest = selector.partition(" ")
    if not blank and selector not in tasks | methods:
        raise UnknownNameError("task or method", selector, tasks | methods, "bench check --only")
    if not blank:
        return
    if task not in tasks:
        raise UnknownNameError("task", task, tasks, f"bench check --only '{selector}'")
    method, _, variant = rest.partition(" ")
    if method not in methods:
        raise UnknownNameError("method", method, methods, f"bench check --only '{selector}'")
    variants = {case.variant for case in candidates if (case.task, case.method) == (task, method)}
    if variant not in variants:
        raise UnknownNameError("variant", variant, variants - {STANDARD}, f"bench check --only '{selector}'")


# --- which can run


def find_obstacle(case: Case) -> str | None:
    """Why a case cannot run at scale mini, in words, found out without running it; None if it can.

    The task or method is not here, it is not for this kind of model, or there is no data for it.
    """
    from bench.data.sources import find_mini_root

    try:
        request = case.make_request(Path("runs"))
        request.resolve(request.model)
        if case.data_dir is None:
            find_mini_root(request.task)
        elif not find_real_files(case):
            return f"no files of {case.task} in {case.data_dir}"
    except UserError as error:
        return str(error)
    return None


def find_real_files(case: Case) -> bool:
    """Whether the user's directory has every file of the case's task that is read."""
    from bench.data.sources import list_missing_files, locate_folder

    assert case.data_dir is not None
    task = registry.get_task(case.task)
    root, _ = locate_folder(task, case.data_dir)
    return root is not None and not list_missing_files(task, root, list_real_splits(case.task))


def find_obstacles(cases: Iterable[Case]) -> dict[Case, str]:
    """Those that cannot run, each with its reason."""
    obstacles = {case: find_obstacle(case) for case in cases}
    return {case: reason for case, reason in obstacles.items() if reason is not None}


def list_cases(
    selectors: Iterable[str] = (), referenced: Iterable[Case] = (), data_dir: Path | None = None
) -> list[Case]:
    """The cases that can run and match the selectors, and of those ``referenced`` all that match.

    Others are left out, which is reported; where nothing is left of a selector, that is a ``UserError``.
    """
    selectors, referenced = list(selectors), list(referenced)
    registered = list_registered_cases(data_dir)
    candidates = select_cases(selectors, list(dict.fromkeys([*registered, *referenced])))
    obstacles = find_obstacles(case for case in candidates if case not in referenced)
    groups = [[case for case in candidates if case.matches(selector)] for selector in selectors]
    for group in groups or [candidates]:
        if all(case in obstacles for case in group):
            reasons = summarise_obstacles({case: obstacles[case] for case in group})
            raise UserError(f"nothing to run: {reasons}")
    if obstacles:
        progress.print_message(
            f"left out, as they cannot run here at scale mini: {summarise_obstacles(obstacles)}"
        )
    return [case for case in candidates if case not in obstacles]


def summarise_obstacles(obstacles: Mapping[Case, str]) -> str:
    """Cases by the reason why they cannot run, in one line."""
    by_reason: dict[str, list[str]] = {}
    for case, reason in obstacles.items():
        by_reason.setdefault(reason, []).append(case.name)
    return "; ".join(f"{', '.join(names)} ({reason})" for reason, names in by_reason.items())


def count_cases(cases: Sized) -> str:
    """``1 case``, ``2 cases``."""
    return f"{len(cases)} case{'' if len(cases) == 1 else 's'}"
