"""Sizes of the networks and the Lagrange multipliers they are trained for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


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

    @property
    def levels(self) -> int:
        return len(self.betas)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        return cls(**{**values, "betas": tuple(values["betas"])})


DEFAULT_BETAS = log_uniform_betas(0.0007, 0.2, 6)

PRESETS = {
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
        width16=384,
        latent=320,
        hyper_latent=192,
        entropy_width=256,
        analysis8=4,
        analysis16=6,
        synthesis16=6,
        synthesis8=8,
        betas=DEFAULT_BETAS,
    ),
}
