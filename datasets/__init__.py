"""Arithmetic problems: exact rules, patterns, split, text forms, tokenizers, suites. Knows numpy; no torch.

Read in this order: `decimals` (columns of exact numbers), `problems` (what is asked and its exact answer), `split`
(train, validation or test), `strata` and `sampling` (which problems, drawn how), `forms` and `tokenizers` (how they are
written), `encoding` (both together, as arrays), `stream` (training examples), `evaluation` (the fixed test set),
`suites` (all of it chosen by one small TOML file). Problems from elsewhere: `expressions` (one, as a person writes it)
and `outside` (files of them).
"""
