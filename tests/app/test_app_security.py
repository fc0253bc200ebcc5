"""Who may use the service, how much they may send, and what happens when too many do."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("httpx2")

from fastapi.testclient import TestClient

from glyphline.app.limits import LIMITS, Limits
from glyphline.app.reader_process import ReaderTimeout, ReadJob, ReadResult
from glyphline.app.security import Access, check_token
from glyphline.app.server import Service, create_app

TOKEN = "correct-horse-battery"


@dataclass
class StandInReader:
    """A reader that waits until it is released, or fails."""

    release: threading.Event = field(default_factory=threading.Event)
    started: threading.Event = field(default_factory=threading.Event)
    jobs: list[ReadJob] = field(default_factory=list)
    error: Exception | None = None

    def start(self) -> None:
        pass

    def close(self) -> None:
        self.release.set()

    def read(self, job: ReadJob) -> ReadResult:
        self.jobs.append(job)
        self.started.set()
        assert self.release.wait(20)
        if self.error:
            raise self.error
        return ReadResult(b"{}", [])


def serve(limits: Limits = LIMITS, access: Access | None = None) -> tuple[TestClient, StandInReader]:
    reader = StandInReader()
    service = Service(limits, access or Access(), reader, log=lambda _: None)  # type: ignore[arg-type]
    return TestClient(create_app(service), base_url="http://localhost", raise_server_exceptions=False), reader


@pytest.fixture
def released() -> Iterator[tuple[TestClient, StandInReader]]:
    client, reader = serve()
    reader.release.set()
    with client:
        yield client, reader


def post(client: TestClient, data: bytes = b"x", **headers: str) -> Any:
    return client.post("/api/read", files={"file": ("a.png", data)}, headers=headers)


def test_names_of_other_machines_are_refused(released: tuple[TestClient, StandInReader]) -> None:
    client, reader = released
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "", "localhost@evil.example"):
        assert client.get("/", headers={"host": host}).status_code == 421, host
        assert post(client, host=host).status_code == 421
    for host in ("localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080", "[::1]"):
        assert post(client, host=host).status_code == 200, host
    assert len(reader.jobs) == 5


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:9999"},
        {"origin": "http://localhost.evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_posts_of_other_sites_are_refused(released: tuple[TestClient, StandInReader], headers: dict[str, str]) -> None:
    client, reader = released
    answer = post(client, **headers)
    assert answer.status_code == 403 and not reader.jobs
    assert "access-control-allow-origin" not in answer.headers


def test_posts_of_the_page_are_accepted(released: tuple[TestClient, StandInReader]) -> None:
    client, _ = released
    assert post(client, origin="http://localhost", **{"sec-fetch-site": "same-origin"}).status_code == 200


def test_token() -> None:
    client, reader = serve(access=Access(TOKEN, None))
    reader.release.set()
    with client:
        for wrong in ({}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}, {"authorization": "Bearer "},
                      {"authorization": f"Basic {TOKEN}"}, {"authorization": f"Bearer {TOKEN}x"}):  # fmt: skip
            answer = post(client, **wrong)
            assert answer.status_code == 401 and "QR code" in answer.json()["error"], wrong
            for path in ("/api/models", "/api/languages", "/api/nothing"):
                assert client.get(path, headers=wrong).status_code == 401
        assert not reader.jobs
        assert post(client, authorization=f"Bearer {TOKEN}").status_code == 200
        assert client.get("/").status_code == 200 and client.get("/health").status_code == 200  # hold no secrets


@pytest.mark.parametrize("token", ["short", "with a space in it", "ünïcödé-tökén"])
def test_unfit_tokens_are_refused(token: str) -> None:
    with pytest.raises(ValueError, match=r"give|ASCII"):
        check_token(token)


def test_every_page_has_a_strict_policy(released: tuple[TestClient, StandInReader]) -> None:
    client, _ = released
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and "https:" not in policy and "*" not in policy
    assert "set-cookie" not in answer.headers and "server" not in answer.headers
    assert "<script>" not in answer.text and "style=" not in answer.text and "onclick" not in answer.text


def test_large_bodies_are_refused() -> None:
    client, reader = serve(replace(LIMITS, body_bytes=1000))
    reader.release.set()
    with client:
        assert post(client, b"x" * 2000).status_code == 413  # declared

        def chunks() -> Iterator[bytes]:
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
            for _ in range(50):
                yield b"x" * 100

        headers = {"content-type": "multipart/form-data; boundary=b"}
        assert client.post("/api/read", content=chunks(), headers=headers).status_code == 413  # not declared
        assert post(client, b"x" * 500).status_code == 200 and len(reader.jobs) == 1


def test_bodies_share_a_limit_of_memory() -> None:
    client, reader = serve(replace(LIMITS, memory_bytes=1000))
    reader.release.set()
    with client:
        answer = post(client, b"x" * 2000)
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1
        assert post(client, b"x" * 100).status_code == 200  # the memory was given back


def test_a_full_queue_answers_503() -> None:
    client, reader = serve(replace(LIMITS, waiting=2))
    with client:
        statuses: list[int] = []
        threads = [threading.Thread(target=lambda: statuses.append(post(client).status_code)) for _ in range(2)]
        for thread in threads:
            thread.start()
        assert reader.started.wait(10)
        deadline = time.monotonic() + 10
        while client.get("/health").json()["waiting"] < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        answer = post(client)
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1
        assert "try again in" in answer.json()["error"]
        reader.release.set()
        for thread in threads:
            thread.join(20)
        assert statuses == [200, 200] and post(client).status_code == 200


def test_errors_of_the_reader_have_their_status() -> None:
    client, reader = serve()
    reader.release.set()
    with client:
        reader.error = ReaderTimeout("a.png takes longer than 60 s: shrink or crop it first")
        assert post(client).status_code == 504
        reader.error = RuntimeError("a secret")
        answer = post(client)
        assert answer.status_code == 500 and "secret" not in answer.text and answer.json()["error"]
        reader.error = None
        assert post(client).status_code == 200
