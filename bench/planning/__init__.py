"""From options to a plan: settings, sizes, budgets and presets, all decided before anything trains."""
