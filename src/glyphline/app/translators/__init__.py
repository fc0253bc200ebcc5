"""FAMILY: translators, lines of a page in one language -> the same lines in another.

Contract: `Translator` in contract.py. To add a translator: write a class in a file of its own, and add it to
TRANSLATORS at the bottom. Its place there is its rank: `auto` takes the first one that has the pair of languages.

The lines of a paragraph are joined to sentences, and the translation is laid out on the lines again. Text in capitals
is translated in lower case and given back in capitals. Numbers, addresses and names in capitals stay as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import regex

from glyphline.app.sentences import Passage, is_capitals, join_lines, lay_out, paragraphs, passages, split_sentences
from glyphline.app.translators.apertium import Apertium
from glyphline.app.translators.argos import Argos
from glyphline.app.translators.contract import Pair, Progress, Translation, Translator
from glyphline.app.translators.firefox import Firefox
from glyphline.app.translators.phrase_book import PhraseBook
from glyphline.errors import UserError, nearest
from glyphline.page import Line

__all__ = [
    "TRANSLATORS", "PageTranslation", "Pair", "TranslatedLine", "Translator", "install", "pairs", "remove",
    "translate_lines", "translate_text",
]  # fmt: skip

AUTO = "auto"
PIVOT = "en"
MAX_RUN = 4  # lines that one phrase of the phrase book may take
LANGUAGE_CODE = regex.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{1,8})*")
#: what no translator may change: e-mail addresses, web addresses, numbers; words in capitals are added in mixed text
ADDRESS = (
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?:https?://|www\.)\S*[\w/]|\b(?:[\w-]+\.)+(?:com|org|net|info|eu)\b(?:/\S*\w)?"
)
KEPT = regex.compile(rf"{ADDRESS}|\d+(?:[.,:/]\d+)*")
KEPT_IN_MIXED_CASE = regex.compile(rf"{KEPT.pattern}|\b\p{{Lu}}{{2,}}\b")
LETTER = regex.compile(r"\p{L}")


@dataclass(frozen=True)
class TranslatedLine:
    """The translation of one line."""

    text: str  # empty for a rejected line; the original where nothing had to be translated or could be
    translator: str = ""  # name, names joined by "+"; empty where the text is the original
    is_gist: bool = False  # True: the text gives the gist only
    unknown: tuple[str, ...] = ()  # words in `text` that are left as in the original


@dataclass(frozen=True)
class PageTranslation:
    """The translations of the lines of a page."""

    source: str | None  # BCP 47 code of the language only; None: not known
    target: str
    lines: tuple[TranslatedLine, ...]  # one for each line, in the same order
    advice: str | None = None  # why lines are not translated, and what to do; None where all are


def translate_lines(lines: Sequence[Line], source: str | None, target: str, translator: str = AUTO) -> PageTranslation:
    """Translate the lines of a page in reading order.

    source, target: BCP 47 codes; the region is left out of account. A source of None, "none" or "auto", or one equal to
    the target, leaves every text as it is. translator: a name from TRANSLATORS, or "auto": the phrase book, then the
    first other translator that has the pair. Lines that were read in the target language stay as they are, unless the
    source is a correction: no line was read in it.

    Where no translator is installed for the pair, the lines that the phrase book does not know keep their text, and
    `advice` names the command that installs one. Raises UserError for an unknown code or translator, MissingPackage,
    and GlyphlineError where a translator fails.
    """
    source, target = _language(source), _language(target) or ""
    texts = {index: TranslatedLine(line.text) for index, line in enumerate(lines) if not line.rejected}
    advice = None
    if not target:
        raise UserError('the language to translate to has to be a code such as "en"')
    if source is not None and source != target:
        is_correction = all(_language(line.language) != source for line in lines)
        kept = {i for i, line in enumerate(lines) if _language(line.language) == target and not is_correction}
        to_translate = [replace(line, rejected=True) if i in kept else line for i, line in enumerate(lines)]
        work = _Work(to_translate, source, target, _chain(translator, source, target))
        texts |= work.translate()
        advice = _advice(source, target) if work.untranslated else None
    result = tuple(texts.get(index, TranslatedLine("")) for index in range(len(lines)))
    return PageTranslation(source, target, result, advice)


def translate_text(text: str, source: str, target: str, translator: str = AUTO) -> TranslatedLine:
    """Translate a text; its line breaks are kept.

    Raises as `translate_lines` does, and UserError, which names the command, where no translator is installed.
    """
    page = translate_lines([Line(line, 1.0, (), "") for line in text.split("\n")], source, target, translator)
    if page.advice:
        raise UserError(page.advice)
    names = dict.fromkeys(name for line in page.lines for name in line.translator.split("+") if name)
    unknown = tuple(word for line in page.lines for word in line.unknown)
    joined = "\n".join(line.text for line in page.lines)
    return TranslatedLine(joined, "+".join(names), any(line.is_gist for line in page.lines), unknown)


def pairs() -> list[Pair]:
    """All pairs of languages, those of the best translator first: installed, or to be installed by `install`."""
    return [pair for name in TRANSLATORS for pair in open_translator(name).pairs()]


def install(source: str, target: str, on_progress: Progress | None = None) -> None:
    """Download the models of a pair: one, or two through English. on_progress: called with bytes done and in all.

    Raises UserError for a pair that does not exist, MissingPackage, and GlyphlineError where the download fails.
    """
    source, target = _language(source) or "", _language(target) or ""
    if not source or not target or source == target:
        raise UserError(f'"{source}" to "{target}" is no pair of two languages: glyphline translate install de en')
    for leg in _legs(source, target):
        open_translator("firefox").install(*leg, on_progress)


def remove(source: str, target: str) -> None:
    """Delete the installed models of a pair. Raises UserError if there are none."""
    if not any([open_translator(name).remove(source, target) for name in TRANSLATORS]):
        raise UserError(f"no model from {source} to {target} is installed: see glyphline translate list")


@cache
def open_translator(name: str) -> Translator:
    """Return the translator of this name. Raises UserError with the choices for an unknown name."""
    if name not in TRANSLATORS:
        raise UserError(f'no translator "{name}"; {nearest(name, [AUTO, *TRANSLATORS])}')
    return TRANSLATORS[name]()


def _language(code: str | None) -> str | None:
    """The language of a BCP 47 code; None for no code, "none" and "auto". Raises UserError for what is no code."""
    if code in (None, "none", AUTO):
        return None
    if not LANGUAGE_CODE.fullmatch(code or ""):
        raise UserError(f'"{code}" is no language code: give one such as en, de, pt')
    return (code or "").partition("-")[0]


def _legs(source: str, target: str) -> list[tuple[str, str]]:
    """The pairs with English that lead from one language to another."""
    return [(source, target)] if PIVOT in (source, target) else [(source, PIVOT), (PIVOT, target)]


@dataclass(frozen=True)
class _Route:
    """A translator and the pairs by which it gets from the source to the target."""

    translator: Translator
    legs: tuple[tuple[str, str], ...]

    def translate(self, sentences: Sequence[str]) -> list[Translation | None]:
        results: list[Translation | None] = [Translation(sentence) for sentence in sentences]
        for leg in self.legs:
            results = self.translator.translate([result.text if result else "" for result in results], *leg)
        return results


def _find_route(translator: Translator, source: str, target: str) -> _Route | None:
    installed = {(pair.source, pair.target) for pair in translator.pairs() if pair.installed}
    choices = [[(source, target)], *([_legs(source, target)] if translator.pivots else [])]
    for legs in choices:
        if installed.issuperset(legs):
            return _Route(translator, tuple(legs))
    return None


def _chain(name: str, source: str, target: str) -> list[_Route]:
    """The routes to be tried for each sentence, best first: the phrase book, and the best other translator."""
    routes = [_find_route(open_translator(key), source, target) for key in (TRANSLATORS if name == AUTO else [name])]
    found = [route for route in routes if route is not None]
    book = [route for route in found if isinstance(route.translator, PhraseBook)]
    return book + [route for route in found if route not in book][:1]


def _advice(source: str, target: str) -> str:
    return f"no translator from {source} to {target} is installed: glyphline translate install {source} {target}"


class _Work:
    """The translation of the lines of one page."""

    def __init__(self, lines: Sequence[Line], source: str, target: str, chain: list[_Route]) -> None:
        self.lines, self.source, self.target, self.chain = lines, source, target, chain
        self.untranslated: list[str] = []  # sentences that no translator of the chain could translate

    def translate(self) -> dict[int, TranslatedLine]:
        """Index of a line -> its translation, for all lines with text that are not rejected."""
        result = {}
        for group in paragraphs(self.lines):
            for passage in self._passages(group):
                sentences = split_sentences(passage.text)
                translated = [self._translate_sentence(sentence) for sentence in sentences]
                texts = lay_out(passage, sentences, [line.text for line in translated])
                names = dict.fromkeys(line.translator for line in translated if line.translator)
                is_gist = any(line.is_gist for line in translated)
                words = {word for line in translated for word in line.unknown}
                for index, text in zip(passage.indexes, texts, strict=True):
                    unknown = tuple(word for word in regex.findall(r"[^\W_]+", text) if word in words)
                    result[index] = TranslatedLine(text, "+".join(names), is_gist, unknown)
        return result

    def _passages(self, group: list[int]) -> list[Passage]:
        """Divide a paragraph into the longest runs of lines that are a phrase of the phrase book, and what is left."""
        result: list[Passage] = []
        rest: list[int] = []
        start = 0
        while start < len(group):
            ends = range(min(len(group), start + MAX_RUN), start, -1)
            run = next((group[start:end] for end in ends if self._is_phrase(group[start:end])), None)
            if run is None:
                rest.append(group[start])
                start += 1
            else:
                result += [*passages(self.lines, rest), join_lines(self.lines, run)]
                rest, start = [], start + len(run)
        return [*result, *passages(self.lines, rest)]

    def _is_phrase(self, indexes: list[int]) -> bool:
        book = [route for route in self.chain if isinstance(route.translator, PhraseBook)]
        return bool(book) and book[0].translate([join_lines(self.lines, indexes).text])[0] is not None

    def _translate_sentence(self, sentence: str) -> TranslatedLine:
        """Translate a sentence by the first translator of the chain that can."""
        kept = KEPT if is_capitals(sentence) else KEPT_IN_MIXED_CASE
        if not LETTER.search(kept.sub("", sentence)):
            return TranslatedLine(sentence)
        for route in self.chain:
            if isinstance(route.translator, PhraseBook):
                translation = route.translate([sentence])[0]
            else:
                translation = _translate_around(route, sentence, kept)
            if translation is not None:
                translator = route.translator
                return TranslatedLine(translation.text, translator.name, translator.is_gist, translation.unknown)
        self.untranslated.append(sentence)
        return TranslatedLine(sentence)


def _translate_around(route: _Route, sentence: str, kept: regex.Pattern[str]) -> Translation | None:
    """Translate a sentence so that everything that `kept` matches stays in it.

    Where the translation of the whole sentence lacks one of them, the texts between them are translated one by one.
    """
    whole = _translate_in_case(route, sentence)
    missing = Counter(kept.findall(sentence)) - Counter(kept.findall(whole.text if whole else sentence))
    if whole is None or not missing:
        return whole
    result, unknown, position = "", list[str](), 0
    divisions = [match for match in kept.finditer(sentence) if match[0] in missing]
    for start, end in [*(match.span() for match in divisions), (len(sentence), len(sentence))]:
        between = sentence[position:start]
        if LETTER.search(between):
            translation = _translate_in_case(route, between.strip()) or Translation(between.strip())
            unknown += translation.unknown
            between = between.replace(between.strip(), translation.text)
        result += between + sentence[start:end]
        position = end
    return Translation(result, tuple(unknown))


def _translate_in_case(route: _Route, sentence: str) -> Translation | None:
    """Translate a sentence; one in capitals in lower case, which all translators know better.

    A translation does not start with a capital where the sentence does not: translators add one.
    """
    capitals = is_capitals(sentence)
    translation = route.translate([sentence.capitalize() if capitals else sentence])[0]
    if translation is None:
        return None
    if capitals:
        return Translation(translation.text.upper(), tuple(word.upper() for word in translation.unknown))
    text = translation.text
    if sentence[:1].islower() and text[1:2].islower() and route.legs[-1][1] != "de":  # a German noun keeps its capital
        text = text[:1].lower() + text[1:]
    return Translation(text, translation.unknown)


#: name -> translator, best first
TRANSLATORS: dict[str, type[Translator]] = {
    "phrase-book": PhraseBook,
    "firefox": Firefox,
    "argos": Argos,
    "apertium": Apertium,
}
