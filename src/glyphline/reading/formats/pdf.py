"""Renders pages as a searchable PDF: each image, with its words over it as invisible text.

The glyphs of the embedded font cover no area. A ToUnicode table maps each code to its character, so that text of any
script can be searched and copied. The file is written byte by byte (ISO 32000-1), because no library among the
dependencies writes such text.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from math import hypot

from PIL import Image

from glyphline.imaging.documents import ColourImage
from glyphline.imaging.pdf_objects import PdfObjects, text_string
from glyphline.page import Line, Page
from glyphline.reading.formats.complete import DESCENT, baseline_of, complete_page, corners_of, sanitize_text
from glyphline.reading.formats.contract import PageImage
from glyphline.reading.formats.markup import SOFTWARE, language_tag, software_info

POINTS_PER_PIXEL = 72 / 200  # images are shown at 200 px an inch, the resolution at which PDFs are read
MIN_LONGER_SIDE = 360  # points; the longer side of a smaller page is enlarged to this, up to a point a pixel
MAX_LONGER_SIDE = 14_400  # points; viewers show no longer side
MAX_JPEG_SIDE = 65_500  # px
JPEG_QUALITY = 85
UNITS_PER_EM = 1000  # of the font; also the width of each glyph
GLYPH_HEIGHT = 500  # units; less than the em, so that PDFium separates lines that overlap by less than the rest


def render_pdf(file: str, pages: Sequence[Page], image: PageImage) -> bytes:
    """Render each page as a JPEG with its words over it as invisible text. Rotated pages are shown upright.

    The title of the document is the file's name, its language that of the first page. `image` is called once for each
    page, in order. Rejected lines have no text.
    """
    objects = PdfObjects()
    catalog, page_tree, font = objects.reserve(), objects.reserve(), objects.reserve()
    codes: dict[str, int] = {}
    kids = [_add_page(objects, page, image(page), page_tree, font, codes) for page in pages]
    tag = language_tag(pages[0].language) if pages else None
    language = f" /Lang {text_string(tag)}" if tag else ""
    objects.put(catalog, f"<< /Type /Catalog /Pages {page_tree} 0 R{language} >>")
    objects.put(page_tree, f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(f'{kid} 0 R' for kid in kids)}] >>")
    _put_font(objects, font, codes)
    title, producer = text_string(sanitize_text(file)), text_string(" ".join(software_info()))
    info = objects.add(f"<< /Title {title} /Producer {producer} >>")
    return objects.serialize(catalog, info)


def _add_page(
    objects: PdfObjects, page: Page, image: ColourImage, page_tree: int, font: int, codes: dict[str, int]
) -> int:
    """Add a page and return its object number. `codes` maps characters to codes of the font; it is extended."""
    longer_side = max(1, page.width, page.height)
    scale = min(max(POINTS_PER_PIXEL, min(1.0, MIN_LONGER_SIDE / longer_side)), MAX_LONGER_SIDE / longer_side)
    width, height = page.width * scale, page.height * scale
    shrunk = Image.fromarray(image)
    shrunk.thumbnail((MAX_JPEG_SIDE, MAX_JPEG_SIDE))
    jpeg = io.BytesIO()
    shrunk.save(jpeg, "JPEG", quality=JPEG_QUALITY)
    image_object = objects.add_stream(
        jpeg.getvalue(),
        f"/Type /XObject /Subtype /Image /Width {shrunk.width} /Height {shrunk.height} /ColorSpace /DeviceRGB"
        " /BitsPerComponent 8 /Filter /DCTDecode",
    )
    lines = [line for line in complete_page(page).lines if line.words]
    text = "\n".join(operators for line in lines for operators in _text_operators(line, page.height, scale, codes))
    # image and text are rotated together by the transformation matrix, so the JPEG stays as it is in the file
    matrix = {0: "1 0 0 1 0 0", 90: f"0 1 -1 0 {height:.3f} 0", 180: f"-1 0 0 -1 {width:.3f} {height:.3f}",
              270: f"0 -1 1 0 0 {width:.3f}"}[page.rotation % 360]  # fmt: skip
    # 3 Tr is the invisible text rendering mode: letters are neither filled nor stroked
    operators = f"{matrix} cm\nq {width:.3f} 0 0 {height:.3f} 0 0 cm /Image Do Q\nBT 3 Tr\n{text}\nET"
    content = objects.add_compressed_stream(operators.encode("ascii"))
    upright = (height, width) if page.rotation % 180 else (width, height)
    return objects.add(
        f"<< /Type /Page /Parent {page_tree} 0 R /MediaBox [0 0 {upright[0]:.3f} {upright[1]:.3f}]"
        f" /Resources << /XObject << /Image {image_object} 0 R >> /Font << /Text {font} 0 R >> >>"
        f" /Contents {content} 0 R >>"
    )


def _text_operators(line: Line, page_height: int, scale: float, codes: dict[str, int]) -> Iterator[str]:
    """Yield the operators that show each word of a line at its width. A space follows each word but the last."""
    for k, word in enumerate(line.words):
        upper_left, _, _, lower_left = corners_of(word.polygon)
        font_size = max(1.0, hypot(upper_left[0] - lower_left[0], upper_left[1] - lower_left[1]))
        (x, y), end = baseline_of(word.polygon)
        width = max(1.0, hypot(end[0] - x, end[1] - y))
        cos, sin = ((end[0] - x) / width, (y - end[1]) / width) if (x, y) != end else (1.0, 0.0)
        text = word.text + " " * (k + 1 < len(line.words))
        encoded = "".join(f"{codes.setdefault(character, len(codes) + 1):04X}" for character in text)
        stretch = 100 * width / font_size / len(word.text)  # percent
        yield (
            f"/Text {font_size * scale:.3f} Tf {stretch:.3f} Tz {cos:.5f} {sin:.5f} {-sin:.5f}"
            f" {cos:.5f} {x * scale:.3f} {(page_height - y) * scale:.3f} Tm <{encoded}> Tj"
        )


# ------------------------------------------------------------------------------------------------------------ the font


def _put_font(objects: PdfObjects, font: int, codes: dict[str, int]) -> None:
    """Write the composite font under the number `font`; each code of `codes` shows a glyph without area."""
    program = _build_font_program()
    ascent, descent = round(UNITS_PER_EM * (1 - DESCENT)), -round(UNITS_PER_EM * DESCENT)
    font_file = objects.add_compressed_stream(program, f"/Length1 {len(program)}")
    glyph_ids = objects.add_compressed_stream(b"\0\0" + b"\0\1" * len(codes))  # code -> glyph
    to_unicode = objects.add_compressed_stream(_to_unicode_cmap(codes).encode())
    name = f"/{SOFTWARE.title()}Glyphless"
    descriptor = objects.add(
        f"<< /Type /FontDescriptor /FontName {name} /Flags 4 /FontBBox [0 {descent} {UNITS_PER_EM} {ascent}]"
        f" /ItalicAngle 0 /Ascent {ascent} /Descent {descent} /CapHeight {ascent} /StemV 80"
        f" /FontFile2 {font_file} 0 R >>"
    )
    descendant = objects.add(
        f"<< /Type /Font /Subtype /CIDFontType2 /BaseFont {name} /FontDescriptor {descriptor} 0 R /DW {UNITS_PER_EM}"
        f" /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> /CIDToGIDMap {glyph_ids} 0 R >>"
    )
    objects.put(
        font,
        f"<< /Type /Font /Subtype /Type0 /BaseFont {name} /Encoding /Identity-H /ToUnicode {to_unicode} 0 R"
        f" /DescendantFonts [{descendant} 0 R] >>",
    )


def _to_unicode_cmap(codes: dict[str, int]) -> str:
    """The CMap that maps each code to its character."""
    rows = [f"<{code:04X}> <{character.encode('utf-16-be').hex().upper()}>" for character, code in codes.items()]
    blocks = (rows[k : k + 100] for k in range(0, len(rows), 100))  # a block holds at most 100 rows
    mappings = "\n".join(f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar" for block in blocks)
    return (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
        "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
        f"1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n{mappings}\n"
        "endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend"
    )


def _build_font_program() -> bytes:
    """Build a TrueType font of two glyphs, with the tables that a PDF requires.

    The first glyph is empty. The outline of the second runs from the baseline up to the right and back: it covers no
    area, but has an extent. Without an extent PDFium drops words of one letter; PDFium also separates lines by it.
    """
    ascent, descent = round(UNITS_PER_EM * (1 - DESCENT)), -round(UNITS_PER_EM * DESCENT)
    outline = struct.pack(
        ">5hHHBB2h", 1, 0, 0, UNITS_PER_EM, GLYPH_HEIGHT, 1, 0, 0x31, 0x01, UNITS_PER_EM, GLYPH_HEIGHT
    ) + b"\0" * 4  # fmt: skip
    tables = {
        b"glyf": outline,
        b"head": struct.pack(">IIIIHHqqhhhhHHhhh", 0x10000, 0x10000, 0, 0x5F0F3CF5, 0, UNITS_PER_EM, 0, 0, 0, descent,
                             UNITS_PER_EM, ascent, 0, 8, 2, 0, 0),
        b"hhea": struct.pack(">IhhhHhhhhhh4hhH", 0x10000, ascent, descent, 0, UNITS_PER_EM, 0, 0, UNITS_PER_EM, 1, 0,
                             0, 0, 0, 0, 0, 0, 1),
        b"hmtx": struct.pack(">Hhh", UNITS_PER_EM, 0, 0),
        b"loca": struct.pack(">3H", 0, 0, len(outline) // 2),
        b"maxp": struct.pack(">I14H", 0x10000, 2, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0),
    }  # fmt: skip
    header, body = struct.pack(">IHHHH", 0x10000, len(tables), 64, 2, 16 * len(tables) - 64), b""
    body_offset = len(header) + 16 * len(tables)
    for name, table in tables.items():
        padded = table + b"\0" * (-len(table) % 4)
        checksum = sum(struct.unpack(f">{len(padded) // 4}I", padded)) & 0xFFFFFFFF
        header += name + struct.pack(">III", checksum, body_offset + len(body), len(table))
        body += padded
    return header + body
