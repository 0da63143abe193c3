"""What the pre-training of mini-gpt2 (``pretrain.py``) and of mini-bart (``pretrain_bart.py``) has in common.

How the tokenizer is learned, the loop with its optimizers and learning rates, the files that come out.
What a model reads, what it looks like and what it is to learn is in the two scripts.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

MATRIX_RATE, RATE, WARMUP, COOLDOWN = 0.02, 3e-3, 100, 500
HELD_START = 10_000_000  # number of a text, far from any that training reads


def train_bpe(texts: Iterator[str], vocabulary: int, special: list[str]) -> Any:
    """A byte-level BPE with GPT-2's way of splitting words (BART's too); ``special`` get the first ids."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return bpe


def waves(positions: int, width: int, size: float) -> Any:
    """Sines and cosines as first position embeddings, [positions, width].

    Looking one token back, the first half of copying, is then the same at all positions instead of
    learned for each. They are trained on.
    """
    import torch

    angles = torch.arange(positions)[:, None] / 10_000 ** (torch.arange(0, width, 2) / width)
    return torch.cat([angles.sin(), angles.cos()], dim=1) * size


class Corpus:
    """Texts by number, made while training, counted and hashed on the way; ``tokens`` are those given out."""

    def __init__(self, tokenizer: Any, start: int = 0) -> None:
        self._tokenizer, self._next = tokenizer, start
        self._digest = hashlib.sha256()
        self._first_digest = ""
        self.texts = self.characters = self.tokens = 0

    def _count(self, texts: Iterable[str]) -> None:
        """Take note of the texts that were read next."""
        for text in texts:
            self._digest.update(text.encode())
            self.texts, self.characters = self.texts + 1, self.characters + len(text)
        self._first_digest = self._first_digest or self._digest.hexdigest()

    def facts(self, noun: str) -> dict[str, Any]:
        """What was read, for ``pretraining.json``; ``noun``: what a text is called there."""
        return {
            "tokens": self.tokens,
            f"corpus_{noun}": self.texts,
            "corpus_characters": self.characters,
            f"first_{noun}_sha256": self._first_digest,
            "corpus_sha256": self._digest.hexdigest(),
        }


def new_optimizers(model: Any, blocks: Any) -> list[tuple[Any, float]]:
    """Optimizers with their peak learning rates.

    Muon for the matrices inside the ``blocks`` of ``model`` (it needs about half the tokens to learn to copy),
    AdamW for embeddings, biases and norms.
    """
    import torch

    matrices = [p for p in blocks.parameters() if p.dim() == 2]
    inside = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in inside]
    muon = torch.optim.Muon(matrices, lr=MATRIX_RATE, weight_decay=0.01)
    adam = torch.optim.AdamW(rest, lr=RATE, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    return [(muon, MATRIX_RATE), (adam, RATE)]


def rate(step: int, steps: int) -> float:
    """Share of the peak learning rate: up, level, and down to zero over the last COOLDOWN steps."""
    return min(1.0, (step + 1) / WARMUP, (steps - step) / COOLDOWN)


def update(model: Any, loss: Any, optimizers: list[tuple[Any, float]], share: float) -> None:
    """One step down the gradient of ``loss``, at a ``share`` of the peak learning rates."""
    import torch

    model.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer, peak in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = peak * share
        optimizer.step()


class Progress(NamedTuple):
    """How far training is: steps done, mean loss since the last report, the same as a line, seconds spent."""

    step: int
    loss: float
    line: str
    seconds: float


def train(
    model: Any,
    blocks: Any,
    corpus: Corpus,
    next_loss: Callable[[], Any],
    held_loss: Callable[[], float],
    steps: int,
    stop: Path | None = None,
) -> Iterator[Progress]:
    """Train in place on what ``next_loss`` reads from the corpus; tells now and then how it goes.

    When the file ``stop`` appears, the learning rate goes down from then on: the result is that of
    a run that was asked for so many steps.
    """
    import torch

    optimizers = new_optimizers(model, blocks)
    began, recent = time.monotonic(), []
    step = 0
    while step < steps:
        if stop and step + COOLDOWN < steps and not step % 10 and stop.exists():
            steps = step + COOLDOWN
        # Half-precision products: twice as fast where the processor has them; weights stay fp32.
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = next_loss()
        update(model, loss, optimizers, rate(step, steps))
        recent.append(loss.item())
        step += 1
        if step % 50 == 0 or step == steps:
            mean, recent = sum(recent) / len(recent), []
            spent = time.monotonic() - began
            held = "" if step % 500 else f" held-out {held_loss():.4f}"
            line = f"step {step}/{steps} loss {mean:.4f}{held} {corpus.tokens / spent:.0f} tokens/s"
            yield Progress(step, mean, line, spent)


def options(
    program: str, description: str | None, steps: int, arguments: list[str] | None
) -> argparse.Namespace:
    """What a pre-training script is asked to do; threads and seed are set, the folder is there."""
    parser = argparse.ArgumentParser(
        prog=program, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write the model to")
    parser.add_argument("--seed", type=int, default=1, help="of the initial weights (default 1)")
    parser.add_argument("--steps", type=int, default=steps, help=f"updates (default {steps})")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--stop", type=Path, help="finish early when this file appears")
    chosen = parser.parse_args(arguments)

    import torch

    torch.set_num_threads(chosen.threads)
    torch.manual_seed(chosen.seed)
    chosen.out.mkdir(parents=True, exist_ok=True)
    chosen.program, chosen.began = program, time.monotonic()
    return chosen


def save(
    model: Any,
    tokenizer: Any,
    chosen: argparse.Namespace,
    done: Progress,
    batch: dict[str, int],
    corpus: dict[str, Any],
    held_loss: float,
) -> None:
    """The files of a checkpoint, and ``pretraining.json``: how it was made and the weights' SHA-256."""
    facts = {
        "script": chosen.program,
        "seed": chosen.seed,
        "steps": done.step,
        **batch,
        "parameters": sum(p.numel() for p in model.parameters()),
        **corpus,
        "final_loss": round(done.loss, 4),
        "held_out_loss": round(held_loss, 4),
        "torch": version("torch"),
        "threads": chosen.threads,
        "seconds": round(time.monotonic() - chosen.began),
    }
    model.save_pretrained(chosen.out)
    tokenizer.save_pretrained(chosen.out)
    facts["weights_sha256"] = hashlib.sha256((chosen.out / "model.safetensors").read_bytes()).hexdigest()
    (chosen.out / "pretraining.json").write_text(json.dumps(facts, indent=2) + "\n")
