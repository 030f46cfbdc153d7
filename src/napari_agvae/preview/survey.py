"""What is known of all frames of a layer while one of them is previewed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agvae.boxes import Box
from agvae.coding.frames import Frames
from agvae.progress import checkpoint
from napari_agvae.io.layer_frames import LayerFrames
from napari_agvae.preferences import VALUES
from napari_agvae.preview.slices import LayerSlice

if TYPE_CHECKING:
    from agvae.coding.preview import Original


class Survey:
    """Looks at frames that are in memory; of others it knows what others found out.

    Attributes:
        obstacle: why the layer cannot be saved, empty as long as no reason is known.
    """

    def __init__(self, data: Any, attributes: Mapping[str, Any], value_range: str = VALUES) -> None:
        self.data = data
        self._frames = LayerFrames(data, attributes)
        self._value_range = value_range
        self._at_hand = self._frames.count > 1 and self._frames.in_memory
        self._next = 0
        self._grey: bool | None = None
        self.obstacle = ""

    def look(self) -> None:
        """Go through the frames, until one cannot be saved; goes on where a call before was stopped."""
        while self._at_hand and not self.obstacle and self._next < self._frames.count:
            try:
                self._frames.value_map(self._frames.frame(self._next), self._value_range, self._next)
            except TypeError as error:
                self.obstacle = str(error)
            self._next += 1

    def original(self, source: LayerSlice, box: Box) -> Original:
        """What of a slice is to be coded, as the file of all frames has it: of colour, as grey only if all of it is."""
        from agvae.coding.preview import Original

        original = Original(source.crop(box), source.range)
        if original.frames.grey and self._frames.count > 1 and box == (0, 0, *source.size):
            original.frames.grey = self._all_grey()
        return original

    def _all_grey(self) -> bool:
        """Whether all frames are grey; what is not in memory is not read for that."""
        if self._grey is None:
            self._grey = self._at_hand and all(map(self._is_grey, range(self._frames.count)))
        return self._grey

    def _is_grey(self, number: int) -> bool:
        checkpoint()
        frame = self._frames.frame(number)
        return Frames([self._frames.codes(frame, self._frames.value_map(frame, self._value_range, number))]).grey
