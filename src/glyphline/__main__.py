"""Run the command line with `python -m glyphline`."""

from glyphline.cli import main

main()
