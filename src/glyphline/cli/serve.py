"""`glyphline serve`: the app, a web page that reads, translates and speaks, on this machine or for a phone."""

from __future__ import annotations

import ipaddress
import secrets
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from glyphline.cli.adapt import adapt_to_lines
from glyphline.cli.options import require_training_packages
from glyphline.cli.terminal import print_status
from glyphline.errors import GlyphlineError, MissingPackage, UserError

PACKAGES = ("fastapi", "uvicorn", "python_multipart", "segno", "cryptography")


def serve(
    host: Annotated[
        str, typer.Option(help="address to listen on; 0.0.0.0 lets other devices in, which then need the token")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="port to listen on; 0 takes a free one")] = 8080,
    https: Annotated[
        bool, typer.Option("--https", help="encrypt, with a certificate of this machine; a phone's camera needs it")
    ] = False,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="GLYPHLINE_TOKEN", help="what other devices must know; by default a random one, kept for this user"
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="further name that requests may use, such as that of a reverse proxy")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="image that the page opens at first")] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help="reader: a bundled one, or an .onnx file of `glyphline adapt`")
    ] = "photo",
    teach: Annotated[
        Path | None,
        typer.Option(
            help="folder for a reader that the page may teach with corrected lines; they are kept there while it learns"
        ),
    ] = None,
    glyphs: Annotated[
        list[str] | None,
        typer.Option(help="with --teach: glyph source that it learns too, such as folder:hand; may be repeated"),
    ] = None,
) -> None:
    """Serve the app: a page that reads, translates and speaks pictures of text.

    Pictures and texts stay on this machine; without --teach none is written to disk. The address is printed on stdout,
    a QR code and the log on stderr.
    """
    for package in PACKAGES:
        if find_spec(package) is None:
            raise MissingPackage(package.replace("_", "-"), "app", "the app")
    from glyphline.app.certificates import data_folder, machine_addresses
    from glyphline.app.limits import LIMITS
    from glyphline.app.reader_process import ReaderProcess, reader_opener
    from glyphline.app.running import bind, run
    from glyphline.app.security import LOOPBACK_NAMES, Access, check_token, host_names
    from glyphline.app.server import Service
    from glyphline.app.teaching import ORIGINAL, Teacher
    from glyphline.composing.glyphs import open_glyphs
    from glyphline.reading.recognition.recognizers import PHOTO

    is_local = _is_loopback(host)
    if token is None and not is_local:
        token = _kept_token()
    try:
        token = None if token is None else check_token(token)
    except ValueError as error:
        raise UserError(f"the token {error}") from None
    names = LOOPBACK_NAMES | host_names([host, *(allow_host or [])])
    if picture is not None and not picture.is_file():
        raise UserError(f"--picture {picture} does not exist: give the path of an image")
    service = Service(
        access=Access(token, names if is_local else None), model=model,
        reader=ReaderProcess(reader_opener(model), LIMITS.read_seconds), picture=picture, warms_voices=True,
    )  # fmt: skip
    if glyphs and teach is None:
        raise UserError("--glyphs are what a reader learns: give the folder for the reader with --teach")
    if teach is not None:
        require_training_packages("teaching the reader")
        for source in glyphs or ():
            open_glyphs(source)  # what is wrong with it is said before somebody teaches
        adapt = partial(adapt_to_lines, model=model, glyphs=tuple(glyphs or ()))
        service.teacher = Teacher(teach, adapt, original=model, variant=" ".join(glyphs or ()))
        service.reader = ReaderProcess(service.teacher.opener(service.teacher.in_use), LIMITS.read_seconds)
    certificate = None
    if https:
        certificate, service.authority, fingerprint = _certify(host)
        print_status(f"certificate authority: {data_folder()}, SHA-256 {fingerprint}")
    sock = bind(host, port)
    if service.teacher and (taught := service.teacher.in_use) != ORIGINAL:  # the only reader that may be damaged
        try:
            service.reader.start()
        except GlyphlineError as error:
            file = service.teacher.file(taught)
            raise UserError(f"{error}, or delete {file} to go on with the original reader") from None
    elif model != PHOTO:
        service.reader.start()
    port = sock.getsockname()[1]
    reached = [host] if host not in ("0.0.0.0", "::") else [*map(str, machine_addresses()[:1]), "localhost"]
    shown = f"[{reached[0]}]" if ":" in reached[0] else reached[0]
    address = f"{'https' if https else 'http'}://{shown}:{port}/{'?picture' if picture else ''}"
    address += f"#token={token}" if token else ""

    def announce() -> None:
        if not is_local:
            import segno

            segno.make(address, micro=False).terminal(out=_stderr(), compact=True)
            if not https:
                print_status("without --https a phone's live camera stays off; taking and choosing pictures works")
        print(address, flush=True)
        exception = f", but lines to learn from, in {teach}, while the reader learns" if teach else ""
        print_status(f"Ctrl-C stops it. Nothing that is sent is kept{exception}.")

    service.on_ready = announce
    run(service, sock, certificate)


def _stderr() -> Any:
    import sys

    return sys.stderr


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _kept_token() -> str:
    """The token of this user; it is made once, so that a phone has to scan the QR code only once."""
    from glyphline.app.certificates import data_folder, write_secret

    file = data_folder() / "token"
    if not file.exists():
        write_secret(file, secrets.token_urlsafe(18).encode())
    return file.read_text("ascii").strip()


def _certify(host: str) -> tuple[Any, bytes, str]:
    """A file with a new certificate for this machine and its key, the authority's certificate, its fingerprint."""
    import socket

    from glyphline.app.certificates import data_folder, issue, machine_addresses, open_authority, write_secret

    folder = data_folder()
    authority = open_authority(folder)
    addresses = [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"), *machine_addresses()]
    if host not in ("0.0.0.0", "::", "localhost"):
        addresses.append(ipaddress.ip_address(host))
    hostname = socket.gethostname().partition(".")[0].lower()
    pem, key = issue(authority, list(dict.fromkeys(addresses)), ["localhost", f"{hostname}.local"])
    write_secret(folder / "server.pem", key + pem)
    return folder / "server.pem", authority.pem, authority.fingerprint
