"""The training loop: the only one, for every method.

    for every update: the next batch of this epoch's order -> summed losses of the targets ->
    mean or sum objective -> clip -> AdamW -> linear schedule; now and then a checkpoint.

Everything random is named (``bench.system.rng``), so update 500 draws the same order and the same dropout
whether the run went through or was killed and resumed at 499.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bench.errors import UserError
from bench.models.adapted import AdaptedModel
from bench.system.progress import print_message
from bench.system.rng import derive_seed, draw_permutation
from bench.training import checkpoint

if TYPE_CHECKING:
    from accelerate import Accelerator

STATE_FILE, BEST_FILE = "checkpoint.safetensors", "best.safetensors"
TokenPair = tuple[list[int], list[int]]
"""Token ids of a source and of its target, as ``bench.data.encoding`` makes them."""


class Diverged(UserError):
    """The loss is no number any more. The request was well-formed and the work failed."""

    exit_code = 1


class Interrupted(Exception):
    """Asked to stop (Ctrl-C, SIGTERM); the state up to ``step`` is saved."""

    def __init__(self, step: int, total: int) -> None:
        super().__init__(f"stopped after update {step} of {total}")
        self.step = step
        self.total = total


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


@dataclass(frozen=True)
class TrainingOutcome:
    """What a finished training leaves for the record. ``seconds`` over all attempts, checkpoints included."""

    updates: int
    planned_updates: int
    seconds: float
    target_tokens: int
    final_loss: float | None
    best_dev_loss: float | None
    best_update: int | None
    resumed_at: int | None
    processes: int


def count_updates_per_epoch(rows: int, batch_size: int) -> int:
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


def split_losses(
    model: torch.nn.Module, batch: Sequence[TokenPair], settings: TrainingSettings, accelerator: Accelerator
) -> list[tuple[Callable[[], Tensor], int]]:
    """The batch cut into this process's micro-batches, each a delayed loss.

    All are divided by the whole batch's number of target tokens (mean) or examples (sum), so the
    result does not depend on how the batch is cut over micro-batches and processes.
    """
    world, rank = accelerator.num_processes, accelerator.process_index
    own = batch[rank::world]
    cuts = settings.accumulation * settings.micro_split
    parts = [own[micro::cuts] for micro in range(cuts)]
    unit = sum(len(t) for _, t in batch) if settings.objective == "mean" else len(batch)

    def loss_of(part: Sequence[TokenPair], weight: float) -> Callable[[], Tensor]:
        return lambda: model([s for s, _ in part], [t for _, t in part]).sum() * weight

    if not own:
        # Every process must take part in the exchange of gradients, also in a short last batch.
        return [(loss_of(batch[:1], 0.0), 0)]
    # Data-parallel training averages the gradients of the processes; the sum is wanted.
    return [(loss_of(part, world / unit), index) for index, part in enumerate(parts) if part]


def train_model(
    adapted: AdaptedModel,
    pairs: Sequence[TokenPair],
    dev: Sequence[TokenPair],
    settings: TrainingSettings,
    seed: int,
    key: str,
    folder: Path,
    accelerator: Accelerator,
    on_update: Callable[[int, dict[str, Any]], None] = lambda step, facts: None,
    stop: Callable[[], bool] = lambda: False,
) -> TrainingOutcome:
    """Train ``adapted`` in place, continuing from ``folder/checkpoint.safetensors`` where there is one.

    ``stop`` is asked after every update; when it says yes the state is saved and ``Interrupted``
    raised. ``on_update`` gets (finished updates, {"loss", "lr", …}).
    """
    total = count_planned_updates(len(pairs), settings)
    state_file, best_file = folder / STATE_FILE, folder / BEST_FILE
    progress = checkpoint.TrainingProgress(key=key)
    adapted.to(accelerator.device)
    optimiser = make_optimiser(adapted, settings.lr, settings.weight_decay)
    resumed = state_file.is_file()
    cuda = [accelerator.device] if accelerator.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        if resumed:
            progress = restore_checkpoint(state_file, key, adapted, optimiser)
            if progress.processes != accelerator.num_processes:
                print_message(
                    f"warning: {progress.processes} process(es) trained the first {progress.step} updates, "
                    f"{accelerator.num_processes} go on: dropout differs from an uninterrupted run",
                    important=True,
                )
        else:
            # What a method fits here it fits to the backbone as it decodes: without dropout.
            adapted.eval()
            torch.manual_seed(derive_seed(seed, "before-training"))
            adapted.before_training(seed)
        progress.processes = accelerator.num_processes
        first = progress.step
        model, prepared = accelerator.prepare(adapted, optimiser)
        if progress.scaler and accelerator.scaler is not None:
            accelerator.scaler.load_state_dict(progress.scaler)
        adapted.train()
        started = saved = time.monotonic()
        spent = progress.seconds

        def save() -> None:
            progress.seconds = spent + time.monotonic() - started
            progress.scaler = accelerator.scaler.state_dict() if accelerator.scaler is not None else None
            if accelerator.is_main_process:
                checkpoint.save_checkpoint(
                    state_file, list_optimised_parameters(optimiser, adapted), optimiser, progress
                )
            accelerator.wait_for_everyone()

        def exhausted() -> bool:
            return settings.patience is not None and progress.looks_without_gain >= settings.patience

        for step in range(first, total):
            if exhausted():  # asked first, so that a run killed right after its last update stays as it is
                break
            batch = [pairs[i] for i in select_batch(step, len(pairs), settings.batch_size, seed)]
            lr = settings.lr * compute_lr_factor(step, settings.warmup_steps, total)
            for group in optimiser.param_groups:
                group["lr"] = lr
            loss_sum = run_update(model, prepared, batch, settings, step, seed, accelerator)
            if not math.isfinite(loss_sum):
                raise Diverged(
                    f"the loss became {loss_sum} at update {step + 1}; try a lower --lr than {settings.lr:g}"
                )
            progress.step = step + 1
            progress.loss = loss_sum
            progress.target_tokens += sum(len(t) for _, t in batch)
            facts: dict[str, Any] = {"loss": loss_sum, "lr": lr}
            done = step + 1 == total
            if settings.eval_every and ((step + 1) % settings.eval_every == 0 or done):
                facts["dev_loss"] = evaluate_on_dev(adapted, dev, settings, progress, best_file, accelerator)
            on_update(step + 1, facts)
            due = time.monotonic() - saved >= settings.checkpoint_seconds
            stopping, due = combine_votes(accelerator, stop(), due)
            if stopping or due:
                save()
                saved = time.monotonic()
            if stopping and not done and not exhausted():
                raise Interrupted(step + 1, total)
        save()
    if settings.keep == "best" and progress.best_step is not None:
        adapted.load_trained(checkpoint.load_tensors(best_file)[0])
    return TrainingOutcome(
        updates=progress.step,
        planned_updates=total,
        seconds=progress.seconds,
        target_tokens=progress.target_tokens,
        final_loss=progress.loss,
        best_dev_loss=progress.best_loss,
        best_update=progress.best_step,
        resumed_at=first if resumed else None,
        processes=accelerator.num_processes,
    )


def combine_votes(accelerator: Accelerator, *wishes: bool) -> list[bool]:
    """What any process wants, all do: so that none waits for others that have gone on."""
    if accelerator.num_processes == 1:
        return list(wishes)
    votes = torch.tensor([float(wish) for wish in wishes], device=accelerator.device)
    return [bool(total > 0) for total in accelerator.reduce(votes, "sum").tolist()]


def run_update(
    model: torch.nn.Module,
    optimiser: Any,
    batch: Sequence[TokenPair],
    settings: TrainingSettings,
    step: int,
    seed: int,
    accelerator: Accelerator,
) -> float:
    """One optimiser step on one batch; the batch's loss under the objective."""
    optimiser.zero_grad()
    losses = split_losses(model, batch, settings, accelerator)
    value = 0.0
    for position, (loss_of, micro) in enumerate(losses):
        # The dropout of every update has its own seed, so that it does not depend on the past.
        torch.manual_seed(derive_seed(seed, f"dropout/{step}/{micro}/{accelerator.process_index}"))
        last = position == len(losses) - 1
        if last:
            loss = loss_of()
            accelerator.backward(loss)
        else:
            with accelerator.no_sync(model):
                loss = loss_of()
                accelerator.backward(loss)
        value += loss.item() / accelerator.num_processes
    if settings.clip_norm is not None:
        accelerator.clip_grad_norm_(model.parameters(), settings.clip_norm)
    optimiser.step()
    if accelerator.num_processes > 1:
        return float(accelerator.reduce(torch.tensor(value, device=accelerator.device), "sum"))
    return value


def evaluate_on_dev(
    model: AdaptedModel,
    dev: Sequence[TokenPair],
    settings: TrainingSettings,
    progress: checkpoint.TrainingProgress,
    best_file: Path,
    accelerator: Accelerator,
) -> float:
    """Measure the dev loss and keep the parameters if it is the best so far."""
    loss = compute_dev_loss(model, dev, settings.batch_size)
    if progress.best_loss is None or loss < progress.best_loss:
        progress.best_loss, progress.best_step, progress.looks_without_gain = loss, progress.step, 0
        if settings.keep == "best" and accelerator.is_main_process:
            checkpoint.save_tensors(best_file, model.trained_state(), {})
        accelerator.wait_for_everyone()
    else:
        progress.looks_without_gain += 1
    return loss


def restore_checkpoint(
    path: Path, key: str, model: AdaptedModel, optimiser: torch.optim.Optimizer
) -> checkpoint.TrainingProgress:
    """Put a checkpoint back into the model and the optimiser."""
    parameters, moments, random, progress = checkpoint.load_checkpoint(path, key)
    model.load_trained(parameters)
    state = optimiser.state_dict()
    state["state"] = moments
    optimiser.load_state_dict(state)
    torch.set_rng_state(random["cpu"])
    if "cuda" in random and torch.cuda.is_available():
        torch.cuda.set_rng_state(random["cuda"])
    return progress
