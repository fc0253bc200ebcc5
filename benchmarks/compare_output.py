"""Compare the output of two versions of glyphline on every image at hand, and the lines that they compose.

    git worktree add /tmp/before COMMIT
    python benchmarks/compare_output.py run /tmp/before/src /tmp/output-before [--option detector=finder ...]
    python benchmarks/compare_output.py run src /tmp/output-after
    python benchmarks/compare_output.py compare /tmp/output-before /tmp/output-after [--rename turned=rotation ...]

`run` calls the command line of one version and keeps its standard output. --option NEW=OLD names an option that the
version calls differently. `compare` reads both, renames the JSON keys of the first by --rename OLD=NEW and the words of
its other files by --replace OLD=NEW, and compares. It exits with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium

from glyphline.composing.fetch import data_folder
from glyphline.imaging.documents import Document

ROOT = Path(__file__).parent.parent
IMAGES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".pdf"}
FORMATS = ("text", "tsv", "markdown", "hocr", "alto", "page", "pdf")


def image_files() -> dict[str, list[str]]:
    """The images at hand by folder: photographs by kind, reported faults, and the examples."""
    folders = [*sorted((data_folder() / "photos").iterdir()), data_folder() / "found", ROOT / "examples" / "lines"]
    found = {}
    for folder in folders:
        files = sorted(str(path) for path in folder.rglob("*") if path.suffix.lower() in IMAGES)
        if files:
            found[folder.name] = files
    return found


def commands(source: Path, out: Path) -> dict[str, list[str]]:
    """Every command that is compared: the file its output goes to -> its arguments.

    source: the folder of the package; recipes are taken from beside it.
    """
    images = image_files()
    calls: dict[str, list[str]] = {}
    for kind, files in images.items():
        for name, options in {
            "auto": [],
            "reader": ["--model", "reader", "--decoder", "greedy"],
            "paper": ["--detector", "paper"],
            "pp-ocr": ["--model", "pp-ocr", "--detector", "photo"],
            "line": ["--line"],
        }.items():
            calls[f"{kind}-{name}.json"] = ["read", *files, "--format", "json", *options]
    sample = images["found"]
    for form in FORMATS:
        calls[f"format-{form}"] = ["read", *sample, "--format", form, "--out", str(out / f"format-{form}-files")]
    lexicon = out / "lexicon.txt"
    lexicon.parent.mkdir(parents=True, exist_ok=True)
    lexicon.write_text("yes\nno\nHello World\n")
    lines = images["lines"]
    calls["lexicon.json"] = ["read", *lines, "--line", "--format", "json", "--lexicon", str(lexicon)]
    calls["pattern.json"] = ["read", *lines, "--line", "--format", "json", "--pattern", "[a-z ]{5,40}"]
    for layout in ("tiles", "overlap", "natural"):
        calls[f"compose-{layout}"] = [
            "compose", "-n", "60", "--layout", layout, "--seed", "3", "--boxes",
            "--out", str(out / f"compose-{layout}-files"),
        ]  # fmt: skip
    for recipe in ("tiles", "tiles-byclass", "overlap"):
        calls[f"evaluate-{recipe}"] = [
            "evaluate",
            str(source.parent / "recipes" / f"{recipe}.yaml"),
            "-n",
            "300",
            "--json",
        ]
    return calls


def run(source: Path, out: Path, options: dict[str, str]) -> None:
    """Call every command of the version at a source folder. Keeps standard output, not standard error."""
    env = {**os.environ, "PYTHONPATH": str(source.resolve()), "SOURCE_DATE_EPOCH": "0", "COLUMNS": "200"}
    for name, arguments in commands(source.resolve(), out).items():
        arguments = [f"--{options[a[2:]]}" if a.startswith("--") and a[2:] in options else a for a in arguments]
        print(name, file=sys.stderr, flush=True)
        done = subprocess.run([sys.executable, "-m", "glyphline", *arguments], env=env, capture_output=True, cwd=out)
        (out / name).write_bytes(done.stdout if done.returncode == 0 else f"exit code {done.returncode}".encode())


def rename_keys(value: Any, names: dict[str, str]) -> Any:
    """A JSON value with the keys of its objects renamed."""
    if isinstance(value, dict):
        return {names.get(key, key): rename_keys(item, names) for key, item in value.items()}
    return [rename_keys(item, names) for item in value] if isinstance(value, list) else value


def load(path: Path, names: dict[str, str], defaults: dict[str, Any], words: dict[str, str]) -> Any:
    """The content of a file in the form in which it is compared.

    JSON: its documents with renamed keys. PDF: the pixels and the text of its pages. Others: bytes with replaced words.
    defaults: values of keys that a line of a page may lack.
    """
    data = path.read_bytes()
    if path.suffix == ".pdf":
        with Document(data) as document:
            pixels = [document.grey(number).tobytes() for number in range(len(document))]
        with pdfium.PdfDocument(data) as document:
            return pixels, [page.get_textpage().get_text_bounded() for page in document]
    documents = parse_json(data)
    if documents is None:
        for old, new in words.items():
            data = data.replace(old.encode(), new.encode())
        return data
    documents = [rename_keys(document, names) for document in documents]
    for document in documents:
        for key in ("lines_per_second", "seconds"):  # speeds differ from run to run
            document.pop(key, None)
        for page in document.get("pages", []):
            for line in page["lines"]:
                for key, default in defaults.items():
                    line.setdefault(key, default)
    return documents


def parse_json(data: bytes) -> list[dict[str, Any]] | None:
    """The JSON objects of a file, one in all or one a line; None for other files."""
    try:
        text = data.decode()
        documents = [json.loads(text)] if text.startswith("{\n") else [json.loads(row) for row in text.splitlines()]
    except ValueError:
        return None
    return documents if documents and all(isinstance(document, dict) for document in documents) else None


def compare(before: Path, after: Path, names: dict[str, str], defaults: dict[str, Any], words: dict[str, str]) -> int:
    """Print every file that differs; the number of them."""
    files = sorted(str(path.relative_to(before)) for path in before.rglob("*") if path.is_file())
    different = lines = 0
    for name in files:
        if not (after / name).is_file():
            print(f"missing: {name}")
            different += 1
            continue
        old, new = load(before / name, names, defaults, words), load(after / name, {}, defaults, {})
        if isinstance(old, list):
            lines += sum(len(page["lines"]) for document in old for page in document.get("pages", []))
        if old != new:
            print(f"different: {name}")
            different += 1
    print(f"{len(files)} files with {lines} lines in JSON compared: {different} different")
    return different


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    runner = verbs.add_parser("run")
    runner.add_argument("source", type=Path)
    runner.add_argument("out", type=Path)
    runner.add_argument("--option", action="append", default=[], metavar="NEW=OLD")
    comparer = verbs.add_parser("compare")
    comparer.add_argument("before", type=Path)
    comparer.add_argument("after", type=Path)
    comparer.add_argument("--rename", action="append", default=[], metavar="OLD=NEW")
    comparer.add_argument("--replace", action="append", default=[], metavar="OLD=NEW", help="a word of other files")
    comparer.add_argument("--default", action="append", default=[], metavar="KEY=JSON", help="of a line that lacks it")
    args = parser.parse_args()
    if args.verb == "run":
        args.out.mkdir(parents=True, exist_ok=True)
        run(args.source, args.out.resolve(), dict(pair.split("=") for pair in args.option))
    else:
        defaults = {key: json.loads(value) for key, value in (pair.split("=") for pair in args.default)}
        names = dict(pair.split("=") for pair in args.rename)
        words = dict(pair.split("=") for pair in args.replace)
        raise SystemExit(1 if compare(args.before, args.after, names, defaults, words) else 0)


if __name__ == "__main__":
    main()
