"""Text detection: the lines of text of a page, their outlines, orientation and reading order."""
