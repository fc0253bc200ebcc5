"""`glyphline evaluate`: score a reader on labelled lines."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from glyphline.cli.options import DecoderName, Model, Split, model_or_recognizer
from glyphline.cli.terminal import print_status, progress_bar

CONFUSIONS_SHOWN = 12


def evaluate(
    lines: Annotated[str, typer.Argument(metavar="LINES", help="folder of labelled lines, or a recipe")],
    model: Model = "reader",
    decoder: DecoderName = "beam",
    fold: Annotated[
        str,
        typer.Option(
            help="ignored differences: none, case, merged (case of EMNIST's merged letters), loose (also punctuation)"
        ),
    ] = "none",
    split: Split = "test",
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="number of lines to compose from a recipe")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    worst: Annotated[int, typer.Option(min=0, help="also show this number of lines with the highest CER")] = 0,
) -> None:
    """Score a reader on labelled lines.

    The lines are labelled by labels.tsv, .gt.txt files, metadata.csv or .jsonl, PAGE-XML or ALTO. Prints the CER and
    WER with 95 % intervals, the share of exact lines, lines a second and the commonest confusions.
    """
    from glyphline.reading.lines import open_line_reader
    from glyphline.score import check_fold
    from glyphline.training.evaluate import evaluate as run_evaluation

    check_fold(fold)
    result = run_evaluation(
        lines, open_line_reader(model_or_recognizer(model), decoder), model=model, decoder=decoder, fold=fold,
        split=split, count=count, progress=lambda items: progress_bar(items, "reading"), report=print_status,
    )  # fmt: skip
    if as_json:
        print(json.dumps(result.to_dict()))
    else:
        _print_tables(result)
    for line in result.worst(worst):
        print_status(f"{line.cer:6.1%}  {line.name}\n        truth {line.truth!r}\n        read  {line.prediction!r}")


def _print_tables(result: Any) -> None:
    """Print the score, the commonest confusions and the look-alikes as tables on stdout."""
    from rich.console import Console
    from rich.table import Table

    s = result.score
    table = Table(title=f"{s.lines} lines, {result.model}, {result.decoder}; {s.normalisation}", title_justify="left")
    for column in ("measure", "value", "95 % interval"):
        table.add_column(column, justify="left" if column == "measure" else "right")
    table.add_row("CER", f"{s.cer:.2%}", f"{s.cer_interval[0]:.2%} - {s.cer_interval[1]:.2%}")
    table.add_row("WER", f"{s.wer:.2%}", f"{s.wer_interval[0]:.2%} - {s.wer_interval[1]:.2%}")
    table.add_row("exact lines", f"{s.exact:.1%}", "")
    table.add_row("errors of case only", str(s.case_errors), "")
    table.add_row("lines/s", f"{result.lines_per_second:.0f}", "")
    pairs = Table(title="commonest confusions (truth, read, times)", title_justify="left", show_header=False)
    for c in s.confusions[:CONFUSIONS_SHOWN]:
        truth, prediction = (repr(text) if text else "nothing" for text in (c.truth, c.prediction))
        pairs.add_row(truth, prediction, str(c.count))
    alike = Table(title="look-alikes read for one another (group, times, of)", title_justify="left", show_header=False)
    for group, wrong, total in s.lookalikes:
        if total:
            alike.add_row(" ".join(group), str(wrong), str(total))
    Console().print(table, pairs, alike)
