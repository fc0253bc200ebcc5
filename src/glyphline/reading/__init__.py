"""The reading wing: images -> text. Imports nothing of composing and learning; no torch."""
