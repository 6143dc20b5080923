"""What a run leaves behind, and everything that is computed from it, to the last table.

Running and scoring are separate programs. Nothing here trains or knows torch: each figure comes from files on disk.

    records       the files of a run: plan, records, predictions, curves, and the CSV files made of them
    statistics    scores with intervals, comparisons, the outcome in words
    report        tables and charts, as text, Markdown, LaTeX, HTML and CSV
"""
