"""Writes docs/results.md from benchmarks/results/*.json and the bundled models. It is the last step of `make bench`.

python benchmarks/results.py    # formats numbers, measures nothing

A section whose JSON file is missing is left out.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from glyphline.alphabet import Alphabet
from glyphline.reading.recognition.language_model import language_model_name
from glyphline.reading.recognition.recognizers import bundled_card, bundled_names
from glyphline.recipe import load_recipe
from glyphline.score import FOLDS

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
MODELS = ROOT / "src" / "glyphline" / "models"
MEGABYTE = 2**20
MISSING = "n/a"
PEER_VERSIONS = "RapidOCR 3.10 and Tesseract 5.3"
KERAS = "seed in Keras"  # row of training.json

# ---------------------------------------------------------------------------- readers and data of the summary's tables
#: names in reading.json
PHOTO, READER, PP_OCR = "glyphline photo, beam", "glyphline reader, beam", "glyphline pp-ocr, beam"
GREEDY_READER = "glyphline reader, greedy"
TILES_READER, OVERLAP_READER = "glyphline tiles-byclass, beam", "glyphline overlap, beam"
RAPIDOCR, TESSERACT = "RapidOCR", "Tesseract"  # names in reading.json and pages.json
#: name in reading.json -> name in the tables
LINE_READERS = {
    PHOTO: "glyphline `photo` (default)",
    READER: "glyphline `reader`",
    GREEDY_READER: "glyphline `reader`, greedy decoder",
    TILES_READER: "glyphline `tiles-byclass`",
    OVERLAP_READER: "glyphline `overlap`",
    PP_OCR: "glyphline `pp-ocr`",
    RAPIDOCR: "RapidOCR, recognizer only",
    TESSERACT: "Tesseract",
}
COMPOSED_READERS = (PHOTO, READER, TILES_READER, OVERLAP_READER, PP_OCR, RAPIDOCR, TESSERACT)
COMPOSED_SETS = ("tiles, full alphabet", "overlap, full alphabet", "natural")
HAND_PRINT_READERS = (PHOTO, READER, GREEDY_READER, PP_OCR, RAPIDOCR, TESSERACT)
HAND_PRINT = "hand print, clean"
#: name in pages.json -> name in the table
PAGE_READERS = {
    "glyphline, default": "glyphline, default",
    "glyphline, --model reader": "glyphline, `--model reader`",
    "glyphline, --model pp-ocr": "glyphline, `--model pp-ocr`",
    "glyphline, --model reader --detector paper": "glyphline, `--model reader --detector paper`",
    RAPIDOCR: "RapidOCR",
    TESSERACT: "Tesseract",
}
PAGE_KINDS = ("hand print, clean pages", "signs, hard pages", "composed pages in columns", "composed tables")
#: row of the speed table -> (name in reading.json, name in pages.json)
SPEED_READERS = {
    "glyphline `photo` (default)": (PHOTO, "glyphline, default"),
    "glyphline `reader`, greedy decoder": (GREEDY_READER, ""),
    "glyphline `reader`": (READER, "glyphline, --model reader"),
    "glyphline `pp-ocr`": (PP_OCR, "glyphline, --model pp-ocr"),
    "RapidOCR": (RAPIDOCR, RAPIDOCR),
    "Tesseract": (TESSERACT, TESSERACT),
}


def load_results(name: str) -> Any:
    """The content of benchmarks/results/NAME.json, None if the file is missing."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def format_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def wrap_paragraph(text: str) -> str:
    """Fill a paragraph to 120 columns. Headings and tables stay as they are."""
    if text.startswith(("#", "|")):
        return text
    text = re.sub(r"[ \n]+", " ", text)
    # code is not broken, and neither is "Table 1.": a line that begins with "1." would be a list
    text = re.sub(r"`[^`]*`|\bTable \d", lambda match: match[0].replace(" ", "\0"), text)
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False).replace("\0", " ")


def format_cer(row: dict[str, Any] | None) -> str:
    """The CER of a row with its interval; an interval without a width says nothing and is left out.

    Results of one line, or of lines without errors, have such ones from before `glyphline.score.rate_interval`.
    """
    if row is None:
        return MISSING
    low, high = row["cer_interval"]
    return f"{row['cer']:.2%}" + (f" [{low:.2%}, {high:.2%}]" if low < high else "")


def format_size(size: float) -> str:
    """A number of bytes in MB."""
    return f"{size / MEGABYTE:.1f} MB"


def describe_fold(name: str) -> str:
    """A normalisation of score.py: its name and its description."""
    return f"`{name}` ({FOLDS[name][1]})"


# ------------------------------------------------------------------------------------------------------------- summary


def summarize_composed_lines(reading: dict[str, Any]) -> list[str]:
    """CER on composed lines, by reader and layout."""
    rows = {(r["lines"], r["reader"]): r for r in reading["rows"] if r["fold"] == "none"}
    counts = {r["lines"]: r["count"] for r in reading["rows"]}
    sets = [name for name in COMPOSED_SETS if name in counts]
    return [
        "### Accuracy on composed lines",
        f"""**Table 1. CER on composed test lines, with 95 % intervals.** Data: lines composed of glyphs and sentences
        of the test split, which glyphline's networks were not trained on. *Tiles*: EMNIST characters side by side,
        case kept. *Overlap*: the same, overlapping. *Natural* (`recipes/natural.yaml`): EMNIST characters, fonts and
        strokes, on paper, through a simulated camera. `reader`, `tiles-byclass` and `overlap` were trained on lines
        composed in these ways; `photo`, which reads ten languages, `pp-ocr`, RapidOCR and Tesseract are
        general-purpose. glyphline decodes with beam search and its bundled language models. `pp-ocr` is the recognizer
        of RapidOCR with this decoder. {MISSING}: the reader is not
        made for such lines. Normalisation: {describe_fold("none")}. Command: `python benchmarks/reading.py`.""",
        format_table(
            ["reader", *(f"{name} ({counts[name]} lines)" for name in sets)],
            (
                [LINE_READERS[reader], *(format_cer(rows.get((name, reader))) for name in sets)]
                for reader in COMPOSED_READERS
            ),
        ),
    ]


def summarize_hand_print(reading: dict[str, Any]) -> list[str]:
    """CER on real hand print, by reader and normalisation."""
    rows = {(r["reader"], r["fold"]): r for r in reading["rows"] if r["lines"] == HAND_PRINT}
    if not rows:
        return []
    cells = []
    for reader in HAND_PRINT_READERS:
        if (strict := rows.get((reader, "none"))) is not None:
            cells.append(
                [
                    LINE_READERS[reader],
                    format_cer(strict),
                    format_cer(rows[reader, "loose"]),
                    f"{strict['mean_cer_of_writers']:.2%}",
                    f"{strict['exact']:.0%}",
                ]
            )
    return [
        "### Accuracy on real hand print",
        f"""**Table 2. CER on photographed hand print, with 95 % intervals.** Data: the
        {rows[READER, "none"]["count"]} hand-printed lines and words of the photographs whose notes say *clean*,
        cropped to the line by hand. Readers and decoders as in Table 1. Mean over writers: the mean of each writer's
        CER. Exact: lines without an error. Normalisation: {describe_fold("none")}, {describe_fold("loose")}. Command:
        `python benchmarks/reading.py`.""",
        format_table(["reader", "CER, `none`", "CER, `loose`", "mean over writers, `none`", "exact, `none`"], cells),
    ]


def summarize_pages(pages: dict[str, Any]) -> list[str]:
    """CER on whole pages, by reader and kind of page."""
    rows = {(r["kind"], r["reader"]): r for r in pages["rows"]}
    counts = {r["kind"]: r["count"] for r in pages["rows"]}
    kinds = [kind for kind in PAGE_KINDS if kind in counts]
    return [
        "### Accuracy on whole pages",
        f"""**Table 3. CER on whole pages: detection, reading order and recognition together, with 95 % intervals.**
        Data: photographs, and printed pages and tables composed for this benchmark; the number of images is in
        parentheses. The sets are small and several thresholds of glyphline were chosen on them, so expect higher error
        rates on other images. Default: `photo` with the DBNet detector. {PEER_VERSIONS} run with their defaults.
        Normalisation: {describe_fold(pages["fold"])}. Command: `python benchmarks/pages.py`.""",
        format_table(
            ["reader", *(f"{kind} ({counts[kind]})" for kind in kinds)],
            (
                [label, *(format_cer(rows.get((kind, reader))) for kind in kinds)]
                for reader, label in PAGE_READERS.items()
            ),
        ),
    ]


def summarize_speed(reading: dict[str, Any], pages: dict[str, Any]) -> list[str]:
    """Speed of reading lines and pages in a table; of composing and training in a sentence each."""
    line_rows = {r["reader"]: r for r in reading["rows"] if r["lines"] == HAND_PRINT and r["fold"] == "none"}
    page_rows = {r["reader"]: r for r in pages["rows"] if r["kind"] == PAGE_KINDS[0]}
    cells = []
    for label, (line_reader, page_reader) in SPEED_READERS.items():
        line, page = line_rows.get(line_reader), page_rows.get(page_reader)
        cells.append(
            [
                label,
                f"{line['lines_per_second']:.0f}" if line else MISSING,
                f"{line['ms_a_line']:.1f}" if line else MISSING,
                f"{line['peak_mb']:.0f} MB" if line else MISSING,
                f"{page['seconds']:.2f}" if page else MISSING,
            ]
        )
    sentences = [f"From starting Python to the first line read: {reading['cold_seconds']:.2f} s."]
    if (composing := load_results("composing")) is not None:
        sentences.append(
            f"""Composing: {composing["lines_per_second"]["tiles"]:,.0f} lines of tiles a second on one core,
            {composing["ratio_to_report"]:.0f} times as many as the loop of the W&B report
            (`python benchmarks/composing.py`)."""
        )
    if KERAS in (training := load_results("training") or {}):
        ratio = training["seed"]["lines_per_second"] / training[KERAS]["lines_per_second"]
        sentences.append(
            f"""Training: the network of the W&B report trains {ratio:.1f} times as fast as its Keras version
            (`python benchmarks/training.py`)."""
        )
    return [
        "### Speed",
        f"""**Table 4. Speed of reading on {reading["cores"]} CPU cores.** Data: the hand-printed lines of Table 2,
        which RapidOCR reads with its recognizer only, and the hand-printed pages of Table 3. Readers and decoders as
        in these tables. {MISSING}: not measured. Normalisation does not apply. Commands: `python benchmarks/reading.py`
        for lines, `python benchmarks/pages.py` for pages.""",
        format_table(
            ["reader", "lines/s, in batches", "ms a line, one by one", "peak memory, lines", "seconds a page"], cells
        ),
        " ".join(sentences),
    ]


def summarize_sizes(reading: dict[str, Any]) -> list[str]:
    """Sizes of the bundled model files and of the peers' models."""
    cells: list[list[object]] = []
    for name in bundled_names():
        card = bundled_card(name)
        language_model = language_model_name(Alphabet(card["alphabet"])) or "english"  # of the languages, one
        sizes = [(MODELS / file).stat().st_size for file in (f"{name}.onnx", f"{language_model}.lm")]
        cells.append([f"glyphline `{name}`", f"{card['parameters']:,}", *map(format_size, (*sizes, sum(sizes)))])
    peer_sizes = {r["reader"]: r["bytes"] for r in reading["rows"]}
    for peer in (RAPIDOCR, TESSERACT):
        if peer in peer_sizes:
            size = format_size(peer_sizes[peer])
            cells.append([LINE_READERS[peer], MISSING, size, MISSING, size])
    return [
        "### Size",
        f"""**Table 5. Size of the model files.** Data: the files in `src/glyphline/models`; the recognizer of RapidOCR
        without its detector and classifier; `eng.traineddata` of Tesseract. 1 MB is 2^20 bytes. Only beam search needs
        the language model. {MISSING}: not measured, or no separate file. Normalisation does not apply. Commands:
        `python benchmarks/results.py` for glyphline, `python benchmarks/reading.py` for the others.""",
        format_table(["reader", "parameters", "network", "language model", "together"], cells),
    ]


def summarize() -> list[str]:
    """The summary: a table for each question. Empty without reading.json or pages.json."""
    reading, pages = load_results("reading"), load_results("pages")
    if reading is None or pages is None:
        return []
    return [
        "## Summary",
        *summarize_composed_lines(reading),
        *summarize_hand_print(reading),
        *summarize_pages(pages),
        *summarize_speed(reading, pages),
        *summarize_sizes(reading),
    ]


# ------------------------------------------------------------------------------------------------------------- details


def format_reading(results: dict[str, Any]) -> list[str]:
    """All line readers on all sets of lines."""
    rows = [
        [
            f"{r['lines']} ({r['count']})",
            r["reader"],
            r["fold"],
            format_cer(r),
            "" if r["mean_cer_of_writers"] is None else f"{r['mean_cer_of_writers']:.2%}",
            f"{r['wer']:.2%}",
            f"{r['exact']:.0%}",
            f"{r['lines_per_second']:.0f}",
            f"{r['ms_a_line']:.1f}",
            f"{r['peak_mb']:.0f} MB",
            format_size(r["bytes"]),
        ]
        for r in results["rows"]
    ]
    header = [
        "lines", "reader", "normalisation", "CER", "mean over writers", "WER", "exact", "lines/s", "ms a line",
        "peak memory", "model files",
    ]  # fmt: skip
    return [
        "## Single lines: all readers",
        f"""Command: `python benchmarks/reading.py`, {results["cores"]} cores. {PEER_VERSIONS} read the same images in
        the same run; RapidOCR runs its recognizer only. *Hand print*: the hand-printed lines and words of the
        photographs, clean or hard as their notes say. *Tiles*, *overlap*, *natural*: lines composed of test glyphs and
        test sentences. *Merged alphabet*: the 47 classes of EMNIST bymerge; *full alphabet*: the 62 of EMNIST byclass.
        *Greedy* and *beam* are glyphline's decoders; beam uses the bundled language model.""",
        "Normalisations: " + "; ".join(f"*{name}*: {description}" for name, (_, description) in FOLDS.items()) + ".",
        """Mean over writers: the mean of each writer's CER. Exact: lines without an error. ms a line: the median of
        lines that are read one by one. Peak memory: of the process that reads the lines; that of RapidOCR has its
        detector loaded. Model files: network and language model.""",
        format_table(header, rows),
        f"""From starting Python to the first line read, with beam search and the language model:
        {results["cold_seconds"]:.2f} s.""",
    ]


def format_pages(results: dict[str, Any]) -> list[str]:
    """All page readers on all kinds of images."""
    rapidocr_seconds = {r["kind"]: r["seconds"] for r in results["rows"] if r["reader"] == RAPIDOCR}
    rows = [
        [
            f"{r['kind']} ({r['count']})",
            r["reader"],
            format_cer(r) if "cer" in r else f"text reported in {r['false_positives']} of {r['count']}",
            "" if r.get("order") is None else f"{r['order']:.1%}",
            f"{r['seconds']:.2f}",
            f"{rapidocr_seconds[r['kind']] / r['seconds']:.1f}" if r["kind"] in rapidocr_seconds else MISSING,
        ]
        for r in results["rows"]
    ]
    return [
        "## Whole images: detection and recognition",
        f"""Command: `python benchmarks/pages.py`, {results["cores"]} cores, one run. {PEER_VERSIONS} run with their
        defaults. CER: of all text of an image in reading order, with 95 % intervals. Normalisation:
        {describe_fold(results["fold"])}. Reading order: the share of all pairs of lines that are in the right order.
        Speed relative to RapidOCR: its seconds an image divided by those of the reader.""",
        """Images: *clean* images are those whose notes in the manifest of the photographs say so, the others are
        *hard*. *Re-imaged by simulated cameras*: two versions of each photograph, scaled, sheared, blurred, relit,
        noisy and compressed at random. *Rotated by*: clean hand-printed pages, signs and print. *Composed*: printed
        pages and tables, drawn for this benchmark. The number of images is in parentheses.""",
        """Readers: those of glyphline are named by the options of `glyphline read`. The default is
        `photo` with the DBNet detector. `--detector paper` finds lines by their ink. `--line` reads an image as one
        line. Several thresholds were chosen on these images, so expect higher
        error rates on others.""",
        format_table(
            ["images", "reader", "CER", "reading order", "seconds an image", "speed relative to RapidOCR"], rows
        ),
    ]


def format_background(results: dict[str, Any]) -> list[str]:
    """Images without text."""
    rows = [[reader, f"{count} of {results['images']}"] for reader, count in results["false_positives"].items()]
    return [
        "## Images without text: false positives",
        """Command: `python benchmarks/background.py FOLDER`. Data: wallpapers, drawing stamps and sample images without
        text. They are not part of the project; the first lines of the script list their sources. Thresholds were chosen
        on two fifths of them; those for rotated pages on all. A false positive is an image in which the reader reports
        text.""",
        format_table(["reader", "false positives"], rows),
    ]


def format_languages(results: dict[str, Any]) -> list[str]:
    """The section on lines of ten languages, and on lines that cannot be read."""
    rows = [
        (row["language"], row["kind"], row["lines"], format_cer(row), f"{row['language_found']:.0%}",
         f"{row['rejected']:.0%}", f"{row['ms_a_line']:.0f}")
        for row in results["rows"]
    ]  # fmt: skip
    means = {
        kind: sum(row["cer"] for row in results["rows"] if row["kind"] == kind) / max(1, len(rows) / 2)
        for kind in ("print", "handwriting")
    }
    return [
        "## Ten languages, and writing that cannot be read",
        """Command: `python benchmarks/languages.py`. Print: DejaVu's faces. Handwriting: the six fonts of
        `recipes/fonts/held-out`. No network was trained on these fonts, nor on Swedish texts. Four of the
        handwriting fonts have capitals only, so their CER ignores case; that of print is strict. Language found: lines
        whose language was found from the line alone.""",
        format_table(
            ("language", "lines are", "lines", "CER, 95 % interval", "language found", "rejected", "ms a line"), rows
        ),
        f"Mean CER: print {means['print']:.2%}, handwriting {means['handwriting']:.2%}. Lines that hold no readable "
        f"Latin text (other scripts, mirrored print, scribbles, print blurred beyond reading): text was read on "
        f"{results['invented']} of {results['unreadable']}.",
    ]


def format_scripts(results: dict[str, Any]) -> list[str]:
    """The section on the names of scripts that the readers do not know."""
    test = results["test"]["classes"]
    rows = [
        (group, row["lines"], f"{row['best class right']:.1%}", f"{row['named']:.1%}", f"{row['wrong name']:.1%}")
        for group, row in test.items()
    ]
    read, cuttings = (results["read by photo"][name] for name in ("scripts", "cuttings of photographs"))
    return [
        "## Names of other scripts",
        f"""Command: `python benchmarks/scripts.py`, which states the data. Lines drawn with fonts and photographed by a
        simulated camera, one to thirty characters, some upside down; words, scripts without a name and weights of fonts
        that the network was not trained on, *other designs*: families it was not trained on. A name is said from a
        probability of {results["min_probability"]:.2f} on, fitted on validation lines such that at most 1 % have a
        wrong name. {results["bytes"] / 1000:.0f} kB.""",
        format_table(("lines", "number", "likeliest class right", "named", "wrong name"), rows),
        f"""Of {read["lines"]} test lines of these scripts the default reader rejects {read["cannot be read"]};
        {read["named"]} of these get a name, {read["wrong name"]} a wrong one. Of {cuttings["lines"]} cuttings of
        photographs without text {cuttings["named"]} get a name.""",
    ]


def format_tables(results: dict[str, Any]) -> list[str]:
    """Rows and cells of tables, and pages without tables."""
    browser = [
        (row["kind"], row["pages"], row["rows"], *(f"{row[key]:.1%}" for key in ("right", "with_empty_cells")))
        for row in results["browser"]
    ]
    cells = [
        (row["kind"], row["reader"], row["pages"], row["cells"], f"{row['right_row_and_column']:.1%}",
         f"{row['right_row']:.1%}", f"{row['whole_tables']:.0%}", f"{row['seconds']:.2f}") for row in results["tables"]
    ]  # fmt: skip
    prose = results["prose"]
    return [
        "## Tables",
        """Command: `python benchmarks/tables.py`, which states the data. First, pages that a browser draws (Chromium,
        fonts of the system), which no fit has seen, though faults on them were looked at while mending: a row is
        right if its cells are on one line with tabs between, in order; *with empty cells*: also each in its place.
        Seven in ten characters of a cell count as read.""",
        format_table(("kind", "pages", "rows", "right", "right with empty cells"), browser),
        """Second, composed pages in other fonts and texts than those of the fit, every third rotated, blurred and
        noisy. A cell is right in its row and column, whatever its letters were read as. RapidOCR gives no columns: its
        `to_markdown` gives rows, whose cells are what two spaces or more separate. *barred*: drawn with characters,
        with bars between the cells of all rows or of the titles alone; not in *all*.""",
        format_table(
            ("kind", "reader", "pages", "cells", "right row and column", "right row", "whole tables", "s/page"), cells
        ),
        f"""Of {prose["pages"]} composed pages without a table {prose["without_table"]:.1%} are read without one; the
        lines of prose in one to three columns are in order in {prose["order"]:.1%} of all pairs.""",
    ]


def format_orientation(results: dict[str, Any]) -> list[str]:
    """Which way up pages stand, and the time and memory of dense pages."""
    rows = [
        (row["kind"], row["pictures"], f"{row['right_upright']:.1%}", f"{row['right_turned']:.1%}",
         f"{row['cer_upright']:.2%}", f"{row['cer_turned']:.2%}",
         *(f"{row['time_ratio'][turn]:.2f}" for turn in ("90", "180", "270"))) for row in results["turned"]
    ]  # fmt: skip
    dense = results["dense page"]
    turned = ", ".join(f"{turn} degrees {ratio:.2f}" for turn, ratio in dense["turned_over_upright"].items())
    memory = ", ".join(f"{name} {value:.0f} MB" for name, value in dense["peak_megabytes"].items())
    return [
        "## Turned pages, time and memory",
        f"""Command: `python benchmarks/orientation.py`, which states the data: composed pictures in fonts of no fit,
        and the photographs, each upright and in three quarter turns. Normalisation of the CER:
        {describe_fold(results["fold"])}. *Time*: of the turned picture over the upright one.""",
        format_table(
            ("kind", "pictures", "upright: direction right", "turned: right", "CER upright", "CER turned", "time 90",
             "time 180", "time 270"), rows
        ),
        f"""A dense page (A4 at 300 dpi, 56 lines of print) takes {dense["seconds"]:.1f} s, RapidOCR
        {dense["rapidocr_seconds"]:.1f} s in the same run: {dense["over_rapidocr"]:.2f}x. Turned, over upright:
        {turned}. Peak memory of a process that reads one page: {memory}.""",
    ]  # fmt: skip


def format_misfits(results: dict[str, Any]) -> list[str]:
    """Labels that belong to another picture."""
    limits = list(results["sets"][0]["right_named"])
    rows = [
        (row["set"], row["lines"], f"{row['cer']:.1%}", name, *(f"{row[key][limit]:.1%}" for limit in limits))
        for row in results["sets"] for name, key in (("its own", "right_named"), ("the next line's", "wrong_named"))
    ]  # fmt: skip
    return [
        "## Labels of other pictures",
        f"""Command: `python benchmarks/misfits.py`, which states the data. The share of lines that are named, with the
        text that belongs to them, which should not be, and with that of the next line. Gap: their text is less probable
        than the reading by more nats a character. Lead: the text of one of the lines beside it has a gap that is
        smaller by more. `glyphline adapt` takes a gap of {results["limits"]["gap"]:g} or a lead of
        {results["limits"]["lead"]:g}.""",
        format_table(("lines", "number", "CER", "text", *limits), rows),
    ]


def format_any_script(results: dict[str, Any]) -> list[str]:
    """Small readers of other scripts."""
    rows = [
        (
            name.capitalize(), f"{row['training_minutes']:.0f}", row["lines"], len(row["cer_by_font"]),
            format_cer(row), f"{row['wer']:.1%}", f"{row['exact']:.1%}", format_size(row["model_bytes"]),
        )
        for name, row in results.items()
    ]  # fmt: skip
    return [
        "## Other scripts",
        """Command: `python benchmarks/any_script.py run --scripts greek,cyrillic,hebrew,arabic --minutes 15`, which
        states the data. A small reader of each script is trained on two cores and reads composed lines of font families
        and sentences that no training saw, with the greedy decoder.""",
        format_table(
            ("script", "minutes of training", "test lines", "fonts", "CER", "WER", "lines right", "model"), rows
        ),
    ]


def format_adapt(results: dict[str, Any]) -> list[str]:
    """Readers that were adapted to a hand."""
    paragraphs = ["## Adapted to a hand"]
    ways = {"glyphs": "with glyphs", "lines": "with 20 lines", "both": "with both"}
    if means := results.get("means"):
        hands, measured = results["hands"], [way for way in ways if way in means]
        rows: list[Sequence[object]] = [
            (row["hand"], format_cer(row["before"]), *(format_cer(row[way]) if way in row else "" for way in measured))
            for row in hands
        ]
        before = sum(row["before"]["cer"] for row in hands) / len(hands)
        rows.append(("mean", f"{before:.1%}", *(f"{means[way]['cer']:.1%}" for way in measured)))
        shares = []
        for way in measured:
            low, high = means[way]["ratio_interval"]
            shares.append(f"{means[way]['cer'] / means[way]['before']:.2f} [{low:.2f}, {high:.2f}]")
        rows.append(("mean, share of before", "1", *shares))
        if any(means[way]["hands"] < len(hands) for way in measured):
            rows.append(("hands measured so far", "", *(means[way]["hands"] for way in measured)))
        kept = [row[way]["common"] for row in hands for way in measured if "common" in row.get(way, {})]
        paragraphs += [
            f"""Command: `python benchmarks/adapt.py --hands {len(hands)} --minutes {results["minutes"]:g}`, which
            states the data, on {results["cores"]} core{"s" * (results["cores"] > 1)}. CER, with 95 % intervals, of the
            simulated hands that `photo` reads worst, before and after `glyphline adapt` with the glyphs of a sheet,
            with 20 labelled lines, and with both. {len(kept)} of
            {sum(means[way]["hands"] for way in measured)} adapted readers were kept; in the others the old one
            goes on.""",
            format_table(("hand", "before", *(ways[way] for way in measured)), rows),
            """Everybody's lines, read by the readers that were kept; `adapt` saw none of them. Change of the CER in
            points: below 0 they are read better.""",
            format_table(
                ("lines", "CER before", "mean change", "largest", "readers that are surely worse"),
                [summarize_changes(name, kept) for name in (kept[0] if kept else ())],
            ),
        ]
    if writers := results.get("writers"):
        rows = [
            (row["writer"], row["lines"], *(format_cer(row[key]) for key in ("before", "after"))) for row in writers
        ]
        paragraphs += [
            """Command: `python benchmarks/adapt.py --writers`. Real writers of the photographs: each half of their
            lines is read by a reader that was adapted to the other half.""",
            format_table(("writer", "lines", "CER before", "CER after"), rows),
        ]
    return paragraphs


def summarize_changes(name: str, kept: Sequence[dict[str, Any]]) -> Sequence[object]:
    """How adapted readers have changed on one kind of everybody's lines. kept: of `adapt.compare_common_lines`."""
    rows = [row[name] for row in kept]
    changes = [100 * (row["after"] - row["before"]) for row in rows]
    worse = sum(row["difference_interval"][0] > 0 for row in rows)
    kind = {"composed": "composed as the reader's recipe says", "real": "clean lines of the photographs"}[name]
    mean = sum(changes) / len(changes)
    return kind, f"{rows[0]['before']:.2%}", f"{mean:+.2f}", f"{max(changes):+.2f}", f"{worse} of {len(rows)}"


def format_studies(results: dict[str, Any]) -> list[str]:
    """Decoders, long lines and character positions."""
    by_kind: dict[str, dict[str, Any]] = {}
    for r in results["natural"]["decoders"]:
        by_kind.setdefault(r["kind"], {})[r["decoder"]] = r
    decoder_rows = [
        [kind, decoders["beam"]["count"], *map(format_cer, decoders.values())] for kind, decoders in by_kind.items()
    ]
    length_rows = [
        [name, greedy["characters"], greedy["times"], greedy["count"], format_cer(greedy), format_cer(beam)]
        for name, study in results.items()
        for greedy, beam in zip(study["lengths"][::2], study["lengths"][1::2], strict=True)
    ]
    position_rows = [
        [
            name,
            f"{boxes['count']:,}",
            f"{boxes['iou']:.3f}",
            f"{boxes['median_iou']:.3f}",
            f"{boxes['over_half']:.1%}",
            f"{boxes['centre_inside']:.1%}",
        ]
        for name, boxes in ((name, study["boxes"]) for name, study in results.items())
    ]
    return [
        "## Decoders: with and without a language model",
        f"""Command: `python benchmarks/studies.py`. CER, with 95 % intervals, of the bundled `reader` on composed
        natural test lines of several kinds of text and on hand print. *Greedy* and *beam-no-lm* use no language
        model, *beam* uses the bundled one. Normalisation: {describe_fold("none")}.""",
        format_table(["text", "lines", "greedy", "beam-no-lm", "beam"], decoder_rows),
        "## Long lines",
        f"""Command: `python benchmarks/studies.py`. CER, with 95 % intervals, of lines up to four times as long as the
        longest line of training: natural lines read by `reader`, tiles read by `tiles-byclass`. Normalisation:
        {describe_fold("none")}.""",
        format_table(
            ["recipe", "characters", "times the longest of training", "lines", "CER, greedy", "CER, beam"], length_rows
        ),
        "## Character positions",
        """Command: `python benchmarks/studies.py`. The columns of correctly recognized characters, compared with the
        exact ones of the composer: intersection over union (IoU) along the line, and the share of characters whose
        centre is inside the exact columns.""",
        format_table(
            ["recipe", "characters", "mean IoU", "median IoU", "IoU above 0.5", "centre inside"], position_rows
        ),
    ]


def format_ablation(results: dict[str, Any]) -> list[str]:
    """Contribution of each part of the natural lines."""
    rows = []
    for part, r in results["rows"].items():
        composed = {"cer": r["composed"], "cer_interval": r["composed_interval"]}
        rows.append([part, f"{r['watch_cer']:.1%}", f"{r['watch_cer_loose']:.1%}", format_cer(composed)])
    return [
        "## Ablation: what each part of the composed lines contributes",
        f"""Command: `python benchmarks/ablation.py`. CER of a small network that is trained on {results["lines"]:,}
        natural lines without one part, greedy decoder. Real lines: clean hand print, mean of the last three epochs,
        normalisation `none` and `loose`. Composed lines: {results["test"]} test lines that have all parts, with 95 %
        intervals, normalisation `none`.""",
        format_table(["part left out", "real lines, `none`", "real lines, `loose`", "composed lines, `none`"], rows),
    ]


def format_networks(results: dict[str, Any]) -> list[str]:
    """Comparison of network architectures."""
    rows = [
        [
            name,
            f"{r['parameters']:,}",
            f"{r['mflops']:.0f}",
            f"{r['training']:.0f}",
            f"{r['reading']:.0f}",
            format_cer(r),
            f"{r['wer']:.2%}",
        ]
        for name, r in results["rows"].items()
    ]
    return [
        "## Network architectures",
        f"""Command: `python benchmarks/networks.py`. Each network is trained on the same {results["lines"]:,} lines of
        `recipes/tiles-byclass.yaml`, a twentieth of that recipe, and reads {results["test"]:,} test lines with the
        greedy decoder. Normalisation: {describe_fold("none")}. MFLOP: millions of multiplications and additions for a
        line of 32 tiles. Speeds: of float32 models, measured in turns. The contexts have similar sizes; the last three
        networks have more layers or more time steps.""",
        format_table(
            ["network", "parameters", "MFLOP a line", "training, lines/s", "reading, lines/s", "CER", "WER"], rows
        ),
    ]


def format_composing(results: dict[str, Any]) -> list[str]:
    """Speed of composing."""
    rows = [[name, f"{speed:,.0f}"] for name, speed in results["lines_per_second"].items()]
    return [
        "## Composing speed",
        f"""Command: `python benchmarks/composing.py`. Lines composed a second on one core, medians of five rounds.
        Tiles: {results["tiles"]}. Natural lines: {results["natural"]}. Tiles are composed
        {results["ratio_to_report"]:.0f} times as fast as by the loop of the W&B report, which adds one character after
        the other.""",
        format_table(["lines", "lines/s"], rows),
    ]


def format_training(results: dict[str, Any]) -> list[str]:
    """Speed and memory of training."""
    keras_speed = results.get(KERAS, {}).get("lines_per_second")
    rows = [
        [
            name,
            f"{r['lines_per_second']:.0f}",
            f"{r['lines_per_second'] / keras_speed:.2f}" if keras_speed else MISSING,
            f"{r['parameters']:,}",
            f"{r['peak_mb'] / 1024:.1f} GB",
        ]
        for name, r in results.items()
    ]
    return [
        "## Training speed",
        """Command: `python benchmarks/training.py`. Speed of training steps, composing included, and peak memory, in
        three rounds in turns; speeds are medians, memory is the largest. *seed* is the network of the W&B report, *seed
        in Keras* the same network in Keras on lines of random numbers, without composing.""",
        format_table(["recipe", "lines/s", "speed relative to Keras", "parameters", "peak memory"], rows),
    ]


def format_cards() -> list[str]:
    """The bundled readers on the test lines of their own recipes."""
    rows = []
    for name in bundled_names():
        card = bundled_card(name)
        test = card["test"]
        greedy, beam = test["greedy"], test["beam"]
        rows.append(
            [
                name,
                f"{len(card['alphabet'])} characters",
                f"{card['parameters']:,}",
                f"{card['bytes'] / MEGABYTE:.1f} MB",
                format_cer(greedy),
                format_cer(beam),
                f"{beam['wer']:.2%}",
                f"{beam['exact']:.0%}",
                f"{test['calibration']['beam']['after']['word']:.1%}",
            ]
        )
    header = [
        "reader", "alphabet", "parameters", "size", "CER, greedy", "CER, beam", "WER, beam", "exact, beam",
        "ECE of words, beam",
    ]  # fmt: skip
    return [
        "## Bundled readers on the test lines of their recipes",
        f"""Command: `glyphline evaluate RECIPE --model NAME --count 1000 --decoder greedy`, or `beam`. Data: 1,000 test
        lines of the recipe that the reader was trained with, of glyphs and sentences that are not in its training
        lines. *Beam* uses the bundled language model. CER with 95 % intervals. Normalisation: {describe_fold("none")}.
        ECE: expected calibration error of the confidences.""",
        format_table(header, rows),
    ]


def format_runs() -> list[str]:
    """The training runs of benchmarks/results/runs/."""
    rows = []
    for folder in sorted(p for p in (RESULTS / "runs").glob("*") if (p / "result.json").exists()):
        run, test = (json.loads((folder / f"{name}.json").read_text()) for name in ("result", "test"))
        best, greedy = run["best"], test["greedy"]
        training_lines = run["steps"] * load_recipe(folder / "recipe.yaml").training.batch
        rows.append(
            [
                folder.name,
                f"{run['parameters']:,}",
                run["epochs"],
                f"{best['epoch'] + 1:.0f}",
                f"{training_lines:,}",
                f"{best['val_loss']:.2f}",
                f"{test['loss']:.2f}",
                format_cer(greedy),
                f"{greedy['wer']:.2%}",
            ]
        )
    if not rows:
        return []
    header = [
        "run", "parameters", "epochs", "best epoch", "training lines", "validation loss", "test loss", "test CER",
        "test WER",
    ]  # fmt: skip
    return [
        "## Training runs",
        """Commands: `glyphline train`, then `python benchmarks/bundle.py`. Test: 1,000 lines of glyphs and sentences
        that are not in the training lines, greedy decoder. Loss: the CTC loss in nats a line; the W&B report has 6.30.
        *seed* validates as the report did, on unseen sentences with glyphs of the training pool; the other runs
        validate on unseen glyphs.""",
        format_table(header, rows),
    ]


def format_sweep() -> list[str]:
    """The sweep over the ideas of the W&B report, benchmarks/results/sweep/, and the same through Ray Tune."""
    sweep = load_results("sweep/sweep")
    if sweep is None:
        return []
    protocol, rows = sweep["protocol"], []
    for arm in sweep["arms"]:
        epochs = max((seed["epochs"] for seed in arm["seeds"]), default=0)
        idea, cer = arm["about"] or "the report as it was", format_cer(None if arm["cer"] is None else arm)
        rows.append((arm["name"], idea, len(arm["seeds"]), epochs, cer, arm["verdict"]))
    notes = " ".join((*protocol["rules"], *protocol["cannot_tell"]))
    return [
        "## Ideas of the W&B report",
        f"""Command: `glyphline sweep recipes/sweep.yaml --out runs/sweep --epochs {protocol["epochs"]} --seeds
        {protocol["seeds"]} --extra-seeds {protocol["extra_seeds"]}`, on EMNIST and WikiSplit.""",
        format_table(("arm", "idea", "seeds", "epochs", "test CER", "verdict"), rows),
        notes,
        *format_tuned_sweep(sweep),
    ]


def format_tuned_sweep(sweep: dict[str, Any]) -> list[str]:
    """The arms of a sweep beside those of the same sweep through Ray Tune, benchmarks/results/sweep-ray/."""
    tuned = load_results("sweep-ray/sweep")
    if tuned is None:
        return []
    arms = {arm["name"]: arm for arm in tuned["arms"]}
    rows = []
    for arm in sorted(sweep["arms"], key=lambda arm: float(arm["cer"])):
        if there := arms.get(arm["name"]):
            epochs, seeds = max(seed["epochs"] for seed in there["seeds"]), len(there["seeds"])
            rows.append((arm["name"], len(arm["seeds"]), format_cer(arm), seeds, format_cer(there), epochs))
    lowest = [min(results["arms"], key=lambda arm: float(arm["cer"]))["name"] for results in (sweep, tuned)]
    order = f"{lowest[0]} has it in both" if lowest[0] == lowest[1] else f"{lowest[0]} has it above, {lowest[1]} here"
    protocol = tuned["protocol"]
    seeds_above, seeds_here = (
        f"{p['seeds']} and {'up to ' if p['extra_seeds'] else 'no'}{p['extra_seeds'] or ''} more"
        for p in (sweep["protocol"], protocol)
    )
    note = "One seed cannot show the spread between seeds: its intervals hold the chance of the lines alone."
    note = note if protocol["seeds"] + protocol["extra_seeds"] == 1 else ""
    return [
        f"""The same sweep through Ray Tune: `glyphline sweep recipes/sweep.yaml --out runs/sweep-ray --epochs
        {protocol["epochs"]} --seeds {protocol["seeds"]} --extra-seeds {protocol["extra_seeds"]} --cluster
        127.0.0.1:6379`, two trainings at a time, and early stopping by ASHA. Its seeds are {seeds_here} for each arm,
        those of the sweep above {seeds_above}. {note} The lowest CER: {order}. That is the order
        of the estimates without a test; the verdicts above say what can be told.""",
        format_table(("arm", "seeds", "test CER", "seeds there", "test CER through Ray Tune", "epochs there"), rows),
    ]


def format_cluster(results: dict[str, Any]) -> list[str]:
    """Bulk reading with and without Ray, and the sizing table."""
    rows = []
    for name, way in results["ways"].items():
        same = "yes" if way["same_bytes"] else "no"
        rows.append((name, f"{way['images_per_second']:.0f}", f"{way['start_seconds']:.0f}", way["results"], same))
    kills = results["kills"]
    same = "yes" if kills["same_bytes"] else "no"
    rows.append(("Ray, two actors, with kills", MISSING, MISSING, kills["results"], same))
    sizing = []
    for row in results["sizing"]:
        for size in row["sizes"]:
            hours, days = (
                f"{number:,.2f}" if number < 10 else f"{number:,.0f}"
                for number in (size["core_hours"], size["days_on_16_cores"])
            )
            sizing.append((f"{size['count']:,} {row['unit']}", f"{row['per_core_hour']:,.0f}", hours, days))
    peaks = []
    if memory := results.get("memory"):
        tenth, whole = memory["of_a_tenth"], memory["of_all"]
        numbers = "; ".join(f"{name.replace('_', ' ')} {tenth[name]:.0f}, {whole[name]:.0f}" for name in whole)
        peaks.append(f"""Peak memory in MiB with one actor, for a tenth of the images and for all: {numbers}. The actor
            is Ray's process, the reading process the one that it starts.""")
    return [
        "## Many images, past one machine",
        f"""Command: `python benchmarks/cluster.py`. {results["images"]:,} composed lines (`--line --model
        {results["model"]}`) are read by `--jobs` without a cluster and by a Ray cluster of two nodes on loopback, on
        the {results["cores"]} cores of one machine, one thread a process.""",
        format_table(("way", "images/s", "start, s", "results", "the bytes of one process"), rows),
        f"""Two actors are {results["two_actors_over_one"]:.2f} times as fast as one. Beside two processes Ray costs
        {results["overhead"]:.0%} and the longer start. With kills: {format_kills(kills["killed"])} were killed by
        `kill -9`, the command when {kills["done_when_killed"]:,} results were there, and then run again;
        {kills["read_twice"]} of these results were written again.""",
        *peaks,
        f"""What it takes, from the speeds of one actor: line images as above; pages are the printed ones of
        `benchmarks/pages.py` in one to three columns, read by the default reader at
        {1 / results["pages"]["pages_per_second"]:.1f} s a page on one core.""",
        format_table(("to read", "a core-hour reads", "core-hours", "days on 16 cores"), sizing),
    ]


def format_kills(killed: Sequence[str]) -> str:
    """What was killed, in words."""
    return ", ".join(f"a {name}" if name != "actor" else "an actor" for name in killed)


INTRODUCTION = [
    "# Results",
    """Error rates, speeds and sizes of glyphline's readers, beside other text recognition programs on the same images.
    The summary has a table for each question; the sections after it have all numbers. `make bench` and the commands
    named here measured the numbers on one machine and wrote them to `benchmarks/results/`;
    `python benchmarks/results.py` writes this page from these files.""",
    """CER and WER are the character error rate and the word error rate: the edits of all lines divided by the
    characters or words of all lines. Lower is better. An interval in brackets is the 95 % bootstrap interval over the
    lines or images of the set. Of few images it is too narrow: of 2 of them, such intervals hold the true rate in half
    of the cases (`glyphline.score`). One of a single image, or without any error, has no width and is left out.""",
]
#: name of the JSON file -> the function that formats its section
SECTIONS = {
    "reading": format_reading,
    "pages": format_pages,
    "background": format_background,
    "languages": format_languages,
    "scripts": format_scripts,
    "tables": format_tables,
    "orientation": format_orientation,
    "misfits": format_misfits,
    "any_script": format_any_script,
    "adapt": format_adapt,
    "studies": format_studies,
    "ablation": format_ablation,
    "networks": format_networks,
    "composing": format_composing,
    "cluster": format_cluster,
    "training": format_training,
}


def main() -> None:
    """Write docs/results.md."""
    paragraphs = [*INTRODUCTION, *summarize()]
    for name, format_section in SECTIONS.items():
        if (results := load_results(name)) is not None:
            paragraphs += format_section(results)
    paragraphs += format_cards() + format_runs() + format_sweep()
    path = ROOT / "docs" / "results.md"
    path.write_text("\n\n".join(map(wrap_paragraph, paragraphs)) + "\n", encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
