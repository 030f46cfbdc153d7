"""Crops that no file has: flat colours, gradients, and dark fields like those of 16-bit microscopes."""

from __future__ import annotations

import torch
from torch import Tensor

_BLOBS = 4


def with_drawn(crops: Tensor, count: int, share: float, generator: torch.Generator, part: slice) -> Tensor:
    """The crops, about a `share` of which give way, in place, to drawn ones.

    Args:
        crops: (b, 3, size, size) in [0, 1], those of `part` of a batch; overwritten.
        count: crops of the whole batch, for all of which random numbers are drawn.
        share: 0 to 1.
        generator: on the device of the crops.
        part: of the batch.
    """
    size, device = crops.shape[-1], crops.device
    chosen = (torch.rand(count, generator=generator, device=device)[part] < share).nonzero()[:, 0]
    u = torch.rand(count, 7 + 3 * _BLOBS, generator=generator, device=device)[part][chosen]
    colours = torch.rand(count, 2, 3, generator=generator, device=device)[part][chosen]
    noise = torch.randn(size, size, generator=generator, device=device)
    kind = u[:, :1, None, None]
    crops[chosen] = torch.where(kind < 0.4, _dark(u[:, 1:], noise), _gradient(u[:, 1:], colours, size, kind < 0.8))
    return crops


def _gradient(u: Tensor, colours: Tensor, size: int, flat: Tensor) -> Tensor:
    """(b, 3, size, size) multiples of 1/255: from one colour to another in any direction, or of the first alone."""
    first, second = (_colour(u[:, k], colours[:, k])[:, :, None, None] for k in range(2))
    angle, width, middle = (6.2832 * u[:, 2, None, None], 0.1 + u[:, 3, None, None], u[:, 4, None, None] - 0.5)
    ramp = torch.linspace(-1, 1, size, device=u.device)
    place = ramp[:, None] * angle.sin() + ramp * angle.cos()
    mix = (0.5 + (place - middle) / (2 * width)).clamp(0, 1)[:, None]
    return (255 * torch.where(flat, first, torch.lerp(first, second, mix))).round() / 255


def _colour(u: Tensor, values: Tensor) -> Tensor:
    """(b, 3): a fifth each black, white, grey, dark, and of saturated colours or any other."""
    u = u[:, None]
    grey = values[:, :1].expand(-1, 3)
    colour = torch.where(u < 0.9, (values < 0.5).float(), values)
    colour = torch.where(u < 0.8, values / 8, colour)
    colour = torch.where(u < 0.6, grey, colour)
    return torch.where(u < 0.4, (u < 0.2).float(), colour)


def _dark(u: Tensor, noise: Tensor) -> Tensor:
    """(b, 3, size, size) grey near zero: faint blobs on a background, noise, and in half of them one hot pixel."""
    size = noise.shape[-1]
    background, deviation, strength = (u[:, k, None, None, None] for k in range(3))
    blobs = u[:, 3 : 3 + 3 * _BLOBS].unflatten(1, (_BLOBS, 3, 1)) * size
    ramp = torch.arange(size, device=u.device)
    rows, columns = (((ramp - blobs[:, :, k]) / (2 + blobs[:, :, 2] / 8)).square() for k in range(2))
    light = torch.einsum("nkh,nkw->nhw", torch.exp(-rows), torch.exp(-columns))[:, None]
    grey = background.square() / 16 + 0.2 * strength.square() * light + 0.02 * deviation.square() * noise
    row, column, coin = (u[:, 3 + 3 * _BLOBS + k, None, None, None] for k in range(3))
    place = (row * size).long() * size + (column * size).long()
    hot = (torch.arange(size * size, device=u.device).view(size, size) == place) & (coin < 0.5)
    return torch.where(hot, 1.0, grey).clamp(0, 1).expand(-1, 3, -1, -1)
