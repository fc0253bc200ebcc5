"""Fetch the public data sets once: resume what was cut, check every file, leave only whole and right ones.

    fetch("emnist")       <data>/emnist/gzip/emnist-*-ubyte.gz and the mapping files
    fetch("wikisplit")    <data>/wikisplit/test.tsv, tune.tsv, validation.tsv; train.tsv when asked for

To add a data set: an `Archive` with its addresses and its members' sizes and sha256, and a row in FETCHABLE.
An address that ends in "/" is a folder that holds the files one by one; any other is a zip that holds them.
"""

from __future__ import annotations

import errno
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

from glyphline.errors import DataError, nearest
from glyphline.files import replacing

# pooch, requests and rich are imported where they are used: asking for the data folder stays cheap.

CHUNK = 1 << 16  # bytes; a lost connection costs at most one
TIMEOUT = (15.0, 60.0)  # seconds to connect, seconds between two reads
ATTEMPTS = 20  # reconnections to one address, each of which must have brought bytes
LARGEST = 4 << 30  # bytes; no file here is larger, an endless answer is cut off
SMALL = 1 << 16  # bytes; limit of the mapping files, which have no checksum
HEAD = 64  # bytes that tell a zip from a web page
ZIP = b"PK\x03\x04"
FULL = (errno.ENOSPC, errno.EDQUOT)
# what zipfile raises on bad bytes; RuntimeError: a password, a compression it does not know
BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError, RuntimeError)


@dataclass(frozen=True)
class Member:
    """One file of a data set, as it ends in the data folder."""

    name: str
    part: str  # what `parts` selects it by
    size: int | None = None  # bytes
    sha256: str | None = None
    zipped: str | None = None  # its name at a folder address, where it lies there in a zip of its own
    optional: bool = False  # may be missing at the source

    @property
    def limit(self) -> int:
        """The most bytes to take for it."""
        return self.size or (SMALL if self.optional else LARGEST)


@dataclass(frozen=True)
class Archive:
    """One data set: where it lies on the net, what it holds, and where it ends."""

    folder: str  # below the data folder
    urls: tuple[str, ...]  # the official address first
    members: tuple[Member, ...]
    parts: tuple[str, ...]  # fetched unless others are asked for
    md5: str | None = None  # of the official zip; the members' sha256 decide, this only explains
    terms: str = ""

    def wanted(self, parts: Sequence[str] | None) -> list[Member]:
        """The members of these parts; an unknown part raises DataError."""
        chosen = (parts,) if isinstance(parts, str) else self.parts if parts is None else tuple(parts)
        known = {member.part for member in self.members}
        for part in chosen:
            if part not in known:
                raise DataError(f'no part is called "{part}": {nearest(part, known)}')
        return [member for member in self.members if member.part in chosen]


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


def _emnist_members() -> tuple[Member, ...]:
    members = []
    for line in EMNIST_FILES.splitlines():
        stem, size, sha256 = line.split()
        members.append(Member(f"emnist-{stem}-ubyte.gz", stem.split("-")[0], int(size), sha256))
    mappings = [Member(f"emnist-{part}-mapping.txt", part, optional=True) for part in EMNIST_PARTS]
    return (*members, *mappings)


WIKISPLIT_SHA256 = {
    "test": "88c3eff253f7ff3fcce9370bb54f750bc35f646c1b6d2a45df2b993c96670f7f",
    "tune": "67118f483438fc9f0ba12e63dc37f0eeff8bbad1873157509ced7e3e46582312",
    "validation": "63931ff45b7d95d60480bdcd466d69894fc02a0ec975cab8d0955e9b8cceb922",
}


FETCHABLE: dict[str, Archive] = {
    "emnist": Archive(
        folder="emnist/gzip",
        urls=(
            "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
            "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/gzip.zip",  # the official address before
        ),
        members=_emnist_members(),
        parts=EMNIST_PARTS,
        md5="58c8d27c78d21e728a6bc7b3cc06412e",
        terms="EMNIST, from NIST Special Database 19; cite arXiv:1702.05373",
    ),
    "wikisplit": Archive(
        folder="wikisplit",
        urls=("https://raw.githubusercontent.com/google-research-datasets/wiki-split/master/",),
        members=(
            *(Member(f"{part}.tsv", part, sha256=sha) for part, sha in WIKISPLIT_SHA256.items()),
            Member("train.tsv", "train", zipped="train.tsv.zip"),
        ),
        parts=tuple(WIKISPLIT_SHA256),
        terms="WikiSplit, CC BY-SA 4.0; cite arXiv:1808.09468",
    ),
}


def data_folder() -> Path:
    """The folder that holds fetched data: `$GLYPHLINE_DATA`, else the platform's cache."""
    if chosen := os.environ.get("GLYPHLINE_DATA"):
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("glyphline"))


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def fetch(
    name: str,
    *,
    source: str | Path | None = None,
    folder: Path | None = None,
    parts: Sequence[str] | None = None,
    talk: Callable[[str], None] = _to_stderr,
    progress: bool = True,
) -> Path:
    """Bring a data set into the data folder and return the folder that holds its files.

    `source` replaces the built-in addresses: a mirror's http(s) address, a zip on this machine, or a folder
    with the unpacked files. `folder` replaces `data_folder()`. `parts` asks for some parts only (EMNIST's
    splits; WikiSplit's test, tune, validation, train). Files that are there and right are not fetched again,
    a download that was cut goes on where it stopped, and only files with the right size and sha256 arrive
    under their names.

    Raises DataError for an unknown name, part or source, when no address gives the files, when a file is not
    the official one (the right ones are kept), and when the disk is full. KeyboardInterrupt passes through;
    what was downloaded stays.

    Sources: EMNIST, Cohen et al. 2017 (arXiv:1702.05373), size and sha256 of the official files, md5 as
    torchvision pins it; WikiSplit, Botha et al. 2018 (arXiv:1808.09468); ranges, RFC 9110 section 14.
    """
    if name not in FETCHABLE:
        raise DataError(f'"{name}" cannot be fetched: {nearest(name, FETCHABLE)}')
    archive = FETCHABLE[name]
    members = archive.wanted(parts)
    job = _Job(name, archive, members, (folder or data_folder()) / archive.folder, talk, progress)
    try:
        urls, local = _where(name, source, archive)
        there = all(member.optional for member in job.missing(say=True))
        if not there:
            job.folder.mkdir(parents=True, exist_ok=True)
            if local:
                job.from_path(local)
            else:
                job.from_addresses(urls)
    except OSError as error:
        raise DataError(_disk_trouble(name, error, job.folder)) from error
    unchecked = [member.name for member in members if not member.sha256 and not member.optional]
    if unchecked:
        talk(f"{name}: no sha256 is known for {', '.join(unchecked)}: not verified beyond the zip's own check")
    talk(f"{name}: {_files(members)} {'already ' if there else ''}in {job.folder} ({archive.terms})")
    return job.folder


class _Unfit(Exception):
    """A member that is not what was expected; says why."""


@dataclass(frozen=True)
class _Job:
    """One run of `fetch`: the ways from a source to `folder`; a bad source raises DataError."""

    name: str
    archive: Archive
    members: Sequence[Member]
    folder: Path
    talk: Callable[[str], None]
    progress: bool

    def missing(self, say: bool = False) -> list[Member]:
        """The members that are not there or not right; a wrong one stays until a right one replaces it."""
        absent = []
        for member in self.members:
            path = self.folder / member.name
            if not path.is_file():
                absent.append(member)
            elif wrong := _wrong(path, member):
                absent.append(member)
                if say:
                    self.talk(f"{path} is not the official file ({wrong}) and will be replaced")
        return absent

    def kept(self) -> str:
        """The tail of a message: what is there in spite of a failure."""
        needed = sum(not member.optional for member in self.members)
        there = needed - sum(not member.optional for member in self.missing())
        return f" ({there} of {needed} files are right and stay in {self.folder})" if there else ""

    # ------------------------------------------------------------------ from this machine

    def from_path(self, source: Path) -> None:
        """Take the members out of a zip or a folder; the source is only read."""
        self.talk(f"{self.name}: taking the files from {source}")
        try:
            take = self.copy_folder if source.is_dir() else self.unpack
            if complaints := take(source, self.missing()):
                raise DataError(_few(complaints))
        except DataError as error:
            raise DataError(f"{self.name}: {source}: {error}{self.kept()}") from error

    def copy_folder(self, source: Path, members: Sequence[Member]) -> list[str]:
        """Take the members out of a folder, or the folder below it that the data set usually lies in."""
        places = [source, source / PurePosixPath(self.archive.folder).name, source / self.archive.folder]
        complaints = []
        for member in members:
            names = [member.name, *([member.zipped] if member.zipped else [])]
            found = next((at / name for name in names for at in places if (at / name).is_file()), None)
            if found and found.name == member.name:
                with open(found, "rb") as stream:
                    complaints += self.place(stream, member)
            elif found:
                complaints += self.unpack(found, [member])
            elif not member.optional:
                complaints.append(f"{member.name} is not there")
        return complaints

    def unpack(self, path: Path, members: Sequence[Member]) -> list[str]:
        """Take the members out of a zip; returns what is wrong with those that are not taken."""
        with open(path, "rb") as stream:
            _refuse_page(stream.read(HEAD), zipped=True)
        complaints: list[str] = []
        try:
            with zipfile.ZipFile(path) as packed:
                infos = [info for info in packed.infolist() if not info.is_dir()]
                for info in infos:
                    _refuse_escape(info.filename)
                lying = {PurePosixPath(info.filename).name: info for info in reversed(infos)}
                for member in members:
                    if member.name in lying:
                        complaints += self.unpack_one(packed, lying[member.name], member)
                    elif not member.optional:
                        complaints.append(f"{member.name} is not in the zip")
        except BROKEN as error:
            raise DataError(f"the zip is cut short or damaged ({_length(path)} bytes; {error})") from error
        if complaints and self.archive.md5:
            md5 = f"the zip's md5 is {_hash(path, 'md5')}, expected {self.archive.md5}"
            return [md5, *complaints]
        return complaints

    def unpack_one(self, packed: zipfile.ZipFile, info: zipfile.ZipInfo, member: Member) -> list[str]:
        if info.file_size > member.limit or (member.size and info.file_size != member.size):
            return [f"{member.name} would unpack to {info.file_size} bytes, expected {_expected(member)}"]
        try:
            with packed.open(info) as stream:
                return self.place(stream, member)
        except BROKEN as error:
            return [f"{member.name} is damaged ({error})"]

    def place(self, stream: IO[bytes], member: Member) -> list[str]:
        """Write a member beside its place, check it, and only then give it its name."""
        try:
            with replacing(self.folder / member.name) as beside:
                with open(beside, "wb") as file:
                    left = member.limit + 1  # one byte too many is enough to see that it is the wrong file
                    while left > 0 and (chunk := stream.read(min(CHUNK, left))):
                        file.write(chunk)
                        left -= len(chunk)
                if wrong := _wrong(beside, member):
                    raise _Unfit(wrong)
        except _Unfit as error:
            return [f"{member.name}: {error}"]
        return []

    # ------------------------------------------------------------------ from the net

    def from_addresses(self, urls: Sequence[str]) -> None:
        """Try one address after the other until all members are there."""
        tried = []
        for url in urls:
            self.talk(f"{self.name}: fetching from {_shown(url)}")
            try:
                self.from_address(url, self.missing())
                return
            except DataError as error:
                tried.append(f"{_shown(url)}: {error}")
                if url != urls[-1]:
                    self.talk(f"{self.name}: {tried[-1]}; trying the next address")
        raise DataError(
            f"{self.name}: no address gave the right files{self.kept()}. Tried {' | '.join(tried)}. "
            f"With a mirror's address, or a zip or folder of your own: "
            f"glyphline fetch {self.name} --from FILE_OR_URL"
        )

    def from_address(self, url: str, members: Sequence[Member]) -> None:
        if not _is_folder(url):
            complaints = self.from_file(url, f"{self.name}.zip", members, zipped=True)
        else:
            complaints = []
            for member in members:
                label = member.zipped or member.name
                try:
                    complaints += self.from_file(url + label, label, [member], zipped=bool(member.zipped))
                except DataError as error:
                    if not member.optional:
                        raise DataError(f"{label}: {error}") from error
        if complaints:
            raise DataError(_few(complaints))

    def from_file(self, url: str, label: str, members: Sequence[Member], zipped: bool) -> list[str]:
        """Download one file, take the members out of it and remove it, right or wrong.

        It stays after Ctrl-C and when the disk is full: it is whole, and the next run finds it so.
        """
        whole = self.download(url, label, zipped, LARGEST if zipped else members[0].limit)
        try:
            if zipped:
                complaints = self.unpack(whole, members)
            else:
                with open(whole, "rb") as stream:
                    complaints = self.place(stream, members[0])
        except DataError:
            whole.unlink(missing_ok=True)
            raise
        for part in [whole] if complaints else self.folder.glob(f"{label}.*.part"):
            part.unlink(missing_ok=True)
        return complaints

    def download(self, url: str, label: str, zipped: bool, limit: int) -> Path:
        """Download into a `.part` file and return it when whole; a lost connection is taken up again."""
        import requests

        # a part belongs to one address: two mirrors may hold different bytes
        part = self.folder / f"{label}.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part"
        for _ in range(ATTEMPTS):
            have = _length(part)
            try:
                if have:
                    self.talk(f"{label}: {_size(have)} are here already, asking for the rest")
                self.request(url, part, label, zipped, limit)
                return part
            except requests.RequestException as error:
                lost = f"{_reason(error)}; {_size(_length(part))} are kept, the same command resumes"
                if _length(part) <= have:
                    raise DataError(lost if have else _reason(error)) from error
            except OSError as error:
                if error.errno in FULL:
                    part.unlink(missing_ok=True)
                raise
            except KeyboardInterrupt:
                self.talk(f"{label}: stopped; {_size(_length(part))} are kept, the same command resumes")
                raise
        raise DataError(lost)

    def request(self, url: str, part: Path, label: str, zipped: bool, limit: int) -> None:
        """Ask once: append to `part` what it lacks, or start over when the server cannot go on from there."""
        import requests

        have = _length(part)
        headers = {"User-Agent": "glyphline", "Accept-Encoding": "identity"}  # ranges of the file itself
        if have:
            headers["Range"] = f"bytes={have}-"
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
            status = answer.status_code
            start, total = _span(answer.headers.get("Content-Range", ""))
            if have and status == 416 and total == have:
                return  # it was whole already
            if have and (status == 416 or (status == 206 and start != have)):
                part.unlink()
                return self.request(url, part, label, zipped, limit)
            if status not in ((200, 206) if have else (200,)):
                raise DataError(f"HTTP {status} {answer.reason}")
            chunks = answer.iter_content(CHUNK)
            head = b""
            if status == 200:
                have, total = 0, _total(answer.headers)
                while len(head) < HEAD and (chunk := next(chunks, b"")):
                    head += chunk
                # before this is known to be the file nothing is written, and nothing good overwritten
                _refuse_page(head, zipped, answer.headers.get("Content-Type", ""))
            if (total or 0) > limit:
                raise DataError(f"{total} bytes, expected at most {limit}")
            mode = "ab" if have else "wb"
            with open(part, mode) as file, _bar(label, have, total, self.progress) as advance:
                for chunk in chain([head], chunks):
                    file.write(chunk)
                    advance(len(chunk))
                    have += len(chunk)
                    if have > limit:
                        break
        if have > limit:
            part.unlink()
            raise DataError(f"the answer goes on after {limit} bytes")
        if have < (total or 0):
            raise requests.ConnectionError(f"{have} of {total} bytes came")


def _where(name: str, source: str | Path | None, archive: Archive) -> tuple[tuple[str, ...], Path | None]:
    """The addresses to try, or the path on this machine."""
    if source is None:
        return archive.urls, None
    if isinstance(source, str) and (scheme := re.match(r"([A-Za-z][\w+.-]*)://", source)):
        with suppress(ValueError):  # of urlsplit, for what no address can be
            if scheme[1].lower() in ("http", "https") and urlsplit(source).hostname:
                return (source,), None
        raise DataError(f"{source} is neither an http(s) address nor a path on this machine")
    path = Path(source).expanduser()
    if not path.exists():
        raise DataError(f"{path} is not there; {name} can come from a zip, a folder, or an http(s) address")
    return (), path


def _is_folder(url: str) -> bool:
    return urlsplit(url).path.endswith("/") and not urlsplit(url).query


def _shown(url: str) -> str:
    """An address without what may be secret in it: user, password, query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _wrong(path: Path, member: Member) -> str:
    """What is wrong with a file on disk; empty if nothing is."""
    size = _length(path)
    if member.size is not None and size != member.size:
        return f"{size} bytes, expected {member.size}"
    if size == 0 or size > member.limit:
        return f"{size} bytes, expected {_expected(member)}"
    if member.sha256 and (got := _hash(path, "sha256")) != member.sha256:
        return f"sha256 {got}, expected {member.sha256}"
    return ""


def _hash(path: Path, kind: str) -> str:
    import pooch

    return str(pooch.file_hash(str(path), alg=kind))


def _refuse_page(head: bytes, zipped: bool, content_type: str = "") -> None:
    """Raise DataError if a file that begins like this cannot be the one that was asked for."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if zipped and head.startswith(ZIP):
        return
    page = content_type.lower().startswith(("text/html", "application/xhtml"))
    if page or start.startswith((b"<!doctype", b"<html")) or (zipped and start.startswith(b"<")):
        wanted = "a zip" if zipped else "the file"
        raise DataError(f"this is a web page, not {wanted} (the data has moved, or a login or proxy answers)")
    if not head:
        raise DataError("this is empty")
    if zipped:
        raise DataError(f"this is not a zip, it begins with {head[:8]!r}")


def _refuse_escape(name: str) -> None:
    """Raise DataError for a zip member that would lie outside of the folder it is unpacked into."""
    path = name.replace("\\", "/")
    if path.startswith("/") or ".." in path.split("/") or re.match(r"[A-Za-z]:", path):
        raise DataError(f"the zip holds {name!r}, which lies outside of its folder; nothing was taken")


def _span(content_range: str) -> tuple[int | None, int | None]:
    """First byte and total size in a Content-Range header.

    >>> _span("bytes 5-9/10"), _span("bytes */10"), _span("")
    ((5, 10), (None, 10), (None, None))
    """
    found = re.match(r"bytes (?:(\d+)-\d+|\*)/(?:(\d+)|\*)", content_range)
    first, total = found.groups() if found else (None, None)
    return (int(first) if first else None), (int(total) if total else None)


def _total(headers: Mapping[str, str]) -> int | None:
    """The size of a full answer, if it says so and is not compressed on the way."""
    length = headers.get("Content-Length", "")
    plain = headers.get("Content-Encoding", "identity").lower() in ("", "identity")
    return int(length) if plain and length.isdecimal() else None


@contextmanager
def _bar(label: str, have: int, total: int | None, shown: bool) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr; gives the function that moves it on by some bytes."""
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
    disable = not (shown and console.is_terminal)
    with progress.Progress(*columns, console=console, disable=disable) as bar:
        task = bar.add_task(label, total=total, completed=have)
        yield lambda count: bar.advance(task, count)


def _reason(error: Exception) -> str:
    """Why a request failed, in few words: its kind and the last of the causes that urllib3 nests."""
    last = str(error).rsplit(": ", 1)[-1]
    return f"{type(error).__name__}: {last}".rstrip("\"')")


def _disk_trouble(name: str, error: OSError, folder: Path) -> str:
    if error.errno in FULL:
        return f"{name}: the disk is full: make room in {folder}, or set GLYPHLINE_DATA to a folder elsewhere"
    what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return f"{name}: {what}; the data folder is {folder}, GLYPHLINE_DATA sets another"


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _expected(member: Member) -> str:
    return f"{member.size}" if member.size else f"1 to {member.limit}"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count} bytes"


def _files(members: Sequence[Member]) -> str:
    count = sum(not member.optional for member in members)
    return f"{count} file{'s' if count != 1 else ''}"


def _few(complaints: Sequence[str], most: int = 4) -> str:
    """The first complaints and the number of the others."""
    rest = f"; and {len(complaints) - most} more" if len(complaints) > most else ""
    return "; ".join(complaints[:most]) + rest
