"""Loading a backbone that was found (``bench.models.catalogue``): configuration, tokenizer and weights, each checked.

Nothing is filled in silently: missing weights, other shapes or a tokenizer of another model are errors.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bench.errors import DataError
from bench.method import ENCODER_DECODER, ModelKind
from bench.models.catalogue import MODELS, LocatedModel, locate_model, read_model_kind
from bench.models.checkpoint_files import CONFIG_FILE, fingerprint_checkpoint, list_names
from bench.models.model_config import ARCHITECTURES, read_model_config_file
from bench.models.tokenizer_files import PROBE, check_probe, check_tokenizer_files
from bench.system.third_party import loading_file

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel, PreTrainedTokenizerBase


def load_model_config(model: str) -> Any:
    """The architecture of a named model or directory, without weights and without a network."""
    from transformers import BartConfig, GPT2Config

    entry = MODELS.get(model)
    if entry is not None and entry.shape is not None:
        return (BartConfig if entry.kind == ENCODER_DECODER else GPT2Config)(**entry.shape)
    return read_model_config(locate_model(model, allow_download=False).path)


def get_model_class(kind: ModelKind) -> Any:
    """The library's class for a kind of model, with its LM head."""
    from transformers import BartForConditionalGeneration, GPT2LMHeadModel

    return BartForConditionalGeneration if kind == ENCODER_DECODER else GPT2LMHeadModel


def read_model_config(path: Path) -> Any:
    """``config.json`` of a checkpoint as the library's configuration, of its validated fields alone."""
    valid = read_model_config_file(path)
    from transformers import BartConfig, GPT2Config

    is_encoder_decoder = ARCHITECTURES[valid.model_type].kind == ENCODER_DECODER
    factory: Any = BartConfig if is_encoder_decoder else GPT2Config
    with loading_file(path / CONFIG_FILE, "a configuration that the library accepts"):
        return factory(**valid.get_library_fields())


def load_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    """The tokenizer beside the weights. GPT-2's end-of-text token serves as BOS and EOS (authors' code)."""
    config = read_model_config_file(path) if CONFIG_FILE in list_names(path) else None
    check_tokenizer_files(path, None if config is None else config.vocab_size)
    from transformers import AutoTokenizer, PreTrainedConfig

    tokenizer: Any
    # Without a configuration the library would look for one, and fail.
    library_config = PreTrainedConfig() if config is None else read_model_config(path)
    with loading_file(path, "a tokenizer that the library can read"):
        tokenizer = AutoTokenizer.from_pretrained(
            path, config=library_config, local_files_only=True, trust_remote_code=False, use_fast=True
        )
        ids = tokenizer.encode(PROBE, add_special_tokens=False)
        text = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    check_probe(path, text)
    if tokenizer.eos_token_id is None:
        raise DataError(
            f"{path}: the tokenizer has no end-of-text token; expected GPT-2's <|endoftext|> or BART's </s>"
        )
    return cast("PreTrainedTokenizerBase", tokenizer)


def load_backbone(located: LocatedModel, dtype: str = "float32") -> Any:
    """The weights as a model in eval mode on the CPU; ``DataError`` if they are no longer what was located."""
    import torch
    from transformers import GenerationConfig

    if fingerprint_checkpoint(located.path) != located.fingerprint:
        raise DataError(f"{located.path}: changed since it was found; issue the same command again")
    model_class, config = get_model_class(read_model_kind(located.path)), read_model_config(located.path)
    loaded: Any
    with loading_file(located.path, "the weights of its config.json"):
        loaded, report = model_class.from_pretrained(
            located.path,
            config=config,
            # Else the library would read generation_config.json, which nothing here uses.
            generation_config=GenerationConfig(),
            local_files_only=True,
            use_safetensors=True,
            dtype=getattr(torch, dtype),
            # Reported below in our words; the library would fill what is missing with random numbers.
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    absent = set(report["missing_keys"]) - {"final_logits_bias"}  # the bias is then 0
    missing = sorted(name for name in absent if not is_tied(loaded, name))
    mismatched = sorted(str(entry[0]) for entry in report["mismatched_keys"])
    for problem, names in (("lacks", missing), ("has another shape for", mismatched)):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise DataError(
                f"{located.path}: the checkpoint {problem} {names[0]}{more}; expected the weights of its config.json"
            )
    return loaded.eval()


def check_tokenizer(located: LocatedModel) -> None:
    """Refuse a checkpoint whose tokenizer the library cannot read or that does not fit its model; once a process."""
    if located.fingerprint not in _checked_tokenizers:
        check_vocabulary(read_model_config(located.path), load_tokenizer(located.path), located.path)
        _checked_tokenizers.add(located.fingerprint)


_checked_tokenizers: set[str] = set()
"""Fingerprints of the checkpoints whose tokenizer fits."""


def check_vocabulary(config: Any, tokenizer: PreTrainedTokenizerBase, path: Path) -> None:
    """Refuse a tokenizer with ids that the embedding does not have, or with special tokens other than BART's."""
    if len(tokenizer) > config.vocab_size:
        raise DataError(
            f"{path}: the tokenizer has {len(tokenizer):,} tokens and the model {config.vocab_size:,}; "
            "expected the tokenizer that belongs to these weights"
        )
    if tokenizer.eos_token_id >= config.vocab_size:
        raise DataError(
            f"{path}: the end-of-text token has the id {tokenizer.eos_token_id} and the model {config.vocab_size:,} "
            "embeddings; expected the tokenizer that belongs to these weights"
        )
    if not config.is_encoder_decoder:
        return
    for name, theirs in (("bos", "bos"), ("eos", "eos"), ("pad", "pad"), ("eos", "decoder_start")):
        expected = getattr(config, f"{theirs}_token_id")
        if getattr(tokenizer, f"{name}_token_id") != expected:
            raise DataError(
                f"{path}: the tokenizer's {name} token is {getattr(tokenizer, f'{name}_token_id')} and the "
                f"model's {theirs}_token_id is {expected}; expected BART's <s>, </s> and <pad>, where decoding "
                "starts from </s>"
            )


def is_tied(backbone: Any, name: str) -> bool:
    """Whether a parameter is the word embedding under another name, as GPT-2's output head is by default."""
    words = backbone.get_input_embeddings().weight
    return any(
        parameter is words and other == name
        for other, parameter in backbone.named_parameters(remove_duplicate=False)
    )


def add_pad_row(backbone: GPT2LMHeadModel, seed: int) -> None:
    """Grow the word embedding by the PAD row that the authors' code trains with, drawn from N(0, 0.02).

    It takes part in the training softmax and is never decoded (paper facts: training over 50,258
    rows, decoding over 50,257). An output head of the checkpoint's own, which is not the word embedding, stays
    and grows by a row of its own.
    """
    import torch
    from torch import Tensor, nn

    from bench.system.rng import make_generator

    def append_row(weight: Tensor) -> Tensor:
        row = torch.randn(1, weight.shape[1], generator=generator) * 0.02
        return torch.cat((weight.data, row.to(weight)))

    generator = make_generator(seed, "pad-row")
    tied = is_tied(backbone, "lm_head.weight")
    head = backbone.lm_head.weight
    words = nn.Embedding.from_pretrained(append_row(backbone.transformer.wte.weight), freeze=False)
    backbone.transformer.wte = words
    rows, width = words.weight.shape
    backbone.lm_head = nn.Linear(width, rows, bias=False, device="meta")
    backbone.lm_head.weight = words.weight if tied else nn.Parameter(append_row(head))
    backbone.config.vocab_size = rows
