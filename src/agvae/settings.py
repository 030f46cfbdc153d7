"""Options of the whole library, each with an environment variable.

    import agvae
    agvae.options.device = "cpu"

An option is what was set, else what its environment variable says at the moment, else its default.  Setting None
goes back to the environment.  A library that wants something else for its own calls leaves the process alone:

    with agvae.options.using(device="cuda"):
        agvae.decode("photo.agv")
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from numbers import Integral
from typing import Any

DTYPES = ("float32", "bfloat16", "float16")

_HERE: ContextVar[Mapping[str, Any]] = ContextVar("agvae.options", default={})  # noqa: B039 - never changed
"""What `Options.using` asks for in this thread or task."""
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,4})?", re.ASCII)


class Options:
    """The options; `agvae.options` is the only instance.

    Reading one raises ValueError when its environment variable holds a bad value, setting one when the value is bad.
    """

    __slots__ = ("_set",)

    def __init__(self) -> None:
        self._set: dict[str, Any] = {}

    @property
    def device(self) -> str:
        """Where networks run: "auto" (CUDA, else MPS, else CPU), "cpu", "cuda", "cuda:N", "mps" (AGVAE_DEVICE)."""
        return self._get("device", "AGVAE_DEVICE") or "auto"

    @device.setter
    def device(self, value: str | None) -> None:
        self._put("device", value)

    @property
    def threads(self) -> int | None:
        """Threads of one call, or None for as many as PyTorch is set to (AGVAE_THREADS)."""
        value: int | None = self._get("threads", "AGVAE_THREADS")
        return value

    @threads.setter
    def threads(self, value: int | None) -> None:
        self._put("threads", value)

    @property
    def pixels_at_once(self) -> int | None:
        """Pixels in work at a time, over all threads of a process; None for no limit (AGVAE_PIXELS_AT_ONCE).

        A call waits until its pixels fit in beside those of others; one that has more than the limit works alone.
        """
        value: int | None = self._get("pixels_at_once", "AGVAE_PIXELS_AT_ONCE")
        return value

    @pixels_at_once.setter
    def pixels_at_once(self, value: int | None) -> None:
        self._put("pixels_at_once", value)

    @property
    def dtype(self) -> str:
        """Type of g_a and g_s: "float32" (the default), "bfloat16" or "float16" (AGVAE_DTYPE)."""
        return self._get("dtype", "AGVAE_DTYPE") or "float32"

    @dtype.setter
    def dtype(self, value: str | None) -> None:
        self._put("dtype", value)

    @property
    def weights(self) -> str:
        """Address or folder to take weights from; "" for the address of the registry (AGVAE_WEIGHTS_URL)."""
        return self._get("weights", "AGVAE_WEIGHTS_URL") or ""

    @weights.setter
    def weights(self, value: str | os.PathLike[str] | None) -> None:
        self._put("weights", value)

    @property
    def offline(self) -> bool:
        """Whether downloads are forbidden (AGVAE_OFFLINE, 1 or 0)."""
        return bool(self._get("offline", "AGVAE_OFFLINE"))

    @offline.setter
    def offline(self, value: bool | None) -> None:
        self._put("offline", value)

    @contextmanager
    def using(
        self,
        *,
        device: str | None = None,
        threads: int | None = None,
        pixels_at_once: int | None = None,
        dtype: str | None = None,
        weights: str | os.PathLike[str] | None = None,
        offline: bool | None = None,
    ) -> Iterator[None]:
        """Other options within a `with` block, for the calling thread or asyncio task alone; None leaves one as it is.

        Within it they go before what is set for the process.  Threads started there begin without them.
        """
        given = {
            "device": device,
            "threads": threads,
            "pixels_at_once": pixels_at_once,
            "dtype": dtype,
            "weights": weights,
            "offline": offline,
        }
        before = _HERE.get()
        _HERE.set({**before, **{name: _CHECKS[name](value) for name, value in given.items() if value is not None}})
        try:
            yield
        finally:
            _HERE.set(before)

    def __repr__(self) -> str:
        """What holds here and now; of an address without what may be secret in it."""
        return f"Options({', '.join(f'{name}={self._shown(name)}' for name in _CHECKS)})"

    def _shown(self, name: str) -> str:
        from agvae.addresses import public  # here, as every import of agvae would pay for it

        try:
            value = getattr(self, name)
        except ValueError as error:
            return f"<{error}>"
        return repr(public(value) if name == "weights" else value)

    def _get(self, name: str, variable: str) -> Any:
        for chosen in (_HERE.get(), self._set):
            if name in chosen:
                return chosen[name]
        text = os.environ.get(variable, "")
        try:
            return _CHECKS[name](_from_text(name, text)) if text else None
        except ValueError as error:
            msg = f"environment variable {variable}: {error}"
            raise ValueError(msg) from None

    def _put(self, name: str, value: Any) -> None:
        if value is None:
            self._set.pop(name, None)
        else:
            self._set[name] = _CHECKS[name](value)


def _from_text(name: str, text: str) -> Any:
    if name in ("threads", "pixels_at_once"):
        return int(text) if text.isascii() and text.isdecimal() else text
    if name == "offline":
        return {"0": False, "1": True}.get(text, text)
    return text


def _device(value: object) -> str:
    if not isinstance(value, str) or not _DEVICE.fullmatch(value):
        msg = f"device must be auto, cpu, cuda, cuda:N or mps, not {value!r}"
        raise ValueError(msg)
    return value


def _threads(value: object) -> int:
    return _counted("threads", value, 1024)


def _pixels_at_once(value: object) -> int:
    return _counted("pixels_at_once", value, 10**15)


def _counted(name: str, value: object, most: int) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool) or not 1 <= int(value) <= most:
        msg = f"{name} must be an integer from 1 to {most}, not {value!r}"
        raise ValueError(msg)
    return int(value)


def _dtype(value: object) -> str:
    if value not in DTYPES:
        msg = f"dtype must be one of {', '.join(DTYPES)}, not {value!r}"
        raise ValueError(msg)
    return str(value)


def _weights(value: object) -> str:
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str):
        msg = f"weights must be an address or a folder, not {type(value).__name__}"  # it may hold a password
        raise ValueError(msg)
    return text


def _offline(value: object) -> bool:
    if not isinstance(value, bool):
        msg = f"offline must be true or false (1 or 0), not {value!r}"
        raise ValueError(msg)
    return value


_CHECKS = {
    "device": _device,
    "threads": _threads,
    "pixels_at_once": _pixels_at_once,
    "dtype": _dtype,
    "weights": _weights,
    "offline": _offline,
}

options = Options()
