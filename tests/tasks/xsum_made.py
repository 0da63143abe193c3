"""Small XSum files in every layout, for the tests beside this."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tasks._xsum_files import RAW, SPLIT_FILE

ROWS = [
    {"document": "Snow fell.\nIt was cold – very.", "summary": "Winter came.", "id": "101"},
    {"document": "", "summary": "Nothing.", "id": "102"},
    {"document": "A ship sank.", "summary": "A ship is lost.", "id": "103"},
]


def jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def arrow(path: Path, rows: list[dict[str, Any]], kind: str = "stream") -> None:
    import pyarrow
    import pyarrow.ipc

    table = pyarrow.Table.from_pylist(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = pyarrow.ipc.new_stream if kind == "stream" else pyarrow.ipc.new_file
    with pyarrow.OSFile(str(path), "wb") as sink, new(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


def arrow_file(path: Path, rows: list[dict[str, Any]]) -> None:
    arrow(path, rows, "file")


def raw(root: Path, rows: list[dict[str, Any]], split: str = "validation") -> None:
    (root / RAW).mkdir(parents=True, exist_ok=True)
    (root / SPLIT_FILE).write_text(json.dumps({split: [row["id"] for row in rows]}), encoding="utf-8")
    for row in rows:
        (root / RAW / f"{row['id']}.summary").write_text(
            f"[SN]URL[SN]\nhttp://www.bbc.co.uk/news/uk-{row['id']}\n\n[SN]TITLE[SN]\nA title\n\n"
            f"[SN]FIRST-SENTENCE[SN]\n{row['summary']}\n\n[SN]RESTBODY[SN]\nShare this with\nEmail\n"
            f"Facebook\nCopy this link\n{row['document']}\n\n",
            encoding="utf-8",
        )
