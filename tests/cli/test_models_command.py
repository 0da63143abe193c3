"""`bench models` and what `bench doctor` says of the paper's backbones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from published_models import list_as_hub, take_shape

from bench.cli import main
from bench.models import verification
from bench.models.verification import PROOF_FILE, compare_with_hub
from bench.system.hub import HubFile, PinnedRepository


@pytest.fixture
def medium(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small random model in the place and of the shape of gpt2-medium, and a hub that has its files."""
    folder = tmp_path / "models" / "gpt2-medium"
    shutil.copytree(tiny_model, folder)
    monkeypatch.setenv("BENCH_MODELS", str(folder.parent))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    take_shape(monkeypatch, "gpt2-medium", folder)
    answer_as(monkeypatch, list_as_hub(folder))
    return folder


def answer_as(monkeypatch: pytest.MonkeyPatch, listing: Any) -> None:
    """Let the hub answer as ``listing`` does."""
    monkeypatch.setattr(verification, "compare_with_hub", lambda files, *_: compare_with_hub(files, listing))


def refuse(_pinned: PinnedRepository) -> dict[str, HubFile]:
    raise OSError("no route to host")


def call(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(["models", *words])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_models_are_listed_as_by_list(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call("list", "--json", capsys=capsys)
    assert code == 0 and main(["list", "models", "--json"]) == 0
    assert json.loads(out) == json.loads(capsys.readouterr().out)
    assert call("list", capsys=capsys)[1].splitlines()[1].startswith("mini-gpt2")


def test_verifying_leaves_a_proof_that_is_enough_afterwards(
    medium: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = call("verify", "gpt2-medium", "--json", capsys=capsys)
    document = json.loads(out)
    assert (code, document["status"], document["how"]) == (0, "verified", "proof-file")
    assert {file["status"] for file in document["files"]} == {"same"}
    assert (medium / PROOF_FILE).is_file()
    answer_as(monkeypatch, refuse)
    code, out, _ = call("verify", str(medium), capsys=capsys)
    assert code == 0 and f"verified by {PROOF_FILE} beside the weights" in out


def test_without_a_network_and_a_proof_it_says_so(
    medium: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_as(monkeypatch, refuse)
    code, out, _ = call("verify", "gpt2-medium", capsys=capsys)
    assert code == 1 and "not verified: nothing here says" in out
    assert "no route to host; on a machine with a network: bench models verify" in out
    code, out, _ = call("verify", "gpt2-medium", "--offline", "--json", capsys=capsys)
    document = json.loads(out)
    assert (code, document["status"], document["hub"]) == (1, "not-verified", None)
    assert {file["file"] for file in document["files"]} == set(document["sha256"])
    assert not (medium / PROOF_FILE).exists()


def test_another_file_than_the_hubs_is_named(
    medium: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_as(monkeypatch, list_as_hub(medium))
    (medium / "tokenizer_config.json").write_text("{}")
    code, out, _ = call("verify", "gpt2-medium", capsys=capsys)
    assert code == 1 and "tokenizer_config.json differs" in out and not (medium / PROOF_FILE).exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["verify", "mini-gpt2"], "Valid: bart-large, gpt2-large, gpt2-medium"),
        (["verify", "gpt2-medum"], "did you mean 'gpt2-medium'"),
        (["verify", "bart-large"], "hf download facebook/bart-large"),
        (["verify", "./nowhere"], "does not exist"),
        (["verify"], "NAME|DIR"),
        (["verfy"], "verfy"),
    ],
)
@pytest.mark.usefixtures("medium")
def test_a_wrong_request_is_refused(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = call(*words, capsys=capsys)
    assert code == 2 and not out and expected in err and "Traceback" not in err


def test_a_model_of_another_shape_is_refused(medium: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = json.loads((medium / "config.json").read_text())
    (medium / "config.json").write_text(json.dumps(config | {"n_layer": 1}))
    code, _, err = call("verify", "gpt2-medium", capsys=capsys)
    assert code == 2 and "n_layer is 1, published 2" in err and len(err.splitlines()) == 1


def get_check(name: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    main(["doctor", "--json"])
    [check] = [check for check in json.loads(capsys.readouterr().out) if check["what"] == f"model {name}"]
    return dict(check)


def test_the_doctor_tells_absent_refused_unproven_and_proven_apart(
    medium: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = get_check("gpt2-large", capsys)
    assert (absent["ok"], absent["found"]) == (False, "not on this machine")
    unproven = get_check("gpt2-medium", capsys)
    assert not unproven["ok"] and unproven["found"].startswith(
        "BENCH_MODELS, not verified: nothing here says"
    )
    assert unproven["do"] == "bench models verify gpt2-medium"
    assert unproven["verification"]["status"] == "not-verified"
    assert call("verify", "gpt2-medium", capsys=capsys)[0] == 0
    proven = get_check("gpt2-medium", capsys)
    assert proven["ok"] and proven["found"] == f"BENCH_MODELS, verified by {PROOF_FILE} beside the weights"
    assert proven["verification"]["how"] == "proof-file"
    config = json.loads((medium / "config.json").read_text())
    (medium / "config.json").write_text(json.dumps(config | {"n_layer": 1}))
    refused = get_check("gpt2-medium", capsys)
    assert not refused["ok"] and refused["found"] == "refused: config.json: n_layer is 1, published 2"
    assert get_check("mini-gpt2", capsys)["ok"]
