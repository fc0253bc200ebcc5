"""FAMILY: labelled lines from folders of other tools: line images with their texts, or page images with XML.

Contract: a kind recognises a folder and yields its lines as (where it stands, text, function that gives the image).
To add one: write these two functions and add a row to KINDS at the bottom. The texts that `open_labelled_lines` returns
are in NFC, on one line, without space at their ends; lines without text are left out and counted. Does not import
torch.
"""

from __future__ import annotations

import csv
import io
import json
import math
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import numpy.typing as npt

from glyphline.composing.line_sets import LABELS, read_labels
from glyphline.errors import DataError
from glyphline.imaging.documents import SUFFIXES, ColourImage, Document, GreyImage, load
from glyphline.imaging.normalization import to_grey
from glyphline.reading.detection.curved_text import CurvedOutline, orient_left_to_right
from glyphline.reading.detection.rectification import rectify
from glyphline.reading.detection.regions import Corners, minimum_area_rectangle

GROUND_TRUTH = ".gt.txt"
BINARY_SUFFIXES = (".bin.png", ".nrm.png", ".dew.png")  # ocropus and kraken name binarized line images so
IMAGE_SUFFIXES = (*SUFFIXES, *BINARY_SUFFIXES)
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
MAX_FOLDERS_BELOW = 3  # that a message names
TEXT_COLUMNS = ("text", "transcription", "sentence")  # of metadata.csv and metadata.jsonl, the first that is there
HYPHENS = {"\u00ad": "-", "\u00ac": "-"}  # signs by which ALTO marks a visible hyphen at the end of a line
JOINERS = "\u200c\u200d"  # they decide how letters join
BASELINE_POSITIONS = 33  # positions along a baseline at which its height is measured
EDGE_QUANTILE = 0.9  # of the heights of a polygon along its baseline: the height of the line
Rows = Iterator[tuple[str, str, Callable[[], GreyImage]]]
Points = npt.NDArray[np.float64]  # (N, 2) px


@dataclass(frozen=True)
class LabelledLine:
    """A line image with its text."""

    name: str  # the file of the image, or the XML file and the id of the line
    text: str
    image: Callable[[], GreyImage]  # decodes it: uint8 (H, W); raises ImageError


@dataclass(frozen=True)
class LabelledLines:
    """The labelled lines of a folder."""

    kind: str  # a key of KINDS
    lines: tuple[LabelledLine, ...]
    notes: tuple[str, ...]  # sentences about lines that were left out


def open_labelled_lines(folder: Path) -> LabelledLines:
    """Find out how the lines of a folder are labelled, and read their texts. Images are decoded when they are needed.

    A folder with several kinds of labels is read as the first kind in the order of KINDS.
    Raises DataError for a folder that is missing, packed into an archive or of no known kind, for one without a line
    that has text, and, with the file and the line, for labels that are damaged or name an image that is not there.
    """
    if is_archive(folder):
        raise DataError(f"{folder} is an archive: unpack it, and give the folder that holds its labels")
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder: give a folder of labelled lines")
    for listing in (_images_in, _root_name):
        listing.cache_clear()  # files may have been added or corrected since the last call
    kind = next((name for name, (recognises, _, _) in KINDS.items() if recognises(folder)), None)
    if kind is None:
        if below := _labelled_folders_below(folder):
            remedy = "give that folder" if len(below) == 1 else "give one of these folders"
            raise DataError(f"{folder} holds no labels itself; they lie in {' and in '.join(below)}: {remedy}")
        kinds = "; ".join(help_text for _, _, help_text in KINDS.values())
        raise DataError(f"{folder} holds no labelled lines that glyphline knows: it needs {kinds}")
    lines, empty = [], []
    for name, text, image in KINDS[kind][1](folder):
        if clean := clean_text(text):
            lines.append(LabelledLine(name, clean, image))
        else:
            empty.append(name)
    if not lines:
        raise DataError(f"{folder} holds no line with a text ({kind}): write the texts first")
    notes = (f"{folder}: {len(empty)} lines without text were left out, the first is {empty[0]}",) if empty else ()
    return LabelledLines(kind, tuple(lines), notes)


def is_archive(path: Path) -> bool:
    """Whether a file is an archive of other files by its name, such as the lines that the app gives as a .zip."""
    return path.is_file() and path.name.lower().endswith(ARCHIVE_SUFFIXES)


def _labelled_folders_below(folder: Path) -> list[str]:
    """The folders one and two levels below a folder that are of a kind that needs its labels in the folder itself.

    Such as train/ of a data set of Hugging Face. The first MAX_FOLDERS_BELOW of them.
    """
    below = sorted(path for pattern in ("*", "*/*") for path in folder.glob(pattern) if path.is_dir())
    found = (str(path) for path in below if _has_labels(path) or _metadata_file(path))
    return list(islice(found, MAX_FOLDERS_BELOW))


def clean_text(text: str) -> str:
    """The text in NFC, with single spaces for tabs, line breaks and runs of space, and none at its ends.

    Characters without a shape are left out, such as direction marks and soft hyphens, but for the joiners of words.

    >>> clean_text(" Cafe\\u0301\\tau \\u200b lait\\u200b\\r\\n")
    'Café au lait'
    """
    shown = "".join(c for c in text if c.isspace() or c in JOINERS or unicodedata.category(c) not in ("Cc", "Cf"))
    return " ".join(unicodedata.normalize("NFC", shown).split())


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, with or without a byte order mark. Raises DataError for a file that is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}): convert it first") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from None


# ------------------------------------------------------------------------------------------------- images of lines


def _has_labels(folder: Path) -> bool:
    return (folder / LABELS).exists()


def _read_labels(folder: Path) -> Rows:
    for path, text in read_labels(folder):
        yield path.name, text, partial(load, path)


def _metadata_file(folder: Path) -> Path | None:
    paths = (folder / name for name in ("metadata.csv", "metadata.jsonl"))
    return next((path for path in paths if path.exists()), None)


def _read_metadata(folder: Path) -> Rows:
    """The rows of metadata.csv or metadata.jsonl (Hugging Face's ImageFolder)."""
    path = _metadata_file(folder)
    assert path is not None  # the folder was recognised by it
    for number, row in _csv_rows(path) if path.suffix == ".csv" else _json_rows(path):
        column = next((name for name in TEXT_COLUMNS if isinstance(row.get(name), str)), None)
        name = row.get("file_name")
        if not isinstance(name, str) or column is None:
            raise DataError(
                f"{path} line {number} lacks file_name or a text ({', '.join(TEXT_COLUMNS)}): add the column"
            )
        image = folder / name
        if not image.is_file():
            raise DataError(f"{path} line {number} names {name}, which is not in the folder: add it or remove the row")
        yield name, row[column], partial(load, image)


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)  # rows end at \n and \r alone
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise DataError(f"{path} line {reader.line_num} is not CSV ({error}): correct it") from None


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict):
                raise DataError(f"{path} line {number} is not a JSON object: correct or remove it")
            yield number, row


def _has_ground_truth(folder: Path) -> bool:
    return next(folder.rglob(f"*{GROUND_TRUTH}"), None) is not None


def _read_ground_truth(folder: Path) -> Rows:
    """The pairs of an image and a .gt.txt file with its text (ocropus, kraken, tesstrain), in subfolders too."""
    for path in sorted(folder.rglob(f"*{GROUND_TRUTH}")):
        stem = path.name.removesuffix(GROUND_TRUTH)
        images = _images_in(path.parent)
        image = next((images[stem, suffix] for suffix in IMAGE_SUFFIXES if (stem, suffix) in images), None)
        if image is None:
            raise DataError(f"{path} has no image beside it, such as {stem}.png: add it or remove the text")
        text = read_text(path)
        if "\n" in text.strip():
            raise DataError(f"{path} line 2 is one too many: a line image has one line of text")
        yield str(image.relative_to(folder)), text, partial(load, image)


@lru_cache(maxsize=64)
def _images_in(folder: Path) -> dict[tuple[str, str], Path]:
    """The images of a folder by their names: what is before one of IMAGE_SUFFIXES, and the suffix in lower case."""
    images: dict[tuple[str, str], Path] = {}
    for path in sorted(folder.iterdir()):
        for suffix in IMAGE_SUFFIXES:
            if path.name.lower().endswith(suffix) and path.is_file():
                images.setdefault((path.name[: -len(suffix)], suffix), path)
    return images


# ------------------------------------------------------------------------------------------------- images of pages


def _xml_files(folder: Path, root: str) -> list[Path]:
    """The XML files of a folder and its subfolders whose root element has this name, in any namespace."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".xml" and path.is_file())
    return [path for path in paths if _root_name(path) == root]


@lru_cache(maxsize=4096)
def _root_name(path: Path) -> str:
    with _naming_xml_errors(path), path.open("rb") as file:
        _, root = next(iter(ElementTree.iterparse(file, ("start",))))
        return _name(root)


@contextmanager
def _naming_xml_errors(path: Path) -> Iterator[None]:
    """Turn what reading a file as XML raises into a DataError with its name and the line."""
    try:
        yield
    except ElementTree.ParseError as error:
        raise DataError(f"{path} line {error.position[0]} is not XML ({error}): export it again") from None
    except (LookupError, ValueError) as error:  # of an encoding that the parser does not know
        raise DataError(f"{path} is XML that cannot be read ({error}): export it in UTF-8") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from None


def _name(element: ElementTree.Element) -> str:
    """The name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def _children(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [child for child in element if _name(child) == name]


def _descendants(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [child for child in element.iter() if _name(child) == name]


def _parse(path: Path) -> ElementTree.Element:
    with _naming_xml_errors(path):
        return ElementTree.parse(path).getroot()


def _page_image(xml: Path, name: str | None) -> Path:
    """The image of a page: where the XML says, or beside it or one folder up, or there with the name of the XML."""
    folders = (xml.parent, xml.absolute().parent.parent)  # Transkribus puts the XML into a folder page/
    for named in [xml.parent / name, *(folder / Path(name).name for folder in folders)] if name else []:
        if named.is_file():
            return named
    stem = xml.stem
    names = dict.fromkeys((Path(name).stem if name else stem, stem, stem.partition(".")[0]))
    for folder in folders:
        images = _images_in(folder)
        for base in names:
            for suffix in SUFFIXES:
                if (base, suffix) in images:
                    return images[base, suffix]
    raise DataError(f"{xml} has no page image {name or stem} beside it: add it, or correct its name in the file")


@lru_cache(maxsize=2)
def _load_page(path: Path) -> ColourImage:
    with Document(path) as document:
        return document.colour(0)


def _crop(image: Path, size: tuple[float, float], polygon: Points, baseline: Points) -> GreyImage:
    """The line of a page image, level. size: of the page in the units of the points; 0: px of the image."""
    page = _load_page(image)
    scale = np.array([page.shape[1] / size[0] if size[0] else 1.0, page.shape[0] / size[1] if size[1] else 1.0])
    return to_grey(rectify(page, line_outline(polygon * scale, baseline * scale)))


def line_outline(polygon: Points, baseline: Points) -> Corners | CurvedOutline:
    """The outline of a line: along its baseline with the height of its polygon, or the rectangle around the polygon.

    polygon: (N, 2), at least 2 points. baseline: (M, 2); with fewer than 2 points the rectangle is taken.
    """
    if len(baseline) < 2 or len(polygon) < 3 or np.ptp(baseline, axis=0).max() < 1:
        return minimum_area_rectangle(polygon)
    chord = baseline[-1] - baseline[0]
    angle = float(np.arctan2(chord[1], chord[0]))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])  # the chord becomes level
    level, line = polygon @ turn.T, baseline @ turn.T
    line = line[np.argsort(line[:, 0], kind="stable")]
    low = np.floor(level.min(axis=0)) - 1
    width, height = (np.ceil(level.max(axis=0)) + 2 - low).astype(int)
    mask = np.zeros((int(height), int(width)), np.uint8)
    cv2.fillPoly(mask, [np.rint(level - low).astype(np.int32)], 1)
    x = np.linspace(level[:, 0].min(), level[:, 0].max(), BASELINE_POSITIONS)
    y = np.interp(x, line[:, 0], line[:, 1])
    above, below = [], []
    for column, base in zip(x, y, strict=True):
        rows = np.flatnonzero(mask[:, min(int(width) - 1, round(column - low[0]))])
        if len(rows):
            above.append(base - (rows[0] + low[1]))
            below.append(rows[-1] + 1 + low[1] - base)
    if not above:
        return minimum_area_rectangle(polygon)
    up = max(1.0, float(np.quantile(above, EDGE_QUANTILE)))
    down = max(0.2 * up, float(np.quantile(below, EDGE_QUANTILE)))
    edges = np.stack([np.stack([x, y - up], 1), np.stack([x, y + down], 1)], 1)
    return orient_left_to_right(edges @ turn)


def _points(text: str | None, where: str) -> Points:
    """The points of "x,y x,y" or "x y x y"; none for a missing text. Raises DataError that begins with `where`."""
    try:
        points = np.array([float(value) for value in (text or "").replace(",", " ").split()], np.float64).reshape(-1, 2)
        if np.isfinite(points).all():
            return points
        raise ValueError
    except ValueError:
        raise DataError(f"{where} has the points {text!r}: write them as x,y x,y") from None


def _number(element: ElementTree.Element, attribute: str, where: str) -> float:
    """An attribute as a number, 0 where it is missing or empty. Raises DataError that begins with `where`."""
    text = element.get(attribute) or "0"
    try:
        if math.isfinite(value := float(text)):
            return value
        raise ValueError
    except ValueError:
        raise DataError(f"{where} has {attribute}={text!r}, which is no number: correct it") from None


def _has_page_xml(folder: Path) -> bool:
    return bool(_xml_files(folder, "PcGts"))


def _read_page_xml(folder: Path) -> Rows:
    """The text lines of PAGE-XML files: their own text, or else that of their words."""
    for xml in _xml_files(folder, "PcGts"):
        for page in _descendants(_parse(xml), "Page"):
            size = _number(page, "imageWidth", str(xml)), _number(page, "imageHeight", str(xml))
            image: Path | None = None
            for number, line in enumerate(_descendants(page, "TextLine"), 1):
                where = f"{xml.relative_to(folder)} line {line.get('id', number)}"
                words = (_page_text(word, where) for word in _children(line, "Word"))
                text = _page_text(line, where) or " ".join(filter(None, words))
                if not text.strip():
                    yield where, "", _no_image
                    continue
                shapes = [_page_points(child, where) for child in _children(line, "Coords")[:1]]
                baselines = [_page_points(child, where) for child in _children(line, "Baseline")[:1]]
                if not shapes or len(shapes[0]) < 2:
                    raise DataError(f"{where} has no Coords: export the file with the outlines of its lines")
                image = image or _page_image(xml, page.get("imageFilename"))
                yield (
                    where,
                    text,
                    partial(_crop, image, size, shapes[0], baselines[0] if baselines else np.empty((0, 2))),
                )


def _no_image() -> GreyImage:
    raise AssertionError  # a line without text is left out before its image is looked at


def _page_points(element: ElementTree.Element, where: str) -> Points:
    """The points of an attribute, or of the elements Point that PAGE had until 2010. where: for messages."""
    points = " ".join(f"{point.get('x')},{point.get('y')}" for point in _children(element, "Point"))
    return _points(element.get("points") or points, where)


def _page_text(element: ElementTree.Element, where: str) -> str:
    """The text of a PAGE element: of several versions that with the lowest index. where: for messages."""
    versions = sorted(_children(element, "TextEquiv"), key=lambda version: _number(version, "index", where))
    return "".join(unit.text or "" for version in versions[:1] for unit in _children(version, "Unicode"))


def _has_alto(folder: Path) -> bool:
    return bool(_xml_files(folder, "alto"))


def _read_alto(folder: Path) -> Rows:
    """The text lines of ALTO files."""
    for xml in _xml_files(folder, "alto"):
        root = _parse(xml)
        units = [unit.text or "" for unit in _descendants(root, "MeasurementUnit")]
        if units and units[0].strip() != "pixel":
            raise DataError(f"{xml} measures in {units[0].strip()}: export it with the MeasurementUnit pixel")
        pages = _descendants(root, "Page")
        if len(pages) > 1:
            raise DataError(f"{xml} has {len(pages)} pages, but one page image: split it into a file for each page")
        names = [name.text for name in _descendants(root, "fileName") if name.text]
        for page in pages:
            size = _number(page, "WIDTH", str(xml)), _number(page, "HEIGHT", str(xml))
            image: Path | None = None
            for number, line in enumerate(_descendants(page, "TextLine"), 1):
                where, text = f"{xml.relative_to(folder)} line {line.get('ID', number)}", _alto_text(line)
                if not text.strip():
                    yield where, "", _no_image
                    continue
                x, y, w, h = (_number(line, name, where) for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT"))
                box = np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)])
                shapes = [shape for child in _children(line, "Shape") for shape in _children(child, "Polygon")]
                polygon = _points(shapes[0].get("POINTS"), where) if shapes else box
                polygon = polygon if len(polygon) >= 2 else box
                baseline = line.get("BASELINE", "")
                image = image or _page_image(xml, names[0].strip() if names else None)
                yield where, text, partial(
                    _crop, image, size, polygon, _points(baseline if len(baseline.split()) > 1 else "", where)
                )  # fmt: skip


def _alto_text(line: ElementTree.Element) -> str:
    """The text of a line of ALTO: its strings with spaces between them, and the hyphen (HYP) of a word that is divided.

    The spaces are those of the SP elements; a line without any has one between two strings.
    """
    has_spaces = bool(_children(line, "SP"))
    text = ""
    for part in line:
        name, content = _name(part), part.get("CONTENT", "")
        if name == "SP" or (name == "String" and text and not has_spaces):
            text += " "
        if name == "String":
            text += content
        elif name == "HYP":
            text += HYPHENS.get(content, content)
    return text


#: name -> (whether a folder is of this kind, function that yields its lines, what it consists of), in the order in
#: which a folder is asked
KINDS: dict[str, tuple[Callable[[Path], bool], Callable[[Path], Rows], str]] = {
    "labels.tsv": (_has_labels, _read_labels, "labels.tsv with rows of file<TAB>text"),
    "metadata": (
        lambda folder: _metadata_file(folder) is not None,
        _read_metadata,
        "metadata.csv or metadata.jsonl with file_name and text",
    ),
    "gt.txt": (_has_ground_truth, _read_ground_truth, "line images with a .gt.txt file each"),
    "page": (_has_page_xml, _read_page_xml, "PAGE-XML files with their page images"),
    "alto": (_has_alto, _read_alto, "ALTO files with their page images"),
}
