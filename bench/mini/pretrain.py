"""Pre-train mini-gpt2, the backbone that ships with the project.

Why: every method of the benchmark steers a language model that already knows how to write. A random
network would make all of them look alike, and the real GPT-2 is too large for a laptop in two
minutes. So a GPT-2 of about 1.5 million parameters learns the invented world's web text
(``corpus.py``), every document seen once, and is then frozen for good.

    python -m bench.mini.pretrain --out bench/mini/assets/mini-gpt2

It needs torch 2.9 or newer (for Muon). The shipped weights took about 17 minutes on two CPU
cores. Another run with the same seed on other hardware gives a model of the same quality, but not
the same bits; ``pretraining.json`` says what was done and the SHA-256 of what came out.
"""

import argparse
import hashlib
import json
import sys
import time
from array import array
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.mini.corpus import SEPARATOR, documents

VOCABULARY = 2048
POSITIONS = 512
WIDTH, LAYERS, HEADS = 128, 6, 4
WINDOW = 256  # tokens per row; half of the rows start at a random position, so all are trained
BATCH = 8
MATRIX_RATE, RATE, WARMUP, COOLDOWN = 0.02, 3e-3, 100, 500
TOKENIZER_DOCUMENTS = 20_000
PART = 1000  # documents made at a time
HELD_ROWS = 75
HELD_START = 10_000_000  # far from any document that training reads


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


def train_tokenizer() -> Any:
    """The tokenizer, learned on the corpus itself."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=train_bpe(documents(TOKENIZER_DOCUMENTS), VOCABULARY, [SEPARATOR]),
        bos_token=SEPARATOR,
        eos_token=SEPARATOR,
        unk_token=SEPARATOR,
        model_max_length=POSITIONS,
        clean_up_tokenization_spaces=False,
    )


def waves(positions: int, width: int, size: float) -> Any:
    """Sines and cosines as first position embeddings, [positions, width].

    Looking one token back, the first half of copying, is then the same at all positions instead of
    learned for each. They are trained on.
    """
    import torch

    angles = torch.arange(positions)[:, None] / 10_000 ** (torch.arange(0, width, 2) / width)
    return torch.cat([angles.sin(), angles.cos()], dim=1) * size


def new_model() -> Any:
    """GPT-2 in small. Dropout is off here: no document is seen twice, so nothing can be overfitted."""
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=VOCABULARY,
            n_positions=POSITIONS,
            n_embd=WIDTH,
            n_layer=LAYERS,
            n_head=HEADS,
            bos_token_id=0,
            eos_token_id=0,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            # The same function as GPT-2's "gelu_new", computed in one go.
            activation_function="gelu_pytorch_tanh",
            use_cache=False,
        )
    )
    model.transformer.wpe.weight.data.copy_(waves(POSITIONS, WIDTH, 0.028))  # as large as the tokens'
    return model


class Stream:
    """The corpus as packed token rows, made while training and hashed on the way."""

    def __init__(self, tokenizer: Any, start: int = 0) -> None:
        self._tokenizer, self._next = tokenizer, start
        self._tokens = array("H")
        self.digest = hashlib.sha256()
        self.first_digest = ""
        self.documents = self.characters = 0

    def _refill(self) -> None:
        texts = [text + SEPARATOR for text in documents(PART, self._next)]
        self._next += len(texts)
        self.documents += len(texts)
        self.characters += sum(map(len, texts))
        for text in texts:
            self.digest.update(text.encode())
        self.first_digest = self.first_digest or self.digest.hexdigest()
        # In pieces: a special token costs nothing here, and long strings would be slower.
        for ids in self._tokenizer(texts)["input_ids"]:
            self._tokens.extend(ids)

    def rows(self, rows: int) -> Any:
        """The next tokens as a (rows, WINDOW) tensor."""
        import torch

        need = rows * WINDOW
        while len(self._tokens) < need:
            self._refill()
        taken, self._tokens = self._tokens[:need], self._tokens[need:]
        return torch.tensor(taken.tolist()).view(rows, WINDOW)


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


def set_rates(optimizers: list[tuple[Any, float]], share: float) -> None:
    """Give every optimizer its share of its peak learning rate."""
    for optimizer, peak in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = peak * share


def update(model: Any, loss: Any, optimizers: list[tuple[Any, float]]) -> None:
    """One step down the gradient of ``loss``."""
    import torch

    model.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer, _ in optimizers:
        optimizer.step()


def held_loss(model: Any, tokenizer: Any) -> float:
    """Mean loss per token on pages that training never reads."""
    import torch

    rows = Stream(tokenizer, HELD_START).rows(HELD_ROWS)
    with torch.no_grad():
        losses = [model(input_ids=part, labels=part).loss.item() for part in rows.split(25)]
    return sum(losses) / len(losses)


def train(
    model: Any, tokenizer: Any, stream: Stream, steps: int, seed: int, stop: Path | None = None
) -> Iterator[tuple[int, float, str]]:
    """Train in place; yields (steps done, loss, a line of progress) now and then.

    When the file ``stop`` appears, the learning rate goes down from then on: the result is that of
    a run that was asked for so many steps.
    """
    import torch

    offsets = torch.Generator().manual_seed(seed)
    optimizers = new_optimizers(model, model.transformer.h)
    began, recent = time.monotonic(), []
    step = 0
    while step < steps:
        if stop and step + COOLDOWN < steps and not step % 10 and stop.exists():
            steps = step + COOLDOWN
        set_rates(optimizers, rate(step, steps))
        rows = stream.rows(BATCH)
        offset = torch.randint(0, POSITIONS - WINDOW + 1, (BATCH, 1), generator=offsets)
        offset[::2] = 0
        positions = torch.arange(WINDOW) + offset
        # Half-precision products: twice as fast where the processor has them; weights stay fp32.
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(input_ids=rows, labels=rows, position_ids=positions).loss
        update(model, loss, optimizers)
        recent.append(loss.item())
        step += 1
        if step % 50 == 0 or step == steps:
            mean, recent = sum(recent) / len(recent), []
            spent = time.monotonic() - began
            speed = step * BATCH * WINDOW / spent
            held = "" if step % 500 else f" held-out {held_loss(model, tokenizer):.4f}"
            line = f"step {step}/{steps} loss {mean:.4f}{held} {speed:.0f} tokens/s {spent:.0f} s"
            yield step, mean, line


def save(model: Any, tokenizer: Any, out: Path, facts: dict[str, Any]) -> None:
    """Write the model as GPT-2 models are published, and how it was made."""
    config = model.config
    config.resid_pdrop = config.embd_pdrop = config.attn_pdrop = 0.1  # what fine-tuning expects
    config.activation_function = "gelu_new"
    config.use_cache = True
    save_files(model, tokenizer, out, facts)


def save_files(model: Any, tokenizer: Any, out: Path, facts: dict[str, Any]) -> None:
    """The files of a checkpoint, and ``pretraining.json`` with ``facts`` and the weights' SHA-256."""
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    facts["weights_sha256"] = hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest()
    (out / "pretraining.json").write_text(json.dumps(facts, indent=2) + "\n")


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
    return chosen


def main(arguments: list[str] | None = None) -> int:
    chosen = options("python -m bench.mini.pretrain", __doc__, 2850, arguments)
    began = time.monotonic()
    tokenizer = train_tokenizer()
    model, stream = new_model(), Stream(tokenizer)
    for done, loss, line in train(  # noqa: B007
        model, tokenizer, stream, chosen.steps, chosen.seed, chosen.stop
    ):
        print(line, flush=True)
    save(
        model,
        tokenizer,
        chosen.out,
        {
            "script": "python -m bench.mini.pretrain",
            "seed": chosen.seed,
            "steps": done,
            "batch": BATCH,
            "window": WINDOW,
            "parameters": sum(p.numel() for p in model.parameters()),
            "tokens": done * BATCH * WINDOW,
            "corpus_documents": stream.documents,
            "corpus_characters": stream.characters,
            "first_documents_sha256": stream.first_digest,
            "corpus_sha256": stream.digest.hexdigest(),
            "final_loss": round(loss, 4),
            "held_out_loss": round(held_loss(model, tokenizer), 4),
            "torch": version("torch"),
            "threads": chosen.threads,
            "seconds": round(time.monotonic() - began),
        },
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
