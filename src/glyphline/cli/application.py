"""The `glyphline` program: its verbs, its global options and its exit codes.

Exit codes: 0 success, 1 failure, 2 a user's mistake, 130 interrupted. To add a verb: write a function in a file of its
own, and add it to VERBS.
"""

from __future__ import annotations

import errno
import sys
from typing import Annotated, Any, NoReturn

import typer

from glyphline.cli.adapt import adapt
from glyphline.cli.compose import compose
from glyphline.cli.demo import demo
from glyphline.cli.evaluate import evaluate
from glyphline.cli.export import export
from glyphline.cli.fetch import fetch
from glyphline.cli.glyphs import glyphs
from glyphline.cli.language import language
from glyphline.cli.models import models
from glyphline.cli.read import read
from glyphline.cli.report import report
from glyphline.cli.runs import runs
from glyphline.cli.serve import serve
from glyphline.cli.sheet import sheet
from glyphline.cli.sweep import sweep
from glyphline.cli.terminal import print_status
from glyphline.cli.train import train
from glyphline.cli.translate import translate
from glyphline.errors import GlyphlineError
from glyphline.files import DISK_FULL

#: the verbs in the order in which `glyphline --help` lists them
VERBS = (
    fetch, compose, sheet, glyphs, adapt, train, sweep, runs, report, evaluate, read, serve, translate, export,
    language, models, demo,
)  # fmt: skip

app = typer.Typer(
    help="Compose handwritten lines, train a reader on them, and read images with it.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

#: of errors of the operating system, those of a path that a user gave
PATH_MISTAKES = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP)

UsageMistake: Any = typer.BadParameter.__mro__[2]  # ClickException, which typer contains but does not export


def _print_version(requested: bool) -> None:
    if requested:
        from glyphline import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def _global_options(
    debug: Annotated[bool, typer.Option("--debug", help="show the traceback of an error")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="print the version and exit", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    pass


for verb in VERBS:
    app.command()(verb)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with 0, 1, 2 or 130.

    arguments: the words after `glyphline`; by default those of the process. Without any, the help is printed. `--debug`
    is accepted in any position; it lets an error that is said in one line through with its traceback.
    """
    words = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        code: Any = app(words, standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except GlyphlineError as error:
        if debug:
            raise
        print_status(f"glyphline: {error}")
        code = error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        code = 0
    except OSError as error:
        is_full = error.errno in DISK_FULL
        if debug or not (is_full or (error.errno in PATH_MISTAKES and error.filename)):
            raise
        remedy = "free some space" if is_full else "choose another path, or change its permissions"
        print_status(f"glyphline: {error.filename or 'cannot write'}: {error.strerror}: {remedy}")
        code = 1 if is_full else 2
    except UsageMistake as error:
        if debug:
            raise
        print_status(f"glyphline: {error.format_message()} (see glyphline --help)")
        code = 2
    if code == 130:  # typer returns this code after Ctrl-C instead of raising
        print_status("glyphline: interrupted")
    sys.exit(code if isinstance(code, int) else 0)
