"""Training and evaluation: the engine starts a process for each cell, and the cell leaves its record behind."""
