"""The command line, `agvae COMMAND`: one module a command, which is imported when it runs."""

from agvae.cli.running import main

__all__ = ["main"]
