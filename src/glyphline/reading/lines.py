"""Reads line images: normalizes them as in training, recognizes them in batches of equal width, decodes the output."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from glyphline.alphabet import BLANK, Alphabet
from glyphline.errors import UserError
from glyphline.imaging.documents import ColourImage, GreyImage, load
from glyphline.imaging.normalization import NormalizedLine, extract_ink, normalize_line, pad_batch, to_grey
from glyphline.page import Character, Line, split_words, word_from_characters
from glyphline.reading.recognition.character_positions import locate_characters
from glyphline.reading.recognition.constraints import Constraint
from glyphline.reading.recognition.decoders import (
    BeamSearchDecoder,
    DecodedText,
    Decoder,
    GreedyDecoder,
    LogProbs,
    constrain,
    open_decoder,
)
from glyphline.reading.recognition.directed_decoding import decode_line, read_from_the_right
from glyphline.reading.recognition.languages import (
    AUTO,
    LANGUAGES,
    NONE,
    candidate_languages,
    check_language,
    has_accented_letters,
    language_model_of,
    language_score,
)
from glyphline.reading.recognition.posteriors import MIN_CLASS_PROBABILITY, Posteriors, score_texts
from glyphline.reading.recognition.recognizers import (
    DEFAULT_MODEL,
    PHOTO_RECOGNIZERS,
    PP_OCR,
    ModelInfo,
    OnnxRecognizer,
    Recognizer,
    alphabet_of,
    calibration_of,
    open_recognizer,
)
from glyphline.reading.recognition.reliability import (
    MIN_LEGIBILITY,
    Reliability,
    copies_of,
    unknown_writing,
)
from glyphline.reading.recognition.scripts import READ_BY_PP_OCR, script_of
from glyphline.writing_direction import RTL

BEAM = "beam"  # the decoder whose language model is that of the line's language

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class LineLimits:
    """Limits of batches and of lines that are recognized at once. A height is that of the canonical line."""

    #: px; each line is padded to the next multiple, alone as in a batch, so that its output is always the same
    width_multiple: int = 32
    #: px of a batch; bounds the memory that long lines take: 340 MB more at 600 000, which are no faster either
    batch_pixels: int = 100_000
    #: lines of a batch
    batch_lines: int = 64
    #: probabilities in the output of a batch; bounds the memory that PP-OCR's thousands of characters take
    batch_probabilities: int = 6_000_000
    #: px; the line height with which the pixels of a batch are counted, whatever the recognizer
    nominal_height: int = 40
    #: batches that the network may be ahead of the decoder
    batches_ahead: int = 2
    #: batches from which two are recognized at the same time, because a session of its own takes 80 ms to open
    paired_batches: int = 16
    #: heights; a wider line is split into chunks of this width
    chunk_width: int = 24
    #: heights that neighbouring chunks have in common at least
    chunk_overlap: int = 4
    #: 1/n of an overlap at each end where chunks are not joined, because characters at an edge are cut off
    overlap_margin: int = 4
    #: characters; of a larger alphabet only the classes that are likely somewhere in the line are decoded
    large_alphabet: int = 1000


LIMITS = LineLimits()
#: `BeamSearchDecoder.clear_line` of readers of several languages: of 0.9 to 0.99 the value with the fewest errors on
#: composed validation lines in handwriting fonts and on print of nine languages with typing errors, which have to stay
CLEAR_LINE = 0.98


@dataclass
class LineReader:
    """Reads line images with one recognizer and one decoder.

    >>> LineReader().read_line(np.full((40, 200), 255, np.uint8)).text  # blank paper gives no text
    ''
    """

    recognizer: Recognizer = field(default_factory=open_recognizer)
    decoder: Decoder = field(default_factory=GreedyDecoder)
    languages: tuple[str, ...] = ()  # codes among which the language of a line is found; (): the decoder's own model

    @property
    def calibrated(self) -> bool:
        """Whether the recognizer has a fitted calibration for this decoder."""
        return bool((self.recognizer.info.calibration or {}).get(self.decoder.kind))

    @property
    def direction(self) -> str:
        """The direction of the recognizer's lines, "ltr" or "rtl"."""
        return self.recognizer.info.direction

    def read_line(self, image: str | Path | bytes | npt.NDArray[np.generic]) -> Line:
        """Read one image of one line, in any form that `glyphline.imaging.documents.load` takes.

        The image is read in grey values, also by a recognizer of colour images.
        Raises ImageError for an image that cannot be read, or is too wide at the height of the recognizer.
        """
        return self.read_lines([load(image)])[0]

    def read_lines(self, images: Sequence[GreyImage | ColourImage]) -> list[Line]:
        """Read images of one line each, uint8 (H, W) or (H, W, 3) in RGB; results in the order of the images.

        With `languages`, the language of each line is found from all of them, and `language` of the line names it.
        `legibility` of a line tells whether it can be read, where that is fitted for the recognizer.
        Raises ImageError for an image that is too wide at the height of the recognizer.
        """
        posteriors = self.recognize(images)
        if self.languages:
            languages = candidate_languages([p.greedy.text for p in posteriors], self.languages)
            lines = [self._decode_in_languages(*row) for row in zip(posteriors, languages, strict=True)]
        else:
            lines = [p.to_line(self._decode(p, self.decoder), self.decoder) for p in posteriors]
        return self._assess(images, posteriors, lines)

    def draft_lines(self, images: Sequence[GreyImage | ColourImage]) -> list[Line]:
        """Read images as `read_lines` does, but each in its own language, and without second looks.

        `legibility` of the lines is 1. Raises ImageError as `read_lines` does.
        """
        return [self.decode(posteriors) for posteriors in self.recognize(images)]

    def recognize(self, images: Sequence[GreyImage | ColourImage]) -> list[Posteriors]:
        """The posteriors of images of one line each, to be decoded by `decode`, in the order of the images.

        Raises ImageError as `read_lines` does.
        """
        normalized = self._normalize(images)
        greedy, outputs = self._recognize_canonical([n.line for n in normalized])
        no_output: tuple[LogProbs, Alphabet] = np.zeros((0, 1), np.float32), alphabet_of(self.recognizer)
        return [
            Posteriors(
                *outputs.get(k, no_output),
                text,
                partial(self._build_line, normalized=line, image=image),
                self.direction,
            )
            for k, (text, line, image) in enumerate(zip(greedy, normalized, images, strict=True))
        ]

    def decode(self, posteriors: Posteriors) -> Line:
        """Decode one line by itself, in the language whose text has the highest score. Its legibility is not judged."""
        if not self.languages:
            return posteriors.to_line(self._decode(posteriors, self.decoder), self.decoder)
        (languages,) = candidate_languages([posteriors.greedy.text], self.languages)
        return self._decode_in_languages(posteriors, languages)

    @staticmethod
    def _decode(posteriors: Posteriors, decoder: Decoder) -> DecodedText:
        """The text of a line by one decoder."""
        if len(posteriors.log_probs) == 0:
            return DecodedText("", 1.0, ())
        if isinstance(decoder, GreedyDecoder):
            return posteriors.greedy
        return decode_line(decoder, posteriors.log_probs, posteriors.alphabet, posteriors.direction)

    def _decode_in_languages(self, posteriors: Posteriors, languages: Mapping[str, float]) -> Line:
        """The line in the language whose text has the highest score.

        languages: code -> log of its prior probability. The score of a text is the sum of this, of its CTC
        log-likelihood and of its score in the language.
        """
        decoders = {code: self._decoder_for(code) for code in languages}
        decoded = {code: self._decode(posteriors, decoder) for code, decoder in decoders.items()}
        texts = list(dict.fromkeys(text.text for text in decoded.values()))
        # a single text has the same likelihood in every language
        nats = score_texts(posteriors, texts) if len(texts) > 1 else np.zeros(1)

        def score(code: str) -> float:
            text = decoded[code].text
            return languages[code] + float(nats[texts.index(text)]) + language_score(code, text)

        best = max(languages, key=score) if len(languages) > 1 else next(iter(languages))
        return replace(posteriors.to_line(decoded[best], decoders[best]), language=best)

    def _assess(
        self, images: Sequence[GreyImage | ColourImage], posteriors: Sequence[Posteriors], lines: Sequence[Line]
    ) -> list[Line]:
        """The lines with their legibility, what keeps them from being read, and the confidences of their words.

        The confidence of a line is then the product of those of its words: that all are right, taken as independent.
        A line that is not clearly legible is looked at again, see `glyphline.reading.recognition.reliability`. The
        obstacle of a line that cannot be read names its script if that is another and can be told.
        """
        model = Reliability(self.recognizer.info.name)
        verdicts = [model.first_look(p) for p in posteriors]
        doubtful = [k for k, verdict in enumerate(verdicts) if verdict is None]
        copies = self.recognize([copy for k in doubtful for copy in copies_of(images[k])])
        for k, mirrored, narrower in zip(doubtful, copies[::2], copies[1::2], strict=True):
            verdicts[k] = model.second_look(images[k], posteriors[k], mirrored, narrower)
        assessed = []
        for image, verdict, p, line in zip(images, verdicts, posteriors, lines, strict=True):
            assert verdict is not None
            confidences = model.word_confidences(line, p, verdict.legibility)
            if confidences is not None:
                words = tuple(replace(w, confidence=c) for w, c in zip(line.words, confidences, strict=True))
                line = replace(line, words=words, confidence=math.prod(confidences))
                verdict = model.with_words(verdict, words)
            script = script_of(image) if verdict.legibility < MIN_LEGIBILITY else None
            if script and not (self.recognizer.info.name == PP_OCR and script in READ_BY_PP_OCR):
                verdict = replace(verdict, obstacle=unknown_writing(script))
            assessed.append(replace(line, legibility=verdict.legibility, obstacle=verdict.obstacle))
        return assessed

    def _decoder_for(self, language: str) -> Decoder:
        """The decoder of a line in a language: with its language model, or greedy in none."""
        if language == NONE:
            return GreedyDecoder()
        if not isinstance(self.decoder, BeamSearchDecoder):
            return self.decoder
        return replace(self.decoder, language_model=language_model_of(language))

    def _recognize_canonical(
        self, lines: Sequence[GreyImage | ColourImage]
    ) -> tuple[list[DecodedText], dict[int, tuple[LogProbs, Alphabet]]]:
        """The greedy texts of canonical lines, and the output for each line with ink, by its index."""
        outputs: dict[int, tuple[LogProbs, Alphabet]] = {}

        def store(index: int, log_probs: LogProbs, alphabet: Alphabet) -> None:
            outputs[index] = log_probs, alphabet

        return replace(self, decoder=GreedyDecoder()).decode_all(lines, store), outputs

    def decode_canonical(self, lines: Sequence[GreyImage | ColourImage]) -> list[DecodedText]:
        """Recognize and decode canonical lines as `decode_all` does, each line in its own most probable language."""
        if not self.languages:
            return self.decode_all(lines)
        decoded, outputs = self._recognize_canonical(lines)
        for index, output in outputs.items():
            (candidates,) = candidate_languages([decoded[index].text], self.languages)
            decoder = self._decoder_for(next(iter(candidates)))
            decoded[index] = decode_line(decoder, *output, self.direction)
        return decoded

    def decode_all(
        self,
        lines: Sequence[GreyImage | ColourImage],
        on_log_probs: Callable[[int, LogProbs, Alphabet], None] | None = None,
    ) -> list[DecodedText]:
        """Recognize and decode canonical lines (see `normalize_line`); results in the order of the lines.

        lines: uint8 (height, W), ink bright on 0, or (height, W, 3) for a recognizer of colour images. A line whose
        pixels are all 0 gives an empty text with confidence 1.
        on_log_probs: called once for each line with a pixel above 0, in the order of the batches. It gets the index of
        the line, its log-probabilities (T, C) and the alphabet of their classes. The alphabet is a part of the
        recognizer's where that has more than LIMITS.large_alphabet characters.
        """
        info, alphabet = self.recognizer.info, alphabet_of(self.recognizer)
        decoded = [DecodedText("", 1.0, ())] * len(lines)
        inked = [k for k, line in enumerate(lines) if line.any()]
        chunks = [(k, columns) for k in inked for columns in _split_long_line(lines[k].shape[1], info)]
        pixels_per_step = info.stride * LIMITS.nominal_height
        max_pixels = min(LIMITS.batch_pixels, LIMITS.batch_probabilities * pixels_per_step // len(alphabet.characters))
        widths = [max(columns.stop - columns.start, info.window) for _, columns in chunks]
        batches = group_by_width(widths, max_pixels)

        is_long = len(batches) >= LIMITS.paired_batches
        paired = self.recognizer.paired() if is_long and isinstance(self.recognizer, OnnxRecognizer) else None
        recognizer = paired or self.recognizer
        if paired:  # together they take the memory of one
            batches = group_by_width(widths, max_pixels // 2)

        def recognize_batch(batch: list[int]) -> list[LogProbs]:
            images = [lines[k][:, columns] for k, columns in (chunks[i] for i in batch)]
            padded, padded_from = pad_batch(images, LIMITS.width_multiple, info.padding_value, info.window)
            outputs = zip(recognizer.log_probs(padded), padded_from, strict=True)
            return [log_probs[: info.steps(int(width))] for log_probs, width in outputs]

        incomplete: dict[int, dict[int, LogProbs]] = {}  # index of a long line -> first column of a chunk -> its output
        for batch, outputs in zip(batches, _map_ahead(recognize_batch, batches, 2 if paired else 1), strict=True):
            for (k, columns), log_probs in zip((chunks[i] for i in batch), outputs, strict=True):
                width = lines[k].shape[1]
                if columns.stop - columns.start < width:
                    chunk_outputs = incomplete.setdefault(k, {})
                    chunk_outputs[columns.start] = log_probs
                    if len(chunk_outputs) < len(_split_long_line(width, info)):
                        continue
                    log_probs = _join_posteriors(incomplete.pop(k), info)
                line_alphabet = alphabet
                if len(alphabet.characters) > LIMITS.large_alphabet:
                    log_probs, line_alphabet = _remove_unlikely_classes(log_probs, alphabet)
                decoded[k] = decode_line(self.decoder, log_probs, line_alphabet, info.direction)
                if on_log_probs:
                    on_log_probs(k, log_probs, line_alphabet)
        return decoded

    def _normalize(self, images: Sequence[GreyImage | ColourImage]) -> list[NormalizedLine]:
        info = self.recognizer.info
        return [normalize_line(image, info.height, info.normalization) for image in images]

    def _build_line(
        self, decoded: DecodedText, decoder: Decoder, normalized: NormalizedLine, image: GreyImage | ColourImage
    ) -> Line:
        """The Line of a text of a decoder: calibrated confidences, positions of characters and words in px.

        image: the line as it was passed in, whose px these are.
        """
        info, spans = self.recognizer.info, decoded.spans
        step_width = max(info.window, info.stride)
        centres = [(s.start + s.end - 1) * info.stride / 2 + step_width / 2 for s in spans]
        ink = normalized.line if normalized.line.ndim == 2 else extract_ink(to_grey(normalized.line))
        seen = sorted(range(len(spans)), key=lambda k: centres[k])  # of right-to-left text the last comes first
        places = np.empty(len(spans), np.int64)
        places[seen] = np.arange(len(spans))
        columns = locate_characters(ink, [centres[k] for k in seen], [spans[k].character.isspace() for k in seen])
        left, right = (
            np.clip(normalized.left + c[places] / normalized.scale, 0, image.shape[1]).tolist() for c in columns
        )

        h, w = image.shape[:2]
        calibration, evidence = calibration_of(info, decoder.kind), [s.evidence for s in spans]
        confidences = calibration.character_confidences(evidence)
        characters = tuple(
            Character(s.character, p, x0, x1, ((x0, 0.0), (x1, 0.0), (x1, float(h)), (x0, float(h))))
            for s, p, x0, x1 in zip(spans, confidences, left, right, strict=True)
        )
        word_evidence = iter(s.evidence for s in spans if not s.character.isspace())
        words = tuple(
            word_from_characters(group, calibration("word", list(islice(word_evidence, len(group)))))
            for group in split_words(characters)
        )
        confidence = calibration("line", evidence) if spans else decoded.confidence
        corners = ((0.0, 0.0), (float(w), 0.0), (float(w), float(h)), (0.0, float(h)))
        # recognizers trained on composed lines never saw background, so their probabilities do not tell it from text
        visual_confidence = decoded.visual_confidence if info.name in PHOTO_RECOGNIZERS else 1.0
        return Line(
            decoded.text, confidence, corners, info.name, characters, words, visual_confidence=visual_confidence
        )


def open_line_reader(
    model: str | Recognizer = DEFAULT_MODEL,
    decoder: str = "beam",
    constraint: Callable[[Recognizer], Constraint] | None = None,
    language: str = AUTO,
) -> LineReader:
    """Open a reader of line images.

    model: a bundled model's name, "pp-ocr", the path of an .onnx file, or a recognizer. decoder: a spec such as "beam"
    or "beam:my.lm", see DECODERS. constraint: called with the recognizer; returns the constraint that every text has to
    meet. With a constraint the decoder is a beam search, also where `decoder` is "greedy". language: a code of
    LANGUAGES, "none", or "auto": found from the lines, for a recognizer whose alphabet has accented letters. Raises
    UserError or DataError naming the choices, MissingPackage for "pp-ocr" without rapidocr.
    """
    if check_language(language) != AUTO and (constraint or decoder != BEAM):
        other = "a lexicon or pattern" if constraint else f"the decoder {decoder}"
        raise UserError(f"the language {language} chooses the language model of the decoder beam: leave out {other}")
    recognizer = open_recognizer(model) if isinstance(model, str) else model
    unconstrained = open_decoder(decoder, alphabet_of(recognizer))
    if isinstance(unconstrained, BeamSearchDecoder) and recognizer.info.lm_weight is not None:
        unconstrained = replace(unconstrained, lm_weight=recognizer.info.lm_weight)
    if constraint:
        required = constraint(recognizer)
        if recognizer.info.direction == RTL:
            required = read_from_the_right(required, alphabet_of(recognizer))
        return LineReader(recognizer, constrain(unconstrained, required))
    languages: tuple[str, ...] = ()
    if language == NONE:
        languages = (NONE,)
    elif decoder == BEAM and has_accented_letters(alphabet_of(recognizer)):
        languages = tuple(LANGUAGES) if language == AUTO else (language,)
    if languages and isinstance(unconstrained, BeamSearchDecoder):
        unconstrained = replace(unconstrained, clear_line=CLEAR_LINE)
    return LineReader(recognizer, unconstrained, languages)


def _remove_unlikely_classes(log_probs: LogProbs, alphabet: Alphabet) -> tuple[LogProbs, Alphabet]:
    """Remove the classes whose probability is at most MIN_CLASS_PROBABILITY in every step, from output and alphabet.

    The blank and the likeliest character always stay, because an alphabet needs one character.
    """
    highest = log_probs.max(axis=0)
    likely = highest > math.log(MIN_CLASS_PROBABILITY)
    likely[[BLANK, highest[1:].argmax() + 1]] = True
    classes = np.flatnonzero(likely)
    return log_probs[:, classes], Alphabet("".join(alphabet.characters[c - 1] for c in classes.tolist() if c != BLANK))


def _split_long_line(width: int, info: ModelInfo) -> list[slice]:
    """The columns of a canonical line that are recognized at once: all, or overlapping chunks of a long line.

    Chunks begin at multiples of the stride. A line with normalization "whole" is never split.
    """
    chunk, overlap = LIMITS.chunk_width * info.height, LIMITS.chunk_overlap * info.height
    if width <= chunk or info.normalization == "whole":
        return [slice(0, width)]
    count = -(-(width - overlap) // (chunk - overlap))
    starts = [math.ceil(k * (width - chunk) / (count - 1) / info.stride) * info.stride for k in range(count)]
    return [slice(start, min(start + chunk, width)) for start in starts]


def _join_posteriors(chunks: dict[int, LogProbs], info: ModelInfo) -> LogProbs:
    """Join the log-probabilities of the chunks of a line, given by their first column, into one array (T, C).

    Two chunks are joined at the step of their overlap where the product of their blank probabilities is highest, so
    that no character is lost or doubled.
    """
    (_, joined), *others = sorted(chunks.items())
    for start, log_probs in others:
        first_step = start // info.stride
        overlap = len(joined) - first_step
        margin = overlap // LIMITS.overlap_margin
        blank = joined[first_step:, BLANK] + log_probs[:overlap, BLANK]
        joint = margin + int(blank[margin : overlap - margin].argmax())
        joined = np.concatenate([joined[: first_step + joint], log_probs[joint:]])
    return joined


def _map_ahead(function: Callable[[Item], Result], items: Sequence[Item], threads: int) -> Iterator[Result]:
    """Map a function over items, in order, in threads that are up to LIMITS.batches_ahead items ahead of the caller.

    This way the network recognizes a batch while the previous one is decoded.
    """
    if len(items) < 2:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[Future[Result]] = deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > LIMITS.batches_ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def group_by_width(widths: Sequence[int], max_pixels: int = LIMITS.batch_pixels) -> list[list[int]]:
    """Group lines of equal padded width into batches.

    widths: px of each line. Returns a list of indices for each batch, the narrowest lines first.
    A batch has at most LIMITS.batch_lines lines and `max_pixels` px at LIMITS.nominal_height, but at least one line.
    The output of a recurrent network depends on the padding after a line, so a line has the same padding in any batch.
    """
    buckets: dict[int, list[int]] = {}  # padded width in multiples -> indices of lines
    for k, width in enumerate(widths):
        buckets.setdefault(-(-width // LIMITS.width_multiple), []).append(k)
    batches = []
    for multiple, indices in sorted(buckets.items()):
        line_pixels = multiple * LIMITS.width_multiple * LIMITS.nominal_height
        size = max(1, min(LIMITS.batch_lines, max_pixels // line_pixels))
        batches += [indices[start : start + size] for start in range(0, len(indices), size)]
    return batches
