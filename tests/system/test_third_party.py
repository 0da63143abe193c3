"""Errors of other people's loaders become one message about the file; everything else is passed on."""

from __future__ import annotations

import errno
import logging
import os
import sys
import warnings
from pathlib import Path

import pytest

from bench.errors import DataError, UnavailableError
from bench.system.third_party import loading_file

FILE = Path("folder/file.json")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("model"), "KeyError: 'model'"),
        (TypeError("argument must be a mapping\nand more lines"), "TypeError: argument must be a mapping"),
        (RecursionError(), "RecursionError"),
        (OSError(errno.EISDIR, "Is a directory"), "IsADirectoryError: Is a directory"),
        (RuntimeError("x" * 10_000), "RuntimeError: xxx"),
    ],
)
def test_what_a_library_raises_is_one_message(error: Exception, words: str) -> None:
    with pytest.raises(DataError) as caught, loading_file(FILE, "a whole file"):
        raise error
    message = str(caught.value)
    assert message.startswith(f"{FILE}: cannot be read ({words}")
    assert message.endswith("; expected a whole file")
    assert len(message) < 300
    assert "\n" not in message
    assert caught.value.__cause__ is error
    assert caught.value.problem is not None and str(FILE) not in caught.value.problem


class OutOfMemoryError(RuntimeError):
    """As torch's."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OutOfMemoryError("out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EMFILE, "Too many open files"),
        KeyboardInterrupt(),
        SystemExit(3),
    ],
    ids=repr,
)
def test_what_says_nothing_of_the_file_is_passed_on(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, loading_file(FILE, "a whole file"):
        raise error
    assert caught.value is error


def test_our_own_error_comes_out_of_a_library_as_it_was() -> None:
    ours = DataError("line 3 of another file")

    def read() -> None:
        try:
            raise ours
        except DataError as error:
            raise ValueError("while generating a table") from error

    with pytest.raises(DataError, match=r"^line 3 of another file$"), loading_file(FILE, "a whole file"):
        read()


def test_the_error_may_be_another(tmp_path: Path) -> None:
    def make_error(message: str, problem: str) -> UnavailableError:
        assert message == f"{tmp_path}: {problem}"
        return UnavailableError(message)

    with pytest.raises(UnavailableError), loading_file(tmp_path, "a folder", make_error):
        raise ValueError


def test_a_panic_of_rust_is_a_message_and_writes_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A normaliser whose map of characters is cut short; the library's exception is no ``Exception``."""
    from tokenizers import Tokenizer

    panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})
    with pytest.raises(DataError, match="PanicException"), loading_file(FILE, "a whole file"):
        os.write(2, b"thread '<unnamed>' panicked at src/lib.rs:1\n")
        raise panic("index out of bounds")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(DataError), loading_file(tmp_path / "tokenizer.json", "a tokenizer"):
        Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert capfd.readouterr() == ("", "")


def test_what_libraries_say_stays_silent(capfd: pytest.CaptureFixture[str]) -> None:
    with loading_file(FILE, "a whole file"):
        warnings.warn("deprecated", stacklevel=1)
        logging.getLogger("transformers.modeling_utils").warning("a table in colours")
        os.write(1, b"Ignored unknown kwarg option\n")
        os.write(2, b"words of native code\n")
    print("ours")
    assert capfd.readouterr() == ("ours\n", "")


def test_what_native_code_wrote_is_shown_beside_an_error_that_is_passed_on(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(MemoryError), loading_file(FILE, "a whole file"):
        os.write(1, b"allocating\n")
        raise MemoryError
    assert capfd.readouterr() == ("", "allocating\n")


def test_what_we_wrote_before_comes_out_where_it_belongs(capfd: pytest.CaptureFixture[str]) -> None:
    sys.stdout.write("first ")
    with loading_file(FILE, "a whole file"):
        os.write(1, b"library\n")
    print("second")
    assert capfd.readouterr() == ("first second\n", "")


@pytest.mark.parametrize("stream", [1, 2])
def test_a_standard_stream_may_be_closed(stream: int) -> None:
    saved = os.dup(stream)
    os.close(stream)
    try:
        with pytest.raises(DataError), loading_file(FILE, "a whole file"):
            raise ValueError("x")
    finally:
        os.dup2(saved, stream)
        os.close(saved)
