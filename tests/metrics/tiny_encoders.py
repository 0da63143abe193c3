"""Encoders of a few layers with random weights and tokenizers of letters, written by the tests themselves."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import torch

WORDS = [
    "the",
    "cat",
    "dog",
    "sat",
    "ran",
    "on",
    "mat",
    "park",
    "in",
    "a",
    "to",
    "walk",
    "##ing",
    "##ed",
    "cafe",
]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *string.ascii_lowercase, *string.digits]
VOCABULARY = [*dict.fromkeys([*PIECES, *string.punctuation, *(f"##{c}" for c in string.ascii_lowercase)])]
SHAPE = {"num_attention_heads": 2, "vocab_size": len(VOCABULARY)}


def sentences(count: int) -> list[str]:
    """Different texts of different lengths."""
    words = [word for word in WORDS if not word.startswith("##")]
    return [
        " ".join(words[(i * k + i) % len(words)] for k in range(1, 3 + i % 7)) + " ." for i in range(count)
    ]


def seeded(factory: Any, config: Any, **options: Any) -> Any:
    """A model with weights far enough from zero that texts differ; the random state stays as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = factory(config, **options)
        for tensor in model.parameters():
            if tensor.dim() > 1:
                tensor.data.normal_(0, 0.3)
    return model.eval()


def write_bert(folder: Path, layers: int = 3, positions: int = 64, head: bool = False) -> Any:
    """BERT (with ``head``: and one output) with an uncased WordPiece tokenizer; returns the model."""
    from transformers import BertConfig, BertForSequenceClassification, BertModel

    config = BertConfig(
        **SHAPE,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=layers,
        max_position_embeddings=positions,
        num_labels=1,
    )
    if head:
        model = seeded(BertForSequenceClassification, config)
    else:
        model = seeded(BertModel, config, add_pooling_layer=False)
    model.save_pretrained(folder)
    write_words(folder, positions)
    return model


def write_distilbert(folder: Path, layers: int = 2, positions: int = 64) -> Any:
    from transformers import DistilBertConfig, DistilBertModel

    shape = {"dim": 16, "hidden_dim": 32, "n_layers": layers, "n_heads": 2}
    config = DistilBertConfig(**shape, vocab_size=len(VOCABULARY), max_position_embeddings=positions)
    model = seeded(DistilBertModel, config)
    model.save_pretrained(folder)
    write_words(folder, positions)
    return model


def write_words(folder: Path, positions: int) -> None:
    """``tokenizer.json`` and ``vocab.txt`` of the same tokenizer."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    at = {token: index for index, token in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordPiece(at, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", at["[SEP]"]), ("[CLS]", at["[CLS]"]))
    tokenizer.enable_truncation(8)  # as some published files have it: must not be obeyed
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    names = ("unk", "cls", "sep", "pad", "mask")
    special = {f"{name}_token": f"[{name.upper()}]" for name in names}
    settings = {"tokenizer_class": "BertTokenizer", "model_max_length": positions, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def write_roberta(folder: Path, layers: int = 3, positions: int = 66, prefix: bool = True) -> Any:
    """RoBERTa with a tokenizer of single bytes; ``positions`` minus 2 tokens fit."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import RobertaConfig, RobertaModel

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    at = {token: index for index, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *letters, "<mask>"])}
    config = RobertaConfig(
        vocab_size=len(at),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        max_position_embeddings=positions,
        type_vocab_size=1,
    )
    model = seeded(RobertaModel, config, add_pooling_layer=False)
    model.save_pretrained(folder)
    tokenizer = Tokenizer(models.BPE(vocab=at, merges=[]))
    # The blank before the first word: the library on today's transformers needs it from here.
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": positions - 2}
    names = {"bos": "<s>", "eos": "</s>", "cls": "<s>", "sep": "</s>", "pad": "<pad>", "unk": "<unk>"}
    settings |= {f"{name}_token": token for name, token in names.items()}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return model


# Texts that have broken scorers: each is a hypothesis.
AWKWARD = [
    "",
    "   ",
    "\x00",
    "line\u2028separator\u2029and\x85more\r\nend",
    "cafe\u0301 a\u0327b\u0308",
    "half a pair \ud800 of surrogates",
    "🦊 漢字 [SEP] [CLS] </s>",
    ".,;:!?",
]
