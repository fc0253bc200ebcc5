"""Images: whatever the file, the same pixels; whatever is wrong with it, one line that says so."""

from __future__ import annotations

import io
import os
import random
import struct
import threading
import time
import warnings
import zlib
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from glyphline.errors import ImageError, MissingPackage
from glyphline.imaging import documents as door
from glyphline.imaging.documents import PAGE_LIMIT, PIXEL_LIMIT, STRIP, SUFFIXES, Document, fetch, image_paths, load
from glyphline.imaging.pdf import PIXELS
from hostile import ANY, SINGULAR, broken_directory, chunk, directories, laughing, packed, png, scans, tiff, zeros

SOME = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


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
    image = Image.fromarray(grey).convert("P" if mode == "PA" else mode).convert(mode)
    assert np.abs(load(image).astype(int) - grey).max() <= 2  # rounding between colour spaces


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
    assert load(np.array([[np.inf, 1.0], [-np.inf, 0.5]])).tolist() == [[0, 255], [0, 127]]
    assert np.abs(load(packed(Image.fromarray((grey / 255).astype(np.float32)), "TIFF")).astype(int) - grey).max() <= 1


def test_shapes_of_arrays() -> None:
    grey = load(SOME)
    assert np.array_equal(load(grey[..., None]), grey)
    assert np.array_equal(load(np.dstack([SOME, np.full_like(grey, 255)])), grey)
    assert np.array_equal(load(np.asfortranarray(grey)), grey)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (5,), (2, 2, 2), (2, 2, 5), (1, 2, 2, 3), ()])
def test_arrays_that_are_no_picture(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match=r"give \(H, W\)"):
        load(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.int64, np.uint32])
def test_whole_numbers_never_wrap(kind: type) -> None:
    assert load(np.array([[0, 255, 300]], kind)).tolist() == [[0, 255, 255]]


def test_small_16_bit_values_mean_the_same_in_an_array_and_in_a_file() -> None:
    small = load(SOME).astype(np.uint16)
    assert np.array_equal(load(small), load(packed(Image.fromarray(small))))


ORIENTATIONS = {  # how a camera stores an upright image; Exif 2.3, 4.6.4 A: which side row 0 and column 0 are
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
        with pytest.raises(ImageError):
            load(path)
    with pytest.raises(ImageError, match=r"no\.png"):
        load(tmp_path / "no.png")


@pytest.mark.parametrize("data", [b"", b"not a picture", b"%PDF-1.4", b"\x89PNG\r\n\x1a\n", bytes(999)])
def test_bytes_that_are_no_picture(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "odd.png").write_bytes(data)
    with pytest.raises(ImageError, match=r"odd\.png"):
        load(tmp_path / "odd.png")
    with pytest.raises(ImageError):
        load(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
def test_half_a_file_is_damaged(kind: str) -> None:
    data = packed(Image.fromarray(np.repeat(np.repeat(SOME, 4, 0), 4, 1)), kind)
    with pytest.raises(ImageError):
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
        except ImageError as error:
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
    monkeypatch.setattr(door, "_pixels", lambda *_: pytest.fail("the image was unpacked"))
    assert size[0] * size[1] > PIXEL_LIMIT
    with pytest.raises(ImageError):
        load(png_that_says(*size))


def test_a_huge_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "big.png").write_bytes(packed(Image.fromarray(SOME)))
    monkeypatch.setattr(door, "BYTE_LIMIT", 100)
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("the file was read"))
    with pytest.raises(ImageError, match="shrink it"):
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
        with pytest.raises(ImageError, match="has 5 pages"):
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
        with pytest.raises(ImageError, match="page 2 of"):
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
    assert 0.9 * PIXELS < load(pdf_of((14_000, 14_000))).size < 1.1 * PIXELS


def test_a_page_without_extent_is_told() -> None:
    with pytest.raises(ImageError, match="nothing can be drawn"):
        load(pdf_of((0.001, 5000)))


def test_a_document_of_too_many_pages_is_told() -> None:
    with pytest.raises(ImageError, match="split it"):
        Document(pdf_of((10, 10), PAGE_LIMIT + 1))


def test_a_locked_document_is_told() -> None:
    with pytest.raises(ImageError, match="locked with a password"):
        Document(SINGULAR["locked.pdf"]())


def test_a_document_that_takes_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forms that each show the next twice: what draws them is ended, by the clock or by the memory it takes."""
    monkeypatch.setattr("glyphline.imaging.pdf.SECONDS", 2)
    with Document(laughing(28, 2).replace(b"[3 0 R]/Count 1", b"[3 0 R 3 0 R]/Count 2")) as pages:
        for number in (0, 1):  # and no later page is waited for
            with pytest.raises(ImageError, match=r"to draw|what draws it"):
                pages.grey(number)


def test_heic_is_read_where_its_library_is(monkeypatch: pytest.MonkeyPatch) -> None:
    heif = pytest.importorskip("pillow_heif")
    out = io.BytesIO()
    heif.from_pillow(pages_of(1)[0].convert("RGB")).save(out, quality=90)
    assert abs(bar(load(out.getvalue())) - 15 / 120) < 0.03
    monkeypatch.setattr(door, "find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match=r"glyphline\[photo\]"):
        load(out.getvalue())


# ---------------------------------------------------------------------- addresses


class Answers(BaseHTTPRequestHandler):
    """A server of an image, and of what may stand in its place."""

    def do_GET(self) -> None:
        kind, body, place = "image/png", packed(Image.fromarray(SOME)), ""
        if self.path == "/page":
            kind, body = "text/html; charset=utf-8", b"<html>"
        elif self.path == "/round":
            place = "/round"
        elif self.path == "/moved":
            place = "/a.png"
        elif self.path == "/file":
            place = "file:///etc/hostname"
        elif self.path == "/silent":
            time.sleep(1.0)
        elif self.path == "/slow":
            body = bytes(40)
        self.send_response(404 if self.path == "/gone" else 302 if place else 200)
        self.send_header("Content-Type", kind)
        if place:
            self.send_header("Location", place)
        self.send_header("Content-Length", str(len(body) + 99 * (self.path == "/half")))
        with suppress(OSError):  # the other side may have left
            self.end_headers()
            for part in [body] if self.path != "/slow" else [body[k : k + 1] for k in range(len(body))]:
                self.wfile.write(part)
                self.wfile.flush()
                time.sleep(0.1 * (self.path == "/slow"))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


def test_an_address_is_not_fetched_unasked() -> None:
    for address in ("https://example.org/a.png", "HTTP://example.org/a.png"):
        with pytest.raises(ImageError, match=r"save the image first, or read it with --allow-urls"):
            load(address)


@pytest.mark.parametrize("path", ["/a.png", "/moved"])
def test_a_picture_is_fetched(server: str, path: str) -> None:
    assert np.array_equal(load(fetch(server + path)), load(SOME))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/page", "is a web page"),
        ("/gone", "answers 404"),
        ("/round", "more than 5 times"),
        ("/file", "cannot be fetched"),
        ("/half", "cannot be fetched"),
        ("/silent", "says nothing"),
        ("/slow", "takes longer"),
    ],
)
def test_what_is_no_picture_to_fetch_is_named(
    server: str, path: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "FETCH_SECONDS", 0.5)
    monkeypatch.setattr(door, "FETCH_TOTAL", 0.5 if path == "/slow" else 60)
    with pytest.raises(ImageError, match=said) as error:
        fetch(server + path)
    assert server + path in str(error.value) and "\n" not in str(error.value)


def test_no_more_is_fetched_than_a_file_may_hold(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "BYTE_LIMIT", 100)
    with pytest.raises(ImageError, match="shrink it"):
        fetch(server + "/a.png")


@pytest.mark.parametrize(
    "address", ["ftp://a/b", "file:///etc/hostname", "a.png", "", "http://", "http://127.0.0.1:1/", "http://[/"]
)
def test_other_addresses_are_named(address: str) -> None:
    with pytest.raises(ImageError, match=r"http://|check the address"):
        fetch(address)


# ---------------------------------------------------------------------- what would take for ever, or all memory


def test_pipes_and_devices_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    for name in ("pipe.png", "device.png"):
        with pytest.raises(ImageError, match=f"{name} is no file"):
            load(tmp_path / name)


def test_a_name_that_is_no_text_is_told_on_one_line(tmp_path: Path) -> None:
    for name in (os.fsdecode(b"\xff\xfe.png"), "two\nlines.png", "\x1b[31m.png"):
        with pytest.raises(ImageError) as error:
            load(tmp_path / name)
        assert str(error.value).isprintable()


def test_a_file_of_many_tiny_parts_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "READS", 1000)
    with pytest.raises(ImageError, match="too many small parts"):
        load(png(9, 9, ANY, chunk(b"abCd", b"") * 1000))


def test_a_decoder_that_does_not_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "SECONDS", 0.2)
    began = time.monotonic()
    with pytest.raises(ImageError, match="takes longer"):
        load(scans(20_000, 2000))
    assert time.monotonic() - began < 5


def test_pages_are_not_counted_for_ever() -> None:
    assert len(Document(directories(PAGE_LIMIT))) == PAGE_LIMIT
    with pytest.raises(ImageError, match="split it"):
        Document(directories(200_000))


def test_a_page_without_a_directory_leaves_those_before_it() -> None:
    with Document(broken_directory()) as pages:
        assert len(pages) == 2 and pages.grey(0).size
        with pytest.raises(ImageError, match="page 2 of"):
            pages.grey(1)


def test_a_tile_far_larger_than_its_picture_is_not_unpacked() -> None:
    with pytest.raises(ImageError, match="tiles of 30000 x 30000"):
        load(tiff(16, 16, [(322, 30_000), (323, 30_000)], zeros(10**6), 8))


def test_memory_and_depth_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (MemoryError(), RecursionError(), struct.error("odd"), RuntimeError("a\nb")):

        def broken(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(door, "_pixels", broken)
        with pytest.raises(ImageError) as told:
            load(packed(Image.fromarray(SOME)))
        assert str(told.value).isprintable()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "CMYK", "F", "I;16"])
def test_strips_make_no_seams(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if mode == "I;16":
        image = Image.fromarray(load(SOME).astype(np.uint16) * 257)
    else:
        image = Image.fromarray(SOME).convert("RGB" if mode == "P" else mode if mode != "LA" else "L").convert(mode)
    whole = [load(image), Document(image).colour(0)]
    assert image.width * image.height < STRIP
    for strip in (1, 70, 95):
        monkeypatch.setattr(door, "STRIP", strip)
        assert np.array_equal(load(image), whole[0])
        assert np.array_equal(Document(image).colour(0), whole[1])


def test_a_large_page_can_be_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "LARGE", 10)
    first, *others = pages_of(3)
    with Document(packed(first, "TIFF", save_all=True, append_images=others)) as pages:
        for number in (1, 1, 0, 2, 0):
            assert abs(bar(pages.grey(number)) - (15 + 15 * number) / 120) < 0.02


def test_colour_is_kept() -> None:
    assert np.array_equal(Document(packed(Image.fromarray(SOME))).colour(0), SOME)
    assert np.array_equal(Document(SOME).colour(0), SOME)


# ---------------------------------------------------------------------- files by name


def test_folders_and_patterns_become_files_in_order(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "notes.txt", "c.webp"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "empty").mkdir()
    images = [tmp_path / name for name in ("a.JPG", "b.png", "c.webp")]
    assert image_paths([tmp_path]) == images
    assert image_paths([tmp_path / "*.[pw]*"]) == images[1:]
    assert image_paths([tmp_path / "b.png", tmp_path / "gone.png"]) == [images[1], tmp_path / "gone.png"]
    with pytest.raises(ImageError, match="holds no images"):
        image_paths([tmp_path / "empty"])
    with pytest.raises(ImageError, match="no file fits"):
        image_paths([str(tmp_path / "*.bmp")])


def test_a_file_with_brackets_in_its_name_is_itself(tmp_path: Path) -> None:
    (tmp_path / "scan[1].png").write_bytes(packed(Image.fromarray(SOME)))
    assert image_paths([tmp_path / "scan[1].png"]) == [tmp_path / "scan[1].png"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_suffix_can_be_read(suffix: str, tmp_path: Path) -> None:
    image = Image.fromarray(load(SOME) if suffix == ".pgm" else SOME)
    if suffix in (".heic", ".heif"):
        pytest.importorskip("pillow_heif").register_heif_opener()
    image.save(tmp_path / f"a{suffix}")
    tall, wide = load(tmp_path / f"a{suffix}").shape
    assert tall * 30 == wide * 20
