"""What a network and its parts must be for training, export and coding to know what to do with them.

`GainedAutoencoder` is made of parts of these kinds.  They are modules of PyTorch; their `forward` must be as below.
All maps are channels-last; q = s + l is the level counted from 0, and `weights` (B, n) are its `level_weights`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

Noise = Callable[[Tensor], Tensor]
"""Draws uniform noise in [0, 1) of the shape and type of a tensor."""


@dataclass
class StepParameters:
    """Entropy parameters of the symbols of one step, each (B, ...); sigma and asymmetry as base-2 logarithms."""

    mu: Tensor
    log2_sigma: Tensor
    asymmetry: Tensor


Walk = Generator[StepParameters, Tensor, Tensor]
"""Gives the parameters of each step, takes the y-hat of its symbols in the same shape, returns the whole y-hat."""


@dataclass
class Output:
    """What a training pass gives.

    Attributes:
        x_hat: (B, 3, H, W) reconstruction, not clamped.
        y_bits, z_bits: (B,) estimated code length of y and z in bits.
    """

    x_hat: Tensor
    y_bits: Tensor
    z_bits: Tensor


class Config(Protocol):
    """What decides the shape of a network; a frozen dataclass, `agvae.networks.configs.Shape`, gives most of it."""

    @property
    def preset(self) -> str:
        """Name of the preset that it belongs to."""

    @property
    def latent(self) -> int:
        """M, channels of y, at 1/16 of the resolution; a multiple of 4."""

    @property
    def hyper_latent(self) -> int:
        """c_hp, channels of z, at 1/64."""

    @property
    def betas(self) -> tuple[float, ...]:
        """The Lagrange multipliers B of section 4.1 of Cui et al. 2021, ascending; one for each gain vector."""

    @property
    def levels(self) -> int:
        """n, the number of gain vectors."""

    def to_dict(self) -> dict[str, object]:
        """The arguments that make it, of types that JSON has; tuples stand for lists."""

    def least_weights(self) -> int:
        """A number of weights that its network has at least, found without making one: what a file must hold."""


class EntropyShape(Config, Protocol):
    """What the default entropy model and hyperprior want of a configuration, be it that of another backbone."""

    @property
    def entropy_width(self) -> int:
        """Channels of h_a, h_s and the context model."""

    @property
    def asymmetric(self) -> bool:
        """Whether sigma_l and sigma_r may differ (equation 10)."""

    @property
    def border(self) -> str:
        """What convolutions find around a map, "zeros" or "replicate"."""

    @property
    def context_blocks(self) -> int:
        """Residual blocks of the context model: 1, or one for each of the three steps that have a context."""


class Part(Protocol):
    """A module of PyTorch."""

    def modules(self, remove_duplicate: bool = True) -> Iterator[nn.Module]: ...


class Gains(Part, Protocol):
    """One vector of channel gains for each level, interpolated between levels (equation 8)."""

    def __call__(self, weights: Tensor) -> Tensor:
        """(B, n) -> (B, 1, 1, C), or (1,) for all alike."""

    def forward(self, weights: Tensor) -> Tensor: ...


class Transform(Part, Protocol):
    """g_a, (B, H, W, 3) -> y (B, H/16, W/16, M), or g_s, y -> (B, 16 h, 16 w, 3)."""

    def __call__(self, x: Tensor, weights: Tensor) -> Tensor: ...

    def forward(self, x: Tensor, weights: Tensor) -> Tensor: ...

    def halo(self) -> int:
        """Pixels around a region on which its result depends, a multiple of 16."""


class HyperTransform(Part, Protocol):
    """h_a: y (B, h, w, M) -> z (B, ceil(h/4), ceil(w/4), c_hp)."""

    def __call__(self, y: Tensor) -> Tensor: ...

    def forward(self, y: Tensor) -> Tensor: ...


class EntropyWalk(Part, Protocol):
    """What encoder and decoder must compute alike, from z-hat to the parameters of each step of y.

    In float64, on weights that `agvae.entropy.exact.freeze` has put on a grid, every result must be exact; layers of
    `agvae.networks.layers` and sums that end with `agvae.entropy.exact.fix` are.  One that is also exact with these
    layers in integers and all else in float32 says so, `agvae.networks.integer_layers.fit_for_integers`.
    """

    def walk(self, z_hat: Tensor, weights: Tensor, height: int, width: int) -> Walk:
        """From z-hat (B, hz, wz, c_hp) through all steps to y-hat (B, height, width, M), height and width even."""

    def split(self, y: Tensor) -> Sequence[Tensor]:
        """The symbols of each step in y (B, h, w, M), in the shape of that step's parameters."""
