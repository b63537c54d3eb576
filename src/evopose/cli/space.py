"""`evopose space`: what a search space holds."""
