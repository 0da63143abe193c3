"""Pre-train mini-bart, the encoder-decoder backbone that ships with the project.

Why: summarisation needs a model that reads a whole text before it writes, and prefix-tuning one that
knows how to write already. A BART of about 1.9 million parameters learns as BART did, by denoising:
most pages of the invented world lose spans of words (each replaced by one ``<mask>``), some a whole
sentence, in half of them the sentences change places, and the model writes the page as it was. The
pages are articles of the newspaper (``news.py``) without their summaries, lists of unrelated news in
brief, and pages of the web (``corpus.py``). No article is ever seen with its summary, no held-out name
at all.

    python -m bench.mini.pretrain_bart --out bench/mini/assets/mini-bart

It needs torch 2.9 or newer (for Muon) and about a quarter of an hour on one CPU core that it has for
itself (two threads slow each other down where the machine is shared). What was done and what came out
is in ``pretraining.json``; on other hardware the same seed gives other bits.
"""

import sys
from collections.abc import Sequence
from typing import Any

from bench.mini import corpus, news, pretraining
from bench.mini.world import Dice

VOCABULARY = 3072
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]  # BART's, with its ids; its mask is the last one
BOS, PAD, EOS, _, MASK = range(5)
POSITIONS = 512
WIDTH, LAYERS, HEADS = 128, 3, 4
LONGEST = 400  # tokens of a page; longer ones are cut
BATCH_TOKENS = 2048  # of the pages, padding included
SORTED = 256  # pages that are sorted by length together, so that little is padded
TOKENIZER_PAGES = 20_000
HELD_PAGES = 256
KINDS = {"article": 62.0, "briefs": 13.0, "web": 25.0}
JOINTS = {"": 4.0, " ": 4.0, "\n": 2.0}  # between paragraphs; the original extraction has nothing there
SPAN_AT = {0.0: 3.0, 0.05: 3.0, 0.125: 4.0}
"""How often a span starts on a page. At 0.125, BART's 30 % of the words are lost. BART sees no page without
a mask; a model as small as this one then relies on them so much that it cannot read an intact text."""
SPANS = {0: 5.0, 1: 15.0, 2: 22.0, 3: 22.0, 4: 17.0, 5: 10.0, 6: 5.0, 7: 2.0, 8: 2.0}
"""Lengths of spans: about Poisson with mean 3, as BART's."""


def make_page(number: int) -> list[str]:
    """The page with this number as its sentences, each with the white space before it."""
    dice = Dice("news corpus", number)
    sentences = _page(dice)
    while dice.chance(0.15):
        first, *others = _page(dice)
        sentences += ["\n" + first, *others]
    return sentences


def _page(dice: Dice) -> list[str]:
    kind, number = dice.weighted(KINDS), dice.below(pretraining.HELD_START)
    if kind == "web":
        return _cut(corpus.make_document(number))
    if kind == "briefs":
        return _cut(dice.weighted(JOINTS).join(news.make_brief(dice) for _ in range(1 + dice.below(5))))
    event = dice.pick([event for events in news.SECTIONS.values() for event in events])
    article = news.make_article(dice, event, number, held=False)
    return _cut(dice.weighted(JOINTS).join(article.paragraphs))


def _cut(text: str) -> list[str]:
    """``text`` before each sentence: after a stop or a line break, where a new word begins."""
    starts = [0]
    for at in range(1, len(text) - 1):
        if text[at - 1] in '."\n' and (text[at] in " \n" or text[at].isupper()) and at - starts[-1] > 12:
            starts.append(at)
    return [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]


def add_noise(dice: Dice, sentences: Sequence[list[int]]) -> list[int]:
    """Token ids of a page as the encoder gets it, without the special tokens around it."""
    remaining, often = list(sentences), dice.weighted(SPAN_AT)
    if often and len(remaining) > 2 and dice.chance(0.4):
        remaining[dice.below(len(remaining))] = [MASK]
    if dice.chance(0.5):
        remaining = dice.shuffled(remaining)
    tokens = [token for sentence in remaining for token in sentence]
    noised: list[int] = []
    at = 0
    while at < len(tokens):
        if dice.chance(often):
            noised.append(MASK)
            at += dice.weighted(SPANS)
        if at < len(tokens):
            noised.append(tokens[at])
        at += 1
    return noised


class NoisedPages(pretraining.Corpus):
    """Pages as pairs (noised, whole) of token ids."""

    def __init__(self, tokenizer: Any, start: int = 0) -> None:
        super().__init__(tokenizer, start)
        self._ready: list[list[tuple[list[int], list[int]]]] = []

    def _refill(self) -> None:
        numbers = range(self._next, self._next + SORTED)
        pages = [make_page(number) for number in numbers]
        self._count("".join(sentences) for sentences in pages)
        pairs = []
        for number, sentences in zip(numbers, pages, strict=True):
            ids = self._tokenizer(sentences, add_special_tokens=False)["input_ids"]
            whole = [token for part in ids for token in part][:LONGEST]
            broken = add_noise(Dice("noise", number), ids)[:LONGEST]
            pairs.append(([BOS, *broken, EOS], [BOS, *whole, EOS]))
        self._next += SORTED
        pairs.sort(key=lambda pair: len(pair[1]))
        batches: list[list[tuple[list[int], list[int]]]] = [[]]
        for pair in pairs:
            if (len(batches[-1]) + 1) * len(pair[1]) > BATCH_TOKENS:
                batches.append([])
            batches[-1].append(pair)
        self._ready = Dice("batches", self._next).shuffled(batches)

    def batch(self) -> dict[str, Any]:
        """The next pages: ``input_ids``, ``attention_mask`` and ``labels``, [pages, tokens] each."""
        import torch
        from torch.nn.utils.rnn import pad_sequence

        if not self._ready:
            self._refill()
        pairs = self._ready.pop()
        self.tokens += sum(len(whole) for _, whole in pairs)
        broken = pad_sequence([torch.tensor(b) for b, _ in pairs], batch_first=True, padding_value=PAD)
        labels = pad_sequence([torch.tensor(w) for _, w in pairs], batch_first=True, padding_value=-100)
        return {"input_ids": broken, "attention_mask": (broken != PAD).long(), "labels": labels}


def train_tokenizer() -> Any:
    """A tokenizer that frames a text as BART's does, ``<s> text </s>``."""
    from tokenizers.processors import RobertaProcessing
    from transformers import PreTrainedTokenizerFast

    texts = ("".join(make_page(number)) for number in range(TOKENIZER_PAGES))
    bpe = pretraining.train_bpe(texts, VOCABULARY, SPECIAL)
    bpe.post_processor = RobertaProcessing(("</s>", EOS), ("<s>", BOS), False, False)
    names = dict(
        zip(("bos_token", "pad_token", "eos_token", "unk_token", "mask_token"), SPECIAL, strict=True)
    )
    names |= {"cls_token": SPECIAL[BOS], "sep_token": SPECIAL[EOS]}
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        **names,
        model_max_length=POSITIONS,
        clean_up_tokenization_spaces=False,
    )


def new_model() -> Any:
    """BART in small. Dropout is off here: no page is seen twice, so nothing can be overfitted."""
    from transformers import BartConfig, BartForConditionalGeneration

    model = BartForConditionalGeneration(
        BartConfig(
            vocab_size=VOCABULARY,
            max_position_embeddings=POSITIONS,
            d_model=WIDTH,
            encoder_layers=LAYERS,
            decoder_layers=LAYERS,
            encoder_attention_heads=HEADS,
            decoder_attention_heads=HEADS,
            encoder_ffn_dim=4 * WIDTH,
            decoder_ffn_dim=4 * WIDTH,
            dropout=0.0,
            attention_dropout=0.0,
            activation_dropout=0.0,
            bos_token_id=BOS,
            pad_token_id=PAD,
            eos_token_id=EOS,
            decoder_start_token_id=EOS,
            forced_eos_token_id=EOS,
        )
    )
    for half in (model.model.encoder, model.model.decoder):
        rows = half.embed_positions.weight
        rows.data.copy_(pretraining.waves(len(rows), WIDTH, 0.028))
    return model


def held_loss(model: Any, tokenizer: Any) -> float:
    """Mean loss per token when pages that training never reads are put right."""
    import torch

    stream, total = NoisedPages(tokenizer, pretraining.HELD_START), 0.0
    with torch.no_grad():
        while stream.texts <= HELD_PAGES:
            before = stream.tokens
            batch = stream.batch()
            if stream.texts > HELD_PAGES:
                break
            total += model(**batch, use_cache=False).loss.item() * (stream.tokens - before)
            read = stream.tokens
    return total / read


def publish(model: Any) -> None:
    """Give the configuration the values that BART is published with."""
    config = model.config
    config.dropout = config.attention_dropout = config.activation_dropout = 0.1  # what fine-tuning expects


def main(arguments: list[str] | None = None) -> int:
    import torch

    chosen = pretraining.options("python -m bench.mini.pretrain_bart", __doc__, 1300, arguments)
    tokenizer = train_tokenizer()
    model, stream = new_model(), NoisedPages(tokenizer)
    for done in pretraining.train(
        model,
        torch.nn.ModuleList([model.model.encoder.layers, model.model.decoder.layers]),
        stream,
        lambda: model(**stream.batch(), use_cache=False).loss,
        lambda: held_loss(model, tokenizer),
        chosen.steps,
        chosen.stop,
    ):
        print(done.line, flush=True)
    held = held_loss(model, tokenizer)
    publish(model)
    batch = {"batch_tokens": BATCH_TOKENS}
    pretraining.save(model, tokenizer, chosen, done, batch, stream.facts("pages"), held)
    return 0


if __name__ == "__main__":
    sys.exit(main())
