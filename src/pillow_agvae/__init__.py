"""Pillow plugin for .agv images: importing it registers the format, so does calling `register` again."""

from __future__ import annotations

from pillow_agvae.AgvImagePlugin import register

__all__ = ["register"]
