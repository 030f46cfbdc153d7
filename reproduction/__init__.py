"""The paper's experiments: its figures, table 1, the training runs behind them and what they say of its claims.

A part of the repository alone: `python -m reproduction EXPERIMENT` at its root, or `agvae reproduce EXPERIMENT` where
agvae is installed from it with `pip install -e`.
"""
