"""Fetching public weights from a server of our own: digests, broken transfers, errors."""

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from evopose.errors import DownloadFailed, ModelError
from evopose.models.download import digest_in_name, fetch

CONTENT = bytes(range(256)) * 4096  # 1 MiB
DIGEST = hashlib.sha256(CONTENT).hexdigest()
NAME = f"net-{DIGEST[:8]}_20260101.pth"


@dataclass
class Server:
    """What the server does, and what it was asked."""

    url: str
    content: bytes = CONTENT
    tag: str | None = '"one"'
    ranges: bool = True
    break_after: int | None = None
    """Bytes of a body after which the connection ends."""
    asked: list[str | None] = field(default_factory=list)
    """Range of each request."""
    sent: list[int] = field(default_factory=list)
    """Length of each body."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    behaviour: Server

    def do_GET(self) -> None:
        server = self.behaviour
        server.asked.append(self.headers.get("Range"))
        if "missing" in self.path:
            self.send_error(404)
            return
        start = self._start()
        if start >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            size = len(server.content)
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if server.tag:
            self.send_header("ETag", server.tag)
        self.end_headers()
        if server.break_after is not None:
            body = body[: server.break_after]
            self.close_connection = True
        server.sent.append(len(body))
        self.wfile.write(body)

    def _start(self) -> int:
        server, wanted = self.behaviour, self.headers.get("Range")
        same = self.headers.get("If-Range") in (None, server.tag)
        return int(wanted[6:-1]) if wanted and server.ranges and same else 0

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    handler = type("Handler", (Handler,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        handler.behaviour = Server(url=f"http://127.0.0.1:{listening.server_port}/weights/{NAME}")
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        yield handler.behaviour
        listening.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVOPOSE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("EVOPOSE_OFFLINE", raising=False)
    monkeypatch.delenv("EVOPOSE_WEIGHTS", raising=False)
    return tmp_path / "home"


def broken_off(server: Server, after: int = 300_000) -> None:
    """Let a transfer break off."""
    server.break_after = after
    with pytest.raises(DownloadFailed, match=f"broke off after {after:,} of {len(CONTENT):,}"):
        fetch(server.url)
    server.break_after = None


def test_a_file_is_fetched_once_and_checked(server: Server, home: Path) -> None:
    told: list[tuple[int, int | None]] = []
    path = fetch(server.url, on_progress=lambda *now: told.append(now))
    assert path == home / "weights" / NAME
    assert path.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert fetch(server.url) == path
    assert len(server.asked) == 1
    assert {p.name for p in path.parent.iterdir()} == {NAME, f"{NAME}.lock"}


def test_another_digest_is_refused_and_nothing_stays(server: Server, home: Path) -> None:
    server.content = CONTENT[::-1]
    found = hashlib.sha256(server.content).hexdigest()
    with pytest.raises(ModelError, match=f"must begin with {DIGEST[:8]}, it is {found}"):
        fetch(server.url)
    assert {p.name for p in (home / "weights").iterdir()} == {f"{NAME}.lock"}
    assert fetch(server.url, sha256_prefix=found[:16].upper()).read_bytes() == server.content


def test_a_damaged_file_in_the_cache_is_noticed(server: Server) -> None:
    path = fetch(server.url)
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(ModelError, match=r"is not the file expected.*Remove it, to fetch http"):
        fetch(server.url)
    assert path.is_file()


def test_a_transfer_that_broke_off_goes_on(server: Server) -> None:
    broken_off(server)
    assert fetch(server.url).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-"]
    assert server.sent == [300_000, len(CONTENT) - 300_000]


def test_a_file_that_changed_meanwhile_is_fetched_anew(server: Server) -> None:
    server.url = server.url.replace(NAME, "model.safetensors")
    broken_off(server)
    server.content, server.tag = CONTENT[::-1], '"two"'
    assert fetch(server.url).read_bytes() == CONTENT[::-1]
    assert server.sent[-1] == len(CONTENT)


def test_a_server_without_ranges_is_asked_for_all(server: Server) -> None:
    server.ranges = False
    broken_off(server)
    assert fetch(server.url).read_bytes() == CONTENT
    assert server.sent[-1] == len(CONTENT)


def test_a_whole_part_is_no_stumbling_block(server: Server, home: Path) -> None:
    """A process was killed between the last byte and the check."""
    broken_off(server)
    (home / "weights" / f"{NAME}.part").write_bytes(CONTENT)
    assert fetch(server.url).read_bytes() == CONTENT
    assert server.asked[1:] == [f"bytes={len(CONTENT)}-", None]


def test_without_validator_or_digest_nothing_is_joined(server: Server) -> None:
    server.url, server.tag = server.url.replace(NAME, "model.pth"), None
    broken_off(server)
    server.content = CONTENT[::-1]
    assert fetch(server.url).read_bytes() == CONTENT[::-1]
    assert server.asked == [None, None]


def test_files_of_one_name_do_not_meet(server: Server) -> None:
    one = server.url.replace(NAME, "one/model.safetensors")
    first = fetch(one)
    second = fetch(one.replace("one", "two"))
    assert first != second
    assert first.name == second.name == "model.safetensors"


def test_several_at_once_fetch_one_file(server: Server) -> None:
    with ThreadPoolExecutor(4) as pool:
        paths = {path.read_bytes() == CONTENT for path in pool.map(fetch, [server.url] * 4)}
    assert paths == {True}
    assert len(server.asked) == 1


def test_what_is_not_there_is_said(server: Server) -> None:
    with pytest.raises(DownloadFailed, match="404, there is no such file"):
        fetch(server.url.replace(NAME, "missing.pth"))


def test_no_network_is_said() -> None:
    with pytest.raises(DownloadFailed, match=r"cannot fetch .*refused.* check the network") as said:
        fetch("http://127.0.0.1:1/net.pth")
    assert said.value.exit_code == 1


def test_offline_says_what_to_place_where(
    server: Server, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVOPOSE_OFFLINE", "1")
    target = home / "weights" / NAME
    with pytest.raises(ModelError, match="EVOPOSE_OFFLINE is set") as said:
        fetch(server.url)
    assert server.url in str(said.value)
    assert str(target) in str(said.value)
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    assert fetch(server.url) == target
    assert server.asked == []


def test_a_full_disk_is_said(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("evopose.models.download._pour", full)
    with pytest.raises(ModelError, match="No space left on device; make room there, or set"):
        fetch(server.url)


def test_a_place_that_cannot_be_written_is_said(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"cannot write .*set EVOPOSE_HOME"):
        fetch(server.url, cache=tmp_path / "file" / "cache")


def test_a_file_on_this_machine_is_taken_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(CONTENT)
    assert fetch(path.as_uri()) == path
    with pytest.raises(ModelError, match="must begin with 00"):
        fetch(path.as_uri(), sha256_prefix="00")
    with pytest.raises(ModelError, match="there is no file"):
        fetch((tmp_path / "other.pth").as_uri())


@pytest.mark.parametrize("url", ["ftp://host/net.pth", "http:///net.pth", "https://host/", "net"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ModelError, match="is no address of a file"):
        fetch(url)


def test_a_digest_is_hexadecimal() -> None:
    with pytest.raises(ModelError, match="up to 64 hex digits, got 'sha256:12'"):
        fetch("http://127.0.0.1:1/net.pth", sha256_prefix="sha256:12")


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("td-hm_hrnet-w32_8xb64-210e_coco-256x192-81c58e40_20220909.pth", "81c58e40"),
        ("4xmspn50_coco_256x192-7b837afb_20201123.pth", "7b837afb"),
        ("tf_efficientnet_b0_aa-827b6e33.pth", "827b6e33"),
        ("pose_resnet_50_256x192.pth.tar", None),
        ("model-00001-of-00002.safetensors", None),
        ("net-20220909.pth", None),
    ],
)
def test_digests_in_names(name: str, digest: str | None) -> None:
    assert digest_in_name(name) == digest


def test_a_folder_of_weights_is_used_before_all(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "weights here"
    folder.mkdir()
    (folder / NAME).write_bytes(CONTENT)
    monkeypatch.setenv("EVOPOSE_WEIGHTS", str(folder))
    monkeypatch.setenv("EVOPOSE_OFFLINE", "1")
    assert fetch(server.url) == folder / NAME
    assert fetch(server.url.replace(NAME, f"x/{NAME}"), sha256_prefix=DIGEST) == folder / NAME
    with pytest.raises(ModelError, match=r"other.pth is not on this machine: .*EVOPOSE_WEIGHTS"):
        fetch(server.url.replace(NAME, "other.pth"))
    assert server.asked == []


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (NAME, CONTENT[:-1], f"its SHA-256 must begin with {DIGEST[:8]}, it is"),
        ("model.pth", CONTENT, "no SHA-256 is known by which to tell it"),
    ],
)
def test_another_file_in_the_folder_of_weights_is_said_and_not_used(
    server: Server,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    content: bytes,
    reason: str,
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    monkeypatch.setenv("EVOPOSE_WEIGHTS", str(tmp_path))
    assert home in fetch(server.url.replace(NAME, name)).parents
    assert f"{file} is not used: {reason}" in caplog.text
    assert file.read_bytes() == content
    assert len(server.asked) == 1


def test_a_folder_of_weights_that_is_none_is_said(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVOPOSE_WEIGHTS", "/nowhere")
    with pytest.raises(ModelError, match="EVOPOSE_WEIGHTS names /nowhere, which is no folder"):
        fetch(server.url)
