"""`python -m pillow_agvae run PROGRAM`, see `pillow_agvae.runner`."""

from __future__ import annotations

import sys

from pillow_agvae.runner import main

if __name__ == "__main__":
    main(sys.argv[1:])
