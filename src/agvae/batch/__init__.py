"""Thousands of pictures: `agvae.batch.encode` and `decode` files in worker processes, and say what became of each.

    for result in agvae.batch.encode(["photos"], "coded", quality=3):
        print(result.source, result.status, result.error)

Each process loads the model once.  What is there and not older than its source is skipped, targets are written whole or
not at all, and one bad file is one failed result: whatever ends a batch, the same call goes on where it was.  As with
all processes of Python, a script that calls this needs `if __name__ == "__main__":` around its work.
"""

from __future__ import annotations

from agvae.batch.batches import Batch, decode, encode
from agvae.batch.work import Result

__all__ = ["Batch", "Result", "decode", "encode"]
