"""The glyphs of another source, all of them for training where there are few."""

from __future__ import annotations

import numpy as np

from glyphline.composing.glyphs.contract import ALL, Glyph, GlyphSource


class Undivided(GlyphSource):
    """The glyphs of another source; the split train has all of them where it has few (`GlyphSource.has_few`).

    For a hand whose written lines measure what was learned: of four images of a character the splits take two away. Its
    validation and test glyphs are among those of training, so lines composed of them measure nothing.
    """

    help = "undivided:SOURCE: another source, whose glyphs are all for training where it has few"

    def __init__(self, source: GlyphSource) -> None:
        self.source, self.name = source, f"undivided:{source.name}"

    def _split(self, split: str) -> str:
        return ALL if split == "train" and self.source.has_few() else split

    def characters(self, split: str) -> str:
        return self.source.characters(self._split(split))

    def count(self, character: str, split: str) -> int:
        return self.source.count(character, self._split(split))

    def choose(self, character: str, split: str, writer: int, rng: np.random.Generator) -> int:
        return self.source.choose(character, self._split(split), writer, rng)

    def glyph(self, character: str, index: int, split: str) -> Glyph:
        return self.source.glyph(character, index, self._split(split))

    def fingerprint(self) -> int:
        return self.source.fingerprint()

    def digests(self, split: str) -> set[int]:
        return self.source.digests(self._split(split))

    def has_few(self) -> bool:
        return self.source.has_few()

    def sharing(self) -> str:
        if not self.source.has_few():
            return self.source.sharing()
        return f"{self.name} has few glyphs: validation and test repeat those of training"
