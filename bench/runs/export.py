"""Trained parameters in the layout of PEFT, so that a prefix trained here works there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UserError
from bench.models.catalogue import MODELS
from bench.store.run_dir import RunDir
from bench.system.files import explain_storage_error, make_directory, make_temporary_name, remove_leftovers

if TYPE_CHECKING:
    from torch import Tensor


def export_to_peft(run: RunDir, out: Path) -> list[Path]:
    """Write ``adapter_config.json`` and ``adapter_model.safetensors`` of a finished prefix run.

    PEFT keeps one row per virtual token, [P, 2·L·E], layers outermost, keys before values. It also
    continues positions after the prefix, as the authors' code does, so outputs agree.
    """
    from bench.training.checkpoint import load_tensors, save_tensors

    record = run.done_record()
    if record is None:
        raise UserError(f"{run.run_id} is not done; expected a finished run (bench list runs)")
    if record["method"] != "prefix":
        raise UserError(
            f"{run.run_id} was trained by {record['method']}; PEFT has a counterpart for 'prefix' only"
        )
    run.check_product("train")
    tensors = load_tensors(run.parameters, "issue the run's command again to make it anew").tensors
    if "prefix" not in tensors:
        raise UserError(
            f"{run.run_id} holds the three prefixes of an encoder-decoder ({', '.join(sorted(tensors))}); PEFT "
            "cannot hold them: on encoder-decoders its prefix tuning gives none to the encoder. "
            f"The tensors themselves are in {run.parameters}"
        )
    prefix = tensors["prefix"]
    config = make_peft_config(record["model"], prefix.shape)
    rows = flatten_prefix(prefix)
    draft = make_temporary_name(out)
    try:
        make_directory(out.parent)
        remove_leftovers(out.parent)
        draft.mkdir()
        (draft / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")
        save_tensors(draft / "adapter_model.safetensors", {"prompt_embeddings": rows}, {"format": "pt"})
        draft.rename(out)
    except OSError as error:
        raise explain_storage_error(out, error) or error from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return sorted(out.iterdir())


def flatten_prefix(prefix: Tensor) -> Tensor:
    """[L, 2, H, P, D] as PEFT's [P, L·2·H·D]."""
    layers, two, heads, length, width = prefix.shape
    return prefix.permute(3, 0, 1, 2, 4).reshape(length, layers * two * heads * width).contiguous()


def make_peft_config(model: str, shape: Sequence[int]) -> dict[str, Any]:
    """``adapter_config.json`` for a prefix of ``shape`` [L, 2, H, P, D] on a backbone."""
    layers, _, heads, length, width = shape
    entry = MODELS.get(model)
    return {
        "peft_type": "PREFIX_TUNING",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": (entry.hub if entry and entry.hub else model),
        "revision": entry.revision if entry else None,
        "inference_mode": True,
        "num_virtual_tokens": length,
        "token_dim": heads * width,
        "num_transformer_submodules": 1,
        "num_attention_heads": heads,
        "num_layers": layers,
        "encoder_hidden_size": heads * width,
        "prefix_projection": False,
    }
