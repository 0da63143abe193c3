"""The mini suite: data and backbones of the project's own, for machines without GPU or network.

Why: everything the benchmark does can be tried at once. The data is generated on first use, in the
publishers' file formats, and kept in the cache; the backbones were pre-trained on text of the same
invented world (``pretrain.py``, ``pretrain_bart.py``) and are part of the package. Scores on them are
never shown beside the paper's.

Importing this module needs neither torch nor anything else outside the standard library.
"""

import hashlib
import json
import shutil
from functools import cache
from pathlib import Path

from bench.system.cache_dir import cache_root

HERE = Path(__file__).parent
RECORD = "SHA256.json"

# (texts, sources) per task and split, in the sense of the task contract: texts are training rows
# (WebNLG: those marked good), sources are what is decoded.
MINI_ROWS: dict[str, dict[str, tuple[int, int]]] = {
    "e2e": {"train": (697, 200), "dev": (160, 80), "test": (533, 120)},
    "webnlg": {"train": (920, 500), "dev": (205, 80), "test": (414, 140)},
    "dart": {"train": (818, 450), "dev": (203, 80), "test": (356, 120)},
    "xsum": {"train": (1000, 1000), "dev": (100, 100), "test": (120, 120)},
    "xsum-news-to-sports": {"train": (880, 880), "dev": (88, 88), "test": (113, 113)},
    "xsum-within-news": {"train": (760, 760), "dev": (76, 76), "test": (120, 120)},
}


def mini_model_dir(name: str = "mini-gpt2") -> Path:
    """The folder of a packaged backbone, ``mini-gpt2`` or ``mini-bart``, as ``from_pretrained`` reads it."""
    return HERE / "assets" / name


@cache
def content_version() -> str:
    """A name for what would be generated: it changes when the generator or its word lists do."""
    digest = hashlib.sha256()
    for name in (
        "assets/world.toml",
        "assets/wording.toml",
        "assets/news.toml",
        "world.py",
        "verbalisation.py",
        "topics.py",
        "news.py",
        "write.py",
    ):
        digest.update((HERE / name).read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:12]


def file_hashes(directory: Path) -> dict[str, str]:
    """SHA-256 of every file below ``directory``, but the record of them."""
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path != directory / RECORD
    }


def _intact(directory: Path) -> bool:
    try:
        recorded = json.loads((directory / RECORD).read_text())
    except (OSError, ValueError):
        return False
    return bool(recorded) and recorded == file_hashes(directory)


def mini_data_dir() -> Path:
    """The folder with ``e2e/``, ``webnlg/``, ``dart/`` and ``xsum/``; made on first use, remade if damaged."""
    root = cache_root()
    target = root / f"mini-{content_version()}"
    if not _intact(target):
        try:
            _build(root, target)
        except OSError as error:
            from bench.system.files import StorageError
            from bench.system.paths import find_broken_link

            reason = find_broken_link(root) or error.strerror or error
            raise StorageError(
                f"cannot keep the mini suite's data in {root}: {reason}. Set BENCH_CACHE to a "
                "directory that you may write to and that has room, then issue the same command again"
            ) from error
    return target


def _build(root: Path, target: Path) -> None:
    from bench.mini.write import write_mini
    from bench.system.files import make_directory, make_temporary_name, remove_leftovers

    make_directory(root)
    remove_leftovers(root)
    fresh = make_temporary_name(target)
    try:
        fresh.mkdir()
        write_mini(fresh)
        (fresh / RECORD).write_text(json.dumps(file_hashes(fresh), indent=1) + "\n")
        for _ in range(10):
            try:
                fresh.rename(target)
                return
            except OSError:
                # Something is there: another process was faster, or a damaged cache, moved away
                # first so that no reader ever finds half a folder under the final name.
                if _intact(target):
                    return
                _move_away(target)
        raise OSError(f"cannot put the mini suite into {target}: something keeps recreating it")
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _move_away(target: Path) -> None:
    from bench.system.files import make_temporary_name

    trash = make_temporary_name(target)
    trash.mkdir()
    try:
        target.rename(trash / "damaged")
    except FileNotFoundError:
        pass  # another process moved it
    finally:
        shutil.rmtree(trash, ignore_errors=True)
