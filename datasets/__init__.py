"""Arithmetic problems with exact answers: how they are drawn, split, written as tokens, and described by a suite.

Read the modules in this order: `decimals` (columns of exact numbers), `problems` (problems and their exact answers),
`split` (train, validation or test), `strata` and `drawing.sampling` (which problems there are, and how they are drawn),
`writing.forms` and `writing.tokenizers` (how they are written), `writing.encoding` (both together, as arrays),
`drawing.stream` (training examples), `drawing.evaluation` (the fixed test set), `suites` (all of this as one small TOML
file). Problems of others are read by `expressions` (one problem) and `problem_files` (files of them).
Nothing here imports torch.
"""
