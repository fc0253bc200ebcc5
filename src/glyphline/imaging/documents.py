"""Open images and documents page by page, from files, bytes, arrays or web addresses.

Sizes are checked before memory is allocated. A damaged or hostile file raises ImageError with its name within seconds.
tests/test_hostile.py checks that the memory of the process stays below 1.5 GB.
"""

from __future__ import annotations

import io
import stat
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from glyphline.errors import GlyphlineError, ImageError, MissingPackage
from glyphline.imaging.pdf import Pdf

GreyImage = npt.NDArray[np.uint8]  # (H, W)
ColourImage = npt.NDArray[np.uint8]  # (H, W, 3), red, green, blue
ImageSource = str | Path | bytes | Image.Image | npt.NDArray[np.generic]

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".jp2", ".avif", ".heic",
    ".heif", ".pdf",
)  # fmt: skip
#: the Pillow plugins that may open a file; others start programs or are rarely maintained
FORMATS = ["PNG", "JPEG", "MPO", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF"]
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
PIXEL_LIMIT = 60_000_000  # px of one page, checked before memory is allocated
FORMAT_PIXEL_LIMITS = {"JPEG2000": 40_000_000}  # px of one page; this decoder needs more memory than others
CACHE_LIMIT = 4_000_000  # px; larger pages are not kept in memory, but decoded again on each request
PAGE_LIMIT = 2000  # pages of one file
BYTE_LIMIT = 256 * 2**20  # bytes of one file
SECONDS = 10  # time limit for opening a file, and for decoding each page
READ_LIMIT = 2_000_000  # read calls of a decoder; it keeps a record of each part of a file, however small
STRIP = 2**20  # px that are converted at a time
DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")  # Pillow's modes of one channel of more than 8 bits
ORIENTATION_TAG = 0x0112  # Exif
TILE_TAGS = 322, 323, 277  # TIFF: width and height of a tile, samples of a pixel
URL_SCHEMES = ("http://", "https://")
FETCH_SECONDS = 20  # time limit without a received byte
FETCH_TOTAL = 120  # seconds, time limit for a whole image


def load(source: ImageSource) -> GreyImage:
    """Open the first page of an image as grey values, uint8 (H, W). See `Document` for the sources and the errors."""
    with Document(source) as document:
        return document.grey(0)


class Document:
    """The pages of an image file: one of a photograph, any number of a TIFF or PDF. Each is decoded on request.

    source: a path (of `addresses.open_path` too), the bytes of a file, a PIL image, or an array (H, W), (H, W, 3)
    in RGB or (H, W, 4) in RGBA. Arrays are uint8 or are converted: bool to 0 and 255, floats whose maximum is at
    most 1 from 0..1, uint16 above 255 from 0..65535; other values are clipped to 0..255. Pages are turned upright
    by their Exif orientation. Transparency is put on white. Of an animation, the first frame is the only page. In a
    `with` statement, the process that renders a PDF ends with the block.

    Raises ImageError if the source is missing, empty, not an image, locked with a password, or exceeds PAGE_LIMIT,
    BYTE_LIMIT (of a path) or SECONDS. Damage and more than PIXEL_LIMIT px may be found only when a page is decoded.
    Raises MissingPackage for a HEIC image if pillow-heif is not installed.

    >>> len(Document(np.zeros((4, 6), np.uint8)))
    1
    """

    def __init__(self, source: ImageSource) -> None:
        self.name = "the image" if isinstance(source, bytes | Image.Image | np.ndarray) else _escape(str(source))
        self._pdf: Pdf | None = None
        self._image: Any = None
        self._file: _LimitedFile | None = None
        self._formats: list[str] = []
        with self._convert_errors():
            if isinstance(source, np.ndarray):
                self._image = _image_from_array(source)
            elif isinstance(source, Image.Image):
                self._image = source
            else:
                self._open(_read_bytes(source))
            self.count = self._pdf.count if self._pdf else self._count_frames()
            if self.count > PAGE_LIMIT:
                raise ImageError(f"has more than {PAGE_LIMIT} pages: split it first")

    def __len__(self) -> int:
        """The number of pages."""
        return self.count

    def __enter__(self) -> Document:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pdf:
            self._pdf.close()

    def page_name(self, number: int) -> str:
        """Return the name of page `number`, from 0, in error messages. The first page has the name of the file.

        >>> Document(np.zeros((4, 6), np.uint8)).page_name(1)
        'page 2 of the image'
        """
        return f"page {number + 1} of {self.name}" if number else self.name

    def grey(self, number: int) -> GreyImage:
        """Decode page `number`, from 0, to grey values, uint8 (H, W).

        Raises ImageError for a page that does not exist, is damaged, or exceeds PIXEL_LIMIT or SECONDS.
        """
        with self._convert_errors(number):
            return self._decode(number, "L")

    def colour(self, number: int) -> ColourImage:
        """Decode page `number`, from 0, to RGB, uint8 (H, W, 3). Raises ImageError as `grey` does."""
        with self._convert_errors(number):
            return self._decode(number, "RGB")

    @contextmanager
    def _convert_errors(self, number: int = 0) -> Iterator[None]:
        """Restart the time limit, and convert exceptions of any library to an ImageError that names the page."""
        name = self.page_name(number)
        if self._file:
            self._file.deadline = time.monotonic() + SECONDS
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow warns about sizes and damaged tags; the limits here are ours
                yield
        except ImageError as error:
            raise ImageError(f"{name} {error}") from None
        except GlyphlineError:
            raise
        except UnidentifiedImageError:
            raise ImageError(f"{name} is no image that glyphline can open: give one of {', '.join(SUFFIXES)}") from None
        except Image.DecompressionBombError:
            raise ImageError(f"{name} has more than {PIXEL_LIMIT:,} px: shrink or crop it first") from None
        except MemoryError:
            raise ImageError(f"{name} needs more memory than is available: shrink or crop it first") from None
        except Exception as error:  # on damaged files decoders raise any exception
            reason = _escape(str(error).partition("\n")[0]) or type(error).__name__
            raise ImageError(f"{name} cannot be opened ({reason}): save it again as PNG or JPEG") from error

    def _open(self, data: bytes) -> None:
        if b"%PDF-" in data[:1024]:
            self._pdf = Pdf(data)
            return
        Image.init()  # Pillow registers some of its plugins only then
        self._formats = [name for name in FORMATS if name in Image.OPEN]
        if data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS:
            if find_spec("pillow_heif") is None:
                raise MissingPackage("pillow-heif", "photo", f"{self.name}: reading HEIC images")
            import pillow_heif

            pillow_heif.register_heif_opener()
            self._formats.append("HEIF")
        self._file = _LimitedFile(data)
        self._reopen()

    def _reopen(self) -> None:
        assert self._file
        self._image = Image.open(self._file, formats=self._formats)
        self._image.decodermaxblock = _LimitedFile.BLOCK

    def _count_frames(self) -> int:
        """Count the pages of a TIFF, up to PAGE_LIMIT + 1. Other formats have one page, animations too."""
        count = 1
        while self._image.format == "TIFF" and count <= PAGE_LIMIT:  # n_frames would walk through millions
            try:
                self._image.seek(count)
            except EOFError:
                break
            except Exception:  # reported when this page is requested; the pages after it cannot be reached
                return count + 1
            count += 1
        return count

    def _decode(self, number: int, mode: str) -> npt.NDArray[np.uint8]:
        image = self._open_page(number)
        pixels = _to_array(image, mode)
        if self._file and image.width * image.height > CACHE_LIMIT:
            del image
            self._reopen()
        return pixels

    def _open_page(self, number: int) -> Image.Image:
        if not 0 <= number < self.count:
            raise ImageError(f"does not exist: {self.name} has {self.count} pages")
        if self._pdf:
            width, height, pixels = self._pdf.page(number)
            return Image.frombuffer("RGB", (width, height), pixels)
        image: Image.Image = self._image
        if image.format == "TIFF":
            image.seek(number)
            _check_tiles(image)
        if min(image.size) == 0:
            raise ImageError("has no pixels: save or copy it again")
        limit = FORMAT_PIXEL_LIMITS.get(image.format or "", PIXEL_LIMIT)
        if image.width * image.height > limit:
            raise ImageError(f"has {image.width} x {image.height} px, more than {limit:,}: shrink or crop it first")
        return image


class _LimitedFile(io.BytesIO):
    """The bytes of a file. Because decoders cannot be interrupted, reads fail after `deadline` or READ_LIMIT reads."""

    BLOCK = 8192  # bytes a decoder reads at a time; so many hold about 100 scans of a JPEG, each a pass over the image

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.deadline = time.monotonic() + SECONDS
        self.reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        if time.monotonic() > self.deadline:
            raise ImageError(f"takes longer than {SECONDS} s to decode: save it again as PNG or JPEG")
        self.reads += 1
        if self.reads > READ_LIMIT:
            raise ImageError("consists of too many small parts: save it again as PNG or JPEG")
        return super().read(size)


def _escape(text: str) -> str:
    """Escape line breaks, control characters and all else that is not printable."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def _read_bytes(source: str | Path | bytes) -> bytes:
    if not isinstance(source, bytes):
        if str(source).lower().startswith(URL_SCHEMES):
            raise ImageError("is an address, not a file: save the image first, or read it with --allow-urls")
        try:
            path = Path(source) if isinstance(source, str) else source  # a path at an address is no pathlib.Path
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device might never end
                raise ImageError("is not a regular file: give the path of an image")
            if status.st_size > BYTE_LIMIT:
                raise ImageError(f"is larger than {BYTE_LIMIT >> 20} MB: shrink it first")
            with path.open("rb") as file:
                source = file.read(BYTE_LIMIT)
        except FileNotFoundError:
            raise ImageError("does not exist: give the path of an image") from None
        except (OSError, ValueError) as error:  # ValueError: a name with \0 in it
            reason = getattr(error, "strerror", None) or error
            raise ImageError(f"cannot be read ({reason}): give the path of an image you may read") from None
    if not source:
        raise ImageError("is empty (0 bytes): save or copy it again")
    return source


def fetch(address: str) -> bytes:
    """Download an image from an address that starts with http:// or https:// and return its bytes.

    Raises ImageError if the address is invalid, the server cannot be reached, redirects more than 5 times or answers
    with an error or a web page, or if the image exceeds BYTE_LIMIT, FETCH_SECONDS or FETCH_TOTAL. The bytes are not
    opened as an image here.
    """
    import requests
    import urllib3

    name = _escape(address)
    if not address.lower().startswith(URL_SCHEMES):
        raise ImageError(f"{name} is not a web address: give one that starts with http:// or https://")
    deadline = time.monotonic() + FETCH_TOTAL
    data = bytearray()
    try:
        with requests.Session() as session:
            session.max_redirects = 5
            session.headers["User-Agent"] = "glyphline"  # some servers refuse requests without a name
            with session.get(address, stream=True, timeout=FETCH_SECONDS) as response:
                if not response.ok:
                    status = _escape(f"{response.status_code} {response.reason}")
                    raise ImageError(f"{name} answers {status}: open the address in a browser")
                if response.headers.get("content-type", "").lower().startswith(("text/html", "application/xhtml")):
                    raise ImageError(f"{name} is a web page, not an image: give the address of the image itself")
                while block := response.raw.read1(2**16, decode_content=True):
                    data += block
                    if len(data) > BYTE_LIMIT:
                        raise ImageError(f"{name} is larger than {BYTE_LIMIT >> 20} MB: shrink it first")
                    if time.monotonic() > deadline:
                        raise ImageError(f"{name} takes longer than {FETCH_TOTAL} s: save the image first")
    except requests.TooManyRedirects:
        raise ImageError(f"{name} redirects more than 5 times: give the address of the image itself") from None
    except (requests.Timeout, urllib3.exceptions.TimeoutError):
        raise ImageError(f"{name} sends nothing for {FETCH_SECONDS} s: try again, or save the image first") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        reason = type(error).__name__
        raise ImageError(f"{name} cannot be fetched ({reason}): check the address and the network") from error
    return bytes(data)


def _check_tiles(image: Any) -> None:
    """Raise ImageError for a TIFF with huge tiles: a tile may be larger than the image, and is decoded as a whole."""
    width, height, samples = (image.tag_v2.get(tag, 1) for tag in TILE_TAGS)
    if width * height * samples > 4 * PIXEL_LIMIT:
        raise ImageError(f"has tiles of {width} x {height} px, more than {PIXEL_LIMIT:,}: save it again without tiles")


def _image_from_array(array: npt.NDArray[np.generic]) -> Image.Image:
    """Convert an array of any dtype to 8 bits. Floats whose maximum is at most 1 are scaled from 0..1."""
    if array.size == 0 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ImageError(f"is an array of shape {array.shape}: give (H, W), (H, W, 3) or (H, W, 4)")
    pixels = array.squeeze(2) if array.shape[2:] == (1,) else array
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    elif pixels.dtype != np.uint8:
        factor = 1.0
        if np.issubdtype(pixels.dtype, np.floating):
            factor = 255.0 if max(_finite_max(strip) for strip in _split_strips(pixels)) <= 1.0 else 1.0
        elif pixels.dtype == np.uint16:
            factor = _deep_factor(float(pixels.max()))
        pixels = np.concatenate([_to_uint8(strip, factor) for strip in _split_strips(pixels)])
    return Image.fromarray(np.ascontiguousarray(pixels))


def _deep_factor(maximum: float) -> float:
    """The factor that scales 16 bits to 8. It is 1 if the maximum already fits into 8 bits."""
    return 255.0 / 65535.0 if maximum > 255 else 1.0


def _to_uint8(values: npt.NDArray[Any], factor: float) -> npt.NDArray[np.uint8]:
    """Multiply values by a factor and clip them to 0..255. NaN and infinite values become 0."""
    finite = np.nan_to_num(values.astype(np.float64), copy=False, posinf=0.0, neginf=0.0)
    return (finite * factor).clip(0, 255).astype(np.uint8)


def _finite_max(values: npt.NDArray[Any]) -> float:
    """The largest finite value, at least 0."""
    return float(values.max(initial=0, where=np.isfinite(values)))


def _split_strips(array: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Split an array (H, W, ...) into views of whole rows, of about STRIP px each."""
    rows = max(1, STRIP // array.shape[1])
    return [array[y : y + rows] for y in range(0, len(array), rows)]


def _to_array(image: Image.Image, mode: str) -> npt.NDArray[np.uint8]:
    """Convert an image to "L" (H, W) or "RGB" (H, W, 3), upright, with transparency put on white.

    It is converted strip by strip, because each conversion of Pillow makes a copy of four bytes a pixel or more.
    """
    image.load()
    width, height = image.size
    pixels = np.empty((height, width, 3) if mode == "RGB" else (height, width), np.uint8)
    starts = range(0, height, max(1, STRIP // width))
    strips = [slice(y, min(y + starts.step, height)) for y in starts]

    def crop_strip(rows: slice) -> Image.Image:
        return image.crop((0, rows.start, width, rows.stop))

    if image.mode in DEEP_MODES:
        maximum = max(_finite_max(np.asarray(crop_strip(rows))) for rows in strips)
        factor = 255.0 if image.mode == "F" and maximum <= 1.0 else _deep_factor(maximum)
        for rows in strips:
            grey = _to_uint8(np.asarray(crop_strip(rows)), factor)
            pixels[rows] = grey[..., None] if mode == "RGB" else grey
    elif "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        min_alpha, darkest, brightest = 255, 255, 0
        for rows in strips:
            with_alpha = crop_strip(rows).convert("RGBA")
            alpha = np.asarray(with_alpha.getchannel("A"))
            on_white = Image.alpha_composite(Image.new("RGBA", with_alpha.size, "white"), with_alpha)
            grey = np.asarray(on_white.convert("L"))
            min_alpha = min(min_alpha, int(alpha.min()))
            darkest, brightest = min(darkest, int(grey.min())), max(brightest, int(grey.max()))
            pixels[rows] = grey if mode == "L" else np.asarray(on_white.convert("RGB"))
        # White ink on a transparent background would vanish on white. The alpha channel is then taken for the ink.
        if min_alpha < 128 and brightest - darkest < 16:
            for rows in strips:
                grey = 255 - np.asarray(crop_strip(rows).convert("RGBA").getchannel("A"))
                pixels[rows] = grey[..., None] if mode == "RGB" else grey
    else:
        for rows in strips:
            pixels[rows] = np.asarray(crop_strip(rows).convert(mode))
    return _apply_orientation(pixels, image.getexif().get(ORIENTATION_TAG, 1))


def _apply_orientation(array: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """Rotate and mirror the pixels by their Exif orientation, 1 to 8. Other values change nothing."""
    if orientation in (5, 6, 7, 8):  # rows are stored as columns
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def image_paths(paths: Iterable[str | Path]) -> list[Path]:
    """Expand paths, folders and glob patterns to a list of files, in the order of the arguments.

    A folder expands to the files with one of SUFFIXES in it and in its subfolders, sorted; a pattern to the files that
    match it, sorted, with any suffix. Folders that match a pattern are left out. Any other path is kept, even if it
    does not exist. Raises ImageError for a folder without images or a pattern without matches.
    """
    files: list[Path] = []
    for argument in paths:
        path = Path(argument)
        if path.is_dir():
            images = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            if not images:
                raise ImageError(f"{path} contains no images ({', '.join(SUFFIXES)}): give a folder with images")
            files += images
        elif any(c in str(argument) for c in "*?[") and not path.exists():
            matches = sorted(Path(path.anchor or ".").glob(str(path.relative_to(path.anchor) if path.anchor else path)))
            matched_files = [p for p in matches if p.is_file()]
            if not matched_files:
                raise ImageError(f"no file matches the pattern {argument}: check the path")
            files += matched_files
        else:
            files.append(path)
    return files
