"""What every test shares: where the real files are, if they are here, and a machine without a network."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import absl.logging
import pytest
from byte_tokens import byte_tokenizer
from hypothesis import settings

# How long an example may take says how busy the machine is, not whether the code is right.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models of the tests are too small to share
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# absl (which rouge-score uses) has a log handler that writes to what standard error is when it is imported,
# pytest's own capture; and submitit resets all logging, upon which absl closes that file under pytest.
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real files and official scores beside the checkout; tests that need it skip without it."""
    if not (SHARED / "data").is_dir():
        pytest.skip("no ../shared beside the checkout: this is a test on the publishers' own files")
    return SHARED


@pytest.fixture(scope="session")
def gpt2_words(shared: Path) -> Path:
    """GPT-2's tokenizer; how many tokens a word of the paper has, only it can say."""
    folder = shared / "tokenizers" / "gpt2"
    if not folder.is_dir():
        pytest.skip(
            "no tokenizers/gpt2 in ../shared: only GPT-2's tokenizer knows how many tokens a word has"
        )
    return folder


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own data, models or runs."""
    for name in ("BENCH_DATA", "BENCH_MODELS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BENCH_RUNS", str(tmp_path / "runs"))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For models so small that threads only cost time."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_bart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint directory with a random BART of two layers a side, and its tokenizer of single bytes."""
    import torch
    from transformers import BartConfig, BartForConditionalGeneration
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder = tmp_path_factory.mktemp("models") / "tiny-bart"
    roles = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    tokenizer = byte_tokenizer([*roles.values()], **roles)
    tokenizer.save_pretrained(folder)
    sides = {"layers": 2, "attention_heads": 2, "ffn_dim": 32}
    sizes = {f"{side}_{name}": size for side in ("encoder", "decoder") for name, size in sides.items()}
    config = BartConfig(**sizes, d_model=16, max_position_embeddings=1024, vocab_size=len(tokenizer))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BartForConditionalGeneration(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint directory with a random GPT-2 of two layers and a tokenizer of single bytes."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tokenizer = byte_tokenizer(["<|endoftext|>"], eos_token="<|endoftext|>")
    tokenizer.save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = GPT2Config(n_layer=2, n_embd=16, n_head=2, n_positions=1024, vocab_size=len(tokenizer))
        config.bos_token_id = config.eos_token_id = tokenizer.eos_token_id
        GPT2LMHeadModel(config).save_pretrained(folder)
    return folder
