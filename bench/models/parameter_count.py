"""How many parameters a method trains and stores, counted without weights.

The method is built on PyTorch's meta device, where tensors have shapes and no numbers, so this takes
a second and little memory for any size of model. The counts are those of the very modules that would
be trained; nothing is worked out a second time by formula.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypedDict

from bench.errors import UserError
from bench.method import Method

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase


class ParameterCount(TypedDict):
    """Parameters of one method on one model. Shares are fractions of the model's ``total``."""

    method: str
    """As a selector with the given options: ``prefix[length=5]``."""
    model: str
    trainable: int
    stored: int
    share_trained: float
    share_stored: float
    paper_share: str | None
    total: int
    facts: dict[str, object]
    """What the method adds: the adapter's bottleneck and its reduction n_embd / bottleneck."""


def count_parameters(
    method: Method,
    model: str | PretrainedConfig,
    options: Mapping[str, object],
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> ParameterCount:
    """Counts for ``method`` with ``options`` (typed or parsed; the rest are defaults) on ``model``.

    ``model`` is a name or directory (``bench.models.catalogue``) or a configuration. ``tokenizer`` is needed
    only where an option holds words whose number of tokens matters. Raises ``UserError`` where the
    method is not made for this kind of model.
    """
    import torch

    from bench.models.architecture import get_model_kind
    from bench.models.loading import get_model_class, load_model_config

    name, config = (model, load_model_config(model)) if isinstance(model, str) else ("", model)
    kind = get_model_kind(config)
    if kind not in method.kinds:
        raise UserError(f"{method.name} is for {' and '.join(method.kinds)} models; {name} is {kind}")
    resolved = method.resolve_options(options)
    with torch.device("meta"):
        backbone = get_model_class(kind)(config)
        total = sum(parameter.numel() for parameter in backbone.parameters())
        adapted = method.build(backbone, tokenizer, resolved, seed=0)
        trainable = sum(tensor.numel() for tensor in adapted.trained_state().values())
        stored = sum(tensor.numel() for tensor in adapted.stored_state().values())
    chosen = ",".join(f"{option}={value}" for option, value in options.items())
    return ParameterCount(
        method=f"{method.name}[{chosen}]" if chosen else method.name,
        model=name or config.name_or_path,
        trainable=trainable,
        stored=stored,
        share_trained=trainable / total,
        share_stored=stored / total,
        paper_share=method.paper_share(name, resolved),
        total=total,
        facts=adapted.facts,
    )


def list_variants(method: Method, model: str) -> list[dict[str, object]]:
    """The option settings to list: the method's variants, with what its settings choose per task.

    So ``prefix`` on a paper model gives lengths 5 (E2E, WebNLG) and 10 (DART), and on bart-large 100, 80
    and 40 (XSUM and its splits) and 5. Nothing for a kind of model that the method is not made for.
    """
    from bench.models.catalogue import find_model_kind

    kind = find_model_kind(model)
    if kind not in method.kinds:
        return []
    scale = "mini" if model.startswith("mini") else "paper"
    declared = method.tables(kind).get(scale, {})
    chosen: list[dict[str, object]] = []
    for variant in method.variants_for(kind):
        resolved = method.resolve_options(variant)
        for task in [task for task in declared if task != "*"] or ["*"]:
            table = method.settings_for(scale, task, resolved, model, kind)
            names = [option.name for option in method.options if option.name in table]
            setting = {name: table[name][0] for name in names} | dict(variant)
            if setting not in chosen:
                chosen.append(setting)
    return chosen
