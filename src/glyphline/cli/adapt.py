"""`glyphline adapt`: train a reader further for one hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glyphline.cli.options import require_training_packages
from glyphline.cli.terminal import print_status
from glyphline.errors import UserError

NAMED_LINES = 3  # that were left out, in an error of the app

if TYPE_CHECKING:
    from glyphline.training.adapt import Comparison


def adapt(
    out: Annotated[Path, typer.Option("--out", "-o", help="reader to write: an .onnx file")],
    glyphs: Annotated[
        list[str] | None,
        typer.Option(help="glyph source of the hand, such as folder:hand of `glyphline glyphs`; may be repeated"),
    ] = None,
    lines: Annotated[
        list[Path] | None, typer.Option(help="folder of labelled lines of the hand; may be repeated")
    ] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help="reader to start from: a bundled reader, an .onnx file, a run folder")
    ] = "photo",
    minutes: Annotated[
        float, typer.Option(help="minutes of preparing and training; comparing takes about two more")
    ] = 10,
    held_out: Annotated[
        float, typer.Option(help="share of the labelled lines that is kept out to measure; 0: measure nothing by them")
    ] = 0.25,
    trust_labels: Annotated[
        bool, typer.Option("--trust-labels", help="learn also the lines whose text seems to belong to another picture")
    ] = False,
    seed: Annotated[int, typer.Option(help="seed of the composed lines and of the lines that are kept out")] = 0,
) -> None:
    """Train a reader further so that it reads one hand.

    Give glyphs of the hand, labelled lines of it, or both. The new reader is kept only if it reads lines of the hand
    that were not trained on better, and other people's lines no worse than 0.2 points. An interrupted call goes on when
    it is made again.
    """
    require_training_packages("adapting a reader")
    from glyphline.training.adapt import adapt as run_adaptation
    from glyphline.training.adapt import work_folder
    from glyphline.training.runs import LAST_CHECKPOINT

    try:
        result = run_adaptation(
            out, model=model, glyphs=glyphs or (), lines=lines or (), minutes=minutes, held_out=held_out,
            trust_labels=trust_labels, seed=seed, report=print_status,
        )  # fmt: skip
    except KeyboardInterrupt:
        if (work_folder(out) / LAST_CHECKPOINT).exists():
            print_status(
                f"interrupted; {work_folder(out)} holds everything up to the last epoch: give the same command to go on"
            )
        raise
    own = result.own
    print_status(
        f"lines of the hand ({own.lines} {result.own_kind}): {_format(own)}"
        if own
        else "lines of the hand: not measured"
    )
    print_status(f"everybody's lines ({result.common.lines} composed): {_format(result.common)}")
    if result.common_note:
        print_status(result.common_note)
    print_status(f"{result.minutes:.1f} minutes, {result.initial_share:.0%} of the old weights; {result.reason}")
    print(json.dumps(asdict(result)))


def _format(comparison: Comparison) -> str:
    """The errors before and after with their intervals."""
    (low, high), (low_after, high_after) = comparison.before_interval, comparison.after_interval
    return (
        f"CER {comparison.before:.1%} [{low:.1%}, {high:.1%}] -> "
        f"{comparison.after:.1%} [{low_after:.1%}, {high_after:.1%}]"
    )


def adapt_to_lines(
    out: Path,
    lines: Path,
    minutes: float,
    report: Callable[[str], None],
    report_left_out: Callable[[str], None],
    model: str = "photo",
    glyphs: Sequence[str] = (),
) -> dict[str, Any]:
    """Adapt the reader of the app to labelled lines. For the app, which has no part in training itself.

    See `glyphline.training.adapt.adapt` for the arguments and the errors; those of too few lines and of the training
    say here what a person can do in the app. Returns its result as a dictionary.
    """
    from glyphline.training.adapt import TooFewLines
    from glyphline.training.adapt import adapt as run_adaptation
    from glyphline.training.train import DivergedError, StoppedError

    left_out: list[str] = []

    def leave_out(text: str) -> None:
        left_out.append(text)
        report_left_out(text)

    try:
        result = run_adaptation(
            out, model=model, glyphs=glyphs, lines=[lines], minutes=minutes, report=report,
            report_left_out=leave_out,
        )  # fmt: skip
    except TooFewLines:
        details = f" ({'; '.join(left_out[:NAMED_LINES])})" if left_out else ""
        raise UserError(f"too few lines are left to learn from and to measure by: correct some more{details}") from None
    except StoppedError as error:
        raise StoppedError(error.reason, error.remedy, "teach again to go on") from None
    except DivergedError:
        raise UserError("the training diverged: look for wrong texts among the corrected lines") from None
    return asdict(result)
