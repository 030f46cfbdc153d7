"""Many .agv files of one size as one lazy array: files are decoded when their pixels are needed.

python examples/dask_pictures.py FILE.agv FILE.agv ...
"""

from __future__ import annotations

import sys

import dask
import dask.array as da

import agvae

paths = sys.argv[1:]
info = agvae.read_info(paths[0])  # reads the header alone
shape = (info["height"], info["width"], 3)

decode = dask.delayed(agvae.decode, pure=True)
pictures = da.stack([da.from_delayed(decode(path), shape, "uint8") for path in paths])
print("lazy:", pictures.shape, pictures.dtype)

with agvae.options.using(threads=1):  # dask runs several at once, so that each needs no threads of its own
    print("mean colour:", pictures.mean(axis=(0, 1, 2)).compute().round(1))
    print("brightest:", paths[int(pictures.mean(axis=(1, 2, 3)).argmax().compute())])
