"""All of E2E's scores by our code beside the official scripts, each as a program of its own.

    python benchmarks/e2e_scores.py [--data-dir E2E_FOLDER | --case FILE.jsonl.gz] [--official DIR] [--rounds 3]

``--official``: a checkout of github.com/tuetschek/e2e-metrics, whose ``measure_scores.py`` must run in this
Python (it needs Java, perl with XML::Twig, and the packages future and scikit-image; what PERL5LIB and
PYTHONPATH name is used). It computes five scores, ours are six: NIST with both length penalties. Without it,
the other side is the same jars and classes through pycocoevalcap, and our own BLEU and NIST.

Both sides must agree to the four digits that the script prints, which is checked first. The outputs are
the references' last ones with some words changed, of E2E's test set or, without its files, of the mini one.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

NAMES = {"BLEU": "bleu", "NIST": "nist_mteval", "METEOR": "meteor", "ROUGE_L": "rouge_l", "CIDEr": "cider"}
PRINTED = 5e-5
GOAL = 5

Texts = tuple[list[str], list[list[str]]]


def ours(texts: Texts) -> dict[str, float]:
    """All six by this package; BLEU on the scripts' scale of 0 to 1."""
    from bench.metrics import bleu, coco, meteor, nist

    scorers = {
        "bleu": bleu.score_mteval,
        "nist": nist.score_pymteval,
        "nist_mteval": nist.score_mteval,
        "meteor": meteor.score_e2e,
        "rouge_l": coco.score_rouge_l,
        "cider": coco.score_cider,
    }
    values = {name: scorer(*texts).value for name, scorer in scorers.items()}
    return values | {"bleu": values["bleu"] / 100}


def library(texts: Texts) -> dict[str, float]:
    """The official jars and pycocoevalcap's classes; BLEU and NIST are ours."""
    os.environ["BENCH_JAVA"] = "1"
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    from bench.metrics import bleu, coco, meteor, nist

    outputs, references = coco.tokenize_sides(*texts)
    said = {number: [text] for number, text in enumerate(outputs)}
    wanted = dict(enumerate(references))
    return {
        "bleu": bleu.score_mteval(*texts).value / 100,
        "nist": nist.score_pymteval(*texts).value,
        "nist_mteval": nist.score_mteval(*texts).value,
        "meteor": meteor.score_e2e(*texts).value,
        "rouge_l": float(Rouge().compute_score(wanted, said)[0]),
        "cider": float(Cider().compute_score(wanted, said)[0]),
    }


WORKERS = {"ours": ours, "library": library}


def worker(name: str, folder: Path) -> dict[str, float]:
    """The scores by one of our two ways, from a process of its own."""
    environment = {key: value for key, value in os.environ.items() if key != "BENCH_JAVA"}
    command = [sys.executable, __file__, "--worker", name, str(folder)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True)  # noqa: S603 - the programs compared
    if ran.returncode:
        raise SystemExit(f"{name} failed:\n{ran.stderr}")
    values: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return values


def script(checkout: Path, folder: Path, *options: str) -> dict[str, float]:
    """What ``measure_scores.py`` prints."""
    command = [
        sys.executable,
        "measure_scores.py",
        *options,
        str(folder / "refs.txt"),
        str(folder / "hyps.txt"),
    ]
    ran = subprocess.run(command, cwd=checkout, capture_output=True, text=True)  # noqa: S603 - the programs compared
    if ran.returncode:
        raise SystemExit(f"measure_scores.py failed:\n{ran.stderr[-2000:]}")
    lines = (line.split(": ") for line in ran.stdout.splitlines())
    return {NAMES[parts[0]]: float(parts[1]) for parts in lines if parts[0] in NAMES}


def check(values: dict[str, float], official: dict[str, float]) -> None:
    for name, value in official.items():
        print(f"  {name:12} {values[name]:.6f}  official {value:.6f}")
        assert abs(values[name] - value) <= PRINTED + 1e-9, f"{name} differs"


def retold(references: list[list[str]]) -> list[str]:
    """An output for every item: one of its references with some words left out and some said twice."""
    draw = random.Random(1)
    return [
        " ".join(word for word in refs[-1].split() for _ in range(draw.choices((1, 0, 2), (8, 1, 1))[0]))
        or refs[-1]
        for refs in references
    ]


def read(chosen: argparse.Namespace) -> Texts:
    if chosen.case:
        with gzip.open(chosen.case, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        return [row["hyp"] for row in rows], [row["refs"] for row in rows]
    from bench.mini import mini_data_dir
    from bench.registry import get_task

    task = get_task("e2e")
    folder = chosen.data_dir or mini_data_dir() / task.folder
    references = [list(item.references) for item in task.items("test", folder, "plain")]
    return retold(references), references


def write(folder: Path, texts: Texts) -> None:
    """For both sides: the script wants one output per line, and blank lines between items' references."""
    hypotheses, references = (
        [squeeze(text) for text in texts[0]],
        [[*map(squeeze, refs)] for refs in texts[1]],
    )
    (folder / "texts.json").write_text(json.dumps([hypotheses, references]), encoding="utf-8")
    (folder / "hyps.txt").write_text("\n".join(hypotheses) + "\n", encoding="utf-8")
    (folder / "refs.txt").write_text(
        "\n\n".join("\n".join(refs) for refs in references) + "\n", encoding="utf-8"
    )


def squeeze(text: str) -> str:
    return " ".join(text.split())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--case")
    parser.add_argument("--official", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        name, place = chosen.worker
        print(json.dumps(WORKERS[name](json.loads(Path(place, "texts.json").read_text(encoding="utf-8")))))
        return
    from side_by_side import compare

    texts = read(chosen)
    with tempfile.TemporaryDirectory() as created:
        folder = Path(created)
        write(folder, texts)
        print(f"{len(texts[0])} outputs, {sum(map(len, texts[1]))} references")
        values = worker("ours", folder)
        ways: dict[str, Callable[[], object]]
        if chosen.official:
            first = f"measure_scores.py of {chosen.official.name}"
            check(values, script(chosen.official, folder))
            check(values, {"nist": script(chosen.official, folder, "-p")["nist_mteval"]})
            ways = {first: lambda: script(chosen.official, folder)}
        else:
            print("no --official DIR: compared with the jars and classes in pycocoevalcap")
            first = "pycocoevalcap with Java"
            check(values, worker("library", folder))
            ways = {first: lambda: worker("library", folder)}
        ways["ours"] = lambda: worker("ours", folder)
        ratios = compare(ways, rounds=chosen.rounds, warmup=0)
    print(f"{1 / ratios['ours']:.1f} times as fast (goal with the official scripts: {GOAL})")


if __name__ == "__main__":
    main()
