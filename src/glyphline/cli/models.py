"""`glyphline models`: list the bundled readers."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from glyphline.errors import UserError


def models(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="bundled reader whose model card is shown")] = None,
) -> None:
    """List the bundled readers, or print one's model card as JSON."""
    from glyphline.reading.recognition.recognizers import bundled_card, bundled_names

    if name is not None and name not in bundled_names():
        raise UserError(f'no bundled reader "{name}"; choices: {", ".join(bundled_names()) or "none"}')
    for bundled_name in [name] if name else bundled_names():
        card = bundled_card(bundled_name)
        print(json.dumps(card, indent=1, ensure_ascii=False) if name else f"{bundled_name}\t{card['about']}")
