"""The training loop: the only one, for every method.

    for every update: the next batch of this epoch's order -> summed losses of the targets ->
    mean or sum objective -> clip -> AdamW -> linear schedule; now and then a checkpoint.

Everything random is named (``bench.system.rng``), so update 500 draws the same order and the same dropout
whether the run went through or was killed and resumed at 499.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bench.errors import DataError, UserError
from bench.models.adapted import AdaptedModel
from bench.system.damage import DamagedFileError, put_aside
from bench.system.execution import ExecutionConditions, describe_change, measure_conditions
from bench.system.files import StorageError
from bench.system.json_files import JsonObject
from bench.system.progress import print_message
from bench.system.rng import derive_seed
from bench.training import checkpoint
from bench.training.selection import KeepRule
from bench.training.update import (
    TokenPair,
    TrainingSettings,
    compute_dev_loss,
    compute_lr_factor,
    count_loss_unit,
    count_planned_updates,
    count_updates_per_epoch,
    list_optimised_parameters,
    make_optimiser,
    run_update,
    select_batch,
)

if TYPE_CHECKING:
    from accelerate import Accelerator

STATE_FILE, BEST_FILE, NEXT_BEST_FILE = "checkpoint.safetensors", "best.safetensors", "best-next.safetensors"
DevScorer = Callable[[AdaptedModel], float]
"""ROUGE-2 of a model's outputs for the dev split, from 0 to 1."""
OtherParametersWriter = Callable[[AdaptedModel, KeepRule, int], None]
"""Stores the parameters that a model holds: by which rule, and after which update, they are the others."""


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
class TrainingOutcome:
    """What a finished training leaves for the record. ``seconds`` over all attempts, checkpoints included.

    ``last_epoch_loss``: mean training loss per target token, in nats, over the last whole epoch, each row once
    as it was trained on; over all updates where there was no whole epoch. ``final_loss`` is of one batch.
    """

    updates: int
    planned_updates: int
    seconds: float
    target_tokens: int
    final_loss: float | None
    best_dev_loss: float | None
    best_update: int | None
    resumed_at: int | None
    processes: int
    conditions: list[JsonObject | None]
    """Under which the updates were made (``bench.system.execution``), oldest first; None where nobody noted them."""
    last_epoch_loss: float | None = None
    best_dev_rouge2: float | None = None
    """From 0 to 1, where it decided what was kept."""
    kept_update: int | None = None
    """After which update the parameters that were kept stood so."""


class TrainingRun:
    """One training, from its start or its last checkpoint to its end; ``train_model`` drives it.

    ``model`` is trained in place and moved to the accelerator's device. ``planned`` is the number of updates.
    """

    def __init__(
        self,
        model: AdaptedModel,
        settings: TrainingSettings,
        planned: int,
        seed: int,
        key: str,
        folder: Path,
        accelerator: Accelerator,
        score_dev: DevScorer | None = None,
    ) -> None:
        self.model = model
        self.settings = settings
        self.keep = KeepRule(settings.keep)
        self.score_dev = score_dev
        self.planned = planned
        self.seed = seed
        self.accelerator = accelerator
        self.state_file, self.best_file = folder / STATE_FILE, folder / BEST_FILE
        self.next_best_file = folder / NEXT_BEST_FILE
        """The best parameters since the last checkpoint, which still refers to those in ``best_file``."""
        self.has_next_best = False
        self.progress = checkpoint.TrainingProgress(key=key)
        self.resumed_at: int | None = None
        model.to(accelerator.device)
        self.optimiser = make_optimiser(model, settings.lr, settings.weight_decay)

    def begin(self) -> None:
        """Restore the checkpoint, or let the method do what comes before training; then wrap for the device."""
        accelerator, progress = self.accelerator, self.progress
        if (state := self.find_state()) is not None:
            restore_state(state, self.model, self.optimiser)
            progress = self.progress = state.progress
            self.resumed_at = progress.step
        else:
            # What a method fits here it fits to the backbone as it decodes: without dropout.
            self.model.eval()
            torch.manual_seed(derive_seed(self.seed, "before-training"))
            self.model.before_training(self.seed)
        progress.processes = accelerator.num_processes
        current = measure_conditions(accelerator.device.type, {"micro_split": self.settings.micro_split})
        progress.conditions = append_conditions(progress.conditions, current)
        self.wrapped_model, self.wrapped_optimiser = accelerator.prepare(self.model, self.optimiser)
        if progress.scaler and accelerator.scaler is not None:
            accelerator.scaler.load_state_dict(progress.scaler)
        self.model.train()
        self.started = self.saved = time.monotonic()
        self.seconds_before = progress.seconds

    def find_state(self) -> checkpoint.TrainingState | None:
        """The last checkpoint, checked; None where there is none, or where it was damaged and is put aside by now.

        The first process decides, and the others find what it left.
        """
        state, failure = None, None
        with self.accelerator.main_process_first():
            try:
                state = self.read_state()
            except DamagedFileError as error:
                if not self.accelerator.is_main_process:
                    raise
                self.discard_damaged(error)
            except DataError as error:  # raised below: here the others wait
                failure = error
        if failure is not None:
            raise failure
        return state

    def read_state(self) -> checkpoint.TrainingState | None:
        """The last checkpoint; raises ``DamagedFileError`` where it or the best parameters are not as written."""
        if not self.state_file.is_file():
            return None
        state = checkpoint.load_checkpoint(self.state_file, self.progress.key)
        trained = list_optimised_parameters(self.optimiser, self.model)
        checkpoint.check_state(self.state_file, state, trained, self.planned)
        if self.puts_best_aside and self.find_best_step(state.progress) is not None:
            self.choose_best(state.progress)
        return state

    def choose_best(self, progress: checkpoint.TrainingProgress) -> None:
        """Make ``best_file`` the best parameters that a checkpoint refers to: a kill can leave later ones beside."""
        if self.next_best_file.is_file():
            with contextlib.suppress(DamagedFileError):
                self.load_best(self.next_best_file, progress)
                self.next_best_file.replace(self.best_file)
        self.load_best(self.best_file, progress)

    def load_best(self, path: Path, progress: checkpoint.TrainingProgress) -> dict[str, Tensor]:
        """The best parameters in a file; ``DamagedFileError`` where it holds others than ``progress`` refers to."""
        tensors, document = checkpoint.load_checked(path)
        best_step = self.find_best_step(progress)
        if document != {"key": progress.key, "step": best_step}:
            problem = f"it is not of update {best_step}, the best one"
            raise DamagedFileError(path, problem, checkpoint.START_OVER)
        return tensors

    def discard_damaged(self, error: DamagedFileError) -> None:
        """Put a damaged file aside. A checkpoint whose best parameters are lost is of no use either."""
        if error.path.exists():
            put_aside(error.path, str(error.problem), "the training starts over from its beginning")
        else:
            print_message(
                f"{error.path} is missing; the training starts over from its beginning", important=True
            )
        self.state_file.unlink(missing_ok=True)

    def make_update(self, pairs: Sequence[TokenPair]) -> dict[str, Any]:
        """The next update: the batch's loss under the objective, and the learning rate."""
        settings, step = self.settings, self.progress.step
        batch = [pairs[i] for i in select_batch(step, len(pairs), settings.batch_size, self.seed)]
        lr = settings.lr * compute_lr_factor(step, settings.warmup_steps, self.planned)
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        loss, gradient_norm = run_update(
            self.wrapped_model, self.wrapped_optimiser, batch, settings, step, self.seed, self.accelerator
        )
        if not math.isfinite(loss):
            raise Diverged(
                f"the loss became {loss} at update {step + 1}; try a lower --lr than {settings.lr:g}: the same "
                f"command with --lr {settings.lr / 2:g}"
            )
        self.progress.step = step + 1
        self.progress.loss = loss
        self.progress.target_tokens += sum(len(target) for _, target in batch)
        self.add_to_epoch(loss, batch, count_updates_per_epoch(len(pairs), settings.batch_size))
        return {"loss": loss, "lr": lr, "gradient_norm": gradient_norm}

    def add_to_epoch(self, loss: float, batch: Sequence[TokenPair], updates_per_epoch: int) -> None:
        """The update just made, in the epoch's training loss; ``loss`` under the objective."""
        progress = self.progress
        if (progress.step - 1) % updates_per_epoch == 0:
            progress.epoch_nats, progress.epoch_tokens = 0.0, 0
        tokens = sum(len(target) for _, target in batch)
        progress.epoch_nats += loss * count_loss_unit(batch, self.settings.objective)
        progress.epoch_tokens += tokens
        if progress.step % updates_per_epoch == 0:
            progress.last_epoch_loss = progress.epoch_nats / progress.epoch_tokens

    def is_evaluation_due(self) -> bool:
        """Whether the dev loss is asked for after the last update."""
        every = self.settings.eval_every
        if not every:
            return False
        return self.progress.step % every == 0 or self.is_complete()

    def evaluate(self, dev: Sequence[TokenPair]) -> dict[str, float]:
        """Measure the model on the dev split and put the parameters aside if they are the best so far.

        Best by ROUGE-2 (from 0 to 1) where that decides what is kept, else by the loss; of equal ones the first.
        """
        progress = self.progress
        loss = compute_dev_loss(self.model, dev, self.settings.batch_size)
        if not math.isfinite(loss):
            raise Diverged(
                f"the dev loss became {loss} at update {progress.step}; try a lower --lr than {self.settings.lr:g}: "
                f"the same command with --lr {self.settings.lr / 2:g}"
            )
        facts = {"dev_loss": loss}
        is_best = progress.best_loss is None or loss < progress.best_loss
        if is_best:
            progress.best_loss, progress.best_step = loss, progress.step
        if self.keep is KeepRule.BEST_ROUGE2:
            if self.score_dev is None:
                raise ValueError("nothing to score outputs for the dev split with")
            score = facts["dev_rouge2"] = self.score_dev(self.model)
            self.model.train()
            is_best = progress.best_rouge2 is None or score > progress.best_rouge2
            if is_best:
                progress.best_rouge2, progress.best_rouge2_step = score, progress.step
        progress.looks_without_gain = 0 if is_best else progress.looks_without_gain + 1
        if is_best and self.puts_best_aside:
            self.put_best_aside()
        return facts

    @property
    def puts_best_aside(self) -> bool:
        """Whether the best parameters so far are wanted at the end."""
        return self.keep is not KeepRule.LAST or self.settings.store_both

    def put_best_aside(self) -> None:
        """Write the parameters of this update as the best so far, beside those that the last checkpoint refers to."""
        progress = self.progress
        if self.accelerator.is_main_process:
            document = {"key": progress.key, "step": progress.step}
            checkpoint.save_checked(self.next_best_file, self.model.trained_state(), document)
        self.has_next_best = True
        self.accelerator.wait_for_everyone()

    def find_best_step(self, progress: checkpoint.TrainingProgress) -> int | None:
        """The update whose parameters were put aside as the best."""
        return progress.best_rouge2_step if self.keep is KeepRule.BEST_ROUGE2 else progress.best_step

    def is_complete(self) -> bool:
        """Whether all planned updates are made."""
        return self.progress.step == self.planned

    def is_out_of_patience(self) -> bool:
        """Whether nothing has improved on the dev split for as long as the settings wait."""
        patience = self.settings.patience
        return patience is not None and self.progress.looks_without_gain >= patience

    def save_when_due(self, stopping: bool) -> None:
        """Save if it is time or somebody asked to stop; then raise ``Interrupted`` where updates are left."""
        due = time.monotonic() - self.saved >= self.settings.checkpoint_seconds
        stopping, due = combine_votes(self.accelerator, stopping, due)
        if stopping or due:
            self.save()
            self.saved = time.monotonic()
        if stopping and not self.is_complete() and not self.is_out_of_patience():
            raise Interrupted(self.progress.step, self.planned)

    def save(self) -> None:
        """Write the checkpoint; only the first process does, and all wait for it."""
        scaler = self.accelerator.scaler
        self.progress.seconds = self.seconds_before + time.monotonic() - self.started
        self.progress.scaler = scaler.state_dict() if scaler is not None else None
        if self.accelerator.is_main_process:
            parameters = list_optimised_parameters(self.optimiser, self.model)
            checkpoint.save_checkpoint(self.state_file, parameters, self.optimiser, self.progress)
            if self.has_next_best:
                self.next_best_file.replace(self.best_file)
        self.has_next_best = False
        self.accelerator.wait_for_everyone()

    def finish(self, store_other: OtherParametersWriter | None = None) -> TrainingOutcome:
        """Put the best parameters back where the settings keep those; what is recorded of the training.

        ``store_other`` is called while ``model`` holds the parameters that are not kept, where they are asked for.
        """
        progress, kept_step = self.progress, self.progress.step
        best_step = self.find_best_step(progress) if self.puts_best_aside else None
        if best_step is not None and self.keep is not KeepRule.LAST:
            kept_step = best_step
            if self.settings.store_both and store_other is not None:
                store_other(self.model, self.keep.other, progress.step)
            self.model.load_trained(self.load_best_at_end())
        elif best_step is not None and store_other is not None:
            last = {name: tensor.detach().clone() for name, tensor in self.model.trained_state().items()}
            self.model.load_trained(self.load_best_at_end())
            store_other(self.model, self.keep.other, best_step)
            self.model.load_trained(last)
        return TrainingOutcome(
            updates=progress.step,
            planned_updates=self.planned,
            seconds=progress.seconds,
            target_tokens=progress.target_tokens,
            final_loss=progress.loss,
            best_dev_loss=progress.best_loss,
            best_update=progress.best_step,
            resumed_at=self.resumed_at,
            processes=self.accelerator.num_processes,
            conditions=progress.conditions,
            last_epoch_loss=self.compute_last_epoch_loss(),
            best_dev_rouge2=progress.best_rouge2,
            kept_update=kept_step,
        )

    def load_best_at_end(self) -> dict[str, Tensor]:
        """The best parameters; ``StorageError`` where they are damaged, and the training state is put aside."""
        try:
            return self.load_best(self.best_file, self.progress)
        except DamagedFileError as error:
            if self.accelerator.is_main_process:
                self.discard_damaged(error)
            raise StorageError(
                f"{error.path} is damaged; issue the same command again to train anew"
            ) from error

    def compute_last_epoch_loss(self) -> float | None:
        """Of the last whole epoch; of what there is where none is whole; None without an update."""
        progress = self.progress
        if progress.last_epoch_loss is None and progress.epoch_tokens:
            return progress.epoch_nats / progress.epoch_tokens
        return progress.last_epoch_loss


def append_conditions(
    earlier: list[JsonObject | None], current: ExecutionConditions | None
) -> list[JsonObject | None]:
    """``earlier`` and what goes on now; a change is printed: the bytes differ from an uninterrupted training's."""
    conditions = None if current is None else current.to_json()
    if earlier and earlier[-1] == conditions:
        return earlier
    if earlier:
        print_message(describe_change(earlier[-1], current, "training"), important=True)
    return [*earlier, conditions]


def ignore_update(_step: int, _facts: dict[str, Any]) -> None:
    """What is done after an update where nobody asked for anything."""


def train_model(
    model: AdaptedModel,
    pairs: Sequence[TokenPair],
    dev: Sequence[TokenPair],
    settings: TrainingSettings,
    seed: int,
    key: str,
    folder: Path,
    accelerator: Accelerator,
    on_update: Callable[[int, dict[str, Any]], None] = ignore_update,
    stop: Callable[[], bool] = lambda: False,
    score_dev: DevScorer | None = None,
    store_other: OtherParametersWriter | None = None,
) -> TrainingOutcome:
    """Train ``model`` in place, continuing from ``folder/checkpoint.safetensors`` where there is one.

    ``key`` names the specification: another one's checkpoint is refused with ``DataError``; a damaged one is put
    aside (``bench.system.damage``) and the training starts over. ``stop`` is asked
    after every update; when it says yes the state is saved and ``Interrupted`` raised. ``on_update`` gets
    (finished updates, {"loss", "lr", "gradient_norm", …}). ``score_dev``: ROUGE-2 on the dev split, where it
    decides what is kept; ``store_other`` stores what is not kept (``TrainingRun.finish``). Raises ``Diverged`` when
    the loss is no number any more.
    """
    planned = count_planned_updates(len(pairs), settings)
    training = TrainingRun(model, settings, planned, seed, key, folder, accelerator, score_dev)
    cuda = [accelerator.device] if accelerator.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        training.begin()
        for _ in range(training.progress.step, planned):
            # Asked first, so that a run killed right after its last update stays as it is.
            if training.is_out_of_patience():
                break
            facts = training.make_update(pairs)
            if training.is_evaluation_due():
                facts |= training.evaluate(dev)
            on_update(training.progress.step, facts)
            training.save_when_due(stop())
        training.save()
    return training.finish(store_other)


def combine_votes(accelerator: Accelerator, *wishes: bool) -> list[bool]:
    """What any process wants, all do: so that none waits for others that have gone on."""
    if accelerator.num_processes == 1:
        return list(wishes)
    votes = torch.tensor([float(wish) for wish in wishes], device=accelerator.device)
    return [bool(total > 0) for total in accelerator.reduce(votes, "sum").tolist()]


def restore_state(
    state: checkpoint.TrainingState, model: AdaptedModel, optimiser: torch.optim.Optimizer
) -> None:
    """Put a checkpoint back into the model, the optimiser and the random states."""
    model.load_trained(state.parameters)
    current = optimiser.state_dict()
    current["state"] = state.moments
    optimiser.load_state_dict(current)
    torch.set_rng_state(state.random_states["cpu"])
    if "cuda" in state.random_states and torch.cuda.is_available():
        torch.cuda.set_rng_state(state.random_states["cuda"])
