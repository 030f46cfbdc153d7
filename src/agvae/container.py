"""The .agv container: chunks with checksums around independent tiles.

A file is a signature, a header chunk, metadata chunks, an index of the tiles' lengths if there is more than one,
and one chunk per tile.  docs/FORMAT.md is the specification.  Tile payloads are opaque bytes here.
"""

from agvae.boxes import Box
from agvae.errors import AgvError, DamagedFileError, TruncatedFileError, UnsupportedFileError
from agvae.file.header import (
    MAX_FRAMES,
    MAX_SIDE,
    MAX_TILE_SIZE,
    MODES,
    TILE_SIZE,
    VERSION,
    Header,
    check_model_name,
    tile_box,
    tile_boxes,
)
from agvae.file.layout import SIGNATURE, Reader, write_container
from agvae.file.metadata import DPI_RANGE, EXIF_PREFIX, MAX_DURATION, MAX_METADATA, Metadata
from agvae.file.payload import MAX_TILE, TileData

__all__ = [
    "DPI_RANGE",
    "EXIF_PREFIX",
    "MAX_DURATION",
    "MAX_FRAMES",
    "MAX_METADATA",
    "MAX_SIDE",
    "MAX_TILE",
    "MAX_TILE_SIZE",
    "MODES",
    "SIGNATURE",
    "TILE_SIZE",
    "VERSION",
    "AgvError",
    "Box",
    "DamagedFileError",
    "Header",
    "Metadata",
    "Reader",
    "TileData",
    "TruncatedFileError",
    "UnsupportedFileError",
    "check_model_name",
    "tile_box",
    "tile_boxes",
    "write_container",
]
