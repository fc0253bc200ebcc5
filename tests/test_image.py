"""Pictures: whatever the file, the same grey; whatever the grey, the same line for training and reading."""

from __future__ import annotations

import io
import random
import struct
import warnings
import zlib
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest
from PIL import Image

from glyphline import image as door
from glyphline.errors import PictureError, UserError
from glyphline.image import (
    FRAMES,
    INK_SHARE,
    MARGIN,
    PIXEL_LIMIT,
    SUFFIXES,
    WIDTH_LIMIT,
    WORK_HEIGHT,
    Grey,
    canonical,
    frame_of,
    framed,
    ink_is_bright,
    ink_of,
    load,
    padded_batch,
    pictures_in,
)

SOME = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
SIZES = [(1, 1), (1, 7), (7, 1), (2, 2), (3, 200), (40, 40), (28, 896), (96, 300), (97, 300), (400, 150), (500, 3)]


def packed(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def written(text: str = "Handwritten line", paper: int = 235, ink: int = 30, scale: float = 1.0) -> Grey:
    """Dark writing on light paper."""
    size, _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, scale, 2)
    page = np.full((round(60 * scale), size[0] + round(40 * scale)), paper, np.uint8)
    cv2.putText(page, text, (round(20 * scale), round(40 * scale)), cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, scale, ink, 2, 16)
    return page


# ---------------------------------------------------------------------- any file is the same grey


def test_every_way_in_gives_the_same_grey(tmp_path: Path) -> None:
    data = packed(Image.fromarray(SOME))
    (tmp_path / "a.png").write_bytes(data)
    ways = [data, tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(SOME), SOME]
    greys = [load(way) for way in ways]
    assert all(np.array_equal(greys[0], grey) for grey in greys)
    assert greys[0].shape == (20, 30) and greys[0].dtype == np.uint8


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP", "GIF"])
def test_lossless_formats_agree(kind: str) -> None:
    grey = load(SOME)
    options = {"lossless": True} if kind == "WEBP" else {}
    assert np.array_equal(load(packed(Image.fromarray(grey), kind, **options)), grey)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "PA", "I", "F", "CMYK", "YCbCr", "RGBX", "HSV"])
def test_modes_agree(mode: str) -> None:
    grey = load(SOME)
    picture = Image.fromarray(grey).convert("P" if mode == "PA" else mode).convert(mode)
    assert np.abs(load(picture).astype(int) - grey).max() <= 2  # rounding between colour spaces


def test_black_and_white() -> None:
    bits = SOME[..., 0] > 99
    assert np.array_equal(load(packed(Image.fromarray(bits))), bits * np.uint8(255))
    assert np.array_equal(load(bits), bits * np.uint8(255))


def test_cmyk_jpeg() -> None:
    smooth = cv2.resize(SOME[:4, :6], (60, 40), interpolation=cv2.INTER_LINEAR)
    cmyk = packed(Image.fromarray(smooth).convert("CMYK"), "JPEG", quality=100)
    assert np.abs(load(cmyk).astype(int) - load(smooth)).mean() < 3


def test_a_palette_with_a_transparent_colour_lies_on_white() -> None:
    stroke = Image.new("P", (9, 9), 0)
    stroke.putpalette([0, 0, 0, 10, 10, 10] + [0] * 762)
    stroke.putpixel((4, 4), 1)
    grey = load(packed(stroke, transparency=0))
    assert grey[4, 4] == 10 and grey[0, 0] == 255


def test_transparency_lies_on_white() -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[2:4, 2:6] = (20, 20, 20, 255)
    grey = load(packed(Image.fromarray(rgba)))
    assert grey[3, 3] == 20 and grey[0, 0] == 255
    rgba[2:4, 2:6, 3] = 128
    assert abs(int(load(rgba)[3, 3]) - 137) <= 2  # half of it


def test_white_ink_on_nothing_is_ink() -> None:
    rgba = np.full((8, 20, 4), 255, np.uint8)
    rgba[..., 3] = 0
    rgba[2:5, 3:9, 3] = 255
    grey = load(packed(Image.fromarray(rgba)))
    assert np.ptp(grey) == 255 and len(np.unique(grey[2:5, 3:9])) == 1 and grey[0, 0] != grey[3, 4]


def test_16_bits_become_8() -> None:
    grey = load(SOME)
    wide = grey.astype(np.uint16) * 257
    assert np.array_equal(load(packed(Image.fromarray(wide))), grey)
    assert np.array_equal(load(packed(Image.fromarray(wide), "TIFF")), grey)
    assert np.array_equal(load(wide), grey)


@pytest.mark.parametrize("make", [np.float32, np.float64], ids=["float32", "float64"])
def test_floats_count_to_one_or_to_255(make: type) -> None:
    grey = load(SOME)
    assert np.abs(load((grey / 255).astype(make)).astype(int) - grey).max() <= 1
    assert np.array_equal(load(grey.astype(make)), grey)
    assert load(np.array([[np.nan, 1.0], [-3.0, 0.5]])).tolist() == [[0, 255], [0, 127]]


def test_shapes_of_arrays() -> None:
    grey = load(SOME)
    assert np.array_equal(load(grey[..., None]), grey)
    assert np.array_equal(load(np.dstack([SOME, np.full_like(grey, 255)])), grey)
    assert np.array_equal(load(np.asfortranarray(grey)), grey)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (5,), (2, 2, 2), (2, 2, 5), (1, 2, 2, 3), ()])
def test_arrays_that_are_no_picture(shape: tuple[int, ...]) -> None:
    with pytest.raises(PictureError, match=r"give \(H, W\)"):
        load(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.int64, np.uint32])
def test_whole_numbers_never_wrap(kind: type) -> None:
    assert load(np.array([[0, 255, 300]], kind)).tolist() == [[0, 255, 255]]


def test_small_16_bit_values_mean_the_same_in_an_array_and_in_a_file() -> None:
    small = load(SOME).astype(np.uint16)
    assert np.array_equal(load(small), load(packed(Image.fromarray(small))))


ORIENTATIONS = {  # how a camera stores an upright picture; Exif 2.3, 4.6.4 A: which side row 0 and column 0 are
    1: lambda u: u,
    2: lambda u: u[:, ::-1],
    3: lambda u: u[::-1, ::-1],
    4: lambda u: u[::-1],
    5: lambda u: u.T,
    6: lambda u: u[:, ::-1].T,
    7: lambda u: u[::-1, ::-1].T,
    8: lambda u: u[::-1].T,
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_pictures_stand_upright(orientation: int, kind: str) -> None:
    upright = load(SOME)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(ORIENTATIONS[orientation](upright))
    assert np.array_equal(load(packed(Image.fromarray(stored), kind, exif=exif)), upright)


# ---------------------------------------------------------------------- files that are none


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "no.png", tmp_path, "", "a\0b", "x" * 5000):
        with pytest.raises(PictureError):
            load(path)
    with pytest.raises(PictureError, match=r"no\.png"):
        load(tmp_path / "no.png")


@pytest.mark.parametrize("data", [b"", b"not a picture", b"%PDF-1.4", b"\x89PNG\r\n\x1a\n", bytes(999)])
def test_bytes_that_are_no_picture(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "odd.png").write_bytes(data)
    with pytest.raises(PictureError, match=r"odd\.png"):
        load(tmp_path / "odd.png")
    with pytest.raises(PictureError):
        load(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
def test_half_a_file_is_damaged(kind: str) -> None:
    data = packed(Image.fromarray(np.repeat(np.repeat(SOME, 4, 0), 4, 1)), kind)
    with pytest.raises(PictureError):
        load(data[: len(data) // 2])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_damage_is_a_picture_error_or_nothing(kind: str) -> None:
    data = packed(Image.fromarray(SOME), kind)
    rng = random.Random(kind)
    for _ in range(150):
        bad = bytearray(data)
        for _ in range(rng.choice((1, 2, 5))):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's remarks on bad tags
                grey = load(bytes(bad))
        except PictureError as error:
            assert "\n" not in str(error)
        else:
            assert grey.ndim == 2 and grey.dtype == np.uint8


def test_a_damaged_tag_brings_no_warning() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = packed(Image.fromarray(SOME), "JPEG", exif=exif)
    cut = data.index(b"Exif\0\0") + 14  # where the directory counts its tags
    load(data[:cut] + b"\x00\x09" + data[cut + 2 :])


def png_that_says(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header declares any size."""
    header = b"IHDR" + struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + packed(Image.new("L", (1, 1)))[33:]


@pytest.mark.parametrize("size", [(12_000, 9_000), (60_000, 60_000), (2**31 - 1, 1), (2**31 - 1, 2**31 - 1)])
def test_a_huge_declared_size_takes_no_memory(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door.ImageOps, "exif_transpose", lambda picture: pytest.fail("the picture was unpacked"))
    assert size[0] * size[1] > PIXEL_LIMIT
    with pytest.raises(PictureError):
        load(png_that_says(*size))


def test_a_huge_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "big.png").write_bytes(packed(Image.fromarray(SOME)))
    monkeypatch.setattr(door, "BYTE_LIMIT", 100)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail("the file was read"))
    with pytest.raises(PictureError, match="shrink it"):
        load(tmp_path / "big.png")


# ---------------------------------------------------------------------- the canonical line


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("height", [28, 40])
@pytest.mark.parametrize("size", SIZES)
def test_any_picture_becomes_a_line(size: tuple[int, int], height: int, frame: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, size, np.uint8)
    before = noise.copy()
    line = canonical(noise, height, frame)
    assert line.shape[0] == height and line.shape[1] >= 1 and line.dtype == np.uint8
    assert np.array_equal(noise, before)
    assert np.array_equal(canonical(noise, height, frame), line)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
def test_blank_pictures_hold_no_ink(size: tuple[int, int], level: int) -> None:
    blank = np.full(size, level, np.uint8)
    assert not ink_of(blank).any()
    assert not canonical(blank, 40).any()


def test_faint_noise_is_no_ink() -> None:
    paper = np.random.default_rng(0).normal(200, 2, (60, 400)).clip(0, 255).astype(np.uint8)
    assert not canonical(paper, 40).any()


@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (235, 30), (200, 120), (130, 20)])
def test_polarity_does_not_matter(paper: int, ink: int) -> None:
    dark = written(paper=paper, ink=ink)
    assert not ink_is_bright(dark) and ink_is_bright(255 - dark)
    for frame in FRAMES:
        assert np.array_equal(canonical(dark, 40, frame), canonical(255 - dark, 40, frame))


@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (200, 90), (120, 30)])
def test_ink_is_full_and_paper_is_nothing(paper: int, ink: int) -> None:
    page = written(paper=paper, ink=ink)
    found = ink_of(page)
    assert found.max() == 255
    assert not found[page == paper].any()
    assert found[page == ink].min() > 200


def test_a_shadow_is_not_ink() -> None:
    page = written("shadow over it").astype(np.float32)
    shaded = (page * np.linspace(1.0, 0.45, page.shape[1])).astype(np.uint8)
    plain, under = ink_of(written("shadow over it")) > 128, ink_of(shaded) > 128
    assert (plain & under).sum() / (plain | under).sum() > 0.8


def test_the_line_is_cropped_to_its_ink() -> None:
    line = canonical(written(), 40)
    assert not line[:MARGIN].any() and not line[-MARGIN:].any()
    assert not line[:, :MARGIN].any() and not line[:, -MARGIN:].any()
    inner = line[MARGIN:-MARGIN, MARGIN:-MARGIN] > INK_SHARE * 255 / 2
    assert all(side.any() for side in (inner[:2], inner[-2:], inner[:, :2], inner[:, -2:]))


@pytest.mark.parametrize("pad", [(0, 40, 0, 40), (30, 0, 60, 5)])
def test_more_paper_around_it_hardly_matters(pad: tuple[int, int, int, int]) -> None:
    page = written()
    wider = cv2.copyMakeBorder(page, *pad, cv2.BORDER_CONSTANT, value=235)
    assert frame_of(ink_of(wider)) == tuple(np.add(frame_of(ink_of(page)), (pad[0], pad[0], pad[2], pad[2])))


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0, 4.0])
def test_a_column_of_the_line_knows_where_it_lay(scale: float) -> None:
    page = np.full((round(60 * scale), round(400 * scale)), 240, np.uint8)
    for left in (50, 200, 340):  # three bars, 20 px wide
        page[round(15 * scale) : round(45 * scale), round(left * scale) : round((left + 20) * scale)] = 20
    found = framed(page, 40)
    inked = np.flatnonzero(found.line.max(axis=0) > 128)
    starts = inked[np.flatnonzero(np.diff(inked, prepend=-9) > 1)]
    said = found.left + starts / found.scale
    assert np.abs(said - np.array([50, 200, 340]) * scale).max() <= max(2.0, 1.5 * scale)


def letters(width: int, *, slope: float = 0.0, bow: float = 0.0, growth: float = 0.0, gap: int = 0) -> Grey:
    """Dark strokes on paper along a line that slopes, bows (px at its end and middle) or grows (share at its end)."""
    picture = np.full((300, width), 230, np.uint8)
    for x in range(20, width - 20, 12):
        share = x / width
        tall = 30 * (1 + growth * share)
        y = 150 + slope * (share - 0.5) + bow * (1 - (2 * share - 1) ** 2) - bow / 2
        if not abs(x - width / 2) < gap / 2:
            cv2.line(picture, (x, round(y - tall / 2)), (x + 3, round(y + tall / 2)), 30, 3)
    return picture


@pytest.mark.parametrize(
    "askew", [{"slope": 150}, {"slope": -90}, {"bow": 60}, {"bow": -40}, {"growth": 0.5}, {"slope": 70, "growth": -0.3}]
)
def test_a_long_line_is_brought_level(askew: dict[str, float]) -> None:
    """All along it the strokes fill the height, as those of a short line do."""
    line = canonical(letters(2400, **askew), 40)
    for part in np.array_split(line, 10, axis=1):
        top, bottom, _, _ = frame_of(np.ascontiguousarray(part))
        assert top <= MARGIN + 5 and bottom >= 40 - MARGIN - 5


@pytest.mark.parametrize("askew", [{}, {"slope": 120}])
def test_a_wide_gap_in_a_long_line_changes_nothing_of_its_letters(askew: dict[str, float]) -> None:
    line = canonical(letters(2400, gap=700, **askew), 40)
    for part in (line[:, :200], line[:, -200:]):
        top, bottom, _, _ = frame_of(np.ascontiguousarray(part))
        assert top <= MARGIN + 5 and bottom >= 40 - MARGIN - 5


def test_a_column_of_a_levelled_line_knows_where_it_lay() -> None:
    picture = letters(2400, slope=100, gap=400)
    found = framed(picture, 40)
    columns = np.flatnonzero(found.line.max(axis=0) > 128)
    k = int(np.argmax(np.diff(columns)))  # the gap
    left, right = (found.left + c / found.scale for c in columns[k : k + 2])
    assert abs(left - 1005) < 10 and abs(right - 1400) < 10


def test_a_level_line_is_only_scaled() -> None:
    picture = letters(2400)
    levelled = canonical(picture, 40)
    with mock.patch.object(door, "LONG", 1e9):
        plain = canonical(picture, 40)
    assert levelled.shape == plain.shape
    assert np.abs(levelled.astype(int) - plain.astype(int)).mean() < 6


def test_the_widest_lines_are_levelled_too() -> None:
    """OpenCV remaps 32,767 px at once."""
    picture = cv2.resize(letters(17_000, slope=5)[128:172], (33_000, 92))
    line = canonical(picture, 40)
    assert line.shape[1] > WIDTH_LIMIT // 2
    assert np.diff(np.flatnonzero(line.max(axis=0) > 128)).max() < 20  # no stroke is lost where the parts meet


@pytest.mark.parametrize("size", [(100, 300), (WORK_HEIGHT, 200), (28, 56), (10, 33)])
def test_the_whole_frame_keeps_its_proportion(size: tuple[int, int]) -> None:
    found = framed(np.random.default_rng(0).integers(0, 60, size, np.uint8), 28, "whole")
    assert found.line.shape[1] == max(1, round(size[1] * 28 / size[0]))
    assert (found.left, found.scale) == (0.0, 28 / size[0])


def test_a_line_of_the_right_height_is_left_alone() -> None:
    tiles = np.zeros((28, 280), np.uint8)
    cv2.putText(tiles, "plain", (9, 21), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2)
    assert np.array_equal(canonical(tiles, 28, "whole"), tiles)


@pytest.mark.parametrize("frame", FRAMES)
def test_a_line_far_too_wide_is_refused(frame: str) -> None:
    endless = np.full((4, 4 * WIDTH_LIMIT), 255, np.uint8)
    endless[1:3, 5:-5:3] = 0
    with pytest.raises(PictureError, match="shorter lines"):
        canonical(endless, 40, frame)


def test_an_unknown_frame_is_told_the_choices() -> None:
    with pytest.raises(UserError, match='did you mean "whole"'):
        canonical(SOME[..., 0], 40, "wole")


# ---------------------------------------------------------------------- batches and files


@pytest.mark.parametrize("multiple", [1, 8, 32])
def test_a_batch_holds_its_lines_and_nothing_else(multiple: int) -> None:
    lines = [np.random.default_rng(k).integers(1, 256, (28, w), np.uint8) for k, w in enumerate((1, 8, 33, 64))]
    batch, widths = padded_batch(lines, multiple)
    assert widths.tolist() == [1, 8, 33, 64]
    assert batch.shape == (4, 28, 64) and batch.shape[2] % multiple == 0
    for row, line, width in zip(batch, lines, widths, strict=True):
        assert np.array_equal(row[:, :width], line) and not row[:, width:].any()


def test_folders_and_patterns_become_files_in_order(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "notes.txt", "c.webp"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "empty").mkdir()
    pictures = [tmp_path / name for name in ("a.JPG", "b.png", "c.webp")]
    assert pictures_in([tmp_path]) == pictures
    assert pictures_in([tmp_path / "*.[pw]*"]) == pictures[1:]
    assert pictures_in([tmp_path / "b.png", tmp_path / "gone.png"]) == [pictures[1], tmp_path / "gone.png"]
    with pytest.raises(PictureError, match="holds no pictures"):
        pictures_in([tmp_path / "empty"])
    with pytest.raises(PictureError, match="no file fits"):
        pictures_in([str(tmp_path / "*.bmp")])


def test_a_file_with_brackets_in_its_name_is_itself(tmp_path: Path) -> None:
    (tmp_path / "scan[1].png").write_bytes(packed(Image.fromarray(SOME)))
    assert pictures_in([tmp_path / "scan[1].png"]) == [tmp_path / "scan[1].png"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_suffix_can_be_read(suffix: str, tmp_path: Path) -> None:
    picture = Image.fromarray(load(SOME) if suffix == ".pgm" else SOME)
    picture.save(tmp_path / f"a{suffix}")
    assert load(tmp_path / f"a{suffix}").shape == (20, 30)
