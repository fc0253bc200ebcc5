"""Adapts a reader to a hand: further training on lines composed in the hand, and on labelled lines of it.

The training starts from the weights of the reader and mixes the hand's lines with those that the reader was trained
on, so that it keeps what it knew. The result is an average of the old and the new weights (Wortsman et al. 2022,
https://arxiv.org/abs/2109.01903): of a few shares the best on lines that were not trained on. The new reader is
kept only if it reads lines of the hand better, and everybody's lines by at most MAX_COMMON_INCREASE worse.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.alphabet import Alphabet
from glyphline.composing.glyphs import Folder, open_glyphs
from glyphline.composing.line_sets import LABELS, LineSet, normalization_of
from glyphline.composing.sentences import GENERATED_COUNT, is_available, split_of_text
from glyphline.errors import GlyphlineError, UserError
from glyphline.files import replace_atomically, write_atomically
from glyphline.imaging.normalization import canonical_line_image
from glyphline.reading.lines import LineReader, open_line_reader
from glyphline.reading.recognition.decoders import GreedyDecoder
from glyphline.reading.recognition.recognizers import OnnxRecognizer, bundled_names
from glyphline.recipe import GlyphShare, LabelledShare, LinesRecipe, Recipe
from glyphline.score import Score, character_error_rate, fold_none, score
from glyphline.training.calibrate import calibrate
from glyphline.training.export import export
from glyphline.training.labelled_lines import LabelledLine, open_labelled_lines
from glyphline.training.misfits import find_misfits
from glyphline.training.network import (
    Network,
    TorchRecognizer,
    copy_matching_weights,
    load_any_network,
    load_network,
    mix_weights,
    save_weights,
)
from glyphline.training.quantize import compress_weights
from glyphline.training.runs import BEST_WEIGHTS, LAST_CHECKPOINT
from glyphline.training.train import train
from glyphline.writing_direction import resolve_direction

INITIAL_SHARES = (0.75, 0.5, 0.25, 0.0)  # of the old weights in the average
MAX_COMMON_INCREASE = 0.002  # of everybody's CER, a fraction; one composed line in ten has an error more at most
OWN_SHARE = 0.5  # of the composed lines that are in the hand's glyphs
LABELLED_SHARE = 0.3  # of all training lines that are the hand's labelled lines
HELD_OUT = 0.25  # share of the labelled lines that are kept out to measure
FEW_LINES = 8  # labelled lines below this number are too few to measure by
MEASURED_LINES = 150  # composed lines of each kind by which readers are compared
CALIBRATION_LINES = 200
EPOCH_LINES, BATCH, PARTS = 256, 32, 2
LEARNING_RATE = 2e-4
#: glyphs and sentences for everybody's lines where those of the reader's recipe are not on this machine
EMBEDDED_GLYPHS, EMBEDDED_SENTENCES = "derived:strokes", ("built-in", f"generated:{GENERATED_COUNT}")
GENERATED_KINDS = ("generated", "signs")  # sources of texts that are made up
STATE_FILE = "adapt.json"

Lines = tuple[list[npt.NDArray[np.uint8]], list[str]]  # canonical images and their texts


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
    own: Comparison  # lines of the hand that were not trained on
    own_kind: str  # "labelled" or "composed": what these lines are
    common: Comparison  # everybody's lines
    reason: str  # why it was kept or not, for people


def adapt(
    out: Path,
    *,
    model: str = "photo",
    glyphs: Sequence[str] = (),
    lines: Sequence[Path] = (),
    minutes: float = 10,
    seed: int = 0,
    report: Callable[[str], None] = print,
) -> Adaptation:
    """Train a reader further for one hand, and write it to an .onnx file if it became better.

    out: the file to write; its folder OUT.adapt holds the training, from which an interrupted call goes on when it is
    made again with the same arguments. model: a bundled reader, an .onnx file or a run folder. glyphs: glyph sources of
    the hand, such as "folder:hand". lines: folders of its labelled lines. minutes: of preparing the lines and
    training, above 0; comparing and calibrating take about two minutes more. report: receives one line for each step.

    A quarter of the labelled lines is kept out to measure. With fewer than FEW_LINES of them the comparison is made on
    lines composed in the hand's glyphs. Raises UserError without glyphs and lines, for a folder of other arguments, and
    where `out` cannot be written; DataError for a model that cannot be trained further; and what `train`,
    `open_glyphs` and `open_labelled_lines` raise. KeyboardInterrupt passes through; the last epoch is kept.
    """
    if not glyphs and not lines:
        raise UserError("adapt needs a hand: give --glyphs folder:HAND, --lines FOLDER, or both")
    if out.suffix != ".onnx":
        raise UserError(f"{out}: a reader is an .onnx file; name it something.onnx")
    if not minutes > 0:
        raise UserError(f"{minutes:g} minutes: give a number above 0")
    network = load_any_network(_model_path(model))
    base = network.recipe
    work = work_folder(out)
    settings = {"model": model, "glyphs": list(glyphs), "lines": [str(folder) for folder in lines], "seed": seed}
    state = _open_state(work, settings)
    common = _available(base.lines, report)
    is_file = model in bundled_names() or model.endswith(".onnx")  # they are calibrated, weights of a run are not
    old_reader = open_line_reader(model if is_file else TorchRecognizer(network))
    trained, held_out = _divide(lines, old_reader, seed, report)
    if not glyphs and len(held_out) < FEW_LINES // 4:
        raise UserError(
            f"only {len(held_out)} labelled lines are left to measure by: give at least {FEW_LINES} lines, or "
            "--glyphs of the hand"
        )
    own = _own_lines(common, base.lines, glyphs, trained)
    if trained:
        _write_labelled(trained, work / "lines")
        own = dataclasses.replace(own, labelled=(LabelledShare(str(work / "lines"), LABELLED_SHARE),))
    recipe = _recipe_for(base, own, _model_path(model), seed)
    _train_for(recipe, work, state, minutes, report)

    report("comparing the new reader with the old one")
    others = tuple(dataclasses.replace(share, weight=0.0) for share in common.glyphs)  # for characters it lacks
    hand = (*_hand_shares(glyphs, 1.0), *others) if glyphs else ()
    own_composed = dataclasses.replace(own, glyphs=hand, labelled=()) if glyphs else None
    choice_lines, test_lines, kind = _measured_lines(own_composed, held_out, base.lines, seed)
    common_lines = LineSet(common, "test", seed).canonical_batch(range(MEASURED_LINES))
    mixed, share = _choose_share(network, load_network(work / BEST_WEIGHTS)[0], choice_lines, common_lines)
    return _finish(out, work, old_reader, mixed, recipe, share, state, (test_lines, kind), common_lines, common, report)


def work_folder(out: Path) -> Path:
    """The folder that holds the training of a reader that `adapt` writes to `out`."""
    return out.with_name(out.name + ".adapt")


def _model_path(model: str) -> Path:
    """The path by which `load_any_network` knows a model. Raises UserError for PP-OCR's own file."""
    if model == "pp-ocr":
        raise UserError("pp-ocr cannot be adapted: photo is the same network with the Latin letters")
    return Path(model)


def _open_state(work: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The state of an earlier call with the same settings, or a new one. Raises UserError for other settings."""
    path = work / STATE_FILE
    if path.exists():
        state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if state["settings"] != settings:
            raise UserError(f"{work} holds the training of other settings: delete it, or choose another --out")
        return state
    return {"settings": settings, "seconds": 0.0, "epochs": 0, "minutes": 0.0}  # minutes: that were used up


def _available(lines: LinesRecipe, report: Callable[[str], None]) -> LinesRecipe:
    """The lines of a reader's recipe without the glyphs and sentences that are not on this machine.

    Where none are left, those that are part of glyphline take their place.
    """
    kept, missing = [], []
    for share in lines.glyphs:
        try:
            open_glyphs(share.source).count("a", "train")  # some sources open their files only now
            kept.append(share)
        except (GlyphlineError, OSError):
            missing.append(share.source)
    weights = lines.sentence_weights or (1.0,) * len(lines.sentences)
    sentences = []
    for spec, weight in zip(lines.sentences, weights, strict=True):
        kind = spec.partition(":")[0]
        if kind in GENERATED_KINDS:  # fewer than for a training of hours: they take longest to prepare
            sentences.append((f"{kind}:{GENERATED_COUNT}", weight))
        elif is_available(spec):
            sentences.append((spec, weight))
        else:
            missing.append(spec)
    sentences = sentences or [(spec, 1.0) for spec in EMBEDDED_SENTENCES]
    if missing:
        report(f"everybody's lines are composed without {', '.join(missing)}: not on this machine")
    return dataclasses.replace(
        lines, glyphs=tuple(kept) or (GlyphShare(EMBEDDED_GLYPHS),), sentences=tuple(spec for spec, _ in sentences),
        sentence_weights=tuple(weight for _, weight in sentences),
        test_sentences=tuple(spec for spec in lines.test_sentences if spec in dict(sentences)),
    )  # fmt: skip


def _divide(
    folders: Sequence[Path], reader: LineReader, seed: int, report: Callable[[str], None]
) -> tuple[list[LabelledLine], list[LabelledLine]]:
    """The labelled lines to train on, and those that are kept out.

    reader: the old one, which tells the lines whose text belongs to another picture; they are named and left out.
    Lines whose text belongs to another split than train are never trained on, because composed test lines may hold it.
    """
    labelled: list[LabelledLine] = []
    for folder in folders:
        opened = open_labelled_lines(folder)
        labelled += opened.lines
        for note in opened.notes:
            report(note)
    misfits = dict(find_misfits(labelled, reader))
    for k, read in misfits.items():
        report(f'{labelled[k].name} is left out: its text is "{labelled[k].text}", but the picture shows "{read}"')
    labelled = [line for k, line in enumerate(labelled) if k not in misfits]
    held_out = [line for line in labelled if split_of_text(line.text) != "train"]
    rest = [line for line in labelled if split_of_text(line.text) == "train"]
    missing = round(HELD_OUT * len(labelled)) - len(held_out) if len(labelled) >= FEW_LINES else 0
    order = np.random.default_rng(seed).permutation(len(rest))
    chosen = set(order[: max(0, missing)].tolist())
    held_out += [line for k, line in enumerate(rest) if k in chosen]
    trained = [line for k, line in enumerate(rest) if k not in chosen]
    if folders:
        report(f"{len(labelled)} labelled lines: {len(trained)} to train on, {len(held_out)} kept out to measure")
        if len(labelled) < FEW_LINES:
            report(f"fewer than {FEW_LINES} lines teach little and measure nothing: write more, or a sheet of glyphs")
    return trained, held_out


def _hand_shares(glyphs: Sequence[str], weight: float) -> tuple[GlyphShare, ...]:
    return tuple(GlyphShare(source, weight / len(glyphs)) for source in glyphs)


def _own_lines(
    common: LinesRecipe, base: LinesRecipe, glyphs: Sequence[str], labelled: Sequence[LabelledLine]
) -> LinesRecipe:
    """The lines to train on: OWN_SHARE of them in the hand's glyphs, and the alphabet with the hand's characters.

    These are the characters of the labelled lines and of the hand's sheets (`Folder`). Other glyphs, such as fonts,
    have many more characters than are asked for. The direction of the lines stays that of the reader.
    """
    alphabet = Alphabet.from_name(base.alphabet).characters
    characters = {c for line in labelled for c in line.text}
    for source in map(open_glyphs, glyphs):
        if isinstance(source, Folder):
            characters |= set(source.characters("train"))
    new = "".join(sorted(c for c in characters if c not in alphabet and not c.isspace()))
    total = sum(share.weight for share in common.glyphs)
    shares = tuple(dataclasses.replace(s, weight=(1 - OWN_SHARE) * s.weight / total) for s in common.glyphs)
    if glyphs:
        shares = (*_hand_shares(glyphs, OWN_SHARE), *shares)
    return dataclasses.replace(
        common, glyphs=shares, alphabet=alphabet + new if new else base.alphabet,
        direction=resolve_direction(base.direction, alphabet),
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
    work.mkdir(parents=True, exist_ok=True)
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
    train(
        recipe, work, resume=(work / LAST_CHECKPOINT).exists(), trackers=("csv",), progress=False,
        report=lambda _: None, on_epoch=note,
    )  # fmt: skip


def _canonical(lines: Sequence[LabelledLine], recipe: LinesRecipe) -> Lines:
    normalization = normalization_of(recipe)
    images = [canonical_line_image(line.image(), recipe.height, normalization) for line in lines]
    return images, [line.text for line in lines]


def _measured_lines(
    composed: LinesRecipe | None, held_out: Sequence[LabelledLine], base: LinesRecipe, seed: int
) -> tuple[Lines, Lines, str]:
    """The lines that choose the share, those that measure the result, and what the latter are.

    Labelled lines measure where there are enough of them. Then composed lines of the hand choose, or the other half of
    the labelled ones where there are no glyphs.
    """
    if composed is None:
        images, texts = _canonical(held_out, base)
        return (images[::2], texts[::2]), (images[1::2], texts[1::2]), "labelled"
    own = LineSet(composed, "val", seed).canonical_batch(range(MEASURED_LINES))
    if len(held_out) >= FEW_LINES // 2:
        return own, _canonical(held_out, base), "labelled"
    return own, LineSet(composed, "test", seed).canonical_batch(range(MEASURED_LINES)), "composed"


def _cer(reader: LineReader, lines: Lines) -> Score:
    images, truths = lines
    return score(truths, [decoded.text for decoded in reader.decode_canonical(list(images))])


def _choose_share(initial: Network, trained: Network, own: Lines, common: Lines) -> tuple[Network, float]:
    """The average of both networks that reads the hand's lines best, of those that everybody's lines permit.

    They are read greedily. Where no share permits, it is the one with the most of the old weights.
    """
    mixed = Network(trained.recipe).eval()
    new_characters = copy_matching_weights(mixed, initial)
    new_classes = [trained.alphabet.characters.index(c) + 1 for c in new_characters]
    old = {name: weight.clone() for name, weight in mixed.state_dict().items()}
    new = trained.state_dict()
    limit = _cer(LineReader(TorchRecognizer(initial), GreedyDecoder()), common).cer + MAX_COMMON_INCREASE
    results = []
    for share in INITIAL_SHARES:
        mixed.load_state_dict(mix_weights(old, new, share, new_classes))
        reader = LineReader(TorchRecognizer(mixed), GreedyDecoder())
        results.append((share, _cer(reader, own).cer, _cer(reader, common).cer))
    permitted = [row for row in results if row[2] <= limit] or results[:1]
    share = min(permitted, key=lambda row: row[1])[0]
    mixed.load_state_dict(mix_weights(old, new, share, new_classes))
    return mixed, share


def _finish(
    out: Path, work: Path, old_reader: LineReader, network: Network, recipe: Recipe, share: float,
    state: dict[str, Any], own: tuple[Lines, str], common_lines: Lines, common: LinesRecipe,
    report: Callable[[str], None],
) -> Adaptation:  # fmt: skip
    """Export, calibrate and compare the new reader, and write it where it is better."""
    candidate = work / "adapted.onnx"
    save_weights(network, work / "adapted.pt")
    export(work / "adapted.pt", candidate)
    compress_weights(candidate, candidate, bits=8)
    report("calibrating its confidences")
    calibrate(candidate, dataclasses.replace(recipe, lines=dataclasses.replace(common, labelled=())), CALIBRATION_LINES)
    readers = [old_reader, open_line_reader(OnnxRecognizer(candidate))]
    comparisons = []
    for lines in (own[0], common_lines):
        before, after = (_cer(reader, lines) for reader in readers)
        right = [round(result.exact * result.lines) for result in (before, after)]
        comparisons.append(
            Comparison(before.lines, before.cer, before.cer_interval, after.cer, after.cer_interval, *right)
        )
    own_result, common_result = comparisons
    if own_result.after >= own_result.before:
        kept, reason = False, "it does not read the hand better, so it was not kept"
    elif common_result.after - common_result.before > MAX_COMMON_INCREASE:
        kept, reason = False, "it reads everybody's lines worse, so it was not kept"
    else:
        kept, reason = True, f"kept in {out}"
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            with replace_atomically(out) as temporary:
                temporary.write_bytes(candidate.read_bytes())
        except OSError as error:
            raise UserError(f"cannot write {out}: {error.strerror or error}") from None
    result = Adaptation(kept, share, state["seconds"] / 60, state["epochs"], own_result, own[1], common_result, reason)
    write_atomically(work / "result.json", (json.dumps(asdict(result), indent=1) + "\n").encode())
    return result
