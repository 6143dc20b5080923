"""The files of a run: plan, records, predictions, curves, and the CSV files made of them."""
