"""Decoded pictures as tensors in PyTorch's layout, on the device that decodes."""

from __future__ import annotations

import torch
from torch import Tensor

from agvae.coding.engine import usable_device
from agvae.coding.extract import Part
from agvae.settings import options


def device_of_options() -> torch.device:
    """The one that `agvae.options.device` names."""
    return usable_device(options.device)


def tensor_of(part: Part, device: torch.device) -> Tensor:
    """(C, H, W) uint8, of mode I;16 uint16; the same values as `Part.pixels`."""
    if not isinstance(part.colour, Tensor):
        return _bands_first(torch.tensor(part.pixels(), device=device))
    colour = part.colour.to(device)
    if part.header.grey or not part.header.mode.startswith("RGB"):
        grey = (colour.sum(dim=2, keepdim=True, dtype=torch.int32) + 1).div(3, rounding_mode="floor").to(torch.uint8)
        colour = grey.expand(-1, -1, 3) if part.header.grey else grey
    if part.alpha is not None:
        colour = torch.cat((colour, torch.tensor(part.alpha, device=device)[..., None]), dim=2)
    return _bands_first(colour)


def _bands_first(pixels: Tensor) -> Tensor:
    return (pixels[..., None] if pixels.ndim == 2 else pixels).permute(2, 0, 1).contiguous()
