"""Pages with tables, receipts and contents pages as a browser draws them: HTML with varied CSS, and the true rows.

Page `index` is a function of its index alone. The texts are word lists of this file, the fonts those of the system: the
pages share nothing with those that benchmarks/tables.py composes. Needs chromium.
"""

from __future__ import annotations

import html
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glyphline.imaging.documents import ColourImage, Document

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MAX_HEIGHT = 2400  # CSS px of the window; the page is cut below its last ink
FONTS = ("DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono", "Liberation Sans", "Liberation Sans Narrow",
         "Liberation Serif", "Liberation Mono", "Noto Sans", "Noto Serif", "Noto Sans Display")  # fmt: skip
MONOSPACE = ("DejaVu Sans Mono", "Liberation Mono")
GOODS = """Oat milk|Rye bread 500 g|Butter|Green apples|Espresso beans|Dish soap|Paper towels 4x|Olive oil extra virgin
Cherry tomatoes|Yoghurt natural|Sparkling water 1.5 l|Eggs free range 10|Basmati rice|Red lentils|Dark chocolate 70%
Gift card|Carrier bag|Bananas|Hand cream|USB-C cable 2 m|AA batteries 8 pcs|Notebook A5|Desk lamp|Garden hose 15 m
Screws 4x40 mm|Wall paint white 5 l|Tea|Ham|Brie|Cola Zero|Fries large|Caesar salad|Soup of the day"""
NAMES = """Anna Keller|Benedict Okafor|Chloe Martin|David Schwartz|Elena Petrova|Farid Haddad|Grace O'Neill|Hiro Tanaka
Ingrid Olsen|Jonas Weber|Katrin Vogel|Liam Byrne|Maria Santos|Noor Rahman|Oscar Lind|Priya Nair|Quentin Roux|Rosa Diaz
Sven Bakker|Tara Singh|Umberto Galli|Vera Novak|Will Harper|Xenia Pappas|Yusuf Demir|Zoe Clark"""
PLACES = """Amsterdam|Bern|Cork|Dresden|Edinburgh|Florence|Geneva|Helsinki|Innsbruck|Kiel|Lisbon|Marseille|Nice|Oslo
Porto|Riga|San Sebastian|Turin|Uppsala|Vienna|Warsaw|York|Zagreb|New York|Rio de Janeiro|Hong Kong"""
THINGS = """Revenue|Cost of sales|Gross profit|Operating expenses|Net income|Depreciation|Interest paid|Tax|Cash at end
Population|Area (km2)|Rainfall (mm)|Temperature|Humidity|Wind speed|Sunshine hours|Snow days|Altitude|Voltage|Current
Power|Weight|Length|Width|Price per unit|Warranty|Memory|Storage|Display|Battery life|Colour|Speed|Range|Torque"""
TITLES = """Introduction|A short history of maps|Getting started|Installation and first steps|Working with layers
Projections explained|How rivers are drawn|Symbols, colours and type|Printing on large paper|Common mistakes|Field work
Measuring distance without a chain|The surveyor's notebook|Glossary|Index|Further reading|Acknowledgements|Appendix A
Borders and what they hide|On scale|Night|The lighthouse at the end of the road|What the fishermen knew|Letters home
Tables of tides|Winter|A note on the second edition|Maintenance|Troubleshooting|Safety instructions|Error codes"""
NOTES = """checked twice by the night shift|delivered late, customer was informed|see appendix for the full method
returns to the depot on Monday|includes installation and a spare part|not available in all regions
measured at sea level before noon|estimate, will be revised in spring|paid in cash at the counter
valid until the end of the month|requires a signature on delivery|new model, replaces the old series"""


def _list(block: str) -> list[str]:
    return [entry.strip() for entry in block.replace("\n", "|").split("|")]


@dataclass(frozen=True)
class BrowserPage:
    """HTML, the size of its window, and the rows of its tables."""

    kind: str
    html: str
    width: int  # CSS px
    scale: float  # px of the image per CSS px
    rows: list[list[str]]  # of its table; "" for an empty cell; rows whose cells span columns are shorter than others


@dataclass(frozen=True)
class Field:
    """A column of a table: its title, how it is aligned, and what draws a cell."""

    title: str
    align: str
    cell: Callable[[], str]


class Drawer:
    """Draws the texts and styles of a page."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def pick(self, options: Sequence[str]) -> str:
        return options[int(self.rng.integers(len(options)))]

    def entry(self, block: str) -> str:
        return self.pick(_list(block))

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def price(self, digits: float = 3.0, comma: bool = False) -> str:
        text = f"{10 ** self.rng.uniform(0, digits):,.2f}"
        return text.translate(str.maketrans(",.", ".,")) if comma else text

    def number_field(self) -> Field:
        """A column of numbers, of which some are narrow and some have lone dashes."""
        rng = self.rng
        digits = float(rng.uniform(0.5, 6))
        currency = self.pick(["$", "€", "£", "EUR ", ""])
        dash = self.pick(["-", "–", "—", "n/a"])
        comma = self.chance(0.3)
        missing = float(rng.choice([0, 0, 0.15, 0.4]))
        kinds: list[tuple[str, Callable[[], str]]] = [
            ("Qty", lambda: str(rng.choice([1, 1, 1, 2, 3, 10]))),
            ("#", lambda: str(rng.integers(1, 10))),
            ("Price", lambda: currency + self.price(min(digits, 4), comma)),
            ("Total", lambda: self.price(min(digits, 4)) + (" " + currency.strip() if currency == "€" else "")),
            ("Units", lambda: f"{int(10 ** rng.uniform(0, digits)):,}"),
            ("Year", lambda: str(rng.integers(1950, 2027))),
            ("Date", lambda: f"{rng.integers(2010, 2027)}-{rng.integers(1, 13):02d}-{rng.integers(1, 29):02d}"),
            ("Time", lambda: f"{rng.integers(0, 24):02d}:{rng.integers(0, 60):02d}"),
            ("Share", lambda: f"{rng.uniform(0, 100):.1f}%"),
            ("Change", lambda: f"{rng.uniform(-9, 9):+.1f}"),
            ("Grade", lambda: self.pick("ABCDF")),
            ("Code", lambda: f"{self.pick('KLMX')}-{rng.integers(10, 9999)}"),
            ("OK", lambda: self.pick(["yes", "no", "x", "Y", "N"])),
        ]
        title, cell = kinds[int(rng.integers(len(kinds)))]
        align = self.pick(["right", "right", "right", "center", "left"])
        return Field(title, align, lambda: dash if self.chance(missing) else cell())

    def text_field(self) -> Field:
        title, block = [("Item", GOODS), ("Name", NAMES), ("City", PLACES), ("", THINGS), ("Description", GOODS)][
            int(self.rng.integers(5))
        ]
        return Field(title, self.pick(["left", "left", "left", "center"]), lambda: self.entry(block))

    def body_style(self) -> str:
        size = float(self.rng.uniform(12, 20))
        paper, ink = self.pick(["#fff;#111", "#fff;#333", "#fdfbf4;#222", "#f4f6f8;#1b2733", "#1d1f24;#e8e8e8"]).split(
            ";"
        )
        return (
            f"font-family:'{self.pick(FONTS)}',monospace;font-size:{size:.1f}px;background:{paper};color:{ink};"
            f"margin:{int(self.rng.integers(12, 48))}px;line-height:{self.rng.uniform(1.15, 1.6):.2f}"
        )


def _document(style: str, rules: str, body: str) -> str:
    return f'<!doctype html><meta charset="utf-8"><style>body{{{style}}}{rules}</style><body>{body}'


def _row(cells: Sequence[str], aligns: Sequence[str], tag: str = "td") -> str:
    """The HTML of a row of a table."""
    parts = (
        f'<{tag} style="text-align:{align}">{html.escape(cell)}</{tag}>'
        for cell, align in zip(cells, aligns, strict=True)
    )
    return f"<tr>{''.join(parts)}</tr>"


def _table_rules(draw: Drawer) -> str:
    """CSS of a table: its borders, padding, head and stripes."""
    rng = draw.rng
    borders = draw.pick(["none", "none", "rows", "rows", "all", "head", "outer"])
    colour = draw.pick(["#000", "#888", "#ccc", "#ddd"])
    rules = "table{border-collapse:collapse}"
    padding = f"{rng.uniform(1, 9):.0f}px {rng.uniform(4, 18):.0f}px"
    rules += f"td,th{{padding:{padding};vertical-align:{draw.pick(['top', 'middle'])}}}"
    rules += {
        "none": "",
        "rows": f"td,th{{border-bottom:1px solid {colour}}}",
        "all": f"td,th{{border:1px solid {colour}}}",
        "head": f"th{{border-bottom:2px solid {colour}}}",
        "outer": f"table{{border:1px solid {colour}}}",
    }[borders]
    if draw.chance(0.3):
        rules += "tbody tr:nth-child(even){background:rgba(128,128,128,.12)}"
    rules += "td[style*=right],td[style*=center]{white-space:nowrap}"
    rules += draw.pick(
        ["", "th{font-weight:normal}", "th{background:#345;color:#fff}", "th{background:rgba(128,128,128,.2)}"]
    )
    if draw.chance(0.3):
        rules += "table{width:100%}"
    return rules


def _table(draw: Drawer, fields: Sequence[Field], count: int, spanned: bool = False) -> tuple[str, list[list[str]]]:
    """The HTML and the rows of a table. spanned: a row above the head spans columns."""
    rng = draw.rng
    gaps = float(rng.choice([0, 0, 0, 0.1, 0.25]))
    empty = int(rng.integers(1, len(fields))) if len(fields) > 3 and draw.chance(0.12) else -1
    rows = [[field.cell() for field in fields] for _ in range(count)]
    rows = [["" if k == empty or (k and draw.chance(gaps)) else cell for k, cell in enumerate(row)] for row in rows]
    head = [field.title for field in fields] if draw.chance(0.85) or empty >= 0 else []
    aligns = [field.align for field in fields]
    parts, truth = "", []
    if spanned and len(fields) > 3:
        first = 1 + (len(fields) - 1) // 2
        parts += (
            f'<tr><th></th><th colspan="{first - 1}">First half</th>'
            f'<th colspan="{len(fields) - first}">Second half</th></tr>'
        )
        truth.append(["First half", "Second half"])
    if head:
        parts += _row(head, aligns, "th")
        truth.append(head)
    if draw.chance(0.25):
        rows.append(["Total", *[""] * (len(fields) - 2), draw.price(4)])
    body = "".join(_row(row, aligns) for row in rows)
    return f"<table><thead>{parts}</thead><tbody>{body}</tbody></table>", truth + rows


def draw_table(draw: Drawer) -> BrowserPage:
    """A table of two to seven columns, often with a heading and a sentence around it."""
    rng = draw.rng
    fields = [draw.text_field()] + [
        draw.number_field() if draw.chance(0.75) else draw.text_field() for _ in range(int(rng.integers(1, 6)))
    ]
    if draw.chance(0.25):
        numbers = iter(range(1, 99))
        fields.insert(
            0, Field(draw.pick(["#", "No.", "Pos"]), draw.pick(["left", "right", "center"]), lambda: str(next(numbers)))
        )
    table, rows = _table(draw, fields, int(rng.integers(3, 19)), spanned=draw.chance(0.15))
    heading = f"<h2>{draw.entry(TITLES)}</h2>" if draw.chance(0.5) else ""
    below = "<p>All figures are preliminary and may change without notice.</p>" if draw.chance(0.3) else ""
    return BrowserPage("table", _document(draw.body_style(), _table_rules(draw), heading + table + below),
                       int(rng.integers(760, 1200)), _scale(draw), rows)  # fmt: skip


def draw_wide(draw: Drawer) -> BrowserPage:
    """A table of ten columns: twelve months, measurements, standings."""
    rng = draw.rng
    title, block = draw.pick(["Place;p", "Name;n", "Item;t"]).split(";")
    fields = [Field(title, "left", lambda: draw.entry({"p": PLACES, "n": NAMES, "t": THINGS}[block]))]
    kind = int(rng.integers(3))
    heads = (
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep"],
        ["P", "W", "D", "L", "GF", "GA", "GD", "Pts", "Form"],
        [str(2015 + k) for k in range(9)],
    )[kind]
    for head in heads:
        cell = (
            lambda: f"{rng.uniform(-9, 30):.1f}",
            lambda: str(rng.integers(0, 30)),
            lambda: f"{rng.integers(0, 2000):,}",
        )[kind]
        fields.append(Field(head, "right" if kind != 1 or draw.chance(0.5) else "center", cell))
    table, rows = _table(draw, fields, int(rng.integers(4, 16)))
    return BrowserPage("wide", _document(draw.body_style(), _table_rules(draw), table), 1300, _scale(draw), rows)


def draw_wrapped(draw: Drawer) -> BrowserPage:
    """A table in which a column of notes, and often one of names, has cells of several lines."""
    rng = draw.rng
    fields = [draw.text_field(), Field("Notes", "left", lambda: draw.entry(NOTES)), draw.number_field()]
    if draw.chance(0.5):
        fields.append(draw.number_field())
    if draw.chance(0.3):
        fields = [fields[0], *fields[2:], fields[1]]
    table, rows = _table(draw, fields, int(rng.integers(3, 9)))
    rules = _table_rules(draw).replace("table{width:100%}", "")
    rules += f"table{{width:{int(rng.integers(420, 620))}px}}td,th{{padding-top:5px;padding-bottom:5px}}"
    return BrowserPage("wrapped", _document(draw.body_style(), rules, table), 760, _scale(draw), rows)


def draw_receipt(draw: Drawer) -> BrowserPage:
    """A receipt of monospaced lines, or of a table without rules."""
    rng = draw.rng
    columns = int(rng.integers(30, 46))
    comma, unit = draw.chance(0.4), draw.pick(["", "", " A", " EUR"])
    rows, lines = [], []

    def put(left: str, right: str) -> None:
        rows.append([left, right])
        lines.append(left + right.rjust(columns - len(left)))

    quantities = draw.pick(["none", "left", "table"])
    size = float(rng.uniform(13, 20))
    heads = [
        draw.pick(["CORNER MARKET", "Cafe Lumen", "BAKERY NORD", "Hardware & Home"]),
        "12 Station Road",
        "Tel. 0123 456789",
    ]
    total = 0.0
    cells = []
    for _ in range(int(rng.integers(3, 12))):
        amount = round(float(10 ** rng.uniform(0, 2.2)), 2)
        count = int(rng.choice([1, 1, 1, 2, 3]))
        total += amount
        text = f"{amount:.2f}".replace(".", "," if comma else ".")
        good = draw.entry(GOODS)[: columns - 14]
        cells.append([str(count), good, text])
        put(f"{count} x {good}" if quantities == "left" else good, text + unit)
    sums = [(label, f"{value:.2f}".replace(".", "," if comma else ".")) for label, value in
            (("Subtotal", total), ("Tax 7%", 0.07 * total), ("TOTAL", 1.07 * total), ("Cash", 200.0))]  # fmt: skip
    sums = sums[int(rng.integers(0, 3)) : int(rng.integers(3, 5))]
    foot = draw.pick(["Thank you!", "Please come again", "** COPY **"])
    family = draw.pick(MONOSPACE)
    style = (
        f"font-family:'{family}',monospace;font-size:{size:.1f}px;line-height:{rng.uniform(1.1, 1.5):.2f};"
        f"background:{draw.pick(['#fff', '#f7f5ee'])};color:#222;margin:20px"
    )
    if quantities == "table":
        head = draw.pick(["Qty Item Price", "QTY DESC AMT", ""]).split()
        rows = [*([head] if head else []), *cells, *([label, value] for label, value in sums)]
        aligns = ["left", "left", "right"]
        body = "".join(f"<div style='text-align:center'>{html.escape(text)}</div>" for text in heads)
        body += "<br><table style='width:100%'>" + "".join(
            _row(row, aligns) for row in ([head] if head else []) + cells
        )
        line = draw.pick(["", "border-top:1px dashed #222;"])
        body += "".join(
            f"<tr><td colspan=2 style='{line}'>{a}</td><td style='{line}text-align:right'>{b}</td></tr>"
            for a, b in sums
        )
        body += f"</table><p style='text-align:center'>{foot}</p>"
        width = int(columns * size * 0.62) + 40
        return BrowserPage(
            "receipt", _document(style, f"td{{padding:1px {rng.integers(4, 10)}px}}", body), width, _scale(draw), rows
        )
    rule = draw.pick(["-", "=", ""]) * columns
    lines.append(rule)
    for label, value in sums:
        put(label, value + unit.replace(" A", "  "))
    rows = [[a, b.strip()] for a, b in rows]
    text = "\n".join([*(head.center(columns) for head in heads), rule, *lines, "", foot.center(columns)])
    document = _document(style, "pre{font-family:inherit;margin:0}", f"<pre>{html.escape(text)}</pre>")
    return BrowserPage("receipt", document, int(columns * size * 0.62) + 60, _scale(draw), rows)


def draw_contents(draw: Drawer) -> BrowserPage:
    """A contents page: titles, leaders of dots, of a dotted border or none, and page numbers at the right."""
    rng = draw.rng
    leader = draw.pick(["dots", "border", "none", "spaced", "dots"])
    rows, body, page = [], "", 1
    numbered = draw.chance(0.5)
    for k in range(int(rng.integers(6, 22))):
        indent = int(rng.integers(0, 3)) if draw.chance(0.6) else 0
        title = draw.entry(TITLES)
        title = f"{k + 1}{'.1' * (indent > 0)} {title}" if numbered else title
        fill = {"dots": "." * 400, "spaced": ". " * 300}.get(leader, "")
        body += (f'<div class="e" style="padding-left:{indent * 22}px"><span>{html.escape(title)}</span>'
                 f'<span class="l">{fill}</span><span>{page}</span></div>')  # fmt: skip
        rows.append([title, str(page)])
        page += int(rng.integers(1, 14))
    border = "border-bottom:2px dotted currentColor;margin-bottom:.3em;" if leader == "border" else ""
    rules = f".e{{display:flex;margin:{rng.uniform(0, 6):.0f}px 0}}"
    rules += f".l{{flex:1;overflow:hidden;white-space:nowrap;height:1.2em;margin:0 .4em;{border}}}"
    if leader == "border":
        rules += ".l{height:.9em}"
    heading = f"<h1>{draw.pick(['Contents', 'Table of Contents', 'In this issue'])}</h1>"
    return BrowserPage("contents", _document(draw.body_style(), rules, heading + body), int(rng.integers(560, 900)),
                       _scale(draw), rows)  # fmt: skip


def draw_invoice(draw: Drawer) -> BrowserPage:
    """An invoice or a statement: an address, a block of labels, articles with quantity, price and amount, and sums."""
    rng = draw.rng
    currency = draw.pick(["$", "€", "£", ""])
    amount = lambda: currency + draw.price(3)  # noqa: E731
    statement = draw.chance(0.4)
    if statement:
        balance = iter(np.cumsum(rng.uniform(5, 900, 40)).tolist())
        coin = iter(rng.random(40).tolist())

        def entry() -> list[str]:
            paid_in = next(coin) < 0.4
            day = f"{rng.integers(1, 29):02d} {draw.pick(['Jan', 'Mar', 'Sep'])}"
            details = draw.pick(["Card payment", "Salary", "Rent", "Transfer from savings", "Fee"])
            value = draw.price(3)
            return [day, details, "" if paid_in else value, value if paid_in else "", f"{next(balance):,.2f}"]

        titles, aligns = (
            ["Date", "Details", "Paid out", "Paid in", "Balance"],
            ["left", "left", "right", "right", "right"],
        )
        rows = [entry() for _ in range(int(rng.integers(5, 16)))]
    else:
        titles, aligns = (
            ["Description", "Qty", "Unit price", "Amount"],
            ["left", draw.pick(["right", "center"]), "right", "right"],
        )
        rows = [
            [draw.entry(GOODS), str(rng.choice([1, 1, 2, 5])), amount(), amount()]
            for _ in range(int(rng.integers(2, 11)))
        ]
    truth = [titles, *rows]
    if not statement:
        for label in ("Subtotal", "VAT 19%", "Total due")[int(rng.integers(0, 3)) :]:
            truth.append(["", "", label, amount()])
    title = "Statement" if statement else f"Invoice 2024-{rng.integers(100, 999)}"
    address = f"{draw.entry(NAMES)}<br>{rng.integers(1, 99)} Mill Lane<br>{draw.entry(PLACES)}"
    rules = _table_rules(draw) + "table{width:100%}"
    body = _row(titles, aligns, "th") + "".join(_row(row, aligns) for row in truth[1:])
    document = _document(draw.body_style(), rules, f"<h1>{title}</h1><p>{address}</p><table>{body}</table>")
    return BrowserPage("invoice", document, int(rng.integers(700, 1000)), _scale(draw), truth)


def _scale(draw: Drawer) -> float:
    return float(draw.rng.choice([1, 1, 1.5, 2]))


KINDS = (
    draw_table,
    draw_receipt,
    draw_contents,
    draw_table,
    draw_invoice,
    draw_wide,
    draw_wrapped,
    draw_receipt,
    draw_table,
    draw_contents,
)


def browser_page(index: int) -> BrowserPage:
    """Page `index`, as a function of it."""
    return KINDS[index % len(KINDS)](Drawer(np.random.default_rng((2026, index))))


def screenshot(page: BrowserPage) -> ColourImage:
    """The image of a page, cut below its last line. Raises RuntimeError where chromium fails."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "page.html", Path(folder) / "page.png"
        source.write_text(page.html, encoding="utf-8")
        subprocess.run(
            [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--screenshot={target}",
             f"--user-data-dir={folder}/profile", f"--force-device-scale-factor={page.scale}",
             f"--window-size={page.width},{MAX_HEIGHT}", source.as_uri()],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        with Document(target) as document:
            image = document.colour(0)
    differs = np.flatnonzero((image != image[-1]).any(axis=(1, 2)))
    return np.ascontiguousarray(image[: int(differs[-1]) + round(24 * page.scale)] if len(differs) else image)
