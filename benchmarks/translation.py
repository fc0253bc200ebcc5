"""How well the installed translators translate signs and sentences between English and Spanish.

    python benchmarks/translation.py

Signs: the phrases of the phrase book; a translation is right if it is one of the book's wordings. Sentences:
text/languages/tatoeba/es-en.tsv in the data folder (CC BY 2.0 FR), scored with chrF (Popovic 2015: character n-grams up
to 6, beta 2).
"""

from __future__ import annotations

import time
from collections import Counter

from glyphline.app.translators import pairs, translate_text
from glyphline.app.translators.phrase_book import fold, load_phrases
from glyphline.composing.fetch import data_folder
from glyphline.errors import UserError

ORDER, BETA = 6, 2.0


def chrf(translations: list[str], references: list[str]) -> float:
    """chrF of a corpus, 0..1."""
    precisions, recalls = [], []
    for n in range(1, ORDER + 1):
        matches, translated, expected = 0, 0, 0
        for translation, reference in zip(translations, references, strict=True):
            a, b = (
                Counter(t[i : i + n] for i in range(len(t) - n + 1)) for t in map(_letters, (translation, reference))
            )
            matches, translated, expected = matches + (a & b).total(), translated + a.total(), expected + b.total()
        precisions.append(matches / max(1, translated))
        recalls.append(matches / max(1, expected))
    precision, recall = sum(precisions) / ORDER, sum(recalls) / ORDER
    return (1 + BETA**2) * precision * recall / max(1e-9, BETA**2 * precision + recall)


def _letters(text: str) -> str:
    return "".join(text.split())


def main() -> None:
    rows = (data_folder() / "text" / "languages" / "tatoeba" / "es-en.tsv").read_text(encoding="utf-8").splitlines()
    sentences = [row.split("\t")[:2] for row in rows]
    for source, target in (("en", "es"), ("es", "en")):
        names = {p.translator for p in pairs() if p.installed and (p.source, p.target) == (source, target)}
        for name in sorted(names - {"phrase-book"}):
            phrases = [row for row in zip(load_phrases()[source], load_phrases()[target], strict=True)]
            right = sum(
                fold(translate_text(wordings[0].replace("#", "5"), source, target, name).text) in map(fold, expected)
                for wordings, expected in phrases
            )
            k = 0 if source == "es" else 1
            start = time.perf_counter()
            results = [translate_text(sentence[k], source, target, name).text for sentence in sentences]
            milliseconds = (time.perf_counter() - start) / len(sentences) * 1000
            score = chrf(results, [sentence[1 - k] for sentence in sentences])
            known = 0
            for sentence in sentences:
                try:
                    translate_text(sentence[k], source, target, "phrase-book")
                    known += 1
                except UserError:
                    pass
            print(
                f"{source}-{target} {name}: {right} of {len(phrases)} signs right; "
                f"chrF {score:.3f} on {len(sentences)} sentences, {milliseconds:.1f} ms each; "
                f"the phrase book knows {known} of them"
            )


if __name__ == "__main__":
    main()
