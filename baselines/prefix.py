"""Prefix-tuning: trained keys and values before the source, in every layer (paper §4).

While training, the prefix comes from a small matrix and an MLP; afterwards only its output, the keys
and values, is kept (§4.3). Facts from the authors' code: the matrix is as wide as the model, 512 is
the MLP's hidden width; N(0, 1) embedding and default linear initialisation; real tokens start at
position P; the frozen LM's dropout is off; the loss is summed over an example's target tokens.

The module itself is ``bench.prefixes.PrefixTuned``: infix shares its parametrisation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bench.method import MINI_LR, Method, Option, Settings

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel, PreTrainedTokenizerBase

    from bench.tuned import Tuned

TABLE6 = "paper Table 6"
CODE = "authors' code"


class Prefix(Method):
    name = "prefix"
    summary = "keys and values of P virtual tokens before the source in every layer; the LM is frozen"
    source = "paper §4, §7.1, §7.4; authors' code: train_control.py"
    options = (
        Option("length", int, 5, "number of virtual tokens, P", minimum=0),
        Option("hidden", int, 512, "hidden width of the MLP", minimum=1),
        Option("mlp", str, "yes", "reparametrise by an MLP while training", choices=("yes", "no")),
        Option(
            "init",
            str,
            "random",
            "'random', or words whose activations the prefix is fitted to (§7.4); they set the length",
        ),
    )
    variants: ClassVar[tuple[Mapping[str, object], ...]] = ({},)
    settings: ClassVar[Mapping[str, Mapping[str, Settings]]] = {
        "paper": {
            "*": {
                "objective": ("sum", f"{CODE}: summed over the target's tokens (mode 1)"),
                "backbone_dropout": (False, f"{CODE}: only the prefix module is in train mode"),
                "length": (10, "paper §5.3, default"),
            },
            "e2e": {
                "lr": (8e-5, TABLE6),
                "epochs": (5, TABLE6),
                "batch_size": (10, TABLE6),
                "length": (5, TABLE6),
            },
            "webnlg": {
                "lr": (5e-5, TABLE6),
                "epochs": (5, TABLE6),
                "batch_size": (5, TABLE6),
                "length": (5, TABLE6),
            },
            "dart": {
                "lr": (5e-5, TABLE6),
                "epochs": (10, TABLE6),
                "batch_size": (5, TABLE6),
                "length": (10, TABLE6),
            },
        },
        "mini": {
            "*": {
                "objective": ("sum", f"{CODE}: summed over the target's tokens (mode 1)"),
                "backbone_dropout": (False, f"{CODE}: only the prefix module is in train mode"),
                "length": (10, "our choice for mini"),
                "lr": (2e-3, MINI_LR),
            },
        },
    }

    def settle(self, options: dict[str, Any]) -> dict[str, Any]:
        """Initial words set the length."""
        return options if options["init"] == "random" else {**options, "length": None}

    def paper_share(self, model: str, options: Mapping[str, Any]) -> str | None:
        """Printed for the paper's own prefixes: MLP, random start, 5 or 10 virtual tokens."""
        reported = model in ("gpt2-medium", "gpt2-large") and options["length"] in (5, 10)
        return "0.1%" if reported and options["mlp"] == "yes" and options["init"] == "random" else None

    def build(
        self,
        backbone: GPT2LMHeadModel,
        tokenizer: PreTrainedTokenizerBase | None,
        options: Mapping[str, Any],
        seed: int,
    ) -> Tuned:
        from bench.prefixes import PrefixTuned

        return PrefixTuned(backbone, tokenizer, options, seed)
