"""The types of what an experiment's file holds; ``bench.experiments.files`` says what each key means."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from bench.config.settings import LARGEST_SEED
from bench.config.specification import SCALES

STRICT = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
LARGEST_NUMBER = 2**63 - 1

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]
Selector = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Words = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
LONGEST_TEXT = 500


def check_scalar(value: object) -> object:
    """``value``, if it can be that of a setting: no table, list or date, no infinite number, no endless text."""
    if not isinstance(value, bool | int | float | str):
        raise ValueError("expected true, false, a number or a text")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("expected a finite number")
    if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        raise ValueError("expected a number of at most 64 bits")
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise ValueError(f"expected at most {LONGEST_TEXT} characters")
    return value


Scalar = Annotated[Any, BeforeValidator(check_scalar)]
Scale = Annotated[str, StringConstraints(pattern=f"^({'|'.join(SCALES)})$")]


class PrescribedSetting(BaseModel):
    """A setting of a grid: one value, several as a dimension, or several that go with another setting's."""

    model_config = STRICT
    origin: Words
    value: Scalar | None = None
    values: Annotated[list[Scalar], Field(min_length=1)] | None = None
    per: Name | None = None

    @model_validator(mode="after")
    def has_values_once(self) -> PrescribedSetting:
        if (self.value is None) == (self.values is None):
            raise ValueError("expected an origin, and either value or values")
        if self.per is not None and self.values is None:
            raise ValueError("expected values beside per")
        return self

    @property
    def is_dimension(self) -> bool:
        """Whether its values multiply the runs."""
        return self.values is not None and self.per is None

    @property
    def choices(self) -> list[Any]:
        """Every value that the setting takes."""
        return [self.value] if self.values is None else list(self.values)


class ScaledGrid(BaseModel):
    """What a grid has at one scale in place of, or besides, what it has at both."""

    model_config = STRICT
    tasks: list[Name] | None = None
    methods: list[Selector] | None = None
    models: list[Selector] | None = None
    seeds: list[Seed] | None = None
    settings: dict[str, PrescribedSetting] = {}


class Grid(ScaledGrid):
    """The product of its lists is a set of runs."""

    scales: Annotated[list[Scale], Field(min_length=1)] = list(SCALES)
    paper: ScaledGrid = ScaledGrid()
    mini: ScaledGrid = ScaledGrid()


class Reuse(BaseModel):
    """Runs of another experiment, narrowed where a list is there."""

    model_config = STRICT
    experiment: Name
    tasks: list[Name] | None = None
    methods: list[Name] | None = None
    models: list[Selector] | None = None
    scales: Annotated[list[Scale], Field(min_length=1)] = list(SCALES)


class ExperimentFile(BaseModel):
    """A whole file."""

    model_config = STRICT
    title: Words
    source: Words
    note: Words | None = None
    apart: bool = False
    stands_for: Name | None = None
    grid: list[Grid] = []
    reuse: list[Reuse] = []
