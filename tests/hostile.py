"""Damaged and hostile images for the tests: seeded, drawn here, one on the disk at a time."""

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


def hostile(folder: Path, count: int = 2000, seed: int = 0, slow: bool = True) -> Iterator[Path]:
    """Paths of `count` images, each gone when the next is asked for.

    The singular ones come first (without those that take seconds unless `slow`), then sound ones and damaged ones. Some
    are no images, no files, or not there.
    """
    number = 0
    for name, make in SINGULAR.items():
        if slow or name not in SLOW:
            yield from for_a_while(folder, f"{number:04d}-{name}", make())
            number += 1
    for odd in odd_places(folder):
        yield odd
        number += 1
    for name, data in sound().items():
        yield from for_a_while(folder, f"{number:04d}-{name}", data)
        number += 1
    kinds = list(DAMAGES)
    while number < count:
        rng = random.Random(f"{seed} {number}")
        name, data = rng.choice(list(sound().items()))
        kind = kinds[number % len(kinds)]
        stem, _, suffix = name.rpartition(".")
        if kind == "misnamed":
            suffix = rng.choice(("png", "jpg", "tif", "pdf", "heic", "txt", "gif", "webp"))
        yield from for_a_while(folder, f"{number:04d}-{kind}-{stem}.{suffix}", DAMAGES[kind](data, rng))
        number += 1


def for_a_while(folder: Path, name: str, data: bytes) -> Iterator[Path]:
    path = folder / name
    path.write_bytes(data)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


# ---------------------------------------------------------------------- sound images


def drawn(text: str = "hello", wide: int = 160, tall: int = 64) -> Bytes:
    """Dark text on paper: (tall, wide, 3)."""
    page = np.full((tall, wide, 3), 235, np.uint8)
    cv2.putText(page, text, (6, tall * 2 // 3), cv2.FONT_HERSHEY_SIMPLEX, tall / 50, (40, 30, 20), 2, cv2.LINE_AA)
    return page


def packed(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    if "append_images" in options:
        options["append_images"] = [one.copy() for one in options["append_images"]]
    image.copy().save(out, kind, **options)  # Pillow keeps a JPEG's options in the image it wrote
    return out.getvalue()


@cache
def sound() -> dict[str, bytes]:
    """A small image in every way that can be written here, by file name."""
    rgb, *others = (Image.fromarray(drawn(word)) for word in WORDS)
    grey, more = rgb.convert("L"), {"save_all": True, "append_images": others[:2]}
    clear = rgb.copy()
    clear.putalpha(Image.fromarray(255 - np.asarray(grey)))
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    numbers = np.asarray(grey).astype(np.float32) / 255
    numbers[3:9, 5:20], numbers[20, :], numbers[30, ::2] = np.nan, np.inf, -np.inf
    real, bits, few = Image.fromarray(numbers), grey.convert("1"), rgb.quantize(16)
    out = {
        "rgb.png": packed(rgb, "PNG"),
        "bits.png": packed(bits, "PNG"),
        "grey.png": packed(grey, "PNG"),
        "deep.png": packed(deep, "PNG"),
        "palette.png": packed(few, "PNG"),
        "palette-clear.png": packed(few, "PNG", transparency=0),
        "la.png": packed(clear.convert("LA"), "PNG"),
        "rgba.png": packed(clear, "PNG"),
        "moving.png": packed(rgb, "PNG", **more),
        "interlaced.png": interlaced(np.asarray(grey)),
        "rgb.jpg": packed(rgb, "JPEG"),
        "grey.jpg": packed(grey, "JPEG"),
        "progressive.jpg": packed(rgb, "JPEG", progressive=True),
        "cmyk.jpg": packed(rgb.convert("CMYK"), "JPEG"),
        "several.jpg": packed(rgb, "MPO", **more),
        "lossy.webp": packed(rgb, "WEBP"),
        "lossless.webp": packed(clear, "WEBP", lossless=True),
        "moving.webp": packed(rgb, "WEBP", **more),
        "rgb.bmp": packed(rgb, "BMP"),
        "bits.bmp": packed(bits, "BMP"),
        "palette.bmp": packed(few, "BMP"),
        "still.gif": packed(few, "GIF"),
        "endless.gif": packed(few, "GIF", loop=0, **more),
        "rgb.ppm": packed(rgb, "PPM"),
        "grey.pgm": packed(grey, "PPM"),
        "bits.pbm.ppm": packed(bits, "PPM"),
        "plain.ppm": b"P3 160 64 255\n" + b" ".join(b"%d" % v for v in drawn().ravel().tolist()),
        "rgb.jp2": packed(rgb, "JPEG2000"),
        "clear.jp2": packed(clear, "JPEG2000", irreversible=True, quality_layers=[8]),
        "pages.tif": packed(rgb, "TIFF", **more),
        "deep.tif": packed(deep, "TIFF"),
        "real.tif": packed(real, "TIFF"),
        "cmyk.tif": packed(rgb.convert("CMYK"), "TIFF"),
        "clear.tif": packed(clear, "TIFF", compression="tiff_lzw"),
        "fax.tif": packed(bits, "TIFF", compression="group4"),
        "big.tif": packed(grey, "TIFF", big_tiff=True),
        "tiles.tif": tiff(160, 64, [(322, 160), (323, 64)], np.asarray(grey).tobytes()),
        "pages.pdf": packed(rgb, "PDF", **more),
        "forms.pdf": laughing(3, 3),
    }
    for how in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "zstd", "lzma", "webp"):
        with suppress(OSError):  # not every libtiff has every one
            out[f"{how}.tif"] = packed(rgb, "TIFF", compression=how)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        out[f"turned{orientation}.jpg"] = packed(rgb, "JPEG", exif=exif)
    if "AVIF" in Image.SAVE:
        out |= {"rgb.avif": packed(rgb, "AVIF", speed=10), "clear.avif": packed(clear, "AVIF", speed=10)}
    try:
        import pillow_heif
    except ImportError:
        return out
    heif = io.BytesIO()
    pillow_heif.from_pillow(rgb).save(heif, quality=60)
    return out | {"rgb.heic": heif.getvalue()}


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(wide: int, tall: int, rows: bytes, *extra: bytes, bits: int = 8, colour: int = 0, lace: int = 0) -> bytes:
    """A PNG with a right header and right sums, whatever is in it; rows: compressed already."""
    head = chunk(b"IHDR", struct.pack(">2I5B", wide, tall, bits, colour, 0, 0, lace))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def interlaced(grey: Bytes) -> bytes:
    """A PNG of seven passes (PNG specification, 8.2), which Pillow cannot write."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    rows = b"".join(b"\0" + row.tobytes() for y, x, dy, dx in passes for row in grey[y::dy, x::dx])
    return png(grey.shape[1], grey.shape[0], zlib.compress(rows), lace=1)


def zeros(count: int, unit: bytes = bytes(2**20)) -> bytes:
    """So many bytes of nothing, compressed, without ever holding them."""
    packer = zlib.compressobj(1)
    parts = [packer.compress(unit) for _ in range(count // len(unit))]
    return b"".join(parts) + packer.compress(unit[: count % len(unit)]) + packer.flush()


def tiff(wide: int, tall: int, tags: list[tuple[int, int]], data: bytes, compression: int = 1) -> bytes:
    """A grey TIFF with one piece of data, tiled where the tags say so."""
    tiled = any(tag == 322 for tag, _ in tags)
    where, size = (324, 325) if tiled else (273, 279)
    all_tags = dict([(256, wide), (257, tall), (258, 8), (259, compression), (262, 1), (277, 1)])
    all_tags |= dict(tags) | ({} if tiled else {278: dict(tags).get(278, tall)}) | {where: 0, size: len(data)}
    all_tags[where] = 8 + 2 + 12 * len(all_tags) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(all_tags.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(all_tags)) + entries + bytes(4) + data


def pdf(objects: list[bytes], trailer: bytes = b"") -> bytes:
    """A PDF of objects numbered from 1, the first its catalogue."""
    out, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    end = b"trailer <</Size %d /Root 1 0 R %b>>\nstartxref\n%d\n%%%%EOF"
    return out + head + table + end % (len(objects) + 1, trailer, len(out))


def stream(words: bytes, body: bytes) -> bytes:
    return b"<<%b/Length %d>>\nstream\n%b\nendstream" % (words, len(body), body)


CATALOGUE = b"<</Type/Catalog/Pages 2 0 R>>"
ONE_PAGE = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"


def one_page(content: bytes, box: bytes = b"0 0 90 60", resources: bytes = b"", more: tuple[bytes, ...] = ()) -> bytes:
    """A PDF of one page; `content` is object 4, `more` are those from 5."""
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[%b]/Contents 4 0 R/Resources<<%b>>>>" % (box, resources)
    return pdf([CATALOGUE, ONE_PAGE, page, content, *more])


def laughing(depth: int, times: int) -> bytes:
    """Forms that each show the next several times: a few bytes, times ** depth rectangles."""
    form = b"/Type/XObject/Subtype/Form/BBox[0 0 99 99]/Resources<</XObject<</X %d 0 R>>>>"
    forms = [stream(form % number, b"/X Do " * times) for number in range(6, 6 + depth)]
    forms.append(stream(b"/Type/XObject/Subtype/Form/BBox[0 0 99 99]", b"9 9 30 20 re f"))
    return one_page(stream(b"", b"/X Do"), resources=b"/XObject<</X 5 0 R>>", more=tuple(forms))


# ---------------------------------------------------------------------- hostile ones, one by one


def scans(count: int, side: int) -> bytes:
    """A progressive JPEG of `count` scans that each walk over the whole image and say nothing."""
    blocks = (-(-side // 8)) ** 2
    head = b"\xff\xd8\xff\xdb\0\x43\0" + b"\1" * 64
    head += b"\xff\xc2" + struct.pack(">HBHHB3B", 11, 8, side, side, 1, 1, 0x11, 0)
    head += b"\xff\xc4" + struct.pack(">HB", 20, 0x00) + b"\1" + bytes(15) + b"\0"  # DC: one code of one bit, no change
    head += b"\xff\xc4" + struct.pack(">HB", 20, 0x10) + b"\1" + bytes(15) + b"\xe0"  # AC: 2 ** 14 blocks or more end
    first = b"\xff\xda" + struct.pack(">H3B3B", 8, 1, 1, 0x00, 0, 0, 0x01) + bytes(-(-blocks // 8))
    runs, left = "", blocks
    while left > 0:  # the code, then 14 bits that are added to 2 ** 14
        run = min(left, 2**15 - 1)
        runs += "0" + format(max(0, run - 2**14), "014b")
        left -= max(run, 2**14)
    bits = runs + "1" * (-len(runs) % 8)
    body = bytes(int(bits[k : k + 8], 2) for k in range(0, len(bits), 8)).replace(b"\xff", b"\xff\0")
    scan = b"\xff\xda" + struct.pack(">H3B3B", 8, 1, 1, 0x00, 1, 63, 0x01) + body
    return head + first + scan * count + b"\xff\xd9"


def directories(count: int) -> bytes:
    """A TIFF of one page, shown so many times."""
    data = sound()["deep.tif"]
    first, start = struct.unpack_from("<I", data, 4)[0], len(data) + len(data) % 2
    end = first + 2 + 12 * struct.unpack_from("<H", data, first)[0] + 4
    pages = np.tile(np.frombuffer(data[first:end], np.uint8), (count, 1))
    after = np.arange(1, count + 1) * (end - first) + start
    after[-1] = 0
    pages[:, -4:] = after.astype("<u4").view(np.uint8).reshape(-1, 4)
    return data[:4] + struct.pack("<I", start) + data[8:].ljust(start - 8, b"\0") + pages.tobytes()


def broken_directory() -> bytes:
    """A TIFF whose second page says nothing of itself."""
    data = bytearray(sound()["deep.tif"])
    at = struct.unpack_from("<I", data, 4)[0]
    struct.pack_into("<I", data, at + 2 + 12 * struct.unpack_from("<H", data, at)[0], len(data) + len(data) % 2)
    return bytes(data) + bytes(len(data) % 2 + 6)


def nested_pages(depth: int) -> bytes:
    tree = [b"<</Type/Pages/Kids[%d 0 R]/Count 1>>" % (number + 1) for number in range(2, 2 + depth)]
    return pdf([CATALOGUE, *tree, b"<</Type/Page/Parent %d 0 R/MediaBox[0 0 90 60]>>" % (1 + depth)])


def many_frames(count: int) -> bytes:
    """A GIF that never stops and never ends: no trailer."""
    data = sound()["endless.gif"]
    start = data.index(b"!\xf9")
    return data[:start] + data[start:-1] * count


def noise(wide: int, tall: int) -> Bytes:
    return np.random.default_rng(0).integers(0, 256, (tall, wide), np.uint8)


def crowded() -> bytes:
    """A page of 3,000 short words."""
    page = np.full((1280, 1280), 255, np.uint8)
    for y in range(10, 1280, 20):
        for x in range(4, 1280, 26):
            cv2.putText(page, "a", (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 0, 1)
    return grey_png(page)


def grey_png(grey: Bytes) -> bytes:
    return packed(Image.fromarray(grey), "PNG")


def declared(name: str, at: int, form: str, *values: int) -> Callable[[], bytes]:
    """A sound image with numbers of its header overwritten."""

    def make() -> bytes:
        data = bytearray(sound()[name])
        struct.pack_into(form, data, at, *values)
        return bytes(data)

    return make


def tagged(tag: int, value: int, name: str = "tiff_adobe_deflate.tif") -> Callable[[], bytes]:
    """A sound TIFF with one tag overwritten."""

    def make() -> bytes:
        data = bytearray(sound()[name])
        start = struct.unpack_from("<I", data, 4)[0]
        for at in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
            if struct.unpack_from("<H", data, at)[0] == tag:
                struct.pack_into("<HII", data, at + 2, 4, 1, value)
        return bytes(data)

    return make


def sof(wide: int, tall: int, name: str = "rgb.jpg") -> Callable[[], bytes]:
    """A sound JPEG that declares another size."""

    def make() -> bytes:
        data = bytearray(sound()[name])
        struct.pack_into(">HH", data, max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2")) + 5, tall, wide)
        return bytes(data)

    return make


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.png", sound()["rgb.png"])
    return out.getvalue()


LOCKED = b"/ID[<00><00>] /Encrypt <</Filter/Standard/V 1/R 2/O<%b>/U<%b>/P -4>>" % (b"5a" * 32, b"a5" * 32)
ANY = zlib.compress(bytes(99))
SINGULAR: dict[str, Callable[[], bytes]] = {
    # no images
    "nothing.png": lambda: b"",
    "one-byte.png": lambda: b"\x89",
    "zeros.png": lambda: bytes(5000),
    "random.jpg": lambda: random.Random(1).randbytes(5000),
    "text.png": lambda: "Grüße\n".encode() * 50,
    "script.svg.png": lambda: b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><text>a</text></svg>',
    "page.html.jpg": lambda: b"<!doctype html><html><body>404</body></html>",
    "zip.png": zipped,
    "gzip.png": lambda: gzip.compress(sound()["rgb.png"]),
    "film.heic": lambda: b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(500),
    "heic-head.heic": lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500),
    "avif-head.avif": lambda: b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + bytes(500),
    "postscript.png": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\nshowpage\n",
    "only-magic.png": lambda: b"\x89PNG\r\n\x1a\n",
    "only-magic.tif": lambda: b"II*\0",
    "only-magic.jpg": lambda: b"\xff\xd8\xff",
    "only-magic.webp": lambda: b"RIFF\xff\xff\xff\xffWEBPVP8 ",
    # sizes
    "1x1.png": lambda: grey_png(noise(1, 1)),
    "1x30000.png": lambda: grey_png(noise(1, 30000)),
    "30000x1.png": lambda: grey_png(noise(30000, 1)),
    "2x16000.webp": lambda: packed(Image.fromarray(noise(2, 16000)), "WEBP", lossless=True),
    "16000x2.jpg": lambda: packed(Image.fromarray(noise(16000, 2)), "JPEG"),
    "70x9000.png": lambda: grey_png(cv2.resize(drawn()[..., 0], (70, 9000))),
    "37000x125.png": lambda: grey_png(cv2.resize(drawn()[..., 0], (37000, 125))),
    "3x3.gif": lambda: packed(Image.fromarray(noise(3, 3)), "GIF"),
    "white.png": lambda: grey_png(np.full((300, 400), 255, np.uint8)),
    "black.png": lambda: grey_png(np.zeros((300, 400), np.uint8)),
    "noise.png": lambda: grey_png(noise(400, 300)),
    "chequered.png": lambda: grey_png((np.indices((400, 300)).sum(0) // 7 % 2 * 255).astype(np.uint8)),
    "clear.png": lambda: packed(Image.new("RGBA", (200, 90)), "PNG"),
    # bombs
    "30000x30000.png": lambda: png(30000, 30000, zeros(30000 * 3751), bits=1),
    "7700x7700.png": lambda: png(7700, 7700, zeros(7700 * 963), bits=1),
    "30000x30000-8-bits.png": lambda: png(30000, 30000, zeros(30000 * 30001)),
    "0x5.png": lambda: png(0, 5, ANY),
    "5x0.png": lambda: png(5, 0, ANY),
    "most.png": lambda: png(2**31 - 1, 2**31 - 1, ANY),
    "most-wide.png": lambda: png(2**31 - 1, 1, ANY),
    "beyond.png": lambda: png(2**32 - 1, 2**32 - 1, ANY),
    "60-megapixels-missing.png": lambda: png(7700, 7700, ANY, colour=6),
    "more-than-said.png": lambda: png(9, 9, zeros(2**28)),
    "text-bomb.png": lambda: png(9, 9, ANY, chunk(b"zTXt", b"a\0\0" + zeros(2**28))),
    "international-text-bomb.png": lambda: png(9, 9, ANY, chunk(b"iTXt", b"a\0\1\0\0\0" + zeros(2**28))),
    "many-texts.png": lambda: png(9, 9, ANY, *[chunk(b"zTXt", b"a\0\0" + zeros(2**20 - 9))] * 900),
    "profile-bomb.png": lambda: png(9, 9, ANY, chunk(b"iCCP", b"a\0\0" + zeros(2**28))),
    "many-chunks.png": lambda: png(9, 9, ANY, chunk(b"abCd", b"") * 300_000),
    "endless-chunks.png": lambda: png(9, 9, ANY, chunk(b"abCd", b"") * 16_000_000),
    "bomb.tif": lambda: tiff(7000, 7000, [], zeros(7000 * 7000), 8),
    "small-with-a-huge-tile.tif": lambda: tiff(16, 16, [(322, 30000), (323, 30000)], zeros(30000 * 30000), 8),
    "small-with-a-large-tile.tif": lambda: tiff(16, 16, [(322, 14000), (323, 14000)], zeros(14000 * 14000), 8),
    "small-with-a-huge-strip.tif": lambda: tiff(16, 16, [(278, 2**31 - 1)], zeros(2**28), 8),
    "many-pages.tif": lambda: directories(300_000),
    "endless-pages.tif": lambda: directories(1_500_000),
    "broken-page.tif": broken_directory,
    "page-of-itself.tif": lambda: sound()["tiles.tif"][:8] + b"\0\0" + struct.pack("<I", 8),
    "many-scans.jpg": lambda: scans(500, 500),
    "endless-scans.jpg": lambda: scans(100_000, 7700),
    "several-scans.jpg": lambda: scans(60, 7700),
    "many-frames.gif": lambda: many_frames(3000),
    "plain-endless.ppm": lambda: b"P2 7700 7700 255\n" + b"1 " * 50_000_000,
    "plain-missing.ppm": lambda: b"P3 7700 7700 255\n" + b"1 " * 999,
    "one-long-number.ppm": lambda: b"P3 99 99 255\n" + b"1" * 3_000_000,
    "head-without-end.ppm": lambda: b"P6 #" + b"a" * 3_000_000,
    # headers that lie
    "wide.jpg": sof(65535, 65535),
    "wide-progressive.jpg": sof(65535, 900, "progressive.jpg"),
    "large-progressive.jpg": sof(7700, 7700, "progressive.jpg"),
    "none.jpg": sof(0, 0),
    "wide.gif": declared("still.gif", 6, "<HH", 65535, 65535),
    "large.gif": declared("still.gif", 6, "<HH", 7700, 7700),
    "none.gif": declared("still.gif", 6, "<HH", 0, 0),
    "wide.bmp": declared("rgb.bmp", 18, "<ii", 2**31 - 1, 2**31 - 1),
    "negative.bmp": declared("rgb.bmp", 18, "<ii", -5, -(2**31)),
    "upside-down.bmp": declared("rgb.bmp", 22, "<i", -64),
    "odd-bits.bmp": declared("rgb.bmp", 28, "<H", 77),
    "runs.bmp": declared("palette.bmp", 30, "<I", 1),
    "wide.webp": declared("moving.webp", 24, "<HBHB", 0xFFFF, 0xFF, 0xFFFF, 0xFF),
    "wide.jp2": lambda: sound()["rgb.jp2"].replace(struct.pack(">II", 64, 160), struct.pack(">II", 2**31 - 1, 9)),
    "wide-siz.jp2": lambda: sound()["rgb.jp2"].replace(struct.pack(">II", 160, 64), struct.pack(">II", 7700, 6000)),
    "tiny-tiles.jp2": lambda: sound()["rgb.jp2"].replace(
        struct.pack(">6I", 160, 64, 0, 0, 160, 64), struct.pack(">6I", 6000, 6000, 0, 0, 1, 1)
    ),
    **{
        f"tag-{tag}-{value:x}.tif": tagged(tag, value)
        for tag in (256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 339)
        for value in (0, 2**16 - 1, 2**32 - 1)
    },
    "wide.heic": lambda: sound().get("rgb.heic", b"").replace(b"ispe\0\0\0\0", b"ispe\0\0\0\0\x7f\xff"),
    "wide.avif": lambda: sound().get("rgb.avif", b"").replace(b"ispe\0\0\0\0", b"ispe\0\0\0\0\x7f\xff"),
    # PDF
    "locked.pdf": lambda: pdf([CATALOGUE, b"<</Type/Pages/Kids[]/Count 0>>"], LOCKED),
    "no-pages.pdf": lambda: pdf([CATALOGUE, b"<</Type/Pages/Kids[]/Count 0>>"]),
    "pages-that-lie.pdf": lambda: pdf([CATALOGUE, b"<</Type/Pages/Kids[]/Count 2000000000>>"]),
    "negative-pages.pdf": lambda: pdf([CATALOGUE, b"<</Type/Pages/Kids[]/Count -7>>"]),
    "its-own-parent.pdf": lambda: pdf([CATALOGUE, b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 9>>"]),
    "no-table.pdf": lambda: one_page(stream(b"", b"9 9 30 20 re f")).partition(b"xref")[0],
    "only-head.pdf": lambda: b"%PDF-1.7\n",
    "nested-pages.pdf": lambda: nested_pages(500),
    "deeply-nested-pages.pdf": lambda: nested_pages(60_000),
    "nested-arrays.pdf": lambda: pdf([CATALOGUE, ONE_PAGE, b"[" * 300_000 + b"]" * 300_000]),
    "nested-states.pdf": lambda: one_page(stream(b"", b"q " * 300_000 + b"9 9 30 20 re f")),
    "no-box.pdf": lambda: one_page(stream(b"", b"9 9 30 20 re f"), b""),
    "empty-box.pdf": lambda: one_page(stream(b"", b""), b"0 0 0 0"),
    "negative-box.pdf": lambda: one_page(stream(b"", b"9 9 30 20 re f"), b"90 60 0 0"),
    "huge-box.pdf": lambda: one_page(stream(b"", b"9 9 30 20 re f"), b"0 0 1e9 1e9"),
    "beyond-box.pdf": lambda: one_page(stream(b"", b""), b"-1e38 -1e38 1e38 1e38"),
    "long-box.pdf": lambda: one_page(stream(b"", b"9 9 30 20 re f"), b"0 0 14000 1"),
    "itself.pdf": lambda: one_page(
        stream(b"", b"/X Do"),
        resources=b"/XObject<</X 5 0 R>>",
        more=(stream(b"/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 5 0 R>>>>", b"/X Do /X Do"),),
    ),
    "laughs.pdf": lambda: laughing(4, 9),
    "endless-laughs.pdf": lambda: laughing(12, 9),
    "long-laughs.pdf": lambda: laughing(28, 2),
    "stream-bomb.pdf": lambda: one_page(stream(b"/Filter/FlateDecode", zeros(2**30))),
    "path-bomb.pdf": lambda: one_page(stream(b"/Filter/FlateDecode", zeros(2**28, b"1 1 m 9 9 l S\n" * 4096))),
    "text-bomb.pdf": lambda: one_page(stream(b"/Filter/FlateDecode", zeros(2**24, b"BT (aaaa) Tj ET\n" * 4096))),
    "image-bomb.pdf": lambda: one_page(
        stream(b"", b"90 0 0 60 0 0 cm /X Do"),
        resources=b"/XObject<</X 5 0 R>>",
        more=(
            stream(
                b"/Subtype/Image/Width 20000/Height 20000/BitsPerComponent 8/ColorSpace/DeviceRGB/Filter/FlateDecode",
                zeros(20000 * 20000 * 3),
            ),
        ),
    ),
    "many-pages.pdf": lambda: pdf([CATALOGUE, b"<</Type/Pages/Kids[%b]/Count 5000>>" % (b"3 0 R " * 5000), ONE_PAGE]),
}
#: Of these some take seconds to write, some to refuse
SLOW = {
    "30000x30000.png", "30000x30000-8-bits.png", "7700x7700.png", "more-than-said.png", "text-bomb.png",
    "international-text-bomb.png", "many-texts.png", "profile-bomb.png", "many-chunks.png", "endless-chunks.png",
    "bomb.tif", "small-with-a-huge-tile.tif", "small-with-a-large-tile.tif", "small-with-a-huge-strip.tif",
    "many-pages.tif", "endless-pages.tif", "many-scans.jpg", "endless-scans.jpg", "several-scans.jpg",
    "many-frames.gif", "plain-endless.ppm", "60-megapixels-missing.png", "large-progressive.jpg", "large.gif",
    "deeply-nested-pages.pdf", "nested-states.pdf", "endless-laughs.pdf", "long-laughs.pdf", "stream-bomb.pdf",
    "path-bomb.pdf", "text-bomb.pdf", "image-bomb.pdf", "laughs.pdf", "huge-box.pdf", "noise.png", "chequered.png",
    "37000x125.png", "70x9000.png", "wide-siz.jp2", "tiny-tiles.jp2", "one-long-number.ppm", "head-without-end.ppm",
}  # fmt: skip


# ---------------------------------------------------------------------- names and places


def odd_places(folder: Path) -> Iterator[Path]:
    """Sound images under odd names, and what is no file."""
    data = sound()["rgb.png"]
    names = (
        os.fsdecode(b"\xff\xfe\x80.png"), "a b\tc.png", "two\nlines.png", "-rf.png", "it's \"quoted\".png",
        "`id`$(id).png", "\u202egnp.exe.png", "\x1b[31mred.png", "x" * 251 + ".png", "{0}%s%n.png",
        "no-suffix", ".png", "UPPER.PNG",
    )  # fmt: skip
    for name in names:
        try:
            yield from for_a_while(folder, name, data)
        except OSError:  # not every system has every name
            continue
    yield folder / "gone.png"
    yield folder / ("y" * 5000 + ".png")
    place = folder / "odd"
    place.mkdir()
    try:
        (place / "folder.png").mkdir()
        (place / "dangling.png").symlink_to("nowhere.png")
        (place / "loop.png").symlink_to("loop.png")
        (place / "device.png").symlink_to("/dev/zero")
        (place / "input.png").symlink_to("/dev/stdin")
        (place / "linked.png").symlink_to("target.jpg")
        (place / "target.jpg").write_bytes(data)
        os.mkfifo(place / "pipe.png")
        (place / "unreadable.png").write_bytes(data)
        (place / "unreadable.png").chmod(0)  # which root reads nevertheless
        yield from sorted(place.iterdir())
        yield place / "target.jpg" / "below-a-file.png"
    finally:
        shutil.rmtree(place)


# ---------------------------------------------------------------------- damage


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def _flipped(data: bytes, rng: random.Random) -> bytes:
    bad = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20, len(data) // 50))):
        bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
    return bytes(bad)


def _zeroed(data: bytes, rng: random.Random) -> bytes:
    at, size = rng.randrange(len(data)), rng.choice((1, 4, 40, 400))
    return data[:at] + bytes([rng.choice((0, 255))]) * len(data[at : at + size]) + data[at + size :]


def _repeated(data: bytes, rng: random.Random) -> bytes:
    at, size = rng.randrange(len(data)), rng.choice((1, 8, 100))
    return data[:at] + data[at : at + size] * rng.choice((2, 9, 200)) + data[at + size :]


def _missing(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.choice((1, 4, 60)) :]


def _extreme(data: bytes, rng: random.Random) -> bytes:
    """Numbers of the head, or anywhere, made as small or large as can be."""
    bad = bytearray(data)
    for _ in range(rng.choice((1, 1, 3))):
        form = rng.choice(("B", "<H", ">H", "<I", ">I"))
        at = rng.randrange(rng.choice((40, 200, len(bad))))
        if at + struct.calcsize(form) <= len(bad):
            struct.pack_into(form, bad, at, rng.choice(EXTREMES) % 256 ** struct.calcsize(form))
    return bytes(bad)


def _summed(data: bytes, rng: random.Random) -> bytes:
    """Flips whose sums are right again, where the format has any, so that they reach the decoder."""
    bad = bytearray(_flipped(data, rng) if rng.random() < 0.5 else _extreme(data, rng))
    if not data.startswith(b"\x89PNG"):
        return bytes(bad)
    bad[:8], at = data[:8], 8
    while at + 12 <= len(bad):
        size = struct.unpack_from(">I", bad, at)[0]
        if at + 12 + size > len(bad):
            break
        struct.pack_into(">I", bad, at + 8 + size, zlib.crc32(bytes(bad[at + 4 : at + 8 + size])))
        at += 12 + size
    return bytes(bad)


def _joined(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.choice((len(data), len(data) // 2))] + rng.choice(list(sound().values()))


DAMAGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "cut": _cut,
    "flipped": _flipped,
    "zeroed": _zeroed,
    "repeated": _repeated,
    "missing": _missing,
    "extreme": _extreme,
    "summed": _summed,
    "joined": _joined,
    "misnamed": lambda data, rng: data,
}
