"""Public weights on this machine: fetched once, resumed where they broke off, checked by digest.

Why not a library: torch.hub checks a digest's beginning and cannot resume; pooch cannot either and
wants whole digests; huggingface_hub serves its own hub.
"""

import errno
import hashlib
import http.client
import json
import logging
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evopose.errors import DownloadFailed, ModelError
from evopose.home import cache_home, is_offline, locked
from evopose.version import VERSION

log = logging.getLogger(__name__)

OnBytes = Callable[[int, int | None], None]
"""Called with how many bytes are here, and how many there are where the server says."""

TIMEOUT_SECONDS = 30.0
_CHUNK = 1 << 20
_DIGEST = re.compile(r"-(?!20[0-3]\d[01]\d[0-3]\d)([0-9a-f]{8})(?:_\d{8})?\.\w+(?:\.\w+)?$")
"""Eight hex digits that are no date, before the suffix or a date."""
_AGAIN = "the same command goes on where it broke off"


def digest_in_name(name: str) -> str | None:
    """Return the beginning of the SHA-256 that a file's name holds, None for a name without.

    >>> digest_in_name("resnet50-0676ba61.pth"), digest_in_name("w32-81c58e40_20220909.pth")
    ('0676ba61', '81c58e40')
    """
    match = _DIGEST.search(name)
    return match and match[1]


def fetch(
    url: str,
    *,
    sha256_prefix: str | None = None,
    cache: Path | None = None,
    offline: bool | None = None,
    on_progress: OnBytes | None = None,
) -> Path:
    """Return the file at `url` (http, https or file), fetched unless it is in `cache`.

    `cache` None: `weights/` in the cache home. `offline` None: as `EVOPOSE_OFFLINE` says. The
    SHA-256 must begin with `sha256_prefix`, or with what the name holds (`name-36af842e.pth`,
    `name-04af38ce_20220923.pth`). Processes that want the same file wait for each other.

    A file of that name in the folder `EVOPOSE_WEIGHTS` is used before all, if its digest is known
    and right; if not, that is said in the log and the file is left alone.

    Raises: ModelError for an address that is none, another digest, or an `EVOPOSE_WEIGHTS` that is
    no folder; DownloadFailed for what is missing offline or cannot be written, and for a server
    that cannot be reached or answers otherwise.
    """
    parts = urllib.parse.urlsplit(url)
    name = Path(urllib.parse.unquote(parts.path)).name
    prefix = (sha256_prefix or digest_in_name(name) or "").lower()
    if not re.fullmatch("[0-9a-f]{0,64}", prefix):
        raise ModelError(f"a SHA-256 is up to 64 hex digits, got {sha256_prefix!r}")
    if parts.scheme == "file":
        file = Path(urllib.parse.unquote(parts.path))
        if not file.is_file():
            raise ModelError(f"there is no file {file}")
        return _checked(file, prefix, str(file), "It is damaged, or another file")
    if parts.scheme not in ("http", "https") or not parts.netloc or not name:
        raise ModelError(f"{url!r} is no address of a file: expected http://, https:// or file://")
    if (given := _in_weights_folder(name, prefix)) is not None:
        return given
    target = _place(cache or cache_home() / "weights", name, url)
    if target.is_file():
        return _checked(target, prefix, str(target), f"Remove it, to fetch {url} again")
    if is_offline() if offline is None else offline:
        raise DownloadFailed(
            f"EVOPOSE_OFFLINE is set and {name} is not on this machine: fetch {url} on one that is "
            f"online, and place it at {target}, or in a folder that EVOPOSE_WEIGHTS names"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.with_name(f"{target.name}.lock")):
            if not target.is_file():
                part = target.with_name(f"{target.name}.part")
                _download(url, part, on_progress, digest_known=bool(prefix))
                try:
                    _checked(part, prefix, url, "It was removed; try again").replace(target)
                finally:
                    part.unlink(missing_ok=True)
                    _note(part).unlink(missing_ok=True)
            return target
    except OSError as error:  # of the disk: those of the network are told in _download
        room = "make room there" if error.errno == errno.ENOSPC else "mend that"
        raise DownloadFailed(
            f"cannot write {target}: {error.strerror or error}; {room}, or set EVOPOSE_HOME to a "
            "folder that can be written"
        ) from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _place(cache: Path, name: str, url: str) -> Path:
    """Return where the file lies: by its name if that holds a digest, else in a folder for the
    address, for many files are called `model.safetensors`."""
    if digest_in_name(name):
        return cache / name
    return cache / hashlib.sha256(url.encode()).hexdigest()[:8] / name


def _in_weights_folder(name: str, prefix: str) -> Path | None:
    """Return the file of that name in the folder `EVOPOSE_WEIGHTS`, None where there is no right
    one."""
    named = os.environ.get("EVOPOSE_WEIGHTS")
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise ModelError(f"EVOPOSE_WEIGHTS names {named}, which is no folder; mend or unset it")
    file = folder / name
    if not file.is_file():
        return None
    if not prefix:
        log.warning("%s is not used: no SHA-256 is known by which to tell it", file)
        return None
    if not (found := sha256_of(file)).startswith(prefix):
        log.warning("%s is not used: its SHA-256 must begin with %s, it is %s", file, prefix, found)
        return None
    return file


def _checked(file: Path, prefix: str, url: str, mend: str) -> Path:
    """Return `file` if its SHA-256 begins with `prefix`; `mend` says what to do where it does
    not."""
    if prefix and not (found := sha256_of(file)).startswith(prefix):
        raise ModelError(
            f"{url} is not the file expected: its SHA-256 must begin with {prefix}, it is {found}. "
            f"{mend}; if you trust its source, say so with --sha256 {found[:16]}"
        )
    return file


def _download(url: str, part: Path, on_progress: OnBytes | None, *, digest_known: bool) -> None:
    """Fill `part`, from where an earlier call left it if the server can and the file is the same.

    Raises: DownloadFailed; OSError of the disk.
    """
    try:
        with _open(url, part, digest_known) as answer:
            start = _start(answer, part)
            length = answer.headers.get("Content-Length")
            total = start + int(length) if length and length.isdecimal() else None
            _note(part).write_text(json.dumps(_validator(answer.headers)))
            done = _pour(answer, part, start, total, on_progress)
    except urllib.error.HTTPError as error:
        what = "there is no such file" if error.code in (404, 410) else error.reason
        raise DownloadFailed(f"cannot fetch {url}: {error.code}, {what}") from error
    except (urllib.error.URLError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise DownloadFailed(
            f"cannot fetch {url}: {reason or type(error).__name__}; check the network, or fetch "
            f"the file elsewhere and give its path. {_AGAIN.capitalize()}"
        ) from error
    if total is not None and done != total:
        raise DownloadFailed(f"{url} broke off after {done:,} of {total:,} bytes; {_AGAIN}")


def _open(url: str, part: Path, digest_known: bool) -> Any:
    """Return the server's answer: the rest of the file, or all of it."""
    headers = {"User-Agent": f"evopose/{VERSION}", "Accept-Encoding": "identity"}
    have = part.stat().st_size if part.is_file() else 0
    validator = json.loads(_note(part).read_text()) if _note(part).is_file() else None
    if have and (validator or digest_known):
        headers["Range"] = f"bytes={have}-"
        if validator:
            headers["If-Range"] = validator
    request = urllib.request.Request(url, headers=headers)
    try:
        return urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
    except urllib.error.URLError:
        raise
    except OSError as error:  # urllib wraps those of the request, not those of the answer
        raise urllib.error.URLError(error) from error
    part.unlink()  # as long as the file, or longer: begin anew
    return _open(url, part, digest_known)


def _start(answer: Any, part: Path) -> int:
    """Return where in the file the answer's body begins."""
    if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0
    match = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    if not match or int(match[1]) > part.stat().st_size:
        raise http.client.HTTPException("the server answered with another part than asked for")
    return int(match[1])


def _pour(
    answer: Any, part: Path, start: int, total: int | None, on_progress: OnBytes | None
) -> int:
    """Write the answer's body from `start` on; return the file's length."""
    done = start
    with part.open("r+b" if start else "wb") as file:
        file.seek(start)
        file.truncate()
        while True:
            try:
                chunk = answer.read(_CHUNK)
            except http.client.IncompleteRead as error:
                chunk, answer = error.partial, None
            except OSError as error:
                raise urllib.error.URLError(error) from error
            if not chunk:
                return done
            file.write(chunk)
            done += len(chunk)
            if on_progress:
                on_progress(done, total)
            if answer is None:
                return done


def _validator(headers: Any) -> str | None:
    """Return what tells one version of a file from another."""
    tag: str | None = headers.get("ETag")
    date: str | None = headers.get("Last-Modified")
    return tag if tag and not tag.startswith("W/") else date


def _note(part: Path) -> Path:
    """Return where the validator of a part is kept."""
    return part.with_name(f"{part.name}.version")
