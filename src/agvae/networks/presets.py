"""The networks that are known by name, and the Lagrange multipliers they are trained for."""

from __future__ import annotations

from agvae.networks.configs import ModelConfig, ReferenceConfig
from agvae.networks.contract import Config


def log_uniform_betas(low: float, high: float, count: int) -> tuple[float, ...]:
    """`count` Lagrange multipliers from low to high with a constant ratio, so that rates are evenly spread."""
    return tuple(low * (high / low) ** (k / (count - 1)) for k in range(count))


B_MSE = (0.0003, 0.001, 0.003, 0.007, 0.03, 0.05)
B_MS_SSIM = (0.0006, 0.001, 0.003, 0.007, 0.03, 0.07)
"""The Lagrange multipliers of section 4.1, ascending."""

DEFAULT_BETAS = log_uniform_betas(0.0007, 0.2, 6)

PRESETS: dict[str, Config] = {
    "light": ModelConfig(
        preset="light",
        width8=192,
        width16=256,
        latent=256,
        hyper_latent=96,
        entropy_width=192,
        analysis8=2,
        analysis16=3,
        synthesis16=4,
        synthesis8=4,
        betas=DEFAULT_BETAS,
    ),
    "base": ModelConfig(
        preset="base",
        width8=256,
        width16=512,
        latent=512,
        hyper_latent=128,
        entropy_width=320,
        analysis8=4,
        analysis16=4,
        synthesis16=4,
        synthesis8=7,
        betas=log_uniform_betas(0.0008, 0.5, 6),
        border="replicate",
        context_blocks=3,
    ),
    "agvae2021": ReferenceConfig("agvae2021", "agvae2021", 192, 192, "hcvr", True, B_MSE),
    "minnen2018-gained": ReferenceConfig("minnen2018-gained", "minnen2018", 192, 192, "hcvr", False, B_MSE),
    "balle2018-gained": ReferenceConfig("balle2018-gained", "balle2018", 128, 192, "hcvr", False, B_MSE),
}
