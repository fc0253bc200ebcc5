"""The reading wing: pictures -> text. Imports nothing of composing and learning; no torch."""
