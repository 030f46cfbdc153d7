"""Whether a network does what its contract says, found out on small pictures before it is trained or exported."""

from __future__ import annotations

import json
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from agvae.errors import require
from agvae.networks.architectures import restored
from agvae.networks.autoencoder import GainedAutoencoder, follow
from agvae.networks.contract import Config, StepParameters
from agvae.networks.gain import level_weights
from agvae.networks.integer_layers import IN_INTEGERS, fit_for_integers

_PARTS = {
    "config": ("preset", "latent", "hyper_latent", "betas", "levels", "to_dict", "least_weights"),
    "analysis": ("halo",),
    "synthesis": ("halo",),
    "entropy": ("walk", "split"),
    **dict.fromkeys(("gain", "inverse_gain", "hyper_analysis", "hyper_gain", "density"), ()),
}
_HEIGHT, _WIDTH = 96, 160
"""Of the pictures: multiples of 32 that are none of 64, as coding has them and training has not."""
_SIDE = 64
"""Of what is looked at beside a halo, in pixels."""
_SEEN = 1e-6
"""Share of the largest value by which what lies beyond a halo may change a result: what float32 rounds."""


@torch.no_grad()
def check_network(network: GainedAutoencoder) -> None:
    """See `agvae.networks.contract`; what a part itself raises comes out as it is.

    Raises:
        ValueError: a part is missing, or does not give what the contract says.
    """
    for name, methods in _PARTS.items():
        require(hasattr(network, name), f"the network has no {name}")
        for method in methods:
            require(hasattr(getattr(network, name), method), f"{name} has no {method}")
    _check_config(network.config, sum(value.numel() for value in network.state_dict().values()))
    for name in ("analysis", "synthesis"):
        halo = getattr(network, name).halo()
        good = type(halo) is int and halo >= 0 and halo % 16 == 0
        require(good, f"{name}.halo() must be a multiple of 16 pixels, not {halo!r}")
    entropy = network.get_submodule("entropy")
    layers = ", ".join(kind.__name__ for kind in IN_INTEGERS)
    fit = not vars(type(entropy)).get("in_integers") or fit_for_integers(entropy)
    require(fit, f"entropy says in_integers, but has parameters in layers other than {layers}")
    for name in _recomputed(entropy):
        require(False, f"entropy.{name} must be a persistent buffer, for its values to be exact")
    modes = {module: module.training for module in network.modules()}
    try:
        _check_shapes(network.eval())
        _check_halos(network)
    finally:
        for module, mode in modes.items():
            module.training = mode


def _check_config(config: Config, weights: int) -> None:
    kind = type(config).__name__
    try:
        same = restored(type(config), json.loads(json.dumps(config.to_dict()))) == config
    except (TypeError, ValueError) as error:
        msg = f"a file cannot hold this {kind}: {error}"
        raise ValueError(msg) from error
    require(same, f"this {kind} would be another one after a file, which holds what JSON has, tuples for lists")
    least = config.least_weights()
    require(type(least) is int, f"least_weights() of {kind} must be an integer, not {least!r}")
    require(least <= weights, f"least_weights() of {kind} is {least}, but the network has {weights} in all")


def _recomputed(module: nn.Module) -> Iterator[str]:
    """The buffers with fractions that a model file does not hold."""
    held = module.state_dict()
    return (name for name, value in module.named_buffers() if name not in held and value.is_floating_point())


def _check_shapes(network: GainedAutoencoder) -> None:
    config = network.config
    rows, columns = _HEIGHT // 16, _WIDTH // 16
    device = next((value.device for value in network.parameters()), None)
    q = torch.tensor([0.0, config.levels - 1], device=device)
    weights = level_weights(q, config.levels)
    x = torch.linspace(0, 1, 2 * 3 * _HEIGHT * _WIDTH, device=device).view(2, 3, _HEIGHT, _WIDTH)
    y = _of_shape("y of analysis and gain", network.analyse(x, weights), (2, rows, columns, config.latent))
    z = network.hyper_analyse(y, weights)
    z = _of_shape("z of hyper_analysis and hyper_gain", z, (2, -(-rows // 4), -(-columns // 4), config.hyper_latent))
    targets = iter(network.entropy.split(y))

    def visit(p: StepParameters) -> Tensor:
        target = next(targets, None)
        require(target is not None, "entropy.walk has more steps than entropy.split")
        assert target is not None
        for name in ("mu", "log2_sigma", "asymmetry"):
            _of_shape(f"{name} of a step of entropy.walk", getattr(p, name), tuple(target.shape))
        return target

    y_hat = follow(network.entropy.walk(z.round(), weights, rows, columns), visit)
    require(next(targets, None) is None, "entropy.walk has fewer steps than entropy.split")
    y_hat = _of_shape("what entropy.walk returns", y_hat, tuple(y.shape))
    same = torch.allclose(y_hat, y, rtol=0, atol=0, equal_nan=True)
    require(same, "entropy.walk puts y together in another order than entropy.split takes it apart")
    _of_shape("x-hat of synthesis, as (B, C, H, W),", network.synthesise(y, weights), tuple(x.shape))


def _check_halos(network: GainedAutoencoder) -> None:
    """That what is further away than a halo says changes next to nothing."""
    config = network.config
    device = next((value.device for value in network.parameters()), None)
    weights = level_weights(torch.tensor([config.levels - 1.0], device=device), config.levels)
    numbers = torch.Generator().manual_seed(1)
    for name, scale, channels in (("analysis", 1, 3), ("synthesis", 16, config.latent)):
        transform = getattr(network, name)
        first = _SIDE + transform.halo()  # that may be changed without a trace in the square of _SIDE before the halo
        width = (first // 32 + 2) * 32
        near = torch.rand(1, _SIDE // scale, width // scale, channels, generator=numbers, device="cpu")
        far = near.clone()
        far[:, :, first // scale :] += 1
        results = [transform(maps.to(device), weights) for maps in (near, far)]
        seen = [result[:, :, : result.shape[2] * _SIDE // width].float() for result in results]
        change = (seen[1] - seen[0]).abs().amax() / seen[0].abs().amax().clamp(min=1e-9)
        require(float(change) <= _SEEN, f"{name}.halo() is {transform.halo()} pixels, but its results depend on more")


def _of_shape(what: str, value: object, shape: tuple[int, ...]) -> Tensor:
    """The value, if it is a tensor of this shape."""
    found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
    require(found == shape, f"{what} must be {shape} for pictures of {_WIDTH} x {_HEIGHT} pixels, not {found}")
    assert isinstance(value, Tensor)
    return value
