"""The house: where things stand, what they may import, and that every family keeps its contract."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glyphline
from glyphline.alphabet import ALPHABETS, Alphabet
from glyphline.composing.effects import EFFECTS, Effect
from glyphline.composing.fetch import FETCHABLE, Archive
from glyphline.composing.glyphs import GLYPHS
from glyphline.composing.layouts import LAYOUTS, Layout
from glyphline.composing.sentences import PUNCTUATION, SENTENCES
from glyphline.imaging.normalization import NORMALIZATIONS
from glyphline.page import Character, Line, Page
from glyphline.reading.formats import FORMATS, open_format
from glyphline.reading.recognition.decoders import DECODERS, DecodedText, open_decoder
from glyphline.reading.recognition.recognizers import RECOGNIZERS
from glyphline.score import FOLDS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "glyphline"
SOURCES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {"torch", "lightning", "wandb", "tensorboard", "matplotlib", "onnx"}


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


# ---------------------------------------------------------------------- names and words


def test_no_drawer_for_everything() -> None:
    odd = re.compile(r"^_?(utils?|common|base|helpers?|misc)$")
    assert not [path for path in PACKAGE.rglob("*") if odd.match(path.stem)]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    said = ast.get_docstring(tree_of(path))
    assert said and len(said.splitlines()[0]) > 10


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_public_class_says_what_it_is(path: Path) -> None:
    classes = [node for node in tree_of(path).body if isinstance(node, ast.ClassDef)]
    assert not [c.name for c in classes if not c.name.startswith("_") and not ast.get_docstring(c)]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_family_says_how_to_add_to_it(path: Path) -> None:
    said = ast.get_docstring(tree_of(path)) or ""
    if "FAMIL" in said:
        assert "To add " in said
        tables = re.findall(r"\b[A-Z]{4,}\b", said.split("To add ", 1)[1])
        module = importlib.import_module(name_of(path)) if "training" not in path.parts else None
        assert tables and (module is None or any(isinstance(getattr(module, t, None), dict) for t in tables))


def test_nothing_unsafe_is_loaded() -> None:
    """No pickle, no eval, no yaml.load: what a file says is data."""
    for path in SOURCES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {a.name for a in node.names} | {getattr(node, "module", None)}
                assert not names & {"pickle", "marshal", "shelve", "dill"}, path
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("eval", "exec", "yaml.load", "yaml.unsafe_load", "os.system"), path
                keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
                assert called != "torch.load" or keywords.get("weights_only") == "True", path
                assert keywords.get("allow_pickle") != "True", path


# ---------------------------------------------------------------------- the face and the arrows


def test_the_face() -> None:
    assert glyphline.__all__ == ["Page", "__version__", "compose", "open_reader", "read"]
    assert all(hasattr(glyphline, name) for name in glyphline.__all__)
    assert glyphline.Page is Page and re.fullmatch(r"\d+\.\d+\.\d+", glyphline.__version__)


@pytest.mark.parametrize(
    "module",
    [
        "glyphline",
        "glyphline.reading.lines",
        "glyphline.cli.demonstration",
        "glyphline.composing.line_sets",
        "glyphline.cli",
    ],
)
def test_importing_it_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "glyphline" in loaded.stdout.split()
    assert not HEAVY & set(loaded.stdout.split())


def test_the_face_itself_loads_next_to_nothing() -> None:
    code = "import sys, glyphline; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"numpy", "cv2", "PIL", "onnxruntime", "typer", "rich"} & set(loaded.stdout.split())


def test_arrows_run_down_only() -> None:
    """The contracts of pyproject.toml, held by import-linter."""
    tool = Path(sys.executable).with_name("lint-imports")
    if not tool.exists():
        pytest.skip("import-linter is not installed beside this Python: pip install import-linter")
    said = subprocess.run([str(tool), "--no-cache"], capture_output=True, text=True, cwd=ROOT)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "4 kept, 0 broken" in said.stdout


def test_wings_keep_apart() -> None:
    """What the contracts cannot say: a lazy import inside a function counts, too."""
    forbidden = {
        "reading": ("glyphline.composing", "glyphline.training", "torch"),
        "composing": ("glyphline.reading", "glyphline.training", "torch"),
    }
    for wing, others in forbidden.items():
        for path in (PACKAGE / wing).rglob("*.py"):
            for node in ast.walk(tree_of(path)):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not [n for n in names if n.startswith(others)], path


# ---------------------------------------------------------------------- families


def test_effects() -> None:
    for effect in EFFECTS.values():
        assert isinstance(effect, Effect) and effect.stage in ("ink", "photo") and effect.help


def test_layouts() -> None:
    for name, kind in LAYOUTS.items():
        assert issubclass(kind, Layout) and kind.name == name and kind.normalization in NORMALIZATIONS


def test_glyphs_sentences_and_data_sets() -> None:
    """Their contracts stand in tests/composing; here, that each can be opened by a word and has a line of help."""
    for opens, sentence in GLYPHS.values():
        assert callable(opens) and sentence
    for groups, tokenised, sentence in SENTENCES.values():
        assert callable(groups) and isinstance(tokenised, bool) and sentence
    assert all(callable(treat) for treat in PUNCTUATION.values())
    assert all(isinstance(archive, Archive) and archive.urls and archive.members for archive in FETCHABLE.values())


def test_alphabets_and_folds() -> None:
    assert all(len(Alphabet(characters)) > 10 for characters in ALPHABETS.values())
    assert all(callable(fold) and sentence for fold, sentence in FOLDS.values())


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_reads_what_is_beyond_doubt(name: str) -> None:
    alphabet = Alphabet(" ab")
    path = [0, 2, 2, 0, 1, 3, 0, 3]
    log_probs = np.full((len(path), len(alphabet)), -20.0, np.float32)
    log_probs[np.arange(len(path)), path] = 0.0
    decoded = open_decoder(name, alphabet)(log_probs, alphabet)
    assert isinstance(decoded, DecodedText) and decoded.text == "a bb" and decoded.confidence > 0.99
    assert "".join(span.character for span in decoded.spans) == decoded.text
    ends = [step for span in decoded.spans for step in (span.start, span.end)]
    assert ends == sorted(ends) and ends[-1] <= len(path)
    assert open_decoder(name, alphabet)(log_probs[:0], alphabet).text == ""


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_a_document_that_is_the_same_each_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")  # PAGE-XML says when it was made
    letters = tuple(Character(c, 0.9, float(k), k + 1.0) for k, c in enumerate("two words"))
    page = Page(90, 9, (Line("two words", 0.9, ((0.0, 0.0), (90.0, 0.0), (90.0, 9.0), (0.0, 9.0)), "reader", letters),))
    shape = open_format(name)

    def made() -> str | bytes:
        return shape.make("a.png", [page], lambda page: np.full((9, 90, 3), 255, np.uint8))

    said = made()
    assert said == made() and shape.suffix.startswith(".") and shape.help.startswith(f"{name}: ")
    if isinstance(said, str):  # in an attribute, or each character in an element of its own
        assert not said.endswith("\n") and ("two" in said or "two" in re.sub("<[^>]*>", "", said))


def test_engines_are_chosen_by_suffix() -> None:
    assert all(suffix.startswith(".") and callable(kind) for suffix, kind in RECOGNIZERS.items())


def methods(kind: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}


def test_trackers_answer_to_every_call() -> None:
    trackers = importlib.import_module("glyphline.training.trackers")
    calls = methods(trackers.Tracker)
    for kind in trackers.TRACKERS.values():
        assert issubclass(kind, trackers.Tracker) and kind.help
        for call in calls:  # the same arguments as the contract's
            assert list(inspect.signature(getattr(kind, call)).parameters) == list(
                inspect.signature(getattr(trackers.Tracker, call)).parameters
            )


def test_encoders_and_contexts_keep_their_shapes() -> None:
    torch = pytest.importorskip("torch")
    encoders = importlib.import_module("glyphline.training.encoders")
    recipe: Any = importlib.import_module("glyphline.recipe").NetworkRecipe(
        channels=(4, 4), stride=4, features=8, layers=1
    )
    tables: list[tuple[dict[str, Callable[..., Any]], str]] = [
        (encoders.ENCODERS, "encoder"),
        (encoders.CONTEXTS, "context"),
    ]
    with torch.no_grad():
        for name, make in tables[0][0].items():
            encoder = make(recipe, 40)
            features = encoder(torch.rand(2, 1, 40, 96))
            assert features.shape == (2, encoder.steps(96), encoder.features), name
            assert encoder.stride > 0
        for name, make in tables[1][0].items():
            context = make(8, recipe)
            assert context(torch.rand(2, 5, 8)).shape == (2, 5, context.features), name
