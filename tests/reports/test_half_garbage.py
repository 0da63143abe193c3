"""A report of 5,000 records, half of them garbage: every format is written, the counts are right, nothing acts."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from least_record import least

from bench.cli import main
from bench.store.store import Store

PAYLOADS = ("<script>alert(1)</script>", "\x1b[31m", "=HYPERLINK(1)", "\\input{/etc/passwd}", "\u202e")


@pytest.mark.parametrize("count", [200, pytest.param(5_000, marks=pytest.mark.slow)])
def test_a_report_of_records_half_of_which_are_garbage(
    count: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw, store = random.Random(0), Store(tmp_path / "runs")
    whole = store.run("template").write_record(least()).read_text()
    for number in range(count):
        path = store.root / f"run-{number:04}" / "records" / "0001.json"
        path.parent.mkdir(parents=True)
        document = {**json.loads(whole), "run_id": f"run-{number:04}", "seed": number}
        del document["checksum"]
        if number % 2:
            path.write_bytes(draw.choice(PAYLOADS).encode() + draw.randbytes(40))
        else:
            path.write_text(json.dumps({**document, "model": draw.choice(PAYLOADS)}))
    for form in ("html", "md", "csv", "tex", "json"):
        out = tmp_path / form
        assert main(["report", "table2", "--format", form, "--out", str(out), "--runs", str(store.root)]) == 0
        shown = capsys.readouterr()
        assert f"{count // 2:,} records are damaged and left out" in shown.err
        text = "".join(path.read_text() for path in out.rglob("*") if path.suffix == f".{form}")
        assert "<script>alert" not in text or form != "html"
        assert "\x1b" not in text + shown.err and "\u202e" not in shown.err
