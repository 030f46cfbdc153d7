"""Sizes of the networks and the Lagrange multipliers they are trained for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, TypeAlias


def log_uniform_betas(low: float, high: float, count: int) -> tuple[float, ...]:
    """`count` Lagrange multipliers from low to high with a constant ratio, so that rates are evenly spread."""
    return tuple(low * (high / low) ** (k / (count - 1)) for k in range(count))


@dataclass(frozen=True)
class ModelConfig:
    """What defines the shape of an `AGVAE`.

    Attributes:
        preset: name of the preset that this configuration belongs to.
        width8, width16: channels of the transforms at 1/8 and 1/16 of the resolution.
        latent: channels M of y (at 1/16); a multiple of 4.
        hyper_latent: channels of z (at 1/64).
        entropy_width: channels of the hyper synthesis transform and the context model.
        analysis8, analysis16, synthesis16, synthesis8: residual blocks of g_a and g_s at each resolution.
        betas: the Lagrange multipliers B of section 4.1, ascending; their number is n, the gain vectors.
        asymmetric: sigma_l and sigma_r (equation 10), or one sigma (equation 9).
        border: what convolutions find around a map, "zeros" or the nearest values, "replicate".
    """

    preset: str
    width8: int
    width16: int
    latent: int
    hyper_latent: int
    entropy_width: int
    analysis8: int
    analysis16: int
    synthesis16: int
    synthesis8: int
    betas: tuple[float, ...]
    asymmetric: bool = True
    border: str = "zeros"

    @property
    def levels(self) -> int:
        return len(self.betas)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


BORDERS = ("zeros", "replicate")
BACKBONES = ("agvae2021", "minnen2018", "balle2018")
RATES = ("hcvr", "cvr", "bottleneck", "conditional")


@dataclass(frozen=True)
class ReferenceConfig:
    """What defines the shape of a network of `agvae.networks.reference`.

    Attributes:
        preset: name of the preset that this configuration belongs to.
        backbone: "agvae2021" (figure 6), "minnen2018" or "balle2018".
        width: N, channels of the transforms and of z.
        latent: M, channels of y; a multiple of 4.
        rate: how one model serves several rates: gain units on y ("cvr"), on y and z ("hcvr", section 3.4), one
            scale and its reciprocal around a fixed autoencoder ("bottleneck", Theis et al. 2017), or scales and
            biases after each convolution of g_a and g_s ("conditional", Choi et al. 2019).
        asymmetric: sigma_l and sigma_r (equation 10), or one sigma (equation 9).
        betas: the Lagrange multipliers B of section 4.1, ascending; their number is n, the gain vectors.
    """

    preset: str
    backbone: str
    width: int
    latent: int
    rate: str
    asymmetric: bool
    betas: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.rate not in RATES or self.backbone not in BACKBONES:
            msg = f"rate must be one of {', '.join(RATES)} and backbone of {', '.join(BACKBONES)}"
            raise ValueError(msg)

    @property
    def hyper_latent(self) -> int:
        return self.width

    @property
    def levels(self) -> int:
        return len(self.betas)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


AnyConfig: TypeAlias = ModelConfig | ReferenceConfig


def config_from_dict(values: dict[str, Any]) -> AnyConfig:
    """Inverse of `to_dict` of either kind.

    Raises:
        TypeError, KeyError: something is missing, unknown or of another type.
    """
    values = {**values, "betas": tuple(values["betas"])}
    return ReferenceConfig(**values) if "backbone" in values else ModelConfig(**values)


B_MSE = (0.0003, 0.001, 0.003, 0.007, 0.03, 0.05)
B_MS_SSIM = (0.0006, 0.001, 0.003, 0.007, 0.03, 0.07)
"""The Lagrange multipliers of section 4.1, ascending."""

DEFAULT_BETAS = log_uniform_betas(0.0007, 0.2, 6)

PRESETS: dict[str, AnyConfig] = {
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
        entropy_width=288,
        analysis8=2,
        analysis16=4,
        synthesis16=4,
        synthesis8=4,
        betas=log_uniform_betas(0.0008, 0.5, 6),
        border="replicate",
    ),
    "agvae2021": ReferenceConfig("agvae2021", "agvae2021", 192, 192, "hcvr", True, B_MSE),
    "minnen2018-gained": ReferenceConfig("minnen2018-gained", "minnen2018", 192, 192, "hcvr", False, B_MSE),
    "balle2018-gained": ReferenceConfig("balle2018-gained", "balle2018", 128, 192, "hcvr", False, B_MSE),
}
