"""How many digits: the search of `reach`, each trial a cell of a run."""
