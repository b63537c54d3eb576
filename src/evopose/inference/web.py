"""Photos at an http(s):// address, brought into memory with limits."""

import time
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException, HTTPResponse

from evopose.errors import DataError
from evopose.home import is_offline
from evopose.version import VERSION

MAX_BYTES = 100_000_000
"""Longer answers of a server are not read."""
TIMEOUT_SECONDS = 20.0
"""How long a server may say nothing."""
DEADLINE_SECONDS = 120.0
"""How long a photo may take to arrive."""
_CHUNK = 1 << 16


def fetch_photo(
    url: str,
    *,
    max_bytes: int = MAX_BYTES,
    timeout_s: float = TIMEOUT_SECONDS,
    deadline_s: float = DEADLINE_SECONDS,
) -> bytes:
    """Return the file at `url`, which is http:// or https://, wherever it redirects to.

    Raises: DataError for a server that cannot be reached or says no, for an answer that is a page
    or other than an image, longer than `max_bytes` or too late; offline (`EVOPOSE_OFFLINE`).
    """
    if is_offline():
        raise DataError(f"EVOPOSE_OFFLINE is set: {url} is not fetched; download it, name the file")
    try:
        quoted = urllib.parse.quote(url, safe="/:?#[]@!$&'()*+,;=%~")
        request = urllib.request.Request(quoted, headers={"User-Agent": f"evopose/{VERSION}"})
        with _http_alone().open(request, timeout=timeout_s) as answer:
            _require_image(answer, url, max_bytes)
            return _read(answer, url, max_bytes, time.monotonic() + deadline_s)
    except urllib.error.HTTPError as error:
        with error:
            raise DataError(f"cannot fetch {url}: {error.code}, {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:  # ValueError: an odd host or redirect
        reason = getattr(error, "reason", None) or error
        late = isinstance(reason, TimeoutError)
        why = f"no answer within {timeout_s:g} s" if late else str(reason) or type(reason).__name__
        raise DataError(f"cannot fetch {url}: {why}; check the address and the network") from error


def _http_alone() -> urllib.request.OpenerDirector:
    """Return what opens http and https, and follows redirects to nothing else."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _require_image(answer: HTTPResponse, url: str, max_bytes: int) -> None:
    kind = answer.headers.get_content_type() if answer.headers.get("Content-Type") else ""
    if kind in ("text/html", "application/xhtml+xml"):
        raise DataError(f"{url} is a web page, not an image; give the address of the image in it")
    if kind and kind.split("/")[0] not in ("image", "application", "binary"):
        raise DataError(f"{url} is {kind}, not an image")
    length = answer.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise DataError(_too_long(url, f"has {int(length):,} bytes", max_bytes))


def _read(answer: HTTPResponse, url: str, max_bytes: int, deadline: float) -> bytes:
    """Return the answer's body, unless it grows too long or takes too long."""
    content = bytearray()
    while chunk := answer.read1(_CHUNK):
        content += chunk
        if len(content) > max_bytes:
            raise DataError(_too_long(url, "is longer", max_bytes))
        if time.monotonic() > deadline:
            raise DataError(f"{url} comes too slowly: {len(content):,} bytes so far; download it")
    length = answer.headers.get("Content-Length", "")
    if length.isdecimal() and len(content) < int(length):
        raise DataError(f"{url} broke off after {len(content):,} of {int(length):,} bytes")
    return bytes(content)


def _too_long(url: str, what: str, max_bytes: int) -> str:
    return f"{url} {what}; no more than {max_bytes:,} are fetched: download it, name the file"
