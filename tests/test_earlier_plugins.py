"""Plug-ins and programs written against the first version work unchanged: these texts are never edited."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

METHOD = '''
"""Bias tuning: only the biases of the frozen LM are trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from bench.method import Method, Option, Options, Tables, Tokenizer, sourced

if TYPE_CHECKING:
    from bench.tuned import Tuned


class Bias(Method):
    name = "bias"
    summary = "only the biases are trained; the LM's matrices are frozen"
    source = "Ben Zaken et al. 2022"
    rules = sourced("our choice", objective="mean", backbone_dropout=False)
    options = (Option("part", str, "all", "which biases", choices=("all", "mlp")),)
    settings: ClassVar[Tables] = {"mini": {"*": sourced("our choice for mini", lr=1e-2)}}

    def build(self, backbone: Any, tokenizer: Tokenizer, options: Options, seed: int) -> Tuned:
        from bench.tuned import Tuned

        tuned = Tuned(backbone)  # freezes the backbone
        for name, parameter in backbone.named_parameters():
            parameter.requires_grad_(name.endswith(".bias"))
        return tuned
'''

TASK = '''
"""Colours: say in a sentence which colour a thing has. One `thing<TAB>colour<TAB>sentence` a line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from bench.errors import DataError
from bench.task import Item, Protocol, Row, RowCount, Task
from tasks._read import read_text


class Colours(Task):
    name = "colours"
    title = "Colours"
    kind = "table-to-text"
    folder = "colours"
    licence = "CC0"
    published = ()
    files: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "train": ("train.tsv",),
        "dev": ("dev.tsv",),
        "test": ("test.tsv",),
    }
    expected: ClassVar[Mapping[str, RowCount]] = dict.fromkeys(files, RowCount(rows=2, items=2))
    metrics = ("bleu",)
    instruction = "Say which colour the thing has:"

    def lines(self, split: str, root: Path) -> list[list[str]]:
        path = root / self.files[split][0]
        lines = [line.split("\\t") for line in read_text(path).rstrip("\\n").split("\\n")]
        for number, fields in enumerate(lines, 1):
            if len(fields) != 3 or not all(fields):
                raise DataError(f"{path}, line {number}: expected thing, colour and sentence")
        return lines

    def rows(self, split: str, root: Path, protocol: Protocol) -> list[Row]:
        return [Row(f"{thing} : {colour}", text) for thing, colour, text in self.lines(split, root)]

    def items(self, split: str, root: Path, protocol: Protocol) -> list[Item]:
        return [
            Item(str(number), f"{thing} : {colour}", (text,), facts=((thing, colour),))
            for number, (thing, colour, text) in enumerate(self.lines(split, root))
        ]
'''

PROGRAM = """
import json, sys
import pandas
import bench.store
from bench import registry
from bench.store import Store, default_root, is_called, lookup

store = Store(sys.argv[1])
[record] = store.records()
assert isinstance(record, dict)
assert registry.get_task("colours").name in registry.tasks() and "bias" in registry.methods()
assert lookup(record, "settings.lr.value") == 0.01 and default_root().name == "runs"
assert store.select({"task": "colours", "status": ["done"]}) == store.done_records() == [record]
assert store.select(lambda one: one["seed"] == 101, latest=False) == [record]
run = store.find(record["run_id"][:-6])
assert is_called(run.run_id, run.run_id[-12:]) and store.run(run.run_id).done_record()["seed"] == 101
assert run.latest_record().get("no such field") is None and run.records() == [record]
table = pandas.json_normalize(bench.store.Store(sys.argv[1]).records())
assert table["scores.all.bleu.value"][0] == record["scores"]["all"]["bleu"]["value"]
assert not store.damaged and len(run.read_generations()) == 2 and run.worker() is None
print(json.dumps({"method": record["method"], "stored": record["parameters"]["stored"]}))
"""


def test_a_method_a_task_and_a_program_of_the_first_version(tmp_path: Path) -> None:
    (tmp_path / "bias.py").write_text(METHOD)
    (tmp_path / "colours.py").write_text(TASK)
    package = tmp_path / "theirs-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        "[bench.methods]\nbias = bias:Bias\n\n[bench.tasks]\ncolours = colours:Colours\n"
    )
    data = tmp_path / "data" / "colours"
    data.mkdir(parents=True)
    for split in ("train", "dev", "test"):
        (data / f"{split}.tsv").write_text("sky\tblue\tThe sky is blue.\ngrass\tgreen\tGrass is green.\n")
    runs = tmp_path / "store"
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    words = ["--task", "colours", "--data-dir", str(data.parent), "--runs", str(runs), "--max-steps", "2"]
    command = [sys.executable, "-m", "bench", "run", "--method", "bias[part=all]", *words]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    program = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(runs)], env=environment, capture_output=True, text=True
    )
    assert program.returncode == 0, program.stderr
    assert json.loads(program.stdout) == {"method": "bias", "stored": 8576}
