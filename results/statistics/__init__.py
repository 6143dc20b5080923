"""What the files of runs say: scores with intervals, comparisons, verdicts. No text layout, no files written."""
