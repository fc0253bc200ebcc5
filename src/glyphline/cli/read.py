"""`glyphline read`: find and read the text of images and documents."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from glyphline.addresses import is_address, is_local, modification_times, open_path
from glyphline.cli.options import DecoderName, model_or_recognizer
from glyphline.cli.speech_and_translation import Speaker, TranslatingReader
from glyphline.cli.terminal import print_status, progress_bar, write_output
from glyphline.errors import GlyphlineError, ImageError, UserError

STANDARD_INPUT = "-"


@dataclass(frozen=True)
class ReaderOptions:
    """The options of `read` that determine the reader. Each process of a batch opens its own reader from them.

    None: the default confidence, no lexicon, no pattern.
    """

    model: str
    decoder: str
    detector: str
    min_confidence: float | None
    lexicon: Path | None
    pattern: str | None
    language: str = "auto"
    translate: str | None = None  # language to translate to


def open_page_reader(options: ReaderOptions) -> Any:
    """Open the PageReader of these options, in a TranslatingReader if they say so.

    Where both a lexicon and a pattern are given, the lexicon counts. Raises UserError or DataError, which name the
    choices, for a wrong option, and MissingPackage.
    """
    from glyphline.reading.pages import open_reader
    from glyphline.reading.recognition.constraints import Constraint, RegexConstraint, load_lexicon
    from glyphline.reading.recognition.recognizers import Recognizer, alphabet_of

    constraint: Callable[[Recognizer], Constraint] | None = None
    if (lexicon := options.lexicon) is not None:
        constraint = lambda recognizer: load_lexicon(lexicon, alphabet_of(recognizer))  # noqa: E731
    elif (pattern := options.pattern) is not None:
        constraint = lambda recognizer: RegexConstraint(pattern)  # noqa: E731
    recognizer = model_or_recognizer(options.model)
    minimum = options.min_confidence
    reader = open_reader(recognizer, options.decoder, options.detector, minimum, constraint, options.language)
    return TranslatingReader(reader, options.translate) if options.translate else reader


def read(
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE",
            help="images, PDFs, folders, glob patterns, URLs, addresses such as s3://scans; - reads standard input",
        ),
    ],
    line: Annotated[
        bool, typer.Option("--line", help="treat each image as one line of text, as --detector none does")
    ] = False,
    detector: Annotated[
        str,
        typer.Option(help="finds the lines: auto, photo (DBNet), paper (ink on paper), none (the image is one line)"),
    ] = "auto",
    format_name: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            help="text, json, tsv, markdown, hocr, alto, page (PAGE-XML), pdf (searchable), parquet (with --cluster)",
        ),
    ] = "text",
    model: Annotated[
        str, typer.Option("--model", "-m", help="auto, a bundled reader, pp-ocr, an .onnx file, or a run folder")
    ] = "auto",
    decoder: DecoderName = "beam",
    language: Annotated[
        str,
        typer.Option(
            "--language", "-l", help="auto (found from the page), none, en, fr, de, es, nl, it, pl, pt, da, sv"
        ),
    ] = "auto",
    lexicon: Annotated[Path | None, typer.Option(help="file with all texts that a line may have, one a row")] = None,
    pattern: Annotated[
        str | None, typer.Option(help="regular expression that each line must match, such as [0-9]{2}/[0-9]{4}")
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="expected share of correct characters that a line needs; by default 0.7"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="PATH",
            parser=open_path,
            help="file for all results, or folder (or address such as s3://texts) for one file an image",
        ),
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(help="also write the image with its lines outlined: .png file, or folder for several images"),
    ] = None,
    translate: Annotated[
        str | None, typer.Option(metavar="LANGUAGE", help="language to translate to: en, de, ...; with text and json")
    ] = None,
    speak: Annotated[bool, typer.Option("--speak", help="also say the text, or its translation, aloud")] = False,
    speech_out: Annotated[
        Path | None, typer.Option(help="write what is said of one image to this .wav file instead")
    ] = None,
    jobs: Annotated[int, typer.Option(min=0, help="number of processes for --out FOLDER; 0: one for each core")] = 0,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="read on a Ray cluster: local (this machine), HOST:PORT, or auto"),
    ] = None,
    allow_urls: Annotated[bool, typer.Option("--allow-urls", help="fetch images from http and https URLs")] = False,
) -> None:
    """Find and read the text of images.

    An image that cannot be read is reported by name, and the others are read. The exit code is then 1, or 2 if no image
    could be read. With --out FOLDER images are read in parallel and each gets its own file. Results that are newer than
    their image are kept.
    """
    from glyphline.reading.batch import plan_tasks
    from glyphline.reading.formats import open_format

    if format_name == "parquet" and cluster is None:
        raise UserError("--format parquet is written by a Ray cluster: give --cluster local for this machine")
    if format_name != "parquet":
        output_format = open_format(format_name)
    if cluster is not None and not (out and _is_folder(out)):
        raise UserError("--cluster writes one file a document: give --out FOLDER, or an address such as s3://texts")
    if lexicon and pattern is not None:
        raise UserError("--lexicon and --pattern both constrain the text of a line: give one of them")
    if line and detector not in ("auto", "none"):
        raise UserError(f"--line means --detector none, which contradicts --detector {detector}: give one of them")
    if overlay and not _is_folder(overlay) and overlay.suffix.lower() != ".png":
        raise UserError(f"--overlay {overlay}: an overlay is a PNG; name it something.png, or give a folder")
    if translate is not None and format_name not in ("text", "json"):
        raise UserError(f"--translate goes with --format text and json, not with {format_name}")
    detector = "none" if line else detector
    options = ReaderOptions(model, decoder, detector, min_confidence, lexicon, pattern, language, translate)
    speaker = Speaker(speech_out) if speak or speech_out else None
    names, missing = _expand(images)
    if not names:
        raise typer.Exit(2)
    folders = [open_path(name) for name in images if is_address(name) or Path(name).is_dir()]
    if speaker and (len(names) > 1 or (out and _is_folder(out))) and speech_out:
        raise UserError(f"--speech-out {speech_out} is one file: give one image, and no folder for --out")
    if speaker and out and _is_folder(out):
        raise UserError("--speak says what is read one image after the other: leave out --out FOLDER")
    if out and _is_folder(out):
        _read_into_folder(out, names, missing, folders, format_name, options, overlay, jobs, cluster)
        return
    if addresses := [name for name in images if is_address(name)]:
        raise UserError(f"{addresses[0]} is read into a folder: give --out FOLDER, or another address")
    overlays = {str(Path(names[0])): overlay} if overlay else {}
    if overlay and _is_folder(overlay):
        tasks = plan_tasks([Path(name) for name in names], folders, overlay, ".png", None)
        overlays = {str(task.image): task.out for task in tasks}
        names = [name for name in names if str(Path(name)) in overlays]
    elif overlay and len(names) > 1:
        raise UserError(f"--overlay {overlay} is one file for {len(names)} images: give a folder")
    if not output_format.join_documents and len(names) > 1:
        raise UserError(
            f"--format {format_name} writes one document an image, but {len(names)} images are given: use --out FOLDER"
        )
    if format_name == "pdf" and not out:
        raise UserError("--format pdf writes a file: give its name with --out FILE.pdf")
    _read_to_stream(names, missing, output_format, open_page_reader(options), out, overlays, allow_urls, speaker)


def _is_folder(path: Path) -> bool:
    """Whether a path given for results is a folder: it exists as one, has no suffix, or is an address."""
    return not is_local(path) or path.is_dir() or not path.suffix


def _expand(arguments: list[str]) -> tuple[list[str], int]:
    """Return the names of all images, and the number of arguments without an image, which are reported here.

    Folders, folders at addresses, and glob patterns are expanded.
    """
    from glyphline.imaging.documents import SUFFIXES, URL_SCHEMES, image_paths

    names: list[str] = []
    missing = 0
    for argument in arguments:
        try:
            if argument == STANDARD_INPUT or argument.startswith(URL_SCHEMES):
                names.append(argument)
            elif is_address(argument):
                found = sorted(
                    name for name in modification_times(open_path(argument)) if name.lower().endswith(SUFFIXES)
                )
                if not found:
                    raise ImageError(
                        f"{argument} contains no images ({', '.join(SUFFIXES)}): give a folder with images"
                    )
                names += found
            else:
                names += map(str, image_paths([argument]))
        except ImageError as error:
            missing += 1
            print_status(f"glyphline: {error}")
    return names, missing


def _read_to_stream(
    names: list[str], missing: int, output_format: Any, reader: Any, out: Path | None, overlays: dict[str, Path],
    allow_urls: bool, speaker: Speaker | None,
) -> None:  # fmt: skip
    """Print the results of each image as soon as it is read, or write all of them to one file.

    overlays: image -> the file of its overlay. speaker: says the text, None for silence.
    Raises typer.Exit if an image could not be read.
    """
    from glyphline.imaging.documents import URL_SCHEMES, fetch
    from glyphline.reading.batch import read_and_render
    from glyphline.reading.recognition.scripts import READ_BY_PP_OCR

    rendered: list[bytes] = []
    failed_count, read_count = missing, 0
    for name in names:
        overlay = overlays.get(str(Path(name)))
        try:
            source: str | bytes = name
            if name == STANDARD_INPUT:
                source = sys.stdin.buffer.read()
            elif name.startswith(URL_SCHEMES) and allow_urls:
                source = fetch(name)
            if overlay:
                overlay.parent.mkdir(parents=True, exist_ok=True)
            documents, pages = read_and_render(reader, source, name, output_format, overlay)
        except GlyphlineError as error:
            failed_count += 1
            print_status(f"glyphline: {error}" if name in str(error) else f"glyphline: {name}: {error}")
            continue
        except OSError as error:
            raise UserError(f"cannot write {error.filename or overlay}: {error.strerror or error}") from None
        lines = [line for page in pages for line in page.lines]
        if rejected := [line for line in lines if line.rejected]:
            counts = Counter(line.reason or "" for line in rejected)
            reasons = ", ".join(f"{count} {reason}".strip() for reason, count in counts.most_common())
            print_status(
                f"glyphline: {name}: {len(rejected)} of {len(lines)} lines rejected: {reasons} "
                f"(--min-confidence {reader.min_confidence:g})"
            )
            if any(f"({script})" in reason for reason in counts for script in READ_BY_PP_OCR):
                print_status('glyphline: --model pp-ocr reads Chinese and Japanese: pip install "glyphline[photo]"')
        if len(documents) > 1:
            raise UserError(
                f"{name} has {len(documents)} pages, but a document of this format holds one: use --out FOLDER"
            )
        document = documents[0]
        if read_count and document:
            document = output_format.separator[1:].encode() + document
        read_count += 1
        if out is None:
            print(document.decode(), end="", flush=True)
        else:
            rendered.append(document)
        if speaker:
            speaker.say(pages)
    if out is not None and read_count:
        write_output(out, b"".join(rendered))
    if failed_count:
        raise typer.Exit(1 if read_count else 2)


def _read_into_folder(
    out: Path, names: list[str], missing: int, folders: list[Path], format_name: str, options: ReaderOptions,
    overlays: Path | None, jobs: int, cluster: str | None,
) -> None:  # fmt: skip
    """Write one file an image into a folder, or Parquet files. Raises typer.Exit if an image could not be read.

    cluster: address of the Ray cluster that reads, None for the processes of this machine.
    """
    from glyphline.reading.batch import plan_tasks, prepare_folder, read_all, select_unfinished
    from glyphline.reading.formats import open_format

    if overlays and not _is_folder(overlays):
        raise UserError(f"--overlay {overlays} is one file: give a folder, as --out does")
    if unnamed := [name for name in names if name == STANDARD_INPUT or ("://" in name and not is_address(name))]:
        raise UserError(f"{unnamed[0]} has no file name for its results: leave out --out, or give --out FILE")
    writes_parquet = format_name == "parquet"
    if writes_parquet and overlays:
        raise UserError("--overlay goes with formats of one file a document, not with --format parquet")
    suffix = ".parquet" if writes_parquet else open_format(format_name).suffix
    tasks = plan_tasks([open_path(name) for name in names], folders, out, suffix, overlays)
    open_page_reader(options)  # so that a wrong option is reported before the folder is made
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(options).items()}
    prepare_folder(out, {"format": format_name, **settings})
    if writes_parquet:
        from glyphline.cluster.reading import list_documents

        documents = list_documents(out)
        unfinished = [task for task in tasks if str(task.image) not in documents]
    else:
        unfinished = select_unfinished(tasks, [*folders, out, *([overlays] if overlays else [])])
    todo = len(unfinished)
    print_status(f"{out}: {len(tasks)} images, {todo} to read")
    errors, lines, rejected = [], 0, 0
    open_reader = partial(open_page_reader, options)
    if cluster is None:
        processes = min(jobs or os.cpu_count() or 1, max(1, todo))
        outcomes = read_all(tasks, open_reader, format_name, processes, unfinished)
    else:
        from glyphline.cluster.reading import read_all as read_all_on_cluster

        outcomes = read_all_on_cluster(unfinished, open_reader, format_name, out, cluster, jobs) if todo else iter(())
    for outcome in progress_bar(outcomes, "reading", len(tasks), len(tasks) - todo):
        lines, rejected = lines + outcome.lines, rejected + outcome.rejected
        if outcome.error:
            errors.append(outcome.error)
    print_status(
        f"{out}: {todo - len(errors)} read, {lines} lines, {rejected} rejected; {len(errors)} could not be read"
    )
    for message in errors:
        print_status(f"glyphline: {message}")
    if errors or missing:
        raise typer.Exit(1 if len(tasks) > len(errors) else 2)
