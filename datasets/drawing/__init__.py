"""Which problems are drawn: the training stream and the evaluation sets, each a function of the suite and a seed."""
