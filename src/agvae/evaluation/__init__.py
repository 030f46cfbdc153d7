"""Measuring the codec against others: datasets, peers, metrics, Bjontegaard deltas, plots (extra: eval)."""
