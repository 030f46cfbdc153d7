"""Train a small model on one's own pictures, export it, and code a picture with it.

    python examples/train_small.py PICTURES OUTPUT [PATCHES]

With a few patches it is bad, and shows the way; a good one of preset `light` takes a million.
On the command line the same is `agvae train`, `agvae export` and `agvae weights register`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import agvae
from agvae import weights
from agvae.images import read_rgb
from agvae.networks import ModelConfig, register_preset
from agvae.training import Trainer, TrainingOptions, export_checkpoint

pictures, output = Path(sys.argv[1]), Path(sys.argv[2])
patches = int(sys.argv[3]) if len(sys.argv) > 3 else 64

register_preset(
    ModelConfig(
        preset="small",
        width8=32,
        width16=48,
        latent=48,
        hyper_latent=16,
        entropy_width=32,
        analysis8=1,
        analysis16=1,
        synthesis16=1,
        synthesis8=1,
        betas=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3),
    )
)
run = output / "run"
options = TrainingOptions(
    (str(pictures),), str(run), preset="small", patches=patches, batch=4, crop=64, precision="fp32", device="cpu"
)
trainer = Trainer(options)
print(f"{sum(p.numel() for p in trainer.model.parameters()) / 1e6:.2f} million parameters")
trainer.run()

model = output / "small-1.safetensors"
export_checkpoint(run / "checkpoint.pt", model, "small-1")
path = next(path for path in sorted(pictures.iterdir()) if path.suffix in (".png", ".jpg"))
with weights.registered(model) as name:
    image = read_rgb(path, path.name)
    for quality in (1, 3.5, 6):
        data = agvae.encode(image, quality, model=name)
        print(f"{path.name} at quality {quality}: {len(data)} bytes, decoded to {agvae.decode(data).shape}")
