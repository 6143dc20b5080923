"""`perf`: how fast models train and answer, compared with what a user would pick instead."""
