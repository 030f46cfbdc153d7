"""What exact decoding costs in rate: real files against the same latents under real-valued parameters.

    python benchmarks/exactness_cost.py FOLDER [--calibrate DATA]

For every image (up to 1024 x 1024 pixels of it) and whole quality: the bits that the model writes (weights and inputs
in integers or on dyadic grids, 975 integer tables, skipped symbols, the range coder), against the bits of the same
quantized latents under the float32 entropy model and the density itself.  With --calibrate instead the bytes of the
default model, made anew in integers with units that come from training data, against those of the same weights in
float64.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from agvae import weights
from agvae.coding.engine import Latents, Model, channel_index
from agvae.container import TILE_SIZE
from agvae.entropy import asymmetric
from agvae.networks import GainedAutoencoder, build
from agvae.networks.autoencoder import StepParameters, follow, load_parameters
from agvae.networks.gain import level_weights
from agvae.quality import LEVEL_STEPS
from agvae.training.calibrate import CROP, sample
from agvae.training.data import load_images
from agvae.training.export import model_file_of


@torch.inference_mode()
def real_valued_bits(network: GainedAutoencoder, latents: Latents, q: float) -> float:
    """Bits of y under float32 parameters that no grid and no table has touched."""
    entropy = network.entropy
    interpolation = level_weights(torch.tensor([q]), network.config.levels)
    y_hat = latents.y_hat[None]
    _, height, width, _ = y_hat.shape
    z = torch.from_numpy(latents.z)[None].float()
    targets = iter(entropy.split(y_hat))
    bits = 0.0

    def visit(p: StepParameters) -> torch.Tensor:
        nonlocal bits
        target = next(targets)
        bits += float(asymmetric.bits(target - p.mu, p.log2_sigma, p.asymmetry).sum())
        return target

    follow(entropy.walk(z, interpolation, height, width), visit)
    return bits


def restored(file: weights.ModelFile) -> GainedAutoencoder:
    """The network of a model file in float32."""
    network = build(file.config)
    load_parameters(network, file.state)
    return network.float().eval()


def analysed(model: Model, image: torch.Tensor, level: int) -> torch.Tensor:
    height, width = (min(side, TILE_SIZE) // 32 * 32 for side in image.shape[:2])
    return model.analyse(image[:height, :width].permute(2, 0, 1)[None] / 255, [level])


def compare(images: list[torch.Tensor], name: str, data: list[str]) -> None:
    """Print what integers cost, and what they do to the error of y."""
    file, pictures = weights.read_model_file(weights.find(name)), sample(data, CROP)
    models = []
    with TemporaryDirectory() as folder:
        for kind, crops in (("float64", None), ("integers", pictures)):
            path = Path(folder) / f"{kind}.safetensors"
            path.write_bytes(weights.model_file_bytes(model_file_of(restored(file), file.card, crops)))
            models.append(Model(path, name, "cpu"))
    for s in range(6):
        sizes, errors = [0, 0], [0.0, 0.0]
        for image in images:
            y = analysed(models[0], image, s * LEVEL_STEPS)
            for k, model in enumerate(models):
                (packed,) = model.pack(y, [s * LEVEL_STEPS])
                sizes[k] += len(packed.payload)
                errors[k] += float((packed.y_hat - y[0]).square().sum())
        bytes_more, error_more = (100 * (after / before - 1) for before, after in (sizes, errors))
        print(
            f"quality {s + 1}: {bytes_more:+.3f} % of the bytes, {error_more:+.3f} % of the squared error", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--calibrate", action="append", metavar="DATA", help="see agvae export")
    args = parser.parse_args()
    images = load_images(args.folder)
    name = weights.registry()["default"]
    if args.calibrate:
        compare(images, name, args.calibrate)
        return
    exact, real = Model(weights.find(name), name, "cpu"), restored(weights.read_model_file(weights.find(name)))
    print(f"weights {name}, SHA-256 {exact.sha256}")
    for s in range(6):
        written = estimated = 0.0
        for image in images:
            level = s * LEVEL_STEPS
            (packed,) = exact.pack(analysed(exact, image, level), [level])
            (latents,) = exact.unpack([packed.payload], [level], *packed.y_hat.shape[:2])
            assert isinstance(latents, Latents)
            z_bits = exact.z_coder.bits(latents.z.ravel(), channel_index(latents.z.shape))
            written += 8 * len(packed.payload)
            estimated += z_bits + real_valued_bits(real, latents, float(s))
        print(f"quality {s + 1}: {100 * (written / estimated - 1):+.3f} %")


if __name__ == "__main__":
    main()
