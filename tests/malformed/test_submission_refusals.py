"""`bench submit` refuses the checkpoints that the job would refuse, those too that only the library can judge."""

from __future__ import annotations

import shutil
from pathlib import Path

import checkpoint_inputs as made
import pytest

from bench.cli import main

DAMAGES: dict[str, made.Damage] = {
    "layers-text": made.change_json("config.json", {"n_layer": "6"}),
    "kernel": made.change_json("config.json", {"_attn_implementation": "evil/kernel"}),
    "lacks-head": made.change_json("config.json", {"tie_word_embeddings": False}),
    "nan": made.poison(float("nan")),
    "merges-unknown": made.tokenizer_model(lambda model: model.update(merges=[["zz", "qq"]])),
    "no-end-of-text": made.change_json("tokenizer_config.json", {"eos_token": None}),
    "new-end-of-text": made.change_json("tokenizer_config.json", {"eos_token": "<a token that is nowhere>"}),
    "index-broken": made.write_index("{"),
}


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("dry_run", [["--dry-run"], []], ids=["dry-run", "submit"])
def test_a_damaged_checkpoint_is_not_submitted(
    name: str,
    dry_run: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path(shutil.copytree(made.build_gpt2(), tmp_path / "model"))
    DAMAGES[name](folder)
    words = ["submit", "--cluster", "local", "--method", "prefix", "--task", "webnlg", "--offline"]
    assert main([*words, "--model", str(folder), *dry_run]) == 2
    output, message = capfd.readouterr()
    assert "/model" in output + message
    assert "Traceback" not in message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]
