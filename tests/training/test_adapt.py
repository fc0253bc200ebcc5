"""Adapting a reader to a hand: what is trained on, kept out, compared, kept, and resumed."""

from __future__ import annotations

import dataclasses
import io
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
import pytest

from glyphline.alphabet import Alphabet
from glyphline.cli.adapt import adapt_to_lines
from glyphline.composing.line_sets import LABELS, LineSet, write_lines
from glyphline.errors import GlyphlineError, ImageError, UserError
from glyphline.reading.recognition.recognizers import OnnxRecognizer
from glyphline.recipe import GlyphShare, LinesRecipe, Recipe, recipe_from
from glyphline.training import adapt as adapting
from glyphline.training.adapt import FEW_LINES, TooFewLines, adapt
from glyphline.training.labelled_lines import LabelledLine
from glyphline.training.network import Network, load_network
from glyphline.training.runs import BEST_WEIGHTS
from glyphline.training.train import DivergedError, StoppedError, train

TinyRecipe = Callable[..., Recipe]


@pytest.fixture(scope="module")
def reader(tiny_recipe: TinyRecipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a tiny reader that has learned little."""
    folder = tmp_path_factory.mktemp("adapt") / "reader"
    recipe = tiny_recipe(lines__layout="natural", lines__height=32, lines__length=[4, 12], training__epochs=2)
    train(recipe, folder, trackers=["csv"], progress=False, report=lambda _: None)
    return folder


#: epochs and comparisons of a size that tests can wait for
SMALL = {
    "EPOCH_LINES": 64, "BATCH": 4, "PARTS": 1, "MEASURED_LINES": 12, "COMMON_LINES": 12,
    "CALIBRATION_LINES": 12, "LEARNING_RATE": 0.02,
}  # fmt: skip


class EpochClock:
    """Counts epochs instead of seconds, so that a busy machine trains as many of them as a quiet one."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:  # read twice for each epoch
        self.seconds += EPOCH_SECONDS
        return self.seconds


#: 0.3 minutes hold 36 epochs: the reader, which has learned to write nothing, writes characters after about 10
EPOCH_SECONDS = 0.5


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SMALL.items():
        monkeypatch.setattr(adapting, name, value)
    monkeypatch.setattr(adapting, "time", EpochClock())


def labelled_lines(tiny_recipe: TinyRecipe, folder: Path, count: int) -> Path:
    """Labelled lines of a hand: composed ones, as images and labels.tsv."""
    recipe = tiny_recipe(lines__layout="natural", lines__height=32, lines__length=[6, 14]).lines
    write_lines(LineSet(recipe, "train", 77), count, folder / "lines")
    return folder / "lines"


def test_alphabet_gets_the_characters_of_labelled_lines_and_sheets_only(tmp_path: Path) -> None:
    (tmp_path / "fonts").mkdir()
    shutil.copy(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", tmp_path / "fonts")
    rng = np.random.default_rng(0)
    for number in range(3):
        (tmp_path / "folder" / "U+0436").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "folder" / "U+0436" / f"{number}.png"), rng.integers(0, 2, (40, 40)) * 255)
    base = LinesRecipe()
    labelled = [LabelledLine("1", "Café, שלום", lambda: np.zeros((9, 9), np.uint8))]

    def added(*kinds: str) -> str:
        lines = adapting._with_own_characters(base, [f"{kind}:{tmp_path / kind}" for kind in kinds], labelled)
        old = Alphabet.from_name(base.alphabet).characters
        assert lines.alphabet.startswith(old) and lines.direction == "ltr"  # a few Hebrew letters turn no line
        return lines.alphabet[len(old) :]

    assert added("fonts") == "éולםש" and added("folder", "fonts") == "éжולםש"


def line(text: str, width: int = 400, image: Callable[[], np.ndarray] | None = None) -> LabelledLine:
    return LabelledLine(f"{text[:9]}.png", text, image or (lambda: np.zeros((40, width), np.uint8)))


def test_kept_out_lines_stay_kept_out_when_lines_are_added() -> None:
    lines = [line(f"the text of line {k}") for k in range(40)]
    trained, kept_out = adapting._divide(lines[:32], 0.25, seed=3)
    assert len(trained) + len(kept_out) == 32 and 8 <= len(kept_out) <= 11  # texts of other splits are among them
    later_trained, _ = adapting._divide(lines, 0.25, seed=3)
    assert len([kept for kept in kept_out if kept in later_trained]) <= 1
    twice_trained, twice = adapting._divide([*lines, *lines], 0.25, seed=3)
    assert not {kept.text for kept in twice} & {kept.text for kept in twice_trained}
    assert adapting._divide(lines[:7], 0.25, seed=3)[0]  # few lines all teach, but for texts of other splits


def test_lines_that_cannot_be_learned_are_named() -> None:
    def damaged() -> np.ndarray:
        raise ImageError("cannot be decoded")

    lines = [line("good"), line("much too long for its picture", 60), line("torn", image=damaged), line("broad", 10**6)]
    said: list[str] = []
    kept = adapting._without_faults(lines, LinesRecipe(), lambda width: width // 8, said.append)
    assert [k.text for k in kept] == ["good"]
    assert 'its picture is too narrow for "much too long for its picture"' in said[0]
    assert said[1] == "torn.png is left out: cannot be decoded" and said[2].startswith("broad.png is left out: a line")


def test_lines_in_the_other_direction_than_the_reader_are_refused() -> None:
    lines = [line("שלום."), line("אבא"), line("abc")]
    with pytest.raises(UserError, match="written from right to left, but the reader reads from left to right"):
        adapting._check_direction(lines, LinesRecipe())
    adapting._check_direction(lines[1:], LinesRecipe())
    adapting._check_direction(lines, LinesRecipe(alphabet=" אבםולש."))


def test_letters_that_a_hand_lacks_are_named_with_what_draws_them(tmp_path: Path) -> None:
    for character in "abc":
        (tmp_path / f"U+{ord(character):04X}").mkdir()
        for number in range(3):
            image = np.random.default_rng(number).integers(0, 2, (40, 40)) * 255
            cv2.imwrite(str(tmp_path / f"U+{ord(character):04X}" / f"{number}.png"), image)
    lines, said = LinesRecipe(alphabet=" abcdeá"), list[str]()  # the accent is drawn on the hand's own letter
    adapting._report_lacking(adapting._composed(lines, [f"folder:{tmp_path}"]), 1, said.append)
    assert said == ["the hand's glyphs lack d e, which strokes draws"]
    adapting._report_lacking(adapting._composed(lines, ["strokes"]), 1, said.append)
    assert len(said) == 1


def test_characters_that_are_new_to_the_reader_are_named() -> None:
    said = list[str]()
    labelled = [line("a cup of café"), line("café au lait"), line("tea")]
    adapting._report_new_characters(" abc", " abcé€", labelled, said.append)
    assert said == ["characters that are new to the reader, which it will learn: é (in 2 lines), €"]
    adapting._report_new_characters(" abc", " abc" + "".join(map(chr, range(0x3B1, 0x3C9))), labelled, said.append)
    assert said[1].endswith(": α, β, γ, δ, ε, ζ, η, θ, ι, κ, λ, μ, ν, ξ, ο, π, ρ, ς, σ, τ and 4 more")
    adapting._report_new_characters("english", "english", labelled, said.append)
    assert len(said) == 2


@pytest.mark.slow
def test_labels_of_other_pictures_are_left_out_unless_they_are_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lines(LineSet(LinesRecipe(sentences=("built-in",), length=(12, 40)), "train", 7), 16, tmp_path / "lines")
    rows = [row.split("\t") for row in (tmp_path / "lines" / LABELS).read_text().splitlines()]
    moved = [2, 5, 11]  # each of them gets the text of the next one
    texts = {k: rows[moved[(n + 1) % 3]][1] for n, k in enumerate(moved)}
    labels = "".join(f"{name}\t{texts.get(k, text)}\n" for k, (name, text) in enumerate(rows))
    (tmp_path / "lines" / LABELS).write_text(labels)

    (tmp_path / "reader").mkdir()  # a folder of photographs; the name is that of the bundled reader all the same
    monkeypatch.chdir(tmp_path)

    def stop(*args: Any) -> None:
        raise KeyboardInterrupt  # what the training would get is decided

    monkeypatch.setattr(adapting, "_train_for", stop)
    for trusted, wrong in ((False, 3), (True, 0)):
        said = list[str]()
        with pytest.raises(KeyboardInterrupt):
            adapt(
                tmp_path / f"{trusted}.onnx", model="reader", lines=[tmp_path / "lines"], trust_labels=trusted,
                report=said.append,
            )  # fmt: skip
        left_out = [text.split(" is left out: ")[0] for text in said if "but the picture shows" in text]
        assert left_out == [rows[k][0] for k in moved][:wrong]
        assert any(text.startswith(f"{16 - wrong} labelled lines: ") for text in said)
        assert any("--trust-labels" in text for text in said) == (wrong > 0)


def test_training_on_other_data_begins_anew(tmp_path: Path) -> None:
    settings, said = {"model": "photo"}, list[str]()
    (tmp_path / "work" / "lines").mkdir(parents=True)
    (tmp_path / "work" / adapting.LOCK_FILE).touch()
    state = adapting._open_state(tmp_path / "work", settings, 1, said.append)
    (tmp_path / "work" / "adapt.json").write_text(json.dumps({**state, "epochs": 3}))
    (tmp_path / "work" / "last.ckpt").write_text("of the other lines")
    assert adapting._open_state(tmp_path / "work", settings, 1, said.append)["epochs"] == 3 and not said
    assert adapting._open_state(tmp_path / "work", settings, 2, said.append)["epochs"] == 0
    assert "have changed since" in said[0]
    assert [path.name for path in (tmp_path / "work").iterdir()] == [adapting.LOCK_FILE]
    (tmp_path / "work" / "adapt.json").write_text("{")
    with pytest.raises(UserError, match=r"adapt\.json is damaged: delete"):
        adapting._open_state(tmp_path / "work", settings, 1, said.append)


def test_data_that_came_onto_the_machine_is_other_data(tiny_recipe: TinyRecipe) -> None:
    network, lines = Network(tiny_recipe()), [line("one")]
    less = LinesRecipe()
    common = dataclasses.replace(less, glyphs=(*less.glyphs, GlyphShare("emnist/byclass")))
    before = adapting._fingerprint(network, ["strokes"], lines, less)
    assert before == adapting._fingerprint(network, ["strokes"], lines, less)
    assert before != adapting._fingerprint(network, ["strokes"], lines, common)


def test_training_that_something_ended_says_how_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(error: Exception) -> str:
        def train(*args: Any, **kwargs: Any) -> None:
            raise error

        monkeypatch.setattr(adapting, "train", train)
        with pytest.raises(GlyphlineError) as caught:
            adapting._train_for(Recipe(), tmp_path, {"minutes": 0.0}, 1, print)
        return str(caught.value)

    killed = StoppedError("a process was killed", "close other programs or lower training.workers", "use --resume")
    assert fail(killed) == "a process was killed: close other programs, then give the same command again to go on"
    assert str(pickle.loads(pickle.dumps(killed))).endswith("lower training.workers, then use --resume")
    assert f"delete {tmp_path} before" in fail(DivergedError("lower training.learning_rate"))


@pytest.mark.slow
def test_two_calls_do_not_adapt_in_one_folder(reader: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, model = tmp_path / "mine.onnx", str(reader)

    def train_and_begin_another(*args: Any) -> None:
        with pytest.raises(UserError, match=r"another command adapts a reader in .*mine\.onnx\.adapt"):
            adapt(out, model=model, glyphs=["strokes"], seed=1)
        raise KeyboardInterrupt

    monkeypatch.setattr(adapting, "_train_for", train_and_begin_another)
    with pytest.raises(KeyboardInterrupt):
        adapt(out, model=model, glyphs=["strokes"])


def test_each_half_of_the_lines_measures_what_the_other_has_chosen() -> None:
    lines = [line(text) for text in ("one", "two", "three", "four", "five")]
    folds, kind = adapting._folds(None, lines, LinesRecipe(), seed=0)
    assert kind == "labelled" and [(choose[1], measure[1]) for choose, measure in folds] == [
        (["one", "three", "five"], ["two", "four"]), (["two", "four"], ["one", "three", "five"])
    ]  # fmt: skip
    assert adapting._folds(None, [], LinesRecipe(), seed=0) == ([], "")


def test_lines_composed_in_the_glyphs_choose_too_but_measure_only_without_labelled_lines(
    tiny_recipe: TinyRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapting, "MEASURED_LINES", 6)
    recipe = tiny_recipe(lines__layout="natural", lines__height=32, lines__length=[4, 12]).lines
    val, test = (LineSet(recipe, split, 0).canonical_batch(range(6))[1] for split in ("val", "test"))
    folds, kind = adapting._folds(recipe, [line(text) for text in ("one", "two", "three")], recipe, seed=0)
    assert kind == "labelled" and [(choose[1], measure[1]) for choose, measure in folds] == [
        (["one", "three", *val[::2]], ["two"]), (["two", *val[1::2]], ["one", "three"])
    ]  # fmt: skip
    assert all(len(images) == len(texts) for fold in folds for images, texts in fold)
    ((choose, measure),), kind = adapting._folds(recipe, [], recipe, seed=0)
    assert kind == "composed" and (choose[1], measure[1]) == (val, test)


@pytest.mark.slow
def test_reader_is_adapted_to_lines_and_glyphs_and_compared(
    tiny_recipe: TinyRecipe, reader: Path, tmp_path: Path, small: None
) -> None:
    lines, out, reports = labelled_lines(tiny_recipe, tmp_path, 24), tmp_path / "deep" / "mine.onnx", list[str]()
    result = adapt(out, model=str(reader), glyphs=["strokes"], lines=[lines], minutes=0.15, report=reports.append)
    assert any("24 labelled lines: 18 to train on, 6 kept out" in text for text in reports)
    assert result.own and result.epochs >= 1 and result.own_kind == "labelled" and result.own.lines == 6
    assert result.common.lines == 12
    assert out.exists() == result.kept
    work = out.with_name("mine.onnx.adapt")
    assert json.loads((work / "result.json").read_text())["own"]["lines"] == 6
    info = OnnxRecognizer(work / "adapted.onnx").info
    assert info.name == "tiny" and info.calibration and info.recipe
    stored = recipe_from(info.recipe).lines  # everybody's lines: a later call adapts from them, and not from this hand
    assert not stored.labelled and [share.source for share in stored.glyphs] == ["strokes"]
    assert stored.direction == "ltr"  # not auto: a few letters of the hand turn no line
    assert stored.glyphs[0].weight == load_network(reader / BEST_WEIGHTS)[0].recipe.lines.glyphs[0].weight
    trained = (work / "lines" / LABELS).read_text().splitlines()
    assert len(trained) == 18

    again = adapt(out, model=str(reader), glyphs=["strokes"], lines=[lines], minutes=0.15, report=reports.append)
    assert again.epochs == result.epochs and again.minutes == result.minutes  # the time was used up before
    with pytest.raises(UserError, match="holds the training of other settings"):
        adapt(out, model=str(reader), glyphs=["strokes"], minutes=0.1)

    changed = lines / LABELS
    changed.write_text("".join(changed.read_text().splitlines(keepends=True)[:20]))
    anew = adapt(out, model=str(reader), glyphs=["strokes"], lines=[lines], minutes=0.05, report=reports.append)
    assert any("have changed since" in text for text in reports) and anew.epochs < result.epochs


@pytest.mark.slow
def test_better_reader_is_kept_and_a_worse_one_is_not(
    reader: Path, tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapting, "MAX_COMMON_INCREASE", 1.0)
    kept = adapt(tmp_path / "a.onnx", model=str(reader), glyphs=["strokes"], minutes=0.3, report=lambda _: None)
    assert (
        kept.own and kept.own_kind == "composed" and kept.own.after < kept.own.before
    )  # a reader of two epochs has much to learn
    assert kept.kept and OnnxRecognizer(tmp_path / "a.onnx").info.name == "tiny"
    monkeypatch.setattr(adapting, "MAX_COMMON_INCREASE", -1.0)  # nothing is permitted: the most of the old weights
    refused = adapt(tmp_path / "b.onnx", model=str(reader), glyphs=["strokes"], minutes=0.1, report=lambda _: None)
    assert not refused.kept and not (tmp_path / "b.onnx").exists() and "not kept" in refused.reason
    assert refused.initial_share == adapting.INITIAL_SHARES[0]


@pytest.mark.slow
def test_more_of_the_old_weights_are_tried_while_everybodys_lines_are_worse(
    reader: Path, tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LeastMixtures(adapting.Mixtures):  # chooses none of the old weights
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.share, self.shares, self.attempts = 0.0, [0.0], sorted(adapting.INITIAL_SHARES)

    calls: list[list[str]] = []  # truths: everybody's and the hand's in turn
    better = adapting.Comparison(12, 0.5, (0.0, 1.0), 0.4, (0.0, 1.0), 1, 2)
    worse = adapting.Comparison(12, 0.4, (0.0, 1.0), 0.5, (0.0, 1.0), 2, 1)

    def compare(truths: list[str], before: list[str], after: list[str]) -> adapting.Comparison:
        assert len(truths) == len(before) == len(after)
        calls.append(truths)
        return worse if len(calls) in (1, 3) else better  # everybody's lines with 0 and 25 % of the old weights

    def other_reader(mixtures: adapting.Mixtures, share: float) -> None:
        pytest.fail(f"the hand's lines are read with {share:.0%} of the old weights instead of the tried share")

    monkeypatch.setattr(adapting, "Mixtures", LeastMixtures)
    monkeypatch.setattr(LeastMixtures, "reader", other_reader)
    monkeypatch.setattr(adapting, "_comparison", compare)
    out, reports = tmp_path / "mine.onnx", list[str]()
    result = adapt(out, model=str(reader), glyphs=["strokes"], minutes=0.05, report=reports.append)
    assert len({tuple(truths) for truths in calls[::2]}) == 3  # each attempt is decided on lines of its own
    assert len({tuple(truths) for truths in calls[1::2]}) == 1 and len(calls) == 6
    assert result.kept and result.initial_share == 0.5 and out.exists()
    tried = [text for text in reports if "with more of them it may not" in text]
    assert [text.split("%")[0] for text in tried] == ["0", "25"]


@pytest.mark.slow
def test_interrupted_adaptation_goes_on(
    reader: Path, tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, reports = tmp_path / "mine.onnx", list[str]()

    def interrupt(text: str) -> None:
        reports.append(text)
        if text.startswith("epoch 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adapt(out, model=str(reader), glyphs=["strokes"], minutes=0.05, report=interrupt)
    assert load_network(out.with_name("mine.onnx.adapt") / BEST_WEIGHTS)[1]["epoch"] >= 0
    result = adapt(out, model=str(reader), glyphs=["strokes"], minutes=0.05, report=reports.append)
    epochs = [text.split(":")[0] for text in reports if text.startswith("epoch")]
    assert epochs.count("epoch 1") == 1 and result.epochs >= 2


@pytest.mark.slow
def test_few_lines_are_said_to_be_few(tiny_recipe: TinyRecipe, reader: Path, tmp_path: Path, small: None) -> None:
    reports: list[str] = []
    lines = labelled_lines(tiny_recipe, tmp_path, 3)
    with pytest.raises(TooFewLines, match="1 of 20 lines kept out is too few to measure by: give a greater --held-out"):
        adapting._check_counts(19, 1, has_glyphs=False, measured=True, report=reports.append)
    with pytest.raises(TooFewLines, match=f"give at least {FEW_LINES}, or --glyphs"):
        adapt(tmp_path / "a.onnx", model=str(reader), lines=[lines], minutes=0.05, report=reports.append)
    assert any(f"fewer than {FEW_LINES} lines teach little" in text for text in reports)
    result = adapt(
        tmp_path / "a.onnx", model=str(reader), lines=[lines], minutes=0.05, held_out=0, report=reports.append
    )
    assert result.own is None and result.own_kind == "" and result.epochs >= 1
    assert result.kept == (result.common.after <= result.common.before + 0.002)


def test_the_app_says_in_its_own_words_why_a_teaching_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(error: Exception) -> str:
        def run(*args: Any, report_left_out: Callable[[str], None], **kwargs: Any) -> None:
            report_left_out("a.png is left out: it is torn")
            raise error

        monkeypatch.setattr(adapting, "adapt", run)
        with pytest.raises(GlyphlineError) as caught:
            adapt_to_lines(tmp_path / "mine.onnx", tmp_path, 1, said.append, said.append)
        return str(caught.value)

    said: list[str] = []
    assert ends(TooFewLines("give --glyphs")).endswith("correct some more (a.png is left out: it is torn)")
    assert ends(StoppedError("killed", "close programs", "give the command again")).endswith("teach again to go on")
    assert "wrong texts" in ends(DivergedError("--seed")) and said == ["a.png is left out: it is torn"] * 3


def adapt_quickly(
    model: str, out: Path, lines: Path, minutes: float, report: Callable[[str], None], leave_out: Callable[[str], None]
) -> dict[str, Any]:
    """The training of the app at a size that tests can wait for. It runs in a process of its own."""
    vars(adapting).update(SMALL, MAX_COMMON_INCREASE=1.0, time=EpochClock())
    return asdict(adapt(out, model=model, lines=[lines], minutes=0.3, report=report, report_left_out=leave_out))


@pytest.mark.slow
def test_the_app_teaches_its_reader_and_reads_with_it(tiny_recipe: TinyRecipe, reader: Path, tmp_path: Path) -> None:
    """The service, its processes, adapting and the reader that comes out are real."""
    pytest.importorskip("fastapi")
    testclient = pytest.importorskip("fastapi.testclient", reason="needs httpx2")
    from glyphline.app.server import Service, create_app
    from glyphline.app.teaching import Teacher

    folder = labelled_lines(tiny_recipe, tmp_path, 24)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for path in (*folder.glob("*.png"), folder / LABELS):
            file.write(path, f"glyphline-lines/{path.name}")
    picture = {"file": ("a.png", next(folder.glob("*.png")).read_bytes())}
    service = Service(teacher=Teacher(tmp_path / "hand", partial(adapt_quickly, str(reader))), log=lambda _: None)
    with testclient.TestClient(create_app(service), base_url="http://localhost") as client:
        before = client.post("/api/read", files=picture).json()["pages"][0]["lines"]
        answer = client.post("/api/teach", files={"file": ("lines.zip", archive.getvalue())})
        steps = [json.loads(line) for line in answer.text.splitlines()]
        texts = [step.get("step", "") for step in steps]
        assert "24 labelled lines: 18 to train on, 6 kept out" in texts
        assert any(text.startswith("epoch 1: ") for text in texts)
        result = steps[-1]["result"]
        assert result["own"]["lines"] == 6 and result["own"]["after"] < result["own"]["before"] and result["kept"]
        assert 0 <= result["own"]["right_before"] <= result["own"]["right_after"] <= 6
        assert client.get("/api/teach").json()["in_use"] == "mine"
        after = client.post("/api/read", files=picture).json()["pages"][0]["lines"]
        assert {line["recognizer"] for line in before} <= {"photo"} and {line["recognizer"] for line in after} == {
            "tiny"
        }
    assert sorted(path.name for path in (tmp_path / "hand").iterdir()) == ["mine.onnx", "reader.json", "teaching.log"]


def test_mistakes_are_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give --glyphs folder:HAND, --lines FOLDER, or both"):
        adapt(tmp_path / "a.onnx")
    with pytest.raises(UserError, match=r"name it something\.onnx"):
        adapt(tmp_path / "a", glyphs=["strokes"])
    with pytest.raises(UserError, match="give a number above 0"):
        adapt(tmp_path / "a.onnx", glyphs=["strokes"], minutes=0)
    with pytest.raises(UserError, match=r"give a share from 0 to 0\.5"):
        adapt(tmp_path / "a.onnx", glyphs=["strokes"], held_out=0.9)
    with pytest.raises(UserError, match="photo is the same network"):
        adapt(tmp_path / "a.onnx", glyphs=["strokes"], model="pp-ocr")
    assert not list(tmp_path.iterdir())
