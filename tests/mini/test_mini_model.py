"""The packaged backbone: small, loadable without network, and what its record says it is."""

import hashlib
import json

import pytest

from bench.mini import mini_model_dir
from bench.mini.corpus import SEPARATOR, iterate_documents, make_document

RECORD = json.loads((mini_model_dir() / "pretraining.json").read_text())


def test_is_small_and_has_no_pickles() -> None:
    files = list(mini_model_dir().iterdir())
    assert sum(f.stat().st_size for f in files) <= 8 * 2**20
    assert {f.suffix for f in files} == {".json", ".safetensors"}


def test_record_matches_the_weights() -> None:
    weights = (mini_model_dir() / "model.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == RECORD["weights_sha256"]
    assert RECORD["held_out_loss"] < 3


def test_record_matches_the_first_pages() -> None:
    digest = hashlib.sha256()
    for text in iterate_documents(1000):
        digest.update((text + SEPARATOR).encode())
    assert digest.hexdigest() == RECORD["first_documents_sha256"]


@pytest.mark.slow
def test_record_matches_the_corpus() -> None:
    digest = hashlib.sha256()
    characters = 0
    for text in iterate_documents(RECORD["corpus_documents"]):
        digest.update((text + SEPARATOR).encode())
        characters += len(text + SEPARATOR)
    assert (digest.hexdigest(), characters) == (
        RECORD["corpus_sha256"],
        RECORD["corpus_characters"],
    )


def test_pages_do_not_depend_on_each_other() -> None:
    assert list(iterate_documents(3, 40)) == [make_document(n) for n in (40, 41, 42)]


def test_loads_offline() -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(mini_model_dir())
    model = AutoModelForCausalLM.from_pretrained(mini_model_dir(), use_safetensors=True).eval()
    assert model.config.model_type == "gpt2"
    assert model.config.attn_pdrop == model.config.resid_pdrop == model.config.embd_pdrop == 0.1
    assert model.dtype == torch.float32
    end = tokenizer.eos_token_id
    assert tokenizer.bos_token_id == end == model.config.eos_token_id == model.config.bos_token_id
    assert tokenizer.pad_token is None
    text = f" | Café_Thing : priceRange : £20-25 {SEPARATOR} A café, isn't it? {SEPARATOR}"
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids) == text
    assert ids.count(end) == 2
    assert ids[0] == tokenizer(" |")["input_ids"][0], "no space is put in front"
    # It learned to copy: an info box makes the paragraph after it far more likely than another one.
    box = "Thalwick_Airport -> cityServed -> Velimont\nThalwick_Airport -> operator -> Korrath_Group\n"
    right = " Thalwick Airport serves Velimont and is operated by Korrath Group."
    wrong = " Brondale Airport serves Mirastow and is operated by Pelunholm Works."
    assert loss(model, tokenizer, box, right) < loss(model, tokenizer, box, wrong) - 1


def loss(model, tokenizer, context: str, text: str) -> float:
    import torch

    start, rest = tokenizer(context)["input_ids"], tokenizer(text)["input_ids"]
    with torch.no_grad():
        logits = model(torch.tensor([start + rest])).logits[0, len(start) - 1 : -1]
    return torch.nn.functional.cross_entropy(logits, torch.tensor(rest)).item()
