"""Loading backbones: nothing is filled in silently, and errors say what is wrong with a checkpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BartConfig, BartForConditionalGeneration, BartModel, GPT2Config, GPT2LMHeadModel

from bench.errors import DataError
from bench.models.adapted import AdaptedModel
from bench.models.architecture import make_plain_model
from bench.models.catalogue import find_model_kind, locate_model
from bench.models.loading import (
    add_pad_row,
    check_vocabulary,
    get_model_class,
    load_backbone,
    load_model_config,
    load_tokenizer,
)
from bench.models.parameter_count import count_parameters
from bench.registry import get_method


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = GPT2Config(n_layer=1, n_embd=8, n_head=2, n_positions=16, vocab_size=20)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.mark.parametrize(
    ("name", "count"),
    [("gpt2-medium", 354_823_168), ("gpt2-large", 774_030_080), ("bart-large", 406_291_456)],
)
def test_architectures_have_the_papers_size(name: str, count: int) -> None:
    with torch.device("meta"):
        model = get_model_class(find_model_kind(name))(load_model_config(name))
    assert sum(p.numel() for p in model.parameters()) == count


def test_torn_weights_and_foreign_configurations_are_refused(checkpoint: Path) -> None:
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(DataError, match="cannot be read"):
        load_backbone(locate_model(str(checkpoint)))
    (checkpoint / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(DataError, match="expected 'gpt2'"):
        locate_model(str(checkpoint))
    (checkpoint / "config.json").write_text("not json")
    with pytest.raises(DataError, match="not a model configuration"):
        locate_model(str(checkpoint))


def rewrite(checkpoint: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    weights = checkpoint / "model.safetensors"
    save_file(change(load_file(weights)), weights, {"format": "pt"})


def test_missing_weights_are_not_filled_with_random_ones(checkpoint: Path) -> None:
    rewrite(
        checkpoint,
        lambda state: {n: t for n, t in state.items() if ".h.0.attn" not in n and "h.0.attn" not in n},
    )
    with pytest.raises(DataError, match=r"lacks transformer\.h\.0\.attn.* and \d+ more"):
        load_backbone(locate_model(str(checkpoint)))


def test_a_configuration_of_other_weights_is_refused(checkpoint: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(config | {"n_embd": 16}))
    with pytest.raises(DataError, match="has another shape for"):
        load_backbone(locate_model(str(checkpoint)))


def test_a_tokenizer_with_more_tokens_than_the_embedding_is_refused(
    checkpoint: Path, tiny_model: Path
) -> None:
    with pytest.raises(DataError, match="257 tokens and the model 20"):
        check_vocabulary(
            load_backbone(locate_model(str(checkpoint))).config, load_tokenizer(tiny_model), checkpoint
        )


def test_a_directory_without_a_tokenizer_is_refused(checkpoint: Path) -> None:
    with pytest.raises(DataError, match="tokenizer"):
        load_tokenizer(checkpoint)


def test_pad_row_is_seeded_tied_and_leaves_the_rest(checkpoint: Path) -> None:
    first, second = (load_backbone(locate_model(str(checkpoint))) for _ in range(2))
    ids = torch.tensor([[1, 2, 3]])
    before = first(ids).logits
    add_pad_row(first, seed=5)
    add_pad_row(second, seed=6)
    after = first(ids).logits
    assert after.shape[-1] == 21
    torch.testing.assert_close(after[..., :20], before)
    assert first.lm_head.weight is first.transformer.wte.weight
    assert not torch.equal(first.lm_head.weight[20], second.lm_head.weight[20])


def untie(checkpoint: Path, head: torch.Tensor | None) -> None:
    """Give a checkpoint an output head of its own, or say that it has one where it has none."""
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))
    more = {} if head is None else {"lm_head.weight": head}
    rewrite(checkpoint, lambda state: {**{n: t for n, t in state.items() if n != "lm_head.weight"}, **more})


@pytest.mark.parametrize("seed", [1, 2])
def test_a_head_of_its_own_is_kept_under_the_pad_row(checkpoint: Path, seed: int) -> None:
    torch.manual_seed(3)
    head = torch.randn(20, 8)
    untie(checkpoint, head)
    library = GPT2LMHeadModel.from_pretrained(checkpoint).eval()
    ours = load_backbone(locate_model(str(checkpoint)))
    words = ours.transformer.wte.weight.clone()
    add_pad_row(ours, seed)
    ids = torch.tensor([[1, 2, 3]])
    assert torch.equal(ours(ids).logits[..., :20], library(ids).logits)
    assert torch.equal(ours.lm_head.weight[:20], head) and torch.equal(
        ours.transformer.wte.weight[:20], words
    )
    assert not torch.equal(ours.lm_head.weight[20], ours.transformer.wte.weight[20])
    assert ours.lm_head.weight.shape == ours.transformer.wte.weight.shape == (21, 8)
    assert 0.005 < float(ours.lm_head.weight[20].detach().std()) < 0.05


def test_the_embeddings_row_is_the_same_with_either_head(checkpoint: Path) -> None:
    tied = load_backbone(locate_model(str(checkpoint)))
    add_pad_row(tied, seed=5)
    untie(checkpoint, torch.zeros(20, 8))
    untied = load_backbone(locate_model(str(checkpoint)))
    add_pad_row(untied, seed=5)
    assert torch.equal(tied.transformer.wte.weight, untied.transformer.wte.weight)


def test_a_head_of_its_own_that_is_missing_is_not_filled_with_a_random_one(checkpoint: Path) -> None:
    untie(checkpoint, None)
    with pytest.raises(DataError, match=r"lacks lm_head\.weight"):
        load_backbone(locate_model(str(checkpoint)))


@pytest.mark.parametrize("method", ["ft-full", "ft-top2", "prefix", "adapter", "embedding"])
def test_every_method_reads_and_stores_a_head_of_its_own(checkpoint: Path, method: str) -> None:
    head = torch.flip(load_file(checkpoint / "model.safetensors")["transformer.wte.weight"], [0]).contiguous()
    untie(checkpoint, head)

    def build() -> AdaptedModel:
        backbone = load_backbone(locate_model(str(checkpoint)))
        vocabulary = backbone.config.vocab_size
        add_pad_row(backbone, seed=5)
        chosen = get_method(method)
        model = chosen.build(backbone, None, chosen.resolve_options({}), seed=1)
        model.decode_vocab = vocabulary
        return model

    model = build()
    assert torch.equal(model.backbone.lm_head.weight[:20], head)
    names = {name for name in model.stored_state() if "lm_head" in name or "wte" in name}
    assert len(names) == (2 if method == "ft-full" else 0)
    if method == "ft-full":
        with torch.no_grad():
            model.backbone.lm_head.weight += 1
            model.backbone.transformer.wte.weight -= 1
    _, expected = model.start([[1, 2]])
    again = build()
    again.load_stored({name: tensor.clone() for name, tensor in model.stored_state().items()})
    assert torch.equal(again.start([[1, 2]])[1], expected)
    assert expected.shape == (1, 20)


def test_a_head_of_its_own_is_counted() -> None:
    sizes = {"n_layer": 1, "n_embd": 8, "n_head": 2, "n_positions": 16, "vocab_size": 20}
    method = get_method("ft-full")
    tied = count_parameters(method, GPT2Config(**sizes), {})
    untied = count_parameters(method, GPT2Config(**sizes, tie_word_embeddings=False), {})
    for name in ("total", "trainable", "stored"):
        assert untied[name] - tied[name] == 20 * 8, name


# -- encoder-decoders ---------------------------------------------------------------------------


def small_bart() -> BartConfig:
    sides = {"layers": 1, "attention_heads": 2, "ffn_dim": 8}
    sizes = {f"{side}_{name}": size for side in ("encoder", "decoder") for name, size in sides.items()}
    return BartConfig(**sizes, d_model=8, max_position_embeddings=16, vocab_size=20)


def test_the_hubs_layout_of_bart_is_read(tmp_path: Path) -> None:
    """Half precision, a base model without head and bias, and the word embedding under three names."""
    torch.manual_seed(0)
    base = BartModel(small_bart())
    base.save_pretrained(tmp_path / "hub")
    state = {name: tensor.half().contiguous().clone() for name, tensor in base.state_dict().items()}
    assert {"shared.weight", "encoder.embed_tokens.weight"} <= set(state)
    save_file(state, tmp_path / "hub" / "model.safetensors", {"format": "pt"})
    loaded = load_backbone(locate_model(str(tmp_path / "hub")))
    assert loaded.dtype == torch.float32
    assert loaded.lm_head.weight is loaded.model.shared.weight
    assert not loaded.final_logits_bias.any()
    own = loaded.model.state_dict()
    assert all(torch.equal(own[name], tensor.float()) for name, tensor in state.items())
    assert sum(p.numel() for p in loaded.parameters()) == sum(p.numel() for p in base.parameters())


def test_a_barts_own_head_and_bias_are_read_as_the_library_does(tmp_path: Path) -> None:
    folder = tmp_path / "bart"
    torch.manual_seed(0)
    config = BartConfig(**{**small_bart().to_dict(), "tie_word_embeddings": False})
    saved = BartForConditionalGeneration(config)
    with torch.no_grad():
        saved.final_logits_bias += torch.arange(20.0)
    saved.save_pretrained(folder)
    library = BartForConditionalGeneration.from_pretrained(folder).eval()
    ours = load_backbone(locate_model(str(folder)))
    assert ours.lm_head.weight is not ours.model.shared.weight
    adapted = make_plain_model(ours)
    adapted.eval()
    source = torch.tensor([[0, 5, 6, 2]])
    expected = library(input_ids=source, decoder_input_ids=torch.tensor([[2]])).logits[:, -1]
    torch.testing.assert_close(adapted.start([source[0].tolist()])[1], expected)
    rewrite(folder, lambda state: {n: t for n, t in state.items() if n != "lm_head.weight"})
    with pytest.raises(DataError, match=r"lacks lm_head\.weight"):
        load_backbone(locate_model(str(folder)))


def test_a_bart_with_missing_weights_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "bart"
    BartForConditionalGeneration(small_bart()).save_pretrained(folder)
    rewrite(folder, lambda state: {n: t for n, t in state.items() if "encoder_attn.k_proj" not in n})
    with pytest.raises(DataError, match=r"lacks model\.decoder\.layers\.0\.encoder_attn\.k_proj"):
        load_backbone(locate_model(str(folder)))


def test_a_tokenizer_with_other_special_tokens_is_refused(tiny_bart: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bart"
    shutil.copytree(tiny_bart, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"decoder_start_token_id": 0}))
    with pytest.raises(DataError, match="decoder_start_token_id is 0"):
        check_vocabulary(load_backbone(locate_model(str(folder))).config, load_tokenizer(folder), folder)
