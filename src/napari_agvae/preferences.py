"""The settings page: napari 0.9 and later have it in Preferences; before, the defaults hold."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from typing import Any

from agvae.quality import DEFAULT_QUALITY
from napari_agvae.state import session

PLUGIN = "agvae"
RANGES = VALUES, CONTRAST_LIMITS = "values", "contrast limits"


@dataclass(frozen=True)
class Settings:
    """The properties of the manifest's `configurations`, of all pages together."""

    quality: float = DEFAULT_QUALITY
    model: str = ""
    device: str = "auto"
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


def wanted_model(settings: Settings) -> str | None:
    """Name of the model that the dock says, else the settings; None for the default one."""
    model = session.choice.model
    return (settings.model if model is None else model) or None


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
