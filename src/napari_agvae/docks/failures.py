"""What went wrong in previews, told once."""

from __future__ import annotations

from napari_agvae.texts import plain

_RETRY = "; move the slider to try again"


class Failures:
    """Notifications of napari, one for each text until `forget`."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def tell(self, text: str, error: Exception) -> None:
        from napari.utils.notifications import show_error

        if text not in self._told:
            self._told.add(text)
            known = isinstance(error, OSError | TypeError | ValueError | MemoryError)
            show_error(plain(f"AGVAE preview: {text}{'' if known else _RETRY}"))

    def forget(self) -> None:
        self._told.clear()
