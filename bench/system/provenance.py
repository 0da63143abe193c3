"""Where a number came from: the code, the packages and the machine behind a record.

Every function here answers with what it can find out and never fails: a missing git, package or
accelerator must not cost anybody a finished run. Nothing uses the network, nothing imports torch, and
`hide_names` keeps home directories and user names out of files that are meant to be published.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import socket
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import bench
from bench.system.cpus import find_cpu_share

ROOT = Path(__file__).resolve().parents[2]
SCORING_PACKAGES = ("bench", "tasks", "baselines")  # the folders whose code can move a score

# Packages whose version can move a score, a parameter or a duration: of the dependencies in pyproject.toml
# all but those that only show something, check documents, start jobs or guard against hostile files.
PACKAGES = (
    "prefix-bench",
    "accelerate",
    "bert-score",
    "datasets",
    "huggingface-hub",
    "nltk",
    "numpy",
    "pyarrow",
    "pycocoevalcap",
    "rapidfuzz",
    "rouge-score",
    "sacrebleu",
    "safetensors",
    "scipy",
    "text-unidecode",
    "tokenizers",
    "torch",
    "transformers",
)


def format_current_time() -> str:
    """This instant, ISO 8601 in UTC: ``2026-01-31T12:00:00.000000+00:00``. Sorts as text."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


# --- code


def run_git(root: Path, *arguments: str) -> bytes:
    # A hook or a rebase sets GIT_DIR and the like for another repository; and hundreds of jobs that
    # only ask must not fight for the index's lock.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    return subprocess.run(  # noqa: S603 - a fixed program with fixed arguments
        ["git", "-C", str(root), *arguments],  # noqa: S607 - the user's own git, wherever it is
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=30,
    ).stdout


SNAPSHOT_FILE = "SNAPSHOT.json"
"""In a copy of the source that queued jobs run (``bench.cluster.snapshot``): what it is a copy of."""


def describe_code(root: Path = ROOT) -> dict[str, Any] | None:
    """The commit that ``root`` is at and what differs from it; None outside git or without git.

    ``changed`` lists tracked files that differ from the commit and Python files of the harness that
    git does not know yet (a new method counts); ``changes_sha256`` fingerprints their content, so two
    dirty trees can be told apart. An installed copy inside somebody else's repository is outside git.
    A snapshot answers with what it is a copy of, and its own fingerprint as ``snapshot``.
    """
    with contextlib.suppress(OSError, ValueError, KeyError):
        copied = json.loads((root / SNAPSHOT_FILE).read_text())
        state: dict[str, Any] = {**(copied["code"] or {}), "snapshot": copied["snapshot"]}
        return state
    try:
        top = Path(os.fsdecode(run_git(root, "rev-parse", "--show-toplevel").rstrip(b"\n")))
        probe = Path(__file__).resolve().relative_to(ROOT)
        run_git(root, "ls-files", "--error-unmatch", "--", str(probe))
        commit = run_git(root, "rev-parse", "--verify", "HEAD").decode().strip()
        differing = ("--name-only", "--no-ext-diff", "--no-renames", "--no-relative", "-z", "HEAD")
        unknown = ("--others", "--exclude-standard", "--full-name", "-z", "--")
        names = run_git(root, "diff", *differing)
        names += run_git(root, "ls-files", *unknown, *(f"{part}/*.py" for part in SCORING_PACKAGES))
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return None
    changed = sorted({os.fsdecode(name) for name in names.split(b"\0") if name})
    return {
        "commit": commit,
        "dirty": bool(changed),
        "changed": [name.encode(errors="backslashreplace").decode() for name in changed[:20]],
        "changes_sha256": _content_sha256(top, changed) if changed else None,
    }


def hash_source(root: Path = ROOT) -> str:
    """Fingerprint of the Python files that can move a score, for copies that git does not track."""
    paths = [path for part in SCORING_PACKAGES for path in (root / part).rglob("*.py")]
    return _content_sha256(root, sorted(path.relative_to(root).as_posix() for path in paths))


DECIDING = (
    *(
        f"bench/{folder}"
        for folder in (
            "config",
            "data",
            "models",
            "training",
            "decoding",
            "metrics",
            "scoring",
            "mini",
            "runs",
        )
    ),
    *("bench/task.py", "bench/method.py", "bench/metric.py", "bench/registry.py"),
    *("bench/system/rng.py", "bench/system/devices.py", "bench/system/execution.py"),
    *("tasks", "baselines"),
)
"""The files and folders whose code decides a number: not the command line, the cluster, the store, the reports."""


def hash_deciding_source(root: Path = ROOT) -> str:
    """Fingerprint of the Python files at ``root`` that decide a number."""
    paths = [path for part in DECIDING for path in [root / part, *(root / part).rglob("*.py")]]
    names = {path.relative_to(root).as_posix() for path in paths if path.is_file()}
    return _content_sha256(root, sorted(names))


@lru_cache(maxsize=1)
def hash_running_source() -> str:
    """``hash_deciding_source`` of what this process runs: taken once, whatever is edited meanwhile."""
    return hash_deciding_source(ROOT)


def identify_code(parts: Iterable[object] = ()) -> dict[str, Any]:
    """What a record says of the code that runs: its state in git, or a fingerprint outside git.

    ``deciding_sha256`` tells versions apart that may give other numbers: two commits that differ in the reports
    have the same. ``parts``: the method and the task of a run; where one comes from another package, its source is
    in that fingerprint too, and in ``plugins`` by the name of its module.
    """
    code: dict[str, Any] = describe_code() or {"source_sha256": hash_source()}
    deciding = hash_running_source()
    if plugins := hash_plugins(parts):
        deciding = hashlib.sha256("\0".join([deciding, *sorted(plugins.values())]).encode()).hexdigest()
        code["plugins"] = plugins
    return {**code, "deciding_sha256": deciding}


def hash_plugins(parts: Iterable[object]) -> dict[str, str]:
    """Module -> fingerprint of its source, with that of its folder's other modules where it is a package.

    Of objects that are not of this source tree; what has no file (made in a shell) is left out.
    """
    plugins = {}
    for part in parts:
        module = sys.modules.get(type(part).__module__)
        file = Path(str(getattr(module, "__file__", None) or ""))
        if module is None or not file.is_file() or file.resolve().is_relative_to(ROOT):
            continue
        sources = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
        names = [source.relative_to(file.parent).as_posix() for source in sources]
        plugins[module.__name__] = _content_sha256(file.parent, names)
    return plugins


def _content_sha256(root: Path, names: Iterable[str]) -> str:
    total = hashlib.sha256()
    for name in names:
        try:
            content = hashlib.sha256((root / name).read_bytes()).hexdigest()
        except OSError:
            content = "gone"
        total.update(os.fsencode(name) + b"\0" + content.encode() + b"\0")
    return total.hexdigest()


def list_package_versions(names: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Versions of Python and of the installed packages among ``names``; missing ones are absent.

    The version of this package is that of the code that runs, installed or not.
    """
    versions = {"python": platform.python_version()}
    for name in names:
        if name == "prefix-bench":  # metadata may be missing (a checkout) or another copy's
            versions[name] = bench.__version__
            continue
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            version = importlib.metadata.version(name)
            if version:  # a damaged installation has None
                versions[name] = version
    return versions


# --- machine


def describe_hardware() -> dict[str, Any]:
    """Host, processor, usable cores, memory and (if torch is already loaded) accelerators."""
    return {
        "host": socket.gethostname(),
        "system": f"{platform.system()} {platform.release()}",
        "cpu": _cpu_model(),
        "cores": count_usable_cores(),
        "memory_bytes": _memory(),
        "accelerators": list_accelerators(),
    }


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(errors="replace")
        # x86 has a model name; the arm kernels name only some of these.
        for label in ("model name", "Model", "Hardware", "cpu model"):
            if match := re.search(rf"^{label}\s*:\s*(.+)$", text, re.MULTILINE):
                return match[1].strip()
    return platform.processor() or platform.machine()


def count_usable_cores() -> int:
    """Cores that this process may use: a job's share of the node, not the node."""
    return find_cpu_share().number


def _memory() -> int | None:
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def list_accelerators() -> list[dict[str, Any]]:
    """Name and memory of each accelerator; empty where torch is not loaded: loading it takes seconds."""
    torch = sys.modules.get("torch")
    if torch is None:
        return []
    try:
        if torch.cuda.is_available():
            devices = (torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count()))
            return [{"name": device.name, "memory_bytes": device.total_memory} for device in devices]
        if torch.backends.mps.is_available():
            return [{"name": "Apple MPS", "memory_bytes": None}]
    except (RuntimeError, AssertionError, AttributeError):
        pass  # a broken driver
    return []


def measure_peak_memory() -> dict[str, int | None]:
    """The most memory this process has held so far, in bytes: of the machine and of the accelerator."""
    peak: dict[str, int | None] = {"process_bytes": _peak_process(), "accelerator_bytes": None}
    torch = sys.modules.get("torch")
    with contextlib.suppress(RuntimeError, AssertionError, AttributeError):
        if torch is not None and torch.cuda.is_initialized():
            devices = range(torch.cuda.device_count())
            peak["accelerator_bytes"] = max(torch.cuda.max_memory_allocated(i) for i in devices)
    return peak


def _peak_process() -> int | None:
    with contextlib.suppress(OSError):
        # Not getrusage first: what it reports outlives exec, so a small program started by a large
        # one would answer for its parent.
        if match := re.search(r"^VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.M):
            return int(match[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


# --- privacy


def hide_names(value: Any) -> Any:
    """``value`` with the home directory and the user's name in paths replaced by $HOME and $USER.

    Recorded commands stay valid where they came from: a shell puts the names back.
    """
    return _replaced(value, _private())


def _private() -> list[tuple[re.Pattern[str], str]]:
    patterns = []
    with contextlib.suppress(RuntimeError, OSError):
        home = Path.home()
        for spelling in sorted({str(home), str(home.resolve())}, key=len, reverse=True):
            if len(spelling) > 2:  # a container's home can be "/"
                bounded = rf"(?<![\w.-]){re.escape(spelling)}(?![\w.-])"
                patterns.append((re.compile(bounded), "$HOME"))
    with contextlib.suppress(KeyError, OSError, ImportError):  # a container's user may have no name
        user = getpass.getuser()
        if len(user) > 2 and user != "root":
            patterns.append((re.compile(rf"(?<=/){re.escape(user)}(?=/|$|[\s'\":])"), "$USER"))
    return patterns


def _replaced(value: Any, patterns: list[tuple[re.Pattern[str], str]]) -> Any:
    if isinstance(value, str):
        for pattern, replacement in patterns:
            value = pattern.sub(replacement, value)  # "$" is plain text here
        return value
    if isinstance(value, dict):
        return {_replaced(k, patterns): _replaced(v, patterns) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(inner, patterns) for inner in value]
    return value
