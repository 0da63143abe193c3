"""Runs that are killed at random instants and started again, by a process that has imported torch once.

    python tests/runs/random_kills.py FOLDER GPT2 BART [KILLS]

FOLDER is empty; GPT2 and BART are checkpoint directories of tiny models. Each attempt is a fork of this process.
Every method on both kinds of model is killed in turn; now and then the checkpoint that a kill left is damaged before
the run is started again. A run that ends is compared with the one that went through: its products byte for byte, its
folder file by file. Prints one JSON document with the figures.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.config.request import CommonOptions, expand_requests
from bench.runs import runner
from bench.store.run_dir import RunDir
from bench.store.store import Store

METHODS = (
    "prefix[length=3,hidden=8]",
    "ft-full",
    "ft-top2",
    "adapter[bottleneck=2]",
    "embedding[length=3]",
    "infix[length=3]",
    "prompt",
)
SETTINGS = {
    "limit": 6,
    "epochs": 4,
    "batch_size": 2,
    "max_new_tokens": 12,
    "device": "cpu",
    "checkpoint_seconds": 0,
    "beams": 2,
}
DAMAGED = 0.25
"""Share of kills after which the checkpoint is damaged, where there is one."""
PRODUCTS = ("parameters.safetensors", "generations.jsonl", "scores.json")


class Case:
    """One method on one kind of model: the run that went through, and the one that is killed."""

    def __init__(self, folder: Path, method: str, task: str, model: Path) -> None:
        self.folder, self.method, self.task, self.model = folder, method, task, model
        self.through = self.begin("through")
        started = time.monotonic()
        if os.waitpid(self.through(), 0)[1] != 0:
            raise RuntimeError(f"{method} on {model.name} does not go through")
        self.seconds = time.monotonic() - started
        [self.expected] = Store(folder / "through").runs()
        self.killed = self.begin("killed")

    def begin(self, name: str) -> Callable[[], int]:
        """What starts an attempt at the run in a store of that name, and returns its process."""
        common = CommonOptions(model=str(self.model), runs=self.folder / name, given=SETTINGS)
        [request] = expand_requests(methods=self.method, tasks=self.task, seeds="1", common=common)
        return lambda: fork(lambda: runner.run(request), self.folder / "said.txt")

    def run(self) -> RunDir:
        [folder] = Store(self.folder / "killed").runs()
        return folder

    def compare(self) -> list[str]:
        """What of the ended run differs from the one that went through; the folder is emptied for the next."""
        folder, store = self.run(), Store(self.folder / "killed")
        wrong = [
            f"{name} differs"
            for name in PRODUCTS
            if (folder.path / name).read_bytes() != (self.expected.path / name).read_bytes()
        ]
        if [record["status"] for record in store.read(latest=False)] != ["done"]:
            wrong.append("not one record, of status done")
        wrong += [f"torn: {entry}" for entry in [*store.damaged, *store.survey()]]
        wrong += [f"left over: {name}" for name in list_files(folder) - list_files(self.expected)]
        shutil.rmtree(self.folder / "killed")
        return [f"{self.method} on {self.model.name}: {problem}" for problem in wrong]


def list_files(folder: RunDir) -> set[str]:
    """The files of a run but for the numbers of its claims and what was put aside and noted on purpose."""
    return {
        str(path.relative_to(folder.path))
        for path in folder.path.rglob("*")
        if path.parent.name != "claims" and ".damaged-" not in path.name and path.name != "damaged.jsonl"
    }


def fork(work: Callable[[], Any], said: Path) -> int:
    """Do ``work`` in a child that shares what this process has imported; its process number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(out, 1)
        os.dup2(out, 2)
        work()
        code = 0
    finally:
        os._exit(code)


def damage_checkpoint(folder: RunDir, draw: random.Random) -> bool:
    """Flip a bit of the checkpoint, cut it or fill it with zeros; whether there was one."""
    if not folder.checkpoint.is_file():
        return False
    content = bytearray(folder.checkpoint.read_bytes())
    kind = draw.randrange(3)
    if kind == 0:
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    elif kind == 1:
        del content[draw.randrange(len(content)) :]
    else:
        content = bytearray(len(content))
    folder.checkpoint.write_bytes(content)
    return True


def kill_runs(cases: list[Case], kills: int, draw: random.Random) -> dict[str, Any]:
    """Kill attempts until there were ``kills``; the figures."""
    figures: Counter[str] = Counter()
    wrong: list[str] = []
    for case in take_turns(cases):
        if figures["kills"] >= kills:
            break
        for _ in range(4):  # kills of one run, before it goes on to its end
            child = case.killed()
            time.sleep(draw.uniform(0, case.seconds))
            os.kill(child, signal.SIGKILL)
            if os.waitpid(child, 0)[1] != signal.SIGKILL:  # it had ended before
                figures["ended before the kill"] += 1
                break
            figures["kills"] += 1
            if not Store(case.folder / "killed").runs():
                figures["kills before anything was written"] += 1
            elif draw.random() < DAMAGED:
                figures["damaged checkpoints"] += damage_checkpoint(case.run(), draw)
            if figures["kills"] >= kills:
                break
        if os.waitpid(case.killed(), 0)[1] != 0:
            wrong.append(f"{case.method} on {case.model.name} does not end after a kill")
            shutil.rmtree(case.folder / "killed", ignore_errors=True)
            continue
        figures["runs that ended"] += 1
        wrong += case.compare()
    return {**figures, "wrong": wrong}


def take_turns(cases: list[Case]) -> Iterator[Case]:
    while True:
        yield from cases


def main() -> None:
    folder, gpt2, bart = map(Path, sys.argv[1:4])
    kills = int(sys.argv[4]) if len(sys.argv) > 4 else 100
    started = time.monotonic()
    draw = random.Random(kills)
    plan = [(method, task, model) for method in METHODS for task, model in (("webnlg", gpt2), ("xsum", bart))]
    draw.shuffle(plan)
    for task, model in (
        ("webnlg", gpt2),
        ("xsum", bart),
    ):  # what is loaded and tested once, every fork has then
        common = CommonOptions(model=str(model), runs=folder / "warm", given=SETTINGS)
        runner.run(*expand_requests(methods="prefix", tasks=task, seeds="2", common=common))
    cases = []
    for number, (method, task, model) in enumerate(plan[: max(2, kills // 3)]):
        place = folder / str(number)
        place.mkdir()
        cases.append(Case(place, method, task, model))
    figures = kill_runs(cases, kills, draw)
    print(json.dumps({**figures, "cases": len(cases), "seconds": round(time.monotonic() - started, 1)}))


if __name__ == "__main__":
    main()
