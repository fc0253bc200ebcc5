"""docs/results.md out of benchmarks/results/ and the model cards; the last step of `make bench`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from glyphline.reading.recognition.recognizers import bundled_card, bundled_names
from glyphline.recipe import load_recipe
from glyphline.score import FOLDS

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"

HEAD = """# Results

Written by `make bench` (benchmarks/results.py) from one run on one machine; no number here is typed by hand.
CER and WER are fractions of all characters and words of a set, with 95 % bootstrap intervals over its lines.
"""


def loaded(name: str) -> Any:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def reading(kept: dict[str, Any]) -> list[str]:
    out = [
        "\n## Reading, beside Tesseract and RapidOCR on the same images\n",
        f"`python benchmarks/reading.py`, {kept['cores']} cores. Real lines are the hand-printed lines and words of "
        "the photographs at hand,\ncomposed lines are test glyphs and test sentences. Folds: "
        + "; ".join(f"*{name}* {sentence}" for name, (_, sentence) in FOLDS.items())
        + ".\nOver writers: the mean of each writer's CER. Memory is the peak of a process that reads these lines, "
        "RapidOCR's\nwith its detector loaded; on disk are the models.\n",
        "| lines | reader | fold | CER | 95 % | over writers | WER | exact | lines/s | ms a line | memory | on disk |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in kept["rows"]:
        low, high = r["cer_interval"]
        out.append(
            f"| {r['lines']} ({r['count']}) | {r['reader']} | {r['fold']} | {r['cer']:.2%} | {low:.2%} - {high:.2%} | "
            f"{'' if r['over_writers'] is None else format(r['over_writers'], '.2%')} | {r['wer']:.2%} | "
            f"{r['exact']:.0%} | {r['lines_per_second']:.0f} | {r['ms_a_line']:.1f} | {r['peak_mb']:.0f} MB | "
            f"{r['bytes'] / 2**20:.1f} MB |"
        )
    out.append(f"\nFrom starting Python to the first line read with the language model: {kept['cold_seconds']:.2f} s.")
    return out


def pages(kept: dict[str, Any]) -> list[str]:
    peer = {r["kind"]: r["seconds"] for r in kept["rows"] if r["reader"] == "RapidOCR"}
    out = [
        "\n## Whole images, found and read\n",
        f"`python benchmarks/pages.py`, {kept['cores']} cores, one run: ours beside RapidOCR 3.10 and Tesseract 5.3 "
        "with their defaults. CER of all\nthe text of an image in reading order, case and all but letters, digits "
        "and single spaces ignored. Order: share\nof all pairs of lines in the right order. x RapidOCR: its seconds a "
        "image over ours.\n",
        "| images | reader | CER | 95 % | order | seconds an image | x RapidOCR |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in kept["rows"]:
        if "cer" in r:
            low, high = r["cer_interval"]
            said = f"{r['cer']:.2%} | {low:.2%} - {high:.2%}"
        else:
            said = f"invented text in {r['invented']} | "
        order = "" if r.get("order") is None else f"{r['order']:.1%}"
        out.append(
            f"| {r['kind']} ({r['count']}) | {r['reader']} | {said} | {order} | {r['seconds']:.2f} | "
            f"{peer[r['kind']] / r['seconds']:.1f} |"
        )
    return out


def scenery(kept: dict[str, Any]) -> list[str]:
    return [
        "\n## Images without text\n",
        "`python benchmarks/background.py FOLDER`: wallpapers, drawing stamps and sample images that the project does "
        "not carry; its\nfirst lines say which. The thresholds were chosen on two fifths of them, and those of turned "
        "pages on all.\n",
        "| reader | read text where there is none |",
        "|---|---|",
        *(f"| {name} | {count} of {kept['images']} |" for name, count in kept["invented"].items()),
    ]


def composing(kept: dict[str, Any]) -> list[str]:
    rows = [f"| {name} | {rate:,.0f} |" for name, rate in kept["lines_per_second"].items()]
    return [
        "\n## Composing\n",
        f"`python benchmarks/composing.py`, one core; tiles of {kept['tiles']}, natural lines of {kept['natural']}.\n",
        "| lines | a second |",
        "|---|---|",
        *rows,
        f"\nTiles are composed {kept['ratio_to_report']:.0f} times as fast as by the report's own loop.",
    ]


def training(kept: dict[str, Any]) -> list[str]:
    base = kept.get("seed in Keras", {}).get("lines_per_second")
    out = [
        "\n## Training speed\n",
        "`python benchmarks/training.py`, composing included, medians of three rounds in turn.\n",
        "| network | lines/s | x Keras | parameters | peak memory |",
        "|---|---|---|---|---|",
    ]
    for name, r in kept.items():
        ratio = f"{r['lines_per_second'] / base:.2f}" if base else "-"
        out.append(
            f"| {name} | {r['lines_per_second']:.0f} | {ratio} | {r['parameters']:,} | {r['peak_mb'] / 1024:.1f} GB |"
        )
    return out


def rate(one: dict[str, Any]) -> str:
    low, high = one["cer_interval"]
    return f"{one['cer']:.2%} [{low:.2%}, {high:.2%}]"


def cards() -> list[str]:
    out = [
        "\n## The bundled readers on their own test lines\n",
        "1,000 lines of unseen glyphs and unseen sentences each; beam: with the bundled language model.\n",
        "ECE: expected calibration error of the words' confidence.\n",
        "| reader | alphabet | parameters | MB | CER, greedy | CER, beam | WER, beam | exact, beam | ECE |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in bundled_names():
        c = bundled_card(name)
        greedy, beam = c["test"]["greedy"], c["test"]["beam"]
        out.append(
            f"| {name} | {len(c['alphabet'])} characters | {c['parameters']:,} | {c['bytes'] / 2**20:.1f} | "
            f"{rate(greedy)} | {rate(beam)} | {beam['wer']:.2%} | {beam['exact']:.0%} | "
            f"{c['test']['calibration']['beam']['after']['word']:.1%} |"
        )
    return out


def runs() -> list[str]:
    out = []
    for folder in sorted(p for p in (RESULTS / "runs").glob("*") if (p / "result.json").exists()):
        kept, test = (json.loads((folder / f"{name}.json").read_text()) for name in ("result", "test"))
        best, greedy = kept["best"], test["greedy"]
        out.append(
            f"| {folder.name} | {kept['parameters']:,} | {kept['epochs']} | {best['epoch'] + 1:.0f} | "
            f"{kept['steps'] * load_recipe(folder / 'recipe.yaml').training.batch:,} | {best['val_loss']:.2f} | "
            f"{test['loss']:.2f} | {rate(greedy)} | {greedy['wer']:.2%} |"
        )
    head = [
        "\n## Runs\n",
        "Test: 1,000 lines of unseen glyphs and sentences, read greedily. The loss is CTC's, nats a line, as the",
        "report's 6.30. The seed validates as the report did, on unseen sentences in glyphs of the training's own",
        "pool; the others validate on unseen glyphs.\n",
        "| run | parameters | epochs | best at | lines | val loss | test loss | test CER | test WER |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    return head + out if out else []


def ablation(kept: dict[str, Any]) -> list[str]:
    out = [
        "\n## What each part of the natural lines gains\n",
        f"`python benchmarks/ablation.py`: a small network trained on {kept['lines']:,} lines without one part, read "
        "greedily;\nreal lines: mean of the last three epochs; composed: "
        f"{kept['test']} test lines with nothing left out.\n",
        "| left out | real lines, strict | real lines, loose | composed lines |",
        "|---|---|---|---|",
    ]
    for what, r in kept["rows"].items():
        composed = {"cer": r["composed"], "cer_interval": r["composed_interval"]}
        out.append(f"| {what} | {r['watch_cer']:.1%} | {r['watch_cer_loose']:.1%} | {rate(composed)} |")
    return out


def networks(kept: dict[str, Any]) -> list[str]:
    out = [
        "\n## Networks beside one another\n",
        f"`python benchmarks/networks.py`: each trained on the same {kept['lines']:,} lines of "
        "recipes/tiles-byclass.yaml (a twentieth of\n"
        f"that recipe), read greedily on {kept['test']:,} test lines; work for a line of 32 tiles; speeds of float32 "
        "files on this\nmachine, in turn. Contexts are of about one size; the last three say what more brings.\n",
        "| network | parameters | MFLOP a line | training, lines/s | reading, lines/s | CER | WER |",
        "|---|---|---|---|---|---|---|",
    ]
    for what, r in kept["rows"].items():
        out.append(
            f"| {what} | {r['parameters']:,} | {r['mflops']:.0f} | {r['training']:.0f} | {r['reading']:.0f} | "
            f"{rate(r)} | {r['wer']:.2%} |"
        )
    return out


def studies(kept: dict[str, Any]) -> list[str]:
    out = [
        "\n## Decoding with and without language\n",
        "`python benchmarks/studies.py`: the bundled reader on composed test lines of several kinds of text and on\n"
        "the real lines, CER with its interval. *beam-alone* has no language model, *beam* has the bundled one.\n",
        "| text | lines | greedy | beam-alone | beam |",
        "|---|---|---|---|---|",
    ]
    kinds: dict[str, dict[str, Any]] = {}
    for r in kept["natural"]["decoders"]:
        kinds.setdefault(r["kind"], {})[r["decoder"]] = r
    for kind, by in kinds.items():
        out.append(f"| {kind} | {by['beam']['count']} | " + " | ".join(rate(r) for r in by.values()) + " |")
    out += [
        "\n## Lines longer than those of training\n",
        "| reader | characters | times those of training | lines | CER, greedy | CER, beam |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in kept.items():
        for greedy, beam in zip(one["lengths"][::2], one["lengths"][1::2], strict=True):
            out.append(
                f"| {name} | {greedy['characters']} | {greedy['times']} | {greedy['count']} | {rate(greedy)} | "
                f"{rate(beam)} |"
            )
    out += [
        "\n## Where characters stand\n",
        "Columns of rightly read characters beside the composer's exact ones (intersection over union).\n",
        "| lines | characters | mean IoU | median IoU | IoU above one half | centre within |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in kept.items():
        b = one["boxes"]
        out.append(
            f"| {name} | {b['count']:,} | {b['iou']:.3f} | {b['median_iou']:.3f} | {b['over_half']:.1%} | "
            f"{b['centre_inside']:.1%} |"
        )
    return out


def main() -> None:
    parts = [HEAD]
    every = (reading, pages, scenery, studies, ablation, networks, composing, training)
    for name, part in ((part.__name__, part) for part in every):
        if (kept := loaded(name)) is not None:
            parts += part(kept)
    parts += cards() + runs()
    (ROOT / "docs" / "results.md").write_text("\n".join(parts) + "\n", encoding="utf-8")
    print(ROOT / "docs" / "results.md")


if __name__ == "__main__":
    main()
