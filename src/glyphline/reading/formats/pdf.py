"""Pages -> a PDF that can be searched: each image, and over it its words in letters that cannot be seen.

The font draws every character as nothing; a table in the PDF says which character each code means, so that any
script can be found and copied. Written here byte by byte (ISO 32000-1): no library at hand can write such text.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from math import hypot

from PIL import Image

from glyphline.imaging.documents import ColourImage
from glyphline.page import Line, Page
from glyphline.reading.formats.complete import DESCENT, baseline_of, complete, corners_of, writable
from glyphline.reading.formats.contract import PageImage
from glyphline.reading.formats.markup import SOFTWARE, software

POINTS = 72 / 200  # of a pixel: images are shown at 200 px an inch, as those of PDFs are drawn
LEAST = 360  # points of the longer side; smaller images are shown larger, up to a point a pixel
LONGEST = 14_400  # points; viewers show no longer side
JPEG_SIDE = 65_500  # px
JPEG_QUALITY = 85
EM = 1000  # units of the font; each glyph is as wide
TALL = 500  # units; lines may overlap by what remains and are still told apart


def as_pdf(file: str, pages: Sequence[Page], image: PageImage) -> bytes:
    """The images as JPEG, the words on top of them; a page that lies turned is shown upright."""
    out = _Objects()
    catalog, tree, font = out.reserve(), out.reserve(), out.reserve()
    codes: dict[str, int] = {}
    kids = [_add_page(out, page, image(page), tree, font, codes) for page in pages]
    out.put(catalog, f"<< /Type /Catalog /Pages {tree} 0 R >>")
    out.put(tree, f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(f'{k} 0 R' for k in kids)}] >>")
    _put_font(out, font, codes)
    info = out.add(f"<< /Title {_text(writable(file))} /Producer {_text(' '.join(software()))} >>")
    return out.document(catalog, info)


def _add_page(out: _Objects, page: Page, image: ColourImage, tree: int, font: int, codes: dict[str, int]) -> int:
    longer = max(1, page.width, page.height)
    scale = min(max(POINTS, min(1.0, LEAST / longer)), LONGEST / longer)
    width, height = page.width * scale, page.height * scale
    shrunk = Image.fromarray(image)
    shrunk.thumbnail((JPEG_SIDE, JPEG_SIDE))
    jpeg = io.BytesIO()
    shrunk.save(jpeg, "JPEG", quality=JPEG_QUALITY)
    drawn = out.stream(
        jpeg.getvalue(),
        f"/Type /XObject /Subtype /Image /Width {shrunk.width} /Height {shrunk.height} /ColorSpace /DeviceRGB"
        " /BitsPerComponent 8 /Filter /DCTDecode",
    )
    lines = [line for line in complete(page).lines if line.words]
    written = "\n".join(shown for line in lines for shown in _shown(line, page.height, scale, codes))
    # the image stays as it was given, all that is drawn is turned; 3 Tr: letters neither filled nor outlined
    turn = {0: "1 0 0 1 0 0", 90: f"0 1 -1 0 {height:.3f} 0", 180: f"-1 0 0 -1 {width:.3f} {height:.3f}",
            270: f"0 -1 1 0 0 {width:.3f}"}[page.rotation % 360]  # fmt: skip
    show = f"{turn} cm\nq {width:.3f} 0 0 {height:.3f} 0 0 cm /Image Do Q\nBT 3 Tr\n{written}\nET"
    content = out.packed(show.encode("ascii"))
    upright = (height, width) if page.rotation % 180 else (width, height)
    return out.add(
        f"<< /Type /Page /Parent {tree} 0 R /MediaBox [0 0 {upright[0]:.3f} {upright[1]:.3f}]"
        f" /Resources << /XObject << /Image {drawn} 0 R >> /Font << /Text {font} 0 R >> >> /Contents {content} 0 R >>"
    )


def _shown(line: Line, height: int, scale: float, codes: dict[str, int]) -> Iterator[str]:
    """The operators that show a line, word by word, each as wide as it is; all but the last end with a space."""
    for k, word in enumerate(line.words):
        upper_left, _, _, lower_left = corners_of(word.polygon)
        size = max(1.0, hypot(upper_left[0] - lower_left[0], upper_left[1] - lower_left[1]))
        (x, y), end = baseline_of(word.polygon)
        wide = max(1.0, hypot(end[0] - x, end[1] - y))
        cos, sin = ((end[0] - x) / wide, (y - end[1]) / wide) if (x, y) != end else (1.0, 0.0)
        text = word.text + " " * (k + 1 < len(line.words))
        said = "".join(f"{codes.setdefault(character, len(codes) + 1):04X}" for character in text)
        yield (
            f"/Text {size * scale:.3f} Tf {100 * wide / size / len(word.text):.3f} Tz {cos:.5f} {sin:.5f} {-sin:.5f}"
            f" {cos:.5f} {x * scale:.3f} {(height - y) * scale:.3f} Tm <{said}> Tj"
        )


# ------------------------------------------------------------------------------------------------------------ the font


def _put_font(out: _Objects, font: int, codes: dict[str, int]) -> None:
    """A composite font in which each code is a character of the document, none of which covers anything."""
    program = _glyphless()
    ascent, descent = round(EM * (1 - DESCENT)), -round(EM * DESCENT)
    file = out.packed(program, f"/Length1 {len(program)}")
    glyphs = out.packed(b"\0\0" + b"\0\1" * len(codes))  # code -> glyph
    meaning = out.packed(_meaning(codes).encode())
    name = f"/{SOFTWARE.title()}Glyphless"
    described = out.add(
        f"<< /Type /FontDescriptor /FontName {name} /Flags 4 /FontBBox [0 {descent} {EM} {ascent}] /ItalicAngle 0"
        f" /Ascent {ascent} /Descent {descent} /CapHeight {ascent} /StemV 80 /FontFile2 {file} 0 R >>"
    )
    below = out.add(
        f"<< /Type /Font /Subtype /CIDFontType2 /BaseFont {name} /FontDescriptor {described} 0 R /DW {EM}"
        f" /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> /CIDToGIDMap {glyphs} 0 R >>"
    )
    out.put(
        font,
        f"<< /Type /Font /Subtype /Type0 /BaseFont {name} /Encoding /Identity-H /ToUnicode {meaning} 0 R"
        f" /DescendantFonts [{below} 0 R] >>",
    )


def _meaning(codes: dict[str, int]) -> str:
    """The CMap that says which character each code means."""
    rows = [f"<{code:04X}> <{character.encode('utf-16-be').hex().upper()}>" for character, code in codes.items()]
    blocks = (rows[k : k + 100] for k in range(0, len(rows), 100))  # no block may be longer
    said = "\n".join(f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar" for block in blocks)
    return (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
        "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
        f"1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n{said}\n"
        "endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend"
    )


def _glyphless() -> bytes:
    """A TrueType font of two glyphs, with the tables that a PDF asks for.

    The first is empty. The outline of the second runs from the baseline up to the right and back: it covers nothing,
    but has an extent, without which PDFium drops words of one letter, and by which it tells lines apart.
    """
    ascent, descent = round(EM * (1 - DESCENT)), -round(EM * DESCENT)
    outline = struct.pack(">5hHHBB2h", 1, 0, 0, EM, TALL, 1, 0, 0x31, 0x01, EM, TALL) + b"\0" * 4
    tables = {
        b"glyf": outline,
        b"head": struct.pack(">IIIIHHqqhhhhHHhhh", 0x10000, 0x10000, 0, 0x5F0F3CF5, 0, EM, 0, 0, 0, descent, EM,
                             ascent, 0, 8, 2, 0, 0),
        b"hhea": struct.pack(">IhhhHhhhhhh4hhH", 0x10000, ascent, descent, 0, EM, 0, 0, EM, 1, 0, 0, 0, 0, 0, 0, 0, 1),
        b"hmtx": struct.pack(">Hhh", EM, 0, 0),
        b"loca": struct.pack(">3H", 0, 0, len(outline) // 2),
        b"maxp": struct.pack(">I14H", 0x10000, 2, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0),
    }  # fmt: skip
    head, body = struct.pack(">IHHHH", 0x10000, len(tables), 64, 2, 16 * len(tables) - 64), b""
    start = len(head) + 16 * len(tables)
    for name, table in tables.items():
        padded = table + b"\0" * (-len(table) % 4)
        total = sum(struct.unpack(f">{len(padded) // 4}I", padded)) & 0xFFFFFFFF
        head += name + struct.pack(">III", total, start + len(body), len(table))
        body += padded
    return head + body


# ------------------------------------------------------------------------------------------------------------ the file


class _Objects:
    """The numbered objects of a PDF."""

    def __init__(self) -> None:
        self._bodies: list[bytes] = []

    def reserve(self) -> int:
        """The number of an object that is put later."""
        self._bodies.append(b"")
        return len(self._bodies)

    def put(self, number: int, body: str | bytes) -> None:
        self._bodies[number - 1] = body.encode("ascii") if isinstance(body, str) else body

    def add(self, body: str | bytes) -> int:
        number = self.reserve()
        self.put(number, body)
        return number

    def stream(self, data: bytes, entries: str = "") -> int:
        head = f"<< {entries} /Length {len(data)} >>\nstream\n".encode("ascii")
        return self.add(head + data + b"\nendstream")

    def packed(self, data: bytes, entries: str = "") -> int:
        return self.stream(zlib.compress(data, 9), f"{entries} /Filter /FlateDecode")

    def document(self, catalog: int, info: int) -> bytes:
        """The whole file: each object, where it begins, and which of them is the catalog."""
        out = bytearray(b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n")
        begins = []
        for number, body in enumerate(self._bodies, 1):
            begins.append(len(out))
            out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
        table = "".join(f"{begin:010d} 00000 n \n" for begin in begins)
        size = len(begins) + 1
        out += (
            f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n"
            f"<< /Size {size} /Root {catalog} 0 R /Info {info} 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
        ).encode("ascii")
        return bytes(out)


def _text(said: str) -> str:
    """A text string of a PDF."""
    return f"<FEFF{said.encode('utf-16-be').hex().upper()}>"
