"""What carries weights between a run's folder and the place that its workers see."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from evopose.errors import RunError
from evopose.evolution.blobs import BlobStore
from evopose.evolution.jobs import Event, Executor, Job, cause_of
from evopose.evolution.shared_blobs import Blobs
from evopose.search.places import Places, blobs_at, clear_blobs
from evopose.training.checkpoint import write_atomically


class Courier:
    """An executor around another: before a job it puts the weights that the job starts from where
    workers see them, after it it brings the job's weights and report into the run's folder, which
    so holds everything. What retention drops there goes from the shared place too.
    """

    def __init__(self, executor: Executor, places: Places, kept: BlobStore) -> None:
        """`kept`: the weights in the run's folder."""
        self._executor, self._kept, self._places = executor, kept, places
        self._blobs: Blobs = blobs_at(places.blobs)
        self._there: set[str] = set()
        """Digests of what lies at the shared place."""
        self._refused: dict[int, Event] = {}
        """Slot -> the end, not yet told, of a job that cannot begin."""

    @property
    def slots(self) -> Sequence[int]:
        """Those of the other executor."""
        return self._executor.slots

    def submit(self, slot: int, job: Job) -> None:
        """Begin a job; one whose weights the run has lost has failed.

        Raises: RunError if its weights cannot be put where workers see them.
        """
        digest = job["start_blob"]
        if digest is not None and digest not in self._there:
            try:
                weights = self._kept.read(digest)
            except RunError as error:
                data = {"cause": cause_of(error), "message": str(error)}
                self._refused[slot] = Event(slot=slot, kind="failed", data=data)
                return
            try:
                self._there.add(self._blobs.put(weights))
            except OSError as error:
                raise RunError(
                    f"cannot put the weights {digest[:12]}... where workers see them: {error}; "
                    "mend the place that --shared names, then go on with --resume"
                ) from error
        self._executor.submit(slot, job)

    def poll(self, timeout: float, tell: Callable[[Event], None]) -> None:
        """Tell what happened; of a job that is done when its weights have arrived."""
        while self._refused:
            tell(self._refused.popitem()[1])
            timeout = 0
        self._executor.poll(timeout, lambda event: tell(self._fetched(event)))

    def kill(self, slot: int) -> None:
        """End what runs in a slot."""
        self._refused.pop(slot, None)
        self._executor.kill(slot)

    def close(self) -> None:
        """End all that runs, and delete the weights at the shared place: the run has its own."""
        self._executor.close()
        with suppress(OSError):  # what stays goes when the search goes on, or by hand
            clear_blobs(self._places)

    def _fetched(self, event: Event) -> Event:
        if event.kind != "done" or "blob" not in event.data:
            return event
        result = dict(event.data)
        digest, report = result["blob"], result.pop("report", None)
        try:
            self._there.add(digest)
            self._kept.put(self._blobs.read(digest))
            if report is not None:
                write_atomically(Path(report["path"]), json.dumps(report["content"]).encode())
            self._forget_dropped()
        except OSError as error:
            data = {"cause": cause_of(error), "message": f"its weights did not arrive: {error}"}
            return replace(event, kind="failed", data=data)
        except RunError as error:
            message = f"its weights did not arrive: {error}"
            return replace(event, kind="lost", data={"message": message})
        return replace(event, data=result)

    def _forget_dropped(self) -> None:
        for digest in [d for d in self._there if not self._kept.path(d).is_file()]:
            self._blobs.delete(digest)
            self._there.discard(digest)
