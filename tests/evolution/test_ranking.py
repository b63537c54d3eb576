"""The ranking that is kept up to date, against one that is read anew."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evolution.toys import individual
from evopose.evolution.ranking import Ranking, Scored
from evopose.evolution.selection import Standing, non_dominated
from evopose.evolution.store import Store

POINTS = st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4))


def scored(birth: int, point: tuple[int, int, int]) -> Scored:
    """Someone with made-up weights."""
    error, size, cost = point
    standing = Standing(str(birth), birth, float(error), float(error), size, float(cost))
    return Scored(standing, f"sha{birth}", True)


def front_of(everyone: list[Scored], upto: int | None) -> list[str]:
    """The Pareto set the slow way."""
    seen = [one.standing for one in everyone if upto is None or one.standing.birth <= upto]
    seen.sort(key=lambda one: one.birth)
    return [seen[index].id for index in non_dominated([one.point for one in seen])]


@given(
    points=st.lists(POINTS, max_size=24),
    order=st.randoms(use_true_random=False),
    asked=st.lists(st.one_of(st.none(), st.integers(-1, 24)), min_size=1, max_size=8),
)
@settings(max_examples=200, deadline=None)
def test_the_front_is_that_of_all_seen_whatever_the_order(points, order, asked) -> None:
    everyone = [scored(birth, point) for birth, point in enumerate(points)]
    order.shuffle(everyone)
    start = len(everyone) // 3
    ranking = Ranking(everyone[:start])
    for count in range(start, len(everyone) + 1):
        upto = asked[count % len(asked)]
        assert [one.id for one in ranking.front(upto)] == front_of(everyone[:count], upto)
        if count < len(everyone):
            ranking.add(everyone[count])
    births = [one.birth for one in ranking.standings(upto=10)]
    assert births == sorted(b for b in range(len(points)) if b <= 10)


def test_who_lost_the_weights_is_in_the_front_and_no_parent() -> None:
    ranking = Ranking([scored(0, (1, 1, 1)), scored(1, (2, 2, 2))])
    ranking.drop({"sha0"})
    assert [one.id for one in ranking.standings()] == ["1"]
    assert [one.id for one in ranking.front()] == ["0"]


def test_a_store_ranks_as_one_that_reads_all_anew(tmp_path) -> None:
    rng = np.random.default_rng(3)
    with Store.create(tmp_path / "run", {}) as store:
        store.propose(individual(birth, num_macs=int(rng.integers(9))) for birth in range(40))
        for birth in rng.permutation(40).tolist():
            no = store.lease(str(birth), slot=0, seconds=60)
            loss = float(rng.integers(5))
            blob = store.blobs.put(str(birth % 30).encode())  # some have the same weights
            result = {"blob": blob, "history": [{"epoch": 1}]}
            store.finish(str(birth), no, loss=loss, error=loss, fitness=loss, result=result)
            if birth % 4 == 0:
                store.retain(best=3, upto=birth if birth % 8 == 0 else None)
            with Store.read(store.folder) as anew:
                for upto in (None, birth, birth // 2):
                    assert store.standings(upto=upto) == anew.standings(upto=upto)
                    assert store.pareto(upto=upto) == anew.pareto(upto=upto)
