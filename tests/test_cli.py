"""Tests of the command line: stdout is data, stderr is status, a user's mistake is one line and exit code 2."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import matplotlib
import numpy as np
import pytest
from PIL import Image

import glyphline
from glyphline.cli import app, main
from glyphline.errors import UserError
from glyphline.imaging.documents import load
from glyphline.reading.recognition.language_model import open_language_model
from glyphline.reading.recognition.recognizers import bundled_names

COMMANDS = sorted(command.name or command.callback.__name__ for command in app.registered_commands)  # type: ignore
SENTENCE_WORDS = ["cat", "dog", "hen", "fox", "owl", "bee"]
RECIPE = """
name: tiny
lines: {alphabet: " abcdefghijklmnopqrstuvwxyz", layout: tiles, glyphs: [strokes], length: [4, 6],
        cut: character, height: 28}
network: {channels: [4, 8], stride: 4, features: 16, context: bilstm, layers: 1}
training: {epochs: 2, epoch_lines: 32, validation_lines: 8, batch: 8, learning_rate: 0.01, precision: fp32}
"""


class CommandResult(NamedTuple):
    """The exit code and the output of a command."""

    code: Any
    out: str
    err: str


def run(*words: object, stdin: bytes = b"") -> CommandResult:
    """Run `glyphline WORDS` in this process."""
    out, err, saved_stdin = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as exit_info:
            main([str(word) for word in words])
    finally:
        sys.stdin = saved_stdin
    return CommandResult(exit_info.value.code, out.getvalue(), err.getvalue())


def run_mistake(*words: object, stdin: bytes = b"") -> str:
    """Run a command that has to fail with exit code 2; returns its one line of stderr."""
    result = run(*words, stdin=stdin)
    assert (result.code, result.out) == (2, ""), result
    assert result.err.startswith("glyphline: ") and result.err.endswith("\n") and result.err.count("\n") == 1
    return result.err


def run_process(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "glyphline", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


@pytest.fixture(autouse=True)
def _fixed_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wraps help and tables to the same width on every machine."""
    monkeypatch.setenv("COLUMNS", "100")


# ------------------------------------------------------------------------------------------------------- help, mistakes


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    result = run(command, "--help")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("Usage: ") and f" {command} " in result.out
    assert result == run(command, "-h")


def test_required_commands_exist() -> None:
    assert {"fetch", "compose", "train", "evaluate", "read", "export", "models", "demo"} <= set(COMMANDS)
    result = run("--help")
    assert result.code == 0 and all(f"  {command} " in result.out for command in COMMANDS)


def test_version_is_printed() -> None:
    assert run("--version") == (0, glyphline.__version__ + "\n", "")


MISTAKES = {
    "an unknown command": ("reed", "a.png"),
    "an unknown option": ("read", "a.png", "--modle", "x"),
    "a missing argument": ("read",),
    "a missing option": ("compose",),
    "a sweep without a folder": ("sweep", "recipes/sweep.yaml"),
    "a sweep file that is not there": ("sweep", "none.yaml", "--out", "x"),
    "a recipe in place of a sweep file": (
        "sweep",
        str(Path(__file__).parents[1] / "recipes" / "tiles.yaml"),
        "--out",
        "x",
    ),
    "a dry run of a run to resume": ("train", "recipes/tiles.yaml", "--dry-run", "--resume"),
    "a number out of range": ("compose", "--out", "x", "-n", "0"),
    "text for a number": ("compose", "--out", "x", "--seed", "one"),
    "an unknown format": ("read", "a.png", "--format", "xml"),
    "an unknown detector": ("read", "a.png", "--detector", "pencil"),
    "a detector together with --line": ("read", "a.png", "--line", "--detector", "paper"),
    "one document for several images": ("read", "a.png", "b.png", "--format", "hocr"),
    "a PDF on a terminal": ("read", "a.png", "--format", "pdf"),
    "one overlay file for several images": ("read", "a.png", "b.png", "--overlay", "overlay.png"),
    "an overlay that is no PNG": ("read", "a.png", "--overlay", "overlay.jpg"),
    "one overlay file for a folder of results": ("read", "a.png", "--out", "x", "--overlay", "overlay.png"),
    "a folder of results for standard input": ("read", "-", "--out", "x"),
    "a folder of results for a URL": ("read", "http://localhost:1/a.png", "--allow-urls", "--out", "x"),
    "a URL without --allow-urls": ("read", "http://localhost:1/a.png"),
    "a URL without a server": ("read", "http://localhost:1/a.png", "--allow-urls"),
    "an unknown model for a folder of results": ("read", "a.png", "b.png", "--out", "x", "--model", "nothing"),
    "an unknown model": ("read", "a.png", "--model", "nothing"),
    "an unknown decoder": ("read", "a.png", "--decoder", "best"),
    "an unknown layout": ("compose", "--out", "x", "--layout", "tile"),
    "unknown glyphs": ("compose", "--out", "x", "--glyphs", "stroke"),
    "unknown sentences": ("compose", "--out", "x", "--sentences", "builtin"),
    "an unknown split": ("compose", "--out", "x", "--split", "tests"),
    "an unknown card": ("models", "nothing"),
    "an unknown data set": ("fetch", "mnist"),
    "a missing recipe": ("train", "nothing.yaml", "--out", "x"),
    "a missing run": ("export", "nothing", "--out", "x.onnx"),
    "a missing run for reading": ("read", "a.png", "--model", "nothing.pt"),
    "missing lines": ("evaluate", "nothing", "--model", "nothing.onnx"),
}


@pytest.mark.parametrize("words", MISTAKES.values(), ids=MISTAKES.keys())
def test_mistake_is_one_line(words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_mistake(*words)
    assert list(tmp_path.iterdir()) == []


def test_mistakes_name_the_nearest_choice() -> None:
    assert 'did you mean "text"' in run_mistake("read", "--line", "a.png", "--format", "txt")
    assert 'did you mean "tiles"' in run_mistake("compose", "--out", "x", "--layout", "tile")
    assert 'did you mean "paper"? choices: none, paper, photo' in run_mistake("read", "a.png", "--detector", "papre")
    assert "choices: alto, hocr, json, markdown, page, pdf, text, tsv" in run_mistake("read", "a.png", "--format", "x")
    assert "--allow-urls" in run_mistake("read", "http://localhost:1/a.png")
    assert "--out FOLDER" in run_mistake("read", "a.png", "b.png", "--format", "hocr")


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(UserError):
        main(["--debug", "models", "nothing"])
    with pytest.raises(UserError):
        main(["models", "nothing", "--debug"])


def test_process_exits_as_main_does(tmp_path: Path) -> None:
    result = run_process("read", "missing.png", "--format", "xml", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("glyphline: ") and result.stderr.count("\n") == 1
    debugged = run_process("--debug", "read", "missing.png", "--format", "xml", cwd=tmp_path)
    assert debugged.returncode == 1 and "Traceback" in debugged.stderr


def test_interrupt_exits_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr("glyphline.reading.recognition.recognizers.bundled_names", interrupt)
    assert run("models")[:2] == (130, "")


def test_models_lists_bundled_readers() -> None:
    result = run("models")
    assert (result.code, result.err) == (0, "")
    assert [row.split("\t")[0] for row in result.out.splitlines()] == bundled_names()
    for name in bundled_names():
        card = run("models", name)
        assert card.code == 0 and json.loads(card.out)["about"]


# -------------------------------------------------------------------------------------------------------------- compose


@pytest.fixture(scope="module")
def work_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def recipe_path(work_folder: Path) -> Path:
    path = work_folder / "tiny.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def lines_folder(work_folder: Path, recipe_path: Path) -> Path:
    result = run("compose", "-n", 6, "--recipe", recipe_path, "--split", "test", "--out", work_folder / "lines")
    assert (result.code, result.out) == (0, ""), result
    return work_folder / "lines"


def read_labels(folder: Path) -> dict[str, str]:
    rows = (folder / "labels.tsv").read_text().splitlines()
    return dict(row.split("\t") for row in rows)


def test_compose_writes_lines_and_their_labels(lines_folder: Path) -> None:
    assert list(read_labels(lines_folder)) == [f"{k:06d}.png" for k in range(6)]
    assert {path.name for path in lines_folder.glob("*.png")} == set(read_labels(lines_folder))
    records = [json.loads(row) for row in (lines_folder / "record.jsonl").read_text().splitlines()]
    assert {r["file"]: r["text"] for r in records} == read_labels(lines_folder)
    for name, text in read_labels(lines_folder).items():
        assert load(lines_folder / name).shape == (28, 28 * len(text))


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["natural", "tiles", "overlap"])
def test_compose_resumes_and_is_reproducible(tmp_path: Path, layout: str) -> None:
    words = ("compose", "--layout", layout, "--seed", 3, "--boxes")
    assert "5 of them new" in run(*words, "-n", 5, "--out", tmp_path / "a").err
    assert "3 of them new" in run(*words, "-n", 8, "--out", tmp_path / "a").err
    assert run(*words, "-n", 8, "--out", tmp_path / "b").code == 0
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
    boxes = [json.loads(row)["boxes"] for row in (tmp_path / "a" / "record.jsonl").read_text().splitlines()]
    for line_boxes, text in zip(boxes, read_labels(tmp_path / "a").values(), strict=True):
        assert len(line_boxes) == len(text.replace(" ", ""))
    other_seed = run(*words[:-1], "-n", 9, "--out", tmp_path / "a")
    assert other_seed.code == 2 and "other settings" in other_seed.err.splitlines()[-1]


def test_compose_uses_all_of_few_sentences_and_those_of_train_of_many(tmp_path: Path) -> None:
    sentences = ["Anna", "Bert", "Carl", "Dora", "Emil"]  # no line is shorter, so none is cut
    (tmp_path / "few.txt").write_text("\n".join(sentences))
    words = ("compose", "-n", 20, "--sentences", f"text:{tmp_path / 'few.txt'}", "--out")

    def texts_of(result: Any, folder: str) -> set[str]:
        assert result.code == 0, result.err
        return set(read_labels(tmp_path / folder).values())

    result = run(*words, tmp_path / "all")
    assert "all 5 sentences are used" in result.err
    assert texts_of(result, "all") == set(sentences)
    result = run(*words, tmp_path / "train", "--split", "train")
    assert "are used" not in result.err and len(texts_of(result, "train")) == 3
    (tmp_path / "one.txt").write_text("one line")  # a note on what splits share is printed, too
    result = run("compose", "-n", 1, "--sentences", f"text:{tmp_path / 'one.txt'}", "--out", tmp_path / "one")
    assert "only 1 different sentences" in result.err
    for folder, split in (("many", ()), ("many-train", ("--split", "train"))):
        assert "are used" not in run("compose", "-n", 3, "--out", tmp_path / folder, *split).err
    for path in (tmp_path / "many").iterdir():
        assert path.read_bytes() == (tmp_path / "many-train" / path.name).read_bytes(), path.name


def test_compose_takes_the_alphabet_of_fonts_from_sentences_in_their_script(tmp_path: Path) -> None:
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for folder, name in (("hebrew", "DejaVuSans.ttf"), ("latin", "cmr10.ttf")):
        (tmp_path / folder).mkdir()
        shutil.copy(fonts / name, tmp_path / folder)
    sentence = (
        "שלום (12 中 עולם"  # no font has 中; the closing bracket, which shows the opening one, is not in the text
    )
    (tmp_path / "text.txt").write_text(sentence, encoding="utf-8")
    words = ("compose", "-n", 1, "--sentences", f"text:{tmp_path / 'text.txt'}", "--out")
    result = run(*words, tmp_path / "lines", "--glyphs", f"fonts:{tmp_path / 'hebrew'}")
    assert result.code == 0 and "dropped: '中' 1" in result.err
    assert list(read_labels(tmp_path / "lines").values()) == ["שלום (12 עולם"]
    error = run_mistake(*words, tmp_path / "a", "--glyphs", f"fonts:{tmp_path / 'latin'}")
    assert "has no picture of the letters of the sentences, such as 'ו'" in error and "--alphabet" in error
    assert "--alphabet" in run_mistake(*words, tmp_path / "a", "--glyphs", "strokes")
    (tmp_path / "english.txt").write_text("Naïve words\nα is Greek", encoding="utf-8")
    words = (*words[:-2], f"text:{tmp_path / 'english.txt'}", "-n", 2, "--out", tmp_path / "english")
    assert run(*words, "--glyphs", f"fonts:{tmp_path / 'hebrew'}").code == 0
    assert set(read_labels(tmp_path / "english").values()) == {"Naive words", "is Greek"}


def test_compose_takes_the_alphabet_of_the_glyphs_that_are_drawn(tmp_path: Path) -> None:
    for character in "éna":
        (tmp_path / "hand" / character).mkdir(parents=True)
        for number in range(3):
            picture = np.full((40, 30), 240, np.uint8)
            cv2.putText(picture, character.replace("é", "e"), (4 + number, 30), 0, 1, 20, 2)
            cv2.imwrite(str(tmp_path / "hand" / character / f"{number}.png"), picture)
    (tmp_path / "text.txt").write_text(unicodedata.normalize("NFD", "née an né"), encoding="utf-8")
    words = ("compose", "-n", 1, "--sentences", f"text:{tmp_path / 'text.txt'}", "--out")
    for name, options in (("derived", ()), ("nfd", ("--alphabet", unicodedata.normalize("NFD", " éna")))):
        glyphs = f"derived:undivided:folder:{tmp_path / 'hand'}"
        assert run(*words, tmp_path / name, "--glyphs", glyphs, *options).code == 0
        assert list(read_labels(tmp_path / name).values()) == ["né an né"]  # e has no glyph


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        (PermissionError(13, "Permission denied", "/root/a"), "/root/a: Permission denied: choose another path", 2),
        (OSError(28, "No space left on device"), "cannot write: No space left on device: free some space", 1),
    ],
)
def test_error_of_the_operating_system_is_one_line(
    error: OSError, message: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr("glyphline.composing.line_sets.write_lines", fail)
    result = run("compose", "-n", 1, "--out", "nowhere")
    assert result.code == code and result.err.splitlines()[-1].startswith(f"glyphline: {message}")
    with pytest.raises(OSError):
        run("--debug", "compose", "-n", 1, "--out", "nowhere")


def test_compose_writes_a_contact_sheet(tmp_path: Path) -> None:
    result = run("compose", "-n", 3, "--out", tmp_path / "a", "--sheet", tmp_path / "sheet.png")
    assert result.code == 0 and load(tmp_path / "sheet.png").shape[1] > 100


@pytest.mark.parametrize("sheet", ["missing/sheet.png", "sheet", "sheet.xyz"])
def test_unwritable_contact_sheet_is_refused(tmp_path: Path, sheet: str) -> None:
    result = run("compose", "-n", 1, "--out", tmp_path / "a", "--sheet", tmp_path / sheet)
    assert result.code == 2 and sheet in result.err.splitlines()[-1]
    assert sheet.endswith(".png") or not (tmp_path / "a").exists()  # a wrong suffix is reported before composing


# ---------------------------------------------------------------------------------------------- train, evaluate, export


@pytest.fixture(scope="module")
def run_folder(work_folder: Path, recipe_path: Path) -> Path:
    pytest.importorskip("lightning")
    out = work_folder / "run"
    result = run("train", recipe_path, "--out", out, "--set", "training.epochs=1", "--track", "csv", "--threads", 1)
    assert result.code == 0, result
    summary = json.loads(result.out)  # stdout holds one JSON object only
    assert summary == json.loads((out / "result.json").read_text()) and summary["epochs"] == 1
    lower_blank_bias(out / "best.pt")
    return out


def lower_blank_bias(path: Path) -> None:
    """Make the blank less likely: after four steps the network would only predict blanks."""
    import torch

    checkpoint = torch.load(path, weights_only=True)
    checkpoint["weights"]["head.bias"][0] -= 3.0
    torch.save(checkpoint, path)


@pytest.fixture(scope="module")
def model(run_folder: Path, work_folder: Path) -> Path:
    out = work_folder / "tiny.onnx"
    result = run("export", run_folder, "--out", out)
    assert (result.code, result.out) == (0, "") and str(out) in result.err
    return out


@pytest.mark.slow
def test_int8_export_reports_both_error_rates(run_folder: Path, tmp_path: Path) -> None:
    result = run("export", run_folder, "--out", tmp_path / "small.onnx", "--int8")
    assert result.code == 0 and "8 bits: CER" in result.err and not result.out


def test_train_applies_set_options_and_refuses_wrong_ones(run_folder: Path, recipe_path: Path, tmp_path: Path) -> None:
    assert json.loads((run_folder / "result.json").read_text())["steps"] == 4
    message = run_mistake("train", recipe_path, "--out", tmp_path / "run", "--set", "training.epoch=1")
    assert 'did you mean "epochs"' in message
    run_mistake("train", recipe_path, "--out", tmp_path / "run", "--set", "training.epochs")
    run_mistake("train", recipe_path, "--out", tmp_path / "run", "--track", "wandbb")
    assert "--resume" in run_mistake("train", recipe_path, "--out", run_folder, "--set", "training.epochs=1")
    message = run_mistake("train", recipe_path, "--out", run_folder, "--resume", "--set", "training.batch=4")
    assert "training.batch is 4, but the run to resume has 8" in message
    assert not (tmp_path / "run").exists()


def test_set_option_with_invalid_yaml_is_refused(recipe_path: Path, tmp_path: Path) -> None:
    run_mistake("train", recipe_path, "--out", tmp_path / "run", "--set", "training.epochs=[")


def test_set_option_of_an_invalid_recipe_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("- 1\n- 2\n")
    run_mistake("train", tmp_path / "list.yaml", "--out", tmp_path / "run", "--set", "name=x")


def test_evaluate_prints_one_json_object(lines_folder: Path, model: Path, run_folder: Path, recipe_path: Path) -> None:
    result = run("evaluate", lines_folder, "--model", model, "--json", "--worst", 2)
    assert result.code == 0
    report = json.loads(result.out)
    assert report.keys() >= {
        "lines", "cer", "cer_interval", "wer", "wer_interval", "exact", "lines_per_second", "model", "decoder",
        "normalisation",
    }  # fmt: skip
    assert (report["lines"], report["decoder"]) == (6, "beam") and result.err.count("truth") == 2
    others = ((lines_folder, run_folder), (lines_folder, run_folder / "best.pt"), (recipe_path, model))
    for source, model_file in others:
        repeated = json.loads(run("evaluate", source, "--model", model_file, "--json", "-n", 6).out)
        for varying_key in ("lines_per_second", "model"):
            repeated[varying_key] = report[varying_key]
        assert repeated == report


def test_evaluate_prints_a_table(lines_folder: Path, model: Path) -> None:
    result = run("evaluate", lines_folder, "--model", model, "--fold", "case")
    assert result.code == 0 and all(word in result.out for word in ("CER", "WER", "exact", "lines/s", "case ignored"))
    assert 'did you mean "case"' in run_mistake("evaluate", lines_folder, "--model", model, "--fold", "cases")


# ----------------------------------------------------------------------------------------------------------------- read


@pytest.fixture
def bad_images(tmp_path: Path) -> list[Path]:
    """Images that cannot be read: missing, empty, text, truncated."""
    paths = [tmp_path / name for name in ("missing.png", "empty.png", "note.png", "truncated.png")]
    paths[1].write_bytes(b"")
    paths[2].write_text("no image")
    png = cv2.imencode(".png", np.random.default_rng(0).integers(0, 255, (40, 200)).astype(np.uint8))[1].tobytes()
    paths[3].write_bytes(png[:200])
    return paths


@pytest.fixture(scope="module")
def model_texts(lines_folder: Path, model: Path) -> dict[str, str]:
    """The text that the model reads in each image, by file name."""
    found = {
        name: run("read", "--line", lines_folder / name, "--model", model).out.rstrip("\n")
        for name in read_labels(lines_folder)
    }
    assert any(found.values())
    return found


def test_read_prints_only_the_lines(lines_folder: Path, model: Path, model_texts: dict[str, str]) -> None:
    expected = (0, "".join(text + "\n" for text in model_texts.values()), "")
    assert run("read", "--line", *(lines_folder / name for name in model_texts), "--model", model) == expected
    assert run("read", "--line", lines_folder, "--model", model) == expected  # a folder
    unexpanded_pattern = lines_folder / "*.png"
    assert run("read", "--line", unexpanded_pattern, "--model", model) == expected


def test_read_prints_json(lines_folder: Path, model: Path, model_texts: dict[str, str]) -> None:
    result = run("read", "--line", lines_folder, "--model", model, "--format", "json")
    documents = [json.loads(row) for row in result.out.splitlines()]
    texts = {Path(document["file"]).name: document["pages"][0]["lines"][0]["text"] for document in documents}
    assert texts == model_texts
    for document in documents:
        (page,) = document["pages"]
        assert (page["height"], page["width"]) == load(document["file"]).shape
        (line,) = page["lines"]
        assert line.keys() >= {"text", "confidence", "polygon", "recognizer", "words", "characters"}
        assert 0 <= line["confidence"] <= 1 and line["recognizer"] == "tiny"


def test_read_prints_tsv(lines_folder: Path, model: Path, model_texts: dict[str, str]) -> None:
    result = run("read", "--line", lines_folder, "--model", model, "--format", "tsv")
    rows = [row.split("\t") for row in result.out.splitlines()]
    assert {Path(file).name: text for file, _, _, _, text, *_ in rows} == model_texts


def test_read_reads_standard_input(lines_folder: Path, model: Path, model_texts: dict[str, str]) -> None:
    name = max(model_texts, key=lambda name: len(model_texts[name]))
    result = run("read", "--line", "-", "--model", model, stdin=(lines_folder / name).read_bytes())
    assert result == (0, model_texts[name] + "\n", "")
    assert run("read", "--line", "-", "--model", model).code == 2  # empty input


def test_read_writes_one_file_for_all_images(
    lines_folder: Path, model: Path, model_texts: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "read.txt"
    out.write_text("from before")
    assert run("read", "--line", lines_folder, "--model", model, "--out", out) == (0, "", "")
    assert out.read_text() == "".join(text + "\n" for text in model_texts.values())
    assert "missing" in run_mistake(
        "read", "--line", lines_folder, "--model", model, "--out", tmp_path / "missing" / "read.txt"
    )
    assert list(tmp_path.iterdir()) == [out]


def test_batch_continues_after_bad_images(
    lines_folder: Path, model: Path, model_texts: dict[str, str], bad_images: list[Path]
) -> None:
    good_images = [lines_folder / name for name in model_texts]
    mixed = [good_images[0], bad_images[0], good_images[1], bad_images[1], bad_images[2], good_images[2], bad_images[3]]
    result = run("read", "--line", *mixed, "--model", model)
    assert result.code == 1
    assert result.out == "".join(model_texts[path.name] + "\n" for path in good_images[:3])
    assert len(result.err.splitlines()) == 4
    for row, path in zip(result.err.splitlines(), bad_images, strict=True):
        assert row.startswith("glyphline: ") and str(path) in row


def test_only_bad_images_exit_with_2(model: Path, bad_images: list[Path]) -> None:
    result = run("read", "--line", *bad_images, "--model", model)
    assert (result.code, result.out, len(result.err.splitlines())) == (2, "", len(bad_images))


@pytest.mark.parametrize("argument", ["none*.png", "empty"])
def test_batch_continues_after_a_pattern_without_files(
    lines_folder: Path, model: Path, model_texts: dict[str, str], tmp_path: Path, argument: str
) -> None:
    (tmp_path / "empty").mkdir()
    result = run("read", "--line", lines_folder / "000000.png", tmp_path / argument, "--model", model)
    assert (result.code, result.out) == (1, model_texts["000000.png"] + "\n") and argument in result.err


def test_too_wide_line_is_reported_by_name(lines_folder: Path, model: Path, tmp_path: Path) -> None:
    wide = np.zeros((4, 20_000), np.uint8)
    wide[1:3, ::3] = 255
    cv2.imwrite(str(tmp_path / "wide.png"), wide)
    result = run("read", "--line", lines_folder / "000000.png", tmp_path / "wide.png", "--model", model)
    assert result.code == 1 and "wide.png" in result.err


def test_run_folder_reads_like_its_export(
    lines_folder: Path, run_folder: Path, model: Path, model_texts: dict[str, str]
) -> None:
    assert run("read", "--line", lines_folder, "--model", run_folder).out.splitlines() == list(model_texts.values())


def test_reading_and_evaluating_load_no_torch(lines_folder: Path, model: Path) -> None:
    code = (
        "import sys\nfrom glyphline.cli import main\nfor words in {}:\n"
        " try: main(words)\n except SystemExit as stop: assert stop.code == 0, stop.code\n"
        "heavy = {{'torch', 'lightning', 'wandb'}} & set(sys.modules)\nassert not heavy, heavy"
    ).format(
        [
            ["read", "--line", str(lines_folder), "--model", str(model)],
            ["evaluate", str(lines_folder), "--model", str(model), "--json"],
        ]
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr


def test_closed_pipe_prints_no_traceback(lines_folder: Path, model: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        command = [sys.executable, "-m", "glyphline", "read", "--line", str(lines_folder), "--model", str(model)]
        result = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60)
    finally:
        os.close(write)
    assert "Traceback" not in result.stderr


@pytest.mark.skipif(not bundled_names(), reason="no reader is bundled yet")
def test_bundled_reader_is_the_default(lines_folder: Path) -> None:
    assert run("read", "--line", lines_folder / "000000.png").code == 0


@pytest.mark.skipif(not bundled_names(), reason="no reader is bundled yet")
def test_demo_runs(tmp_path: Path) -> None:
    result = run("demo", "-n", 2, "--examples", tmp_path / "none", "--out", tmp_path / "demo.html")
    assert result.code == 0 and result.out.count("truth  ") == 2 and (tmp_path / "demo.html").is_file()


def test_language_strips_punctuation_on_request(tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"it's {word}, isn't it?\n" for word in SENTENCE_WORDS))
    nll = {}
    for mode in ("written", "stripped"):
        words = ("language", f"text:{texts}", "--punctuation", mode, "--out", tmp_path / f"{mode}.lm", "--megabytes", 1)
        assert run(*words).code == 0
        nll[mode] = open_language_model(str(tmp_path / f"{mode}.lm")).negative_log_likelihood
    assert nll["stripped"]("its isnt it") < nll["written"]("its isnt it")
    assert nll["written"]("it's, isn't it?") < nll["stripped"]("it's, isn't it?")


def test_language_model_of_another_script_than_the_alphabet_is_refused(tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"привет мир, номер {k}\n" for k in range(40)), encoding="utf-8")
    words = ("language", f"text:{texts}", "--megabytes", 1, "--out", tmp_path / "ru.lm")
    assert "most letters of the texts are not in the alphabet, such as 'р'" in run_mistake(*words)
    result = run(*words, "--alphabet", " 0123456789абвгдежзийклмнопрстуфхцчшщъыьэюя")
    assert result.code == 0 and "dropped: ','" in result.err


def test_read_uses_an_estimated_language_model(tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    triples = product(SENTENCE_WORDS, repeat=3)
    texts.write_text("".join(f"the {a} sees the {b} by the {c}.\n" for a, b, c in triples))
    result = run("language", f"text:{texts}", "--out", tmp_path / "my.lm", "--order", 3, "--megabytes", 1)
    assert result.code == 0 and "bits a character" in result.err and not result.out
    composed = run("compose", "-n", 2, "--out", tmp_path / "a")
    assert composed.code == 0
    read = run(
        "read", "--line", "--min-confidence", 0, "--decoder", f"beam:{tmp_path / 'my.lm'}", tmp_path / "a/000000.png"
    )
    assert read.code == 0 and read.out.strip()


@pytest.mark.parametrize(
    "words",
    [["text:nowhere.txt"], ["built-in", "--megabytes", "3"], ["buildin"], ["built-in", "--punctuation", "none"]],
)
def test_language_with_wrong_arguments_is_refused(tmp_path: Path, words: list[str]) -> None:
    run_mistake("language", *words, "--out", tmp_path / "my.lm")
    assert not (tmp_path / "my.lm").exists()


def test_read_obeys_lexicon_and_pattern(lines_folder: Path, model: Path, tmp_path: Path) -> None:
    image = sorted(lines_folder.glob("*.png"))[0]
    (tmp_path / "words.txt").write_text("cat\ndog\nfox\n")
    constrained = run("read", "--line", image, "--model", model, "--lexicon", tmp_path / "words.txt")
    assert constrained.out.strip() in ("cat", "dog", "fox")
    assert len(run("read", "--line", image, "--model", model, "--pattern", "[abc]{2}").out.strip()) == 2
    assert "give one of them" in run_mistake(
        "read", "--line", image, "--model", model, "--pattern", "a", "--lexicon", tmp_path / "words.txt"
    )
    assert "no regular expression" in run_mistake("read", "--line", image, "--model", model, "--pattern", "(")
    assert "cannot be read" in run_mistake(
        "read", "--line", image, "--model", model, "--lexicon", tmp_path / "none.txt"
    )


def test_read_reports_rejected_lines(lines_folder: Path, model: Path) -> None:
    image = sorted(lines_folder.glob("*.png"))[0]
    result = run("read", "--line", image, "--model", model, "--min-confidence", 1)
    assert result.code == 0 and result.out == "\n"
    assert "1 of 1 lines rejected: 1 too many characters are uncertain (--min-confidence 1)" in result.err
    # a model without calibration rejects no line by default
    assert run("read", "--line", image, "--model", model).out.strip()
    document = json.loads(run("read", "--line", image, "--model", model, "--min-confidence", 1, "--format", "json").out)
    assert document["pages"][0]["lines"][0]["rejected"] is True


# ----------------------------------------------------------------------------------------------------------- read pages

NOTE = ["Shopping list", "bread and milk"]
READER = ("--model", "reader", "--detector", "paper")  # always installed


def draw_note(*texts: str) -> Image.Image:
    paper = np.full((200, 400, 3), 235, np.uint8)
    for k, text in enumerate(texts):
        cv2.putText(paper, text, (60, 80 + 60 * k), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (40, 40, 60), 2, cv2.LINE_AA)
    return Image.fromarray(paper)


@pytest.fixture(scope="module")
def note_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an image of two lines, a blank image, files of three pages and a web page."""
    folder = tmp_path_factory.mktemp("notes")
    draw_note(*NOTE).save(folder / "note.png")
    draw_note().save(folder / "blank.png")
    pages = [draw_note(NOTE[1]), draw_note(), draw_note(*NOTE)]
    for name in ("pages.tif", "pages.pdf"):
        pages[0].save(folder / name, save_all=True, append_images=pages[1:], resolution=200)
    (folder / "note.html").write_text("<p>no image</p>")
    return folder


def join_rows(*texts: str) -> str:
    return "".join(text + "\n" for text in texts)


@pytest.mark.slow
def test_pages_are_printed_in_order(note_folder: Path) -> None:
    assert run("read", note_folder / "note.png", *READER) == (0, join_rows(*NOTE), "")
    for name in ("pages.tif", "pages.pdf"):
        assert run("read", note_folder / name, *READER) == (0, join_rows(NOTE[1], *NOTE), "")
        (document,) = [json.loads(run("read", note_folder / name, *READER, "--format", "json").out)]
        assert [len(page["lines"]) for page in document["pages"]] == [1, 0, 2]
    several = run("read", note_folder / "note.png", note_folder / "blank.png", note_folder / "pages.tif", *READER)
    assert several == (0, join_rows(*NOTE, NOTE[1], *NOTE), "")
    refused = run("read", note_folder / "pages.tif", *READER, "--format", "page")
    assert refused.code == 2 and "3 pages" in refused.err and "--out FOLDER" in refused.err and not refused.out


def test_page_without_text_prints_nothing_and_line_without_text_a_newline(note_folder: Path) -> None:
    assert run("read", note_folder / "blank.png", *READER) == (0, "", "")
    for words in (("--line",), ("--detector", "none")):
        assert run("read", note_folder / "blank.png", "--model", "reader", *words) == (0, "\n", "")


def test_overlays_are_written(note_folder: Path, tmp_path: Path) -> None:
    overlay, overlays = tmp_path / "overlay.png", tmp_path / "overlays"
    assert run("read", note_folder / "note.png", *READER, "--overlay", overlay) == (0, join_rows(*NOTE), "")
    assert load(overlay).shape[0] >= 200 and load(overlay).shape[1] >= 400
    result = run("read", note_folder / "note.png", note_folder / "pages.tif", *READER, "--overlay", overlays)
    assert result == (0, join_rows(*NOTE, NOTE[1], *NOTE), "")
    names = {"note.png.png", "pages.tif.png", "pages.tif-2.png", "pages.tif-3.png"}
    assert {path.name for path in overlays.iterdir()} == names
    (tmp_path / "file").write_text("")
    assert "cannot write" in run_mistake(
        "read", note_folder / "note.png", *READER, "--overlay", tmp_path / "file" / "a.png"
    )


@pytest.fixture
def server_url(note_folder: Path) -> Iterator[str]:
    class QuietHandler(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(note_folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_urls_are_fetched_only_with_allow_urls(server_url: str, note_folder: Path, tmp_path: Path) -> None:
    note = f"{server_url}/note.png"
    assert run("read", "--allow-urls", note, *READER) == (0, join_rows(*NOTE), "")
    assert "read it with --allow-urls" in run_mistake("read", note, *READER)
    images = [f"{server_url}/none.png", f"{server_url}/note.html", note_folder / "note.png", note]
    mixed = run("read", "--allow-urls", *images, *READER)
    assert (mixed.code, mixed.out) == (1, join_rows(*NOTE, *NOTE))
    not_found, web_page = mixed.err.splitlines()
    assert f"{server_url}/none.png answers 404" in not_found and "is a web page" in web_page
    out, overlays = tmp_path / "read.json", tmp_path / "overlays"
    words = ("--allow-urls", f"{note}?page=1", *READER, "--format", "json", "--out", out, "--overlay", overlays)
    assert run("read", *words) == (0, "", "")
    assert json.loads(out.read_text())["file"] == f"{note}?page=1" and len(list(overlays.iterdir())) == 1


def recognizers_in(result: CommandResult) -> set[str]:
    """The names of the recognizers that read the lines of a document."""
    assert result.code == 0, result
    return {line["recognizer"] for page in json.loads(result.out)["pages"] for line in page["lines"]}


def test_default_uses_the_bundled_models(note_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from glyphline.reading import onnx_models
    from glyphline.reading.recognition import recognizers

    words = ("read", note_folder / "note.png", "--format", "json")
    both = run(*words)
    used = {name for names in recognizers_in(both) for name in names.split("+")}
    assert used == {"photo"}
    assert both == run(*words, "--model", "auto", "--detector", "auto")
    if onnx_models.find_spec("rapidocr"):
        assert recognizers_in(run(*words, "--model", "pp-ocr")) == {"pp-ocr"}
    monkeypatch.setattr(onnx_models, "find_spec", lambda name: None)
    recognizers._open_pp_ocr.cache_clear()
    assert run(*words) == both
    assert 'pip install "glyphline[photo]"' in run_mistake(*words, "--model", "pp-ocr")


def test_fetch_without_part_fetches_the_default_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from glyphline.composing.fetch import DATASETS, Dataset, DatasetFile

    files = tuple(DatasetFile(f"{part}.tsv", part) for part in ("test", "tune", "train"))
    monkeypatch.setitem(DATASETS, "wikisplit", Dataset("wikisplit", (), files, default_parts=("test", "tune")))
    monkeypatch.setenv("GLYPHLINE_DATA", str(tmp_path / "data"))
    source, folder = tmp_path / "source", tmp_path / "data" / "wikisplit"
    source.mkdir()
    for file in files:
        (source / file.name).write_text("a\tb\n")
    result = run("fetch", "wikisplit", "--from", source)
    assert (result.code, result.out) == (0, f"{folder}\n")
    assert sorted(path.name for path in folder.iterdir()) == ["test.tsv", "tune.tsv"]
    assert run("fetch", "wikisplit", "--from", source, "--part", "train").code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["test.tsv", "train.tsv", "tune.tsv"]


def test_unknown_language_is_a_mistake_that_names_the_ten(note_folder: Path) -> None:
    message = run_mistake("read", note_folder / "blank.png", "--language", "xx")
    assert all(f"{code} (" in message for code in ("en", "fr", "de", "es", "nl", "it", "pl", "pt", "da", "sv"))
