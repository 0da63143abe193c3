"""Experiment files that cannot be used, and what each must say."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from inputs import MalformedInput

HEAD = 'title = "A trial"\nsource = "our choice"\n'
GRID = '[[grid]]\ntasks = ["webnlg"]\nmethods = ["prefix"]\nmodels = ["mini-gpt2"]\nseeds = [1]\n'
GOOD = HEAD + GRID
SETTINGS = GOOD + "[grid.settings]\n"
NO_TEXTS = ("5", "1.5", "true", "[]", "{}", "1979-05-27", "nan", "[[1]]")
NO_NAMES = ('""', '"a\\u0000b"', '"a/b"', '"\\u202ea"', '"' + "a" * 300 + '"', "[1]", "5")


def replaced(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


TEXTS: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "title is missing"),
    "byte-order-mark-alone": (b"\xef\xbb\xbf", "title is missing"),
    "no-utf-8": (b'title = "\xff"\n', "line 1.*UTF-8"),
    "no-utf-8-later": (HEAD.encode() + b"# \xff\n", "line 3.*UTF-8"),
    "utf-16": (GOOD.encode("utf-16"), "UTF-8|TOML"),
    "nul": (GOOD + "\0", "not TOML.*line"),
    "control": (GOOD + "\x1b[31m", "not TOML.*line"),
    "duplicate-key": (HEAD + 'title = "B"\n' + GRID, "not TOML.*line"),
    "duplicate-table": (GOOD + "[grid.settings]\n[grid.settings]\n", "not TOML.*line"),
    "cut": (GOOD[:-4], "not TOML"),
    "deep": ("x = " + "[" * 5_000 + "]" * 5_000, "not TOML|deep"),
    "long-integer": (HEAD + "x = " + "9" * 5_000, "not TOML"),
    "impossible-date": (HEAD + "x = 1979-99-99", "not TOML"),
    "large": (GOOD + "# " + "x" * 1_100_000, "at most 1,048,576"),
    "unknown-key": (GOOD + "lenghts = [1]", "unknown key.*lenghts"),
    "unknown-key-5-mb-name": (HEAD + f'"{"x" * 900_000}" = 1\n' + GRID, "unknown key"),
    "unknown-key-escape": (HEAD + '"\\u001b[31m" = 1\n' + GRID, r"unknown key.*\\x1b"),
    "misspelt-key": (replaced("seeds", "sedes"), "did you mean 'seeds'"),
    "grid-is-a-table": (HEAD + GRID.replace("[[grid]]", "[grid]"), "grid.*expected a list"),
    "grid-is-a-number": (HEAD + "grid = 5", "grid.*expected a list"),
    "grid-of-numbers": (HEAD + "grid = [5]", "grid.*expected a table"),
    "reuse-is-a-number": (HEAD + "reuse = 5", "reuse.*expected a list"),
    "reuse-unknown": (GOOD + '[[reuse]]\nexperiment = "nobody"', "the name of another experiment"),
    "reuse-itself": (GOOD + '[[reuse]]\nexperiment = "trial"', "the name of another experiment"),
    "reuse-without-name": (GOOD + "[[reuse]]\n", "experiment is missing"),
    "settings-are-a-number": (GOOD + "settings = 5", "settings.*expected a table"),
    "setting-is-a-number": (SETTINGS + "lr = 5", "settings.lr.*expected a table"),
    "setting-without-origin": (SETTINGS + "lr = {value = 1}", "origin is missing"),
    "setting-without-value": (SETTINGS + 'lr = {origin = "x"}', "either value or values"),
    "setting-with-both": (
        SETTINGS + 'lr = {value = 1, values = [1], origin = "x"}',
        "either value or values",
    ),
    "setting-unknown": (SETTINGS + 'learning_rate = {value = 1, origin = "x"}', "unknown setting"),
    "setting-empty-values": (SETTINGS + 'lr = {values = [], origin = "x"}', "values.*at least 1"),
    "setting-per-unknown": (
        SETTINGS + 'lr = {values = [1], per = "epochs", origin = "x"}',
        "one value for each",
    ),
    "setting-per-alone": (SETTINGS + 'lr = {value = 1, per = "epochs", origin = "x"}', "values beside per"),
    "scales-empty": (GOOD + "scales = []", "scales.*at least 1"),
    "scales-unknown": (GOOD + 'scales = ["huge"]', "scales"),
    "scale-is-a-list": (GOOD + "paper = [1]", "paper.*expected a table"),
    "scale-settings": (GOOD + "[grid.mini]\nsettings = 3", "settings.*expected a table"),
    "apart-text": (HEAD + 'apart = "yes"\n' + GRID, "apart.*true or false"),
    "stands-for-unknown": (HEAD + 'stands_for = "nobody"\n' + GRID, "stands_for"),
    "too-many-runs": (
        replaced("[1]", str([*range(1_000)]))
        + f'[grid.settings]\nlr = {{values = {[n / 100 for n in range(1, 1_000)]}, origin = "x"}}',
        "expected at most 100,000",
    ),
    "too-many-selections": (
        replaced(
            '"prefix"', '"prefix[' + ";".join(f"{a}=1,2,3,4,5,6,7,8,9" for a in "abcdefghijklmnopqrst") + ']"'
        ),
        "methods.*at most 10,000",
    ),
    "selectors-times-seeds": (
        replaced("[1]", str([*range(1_000)])).replace(
            '"prefix"', '"prefix[length=' + ",".join(map(str, range(1, 120))) + ']"'
        ),
        "119,000 runs.*at most 100,000",
    ),
    "option-misspelt": (replaced('"prefix"', '"prefix[lenght=5]"'), "methods.*did you mean 'length'"),
    "option-bad-value": (replaced('"prefix"', '"ft-full", "prefix[length=x]"'), "methods.*whole number"),
    "selector-open": (replaced('"prefix"', '"prefix[length=5"'), "methods"),
    "selector-empty": (replaced('["prefix"]', '[""]'), "methods"),
}
TEXTS |= {
    f"{key}-{number}": (GOOD.replace(before, f"{key} = {value}"), key)
    for key, before in (("title", 'title = "A trial"'), ("source", 'source = "our choice"'))
    for number, value in enumerate(NO_TEXTS)
}
TEXTS |= {
    f"{key}-{number}": (GOOD.replace(before, f"{key} = {value}"), key)
    for key, before in (("tasks", 'tasks = ["webnlg"]'), ("models", 'models = ["mini-gpt2"]'))
    for number, value in enumerate(("5", '"webnlg"', "[]", "[5]", "[[]]", "[{}]", "[1.5]", "[true]", '[""]'))
}
TEXTS |= {
    f"seeds-{number}": (replaced("[1]", value), "seeds")
    for number, value in enumerate(
        ("5", "[]", '["x"]', '["1"]', "[1.5]", "[1.0]", "[true]", "[-1]", "[nan]", "[inf]", "[1979-05-27]", "[[1]]",
         "[99999999999999999999]", "[2147483648]", "{}")
    )
}  # fmt: skip
TEXTS |= {
    f"task-name-{number}": (replaced('["webnlg"]', f"[{value}]"), "tasks")
    for number, value in enumerate(NO_NAMES)
}
TEXTS |= {
    f"setting-{name}-{number}": (SETTINGS + f'{name} = {{value = {value}, origin = "x"}}', name)
    for name, values in (
        ("lr", ("'5'", "true", "nan", "-1", "[1]", "{}", "1979-05-27", "'fast'", "1e400")),
        ("epochs", ("1.5", "'5'", "true", "-3", "nan", "[1]", "99999999999999999999")),
        ("store_both", ("1", "'yes'", "0.5", "[true]")),
        ("keep", ("5", "true", "'worst'", "''", "['best']")),
    )
    for number, value in enumerate(values)
}
TEXTS |= {
    f"origin-{number}": (SETTINGS + f"lr = {{value = 1, origin = {value}}}", "origin")
    for number, value in enumerate((*NO_TEXTS, '""'))
}


def prepare_experiment(content: str | bytes, folder: Path) -> list[str]:
    """``trial.toml`` as the only experiment: the test takes ``experiments`` for the package's folder."""
    place = folder / "experiments"
    place.mkdir()
    (place / "trial.toml").write_bytes(content if isinstance(content, bytes) else content.encode())
    return ["run", "trial", "--offline", "--runs", "runs"]


INPUTS = [
    MalformedInput(name, "experiment", partial(prepare_experiment, content), expects)
    for name, (content, expects) in TEXTS.items()
]
