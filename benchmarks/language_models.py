"""Estimates the bundled language models of the languages beside English, and measures them: make language.

Writes src/glyphline/models/CODE.lm from $GLYPHLINE_DATA/text/languages/CODE.txt.gz, 1 MB each.
"""

from __future__ import annotations

from pathlib import Path

from glyphline.reading.recognition.languages import ENGLISH, LANGUAGES
from glyphline.training.estimate_language_model import estimate_from_sentences

MODELS = Path(__file__).parents[1] / "src" / "glyphline" / "models"


def main() -> None:
    for code, language in LANGUAGES.items():
        if code == ENGLISH:
            continue
        sources = (f"text:text/languages/{code}.txt.gz",)
        estimated = estimate_from_sentences(sources, language.characters, order=6, megabytes=1)
        estimated.model.save(MODELS / f"{language.model}.lm")
        print(
            f"{language.name}: {estimated.text_count} texts, {estimated.bits_per_character:.2f} bits a character on "
            "unseen ones"
        )


if __name__ == "__main__":
    main()
