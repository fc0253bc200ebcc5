"""Tests of glyphline.cluster."""
