"""What names mean: files, folders, patterns, addresses, videos, webcams; a server of our own."""

import io
import logging
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evopose.errors import DataError
from evopose.inference.sources import (
    Photo,
    Video,
    Webcam,
    count_by_kind,
    find_sources,
    read_source,
)
from evopose.inference.web import fetch_photo


def png(colour=(10, 20, 30), size=(40, 30)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def folder(tmp_path) -> Path:
    """Photos b, a, C; a video; a text; a hidden one; another photo and a heic in `inner`."""
    root = tmp_path / "folder"
    (root / "inner").mkdir(parents=True)
    for name in ("b.jpg", "a.png", "C.JPEG", "film.MOV", "notes.txt", "._a.png"):
        (root / name).touch()
    for name in ("d.webp", "e.heic"):
        (root / "inner" / name).touch()
    return root


def names(sources) -> list[str]:
    return [Path(source.name).name for source in sources]


def test_a_folder_means_what_is_directly_in_it(folder, caplog) -> None:
    with caplog.at_level(logging.INFO):
        found = find_sources([folder])
    assert names(found) == ["C.JPEG", "a.png", "b.jpg", "film.MOV"]
    assert found[-1] == Video(path=folder / "film.MOV")
    assert found[0] == Photo(path=folder / "C.JPEG")
    assert "1 other files passed by" in caplog.text
    assert count_by_kind(found) == {"photos": 3, "videos": 1}


def test_patterns_are_opened(folder) -> None:
    assert names(find_sources([f"{folder}/*.jpg"])) == ["b.jpg"]
    assert names(find_sources([f"{folder}/*"])) == ["C.JPEG", "a.png", "b.jpg", "film.MOV"]
    everything = find_sources([f"{folder}/**/*"])
    assert names(everything) == ["C.JPEG", "a.png", "b.jpg", "film.MOV", "d.webp", "e.heic"]


def test_a_relative_pattern_and_a_home(folder, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    assert find_sources(["inner/*.webp"]) == [Photo(path=Path("inner/d.webp"))]
    assert find_sources(["~/b.jpg"]) == [Photo(path=folder / "b.jpg")]


def test_a_file_with_a_patterns_characters_is_a_file(tmp_path) -> None:
    (tmp_path / "shot[1].jpg").touch()
    assert names(find_sources([tmp_path / "shot[1].jpg"])) == ["shot[1].jpg"]


def test_a_named_file_is_a_photo_whatever_it_is_called(folder) -> None:
    assert find_sources([folder / "notes.txt"]) == [Photo(path=folder / "notes.txt")]


def test_each_once_in_the_order_given(folder, caplog) -> None:
    url = "http://example.org/x.jpg"
    given = [folder / "b.jpg", url, folder, f"{folder}/inner/../b.jpg", "webcam:1", "1", url]
    found = find_sources(given)
    assert names(found) == ["b.jpg", "x.jpg", "C.JPEG", "a.png", "film.MOV", "webcam:1"]
    assert "4 named more than once, taken once" in caplog.text
    assert count_by_kind(found) == {"photos": 4, "videos": 1, "webcams": 1}


def test_webcams_are_numbers_that_are_no_files(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_sources(["0", "webcam:2"]) == [Webcam(index=0), Webcam(index=2)]
    (tmp_path / "0").touch()
    assert find_sources(["0"]) == [Photo(path=Path("0"))]


def test_names_for_files_made_of_photos() -> None:
    assert Photo(path=Path("a/b.c.jpg")).stem == "b.c"
    assert Photo(url="https://example.org/a/my%20photo.jpg?size=9").stem == "my_photo"
    assert Photo(url="https://example.org/?id=7").stem == "photo"
    with pytest.raises(ValueError, match="a path or an address"):
        Photo()


def test_what_means_nothing_is_told(folder) -> None:
    for name, message in (
        (f"{folder}/none.jpg", r"there is no .*none.jpg; expected an image, a folder of them"),
        (f"{folder}/bb.jpg", r"there is no .*bb.jpg \(is .*/b.jpg meant\?\)"),
        ("webcam:front", "there is no webcam:front; expected .* a webcam"),
        (f"{folder}/*.gif", r"\*.gif matches no file"),
        (f"{folder}/*.txt", r"\*.txt matches 1 files, none of them an image or a video"),
        ("file:///etc/passwd", "is no http:// or https:// address; a file is named by its path"),
        ("rtsp://camera/1", "a video stream has to be recorded first"),
        ("https:///photo.jpg", "names no host"),
        ("https://example.org/film.mp4?x=1", "is a video: download it"),
    ):
        with pytest.raises(DataError, match=message):
            find_sources([name])
    (folder / "outer").mkdir()
    with pytest.raises(DataError, match=r"outer has no images \(.jpg, .* directly in it$"):
        find_sources([folder / "outer"])
    (folder / "inner").rename(folder / "outer" / "inner")
    with pytest.raises(DataError, match=r"for its subfolders give '.*/outer/\*\*/\*'"):
        find_sources([folder / "outer"])


def test_names_that_cannot_be_looked_for_are_told() -> None:
    for name, message in (
        ("", "an empty name means nothing; expected an image"),
        ("a" * 300, "cannot look for a*: File name too long; expected an image"),
        ("~nosuchuser/x.jpg", "cannot look for ~nosuch.*: Could not determine home directory;"),
        ("http://[::1/a.jpg", "cannot look for http.*: Invalid IPv6 URL;"),
    ):
        with pytest.raises(DataError, match=message):
            find_sources([name])


def test_a_link_that_leads_nowhere_is_named_when_it_is_read(folder) -> None:
    for name, target in (("gone.jpg", "nothing.jpg"), ("round.jpg", "round.jpg")):
        (folder / name).symlink_to(target)
    (folder / "inner.jpg").symlink_to("inner")
    for given in (folder, f"{folder}/*.jpg"):
        found = find_sources([given])
        assert {"gone.jpg", "round.jpg"} <= set(names(found))
        assert "inner.jpg" not in names(found)
        with pytest.raises(DataError, match=r"gone.jpg"):
            read_source(next(one for one in found if one.name.endswith("gone.jpg")))


class Handler(BaseHTTPRequestHandler):
    """Answers by path."""

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path in ("/photo.png", "/no%20type", "/%C3%BC.png"):
            self._send(png(), None if "type" in path else "image/png")
        elif path == "/page.jpg":
            self._send(b"<!doctype html><p>hello", "text/html; charset=utf-8")
        elif path == "/plain.jpg":
            self._send(b"hello", "text/plain")
        elif path == "/lies.jpg":
            self._send(b"<!doctype html><p>hello", "image/jpeg")
        elif path == "/large.png":
            self._send(png(), "image/png", length=10**9)
        elif path == "/endless.png":
            self._send(bytes(10_000), "image/png", length=None)
        elif path == "/short.png":
            self._send(png()[:20], "image/png", length=len(png()))
        elif path == "/silent.png":
            time.sleep(0.6)
        elif path == "/drip.png":
            self._send(b"", "image/png", length=100)
            for _ in range(20):
                self.wfile.write(b"x")
                time.sleep(0.02)
        elif path.startswith("/to"):
            self.send_response(302)
            self.send_header("Location", {"/to-photo": "/photo.png"}.get(path, path[4:]))
            self.end_headers()
        elif path == "/forbidden.png":
            self.send_error(403)
        else:
            self.send_error(404)

    def _send(self, body: bytes, kind: str | None, length: int | None = -1) -> None:
        self.send_response(200)
        if kind:
            self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(len(body) if length == -1 else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


class Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address) -> None:
        """The client hung up, as it should."""


@pytest.fixture
def site(monkeypatch) -> Iterator[str]:
    monkeypatch.delenv("EVOPOSE_OFFLINE", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["photo.png", "photo.png?size=9", "no type", "ü.png", "to-photo"])
def test_an_address_is_fetched(site, path) -> None:
    (source,) = find_sources([f"{site}/{path}"])
    assert source == Photo(url=f"{site}/{path}")
    photo = read_source(source)
    assert photo.shape == (30, 40, 3)
    assert (photo == (10, 20, 30)).all()


def test_a_file_is_read(tmp_path) -> None:
    (tmp_path / "it.png").write_bytes(png())
    np.testing.assert_array_equal(
        read_source(Photo(path=tmp_path / "it.png")), np.full((30, 40, 3), (10, 20, 30))
    )
    with pytest.raises(DataError, match="more than the limit of 9"):
        read_source(Photo(path=tmp_path / "it.png"), max_pixels=9)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none.png", "404, Not Found"),
        ("forbidden.png", "403, Forbidden"),
        ("page.jpg", "is a web page, not an image; give the address of the image in it"),
        ("plain.jpg", "is text/plain, not an image"),
        ("lies.jpg", r"lies.jpg is no image that can be read: it holds text \('<!doctype"),
        ("large.png", "large.png has 1,000,000,000 bytes; no more than 100,000,000 are fetched"),
        ("short.png", r"short.png broke off after 20 of \d+ bytes"),
        ("to/file:///etc/hostname", "Redirection to url .*file.* is not allowed"),
        ("to/ftp://127.0.0.1/x.png", "unknown url type: ftp"),
    ],
)
def test_other_answers_are_told(site, path, message) -> None:
    with pytest.raises(DataError, match=re.escape(f"{site}/{path}")) as told:
        read_source(Photo(url=f"{site}/{path}"))
    assert re.search(message, str(told.value))


def test_limits_of_length_and_time(site) -> None:
    with pytest.raises(DataError, match=r"endless.png is longer; no more than 5,000 are fetched"):
        fetch_photo(f"{site}/endless.png", max_bytes=5000)
    with pytest.raises(DataError, match=r"silent.png: no answer within 0.2 s"):
        fetch_photo(f"{site}/silent.png", timeout_s=0.2)
    with pytest.raises(DataError, match=r"drip.png comes too slowly: \d+ bytes so far"):
        fetch_photo(f"{site}/drip.png", deadline_s=0.1)


def test_without_a_network(site, monkeypatch) -> None:
    unused = site.rsplit(":", 1)[0] + ":1"
    with pytest.raises(DataError, match=f"cannot fetch {unused}/x.png: .*refused"):
        fetch_photo(f"{unused}/x.png")
    monkeypatch.setenv("EVOPOSE_OFFLINE", "1")
    with pytest.raises(DataError, match=f"EVOPOSE_OFFLINE is set: {site}/photo.png is not fetched"):
        read_source(Photo(url=f"{site}/photo.png"))
