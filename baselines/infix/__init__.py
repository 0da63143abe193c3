"""Infix-tuning: trained activations between source and target, [x; INFIX; y] (paper §7.3, Table 5).

Facts from the authors' code: the source is read together with P trained input embeddings after it;
keys and values from an MLP, as in prefix-tuning, are *added* to those that the LM computes at the
infix positions; then BOS and the target are read with that cache. 10 epochs, other settings at the
command line's defaults; the ablations share the prefix's code, hence the loss summed over an
example's target tokens and the frozen LM without dropout. The published rows are those of the paper's
first version, whose objective is not recorded.

Deviation: the authors count the target's positions from the *padded* length of the batch's sources,
so that an example's loss depends on its neighbours and training differs from decoding one by one.
Here infix and target follow directly on each example's own source. With a batch of one (their
decoding) both are the same.

On BART the paper has no infix. [x; INFIX; y] keeps its meaning on the decoder's side alone: what stands
between source and target can be seen by the target and cannot change the source. So it is prefix-tuning
without the encoder's prefix: trained keys and values before the decoder's own, and before the source's
where the decoder attends to it (there the order is nothing). Nothing is added to what BART computes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from baselines._shared import ABLATION_ON_BART, ABLATION_ON_E2E, ABLATION_RULES, ABLATION_VARIANTS
from bench.method import BOTH_KINDS, DECODER_ONLY, Method, Option, Options, Tables, Tokenizer

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import DynamicCache, GPT2LMHeadModel

    from bench.models.adapted import AdaptedModel
    from bench.models.decoder_only import AdaptedDecoder, Context


class Infix(Method):
    name = "infix"
    summary = "trained activations of P virtual tokens between source and target; the LM is frozen"
    source = "paper §7.3, Table 5; authors' code: train_control.py; on BART our own"
    kinds = BOTH_KINDS
    options = (
        Option("length", int, 10, "number of virtual tokens, P", minimum=1),
        Option("hidden", int, 512, "hidden width of the MLP", minimum=1),
    )
    variants = ABLATION_VARIANTS
    rules = ABLATION_RULES
    mini_lr = 1e-3
    settings: ClassVar[Tables] = {"paper": {"e2e": ABLATION_ON_E2E}}
    seq2seq_settings: ClassVar[Tables] = {"paper": {"*": ABLATION_ON_BART}}

    def build(self, backbone: Any, tokenizer: Tokenizer, options: Options, seed: int) -> AdaptedModel:
        from bench.models.architecture import get_model_kind

        if get_model_kind(backbone.config) == DECODER_ONLY:
            return make_tuned(backbone, options, seed)
        from baselines.prefix.encoder_decoder_model import EncoderDecoderPrefixModel

        shape = {**options, "mlp": "yes", "init": "random"}
        model = EncoderDecoderPrefixModel(backbone, None, shape, seed, ("decoder", "cross"), "infix")
        model.backbone_dropout = True
        return model


def make_tuned(backbone: GPT2LMHeadModel, options: Options, seed: int) -> AdaptedDecoder:
    """The torch part. It is inside a function so that listing the methods does not import torch."""
    import torch
    from torch import nn

    from baselines.prefix.model import MlpKeysValues, StoredKeysValues, compute_shape
    from bench.models.adapted import check_shape
    from bench.models.decoder_only import AdaptedDecoder, Context
    from bench.system.rng import seeded

    length = options["length"]

    class InfixTuned(AdaptedDecoder):
        """A frozen LM that meets P trained positions after every source."""

        def __init__(self) -> None:
            super().__init__(backbone)
            config = backbone.config
            with seeded(seed, "infix/embeddings"):
                self.embeddings = nn.Embedding(length, config.n_embd)
            self.keys_values: MlpKeysValues | StoredKeysValues = MlpKeysValues(
                compute_shape(config, length), options["hidden"], seed, "infix"
            )

        @property
        def reserved_positions(self) -> int:
            return length

        def context(self, sources: Sequence[Sequence[int]]) -> Context:
            """Source and infix as a cache; BOS is left to be read, right after the infix."""
            # The infix directly follows each row's own source and padding is on the right, so that
            # this reading needs no mask and no row depends on how long the others are.
            read = [list(source[:-1]) for source in sources]
            embeds = nn.utils.rnn.pad_sequence([self._with_infix(ids) for ids in read], True)
            starts = torch.tensor([len(ids) for ids in read], device=self.device)
            steps = torch.arange(embeds.shape[1], device=self.device)
            # Only padding can lie past the position table here without BOS doing so as well, and
            # that is refused where the target is read.
            positions = steps.clamp(max=backbone.config.n_positions - 1)[None]
            _, cache = self.read(None, None, positions, embeds=embeds, keep=True)
            assert cache is not None
            self._add_at(cache, starts)
            ends = starts + length
            visible = (steps < ends[:, None]).long()
            return Context(cache, visible, ends, [[source[-1]] for source in sources])

        def _with_infix(self, ids: Sequence[int]) -> Tensor:
            """Input embeddings [len(ids) + P, E] of one source and the infix."""
            words = backbone.transformer.wte(torch.tensor(ids, dtype=torch.long, device=self.device))
            return torch.cat((words, self.embeddings.weight.to(self.dtype)))

        def _add_at(self, cache: DynamicCache, starts: Tensor) -> None:
            """Add the trained keys and values to the P positions from ``starts`` [B] in each row."""
            steps = torch.arange(length, device=self.device)
            index = (starts[:, None] + steps)[:, None, :, None]
            for layer, (keys, values) in zip(cache.layers, self.keys_values(), strict=True):
                where = index.expand(-1, layer.keys.shape[1], -1, layer.keys.shape[3])
                layer.keys = layer.keys.scatter_add(2, where, keys.to(layer.keys.dtype).expand_as(where))
                layer.values = layer.values.scatter_add(
                    2, where, values.to(layer.values.dtype).expand_as(where)
                )

        def stored_state(self) -> dict[str, Tensor]:
            """Input embeddings and the keys and values to add; the MLP is not needed any more."""
            return {
                "embeddings": self.embeddings.weight.detach(),
                "keys_values": self.keys_values().detach().contiguous(),
            }

        def load_stored(self, state: Mapping[str, Tensor]) -> None:
            if set(state) != {"embeddings", "keys_values"}:
                raise KeyError(f"expected ['embeddings', 'keys_values'], got {sorted(state)}")
            check_shape("embeddings", state["embeddings"], self.embeddings.weight.shape)
            check_shape("keys_values", state["keys_values"], self.keys_values.shape)
            self.embeddings = nn.Embedding.from_pretrained(state["embeddings"].to(self.device))
            self.keys_values = StoredKeysValues(state["keys_values"].to(self.device))

    return InfixTuned()
