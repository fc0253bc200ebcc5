"""Damaged and hostile images for the tests. They are generated here from a seed; one file exists at a time."""

from __future__ import annotations

import gzip
import io
import os
import random
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

Bytes = npt.NDArray[np.uint8]
WORDS = ("Ab c", "hello", "one two", "31.12.", "Zebra", "it is")
EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def hostile_images(folder: Path, count: int = 2000, seed: int = 0, include_slow: bool = True) -> Iterator[Path]:
    """Yield the paths of at least `count` images. Each file is deleted when the next one is requested.

    The CRAFTED images come first (those in SLOW only with `include_slow`), then odd paths, the valid images, and
    corrupted ones. Some paths are not images, not files, or do not exist.
    """
    number = 0
    for name, make in CRAFTED.items():
        if include_slow or name not in SLOW:
            yield from temporary_file(folder, f"{number:04d}-{name}", make())
            number += 1
    for path in odd_paths(folder):
        yield path
        number += 1
    for name, data in valid_images().items():
        yield from temporary_file(folder, f"{number:04d}-{name}", data)
        number += 1
    kinds = list(CORRUPTIONS)
    while number < count:
        rng = random.Random(f"{seed} {number}")
        name, data = rng.choice(list(valid_images().items()))
        kind = kinds[number % len(kinds)]
        stem, _, suffix = name.rpartition(".")
        if kind == "misnamed":
            suffix = rng.choice(("png", "jpg", "tif", "pdf", "heic", "txt", "gif", "webp"))
        yield from temporary_file(folder, f"{number:04d}-{kind}-{stem}.{suffix}", CORRUPTIONS[kind](data, rng))
        number += 1


def temporary_file(folder: Path, name: str, data: bytes) -> Iterator[Path]:
    """Write a file, yield its path, and delete it when the next value is requested."""
    path = folder / name
    path.write_bytes(data)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


# ---------------------------------------------------------------------- valid images


def draw_text(text: str = "hello", width: int = 160, height: int = 64) -> Bytes:
    """Draw dark text on paper, (height, width, 3)."""
    page = np.full((height, width, 3), 235, np.uint8)
    cv2.putText(page, text, (6, height * 2 // 3), cv2.FONT_HERSHEY_SIMPLEX, height / 50, (40, 30, 20), 2, cv2.LINE_AA)
    return page


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Encode an image in a format of Pillow, with the options of `Image.save`."""
    out = io.BytesIO()
    if "append_images" in options:
        options["append_images"] = [page.copy() for page in options["append_images"]]
    image.copy().save(out, kind, **options)  # Pillow keeps a JPEG's options in the image it wrote
    return out.getvalue()


@cache
def valid_images() -> dict[str, bytes]:
    """A small valid image in every format that can be written here. Keys are file names."""
    rgb, *other_pages = (Image.fromarray(draw_text(word)) for word in WORDS)
    grey, pages = rgb.convert("L"), {"save_all": True, "append_images": other_pages[:2]}
    transparent = rgb.copy()
    transparent.putalpha(Image.fromarray(255 - np.asarray(grey)))
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    values = np.asarray(grey).astype(np.float32) / 255
    values[3:9, 5:20], values[20, :], values[30, ::2] = np.nan, np.inf, -np.inf
    floats, bits, palette = Image.fromarray(values), grey.convert("1"), rgb.quantize(16)
    images = {
        "rgb.png": encode(rgb, "PNG"),
        "bits.png": encode(bits, "PNG"),
        "grey.png": encode(grey, "PNG"),
        "deep.png": encode(deep, "PNG"),
        "palette.png": encode(palette, "PNG"),
        "palette-clear.png": encode(palette, "PNG", transparency=0),
        "la.png": encode(transparent.convert("LA"), "PNG"),
        "rgba.png": encode(transparent, "PNG"),
        "moving.png": encode(rgb, "PNG", **pages),
        "interlaced.png": encode_interlaced_png(np.asarray(grey)),
        "rgb.jpg": encode(rgb, "JPEG"),
        "grey.jpg": encode(grey, "JPEG"),
        "progressive.jpg": encode(rgb, "JPEG", progressive=True),
        "cmyk.jpg": encode(rgb.convert("CMYK"), "JPEG"),
        "several.jpg": encode(rgb, "MPO", **pages),
        "lossy.webp": encode(rgb, "WEBP"),
        "lossless.webp": encode(transparent, "WEBP", lossless=True),
        "moving.webp": encode(rgb, "WEBP", **pages),
        "rgb.bmp": encode(rgb, "BMP"),
        "bits.bmp": encode(bits, "BMP"),
        "palette.bmp": encode(palette, "BMP"),
        "still.gif": encode(palette, "GIF"),
        "endless.gif": encode(palette, "GIF", loop=0, **pages),
        "rgb.ppm": encode(rgb, "PPM"),
        "grey.pgm": encode(grey, "PPM"),
        "bits.pbm.ppm": encode(bits, "PPM"),
        "plain.ppm": b"P3 160 64 255\n" + b" ".join(b"%d" % v for v in draw_text().ravel().tolist()),
        "rgb.jp2": encode(rgb, "JPEG2000"),
        "clear.jp2": encode(transparent, "JPEG2000", irreversible=True, quality_layers=[8]),
        "pages.tif": encode(rgb, "TIFF", **pages),
        "deep.tif": encode(deep, "TIFF"),
        "real.tif": encode(floats, "TIFF"),
        "cmyk.tif": encode(rgb.convert("CMYK"), "TIFF"),
        "clear.tif": encode(transparent, "TIFF", compression="tiff_lzw"),
        "fax.tif": encode(bits, "TIFF", compression="group4"),
        "big.tif": encode(grey, "TIFF", big_tiff=True),
        "tiles.tif": build_tiff(160, 64, [(322, 160), (323, 64)], np.asarray(grey).tobytes()),
        "pages.pdf": encode(rgb, "PDF", **pages),
        "forms.pdf": nested_forms_pdf(3, 3),
    }
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "zstd", "lzma", "webp"):
        with suppress(OSError):  # not every libtiff supports all of them
            images[f"{compression}.tif"] = encode(rgb, "TIFF", compression=compression)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        images[f"turned{orientation}.jpg"] = encode(rgb, "JPEG", exif=exif)
    if "AVIF" in Image.SAVE:
        images |= {"rgb.avif": encode(rgb, "AVIF", speed=10), "clear.avif": encode(transparent, "AVIF", speed=10)}
    try:
        import pillow_heif
    except ImportError:
        return images
    heif = io.BytesIO()
    pillow_heif.from_pillow(rgb).save(heif, quality=60)
    return images | {"rgb.heic": heif.getvalue()}


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG with its length and checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def build_png(
    width: int, height: int, rows: bytes, *extra: bytes, bits: int = 8, colour: int = 0, interlace: int = 0
) -> bytes:
    """A PNG with a correct header and correct checksums. rows: zlib-compressed. extra: chunks before the rows."""
    head = png_chunk(b"IHDR", struct.pack(">2I5B", width, height, bits, colour, 0, 0, interlace))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")


def encode_interlaced_png(grey: Bytes) -> bytes:
    """A PNG interlaced in seven passes (PNG specification, 8.2), which Pillow cannot write."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    rows = b"".join(b"\0" + row.tobytes() for y, x, dy, dx in passes for row in grey[y::dy, x::dx])
    return build_png(grey.shape[1], grey.shape[0], zlib.compress(rows), interlace=1)


def compress_repeated(count: int, unit: bytes = bytes(2**20)) -> bytes:
    """Compress `count` bytes of a repeated unit, by default zeros, without holding all of them in memory."""
    compressor = zlib.compressobj(1)
    blocks = [compressor.compress(unit) for _ in range(count // len(unit))]
    return b"".join(blocks) + compressor.compress(unit[: count % len(unit)]) + compressor.flush()


def build_tiff(width: int, height: int, tags: list[tuple[int, int]], data: bytes, compression: int = 1) -> bytes:
    """A grey TIFF with one strip of data, or one tile if the tags give a tile width. tags: (tag, value)."""
    tiled = any(tag == 322 for tag, _ in tags)
    offset_tag, size_tag = (324, 325) if tiled else (273, 279)
    all_tags = dict([(256, width), (257, height), (258, 8), (259, compression), (262, 1), (277, 1)])
    all_tags |= (
        dict(tags) | ({} if tiled else {278: dict(tags).get(278, height)}) | {offset_tag: 0, size_tag: len(data)}
    )
    all_tags[offset_tag] = 8 + 2 + 12 * len(all_tags) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(all_tags.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(all_tags)) + entries + bytes(4) + data


def build_pdf(objects: list[bytes], trailer: bytes = b"") -> bytes:
    """A PDF of objects, numbered from 1. The first is the catalogue."""
    out, offsets = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    end = b"trailer <</Size %d /Root 1 0 R %b>>\nstartxref\n%d\n%%%%EOF"
    return out + head + table + end % (len(objects) + 1, trailer, len(out))


def pdf_stream(entries: bytes, body: bytes) -> bytes:
    """A stream object. entries: further entries of its dictionary."""
    return b"<<%b/Length %d>>\nstream\n%b\nendstream" % (entries, len(body), body)


CATALOGUE = b"<</Type/Catalog/Pages 2 0 R>>"
PAGE_TREE = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"


def single_page_pdf(
    content: bytes, box: bytes = b"0 0 90 60", resources: bytes = b"", extra: tuple[bytes, ...] = ()
) -> bytes:
    """A PDF of one page. `content` is object 4, the objects `extra` count from 5."""
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[%b]/Contents 4 0 R/Resources<<%b>>>>" % (box, resources)
    return build_pdf([CATALOGUE, PAGE_TREE, page, content, *extra])


def nested_forms_pdf(depth: int, repeats: int) -> bytes:
    """A PDF of forms that each draw the next one `repeats` times: a few bytes draw repeats ** depth rectangles."""
    form = b"/Type/XObject/Subtype/Form/BBox[0 0 99 99]/Resources<</XObject<</X %d 0 R>>>>"
    forms = [pdf_stream(form % number, b"/X Do " * repeats) for number in range(6, 6 + depth)]
    forms.append(pdf_stream(b"/Type/XObject/Subtype/Form/BBox[0 0 99 99]", b"9 9 30 20 re f"))
    return single_page_pdf(pdf_stream(b"", b"/X Do"), resources=b"/XObject<</X 5 0 R>>", extra=tuple(forms))


# ---------------------------------------------------------------------- crafted hostile images


def jpeg_with_scans(count: int, side: int) -> bytes:
    """A progressive JPEG of `count` scans. Each is a pass over the whole image that changes nothing."""
    blocks = (-(-side // 8)) ** 2
    head = b"\xff\xd8\xff\xdb\0\x43\0" + b"\1" * 64
    head += b"\xff\xc2" + struct.pack(">HBHHB3B", 11, 8, side, side, 1, 1, 0x11, 0)
    head += b"\xff\xc4" + struct.pack(">HB", 20, 0x00) + b"\1" + bytes(15) + b"\0"  # DC: one code of one bit, no change
    head += b"\xff\xc4" + struct.pack(">HB", 20, 0x10) + b"\1" + bytes(15) + b"\xe0"  # AC: ends >= 2 ** 14 blocks
    first = b"\xff\xda" + struct.pack(">H3B3B", 8, 1, 1, 0x00, 0, 0, 0x01) + bytes(-(-blocks // 8))
    runs, remaining = "", blocks
    while remaining > 0:  # the code, then 14 bits that are added to 2 ** 14
        run = min(remaining, 2**15 - 1)
        runs += "0" + format(max(0, run - 2**14), "014b")
        remaining -= max(run, 2**14)
    bits = runs + "1" * (-len(runs) % 8)
    body = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)).replace(b"\xff", b"\xff\0")
    scan = b"\xff\xda" + struct.pack(">H3B3B", 8, 1, 1, 0x00, 1, 63, 0x01) + body
    return head + first + scan * count + b"\xff\xd9"


def tiff_with_directories(count: int) -> bytes:
    """A TIFF with `count` directories of the same page."""
    data = valid_images()["deep.tif"]
    first, start = struct.unpack_from("<I", data, 4)[0], len(data) + len(data) % 2
    end = first + 2 + 12 * struct.unpack_from("<H", data, first)[0] + 4
    pages = np.tile(np.frombuffer(data[first:end], np.uint8), (count, 1))
    next_offsets = np.arange(1, count + 1) * (end - first) + start
    next_offsets[-1] = 0
    pages[:, -4:] = next_offsets.astype("<u4").view(np.uint8).reshape(-1, 4)
    return data[:4] + struct.pack("<I", start) + data[8:].ljust(start - 8, b"\0") + pages.tobytes()


def tiff_with_broken_directory() -> bytes:
    """A TIFF whose second directory is empty."""
    data = bytearray(valid_images()["deep.tif"])
    offset = struct.unpack_from("<I", data, 4)[0]
    struct.pack_into("<I", data, offset + 2 + 12 * struct.unpack_from("<H", data, offset)[0], len(data) + len(data) % 2)
    return bytes(data) + bytes(len(data) % 2 + 6)


def nested_pages_pdf(depth: int) -> bytes:
    """A PDF whose only page lies below `depth` nested page trees."""
    tree = [b"<</Type/Pages/Kids[%d 0 R]/Count 1>>" % (number + 1) for number in range(2, 2 + depth)]
    return build_pdf([CATALOGUE, *tree, b"<</Type/Page/Parent %d 0 R/MediaBox[0 0 90 60]>>" % (1 + depth)])


def gif_with_frames(count: int) -> bytes:
    """A GIF that loops forever, with `count` repetitions of its frames and no trailer."""
    data = valid_images()["endless.gif"]
    start = data.index(b"!\xf9")
    return data[:start] + data[start:-1] * count


def random_pixels(width: int, height: int) -> Bytes:
    return np.random.default_rng(0).integers(0, 256, (height, width), np.uint8)


def crowded_page() -> bytes:
    """A PNG of a page with about 3,000 words of one letter."""
    page = np.full((1280, 1280), 255, np.uint8)
    for y in range(10, 1280, 20):
        for x in range(4, 1280, 26):
            cv2.putText(page, "a", (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 0, 1)
    return encode_grey_png(page)


def encode_grey_png(grey: Bytes) -> bytes:
    return encode(Image.fromarray(grey), "PNG")


def overwrite_header(name: str, offset: int, fmt: str, *values: int) -> Callable[[], bytes]:
    """Return a function that makes a valid image with overwritten numbers in its header."""

    def make() -> bytes:
        data = bytearray(valid_images()[name])
        struct.pack_into(fmt, data, offset, *values)
        return bytes(data)

    return make


def overwrite_tiff_tag(tag: int, value: int, name: str = "tiff_adobe_deflate.tif") -> Callable[[], bytes]:
    """Return a function that makes a valid TIFF with one overwritten tag."""

    def make() -> bytes:
        data = bytearray(valid_images()[name])
        start = struct.unpack_from("<I", data, 4)[0]
        for offset in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
            if struct.unpack_from("<H", data, offset)[0] == tag:
                struct.pack_into("<HII", data, offset + 2, 4, 1, value)
        return bytes(data)

    return make


def overwrite_jpeg_size(width: int, height: int, name: str = "rgb.jpg") -> Callable[[], bytes]:
    """Return a function that makes a valid JPEG with another size in its header."""

    def make() -> bytes:
        data = bytearray(valid_images()[name])
        struct.pack_into(">HH", data, max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2")) + 5, height, width)
        return bytes(data)

    return make


def zip_archive() -> bytes:
    """A ZIP archive of one PNG."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.png", valid_images()["rgb.png"])
    return out.getvalue()


ENCRYPTION = b"/ID[<00><00>] /Encrypt <</Filter/Standard/V 1/R 2/O<%b>/U<%b>/P -4>>" % (b"5a" * 32, b"a5" * 32)
DUMMY_ROWS = zlib.compress(bytes(99))
#: file name -> function that makes the image
CRAFTED: dict[str, Callable[[], bytes]] = {
    # not images
    "nothing.png": lambda: b"",
    "one-byte.png": lambda: b"\x89",
    "zeros.png": lambda: bytes(5000),
    "random.jpg": lambda: random.Random(1).randbytes(5000),
    "text.png": lambda: "Grüße\n".encode() * 50,
    "script.svg.png": lambda: b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><text>a</text></svg>',
    "page.html.jpg": lambda: b"<!doctype html><html><body>404</body></html>",
    "zip.png": zip_archive,
    "gzip.png": lambda: gzip.compress(valid_images()["rgb.png"]),
    "film.heic": lambda: b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(500),
    "heic-head.heic": lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500),
    "avif-head.avif": lambda: b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + bytes(500),
    "postscript.png": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\nshowpage\n",
    "only-magic.png": lambda: b"\x89PNG\r\n\x1a\n",
    "only-magic.tif": lambda: b"II*\0",
    "only-magic.jpg": lambda: b"\xff\xd8\xff",
    "only-magic.webp": lambda: b"RIFF\xff\xff\xff\xffWEBPVP8 ",
    # sizes
    "1x1.png": lambda: encode_grey_png(random_pixels(1, 1)),
    "1x30000.png": lambda: encode_grey_png(random_pixels(1, 30000)),
    "30000x1.png": lambda: encode_grey_png(random_pixels(30000, 1)),
    "2x16000.webp": lambda: encode(Image.fromarray(random_pixels(2, 16000)), "WEBP", lossless=True),
    "16000x2.jpg": lambda: encode(Image.fromarray(random_pixels(16000, 2)), "JPEG"),
    "70x9000.png": lambda: encode_grey_png(cv2.resize(draw_text()[..., 0], (70, 9000))),
    "37000x125.png": lambda: encode_grey_png(cv2.resize(draw_text()[..., 0], (37000, 125))),
    "3x3.gif": lambda: encode(Image.fromarray(random_pixels(3, 3)), "GIF"),
    "white.png": lambda: encode_grey_png(np.full((300, 400), 255, np.uint8)),
    "black.png": lambda: encode_grey_png(np.zeros((300, 400), np.uint8)),
    "noise.png": lambda: encode_grey_png(random_pixels(400, 300)),
    "chequered.png": lambda: encode_grey_png((np.indices((400, 300)).sum(0) // 7 % 2 * 255).astype(np.uint8)),
    "clear.png": lambda: encode(Image.new("RGBA", (200, 90)), "PNG"),
    # bombs
    "30000x30000.png": lambda: build_png(30000, 30000, compress_repeated(30000 * 3751), bits=1),
    "7700x7700.png": lambda: build_png(7700, 7700, compress_repeated(7700 * 963), bits=1),
    "30000x30000-8-bits.png": lambda: build_png(30000, 30000, compress_repeated(30000 * 30001)),
    "0x5.png": lambda: build_png(0, 5, DUMMY_ROWS),
    "5x0.png": lambda: build_png(5, 0, DUMMY_ROWS),
    "max-size.png": lambda: build_png(2**31 - 1, 2**31 - 1, DUMMY_ROWS),
    "max-width.png": lambda: build_png(2**31 - 1, 1, DUMMY_ROWS),
    "beyond-max-size.png": lambda: build_png(2**32 - 1, 2**32 - 1, DUMMY_ROWS),
    "60-megapixels-missing.png": lambda: build_png(7700, 7700, DUMMY_ROWS, colour=6),
    "more-than-declared.png": lambda: build_png(9, 9, compress_repeated(2**28)),
    "text-bomb.png": lambda: build_png(9, 9, DUMMY_ROWS, png_chunk(b"zTXt", b"a\0\0" + compress_repeated(2**28))),
    "international-text-bomb.png": lambda: build_png(
        9, 9, DUMMY_ROWS, png_chunk(b"iTXt", b"a\0\1\0\0\0" + compress_repeated(2**28))
    ),
    "many-texts.png": lambda: build_png(
        9, 9, DUMMY_ROWS, *[png_chunk(b"zTXt", b"a\0\0" + compress_repeated(2**20 - 9))] * 900
    ),
    "profile-bomb.png": lambda: build_png(9, 9, DUMMY_ROWS, png_chunk(b"iCCP", b"a\0\0" + compress_repeated(2**28))),
    "many-chunks.png": lambda: build_png(9, 9, DUMMY_ROWS, png_chunk(b"abCd", b"") * 300_000),
    "endless-chunks.png": lambda: build_png(9, 9, DUMMY_ROWS, png_chunk(b"abCd", b"") * 16_000_000),
    "bomb.tif": lambda: build_tiff(7000, 7000, [], compress_repeated(7000 * 7000), 8),
    "small-with-a-huge-tile.tif": lambda: build_tiff(
        16, 16, [(322, 30000), (323, 30000)], compress_repeated(30000 * 30000), 8
    ),
    "small-with-a-large-tile.tif": lambda: build_tiff(
        16, 16, [(322, 14000), (323, 14000)], compress_repeated(14000 * 14000), 8
    ),
    "small-with-a-huge-strip.tif": lambda: build_tiff(16, 16, [(278, 2**31 - 1)], compress_repeated(2**28), 8),
    "many-pages.tif": lambda: tiff_with_directories(300_000),
    "endless-pages.tif": lambda: tiff_with_directories(1_500_000),
    "broken-page.tif": tiff_with_broken_directory,
    "page-of-itself.tif": lambda: valid_images()["tiles.tif"][:8] + b"\0\0" + struct.pack("<I", 8),
    "many-scans.jpg": lambda: jpeg_with_scans(500, 500),
    "endless-scans.jpg": lambda: jpeg_with_scans(100_000, 7700),
    "several-scans.jpg": lambda: jpeg_with_scans(60, 7700),
    "many-frames.gif": lambda: gif_with_frames(3000),
    "plain-endless.ppm": lambda: b"P2 7700 7700 255\n" + b"1 " * 50_000_000,
    "plain-missing.ppm": lambda: b"P3 7700 7700 255\n" + b"1 " * 999,
    "one-long-number.ppm": lambda: b"P3 99 99 255\n" + b"1" * 3_000_000,
    "head-without-end.ppm": lambda: b"P6 #" + b"a" * 3_000_000,
    # headers with false sizes
    "wide.jpg": overwrite_jpeg_size(65535, 65535),
    "wide-progressive.jpg": overwrite_jpeg_size(65535, 900, "progressive.jpg"),
    "large-progressive.jpg": overwrite_jpeg_size(7700, 7700, "progressive.jpg"),
    "none.jpg": overwrite_jpeg_size(0, 0),
    "wide.gif": overwrite_header("still.gif", 6, "<HH", 65535, 65535),
    "large.gif": overwrite_header("still.gif", 6, "<HH", 7700, 7700),
    "none.gif": overwrite_header("still.gif", 6, "<HH", 0, 0),
    "wide.bmp": overwrite_header("rgb.bmp", 18, "<ii", 2**31 - 1, 2**31 - 1),
    "negative.bmp": overwrite_header("rgb.bmp", 18, "<ii", -5, -(2**31)),
    "upside-down.bmp": overwrite_header("rgb.bmp", 22, "<i", -64),
    "odd-bits.bmp": overwrite_header("rgb.bmp", 28, "<H", 77),
    "runs.bmp": overwrite_header("palette.bmp", 30, "<I", 1),
    "wide.webp": overwrite_header("moving.webp", 24, "<HBHB", 0xFFFF, 0xFF, 0xFFFF, 0xFF),
    "wide.jp2": lambda: valid_images()["rgb.jp2"].replace(
        struct.pack(">II", 64, 160), struct.pack(">II", 2**31 - 1, 9)
    ),
    "wide-siz.jp2": lambda: valid_images()["rgb.jp2"].replace(
        struct.pack(">II", 160, 64), struct.pack(">II", 7700, 6000)
    ),
    "tiny-tiles.jp2": lambda: valid_images()["rgb.jp2"].replace(
        struct.pack(">6I", 160, 64, 0, 0, 160, 64), struct.pack(">6I", 6000, 6000, 0, 0, 1, 1)
    ),
    **{
        f"tag-{tag}-{value:x}.tif": overwrite_tiff_tag(tag, value)
        for tag in (256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 339)
        for value in (0, 2**16 - 1, 2**32 - 1)
    },
    "wide.heic": lambda: valid_images().get("rgb.heic", b"").replace(b"ispe\0\0\0\0", b"ispe\0\0\0\0\x7f\xff"),
    "wide.avif": lambda: valid_images().get("rgb.avif", b"").replace(b"ispe\0\0\0\0", b"ispe\0\0\0\0\x7f\xff"),
    # PDF
    "locked.pdf": lambda: build_pdf([CATALOGUE, b"<</Type/Pages/Kids[]/Count 0>>"], ENCRYPTION),
    "no-pages.pdf": lambda: build_pdf([CATALOGUE, b"<</Type/Pages/Kids[]/Count 0>>"]),
    "pages-that-lie.pdf": lambda: build_pdf([CATALOGUE, b"<</Type/Pages/Kids[]/Count 2000000000>>"]),
    "negative-pages.pdf": lambda: build_pdf([CATALOGUE, b"<</Type/Pages/Kids[]/Count -7>>"]),
    "its-own-parent.pdf": lambda: build_pdf([CATALOGUE, b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 9>>"]),
    "no-table.pdf": lambda: single_page_pdf(pdf_stream(b"", b"9 9 30 20 re f")).partition(b"xref")[0],
    "only-head.pdf": lambda: b"%PDF-1.7\n",
    "nested-pages.pdf": lambda: nested_pages_pdf(500),
    "deeply-nested-pages.pdf": lambda: nested_pages_pdf(60_000),
    "nested-arrays.pdf": lambda: build_pdf([CATALOGUE, PAGE_TREE, b"[" * 300_000 + b"]" * 300_000]),
    "nested-states.pdf": lambda: single_page_pdf(pdf_stream(b"", b"q " * 300_000 + b"9 9 30 20 re f")),
    "no-box.pdf": lambda: single_page_pdf(pdf_stream(b"", b"9 9 30 20 re f"), b""),
    "empty-box.pdf": lambda: single_page_pdf(pdf_stream(b"", b""), b"0 0 0 0"),
    "negative-box.pdf": lambda: single_page_pdf(pdf_stream(b"", b"9 9 30 20 re f"), b"90 60 0 0"),
    "huge-box.pdf": lambda: single_page_pdf(pdf_stream(b"", b"9 9 30 20 re f"), b"0 0 1e9 1e9"),
    "beyond-box.pdf": lambda: single_page_pdf(pdf_stream(b"", b""), b"-1e38 -1e38 1e38 1e38"),
    "long-box.pdf": lambda: single_page_pdf(pdf_stream(b"", b"9 9 30 20 re f"), b"0 0 14000 1"),
    "itself.pdf": lambda: single_page_pdf(
        pdf_stream(b"", b"/X Do"),
        resources=b"/XObject<</X 5 0 R>>",
        extra=(pdf_stream(b"/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 5 0 R>>>>", b"/X Do /X Do"),),
    ),
    "laughs.pdf": lambda: nested_forms_pdf(4, 9),
    "endless-laughs.pdf": lambda: nested_forms_pdf(12, 9),
    "long-laughs.pdf": lambda: nested_forms_pdf(28, 2),
    "stream-bomb.pdf": lambda: single_page_pdf(pdf_stream(b"/Filter/FlateDecode", compress_repeated(2**30))),
    "path-bomb.pdf": lambda: single_page_pdf(
        pdf_stream(b"/Filter/FlateDecode", compress_repeated(2**28, b"1 1 m 9 9 l S\n" * 4096))
    ),
    "text-bomb.pdf": lambda: single_page_pdf(
        pdf_stream(b"/Filter/FlateDecode", compress_repeated(2**24, b"BT (aaaa) Tj ET\n" * 4096))
    ),
    "image-bomb.pdf": lambda: single_page_pdf(
        pdf_stream(b"", b"90 0 0 60 0 0 cm /X Do"),
        resources=b"/XObject<</X 5 0 R>>",
        extra=(
            pdf_stream(
                b"/Subtype/Image/Width 20000/Height 20000/BitsPerComponent 8/ColorSpace/DeviceRGB/Filter/FlateDecode",
                compress_repeated(20000 * 20000 * 3),
            ),
        ),
    ),
    "many-pages.pdf": lambda: build_pdf(
        [CATALOGUE, b"<</Type/Pages/Kids[%b]/Count 5000>>" % (b"3 0 R " * 5000), PAGE_TREE]
    ),
}
#: the names in CRAFTED that take seconds to write or to refuse
SLOW = {
    "30000x30000.png", "30000x30000-8-bits.png", "7700x7700.png", "more-than-declared.png", "text-bomb.png",
    "international-text-bomb.png", "many-texts.png", "profile-bomb.png", "many-chunks.png", "endless-chunks.png",
    "bomb.tif", "small-with-a-huge-tile.tif", "small-with-a-large-tile.tif", "small-with-a-huge-strip.tif",
    "many-pages.tif", "endless-pages.tif", "many-scans.jpg", "endless-scans.jpg", "several-scans.jpg",
    "many-frames.gif", "plain-endless.ppm", "60-megapixels-missing.png", "large-progressive.jpg", "large.gif",
    "deeply-nested-pages.pdf", "nested-states.pdf", "endless-laughs.pdf", "long-laughs.pdf", "stream-bomb.pdf",
    "path-bomb.pdf", "text-bomb.pdf", "image-bomb.pdf", "laughs.pdf", "huge-box.pdf", "noise.png", "chequered.png",
    "37000x125.png", "70x9000.png", "wide-siz.jp2", "tiny-tiles.jp2", "one-long-number.ppm", "head-without-end.ppm",
}  # fmt: skip


# ---------------------------------------------------------------------- file names and paths


def odd_paths(folder: Path) -> Iterator[Path]:
    """Yield paths of valid images with odd names, and of things that are not files."""
    data = valid_images()["rgb.png"]
    odd_names = (
        os.fsdecode(b"\xff\xfe\x80.png"), "a b\tc.png", "two\nlines.png", "-rf.png", "it's \"quoted\".png",
        "`id`$(id).png", "\u202egnp.exe.png", "\x1b[31mred.png", "x" * 251 + ".png", "{0}%s%n.png",
        "no-suffix", ".png", "UPPER.PNG",
    )  # fmt: skip
    for name in odd_names:
        try:
            yield from temporary_file(folder, name, data)
        except OSError:  # not every file system allows every name
            continue
    yield folder / "gone.png"
    yield folder / ("y" * 5000 + ".png")
    odd_folder = folder / "odd"
    odd_folder.mkdir()
    try:
        (odd_folder / "folder.png").mkdir()
        (odd_folder / "dangling.png").symlink_to("nowhere.png")
        (odd_folder / "loop.png").symlink_to("loop.png")
        (odd_folder / "device.png").symlink_to("/dev/zero")
        (odd_folder / "input.png").symlink_to("/dev/stdin")
        (odd_folder / "linked.png").symlink_to("target.jpg")
        (odd_folder / "target.jpg").write_bytes(data)
        os.mkfifo(odd_folder / "pipe.png")
        (odd_folder / "unreadable.png").write_bytes(data)
        (odd_folder / "unreadable.png").chmod(0)  # root can read it nevertheless
        yield from sorted(odd_folder.iterdir())
        yield odd_folder / "target.jpg" / "below-a-file.png"
    finally:
        shutil.rmtree(odd_folder)


# ---------------------------------------------------------------------- corruptions


def _truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def _flip_bits(data: bytes, rng: random.Random) -> bytes:
    corrupted = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20, len(data) // 50))):
        corrupted[rng.randrange(len(corrupted))] ^= 1 << rng.randrange(8)
    return bytes(corrupted)


def _overwrite(data: bytes, rng: random.Random) -> bytes:
    offset, size = rng.randrange(len(data)), rng.choice((1, 4, 40, 400))
    return data[:offset] + bytes([rng.choice((0, 255))]) * len(data[offset : offset + size]) + data[offset + size :]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    offset, size = rng.randrange(len(data)), rng.choice((1, 8, 100))
    return data[:offset] + data[offset : offset + size] * rng.choice((2, 9, 200)) + data[offset + size :]


def _delete(data: bytes, rng: random.Random) -> bytes:
    offset = rng.randrange(len(data))
    return data[:offset] + data[offset + rng.choice((1, 4, 60)) :]


def _set_extreme_numbers(data: bytes, rng: random.Random) -> bytes:
    """Overwrite numbers in the header, or anywhere, with values of EXTREMES."""
    corrupted = bytearray(data)
    for _ in range(rng.choice((1, 1, 3))):
        fmt = rng.choice(("B", "<H", ">H", "<I", ">I"))
        offset = rng.randrange(rng.choice((40, 200, len(corrupted))))
        if offset + struct.calcsize(fmt) <= len(corrupted):
            struct.pack_into(fmt, corrupted, offset, rng.choice(EXTREMES) % 256 ** struct.calcsize(fmt))
    return bytes(corrupted)


def _corrupt_behind_checksums(data: bytes, rng: random.Random) -> bytes:
    """Corrupt the data, and correct the checksums of a PNG, so that the corruption reaches the decoder."""
    corrupted = bytearray(_flip_bits(data, rng) if rng.random() < 0.5 else _set_extreme_numbers(data, rng))
    if not data.startswith(b"\x89PNG"):
        return bytes(corrupted)
    corrupted[:8], offset = data[:8], 8
    while offset + 12 <= len(corrupted):
        size = struct.unpack_from(">I", corrupted, offset)[0]
        if offset + 12 + size > len(corrupted):
            break
        struct.pack_into(
            ">I", corrupted, offset + 8 + size, zlib.crc32(bytes(corrupted[offset + 4 : offset + 8 + size]))
        )
        offset += 12 + size
    return bytes(corrupted)


def _concatenate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.choice((len(data), len(data) // 2))] + rng.choice(list(valid_images().values()))


#: name -> function that corrupts the bytes of a file
CORRUPTIONS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "cut": _truncate,
    "flipped": _flip_bits,
    "zeroed": _overwrite,
    "repeated": _repeat,
    "missing": _delete,
    "extreme": _set_extreme_numbers,
    "summed": _corrupt_behind_checksums,
    "joined": _concatenate,
    "misnamed": lambda data, rng: data,
}
