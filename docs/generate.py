"""Generates the parts of the documentation that the program knows itself (a hook of MkDocs).

A page holds a marker such as `<!-- generate: command_line -->`; `on_page_markdown` replaces it by what the function of
that name returns. `python docs/generate.py NAME` prints the same Markdown. To add a part: write a function without
arguments that returns Markdown, and add it to PARTS at the bottom.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Callable
from html import escape
from typing import Any

import typer

from glyphline.alphabet import ALPHABETS
from glyphline.cli.application import VERBS, app
from glyphline.composing.effects import EFFECTS
from glyphline.composing.glyphs import GLYPHS
from glyphline.composing.layouts import LAYOUTS
from glyphline.composing.sentences import SENTENCES
from glyphline.reading.detection.detectors import DETECTORS
from glyphline.reading.formats import FORMATS
from glyphline.reading.recognition.decoders import DECODERS
from glyphline.reading.recognition.recognizers import bundled_card, bundled_names
from glyphline.recipe import LinesRecipe, NetworkRecipe, Recipe, TrainingRecipe

MARKER = re.compile(r"^<!-- generate: (\w+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the markers of a page. Raises KeyError for a marker without a function."""
    return MARKER.sub(lambda match: PARTS[match.group(1)](), markdown)


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table; pipes in cells are escaped."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines)


def command_line() -> str:
    """Every verb with its usage, its help, its arguments and its options."""
    group: Any = typer.main.get_command(app)
    parts = []
    for function in VERBS:
        name = function.__name__
        command = group.commands[name]
        context = typer.Context(command, info_name=name)
        pieces = [re.sub("[{}]", "", piece) for piece in command.collect_usage_pieces(context)]
        usage = " ".join(["glyphline", name, *pieces])
        parts += [f"## glyphline {name}", f"    {usage}", _paragraphs(command.help or "")]
        for kind in ("argument", "option"):
            records = [p.get_help_record(context) for p in command.params if p.param_type_name == kind]
            rows = [(f"`{names.strip()}`", _paragraphs(help_text)) for names, help_text in filter(None, records)]
            if rows:
                parts.append(table((kind, "meaning"), rows))
    return "\n\n".join(parts)


def _paragraphs(text: str) -> str:
    """Text with its lines joined, paragraphs kept, `<` escaped."""
    return "\n\n".join(escape(" ".join(block.split()), quote=False) for block in text.split("\n\n"))


def recipe_keys() -> str:
    """Every recipe key with its type, unit, default and meaning, from the dataclasses of `glyphline.recipe`.

    **R** marks the keys that may change when a run is resumed.
    """
    sections = [
        ("Top level", "", Recipe),
        ("lines", "lines.", LinesRecipe),
        ("network", "network.", NetworkRecipe),
        ("training", "training.", TrainingRecipe),
    ]
    parts = []
    for title, prefix, recipe_class in sections:
        rows = [
            (
                f"`{prefix}{field.name}`", f"`{_type_name(field)}`", field.metadata["unit"], _default(field),
                field.metadata["help"] + (" **R**" if field.metadata["resumable"] else ""),
            )
            for field in dataclasses.fields(recipe_class)
            if not dataclasses.is_dataclass(field.default_factory)
        ]  # fmt: skip
        parts += [f"### {title}", table(("key", "type", "unit", "default", "meaning"), rows)]
    return "\n\n".join(parts)


def _type_name(field: dataclasses.Field[Any]) -> str:
    """The type of a recipe key as YAML has it."""
    names = {
        "GlyphShare": "source or {source, weight}",
        "LabelledShare": "folder or {folder, share}",
        "tuple": "list",
        "dict": "map",
        "None": "null",
    }
    name = str(field.type)
    for python_name, yaml_name in names.items():
        name = re.sub(rf"\b{python_name}\b", yaml_name, name)
    return name.replace(", ...]", "]").replace(" | ", " or ")


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        value = field.default
    elif field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    else:
        return "required"
    if isinstance(value, tuple):
        value = [item.source if hasattr(item, "source") else item for item in value]
    return f"`{json.dumps(value)}`"


def bundled_models() -> str:
    """The bundled readers with the figures of their cards."""
    rows = []
    for name in bundled_names():
        card = bundled_card(name)
        rows.append((f"`{name}`", f"{card['bytes'] / 2**20:.1f} MB", str(len(card["alphabet"])), card["about"].strip()))
    return table(("name", "size", "characters", "what it reads"), rows)


def choices() -> str:
    """Every named choice of the command line and of recipes, family by family."""
    families: list[tuple[str, dict[str, Any]]] = [
        ("Glyph sources", GLYPHS), ("Sentence sources", SENTENCES), ("Layouts", LAYOUTS), ("Effects", EFFECTS),
        ("Detectors", DETECTORS), ("Decoders", DECODERS), ("Formats", FORMATS), ("Alphabets", ALPHABETS),
    ]  # fmt: skip
    return table(
        ("family", "members"), [(name, ", ".join(f"`{key}`" for key in members)) for name, members in families]
    )


PARTS: dict[str, Callable[[], str]] = {
    "command_line": command_line,
    "recipe_keys": recipe_keys,
    "bundled_models": bundled_models,
    "choices": choices,
}

if __name__ == "__main__":
    print(PARTS[sys.argv[1]]())
