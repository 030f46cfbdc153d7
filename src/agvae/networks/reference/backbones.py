"""Layers of the paper's networks: backbones by name, and where their training starts.

Ballé et al. 2018 (`balle2018`), Minnen et al. 2018 (`minnen2018`), and section 3.6 of Cui et al. 2021 (`agvae2021`).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from compressai.layers import GDN, AttentionBlock, MaskedConv2d
from compressai.models import JointAutoregressiveHierarchicalPriors, ScaleHyperprior
from compressai.models.utils import conv, deconv
from torch import Tensor, nn

from agvae.networks.configs import ReferenceConfig

CONTEXT_SIZE = 5
REACH = CONTEXT_SIZE // 2
STAGES = 4
"""Convolutions of stride 2 in g_a, and in g_s."""
_CLOSED = -4.0
"""Where the gates of attention modules start; sigmoid of it is 0.02."""


def backbone(config: ReferenceConfig) -> Any:
    """g_a, g_s, h_a, h_s and, but for `balle2018`, context_prediction and entropy_parameters.

    With N = `width` and M = `latent`, maps being (B, C, H, W):

        g_a: image, 3 channels -> y, M at 1/16       four convolutions of stride 2, N channels between them
        g_s: y -> image                              four transposed convolutions of stride 2
        h_a: y -> z, N at 1/64                       the last two of its three convolutions have stride 2
        h_s: z -> 2 M channels at 1/16               for `balle2018`, which has no context, M: sigma itself
        context_prediction: y-hat -> 2 M             5 x 5, of the 12 positions before
        entropy_parameters: 4 M -> 2 M or 3 M        1 x 1: sigma, mu; or sigma_l, mu, sigma_r (equation 10)

    The activations are GDN (Ballé et al. 2016), of `agvae2021` with the attention modules of Cheng et al. 2020.
    Those of CompressAI have its names and shapes, so that checkpoints of its zoo fit (`strict=False`).
    """
    n, m = config.width, config.latent
    parts: Any
    if config.backbone == "balle2018":
        parts = ScaleHyperprior(n, m)
        if config.asymmetric:
            parts.h_s[-2] = conv(n, 3 * m, stride=1, kernel_size=3)
            parts.h_s[-1] = nn.Identity()
        return parts
    if config.backbone == "minnen2018":
        parts = JointAutoregressiveHierarchicalPriors(n, m)
    else:
        parts = nn.Module()
        parts.g_a = nn.Sequential(
            *(conv(3, n, 3), GDN(n), conv(n, n, 3), GDN(n), AttentionBlock(n)),
            *(conv(n, n, 3), GDN(n), conv(n, m, 3), AttentionBlock(m)),
        )
        parts.g_s = nn.Sequential(
            *(AttentionBlock(m), deconv(m, n, 3), GDN(n, inverse=True), deconv(n, n, 3), GDN(n, inverse=True)),
            *(AttentionBlock(n), deconv(n, n, 3), GDN(n, inverse=True), deconv(n, 3, 3)),
        )
        parts.h_a = nn.Sequential(
            *(conv(m, n, 3, 1), nn.LeakyReLU(inplace=True), conv(n, n, 3), nn.LeakyReLU(inplace=True), conv(n, n, 3)),
        )
        parts.h_s = nn.Sequential(
            *(deconv(n, m, 3), nn.LeakyReLU(inplace=True), deconv(m, m * 3 // 2, 3), nn.LeakyReLU(inplace=True)),
            conv(m * 3 // 2, m * 2, 3, 1),
        )
        parts.context_prediction = MaskedConv2d(m, 2 * m, kernel_size=CONTEXT_SIZE, padding=REACH, stride=1)
    if config.asymmetric or config.backbone == "agvae2021":
        widths = (4 * m, m * 10 // 3, m * 8 // 3, m * (3 if config.asymmetric else 2))
        layers: list[nn.Module] = []
        for k in range(3):
            layers += [nn.Conv2d(widths[k], widths[k + 1], 1), nn.LeakyReLU(inplace=True)]
        parts.entropy_parameters = nn.Sequential(*layers[:-1])
    return parts


def is_convolution(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)


class HyperAnalysis(nn.Module):
    """h_a, y (B, h, w, M) -> z (B, ceil(h/4), ceil(w/4), N); of |y| for `balle2018`, as published."""

    def __init__(self, layers: nn.Sequential, *, magnitude: bool) -> None:
        super().__init__()
        self.layers, self.magnitude = layers, magnitude

    def forward(self, y: Tensor) -> Tensor:
        y = y.abs() if self.magnitude else y
        z: Tensor = self.layers(y.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return z


def principal_components_start(analysis: Any, synthesis: Any, images: Tensor) -> None:
    """Make each strided convolution give the principal components of 2 x 2 blocks of its input on a sample of images
    (B, 3, H, W), halved, and each transposed one of g_s the inverse of the convolution at its resolution.

    Attention modules start all but closed.  Outputs beyond the number of components keep a tenth of their weights.
    """
    down = [layer for layer in analysis if isinstance(layer, nn.Conv2d)]
    up: list[Any] = [layer for layer in synthesis if isinstance(layer, nn.ConvTranspose2d)]
    inverses = dict(zip(down, reversed(up), strict=True))
    for layer in (*analysis, *synthesis):
        if isinstance(layer, AttentionBlock):
            gate: Any = layer.conv_b[-1]
            gate.weight.mul_(0.1)
            gate.bias.fill_(_CLOSED)
    x = images
    for layer in analysis:
        if layer in inverses:
            inverse = inverses[layer]
            mean = x.mean((0, 2, 3))
            blocks = F.pixel_unshuffle(x - mean[:, None, None], 2).transpose(0, 1).flatten(1)
            _, vectors = torch.linalg.eigh(blocks @ blocks.T / blocks.shape[1])
            basis = vectors.T.flip(0)[: layer.out_channels].unflatten(1, (-1, 2, 2))
            centre = slice(layer.kernel_size[0] // 2, layer.kernel_size[0] // 2 + 2)
            for weight, scale in ((layer.weight, 0.5), (inverse.weight, 2.0)):
                weight.mul_(0.1)
                weight[: len(basis)] = 0
                weight[: len(basis), :, centre, centre] = scale * basis
            layer.bias.zero_()
            layer.bias[: len(basis)] = -0.5 * basis.sum((2, 3)) @ mean
            inverse.bias.copy_(mean)
        x = layer(x)
