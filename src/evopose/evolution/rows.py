"""Individuals and attempts as rows of a run's database, and the queries that find them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from evopose.evolution.database import Database
from evopose.evolution.individual import Attempt, Individual, changes_from_json, changes_to_json
from evopose.evolution.selection import Standing, non_dominated, rescored
from evopose.genotype import Genotype

_SELECT = """
SELECT individual.*, iif(blob.state = 'kept', sha, NULL) AS kept_blob
FROM individual LEFT JOIN blob ON blob.sha = individual.blob
"""
_COMPETES = "kind IN ('ancestor', 'mutant')"
_RANKED = f"status = 'done' AND {_COMPETES}"
_COST = "coalesce(latency_ms, num_macs)"


def insert(db: Database, one: Individual) -> None:
    """Add a proposed individual."""
    row = {
        "id": one.id,
        "kind": one.kind,
        "birth": one.birth,
        "generation": one.generation,
        "parent_id": one.parent_id,
        "genotype": one.genotype.to_json(),
        "digest": one.genotype.digest,
        "changes": changes_to_json(one.changes),
        "seed": one.seed,
        "num_parameters": one.num_parameters,
        "num_macs": one.num_macs,
        "latency_ms": one.latency_ms,
        "latency_device": one.latency_device,
        "created_at": one.created_at,
        "status": "proposed",
        "result": "{}",
    }
    places = ", ".join("?" * len(row))
    db.execute(f"INSERT INTO individual ({', '.join(row)}) VALUES ({places})", *row.values())


def individuals(db: Database, **columns: Any) -> list[Individual]:
    """Return the individuals of these values, by generation and birth, controls last.

    A column that is None may have any value.
    """
    condition, values = _where(columns)
    order = f"ORDER BY generation, NOT {_COMPETES}, kind, birth, seed"
    rows = db.rows(f"{_SELECT} WHERE {condition} {order}", *values)
    return [_individual(dict(row)) for row in rows]


def best(db: Database, k: int, upto: int | None = None) -> list[Individual]:
    """Return the `k` fittest, as `selection.best` does, without reading the others."""
    condition = f"{_RANKED} AND birth <= ?"
    rows = db.rows(f"{_SELECT} WHERE {condition} ORDER BY fitness, birth LIMIT ?", _last(upto), k)
    return [_individual(dict(row)) for row in rows]


def pareto(db: Database, upto: int | None = None) -> list[Individual]:
    """Return the Pareto set, as `selection.pareto_front` does, without reading the others."""
    rows = db.rows(
        f"SELECT id, error, num_parameters, {_COST} FROM individual WHERE {_RANKED} "
        "AND birth <= ? ORDER BY generation, birth",
        _last(upto),
    )
    front = non_dominated([tuple(row)[1:] for row in rows])
    return [one for index in front for one in individuals(db, id=rows[index]["id"])]


def standings(db: Database, upto: int | None = None) -> list[Standing]:
    """Return all that may have children: trained, and their weights not dropped."""
    rows = db.rows(
        f"SELECT id, birth, fitness, error, num_parameters, {_COST} FROM individual "
        f"LEFT JOIN blob ON sha = blob WHERE {_RANKED} AND coalesce(state, 'kept') = 'kept' "
        "AND birth <= ?",
        _last(upto),
    )
    return [Standing(*row) for row in rows]


def winner(db: Database) -> Individual | None:
    """Return who wins, as `selection.winner` does, without reading the others."""
    leading = best(db, 1)
    rows = db.rows(
        "SELECT birth, count(*), avg(fitness) FROM individual "
        "WHERE status = 'done' AND kind = 'repeat' GROUP BY birth"
    )
    again = {birth: (count, mean) for birth, count, mean in rows}
    if not leading or leading[0].birth not in again:
        return leading[0] if leading else None
    return individuals(db, id=str(rescored(again)[0]))[0]


def best_by_generation(db: Database) -> list[float]:
    """Return the best fitness found up to each generation; infinite while there is none."""
    found: list[float] = []
    for row in db.rows(
        f"SELECT min(iif({_COMPETES}, fitness, NULL)) AS fitness FROM individual "
        "GROUP BY generation ORDER BY generation"
    ):
        fitness = float("inf") if row["fitness"] is None else row["fitness"]
        found.append(min([fitness, *found[-1:]]))
    return found


def count_children(db: Database, since: int) -> dict[str, int]:
    """Return how many mutants of birth `since` or later each parent has."""
    query = (
        "SELECT parent_id, count(*) FROM individual "
        "WHERE kind = 'mutant' AND birth >= ? GROUP BY parent_id"
    )
    return {row[0]: row[1] for row in db.rows(query, since)}


def first_unended(db: Database) -> int | None:
    """Return the first birth that waits or runs, controls aside."""
    query = (
        f"SELECT min(birth) FROM individual WHERE status IN ('proposed', 'running') AND {_COMPETES}"
    )
    return None if (found := db.value(query)) is None else int(found)


def failed_generations(db: Database) -> list[int]:
    """Return the generations of which nothing is left but failures, controls aside."""
    query = (
        f"SELECT generation FROM individual WHERE {_COMPETES} "
        "GROUP BY generation HAVING min(status = 'failed') ORDER BY generation"
    )
    return [int(row[0]) for row in db.rows(query)]


def attempts(db: Database, **columns: Any) -> list[Attempt]:
    """Return the attempts of these values (None: any), in the order in which they began."""
    condition, values = _where(columns)
    rows = db.rows(f"SELECT * FROM attempt WHERE {condition} ORDER BY started_at, no", *values)
    return [Attempt(**dict(row)) for row in rows]


def end_attempt(db: Database, id: str, no: int, outcome: str, error: str | None, at: float) -> bool:
    """End an attempt, and return whether it was running."""
    ended = db.execute(
        "UPDATE attempt SET outcome = ?, error = ?, ended_at = ? "
        "WHERE individual_id = ? AND no = ? AND outcome = 'running'",
        *(outcome, error, at, id, no),
    )
    return ended.rowcount == 1


def accept(
    db: Database,
    id: str,
    no: int,
    at: float,
    *,
    loss: float,
    error: float,
    fitness: float,
    result: dict[str, Any],
) -> bool:
    """End an individual with its result; return False, and change nothing, if it has ended."""
    accepted = db.execute(
        "UPDATE individual SET status = 'done', loss = ?, error = ?, fitness = ?, result = ?, "
        "blob = ?, finished_at = ?, seconds = coalesce(?, (SELECT ? - started_at FROM attempt "
        "WHERE individual_id = ? AND no = ?)) WHERE id = ? AND status IN ('proposed', 'running')",
        *(loss, error, fitness, json.dumps(result), result.get("blob"), at),
        *(result.get("seconds"), at, id, no, id),
    )
    if accepted.rowcount == 0:
        return False
    db.execute(
        "UPDATE attempt SET outcome = 'done', ended_at = ?, busy_seconds = ? "
        "WHERE individual_id = ? AND no = ?",
        *(at, result.get("busy_seconds"), id, no),
    )
    return True


def keep_blob(db: Database, sha: str, file: Path) -> None:
    """Note that a blob is there."""
    db.execute(
        "INSERT INTO blob VALUES (?, ?, 'kept') ON CONFLICT (sha) DO UPDATE SET state = 'kept'",
        *(sha, file.stat().st_size),
    )


def kept_blobs(db: Database) -> set[str]:
    """Return the digests of the blobs that are there."""
    return {row["sha"] for row in db.rows("SELECT sha FROM blob WHERE state = 'kept'")}


def needed_blobs(
    db: Database, num_best: int, also: Iterable[str], upto: int | None = None
) -> set[str]:
    """Return the digests of what the best, their parents, the Pareto set, generation 0, the
    parents of what waits, and those of the ids `also` need; with `upto`, also the best and the
    Pareto set up to that birth, and all born later."""
    waiting = individuals(db, status="proposed") + individuals(db, status="running")
    leading = best(db, num_best)
    parents = {one.parent_id for one in (*waiting, *leading) if one.parent_id}
    needed = [
        *leading,
        *pareto(db),
        *individuals(db, generation=0),
        *(one for id in parents.union(also) for one in individuals(db, id=id)),
    ]
    if upto is not None:
        needed += [*best(db, num_best, upto), *pareto(db, upto)]
        later = db.rows("SELECT blob FROM individual WHERE birth > ?", upto)
        return {row["blob"] for row in later if row["blob"]} | {o.blob for o in needed if o.blob}
    return {one.blob for one in needed if one.blob}


def _last(upto: int | None) -> int:
    """Return the last birth that counts."""
    return 2**62 if upto is None else upto


def _where(columns: dict[str, Any]) -> tuple[str, list[Any]]:
    """Return a condition with question marks, and their values."""
    given = {name: value for name, value in columns.items() if value is not None}
    return " AND ".join(f"{name} = ?" for name in given) or "1", list(given.values())


def _individual(row: dict[str, Any]) -> Individual:
    del row["id"], row["digest"]
    row["blob"] = row.pop("kept_blob")
    row["genotype"] = Genotype.from_json(row["genotype"])
    row["changes"] = changes_from_json(row["changes"])
    row["result"] = json.loads(row["result"])
    return Individual(**row)
