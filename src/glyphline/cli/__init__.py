"""Command line: `application.py` holds the program, every other verb its own file. stdout is data, stderr is talk."""

from glyphline.cli.application import app, main

__all__ = ["app", "main"]
