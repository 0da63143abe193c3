"""What training, decoding and storing see of every adapted model, whichever kind its backbone is.

``bench.models.decoder_only`` and ``bench.models.encoder_decoder`` say how a source and a target are
read; everything else about freezing, dropout, storing and the loss of the target's tokens is here, once.

Shapes: B examples, E model width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Tokens = Sequence[int]


def pad_rows(rows: Sequence[Tokens], fill: int, device: torch.device) -> Tensor:
    """Rows of token ids as one [B, longest] tensor, padded on the right."""
    width = max(len(row) for row in rows)
    filled = [[*row, *([fill] * (width - len(row)))] for row in rows]
    return torch.tensor(filled, dtype=torch.long, device=device)


def check_shape(name: str, tensor: Tensor, expected: torch.Size | Sequence[int]) -> None:
    """Refuse a tensor of another shape: copying would stretch one of size 1 without a word."""
    if tuple(tensor.shape) != tuple(expected):
        raise ValueError(f"{name}: expected shape {tuple(expected)}, got {tuple(tensor.shape)}")


class AdaptedModel(nn.Module):
    """A backbone and one method's additions, ready to be trained and to decode.

    ``decode_vocab``: how many rows of the vocabulary decoding may use; smaller than the embedding
    when a PAD row was added for training only (the original protocol).
    """

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        self.backbone = backbone
        self.backbone.requires_grad_(False)
        # A model made from a configuration starts in train mode; without this its dropout would be
        # on until the first call of train() or eval().
        self.backbone.eval()
        self.backbone_dropout = False
        self.decode_vocab = int(backbone.config.vocab_size)
        # What listings add to the parameter counts (adapter: its reduction).
        self.facts: dict[str, object] = {}

    # -- what each kind of backbone does in its own way -----------------------------------------

    @property
    def positions(self) -> int:
        """How many positions the backbone's table has (encoder-decoder: for each side)."""
        raise NotImplementedError

    @property
    def reserved_positions(self) -> int:
        """How many of those the method itself takes."""
        raise NotImplementedError

    def forward(self, sources: Sequence[Tokens], targets: Sequence[Tokens]) -> Tensor:
        """Negative log-likelihood of each target (summed over its tokens), [B] in float32."""
        raise NotImplementedError

    def start(self, sources: Sequence[Tokens]) -> tuple[Any, Tensor]:
        """Read the sources once: the state to continue from, and logits [B, V] of the first target token."""
        raise NotImplementedError

    def step(self, state: Any, tokens: Tensor) -> Tensor:
        """Read one more token per hypothesis ([rows]) and return the logits [rows, V] of the next."""
        raise NotImplementedError

    # -- what a method may change ---------------------------------------------------------------

    def before_training(self, seed: int) -> None:
        """Work to be done once before the first update (fitting an initialisation); nothing by default."""

    def stored_state(self) -> dict[str, Tensor]:
        """What is kept after training, by name: by default exactly the trained parameters."""
        return self.trained_state()

    def load_stored(self, state: Mapping[str, Tensor]) -> None:
        """Put back what ``stored_state`` gave; raises ``KeyError`` on missing or surplus names.

        For use, not for more training: what only training needs (a prefix's MLP) is dropped.
        """
        self.load_trained(state)

    # -- shared ---------------------------------------------------------------------------------

    @property
    def word_weight(self) -> Tensor:
        """The backbone's word embeddings [V, E]."""
        weight: Tensor = self.backbone.get_input_embeddings().weight
        return weight

    @property
    def device(self) -> torch.device:
        """Where the backbone's weights are."""
        return self.word_weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the backbone's weights; float32 unless a run's precision says otherwise."""
        return self.word_weight.dtype

    def train(self, mode: bool = True) -> AdaptedModel:
        """Train mode; the backbone's dropout only where the protocol has it on."""
        super().train(mode)
        if not self.backbone_dropout:
            self.backbone.eval()
        return self

    def trained_state(self) -> dict[str, Tensor]:
        """The parameters that training updates, by name."""
        return {name: p.detach() for name, p in self.named_parameters() if p.requires_grad}

    def load_trained(self, state: Mapping[str, Tensor]) -> None:
        """Put back what ``trained_state`` gave, in place; raises ``KeyError`` on other names."""
        trained = self.trained_state()
        if trained.keys() != state.keys():
            raise KeyError(f"expected {sorted(trained)}, got {sorted(state)}")
        for name, tensor in trained.items():
            check_shape(name, state[name], tensor.shape)
        with torch.no_grad():
            for name, tensor in trained.items():
                tensor.copy_(state[name])

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores of the whole vocabulary in training, [..., V]."""
        scores: Tensor = self.backbone.lm_head(hidden)
        return scores

    def target_losses(self, picked: Sequence[Tensor], targets: Sequence[Tokens]) -> Tensor:
        """Summed negative log-likelihoods [B] from the hidden states that predict each target's tokens.

        Only these meet the vocabulary, which is where most of the time of a small step goes otherwise.
        """
        logits = self.logits(torch.cat(list(picked))).float()
        labels = torch.tensor([token for target in targets for token in target], device=self.device)
        losses = nn.functional.cross_entropy(logits, labels, reduction="none")
        return torch.stack([part.sum() for part in losses.split([len(t) for t in targets])])

    def _logits(self, hidden: Tensor) -> Tensor:
        """Scores of the tokens that decoding may choose, [..., V] in float32."""
        return self.logits(hidden)[..., : self.decode_vocab].float()


def hash_frozen_parameters(model: nn.Module) -> str:
    """SHA-256 over all parameters that are not trained: equal before and after training."""
    import hashlib

    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        if not parameter.requires_grad:
            digest.update(name.encode())
            digest.update(parameter.detach().contiguous().view(torch.uint8).cpu().numpy().tobytes())
    return digest.hexdigest()
