"""Fetch public data sets: resume interrupted downloads, verify every file, install only complete and verified files.

    fetch("emnist")       <data>/emnist/gzip/emnist-*-ubyte.gz and the mapping files
    fetch("wikisplit")    <data>/wikisplit/test.tsv, tune.tsv, validation.tsv; train.tsv if parts=["train"]

To add a data set: a `Dataset` with its addresses and the sizes and sha256 of its files, and a row in DATASETS.
An address that ends in "/" is a folder that holds the files one by one. Any other address is a zip that holds them.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import urlsplit

from glyphline.errors import DataError, name_first, nearest
from glyphline.files import DISK_FULL, replace_atomically

# pooch, requests and rich are imported where they are used, so that a call of data_folder() stays cheap.

CHUNK_SIZE = 1 << 16  # bytes; a lost connection costs at most one chunk
TIMEOUT = (15.0, 60.0)  # seconds to connect, seconds between two reads
MAX_ATTEMPTS = 20  # requests to one address; after each lost connection the part must have grown
MAX_FILE_SIZE = 4 << 30  # bytes; larger than any file here, ends a response that never ends
MAX_MAPPING_SIZE = 1 << 16  # bytes; limit of the mapping files, which have no checksum
HEAD_SIZE = 64  # bytes; enough to tell a zip from a web page
ZIP_SIGNATURE = b"PK\x03\x04"
# what zipfile raises for damaged data; RuntimeError: the zip needs a password or an unknown compression method
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError, RuntimeError)


@dataclass(frozen=True)
class DatasetFile:
    """One file of a data set, as it is installed in the data folder."""

    name: str
    part: str  # the part of the data set that the file belongs to
    size: int | None = None  # bytes; None: unknown
    sha256: str | None = None  # None: unknown, the content is not verified
    zip_name: str | None = None  # name of the zip that holds only this file at a folder address; None: not zipped
    optional: bool = False  # the source may lack the file

    @property
    def max_size(self) -> int:
        """Maximum number of bytes to read for the file."""
        return self.size or (MAX_MAPPING_SIZE if self.optional else MAX_FILE_SIZE)


@dataclass(frozen=True)
class Dataset:
    """One data set: its addresses, its files and its folder."""

    folder: str  # relative to the data folder
    urls: tuple[str, ...]  # tried in this order
    files: tuple[DatasetFile, ...]
    default_parts: tuple[str, ...]  # fetched if no parts are requested
    zip_md5: str | None = None  # of the official zip; only reported in errors, the sha256 of the files decide
    terms: str = ""  # the licence and what to cite; reported after each fetch

    def select_files(self, parts: Sequence[str] | None) -> list[DatasetFile]:
        """The files of some parts; None selects the default parts. Raises DataError for an unknown part."""
        selected = (parts,) if isinstance(parts, str) else self.default_parts if parts is None else tuple(parts)
        known_parts = {file.part for file in self.files}
        for part in selected:
            if part not in known_parts:
                raise DataError(f'unknown part "{part}": {nearest(part, known_parts)}')
        return [file for file in self.files if file.part in selected]


EMNIST_FILES = """\
balanced-test-images-idx3    4714707 117fc12b015e37ea98bfb2cbba3f77c3782c056cdbd219b87abfc8661d7135db
balanced-test-labels-idx1      13504 a67cac948379b67270b9a4d0a01c8ec661598accf2f2b1964340b7c83cb175cd
balanced-train-images-idx3  28207740 74295e75e4e9fa2c102147460ee7eb763653d5132d883a84fb88932bfb8d2db4
balanced-train-labels-idx1     80618 b46d41e5156a0a8aaaa4d18979fdd1588850fa8571018acffd5d93b325a7d6ed
byclass-test-images-idx3    28908322 5ec835bd5d5b1a66378a132e727fef20fe994b3cc666899befcca5ac766f50cd
byclass-test-labels-idx1       81839 501e305eeeacb093b162592d80e8a2632040872360fa6d85cfcb2200d91ca92a
byclass-train-images-idx3  173367313 9e21987f03a6eb8b870187e785883ddad96947299587908f1a7ec2ca0f4be5f0
byclass-train-labels-idx1     491603 f7ef403d48dc18a89dae0d83d11ee69cecb6e1c12c3a961d03712e495c02a8fa
bymerge-test-images-idx3    28905295 5e5815ec1b522089134435f7c55e75a00960b58414793593ffff23efc0821683
bymerge-test-labels-idx1       79351 8bda1516255683ba9071e141947ca0c91a911176065cdd6259b0b4d8dc5b5f35
bymerge-train-images-idx3  173375281 39bf8c68037dad40db35348895f7e4e056e8c0a005ab78869c9fbc2c96e947be
bymerge-train-labels-idx1     476444 2c47293b9e62d6abf6ad05fbf67e40baa32adfd380b8d7b44dcc35534b64e1f1
digits-test-images-idx3      9908519 20ebe43509264f7639d37c835a3f0b009e90b29e00a099a03101abe1644a3f63
digits-test-labels-idx1        19960 bad1834c45d5988e270b99d43b13edc3fd898f658ffbc2caf2846ef27f7b05b0
digits-train-images-idx3    59515779 f7c95004d14d81af89522e67d8f0c781dfb3bd544181c81bfe1eb6b41c35b726
digits-train-labels-idx1      113859 6638a6ff5fe2eefd9cca2471995b46c82986b8e4b2a70d2f5ce8e05d7edb319e
letters-test-images-idx3     5039157 50f0e93d75b99b463e9760b8345866f22587fa2c2fba472730a5ba09c693412d
letters-test-labels-idx1         144 924955c31fe7fd809b7303b5c0141282955f4b8390c74cdfd5d80435e0f4b4cb
letters-train-images-idx3   30804864 6288f418a917e007bf5fddb823a2dc7a5c6a35031401b93292a539cb12bd881f
letters-train-labels-idx1      79283 9759af91ea6bccdf07a6040fd085861f2ec88e37f7c3f5760f6feb57106fbe5c
mnist-test-images-idx3       2484884 b25640fa9e356c618132f5df347c95ef5bae6d9c2596be1de40f7e0ae1c3eac6
mnist-test-labels-idx1          5144 bcc5385d38f083dba046f5f756e99b32f5ea7fad122c6243c71c2239873065ca
mnist-train-images-idx3     14873795 5f9942f441031c0f1f2e4d162059fd6e19ea808b34c328b6d16cab0ed24c78f2
mnist-train-labels-idx1        29480 00c6d3c2342fdffb1711e0b5656cac4ce5862d2826399d383a9bac07d612e9f8
"""
EMNIST_PARTS = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")


def _list_emnist_files() -> tuple[DatasetFile, ...]:
    files = []
    for line in EMNIST_FILES.splitlines():
        stem, size, sha256 = line.split()
        files.append(DatasetFile(f"emnist-{stem}-ubyte.gz", stem.split("-")[0], int(size), sha256))
    mappings = [DatasetFile(f"emnist-{part}-mapping.txt", part, optional=True) for part in EMNIST_PARTS]
    return (*files, *mappings)


WIKISPLIT_SHA256 = {
    "test": "88c3eff253f7ff3fcce9370bb54f750bc35f646c1b6d2a45df2b993c96670f7f",
    "tune": "67118f483438fc9f0ba12e63dc37f0eeff8bbad1873157509ced7e3e46582312",
    "validation": "63931ff45b7d95d60480bdcd466d69894fc02a0ec975cab8d0955e9b8cceb922",
}


DATASETS: dict[str, Dataset] = {
    "emnist": Dataset(
        folder="emnist/gzip",
        urls=(
            "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
            "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/gzip.zip",  # the former official address
        ),
        files=_list_emnist_files(),
        default_parts=EMNIST_PARTS,
        zip_md5="58c8d27c78d21e728a6bc7b3cc06412e",
        terms="EMNIST, from NIST Special Database 19; cite arXiv:1702.05373",
    ),
    "wikisplit": Dataset(
        folder="wikisplit",
        urls=("https://raw.githubusercontent.com/google-research-datasets/wiki-split/master/",),
        files=(
            *(DatasetFile(f"{part}.tsv", part, sha256=sha256) for part, sha256 in WIKISPLIT_SHA256.items()),
            DatasetFile("train.tsv", "train", zip_name="train.tsv.zip"),
        ),
        default_parts=tuple(WIKISPLIT_SHA256),
        terms="WikiSplit, CC BY-SA 4.0; cite arXiv:1808.09468",
    ),
}


def data_folder() -> Path:
    """The folder that holds fetched data: `$GLYPHLINE_DATA` if it is set, otherwise the platform's cache folder."""
    if folder := os.environ.get("GLYPHLINE_DATA"):
        return Path(folder).expanduser()
    import pooch

    return Path(pooch.os_cache("glyphline"))


#: folder that recipes of the project name -> what puts the data there, a remedy for messages; {} is the folder in it
MADE_DATA = {
    "recipes/fonts": "run `make fonts`",
    "any-script": "run `python benchmarks/any_script.py prepare --scripts {}`, see docs/any-script.md",
    "own": "put your images and your text there, see docs/own-characters.md",
}


def how_to_get(path: Path | str) -> str:
    """What puts the data of a recipe of the project at a path that lies in a folder of MADE_DATA; "" for others.

    >>> how_to_get("fonts/sans"), how_to_get("data/recipes/fonts/hand")
    ('', 'run `make fonts`')
    """
    parts = Path(path).parts
    for folder, remedy in MADE_DATA.items():
        names = Path(folder).parts
        for start in range(len(parts) - len(names)):
            if parts[start : start + len(names)] == names:
                return remedy.format(parts[start + len(names)])
    return ""


def _print_to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def fetch(
    name: str,
    *,
    source: str | Path | None = None,
    folder: Path | None = None,
    parts: Sequence[str] | None = None,
    log: Callable[[str], None] = _print_to_stderr,
    progress: bool = True,
) -> Path:
    """Fetch a data set into the data folder and return the folder that holds its files.

    name: a key of DATASETS. source: replaces the built-in addresses; an http(s) address of a mirror (of a folder of
    files if it ends in "/", otherwise of a zip), a zip on this machine, or a folder with the unpacked files.
    folder: replaces `data_folder()`; the files are installed in its subfolder `Dataset.folder`, such as emnist/gzip.
    parts: the parts to fetch (the splits of EMNIST; test, tune, validation, train of WikiSplit); None: the default
    parts. log: is called with each status message, one line. progress: show a progress bar on stderr if stderr is a
    terminal.

    Files that are present and correct are not fetched again; incorrect ones are replaced. An interrupted download is
    resumed. A file gets its final name only after its size and sha256 were verified, as far as they are known.

    Raises DataError for an unknown name, part or source, if no address provides the files, if a file is not the
    official one (the correct files are kept), if the disk is full, and if a file cannot be read or written. After
    KeyboardInterrupt the bytes downloaded so far are kept.

    EMNIST: Cohen et al. 2017 (arXiv:1702.05373); size and sha256 are those of the official files, the md5 is the one
    that torchvision pins. WikiSplit: Botha et al. 2018 (arXiv:1808.09468). Range requests: RFC 9110 section 14.
    """
    if name not in DATASETS:
        raise DataError(f'unknown data set "{name}": {nearest(name, DATASETS)}')
    dataset = DATASETS[name]
    files = dataset.select_files(parts)
    job = _FetchJob(name, dataset, files, (folder or data_folder()) / dataset.folder, log, progress)
    try:
        urls, local_path = _resolve_source(name, source, dataset)
        complete = all(file.optional for file in job.missing_files(log_mismatches=True))
        if not complete:
            job.folder.mkdir(parents=True, exist_ok=True)
            if local_path:
                job.fetch_from_path(local_path)
            else:
                job.fetch_from_urls(urls)
    except OSError as error:
        raise DataError(_describe_disk_error(name, error, job.folder)) from error
    unverified = [file.name for file in files if not file.sha256 and not file.optional]
    if unverified:
        log(f"{name}: no sha256 is known for {', '.join(unverified)}: not verified beyond the zip's own checksum")
    log(f"{name}: {_count_files(files)} {'already ' if complete else ''}in {job.folder} ({dataset.terms})")
    return job.folder


class _FileMismatch(Exception):
    """A file is not the expected one; the message says in what."""


@dataclass(frozen=True)
class _FetchJob:
    """One call of `fetch`: installs files of a data set in `folder`, from a path on this machine or from addresses.

    Methods that return a list of messages return one message for each file that could not be installed. All raise
    DataError for a source that is unusable as a whole, and OSError if a file cannot be read or written.
    """

    name: str
    dataset: Dataset
    files: Sequence[DatasetFile]
    folder: Path
    log: Callable[[str], None]
    progress: bool

    def missing_files(self, log_mismatches: bool = False) -> list[DatasetFile]:
        """The files that are absent or incorrect. An incorrect file stays until the correct one replaces it."""
        missing = []
        for file in self.files:
            path = self.folder / file.name
            if not path.is_file():
                missing.append(file)
            elif mismatch := _describe_mismatch(path, file):
                missing.append(file)
                if log_mismatches:
                    self.log(f"{path} is not the official file ({mismatch}) and will be replaced")
        return missing

    def describe_kept_files(self) -> str:
        """The end of an error message: how many correct files are installed in spite of the error."""
        required = sum(not file.optional for file in self.files)
        correct = required - sum(not file.optional for file in self.missing_files())
        return f" ({correct} of {required} files are correct and stay in {self.folder})" if correct else ""

    # ------------------------------------------------------------------ from this machine

    def fetch_from_path(self, source: Path) -> None:
        """Install the missing files from a zip or a folder. The source is not changed."""
        self.log(f"{self.name}: taking the files from {source}")
        try:
            install_from = self.copy_from_folder if source.is_dir() else self.unpack_zip
            if problems := install_from(source, self.missing_files()):
                raise DataError(name_first(problems, 4, "; "))
        except DataError as error:
            raise DataError(f"{self.name}: {source}: {error}{self.describe_kept_files()}") from error

    def copy_from_folder(self, source: Path, files: Sequence[DatasetFile]) -> list[str]:
        """Install files from a folder, or from the subfolder of it that the data set usually has."""
        folders = [source, source / PurePosixPath(self.dataset.folder).name, source / self.dataset.folder]
        problems = []
        for file in files:
            names = [file.name, *([file.zip_name] if file.zip_name else [])]
            path = next((folder / name for name in names for folder in folders if (folder / name).is_file()), None)
            if path and path.name == file.name:
                with open(path, "rb") as stream:
                    problems += self.install(stream, file)
            elif path:
                problems += self.unpack_zip(path, [file])
            elif not file.optional:
                problems.append(f"{file.name} is missing")
        return problems

    def unpack_zip(self, path: Path, files: Sequence[DatasetFile]) -> list[str]:
        """Install files from a zip, from whichever folder in it they are in. Other members are ignored."""
        with open(path, "rb") as stream:
            _check_content(stream.read(HEAD_SIZE), is_zip=True)
        problems: list[str] = []
        try:
            with zipfile.ZipFile(path) as archive:
                members = [member for member in archive.infolist() if not member.is_dir()]
                for member in members:
                    _check_member_path(member.filename)
                # reversed: of two members with the same file name the first counts
                member_by_name = {PurePosixPath(member.filename).name: member for member in reversed(members)}
                for file in files:
                    if file.name in member_by_name:
                        problems += self.unpack_member(archive, member_by_name[file.name], file)
                    elif not file.optional:
                        problems.append(f"{file.name} is not in the zip")
        except ZIP_ERRORS as error:
            raise DataError(f"the zip is truncated or damaged ({_file_size(path)} bytes; {error})") from error
        if problems and self.dataset.zip_md5:
            md5_problem = f"the zip's md5 is {_hash_file(path, 'md5')}, expected {self.dataset.zip_md5}"
            return [md5_problem, *problems]
        return problems

    def unpack_member(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, file: DatasetFile) -> list[str]:
        """Install a file from a member of a zip, unless the zip declares another size than expected."""
        if member.file_size > file.max_size or (file.size and member.file_size != file.size):
            return [f"{file.name} would unpack to {member.file_size} bytes, expected {_expected_size(file)}"]
        try:
            with archive.open(member) as stream:
                return self.install(stream, file)
        except ZIP_ERRORS as error:
            return [f"{file.name} is damaged ({error})"]

    def install(self, stream: IO[bytes], file: DatasetFile) -> list[str]:
        """Copy a stream to a temporary file, verify it, and only then give it its final name."""
        try:
            with replace_atomically(self.folder / file.name) as temporary_path:
                with open(temporary_path, "wb") as temporary_file:
                    remaining = file.max_size + 1  # one byte too many is enough to detect that the file is wrong
                    while remaining > 0 and (chunk := stream.read(min(CHUNK_SIZE, remaining))):
                        temporary_file.write(chunk)
                        remaining -= len(chunk)
                if mismatch := _describe_mismatch(temporary_path, file):
                    raise _FileMismatch(mismatch)
        except _FileMismatch as error:
            return [f"{file.name}: {error}"]
        return []

    # ------------------------------------------------------------------ from addresses

    def fetch_from_urls(self, urls: Sequence[str]) -> None:
        """Try one address after the other until no required file is missing. Raises DataError if all of them fail."""
        failures = []
        for url in urls:
            self.log(f"{self.name}: fetching from {_redact_url(url)}")
            try:
                self.fetch_from_url(url, self.missing_files())
                return
            except DataError as error:
                failures.append(f"{_redact_url(url)}: {error}")
                if url != urls[-1]:
                    self.log(f"{self.name}: {failures[-1]}; trying the next address")
        raise DataError(
            f"{self.name}: no address provided the correct files{self.describe_kept_files()}. "
            f"Tried {' | '.join(failures)}. To use a mirror, or a zip or a folder of your own: "
            f"glyphline fetch {self.name} --from FILE_OR_URL"
        )

    def fetch_from_url(self, url: str, files: Sequence[DatasetFile]) -> None:
        """Install files from the address of a zip or of a folder. Raises DataError if a required file fails."""
        if not _is_folder_url(url):
            problems = self.fetch_download(url, f"{self.name}.zip", files, is_zip=True)
        else:
            problems = []
            for file in files:
                label = file.zip_name or file.name
                try:
                    problems += self.fetch_download(url + label, label, [file], is_zip=bool(file.zip_name))
                except DataError as error:
                    if not file.optional:
                        raise DataError(f"{label}: {error}") from error
        if problems:
            raise DataError(name_first(problems, 4, "; "))

    def fetch_download(self, url: str, label: str, files: Sequence[DatasetFile], is_zip: bool) -> list[str]:
        """Download a zip or a single file, install the files from it, and remove the download.

        KeyboardInterrupt and a full disk do not remove the complete download: the next call of `fetch` uses it.
        """
        download = self.download(url, label, is_zip, MAX_FILE_SIZE if is_zip else files[0].max_size)
        try:
            if is_zip:
                problems = self.unpack_zip(download, files)
            else:
                with open(download, "rb") as stream:
                    problems = self.install(stream, files[0])
        except DataError:
            download.unlink(missing_ok=True)
            raise
        # after a success the parts that other addresses left are of no use either
        for part in [download] if problems else self.folder.glob(f"{label}.*.part"):
            part.unlink(missing_ok=True)
        return problems

    def download(self, url: str, label: str, is_zip: bool, max_size: int) -> Path:
        """Download into a `.part` file and return its path when it is complete.

        A lost connection is resumed. Raises DataError if an attempt adds no bytes, or after MAX_ATTEMPTS.
        """
        import requests

        # the name of the part depends on the address, because two mirrors may hold different bytes
        part = self.folder / f"{label}.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part"
        for _ in range(MAX_ATTEMPTS):
            start_size = _file_size(part)
            try:
                if start_size:
                    self.log(f"{label}: {_format_size(start_size)} are already downloaded, requesting the rest")
                self.request(url, part, label, is_zip, max_size)
                return part
            except requests.RequestException as error:
                reason = _describe_request_error(error)
                failure = f"{reason}; {_describe_part(part)}"
                if _file_size(part) <= start_size:
                    raise DataError(failure if start_size else reason) from error
            except OSError as error:
                if error.errno in DISK_FULL:
                    part.unlink(missing_ok=True)
                raise
            except KeyboardInterrupt:
                self.log(f"{label}: interrupted; {_describe_part(part)}")
                raise
        raise DataError(failure)

    def request(self, url: str, part: Path, label: str, is_zip: bool, max_size: int) -> None:
        """Send one request and append the missing bytes to `part`; start over if the server cannot resume there.

        Raises DataError for an HTTP error, a web page or too many bytes, RequestException if the connection is lost.
        """
        import requests

        size = _file_size(part)
        headers = {"User-Agent": "glyphline", "Accept-Encoding": "identity"}  # ranges count bytes of the plain file
        if size:
            headers["Range"] = f"bytes={size}-"
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            status = response.status_code
            range_start, total_size = _parse_content_range(response.headers.get("Content-Range", ""))
            if size and status == 416 and total_size == size:
                return  # the part is already complete
            if size and (status == 416 or (status == 206 and range_start != size)):
                part.unlink()
                return self.request(url, part, label, is_zip, max_size)
            if status not in ((200, 206) if size else (200,)):
                raise DataError(f"HTTP {status} {response.reason}")
            chunks = response.iter_content(CHUNK_SIZE)
            head = b""
            if status == 200:
                size, total_size = 0, _content_length(response.headers)
                while len(head) < HEAD_SIZE and (chunk := next(chunks, b"")):
                    head += chunk
                # checked before the part is opened, so that a web page does not overwrite a good part
                _check_content(head, is_zip, response.headers.get("Content-Type", ""))
            if (total_size or 0) > max_size:
                raise DataError(f"{total_size} bytes, expected at most {max_size}")
            mode = "ab" if size else "wb"
            with open(part, mode) as file, _progress_bar(label, size, total_size, self.progress) as advance:
                for chunk in chain([head], chunks):
                    file.write(chunk)
                    advance(len(chunk))
                    size += len(chunk)
                    if size > max_size:
                        break
        if size > max_size:
            part.unlink()
            raise DataError(f"the response exceeds the limit of {max_size} bytes")
        if size < (total_size or 0):
            raise requests.ConnectionError(f"received {size} of {total_size} bytes")


def _resolve_source(name: str, source: str | Path | None, dataset: Dataset) -> tuple[tuple[str, ...], Path | None]:
    """The addresses to try and no path, or no addresses and the path on this machine. Raises DataError."""
    if source is None:
        return dataset.urls, None
    if isinstance(source, str) and (scheme := re.match(r"([A-Za-z][\w+.-]*)://", source)):
        with suppress(ValueError):  # urlsplit raises it for a malformed address
            if scheme[1].lower() in ("http", "https") and urlsplit(source).hostname:
                return (source,), None
        raise DataError(f"{source} is neither an http(s) address nor a path on this machine")
    path = Path(source).expanduser()
    if not path.exists():
        raise DataError(f"{path} does not exist: {name} can be fetched from a zip, a folder or an http(s) address")
    return (), path


def _is_folder_url(url: str) -> bool:
    return urlsplit(url).path.endswith("/") and not urlsplit(url).query


def _redact_url(url: str) -> str:
    """The address without its user, password and query, which may be secret."""
    components = urlsplit(url)
    return f"{components.scheme}://{components.netloc.rpartition('@')[2]}{components.path}"


def _describe_mismatch(path: Path, file: DatasetFile) -> str:
    """How a file on disk differs from the expected one; empty if it does not."""
    size = _file_size(path)
    if file.size is not None and size != file.size:
        return f"{size} bytes, expected {file.size}"
    if size == 0 or size > file.max_size:
        return f"{size} bytes, expected {_expected_size(file)}"
    if file.sha256 and (sha256 := _hash_file(path, "sha256")) != file.sha256:
        return f"sha256 {sha256}, expected {file.sha256}"
    return ""


def _hash_file(path: Path, algorithm: str) -> str:
    import pooch

    return str(pooch.file_hash(str(path), alg=algorithm))


def _check_content(head: bytes, is_zip: bool, content_type: str = "") -> None:
    """Raise DataError if content with these first bytes and this MIME type is a web page, empty, or not a zip."""
    text_start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if is_zip and head.startswith(ZIP_SIGNATURE):
        return
    has_html_type = content_type.lower().startswith(("text/html", "application/xhtml"))
    if has_html_type or text_start.startswith((b"<!doctype", b"<html")) or (is_zip and text_start.startswith(b"<")):
        expected = "a zip" if is_zip else "the file"
        raise DataError(f"the content is a web page, not {expected} (the data has moved, or a login or proxy answers)")
    if not head:
        raise DataError("the content is empty")
    if is_zip:
        raise DataError(f"the content is not a zip, it begins with {head[:8]!r}")


def _check_member_path(name: str) -> None:
    """Raise DataError if the path of a zip member leads out of the folder that the zip is unpacked into."""
    path = name.replace("\\", "/")
    if path.startswith("/") or ".." in path.split("/") or re.match(r"[A-Za-z]:", path):
        raise DataError(f"the zip contains {name!r}, a path outside of its folder; no file was unpacked")


def _parse_content_range(header: str) -> tuple[int | None, int | None]:
    """First byte and total size in a Content-Range header; None for what the header does not state.

    >>> _parse_content_range("bytes 5-9/10"), _parse_content_range("bytes */10"), _parse_content_range("")
    ((5, 10), (None, 10), (None, None))
    """
    match = re.match(r"bytes (?:(\d+)-\d+|\*)/(?:(\d+)|\*)", header)
    first, total = match.groups() if match else (None, None)
    return (int(first) if first else None), (int(total) if total else None)


def _content_length(headers: Mapping[str, str]) -> int | None:
    """The size of a complete response; None if the server does not state it or compresses the response."""
    length = headers.get("Content-Length", "")
    uncompressed = headers.get("Content-Encoding", "identity").lower() in ("", "identity")
    return int(length) if uncompressed and length.isdecimal() else None


@contextmanager
def _progress_bar(label: str, size: int, total_size: int | None, enabled: bool) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr that begins at `size` bytes; yields a function that advances it by a number of bytes."""
    from rich import progress
    from rich.console import Console

    console = Console(stderr=True)
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    disable = not (enabled and console.is_terminal)
    with progress.Progress(*columns, console=console, disable=disable) as bar:
        task = bar.add_task(label, total=total_size, completed=size)
        yield lambda count: bar.advance(task, count)


def _describe_request_error(error: Exception) -> str:
    """The type of a request's error and the innermost cause in the message that urllib3 nests."""
    cause = str(error).rsplit(": ", 1)[-1]
    return f"{type(error).__name__}: {cause}".rstrip("\"')")


def _describe_part(part: Path) -> str:
    return f"{_format_size(_file_size(part))} are kept, run the same command again to resume"


def _describe_disk_error(name: str, error: OSError, folder: Path) -> str:
    if error.errno in DISK_FULL:
        return f"{name}: the disk is full: free space in {folder}, or set GLYPHLINE_DATA to a folder on another disk"
    reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return f"{name}: {reason}; the data folder is {folder}, set GLYPHLINE_DATA to use another"


def _file_size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _expected_size(file: DatasetFile) -> str:
    return f"{file.size}" if file.size else f"1 to {file.max_size}"


def _format_size(byte_count: int) -> str:
    return f"{byte_count / 1e6:.1f} MB" if byte_count >= 100_000 else f"{byte_count} bytes"


def _count_files(files: Sequence[DatasetFile]) -> str:
    count = sum(not file.optional for file in files)
    return f"{count} file{'s' if count != 1 else ''}"
