"""What decides the shape of a network, checked when it is made."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from itertools import pairwise

from agvae.errors import require

BORDERS = ("zeros", "replicate")
BACKBONES = ("agvae2021", "minnen2018", "balle2018")
RATES = ("hcvr", "cvr", "bottleneck", "conditional")

MAX_LEVELS, MAX_CHANNELS, MAX_BLOCKS = 64, 1024, 64

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


class Shape(ABC):
    """What configurations share: checks of what all of them have, and their form in files.

    A configuration is a frozen dataclass that inherits this, with at least the fields `preset`, `latent`,
    `hyper_latent` and `betas`, and others of types that JSON has, tuples for lists.  One with checks of its own makes
    them in a `__post_init__` that calls this one; what they raise must be ValueError.
    """

    preset: str
    latent: int
    hyper_latent: int
    betas: tuple[float, ...]

    def __post_init__(self) -> None:
        require(isinstance(self.preset, str) and _NAME.fullmatch(self.preset), "preset must be 1 to 64 of A-Za-z0-9._-")
        numbers = all(type(beta) in (int, float) and math.isfinite(beta) for beta in self.betas)
        require(numbers and 1 <= self.levels <= MAX_LEVELS, f"betas must be 1 to {MAX_LEVELS} numbers")
        ascending = self.betas[0] > 0 and all(a < b for a, b in pairwise(self.betas))
        require(ascending and isinstance(self.betas, tuple), "betas must be a tuple of positive numbers that ascend")
        quarters = isinstance(self.latent, int) and self.latent % 4 == 0
        require(quarters, "the channels of y must be a multiple of 4")
        check_channels(self.latent, self.hyper_latent)

    @property
    def levels(self) -> int:
        """n, the number of gain vectors."""
        return len(self.betas)

    def to_dict(self) -> dict[str, object]:
        """The arguments that make it."""
        return asdict(self)  # type: ignore[call-overload]

    @abstractmethod
    def least_weights(self) -> int:
        """A number of weights that its network has at least; a file that has fewer is refused before one is made."""


def check_channels(*sizes: int) -> None:
    """
    Raises:
        ValueError: a number of channels is none that a layer may have.
    """
    good = all(type(size) is int and 1 <= size <= MAX_CHANNELS for size in sizes)
    require(good, f"numbers of channels must be 1 to {MAX_CHANNELS}")


@dataclass(frozen=True)
class ModelConfig(Shape):
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
        context_blocks: residual blocks of the context model, 1 for all of its steps or one for each of the three.

    Raises:
        ValueError: a value is outside its range.
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
    context_blocks: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_channels(self.width8, self.width16, self.entropy_width)
        depths = (self.analysis8, self.analysis16, self.synthesis16, self.synthesis8)
        good = all(type(depth) is int and 0 <= depth <= MAX_BLOCKS for depth in depths)
        require(good, f"numbers of blocks must be 0 to {MAX_BLOCKS}")
        require(isinstance(self.asymmetric, bool) and self.border in BORDERS, "unknown entropy model or border")
        require(self.context_blocks in (1, 3), "the context model has 1 block or 3")

    def least_weights(self) -> int:
        """Those of the matrices in its blocks, of which each has two of C x 2 C."""
        c8, c16 = self.width8**2, self.width16**2
        transforms = (self.analysis8 + self.synthesis8) * c8 + (self.analysis16 + self.synthesis16) * c16
        return 4 * (transforms + 3 * self.entropy_width**2)


@dataclass(frozen=True)
class ReferenceConfig(Shape):
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

    Raises:
        ValueError: a value is outside its range.
    """

    preset: str
    backbone: str
    width: int
    latent: int
    rate: str
    asymmetric: bool
    betas: tuple[float, ...]

    def __post_init__(self) -> None:
        known = self.rate in RATES and self.backbone in BACKBONES
        require(known, f"rate must be one of {', '.join(RATES)} and backbone of {', '.join(BACKBONES)}")
        require(isinstance(self.asymmetric, bool), "unknown entropy model")
        super().__post_init__()

    @property
    def hyper_latent(self) -> int:  # type: ignore[override]
        """c_hp, which is N."""
        return self.width

    def least_weights(self) -> int:
        """Those of three convolutions of 3 x 3 or more in g_a, as many in g_s, and of one between N and M in each."""
        return 9 * self.width * (4 * self.width + 4 * self.latent)
