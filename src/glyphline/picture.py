"""Files, bytes and arrays -> pictures, page by page: whatever the format, upright, its limits checked beforehand."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from glyphline.errors import MissingPackage, PictureError

Grey = npt.NDArray[np.uint8]  # (H, W)
Colour = npt.NDArray[np.uint8]  # (H, W, 3), red, green, blue
Source = str | Path | bytes | Image.Image | npt.NDArray[np.generic]

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".jp2", ".avif", ".heic",
    ".heif", ".pdf",
)  # fmt: skip
#: Pillow's readers that a file may reach; others run programs or are rarely mended
FORMATS = ["PNG", "JPEG", "MPO", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF"]
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
PIXEL_LIMIT = 100_000_000  # px of one page, checked before memory is taken
PAGE_LIMIT = 2000  # pages of one file
BYTE_LIMIT = 256 * 2**20  # bytes of one file
PDF_DPI = 200  # px an inch at which a page of a PDF is drawn
PDF_PIXELS = 25_000_000  # px; larger pages are drawn at fewer an inch


def load(source: Source) -> Grey:
    """The first page of a picture as a grey array (H, W); see `Document`."""
    with Document(source) as pages:
        return pages.grey(0)


class Document:
    """The pages of a picture: one of a photograph, any number of a TIFF or PDF, each unpacked when it is asked for.

    source: a path, the bytes of a file, a PIL picture or an array (H, W), (H, W, 3) or (H, W, 4). Pages stand upright,
    transparency is laid on white, ink may be dark or bright. Raises PictureError for what is missing, empty, no
    picture, damaged, locked, or larger than PIXEL_LIMIT, PAGE_LIMIT or BYTE_LIMIT; MissingPackage for HEIC without its
    library.

    >>> len(Document(np.zeros((4, 6), np.uint8)))
    1
    """

    def __init__(self, source: Source) -> None:
        self.name = str(source) if isinstance(source, str | Path) else "the picture"
        self._pdf: Any = None
        self._picture: Any = None
        with self._told():
            if isinstance(source, np.ndarray):
                self._picture = _from_array(source)
            elif isinstance(source, Image.Image):
                self._picture = source
            else:
                self._open(self._bytes_of(source))
        self.count = len(self._pdf) if self._pdf else self._frames()
        if self.count > PAGE_LIMIT:
            raise PictureError(f"{self.name} has {self.count} pages, more than {PAGE_LIMIT}: split it first")

    def __len__(self) -> int:
        return self.count

    def __enter__(self) -> Document:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pdf:
            self._pdf.close()

    def grey(self, number: int) -> Grey:
        """Page `number`, from 0, as (H, W)."""
        with self._told(number):
            return _grey(self._page(number))

    def colour(self, number: int) -> Colour:
        """Page `number`, from 0, as (H, W, 3)."""
        with self._told(number):
            return _colour(self._page(number))

    @contextmanager
    def _told(self, number: int = 0) -> Iterator[None]:
        """What the libraries raise, as one line that says which file and page it was."""
        where = f"page {number + 1} of {self.name}" if number else self.name
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's remarks on sizes and damaged tags; the limits here are ours
                yield
        except UnidentifiedImageError:
            raise PictureError(f"{where} is no picture glyphline knows: give one of {', '.join(SUFFIXES)}") from None
        except PictureError as error:
            raise PictureError(f"{where} {error}") from None
        except (OSError, SyntaxError, ValueError, TypeError, LookupError, Image.DecompressionBombError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise PictureError(f"{where} cannot be opened ({reason}): save it again as PNG or JPEG") from None

    @staticmethod
    def _bytes_of(source: str | Path | bytes) -> bytes:
        if not isinstance(source, bytes):
            if str(source).startswith(("http://", "https://")):
                raise PictureError("is an address, not a file: save the picture first")
            if not Path(source).is_file():
                raise PictureError("is not there, or is no file: give the path of a picture")
            if Path(source).stat().st_size > BYTE_LIMIT:
                raise PictureError(f"is larger than {BYTE_LIMIT >> 20} MB: shrink it first")
            source = Path(source).read_bytes()
        if not source:
            raise PictureError("is empty (0 bytes): save or copy it again")
        return source

    def _open(self, data: bytes) -> None:
        if b"%PDF-" in data[:1024]:
            self._pdf = _open_pdf(data)
            return
        Image.init()  # all of Pillow's readers, of which some are otherwise not yet known by name
        formats = [known for known in FORMATS if known in Image.OPEN]
        if data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS:
            if find_spec("pillow_heif") is None:
                raise MissingPackage("pillow-heif", "photo", "reading HEIC pictures")
            import pillow_heif

            pillow_heif.register_heif_opener()
            formats.append("HEIF")
        self._picture = Image.open(io.BytesIO(data), formats=formats)

    def _frames(self) -> int:
        """Pages of a TIFF; the frames of a moving picture are none."""
        with self._told():
            return int(self._picture.n_frames) if self._picture.format == "TIFF" else 1

    def _page(self, number: int) -> Image.Image:
        if not 0 <= number < self.count:
            raise PictureError(f"is not there: {self.name} has {self.count} pages")
        if self._pdf:
            return _drawn(self._pdf, number)
        picture: Image.Image = self._picture
        if picture.format == "TIFF":
            picture.seek(number)
        if min(picture.size) == 0:
            raise PictureError("has no pixels")
        if picture.width * picture.height > PIXEL_LIMIT:
            raise PictureError(
                f"has {picture.width} x {picture.height} px, more than {PIXEL_LIMIT:,}: shrink or cut it first"
            )
        return ImageOps.exif_transpose(picture) or picture


def _open_pdf(data: bytes) -> Any:
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise PictureError("is locked with a password: save it without one") from None
        raise PictureError(f"is no whole PDF ({error}): save or copy it again") from None


def _drawn(pdf: Any, number: int) -> Image.Image:
    """A page of a PDF at PDF_DPI, or as many px an inch as PDF_PIXELS allow."""
    import pypdfium2

    try:
        page = pdf[number]
        wide, tall = page.get_size()  # points, 72 an inch
        scale = min(PDF_DPI / 72, (PDF_PIXELS / max(1.0, wide * tall)) ** 0.5)
        if wide * scale < 1 or tall * scale < 1:
            raise PictureError(f"measures {wide:g} x {tall:g} points: nothing can be drawn of it")
        picture: Image.Image = page.render(scale=scale).to_pil()
    except pypdfium2.PdfiumError as error:
        raise PictureError(f"cannot be drawn ({error}): save or copy the PDF again") from None
    return picture


def _from_array(array: npt.NDArray[np.generic]) -> Image.Image:
    if array.size == 0 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise PictureError(f"is an array of shape {array.shape}: give (H, W), (H, W, 3) or (H, W, 4)")
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    elif np.issubdtype(array.dtype, np.floating):
        finite = np.nan_to_num(array)
        array = (finite * (255.0 if finite.max() <= 1.0 else 1.0)).clip(0, 255).astype(np.uint8)
    elif array.dtype == np.uint16:
        array = _from_deep(array)
    flat = array.squeeze(2) if array.shape[2:] == (1,) else array
    return Image.fromarray(np.ascontiguousarray(np.clip(flat.astype(np.int64), 0, 255).astype(np.uint8)))


def _from_deep(values: npt.NDArray[Any]) -> Grey:
    """16-bit or floating greys as 8 bit; values that fit into 8 bits already are kept."""
    finite = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
    top = 65535.0 if finite.max(initial=0) > 255 else 255.0
    return (finite * (255.0 / top)).clip(0, 255).astype(np.uint8)


def _shown(picture: Image.Image) -> Image.Image:
    """The picture in 8 bits without transparency, in a mode that Pillow can turn into grey and colour."""
    if picture.mode in ("I;16", "I;16B", "I;16L", "I;16N", "I", "F"):
        return Image.fromarray(_from_deep(np.asarray(picture)))
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture
    with_alpha = picture.convert("RGBA")
    alpha = np.asarray(with_alpha.getchannel("A"))
    on_white = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), with_alpha)
    # White ink on a transparent ground would vanish on white: then the alpha itself is the ink.
    if alpha.min() < 128 and np.ptp(np.asarray(on_white.convert("L"))) < 16:
        return Image.fromarray(255 - alpha)
    return on_white


def _grey(picture: Image.Image) -> Grey:
    return np.asarray(_shown(picture).convert("L"))


def _colour(picture: Image.Image) -> Colour:
    return np.asarray(_shown(picture).convert("RGB"))


def pictures_in(paths: Iterable[str | Path]) -> list[Path]:
    """Paths, folders and globs as a list of files in order; a folder gives its pictures.

    Raises PictureError for a folder without pictures or a pattern that fits none.
    """
    found: list[Path] = []
    for given in paths:
        path = Path(given)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
            if not inside:
                raise PictureError(f"{path} holds no pictures ({', '.join(SUFFIXES)})")
            found += inside
        elif any(c in str(given) for c in "*?[") and not path.exists():
            matches = sorted(Path(path.anchor or ".").glob(str(path.relative_to(path.anchor) if path.anchor else path)))
            if not matches:
                raise PictureError(f"no file fits the pattern {given}")
            found += [p for p in matches if p.is_file()]
        else:
            found.append(path)
    return found
