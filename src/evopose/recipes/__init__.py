"""Recipes: functions that return configurations, by name.

Imports of torch are left to those who train.
"""

from evopose.recipes.search import SEARCH_RECIPES
from evopose.recipes.train import TRAIN_RECIPES

__all__ = ["SEARCH_RECIPES", "TRAIN_RECIPES"]
