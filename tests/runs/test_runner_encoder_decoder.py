"""Whole runs on a tiny BART: what they leave, that they continue, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from safetensors.torch import load_file
from waiting import PATIENCE, wait_until

from bench.config.request import CommonOptions, RunRequest, specify_run
from bench.errors import UserError
from bench.method import Method
from bench.metrics.rouge import LIBRARY, score_rouge
from bench.registry import get_method, get_task
from bench.runs import runner
from bench.runs.export import export_to_peft
from bench.store.run_dir import RunDir
from bench.store.store import Store
from bench.task import Item, Protocol, Row, RowCount, Task

QUICK: dict[str, object] = {
    "epochs": 2, "batch_size": 2, "max_new_tokens": 12, "min_new_tokens": 2, "device": "cpu",
}  # fmt: skip
ROWS = [
    ("The council met . It was long", "A council met , and it was long ."),
    ("Rain fell on the town all day", "Rain fell ."),
    ("A dog was found", "It 's found ."),
    ("Nobody won the match " * 40, "Nobody won " * 12),
]


class Digest(Task):
    """One `document<TAB>summary` a line."""

    name = "digest"
    title = "Digest"
    kind = "summarization"
    folder = "digest"
    licence = "CC0"
    published = ()
    files: ClassVar[Mapping[str, tuple[str, ...]]] = {
        split: (f"{split}.tsv",) for split in ("train", "dev", "test")
    }
    expected: ClassVar[Mapping[str, RowCount]] = dict.fromkeys(files, RowCount(4, 4))
    metrics = ("bleu",)
    instruction = "Summarise:"

    def rows(self, split: str, root: Path, protocol: Protocol) -> list[Row]:
        lines = (root / f"{split}.tsv").read_text().splitlines()
        return [Row(*line.split("\t")) for line in lines]

    def items(self, split: str, root: Path, protocol: Protocol) -> list[Item]:
        rows = self.rows(split, root, protocol)
        return [Item(str(number), row.source, (row.target,)) for number, row in enumerate(rows)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "digest"
    folder.mkdir(parents=True)
    for split in ("train", "dev", "test"):
        (folder / f"{split}.tsv").write_text("".join(f"{text}\t{short}\n" for text, short in ROWS))
    return folder.parent


def request(
    tmp_path: Path,
    data: Path,
    model: Path | str,
    method: str = "prefix",
    protocol: Any = "original",
    **given: Any,
) -> RunRequest:
    small: dict[str, object] = {"length": 3, "hidden": 8}
    options = given.pop("options", small if method in ("prefix", "infix", "embedding") else {})
    common = CommonOptions(
        model=str(model), protocol=protocol, data_dir=data, runs=tmp_path / "runs", given={**QUICK, **given}
    )
    return RunRequest(Digest(), get_method(method), options, 1, common)


def folder_of(tmp_path: Path) -> RunDir:
    [folder] = Store(tmp_path / "runs").runs()
    return folder


def test_a_run_leaves_a_record_and_the_three_prefixes_alone(
    tmp_path: Path, data: Path, tiny_bart: Path
) -> None:
    record = runner.run(request(tmp_path, data, tiny_bart))
    assert record is not None and record["status"] == "done"
    folder = folder_of(tmp_path)
    assert set(load_file(folder.parameters)) == {"encoder", "decoder", "cross"}
    assert record["parameters"]["stored"] == 3 * 2 * 2 * 3 * 16
    assert record["training"]["truncated_rows"] == 1
    assert "pad_row" not in record["settings"]
    chosen = {
        name: record["settings"][name]["value"] for name in ("beams", "length_penalty", "no_repeat_ngram")
    }
    assert chosen == {"beams": 6, "length_penalty": 0.8, "no_repeat_ngram": 3}
    assert "paper" in record["settings"]["beams"]["origin"]
    rows = folder.read_generations()
    # As the authors score: labels cut at 100 tokens with <s> and </s>, decoded and cleaned up.
    assert [row["references"] for row in rows] == [
        ["A council met, and it was long."],
        ["Rain fell."],
        ["It's found."],
        [("Nobody won " * 12)[:98].strip()],
    ]
    assert record["scores"]["all"]["bleu"]["value"] is not None
    assert runner.run(request(tmp_path, data, tiny_bart)) == record


def test_rouge_on_dev_chooses_the_parameters(tmp_path: Path, data: Path, tiny_bart: Path) -> None:
    chosen: dict[str, Any] = {"eval_every": 1, "lr": 0.05, "epochs": 3, "dev_limit": 3}
    record = runner.run(request(tmp_path, data, tiny_bart, keep="best-dev-rouge2", **chosen))
    assert record is not None and record["status"] == "done"
    training = record["training"]
    log = {line["step"]: line["dev_rouge2"] for line in folder_of(tmp_path).read_log()}
    assert set(log) == set(range(1, 7))
    assert training["best_dev_rouge2"] == max(log.values())
    assert training["kept_update"] == min(step for step, score in log.items() if score == max(log.values()))
    assert training["dev_rows"] == 3
    # The parameters that it kept have that score: what is decoded at the end is decoded alike.
    again = runner.run(
        request(tmp_path, data, tiny_bart, keep="best-dev-rouge2", test_split="dev", limit=3, **chosen)
    )
    assert again is not None
    [rows] = [
        folder.read_generations()
        for folder in Store(tmp_path / "runs").runs()
        if folder.run_id == again["run_id"]
    ]
    scored = score_rouge(
        LIBRARY, "rouge2", [row["output"] for row in rows], [row["references"] for row in rows]
    )
    assert scored.value == again["training"]["best_dev_rouge2"]


def test_plain_keeps_the_references(tmp_path: Path, data: Path, tiny_bart: Path) -> None:
    record = runner.run(request(tmp_path, data, tiny_bart, protocol="plain"))
    assert record is not None
    assert [row["references"] for row in folder_of(tmp_path).read_generations()] == [
        [short] for _, short in ROWS
    ]
    assert record["settings"]["max_reference_tokens"]["value"] is None


@pytest.mark.parametrize("method", ["ft-full", "ft-top2", "adapter", "embedding", "infix", "prompt"])
def test_every_method_goes_through(method: str, tmp_path: Path, data: Path, tiny_bart: Path) -> None:
    record = runner.run(request(tmp_path, data, tiny_bart, method))
    assert record is not None and record["status"] == "done"
    assert (record["training"] is None) == (method == "prompt")


def test_words_can_start_the_prefixes(tmp_path: Path, data: Path, tiny_bart: Path) -> None:
    record = runner.run(request(tmp_path, data, tiny_bart, options={"init": "news"}))
    assert record is not None
    # " news" is five tokens here, <s> and </s> make seven.
    assert load_file(folder_of(tmp_path).parameters)["cross"].shape == (2, 2, 2, 7, 8)
    assert record["options"]["length"]["value"] is None


def test_outputs_do_not_depend_on_how_many_are_decoded_together(
    tmp_path: Path, data: Path, tiny_bart: Path
) -> None:
    outputs = []
    for batch in (1, 3, 100):
        place = tmp_path / str(batch)
        runner.run(request(place, data, tiny_bart, decode_batch=batch))
        outputs.append(folder_of(place).generations.read_bytes())
    assert outputs[0] == outputs[1] == outputs[2]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_source_tokens": 1025}, r"--max-source-tokens 1025: the model has 1,024 positions"),
        ({"max_new_tokens": 2000}, r"--max-new-tokens 2000: the model has 1,024"),
        (
            {"method": "embedding", "options": {"length": 600}},
            r"--max-source-tokens 512: the model has 1,024 positions.*at most 424",
        ),
        ({"pad_row": "yes"}, r"--pad-row is for decoder-only models; this run's is encoder-decoder"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_training(
    given: dict[str, Any], message: str, tmp_path: Path, data: Path, tiny_bart: Path
) -> None:
    with pytest.raises(UserError, match=message):
        runner.run(request(tmp_path, data, tiny_bart, **given))
    assert not list((tmp_path / "runs").glob("*/log*"))


def test_kinds_of_task_and_model_must_fit(
    tmp_path: Path, data: Path, tiny_bart: Path, tiny_model: Path
) -> None:
    with pytest.raises(
        UserError, match=r"digest \(summarization\).*\(decoder-only\).*expected mini-bart, bart-large"
    ):
        specify_run(request(tmp_path, data, tiny_model))
    with pytest.raises(UserError, match=r"expected mini-bart, bart-large"):
        specify_run(request(tmp_path, data, "gpt2-medium"))
    common = CommonOptions(model=str(tiny_bart), runs=tmp_path / "runs")
    with pytest.raises(UserError, match=r"webnlg \(table-to-text\).*encoder-decoder.*expected mini-gpt2"):
        specify_run(RunRequest(get_task("webnlg"), get_method("prefix"), {}, 1, common))


def test_a_method_for_gpt2_alone_is_refused_on_bart(
    tmp_path: Path, data: Path, tiny_bart: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(get_method("infix")), "kinds", Method.kinds)
    with pytest.raises(UserError, match=r"infix is for decoder-only models; this run's is encoder-decoder"):
        specify_run(request(tmp_path, data, tiny_bart, "infix"))


def test_settings_of_bart_are_refused_on_gpt2(tmp_path: Path, tiny_model: Path) -> None:
    common = CommonOptions(model=str(tiny_model), runs=tmp_path / "runs", given={"max_source_tokens": 100})
    with pytest.raises(UserError, match=r"--max-source-tokens is for encoder-decoder models"):
        specify_run(RunRequest(get_task("webnlg"), get_method("prefix"), {}, 1, common))


def test_peft_cannot_hold_an_encoders_prefix(tmp_path: Path, data: Path, tiny_bart: Path) -> None:
    runner.run(request(tmp_path, data, tiny_bart))
    with pytest.raises(UserError, match=r"three prefixes .*cross, decoder, encoder.* PEFT cannot hold them"):
        export_to_peft(folder_of(tmp_path), tmp_path / "out")
    assert not (tmp_path / "out").exists()


SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = json_path
from test_runner_encoder_decoder import request
from bench.runs import runner
runner.run(request(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], epochs=40, checkpoint_seconds=0))
"""


@pytest.mark.slow
def test_killed_and_resumed_ends_with_the_same_bytes(tmp_path: Path, data: Path, tiny_bart: Path) -> None:
    """SIGKILL in the training: parameters and outputs equal those of a run that went through."""
    script = SCRIPT.replace(
        "json_path", json.dumps([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    )

    def words(place: str) -> list[str]:
        return [sys.executable, "-c", script, str(tmp_path / place), str(data), str(tiny_bart)]

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    subprocess.run(words("through"), check=True, capture_output=True, env=environment, timeout=PATIENCE)
    process = subprocess.Popen(words("killed"), stderr=subprocess.DEVNULL, env=environment)

    def there() -> bool:
        assert process.poll() is None
        return any((tmp_path / "killed" / "runs").glob("*/checkpoint.safetensors"))

    wait_until(there, every=0.005)
    time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    subprocess.run(words("killed"), check=True, capture_output=True, env=environment, timeout=PATIENCE)
    through, resumed = folder_of(tmp_path / "through"), folder_of(tmp_path / "killed")
    assert through.parameters.read_bytes() == resumed.parameters.read_bytes()
    assert through.generations.read_bytes() == resumed.generations.read_bytes()
    record = resumed.done_record()
    assert record is not None and record["training"]["resumed_at"] > 0
