"""What a run leaves behind, and everything that is computed from it, to the last table.

Running and scoring are separate programs. Nothing here trains or knows torch: each figure comes from files on disk.

    files         write whole files or none; checksums
    records       record.json, the sheet of one cell
    predictions   predictions.csv.gz, what a cell answered
    curves        curve.csv, how a cell learnt
    runs          run.json, and a run folder as a whole
    slices        predictions cut by operation, digits, signs, ...
    collect       cells.csv and results.csv
    statistics    estimates and tests, with what they can and cannot say
    comparable    may these cells stand side by side, and what was held equal
    scores        everything that the finished cells of a run scored, with estimates
    comparison    two architectures, slice by slice, in figures and in words
    learning      the share of seeds that solved the task, and how fast
    entries       what a table is made of, and how a figure reads
    tables        the tables of a report
    error_tables  the tables of error anatomy
    outside_tables  the tables of answers to problems from elsewhere
    conclusion    the outcome in words
    contents      what a report holds in every form
    report        the report in each format: terminal, markdown, latex, html (with charts and templates/), CSV
"""
