"""Adapts a reader to a hand: further training on lines composed in the hand, and on labelled lines of it.

The training starts from the weights of the reader and mixes the hand's lines with those that the reader was trained
on, so that it keeps what it knew. The result is an average of the old and the new weights (Wortsman et al. 2022,
https://arxiv.org/abs/2109.01903): of a few shares the best on lines that were not trained on. The new reader is
kept only if it reads lines of the hand better, and everybody's lines by at most MAX_COMMON_INCREASE worse; where they
are worse, a greater share of the old weights is tried, each on lines of its own. Lines that choose the share never
measure the result.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
import unicodedata
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.alphabet import Alphabet
from glyphline.composing.glyphs import Folder, open_glyphs
from glyphline.composing.line_sets import LABELS, LineSet, available_lines, normalization_of, open_glyph_pool
from glyphline.composing.sentences import split_of_text
from glyphline.errors import ImageError, UserError, name_first
from glyphline.files import replace_atomically, write_atomically
from glyphline.imaging.normalization import canonical_line_image
from glyphline.reading.lines import LineReader, open_line_reader
from glyphline.reading.recognition.decoders import GreedyDecoder
from glyphline.reading.recognition.recognizers import OnnxRecognizer
from glyphline.recipe import GlyphShare, LabelledShare, LinesRecipe, Recipe
from glyphline.score import character_error_rate, fold_none, score
from glyphline.training.calibrate import calibrate
from glyphline.training.data import needed_steps
from glyphline.training.export import export, write_model_info
from glyphline.training.labelled_lines import LabelledLine, open_labelled_lines
from glyphline.training.misfits import find_misfits
from glyphline.training.network import (
    Network,
    TorchRecognizer,
    copy_matching_weights,
    load_any_network,
    load_network,
    mix_weights,
    names_bundled,
    save_weights,
)
from glyphline.training.quantize import compress_weights
from glyphline.training.runs import BEST_WEIGHTS, LAST_CHECKPOINT
from glyphline.training.train import LOWER_WORKERS, DivergedError, StoppedError, lock_folder, train
from glyphline.writing_direction import LTR, has_rtl_letters, resolve_direction

INITIAL_SHARES = (0.75, 0.5, 0.25, 0.0)  # of the old weights in the average
MAX_COMMON_INCREASE = 0.002  # of everybody's CER, a fraction; one composed line in ten has an error more at most
OWN_SHARE = 0.5  # of the composed lines that are in the hand's glyphs
LABELLED_SHARE = 0.3  # of all training lines that are the hand's labelled lines
HELD_OUT = 0.25  # share of the labelled lines that are kept out to measure
MAX_HELD_OUT = 0.5
FEW_LINES = 8  # labelled lines below this number are too few to measure by
NAMED_CHARACTERS = 20  # that a hand lacks and that are named; the others are counted
MEASURED_LINES = 150  # composed lines of the hand by which readers are compared
COMMON_LINES = 200  # everybody's lines that choose the share of the old weights; as many others decide
CALIBRATION_LINES = 200
EPOCH_LINES, BATCH, PARTS = 256, 32, 2
LEARNING_RATE = 2e-4
COMMON_WORSE = "it reads everybody's lines worse"
STATE_FILE, CANDIDATE = "adapt.json", "adapted.onnx"
LOCK_FILE = ".adapt.lock"  # held by the process that adapts in the folder; a kill releases it

Lines = tuple[list[npt.NDArray[np.uint8]], list[str]]  # canonical images and their texts


class TooFewLines(UserError):
    """The labelled lines that are left are too few to train on or to measure by."""


@dataclass(frozen=True)
class Comparison:
    """The CER of the old and of the new reader on the same lines, read with the beam search, with 95 % intervals."""

    lines: int
    before: float  # a fraction
    before_interval: tuple[float, float]
    after: float
    after_interval: tuple[float, float]
    right_before: int  # lines that are read without an error
    right_after: int


@dataclass(frozen=True)
class Adaptation:
    """The result of `adapt`."""

    kept: bool  # whether the new reader was written
    initial_share: float  # of the old weights in it
    minutes: float  # of training, over all calls
    epochs: int
    own: Comparison | None  # lines of the hand that were not trained on; None where none were kept out
    own_kind: str  # "labelled", "composed" or "": what these lines are
    common: Comparison  # everybody's lines
    common_note: str  # what they lack on this machine; "" where it has all that the reader was trained on
    reason: str  # why it was kept or not, for people


def adapt(
    out: Path,
    *,
    model: str = "photo",
    glyphs: Sequence[str] = (),
    lines: Sequence[Path] = (),
    minutes: float = 10,
    held_out: float = HELD_OUT,
    trust_labels: bool = False,
    seed: int = 0,
    report: Callable[[str], None] = print,
    report_left_out: Callable[[str], None] | None = None,
) -> Adaptation:
    """Train a reader further for one hand, and write it to an .onnx file if it became better.

    out: the file to write; its folder OUT.adapt holds the training, from which an interrupted call goes on when it is
    made again with the same arguments. Where the glyphs, the lines, the reader or the data sets on the machine have
    changed since, the training begins anew. model: a bundled reader, an .onnx file or a run folder. glyphs: glyph
    sources of the hand, such as "folder:hand". lines: folders of its labelled lines. minutes: of preparing the lines
    and training, above 0; comparing and calibrating take about two minutes more. held_out: share of the labelled lines,
    0 to MAX_HELD_OUT, that is kept out to measure; with 0 lines composed in the hand's glyphs measure, and without
    glyphs everybody's lines alone decide whether the reader is kept. trust_labels: keep also the labelled lines that
    seem to belong to another picture. report: receives one line for each step. report_left_out: receives a sentence for
    each labelled line that is left out; None: `report`.

    With fewer than FEW_LINES labelled lines the comparison is made on lines composed in the hand's glyphs.
    Raises UserError without glyphs and lines, for lines in the other direction than the reader's, for a folder of other
    arguments or in which another call trains, and where `out` or its folder cannot be written; TooFewLines;
    StoppedError for a training that something outside ended and that can go on, DivergedError for one that diverged;
    DataError for a model that cannot be trained further; and what `train`, `open_glyphs` and `open_labelled_lines`
    raise. KeyboardInterrupt passes through; the last epoch is kept.
    """
    if not glyphs and not lines:
        raise UserError("adapt needs a hand: give --glyphs folder:HAND, --lines FOLDER, or both")
    if out.suffix != ".onnx" or out.is_dir():
        raise UserError(f"{out}: a reader is an .onnx file; name it something.onnx")
    if not minutes > 0:
        raise UserError(f"{minutes:g} minutes: give a number above 0")
    if not 0 <= held_out <= MAX_HELD_OUT:
        raise UserError(f"{held_out:g} of the lines to keep out: give a share from 0 to {MAX_HELD_OUT}")
    network = load_any_network(_model_path(model))
    base = network.recipe
    labelled = _read_labelled(lines, report)
    _check_direction(labelled, base.lines)
    work = work_folder(out)
    settings = {
        "model": model, "glyphs": list(glyphs), "lines": [str(folder) for folder in lines], "held_out": held_out,
        "trust_labels": trust_labels, "seed": seed,
    }  # fmt: skip
    common, common_note = available_lines(base.lines)
    if common_note:
        report(common_note)
    is_file = names_bundled(Path(model)) or model.endswith(".onnx")  # they are calibrated, weights of a run are not
    old_reader = open_line_reader(model if is_file else TorchRecognizer(network))
    lm_weight = old_reader.recognizer.info.lm_weight
    common_with_own = _with_own_characters(common, glyphs, labelled)
    _report_new_characters(common.alphabet, common_with_own.alphabet, labelled, report)
    composed = _composed(common_with_own, glyphs) if glyphs else None
    if composed:
        _report_lacking(composed, len(glyphs), report)
    leave_out = report_left_out or report
    usable = _without_faults(labelled, common_with_own, network.steps, leave_out)
    if not trust_labels:
        usable, misfits = _without_misfits(usable, old_reader, leave_out)
        if misfits and not report_left_out:
            report("if these texts are right, give --trust-labels: all lines are learned then")
    trained, kept_out = _divide(usable, held_out, seed)
    if lines:
        report(f"{len(usable)} labelled lines: {len(trained)} to train on, {len(kept_out)} kept out")
        _check_counts(len(trained), len(kept_out), has_glyphs=bool(glyphs), measured=held_out > 0, report=report)
    if not held_out:
        kept_out = []
    undivided = not glyphs or len(kept_out) >= FEW_LINES // 2  # written lines measure: all glyphs may teach
    own = dataclasses.replace(common_with_own, glyphs=_own_shares(glyphs, common, undivided))
    fingerprint = _fingerprint(network, glyphs, labelled, common_with_own)
    with lock_folder(work, LOCK_FILE, "adapts a reader in"):
        state = _open_state(work, settings, fingerprint, report)
        if trained:
            _write_labelled(trained, work / "lines")
            own = dataclasses.replace(own, labelled=(LabelledShare(str(work / "lines"), LABELLED_SHARE),))
        recipe = _recipe_for(base, own, _model_path(model), seed)
        _train_for(recipe, work, state, minutes, report)

        report("comparing the new reader with the old one")
        folds, kind = _folds(composed, kept_out if undivided else [], base.lines, seed)
        measuring = [fold[1] for fold in folds]
        own_truths = [text for _, texts in measuring for text in texts]
        own_before = [text for part in measuring for text in _read(old_reader, part)]
        choice_lines = LineSet(common, "val", seed).canonical_batch(range(COMMON_LINES))
        mixtures = Mixtures(network, load_network(work / BEST_WEIGHTS)[0], folds, choice_lines)
        common_test = LineSet(common, "test", seed)
        for attempt, share in enumerate(mixtures.attempts):
            mixed = mixtures.network(share)
            mixed.recipe = dataclasses.replace(recipe, lines=common_with_own)  # a later call adapts from these lines
            candidate = _make_candidate(work, mixed, lm_weight, report)
            common_lines = common_test.canonical_batch(range(attempt * COMMON_LINES, (attempt + 1) * COMMON_LINES))
            common_result = _comparison(
                common_lines[1], _read(old_reader, common_lines), _read(candidate, common_lines)
            )
            own_after = list[str]()
            for chosen, part in zip(mixtures.shares, measuring, strict=True):
                fold_share = max(share, chosen) if attempt else chosen
                own_after += _read(candidate if fold_share == share else mixtures.reader(fold_share, lm_weight), part)
            own_result = _comparison(own_truths, own_before, own_after) if folds else None
            refusal = _refusal(own_result, common_result)
            if refusal != COMMON_WORSE:
                break
            if share < max(INITIAL_SHARES):
                report(f"{share:.0%} of the old weights: {refusal}; with more of them it may not")
        if refusal:
            kept, reason = False, f"{refusal}, so it was not kept"
        else:
            _write_candidate(work, out)
            unmeasured = "" if own_result else "; whether it reads the hand better was not measured"
            kept, reason = True, f"kept in {out}{unmeasured}"
        result = Adaptation(
            kept, share, state["seconds"] / 60, state["epochs"], own_result, kind, common_result, common_note, reason
        )
        write_atomically(work / "result.json", (json.dumps(asdict(result), indent=1) + "\n").encode())
        return result


def work_folder(out: Path) -> Path:
    """The folder that holds the training of a reader that `adapt` writes to `out`."""
    return out.with_name(out.name + ".adapt")


def _model_path(model: str) -> Path:
    """The path by which `load_any_network` knows a model. Raises UserError for PP-OCR's own file."""
    if model == "pp-ocr":
        raise UserError("pp-ocr cannot be adapted: photo is the same network with the Latin letters")
    return Path(model)


def _open_state(
    work: Path, settings: dict[str, Any], fingerprint: int, report: Callable[[str], None]
) -> dict[str, Any]:
    """The state of an earlier call with the same settings and the same data, or a new one.

    fingerprint: see `_fingerprint`. A training on other data is deleted: lines that it trained on might measure it now.
    Raises UserError for other settings, for a damaged state, and where the folder cannot be written.
    """
    path = work / STATE_FILE
    try:
        if path.exists():
            state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if state["settings"] != settings:
                raise UserError(f"{work} holds the training of other settings: delete it, or choose another --out")
            if state["fingerprint"] == fingerprint:
                return state
            report(
                "the glyphs, the lines, the reader or the data sets on this machine have changed since "
                f"{work} was trained: it begins anew"
            )
            for old in sorted(work.iterdir(), key=lambda path: path.name == STATE_FILE):  # last: what it says is gone
                if old.is_dir():
                    shutil.rmtree(old)
                elif old.name != LOCK_FILE:
                    old.unlink()
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path} is damaged: delete {work}, or choose another --out") from None
    except OSError as error:
        raise UserError(f"cannot write {work}: {error.strerror or error}") from None
    return {"settings": settings, "fingerprint": fingerprint, "seconds": 0.0, "epochs": 0, "minutes": 0.0}


def _fingerprint(network: Network, glyphs: Sequence[str], labelled: Sequence[LabelledLine], common: LinesRecipe) -> int:
    """A checksum of the reader's weights, of the hand's glyphs, of the labelled lines and of everybody's lines."""
    checksum = zlib.crc32(json.dumps(asdict(common)).encode())
    for weights in network.state_dict().values():
        checksum = zlib.crc32(weights.numpy().tobytes(), checksum)
    for source in map(open_glyphs, glyphs):
        checksum = zlib.crc32(str(source.fingerprint()).encode(), checksum)
    for line in labelled:
        checksum = zlib.crc32(line.text.encode(), checksum)
        try:
            checksum = zlib.crc32(line.image().tobytes(), checksum)
        except ImageError:
            continue  # it is left out
    return checksum


def _report_new_characters(
    before: str, after: str, labelled: Sequence[LabelledLine], report: Callable[[str], None]
) -> None:
    """Name the characters that the alphabet `after` has and `before` lacks: a slip of a label would be one of them."""
    known = Alphabet.from_name(before)
    new = [c for c in Alphabet.from_name(after).characters if c not in known]
    if not new:
        return
    counts = {c: sum(c in line.text for line in labelled) for c in new}
    named = [f"{c} (in {n} line{'' if n == 1 else 's'})" if n else c for c, n in counts.items()]
    report(f"characters that are new to the reader, which it will learn: {name_first(named, NAMED_CHARACTERS)}")


def _report_lacking(composed: LinesRecipe, count: int, report: Callable[[str], None]) -> None:
    """Say which characters of the alphabet the hand's glyphs lack, and whose glyphs draw them.

    composed: lines in the hand's glyphs, of which the first `count` sources are the hand's.
    """
    pool = open_glyph_pool(composed, "train")
    characters = Alphabet.from_name(composed.alphabet).characters.replace(" ", "")
    places = {c: pool.source_for(c, 0) if pool.draws(c) else None for c in characters}
    lacking = [c for c, place in places.items() if place is None or place >= count]
    if not lacking:
        return
    common_first = sorted(lacking, key=lambda c: not (c.isascii() and c.isalnum()))
    names = dict.fromkeys("nothing" if (k := places[c]) is None else pool.sources[k].name for c in lacking)
    report(
        f"the hand's glyphs lack {name_first(common_first, NAMED_CHARACTERS, ' ')}, which {', '.join(names)} "
        f"{'draw' if len(names) > 1 else 'draws'}"
    )


def _read_labelled(folders: Sequence[Path], report: Callable[[str], None]) -> list[LabelledLine]:
    """The labelled lines of some folders."""
    labelled: list[LabelledLine] = []
    for folder in folders:
        opened = open_labelled_lines(folder)
        labelled += opened.lines
        for note in opened.notes:
            report(note)
    return labelled


def _check_direction(labelled: Sequence[LabelledLine], lines: LinesRecipe) -> None:
    """Raise UserError where most labelled lines are written from right to left, and those of the reader are not."""
    direction = resolve_direction(lines.direction, Alphabet.from_name(lines.alphabet).characters)
    if direction == LTR and sum(has_rtl_letters(line.text) for line in labelled) > len(labelled) / 2:
        raise UserError(
            "the lines are written from right to left, but the reader reads from left to right: train one of their "
            "script (glyphline train recipes/hebrew.yaml or arabic.yaml), and give it with --model"
        )


def _without_faults(
    labelled: Sequence[LabelledLine], lines: LinesRecipe, steps: Callable[[int], int], leave_out: Callable[[str], None]
) -> list[LabelledLine]:
    """The labelled lines whose picture can be read and is wide enough for its text. The others are named.

    lines: with the alphabet of the texts. steps: width of a line in px -> time steps that the network gives.
    """
    alphabet, normalization = Alphabet.from_name(lines.alphabet), normalization_of(lines)
    direction = resolve_direction(lines.direction, alphabet.characters)
    kept = []
    for line in labelled:
        try:
            image = canonical_line_image(line.image(), lines.height, normalization)
        except ImageError as error:
            leave_out(f"{line.name} is left out: {error}")
            continue
        known = "".join(c for c in line.text if c in alphabet)
        if needed_steps(known, alphabet, direction) > steps(image.shape[1]):
            leave_out(f'{line.name} is left out: its picture is too narrow for "{line.text}"')
            continue
        kept.append(line)
    return kept


def _without_misfits(
    labelled: Sequence[LabelledLine], reader: LineReader, leave_out: Callable[[str], None]
) -> tuple[list[LabelledLine], int]:
    """The labelled lines without those whose text belongs to another picture, which are named, and their number.

    reader: the old one, which tells them.
    """
    misfits = dict(find_misfits(labelled, reader))
    for k, read in misfits.items():
        leave_out(f'{labelled[k].name} is left out: its text is "{labelled[k].text}", but the picture shows "{read}"')
    return [line for k, line in enumerate(labelled) if k not in misfits], len(misfits)


def _divide(
    labelled: Sequence[LabelledLine], held_out: float, seed: int
) -> tuple[list[LabelledLine], list[LabelledLine]]:
    """The labelled lines to train on, and those that are kept out: about the share held_out.

    Lines whose text belongs to another split than train are never trained on, because composed test lines may hold it.
    The others are chosen by a checksum of their text, so that lines of the same text stay together, and most stay where
    they are when lines are added. Of fewer than FEW_LINES lines no others are kept out.
    """
    in_train = [line.text for line in labelled if split_of_text(line.text) == "train"]
    checksums = {text: zlib.crc32(f"{seed} {text}".encode()) for text in in_train}
    missing = len(labelled) - len(in_train)
    wanted = round(held_out * len(labelled)) - missing if len(labelled) >= FEW_LINES else 0
    ordered = sorted(checksums[text] for text in in_train)
    limit = ordered[wanted - 1] if wanted > 0 else -1
    trained = [line for line in labelled if checksums.get(line.text, -1) > limit]
    return trained, [line for line in labelled if checksums.get(line.text, -1) <= limit]


def _check_counts(
    trained: int, kept_out: int, *, has_glyphs: bool, measured: bool, report: Callable[[str], None]
) -> None:
    """Say what few labelled lines are good for. Raises TooFewLines where they are too few to train on or measure by.

    trained, kept_out: numbers of labelled lines. has_glyphs: whether lines composed in the hand's glyphs teach and
    measure too.
    """
    count = trained + kept_out
    if count < FEW_LINES:
        report(f"fewer than {FEW_LINES} lines teach little and measure nothing: write more, or a sheet of glyphs")
    if has_glyphs:
        return
    if measured and (count < FEW_LINES or kept_out < 2):
        too_few = f"{count} labelled lines are" if count < FEW_LINES else f"{kept_out} of {count} lines kept out is"
        remedy = f"give at least {FEW_LINES}" if count < FEW_LINES else "give a greater --held-out"
        raise TooFewLines(
            f"{too_few} too few to measure by: {remedy}, or --glyphs of the hand; with --held-out 0 nothing is measured"
        )
    if not trained:
        raise TooFewLines(f"none of the {count} labelled lines is left to train on: give more, or --glyphs of the hand")


def _own_shares(glyphs: Sequence[str], common: LinesRecipe, undivided: bool) -> tuple[GlyphShare, ...]:
    """The glyphs to train on: OWN_SHARE of the weights is the hand's. undivided: see `_hand_shares`."""
    total = sum(share.weight for share in common.glyphs)
    own_share = OWN_SHARE if glyphs else 0.0
    shares = [dataclasses.replace(share, weight=(1 - own_share) * share.weight / total) for share in common.glyphs]
    return (*_hand_shares(glyphs, OWN_SHARE, undivided), *shares)


def _hand_shares(glyphs: Sequence[str], weight: float, undivided: bool) -> tuple[GlyphShare, ...]:
    """The hand's glyphs with a weight in all, and accents drawn from them. undivided: those of folders all teach."""
    sources = [f"undivided:{source}" if undivided and source.startswith("folder:") else source for source in glyphs]
    return tuple(GlyphShare(f"derived:{source}", weight / len(sources)) for source in sources)


def _composed(common: LinesRecipe, glyphs: Sequence[str]) -> LinesRecipe:
    """Lines in the hand's glyphs alone, and in everybody's for characters that it lacks."""
    others = (dataclasses.replace(share, weight=0.0) for share in common.glyphs)
    return dataclasses.replace(common, glyphs=(*_hand_shares(glyphs, 1.0, False), *others))


def _with_own_characters(common: LinesRecipe, glyphs: Sequence[str], labelled: Sequence[LabelledLine]) -> LinesRecipe:
    """Everybody's lines with the characters of the hand in their alphabet.

    These are the characters of the labelled lines and of the hand's sheets (`Folder`). Other glyphs, such as fonts,
    have many more characters than are asked for. The direction of the lines stays that of the reader.
    """
    alphabet = Alphabet.from_name(common.alphabet).characters
    characters = {c for line in labelled for c in line.text if unicodedata.category(c)[0] != "C"}  # they have no shape
    for source in map(open_glyphs, glyphs):
        if isinstance(source, Folder):
            characters |= set(source.characters("train"))
    new = "".join(sorted(c for c in characters if c not in alphabet and not c.isspace()))
    return dataclasses.replace(
        common, alphabet=alphabet + new if new else common.alphabet,
        direction=resolve_direction(common.direction, alphabet),
    )  # fmt: skip


def _write_labelled(lines: Sequence[LabelledLine], folder: Path) -> None:
    """Write labelled lines as images and labels.tsv, so that the training folder is complete in itself."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, line in enumerate(lines):
        name = f"{number:05d}.png"
        _, png = cv2.imencode(".png", line.image())
        write_atomically(folder / name, png.tobytes())
        rows.append(f"{name}\t{line.text}\n")
    write_atomically(folder / LABELS, "".join(rows).encode())


def _recipe_for(base: Recipe, lines: LinesRecipe, model: Path, seed: int) -> Recipe:
    """The recipe of the further training: a constant rate and an average, so that it may end at any time."""
    training = dataclasses.replace(
        base.training, initial_weights=str(model), initial_share=0.0, seed=seed, optimizer="adamw",
        learning_rate=LEARNING_RATE, schedule="constant", warmup=0.0, weight_decay=0.02, gradient_clip=1.0, batch=BATCH,
        gradient_accumulation=PARTS, epochs=100_000, epoch_lines=EPOCH_LINES, distinct_lines=None, validation_lines=64,
        validation_glyphs="val", patience=0, ema_decay=0.99, workers=1, watch=None, stored_lines=None,
    )  # fmt: skip
    return Recipe(base.name, base.about, lines, base.network, training)


def _train_for(
    recipe: Recipe, work: Path, state: dict[str, Any], minutes: float, report: Callable[[str], None]
) -> None:
    """Train until the minutes are used up, those of earlier calls among them, and at least one epoch.

    state: see `_open_state`; brought up to date after each epoch.
    """
    started = time.monotonic()

    def note(epoch: int, pairs: Sequence[tuple[str, str]]) -> bool:
        nonlocal started
        seconds = time.monotonic() - started
        started = time.monotonic()
        is_first = state["epochs"] == 0  # it includes the preparing of the lines
        state["seconds"] += seconds
        state["epochs"] = epoch
        left = 60 * minutes - state["seconds"]
        if is_over := bool(left < (0.0 if is_first else seconds / 2)):
            state["minutes"] = minutes
        write_atomically(work / STATE_FILE, json.dumps(state).encode())
        cer = sum(character_error_rate(fold_none(a), fold_none(b)) for a, b in pairs) / max(1, len(pairs))
        report(f"epoch {epoch}: validation CER {cer:.1%}, {max(0.0, left) / 60:.1f} minutes left")
        return is_over

    if state["minutes"] >= minutes and (work / LAST_CHECKPOINT).exists():
        return
    try:
        train(
            recipe, work, resume=(work / LAST_CHECKPOINT).exists(), trackers=("csv",), progress=False, report=report,
            on_epoch=note,
        )  # fmt: skip
    except StoppedError as error:
        remedy = error.remedy.removesuffix(LOWER_WORKERS)
        raise StoppedError(error.reason, remedy, "give the same command again to go on") from None
    except DivergedError:
        raise DivergedError(
            f"the training diverged: look for wrong labels, or give another --seed; delete {work} before"
        ) from None


def _canonical(lines: Sequence[LabelledLine], recipe: LinesRecipe) -> Lines:
    normalization = normalization_of(recipe)
    images = [canonical_line_image(line.image(), recipe.height, normalization) for line in lines]
    return images, [line.text for line in lines]


def _folds(
    composed: LinesRecipe | None, held_out: Sequence[LabelledLine], base: LinesRecipe, seed: int
) -> tuple[list[tuple[Lines, Lines]], str]:
    """Pairs of lines that choose the share and lines that measure it, and what the latter are; [] without any.

    composed: lines of the hand; None without its glyphs. held_out: labelled lines that were not trained on. Each half
    of them measures the share that the other half has chosen, with half of MEASURED_LINES composed lines: a few lines
    choose by chance, and composed lines of glyphs that were trained on are too easy to measure. Without labelled lines
    composed ones of other splits, of glyphs that were not trained on, choose and measure.
    """
    if not held_out:
        if composed is None:
            return [], ""
        own, test = (LineSet(composed, split, seed).canonical_batch(range(MEASURED_LINES)) for split in ("val", "test"))
        return [(own, test)], "composed"
    halves = [_canonical(held_out[k::2], base) for k in range(2)]
    if composed is None:
        return [(halves[0], halves[1]), (halves[1], halves[0])], "labelled"
    of_glyphs = LineSet(composed, "val", seed)
    parts = [of_glyphs.canonical_batch(range(k, MEASURED_LINES, 2)) for k in range(2)]
    choosing = [(images + others[0], texts + others[1]) for (images, texts), others in zip(halves, parts, strict=True)]
    return [(choosing[0], halves[1]), (choosing[1], halves[0])], "labelled"


def _read(reader: LineReader, lines: Lines) -> list[str]:
    return [decoded.text for decoded in reader.decode_canonical(list(lines[0]))]


class Mixtures:
    """The averages of an initial and a trained network with INITIAL_SHARES of the initial weights.

    `shares`: for each fold the share that reads its choosing lines best, of those that everybody's lines permit; where
    none permits, that with the most of the initial weights. `share`: the one for the choosing lines of all folds. They
    are read greedily. Without folds it is the permitted one with the least of the initial weights. `attempts`: this
    share and those with more of the initial weights, in rising order.
    """

    def __init__(self, initial: Network, trained: Network, folds: Sequence[tuple[Lines, Lines]], common: Lines) -> None:
        self._recipe = trained.recipe
        mixed = self._new_network()
        new_characters = copy_matching_weights(mixed, initial)
        self._new_classes = [trained.alphabet.characters.index(c) + 1 for c in new_characters]
        self._old = {name: weight.clone() for name, weight in mixed.state_dict().items()}
        self._new = trained.state_dict()
        readers = {share: LineReader(TorchRecognizer(self.network(share)), GreedyDecoder()) for share in INITIAL_SHARES}
        limit = _cer(LineReader(TorchRecognizer(initial), GreedyDecoder()), common) + MAX_COMMON_INCREASE
        permitted = [share for share, reader in readers.items() if _cer(reader, common) <= limit]
        permitted = permitted or [max(INITIAL_SHARES)]
        texts = {share: [_read(readers[share], lines) for lines, _ in folds] for share in permitted}

        def choose(chosen: Sequence[int]) -> float:
            truths = [text for k in chosen for text in folds[k][0][1]]
            cers = {s: score(truths, [text for k in chosen for text in read[k]]).cer for s, read in texts.items()}
            return min(permitted, key=lambda share: (cers[share], share))

        self.shares = [choose([k]) for k in range(len(folds))]
        self.share = choose(range(len(folds))) if folds else min(permitted)
        self.attempts = sorted(share for share in INITIAL_SHARES if share >= self.share)

    def _new_network(self) -> Network:
        return Network(self._recipe).eval()

    def network(self, share: float) -> Network:
        """The average with a share of the initial weights."""
        network = self._new_network()
        network.load_state_dict(mix_weights(self._old, self._new, share, self._new_classes))
        return network

    def reader(self, share: float, lm_weight: float | None) -> LineReader:
        """The average, read as a whole reader reads, with its language models. lm_weight: see ModelInfo."""
        recognizer = TorchRecognizer(self.network(share))
        recognizer.info = dataclasses.replace(recognizer.info, lm_weight=lm_weight)
        return open_line_reader(recognizer)


def _cer(reader: LineReader, lines: Lines) -> float:
    return score(lines[1], _read(reader, lines)).cer


def _make_candidate(work: Path, network: Network, lm_weight: float | None, report: Callable[[str], None]) -> LineReader:
    """Export and calibrate the new reader. Returns it opened; its file is work / CANDIDATE.

    lm_weight: of the old reader, see ModelInfo.
    """
    save_weights(network, work / "adapted.pt")
    export(work / "adapted.pt", work / CANDIDATE)
    compress_weights(work / CANDIDATE, work / CANDIDATE, bits=8)
    info = OnnxRecognizer(work / CANDIDATE).info
    write_model_info(work / CANDIDATE, dataclasses.replace(info, lm_weight=lm_weight))
    report("calibrating its confidences")
    calibrate(work / CANDIDATE, network.recipe, CALIBRATION_LINES)
    return open_line_reader(OnnxRecognizer(work / CANDIDATE))


def _comparison(truths: list[str], before: list[str], after: list[str]) -> Comparison:
    results = [score(truths, texts) for texts in (before, after)]
    right = [round(result.exact * result.lines) for result in results]
    old, new = results
    return Comparison(old.lines, old.cer, old.cer_interval, new.cer, new.cer_interval, *right)


def _refusal(own: Comparison | None, common: Comparison) -> str:
    """Why the new reader is not kept; "" if it is."""
    if own is not None and own.after >= own.before:
        return "it does not read the hand better"
    return COMMON_WORSE if common.after - common.before > MAX_COMMON_INCREASE else ""


def _write_candidate(work: Path, out: Path) -> None:
    """Write the new reader. Raises UserError where it cannot be written."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replace_atomically(out) as temporary:
            temporary.write_bytes((work / CANDIDATE).read_bytes())
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}") from None
