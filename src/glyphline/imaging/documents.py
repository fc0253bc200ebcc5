"""Files, bytes and arrays -> images, page by page: whatever the format, upright, its limits checked beforehand.

What is damaged or hostile ends in one line that names it, in seconds, and the memory of the process stays below 1.5 GB.
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
#: Pillow's readers that a file may reach; others run programs or are rarely mended
FORMATS = ["PNG", "JPEG", "MPO", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF"]
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
PIXEL_LIMIT = 60_000_000  # px of one page, checked before memory is taken
LIMITS = {"JPEG2000": 40_000_000}  # px, where the decoder takes more memory than others
LARGE = 4_000_000  # px; larger pages are not kept unpacked, but unpacked again when asked for again
PAGE_LIMIT = 2000  # pages of one file
BYTE_LIMIT = 256 * 2**20  # bytes of one file
SECONDS = 10  # for opening a file, and for unpacking each page
READS = 2_000_000  # times a decoder may ask for more of a file; of many tiny parts it keeps a record of each
STRIP = 2**20  # px that are turned into 8 bits at a time
DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")  # Pillow's modes of one channel of more than 8 bits
ORIENTATION = 0x0112  # Exif's tag
TILES = 322, 323, 277  # TIFF's tags: width and height of a tile, samples of a pixel
URL_SCHEMES = ("http://", "https://")
FETCH_SECONDS = 20  # without a byte
FETCH_TOTAL = 120  # seconds for all of an image


def load(source: ImageSource) -> GreyImage:
    """The first page of an image as a grey array (H, W); see `Document`."""
    with Document(source) as pages:
        return pages.grey(0)


class Document:
    """The pages of an image: one of a photograph, any number of a TIFF or PDF, each unpacked when it is asked for.

    source: a path, the bytes of a file, a PIL image or an array (H, W), (H, W, 3) or (H, W, 4). Pages stand upright,
    transparency is laid on white, ink may be dark or bright. Raises ImageError for what is missing, empty, no
    image, damaged, locked, or larger than PIXEL_LIMIT, PAGE_LIMIT or BYTE_LIMIT; MissingPackage for HEIC without its
    library.

    >>> len(Document(np.zeros((4, 6), np.uint8)))
    1
    """

    def __init__(self, source: ImageSource) -> None:
        self.name = _printable(str(source)) if isinstance(source, str | Path) else "the image"
        self._pdf: Pdf | None = None
        self._picture: Any = None
        self._file: _File | None = None
        self._formats: list[str] = []
        with self._told():
            if isinstance(source, np.ndarray):
                self._picture = _from_array(source)
            elif isinstance(source, Image.Image):
                self._picture = source
            else:
                self._open(_bytes_of(source))
            self.count = self._pdf.count if self._pdf else self._frames()
            if self.count > PAGE_LIMIT:
                raise ImageError(f"has more than {PAGE_LIMIT} pages: split it first")

    def __len__(self) -> int:
        return self.count

    def __enter__(self) -> Document:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pdf:
            self._pdf.close()

    def where(self, number: int) -> str:
        """What page `number`, from 0, is called in what is said of it.

        >>> Document(np.zeros((4, 6), np.uint8)).where(1)
        'page 2 of the image'
        """
        return f"page {number + 1} of {self.name}" if number else self.name

    def grey(self, number: int) -> GreyImage:
        """Page `number`, from 0, as (H, W)."""
        with self._told(number):
            return self._shown(number, "L")

    def colour(self, number: int) -> ColourImage:
        """Page `number`, from 0, as (H, W, 3)."""
        with self._told(number):
            return self._shown(number, "RGB")

    @contextmanager
    def _told(self, number: int = 0) -> Iterator[None]:
        """What the libraries raise, as one line that says which file and page it was."""
        where = self.where(number)
        if self._file:
            self._file.until = time.monotonic() + SECONDS
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's remarks on sizes and damaged tags; the limits here are ours
                yield
        except ImageError as error:
            raise ImageError(f"{where} {error}") from None
        except GlyphlineError:
            raise
        except UnidentifiedImageError:
            raise ImageError(f"{where} is no image glyphline knows: give one of {', '.join(SUFFIXES)}") from None
        except Image.DecompressionBombError:
            raise ImageError(f"{where} has more than {PIXEL_LIMIT:,} px: shrink or cut it first") from None
        except MemoryError:
            raise ImageError(f"{where} needs more memory than there is: shrink or cut it first") from None
        except Exception as error:  # a damaged file leads its decoder anywhere
            reason = _printable(str(error).partition("\n")[0]) or type(error).__name__
            raise ImageError(f"{where} cannot be opened ({reason}): save it again as PNG or JPEG") from error

    def _open(self, data: bytes) -> None:
        if b"%PDF-" in data[:1024]:
            self._pdf = Pdf(data)
            return
        Image.init()  # all of Pillow's readers, of which some are otherwise not yet known by name
        self._formats = [known for known in FORMATS if known in Image.OPEN]
        if data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS:
            if find_spec("pillow_heif") is None:
                raise MissingPackage("pillow-heif", "photo", "reading HEIC images")
            import pillow_heif

            pillow_heif.register_heif_opener()
            self._formats.append("HEIF")
        self._file = _File(data)
        self._reopen()

    def _reopen(self) -> None:
        assert self._file
        self._picture = Image.open(self._file, formats=self._formats)
        self._picture.decodermaxblock = _File.BLOCK

    def _frames(self) -> int:
        """Pages of a TIFF, at most one more than may be; the frames of a moving image are none."""
        count = 1
        while self._picture.format == "TIFF" and count <= PAGE_LIMIT:  # n_frames walks through millions
            try:
                self._picture.seek(count)
            except EOFError:
                break
            except Exception:  # told when this page is asked for; those behind it are lost
                return count + 1
            count += 1
        return count

    def _shown(self, number: int, mode: str) -> npt.NDArray[np.uint8]:
        image = self._page(number)
        shown = _pixels(image, mode)
        if self._file and image.width * image.height > LARGE:
            del image
            self._reopen()
        return shown

    def _page(self, number: int) -> Image.Image:
        if not 0 <= number < self.count:
            raise ImageError(f"is not there: {self.name} has {self.count} pages")
        if self._pdf:
            width, height, pixels = self._pdf.page(number)
            return Image.frombuffer("RGB", (width, height), pixels)
        image: Image.Image = self._picture
        if image.format == "TIFF":
            image.seek(number)
            _check_tiles(image)
        if min(image.size) == 0:
            raise ImageError("has no pixels")
        limit = LIMITS.get(image.format or "", PIXEL_LIMIT)
        if image.width * image.height > limit:
            raise ImageError(f"has {image.width} x {image.height} px, more than {limit:,}: shrink or cut it first")
        return image


class _File(io.BytesIO):
    """The bytes of a file, given out until `until`: decoders that are kept busy by few bytes cannot be interrupted."""

    BLOCK = 8192  # bytes; of a JPEG's scans, each a walk over the whole image, so many hold a hundred

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.until = time.monotonic() + SECONDS
        self.reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        if time.monotonic() > self.until:
            raise ImageError(f"takes longer than {SECONDS} s to unpack: save it again as PNG or JPEG")
        self.reads += 1
        if self.reads > READS:
            raise ImageError("is made of too many small parts: save it again as PNG or JPEG")
        return super().read(size)


def _printable(text: str) -> str:
    """The text on one line, without what a terminal would act on or cannot show."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def _bytes_of(source: str | Path | bytes) -> bytes:
    if not isinstance(source, bytes):
        if str(source).lower().startswith(URL_SCHEMES):
            raise ImageError("is an address, not a file: save the image first, or read it with --allow-urls")
        try:
            there = Path(source).stat()
            if not stat.S_ISREG(there.st_mode):  # a folder, or a pipe or device, which might never end
                raise ImageError("is no file: give the path of an image")
            if there.st_size > BYTE_LIMIT:
                raise ImageError(f"is larger than {BYTE_LIMIT >> 20} MB: shrink it first")
            with Path(source).open("rb") as file:
                source = file.read(BYTE_LIMIT)
        except FileNotFoundError:
            raise ImageError("is not there: give the path of an image") from None
        except (OSError, ValueError) as error:  # ValueError: a name with \0 in it
            reason = getattr(error, "strerror", None) or error
            raise ImageError(f"cannot be read ({reason}): give the path of an image you may read") from None
    if not source:
        raise ImageError("is empty (0 bytes): save or copy it again")
    return source


def fetch(address: str) -> bytes:
    """The bytes behind an address, http or https.

    Raises ImageError when nothing answers, when what answers is no image but a web page, and beyond BYTE_LIMIT,
    FETCH_SECONDS or FETCH_TOTAL.
    """
    import requests
    import urllib3

    name = _printable(address)
    if not address.lower().startswith(URL_SCHEMES):
        raise ImageError(f"{name} is no address: give one that starts with http:// or https://")
    until = time.monotonic() + FETCH_TOTAL
    data = bytearray()
    try:
        with requests.Session() as session:
            session.max_redirects = 5
            session.headers["User-Agent"] = "glyphline"  # without a name some refuse
            with session.get(address, stream=True, timeout=FETCH_SECONDS) as answer:
                if not answer.ok:
                    said = _printable(f"{answer.status_code} {answer.reason}")
                    raise ImageError(f"{name} answers {said}: look at the address in a browser")
                if answer.headers.get("content-type", "").lower().startswith(("text/html", "application/xhtml")):
                    raise ImageError(f"{name} is a web page, not an image: give the address of the image itself")
                while part := answer.raw.read1(2**16, decode_content=True):
                    data += part
                    if len(data) > BYTE_LIMIT:
                        raise ImageError(f"{name} is larger than {BYTE_LIMIT >> 20} MB: shrink it first")
                    if time.monotonic() > until:
                        raise ImageError(f"{name} takes longer than {FETCH_TOTAL} s: save the image first")
    except requests.TooManyRedirects:
        raise ImageError(f"{name} is passed on more than 5 times: give the address of the image itself") from None
    except (requests.Timeout, urllib3.exceptions.TimeoutError):
        raise ImageError(f"{name} says nothing for {FETCH_SECONDS} s: try again, or save the image first") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        reason = type(error).__name__
        raise ImageError(f"{name} cannot be fetched ({reason}): check the address and the network") from error
    return bytes(data)


def _check_tiles(image: Any) -> None:
    """A TIFF's tiles may be far larger than the image, and each is unpacked whole."""
    wide, tall, samples = (image.tag_v2.get(tag, 1) for tag in TILES)
    if wide * tall * samples > 4 * PIXEL_LIMIT:
        raise ImageError(f"has tiles of {wide} x {tall} px, more than {PIXEL_LIMIT:,}: save it again without tiles")


def _from_array(array: npt.NDArray[np.generic]) -> Image.Image:
    if array.size == 0 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ImageError(f"is an array of shape {array.shape}: give (H, W), (H, W, 3) or (H, W, 4)")
    flat = array.squeeze(2) if array.shape[2:] == (1,) else array
    if flat.dtype == np.bool_:
        flat = flat.astype(np.uint8) * np.uint8(255)
    elif flat.dtype != np.uint8:
        factor = 1.0
        if np.issubdtype(flat.dtype, np.floating):
            factor = 255.0 if max(_top(part) for part in _strips(flat)) <= 1.0 else 1.0
        elif flat.dtype == np.uint16:
            factor = _deep_factor(float(flat.max()))
        flat = np.concatenate([_eight_bits(part, factor) for part in _strips(flat)])
    return Image.fromarray(np.ascontiguousarray(flat))


def _deep_factor(top: float) -> float:
    """What greys of more than 8 bits are multiplied by: 16 bits become 8, values that fit into 8 already are kept."""
    return 255.0 / 65535.0 if top > 255 else 1.0


def _eight_bits(values: npt.NDArray[Any], factor: float) -> npt.NDArray[np.uint8]:
    """Values times a factor, cut to 0..255; what is no number or infinite is 0."""
    finite = np.nan_to_num(values.astype(np.float64), copy=False, posinf=0.0, neginf=0.0)
    return (finite * factor).clip(0, 255).astype(np.uint8)


def _top(values: npt.NDArray[Any]) -> float:
    """The largest finite value, or 0."""
    return float(values.max(initial=0, where=np.isfinite(values)))


def _strips(array: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """An array (H, W, ...) as views of about STRIP px each."""
    rows = max(1, STRIP // array.shape[1])
    return [array[y : y + rows] for y in range(0, len(array), rows)]


def _pixels(image: Image.Image, mode: str) -> npt.NDArray[np.uint8]:
    """The image as "L" (H, W) or "RGB" (H, W, 3), upright, transparency laid on white; strip by strip, since Pillow's
    conversions each take a copy of four bytes a pixel or more.
    """
    image.load()
    wide, tall = image.size
    out = np.empty((tall, wide, 3) if mode == "RGB" else (tall, wide), np.uint8)
    starts = range(0, tall, max(1, STRIP // wide))
    strips = [slice(y, min(y + starts.step, tall)) for y in starts]

    def strip(rows: slice) -> Image.Image:
        return image.crop((0, rows.start, wide, rows.stop))

    if image.mode in DEEP:
        top = max(_top(np.asarray(strip(rows))) for rows in strips)
        factor = 255.0 if image.mode == "F" and top <= 1.0 else _deep_factor(top)
        for rows in strips:
            grey = _eight_bits(np.asarray(strip(rows)), factor)
            out[rows] = grey[..., None] if mode == "RGB" else grey
    elif "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        thinnest, darkest, brightest = 255, 255, 0
        for rows in strips:
            with_alpha = strip(rows).convert("RGBA")
            alpha = np.asarray(with_alpha.getchannel("A"))
            on_white = Image.alpha_composite(Image.new("RGBA", with_alpha.size, "white"), with_alpha)
            grey = np.asarray(on_white.convert("L"))
            thinnest = min(thinnest, int(alpha.min()))
            darkest, brightest = min(darkest, int(grey.min())), max(brightest, int(grey.max()))
            out[rows] = grey if mode == "L" else np.asarray(on_white.convert("RGB"))
        # White ink on a transparent ground would vanish on white: then the alpha itself is the ink.
        if thinnest < 128 and brightest - darkest < 16:
            for rows in strips:
                grey = 255 - np.asarray(strip(rows).convert("RGBA").getchannel("A"))
                out[rows] = grey[..., None] if mode == "RGB" else grey
    else:
        for rows in strips:
            out[rows] = np.asarray(strip(rows).convert(mode))
    return _upright(out, image.getexif().get(ORIENTATION, 1))


def _upright(array: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """The pixels as Exif's orientation says they are to be shown."""
    if orientation in (5, 6, 7, 8):  # its rows are columns
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def image_paths(paths: Iterable[str | Path]) -> list[Path]:
    """Paths, folders and globs as a list of files in order; a folder gives its images, those of its folders too.

    Raises ImageError for a folder without images or a pattern that fits none.
    """
    found: list[Path] = []
    for given in paths:
        path = Path(given)
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            if not inside:
                raise ImageError(f"{path} holds no images ({', '.join(SUFFIXES)})")
            found += inside
        elif any(c in str(given) for c in "*?[") and not path.exists():
            matches = sorted(Path(path.anchor or ".").glob(str(path.relative_to(path.anchor) if path.anchor else path)))
            if not matches:
                raise ImageError(f"no file fits the pattern {given}")
            found += [p for p in matches if p.is_file()]
        else:
            found.append(path)
    return found
