"""The packaged encoder-decoder: small, loadable without network, and what its record says it is."""

import hashlib
import json

import pytest

from bench.mini import mini_model_dir
from bench.mini.news import make_brief
from bench.mini.pretrain_bart import EOS, MASK, PAD, SORTED, SPECIAL, add_noise, make_page
from bench.mini.world import Dice
from bench.mini.write import make_xsum_articles

FOLDER = mini_model_dir("mini-bart")
RECORD = json.loads((FOLDER / "pretraining.json").read_text())


def test_is_small_and_has_no_pickles() -> None:
    files = list(FOLDER.iterdir())
    assert sum(f.stat().st_size for f in files) <= 8 * 2**20
    assert {f.suffix for f in files} == {".json", ".safetensors"}


def test_record_matches_the_weights() -> None:
    assert hashlib.sha256((FOLDER / "model.safetensors").read_bytes()).hexdigest() == RECORD["weights_sha256"]
    assert RECORD["held_out_loss"] < 2


def test_record_matches_the_first_pages() -> None:
    digest = hashlib.sha256()
    for number in range(SORTED):
        digest.update("".join(make_page(number)).encode())
    assert digest.hexdigest() == RECORD["first_pages_sha256"]


@pytest.mark.slow
def test_record_matches_the_corpus() -> None:
    digest, characters = hashlib.sha256(), 0
    for number in range(RECORD["corpus_pages"]):
        text = "".join(make_page(number))
        digest.update(text.encode())
        characters += len(text)
    assert (digest.hexdigest(), characters) == (RECORD["corpus_sha256"], RECORD["corpus_characters"])


def test_no_summary_is_on_a_page_with_its_article() -> None:
    pages = ["".join(make_page(number)) for number in range(3000)]
    briefs = {make_brief(Dice("some", number)).split()[0] for number in range(200)}
    assert any(text.split()[0] in briefs for text in pages), "news in brief are among the pages"
    for split in ("train", "validation", "test"):
        for _, article in list(make_xsum_articles(split))[:100]:
            assert not any(article.summary in text and article.paragraphs[0] in text for text in pages)


def test_noise() -> None:
    sentences = [[10, 11, 12, 13], [20, 21, 22], [30, 31, 32, 33, 34]]
    whole = [token for sentence in sentences for token in sentence]
    kept = masks = permuted = intact = 0
    for number in range(500):
        found = add_noise(Dice("test noise", number), sentences)
        rest = [token for token in found if token != MASK]
        assert len(set(rest)) == len(rest) and set(rest) <= set(whole)
        kept, masks = kept + len(rest), masks + found.count(MASK)
        permuted += rest != sorted(rest)
        intact += MASK not in found
    assert 0.6 < kept / (500 * len(whole)) < 0.85
    assert 0.5 < masks / 500 < 2
    assert 150 < permuted < 300
    assert 150 < intact < 300, "a text without a mask must be nothing new"
    assert add_noise(Dice("same"), sentences) == add_noise(Dice("same"), sentences)


def test_loads_offline() -> None:
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    model = AutoModelForSeq2SeqLM.from_pretrained(FOLDER, use_safetensors=True).eval()
    config = model.config
    assert config.model_type == "bart" and model.dtype == torch.float32
    assert config.dropout == config.attention_dropout == config.activation_dropout == 0.1
    assert (config.pad_token_id, config.eos_token_id, config.decoder_start_token_id) == (PAD, EOS, EOS)
    assert config.tie_word_embeddings and config.max_position_embeddings == 512
    assert tokenizer.convert_ids_to_tokens(list(range(5))) == SPECIAL
    assert len(tokenizer) == config.vocab_size
    text = "A café in Bronmor sold £20 of biscuits.It's shut, isn't it?\nYes."
    ids = tokenizer(text)["input_ids"]
    assert (ids[0], ids[-1]) == (0, EOS) and tokenizer.decode(ids, skip_special_tokens=True) == text
    # It learned to copy what it reads, and to find a missing word again elsewhere on the page.
    page = "The fire service in Thalwick sent 4 engines. Fire crews from {} fought the blaze all night."
    broken = page.format("<mask>")
    right, wrong = (
        page.format(name) for name in ("Thalwick and the villages around it", "Brondale and so on")
    )
    assert loss(model, tokenizer, broken, right) < loss(model, tokenizer, broken, wrong) - 0.2
    other = "The judge sentenced Rosina Valeley of Mirastow to four years in prison."
    assert loss(model, tokenizer, right, right) < loss(model, tokenizer, other, right) - 1


def loss(model, tokenizer, source: str, target: str) -> float:
    import torch

    batch = tokenizer([source], return_tensors="pt")
    with torch.no_grad():
        return model(**batch, labels=tokenizer([target], return_tensors="pt")["input_ids"]).loss.item()
