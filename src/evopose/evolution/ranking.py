"""Who may have children and who is in the Pareto set, kept up to date as results come.

A proposal needs both. Of a hundred thousand individuals neither is read anew for each: the one who
writes a run reads it once.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from operator import itemgetter
from typing import NamedTuple

from evopose.evolution.selection import Standing, non_dominated

_BIRTH = itemgetter(Standing._fields.index("birth"))


class Scored(NamedTuple):
    """A trained individual that competes."""

    standing: Standing
    blob: str | None
    """Digest of its weights; None: it never had any."""
    kept: bool
    """Whether its weights are there, or it never had any: then it may have children."""


class Ranking:
    """The standings of a run and its Pareto set, of all births or of those up to one."""

    def __init__(self, scored: Iterable[Scored]) -> None:
        found = sorted(scored, key=lambda one: one.standing.birth)
        self._all = [one.standing for one in found]
        self._parents = [one.standing for one in found if one.kept]
        self._blobs = {one.standing.id: one.blob for one in found if one.kept}
        self._fronts = {name: _Front(upto=-1) for name in ("all", "some")}

    def add(self, one: Scored) -> None:
        """Take in a new result."""
        insort(self._all, one.standing, key=_BIRTH)
        if one.kept:
            insort(self._parents, one.standing, key=_BIRTH)
            self._blobs[one.standing.id] = one.blob
        for front in self._fronts.values():
            if one.standing.birth <= front.upto:
                front.fresh.append(one.standing)

    def drop(self, blobs: set[str]) -> None:
        """Take note that weights are gone: who had them has no children any more."""
        self._parents = [one for one in self._parents if self._blobs[one.id] not in blobs]
        self._blobs = {one.id: self._blobs[one.id] for one in self._parents}

    def standings(self, upto: int | None = None) -> list[Standing]:
        """Return all that may have children, by birth."""
        return self._until(self._parents, inf if upto is None else upto)

    def front(self, upto: int | None = None) -> list[Standing]:
        """Return the Pareto set, by birth."""
        name, last = ("all", inf) if upto is None else ("some", upto)
        front = self._fronts[name]
        if front.upto > last:
            front = self._fronts[name] = _Front(upto=-1)
        front.fresh += self._until(self._all, last)[
            bisect_right(self._all, front.upto, key=_BIRTH) :
        ]
        front.upto = last
        return front.members()

    def _until(self, standings: list[Standing], last: float) -> list[Standing]:
        return standings[: bisect_right(standings, last, key=_BIRTH)]


@dataclass
class _Front:
    """The Pareto set of the births up to one; what is no longer in it never comes back."""

    upto: float
    known: list[Standing] = field(default_factory=list)
    fresh: list[Standing] = field(default_factory=list)
    """Not yet compared with those known."""

    def members(self) -> list[Standing]:
        if self.fresh:
            found = sorted([*self.known, *self.fresh], key=_BIRTH)
            self.known = [found[index] for index in non_dominated([one.point for one in found])]
            self.fresh = []
        return list(self.known)
