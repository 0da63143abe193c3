"""How long a training set of XSum's real size takes to its first update, and how much memory.

    python benchmarks/xsum_first_update.py                       2,000 articles, a few seconds
    python benchmarks/xsum_first_update.py --rows 204045         the published size
    python benchmarks/xsum_first_update.py --rows 204045 --splitting-words    words of many tokens each

The articles are made here, seeded: some 430 words each with a summary of some 23, of the words that
mini-bart's tokenizer has whole, or, with ``--splitting-words``, of invented ones that it takes to pieces. Then
`bench run` trains prefix on mini-bart for one update. Time runs from the start of the command to the first line
of its training log; memory is the highest resident size of the process up to then.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.mini import mini_model_dir

ARTICLE_WORDS, SUMMARY_WORDS = 430, 23
HELD_OUT_ROWS = 8
"""Articles of the validation and of the test split: neither matters here."""
CONSONANTS, VOWELS = "bcdfghjklmnpqrstvwxz", "aeiouyäéøū"


def list_whole_words() -> list[str]:
    """Words that mini-bart's tokenizer knows as one piece."""
    document = json.loads((mini_model_dir("mini-bart") / "tokenizer.json").read_text(encoding="utf-8"))
    return sorted(
        piece[1:] for piece in document["model"]["vocab"] if piece[:1] == "Ġ" and piece[1:].isalpha()
    )


def invent_words(generator: random.Random, number: int = 50_000) -> list[str]:
    """Words of three to six invented syllables."""
    syllables = [a + b + c for a in CONSONANTS for b in VOWELS for c in ("", "n", "r", "sk")]
    return ["".join(generator.choices(syllables, k=generator.randint(3, 6))) for _ in range(number)]


def make_text(generator: random.Random, words: Sequence[str], mean: int) -> str:
    """Sentences of some ``mean`` words altogether."""
    chosen = generator.choices(words, k=max(3, round(generator.gauss(mean, mean / 4))))
    sentences = [" ".join(chosen[start : start + 20]).capitalize() for start in range(0, len(chosen), 20)]
    return ".\n".join(sentences) + "."


def write_jsonl(path: Path, rows: list[dict[str, str]]) -> None:
    """The rows as JSON lines."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def write_parquet(path: Path, rows: list[dict[str, str]]) -> None:
    """The rows as the hub has them."""
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


WRITERS: dict[str, Callable[[Path, list[dict[str, str]]], None]] = {
    "jsonl": write_jsonl,
    "parquet": write_parquet,
}


def make_articles(folder: Path, rows: int, words: Sequence[str], seed: int, file_format: str) -> None:
    """``xsum/`` in ``folder`` with ``rows`` articles to train on."""
    (folder / "xsum").mkdir(parents=True)
    for split, size in (("train", rows), ("validation", HELD_OUT_ROWS), ("test", HELD_OUT_ROWS)):
        generator = random.Random(f"{seed}/{split}")
        articles = [
            {
                "document": make_text(generator, words, ARTICLE_WORDS),
                "summary": make_text(generator, words, SUMMARY_WORDS),
                "id": f"{number:08}",
            }
            for number in range(size)
        ]
        WRITERS[file_format](folder / "xsum" / f"{split}.{file_format}", articles)


def read_peak_memory(process: int) -> float:
    """Highest resident size of a process so far, in GB."""
    status = Path(f"/proc/{process}/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kilobytes) * 1024 / 1e9


def measure_first_update(data: Path, folder: Path) -> tuple[float, float]:
    """Seconds and GB of `bench run` up to its first update."""
    command = [sys.executable, "-m", "bench", "run", "--method", "prefix", "--task", "xsum"]
    command += ["--model", "mini-bart", "--data-dir", str(data), "--any-row-count", "--offline"]
    command += ["--max-steps", "1", "--max-new-tokens", "10", "--runs", str(folder)]
    environment = {**os.environ, "BENCH_CACHE": os.environ.get("BENCH_CACHE", str(data / "cache"))}
    started = time.monotonic()
    with subprocess.Popen(command, env=environment) as process:  # noqa: S603 - our own command
        while not any(folder.glob("*/log.jsonl")):
            if process.poll() is not None:
                raise SystemExit(
                    f"bench run ended with exit code {process.returncode} before its first update"
                )
            time.sleep(0.05)
        seconds, memory = time.monotonic() - started, read_peak_memory(process.pid)
    return seconds, memory


def main() -> None:
    """Make the articles, train one update, print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--splitting-words", action="store_true")
    parser.add_argument("--format", choices=sorted(WRITERS), default="jsonl")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--folder", type=Path, help="where the articles are made; default: a temporary folder"
    )
    options = parser.parse_args()
    words = invent_words(random.Random(options.seed)) if options.splitting_words else list_whole_words()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        data = Path(folder) / "data"
        make_articles(data, options.rows, words, options.seed, options.format)
        seconds, memory = measure_first_update(data, Path(folder) / "runs")
    kind = f"{'splitting' if options.splitting_words else 'whole'} words, {options.format}"
    print(f"{options.rows:,} articles, {kind}: {seconds:.1f} s and {memory:.2f} GB to the first update")


if __name__ == "__main__":
    main()
