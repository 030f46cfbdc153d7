"""Training: options, data, loss, trainer, checkpoints, export; see docs/TRAINING.md and docs/RESEARCH.md."""

from agvae.training.data import CropSource
from agvae.training.export import export_checkpoint
from agvae.training.loss import Loss, RateDistortion, interpolated_betas
from agvae.training.options import TrainingOptions
from agvae.training.trainer import DivergedError, Trainer

__all__ = [
    "CropSource",
    "DivergedError",
    "Loss",
    "RateDistortion",
    "Trainer",
    "TrainingOptions",
    "export_checkpoint",
    "interpolated_betas",
]
