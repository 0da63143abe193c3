"""Sites that no job can be submitted with, and what each must say."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from inputs import MalformedInput

BAD_NUMBERS = ("'5'", "true", "-1", "nan", "inf", "[1]", "{}", "1979-05-27", "1.5", "99999999999999999999")
BAD_TEXTS = (
    "true",
    "[]",
    "{}",
    "1.5",
    "''",
    "'  '",
    '"a\\nb"',
    '"a\\u0000"',
    '"\\u001b[31m"',
    '"\\u202ea"',
    "1979-05-27",
)
BAD_VARIABLES = ('"A=B"', '""', '"1A"', '"A B"', '"A-B"', '"\\u202eA"', '"A\\nB"', "PYTHONPATH", "WORLD_SIZE",
                 "SLURM_JOB_ID", "PMI_RANK", "OMPI_COMM_WORLD_SIZE")  # fmt: skip

TEXTS: dict[str, tuple[str | bytes, str]] = {
    "no-utf-8": (b"partition = '\xff'", "line 1.*UTF-8"),
    "cut": ("partition = ", "not TOML"),
    "duplicate-key": ("gpus = 1\ngpus = 2", "not TOML"),
    "nul": ("gpus = 1\0", "not TOML"),
    "deep": ("x = " + "[" * 5_000, "not TOML"),
    "large": ("# " + "x" * 1_100_000, "at most 1,048,576"),
    "unknown-key": ("partitoin = 'x'", "did you mean 'partition'"),
    "unknown-key-long": (f"{'x' * 100_000} = 1", "unknown site setting"),
    "unknown-key-escape": ('"\\u001b[31m" = 1', "unknown site setting"),
    "shape-is-a-number": ("shape = 3", r"\[\[shape\]\]"),
    "shape-of-numbers": ("shape = [3]", r"\[\[shape\]\]"),
    "shape-matches-nothing": ("[[shape]]\ngpus = 1", "which runs it is for"),
    "shape-matches-a-number": ("[[shape]]\nmodel = 5", "model: expected a text"),
    "shape-unknown-key": ("[[shape]]\nmodel = 'a'\ngpu = 1", "unknown site setting"),
    "shape-bad-value": ("[[shape]]\nmodel = 'a'\ngpus = 'many'", "gpus many: expected a number"),
    "shape-unknown-method": ("[[shape]]\nmethod = 'prefx'\ngpus = 1", "did you mean 'prefix'"),
    "shape-unknown-task": ("[[shape]]\ntask = 'webnlgg'\ngpus = 1", "did you mean 'webnlg'"),
    "shape-unknown-scale": ("[[shape]]\nscale = 'papr'\ngpus = 1", "did you mean 'paper'"),
    "slurm-array": ("[slurm]\narray = '1-9'", "array is set by the harness"),
    "slurm-job-name": ("[slurm]\njob_name = 'a'", "job_name is set by the harness"),
    "slurm-wrap": ("[slurm]\nwrap = 'true'", "wrap is set by the harness"),
    "slurm-test-only": ("[slurm]\ntest-only = true", "test-only is set by the harness"),
    "slurm-false": ("[slurm]\nrequeue = false", "requeue: expected a text"),
    "slurm-date": ("[slurm]\nbegin = 1979-05-27", "begin: expected a text"),
    "modules-is-a-text": ("modules = 'cuda'", "list of strings"),
    "modules-of-numbers": ("modules = [1]", "a line: expected a text"),
    "setup-nul": ('setup = ["a\\u0000b"]', "control characters"),
    "setup-empty-line": ("setup = ['']", "not empty"),
    "environment-is-a-number": ("environment = 5", "expected a table"),
    "environment-list-value": ("[environment]\nA = [1]", "expected text or a number"),
    "environment-true": ("[environment]\nA = true", "expected text or a number"),
    "environment-nan": ("[environment]\nA = nan", "finite"),
    "environment-line-break": ('[environment]\nA = "a\\nb"', "line breaks"),
    "environment-long": (f"[environment]\nA = '{'x' * 5_000}'", "at most 4,000"),
    "slurm-is-a-list": ("slurm = [1]", "expected a table"),
    "slurm-odd-option": ("[slurm]\n'a b' = 1", "no long option of sbatch"),
    "slurm-line-break": ('[slurm]\nmail-type = "a\\n#SBATCH --uid=0"', "line breaks"),
    "slurm-export-none": ("[slurm]\nexport = 'NONE'", "which source to run"),
}
TEXTS |= {
    f"{key}-{number}": (f"{key} = {value}", key)
    for key in (
        "gpus",
        "nodes",
        "processes",
        "cpus",
        "max_parallel",
        "max_requeues",
        "signal_before",
        "max_array",
    )
    for number, value in enumerate(BAD_NUMBERS)
}
TEXTS |= {
    f"mem-{number}": (f"mem = {value}", "mem") for number, value in enumerate(BAD_NUMBERS) if value != "1.5"
}
TEXTS |= {
    f"time-{number}": (f"time = {value}", "time")
    for number, value in enumerate(
        ("'soon'", "true", "-1", "0", "'1:2:3:4'", "nan", "[1]", "'99999999-0'", "''", "1.5")
    )
}
TEXTS |= {
    f"{key}-{number}": (f"{key} = {value}", key)
    for key in ("partition", "account", "qos", "constraint", "exclude", "nodelist", "container", "python")
    for number, value in enumerate(BAD_TEXTS)
}
TEXTS |= {
    f"variable-{number}": (f"[environment]\n{name} = '1'", "environment")
    for number, name in enumerate(BAD_VARIABLES)
}


def prepare_site(content: str | bytes, folder: Path) -> list[str]:
    (folder / "site.toml").write_bytes(content if isinstance(content, bytes) else content.encode())
    words = [
        "submit",
        "--method",
        "prefix",
        "--task",
        "webnlg",
        "--cluster",
        "local",
        "--offline",
        "--runs",
        "runs",
    ]
    return [*words, "--site", "site.toml"]


INPUTS = [
    MalformedInput(name, "site", partial(prepare_site, content), expects)
    for name, (content, expects) in TEXTS.items()
]
