"""The command line: stdout is data, stderr is talk, a user's mistake is one line and exit code 2."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from PIL import Image

import glyphline
from glyphline.cli import app, main
from glyphline.errors import UserError
from glyphline.imaging.documents import load
from glyphline.reading.recognition.recognizers import bundled_names

COMMANDS = sorted(command.name or command.callback.__name__ for command in app.registered_commands)  # type: ignore
WORDS = ["cat", "dog", "hen", "fox", "owl", "bee"]
RECIPE = """
name: tiny
lines: {alphabet: " abcdefghijklmnopqrstuvwxyz", layout: tiles, glyphs: [strokes], length: [4, 6],
        cut: character, height: 28}
network: {channels: [4, 8], stride: 4, features: 16, context: bilstm, layers: 1}
training: {epochs: 2, epoch_lines: 32, validation_lines: 8, batch: 8, learning_rate: 0.01, precision: fp32}
"""


class Done(NamedTuple):
    """What a command left behind."""

    code: Any
    out: str
    err: str


def run(*words: object, stdin: bytes = b"") -> Done:
    """The command line in this process, as `glyphline WORDS` would run it."""
    out, err, given = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
    finally:
        sys.stdin = given
    return Done(left.value.code, out.getvalue(), err.getvalue())


def mistake(*words: object, stdin: bytes = b"") -> str:
    """The one line that a user's mistake ends in."""
    done = run(*words, stdin=stdin)
    assert (done.code, done.out) == (2, ""), done
    assert done.err.startswith("glyphline: ") and done.err.endswith("\n") and done.err.count("\n") == 1
    return done.err


def process(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "glyphline", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Help and tables are wrapped to the same width anywhere."""
    monkeypatch.setenv("COLUMNS", "100")


# ------------------------------------------------------------------------------------------------------- help, mistakes


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = run(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Usage: ") and f" {command} " in done.out
    assert done == run(command, "-h")


def test_the_commands_are_those_of_the_contract() -> None:
    assert {"fetch", "compose", "train", "evaluate", "read", "export", "models", "demo"} <= set(COMMANDS)
    done = run("--help")
    assert done.code == 0 and all(f"  {command} " in done.out for command in COMMANDS)


def test_version_is_said() -> None:
    assert run("--version") == (0, glyphline.__version__ + "\n", "")


MISTAKES = {
    "an unknown command": ("reed", "a.png"),
    "an unknown option": ("read", "a.png", "--modle", "x"),
    "an argument left out": ("read",),
    "an option left out": ("compose",),
    "a number out of range": ("compose", "--out", "x", "-n", "0"),
    "no number": ("compose", "--out", "x", "--seed", "one"),
    "an unknown format": ("read", "a.png", "--format", "xml"),
    "an unknown detector": ("read", "a.png", "--detector", "pencil"),
    "a detector for what is one line": ("read", "a.png", "--line", "--detector", "paper"),
    "one document for several images": ("read", "a.png", "b.png", "--format", "hocr"),
    "a PDF on a terminal": ("read", "a.png", "--format", "pdf"),
    "one drawing for several images": ("read", "a.png", "b.png", "--overlay", "drawn.png"),
    "a drawing that is no PNG": ("read", "a.png", "--overlay", "drawn.jpg"),
    "one drawing for a folder of results": ("read", "a.png", "--out", "x", "--overlay", "drawn.png"),
    "a folder of results for standard input": ("read", "-", "--out", "x"),
    "a folder of results for an address": ("read", "http://localhost:1/a.png", "--allow-urls", "--out", "x"),
    "an address not to be fetched": ("read", "http://localhost:1/a.png"),
    "an address where nothing answers": ("read", "http://localhost:1/a.png", "--allow-urls"),
    "a folder read with an unknown model": ("read", "a.png", "b.png", "--out", "x", "--model", "nothing"),
    "an unknown model": ("read", "a.png", "--model", "nothing"),
    "an unknown decoder": ("read", "a.png", "--decoder", "best"),
    "an unknown layout": ("compose", "--out", "x", "--layout", "tile"),
    "unknown glyphs": ("compose", "--out", "x", "--glyphs", "stroke"),
    "unknown sentences": ("compose", "--out", "x", "--sentences", "builtin"),
    "an unknown split": ("compose", "--out", "x", "--split", "tests"),
    "an unknown card": ("models", "nothing"),
    "unknown data": ("fetch", "mnist"),
    "a missing recipe": ("train", "nothing.yaml", "--out", "x"),
    "a missing run": ("export", "nothing", "--out", "x.onnx"),
    "a missing run to read with": ("read", "a.png", "--model", "nothing.pt"),
    "missing lines": ("evaluate", "nothing", "--model", "nothing.onnx"),
}


@pytest.mark.parametrize("words", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_one_line(words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mistake(*words)
    assert list(tmp_path.iterdir()) == []


def test_mistakes_name_the_nearest() -> None:
    assert 'did you mean "text"' in mistake("read", "--line", "a.png", "--format", "txt")
    assert 'did you mean "tiles"' in mistake("compose", "--out", "x", "--layout", "tile")
    assert 'did you mean "paper"? choices: none, paper, photo' in mistake("read", "a.png", "--detector", "papre")
    assert "choices: alto, hocr, json, markdown, page, pdf, text, tsv" in mistake("read", "a.png", "--format", "x")
    assert "--allow-urls" in mistake("read", "http://localhost:1/a.png")
    assert "--out FOLDER" in mistake("read", "a.png", "b.png", "--format", "hocr")


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(UserError):
        main(["--debug", "models", "nothing"])
    with pytest.raises(UserError):
        main(["models", "nothing", "--debug"])


def test_a_real_process_ends_the_same_way(tmp_path: Path) -> None:
    done = process("read", "missing.png", "--format", "xml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("glyphline: ") and done.stderr.count("\n") == 1
    debugged = process("--debug", "read", "missing.png", "--format", "xml", cwd=tmp_path)
    assert debugged.returncode == 1 and "Traceback" in debugged.stderr


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr("glyphline.reading.recognition.recognizers.bundled_names", interrupted)
    assert run("models")[:2] == (130, "")


def test_models_lists_what_is_bundled() -> None:
    done = run("models")
    assert (done.code, done.err) == (0, "")
    assert [row.split("\t")[0] for row in done.out.splitlines()] == bundled_names()
    for name in bundled_names():
        card = run("models", name)
        assert card.code == 0 and json.loads(card.out)["about"]


# -------------------------------------------------------------------------------------------------------------- compose


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def recipe(work: Path) -> Path:
    path = work / "tiny.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def lines(work: Path, recipe: Path) -> Path:
    done = run("compose", "-n", 6, "--recipe", recipe, "--split", "test", "--out", work / "lines")
    assert (done.code, done.out) == (0, ""), done
    return work / "lines"


def labels(folder: Path) -> dict[str, str]:
    rows = (folder / "labels.tsv").read_text().splitlines()
    return dict(row.split("\t") for row in rows)


def test_compose_writes_lines_and_their_labels(lines: Path) -> None:
    assert list(labels(lines)) == [f"{k:06d}.png" for k in range(6)]
    assert {path.name for path in lines.glob("*.png")} == set(labels(lines))
    records = [json.loads(row) for row in (lines / "record.jsonl").read_text().splitlines()]
    assert {r["file"]: r["text"] for r in records} == labels(lines)
    for name, text in labels(lines).items():
        assert load(lines / name).shape == (28, 28 * len(text))


@pytest.mark.parametrize("layout", ["natural", "tiles", "overlap"])
def test_compose_continues_and_repeats_itself(tmp_path: Path, layout: str) -> None:
    words = ("compose", "--layout", layout, "--seed", 3, "--boxes")
    assert "5 of them new" in run(*words, "-n", 5, "--out", tmp_path / "a").err
    assert "3 of them new" in run(*words, "-n", 8, "--out", tmp_path / "a").err
    assert run(*words, "-n", 8, "--out", tmp_path / "b").code == 0
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
    boxes = [json.loads(row)["boxes"] for row in (tmp_path / "a" / "record.jsonl").read_text().splitlines()]
    for found, text in zip(boxes, labels(tmp_path / "a").values(), strict=True):
        assert len(found) == len(text.replace(" ", ""))
    other = run(*words[:-1], "-n", 9, "--out", tmp_path / "a")
    assert other.code == 2 and "other settings" in other.err.splitlines()[-1]


def test_compose_shows_a_sheet(tmp_path: Path) -> None:
    done = run("compose", "-n", 3, "--out", tmp_path / "a", "--sheet", tmp_path / "sheet.png")
    assert done.code == 0 and load(tmp_path / "sheet.png").shape[1] > 100


@pytest.mark.parametrize("sheet", ["missing/sheet.png", "sheet", "sheet.xyz"])
def test_a_sheet_that_cannot_be_written_is_a_mistake(tmp_path: Path, sheet: str) -> None:
    done = run("compose", "-n", 1, "--out", tmp_path / "a", "--sheet", tmp_path / sheet)
    assert done.code == 2 and sheet in done.err.splitlines()[-1]
    assert sheet.endswith(".png") or not (tmp_path / "a").exists()  # a wrong name is seen before an hour of composing


# ---------------------------------------------------------------------------------------------- train, evaluate, export


@pytest.fixture(scope="module")
def trained(work: Path, recipe: Path) -> Path:
    pytest.importorskip("lightning")
    out = work / "run"
    done = run("train", recipe, "--out", out, "--set", "training.epochs=1", "--track", "csv", "--threads", 1)
    assert done.code == 0, done
    result = json.loads(done.out)  # stdout is one object and nothing else
    assert result == json.loads((out / "result.json").read_text()) and result["epochs"] == 1
    talkative(out / "best.pt")
    return out


def talkative(path: Path) -> None:
    """After four steps a network says nothing yet: make its blank unlikely, so that there is something to read."""
    import torch

    kept = torch.load(path, weights_only=True)
    kept["weights"]["head.bias"][0] -= 3.0
    torch.save(kept, path)


@pytest.fixture(scope="module")
def model(trained: Path, work: Path) -> Path:
    out = work / "tiny.onnx"
    done = run("export", trained, "--out", out)
    assert (done.code, done.out) == (0, "") and str(out) in done.err
    return out


def test_export_in_eight_bits_says_what_it_costs(trained: Path, tmp_path: Path) -> None:
    done = run("export", trained, "--out", tmp_path / "small.onnx", "--int8")
    assert done.code == 0 and "8 bits: CER" in done.err and not done.out


def test_train_takes_changes_and_refuses_wrong_ones(trained: Path, recipe: Path, tmp_path: Path) -> None:
    assert json.loads((trained / "result.json").read_text())["steps"] == 4
    said = mistake("train", recipe, "--out", tmp_path / "run", "--set", "training.epoch=1")
    assert 'did you mean "epochs"' in said
    mistake("train", recipe, "--out", tmp_path / "run", "--set", "training.epochs")
    mistake("train", recipe, "--out", tmp_path / "run", "--track", "wandbb")
    assert "--resume" in mistake("train", recipe, "--out", trained, "--set", "training.epochs=1")
    assert "differs" in mistake("train", recipe, "--out", trained, "--resume")
    assert not (tmp_path / "run").exists()


def test_a_change_that_is_no_yaml_is_a_mistake(recipe: Path, tmp_path: Path) -> None:
    mistake("train", recipe, "--out", tmp_path / "run", "--set", "training.epochs=[")


def test_a_change_of_what_is_no_recipe_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("- 1\n- 2\n")
    mistake("train", tmp_path / "list.yaml", "--out", tmp_path / "run", "--set", "name=x")


def test_evaluate_prints_one_object(lines: Path, model: Path, trained: Path, recipe: Path) -> None:
    done = run("evaluate", lines, "--model", model, "--json", "--worst", 2)
    assert done.code == 0
    said = json.loads(done.out)
    assert said.keys() >= {
        "lines", "cer", "cer_interval", "wer", "wer_interval", "exact", "lines_per_second", "model", "decoder",
        "normalisation",
    }  # fmt: skip
    assert (said["lines"], said["decoder"]) == (6, "beam") and done.err.count("truth") == 2
    clocked = ("lines_per_second", "model")
    for source, other in ((lines, trained), (lines, trained / "best.pt"), (recipe, model)):
        again = json.loads(run("evaluate", source, "--model", other, "--json", "-n", 6).out)
        assert {k: v for k, v in again.items() if k not in clocked} == {
            k: v for k, v in said.items() if k not in clocked
        }


def test_evaluate_prints_a_table(lines: Path, model: Path) -> None:
    done = run("evaluate", lines, "--model", model, "--fold", "case")
    assert done.code == 0 and all(word in done.out for word in ("CER", "WER", "exact", "lines/s", "case ignored"))
    assert 'did you mean "case"' in mistake("evaluate", lines, "--model", model, "--fold", "cases")


# ----------------------------------------------------------------------------------------------------------------- read


@pytest.fixture
def bad(tmp_path: Path) -> list[Path]:
    """Images that cannot be read: none there, empty, no image, cut short."""
    paths = [tmp_path / name for name in ("missing.png", "empty.png", "note.png", "cut.png")]
    paths[1].write_bytes(b"")
    paths[2].write_text("no image")
    whole = cv2.imencode(".png", np.random.default_rng(0).integers(0, 255, (40, 200)).astype(np.uint8))[1].tobytes()
    paths[3].write_bytes(whole[:200])
    return paths


@pytest.fixture(scope="module")
def texts(lines: Path, model: Path) -> dict[str, str]:
    """What the model reads in each image."""
    found = {name: run("read", "--line", lines / name, "--model", model).out.rstrip("\n") for name in labels(lines)}
    assert any(found.values())
    return found


def test_read_prints_the_lines_and_nothing_else(lines: Path, model: Path, texts: dict[str, str]) -> None:
    wanted = (0, "".join(text + "\n" for text in texts.values()), "")
    assert run("read", "--line", *(lines / name for name in texts), "--model", model) == wanted
    assert run("read", "--line", lines, "--model", model) == wanted  # a folder
    assert run("read", "--line", lines / "*.png", "--model", model) == wanted  # a pattern the shell has not met


def test_read_tells_everything_as_json(lines: Path, model: Path, texts: dict[str, str]) -> None:
    done = run("read", "--line", lines, "--model", model, "--format", "json")
    found = [json.loads(row) for row in done.out.splitlines()]
    assert {Path(each["file"]).name: each["pages"][0]["lines"][0]["text"] for each in found} == texts
    for each in found:
        (page,) = each["pages"]
        assert (page["height"], page["width"]) == load(each["file"]).shape
        (line,) = page["lines"]
        assert line.keys() >= {"text", "confidence", "polygon", "recognizer", "words", "characters"}
        assert 0 <= line["confidence"] <= 1 and line["recognizer"] == "tiny"


def test_read_tells_rows_as_tsv(lines: Path, model: Path, texts: dict[str, str]) -> None:
    done = run("read", "--line", lines, "--model", model, "--format", "tsv")
    rows = [row.split("\t") for row in done.out.splitlines()]
    assert {Path(file).name: text for file, _, _, _, text in rows} == texts


def test_read_takes_standard_input(lines: Path, model: Path, texts: dict[str, str]) -> None:
    name = max(texts, key=lambda name: len(texts[name]))
    assert run("read", "--line", "-", "--model", model, stdin=(lines / name).read_bytes()) == (
        0,
        texts[name] + "\n",
        "",
    )
    assert run("read", "--line", "-", "--model", model).code == 2  # nothing came


def test_read_writes_a_file(lines: Path, model: Path, texts: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "read.txt"
    out.write_text("from before")
    assert run("read", "--line", lines, "--model", model, "--out", out) == (0, "", "")
    assert out.read_text() == "".join(text + "\n" for text in texts.values())
    assert "missing" in mistake("read", "--line", lines, "--model", model, "--out", tmp_path / "missing" / "read.txt")
    assert list(tmp_path.iterdir()) == [out]


def test_a_batch_does_not_stop_at_bad_pictures(
    lines: Path, model: Path, texts: dict[str, str], bad: list[Path]
) -> None:
    good = [lines / name for name in texts]
    random_uint64 = [good[0], bad[0], good[1], bad[1], bad[2], good[2], bad[3]]
    done = run("read", "--line", *random_uint64, "--model", model)
    assert done.code == 1
    assert done.out == "".join(texts[path.name] + "\n" for path in good[:3])
    assert len(done.err.splitlines()) == 4
    for row, path in zip(done.err.splitlines(), bad, strict=True):
        assert row.startswith("glyphline: ") and str(path) in row


def test_nothing_but_bad_pictures_is_a_mistake(model: Path, bad: list[Path]) -> None:
    done = run("read", "--line", *bad, "--model", model)
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", len(bad))


@pytest.mark.parametrize("given", ["none*.png", "empty"])
def test_a_batch_does_not_stop_at_a_pattern_without_files(
    lines: Path, model: Path, texts: dict[str, str], tmp_path: Path, given: str
) -> None:
    (tmp_path / "empty").mkdir()
    done = run("read", "--line", lines / "000000.png", tmp_path / given, "--model", model)
    assert (done.code, done.out) == (1, texts["000000.png"] + "\n") and given in done.err


def test_a_line_too_wide_is_named(lines: Path, model: Path, tmp_path: Path) -> None:
    wide = np.zeros((4, 20_000), np.uint8)
    wide[1:3, ::3] = 255
    cv2.imwrite(str(tmp_path / "wide.png"), wide)
    done = run("read", "--line", lines / "000000.png", tmp_path / "wide.png", "--model", model)
    assert done.code == 1 and "wide.png" in done.err


def test_a_run_reads_as_its_export(lines: Path, trained: Path, model: Path, texts: dict[str, str]) -> None:
    assert run("read", "--line", lines, "--model", trained).out.splitlines() == list(texts.values())


def test_reading_and_evaluating_load_no_torch(lines: Path, model: Path) -> None:
    code = (
        "import sys\nfrom glyphline.cli import main\nfor words in {}:\n"
        " try: main(words)\n except SystemExit as left: assert left.code == 0, left.code\n"
        "heavy = {{'torch', 'lightning', 'wandb'}} & set(sys.modules)\nassert not heavy, heavy"
    ).format(
        [
            ["read", "--line", str(lines), "--model", str(model)],
            ["evaluate", str(lines), "--model", str(model), "--json"],
        ]
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_reader_that_stops_listening_is_no_failure(lines: Path, model: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        command = [sys.executable, "-m", "glyphline", "read", "--line", str(lines), "--model", str(model)]
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60)
    finally:
        os.close(write)
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not bundled_names(), reason="no reader is bundled yet")
def test_the_bundled_reader_is_the_default(lines: Path) -> None:
    assert run("read", "--line", lines / "000000.png").code == 0


@pytest.mark.skipif(not bundled_names(), reason="no reader is bundled yet")
def test_the_demo_runs(tmp_path: Path) -> None:
    done = run("demo", "-n", 2, "--examples", tmp_path / "none", "--out", tmp_path / "demo.html")
    assert done.code == 0 and done.out.count("truth  ") == 2 and (tmp_path / "demo.html").is_file()


def test_a_language_of_ones_own_texts_is_read_with(tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"the {a} sees the {b} by the {c}.\n" for a in WORDS for b in WORDS for c in WORDS))
    done = run("language", f"text:{texts}", "--out", tmp_path / "my.lm", "--order", 3, "--megabytes", 1)
    assert done.code == 0 and "bits a character" in done.err and not done.out
    composed = run("compose", "-n", 2, "--out", tmp_path / "a")
    assert composed.code == 0
    read = run(
        "read", "--line", "--min-confidence", 0, "--decoder", f"beam:{tmp_path / 'my.lm'}", tmp_path / "a/000000.png"
    )
    assert read.code == 0 and read.out.strip()


@pytest.mark.parametrize("words", [["text:nowhere.txt"], ["built-in", "--megabytes", "3"], ["buildin"]])
def test_a_language_that_cannot_be_made_is_a_mistake(tmp_path: Path, words: list[str]) -> None:
    mistake("language", *words, "--out", tmp_path / "my.lm")
    assert not (tmp_path / "my.lm").exists()


def test_read_says_only_what_is_allowed(lines: Path, model: Path, tmp_path: Path) -> None:
    image = sorted(lines.glob("*.png"))[0]
    (tmp_path / "words.txt").write_text("cat\ndog\nfox\n")
    assert run("read", "--line", image, "--model", model, "--lexicon", tmp_path / "words.txt").out.strip() in (
        "cat",
        "dog",
        "fox",
    )
    assert len(run("read", "--line", image, "--model", model, "--pattern", "[abc]{2}").out.strip()) == 2
    assert "give one of them" in mistake(
        "read", "--line", image, "--model", model, "--pattern", "a", "--lexicon", tmp_path / "words.txt"
    )
    assert "no regular expression" in mistake("read", "--line", image, "--model", model, "--pattern", "(")
    assert "cannot be read" in mistake("read", "--line", image, "--model", model, "--lexicon", tmp_path / "none.txt")


def test_read_says_what_it_left_unread(lines: Path, model: Path) -> None:
    image = sorted(lines.glob("*.png"))[0]
    done = run("read", "--line", image, "--model", model, "--min-confidence", 1)
    assert done.code == 0 and done.out == "\n" and "1 of 1 lines rejected (--min-confidence 1)" in done.err
    assert run("read", "--line", image, "--model", model).out.strip()  # never calibrated: always read
    told = json.loads(run("read", "--line", image, "--model", model, "--min-confidence", 1, "--format", "json").out)
    assert told["pages"][0]["lines"][0]["rejected"] is True


# ----------------------------------------------------------------------------------------------------------- read pages

NOTE = ["Shopping list", "bread and milk"]
READER = ("--model", "reader", "--detector", "paper")  # what is always there


def sheet(*texts: str) -> Image.Image:
    paper = np.full((200, 400, 3), 235, np.uint8)
    for k, text in enumerate(texts):
        cv2.putText(paper, text, (60, 80 + 60 * k), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (40, 40, 60), 2, cv2.LINE_AA)
    return Image.fromarray(paper)


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of two lines, one of none, and files of several pages."""
    folder = tmp_path_factory.mktemp("notes")
    sheet(*NOTE).save(folder / "note.png")
    sheet().save(folder / "blank.png")
    pages = [sheet(NOTE[1]), sheet(), sheet(*NOTE)]
    for name in ("pages.tif", "pages.pdf"):
        pages[0].save(folder / name, save_all=True, append_images=pages[1:], resolution=200)
    (folder / "note.html").write_text("<p>no image</p>")
    return folder


def rows(*texts: str) -> str:
    return "".join(text + "\n" for text in texts)


def test_pages_follow_one_another(notes: Path) -> None:
    assert run("read", notes / "note.png", *READER) == (0, rows(*NOTE), "")
    for name in ("pages.tif", "pages.pdf"):
        assert run("read", notes / name, *READER) == (0, rows(NOTE[1], *NOTE), "")
        (page,) = [json.loads(run("read", notes / name, *READER, "--format", "json").out)]
        assert [len(each["lines"]) for each in page["pages"]] == [1, 0, 2]
    several = run("read", notes / "note.png", notes / "blank.png", notes / "pages.tif", *READER)
    assert several == (0, rows(*NOTE, NOTE[1], *NOTE), "")
    said = run("read", notes / "pages.tif", *READER, "--format", "page")
    assert said.code == 2 and "3 pages" in said.err and "--out FOLDER" in said.err and not said.out


def test_a_page_without_text_says_nothing_and_a_line_without_text_is_an_empty_row(notes: Path) -> None:
    assert run("read", notes / "blank.png", *READER) == (0, "", "")
    for words in (("--line",), ("--detector", "none")):
        assert run("read", notes / "blank.png", "--model", "reader", *words) == (0, "\n", "")


def test_what_was_found_is_drawn(notes: Path, tmp_path: Path) -> None:
    one, several = tmp_path / "drawn.png", tmp_path / "drawn"
    assert run("read", notes / "note.png", *READER, "--overlay", one) == (0, rows(*NOTE), "")
    assert load(one).shape[0] >= 200 and load(one).shape[1] >= 400
    done = run("read", notes / "note.png", notes / "pages.tif", *READER, "--overlay", several)
    assert done == (0, rows(*NOTE, NOTE[1], *NOTE), "")
    names = {"note.png.png", "pages.tif.png", "pages.tif-2.png", "pages.tif-3.png"}
    assert {path.name for path in several.iterdir()} == names
    (tmp_path / "file").write_text("")
    assert "cannot write" in mistake("read", notes / "note.png", *READER, "--overlay", tmp_path / "file" / "a.png")


@pytest.fixture
def address(notes: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(notes))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_addresses_are_fetched_where_that_is_allowed(address: str, notes: Path, tmp_path: Path) -> None:
    note = f"{address}/note.png"
    assert run("read", "--allow-urls", note, *READER) == (0, rows(*NOTE), "")
    assert "read it with --allow-urls" in mistake("read", note, *READER)
    random_uint64 = run(
        "read", "--allow-urls", f"{address}/none.png", f"{address}/note.html", notes / "note.png", note, *READER
    )
    assert (random_uint64.code, random_uint64.out) == (1, rows(*NOTE, *NOTE))
    gone, page = random_uint64.err.splitlines()
    assert f"{address}/none.png answers 404" in gone and "is a web page" in page
    out, drawn = tmp_path / "read.json", tmp_path / "drawn"
    words = ("--allow-urls", f"{note}?page=1", *READER, "--format", "json", "--out", out, "--overlay", drawn)
    assert run("read", *words) == (0, "", "")
    assert json.loads(out.read_text())["file"] == f"{note}?page=1" and len(list(drawn.iterdir())) == 1


def recognizers(done: Done) -> set[str]:
    """Who read the lines of a page."""
    assert done.code == 0, done
    return {line["recognizer"] for page in json.loads(done.out)["pages"] for line in page["lines"]}


def test_the_best_that_is_installed_is_the_default(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from glyphline.reading import onnx_models, pages
    from glyphline.reading.detection import detectors
    from glyphline.reading.recognition import recognizers as opened

    words = ("read", notes / "note.png", "--format", "json")
    if pages.find_spec("rapidocr"):
        both = run(*words)
        assert recognizers(both) and {name for one in recognizers(both) for name in one.split("+")} <= {
            "reader",
            "pp-ocr",
        }
        assert both == run(*words, "--model", "auto", "--detector", "auto")
        assert recognizers(run(*words, "--model", "pp-ocr")) == {"pp-ocr"}
    for module in (pages, onnx_models):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    opened._paddle.cache_clear(), detectors._detector.cache_clear()
    alone = run(*words)
    assert recognizers(alone) == {"reader"} and alone == run(*words, *READER)
    for wanted in (("--model", "pp-ocr"), ("--detector", "photo")):
        assert 'pip install "glyphline[photo]"' in mistake(*words, *wanted)
