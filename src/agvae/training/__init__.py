"""Training: data, loss, loop, checkpoints, export."""
