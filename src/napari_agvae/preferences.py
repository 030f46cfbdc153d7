"""What saving and previews do: as a layer, the dock or the settings say.

napari 0.9 and later have a page of settings in Preferences; before, the defaults hold.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from agvae.encoding import check_flag
from agvae.quality import DEFAULT_QUALITY, parse_quality
from napari_agvae.state import session

if TYPE_CHECKING:
    from agvae.coding.assemble import Level
    from napari_agvae.io.document import LayerData

PLUGIN = "agvae"
RANGES = VALUES, CONTRAST_LIMITS = "values", "contrast limits"
EXACT = "exact"
"""The range of what is saved without loss, whatever the settings say."""


@dataclass(frozen=True)
class Settings:
    """The properties of the manifest's `configurations`, of all pages together."""

    quality: float = DEFAULT_QUALITY
    lossless: bool = False
    model: str = ""
    device: str = "auto"
    effort: int = 1
    value_range: str = VALUES
    visible_only: bool = True


def plugin_settings() -> Settings:
    """The settings at the moment; without napari, or with one that has no settings of plugins, the defaults."""
    found = _napari_settings()
    pages = [] if found is None else [getattr(found, name, None) for name in ("coding", "preview")]
    values = {
        field.name: getattr(page, field.name)
        for field in fields(Settings)
        for page in pages
        if hasattr(page, field.name)
    }
    return Settings(**values)


def wanted_level(layers: Iterable[LayerData], settings: Settings) -> Level:
    """What a layer asks for, else what the dock used last shows, the file of a layer had, or the settings say.

    It is None, for no loss, where that is asked for by one of the layers, or one of the files was so.

    Raises:
        ValueError: it is no quality.
    """
    about = [attributes.get("metadata") or {} for _, attributes, _ in layers]
    of_layers, of_files = (_mappings(each.get(key) for each in about) for key in ("agvae", "agv"))
    wishes: list[list[Mapping[str, Any]]] = [of_layers, [session.choice._asdict()], of_files, [vars(settings)]]
    for alike in wishes:
        for each in alike:
            files = each.get("files")  # of a stack of them
            for one in [each, *_mappings(files if isinstance(files, list) else ())]:
                check_flag("lossless", one.get("lossless"))
                if one.get("lossless"):
                    return None
        quality = next((each["quality"] for each in alike if each.get("quality") is not None), None)
        if quality is not None:
            return parse_quality(quality)
    return parse_quality()


def wanted_model(settings: Settings) -> str | None:
    """Name of the model that the dock says, else the settings; None for the default one."""
    model = session.choice.model
    return (settings.model if model is None else model) or None


def wanted_effort(settings: Settings) -> int:
    """That of the dock, else of the settings."""
    effort = session.choice.effort
    return settings.effort if effort is None else effort


def wanted_device(settings: Settings) -> str | None:
    """Where the dock says that networks run, else the settings; None leaves it to `agvae.options`."""
    device = session.choice.device or settings.device
    return None if device == "auto" else device


def _napari_settings() -> Any:
    if "napari" not in sys.modules:
        return None
    try:
        from napari.settings import get_plugin_settings

        return get_plugin_settings(PLUGIN)
    except (ImportError, KeyError):
        return None


def _mappings(found: Iterable[Any]) -> list[Mapping[str, Any]]:
    return [each for each in found if isinstance(each, Mapping)]
