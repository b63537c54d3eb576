"""Keeping lines off standard error that a library writes past Python's streams."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_lines(start: bytes) -> Iterator[None]:
    """Hold standard error back, and let it go at the end without the lines that begin with `start`.

    Whatever else was written meanwhile, by whichever thread, comes out then.
    """
    try:
        before = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    with tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(before, 2)
            os.close(before)
            held.seek(0)
            if rest := b"".join(line for line in held if not line.startswith(start)):
                os.write(2, rest)
