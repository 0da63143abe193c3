"""One update: which rows, at which learning rate, by which loss, and the step of the optimiser.

Functions of the step's number, the seed and the settings; ``bench.training.loop`` calls them in turn and knows where
a training stands.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from bench.models.adapted import AdaptedModel
from bench.system.rng import derive_seed, draw_permutation

if TYPE_CHECKING:
    from accelerate import Accelerator

TokenPair = tuple[list[int], list[int]]
"""Token ids of a source and of its target, as ``bench.data.encoding`` makes them."""


@dataclass(frozen=True)
class TrainingSettings:
    """What the loop needs to know; see ``bench.config.settings`` for meanings, defaults and origins."""

    epochs: int
    max_steps: int | None
    batch_size: int
    accumulation: int
    lr: float
    warmup_steps: int
    weight_decay: float
    clip_norm: float | None
    objective: str
    keep: str
    eval_every: int | None
    patience: int | None
    checkpoint_seconds: float
    micro_split: int = 1
    store_both: bool = False


def count_updates_per_epoch(rows: int, batch_size: int) -> int:
    """How many batches the rows make; the last one may be short."""
    return math.ceil(rows / batch_size)


def count_planned_updates(rows: int, settings: TrainingSettings) -> int:
    """How many updates a run makes; ``max_steps`` overrides the epochs, as in the authors' code."""
    if settings.max_steps is not None:
        return settings.max_steps
    return settings.epochs * count_updates_per_epoch(rows, settings.batch_size)


def compute_lr_factor(step: int, warmup: int, total: int) -> float:
    """Factor on the learning rate for update ``step`` (from 0): up over ``warmup``, then down to 0."""
    if step < warmup:
        return step / max(1, warmup)
    return max(0.0, (total - step) / max(1, total - warmup))


@lru_cache(maxsize=2)
def draw_epoch_order(epoch: int, rows: int, seed: int) -> list[int]:
    """The order of the rows in an epoch."""
    return draw_permutation(seed, f"order/{epoch}", rows)


def select_batch(step: int, rows: int, batch_size: int, seed: int) -> list[int]:
    """Indices of the rows of update ``step``: a new seeded order every epoch, the last batch may be short."""
    per_epoch = count_updates_per_epoch(rows, batch_size)
    epoch, position = divmod(step, per_epoch)
    order = draw_epoch_order(epoch, rows, seed)
    return order[position * batch_size : (position + 1) * batch_size]


def make_optimiser(model: AdaptedModel, lr: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW (0.9, 0.999, 1e-8) over the trained parameters; biases and norms do not decay."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    plain = [p for name, p in named if p.ndim < 2]
    decayed = [p for name, p in named if p.ndim >= 2]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    fused = model.device.type in ("cpu", "cuda")
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, fused=fused)


def list_optimised_parameters(optimiser: torch.optim.Optimizer, model: AdaptedModel) -> dict[str, Tensor]:
    """Trained parameters by name, in the order of the optimiser's indices."""
    names = {id(p): name for name, p in model.named_parameters()}
    return {names[id(p)]: p for group in optimiser.param_groups for p in group["params"]}


@torch.no_grad()
def compute_dev_loss(model: AdaptedModel, pairs: Sequence[TokenPair], batch_size: int) -> float:
    """Mean negative log-likelihood per target token, in eval mode."""
    model.eval()
    total = 0.0
    for start in range(0, len(pairs), batch_size):
        batch = pairs[start : start + batch_size]
        # Summed on the CPU: not every accelerator has double precision.
        total += float(model([s for s, _ in batch], [t for _, t in batch]).cpu().double().sum())
    model.train()
    return total / sum(len(t) for _, t in pairs)


class MicroBatchLoss(NamedTuple):
    """A loss still to be computed: of one micro-batch, in its share of the whole batch's."""

    compute: Callable[[], Tensor]
    number: int
    """Of the micro-batch within its process, from 0."""


def count_loss_unit(batch: Sequence[TokenPair], objective: str) -> int:
    """What the summed loss of a batch is divided by: its target tokens (``mean``) or its examples (``sum``)."""
    return sum(len(target) for _, target in batch) if objective == "mean" else len(batch)


def split_losses(
    model: torch.nn.Module, batch: Sequence[TokenPair], settings: TrainingSettings, accelerator: Accelerator
) -> list[MicroBatchLoss]:
    """The batch cut into this process's micro-batches, each a delayed loss.

    All are divided by the whole batch's number of target tokens (mean) or examples (sum), so the
    result does not depend on how the batch is cut over micro-batches and processes.
    """
    world, rank = accelerator.num_processes, accelerator.process_index
    share = batch[rank::world]
    cuts = settings.accumulation * settings.micro_split
    parts = [share[index::cuts] for index in range(cuts)]
    unit = count_loss_unit(batch, settings.objective)

    def delay_loss(part: Sequence[TokenPair], weight: float) -> Callable[[], Tensor]:
        sources, targets = [source for source, _ in part], [target for _, target in part]
        return lambda: model(sources, targets).sum() * weight

    if not share:
        # Every process must take part in the exchange of gradients, also in a short last batch.
        return [MicroBatchLoss(delay_loss(batch[:1], 0.0), 0)]
    # Data-parallel training averages the gradients of the processes; the sum is wanted.
    return [MicroBatchLoss(delay_loss(part, world / unit), index) for index, part in enumerate(parts) if part]


class UpdateFacts(NamedTuple):
    """What an update came to."""

    loss: float
    """The batch's, under the objective."""
    gradient_norm: float | None
    """Before clipping; None where nothing is clipped, and where it is no number (fp16's scaler skips the step)."""


def run_update(
    model: torch.nn.Module,
    optimiser: Any,
    batch: Sequence[TokenPair],
    settings: TrainingSettings,
    step: int,
    seed: int,
    accelerator: Accelerator,
) -> UpdateFacts:
    """One optimiser step on one batch."""
    optimiser.zero_grad()
    losses = split_losses(model, batch, settings, accelerator)
    value = 0.0
    for delayed in losses:
        # The dropout of every update has its own seed, so that it does not depend on the past.
        torch.manual_seed(derive_seed(seed, f"dropout/{step}/{delayed.number}/{accelerator.process_index}"))
        # Processes exchange gradients once an update, with the last micro-batch.
        with contextlib.nullcontext() if delayed is losses[-1] else accelerator.no_sync(model):
            loss = delayed.compute()
            accelerator.backward(loss)
        value += loss.item() / accelerator.num_processes
    norm = None
    if settings.clip_norm is not None:
        norm = accelerator.clip_grad_norm_(model.parameters(), settings.clip_norm)
    optimiser.step()
    if accelerator.num_processes > 1:
        value = float(accelerator.reduce(torch.tensor(value, device=accelerator.device), "sum"))
    return UpdateFacts(value, float(norm) if norm is not None and math.isfinite(norm) else None)
