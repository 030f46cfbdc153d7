"""Latents that suit one picture better than those of g_a: fewer bits for the same decoder, in exchange for time.

g_a is good for pictures on average.  For one picture the symbols k of y and z with the least

    J(k) = R(k) + beta D(x-hat(k))

are looked for, step by step, all at once (Yang et al. 2020 and Campos et al. 2019 have the aim; the way is another).
Around its optimum a trained J is a parabola in every latent: gains make the quantization step optimal, where half a
step's worth of rate, -log2 of the step, is lost as squared error, so that its curvature H is 12 / ln 2 bits for a step
squared.  Every step works out the gradient G of J at the symbols as they are, but for what a symbol's own value costs.
It says where a latent had best be if it were no integer, y-hat - G / H.  The target t of the latent goes there for a
share a, since others move, too, and the symbol becomes the one, of the nearest integer and the one next to it towards
0, for which own bits and H / 2 (k - t)^2 are least.  Shares fall to nearly nothing: the search comes to rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agvae.coding.distortion import distortion_of
from agvae.coding.engine import Model, Packed
from agvae.coding.windows import STRIDE
from agvae.networks.autoencoder import StepParameters, follow
from agvae.progress import checkpoint

CURVATURE = 12 / math.log(2)
_SHARES = (0.22, 0.004)
"""Of the way to a latent's target, at the first and at the last step."""
_OWN_BITS = (0.35, 0.5)
"""Weight of a symbol's own bits in its choice, after one step and after many: others must do without what it would tell
them, which takes steps to make up for."""
_MOST_PULL = 8.0
"""Bits for a step of a latent: where those of other symbols change faster, a gradient says nothing about a step."""
MARGIN = 2
"""Latents around what is looked at that have their part in its pixels, near enough."""
_STRIP = 2**19
"""Pixels of which gradients are worked out at once."""
_PATIENCE = 16
"""Steps without gain, after which there is none."""


class Part(NamedTuple):
    """What is refined: a tile and some latents around it, which stay.

    Attributes:
        x: (1, 3, 16 h, 16 w) float32 in [0, 1], the picture there.
        y: (1, h, w, M), gained y of g_a there.
        rows, columns: of the tile in y.
        area: pixels of the tile, for whoever watches.
        seen: (16 h, 16 w), which pixels count; None for all.
    """

    x: Tensor
    y: Tensor
    rows: slice
    columns: slice
    area: int
    seen: NDArray[np.bool_] | None = None


def refined(model: Model, part: Part, level: int, steps: int) -> tuple[Packed, float]:
    """The tile, coded after so many steps or fewer, and how many bits of R + beta D that wins, by the model's estimate.

    Raises:
        RuntimeError: PyTorch cannot work out gradients in this process, which was forked.
    """
    y_hat, z, gain = _Search(model, part, level, steps).best()
    (packed,) = model.pack(y_hat, [level], z)
    return packed, gain


class _Search:
    def __init__(self, model: Model, part: Part, level: int, steps: int) -> None:
        self._model, self._part, self._steps = model, part, steps
        soon, late = _OWN_BITS
        self._own_bits = late - (late - soon) / max(steps, 1)
        y = part.y[:, part.rows, part.columns]
        z = model.hyper_analyse(y, level)
        with _learning(model):
            self._weights = model.weights([level])
            self._distortion = distortion_of(model, part.x, part.seen, level)
            self._around = part.y.clone()
            self._z = z.to(model.exact_type).clone()
            self._targets = [target.clone() for target in self._split(y)]
        self._shape = y.shape[1:3]

    def best(self) -> tuple[Tensor, Tensor, float]:
        """y-hat and z of the least J found, and how much less that is than at first."""
        with _learning(self._model):
            first = best = self._at(0)
            found = 0
            done = 0
            for step in range(1, self._steps + 1):
                at = self._at(step)
                share = self._part.area * step // self._steps - done
                checkpoint(share)
                done += share
                if at.cost < best.cost:
                    best, found = at, step
                elif step - found >= _PATIENCE:
                    break
            checkpoint(self._part.area - done)
            return best.y_hat, best.z, first.cost - best.cost

    def _at(self, step: int) -> _Symbols:
        """The symbols of the targets, which then move, unless this is the last step.

        At first each is the nearest integer, as without a search.
        """
        gradients = step < self._steps
        z = self._cheaper_z() if step else self._z.round()
        z_bits = float(self._model.network.density.bits(z).sum())
        z.requires_grad_(gradients)
        targets = iter(self._targets)
        parts: list[Tensor] = []
        rate: list[float] = []
        slopes: list[Tensor] = []

        def visit(p: StepParameters) -> Tensor:
            checkpoint()
            mu = p.mu.detach()
            symbols = self._cheaper(next(targets) - mu, p) if step else (next(targets) - mu).round()
            part = (mu + symbols).requires_grad_(gradients)
            parts.append(part)
            bits, slope = self._bits_and_slope([part.detach() - p.mu, p.log2_sigma, p.asymmetry], gradients=gradients)
            rate.append(bits)
            slopes.append(slope)
            return part

        y_hat = follow(self._model.network.entropy.walk(z, self._weights, *self._shape), visit).detach()
        if gradients:
            of_rate = torch.autograd.grad(torch.stack(slopes).sum(), [z, *parts], allow_unused=True)
        error, pulls = self._distorted(y_hat.float(), gradients=gradients)
        cost = z_bits + sum(rate) + error
        if gradients:
            first, last = _SHARES
            self._move(first + (last - first) * step / self._steps, z, parts, of_rate, pulls)
        return _Symbols(cost, y_hat, z.detach())

    def _move(
        self, share: float, z: Tensor, parts: Sequence[Tensor], of_rate: Sequence[Tensor | None], of_error: Tensor
    ) -> None:
        """Targets, towards where latents had best be."""
        with torch.no_grad():
            pulls = [
                torch.zeros_like(part) if pull is None else pull
                for part, pull in zip([z, *parts], of_rate, strict=True)
            ]
            self._z += share * (z - pulls[0].clamp(-CURVATURE, CURVATURE) / CURVATURE - self._z)
            errors = self._split(of_error)
            for target, part, pull, error in zip(self._targets, parts, pulls[1:], errors, strict=True):
                gradient = error.to(part.dtype) + pull.clamp(-_MOST_PULL, _MOST_PULL)
                target += share * (part - gradient / CURVATURE - target)

    def _cheaper(self, u: Tensor, p: StepParameters) -> Tensor:
        """Of the nearest integers to u and those next to them towards 0, the better ones."""
        with torch.no_grad():
            near = u.round()
            smaller = near - near.sign()
            costs = [self._own_bits * self._bits(k, p) + CURVATURE / 2 * (k - u).square() for k in (near, smaller)]
            return torch.where(costs[1] < costs[0], smaller, near)

    def _cheaper_z(self) -> Tensor:
        with torch.no_grad():
            low = self._z.floor()
            density = self._model.network.density
            costs = [
                self._own_bits * density.bits(k).to(k.dtype) + CURVATURE / 2 * (k - self._z).square()
                for k in (low, low + 1)
            ]
            return torch.where(costs[1] < costs[0], low + 1, low)

    def _bits(self, residuals: Tensor, p: StepParameters) -> Tensor:
        return self._model.network.residual_bits(residuals, p.log2_sigma, p.asymmetry)

    def _bits_and_slope(self, of: Sequence[Tensor], *, gradients: bool) -> tuple[float, Tensor]:
        """The bits of residuals with their parameters, and a number with the gradient of these bits.

        It is linear in what it is of, and so keeps a tenth of what the bits themselves would.
        """
        values = [value.detach().requires_grad_(gradients) for value in of]
        with torch.set_grad_enabled(gradients):
            bits = self._model.network.residual_bits(*values).sum()
        pulls = torch.autograd.grad(bits, values, allow_unused=True) if gradients else ()
        slopes = [(pull * value).sum() for pull, value in zip(pulls, of, strict=False) if pull is not None]
        return float(bits.detach()), sum(slopes, bits.new_zeros(()))

    def _split(self, y: Tensor) -> Sequence[Tensor]:
        """The symbols of each step, on the entropy model's device and in its type."""
        return self._model.network.entropy.split(y.to(self._model.exact_device, self._model.exact_type))

    def _distorted(self, y_hat: Tensor, *, gradients: bool) -> tuple[float, Tensor]:
        """beta D in bits with y-hat (1, h, w, M) in the tile, and its gradient; strip by strip, which bounds memory."""
        model = self._model
        rows, columns = self._part.rows, self._part.columns
        self._around[:, rows, columns] = y_hat
        weights = self._weights.float().to(model.device)
        total, pulls = 0.0, torch.zeros_like(self._around)
        for strip in self._strips():
            checkpoint()
            outer = slice(max(strip.start - MARGIN, 0), strip.stop + MARGIN)
            latents = self._around[:, outer].clone().requires_grad_(gradients)
            with torch.set_grad_enabled(gradients):
                x_hat = model.network.synthesise(latents, weights).clamp(0, 1)
                inner = slice(STRIDE * (strip.start - outer.start), STRIDE * (strip.stop - outer.start))
                error = self._distortion(x_hat[:, :, inner], slice(STRIDE * strip.start, STRIDE * strip.stop))
            total += float(error.detach())
            if gradients:
                pulls[:, outer] += torch.autograd.grad(error, latents)[0]
        return total, pulls[:, rows, columns]

    def _strips(self) -> Iterator[slice]:
        """Rows of latents of which g_s has enough to do, of equal height, but for the last."""
        height, width = self._around.shape[1:3]
        count = -(-height * width * STRIDE**2 // _STRIP)
        side = -(-height // count)
        for top in range(0, height, side):
            yield slice(top, min(top + side, height))


class _Symbols(NamedTuple):
    """R + beta D in bits, y-hat (1, h, w, M), and z."""

    cost: float
    y_hat: Tensor
    z: Tensor


@contextmanager
def _learning(model: Model) -> Iterator[None]:
    """Work out gradients in float32, whatever modes the caller is in."""
    with ExitStack() as modes:
        modes.enter_context(torch.inference_mode(False))
        modes.enter_context(torch.enable_grad())
        for kind in {model.device.type, model.exact_device.type, "cpu"}:
            modes.enter_context(torch.autocast(kind, enabled=False))
        yield
