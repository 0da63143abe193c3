"""Beam search, once for all models and methods: the decoder that every reported number comes from.

Two protocols share the loop and differ in how a hypothesis is scored and when the search stops:

``plain``      what ``generate`` of transformers 5 does: lengths count the generated tokens, EOS too.
``original``   what transformers 3.2, the authors' library, did: lengths count the prompt as well and
               leave EOS out, so the prompt flattens the length normalisation and shorter outputs win.

A model is anything with ``start`` and ``step`` (``Reader``); ``bench.models.adapted.AdaptedModel`` is one.
Prompts are read once per input and the reading is then repeated for the beams; an input that is finished
leaves the batch. What an input yields must not depend on its company in the batch: inputs share nothing
here but the arithmetic of the model, and equal scores are ordered by (beam, token), never by the
order in which a library happens to return them.
"""

from __future__ import annotations

import typing
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from bench.errors import UserError
from bench.task import ProtocolName

Tokens = Sequence[int]


@dataclass(frozen=True)
class BeamRules:
    """How to search. ``beams=1`` is greedy decoding.

    ``min_length``: EOS is barred while a hypothesis is shorter; lengths are counted as the protocol
    counts them (so ``original`` includes the prompt). ``banned``: tokens that are never generated.
    ``no_repeat_ngram``: no n-gram of this size occurs twice in prompt and output together (0: off).
    ``min_new_tokens``: EOS is barred while fewer tokens were generated, however the protocol counts.
    ``forced_first`` (a token) is always generated first, and with ``forced_eos`` EOS always last, where the
    longest output ends; both at no cost, as in both libraries. So BART is decoded.
    """

    protocol: ProtocolName
    eos: int
    beams: int = 5
    max_new_tokens: int = 100
    min_length: int = 0
    length_penalty: float = 1.0
    banned: tuple[int, ...] = ()
    early_stopping: bool = False
    no_repeat_ngram: int = 0
    min_new_tokens: int = 0
    forced_first: int | None = None
    forced_eos: bool = False

    def __post_init__(self) -> None:
        at_least = {
            "beams": 1,
            "max_new_tokens": 1,
            "min_length": 0,
            "min_new_tokens": 0,
            "no_repeat_ngram": 0,
        }
        for name, least in at_least.items():
            if getattr(self, name) < least:
                raise UserError(f"{name}={getattr(self, name)}: expected at least {least}")
        if self.eos in self.banned:
            raise UserError(f"banned={self.banned} contains the end-of-sequence token {self.eos}")

    def get_forced_token(self, generated: int) -> int | None:
        """The one token that may come after ``generated`` others, or None where the model chooses."""
        if self.forced_eos and generated == self.max_new_tokens - 1:
            return self.eos
        return self.forced_first if generated == 0 else None


class ReadingState(typing.Protocol):
    """What a model has read so far, one row per hypothesis."""

    @property
    def prompts(self) -> Sequence[Tokens]:
        """Per source, the tokens that decoding continues (those that the protocols count as prompt)."""

    @property
    def room(self) -> int:
        """How many more tokens the model can read after the longest source."""

    def select(self, rows: Tensor) -> None:
        """Keep (repeat, reorder) the rows with these indices."""


State = typing.TypeVar("State", bound=ReadingState)


class Reader(typing.Protocol[State]):
    """A model that reads sources and then one token at a time."""

    def start(self, sources: Sequence[Tokens]) -> tuple[State, Tensor]:
        """Read the sources: the state, and logits [sources, V] of each one's first token."""

    def step(self, state: State, tokens: Tensor) -> Tensor:
        """Read one token per row: logits [rows, V] of the next."""


@dataclass(frozen=True)
class Candidate:
    """One way to continue: hypothesis ``parent`` by ``token``; ``score`` sums all log-probabilities."""

    score: float
    parent: int
    token: int


@dataclass(frozen=True)
class Hypothesis:
    """A beginning of an output. Open: ``score`` is the summed log-probability; finished: normalised."""

    score: float = 0.0
    tokens: tuple[int, ...] = ()


@dataclass
class SourceSearch:
    """The search for one input: its open hypotheses (best first) and its finished ones."""

    rules: BeamRules
    prompt: Tokens
    open: list[Hypothesis] = field(default_factory=lambda: [Hypothesis()])
    finished: list[Hypothesis] = field(default_factory=list)
    generated: int = 0
    done: bool = False

    def advance(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Take the best 2·beams continuations, best first; the ones that stay open, in their order.

        Twice as many as beams, because each beam may end at most once, which leaves enough to go on.
        An ending counts only if it is among the best ``beams`` of all continuations.
        """
        rules = self.rules
        self.generated += 1
        last = self.generated == rules.max_new_tokens
        stay: list[Candidate] = []
        followers: list[Hypothesis] = []
        for rank, candidate in enumerate(candidates):
            if len(stay) == rules.beams:
                break
            follower = Hypothesis(candidate.score, (*self.open[candidate.parent].tokens, candidate.token))
            # At the last step `plain` treats every continuation as an ending, whatever its token;
            # with early stopping that decides whether an open one still counts.
            if candidate.token == rules.eos or (last and rules.protocol == "plain"):
                if rank < rules.beams:
                    self._finish(follower)
            else:
                stay.append(candidate)
                followers.append(follower)
        self.open = followers
        self.done = self._cannot_improve(candidates[0].score)
        if last and not self.done:
            for follower in followers:
                self._finish(follower)
            self.done = True
        return stay

    def select_best(self) -> list[int]:
        """The tokens of the best finished hypothesis; EOS is kept if it was generated."""
        # The later of two equals, as in 3.2, where a stable sort came before taking the last.
        return list(max(reversed(self.finished), key=lambda hypothesis: hypothesis.score).tokens)

    def list_barred_tokens(self, hypothesis: Hypothesis) -> list[int]:
        """Tokens that must not follow ``hypothesis`` because of its length or its n-grams."""
        rules = self.rules
        short = self._length(self.generated) < rules.min_length or self.generated < rules.min_new_tokens
        barred = [rules.eos] if short else []
        if rules.no_repeat_ngram:
            history = (*self.prompt, *hypothesis.tokens)
            begin = rules.no_repeat_ngram - 1
            tail = history[len(history) - begin :]
            places = range(len(history) - begin)
            barred += [history[i + begin] for i in places if history[i : i + begin] == tail]
        return barred

    def _length(self, generated: int) -> int:
        return generated + len(self.prompt) if self.rules.protocol == "original" else generated

    def _normalised(self, score: float, length: int) -> float:
        return score / float(length) ** self.rules.length_penalty

    def _finish(self, hypothesis: Hypothesis) -> None:
        """Add to the finished hypotheses, of which the best ``beams`` are kept."""
        counted = len(hypothesis.tokens)
        if self.rules.protocol == "original" and hypothesis.tokens[-1] == self.rules.eos:
            counted -= 1
        score = self._normalised(hypothesis.score, self._length(counted))
        full = len(self.finished) == self.rules.beams
        if full and score <= self._worst():
            return
        self.finished.append(Hypothesis(score, hypothesis.tokens))
        if full:
            self.finished.remove(min(self.finished, key=lambda hypothesis: hypothesis.score))

    def _worst(self) -> float:
        return min(hypothesis.score for hypothesis in self.finished)

    def _cannot_improve(self, best_candidate: float) -> bool:
        """The stopping tests of the two libraries; both are heuristics, and differ in small print.

        ``plain`` compares the best hypothesis that stays open, at its length. ``original`` compares
        the best continuation, even one that has just ended, at the length before its last token.
        """
        if len(self.finished) < self.rules.beams:
            return False
        if self.rules.early_stopping:
            return True
        if self.rules.protocol == "original":
            hope = self._normalised(best_candidate, self._length(self.generated - 1))
        elif not self.open:
            return True
        else:
            hope = self._normalised(self.open[0].score, self._length(self.generated))
        return self._worst() >= hope


def select_best_entries(totals: Tensor, count: int) -> list[list[tuple[float, int]]]:
    """Per row of ``totals`` the ``count`` largest as (value, index), largest first, ties by index."""
    # One more than asked: if it is smaller than the last one asked for, the chosen set is unique.
    values, indices = totals.topk(min(count + 1, totals.shape[1]), dim=1)
    best = []
    for row, (value, index) in enumerate(zip(values.tolist(), indices.tolist(), strict=True)):
        pairs = list(zip(value, index, strict=True))
        if len(pairs) > count and value[count - 1] == value[count]:
            tied = (totals[row] >= value[count]).nonzero()[:, 0]
            pairs = list(zip(totals[row, tied].tolist(), tied.tolist(), strict=True))
        best.append(sorted(pairs, key=lambda pair: (-pair[0], pair[1]))[:count])
    return best


def search_beams(reader: Reader[State], sources: Sequence[Tokens], rules: BeamRules) -> list[list[int]]:
    """The best output for each of ``sources``, decoded together; EOS is kept if it was generated."""
    state, logits = reader.start(sources)
    _check_limits(state, logits, rules)
    searches = [SourceSearch(rules, prompt) for prompt in state.prompts]
    active = searches
    while True:
        candidates = _list_candidates(logits, active, rules)
        rows: list[int] = []
        tokens: list[int] = []
        continuing = []
        first_row = 0
        for search, continuations in zip(active, candidates, strict=True):
            width = len(search.open)
            stay = search.advance(continuations)
            if not search.done:
                continuing.append(search)
                rows += [first_row + candidate.parent for candidate in stay]
                tokens += [candidate.token for candidate in stay]
            first_row += width
        active = continuing
        if not active:
            return [search.select_best() for search in searches]
        if rows != list(range(first_row)):
            state.select(torch.tensor(rows, device=logits.device))
        logits = reader.step(state, torch.tensor(tokens, device=logits.device))


def _list_candidates(
    logits: Tensor, active: Sequence[SourceSearch], rules: BeamRules
) -> list[list[Candidate]]:
    """The 2·beams best continuations of each search. All have equally many open hypotheses.

    Where a token is forced, each open hypothesis has that one continuation, which costs nothing.
    """
    forced = rules.get_forced_token(active[0].generated)  # all have generated equally many
    if forced is not None:
        return [
            [Candidate(hypothesis.score, parent, forced) for parent, hypothesis in enumerate(search.open)]
            for search in active
        ]
    vocabulary = logits.shape[1]
    opened = [(search, hypothesis) for search in active for hypothesis in search.open]
    totals = torch.log_softmax(logits, dim=-1)
    # In float32, as both libraries add them up: the same rounding means the same choices.
    scores = torch.tensor([h.score for _, h in opened], dtype=totals.dtype, device=totals.device)
    totals += scores[:, None]
    if rules.banned:
        totals[:, list(rules.banned)] = -torch.inf
    for row, (search, hypothesis) in enumerate(opened):
        barred = search.list_barred_tokens(hypothesis)
        if barred:
            totals[row, barred] = -torch.inf
    best = select_best_entries(totals.view(len(active), -1), 2 * rules.beams)
    for entries in best:
        if entries[0][0] != entries[0][0]:
            raise FloatingPointError("the model's logits are not numbers (NaN); did training diverge?")
    return [
        [Candidate(score, index // vocabulary, index % vocabulary) for score, index in entries]
        for entries in best
    ]


def _check_limits(state: ReadingState, logits: Tensor, rules: BeamRules) -> None:
    """Refuse what cannot be decoded, before any of it is."""
    # The last token is generated but never read.
    if rules.max_new_tokens - 1 > state.room:
        raise UserError(
            f"max_new_tokens={rules.max_new_tokens} does not fit: after the longest input (with the "
            f"method's own positions) the model can read {state.room} more tokens; "
            f"expected at most max_new_tokens={state.room + 1}, or shorter inputs"
        )
    available = logits.shape[1] - len(rules.banned) - 1
    if available < 2 * rules.beams:
        raise UserError(
            f"beams={rules.beams} needs {2 * rules.beams} tokens to choose from; the vocabulary without "
            f"the banned tokens and EOS has {available}"
        )
