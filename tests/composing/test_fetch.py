"""Fetching: whatever the net, the disk or the user does, only whole and right files arrive under their names.

Everything runs against a server on this machine and data sets of a few kilobytes.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import random
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from glyphline.composing import fetch as fetching
from glyphline.composing.fetch import FETCHABLE, Archive, Member, data_folder, fetch
from glyphline.errors import DataError

FILES = {f"emnist-{part}.gz": random.Random(part).randbytes(90_000) for part in ("a", "b", "c")}  # above CHUNK
MAPPING = {"emnist-mapping.txt": b"0 48\n1 49\n"}
TEXTS = {"test.tsv": b"one .\tone <::::> .\n" * 9, "tune.tsv": b"two .\ttwo <::::> .\n" * 9}
TRAIN = {"train.tsv": b"three .\tthree <::::> .\n" * 9}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def zipped(files: dict[str, bytes], inside: str = "gzip/") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(inside + name, (2020, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


OFFICIAL = zipped(FILES | MAPPING)


# ---------------------------------------------------------------------- a server with manners to choose


@dataclass
class Reply:
    """How one address answers."""

    body: bytes = b""
    status: int = 200
    kind: str = "application/octet-stream"
    ranges: bool = True
    cut: list[int] = field(default_factory=list)  # send only so many bytes, then hang up: one number per request
    lie: int = 0  # a range begins so many bytes away from where it was asked for


class Site:
    """A server on this machine: `pages` answers, `asked` remembers (path, Range header)."""

    def __init__(self) -> None:
        self.pages: dict[str, Reply] = {}
        self.asked: list[tuple[str, str | None]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append((self.path, self.headers.get("Range")))
                site.answer(self, site.pages.get(self.path.split("?")[0], Reply(b"gone", 404)))

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.005,))
        self.thread.start()

    def answer(self, to: BaseHTTPRequestHandler, reply: Reply) -> None:
        body, status, span = reply.body, reply.status, None
        asked = to.headers.get("Range")
        if asked and reply.ranges and status == 200:
            start = int(asked.removeprefix("bytes=").removesuffix("-")) + reply.lie
            status, span = 206, f"bytes {start}-{len(body) - 1}/{len(body)}"
            if start >= len(body):
                status, span = 416, f"bytes */{len(body)}"
            body = body[start:]
        to.send_response(status)
        to.send_header("Content-Length", str(len(body)))
        to.send_header("Content-Type", reply.kind)
        if span:
            to.send_header("Content-Range", span)
        to.end_headers()
        to.wfile.write(body[: reply.cut.pop(0)] if reply.cut else body)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture(autouse=True)
def small_world(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two data sets of the same make as the real ones, on the server; no proxy, no real data folder."""
    monkeypatch.setenv("GLYPHLINE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    members = [Member(name, name[7], len(data), sha256(data)) for name, data in FILES.items()]
    emnist = Archive(
        folder="emnist/gzip",
        urls=(site.url("/gzip.zip"), site.url("/older.zip")),
        members=(*members, Member("emnist-mapping.txt", "a", optional=True)),
        parts=("a", "b", "c"),
        md5=hashlib.md5(OFFICIAL).hexdigest(),
        terms="terms of use",
    )
    texts = [Member(name, name.removesuffix(".tsv"), sha256=sha256(data)) for name, data in TEXTS.items()]
    wikisplit = Archive(
        folder="wikisplit",
        urls=(site.url("/wiki/"),),
        members=(*texts, Member("train.tsv", "train", zipped="train.tsv.zip")),
        parts=("test", "tune"),
    )
    monkeypatch.setitem(FETCHABLE, "emnist", emnist)
    monkeypatch.setitem(FETCHABLE, "wikisplit", wikisplit)
    site.pages = {
        "/gzip.zip": Reply(OFFICIAL),
        "/wiki/train.tsv.zip": Reply(zipped(TRAIN, "")),
        **{f"/wiki/{name}": Reply(data, kind="text/plain") for name, data in TEXTS.items()},
    }


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """Where EMNIST ends."""
    return tmp_path / "data/emnist/gzip"


class Talk(list[str]):
    def __call__(self, line: str) -> None:
        self.append(line)

    @property
    def all(self) -> str:
        return "\n".join(self)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def failure(name: str = "emnist", **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        fetch(name, talk=lambda line: None, progress=False, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


@contextmanager
def stopped(monkeypatch: pytest.MonkeyPatch, after: int) -> Iterator[None]:
    """Ctrl-C after so many chunks."""

    @contextmanager
    def bar(*_: object) -> Iterator[Callable[[int], None]]:
        left = iter(range(after))

        def advance(count: int) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt

        yield advance

    with monkeypatch.context() as patch:
        patch.setattr(fetching, "_bar", bar)
        with pytest.raises(KeyboardInterrupt):
            yield


# ---------------------------------------------------------------------- the plain way


def test_a_zip_becomes_files(there: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert fetch("emnist", progress=False) == there
    assert contents(there) == FILES | MAPPING  # and no .part, no .tmp, no zip
    out, talk = capfd.readouterr()
    assert out == "" and "terms of use" in talk and str(there) in talk


def test_files_that_are_there_and_right_are_not_fetched_again(site: Site) -> None:
    fetch("emnist", progress=False)
    site.asked.clear()
    talk = Talk()
    fetch("emnist", talk=talk)
    assert not site.asked and "already" in talk.all


def test_a_folder_address_gives_the_files_one_by_one(site: Site, tmp_path: Path) -> None:
    assert fetch("wikisplit", progress=False) == tmp_path / "data/wikisplit"
    assert contents(tmp_path / "data/wikisplit") == TEXTS
    assert [path for path, _ in site.asked] == ["/wiki/test.tsv", "/wiki/tune.tsv"]


def test_parts_are_fetched_only_when_asked_for(tmp_path: Path) -> None:
    talk = Talk()
    fetch("wikisplit", parts=("train",), talk=talk, progress=False)
    assert contents(tmp_path / "data/wikisplit") == TRAIN
    assert "no sha256 is known for train.tsv" in talk.all
    fetch("emnist", parts=["b"], folder=tmp_path / "else", progress=False)
    assert contents(tmp_path / "else/emnist/gzip") == {"emnist-b.gz": FILES["emnist-b.gz"]}


def test_a_folder_mirror_may_lack_the_optional_files(site: Site, there: Path) -> None:
    site.pages |= {f"/m/{name}": Reply(data) for name, data in FILES.items()}
    fetch("emnist", source=site.url("/m/"), progress=False)
    assert contents(there) == FILES


def test_the_bar_goes_to_stderr(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    fetch("emnist")
    out, talk = capfd.readouterr()
    assert out == "" and "emnist.zip" in talk and "270." in talk


# ---------------------------------------------------------------------- interruptions


def test_after_ctrl_c_the_rest_is_asked_for(site: Site, there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Talk()
    with stopped(monkeypatch, after=2):
        fetch("emnist", talk=talk, progress=False)
    (part,) = there.iterdir()
    have = part.stat().st_size
    assert part.suffix == ".part" and part.read_bytes() == OFFICIAL[:have] and 0 < have < len(OFFICIAL)
    assert "the same command resumes" in talk.all
    fetch("emnist", progress=False)
    assert site.asked == [("/gzip.zip", None), ("/gzip.zip", f"bytes={have}-")]
    assert contents(there) == FILES | MAPPING


def test_a_lost_connection_is_taken_up_again(site: Site, there: Path) -> None:
    half = len(OFFICIAL) // 2
    site.pages["/gzip.zip"].cut = [half, half // 2]
    fetch("emnist", progress=False)
    starts = [int(span[6:-1]) for _, span in site.asked if span]
    assert len(site.asked) == 3 and 0 < starts[0] <= half < starts[1] < len(OFFICIAL)
    assert contents(there) == FILES | MAPPING


def test_a_server_without_ranges_starts_over(site: Site, there: Path) -> None:
    site.pages["/gzip.zip"] = Reply(OFFICIAL, ranges=False, cut=[len(OFFICIAL) // 2])
    fetch("emnist", progress=False)
    assert len(site.asked) == 2 and site.asked[1][1]
    assert contents(there) == FILES | MAPPING


def test_a_connection_that_brings_nothing_more_ends_with_the_part_kept(site: Site, there: Path) -> None:
    site.pages["/gzip.zip"].cut = [len(OFFICIAL) // 2, 0, 0]
    message = failure(source=site.url("/gzip.zip"))
    assert "kept, the same command resumes" in message and "--from FILE_OR_URL" in message
    (part,) = there.iterdir()
    assert part.read_bytes() == OFFICIAL[: part.stat().st_size]
    site.pages["/gzip.zip"].cut = []
    fetch("emnist", source=site.url("/gzip.zip"), progress=False)
    assert contents(there) == FILES | MAPPING


def left_part(there: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with stopped(monkeypatch, after=1):
        fetch("emnist", progress=False)
    (part,) = there.iterdir()
    return part


def test_a_whole_part_is_not_downloaded_again(site: Site, there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left_part(there, monkeypatch).write_bytes(OFFICIAL)
    site.asked.clear()
    fetch("emnist", progress=False)
    assert site.asked == [("/gzip.zip", f"bytes={len(OFFICIAL)}-")]  # answered by 416
    assert contents(there) == FILES | MAPPING


@pytest.mark.parametrize(("size", "lie"), [(len(OFFICIAL) + 9, 0), (1000, 5)], ids=["too long", "other range"])
def test_a_part_that_does_not_fit_is_started_over(
    site: Site, there: Path, monkeypatch: pytest.MonkeyPatch, size: int, lie: int
) -> None:
    left_part(there, monkeypatch).write_bytes(bytes(size))
    site.pages["/gzip.zip"].lie = lie
    fetch("emnist", progress=False)
    assert [bool(span) for _, span in site.asked[1:]] == [True, False]
    assert contents(there) == FILES | MAPPING


def test_ctrl_c_while_unpacking_keeps_the_download(site: Site, there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", interrupt)
        fetch("emnist", progress=False)
    assert list(contents(there).values()) == [OFFICIAL]
    fetch("emnist", progress=False)
    assert contents(there) == FILES | MAPPING and site.asked[1:] == [("/gzip.zip", f"bytes={len(OFFICIAL)}-")]


# ---------------------------------------------------------------------- bad addresses


def test_a_dead_address_leads_to_the_next(site: Site, there: Path) -> None:
    site.pages["/older.zip"] = site.pages.pop("/gzip.zip")
    talk = Talk()
    fetch("emnist", talk=talk, progress=False)
    assert "HTTP 404" in talk.all and contents(there) == FILES | MAPPING


def test_when_all_are_dead_the_message_names_them_and_the_remedy(site: Site, there: Path) -> None:
    site.pages = {"/older.zip": Reply(b"busy", 503)}
    message = failure()
    for part in ("/gzip.zip: HTTP 404", "/older.zip: HTTP 503", "glyphline fetch emnist --from FILE_OR_URL"):
        assert part in message
    assert contents(there) == {}


def test_no_server_at_all() -> None:
    message = failure(source="http://127.0.0.1:1/x.zip")
    assert "ConnectionError" in message and "object at 0x" not in message


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/zip"])
def test_a_web_page_is_not_a_zip(site: Site, there: Path, kind: str) -> None:
    site.pages["/gzip.zip"] = Reply(b"\n<!DOCTYPE html><title>moved</title>" * 99, kind=kind)
    assert "this is a web page, not a zip" in failure(source=site.url("/gzip.zip"))
    assert contents(there) == {}


def test_a_web_page_does_not_overwrite_a_good_part(site: Site, there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = left_part(there, monkeypatch).read_bytes()
    site.pages["/gzip.zip"] = Reply(b"<html>log in</html>", kind="text/html", ranges=False)
    assert "this is a web page" in failure(source=site.url("/gzip.zip"))
    assert list(contents(there).values()) == [good]


def test_a_web_page_is_not_a_text_either(site: Site, tmp_path: Path) -> None:
    site.pages["/wiki/test.tsv"] = Reply(b"<!doctype html>", kind="text/plain")
    assert "test.tsv: this is a web page, not the file" in failure("wikisplit")
    assert contents(tmp_path / "data/wikisplit") == {}


@pytest.mark.parametrize(("body", "why"), [(b"", "empty"), (b"Rar!\x1a\x07", "not a zip")])
def test_neither_nothing_nor_something_else_is_a_zip(site: Site, there: Path, body: bytes, why: str) -> None:
    site.pages["/gzip.zip"] = Reply(body)
    assert why in failure(source=site.url("/gzip.zip"))
    assert contents(there) == {}


@pytest.mark.parametrize("announced", [True, False])
def test_an_endless_answer_is_cut_off(
    site: Site, there: Path, monkeypatch: pytest.MonkeyPatch, announced: bool
) -> None:
    if not announced:
        monkeypatch.setattr(fetching, "_total", lambda headers: None)
    site.pages["/m/emnist-a.gz"] = Reply(bytes(400_000))
    why = "400000 bytes, expected at most 90000" if announced else "goes on after 90000 bytes"
    assert why in failure(source=site.url("/m/"))
    assert contents(there) == {}


def test_secrets_in_an_address_are_not_shown(site: Site) -> None:
    url = site.url("/none.zip?token=secret").replace("http://", "http://me:hidden@")
    talk = Talk()
    with pytest.raises(DataError) as caught:
        fetch("emnist", source=url, talk=talk, progress=False)
    assert "/none.zip" in str(caught.value)
    assert not any(word in str(caught.value) + talk.all for word in ("secret", "hidden"))


# ---------------------------------------------------------------------- bad bytes


def test_a_wrong_member_is_named_and_the_good_ones_are_kept(site: Site, there: Path) -> None:
    wrong = bytes(len(FILES["emnist-b.gz"]))
    bad = zipped(FILES | {"emnist-b.gz": wrong})
    site.pages["/gzip.zip"] = Reply(bad)
    message = failure(source=site.url("/gzip.zip"))
    assert f"emnist-b.gz: sha256 {sha256(wrong)}, expected {sha256(FILES['emnist-b.gz'])}" in message
    assert hashlib.md5(bad).hexdigest() in message and hashlib.md5(OFFICIAL).hexdigest() in message
    assert "2 of 3 files are right" in message
    good = {name: data for name, data in FILES.items() if name != "emnist-b.gz"}
    assert contents(there) == good  # the bad download is gone, too
    site.pages["/gzip.zip"] = Reply(OFFICIAL)
    site.asked.clear()
    fetch("emnist", progress=False)
    assert site.asked == [("/gzip.zip", None)] and contents(there) == FILES | MAPPING


def test_a_repacked_zip_with_the_right_members_is_welcome(site: Site, there: Path) -> None:
    site.pages["/again.zip"] = Reply(zipped(FILES, "some/where/else/"))
    fetch("emnist", source=site.url("/again.zip"), progress=False)
    assert contents(there) == FILES


def test_a_wrong_text_is_removed_and_the_others_are_kept(site: Site, tmp_path: Path) -> None:
    site.pages["/wiki/test.tsv"] = Reply(b"changed\n")
    assert "test.tsv: sha256" in failure("wikisplit")
    assert contents(tmp_path / "data/wikisplit") == {"tune.tsv": TEXTS["tune.tsv"]}


def test_a_member_larger_than_declared_is_not_unpacked(
    site: Site, there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.pages["/gzip.zip"] = Reply(zipped(FILES | {"emnist-a.gz": bytes(9_000_000)}))
    placed: list[str] = []
    place = fetching._Job.place

    def spy(job: Any, stream: Any, member: Member) -> list[str]:
        placed.append(member.name)
        return place(job, stream, member)

    monkeypatch.setattr(fetching._Job, "place", spy)
    assert "emnist-a.gz would unpack to 9000000 bytes, expected 90000" in failure(source=site.url("/gzip.zip"))
    assert "emnist-a.gz" not in placed and "emnist-a.gz" not in contents(there)


def test_a_damaged_member_is_named(tmp_path: Path, there: Path) -> None:
    bad = bytearray(OFFICIAL)
    bad[OFFICIAL.index(FILES["emnist-a.gz"][1000:1100]) + 50] ^= 1
    (tmp_path / "own.zip").write_bytes(bad)
    assert "emnist-a.gz is damaged" in failure(source=tmp_path / "own.zip")
    assert set(contents(there)) == {"emnist-b.gz", "emnist-c.gz", "emnist-mapping.txt"}


def test_a_zip_cut_short(site: Site, tmp_path: Path, there: Path) -> None:
    short = OFFICIAL[: len(OFFICIAL) // 2]
    (tmp_path / "own.zip").write_bytes(short)
    message = failure(source=tmp_path / "own.zip")
    assert "cut short or damaged" in message and str(tmp_path / "own.zip") in message
    assert (tmp_path / "own.zip").read_bytes() == short  # the user's own file stays
    site.pages["/gzip.zip"] = Reply(short)
    assert "cut short or damaged" in failure(source=site.url("/gzip.zip"))
    assert contents(there) == {}


@pytest.mark.parametrize("name", ["../../evil.txt", "/tmp/evil.txt", "a/../../evil.txt", "..\\evil.txt", "C:evil"])
def test_no_member_leaves_the_folder(tmp_path: Path, there: Path, name: str) -> None:
    (tmp_path / "slip.zip").write_bytes(zipped(FILES | {name: b"evil"}, ""))
    assert "lies outside of its folder" in failure(source=tmp_path / "slip.zip")
    assert contents(there) == {}
    assert not [path for path in tmp_path.rglob("*evil*")]


# ---------------------------------------------------------------------- from this machine


@pytest.mark.parametrize("kind", [str, Path])
def test_a_zip_of_ones_own(site: Site, tmp_path: Path, there: Path, kind: type) -> None:
    (tmp_path / "own.zip").write_bytes(OFFICIAL)
    fetch("emnist", source=kind(tmp_path / "own.zip"))
    assert contents(there) == FILES | MAPPING and not site.asked
    assert (tmp_path / "own.zip").exists()


@pytest.mark.parametrize("inside", ["", "gzip", "emnist/gzip"])
def test_a_folder_of_ones_own(tmp_path: Path, there: Path, inside: str) -> None:
    own = tmp_path / "own" / inside
    own.mkdir(parents=True)
    for name, data in (FILES | MAPPING).items():
        (own / name).write_bytes(data)
    fetch("emnist", source=tmp_path / "own")
    assert contents(there) == contents(own) == FILES | MAPPING


def test_a_folder_that_lacks_a_file(tmp_path: Path, there: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/emnist-c.gz").write_bytes(FILES["emnist-c.gz"])
    message = failure(source=tmp_path / "own")
    assert "emnist-a.gz is not there; emnist-b.gz is not there (1 of 3 files are right" in message
    assert set(contents(there)) == {"emnist-c.gz"}


@pytest.mark.parametrize("source", ["own", "own/train.tsv.zip"])
def test_the_zipped_text_of_ones_own(tmp_path: Path, source: str) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/train.tsv.zip").write_bytes(zipped(TRAIN, ""))
    fetch("wikisplit", source=tmp_path / source, parts=("train",))
    assert contents(tmp_path / "data/wikisplit") == TRAIN


def test_another_file_of_that_name_stays_until_the_right_one_is_there(site: Site, there: Path) -> None:
    there.mkdir(parents=True)
    (there / "emnist-a.gz").write_bytes(b"my own part")
    talk = Talk()
    page = site.pages.pop("/gzip.zip")
    with pytest.raises(DataError):
        fetch("emnist", talk=talk, progress=False)
    assert "not the official file (11 bytes, expected 90000)" in talk.all
    assert contents(there) == {"emnist-a.gz": b"my own part"}
    site.pages["/gzip.zip"] = page
    fetch("emnist", progress=False)
    assert contents(there) == FILES | MAPPING


# ---------------------------------------------------------------------- the disk


@pytest.mark.parametrize("suffix", [".part", ".tmp"])
def test_a_full_disk_is_one_line(there: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            super().write(data[:100])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def narrow(path: Path, mode: str) -> Any:
        return Full(path, mode) if Path(path).suffix == suffix else open(path, mode)

    monkeypatch.setattr(fetching, "open", narrow, raising=False)
    message = failure()
    assert "the disk is full" in message and "GLYPHLINE_DATA" in message
    kept = [OFFICIAL] if suffix == ".tmp" else []  # a whole download is worth keeping, half a file is not
    assert list(contents(there).values()) == kept


def test_a_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"a file")
    message = failure()
    assert str(tmp_path / "data") in message and "GLYPHLINE_DATA sets another" in message


def test_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert data_folder() == tmp_path / "data"
    monkeypatch.setenv("GLYPHLINE_DATA", "~/glyphs")
    assert data_folder() == Path.home() / "glyphs"
    monkeypatch.delenv("GLYPHLINE_DATA")
    assert data_folder().name == "glyphline" and data_folder().is_absolute()


# ---------------------------------------------------------------------- what is asked for


def test_unknown_names_are_told_the_nearest(tmp_path: Path) -> None:
    assert 'did you mean "emnist"?' in failure("emnits")
    assert 'no part is called "tran": did you mean "train"?' in failure("wikisplit", parts="tran")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("source", ["ftp://a/b.zip", "file:///etc/passwd", "http://", "http://[", "no/such.zip"])
def test_sources_that_are_none(source: str, tmp_path: Path) -> None:
    message = failure(source=source)
    assert source in message and "http(s) address" in message
    assert not (tmp_path / "data").exists()


def test_the_real_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    emnist, wikisplit = FETCHABLE["emnist"], FETCHABLE["wikisplit"]
    files = [member for member in emnist.members if not member.optional]
    assert len(files) == 24 and sum(member.size or 0 for member in files) == 561_576_885
    assert {member.part for member in emnist.members} == set(emnist.parts)
    assert {member.part for member in wikisplit.members} == {*wikisplit.parts, "train"}
    for archive in FETCHABLE.values():
        assert all(url.startswith("https://") for url in archive.urls)
        hashes = [member.sha256 for member in archive.members if member.sha256]
        assert len(set(hashes)) == len(hashes) and all(len(bytes.fromhex(one)) == 32 for one in hashes)
