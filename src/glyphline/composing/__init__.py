"""Composes line images with exact labels from glyphs and sentences. Needs no torch."""
