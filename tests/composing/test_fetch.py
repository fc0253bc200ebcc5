"""fetch: whatever the network, the disk or the user does, only complete and verified files get their final names.

The tests run against a server on this machine and data sets of a few kilobytes.
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

from glyphline.composing import fetch as fetch_module
from glyphline.composing.fetch import DATASETS, Dataset, DatasetFile, data_folder, fetch
from glyphline.errors import DataError

FILE_SIZE = 90_000  # larger than CHUNK_SIZE
FILES = {f"emnist-{part}.gz": random.Random(part).randbytes(FILE_SIZE) for part in ("a", "b", "c")}
MAPPING = {"emnist-mapping.txt": b"0 48\n1 49\n"}
TEXTS = {"test.tsv": b"one .\tone <::::> .\n" * 9, "tune.tsv": b"two .\ttwo <::::> .\n" * 9}
TRAIN = {"train.tsv": b"three .\tthree <::::> .\n" * 9}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_zip(files: dict[str, bytes], folder: str = "gzip/") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(folder + name, (2020, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


OFFICIAL = make_zip(FILES | MAPPING)


# ---------------------------------------------------------------------- the test server


@dataclass
class Response:
    """How the server responds at one path."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/octet-stream"
    supports_ranges: bool = True
    sent_bytes: list[int] = field(default_factory=list)  # number of bytes after which each request is disconnected
    range_shift: int = 0  # bytes between the start of the range that is sent and the one that was requested


class Server:
    """A server on this machine. `responses`: path -> response. `requests`: (path, Range header) of each request."""

    def __init__(self) -> None:
        self.responses: dict[str, Response] = {}
        self.requests: list[tuple[str, str | None]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append((self.path, self.headers.get("Range")))
                server.send(self, server.responses.get(self.path.split("?")[0], Response(b"gone", 404)))

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.http_server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http_server.serve_forever, args=(0.005,))
        self.thread.start()

    def send(self, handler: BaseHTTPRequestHandler, response: Response) -> None:
        body, status, content_range = response.body, response.status, None
        requested_range = handler.headers.get("Range")
        if requested_range and response.supports_ranges and status == 200:
            start = int(requested_range.removeprefix("bytes=").removesuffix("-")) + response.range_shift
            status, content_range = 206, f"bytes {start}-{len(body) - 1}/{len(body)}"
            if start >= len(body):
                status, content_range = 416, f"bytes */{len(body)}"
            body = body[start:]
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("Content-Type", response.content_type)
        if content_range:
            handler.send_header("Content-Range", content_range)
        handler.end_headers()
        handler.wfile.write(body[: response.sent_bytes.pop(0)] if response.sent_bytes else body)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.http_server.server_port}{path}"

    def close(self) -> None:
        self.http_server.shutdown()
        self.thread.join()
        self.http_server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def small_datasets(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two small data sets of the same structure as the real ones, on the server. No proxy, no real data folder."""
    monkeypatch.setenv("GLYPHLINE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    emnist_files = [DatasetFile(name, name[7], len(data), sha256(data)) for name, data in FILES.items()]
    emnist = Dataset(
        folder="emnist/gzip",
        urls=(server.url("/gzip.zip"), server.url("/older.zip")),
        files=(*emnist_files, DatasetFile("emnist-mapping.txt", "a", optional=True)),
        default_parts=("a", "b", "c"),
        zip_md5=hashlib.md5(OFFICIAL).hexdigest(),
        terms="terms of use",
    )
    wikisplit_files = [
        DatasetFile(name, name.removesuffix(".tsv"), sha256=sha256(data)) for name, data in TEXTS.items()
    ]
    wikisplit = Dataset(
        folder="wikisplit",
        urls=(server.url("/wiki/"),),
        files=(*wikisplit_files, DatasetFile("train.tsv", "train", zip_name="train.tsv.zip")),
        default_parts=("test", "tune"),
    )
    monkeypatch.setitem(DATASETS, "emnist", emnist)
    monkeypatch.setitem(DATASETS, "wikisplit", wikisplit)
    server.responses = {
        "/gzip.zip": Response(OFFICIAL),
        "/wiki/train.tsv.zip": Response(make_zip(TRAIN, "")),
        **{f"/wiki/{name}": Response(data, content_type="text/plain") for name, data in TEXTS.items()},
    }


@pytest.fixture
def emnist_folder(tmp_path: Path) -> Path:
    """The folder that EMNIST is installed in."""
    return tmp_path / "data/emnist/gzip"


class Log(list[str]):
    """The status messages of `fetch`."""

    def __call__(self, line: str) -> None:
        self.append(line)

    @property
    def text(self) -> str:
        return "\n".join(self)


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def fetch_error(name: str = "emnist", **options: Any) -> str:
    """The message of the DataError that `fetch` raises, one line."""
    with pytest.raises(DataError) as caught:
        fetch(name, log=lambda line: None, progress=False, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


@contextmanager
def interrupt_download(monkeypatch: pytest.MonkeyPatch, chunks: int) -> Iterator[None]:
    """Raise KeyboardInterrupt in the download of the block after a number of chunks."""

    @contextmanager
    def interrupting_bar(*_: object) -> Iterator[Callable[[int], None]]:
        remaining = iter(range(chunks))

        def advance(count: int) -> None:
            if next(remaining, None) is None:
                raise KeyboardInterrupt

        yield advance

    with monkeypatch.context() as patch:
        patch.setattr(fetch_module, "_progress_bar", interrupting_bar)
        with pytest.raises(KeyboardInterrupt):
            yield


# ---------------------------------------------------------------------- downloads without errors


def test_zip_is_unpacked_into_files(emnist_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert fetch("emnist", progress=False) == emnist_folder
    assert read_files(emnist_folder) == FILES | MAPPING  # no .part, .tmp or zip is left
    out, err = capfd.readouterr()
    assert out == "" and "terms of use" in err and str(emnist_folder) in err


def test_present_and_correct_files_are_not_fetched_again(server: Server) -> None:
    fetch("emnist", progress=False)
    server.requests.clear()
    log = Log()
    fetch("emnist", log=log)
    assert not server.requests and "already" in log.text


def test_folder_address_serves_files_one_by_one(server: Server, tmp_path: Path) -> None:
    assert fetch("wikisplit", progress=False) == tmp_path / "data/wikisplit"
    assert read_files(tmp_path / "data/wikisplit") == TEXTS
    assert [path for path, _ in server.requests] == ["/wiki/test.tsv", "/wiki/tune.tsv"]


def test_only_requested_parts_are_fetched(tmp_path: Path) -> None:
    log = Log()
    fetch("wikisplit", parts=("train",), log=log, progress=False)
    assert read_files(tmp_path / "data/wikisplit") == TRAIN
    assert "no sha256 is known for train.tsv" in log.text
    fetch("emnist", parts=["b"], folder=tmp_path / "else", progress=False)
    assert read_files(tmp_path / "else/emnist/gzip") == {"emnist-b.gz": FILES["emnist-b.gz"]}


def test_folder_mirror_may_lack_optional_files(server: Server, emnist_folder: Path) -> None:
    server.responses |= {f"/m/{name}": Response(data) for name, data in FILES.items()}
    fetch("emnist", source=server.url("/m/"), progress=False)
    assert read_files(emnist_folder) == FILES


def test_progress_bar_is_written_to_stderr(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    fetch("emnist")
    out, err = capfd.readouterr()
    assert out == "" and "emnist.zip" in err and "270." in err


# ---------------------------------------------------------------------- interruptions


def test_interrupted_download_is_resumed(server: Server, emnist_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    with interrupt_download(monkeypatch, chunks=2):
        fetch("emnist", log=log, progress=False)
    (part,) = emnist_folder.iterdir()
    size = part.stat().st_size
    assert part.suffix == ".part" and part.read_bytes() == OFFICIAL[:size] and 0 < size < len(OFFICIAL)
    assert "run the same command again to resume" in log.text
    fetch("emnist", progress=False)
    assert server.requests == [("/gzip.zip", None), ("/gzip.zip", f"bytes={size}-")]
    assert read_files(emnist_folder) == FILES | MAPPING


def test_lost_connection_is_resumed(server: Server, emnist_folder: Path) -> None:
    half = len(OFFICIAL) // 2
    server.responses["/gzip.zip"].sent_bytes = [half, half // 2]
    fetch("emnist", progress=False)
    starts = [int(range_header[6:-1]) for _, range_header in server.requests if range_header]
    assert len(server.requests) == 3 and 0 < starts[0] <= half < starts[1] < len(OFFICIAL)
    assert read_files(emnist_folder) == FILES | MAPPING


def test_download_starts_over_if_server_ignores_ranges(server: Server, emnist_folder: Path) -> None:
    server.responses["/gzip.zip"] = Response(OFFICIAL, supports_ranges=False, sent_bytes=[len(OFFICIAL) // 2])
    fetch("emnist", progress=False)
    assert len(server.requests) == 2 and server.requests[1][1]
    assert read_files(emnist_folder) == FILES | MAPPING


def test_stalled_download_fails_and_keeps_its_part(server: Server, emnist_folder: Path) -> None:
    server.responses["/gzip.zip"].sent_bytes = [len(OFFICIAL) // 2, 0, 0]
    message = fetch_error(source=server.url("/gzip.zip"))
    assert "kept, run the same command again to resume" in message and "--from FILE_OR_URL" in message
    (part,) = emnist_folder.iterdir()
    assert part.read_bytes() == OFFICIAL[: part.stat().st_size]
    server.responses["/gzip.zip"].sent_bytes = []
    fetch("emnist", source=server.url("/gzip.zip"), progress=False)
    assert read_files(emnist_folder) == FILES | MAPPING


def leave_part(emnist_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The `.part` file of an interrupted download of EMNIST."""
    with interrupt_download(monkeypatch, chunks=1):
        fetch("emnist", progress=False)
    (part,) = emnist_folder.iterdir()
    return part


def test_complete_part_is_not_downloaded_again(
    server: Server, emnist_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_part(emnist_folder, monkeypatch).write_bytes(OFFICIAL)
    server.requests.clear()
    fetch("emnist", progress=False)
    assert server.requests == [("/gzip.zip", f"bytes={len(OFFICIAL)}-")]  # the response is 416
    assert read_files(emnist_folder) == FILES | MAPPING


@pytest.mark.parametrize(("size", "range_shift"), [(len(OFFICIAL) + 9, 0), (1000, 5)], ids=["too long", "other range"])
def test_part_that_cannot_be_resumed_is_downloaded_again(
    server: Server, emnist_folder: Path, monkeypatch: pytest.MonkeyPatch, size: int, range_shift: int
) -> None:
    leave_part(emnist_folder, monkeypatch).write_bytes(bytes(size))
    server.responses["/gzip.zip"].range_shift = range_shift
    fetch("emnist", progress=False)
    assert [bool(range_header) for _, range_header in server.requests[1:]] == [True, False]
    assert read_files(emnist_folder) == FILES | MAPPING


def test_interrupted_unpacking_keeps_the_download(
    server: Server, emnist_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", interrupt)
        fetch("emnist", progress=False)
    assert list(read_files(emnist_folder).values()) == [OFFICIAL]
    fetch("emnist", progress=False)
    assert read_files(emnist_folder) == FILES | MAPPING
    assert server.requests[1:] == [("/gzip.zip", f"bytes={len(OFFICIAL)}-")]


# ---------------------------------------------------------------------- bad addresses


def test_next_address_is_tried_after_a_failure(server: Server, emnist_folder: Path) -> None:
    server.responses["/older.zip"] = server.responses.pop("/gzip.zip")
    log = Log()
    fetch("emnist", log=log, progress=False)
    assert "HTTP 404" in log.text and read_files(emnist_folder) == FILES | MAPPING


def test_failure_of_all_addresses_names_them_and_the_remedy(server: Server, emnist_folder: Path) -> None:
    server.responses = {"/older.zip": Response(b"busy", 503)}
    message = fetch_error()
    for text in ("/gzip.zip: HTTP 404", "/older.zip: HTTP 503", "glyphline fetch emnist --from FILE_OR_URL"):
        assert text in message
    assert read_files(emnist_folder) == {}


def test_refused_connection_is_reported() -> None:
    message = fetch_error(source="http://127.0.0.1:1/x.zip")
    assert "ConnectionError" in message and "object at 0x" not in message


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/zip"])
def test_web_page_instead_of_zip_is_refused(server: Server, emnist_folder: Path, content_type: str) -> None:
    server.responses["/gzip.zip"] = Response(b"\n<!DOCTYPE html><title>moved</title>" * 99, content_type=content_type)
    assert "the content is a web page, not a zip" in fetch_error(source=server.url("/gzip.zip"))
    assert read_files(emnist_folder) == {}


def test_web_page_does_not_overwrite_a_good_part(
    server: Server, emnist_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good_part = leave_part(emnist_folder, monkeypatch).read_bytes()
    server.responses["/gzip.zip"] = Response(b"<html>log in</html>", content_type="text/html", supports_ranges=False)
    assert "the content is a web page" in fetch_error(source=server.url("/gzip.zip"))
    assert list(read_files(emnist_folder).values()) == [good_part]


def test_web_page_instead_of_text_file_is_refused(server: Server, tmp_path: Path) -> None:
    server.responses["/wiki/test.tsv"] = Response(b"<!doctype html>", content_type="text/plain")
    assert "test.tsv: the content is a web page, not the file" in fetch_error("wikisplit")
    assert read_files(tmp_path / "data/wikisplit") == {}


@pytest.mark.parametrize(("body", "reason"), [(b"", "empty"), (b"Rar!\x1a\x07", "not a zip")])
def test_content_that_is_not_a_zip_is_refused(server: Server, emnist_folder: Path, body: bytes, reason: str) -> None:
    server.responses["/gzip.zip"] = Response(body)
    assert reason in fetch_error(source=server.url("/gzip.zip"))
    assert read_files(emnist_folder) == {}


@pytest.mark.parametrize("length_stated", [True, False])
def test_response_larger_than_limit_is_refused(
    server: Server, emnist_folder: Path, monkeypatch: pytest.MonkeyPatch, length_stated: bool
) -> None:
    if not length_stated:
        monkeypatch.setattr(fetch_module, "_content_length", lambda headers: None)
    server.responses["/m/emnist-a.gz"] = Response(bytes(400_000))
    reason = (
        "400000 bytes, expected at most 90000" if length_stated else "the response exceeds the limit of 90000 bytes"
    )
    assert reason in fetch_error(source=server.url("/m/"))
    assert read_files(emnist_folder) == {}


def test_secrets_in_address_are_not_printed(server: Server) -> None:
    url = server.url("/none.zip?token=secret").replace("http://", "http://me:hidden@")
    log = Log()
    with pytest.raises(DataError) as caught:
        fetch("emnist", source=url, log=log, progress=False)
    assert "/none.zip" in str(caught.value)
    assert not any(secret in str(caught.value) + log.text for secret in ("secret", "hidden"))


# ---------------------------------------------------------------------- damaged or wrong content


def test_wrong_member_is_named_and_correct_ones_are_kept(server: Server, emnist_folder: Path) -> None:
    wrong = bytes(len(FILES["emnist-b.gz"]))
    bad_zip = make_zip(FILES | {"emnist-b.gz": wrong})
    server.responses["/gzip.zip"] = Response(bad_zip)
    message = fetch_error(source=server.url("/gzip.zip"))
    assert f"emnist-b.gz: sha256 {sha256(wrong)}, expected {sha256(FILES['emnist-b.gz'])}" in message
    assert hashlib.md5(bad_zip).hexdigest() in message and hashlib.md5(OFFICIAL).hexdigest() in message
    assert "2 of 3 files are correct" in message
    correct_files = {name: data for name, data in FILES.items() if name != "emnist-b.gz"}
    assert read_files(emnist_folder) == correct_files  # the bad download is deleted, too
    server.responses["/gzip.zip"] = Response(OFFICIAL)
    server.requests.clear()
    fetch("emnist", progress=False)
    assert server.requests == [("/gzip.zip", None)] and read_files(emnist_folder) == FILES | MAPPING


def test_repacked_zip_with_correct_members_is_accepted(server: Server, emnist_folder: Path) -> None:
    server.responses["/again.zip"] = Response(make_zip(FILES, "some/where/else/"))
    fetch("emnist", source=server.url("/again.zip"), progress=False)
    assert read_files(emnist_folder) == FILES


def test_wrong_text_file_is_removed_and_others_are_kept(server: Server, tmp_path: Path) -> None:
    server.responses["/wiki/test.tsv"] = Response(b"changed\n")
    assert "test.tsv: sha256" in fetch_error("wikisplit")
    assert read_files(tmp_path / "data/wikisplit") == {"tune.tsv": TEXTS["tune.tsv"]}


def test_member_larger_than_expected_is_not_unpacked(
    server: Server, emnist_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.responses["/gzip.zip"] = Response(make_zip(FILES | {"emnist-a.gz": bytes(9_000_000)}))
    installed: list[str] = []
    install = fetch_module._FetchJob.install

    def recording_install(job: Any, stream: Any, file: DatasetFile) -> list[str]:
        installed.append(file.name)
        return install(job, stream, file)

    monkeypatch.setattr(fetch_module._FetchJob, "install", recording_install)
    assert "emnist-a.gz would unpack to 9000000 bytes, expected 90000" in fetch_error(source=server.url("/gzip.zip"))
    assert "emnist-a.gz" not in installed and "emnist-a.gz" not in read_files(emnist_folder)


def test_damaged_member_is_named(tmp_path: Path, emnist_folder: Path) -> None:
    damaged = bytearray(OFFICIAL)
    damaged[OFFICIAL.index(FILES["emnist-a.gz"][1000:1100]) + 50] ^= 1
    (tmp_path / "own.zip").write_bytes(damaged)
    assert "emnist-a.gz is damaged" in fetch_error(source=tmp_path / "own.zip")
    assert set(read_files(emnist_folder)) == {"emnist-b.gz", "emnist-c.gz", "emnist-mapping.txt"}


def test_truncated_zip_is_refused(server: Server, tmp_path: Path, emnist_folder: Path) -> None:
    truncated = OFFICIAL[: len(OFFICIAL) // 2]
    (tmp_path / "own.zip").write_bytes(truncated)
    message = fetch_error(source=tmp_path / "own.zip")
    assert "truncated or damaged" in message and str(tmp_path / "own.zip") in message
    assert (tmp_path / "own.zip").read_bytes() == truncated  # the user's own file is kept
    server.responses["/gzip.zip"] = Response(truncated)
    assert "truncated or damaged" in fetch_error(source=server.url("/gzip.zip"))
    assert read_files(emnist_folder) == {}


@pytest.mark.parametrize("name", ["../../evil.txt", "/tmp/evil.txt", "a/../../evil.txt", "..\\evil.txt", "C:evil"])
def test_zip_with_path_outside_its_folder_is_refused(tmp_path: Path, emnist_folder: Path, name: str) -> None:
    (tmp_path / "slip.zip").write_bytes(make_zip(FILES | {name: b"evil"}, ""))
    assert "a path outside of its folder" in fetch_error(source=tmp_path / "slip.zip")
    assert read_files(emnist_folder) == {}
    assert not [path for path in tmp_path.rglob("*evil*")]


# ---------------------------------------------------------------------- from this machine


@pytest.mark.parametrize("path_type", [str, Path])
def test_local_zip_is_installed(server: Server, tmp_path: Path, emnist_folder: Path, path_type: type) -> None:
    (tmp_path / "own.zip").write_bytes(OFFICIAL)
    fetch("emnist", source=path_type(tmp_path / "own.zip"))
    assert read_files(emnist_folder) == FILES | MAPPING and not server.requests
    assert (tmp_path / "own.zip").exists()


@pytest.mark.parametrize("subfolder", ["", "gzip", "emnist/gzip"])
def test_local_folder_is_installed(tmp_path: Path, emnist_folder: Path, subfolder: str) -> None:
    folder = tmp_path / "own" / subfolder
    folder.mkdir(parents=True)
    for name, data in (FILES | MAPPING).items():
        (folder / name).write_bytes(data)
    fetch("emnist", source=tmp_path / "own")
    assert read_files(emnist_folder) == read_files(folder) == FILES | MAPPING


def test_local_folder_without_required_files_is_reported(tmp_path: Path, emnist_folder: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/emnist-c.gz").write_bytes(FILES["emnist-c.gz"])
    message = fetch_error(source=tmp_path / "own")
    assert "emnist-a.gz is missing; emnist-b.gz is missing (1 of 3 files are correct" in message
    assert set(read_files(emnist_folder)) == {"emnist-c.gz"}


@pytest.mark.parametrize("source", ["own", "own/train.tsv.zip"])
def test_local_zipped_text_is_installed(tmp_path: Path, source: str) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/train.tsv.zip").write_bytes(make_zip(TRAIN, ""))
    fetch("wikisplit", source=tmp_path / source, parts=("train",))
    assert read_files(tmp_path / "data/wikisplit") == TRAIN


def test_wrong_file_stays_until_correct_one_replaces_it(server: Server, emnist_folder: Path) -> None:
    emnist_folder.mkdir(parents=True)
    (emnist_folder / "emnist-a.gz").write_bytes(b"my own part")
    log = Log()
    response = server.responses.pop("/gzip.zip")
    with pytest.raises(DataError):
        fetch("emnist", log=log, progress=False)
    assert "not the official file (11 bytes, expected 90000)" in log.text
    assert read_files(emnist_folder) == {"emnist-a.gz": b"my own part"}
    server.responses["/gzip.zip"] = response
    fetch("emnist", progress=False)
    assert read_files(emnist_folder) == FILES | MAPPING


# ---------------------------------------------------------------------- the disk


@pytest.mark.parametrize("suffix", [".part", ".tmp"])
def test_full_disk_is_reported_in_one_line(emnist_folder: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    class FullDiskFile(io.FileIO):
        def write(self, data: Any) -> int:
            super().write(data[:100])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def open_full_disk(path: Path, mode: str) -> Any:
        return FullDiskFile(path, mode) if Path(path).suffix == suffix else open(path, mode)

    monkeypatch.setattr(fetch_module, "open", open_full_disk, raising=False)
    message = fetch_error()
    assert "the disk is full" in message and "GLYPHLINE_DATA" in message
    kept = [OFFICIAL] if suffix == ".tmp" else []  # a complete download is kept, an incomplete one is not
    assert list(read_files(emnist_folder).values()) == kept


def test_data_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"a file")
    message = fetch_error()
    assert str(tmp_path / "data") in message and "set GLYPHLINE_DATA to use another" in message


def test_data_folder_from_environment_or_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert data_folder() == tmp_path / "data"
    monkeypatch.setenv("GLYPHLINE_DATA", "~/glyphs")
    assert data_folder() == Path.home() / "glyphs"
    monkeypatch.delenv("GLYPHLINE_DATA")
    assert data_folder().name == "glyphline" and data_folder().is_absolute()


# ---------------------------------------------------------------------- arguments and tables


def test_unknown_name_and_part_suggest_the_nearest(tmp_path: Path) -> None:
    assert 'did you mean "emnist"?' in fetch_error("emnits")
    assert 'unknown part "tran": did you mean "train"?' in fetch_error("wikisplit", parts="tran")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("source", ["ftp://a/b.zip", "file:///etc/passwd", "http://", "http://[", "no/such.zip"])
def test_invalid_source_is_refused(source: str, tmp_path: Path) -> None:
    message = fetch_error(source=source)
    assert source in message and "http(s) address" in message
    assert not (tmp_path / "data").exists()


def test_dataset_tables_are_consistent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    emnist, wikisplit = DATASETS["emnist"], DATASETS["wikisplit"]
    required_files = [file for file in emnist.files if not file.optional]
    assert len(required_files) == 24 and sum(file.size or 0 for file in required_files) == 561_576_885
    assert {file.part for file in emnist.files} == set(emnist.default_parts)
    assert {file.part for file in wikisplit.files} == {*wikisplit.default_parts, "train"}
    for dataset in DATASETS.values():
        assert all(url.startswith("https://") for url in dataset.urls)
        hashes = [file.sha256 for file in dataset.files if file.sha256]
        assert len(set(hashes)) == len(hashes) and all(len(bytes.fromhex(sha256)) == 32 for sha256 in hashes)
