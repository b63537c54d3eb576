"""`evopose watch`: a run, live in the terminal."""
