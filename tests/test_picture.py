"""Pictures: whatever the file, the same pixels; whatever is wrong with it, one line that says so."""

from __future__ import annotations

import io
import random
import struct
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from glyphline import picture as door
from glyphline.errors import MissingPackage, PictureError
from glyphline.picture import PAGE_LIMIT, PDF_PIXELS, PIXEL_LIMIT, SUFFIXES, Document, load, pictures_in

SOME = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def packed(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


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


# ---------------------------------------------------------------------- pages


def pages_of(count: int) -> list[Image.Image]:
    """Pages that differ: a black bar that wanders down."""
    pages = [Image.new("L", (90, 120), 255) for _ in range(count)]
    for number, page in enumerate(pages):
        page.paste(0, (10, 10 + 15 * number, 80, 20 + 15 * number))
    return pages


def bar(grey: np.ndarray) -> float:
    """Where the bar is, as a share of the height."""
    return float(np.flatnonzero(grey.mean(axis=1) < 128).mean() / len(grey))


@pytest.mark.parametrize("kind", ["TIFF", "PDF"])
def test_every_page_of_a_document_can_be_read(kind: str) -> None:
    first, *others = pages_of(5)
    with Document(packed(first, kind, save_all=True, append_images=others)) as pages:
        assert len(pages) == 5
        for number in (4, 0, 2, 1, 3):
            grey, colour = pages.grey(number), pages.colour(number)
            assert abs(bar(grey) - (15 + 15 * number) / 120) < 0.02
            assert colour.shape == (*grey.shape, 3) and np.abs(colour.mean(axis=2) - grey).max() <= 1
        with pytest.raises(PictureError, match="has 5 pages"):
            pages.grey(5)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_a_moving_picture_the_first_is_read(kind: str) -> None:
    first, *others = pages_of(3)
    with Document(packed(first, kind, save_all=True, append_images=others)) as pages:
        assert len(pages) == 1 and abs(bar(pages.grey(0)) - 15 / 120) < 0.02


def test_a_tiff_whose_pages_go_round_ends() -> None:
    first, *others = pages_of(3)
    data = bytearray(packed(first, "TIFF", save_all=True, append_images=others))
    where = [8]  # of each directory
    for _ in range(2):
        end = where[-1] + 2 + 12 * struct.unpack_from("<H", data, where[-1])[0]
        where.append(struct.unpack_from("<I", data, end)[0])
    end = where[-1] + 2 + 12 * struct.unpack_from("<H", data, where[-1])[0]
    struct.pack_into("<I", data, end, where[0])
    with Document(bytes(data)) as pages:
        assert len(pages) == 3


def test_a_broken_page_is_named_and_the_others_stand() -> None:
    first, *others = pages_of(3)
    data = packed(first, "TIFF", save_all=True, append_images=others, compression="tiff_deflate")
    start = Image.open(io.BytesIO(data))
    start.seek(1)
    at = start.tag_v2[273][0]
    with Document(data[:at] + bytes(20) + data[at + 20 :]) as pages:
        with pytest.raises(PictureError, match="page 2 of"):
            pages.grey(1)
        assert abs(bar(pages.grey(2)) - 45 / 120) < 0.02


def pdf_of(size: tuple[float, float], count: int = 1) -> bytes:
    """A PDF of empty pages."""
    import pypdfium2

    made, out = pypdfium2.PdfDocument.new(), io.BytesIO()
    for _ in range(count):
        made.new_page(*size)
    made.save(out)
    return out.getvalue()


def test_a_large_page_is_drawn_at_fewer_px_an_inch() -> None:
    assert load(pdf_of((595, 842))).shape == (2339, 1653)  # A4 at 200 an inch
    assert 0.9 * PDF_PIXELS < load(pdf_of((14_000, 14_000))).size < 1.1 * PDF_PIXELS


def test_a_page_without_extent_is_told() -> None:
    with pytest.raises(PictureError, match="nothing can be drawn"):
        load(pdf_of((0.001, 5000)))


def test_a_document_of_too_many_pages_is_told() -> None:
    with pytest.raises(PictureError, match="split it"):
        Document(pdf_of((10, 10), PAGE_LIMIT + 1))


def test_a_locked_document_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import pypdfium2

    def locked(_: bytes) -> None:
        raise pypdfium2.PdfiumError("Failed to load document (PDFium: Incorrect password error).")

    monkeypatch.setattr(pypdfium2, "PdfDocument", locked)
    with pytest.raises(PictureError, match="locked with a password"):
        Document(b"%PDF-1.7 ...")


def test_heic_is_read_where_its_library_is(monkeypatch: pytest.MonkeyPatch) -> None:
    heif = pytest.importorskip("pillow_heif")
    out = io.BytesIO()
    heif.from_pillow(pages_of(1)[0].convert("RGB")).save(out, quality=90)
    assert abs(bar(load(out.getvalue())) - 15 / 120) < 0.03
    monkeypatch.setattr(door, "find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match=r"glyphline\[photo\]"):
        load(out.getvalue())


def test_an_address_is_not_fetched_unasked() -> None:
    with pytest.raises(PictureError, match="save the picture first"):
        load("https://example.org/a.png")


def test_colour_is_kept() -> None:
    assert np.array_equal(Document(packed(Image.fromarray(SOME))).colour(0), SOME)
    assert np.array_equal(Document(SOME).colour(0), SOME)


# ---------------------------------------------------------------------- files by name


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
    if suffix in (".heic", ".heif"):
        pytest.importorskip("pillow_heif").register_heif_opener()
    picture.save(tmp_path / f"a{suffix}")
    tall, wide = load(tmp_path / f"a{suffix}").shape
    assert tall * 30 == wide * 20
