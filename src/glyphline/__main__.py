"""`python -m glyphline`."""

from glyphline.cli import main

main()
