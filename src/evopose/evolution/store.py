"""The store of a run: what was proposed, tried, found and kept. One writes, any may read."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

from evopose.errors import RunError
from evopose.evolution import attempts, rows
from evopose.evolution.blobs import BlobStore
from evopose.evolution.database import Database, errors_of
from evopose.evolution.individual import Attempt, Individual, Outcome
from evopose.evolution.ranking import Ranking
from evopose.evolution.selection import Standing, standing_of

Clock = Callable[[], float]


class Store:
    """A run folder: `run.sqlite`, `blobs/` and `LOCK`. A context manager.

    Made by `create` or `open`, which lock the run, or by `read`. Every method that writes is one
    transaction. Raises: RunError wherever the folder or its disk is at fault.
    """

    def __init__(self, db: Database, clock: Clock) -> None:
        self.folder = db.folder
        self.blobs = BlobStore(db.folder / "blobs")
        self.clock = clock
        self._db = db
        self._session: int | None = None
        self._ranking: Ranking | None = None

    @classmethod
    def create(cls, folder: Path, meta: dict[str, Any], *, clock: Clock = time.time) -> Self:
        """Return the store of a new run; `meta` is plain JSON: settings, data, versions.

        Raises: RunError if `folder` holds a run already.
        """
        return cls(Database.create(folder, meta), clock)

    @classmethod
    def open(cls, folder: Path, *, clock: Clock = time.time) -> Self:
        """Return the store of an existing run, to go on with it.

        What was running when its last coordinator ended is proposed again, at no charge; files
        in `blobs/` that belong to nobody are deleted.
        """
        store = cls(Database.open(folder), clock)
        try:
            store.release()
            with errors_of(folder):
                store.blobs.clean(rows.kept_blobs(store._db))
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return a store to read from, also while a search writes to it."""
        return cls(Database.read(folder), time.time)

    def close(self) -> None:
        """Close the run and give its lock back."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # What there is

    @property
    def meta(self) -> dict[str, Any]:
        """What `create` was given."""
        found = self._db.rows("SELECT * FROM meta")
        with self._db.reading():
            return {row["key"]: json.loads(row["value"]) for row in found}

    def individuals(
        self,
        *,
        status: str | None = None,
        generation: int | None = None,
        kind: str | None = None,
        histories: bool = True,
    ) -> list[Individual]:
        """Return those of a status, a generation, a kind, or all; by generation and birth.

        Without `histories` their results lack `history`, which is most of what a run holds.
        """
        return rows.individuals(
            self._db, status=status, generation=generation, kind=kind, histories=histories
        )

    def histories(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the `history` of the results of these ids, as JSON; ids without one are left
        out."""
        return rows.histories(self._db, ids)

    def individual(self, id: str) -> Individual:
        """Return one individual. Raises: RunError if there is none of that id."""
        if found := rows.individuals(self._db, id=id):
            return found[0]
        raise RunError(
            f"the run in {self.folder} has no individual {id!r}: its ancestor is 0, its mutants "
            f"are 1 to {self.last_birth()}, its clones c1 to c{self.last_generation()}"
        )

    def best(self, k: int, *, upto: int | None = None) -> list[Individual]:
        """Return the at most `k` fittest, the elder first among equals; no controls.

        `upto`: of the births up to this one alone, here and wherever else it is asked for.
        """
        return rows.best(self._db, k, upto)

    def winner(self) -> Individual | None:
        """Return who wins (see `selection.winner`); None while nothing is trained."""
        return rows.winner(self._db)

    def standings(self, *, upto: int | None = None) -> list[Standing]:
        """Return all that may have children, by birth: trained, and their weights not dropped."""
        return self._ranked().standings(upto)

    def candidates(self, *, best: int, front: bool, upto: int | None = None) -> list[Standing]:
        """Return the standings of the `best` fittest and, with `front`, of the Pareto set: of
        whom `retain` never drops the weights."""
        found = [standing_of(one) for one in self.best(best, upto=upto)]
        found += self._ranked().front(upto) if front else []
        return list({one.id: one for one in found}.values())

    def pareto(self, *, upto: int | None = None) -> list[Individual]:
        """Return those that none beats in error, parameters and cost alike; no controls."""
        front = [one.id for one in self._ranked().front(upto)]
        found = {one.id: one for one in rows.of_ids(self._db, front)}
        return [found[id] for id in front]

    def attempts(self, id: str | None = None) -> list[Attempt]:
        """Return the attempts at one individual, or all, in the order in which they began."""
        return attempts.attempts(self._db, id)

    def counts(self) -> dict[str, int]:
        """Return how many individuals there are of each status, clones included."""
        found = self._db.rows("SELECT status, count(*) FROM individual GROUP BY status")
        return {"proposed": 0, "running": 0, "done": 0, "failed": 0} | {r[0]: r[1] for r in found}

    def count_children(self, *, since: int) -> dict[str, int]:
        """Return how many mutants of birth `since` or later each parent has."""
        return rows.count_children(self._db, since)

    def count_clones(self, parent_id: str) -> int:
        """Return how many clones an individual has."""
        query = "SELECT count(*) FROM individual WHERE kind = 'clone' AND parent_id = ?"
        return int(self._db.value(query, parent_id))

    def latency(self, digest: str, device: str) -> float | None:
        """Return the milliseconds that were measured for a genotype on a device, if they were."""
        query = "SELECT milliseconds FROM latency WHERE digest = ? AND device = ?"
        return None if (found := self._db.value(query, digest, device)) is None else float(found)

    def known(self, digest: str) -> bool:
        """Return whether a genotype was proposed before, other than as a control."""
        query = "SELECT 1 FROM individual WHERE digest = ? AND kind IN ('ancestor', 'mutant')"
        return self._db.value(query, digest) is not None

    def last_birth(self) -> int:
        """Return the birth of the youngest mutant; -1 where there is not even an ancestor."""
        query = "SELECT max(birth) FROM individual WHERE kind IN ('ancestor', 'mutant')"
        return -1 if (found := self._db.value(query)) is None else int(found)

    def ended_up_to(self) -> int:
        """Return the last birth that has ended together with all before it; -1 if none has."""
        first = rows.first_unended(self._db)
        return self.last_birth() if first is None else first - 1

    def failed_generations(self) -> list[int]:
        """Return the generations of which nothing is left but failures, controls aside."""
        return rows.failed_generations(self._db)

    def last_generation(self) -> int:
        """Return the youngest generation; -1 where there is none."""
        found = self._db.value("SELECT max(generation) FROM individual")
        return -1 if found is None else int(found)

    def best_by_generation(self) -> list[float]:
        """Return the best fitness found up to each generation; no clones."""
        return rows.best_by_generation(self._db)

    def sessions(self) -> list[dict[str, Any]]:
        """Return who worked on the run and when: dicts of host, pid, slots, started_at, seen_at."""
        return [dict(row) for row in self._db.rows("SELECT * FROM session ORDER BY no")]

    def spent_seconds(self) -> float:
        """Return for how long the run was worked on, in all sessions."""
        mine = {self._session: self.clock()}
        ends = [(mine.get(s["no"], s["seen_at"]), s["started_at"]) for s in self.sessions()]
        return float(sum(end - start for end, start in ends))

    def events(self) -> list[dict[str, Any]]:
        """Return what `log` was told: dicts of at, kind, and the rest."""
        found = self._db.rows("SELECT * FROM event ORDER BY no")
        with self._db.reading():
            return [{"at": r["at"], "kind": r["kind"], **json.loads(r["payload"])} for r in found]

    # What happens

    def begin_session(self, slots: int) -> None:
        """Note that this process works on the run from now on, in so many slots."""
        now = self.clock()
        with self._writing():
            self._session = self._db.execute(
                "INSERT INTO session (host, pid, slots, started_at, seen_at) "
                "VALUES (?, ?, ?, ?, ?)",
                *(socket.gethostname(), os.getpid(), slots, now, now),
            ).lastrowid

    def log(self, kind: str, **payload: Any) -> None:
        """Note an event of the run, for whoever reads it later; `payload` is plain JSON."""
        with self._writing():
            self._db.execute(
                "INSERT INTO event (at, kind, payload) VALUES (?, ?, ?)",
                *(self.clock(), kind, json.dumps(payload)),
            )

    def note_latency(self, digest: str, device: str, milliseconds: float) -> None:
        """Note what was measured, so that a search that goes on decides as before."""
        with self._writing():
            self._db.execute(
                "INSERT OR REPLACE INTO latency VALUES (?, ?, ?)", digest, device, milliseconds
            )

    def propose(self, individuals: Iterable[Individual]) -> None:
        """Add individuals, all or none."""
        with self._writing():
            for one in individuals:
                rows.insert(self._db, one)

    def propose_again(self, individuals: Iterable[Individual]) -> None:
        """Give failed individuals another chance."""
        with self._writing():
            attempts.forgive(self._db, [one.id for one in individuals])

    def lease(self, id: str, *, slot: int, seconds: float) -> int:
        """Begin an attempt at a proposed individual, and return the attempt's number."""
        with self._writing():
            return attempts.lease(self._db, id, slot=slot, now=self.clock(), seconds=seconds)

    def renew(self, id: str, no: int, *, seconds: float) -> None:
        """Note a sign of life of an attempt: its lease runs from now."""
        with self._writing():
            attempts.renew(self._db, id, no, until=self.clock() + seconds)

    def finish(
        self,
        id: str,
        no: int,
        *,
        loss: float,
        error: float,
        fitness: float,
        result: dict[str, Any],
    ) -> bool:
        """Accept the result of an attempt and return True; or note a duplicate and return False.

        A late result of an attempt that was given up counts, unless the individual has ended.
        `result` may hold the digest of its weights (`blob`, which must be in `blobs`) and the
        job's account of its time (`seconds`, `busy_seconds`).
        """
        now = self.clock()
        with self._writing():
            revived = False
            if sha := result.get("blob"):
                revived = rows.keep_blob(self._db, sha, self.blobs.path(sha))
            told = {"loss": loss, "error": error, "fitness": fitness}
            accepted = attempts.accept(self._db, id, no, now, **told, result=result)
            if not accepted:
                attempts.end(self._db, id, no, "duplicate", None, now)
        if revived:  # others may have had the same weights
            self._ranking = None
        elif accepted and self._ranking:
            for one in rows.scored(self._db, id):
                self._ranking.add(one)
        return accepted

    def fail(
        self, id: str, no: int, *, reason: str, outcome: Outcome, error: str | None = None
    ) -> bool:
        """End an individual that cannot be trained; False if the attempt had ended before."""
        told: dict[str, Any] = {"reason": reason, "outcome": outcome, "error": error}
        with self._writing():
            return attempts.fail(self._db, id, no, self.clock(), **told)

    def lose(self, id: str, no: int, *, outcome: Outcome, error: str | None = None) -> bool:
        """Propose an individual again whose attempt was lost; False if it had ended before."""
        with self._writing():
            return attempts.lose(self._db, id, no, self.clock(), outcome=outcome, error=error)

    def release(self) -> None:
        """Give up all running attempts, at no charge: what was running is proposed again."""
        # Those of a session that broke off ended when it was last heard of.
        seen_at = max((session["seen_at"] for session in self.sessions()), default=0.0)
        ended_at = self.clock() if self._session else seen_at
        with self._writing():
            attempts.release(self._db, ended_at)

    def retain(self, *, best: int, also: Iterable[str] = (), upto: int | None = None) -> int:
        """Drop the weights that nobody needs, and return of how many; the rows stay.

        Kept are the weights of the `best` fittest and their parents, of the Pareto set, of
        generation 0, of the parents of what is proposed or running, and of the ids `also`; with
        `upto`, also of the best and the Pareto set up to that birth, and of all born later.
        """
        front = {one.id for bound in (None, upto) for one in self._ranked().front(bound)}
        needed = rows.needed_blobs(self._db, best, front.union(also), upto)
        drop = rows.kept_blobs(self._db) - needed
        with self._writing():
            rows.drop_blobs(self._db, drop)
        self._ranked().drop(drop)
        with errors_of(self.folder):
            for sha in drop:
                self.blobs.delete(sha)
        return len(drop)

    def _ranked(self) -> Ranking:
        """Return the ranking: the one that is kept up to date where this process alone writes."""
        if self._ranking is not None:
            return self._ranking
        found = Ranking(rows.scored(self._db))
        self._ranking = found if self._db.writes else None
        return found

    def _writing(self) -> AbstractContextManager[None]:
        return self._db.transaction(
            before_commit=lambda: self._db.execute(
                "UPDATE session SET seen_at = ? WHERE no = ?", self.clock(), self._session
            )
        )
