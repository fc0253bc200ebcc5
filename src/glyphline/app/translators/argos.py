"""Argos packages (LibreTranslate's models) by ctranslate2 and sentencepiece: folders and .argosmodel files.

A package has metadata.json, sentencepiece.model and the folder model/ with a Transformer for ctranslate2. It is read
from $ARGOS_PACKAGES_DIR or ~/.local/share/argos-translate/packages, where Argos Translate keeps its packages.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from glyphline.app.translators.contract import Pair, Progress, Translation
from glyphline.errors import DataError, MissingPackage, UserError

SUFFIX = ".argosmodel"
MAX_FILES = 200  # of a package; real ones have about ten
MAX_BYTES = 2_000_000_000  # unpacked; real packages have 80 to 500 MB
MAX_METADATA_BYTES = 1_000_000
BEAM_SIZE = 4
LENGTH_PENALTY = 0.2  # as Argos Translate sets it


@dataclass(frozen=True)
class Package:
    """An unpacked package, or a .argosmodel file that is not unpacked yet."""

    source: str  # BCP 47 code
    target: str
    path: Path
    target_prefix: str = ""  # token that a model of several languages wants at the start of its output

    @property
    def bytes(self) -> int:
        paths = [self.path] if self.path.is_file() else self.path.rglob("*")
        return sum(path.stat().st_size for path in paths if path.is_file())


def packages_folder() -> Path:
    """The folder of Argos Translate's packages; it may not exist."""
    default = Path.home() / ".local" / "share" / "argos-translate" / "packages"
    return Path(os.environ.get("ARGOS_PACKAGES_DIR") or default)


def find_packages() -> dict[tuple[str, str], Package]:
    """(source, target) -> the package of each pair. Damaged packages are left out. A folder comes before a file."""
    packages: dict[tuple[str, str], Package] = {}
    folder = packages_folder()
    paths = sorted(folder.iterdir(), key=lambda path: (path.is_file(), path.name)) if folder.is_dir() else []
    for path in paths:
        try:
            package = read_package(path)
        except DataError:
            continue
        packages.setdefault((package.source, package.target), package)
    return packages


def read_package(path: Path) -> Package:
    """Read what a package translates. Raises DataError if the folder or the file is no package."""
    try:
        if path.is_dir():
            if (path / "metadata.json").stat().st_size > MAX_METADATA_BYTES:
                raise DataError(f"{path}: its metadata.json is too large")
            text = (path / "metadata.json").read_text(encoding="utf-8")
        elif path.suffix == SUFFIX:
            with zipfile.ZipFile(path) as archive:
                root = _check_archive(path, archive)
                text = archive.read(f"{root}/metadata.json").decode()
        else:
            raise DataError(f"{path} is no Argos package: it has to be a folder or a file *{SUFFIX}")
        metadata = json.loads(text)
        prefix = metadata.get("target_prefix") or ""
        return Package(str(metadata["from_code"]), str(metadata["to_code"]), path, str(prefix))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is no Argos package ({error})") from None


def _check_archive(path: Path, archive: zipfile.ZipFile) -> str:
    """Return the root folder of a package. Raises DataError for paths outside it, or too many or too large files."""
    members = archive.infolist()
    parts = [PurePosixPath(member.filename.replace("\\", "/")) for member in members]
    roots = {part.parts[0] if part.parts else "" for part in parts}
    if len(roots) != 1 or any(part.is_absolute() or ".." in part.parts for part in parts) or "" in roots:
        raise DataError(f"{path} is no Argos package: its files have to lie in one folder")
    if any((member.external_attr >> 16) & 0o170000 == 0o120000 for member in members):
        raise DataError(f"{path} is no Argos package: it holds a link")
    if len(members) > MAX_FILES or sum(member.file_size for member in members) > MAX_BYTES:
        raise DataError(f"{path} is too large for an Argos package: at most {MAX_FILES} files, {MAX_BYTES / 1e9:g} GB")
    root = roots.pop()
    for member, part in zip(members, parts, strict=True):
        if part.as_posix() == f"{root}/metadata.json" and member.file_size > MAX_METADATA_BYTES:
            raise DataError(f"{path}: its metadata.json is too large")
    return root


def unpack(path: Path) -> Path:
    """Unpack a .argosmodel file beside itself, whole or not at all, and return the folder.

    Raises DataError for a damaged file and for one whose content would leave the folder or exceed the limits.
    """
    folder, partial = path.with_suffix(""), path.with_name(path.name + ".part")
    if folder.is_dir():
        return folder
    try:
        with zipfile.ZipFile(path) as archive:
            root = _check_archive(path, archive)
            archive.extractall(partial)  # names were checked; sizes are enforced by zipfile
        os.replace(partial / root, folder)
    except (OSError, zipfile.BadZipFile, EOFError, RuntimeError) as error:
        raise DataError(f"{path} cannot be unpacked ({error})") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


@dataclass(frozen=True)
class _Model:
    """A loaded package. ctranslate2 and sentencepiece may be used by several threads."""

    translator: Any
    tokenizer: Any
    target_prefix: str

    def translate(self, sentences: Sequence[str]) -> list[str]:
        prefix = [[self.target_prefix]] * len(sentences) if self.target_prefix else None
        tokens = [self.tokenizer.encode(sentence, out_type=str) for sentence in sentences]
        results = self.translator.translate_batch(
            tokens,
            target_prefix=prefix,
            beam_size=BEAM_SIZE,
            patience=2,
            length_penalty=LENGTH_PENALTY,
            replace_unknowns=True,
            max_batch_size=32,
        )
        hypotheses = [result.hypotheses[0] for result in results]
        if self.target_prefix:
            hypotheses = [tokens[1:] if tokens[:1] == [self.target_prefix] else tokens for tokens in hypotheses]
        return ["".join(tokens).replace("▁", " ").strip() for tokens in hypotheses]


_loading = threading.Lock()


@lru_cache(maxsize=4)
def _load_model(package: Package) -> _Model:
    """Load a package. Raises MissingPackage, and DataError for a damaged one or one with another tokenizer."""
    for name in ("ctranslate2", "sentencepiece"):
        if find_spec(name) is None:
            raise MissingPackage(name, "argos", "translating with Argos packages")
    import ctranslate2
    import sentencepiece

    folder = package.path if package.path.is_dir() else unpack(package.path)
    if not (folder / "sentencepiece.model").is_file():
        raise DataError(f"{folder} has no sentencepiece.model: glyphline reads no packages with another tokenizer")
    try:
        tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(folder / "sentencepiece.model"))
        translator = ctranslate2.Translator(str(folder / "model"), device="cpu", inter_threads=1)
    except (RuntimeError, ValueError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"the Argos package {folder} is damaged ({reason}): install it again") from None
    return _Model(translator, tokenizer, package.target_prefix)


class Argos:
    """Translates with the Argos packages of this machine."""

    name: ClassVar[str] = "argos"
    is_gist: ClassVar[bool] = False
    pivots: ClassVar[bool] = True

    def pairs(self) -> list[Pair]:
        if find_spec("ctranslate2") is None or find_spec("sentencepiece") is None:
            return []
        found = find_packages()
        return [Pair(*codes, self.name, True, package.bytes / 1e6) for codes, package in found.items()]

    def translate(self, sentences: Sequence[str], source: str, target: str) -> list[Translation | None]:
        with _loading:  # so that two threads do not load a model twice
            model = _load_model(find_packages()[source, target])
        return [Translation(text) for text in model.translate(sentences)]

    def install(self, source: str, target: str, on_progress: Progress | None) -> None:
        raise UserError(f"put the Argos package of {source} and {target} (*{SUFFIX}) into {packages_folder()}")

    def remove(self, source: str, target: str) -> bool:
        package = find_packages().get((source, target))
        if package is None:
            return False
        _load_model.cache_clear()
        if package.path.is_dir():
            shutil.rmtree(package.path)
            package = Package(source, target, package.path.with_name(package.path.name + SUFFIX))
        package.path.unlink(missing_ok=True)
        return True
