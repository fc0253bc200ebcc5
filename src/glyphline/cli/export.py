"""`glyphline export`: write a run's network as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glyphline.cli.options import require_training_packages
from glyphline.cli.terminal import print_status
from glyphline.errors import UserError


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="run folder, or its best.pt")],
    out: Annotated[Path, typer.Option("--out", "-o", help=".onnx file to write")],
    int8: Annotated[bool, typer.Option("--int8", help="quantize to 8 bits; refused if the CER grows too much")] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="store the weights in half precision: half of the size")] = False,
) -> None:
    """Export a run's best network to ONNX.

    The file is kept only if its outputs equal those of torch up to rounding.
    """
    require_training_packages("exporting")
    if int8 and fp16:
        raise UserError("--int8 and --fp16 exclude each other: give one of them")
    from glyphline.training.export import export as run_export
    from glyphline.training.export import weights_path

    difference = run_export(run, out)
    report = f"at most {difference:.1g} from torch in any likely log-probability"
    if int8:
        from glyphline.training.network import load_network
        from glyphline.training.quantize import quantize

        cost = quantize(out, out, load_network(weights_path(run))[0].recipe)
        report += f"; 8 bits: CER {cost.after:.2%}, before {cost.before:.2%}"
    elif fp16:
        from glyphline.training.quantize import compress_weights

        compress_weights(out, out)
        report += "; weights in half precision"
    print_status(f"{out}: {out.stat().st_size / 2**20:.1f} MB, {report}")
