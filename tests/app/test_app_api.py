"""The endpoints of the service with a real reader: formats, limits, errors, and what they never do."""

from __future__ import annotations

import io
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pypdfium2 import PdfDocument

pytest.importorskip("fastapi")
pytest.importorskip("httpx2")

from fastapi.testclient import TestClient

from glyphline.app.limits import LIMITS
from glyphline.app.server import Service, create_app
from glyphline.errors import UserError
from glyphline.page import Line
from glyphline.reading.formats import FORMATS
from glyphline.reading.recognition.languages import LANGUAGES

ROOT = Path(__file__).parents[2]
SIGN = (ROOT / "examples" / "sign.jpg").read_bytes()
LINE = (ROOT / "examples" / "lines" / "example-1.png").read_bytes()
TEXT = "The horse refused the third fence, then"


@pytest.fixture(scope="module")
def service() -> Service:
    records: list[dict[str, Any]] = []
    made = Service(log=records.append)
    made.records = records  # type: ignore[attr-defined]
    return made


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[TestClient]:
    with TestClient(create_app(service), base_url="http://localhost") as opened:
        yield opened


def post(client: TestClient, data: bytes, name: str = "a.png", **query: str) -> Any:
    return client.post("/api/read", params=query, files={"file": (name, data)})


def test_read_as_json(client: TestClient) -> None:
    answer = post(client, SIGN, "sign.jpg")
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    document = answer.json()
    (page,) = document["pages"]
    assert document["file"] == "sign.jpg" and (page["width"], page["height"], page["language"]) == (1280, 960, "en")
    assert [line["text"] for line in page["lines"]][:3] == [
        "HARBOUR MUSEUM", "Open daily 10 am to 5 pm", "Closed on Mondays"
    ]  # fmt: skip
    assert "read;dur=" in answer.headers["server-timing"]


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_every_format(client: TestClient, name: str) -> None:
    answer = post(client, LINE, "../../ü.png", format=name)
    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["cache-control"] == "no-store"
    if name == "pdf":
        assert answer.content.startswith(b"%PDF-")
    elif name == "text":
        assert answer.text == TEXT + "\n"
    if name not in ("text", "json"):
        assert "filename*=UTF-8''%C3%BC.png" + FORMATS[name].suffix in answer.headers["content-disposition"]
        assert "sandbox" in answer.headers["content-security-policy"]


def test_language_is_passed_on(client: TestClient) -> None:
    lines = post(client, LINE, language="de").json()["pages"][0]["lines"]
    assert [line["language"] for line in lines] == ["de"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"format": "docx"}, "choices: alto"),
        ({"language": "xx"}, "choices: auto"),
        ({"format": "pdf", "translate": "en"}, "translate goes with"),
    ],
)
def test_wrong_options_name_the_choices(client: TestClient, query: dict[str, str], words: str) -> None:
    answer = post(client, LINE, **query)
    assert answer.status_code == 422 and words in answer.json()["error"]


@pytest.mark.parametrize("data", [b"", b"no image", SIGN[:500], b"%PDF-1.7 broken", b"\0" * 10_000])
def test_what_is_no_picture_is_refused(client: TestClient, data: bytes) -> None:
    answer = post(client, data, "<script>alert(1)</script>.png")
    assert answer.status_code == 422 and len(answer.json()["error"].splitlines()) == 1
    assert answer.headers["content-type"] == "application/json"
    assert post(client, LINE, format="text").text == TEXT + "\n"  # it goes on


def test_long_documents_are_refused(client: TestClient) -> None:
    pages = [Image.new("L", (8, 8), 255)] * (LIMITS.pages + 1)
    stream = io.BytesIO()
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    answer = post(client, stream.getvalue(), "long.tif")
    assert answer.status_code == 422 and "long.tif has 21 pages, more than 20" in answer.json()["error"]


def test_picture_with_too_many_pixels_is_refused(client: TestClient) -> None:
    stream = io.BytesIO()
    Image.new("1", (9000, 9000)).save(stream, "PNG")
    answer = post(client, stream.getvalue(), "huge.png")
    assert answer.status_code == 422 and "more than 60,000,000" in answer.json()["error"]


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("image/png", LINE, 415),
        ("application/json", b"{}", 415),
        ("multipart/form-data", b"", 415),
        ("multipart/form-data; boundary=b", b"--c\r\n", 400),
        ("multipart/form-data; boundary=b", b"--b--\r\n", 422),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--b--\r\n',
            422,
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="x"; filename="a"\r\n\r\n\r\n' * 9 + b"--b--\r\n",
            400,
        ),
    ],
)  # fmt: skip
def test_malformed_forms_are_refused(client: TestClient, content_type: str, body: bytes, status: int) -> None:
    answer = client.post("/api/read", content=body, headers={"content-type": content_type})
    assert answer.status_code == status and answer.json()["error"]


def test_pictures_are_not_spooled_to_disk(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture of several MB is received while no temporary file can be made."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a temporary file was made")

    for name in ("SpooledTemporaryFile", "TemporaryFile", "NamedTemporaryFile", "mkstemp", "mkdtemp"):
        monkeypatch.setattr(tempfile, name, refuse)
    monkeypatch.setattr("starlette.formparsers.SpooledTemporaryFile", refuse)
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "PNG")
    assert len(stream.getvalue()) > 5_000_000
    assert post(client, stream.getvalue()).status_code == 200


def test_the_log_has_no_names_and_no_texts(client: TestClient, service: Service) -> None:
    post(client, LINE, "secret-name.png", language="en")
    record = service.records[-1]  # type: ignore[attr-defined]
    assert record.keys() == {"time", "method", "path", "status", "ms", "bytes"}
    assert record["path"] == "/api/read" and record["status"] == 200 and record["bytes"] > len(LINE)
    logged = json.dumps(service.records)  # type: ignore[attr-defined]
    assert "secret" not in logged and "horse" not in logged


def test_lists(client: TestClient) -> None:
    models = client.get("/api/models").json()
    assert [model["name"] for model in models if model["in_use"]] == ["photo"] and len(models) >= 3
    languages = client.get("/api/languages").json()
    assert [language["code"] for language in languages["reading"]] == list(LANGUAGES)
    health = client.get("/health").json()
    assert health["status"] == "ok" and health["waiting"] == 0 and health["limit"] == LIMITS.waiting


def test_openapi_describes_every_endpoint(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    assert {"/api/read", "/api/translate", "/api/speak", "/api/models", "/api/languages", "/health"} <= set(
        description["paths"]
    )
    body = description["paths"]["/api/read"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert body["schema"]["properties"]["file"]["format"] == "binary"
    assert client.get("/docs", follow_redirects=True).status_code == 200


def test_unknown_paths_are_json_errors(client: TestClient) -> None:
    assert client.get("/api/nothing").status_code == 404 and client.get("/api/nothing").json()["error"]
    assert client.get("/api/read").status_code in (404, 405)
    for path in ("/../server.py", "/%2e%2e/server.py", "/..%2fserver.py", "/static/../../server.py"):
        assert client.get(path).status_code == 404


# ---------------------------------------------------------------------- translation and speech


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **functions: Any) -> None:
    module = ModuleType(f"glyphline.app.{name}")
    module.__dict__.update(functions)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(f"glyphline.app.{name}", module, raising=False)


def translate_lines(lines: list[Line], source: str, target: str, translator: str = "auto") -> Any:
    translated = [
        SimpleNamespace(
            text=line.text.upper(), translator="" if line.rejected else "shout", is_gist=False, unknown=("then",)
        )
        for line in lines
    ]
    advice = "glyphline translate install en xx" if target == "xx" else None
    return SimpleNamespace(source=source, target=target, lines=tuple(translated), advice=advice)


@pytest.mark.slow
def test_translation_is_laid_over_the_page(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "translators", translate_lines=translate_lines)
    (page,) = post(client, LINE, translate="fr").json()["pages"]
    assert page["translation"]["target"] == "fr" and page["translation"]["source"] == "en"
    assert page["translation"]["lines"] == [
        {"text": TEXT.upper(), "translator": "shout", "is_gist": False, "unknown": ["then"]}
    ]
    assert post(client, LINE, translate="fr", format="text").text == TEXT.upper() + "\n"
    missing = post(client, LINE, translate="xx", format="text")
    assert missing.status_code == 422 and missing.json()["error"] == "glyphline translate install en xx"
    lines = [{**line, "extra": 1} for line in page["lines"]] + [{"text": "", "rejected": True}]
    answer = client.post("/api/translate", json={"lines": lines, "source": "en", "target": "fr"})
    assert [line["text"] for line in answer.json()["lines"]] == [TEXT.upper(), ""]


def test_pairs_and_voices_are_listed(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = SimpleNamespace(source="de", target="en", translator="t", installed=False, megabytes=30.5)
    stand_in(monkeypatch, "translators", pairs=lambda: [pair])
    voice = SimpleNamespace(name="v", languages=("en",), installed=True)
    stand_in(monkeypatch, "voices", voices=lambda: [voice])
    answer = client.get("/api/languages").json()
    assert answer["translation"] == [vars(pair)]
    assert answer["voices"] == [{"name": "v", "languages": ["en"], "installed": True}]


def test_a_pair_is_installed_and_says_how_far_it_is(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(source: str, target: str, on_progress: Any) -> None:
        assert (source, target) == ("de", "en")
        on_progress(10, 40)
        on_progress(40, 40)

    stand_in(monkeypatch, "translators", install=install)
    answer = client.post("/api/translate/install", json={"source": "de", "target": "en"})
    steps = [json.loads(line) for line in answer.text.splitlines()]
    assert steps == [{"done": 10, "total": 40}, {"done": 40, "total": 40}, {"installed": True}]


@pytest.mark.parametrize("begun", [False, True])
def test_a_failed_installation_says_why(client: TestClient, monkeypatch: pytest.MonkeyPatch, begun: bool) -> None:
    def install(source: str, target: str, on_progress: Any) -> None:
        if begun:
            on_progress(10, 40)
        raise UserError("Firefox has no model from de to en")

    stand_in(monkeypatch, "translators", install=install)
    answer = client.post("/api/translate/install", json={"source": "de", "target": "en"})
    assert answer.status_code == (200 if begun else 422)
    assert json.loads(answer.text.splitlines()[-1]) == {"error": "Firefox has no model from de to en"}


@pytest.mark.parametrize("name", ["text", "hocr", "pdf"])
def test_corrections_are_in_every_document(client: TestClient, name: str) -> None:
    files = {"file": ("a.png", LINE), "corrections": (None, json.dumps({"0": "The mouse refused  it", "9": "none"}))}
    answer = client.post("/api/read", params={"format": name}, files=files)
    assert answer.status_code == 200
    text = answer.text if name != "pdf" else PdfDocument(answer.content)[0].get_textpage().get_text_bounded()
    text = re.sub("<[^>]*>", "", text)  # hOCR has a span for each word
    assert "The mouse refused it" in text and "horse" not in text and "none" not in text


def test_correction_of_a_place_is_put_there_whatever_the_number(client: TestClient) -> None:
    width, height = Image.open(io.BytesIO(LINE)).size
    whole = [[0, 0], [width, 0], [width, height], [0, height]]
    elsewhere = [[0, 3 * height], [width, 3 * height], [width, 4 * height], [0, 4 * height]]
    places = {"7": {"text": "The mouse  refused it", "polygon": whole}, "0": {"text": "below", "polygon": elsewhere}}
    files = {"file": ("a.png", LINE), "corrections": (None, json.dumps(places))}
    lines = client.post("/api/read", files=files).json()["pages"][0]["lines"]
    assert [line["text"] for line in lines] == ["The mouse refused it", "below"]  # what was seen there stays said
    assert [line["words"] for line in lines] == [[], []] and lines[1]["polygon"] == elsewhere


@pytest.mark.parametrize(
    "corrections",
    [
        "[1]",
        '{"0": 1}',
        '{"first": "a"}',
        "{",
        "1",
        '{"0": {"text": "a"}}',
        '{"0": {"text": "a", "polygon": [[0, 0], [1, 1]]}}',
        '{"0": {"text": "a", "polygon": [[0, 0, 1]]}}',
        '{"0": {"text": "a", "polygon": [[0, 0], [1, NaN], [2, 2]]}}',
        '{"0": {"text": "a", "polygon": [[0, 0], [1, 1e300], [2, 2]]}}',
        '{"0": {"text": "a", "polygon": [[0, 0], [1, 1' + 400 * "0" + "], [2, 2]]}}",
    ],
)
def test_wrong_corrections_are_refused(client: TestClient, corrections: str) -> None:
    answer = client.post("/api/read", files={"file": ("a.png", LINE), "corrections": (None, corrections)})
    assert answer.status_code == 422 and "JSON object of line numbers and texts" in answer.json()["error"]


def test_speech_has_word_times(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    words = (SimpleNamespace(text="Grüße", start=0.0, end=0.5),)
    speech = SimpleNamespace(
        samples=None, rate=22050, voice="v", words=words, exact_times=True, to_wav=lambda: b"RIFF...."
    )
    stand_in(monkeypatch, "voices", speak=lambda text, language, speed, voice: speech)
    answer = client.post("/api/speak", json={"text": "Grüße", "language": "de"})
    assert answer.content == b"RIFF...." and answer.headers["content-type"] == "audio/wav"
    times = json.loads(answer.headers["x-word-times"])
    assert times["words"] == [{"text": "Grüße", "start": 0.0, "end": 0.5}]
    as_json = client.post("/api/speak?format=json", json={"text": "Grüße", "language": "de"}).json()
    assert as_json["words"] == times["words"] and as_json["rate"] == 22050 and as_json["audio"]
    assert client.post("/api/speak?format=mp3", json={"text": "a", "language": "de"}).status_code == 422


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/speak", {"text": "a", "language": "en"}),
        ("/api/translate", {"lines": [{"text": "a"}], "source": "en", "target": "de"}),
        ("/api/translate/install", {"source": "en", "target": "de"}),
    ],
)
def test_missing_parts_say_so(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, path: str, body: dict[str, Any]
) -> None:
    for name in ("translators", "voices"):
        monkeypatch.setitem(sys.modules, f"glyphline.app.{name}", None)
        monkeypatch.delattr(f"glyphline.app.{name}", raising=False)
    answer = client.post(path, json=body)
    assert answer.status_code == 501 and 'pip install "glyphline[app]"' in answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        {"text": "", "language": "en"},
        {"text": "a" * 5001, "language": "en"},
        {"text": "a", "language": "en", "speed": 9},
    ],
)
def test_wrong_speech_requests_are_refused(client: TestClient, body: dict[str, Any]) -> None:
    answer = client.post("/api/speak", json=body)
    assert answer.status_code == 422 and answer.json()["error"]


# ---------------------------------------------------------------------- the reader's process


def test_a_reader_that_was_killed_starts_again(client: TestClient, service: Service) -> None:
    first = service.reader.pid
    service.reader._process.kill()
    assert post(client, LINE).status_code in (200, 422)  # before or after its end was noticed
    assert post(client, LINE, format="text").text == TEXT + "\n"
    assert service.reader.pid != first
