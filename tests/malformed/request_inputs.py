"""Requests that can be seen to be wrong before any work, for every verb that has the option."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import click
from inputs import MalformedInput

from bench.cli import VERBS
from bench.config.settings import DEFINITIONS, format_flag

PREFIX = ["--method", "prefix", "--task", "webnlg", "--offline", "--runs", "runs"]
MAKERS = {
    "run": ["run", *PREFIX, "--dry-run"],
    "plan": ["plan", "table2", "--scale", "mini", "--runs", "runs"],
    "submit": ["submit", *PREFIX, "--cluster", "local"],
}
"""Verbs that make runs, with a request that they take."""
NO_NUMBERS = ("x", "nan", "inf", "-inf", "1e400", "0x5", "1_000", "٥", "true", "5 5", "5,", "--", "[5]")
NO_WHOLE_NUMBERS = ("1.5", "1e30", "-1", str(10**18), str(-(10**18)), "9" * 5_000)
NO_REAL_NUMBERS = ("1e30", "-1e30", "9" * 5_000)
EMPTY = ("", "   ", "\t")

ODD_SETTINGS = {
    "device-unknown": (["--device", "gpu"], "--device.*gpu"),
    "device-number": (["--device", "cuda:99"], "--device.*cuda:99"),
    "beams-huge": (["--beams", "3000"], "--beams 3000"),
    "penalty-huge": (["--length-penalty", "1e308"], "--length-penalty 1e308"),
    "penalty-minus": (["--length-penalty", "-1e308"], "--length-penalty -1e308"),
    "rate-huge": (["--lr", "1e30"], "--lr 1e30"),
    "rate-zero": (["--lr", "0"], "--lr 0"),
    "rate-tiny": (["--lr", "1e-400"], "--lr 1e-400"),
    "rates-one-bad": (["--lr", "1e-5,fast"], "--lr fast"),
    "share-above-one": (["--train-share", "1.5"], "--train-share 1.5"),
    "share-zero": (["--train-share", "0"], "--train-share 0"),
    "length-beyond-positions": (["--max-new-tokens", "5000"], "--max-new-tokens 5000: .*positions"),
    "precision-unknown": (["--precision", "int8"], "--precision"),
    "keep-unknown": (["--keep", "worst"], "--keep"),
    "split-unknown": (["--test-split", "tset"], "--test-split"),
    "truth-unknown": (["--pad-row", "maybe"], "--pad-row maybe"),
    "seed-text": (["--seed", "one"], "--seed one"),
    "seed-negative": (["--seed", "-1"], "--seed -1"),
    "seed-huge": (["--seed", str(2**63)], "--seed"),
    "seed-part": (["--seed", "1,2,1.5"], "--seed 1.5"),
    "seed-empty-part": (["--seed", "1,,2"], "--seed"),
    "scale-unknown": (["--scale", "huge"], "unknown scale"),
    "protocol-unknown": (["--protocol", "mine"], "unknown protocol"),
}
SELECTORS = {
    "open": ("prefix[", "prefix"),
    "no-value": ("prefix[length]", "length"),
    "twice": ("prefix[length=5,length=6]", "length"),
    "unknown-option": ("prefix[lenght=5]", "did you mean 'length'"),
    "empty-value": ("prefix[length=]", "length"),
    "negative": ("prefix[length=-1]", "length=-1"),
    "part": ("prefix[length=1.5]", "length=1.5"),
    "endless": ("prefix[length=1000000000]", "length=1000000000"),
    "huge-layer": ("prefix[hidden=100000000000]", "hidden"),
    "other-digits": ("prefix[length=٥]", "length"),
    "truth": ("prefix[mlp=maybe]", "mlp"),
    "adapter-size": ("adapter[size=huge]", "size"),
    "nested": ("prefix[[length=5]]", "prefix"),
    "unknown": ("prefux", "did you mean 'prefix'"),
    "empty-element": ("prefix,,ft-full", "prefix"),
    "positions": ("embedding[length=1023]", "positions|length"),
}
LAUNCHES: dict[str, tuple[Mapping[str, str], str]] = {
    "world-size": ({"WORLD_SIZE": "2"}, "unset WORLD_SIZE"),
    "rank": ({"RANK": "1"}, "unset RANK"),
    "no-number": ({"WORLD_SIZE": "two", "RANK": "0"}, "WORLD_SIZE=two"),
    "pmi": ({"PMI_SIZE": "2", "PMI_RANK": "0"}, "unset PMI_SIZE PMI_RANK"),
    "open-mpi": ({"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3"}, "unset OMPI_COMM_WORLD"),
    "mvapich": ({"MV2_COMM_WORLD_SIZE": "2", "MV2_COMM_WORLD_RANK": "1"}, "unset MV2_COMM_WORLD"),
    "half-of-torchrun": ({"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}, "MASTER_ADDR"),
    "rank-too-large": (
        {"WORLD_SIZE": "2", "RANK": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "x", "MASTER_PORT": "1"},
        "RANK below WORLD_SIZE",
    ),
    "escape-sequence": ({"WORLD_SIZE": "\x1b[31m2"}, "WORLD_SIZE"),
}
PLACES = ("BENCH_RUNS", "BENCH_DATA", "BENCH_MODELS", "BENCH_CACHE", "BENCH_SITE")


def prepare_words(words: list[str], folder: Path) -> list[str]:
    del folder  # nothing is written for it
    return list(words)


def list_commands() -> Iterator[tuple[list[str], click.Command]]:
    """Every command with the words that call it."""
    for verb, (module, _) in VERBS.items():
        command = importlib.import_module(module).command
        if isinstance(command, click.Group):
            yield from (([verb, name], part) for name, part in command.commands.items())
        else:
            yield [verb], command


def list_valued_options() -> Iterator[tuple[list[str], str]]:
    """The words of every command, with each of its options that take a value."""
    for words, command in list_commands():
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.is_flag:
                yield words, parameter.opts[0]


def make_input(
    name: str, words: list[str], expects: str, environment: Mapping[str, str] | None = None
) -> MalformedInput:
    return MalformedInput(
        name, "request", partial(prepare_words, words), expects, environment=environment or {}
    )


def make_setting_inputs(verb: str, words: list[str]) -> Iterator[MalformedInput]:
    for definition in DEFINITIONS:
        flag = format_flag(definition.name)
        if definition.kind in (int, float):
            further = NO_WHOLE_NUMBERS if definition.kind is int else NO_REAL_NUMBERS
            for text in (*NO_NUMBERS, *further):
                yield make_input(f"{verb}-{definition.name}-{text[:12]}", [*words, flag, text], flag)
    for name, (given, expects) in ODD_SETTINGS.items():
        if (verb, name) != ("plan", "length-beyond-positions"):
            yield make_input(f"{verb}-{name}", [*words, *given], expects)


INPUTS = [
    *(
        make_input(
            f"{'-'.join(words)}-{flag}-empty-{len(text)}", [*words, flag, text], f"{flag} was given empty"
        )
        for words, flag in list_valued_options()
        for text in EMPTY
    ),
    *(given for verb, words in MAKERS.items() for given in make_setting_inputs(verb, words)),
    *(
        make_input(f"{verb}-selector-{name}", [*MAKERS[verb], "--method", selector], expects)
        for verb in ("run", "submit")
        for name, (selector, expects) in SELECTORS.items()
    ),
    *(
        make_input(f"{verb}-launch-{name}", MAKERS[verb], expects, environment)
        for verb in ("run", "submit", "plan")
        for name, (environment, expects) in LAUNCHES.items()
    ),
    *(
        make_input(f"check-launch-{name}", ["check", "--only", "webnlg prefix"], expects, environment)
        for name, (environment, expects) in LAUNCHES.items()
    ),
    *(
        make_input(f"{words[0]}-{name}-empty", words, f"{name} is set and empty", {name: " "})
        for name in PLACES
        for words in (*MAKERS.values(), ["status"], ["report"])
    ),
]
INPUTS += [
    make_input(f"{words[0]}-runs-{name}", [*words, "--runs", text], expects)
    for words in MAKERS.values()
    for name, text, expects in (
        ("root", "/", "the root of all files"),
        ("root-twice", "//", "the root of all files"),
        ("root-around", "/tmp/..", "the root of all files"),
        ("kernel", "/proc/x", "file system of the kernel"),
        ("devices", "/dev/shm/../x", "file system of the kernel"),
        ("system", "/sys/fs/x", "file system of the kernel"),
    )
]
