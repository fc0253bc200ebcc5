"""The service as a process: its address, its end, and hostile clients that no test client can play."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from importlib import resources
from pathlib import Path

import pytest

from app_process import AppProcess

pytest.importorskip("fastapi")
pytest.importorskip("segno")

from glyphline.app.limits import LIMITS

pytestmark = pytest.mark.flaky(reruns=1)  # limits in seconds: a busy machine may hold a process up

ROOT = Path(__file__).parents[2]
LINE = (ROOT / "examples" / "lines" / "example-1.png").read_bytes()
TEXT = "The horse refused the third fence, then"
HEAD = b"POST /api/read?format=text HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
FORM = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + LINE + b"\r\n--b--\r\n"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    process = AppProcess(data=tmp_path_factory.mktemp("data"))
    yield process
    process.close()


def read_line(app: AppProcess, port: int | None = None) -> str:
    """The text of the example line, read by the service."""
    with socket.create_connection(("127.0.0.1", port or app.port), 60) as connection:
        connection.sendall(HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(FORM) + FORM)
        return receive(connection).rpartition(b"\r\n\r\n")[2].decode().strip()


def receive(connection: socket.socket) -> bytes:
    """All that comes until the other end closes."""
    data = b""
    with suppress(ConnectionResetError):
        while block := connection.recv(65536):
            data += block
    return data


@pytest.mark.slow
def test_mistakes_are_one_line(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path)}
    (tmp_path / "mine.onnx").write_text("damaged")
    (tmp_path / "reader.json").write_text('{"in_use": "mine"}')
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for options, words in (
            (["--port", port], "cannot listen on"),
            (["--token", "short"], "at least 12"),
            (["--picture", "none.jpg"], "does not exist"),
            (["--teach", "/dev/null/hand"], "give another folder"),
            (["--teach", str(tmp_path), "--port", "0"], "to go on with the original reader"),
            (["--model", str(tmp_path / "mine.onnx"), "--port", "0"], "mine.onnx"),
            (["--model", "no-reader", "--port", "0"], "photo"),
            (["--glyphs", "folder:none"], "--teach"),
            (["--glyphs", "folder:none", "--teach", str(tmp_path)], "none"),
        ):
            command = [sys.executable, "-m", "glyphline", "serve", *options]
            done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
            assert done.returncode == 2 and words in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.slow
def test_address_and_end(tmp_path: Path) -> None:
    app = AppProcess(data=tmp_path)
    assert app.address == f"http://127.0.0.1:{app.port}/" and read_line(app) == TEXT
    (reader,) = [pid for pid in app.children() if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert app.close() in (0, -signal.SIGTERM)
    assert not Path(f"/proc/{reader}").exists() and not list(tmp_path.rglob("token"))


@pytest.mark.slow
def test_a_reader_of_a_file_reads(tmp_path: Path) -> None:
    model = tmp_path / "mine.onnx"
    with resources.as_file(resources.files("glyphline.models").joinpath("photo.onnx")) as photo:
        model.symlink_to(photo)
    app = AppProcess("--model", str(model), data=tmp_path / "data")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{app.port}/api/models", timeout=30) as answer:
            listed = json.load(answer)
        assert [row["name"] for row in listed if row["in_use"]] == ["mine.onnx"]
        assert read_line(app) == TEXT
    finally:
        app.close()


@pytest.mark.slow
def test_a_teaching_does_not_hold_up_the_end(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    files = {f"a/{k}.png": LINE + bytes([k]) for k in range(9)}  # each is another file
    files["a/labels.tsv"] = "".join(f"{k}.png\t{TEXT}\n" for k in range(9)).encode()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        for name, data in files.items():
            opened.writestr(name, data)
    form = FORM.replace(LINE, archive.getvalue())
    app = AppProcess("--teach", str(tmp_path / "hand"), data=tmp_path)
    with socket.create_connection(("127.0.0.1", app.port), 60) as connection:
        head = HEAD.replace(b"/api/read?format=text", b"/api/teach")
        connection.sendall(head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(form) + form)
        answer = b""
        while b"opening the reader" not in answer:
            answer += (received := connection.recv(65536))
            assert received, answer
        children = [pid for pid in app.children() if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        start = time.monotonic()
        app.process.terminate()
        answer += receive(connection)
    assert b"the service was stopped" in answer and app.close() in (0, -signal.SIGTERM)
    assert len(children) == 2  # the reader and the teacher
    assert time.monotonic() - start < 15 and not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert len(list((tmp_path / "hand").glob("learning-*/lines/labels.tsv"))) == 1  # it can go on


@pytest.mark.slow
def test_killed_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    app = AppProcess(data=tmp_path)
    children = app.children()
    with socket.create_connection(("127.0.0.1", app.port)) as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(FORM) + FORM)
        time.sleep(0.1)
        app.process.kill()
        app.close()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    again = AppProcess("--port", str(app.port), data=tmp_path)
    assert read_line(again) == TEXT
    again.close()


@pytest.mark.slow
def test_requests_end_before_the_service_does(tmp_path: Path) -> None:
    app = AppProcess(data=tmp_path)
    with socket.create_connection(("127.0.0.1", app.port), 60) as connection:
        connection.sendall(HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(FORM) + FORM)
        time.sleep(0.1)
        app.process.terminate()
        assert TEXT.encode() in receive(connection)
    app.close()


@pytest.mark.slow
def test_phone_address_with_https_and_token(tmp_path: Path) -> None:
    app = AppProcess("--host", "0.0.0.0", "--https", data=tmp_path)
    try:
        assert app.address.startswith("https://") and "/#token=" in app.address
        token = app.address.partition("#token=")[2]
        folder = tmp_path / "glyphline" / "app"
        assert (folder / "token").read_text() == token and (folder / "token").stat().st_mode & 0o77 == 0
        assert any("█" in line or "▀" in line or "▄" in line for line in app.messages)  # the QR code
        trust = ssl.create_default_context(cafile=str(folder / "authority.crt"))
        address = f"https://127.0.0.1:{app.port}"
        request = urllib.request.Request(f"{address}/api/models", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, context=trust) as answer:
            assert json.load(answer)
        with urllib.request.urlopen(f"{address}/ca.crt", context=trust) as answer:
            assert answer.read() == (folder / "authority.crt").read_bytes()
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{address}/api/models", context=trust)
    finally:
        app.close()


@pytest.mark.slow
def test_declared_ten_gigabytes_are_refused_at_once(app: AppProcess) -> None:
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", app.port), 30) as connection:
        connection.sendall(HEAD + b"Connection: close\r\nContent-Length: 10000000000\r\n\r\n")
        assert receive(connection).startswith(b"HTTP/1.1 413")
    assert time.monotonic() - start < 5 and read_line(app) == TEXT


@pytest.mark.slow
@pytest.mark.parametrize(
    "head",
    [
        b"\0\0\0\0\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST /api/read HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
    ],
    ids=["binary", "version", "no host", "negative", "both lengths", "long header"],
)
def test_malformed_requests_do_no_harm(app: AppProcess, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", app.port), 30) as connection:
        with suppress(ConnectionError):
            connection.sendall(head)
        assert receive(connection)[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 421", b"HTTP/1.1 431", b"HTTP/1.1 505")
    assert read_line(app) == TEXT


@pytest.mark.slow
def test_slow_and_half_open_connections(app: AppProcess) -> None:
    """1,000 clients send half a request and wait. Others are served meanwhile; then the half-open ones are ended."""
    connections = []
    try:
        for number in range(1000):
            connection = socket.create_connection(("127.0.0.1", app.port), 30)
            connection.sendall(b"" if number % 2 else b"POST /api/read HTTP/1.1\r\nHost: local")
            connections.append(connection)
        start = time.monotonic()
        assert read_line(app) == TEXT and time.monotonic() - start < 10
        deadline = time.monotonic() + LIMITS.header_seconds + 20
        for connection in connections:
            connection.settimeout(max(0.1, deadline - time.monotonic()))
            assert receive(connection) == b""  # ended by the service
    finally:
        for connection in connections:
            connection.close()
    assert read_line(app) == TEXT


@pytest.mark.slow
def test_slow_bodies_do_not_hold_up_others(app: AppProcess) -> None:
    connections = [socket.create_connection(("127.0.0.1", app.port), 30) for _ in range(60)]
    for connection in connections:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(FORM) + FORM[:1000])
    start = time.monotonic()
    assert read_line(app) == TEXT and time.monotonic() - start < 10
    for connection in connections:
        connection.close()
    assert read_line(app) == TEXT


@pytest.mark.slow
def test_pictures_are_not_written_to_disk(app: AppProcess) -> None:
    def written() -> int:
        rows = Path(f"/proc/{app.process.pid}/io").read_text().splitlines()
        return next(int(row.split()[1]) for row in rows if row.startswith("write_bytes"))

    read_line(app)
    before = written()
    for _ in range(10):
        read_line(app)
    assert written() - before < len(LINE)
