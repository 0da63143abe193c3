"""What several methods have in common, as the authors' code or the paper has it; each with its origin."""

from __future__ import annotations

from bench.method import Settings, Variants, sourced

GRID = "authors' code: run_batch.py, grid of the ablations"
DEFAULT = "authors' code: command-line default, which that grid leaves alone"
ON_BART = "our choice, as prefix on XSUM; the paper has no such row for BART"
LONGEST, WIDEST = 10_000, 65_536
"""Virtual tokens, and units of a hidden layer, that a method takes: far above what the paper tries."""

FINE_TUNING_RULES: Settings = {
    "objective": ("mean", "authors' code: mean over the batch's target tokens"),
    "backbone_dropout": (True, "authors' code: GPT-2's dropout of 0.1 is on"),
}
"""Full fine-tuning, the top two blocks, adapters."""

# The ablations of Table 5: embedding-only and infix-tuning.
ABLATION_RULES: Settings = {
    "objective": ("sum", "authors' code: same path as prefix, summed over the target's tokens"),
    "backbone_dropout": (False, "authors' code: same path as prefix, the LM is in eval mode"),
}
ABLATION_VARIANTS: Variants = ({"length": 1}, {"length": 10}, {"length": 20})
ABLATION_ON_E2E: Settings = {"lr": (5e-5, DEFAULT), "epochs": (10, GRID), "batch_size": (10, DEFAULT)}
ABLATION_ON_BART: Settings = sourced(ON_BART, batch_size=14, hidden=800)
