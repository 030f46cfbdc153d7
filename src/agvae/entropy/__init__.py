"""Entropy models, exact arithmetic and the range coder."""
