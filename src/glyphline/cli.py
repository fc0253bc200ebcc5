"""One verb per act, each a few lines. stdout is data, stderr is talk.

Exit codes: 0 done, 1 a failure, 2 a user's mistake, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from glyphline.errors import GlyphlineError, MissingPackage, PictureError, UserError

app = typer.Typer(
    help="Compose handwritten lines, train a reader on them, read pictures with it.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

UsageMistake: Any = typer.BadParameter.__mro__[2]  # ClickException, which typer carries but does not name

Model = Annotated[str, typer.Option("--model", "-m", help="a bundled reader, an .onnx file, or a run folder")]
DecoderName = Annotated[
    str, typer.Option("--decoder", "-d", help="greedy, beam, beam:MY.lm: how log-probabilities become text")
]
Split = Annotated[str, typer.Option(help="which glyphs and sentences: train, val, test")]


def say(text: str) -> None:
    """Talk, on stderr."""
    print(text, file=sys.stderr)


def _bar(items: Iterable[Any], what: str, total: int | None = None, done: int = 0) -> Iterator[Any]:
    """Items with a progress bar on stderr, shown only on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total, completed=done)
        for item in items:
            yield item
            progress.advance(task, len(item) if isinstance(item, list) else 1)


def _needs_training(what: str) -> None:
    for package in ("torch", "lightning"):
        if find_spec(package) is None:
            raise MissingPackage(package, "train", what)


def _engine(model: str) -> Any:
    """What reads by a model's name: an engine of a run folder, or the name itself."""
    from glyphline.reading.engines import bundled_names

    if model in bundled_names() or not (Path(model).is_dir() or model.endswith(".pt")):
        return model
    _needs_training("reading with a run's own weights")
    from glyphline.learning.export import open_run

    return open_run(Path(model))


def _open_pages(
    model: str, decoder: str, finder: str, least: float | None, only: Path | None, pattern: str | None
) -> Any:
    """The reader that the options of `read` ask for; a function of its own, for every process opens one."""
    from glyphline.reading.constraints import Pattern, choices_in
    from glyphline.reading.engines import alphabet_of
    from glyphline.reading.pages import open_reader

    allowed: Any = None
    if only:
        allowed = lambda engine: choices_in(only, alphabet_of(engine))  # noqa: E731
    elif pattern is not None:
        allowed = lambda engine: Pattern(pattern)  # noqa: E731
    return open_reader(_engine(model), decoder, finder, least, allowed)


def _version(wanted: bool) -> None:
    if wanted:
        from glyphline import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def _all(
    debug: Annotated[bool, typer.Option("--debug", help="show the traceback of an error")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="say the version and stop", is_eager=True, callback=_version)
    ] = False,
) -> None:
    pass


@app.command()
def fetch(
    what: Annotated[str, typer.Argument(help="emnist or wikisplit")],
    source: Annotated[str | None, typer.Option("--from", help="a mirror's address, a zip file or a folder")] = None,
    part: Annotated[list[str] | None, typer.Option(help="only these parts: byclass, bymerge, ..., train")] = None,
) -> None:
    """Download, verify and unpack a data set into the data folder ($GLYPHLINE_DATA, else the platform's cache)."""
    from glyphline.composing.fetch import fetch as fetch_data

    print(fetch_data(what, source=source, parts=tuple(part or ()), talk=say))


@app.command()
def compose(
    out: Annotated[Path, typer.Option("--out", "-o", help="the folder to write")],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="lines")] = 100,
    glyphs: Annotated[str, typer.Option(help="emnist/byclass, strokes, fonts:FOLDER, folder:FOLDER")] = "strokes",
    sentences: Annotated[str, typer.Option(help="wikisplit, text:PATH, built-in")] = "built-in",
    layout: Annotated[str, typer.Option(help="tiles, overlap, natural")] = "natural",
    alphabet: Annotated[
        str | None, typer.Option(help="a name or the characters; default: what the glyphs draw")
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="take lines from a recipe instead of the options above")] = None,
    seed: Annotated[int, typer.Option(help="line i is a function of (seed, i)")] = 0,
    split: Split = "train",
    workers: Annotated[int, typer.Option(min=1, help="processes; the bytes do not depend on it")] = 1,
    boxes: Annotated[bool, typer.Option("--boxes", help="exact character boxes in record.jsonl")] = False,
    sheet: Annotated[Path | None, typer.Option(help="also write a contact sheet of the first lines here")] = None,
) -> None:
    """Compose lines: 000000.png ... with labels.tsv (file<TAB>text) and record.jsonl; continues what was stopped."""
    import cv2

    from glyphline.composing.lines import LineSet, contact_sheet, write_lines
    from glyphline.recipe import load_recipe

    if sheet and sheet.suffix.lower() != ".png":
        raise UserError(f"{sheet}: a contact sheet is a PNG; name it something.png")
    made = load_recipe(recipe).lines if recipe else _lines_recipe(layout, glyphs, sentences, alphabet)
    lines = LineSet(made, split, seed)
    if lines.fit.counts:
        shown = ", ".join(f"{c!r} {n}" for c, n in lines.fit.counts.most_common(8))
        say(f"characters outside the alphabet were {made.unknown}ped: {shown}" if made.unknown == "drop" else
            f"characters outside the alphabet were replaced: {shown}")  # fmt: skip
    new = write_lines(
        lines, count, out, boxes=boxes, workers=workers,
        progress=lambda chunks, done, total: _bar(chunks, "composing", total, done),
    )  # fmt: skip
    say(f"{out}: {count} lines, {new} of them new")
    if sheet:
        first = [lines.line(i) for i in range(min(count, 24))]
        _, png = cv2.imencode(".png", contact_sheet([(line.image, line.text) for line in first], 2))
        _write(sheet, png.tobytes())
        say(f"{sheet}: a contact sheet of {len(first)} lines")


def _lines_recipe(layout: str, glyphs: str, sentences: str, alphabet: str | None) -> Any:
    """The lines that the plain options of `compose` ask for."""
    from glyphline.recipe import GlyphShare, LinesRecipe, Recipe

    drawn = {
        "emnist/byclass": "full", "emnist/bymerge": "merged", "emnist/balanced": "merged", "emnist/digits": "digits",
        "emnist/mnist": "digits", "emnist/letters": " ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    }  # fmt: skip
    if alphabet is None and glyphs.startswith("folder:"):
        from glyphline.composing.glyphs import open_glyphs

        alphabet = " " + open_glyphs(glyphs).characters("train")
    tiled = layout in ("tiles", "overlap")
    if alphabet is None:
        alphabet = drawn.get(glyphs, "english") if tiled or (glyphs in drawn and "byclass" not in glyphs) else "english"
    shares: tuple[GlyphShare, ...] = (GlyphShare(glyphs),)
    if not tiled and glyphs.startswith("emnist"):
        shares += (GlyphShare("strokes", 0.0),)  # lends its punctuation
    lines = LinesRecipe(
        alphabet=alphabet, layout=layout, glyphs=shares, sentences=(sentences,),
        punctuation="stripped" if tiled and glyphs.startswith("emnist") else "written",
        length=(32, 32) if tiled else (4, 48), start="head" if tiled else "word",
        cut="character" if tiled else "word", height=28 if tiled else 40,
    )  # fmt: skip
    return Recipe(lines=lines).lines


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="a recipe, such as recipes/tiles.yaml")],
    out: Annotated[Path, typer.Option("--out", "-o", help="the run folder")],
    change: Annotated[list[str] | None, typer.Option("--set", help="key=value laid over the recipe")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue the run from its last checkpoint")] = False,
    track: Annotated[list[str] | None, typer.Option(help="wandb, tensorboard, csv, none; may be repeated")] = None,
    threads: Annotated[int, typer.Option(min=0, help="of torch; 0: as many as there are cores")] = 0,
) -> None:
    """Train a recipe into a run folder; interrupt it at any time and continue with --resume."""
    _needs_training("training")
    import torch

    from glyphline.learning.train import train as run_training
    from glyphline.recipe import load_recipe

    if threads:
        torch.set_num_threads(threads)
    wanted = load_recipe(recipe, change or ())
    usual = ["csv", "wandb"] if find_spec("wandb") else ["csv"]
    try:
        result = run_training(
            wanted, out, resume=resume, trackers=track or usual, progress=sys.stderr.isatty(), say=say
        )
    except KeyboardInterrupt:
        kept = (out / "last.ckpt").exists()
        say(f"interrupted; {out} holds everything up to the last epoch: continue with --resume" if kept else
            f"interrupted before the first epoch ended; {out} holds no checkpoint yet: start again")  # fmt: skip
        raise
    print(json.dumps(result))


@app.command()
def evaluate(
    lines: Annotated[str, typer.Argument(help="a folder with labels.tsv, or a recipe")],
    model: Model = "reader",
    decoder: DecoderName = "beam",
    fold: Annotated[str, typer.Option(help="none, case, merged, loose: what is ignored when scoring")] = "none",
    split: Split = "test",
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="lines composed from a recipe")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="print one object")] = False,
    worst: Annotated[int, typer.Option(min=0, help="also show this many of the worst lines")] = 0,
) -> None:
    """Score a reader on labelled lines: CER, WER, exact lines, 95 % intervals, confusions, lines a second."""
    from glyphline.learning.evaluate import evaluate as run_evaluation
    from glyphline.reading.reader import open_line_reader
    from glyphline.score import check_fold

    check_fold(fold)
    result = run_evaluation(
        lines, open_line_reader(_engine(model), decoder), model=model, decoder=decoder, fold=fold, split=split,
        count=count, progress=lambda items: _bar(items, "reading"),
    )  # fmt: skip
    if as_json:
        print(json.dumps(result.to_dict()))
    else:
        _print_evaluation(result)
    for reading in result.worst(worst):
        say(f"{reading.cer:6.1%}  {reading.name}\n        truth {reading.truth!r}\n        read  {reading.read!r}")


def _print_evaluation(result: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    s = result.score
    table = Table(title=f"{s.lines} lines, {result.model}, {result.decoder}; {s.normalisation}", title_justify="left")
    for column in ("measure", "value", "95 % interval"):
        table.add_column(column, justify="left" if column == "measure" else "right")
    table.add_row("CER", f"{s.cer:.2%}", f"{s.cer_interval[0]:.2%} - {s.cer_interval[1]:.2%}")
    table.add_row("WER", f"{s.wer:.2%}", f"{s.wer_interval[0]:.2%} - {s.wer_interval[1]:.2%}")
    table.add_row("exact lines", f"{s.exact:.1%}", "")
    table.add_row("errors of case alone", str(s.case_errors), "")
    table.add_row("lines/s", f"{result.lines_per_second:.0f}", "")
    console = Console()
    console.print(table)
    pairs = Table(title="commonest confusions (truth, read, times)", title_justify="left", show_header=False)
    for c in s.confusions[:12]:
        pairs.add_row(repr(c.truth) if c.truth else "nothing", repr(c.read) if c.read else "nothing", str(c.count))
    alike = Table(title="look-alikes read for one another (group, times, of)", title_justify="left", show_header=False)
    for group, wrong, total in s.lookalikes:
        if total:
            alike.add_row(" ".join(group), str(wrong), str(total))
    console.print(pairs, alike)


@app.command()
def read(
    pictures: Annotated[list[str], typer.Argument(help="pictures, folders, patterns; - reads standard input")],
    line: Annotated[bool, typer.Option("--line", help="each picture is one line already: --finder none")] = False,
    finder: Annotated[str, typer.Option(help="auto, photo, paper, none: what finds the lines of a page")] = "auto",
    form: Annotated[
        str, typer.Option("--format", "-f", help="text, json, tsv, markdown, hocr, alto, page, pdf (searchable)")
    ] = "text",
    model: Annotated[
        str, typer.Option("--model", "-m", help="auto, a bundled reader, pp-ocr, an .onnx file, or a run folder")
    ] = "auto",
    decoder: DecoderName = "beam",
    only: Annotated[Path | None, typer.Option(help="a file of the texts a line may say, one a row")] = None,
    pattern: Annotated[str | None, typer.Option(help="a regular expression every line fits: [0-9]{2}/[0-9]{4}")] = None,
    least: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="leave a line unread when less of it than this is probably right: 0.7"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="a file for all of it, or a folder for a file a picture")
    ] = None,
    drawn: Annotated[
        Path | None, typer.Option("--overlay", help="also draw what was found: a .png, or a folder for several")
    ] = None,
    jobs: Annotated[int, typer.Option(min=0, help="processes that fill a folder; 0: as many as there are cores")] = 0,
    urls: Annotated[bool, typer.Option("--urls", help="fetch pictures whose addresses are given")] = False,
) -> None:
    """Find and read the text of pictures. Of many, a bad one is named, the others are read, and the exit code is 1.

    A folder given with --out DIR is read in parallel, a file a picture; what is there is not done again.
    """
    from glyphline.reading.bulk import tasks_in
    from glyphline.reading.formats import open_format

    shape = open_format(form)
    if only and pattern is not None:
        raise UserError("--only and --pattern both say what a line may say: give one of them")
    if line and finder not in ("auto", "none"):
        raise UserError(
            f"--line says that the picture is one line, --finder {finder} what finds its lines: give one of them"
        )
    wanted = {
        "model": model, "decoder": decoder, "finder": "none" if line else finder, "least": least, "only": only,
        "pattern": pattern,
    }  # fmt: skip
    if drawn and not _is_folder(drawn) and drawn.suffix.lower() != ".png":
        raise UserError(f"--overlay {drawn}: what is drawn is a PNG; name it something.png, or give a folder")
    names, bad = _named(pictures)
    if not names:
        raise typer.Exit(2)
    folders = [Path(p) for p in pictures if Path(p).is_dir()]
    if out and _is_folder(out):
        _read_into(out, names, bad, folders, form, wanted, drawn, jobs)
        return
    places = {str(Path(names[0])): drawn} if drawn else {}
    if drawn and _is_folder(drawn):
        tasks = tasks_in([Path(name) for name in names], folders, drawn, ".png", None)
        places = {str(task.picture): task.out for task in tasks}
        names = [name for name in names if str(Path(name)) in places]
    elif drawn and len(names) > 1:
        raise UserError(f"--overlay {drawn} is one file for {len(names)} pictures: give a folder")
    if not shape.joined and len(names) > 1:
        raise UserError(f"--format {form} makes a document a picture, and {len(names)} are given: --out DIR")
    if form == "pdf" and not out:
        raise UserError("--format pdf makes a file: say where, --out FILE.pdf")
    _read_in_turn(names, bad, shape, _open_pages(**wanted), out, places, urls)  # type: ignore[arg-type]


def _is_folder(path: Path) -> bool:
    """Whether results that go there are files in a folder."""
    return path.is_dir() or not path.suffix


def _named(given: list[str]) -> tuple[list[str], int]:
    """The pictures that were given, folders and patterns opened; how many of them are not there is told."""
    from glyphline.picture import ADDRESS, pictures_in

    names: list[str] = []
    bad = 0
    for one in given:
        try:
            names += [one] if one == "-" or one.startswith(ADDRESS) else map(str, pictures_in([one]))
        except PictureError as error:
            bad += 1
            say(f"glyphline: {error}")
    return names, bad


def _read_in_turn(
    names: list[str], bad: int, shape: Any, reader: Any, out: Path | None, places: dict[str, Path], urls: bool
) -> None:
    """Each picture's results to standard output as soon as they are there, or all to one file.

    places: where each picture is drawn with what was found, if it is.
    """
    from glyphline.picture import ADDRESS, fetch
    from glyphline.reading.bulk import results

    written: list[bytes] = []
    done = 0
    for name in names:
        try:
            address = name.startswith(ADDRESS) and urls
            source = sys.stdin.buffer.read() if name == "-" else fetch(name) if address else name
            at = places.get(str(Path(name)))
            if at:
                at.parent.mkdir(parents=True, exist_ok=True)
            made, pages = results(reader, source, name, shape, at)
        except GlyphlineError as error:
            bad += 1
            say(f"glyphline: {error}" if name in str(error) else f"glyphline: {name}: {error}")
            continue
        except OSError as error:
            raise UserError(f"cannot write {error.filename or at}: {error.strerror or error}") from None
        lines = [line for page in pages for line in page.lines]
        if unread := sum(line.unread for line in lines):
            say(f"glyphline: {name}: {unread} of {len(lines)} lines left unread (--least {reader.least:g})")
        if len(made) > 1:
            raise UserError(f"{name} has {len(made)} pages, and the format holds one: give a folder, --out DIR")
        if done and made[0]:
            made[0] = shape.between[1:].encode() + made[0]
        done += 1
        if out is None:
            print(made[0].decode(), end="", flush=True)
        else:
            written.append(made[0])
    if out is not None and done:
        _write(out, b"".join(written))
    if bad:
        raise typer.Exit(1 if done else 2)


def _read_into(
    out: Path, names: list[str], bad: int, folders: list[Path], form: str, wanted: dict[str, Any], drawn: Path | None,
    jobs: int,
) -> None:  # fmt: skip
    """A file a picture into a folder."""
    from functools import partial

    from glyphline.reading.bulk import begin, read_all, tasks_in
    from glyphline.reading.formats import open_format

    if drawn and not _is_folder(drawn):
        raise UserError(f"--overlay {drawn} is one file: give a folder, as --out does")
    if odd := [name for name in names if name == "-" or "://" in name]:
        raise UserError(f"{odd[0]} has no name to call its results by: leave out --out, or give --out FILE")
    tasks = tasks_in([Path(name) for name in names], folders, out, open_format(form).suffix, drawn)
    _open_pages(**wanted)  # a wrong option is told before anything is begun
    begin(out, {"format": form, **{k: str(v) if isinstance(v, Path) else v for k, v in wanted.items()}})
    todo = sum(not task.done for task in tasks)
    say(f"{out}: {len(tasks)} pictures, {todo} to read")
    errors, lines, unread = [], 0, 0
    outcomes = read_all(tasks, partial(_open_pages, **wanted), form, min(jobs or os.cpu_count() or 1, max(1, todo)))
    for one in _bar(outcomes, "reading", len(tasks), len(tasks) - todo):
        lines, unread = lines + one.lines, unread + one.unread
        if one.error:
            errors.append(one.error)
    say(f"{out}: {todo - len(errors)} read, {lines} lines, {unread} left unread; {len(errors)} could not be read")
    for error in errors:
        say(f"glyphline: {error}")
    if errors or bad:
        raise typer.Exit(1 if any(task.done for task in tasks) else 2)


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    from glyphline.files import write_whole

    try:
        write_whole(path, data)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from None


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="a run folder, or its best.pt")],
    out: Annotated[Path, typer.Option("--out", "-o", help="the .onnx file to write")],
    int8: Annotated[
        bool, typer.Option("--int8", help="in eight bits: smaller, faster, kept if it reads as well")
    ] = False,
) -> None:
    """Export a run's best network to ONNX; kept only when it gives torch's numbers."""
    _needs_training("exporting")
    from glyphline.learning.export import export as run_export
    from glyphline.learning.export import weights_of

    difference = run_export(run, out)
    said = f"at most {difference:.1g} from torch in any likely log-probability"
    if int8:
        from glyphline.learning.network import load_network
        from glyphline.learning.quantize import quantize

        cost = quantize(out, out, load_network(weights_of(run))[0].recipe)
        said += f"; in eight bits CER {cost.after:.2%} where it was {cost.before:.2%}"
    say(f"{out}: {out.stat().st_size / 2**20:.1f} MB, {said}")


@app.command()
def language(
    sentences: Annotated[list[str], typer.Argument(help="wikisplit, text:PATH, built-in, generated:COUNT")],
    out: Annotated[Path, typer.Option("--out", "-o", help="the .lm file to write")],
    alphabet: Annotated[str, typer.Option(help="a name or the characters; digits count as one")] = "english",
    order: Annotated[int, typer.Option(min=1, max=8, help="characters of the longest n-gram")] = 6,
    megabytes: Annotated[int, typer.Option(help="size of the table: 1, 2, 4, 8, ...")] = 4,
) -> None:
    """Estimate a character language model for `--decoder beam:FILE.lm` from texts."""
    from glyphline.learning.language import make_language

    made = make_language(tuple(sentences), alphabet, order, megabytes)
    made.model.save(out)
    size = out.stat().st_size / 2**20
    say(f"{out}: {size:.1f} MB from {made.texts} texts, {made.bits:.2f} bits a character on unseen ones")


@app.command()
def models(name: Annotated[str | None, typer.Argument(help="show this reader's card")] = None) -> None:
    """List the bundled readers, or show the card of one."""
    from glyphline.reading.engines import bundled_card, bundled_names

    if name is not None and name not in bundled_names():
        raise UserError(f'no bundled reader "{name}"; choices: {", ".join(bundled_names()) or "none"}')
    for each in [name] if name else bundled_names():
        card = bundled_card(each)
        print(json.dumps(card, indent=1, ensure_ascii=False) if name else f"{each}\t{card['about']}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="the HTML page to write")] = Path("demo/demo.html"),
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="lines to compose")] = 6,
    examples: Annotated[Path, typer.Option(help="a folder of pictures with labels.tsv")] = Path("examples/lines"),
    seed: Annotated[int, typer.Option(help="of the composed lines")] = 0,
) -> None:
    """Compose lines, read them and the example pictures, show all of it here and on one HTML page."""
    from glyphline.demo import run_demo

    run_demo(out, count, examples, seed)
    say(f"the page: {out}")


def main(arguments: list[str] | None = None) -> NoReturn:
    """The command line; exits with 0, 1 or 2, or 130 after Ctrl-C."""
    words = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    debug = "--debug" in words
    words = [w for w in words if w != "--debug"]
    try:
        code: Any = app(words, standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except GlyphlineError as error:
        if debug:
            raise
        say(f"glyphline: {error}")
        code = error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        code = 0
    except UsageMistake as error:
        if debug:
            raise
        say(f"glyphline: {error.format_message()} (see glyphline --help)")
        code = 2
    if code == 130:  # typer turns Ctrl-C into this code
        say("glyphline: interrupted")
    sys.exit(code if isinstance(code, int) else 0)
