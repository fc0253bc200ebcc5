"""Command line: `application.py` holds the program, each verb has a file. Data go to stdout, status to stderr."""

from glyphline.cli.application import app, main

__all__ = ["app", "main"]
