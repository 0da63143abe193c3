"""Loading a backbone that was found (``bench.models.catalogue``): configuration, tokenizer and weights, each checked.

Nothing is filled in silently: missing weights, other shapes or a tokenizer of another model are errors.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import DataError
from bench.method import ENCODER_DECODER, ModelKind
from bench.models.catalogue import MODELS, LocatedModel, locate_model, read_model_kind
from bench.models.checkpoint_files import fingerprint_checkpoint

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
    """``config.json`` of a checkpoint, which must be a GPT-2 or a BART."""
    from transformers import AutoConfig

    read_model_kind(path)
    try:
        config = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path / 'config.json'}: not a model configuration ({error})") from error
    return config


def load_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    """The tokenizer beside the weights. GPT-2's end-of-text token serves as BOS and EOS (authors' code)."""
    from transformers import AutoTokenizer

    names = {file.name for file in path.iterdir()} if path.is_dir() else set()
    # Checked here because the library makes an empty tokenizer when it finds no files.
    if "tokenizer.json" not in names and not {"vocab.json", "merges.txt"} <= names:
        raise DataError(
            f"{path}: no tokenizer; expected tokenizer.json, or vocab.json and merges.txt, beside the weights"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            path, local_files_only=True, trust_remote_code=False, use_fast=True
        )
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: the tokenizer cannot be read ({error})") from error
    if tokenizer.eos_token_id is None:
        raise DataError(
            f"{path}: the tokenizer has no end-of-text token; expected GPT-2's <|endoftext|> or BART's </s>"
        )
    return tokenizer


def load_backbone(located: LocatedModel, dtype: str = "float32") -> Any:
    """The weights as a model in eval mode on the CPU; ``DataError`` if they are no longer what was located."""
    import torch
    from safetensors import SafetensorError
    from transformers.utils.logging import disable_progress_bar

    if fingerprint_checkpoint(located.path) != located.fingerprint:
        raise DataError(f"{located.path}: changed since it was found; issue the same command again")
    read_model_config(located.path)
    disable_progress_bar()  # our own progress says what takes time
    loaded: Any
    try:
        loaded, report = get_model_class(read_model_kind(located.path)).from_pretrained(
            located.path,
            local_files_only=True,
            use_safetensors=True,
            dtype=getattr(torch, dtype),
            # Reported below in our words; the library would fill what is missing with random numbers.
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except (OSError, SafetensorError) as error:
        raise DataError(f"{located.path}: the weights cannot be read ({error})") from error
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


def check_vocabulary(backbone: Any, tokenizer: PreTrainedTokenizerBase, path: Path) -> None:
    """Refuse a tokenizer with ids that the embedding does not have, or with special tokens other than BART's."""
    if len(tokenizer) > backbone.config.vocab_size:
        raise DataError(
            f"{path}: the tokenizer has {len(tokenizer):,} tokens and the model {backbone.config.vocab_size:,}; "
            "expected the tokenizer that belongs to these weights"
        )
    if not backbone.config.is_encoder_decoder:
        return
    for name, theirs in (("bos", "bos"), ("eos", "eos"), ("pad", "pad"), ("eos", "decoder_start")):
        expected = getattr(backbone.config, f"{theirs}_token_id")
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
