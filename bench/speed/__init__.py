"""`perf`: how fast models train and answer, beside what a user would pick instead."""
