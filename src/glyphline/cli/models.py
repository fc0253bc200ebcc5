"""`glyphline models`: list the bundled readers."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from glyphline.errors import UserError


def models(name: Annotated[str | None, typer.Argument(help="show the card of this reader")] = None) -> None:
    """List the bundled readers, or show the model card of one as JSON."""
    from glyphline.reading.recognition.recognizers import bundled_card, bundled_names

    if name is not None and name not in bundled_names():
        raise UserError(f'no bundled reader "{name}"; choices: {", ".join(bundled_names()) or "none"}')
    for each in [name] if name else bundled_names():
        card = bundled_card(each)
        print(json.dumps(card, indent=1, ensure_ascii=False) if name else f"{each}\t{card['about']}")
