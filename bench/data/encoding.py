"""From a pair of texts to token ids, as the authors' code joins them for decoder-only models, and as it
frames them for encoder-decoders (`frame`: ``<s> text </s>`` on either side, cut at a number of tokens).

For decoder-only models one training sequence is: one blank, the source, one blank, BOS, one blank, the
target, one blank, EOS, where BOS and EOS are the same token, GPT-2's ``<|endoftext|>``. Nothing is
stripped. The blanks matter: the source end_positions with a lone ``Ġ`` before BOS, a target with a lone ``Ġ``
before EOS (E2E's with two, because its lines end with a blank of their own), and the model is trained to
write them. A prompt for decoding is the same up to and including BOS. Both protocols join in this way;
they differ in the linearisation and in decoding.

One deliberate deviation: the text itself is tokenised with special tokens split, so a literal
``<|endoftext|>`` (or ``</s>``) inside a data file is spelled out in ordinary tokens. In the authors' code
it would end the text, or move the boundary between source and target. The published files have none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from bench.errors import DataError, UserError
from bench.task import Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Pair = tuple[list[int], list[int]]
"""Token ids of a source (ending with BOS; framed: EOS) and of its target (ending with EOS)."""


CHUNK_ROWS = 1_000
"""Rows whose texts and tokens are in memory at a time."""
BATCH_CHARACTERS = 1 << 19
"""Characters that the tokenizer is given at once."""
SAMPLE_TEXTS = 16
"""Texts whose beginnings tell how many characters a token has."""


def separator_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The id that serves as BOS and as EOS."""
    token = tokenizer.eos_token_id
    if not isinstance(token, int):
        raise DataError(
            f"the tokenizer {tokenizer.name_or_path!r} has no end-of-text token; "
            "expected GPT-2's <|endoftext|>"
        )
    return token


def encode_source(tokenizer: PreTrainedTokenizerBase, source: str) -> list[int]:
    """Token ids of ``source`` up to and including BOS: a training source and a prompt alike."""
    return encode_sources(tokenizer, [source])[0]


def encode_target(tokenizer: PreTrainedTokenizerBase, target: str) -> list[int]:
    """Token ids of ``target`` after BOS, up to and including EOS."""
    return encode_targets(tokenizer, [target])[0]


def encode_sources(tokenizer: PreTrainedTokenizerBase, sources: Iterable[str]) -> list[list[int]]:
    """`encode_source` for many; equal texts are tokenised once."""
    return _encode(tokenizer, sources)


def encode_targets(tokenizer: PreTrainedTokenizerBase, targets: Iterable[str]) -> list[list[int]]:
    """`encode_target` for many; equal texts are tokenised once."""
    return _encode(tokenizer, targets)


def encode_pairs(
    tokenizer: PreTrainedTokenizerBase,
    sources: Sequence[str],
    targets: Sequence[str],
    room: int | None = None,
    first_row: int = 1,
) -> tuple[list[Pair], int]:
    """Pairs of ids, and how many targets had to be cut to fit in ``room`` positions (see `fit`)."""
    pairs = list(zip(encode_sources(tokenizer, sources), encode_targets(tokenizer, targets), strict=True))
    return (pairs, 0) if room is None else fit_pairs(pairs, room, first_row)


def iterate_encoded(tokenizer: PreTrainedTokenizerBase, rows: Iterable[Row]) -> Iterator[Pair]:
    """The pairs of ids of rows, encoded some at a time."""
    rows = iter(rows)
    while chunk := list(islice(rows, CHUNK_ROWS)):
        yield from encode_pairs(tokenizer, [row.source for row in chunk], [row.target for row in chunk])[0]


def _encode(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> list[list[int]]:
    """Source and target are framed alike: a blank before and after, then the one special token.

    The special token splits the text before it is tokenised, so that the two sides can be tokenised
    apart: together they give the sequence that the joined string would give.
    """
    texts = list(texts)
    end = separator_id(tokenizer) if texts else 0
    return [[*ids, end] for ids in _plain(tokenizer, [f" {text} " for text in texts])]


def _plain(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Ids of the texts as they are, without special tokens; equal texts are tokenised once."""
    distinct = list(dict.fromkeys(texts))
    ids = dict(zip(distinct, _tokenize_in_batches(tokenizer, distinct), strict=True))
    return [ids[text] for text in texts]


def _tokenize_in_batches(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> Iterator[list[int]]:
    for batch in _batches(texts):
        yield from _tokenize(tokenizer, batch)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """The texts, at most `BATCH_CHARACTERS` at a time but for a single longer one: a tokenizer's own results
    take some hundred bytes per token."""
    batch: list[str] = []
    characters = 0
    for text in texts:
        if batch and characters + len(text) > BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
        batch.append(text)
        characters += len(text)
    if batch:
        yield batch


def _tokenize(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    ids: list[list[int]]
    if not tokenizer.is_fast:
        # Too long a text is reported by `fit` or `frame`, not warned of here (verbose).
        options = {"add_special_tokens": False, "split_special_tokens": True, "verbose": False}
        ids = tokenizer(texts, **options, return_attention_mask=False)["input_ids"]
        return ids
    # What the call above comes to, without building what else a tokenizer knows of a text (offsets, masks, words).
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    before, backend.encode_special_tokens = backend.encode_special_tokens, True
    try:
        return [encoding.ids for encoding in backend.encode_batch_fast(texts, add_special_tokens=False)]
    finally:
        backend.encode_special_tokens = before


def _splits_at_blanks(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether no token reaches over a single blank between two other characters, so that the tokens of a text
    up to such a blank are the first tokens of the text: GPT-2's byte-level pre-tokenizer, and nothing before it.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or backend.normalizer is not None or backend.pre_tokenizer is None:
        return False
    rule = json.loads(backend.pre_tokenizer.__getstate__())
    special = all(token.special for token in backend.get_added_tokens_decoder().values())
    return special and rule["type"] == "ByteLevel" and rule.get("use_regex", True)


_BLANK = re.compile(r"(?<=\S) (?=\S)")


def _first_tokens(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], number: int
) -> tuple[list[list[int]], list[bool]]:
    """At most ``number`` ids of each text, and which texts have more; a long text is not tokenised to its end.

    Exactly the ids that tokenising it all and then cutting gives. Where that is certain (`_splits_at_blanks`) only
    a beginning is tokenised, and after it what follows, where it turns out to be too short.
    """
    distinct = list(dict.fromkeys(texts))
    ids: dict[str, list[int]] = {text: [] for text in distinct}
    positions = dict.fromkeys(distinct, 0)
    can_stop, characters = _splits_at_blanks(tokenizer), _estimate_characters(tokenizer, distinct, number)
    unfinished = distinct
    while unfinished:
        parts = []
        for text in unfinished:
            start = positions[text]
            blank = _BLANK.search(text, start + characters) if can_stop else None
            positions[text] = blank.start() if blank else len(text)
            parts.append(text[start : positions[text]])
        for text, part_ids in zip(unfinished, _tokenize_in_batches(tokenizer, parts), strict=True):
            ids[text] += part_ids
        unfinished = [text for text in unfinished if positions[text] < len(text) and len(ids[text]) < number]
        characters = 1 + characters // 4
    # What follows the blank where it was stopped has a token at least.
    cut = {text: len(ids[text]) > number or positions[text] < len(text) for text in distinct}
    return [ids[text][:number] for text in texts], [cut[text] for text in texts]


def _estimate_characters(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], tokens: int) -> int:
    """A length of text that probably has ``tokens`` tokens, going by how the first texts begin."""
    sample = [text[: max(1, tokens)] for text in texts[:SAMPLE_TEXTS]]
    sample_tokens = sum(map(len, _tokenize(tokenizer, sample)))
    return 1 + int(1.05 * tokens * sum(map(len, sample)) / max(1, sample_tokens))


def encode_framed(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], longest: int
) -> tuple[list[list[int]], list[bool]]:
    """``<s> text </s>`` of each text, at most ``longest`` tokens, and which of them lost something.

    Authors' code: nothing is put before or after the text, not even a blank; a long text is cut and
    ``</s>`` stays.
    """
    first, last = tokenizer.bos_token_id, tokenizer.eos_token_id
    if first is None or last is None:
        raise DataError(
            f"the tokenizer {tokenizer.name_or_path!r} has no <s> and </s>; expected BART's tokenizer"
        )
    plain, cut = _first_tokens(tokenizer, texts, longest - 2)
    return [[first, *ids, last] for ids in plain], cut


def fit_pairs(pairs: Sequence[Pair], room: int, first_row: int = 1) -> tuple[list[Pair], int]:
    """The pairs cut to ``room`` positions together, and how many lost something (EOS first).

    The authors cut the joined sequence from the right at the tokenizer's maximum, 1024; so it is the
    target that gets shorter. They leave no room for the prefix in that; here the caller passes the
    model's positions less the method's own, because GPT-2 has none beyond its last. A source that
    leaves no position for a target cannot be trained on and is refused. No published row comes near.
    ``first_row``: the number of the first pair, for that message.
    """
    if room < 2:
        raise UserError(
            f"the method's own positions leave {max(0, room)} for source and target; expected a shorter prefix"
        )
    fitted: list[Pair] = []
    cut = 0
    for number, (source, target) in enumerate(pairs, start=first_row):
        left = room - len(source)
        if left < 1:
            raise DataError(
                f"row {number}: its source has {len(source):,} tokens, which leaves no room for a "
                f"target; expected fewer than {room:,}"
            )
        cut += left < len(target)
        fitted.append((source, target[:left]))
    return fitted, cut


def compute_mean_lengths(pairs: Iterable[Pair]) -> tuple[float, float]:
    """Average source and target length as Table 1 counts: BOS belongs to the target.

    So a source counts its lone ``Ġ``, and a target BOS, the ``Ġ`` at its end and EOS.
    """
    number = source = target = 0
    for source_ids, target_ids in pairs:
        number += 1
        source += len(source_ids) - 1
        target += len(target_ids) + 1
    return (source / number, target / number) if number else (0.0, 0.0)
