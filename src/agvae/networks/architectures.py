"""The kinds of networks that files can name: those of this package, and those that other packages register."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points, packages_distributions
from typing import Any, NamedTuple

import torch

from agvae.errors import require
from agvae.networks.autoencoder import GainedAutoencoder
from agvae.networks.configs import ModelConfig, ReferenceConfig
from agvae.networks.contract import Config
from agvae.networks.model import AGVAE
from agvae.networks.presets import PRESETS

GROUP = "agvae.networks"
"""Entry points of other packages: an architecture's name, and the module whose import registers it."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


class Architecture(NamedTuple):
    """A kind of network: the type of its configurations, and what makes a network of one."""

    name: str
    config: type[Config]
    network: Callable[[Any], GainedAutoencoder]


def _reference(config: ReferenceConfig) -> GainedAutoencoder:
    from agvae.networks.reference import ReferenceAGVAE

    return ReferenceAGVAE(config)


_OWN = {
    "agvae": Architecture("agvae", ModelConfig, AGVAE),
    "reference": Architecture("reference", ReferenceConfig, _reference),
}
_OWN_PRESETS = frozenset(PRESETS)
_known = dict(_OWN)


def register(
    name: str,
    config_type: type[Config],
    network_type: Callable[[Any], GainedAutoencoder],
    presets: Iterable[Config] = (),
) -> None:
    """Make an architecture known to training, export, `agvae info` and decoding.

    Model files and checkpoints name it.  A package whose networks are to be found without being imported first has an
    entry point of this name in the group `agvae.networks`, whose value is the module that calls this.

    Args:
        name: 1 to 64 of the characters A-Z a-z 0-9 . _ -
        config_type: the class of its configurations, see `agvae.networks.Shape`; one of its own, as a network is found
            by it.
        network_type: makes a network, with new weights, of a configuration.
        presets: configurations that `agvae train --preset` is to know, by their attribute `preset`.

    Raises:
        ValueError: the name, the class or a preset is that of another architecture, or the class is none.
    """
    require(_NAME.fullmatch(name), f"{name!r} is no name for an architecture: 1 to 64 of A-Za-z0-9._-")
    fit = isinstance(config_type, type) and hasattr(config_type, "to_dict") and hasattr(config_type, "least_weights")
    require(fit, f"{config_type!r} is no class of configurations, which inherits agvae.networks.Shape")
    before = _known.get(name)
    anew = before is not None and name not in _OWN and _place(before.config) == _place(config_type)
    require(before is None or anew, f"another architecture is registered under the name {name!r}")
    for other in _known.values():
        if other.config is config_type and other.name != name:
            msg = f"{_place(config_type)} is the configuration of the architecture {other.name!r} already"
            raise ValueError(msg)
    presets = list(presets)
    for config in presets:
        require(type(config) is config_type, f"preset {config.preset!r} is no {_place(config_type)}")
        _check_preset(config)
    _known[name] = Architecture(name, config_type, network_type)
    PRESETS.update({config.preset: config for config in presets})


def register_preset(config: Config) -> None:
    """Make a configuration of a registered architecture known to `agvae train --preset`, by its attribute `preset`.

    Raises:
        ValueError: there is another one of this name, or no architecture is registered for it.
    """
    architecture_of(config)
    _check_preset(config)
    PRESETS[config.preset] = config


def _check_preset(config: Config) -> None:
    old = PRESETS.get(config.preset, config)
    own = config.preset in _OWN_PRESETS and old != config
    require(_place(type(old)) == _place(type(config)) and not own, f"there is another preset {config.preset!r}")


def _place(config_type: type[Config]) -> str:
    return f"{config_type.__module__}.{config_type.__qualname__}"


def architecture_of(config: Config) -> Architecture:
    """
    Raises:
        ValueError: none is registered for its very class; a subclass may be the configuration of another network.
    """
    for known in _known.values():
        if known.config is type(config):
            return known
    msg = f"no architecture is registered for {_place(type(config))}: see agvae.networks.register"
    raise ValueError(msg)


def architecture(name: str, package: str = "") -> Architecture:
    """The architecture of a name that a file or a checkpoint has; an installed package that offers it is imported.

    Args:
        package: where the file says that it comes from.

    Raises:
        ValueError: there is none, or its package cannot be imported.
    """
    require(isinstance(name, str) and _NAME.fullmatch(name), "the name of its architecture is none")
    if name not in _known:
        for point in entry_points(group=GROUP, name=name):
            _load(point)
    if name not in _known:
        known = isinstance(package, str) and _NAME.fullmatch(package)
        source = f"the package {package!r}" if known else "the module"
        msg = f"its architecture {name!r} is not known here: {source} that registers it is not installed or imported"
        raise ValueError(msg)
    return _known[name]


def preset(name: str) -> Config:
    """The configuration of a preset; where it is unknown, installed packages that offer networks are imported.

    Raises:
        ValueError: there is none, be it that a package cannot be imported.
    """
    failed = ""
    for point in entry_points(group=GROUP) if name not in PRESETS else ():
        try:
            _load(point)
        except ValueError as error:  # another package may have it
            failed += f"; {error}"
    require(name in PRESETS, f"preset must be one of {', '.join(PRESETS)}, not {name!r}{failed}")
    return PRESETS[name]


def _load(point: EntryPoint) -> None:
    try:
        point.load()
    except Exception as error:
        source = point.dist.name if point.dist else _package(point.module)
        msg = f"{point.value}, which {source} offers as {point.name!r}, cannot be imported: {error}"
        raise ValueError(msg) from error


def signature(config: Config) -> dict[str, str]:
    """How files name the architecture of a configuration, and the package to install for it, as far as that is known.

    One that is not registered is named after its class, which is then not found.
    """
    kind = type(config)
    name = next((known.name for known in _known.values() if known.config is kind), "")
    return {"architecture": name or f"{kind.__module__}.{kind.__name__}"[-64:], "package": _package(kind.__module__)}


def _package(module: str) -> str:
    top = module.partition(".")[0]
    if top == "__main__":  # a script, or a notebook
        return ""
    if top == "agvae":  # to look it up would take a while
        return top
    return next(iter(packages_distributions().get(top, [])), top)


def build(config: Config, device: str = "cpu") -> GainedAutoencoder:
    """The network of a configuration, with new weights; on the device "meta" without values.

    Raises:
        ValueError: no architecture is registered for this class of configurations.
        ModuleNotFoundError: it is one of the paper's networks, and CompressAI is not installed (`agvae[train]`).
    """
    with torch.device(device):
        return architecture_of(config).network(config).float()


def config_from_dict(values: dict[str, Any], name: str = "", package: str = "") -> Config:
    """Inverse of `to_dict`.

    Args:
        name: of the architecture; files from before there were names have one of this package.
        package: see `architecture`.

    Raises:
        TypeError, KeyError, ValueError: something is missing, unknown, of another type, or outside its range.
    """
    if not name:
        name = "reference" if "backbone" in values else "agvae"
    return restored(architecture(name, package).config, values)


def restored(config_type: type[Config], values: dict[str, Any]) -> Config:
    """A configuration from its arguments as JSON has them."""
    made: Config = config_type(**{key: _tuples(value) for key, value in values.items()})
    return made


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value
