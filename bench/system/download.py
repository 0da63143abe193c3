"""Fetching one published file: pinned address, checked content, resumable, never half there.

A file is written beside its place as ``NAME.part``, continued from where an earlier attempt stopped,
checked against its SHA-256 and then renamed. So whatever has the final name is whole and right, and
a kill at any instant costs nothing that was already fetched. Two processes that want the same file
take turns; the second finds it done.

Only HTTPS is spoken, except to this machine itself (tests).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO, NoReturn
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from bench.errors import UnavailableError
from bench.system.files import explain_storage_error, make_directory, sha256_file

ATTEMPTS = 3
TIMEOUT = 30.0
"""Seconds without a byte before an attempt is given up."""
PAUSE = 1.0
"""Seconds before the second attempt; doubled before each further one."""
MAX_BYTES = 1 << 30
"""More than any published file has by far: a server that never stops must not fill the disk."""
CHUNK = 1 << 18


def _ignore_progress(size: int) -> None:
    """For callers who show none."""


class _Broken(Exception):
    """This attempt did not get the whole file; another may."""


class _Refused(Exception):
    """No further attempt will do better."""


def download_file(
    url: str,
    target: Path,
    sha256: str | None,
    attempts: int = ATTEMPTS,
    moved: Callable[[int], None] = _ignore_progress,
) -> Path:
    """``target`` with the content of ``url``; nothing is fetched if it is there and right.

    ``sha256`` None: no checksum is known, only the length is checked. ``moved`` is told how many
    bytes are here, now and then. Raises ``UnavailableError`` saying what went wrong and what is kept.
    """
    _check_address(url)
    part = target.with_name(target.name + ".part")
    try:
        make_directory(target.parent)
        with _turn(part) as stream:
            if _right(target, sha256):
                part.unlink()
            else:
                _fill(url, part, stream, sha256, attempts, moved)
                part.replace(target)
    except OSError as error:
        if (in_words := explain_storage_error(target, error)) is None:
            raise
        raise in_words from error
    return target


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    local = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise UnavailableError(f"{url}: expected an https address")


def _right(path: Path, sha256: str | None) -> bool:
    return path.is_file() and (sha256 is None or sha256_file(path) == sha256)


@contextlib.contextmanager
def _turn(part: Path) -> Iterator[BinaryIO]:
    """The partial file, open for appending, held by one process at a time."""
    while True:
        with part.open("ab") as stream:
            with contextlib.suppress(ImportError, OSError):  # Windows; a file system without locks
                import fcntl

                fcntl.flock(stream, fcntl.LOCK_EX)
            # Whoever had its turn before may have renamed or removed the file that was opened.
            if _is_at(stream, part):
                stream.seek(0, os.SEEK_END)
                yield stream
                return


def _is_at(stream: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _fill(
    url: str,
    part: Path,
    stream: BinaryIO,
    sha256: str | None,
    attempts: int,
    moved: Callable[[int], None],
) -> None:
    """Fetch until ``part`` is whole and right, or say why it cannot be."""
    if stream.tell() and sha256_file(part) == sha256:  # killed just before the rename
        return
    problem = "no attempt was made"
    for attempt in range(attempts):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        resumed = stream.tell() > 0
        try:
            _continue(url, stream, moved)
        except _Broken as error:
            problem = str(error)
            continue
        except _Refused as error:
            problem = str(error)
            break
        actual = sha256_file(part)
        if sha256 is None or actual == sha256:
            return
        _empty(stream)
        problem = f"SHA-256 is {actual}, expected {sha256}"
        if not resumed:  # from its first byte to its last the server's own
            break
    raise UnavailableError(_failure(url, part, problem))


def _continue(url: str, stream: BinaryIO, moved: Callable[[int], None]) -> None:
    """One request for what is still missing, appended to ``stream``."""
    have = stream.tell()
    headers = {"User-Agent": "prefix-bench", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        asked = Request(url, headers=headers)  # noqa: S310 - `fetch` checks the scheme, also after redirects
        response: HTTPResponse = urlopen(asked, timeout=TIMEOUT)  # noqa: S310 - as above
    except HTTPError as error:
        _explain(error, stream)
    except (OSError, HTTPException) as error:  # URLError is an OSError
        raise _Broken(_reason(error)) from None
    else:
        with response:
            _check_address(response.url)
            if have and not _continues(response, have):
                _empty(stream)
            _copy(response, stream, moved)


def _explain(error: HTTPError, stream: BinaryIO) -> NoReturn:
    """Raise what an error status means for this and for further attempts."""
    error.close()
    if error.code == 416 and stream.tell():  # more is here than there: not the same file
        _empty(stream)
        raise _Broken("the server has less than the part that was kept") from None
    answer = f"the server answered {error.code} {error.reason}"
    if error.code >= 500 or error.code in (408, 425, 429):
        raise _Broken(answer) from None
    raise _Refused(answer) from None


def _continues(response: HTTPResponse, have: int) -> bool:
    """Whether the server sends the rest; one that does not know ranges sends everything again."""
    content_range = response.getheader("Content-Range", "")
    return response.status == 206 and content_range.startswith(f"bytes {have}-")


def _copy(response: HTTPResponse, stream: BinaryIO, moved: Callable[[int], None]) -> None:
    length = response.getheader("Content-Length")
    total = stream.tell() + int(length) if length and length.isdigit() else None
    try:
        while chunk := _read(response):
            if stream.tell() + len(chunk) > MAX_BYTES:
                _empty(stream)
                raise _Refused(f"more than {MAX_BYTES:,} bytes; expected one data file")
            stream.write(chunk)
            moved(stream.tell())
    finally:
        stream.flush()
    if total is not None and stream.tell() < total:
        raise _Broken(f"the connection ended after {stream.tell():,} of {total:,} bytes")


def _read(response: HTTPResponse) -> bytes:
    try:
        return response.read(CHUNK)
    except (OSError, HTTPException) as error:
        raise _Broken(_reason(error)) from None


def _empty(stream: BinaryIO) -> None:
    stream.truncate(0)
    stream.seek(0)


def _reason(error: Exception) -> str:
    inner = error.reason if isinstance(error, URLError) else error
    return str(inner) or type(inner).__name__


def _failure(url: str, part: Path, problem: str) -> str:
    size = part.stat().st_size
    if not size:
        part.unlink()
        return f"{url} could not be fetched: {problem}"
    return (
        f"{url} could not be fetched: {problem}. {size:,} bytes are kept in {part}; "
        "the same command continues there"
    )
