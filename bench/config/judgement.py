"""What can be known to be wrong about a run before anything is looked for, trained or submitted.

``check_resolved_settings`` is called wherever a request is resolved, so that `bench run`, `plan`, `submit` and
`check` refuse the same: numbers that the backbone's vocabulary or positions do not allow, and arithmetic that the
device does not have. Whether a device is there is asked only where the run will be
(``bench.system.devices.pick_device``): a login node needs no GPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.config.settings import LARGEST_SEED, format_flag
from bench.errors import UserError
from bench.foreign_text import show_foreign
from bench.method import ENCODER_DECODER, Method, ModelKind
from bench.models.catalogue import ModelSizes
from bench.system.numbers import parse_whole_number


def parse_seed(text: object) -> int:
    """A seed that was typed or is in a file; ``UserError`` where it is none."""
    try:
        seed = parse_whole_number(text)
    except ValueError:
        seed = -1
    if not 0 <= seed <= LARGEST_SEED:
        raise UserError(
            f"--seed {show_foreign(text)}: expected whole numbers separated by commas, from 0 to {LARGEST_SEED:,}"
        )
    return seed


def check_resolved_settings(
    method: Method,
    options: Mapping[str, Any],
    settings: Mapping[str, Any],
    kind: ModelKind,
    sizes: ModelSizes,
) -> None:
    """Refuse a run that could not be carried out: ``UserError`` naming the flag and what is possible.

    ``options``, ``settings``: values by name. ``sizes``: of the run's backbone; what is None is not checked.
    """
    check_precision(settings)
    if sizes.vocabulary is not None:
        check_beams(settings["beams"], sizes.vocabulary)
    if sizes.positions is not None:
        taken = method.count_positions(options, kind)
        check_lengths(settings, kind, sizes.positions, taken)


def check_precision(settings: Mapping[str, Any]) -> None:
    """Refuse arithmetic that no device of that name has."""
    precision, device = settings["precision"], settings["device"]
    if precision == "fp16" and device in ("cpu", "mps"):
        raise UserError(
            f"--precision fp16 with --device {device}: fp16 needs a CUDA device; expected --precision fp32 or bf16"
        )


def check_beams(beams: int, vocabulary: int) -> None:
    """Refuse more beams than the vocabulary lets a search choose from: 2 continuations each, none of them EOS."""
    most = (vocabulary - 1) // 2
    if beams > most:
        raise UserError(
            f"--beams {beams}: the search takes {2 * beams:,} continuations and the model's vocabulary has "
            f"{vocabulary:,} entries; expected at most {most:,}"
        )


def check_lengths(settings: Mapping[str, Any], kind: ModelKind, positions: int, taken: int) -> None:
    """Refuse lengths that the model's table of positions cannot hold, less those ``taken`` by the method.

    A decoder-only model also reads the source, at least one token of it; how long the sources are is seen when they
    are read.
    """
    room = positions - taken
    if room < 2:
        raise UserError(
            f"the method takes {taken:,} of the model's {positions:,} positions, which leaves no room for source and "
            f"target; expected at most {positions - 2:,} virtual tokens"
        )
    names = ["max_new_tokens"]
    if kind == ENCODER_DECODER:
        names += ["max_source_tokens", "max_target_tokens"]
    for name in names:
        if settings[name] > room:
            raise UserError(
                f"{format_flag(name)} {settings[name]}: the model has {positions:,} positions"
                f"{f', of which the method takes {taken:,}' if taken else ''}; expected at most {room:,}"
            )
