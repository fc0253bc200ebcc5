"""Documents: every format and source gives the same pixels; every fault gives an ImageError of one line."""

from __future__ import annotations

import io
import os
import random
import struct
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from glyphline.errors import ImageError, MissingPackage
from glyphline.imaging import documents
from glyphline.imaging.documents import PAGE_LIMIT, PIXEL_LIMIT, STRIP, SUFFIXES, Document, fetch, image_paths, load
from glyphline.imaging.pdf import PIXELS
from hostile import (
    CRAFTED,
    DUMMY_ROWS,
    build_png,
    build_tiff,
    compress_repeated,
    encode,
    jpeg_with_scans,
    nested_forms_pdf,
    png_chunk,
    tiff_with_broken_directory,
    tiff_with_directories,
)

NOISE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


# ---------------------------------------------------------------------- sources and formats


def test_all_kinds_of_sources_give_the_same_pixels(tmp_path: Path) -> None:
    data = encode(Image.fromarray(NOISE))
    (tmp_path / "a.png").write_bytes(data)
    sources = [data, tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(NOISE), NOISE]
    greys = [load(source) for source in sources]
    assert all(np.array_equal(greys[0], grey) for grey in greys)
    assert greys[0].shape == (20, 30) and greys[0].dtype == np.uint8


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP", "GIF"])
def test_lossless_formats_give_the_same_pixels(kind: str) -> None:
    grey = load(NOISE)
    options = {"lossless": True} if kind == "WEBP" else {}
    assert np.array_equal(load(encode(Image.fromarray(grey), kind, **options)), grey)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "PA", "I", "F", "CMYK", "YCbCr", "RGBX", "HSV"])
def test_pillow_modes_give_the_same_pixels(mode: str) -> None:
    grey = load(NOISE)
    image = Image.fromarray(grey).convert("P" if mode == "PA" else mode).convert(mode)
    assert np.abs(load(image).astype(int) - grey).max() <= 2  # rounding between colour spaces


def test_bilevel_images_become_0_and_255() -> None:
    bits = NOISE[..., 0] > 99
    assert np.array_equal(load(encode(Image.fromarray(bits))), bits * np.uint8(255))
    assert np.array_equal(load(bits), bits * np.uint8(255))


def test_cmyk_jpeg_is_converted() -> None:
    smooth = cv2.resize(NOISE[:4, :6], (60, 40), interpolation=cv2.INTER_LINEAR)
    cmyk = encode(Image.fromarray(smooth).convert("CMYK"), "JPEG", quality=100)
    assert np.abs(load(cmyk).astype(int) - load(smooth)).mean() < 3


def test_transparent_palette_colour_becomes_white() -> None:
    stroke = Image.new("P", (9, 9), 0)
    stroke.putpalette([0, 0, 0, 10, 10, 10] + [0] * 762)
    stroke.putpixel((4, 4), 1)
    grey = load(encode(stroke, transparency=0))
    assert grey[4, 4] == 10 and grey[0, 0] == 255


def test_transparency_is_put_on_white() -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[2:4, 2:6] = (20, 20, 20, 255)
    grey = load(encode(Image.fromarray(rgba)))
    assert grey[3, 3] == 20 and grey[0, 0] == 255
    rgba[2:4, 2:6, 3] = 128
    assert abs(int(load(rgba)[3, 3]) - 137) <= 2  # half of the ink


def test_white_ink_on_a_transparent_background_stays_visible() -> None:
    rgba = np.full((8, 20, 4), 255, np.uint8)
    rgba[..., 3] = 0
    rgba[2:5, 3:9, 3] = 255
    grey = load(encode(Image.fromarray(rgba)))
    assert np.ptp(grey) == 255 and len(np.unique(grey[2:5, 3:9])) == 1 and grey[0, 0] != grey[3, 4]


def test_16_bits_are_scaled_to_8() -> None:
    grey = load(NOISE)
    deep = grey.astype(np.uint16) * 257
    assert np.array_equal(load(encode(Image.fromarray(deep))), grey)
    assert np.array_equal(load(encode(Image.fromarray(deep), "TIFF")), grey)
    assert np.array_equal(load(deep), grey)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_floats_range_to_1_or_to_255(dtype: type) -> None:
    grey = load(NOISE)
    assert np.abs(load((grey / 255).astype(dtype)).astype(int) - grey).max() <= 1
    assert np.array_equal(load(grey.astype(dtype)), grey)
    assert load(np.array([[np.nan, 1.0], [-3.0, 0.5]])).tolist() == [[0, 255], [0, 127]]
    assert load(np.array([[np.inf, 1.0], [-np.inf, 0.5]])).tolist() == [[0, 255], [0, 127]]
    assert np.abs(load(encode(Image.fromarray((grey / 255).astype(np.float32)), "TIFF")).astype(int) - grey).max() <= 1


def test_array_shapes_give_the_same_pixels() -> None:
    grey = load(NOISE)
    assert np.array_equal(load(grey[..., None]), grey)
    assert np.array_equal(load(np.dstack([NOISE, np.full_like(grey, 255)])), grey)
    assert np.array_equal(load(np.asfortranarray(grey)), grey)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (5,), (2, 2, 2), (2, 2, 5), (1, 2, 2, 3), ()])
def test_array_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match=r"give \(H, W\)"):
        load(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64, np.uint32])
def test_integers_are_clipped(dtype: type) -> None:
    assert load(np.array([[0, 255, 300]], dtype)).tolist() == [[0, 255, 255]]


def test_small_16_bit_values_are_equal_from_an_array_and_from_a_file() -> None:
    small = load(NOISE).astype(np.uint16)
    assert np.array_equal(load(small), load(encode(Image.fromarray(small))))


#: orientation -> how a camera stores an upright image; Exif 2.3, 4.6.4 A: the sides that row 0 and column 0 are
ORIENTATIONS = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.T,
    6: lambda image: image[:, ::-1].T,
    7: lambda image: image[::-1, ::-1].T,
    8: lambda image: image[::-1].T,
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_exif_orientation_is_applied(orientation: int, kind: str) -> None:
    upright = load(NOISE)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(ORIENTATIONS[orientation](upright))
    assert np.array_equal(load(encode(Image.fromarray(stored), kind, exif=exif)), upright)


# ---------------------------------------------------------------------- missing and damaged files


def test_missing_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "no.png", tmp_path, "", "a\0b", "x" * 5000):
        with pytest.raises(ImageError):
            load(path)
    with pytest.raises(ImageError, match=r"no\.png"):
        load(tmp_path / "no.png")


@pytest.mark.parametrize("data", [b"", b"not an image", b"%PDF-1.4", b"\x89PNG\r\n\x1a\n", bytes(999)])
def test_bytes_that_are_not_an_image_are_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "odd.png").write_bytes(data)
    with pytest.raises(ImageError, match=r"odd\.png"):
        load(tmp_path / "odd.png")
    with pytest.raises(ImageError):
        load(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
def test_truncated_file_is_refused(kind: str) -> None:
    data = encode(Image.fromarray(np.repeat(np.repeat(NOISE, 4, 0), 4, 1)), kind)
    with pytest.raises(ImageError):
        load(data[: len(data) // 2])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_damaged_file_is_read_or_raises_an_image_error(kind: str) -> None:
    data = encode(Image.fromarray(NOISE), kind)
    rng = random.Random(kind)
    for _ in range(150):
        damaged = bytearray(data)
        for _ in range(rng.choice((1, 2, 5))):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow warns about damaged tags
                grey = load(bytes(damaged))
        except ImageError as error:
            assert "\n" not in str(error)
        else:
            assert grey.ndim == 2 and grey.dtype == np.uint8


def test_damaged_tag_gives_no_warning() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(Image.fromarray(NOISE), "JPEG", exif=exif)
    offset = data.index(b"Exif\0\0") + 14  # of the number of tags in the directory
    load(data[:offset] + b"\x00\x09" + data[offset + 2 :])


def png_with_declared_size(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header declares any size."""
    header = png_chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + encode(Image.new("L", (1, 1)))[33:]


@pytest.mark.parametrize("size", [(12_000, 9_000), (60_000, 60_000), (2**31 - 1, 1), (2**31 - 1, 2**31 - 1)])
def test_huge_declared_size_is_refused_before_decoding(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_to_array", lambda *_: pytest.fail("the image was decoded"))
    assert size[0] * size[1] > PIXEL_LIMIT
    with pytest.raises(ImageError):
        load(png_with_declared_size(*size))


def test_huge_file_is_refused_before_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "big.png").write_bytes(encode(Image.fromarray(NOISE)))
    monkeypatch.setattr(documents, "BYTE_LIMIT", 100)
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("the file was read"))
    with pytest.raises(ImageError, match="shrink it"):
        load(tmp_path / "big.png")


# ---------------------------------------------------------------------- pages


def draw_pages(count: int) -> list[Image.Image]:
    """Draw white pages with a black bar, which lies 15 px lower on each page."""
    pages = [Image.new("L", (90, 120), 255) for _ in range(count)]
    for number, page in enumerate(pages):
        page.paste(0, (10, 10 + 15 * number, 80, 20 + 15 * number))
    return pages


def bar_position(grey: np.ndarray) -> float:
    """The mean row of the bar, as a fraction of the height."""
    return float(np.flatnonzero(grey.mean(axis=1) < 128).mean() / len(grey))


@pytest.mark.parametrize("kind", ["TIFF", "PDF"])
def test_pages_can_be_read_in_any_order(kind: str) -> None:
    first, *others = draw_pages(5)
    with Document(encode(first, kind, save_all=True, append_images=others)) as document:
        assert len(document) == 5
        for number in (4, 0, 2, 1, 3):
            grey, colour = document.grey(number), document.colour(number)
            assert abs(bar_position(grey) - (15 + 15 * number) / 120) < 0.02
            assert colour.shape == (*grey.shape, 3) and np.abs(colour.mean(axis=2) - grey).max() <= 1
        with pytest.raises(ImageError, match="has 5 pages"):
            document.grey(5)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_animation_has_one_page(kind: str) -> None:
    first, *others = draw_pages(3)
    with Document(encode(first, kind, save_all=True, append_images=others)) as document:
        assert len(document) == 1 and abs(bar_position(document.grey(0)) - 15 / 120) < 0.02


def test_tiff_with_cyclic_directories_ends() -> None:
    first, *others = draw_pages(3)
    data = bytearray(encode(first, "TIFF", save_all=True, append_images=others))
    offsets = [8]  # of each directory
    for _ in range(2):
        end = offsets[-1] + 2 + 12 * struct.unpack_from("<H", data, offsets[-1])[0]
        offsets.append(struct.unpack_from("<I", data, end)[0])
    end = offsets[-1] + 2 + 12 * struct.unpack_from("<H", data, offsets[-1])[0]
    struct.pack_into("<I", data, end, offsets[0])
    with Document(bytes(data)) as document:
        assert len(document) == 3


def test_damaged_page_is_named_and_other_pages_are_read() -> None:
    first, *others = draw_pages(3)
    data = encode(first, "TIFF", save_all=True, append_images=others, compression="tiff_deflate")
    image = Image.open(io.BytesIO(data))
    image.seek(1)
    offset = image.tag_v2[273][0]
    with Document(data[:offset] + bytes(20) + data[offset + 20 :]) as document:
        with pytest.raises(ImageError, match="page 2 of"):
            document.grey(1)
        assert abs(bar_position(document.grey(2)) - 45 / 120) < 0.02


def empty_pdf(size: tuple[float, float], count: int = 1) -> bytes:
    """A PDF of empty pages. size: width and height in points."""
    import pypdfium2

    pdf, out = pypdfium2.PdfDocument.new(), io.BytesIO()
    for _ in range(count):
        pdf.new_page(*size)
    pdf.save(out)
    return out.getvalue()


def test_large_page_is_rendered_at_a_lower_resolution() -> None:
    assert load(empty_pdf((595, 842))).shape == (2339, 1653)  # A4 at 200 dpi
    assert 0.9 * PIXELS < load(empty_pdf((14_000, 14_000))).size < 1.1 * PIXELS


def test_page_without_extent_is_refused() -> None:
    with pytest.raises(ImageError, match="it cannot be rendered"):
        load(empty_pdf((0.001, 5000)))


def test_document_of_too_many_pages_is_refused() -> None:
    with pytest.raises(ImageError, match="split it"):
        Document(empty_pdf((10, 10), PAGE_LIMIT + 1))


def test_locked_document_is_refused() -> None:
    with pytest.raises(ImageError, match="locked with a password"):
        Document(CRAFTED["locked.pdf"]())


@pytest.mark.slow
def test_endless_rendering_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The renderer of deeply nested forms is killed by the time limit or by the memory limit."""
    monkeypatch.setattr("glyphline.imaging.pdf.SECONDS", 2)
    with Document(nested_forms_pdf(28, 2).replace(b"[3 0 R]/Count 1", b"[3 0 R 3 0 R]/Count 2")) as document:
        for number in (0, 1):  # later pages fail at once
            with pytest.raises(ImageError, match=r"s to render|crashes the PDF renderer"):
                document.grey(number)


def test_heic_is_read_if_pillow_heif_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    out = io.BytesIO()
    pillow_heif.from_pillow(draw_pages(1)[0].convert("RGB")).save(out, quality=90)
    assert abs(bar_position(load(out.getvalue())) - 15 / 120) < 0.03
    monkeypatch.setattr(documents, "find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match=r"glyphline\[photo\]"):
        load(out.getvalue())


# ---------------------------------------------------------------------- addresses


class RequestHandler(BaseHTTPRequestHandler):
    """Serves an image or, by path, a web page, a redirect, an error or a slow response."""

    def do_GET(self) -> None:
        content_type, body, location = "image/png", encode(Image.fromarray(NOISE)), ""
        if self.path == "/page":
            content_type, body = "text/html; charset=utf-8", b"<html>"
        elif self.path == "/cycle":
            location = "/cycle"
        elif self.path == "/moved":
            location = "/a.png"
        elif self.path == "/file":
            location = "file:///etc/hostname"
        elif self.path == "/silent":
            time.sleep(1.0)
        elif self.path == "/slow":
            body = bytes(40)
        self.send_response(404 if self.path == "/gone" else 302 if location else 200)
        self.send_header("Content-Type", content_type)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(body) + 99 * (self.path == "/half")))
        with suppress(OSError):  # the client may have closed the connection
            self.end_headers()
            for block in [body] if self.path != "/slow" else [body[i : i + 1] for i in range(len(body))]:
                self.wfile.write(block)
                self.wfile.flush()
                time.sleep(0.1 * (self.path == "/slow"))

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), RequestHandler) as http_server:
        threading.Thread(target=http_server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http_server.server_port}"
        http_server.shutdown()


def test_address_is_not_fetched_by_load() -> None:
    for address in ("https://example.org/a.png", "HTTP://example.org/a.png"):
        with pytest.raises(ImageError, match=r"save the image first, or read it with --allow-urls"):
            load(address)


@pytest.mark.parametrize("path", ["/a.png", "/moved"])
def test_image_is_fetched(server: str, path: str) -> None:
    assert np.array_equal(load(fetch(server + path)), load(NOISE))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/page", "is a web page"),
        ("/gone", "answers 404"),
        ("/cycle", "more than 5 times"),
        ("/file", "cannot be fetched"),
        ("/half", "cannot be fetched"),
        ("/silent", "sends nothing"),
        ("/slow", "takes longer"),
    ],
)
def test_failed_fetch_is_named(server: str, path: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "FETCH_SECONDS", 0.5)
    monkeypatch.setattr(documents, "FETCH_TOTAL", 0.5 if path == "/slow" else 60)
    with pytest.raises(ImageError, match=message) as error:
        fetch(server + path)
    assert server + path in str(error.value) and "\n" not in str(error.value)


def test_fetch_of_too_many_bytes_is_refused(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "BYTE_LIMIT", 100)
    with pytest.raises(ImageError, match="shrink it"):
        fetch(server + "/a.png")


@pytest.mark.parametrize(
    "address", ["ftp://a/b", "file:///etc/hostname", "a.png", "", "http://", "http://127.0.0.1:1/", "http://[/"]
)
def test_invalid_address_is_refused(address: str) -> None:
    with pytest.raises(ImageError, match=r"http://|check the address"):
        fetch(address)


# ---------------------------------------------------------------------- limits of time and memory


def test_pipes_and_devices_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    for name in ("pipe.png", "device.png"):
        with pytest.raises(ImageError, match=f"{name} is not a regular file"):
            load(tmp_path / name)


def test_unprintable_file_name_is_escaped(tmp_path: Path) -> None:
    for name in (os.fsdecode(b"\xff\xfe.png"), "two\nlines.png", "\x1b[31m.png"):
        with pytest.raises(ImageError) as error:
            load(tmp_path / name)
        assert str(error.value).isprintable()


def test_file_of_many_tiny_parts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "READ_LIMIT", 1000)
    with pytest.raises(ImageError, match="too many small parts"):
        load(build_png(9, 9, DUMMY_ROWS, png_chunk(b"abCd", b"") * 1000))


@pytest.mark.flaky(reruns=1)  # a limit in seconds: a busy machine may hold the process up
def test_endless_decoding_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "SECONDS", 0.2)
    start = time.monotonic()
    with pytest.raises(ImageError, match="takes longer"):
        load(jpeg_with_scans(20_000, 2000))
    assert time.monotonic() - start < 5


def test_counting_of_pages_ends_at_the_limit() -> None:
    assert len(Document(tiff_with_directories(PAGE_LIMIT))) == PAGE_LIMIT
    with pytest.raises(ImageError, match="split it"):
        Document(tiff_with_directories(200_000))


def test_broken_directory_does_not_affect_pages_before_it() -> None:
    with Document(tiff_with_broken_directory()) as document:
        assert len(document) == 2 and document.grey(0).size
        with pytest.raises(ImageError, match="page 2 of"):
            document.grey(1)


def test_tile_far_larger_than_its_image_is_refused() -> None:
    with pytest.raises(ImageError, match="tiles of 30000 x 30000"):
        load(build_tiff(16, 16, [(322, 30_000), (323, 30_000)], compress_repeated(10**6), 8))


def test_any_exception_becomes_an_image_error_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (MemoryError(), RecursionError(), struct.error("odd"), RuntimeError("a\nb")):

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(documents, "_to_array", fail)
        with pytest.raises(ImageError) as caught:
            load(encode(Image.fromarray(NOISE)))
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "CMYK", "F", "I;16"])
def test_pixels_do_not_depend_on_the_size_of_strips(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if mode == "I;16":
        image = Image.fromarray(load(NOISE).astype(np.uint16) * 257)
    else:
        image = Image.fromarray(NOISE).convert("RGB" if mode == "P" else mode if mode != "LA" else "L").convert(mode)
    grey, colour = load(image), Document(image).colour(0)
    assert image.width * image.height < STRIP
    for strip_size in (1, 70, 95):
        monkeypatch.setattr(documents, "STRIP", strip_size)
        assert np.array_equal(load(image), grey)
        assert np.array_equal(Document(image).colour(0), colour)


def test_page_beyond_the_cache_limit_can_be_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "CACHE_LIMIT", 10)
    first, *others = draw_pages(3)
    with Document(encode(first, "TIFF", save_all=True, append_images=others)) as document:
        for number in (1, 1, 0, 2, 0):
            assert abs(bar_position(document.grey(number)) - (15 + 15 * number) / 120) < 0.02


def test_colour_pixels_are_unchanged() -> None:
    assert np.array_equal(Document(encode(Image.fromarray(NOISE))).colour(0), NOISE)
    assert np.array_equal(Document(NOISE).colour(0), NOISE)


# ---------------------------------------------------------------------- paths


def test_folders_and_patterns_expand_to_sorted_files(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "notes.txt", "c.webp"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "empty").mkdir()
    images = [tmp_path / name for name in ("a.JPG", "b.png", "c.webp")]
    assert image_paths([tmp_path]) == images
    assert image_paths([tmp_path / "*.[pw]*"]) == images[1:]
    assert image_paths([tmp_path / "b.png", tmp_path / "gone.png"]) == [images[1], tmp_path / "gone.png"]
    with pytest.raises(ImageError, match="contains no images"):
        image_paths([tmp_path / "empty"])
    with pytest.raises(ImageError, match="no file matches"):
        image_paths([str(tmp_path / "*.bmp")])


def test_file_name_with_brackets_is_not_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "scan[1].png").write_bytes(encode(Image.fromarray(NOISE)))
    assert image_paths([tmp_path / "scan[1].png"]) == [tmp_path / "scan[1].png"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_suffix_can_be_read(suffix: str, tmp_path: Path) -> None:
    image = Image.fromarray(load(NOISE) if suffix == ".pgm" else NOISE)
    if suffix in (".heic", ".heif"):
        pytest.importorskip("pillow_heif").register_heif_opener()
    image.save(tmp_path / f"a{suffix}")
    height, width = load(tmp_path / f"a{suffix}").shape
    assert height * 30 == width * 20
