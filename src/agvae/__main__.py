"""`python -m agvae`."""

from __future__ import annotations

import sys

from agvae.cli import main

if __name__ == "__main__":
    sys.exit(main())
