"""The evolution: individuals, fitness, selection, proposals, the store, and the search over them.

It knows neither networks nor data: fitness arrives as a function that an executor runs.
"""

from evopose.evolution.accounting import overhead
from evopose.evolution.blobs import BlobStore
from evopose.evolution.config import MODES, EvolutionConfig
from evopose.evolution.ending import Ending
from evopose.evolution.engine import run_search
from evopose.evolution.fitness import Fitness, Size
from evopose.evolution.individual import Attempt, Individual
from evopose.evolution.proposal import Stopwatch, propose_generation
from evopose.evolution.selection import PARENTS_BY, best, pareto_front, winner
from evopose.evolution.store import Store

__all__ = [
    "MODES",
    "PARENTS_BY",
    "Attempt",
    "BlobStore",
    "Ending",
    "EvolutionConfig",
    "Fitness",
    "Individual",
    "Size",
    "Stopwatch",
    "Store",
    "best",
    "overhead",
    "pareto_front",
    "propose_generation",
    "run_search",
    "winner",
]
