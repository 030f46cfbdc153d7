"""`python -m reproduction EXPERIMENT`, at the root of the repository: what `agvae reproduce EXPERIMENT` does."""

from __future__ import annotations

import sys

from agvae.cli import main

if __name__ == "__main__":
    sys.exit(main(["reproduce", *sys.argv[1:]]))
