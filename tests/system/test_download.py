"""Fetching from a server on this machine that misbehaves in every way that networks do."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bench.errors import UnavailableError
from bench.system import download
from bench.system.download import download_file
from bench.system.files import StorageError

CONTENT = bytes(range(256)) * 4_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    """What to answer, and what was asked (the Range header of each request)."""

    address: str = ""
    content: bytes = CONTENT
    ranges: bool = True
    stop_after: list[int] = field(default_factory=list)
    """Bytes to send before hanging up, one number per request; afterwards all is sent."""
    statuses: list[int] = field(default_factory=list)
    """Error status per request; afterwards none."""
    redirect: str = ""
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(download, "PAUSE", 0.0)
    plan = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            plan.asked.append(asked)
            if plan.statuses:
                self.send_error(plan.statuses.pop(0))
                return
            if plan.redirect:
                self.send_response(302)
                self.send_header("Location", plan.redirect)
                self.end_headers()
                return
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and plan.ranges else 0
            if start and start >= len(plan.content):
                self.send_error(416)
                return
            body = plan.content[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(plan.content) - 1}/*")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: plan.stop_after.pop(0)] if plan.stop_after else body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    plan.address = f"http://127.0.0.1:{http.server_port}/data.csv"
    yield plan
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "er" / "data.csv"


def alone(target: Path) -> bool:
    return list(target.parent.iterdir()) == [target]


def test_whole_then_not_again(server: Server, target: Path) -> None:
    moved: list[int] = []
    assert download_file(server.address, target, SHA256, moved=moved.append) == target
    assert target.read_bytes() == CONTENT and alone(target)
    assert moved[-1] == len(CONTENT)
    download_file(server.address, target, SHA256)
    download_file(server.address, target, None)
    assert server.asked == [""]


def test_interrupted_is_resumed_within_one_call(server: Server, target: Path) -> None:
    server.stop_after = [1_000, 500]
    download_file(server.address, target, SHA256)
    assert target.read_bytes() == CONTENT and alone(target)
    assert server.asked == ["", "bytes=1000-", "bytes=1500-"]


def test_interrupted_is_resumed_by_the_next_call(server: Server, target: Path) -> None:
    server.stop_after = [1_000, 500, 500]
    with pytest.raises(UnavailableError, match=r"ended after 2,000 of 1,024,000 bytes\. 2,000 bytes are"):
        download_file(server.address, target, SHA256)
    assert not target.exists()
    download_file(server.address, target, SHA256)
    assert target.read_bytes() == CONTENT and alone(target)
    assert server.asked[-1] == "bytes=2000-"


def test_a_server_without_ranges_starts_again(server: Server, target: Path) -> None:
    server.ranges, server.stop_after = False, [1_000]
    download_file(server.address, target, SHA256)
    assert target.read_bytes() == CONTENT


def test_a_length_is_checked_where_no_checksum_is_known(server: Server, target: Path) -> None:
    server.stop_after = [10, 10, 10]
    with pytest.raises(UnavailableError, match="ended after 30 of"):
        download_file(server.address, target, None)
    download_file(server.address, target, None)
    assert target.read_bytes() == CONTENT


def test_another_content_is_refused(server: Server, target: Path) -> None:
    server.content = b"another"
    with pytest.raises(UnavailableError, match=f"SHA-256 is [0-9a-f]{{64}}, expected {SHA256}$"):
        download_file(server.address, target, SHA256)
    assert list(target.parent.iterdir()) == []
    assert server.asked == [""]


@pytest.mark.parametrize("left", [b"rubbish", CONTENT + b"more"])
def test_a_spoilt_part_is_thrown_away(server: Server, target: Path, left: bytes) -> None:
    target.parent.mkdir(parents=True)
    part = target.with_name("data.csv.part")
    part.write_bytes(left)
    download_file(server.address, target, SHA256)
    assert target.read_bytes() == CONTENT and alone(target)
    assert server.asked == [f"bytes={len(left)}-", ""]


def test_a_whole_part_needs_no_network(server: Server, target: Path) -> None:
    target.parent.mkdir(parents=True)
    target.with_name("data.csv.part").write_bytes(CONTENT)
    download_file(server.address, target, SHA256)
    assert target.read_bytes() == CONTENT and server.asked == []


def test_a_wrong_file_in_place_is_replaced(server: Server, target: Path) -> None:
    target.parent.mkdir(parents=True)
    target.write_bytes(b"old")
    download_file(server.address, target, SHA256)
    assert target.read_bytes() == CONTENT and alone(target)


def test_statuses(server: Server, target: Path) -> None:
    server.statuses = [404]
    with pytest.raises(UnavailableError, match=r"the server answered 404 Not Found$"):
        download_file(server.address, target, SHA256)
    assert len(server.asked) == 1 and list(target.parent.iterdir()) == []
    server.statuses = [503, 429]
    download_file(server.address, target, SHA256)
    assert len(server.asked) == 4
    assert target.read_bytes() == CONTENT


def test_nobody_answers(target: Path, server: Server) -> None:
    with pytest.raises(UnavailableError, match=r"could not be fetched: .*refused"):
        download_file("http://127.0.0.1:1/data.csv", target, SHA256, attempts=1)


@pytest.mark.parametrize("url", ["http://example.org/a", "ftp://127.0.0.1/a", "file:///etc/hosts"])
def test_only_https(target: Path, url: str, server: Server) -> None:
    with pytest.raises(UnavailableError, match="expected an https address"):
        download_file(url, target, SHA256)
    assert not target.parent.exists()


def test_no_way_out_of_https_by_redirection(server: Server, target: Path) -> None:
    server.redirect = "ftp://127.0.0.1:1/data.csv"
    with pytest.raises(UnavailableError):
        download_file(server.address, target, SHA256)
    assert not target.exists()


def test_endless(server: Server, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 1_000)
    with pytest.raises(UnavailableError, match="more than 1,000 bytes"):
        download_file(server.address, target, None)
    assert list(target.parent.iterdir()) == []


def test_a_place_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        download_file(server.address, tmp_path / "file" / "data.csv", SHA256)


def test_many_at_once_fetch_once(server: Server, target: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(download_file, server.address, target, SHA256) for _ in range(16)]:
            assert done.result() == target
    assert target.read_bytes() == CONTENT and alone(target)
    assert server.asked == [""]
