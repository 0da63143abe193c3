"""The committed reference: a value with its band for everything that is compared, as one checked document.

A band is never written by hand. Beside every value stands how far it moved between the circumstances that may
legitimately move it (``variants``), and its half width follows from that by the rule of its kind
(``compute_half_width``); a document whose bands do not follow, or are wider than anything could justify, is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.metadata import entry_points
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from bench.errors import DataError, UserError
from bench.regression.cases import SEED, Suite
from bench.regression.values import EXACT, OutputFingerprints, Plain, ValueKind
from bench.system.json_files import parse_json

FOLDER = Path(__file__).resolve().parents[2] / "results" / "check"
REFERENCE_FILES: Final = {Suite.EMBEDDED: FOLDER / "reference.json", Suite.REAL: FOLDER / "real.json"}
PLUGIN_FILE = "bench_check.json"
"""In the package of a plug-in: the reference values of its methods and tasks."""
FORMAT = 2
SAFETY = 3.0
"""How many times as far as was measured a value may move."""
FLOORS: Final[Mapping[ValueKind, float]] = {
    ValueKind.LOSS: 2.0**-19,
    ValueKind.DEV_LOSS: 2.0**-19,
    ValueKind.GRADIENT_NORM: 2.0**-17,
    ValueKind.SCORER: 1e-6,
}
"""Kind -> least half width, in proportion to the value: 16 steps of float32 (64 for norms), a scorer's tolerance."""
OUTPUT_FLOOR = 1.0
"""Outputs that may differ where none did between the variants: on another processor one may."""
LIMITS: Final[Mapping[ValueKind, float]] = {
    ValueKind.LOSS: 0.02,
    ValueKind.DEV_LOSS: 0.02,
    ValueKind.GRADIENT_NORM: 0.1,
    ValueKind.SCORER: 1e-5,
    ValueKind.SCORE: 0.25,
    ValueKind.OUTPUT_SHARE: 0.5,
}
"""Kind -> largest half width, in proportion to the value: one that moves further is not reproducible enough."""


def compute_half_width(kind: ValueKind, value: Plain, moved: float, outputs: int) -> float:
    """Half of a value's band. ``moved``: how far it was measured to move; ``outputs``: of the run, 0 for none."""
    if kind in EXACT or isinstance(value, str):
        return 0.0
    if kind in (ValueKind.SCORE, ValueKind.OUTPUT_SHARE):
        floor = OUTPUT_FLOOR / outputs if outputs else 0.0
    else:
        floor = FLOORS[kind]
    return max(SAFETY * moved, floor * abs(value))


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class ReferenceValue(_Part):
    """A value of the reference. ``moved``: the furthest that a variant, or an earlier loss in one, was from it."""

    kind: ValueKind = Field(strict=False)
    value: Plain
    moved: float = Field(ge=0.0, default=0.0)
    half_width: float = Field(ge=0.0, default=0.0)

    @model_validator(mode="after")
    def _check_type(self) -> Self:
        textual = self.kind in (ValueKind.FINGERPRINT, ValueKind.GOLDEN)
        if isinstance(self.value, str) is not textual:
            expected = "text" if textual else "a number"
            raise PydanticCustomError(
                "expected", "a {kind} is {expected}", {"kind": self.kind, "expected": expected}
            )
        return self

    def find_problem(self, outputs: int) -> str | None:
        """What is wrong with its band, in words."""
        right = compute_half_width(self.kind, self.value, self.moved, outputs)
        if not math.isclose(self.half_width, right, rel_tol=1e-6, abs_tol=1e-15):
            return f"half_width is {self.half_width:g}; by the rule for a {self.kind} it is {right:g}"
        limit = LIMITS.get(self.kind)
        if limit is not None and not isinstance(self.value, str):
            allowed = max(limit, OUTPUT_FLOOR / outputs if outputs else 0.0) * abs(self.value)
            if self.half_width > allowed * (1 + 1e-6):
                return f"half_width {self.half_width:g} is more than {limit:g} of the value {self.value:g}"
        return None


class ReferenceOutputs(_Part):
    """See ``values.OutputFingerprints``."""

    tokens: str = Field(pattern=r"^[A-Za-z0-9+/ ]*$")
    texts: str = Field(pattern=r"^[A-Za-z0-9+/]*$")

    @property
    def fingerprints(self) -> OutputFingerprints:
        return OutputFingerprints(self.tokens, self.texts)


class VariantFacts(_Part):
    """Circumstances under which the values were measured: in words, and versions that are other ones."""

    name: str
    packages: dict[str, str | None] = {}


class CaseReference(_Part):
    """The reference of a case. ``settings``: None for a part on fixed inputs.

    ``packages`` and ``variants``: where they are not the document's.
    """

    settings: dict[str, Any] | None = None
    values: dict[str, ReferenceValue] = Field(min_length=1)
    unstable: dict[str, float] = {}
    """Value -> how far it was measured to move, where that is too far to compare it."""
    outputs: ReferenceOutputs | None = None
    packages: dict[str, str | None] | None = None
    variants: list[VariantFacts] | None = None

    @property
    def output_count(self) -> int:
        return len(self.outputs.tokens.split(" ")) if self.outputs is not None and self.outputs.tokens else 0

    @model_validator(mode="after")
    def _check_bands(self) -> Self:
        if self.settings is not None and len(self.unstable) > len(self.values):
            raise PydanticCustomError("band", "most of its values are not compared")
        for name, value in self.values.items():
            problem = value.find_problem(self.output_count)
            if problem is not None:
                raise PydanticCustomError("band", "{name}: {problem}", {"name": name, "problem": problem})
        return self


class Reference(_Part):
    """The whole document."""

    format: int = Field(ge=FORMAT, le=FORMAT)
    suite: Suite = Field(strict=False)
    seed: int = Field(ge=SEED, le=SEED)
    safety: float = Field(ge=SAFETY, le=SAFETY)
    packages: dict[str, str | None]
    variants: list[VariantFacts]
    cases: dict[str, CaseReference]


def read_reference(path: Path, suite: Suite = Suite.EMBEDDED) -> Reference:
    """The reference in ``path``; a ``DataError`` names the place and what is wrong."""
    if not path.is_file():
        raise UserError(f"{path}: no reference values are here; `bench check --update` makes them")
    document = parse_json(path, path.read_bytes())
    try:
        reference = Reference.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
        problem = f"no reference of this version: {place}: {first['msg']}{more}"
        raise DataError(f"{path} is {problem}; `bench check --update` makes a new one", problem) from None
    if reference.suite is not suite:
        raise UserError(
            f"{path} has the values of the {reference.suite} suite; expected those of the {suite} suite"
        )
    return reference


def find_plugin_files() -> dict[str, Path]:
    """Top package of an entry point of ours -> the reference file in it, where it has one."""
    packages = {
        point.module.partition(".")[0]
        for group in ("bench.methods", "bench.tasks", "bench.metrics")
        for point in entry_points(group=group)
    }
    found = {}
    for package in sorted(packages):
        try:
            path = Path(str(package_files(package).joinpath(PLUGIN_FILE)))
        except (ImportError, TypeError):  # a broken plug-in is listed as broken elsewhere
            continue
        if path.is_file():
            found[package] = path
    return found


def load_reference(suite: Suite = Suite.EMBEDDED) -> Reference:
    """The committed reference, and for the embedded suite the cases that plug-ins bring."""
    reference = read_reference(REFERENCE_FILES[suite], suite)
    if suite is not Suite.EMBEDDED:
        return reference
    cases = dict(reference.cases)
    for path in find_plugin_files().values():
        added = read_reference(path)
        clash = next((name for name in added.cases if name in cases), None)
        if clash is not None:
            raise UserError(
                f"{path} has a case {clash!r}, which has reference values elsewhere; expected its own only"
            )
        circumstances = {"packages": added.packages, "variants": added.variants}
        cases |= {
            name: case.model_copy(
                update={key: value for key, value in circumstances.items() if getattr(case, key) is None}
            )
            for name, case in added.cases.items()
        }
    return reference.model_copy(update={"cases": cases})
