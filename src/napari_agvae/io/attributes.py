"""What napari knows of a layer besides its pixels, as JSON, and back."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

OWN_METADATA = ("agv", "agvae")
"""Keys of layer metadata that are about files and made anew: facts of the file opened, wishes for the one saved."""

MAX_DOCUMENT = 2**22
"""Bytes of the JSON of a file; what a reader is willing to parse."""

_DEFAULTS = {"opacity": 1, "gamma": 1, "blending": "translucent_no_depth", "interpolation2d": "nearest"}
_MAX_COLORS = 1024
_MAX_DEPTH = 32


def to_json(attributes: Mapping[str, Any], ndim: int, bands: int) -> dict[str, Any]:
    """What differs from napari's defaults; metadata that JSON has no types for are left out with a warning.

    Args:
        attributes: of an image layer as napari gives them to writers.
        ndim: number of the layer's axes, without that of colour.
        bands: 1, 3 or 4.
    """
    found: dict[str, Any] = {}
    for name, default in geometry(ndim).items():
        value = attributes.get(name)
        if value is None:
            continue
        if np.any(value) if name == "shear" else not np.array_equal(value, default):  # napari pads a shear of 0
            found[name] = np.asarray(value, float).tolist()
    units, labels = attributes.get("units"), attributes.get("axis_labels")
    if units is not None and set(map(str, units)) != {"pixel"}:
        found["units"] = [str(unit) for unit in units]
    if labels is not None and [label.removeprefix("axis ") for label in labels] != [*map(str, range(-ndim, 0))]:
        found["axis_labels"] = [str(label) for label in labels]
    for name, default in _DEFAULTS.items():
        value = attributes.get(name, default)
        if value != default:
            found[name] = value if isinstance(value, str) else float(value)
    if bands == 1:
        limits = attributes.get("contrast_limits")
        if limits is not None:
            found["contrast_limits"] = [float(limit) for limit in limits]
        colormap = _colormap_to_json(attributes.get("colormap", "gray"))
        if colormap != "gray":
            found["colormap"] = colormap
    metadata = _plain_metadata(attributes)
    return found | ({"metadata": metadata} if metadata else {})


def from_json(found: Mapping[str, Any], ndim: int, bands: int) -> dict[str, Any]:
    """Keyword arguments of an image layer; members that are not known are ignored.

    Raises:
        ValueError: a member is not as docs/FORMAT.md says.
    """
    known: dict[str, Any] = {}
    for name, default in geometry(ndim).items():
        if name in found:
            value = found[name]
            triangular = name == "shear" and isinstance(value, list) and any(isinstance(row, list) for row in value)
            value = _numbers(name, value, (ndim, ndim) if triangular else default.shape)
            if name == "scale" and 0 in value:
                _refuse(name)
            known[name] = value.tolist()
    for name in ("units", "axis_labels"):
        if name in found:
            value = found[name]
            if not isinstance(value, list) or len(value) != ndim or not all(_is_text(part) for part in value):
                _refuse(name)
            known[name] = tuple(value)
    for name, high in (("opacity", 1.0), ("gamma", 100.0)):
        if name in found:
            value = float(_numbers(name, found[name], ()))
            if not 0 <= value <= high or (name == "gamma" and value == 0):
                _refuse(name)
            known[name] = value
    for name in ("blending", "interpolation2d"):  # of which `known_here` asks napari
        if name in found:
            if not _is_text(found[name]):
                _refuse(name)
            known[name] = found[name]
    if bands == 1 and "contrast_limits" in found:
        low, high = _numbers("contrast_limits", found["contrast_limits"], (2,)).tolist()
        if low >= high:
            _refuse("contrast_limits")
        known["contrast_limits"] = [low, high]
    if bands == 1 and "colormap" in found:
        known["colormap"] = _colormap_from_json(found["colormap"])
    metadata = found.get("metadata", {})
    if not isinstance(metadata, dict):
        _refuse("metadata")
    return known | {"metadata": {key: value for key, value in metadata.items() if key not in OWN_METADATA}}


def known_here(attributes: dict[str, Any]) -> dict[str, Any]:
    """The attributes without names that napari, if it is loaded, does not know; warns of them."""
    if "napari" not in sys.modules:
        return attributes
    import pint
    from napari.layers import Image
    from napari.utils.colormaps import ensure_colormap

    registry = pint.get_application_registry()
    checks: dict[str, Callable[[Any], object]] = {
        "colormap": ensure_colormap,
        "units": lambda units: [registry.Unit(unit) for unit in units],
        "blending": lambda blending: Image(np.zeros((1, 1)), blending=blending),
        "interpolation2d": lambda interpolation: Image(np.zeros((1, 1)), interpolation2d=interpolation),
    }
    known = dict(attributes)
    for name, check in checks.items():
        try:
            if name in known:
                check(known[name])
        except Exception:
            warnings.warn(f"this napari does not know the {name} {known.pop(name)!r:.100}", stacklevel=2)
    return known


def geometry(ndim: int) -> dict[str, Any]:
    """Defaults of what places the pixels in the world."""
    return {
        "scale": np.ones(ndim),
        "translate": np.zeros(ndim),
        "rotate": np.eye(ndim),
        "shear": np.zeros(ndim * (ndim - 1) // 2),
        "affine": np.eye(ndim + 1),
    }


def _numbers(name: str, value: Any, shape: tuple[int, ...]) -> Any:
    try:
        numbers = np.asarray(value)
        good = numbers.shape == shape and numbers.dtype.kind in "iuf" and bool(np.isfinite(numbers).all())
    except (TypeError, ValueError, OverflowError):
        good = False
    if not good:
        _refuse(name)
    return numbers.astype(float)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 100


def _refuse(name: str) -> NoReturn:
    msg = f"impossible {name}"
    raise ValueError(msg)


def _colormap_to_json(colormap: Any) -> Any:
    if isinstance(colormap, str):
        return colormap
    values = colormap if isinstance(colormap, Mapping) else vars(colormap)
    colors = np.asarray(values["colors"], float)
    if "napari" in sys.modules:
        from napari.utils.colormaps import AVAILABLE_COLORMAPS

        stock = AVAILABLE_COLORMAPS.get(values.get("name"))
        if stock is not None and np.array_equal(np.asarray(stock.colors, float), colors):
            return values["name"]
    found = {"name": str(values.get("name", "custom")), "colors": colors.round(4).tolist()}
    if values.get("controls") is not None:
        found["controls"] = np.asarray(values["controls"], float).round(6).tolist()
    if "interpolation" in values:
        found["interpolation"] = str(getattr(values["interpolation"], "value", values["interpolation"]))
    return found


def _colormap_from_json(found: Any) -> Any:
    if _is_text(found):
        return found
    colors = found.get("colors") if isinstance(found, dict) else None
    if not isinstance(colors, list) or not 1 <= len(colors) <= _MAX_COLORS:
        _refuse("colormap")
    interpolation = found.get("interpolation", "linear")
    colormap = {"colors": _numbers("colormap", colors, (len(colors), 4)), "interpolation": interpolation}
    if colormap["colors"].min() < 0 or colormap["colors"].max() > 1 or interpolation not in ("linear", "zero"):
        _refuse("colormap")
    if "controls" in found:
        controls = _numbers("colormap", found["controls"], (len(colors) + (interpolation == "zero"),))
        if controls[0] != 0 or controls[-1] != 1 or (np.diff(controls) < 0).any():
            _refuse("colormap")
        colormap["controls"] = controls
    return colormap | {"name": found["name"] if _is_text(found.get("name")) else "custom"}


def _plain_metadata(attributes: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in (attributes.get("metadata") or {}).items():
        if key in OWN_METADATA:
            continue
        try:
            kept[_text_key(key)] = _Plain().of(value)
        except TypeError as error:
            warnings.warn(f"metadata {key!r} of layer {attributes.get('name')!r} is not saved: {error}", stacklevel=2)
    return kept


class _Plain:
    """A value in types that JSON has; tuples and arrays become lists.

    It counts what the text will have at least, so that nothing large is gone through in vain.
    """

    def __init__(self) -> None:
        self._left = MAX_DOCUMENT
        self._around: list[object] = []

    def of(self, value: Any) -> Any:
        if not isinstance(value, Mapping | list | tuple | np.ndarray):
            return self._converted(value)
        if any(value is each for each in self._around):
            msg = "it contains itself"
            raise TypeError(msg)
        if len(self._around) > _MAX_DEPTH:
            msg = "it is nested too deeply"
            raise TypeError(msg)
        self._around.append(value)
        try:
            return self._converted(value)
        finally:
            self._around.pop()

    def _converted(self, value: Any) -> Any:
        if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
            msg = "it has masked entries"
            raise TypeError(msg)
        if isinstance(value, Mapping | list | tuple):
            self._check(2 * len(value))
        if isinstance(value, np.generic | np.ndarray):
            self._check(2 * value.size)
            value = value.tolist()
        size = 2 + len(value) if isinstance(value, str) else 2  # quotes, or a digit and a comma
        self._check(size)
        self._left -= size
        if value is None or isinstance(value, str | bool) or (isinstance(value, int) and abs(value) <= 2**63):
            return value
        if isinstance(value, float) and math.isfinite(value):
            return value
        if isinstance(value, Mapping):
            return {_text_key(key): self.of(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(part) for part in value]
        msg = f"JSON has no {type(value).__name__}" + (f" like {value}" if isinstance(value, float) else "")
        raise TypeError(msg)

    def _check(self, size: int) -> None:
        if size > self._left:
            msg = f"it is too large: all that a file says of its layers has at most {MAX_DOCUMENT} bytes"
            raise TypeError(msg)


def _text_key(key: object) -> str:
    if not isinstance(key, str):
        msg = f"JSON has no keys like {key!r:.40}"
        raise TypeError(msg)
    return key
