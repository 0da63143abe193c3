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

import sys
from array import array
from collections.abc import Callable
from typing import Any

from bench.mini import pretraining
from bench.mini.corpus import SEPARATOR, iterate_documents

VOCABULARY = 2048
POSITIONS = 512
WIDTH, LAYERS, HEADS = 128, 6, 4
WINDOW = 256  # tokens per row; half of the rows start at a random position, so all are trained
BATCH = 8
TOKENIZER_DOCUMENTS = 20_000
PART = 1000  # documents made at a time
HELD_ROWS = 75


def train_tokenizer() -> Any:
    """The tokenizer, learned on the corpus itself."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=pretraining.train_bpe(
            iterate_documents(TOKENIZER_DOCUMENTS), VOCABULARY, [SEPARATOR]
        ),
        bos_token=SEPARATOR,
        eos_token=SEPARATOR,
        unk_token=SEPARATOR,
        model_max_length=POSITIONS,
        clean_up_tokenization_spaces=False,
    )


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
    # As large as the tokens'.
    model.transformer.wpe.weight.data.copy_(pretraining.waves(POSITIONS, WIDTH, 0.028))
    return model


class PackedText(pretraining.Corpus):
    """The corpus as packed token rows."""

    def __init__(self, tokenizer: Any, start: int = 0) -> None:
        super().__init__(tokenizer, start)
        self._tokens = array("H")

    def _refill(self) -> None:
        texts = [text + SEPARATOR for text in iterate_documents(PART, self._next)]
        self._next += len(texts)
        self._count(texts)
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
        self.tokens += need
        return torch.tensor(taken.tolist()).view(rows, WINDOW)


def held_loss(model: Any, tokenizer: Any) -> float:
    """Mean loss per token on pages that training never reads."""
    import torch

    rows = PackedText(tokenizer, pretraining.HELD_START).rows(HELD_ROWS)
    with torch.no_grad():
        losses = [model(input_ids=part, labels=part).loss.item() for part in rows.split(25)]
    return sum(losses) / len(losses)


def next_loss(model: Any, stream: PackedText, seed: int) -> Callable[[], Any]:
    """A function that gives the loss of the next rows, again and again."""
    import torch

    offsets = torch.Generator().manual_seed(seed)

    def loss() -> Any:
        rows = stream.rows(BATCH)
        offset = torch.randint(0, POSITIONS - WINDOW + 1, (BATCH, 1), generator=offsets)
        offset[::2] = 0
        return model(input_ids=rows, labels=rows, position_ids=torch.arange(WINDOW) + offset).loss

    return loss


def publish(model: Any) -> None:
    """Give the configuration the values that GPT-2 models are published with."""
    config = model.config
    config.resid_pdrop = config.embd_pdrop = config.attn_pdrop = 0.1  # what fine-tuning expects
    config.activation_function = "gelu_new"
    config.use_cache = True


def main(arguments: list[str] | None = None) -> int:
    chosen = pretraining.options("python -m bench.mini.pretrain", __doc__, 2850, arguments)
    tokenizer = train_tokenizer()
    model, stream = new_model(), PackedText(tokenizer)
    for done in pretraining.train(
        model,
        model.transformer.h,
        stream,
        next_loss(model, stream, chosen.seed),
        lambda: held_loss(model, tokenizer),
        chosen.steps,
        chosen.stop,
    ):
        print(f"{done.line} {done.seconds:.0f} s", flush=True)
    held = held_loss(model, tokenizer)
    publish(model)
    batch = {"batch": BATCH, "window": WINDOW}
    pretraining.save(model, tokenizer, chosen, done, batch, stream.facts("documents"), held)
    return 0


if __name__ == "__main__":
    sys.exit(main())
