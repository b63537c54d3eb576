"""Individuals and blobs as rows of a run's database, and the queries that find them."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from evopose.evolution.database import Database
from evopose.evolution.individual import Individual, changes_from_json, changes_to_json
from evopose.evolution.ranking import Scored
from evopose.evolution.selection import Standing, rescored
from evopose.genotype import Change, Genotype

_COLUMNS = (
    "kind", "status", "birth", "generation", "parent_id", "seed", "num_parameters", "num_macs",
    "latency_ms", "latency_device", "created_at", "fail_reason", "loss", "error", "fitness",
    "finished_at", "seconds",
)  # fmt: skip
_FIELDS = f"{', '.join(_COLUMNS)}, genotype, changes"
_LEFT = "FROM individual LEFT JOIN blob ON blob.sha = individual.blob"
_BLOB = "iif(blob.state = 'kept', sha, NULL) AS blob"
_SELECT = f"SELECT {_FIELDS}, result, {_BLOB} {_LEFT}"
_STRICT = "result NOT GLOB '*NaN*' AND result NOT GLOB '*Infinity*'"
"""Whether a result is JSON to SQLite, too: Python writes numbers that JSON cannot say."""
_SELECT_LEAN = (
    f"SELECT {_FIELDS}, iif({_STRICT}, json_remove(result, '$.history'), result) AS result, "
    f"{_BLOB} {_LEFT}"
)
_COMPETES = "kind IN ('ancestor', 'mutant')"
_RANKED = f"status = 'done' AND {_COMPETES}"
_BY_FITNESS = "INDEXED BY by_fitness"  # SQLite itself often takes one that leads to the rows
_COST = "coalesce(latency_ms, num_macs)"
_LEADING = (
    f"FROM individual {_BY_FITNESS} WHERE {_RANKED} AND birth <= ? ORDER BY fitness, birth LIMIT ?"
)


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


def individuals(db: Database, *, histories: bool = True, **columns: Any) -> list[Individual]:
    """Return the individuals of these values, by generation and birth, controls last.

    A column that is None may have any value. Without `histories` their results have none.
    """
    condition, values = _where(columns)
    select = _SELECT if histories else _SELECT_LEAN
    found = _read(db, f"{select} WHERE {condition}", *values)
    if not histories:
        for one in found:
            one.result.pop("history", None)
    # Sorted here: SQLite would hold, or write to a file, a second copy of all.
    return sorted(found, key=lambda o: (o.generation, not o.competes, o.kind, o.birth, o.seed))


def of_ids(db: Database, ids: Iterable[str]) -> list[Individual]:
    """Return the individuals of these ids that there are, in no order."""
    query = f"{_SELECT} WHERE id IN (SELECT value FROM json_each(?))"
    return _read(db, query, json.dumps(list(ids)))


def histories(db: Database, ids: Iterable[str]) -> dict[str, str]:
    """Return the histories that results of these ids hold, as Python writes JSON."""
    query = (
        f"SELECT id, iif({_STRICT}, json_extract(result, '$.history'), result) AS found "
        "FROM individual "
        "WHERE id IN (SELECT value FROM json_each(?)) AND found IS NOT NULL"
    )
    with db.reading():
        # A list is a history; what came as a whole was not SQLite's to take apart.
        return {
            id: text if text[0] == "[" else json.dumps(json.loads(text).get("history", []))
            for id, text in db.execute(query, json.dumps(list(ids)))
        }


def best(db: Database, k: int, upto: int | None = None) -> list[Individual]:
    """Return the `k` fittest, as `selection.best` does, without reading the others."""
    query = f"SELECT id {_LEADING}"
    ids = [row["id"] for row in db.rows(query, _last(upto), k)]
    found = {one.id: one for one in of_ids(db, ids)}
    return [found[id] for id in ids]


def scored(db: Database, id: str | None = None) -> list[Scored]:
    """Return all that compete and are trained, or the one of that id, if it is."""
    condition, values = _where({"id": id})
    query = (
        f"SELECT id, birth, fitness, error, num_parameters, {_COST}, blob, blob IS NULL OR EXISTS "
        "(SELECT 1 FROM blob AS b WHERE b.sha = individual.blob AND b.state = 'kept') "
        f"FROM individual {_BY_FITNESS if id is None else ''} WHERE {_RANKED} AND {condition}"
    )
    with db.reading():
        found = map(tuple, db.execute(query, *values))
        return [Scored(Standing(*row[:6]), row[6], bool(row[7])) for row in found]


def winner(db: Database) -> Individual | None:
    """Return who wins, as `selection.winner` does, without reading the others."""
    leading = best(db, 1)
    rows = db.rows(
        "SELECT birth, count(*), avg(fitness) FROM individual INDEXED BY repeats "
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
        f"WHERE {_COMPETES} AND birth >= ? AND parent_id IS NOT NULL GROUP BY parent_id"
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


def keep_blob(db: Database, sha: str, file: Path) -> bool:
    """Note that a blob is there, and return whether it had been dropped before."""
    dropped = bool(db.value("SELECT state = 'dropped' FROM blob WHERE sha = ?", sha))
    db.execute(
        "INSERT INTO blob VALUES (?, ?, 'kept') ON CONFLICT (sha) DO UPDATE SET state = 'kept'",
        *(sha, file.stat().st_size),
    )
    return dropped


def drop_blobs(db: Database, shas: Iterable[str]) -> None:
    """Note that blobs are no longer there."""
    for sha in shas:
        db.execute("UPDATE blob SET state = 'dropped' WHERE sha = ?", sha)


def kept_blobs(db: Database) -> set[str]:
    """Return the digests of the blobs that are there."""
    return {row["sha"] for row in db.rows("SELECT sha FROM blob WHERE state = 'kept'")}


def needed_blobs(
    db: Database, num_best: int, also: Iterable[str], upto: int | None = None
) -> set[str]:
    """Return the digests of what the best, their parents, generation 0, the parents of what waits,
    and those of the ids `also` need; with `upto`, also the best up to that birth, and all born
    later."""
    query = f"""
WITH leading AS (SELECT id, parent_id {_LEADING}), seen AS (SELECT id {_LEADING}), needed (id) AS (
    SELECT id FROM leading UNION SELECT parent_id FROM leading UNION SELECT id FROM seen
    UNION SELECT id FROM individual WHERE {_COMPETES} AND birth > ?
    UNION SELECT id FROM individual WHERE generation = 0
    UNION SELECT parent_id FROM individual WHERE status IN ('proposed', 'running')
    UNION SELECT value FROM json_each(?)
)
SELECT sha FROM needed CROSS JOIN individual USING (id) CROSS JOIN blob ON sha = blob
WHERE state = 'kept'
"""
    last = _last(upto)
    values = (_last(None), num_best, last, num_best, last, json.dumps(list(also)))
    return {row["sha"] for row in db.rows(query, *values)}


def _last(upto: int | None) -> int:
    """Return the last birth that counts."""
    return 2**62 if upto is None else upto


def _where(columns: dict[str, Any]) -> tuple[str, list[Any]]:
    """Return a condition with question marks, and their values."""
    given = {name: value for name, value in columns.items() if value is not None}
    return " AND ".join(f"{name} = ?" for name in given) or "1", list(given.values())


def _read(db: Database, select: str, *values: Any) -> list[Individual]:
    """Return the individuals of `_SELECT`'s rows; part by part, of many it is a quarter quicker."""
    found: list[Individual] = []
    with db.reading():
        cursor = db.execute(select, *values)
        while rows := cursor.fetchmany(1000):
            parts = zip(*rows, strict=True)
            *columns, genotypes, changes, results, blobs = parts
            found += map(
                _individual,
                zip(*columns, strict=True),
                map(Genotype.from_value, _parsed(genotypes)),
                [changes_from_json(text) for text in changes],
                _parsed(results),
                blobs,
            )
    return found


def _individual(
    columns: tuple[Any, ...],
    genotype: Genotype,
    changes: tuple[Change, ...],
    result: dict[str, Any],
    blob: str | None,
) -> Individual:
    kind, status, *others = columns
    values = dict(zip(_COLUMNS, (sys.intern(kind), sys.intern(status), *others), strict=True))
    return Individual(**values, genotype=genotype, changes=changes, result=result, blob=blob)


def _parsed(texts: Iterable[str]) -> list[Any]:
    """Return the values of JSON texts, read as one: quicker, and what keys they share is in memory
    once."""
    return list(json.loads(f"[{','.join(texts)}]"))
