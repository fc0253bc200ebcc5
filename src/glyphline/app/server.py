"""The web service: its endpoints, made of one warm reader, the translators and the voices, and the page's files."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.staticfiles import StaticFiles

from glyphline import __version__
from glyphline.app.limits import LIMITS, Limits
from glyphline.app.queue import Queue
from glyphline.app.reader_process import ReaderProcess, ReaderTimeout, ReadJob, ReadResult, open_default_reader
from glyphline.app.security import Access, Gate, log_to_stderr
from glyphline.app.steps import Report, Steps
from glyphline.app.teaching import MAX_MINUTES, MIN_LINES, MINE, MINUTES, ORIGINAL, Teacher
from glyphline.app.uploads import CORRECTIONS, FIELD, receive_upload
from glyphline.app.uploads import MINUTES as MINUTES_FIELD
from glyphline.errors import GlyphlineError
from glyphline.page import Line, Page
from glyphline.reading.formats import open_format
from glyphline.reading.recognition.languages import LANGUAGES, check_language
from glyphline.reading.recognition.recognizers import PHOTO, bundled_card, bundled_names

PAGE_FOLDER = Path(__file__).parent / "page"
#: media types of the formats, that of JSON first; "text/plain" for the others
MEDIA_TYPES = {
    "json": "application/json", "tsv": "text/tab-separated-values; charset=utf-8",
    "markdown": "text/markdown; charset=utf-8", "hocr": "text/html; charset=utf-8", "alto": "application/xml",
    "page": "application/xml", "pdf": "application/pdf",
}  # fmt: skip
DESCRIPTION = "Reads pictures of text, translates the text and says it. Nothing is kept but lines to learn from."


def form_body(file: str, **fields: str) -> dict[str, Any]:
    """The body of a multipart form for OpenAPI. file: what the field `file` holds. fields: name -> description."""
    properties = {name: {"type": "string", "description": description} for name, description in fields.items()}
    properties[FIELD] = {"type": "string", "format": "binary", "description": file}
    schema = {"type": "object", "required": [FIELD], "properties": properties}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


FILE_BODY = form_body("image or PDF", **{CORRECTIONS: '{"0": "text of the first line"}'})
LINES_BODY = form_body(
    "zip file with a folder of pictures and labels.tsv, as the page makes it of corrected lines",
    **{MINUTES_FIELD: f"of training, 1 to {MAX_MINUTES:g}, by default {MINUTES:g}; comparing takes about two more"},
)


class LineText(BaseModel):
    """A line of a page as `/api/read` gives it; other keys are ignored."""

    text: str = Field(max_length=LIMITS.characters)
    rejected: bool = False
    paragraph: int = 0
    language: str | None = Field(None, max_length=20)
    polygon: list[tuple[float, float]] = Field(default=[], max_length=64)

    def to_line(self) -> Line:
        """The line of a page that a translator takes."""
        return Line(
            self.text, 1.0, tuple(self.polygon), "", rejected=self.rejected, paragraph=self.paragraph,
            language=self.language,
        )  # fmt: skip


class TranslateRequest(BaseModel):
    """Lines to be translated. Rejected lines stay as they are."""

    lines: list[LineText] = Field(max_length=2000)
    source: str = Field(max_length=20, examples=["de"])
    target: str = Field(max_length=20, examples=["en"])
    translator: str = Field("auto", max_length=40)


class InstallRequest(BaseModel):
    """A pair of languages to be installed."""

    source: str = Field(max_length=20, examples=["de"])
    target: str = Field(max_length=20, examples=["en"])


class UseRequest(BaseModel):
    """The reader that is to read from now on."""

    reader: Literal["original", "mine", "previous"]


class SpeakRequest(BaseModel):
    """A text to be said."""

    text: str = Field(min_length=1, max_length=LIMITS.characters)
    language: str = Field(max_length=20, examples=["en"])
    speed: float = Field(1.0, ge=0.25, le=4)
    voice: str = Field("auto", max_length=80)


@dataclass
class Service:
    """What the endpoints share: the reader's process and the queues. One for each event loop.

    reader: has `start`, `read` and `close`, as `ReaderProcess`. model: that it opens, where none was taught. on_ready:
    called once the reader is warm. authority: the certificate of the authority as PEM, which /ca.crt gives to phones;
    None without https. picture: a file that the page opens at first, None for none. warms_voices: load the English
    voice at the start, so that nobody waits for it.
    """

    limits: Limits = LIMITS
    access: Access = field(default_factory=Access)
    reader: ReaderProcess = field(default_factory=lambda: ReaderProcess(open_default_reader, LIMITS.read_seconds))
    on_ready: Callable[[], None] = lambda: None
    log: Callable[[dict[str, Any]], None] = log_to_stderr
    authority: bytes | None = None
    picture: Path | None = None
    warms_voices: bool = False
    model: str = PHOTO
    teacher: Teacher | None = None
    teaching: Steps | None = None  # that runs, or the last one
    reading: Queue = field(init=False)
    translating: Queue = field(init=False)
    speaking: Queue = field(init=False)
    installing: Queue = field(init=False)

    switching: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.reading = Queue(self.limits.waiting, seconds=1.5)
        self.translating = Queue(self.limits.waiting, seconds=1)
        self.speaking = Queue(self.limits.waiting, seconds=1)
        self.installing = Queue(2, seconds=60)

    async def read(self, request: Request, job: ReadJob) -> ReadResult:
        """Read a picture when it is its turn. Raises HTTPException for a client that left meanwhile."""
        async with self.reading.turn():
            if await request.is_disconnected():
                raise HTTPException(499, "the client left")
            return await asyncio.to_thread(self.reader.read, job)

    async def use(self, name: str) -> None:
        """Let a reader of the teacher read from now on. Requests go on; they wait for none of its preparations.

        Raises UserError for a reader that is not there, and GlyphlineError where it does not start.
        """
        assert self.teacher
        async with self.switching:
            ending = ReaderProcess(self.teacher.opener(name), self.limits.read_seconds)
            try:
                await asyncio.to_thread(ending.start)
                async with self.reading.pause():
                    self.reader, ending = ending, self.reader
                self.teacher.choose(name)
            finally:
                await asyncio.to_thread(ending.close)

    async def teach(self, archive: bytes, minutes: float, report: Report) -> dict[str, Any]:
        """Teach the reader, and let it read if it became better. See `Teacher.learn`."""
        assert self.teacher
        step = await asyncio.to_thread(self.teacher.learn, archive, minutes, report)
        if step["result"]["kept"]:
            await self.use(MINE)
        return step

    async def translate(self, lines: list[Line], source: str, target: str, translator: str = "auto") -> dict[str, Any]:
        """Translate lines when it is their turn. Raises HTTPException (501) without the translators, and UserError."""
        try:
            from glyphline.app.translators import translate_lines
        except ImportError:
            raise missing("translation") from None
        async with self.translating.turn():
            result = await asyncio.to_thread(translate_lines, lines, source, target, translator)
        return {
            "source": result.source,
            "target": result.target,
            "advice": result.advice,
            "lines": [
                {"text": x.text, "translator": x.translator, "is_gist": x.is_gist, "unknown": list(x.unknown)}
                for x in result.lines
            ],
        }


def missing(what: str) -> HTTPException:
    """The refusal of a request for a part that is not installed."""
    return HTTPException(501, f'{what} is not installed on this machine: pip install "glyphline[app]"')


def create_app(service: Service) -> Gate:
    """The ASGI application of a service, behind its gate."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(service.reader.start)
        service.on_ready()
        warming = asyncio.create_task(asyncio.to_thread(_warm_voice)) if service.warms_voices else None
        yield
        if warming:
            warming.cancel()
        if service.teacher and service.teaching:
            service.teacher.interrupt()
            await service.teaching.cancel()
        await asyncio.to_thread(service.reader.close)

    app = FastAPI(
        title="glyphline",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    _add_error_handlers(app)
    _add_reading(app, service)
    _add_translation(app, service)
    _add_speech(app, service)
    _add_teaching(app, service)
    _add_page(app, service)
    return Gate(app, service.access, service.limits, service.log)


def _warm_voice() -> None:
    """Load the English voice. Where there is none, the first request to speak says so."""
    with suppress(ImportError, GlyphlineError):
        from glyphline.app.voices import speak

        speak("ready", "en")


def _add_error_handlers(app: FastAPI) -> None:
    """Every error is JSON: {"error": a sentence for people}."""

    @app.exception_handler(StarletteHTTPException)
    async def refused(_: Request, error: StarletteHTTPException) -> Response:
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        places = ", ".join(".".join(map(str, e["loc"][1:])) + ": " + e["msg"] for e in error.errors()[:3])
        return JSONResponse({"error": places}, 422)

    @app.exception_handler(GlyphlineError)
    async def failed(_: Request, error: GlyphlineError) -> Response:
        return JSONResponse({"error": str(error)}, 504 if isinstance(error, ReaderTimeout) else 422)

    @app.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> Response:
        return JSONResponse({"error": f"the service failed ({type(error).__name__}); it goes on"}, 500)


def _add_reading(app: FastAPI, service: Service) -> None:
    @app.get("/health", tags=["service"])
    async def health() -> dict[str, Any]:
        """Whether the service runs, and how many requests wait for the reader."""
        queue = service.reading
        return {
            "status": "ok", "version": __version__, "waiting": queue.waiting, "limit": queue.limit, "read": queue.served
        }  # fmt: skip

    @app.post("/api/read", tags=["reading"], openapi_extra=FILE_BODY)
    async def read(
        request: Request,
        format_name: Annotated[
            str, Query(alias="format", description="text, json, tsv, markdown, hocr, alto, page or pdf")
        ] = "json",
        language: Annotated[str, Query(description="auto, none, or a code of /api/languages")] = "auto",
        translate: Annotated[str | None, Query(description="language to translate to; with json and text")] = None,
    ) -> Response:
        """Find and read the text of a picture: the same results in the same formats as `glyphline read`.

        The field `corrections`, a JSON object of line numbers from 0 and texts, replaces lines of the first page. In
        place of a text it may have {"text", "polygon"}: then the line at that place is replaced, whatever its number
        is now.
        """
        suffix = open_format(format_name).suffix
        check_language(language)
        if translate and format_name not in ("json", "text"):
            raise HTTPException(422, f"translate goes with the formats json and text, not with {format_name}")
        upload = await receive_upload(request)
        start = time.monotonic()
        kind = "json" if translate else format_name
        job = ReadJob(upload.data, upload.name, kind, language, service.limits.pages, upload.corrections)
        result = await service.read(request, job)
        headers = {"Server-Timing": f"read;dur={1000 * (time.monotonic() - start):.0f}"}
        if translate:
            return await _translated(service, result, format_name, translate, headers)
        if format_name not in ("json", "text"):
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(upload.name + suffix)}"
        media_type = MEDIA_TYPES.get(format_name, "text/plain; charset=utf-8")
        return Response(result.document, media_type=media_type, headers=headers)

    @app.get("/api/models", tags=["reading"])
    def models() -> list[dict[str, Any]]:
        """The bundled readers and those that were taught here, and which of them reads."""
        in_use = service.teacher.in_use if service.teacher else ORIGINAL
        cards = {name: bundled_card(name) for name in bundled_names()}
        listed = [
            {
                "name": name,
                "about": card["about"].strip(),
                "bytes": card["bytes"],
                "in_use": name == service.model and in_use == ORIGINAL,
            }
            for name, card in cards.items()
        ]
        if service.model not in cards:
            file = Path(service.model)
            about, size = "the reader that this service was started with", file.stat().st_size
            listed.append({"name": file.name, "about": about, "bytes": size, "in_use": in_use == ORIGINAL})
        if service.teacher:
            for name in service.teacher.taught_readers:
                size = service.teacher.file(name).stat().st_size
                listed.append(
                    {
                        "name": name,
                        "about": f"{Path(service.model).name}, taught here",
                        "bytes": size,
                        "in_use": name == in_use,
                    }
                )
        return listed

    @app.get("/api/languages", tags=["reading"])
    def languages() -> dict[str, Any]:
        """The languages that are read, the pairs that are translated, and the voices."""
        pairs, voices = _installed_pairs(), _installed_voices()
        reading = [{"code": code, "name": language.name} for code, language in LANGUAGES.items()]
        return {"reading": reading, "translation": pairs, "voices": voices}


async def _translated(
    service: Service, result: ReadResult, format_name: str, target: str, headers: dict[str, str]
) -> Response:
    """The pages with the translation of each, or only the translated lines as text."""
    document = json.loads(result.document)
    for page, data in zip(result.pages, document["pages"], strict=True):
        data["translation"] = await _translate_page(service, page, target)
    if format_name == "json":
        return JSONResponse(document, headers=headers)
    for page in document["pages"]:
        if advice := page["translation"]["advice"]:  # text has no place for it, and an original is no translation
            raise HTTPException(422, advice)
    texts = [line["text"] for page in document["pages"] for line in page["translation"]["lines"] if line["text"]]
    return Response("\n".join([*texts, ""]), media_type="text/plain; charset=utf-8", headers=headers)


async def _translate_page(service: Service, page: Page, target: str) -> dict[str, Any]:
    return await service.translate(list(page.lines), page.language or "auto", target)


def _installed_pairs() -> list[dict[str, Any]]:
    try:
        from glyphline.app.translators import pairs
    except ImportError:
        return []
    return [
        {
            "source": pair.source, "target": pair.target, "translator": pair.translator,
            "installed": pair.installed, "megabytes": pair.megabytes,
        }
        for pair in pairs()
    ]  # fmt: skip


def _installed_voices() -> list[dict[str, Any]]:
    try:
        from glyphline.app.voices import voices
    except ImportError:
        return []
    return [
        {"name": voice.name, "languages": list(voice.languages), "installed": voice.installed} for voice in voices()
    ]


def _add_translation(app: FastAPI, service: Service) -> None:
    @app.post("/api/translate", tags=["translation"])
    async def translate(request: TranslateRequest) -> dict[str, Any]:
        """Translate the lines of a page. The answer has a line for each."""
        if sum(len(line.text) for line in request.lines) > 4 * service.limits.characters:
            raise HTTPException(413, f"more than {4 * service.limits.characters} characters: translate a part of them")
        lines = [line.to_line() for line in request.lines]
        return await service.translate(lines, request.source, request.target, request.translator)

    @app.post("/api/translate/install", tags=["translation"])
    async def install_pair(request: InstallRequest) -> Response:
        """Install the translation of a pair of languages on the server. It takes as long as the download.

        The answer is one JSON object a line: {"done", "total"} in bytes as it goes on, at last {"installed": true} or
        {"error": a sentence}. A client that leaves does not stop it.
        """
        try:
            from glyphline.app.translators import install
        except ImportError:
            raise missing("translation") from None
        service.installing.check()

        async def work(report: Report) -> dict[str, Any]:
            async with service.installing.turn():
                await asyncio.to_thread(
                    install, request.source, request.target,
                    lambda done, total: report({"done": done, "total": total}),
                )  # fmt: skip
            return {"installed": True}

        return await Steps(work, "the installation").response()


def _add_speech(app: FastAPI, service: Service) -> None:
    @app.post("/api/speak", tags=["speech"])
    async def speak(
        request: SpeakRequest,
        format_name: Annotated[str, Query(alias="format", description="wav, or json with the WAV in base64")] = "wav",
    ) -> Response:
        """Say a text. The times of its words, in seconds, are in the header X-Word-Times or in the JSON."""
        try:
            from glyphline.app import voices
        except ImportError:
            raise missing("speech") from None
        if format_name not in ("wav", "json"):
            raise HTTPException(422, f'no format "{format_name}"; choices: json, wav')
        async with service.speaking.turn():
            speech = await asyncio.to_thread(
                voices.speak, request.text, request.language, speed=request.speed, voice=request.voice
            )
            wav = await asyncio.to_thread(speech.to_wav)
        words = [{"text": w.text, "start": round(w.start, 3), "end": round(w.end, 3)} for w in speech.words]
        about = {"voice": speech.voice, "exact_times": speech.exact_times, "words": words}
        if format_name == "json":
            return JSONResponse({**about, "rate": speech.rate, "audio": base64.b64encode(wav).decode()})
        return Response(wav, media_type="audio/wav", headers={"X-Word-Times": json.dumps(about)})


def _add_teaching(app: FastAPI, service: Service) -> None:
    def teacher() -> Teacher:
        if service.teacher is None:
            raise HTTPException(404, "this service teaches no reader: start it with glyphline serve --teach FOLDER")
        return service.teacher

    def is_teaching() -> bool:
        return service.teaching is not None and not service.teaching.is_over

    def check_idle() -> None:
        if is_teaching():
            raise HTTPException(409, "a reader is being taught: wait until it has learned, or cancel it")

    def state() -> dict[str, Any]:
        return {
            "state": "teaching" if is_teaching() else "idle", "in_use": teacher().in_use, "readers": teacher().readers,
            "taught": teacher().taught, "taught_before": teacher().taught_before,
            "step": service.teaching.last if service.teaching else None,
            "folder": str(teacher().folder), "min_lines": MIN_LINES,
            "unfinished": not is_teaching() and teacher().is_unfinished,
        }  # fmt: skip

    @app.get("/api/teach", tags=["teaching"], response_model=None)
    async def get_teaching(
        follow: Annotated[
            bool, Query(description="whether to answer with the steps, as the teaching itself does")
        ] = False,
    ) -> Response | dict[str, Any]:
        """Whether a reader is being taught, the newest step, the reader in use, and those that can be used."""
        if follow and teacher() and service.teaching:
            return await service.teaching.response(is_new=False)
        return state()

    @app.post("/api/teach", tags=["teaching"], openapi_extra=LINES_BODY)
    async def teach(request: Request) -> Response:
        """Teach the reader a hand with lines that were corrected, and let it read if it became better.

        Only for a service that was started with --teach. The answer is one JSON object a line: {"step": what it does,
        "seconds_left", "left_out": lines that were left out} as it goes on, at last {"result", "left_out"} with the
        error rates before and after, whether the new reader was kept and why, or {"error": a sentence}. A client that
        leaves does not stop it.
        """
        current = teacher()
        check_idle()
        upload = await receive_upload(request, "zip file of lines")
        minutes = upload.minutes(MINUTES, MAX_MINUTES)
        check_idle()  # another may have come meanwhile
        current.prepare()
        service.teaching = Steps(partial(service.teach, upload.data, minutes), "the teaching")
        return await service.teaching.response()

    @app.delete("/api/teach", tags=["teaching"])
    async def cancel_teaching() -> dict[str, Any]:
        """Cancel the teaching. The reader stays as it was, and the lines are deleted.

        So are those of a teaching that was stopped before it had learned.
        """
        teacher().cancel()
        if service.teaching:
            await service.teaching.wait()
        return state()

    @app.post("/api/teach/use", tags=["teaching"])
    async def use_reader(request: UseRequest) -> dict[str, Any]:
        """Let the original reader or one that was taught read, from the next request on and after a restart."""
        if teacher().in_use != request.reader:
            await service.use(request.reader)
        return state()


def _add_page(app: FastAPI, service: Service) -> None:
    @app.get("/ca.crt", tags=["service"])
    async def certificate() -> Response:
        """The certificate of this machine's authority, for a phone to trust. Only with https."""
        if service.authority is None:
            raise HTTPException(404, "this service runs without https")
        headers = {"Content-Disposition": 'attachment; filename="glyphline.crt"'}
        return Response(service.authority, media_type="application/x-x509-ca-cert", headers=headers)

    @app.get("/api/picture", include_in_schema=False)
    async def picture() -> Response:
        if service.picture is None:
            raise HTTPException(404, "this service was started without --picture")
        return FileResponse(service.picture)

    @app.get("/docs", include_in_schema=False)
    async def documentation() -> Response:
        return RedirectResponse("/docs.html")

    @app.post("/share", include_in_schema=False)
    async def share() -> Response:
        """A picture shared into the app. The service worker takes it; without one the page can only be opened."""
        return RedirectResponse("/", 303)

    app.mount("/", StaticFiles(directory=PAGE_FOLDER, html=True))
