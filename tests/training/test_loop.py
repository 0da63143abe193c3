"""The training loop: schedule, order, objectives, and that a killed run ends where it would have."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    GPT2Config,
    GPT2LMHeadModel,
    get_linear_schedule_with_warmup,
)

from bench.errors import DataError
from bench.models.adapted import AdaptedModel
from bench.registry import get_method
from bench.system.damage import read_damage_notes
from bench.system.devices import make_accelerator
from bench.training.loop import Diverged, Interrupted, train_model
from bench.training.selection import KeepRule
from bench.training.update import (
    TokenPair,
    TrainingSettings,
    compute_dev_loss,
    compute_lr_factor,
    count_planned_updates,
    make_optimiser,
    select_batch,
)

VOCABULARY = 40


def backbone() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(n_layer=2, n_embd=16, n_head=2, n_positions=64, vocab_size=VOCABULARY)
    return GPT2LMHeadModel(config).eval()


def bart() -> BartForConditionalGeneration:
    torch.manual_seed(0)
    config = BartConfig(
        encoder_layers=2, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2, d_model=16,
        encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=64, vocab_size=VOCABULARY,
        eos_token_id=0, decoder_start_token_id=0, bos_token_id=2,
    )  # fmt: skip
    return BartForConditionalGeneration(config).eval()


def build(method: str = "prefix", dropout: bool | None = None, on: Any = backbone, **options: Any) -> Any:
    chosen = get_method(method)
    model = chosen.build(on(), None, chosen.resolve_options(options), seed=1)
    if dropout is not None:
        model.backbone_dropout = dropout
    return model


def pairs(count: int = 23) -> list[TokenPair]:
    draw = torch.Generator().manual_seed(3)
    out = []
    for _ in range(count):
        lengths = torch.randint(2, 7, (2,), generator=draw).tolist()
        source = torch.randint(1, VOCABULARY, (lengths[0],), generator=draw).tolist()
        target = torch.randint(1, VOCABULARY, (lengths[1],), generator=draw).tolist()
        out.append(([*source, 0], [*target, 0]))
    return out


def settings(**changes: Any) -> TrainingSettings:
    base: dict[str, Any] = {
        "epochs": 2,
        "max_steps": None,
        "batch_size": 5,
        "accumulation": 1,
        "lr": 1e-2,
        "warmup_steps": 0,
        "weight_decay": 0.0,
        "clip_norm": 1.0,
        "objective": "mean",
        "keep": "last",
        "eval_every": None,
        "patience": None,
        "checkpoint_seconds": 1e9,
    }
    return TrainingSettings(**{**base, **changes})


def go(model: AdaptedModel, folder: Path, chosen: TrainingSettings, **more: Any) -> Any:
    accelerator = make_accelerator("cpu", "fp32")
    folder.mkdir(exist_ok=True)
    dev = more.pop("dev", [])
    return train_model(model, pairs(), dev, chosen, 7, "key", folder, accelerator, **more)


@pytest.mark.parametrize("warmup", [0, 3, 10])
def test_schedule_is_the_librarys(warmup: int) -> None:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = get_linear_schedule_with_warmup(optimiser, warmup, 10)
    for step in range(10):
        assert compute_lr_factor(step, warmup, 10) == pytest.approx(theirs.get_last_lr()[0])
        optimiser.step()
        theirs.step()


def test_every_epoch_visits_every_row_once_in_another_order() -> None:
    epochs = [[i for step in range(e * 5, e * 5 + 5) for i in select_batch(step, 23, 5, 7)] for e in (0, 1)]
    assert all(sorted(order) == list(range(23)) for order in epochs)
    assert epochs[0] != epochs[1]
    assert select_batch(3, 23, 5, 7) != select_batch(3, 23, 5, 8)


def test_max_steps_overrides_epochs() -> None:
    assert count_planned_updates(23, settings()) == 10
    assert count_planned_updates(23, settings(max_steps=3)) == 3
    assert count_planned_updates(23, settings(max_steps=400)) == 400


@pytest.mark.parametrize("objective", ["mean", "sum"])
def test_one_update_is_the_textbook_one(objective: str, tmp_path: Path) -> None:
    """The same step by hand: the library's own loss on every example, torch's clip and AdamW."""
    model, reference = build("ft-full", dropout=False), backbone()
    go(model, tmp_path, settings(max_steps=1, objective=objective))
    batch = [pairs()[i] for i in select_batch(0, 23, 5, 7)]
    total = torch.zeros(())
    for source, target in batch:
        labels = torch.tensor([[-100] * len(source) + target])
        loss = reference(torch.tensor([source + target]), labels=labels).loss
        total = total + loss * len(target)
    unit = sum(len(t) for _, t in batch) if objective == "mean" else len(batch)
    optimiser = torch.optim.AdamW(reference.parameters(), lr=1e-2, weight_decay=0.0)
    (total / unit).backward()
    torch.nn.utils.clip_grad_norm_(reference.parameters(), 1.0)
    optimiser.step()
    for mine, theirs in zip(model.backbone.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("objective", ["mean", "sum"])
@pytest.mark.parametrize(
    "cut", [{"accumulation": 3}, {"micro_split": 2}, {"accumulation": 2, "micro_split": 2}]
)
def test_accumulation_does_not_change_the_update(cut: dict[str, int], objective: str, tmp_path: Path) -> None:
    whole, parts = build(), build()
    go(whole, tmp_path / "a", settings(max_steps=4, objective=objective))
    go(parts, tmp_path / "b", settings(max_steps=4, objective=objective, **cut))
    for a, b in zip(whole.trained_state().values(), parts.trained_state().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_same_seed_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    states = []
    for folder, seed in (("a", 7), ("b", 7), ("c", 8)):
        model = build("ft-full")
        (tmp_path / folder).mkdir()
        accelerator = make_accelerator("cpu", "fp32")
        train_model(model, pairs(), [], settings(max_steps=4), seed, "key", tmp_path / folder, accelerator)
        states.append(model.trained_state())
    assert all(torch.equal(a, b) for a, b in zip(states[0].values(), states[1].values(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(states[0].values(), states[2].values(), strict=True))


@pytest.mark.parametrize("on", [backbone, bart])
@pytest.mark.parametrize("method", ["ft-full", "prefix"])
@pytest.mark.parametrize("stop_after", [1, 4, 9])
def test_interrupted_and_resumed_ends_bit_for_bit_the_same(
    method: str, stop_after: int, on: Any, tmp_path: Path
) -> None:
    through, resumed = build(method, on=on), build(method, on=on)
    whole = go(through, tmp_path / "through", settings())
    seen = []
    with pytest.raises(Interrupted, match=f"after update {stop_after} of 10"):
        go(
            resumed,
            tmp_path / "resumed",
            settings(),
            on_update=lambda step, _: seen.append(step),
            stop=lambda: len(seen) == stop_after,
        )
    fresh = build(method, on=on)
    torch.manual_seed(999)  # the state of the global generator must not matter
    report = go(fresh, tmp_path / "resumed", settings())
    assert report.resumed_at == stop_after
    assert report.last_epoch_loss == whole.last_epoch_loss
    assert report.updates == 10
    for name, tensor in through.trained_state().items():
        assert torch.equal(tensor, fresh.trained_state()[name]), name


def stop_after(steps: int, folder: Path, chosen: TrainingSettings, **more: Any) -> None:
    """Train in ``folder`` and stop after that many updates, with a checkpoint."""
    seen: list[int] = []
    with pytest.raises(Interrupted):
        go(
            build(),
            folder,
            chosen,
            on_update=lambda step, _: seen.append(step),
            stop=lambda: len(seen) == steps,
            **more,
        )


def test_a_training_continued_with_other_threads_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = torch.get_num_threads()
    stop_after(2, tmp_path, settings())
    try:
        torch.set_num_threads(threads + 1)
        stop_after(2, tmp_path, settings())
    finally:
        torch.set_num_threads(threads)
    report = go(build(), tmp_path, settings())
    assert [part["threads"] for part in report.conditions] == [threads, threads + 1, threads]
    assert capsys.readouterr().err.count("training goes on under other conditions (threads") == 2


def test_target_tokens_are_counted_over_all_attempts(tmp_path: Path) -> None:
    seen: list[int] = []
    with pytest.raises(Interrupted):
        go(
            build(),
            tmp_path,
            settings(),
            on_update=lambda step, _: seen.append(step),
            stop=lambda: len(seen) == 3,
        )
    report = go(build(), tmp_path, settings())
    assert report.target_tokens == 2 * sum(len(t) for _, t in pairs())


@pytest.mark.parametrize("objective", ["mean", "sum"])
def test_the_training_loss_of_the_last_epoch_is_per_token_of_each_row_once(
    objective: str, tmp_path: Path
) -> None:
    """With a learning rate of 0 it is the loss of the untrained model, whichever the objective and the cuts."""
    rows, model = pairs(), build(dropout=False)
    made = settings(objective=objective, lr=0.0, accumulation=2)
    outcome = go(model, tmp_path / "a", made)
    assert outcome.last_epoch_loss == pytest.approx(compute_dev_loss(model, rows, 5), rel=1e-5)
    # Stopped in the middle of an epoch: what there is of it, not the loss of the last batch.
    short = go(build(dropout=False), tmp_path / "b", settings(lr=0.0, max_steps=3))
    assert short.last_epoch_loss is not None and short.last_epoch_loss != short.final_loss


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    go(build(), tmp_path, settings(max_steps=2))
    accelerator = make_accelerator("cpu", "fp32")
    with pytest.raises(DataError, match="another specification"):
        train_model(build(), pairs(), [], settings(max_steps=2), 7, "other", tmp_path, accelerator)


def flip(path: Path, share: float) -> None:
    """Flip one bit of a file, at that share of its length."""
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, None])
def test_a_damaged_checkpoint_is_put_aside_and_training_starts_over(
    share: float | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    through = build()
    go(through, tmp_path / "through", settings())
    stop_after(3, tmp_path / "damaged", settings())
    file = tmp_path / "damaged" / "checkpoint.safetensors"
    if share is None:
        file.write_bytes(file.read_bytes()[:-10])
    else:
        flip(file, share)
    fresh = build()
    report = go(fresh, tmp_path / "damaged", settings())
    assert report.resumed_at is None and report.updates == 10
    assert file.with_name("checkpoint.safetensors.damaged-1").is_file()
    assert [note["file"] for note in read_damage_notes(tmp_path / "damaged")] == [file.name]
    assert capsys.readouterr().err.count("put aside as checkpoint.safetensors.damaged-1") == 1
    for name, tensor in through.trained_state().items():
        assert torch.equal(tensor, fresh.trained_state()[name]), name


WATCHING: dict[str, Any] = {"epochs": 4, "lr": 0.05, "keep": "best", "eval_every": 2}


def test_damaged_best_parameters_are_trained_again(tmp_path: Path) -> None:
    chosen = settings(**WATCHING)
    through = build()
    expected = go(through, tmp_path / "through", chosen, dev=pairs(6))
    stop_after(3, tmp_path / "damaged", chosen, dev=pairs(6))
    best = tmp_path / "damaged" / "best.safetensors"
    flip(best, 0.8)
    fresh = build()
    report = go(fresh, tmp_path / "damaged", chosen, dev=pairs(6))
    assert (report.resumed_at, report.best_update) == (None, expected.best_update)
    assert best.with_name("best.safetensors.damaged-1").is_file()
    for name, tensor in through.trained_state().items():
        assert torch.equal(tensor, fresh.trained_state()[name]), name


def test_lost_best_parameters_are_trained_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = settings(**WATCHING)
    stop_after(3, tmp_path, chosen, dev=pairs(6))
    (tmp_path / "best.safetensors").unlink()
    assert go(build(), tmp_path, chosen, dev=pairs(6)).resumed_at is None
    assert "best.safetensors is missing; the training starts over" in capsys.readouterr().err


def test_the_best_parameters_are_those_that_the_checkpoint_refers_to(tmp_path: Path) -> None:
    """Killed after better parameters were kept and before the next checkpoint: the older ones are still there."""
    chosen = settings(**WATCHING)
    stop_after(3, tmp_path, chosen, dev=pairs(6))
    kept = (tmp_path / "best.safetensors").read_bytes()

    class Killed(BaseException):
        pass

    def kill(step: int, _: dict[str, Any]) -> None:
        if step == 4:
            raise Killed

    with pytest.raises(Killed):
        go(build(), tmp_path, chosen, dev=pairs(6), on_update=kill)
    assert (tmp_path / "best-next.safetensors").is_file()
    assert (tmp_path / "best.safetensors").read_bytes() == kept
    fresh, through = build(), build()
    report = go(fresh, tmp_path, chosen, dev=pairs(6))
    (tmp_path / "through").mkdir()
    go(through, tmp_path / "through", chosen, dev=pairs(6))
    assert report.resumed_at == 3
    for name, tensor in through.trained_state().items():
        assert torch.equal(tensor, fresh.trained_state()[name]), name


def test_best_keeps_the_parameters_of_the_lowest_dev_loss(tmp_path: Path) -> None:
    losses: dict[int, float] = {}
    states: dict[int, dict[str, torch.Tensor]] = {}
    model = build("ft-full", dropout=False)

    def remember(step: int, facts: dict[str, Any]) -> None:
        if "dev_loss" in facts:
            losses[step] = facts["dev_loss"]
            states[step] = {name: t.clone() for name, t in model.trained_state().items()}

    chosen = settings(epochs=8, lr=0.05, keep="best", eval_every=3)
    report = go(model, tmp_path, chosen, dev=pairs(6), on_update=remember)
    best = min(losses, key=lambda step: losses[step])
    assert report.best_update == best
    assert report.best_dev_loss == losses[best]
    assert all(torch.equal(t, states[best][name]) for name, t in model.trained_state().items())


@pytest.mark.parametrize("keep", ["last", "best"])
def test_both_parameters_can_be_stored(keep: str, tmp_path: Path) -> None:
    states: dict[int, dict[str, torch.Tensor]] = {}
    stored: list[tuple[str, int, dict[str, torch.Tensor]]] = []
    model = build("ft-full", dropout=False)

    def remember(step: int, _: dict[str, Any]) -> None:
        states[step] = {name: t.clone() for name, t in model.trained_state().items()}

    def store(holder: AdaptedModel, rule: KeepRule, step: int) -> None:
        stored.append((rule, step, {name: t.clone() for name, t in holder.trained_state().items()}))

    # The first update changes nothing (warm-up), the next ones destroy the model: the first look is the best.
    chosen = settings(max_steps=4, lr=9.0, warmup_steps=9, keep=keep, eval_every=1, store_both=True)
    report = go(model, tmp_path, chosen, dev=pairs(6), on_update=remember, store_other=store)
    assert report.best_update is not None and report.best_update < report.updates, "both are the same here"
    steps = {"last": report.updates, "best": report.best_update}
    other = {"last": "best", "best": "last"}[keep]
    [(rule, step, tensors)] = stored
    assert (rule, step, report.kept_update) == (other, steps[other], steps[keep])
    assert all(torch.equal(t, states[step][name]) for name, t in tensors.items())
    assert all(torch.equal(t, states[steps[keep]][name]) for name, t in model.trained_state().items())


def test_the_highest_rouge_decides_and_not_the_loss(tmp_path: Path) -> None:
    scores = iter([0.1, 0.3, 0.3, 0.2])
    seen: dict[int, dict[str, torch.Tensor]] = {}
    model = build("ft-full", on=bart)

    def score(holder: AdaptedModel) -> float:
        assert holder is model
        holder.eval()  # as decoding leaves it to the caller
        return next(scores)

    def remember(step: int, facts: dict[str, Any]) -> None:
        assert model.training
        seen[step] = {name: t.clone() for name, t in model.trained_state().items()}
        assert ("dev_rouge2" in facts) == ("dev_loss" in facts) == (step in (3, 6, 9, 10))

    chosen = settings(keep="best-dev-rouge2", eval_every=3, patience=2)
    report = go(model, tmp_path, chosen, dev=pairs(4), on_update=remember, score_dev=score)
    assert (report.kept_update, report.best_dev_rouge2) == (6, 0.3), "of equal ones the first"
    assert all(torch.equal(t, seen[6][name]) for name, t in model.trained_state().items())


def test_patience_goes_by_what_decides(tmp_path: Path) -> None:
    chosen = settings(epochs=40, keep="best-dev-rouge2", eval_every=2, patience=2)
    report = go(build("ft-full", on=bart), tmp_path, chosen, dev=pairs(4), score_dev=lambda _: 0.5)
    assert (report.updates, report.kept_update) == (6, 2)


def test_patience_stops_early(tmp_path: Path) -> None:
    # A learning rate that destroys the model: the dev loss never improves on the first look.
    chosen = settings(epochs=40, lr=5.0, eval_every=2, patience=3, clip_norm=None)
    report = go(build("ft-full", dropout=False), tmp_path, chosen, dev=pairs(6))
    assert report.updates < report.planned_updates
    assert report.best_update is not None
    assert report.updates == report.best_update + 3 * 2


def test_a_run_that_lost_patience_stays_as_it_was_when_resumed(tmp_path: Path) -> None:
    chosen = settings(epochs=40, lr=5.0, eval_every=2, patience=3, clip_norm=None)
    first = build("ft-full", dropout=False)
    before = go(first, tmp_path, chosen, dev=pairs(6))
    again = build("ft-full", dropout=False)
    after = go(again, tmp_path, chosen, dev=pairs(6))
    assert after.updates == before.updates
    for name, tensor in first.trained_state().items():
        assert torch.equal(tensor, again.trained_state()[name])


def test_divergence_is_a_failure_of_the_work(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match="lower --lr") as caught:
        go(build("ft-full"), tmp_path, settings(lr=1e18, clip_norm=None))
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("on", [backbone, bart])
@pytest.mark.parametrize("method", ["ft-full", "adapter", "prefix", "embedding", "infix"])
def test_bf16_trains_close_to_fp32(method: str, on: Any, tmp_path: Path) -> None:
    losses: dict[str, list[float]] = {}
    for precision in ("fp32", "bf16"):
        (tmp_path / precision).mkdir()
        accelerator = make_accelerator("cpu", precision)
        kept = losses[precision] = []
        train_model(
            build(method, dropout=False, on=on),
            pairs(),
            [],
            settings(max_steps=3, lr=1e-3),
            7,
            "key",
            tmp_path / precision,
            accelerator,
            on_update=lambda _, facts, kept=kept: kept.append(facts["loss"]),
        )
    assert losses["bf16"] != losses["fp32"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.05)


def test_words_are_fitted_without_dropout(tmp_path: Path) -> None:
    states = []
    for name in ("a", "b"):
        model = build("prefix", dropout=True)
        model.before_training = lambda _, one=model: states.append(one.backbone.training)
        torch.manual_seed(len(states))
        go(model, tmp_path / name, settings(max_steps=1))
    assert states == [False, False]


def test_weight_decay_spares_biases_and_norms() -> None:
    groups = make_optimiser(build("ft-full"), 1.0, 0.1).param_groups
    assert {group["weight_decay"] for group in groups} == {0.0, 0.1}
    for group in groups:
        assert all((p.ndim >= 2) == (group["weight_decay"] > 0) for p in group["params"])


def test_loss_falls(tmp_path: Path) -> None:
    losses: list[float] = []
    go(
        build("ft-full"),
        tmp_path,
        settings(epochs=20),
        on_update=lambda _, facts: losses.append(facts["loss"]),
    )
    assert losses[0] == pytest.approx(math.log(VOCABULARY), abs=0.5)
    assert losses[-1] < losses[0] - 1
