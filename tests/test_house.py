"""Tests of the structure: module and import rules, and the contract of each family."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import glyphline
from glyphline.alphabet import ALPHABETS, Alphabet
from glyphline.app.translators import TRANSLATORS, open_translator
from glyphline.app.translators.contract import Translator
from glyphline.app.voices import VOICES
from glyphline.app.voices.contract import Voice
from glyphline.composing.effects import EFFECTS, Effect
from glyphline.composing.fetch import DATASETS, Dataset
from glyphline.composing.glyphs import GLYPHS
from glyphline.composing.layouts import LAYOUTS, Layout
from glyphline.composing.sentences import PUNCTUATION_MODES, SENTENCES
from glyphline.imaging.normalization import NORMALIZATIONS
from glyphline.page import Character, Line, Page
from glyphline.reading.formats import FORMATS, open_format
from glyphline.reading.recognition.decoders import DECODERS, DecodedText, open_decoder
from glyphline.reading.recognition.recognizers import RECOGNIZERS
from glyphline.recipe import NetworkRecipe
from glyphline.score import FOLDS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "glyphline"
SOURCES = sorted(PACKAGE.rglob("*.py"))
HEAVY_PACKAGES = {"torch", "lightning", "wandb", "tensorboard", "matplotlib", "onnx", "ray", "pyarrow", "upath"}


def parse_module(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


# ---------------------------------------------------------------------- names and docstrings


def test_no_catch_all_modules() -> None:
    catch_all = re.compile(r"^_?(utils?|common|base|helpers?|misc)$")
    assert not [path for path in PACKAGE.rglob("*") if catch_all.match(path.stem)]


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_every_module_has_a_docstring(path: Path) -> None:
    docstring = ast.get_docstring(parse_module(path))
    assert docstring and len(docstring.splitlines()[0]) > 10


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_every_public_class_has_a_docstring(path: Path) -> None:
    classes = [node for node in parse_module(path).body if isinstance(node, ast.ClassDef)]
    assert not [c.name for c in classes if not c.name.startswith("_") and not ast.get_docstring(c)]


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_family_docstring_says_how_to_add_a_member(path: Path) -> None:
    docstring = ast.get_docstring(parse_module(path)) or ""
    if "FAMIL" in docstring:
        assert "To add " in docstring
        tables = re.findall(r"\b[A-Z]{4,}\b", docstring.split("To add ", 1)[1])
        module = importlib.import_module(module_name(path)) if "training" not in path.parts else None
        assert tables and (module is None or any(isinstance(getattr(module, table, None), dict) for table in tables))


def test_no_unsafe_loading() -> None:
    """Files are data: no pickle, no eval, no yaml.load."""
    for path in SOURCES:
        for node in ast.walk(parse_module(path)):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {a.name for a in node.names} | {getattr(node, "module", None)}
                assert not names & {"pickle", "marshal", "shelve", "dill"}, path
            if isinstance(node, ast.Call):
                function = ast.unparse(node.func)
                assert function not in ("eval", "exec", "yaml.load", "yaml.unsafe_load", "os.system"), path
                keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
                assert function != "torch.load" or keywords.get("weights_only") == "True", path
                assert keywords.get("allow_pickle") != "True", path


# ---------------------------------------------------------------------- public names and imports


def test_public_names() -> None:
    assert glyphline.__all__ == ["Page", "__version__", "compose", "open_reader", "read"]
    assert all(hasattr(glyphline, name) for name in glyphline.__all__)
    assert glyphline.Page is Page and re.fullmatch(r"\d+\.\d+\.\d+", glyphline.__version__)


@pytest.mark.parametrize(
    "module",
    [
        "glyphline",
        "glyphline.app.translators",
        "glyphline.app.voices",
        "glyphline.reading.lines",
        "glyphline.cli.demonstration",
        "glyphline.composing.line_sets",
        "glyphline.cli",
    ],
)
def test_import_loads_no_heavy_packages(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "glyphline" in loaded.stdout.split()
    assert not HEAVY_PACKAGES & set(loaded.stdout.split())


def test_importing_the_package_loads_no_dependencies() -> None:
    code = "import sys, glyphline; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"numpy", "cv2", "PIL", "onnxruntime", "typer", "rich"} & set(loaded.stdout.split())


def test_reading_leaves_nothing_of_onnxruntimes_telemetry(tmp_path: Path) -> None:
    """From version 1.29 on it keeps a device id and a file of events in the user's cache folder, and sends them."""
    environment = {k: v for k, v in os.environ.items() if k not in ("ORT_DISABLE_TELEMETRY", "CI", "XDG_CACHE_HOME")}
    code = "import numpy, glyphline; glyphline.read(numpy.full((40, 200), 255, numpy.uint8))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env={**environment, "HOME": str(tmp_path)})
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_import_contracts_hold() -> None:
    """Checks the contracts of pyproject.toml with import-linter."""
    linter = Path(sys.executable).with_name("lint-imports")
    if not linter.exists():
        pytest.skip("import-linter is not installed beside this Python: pip install import-linter")
    result = subprocess.run([str(linter), "--no-cache"], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "5 kept, 0 broken" in result.stdout


def test_reading_and_composing_do_not_import_each_other() -> None:
    """Imports inside functions count too."""
    forbidden = {
        "reading": ("glyphline.composing", "glyphline.training", "torch"),
        "composing": ("glyphline.reading", "glyphline.training", "torch"),
    }
    for package, modules in forbidden.items():
        for path in (PACKAGE / package).rglob("*.py"):
            for node in ast.walk(parse_module(path)):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not [n for n in names if n.startswith(modules)], path


# ---------------------------------------------------------------------- families


def test_effects_have_a_stage_and_help() -> None:
    for effect in EFFECTS.values():
        assert isinstance(effect, Effect) and effect.stage in ("ink", "photo") and effect.help


def test_layouts_have_a_name_and_a_normalization() -> None:
    for name, layout in LAYOUTS.items():
        assert issubclass(layout, Layout) and layout.name == name and layout.normalization in NORMALIZATIONS


def test_glyphs_sentences_and_data_sets_are_complete() -> None:
    """Each can be opened and has a line of help. tests/composing tests their contracts."""
    for open_source, help_text in GLYPHS.values():
        assert callable(open_source) and help_text
    for read_groups, tokenised, help_text in SENTENCES.values():
        assert callable(read_groups) and isinstance(tokenised, bool) and help_text
    assert all(callable(clean) for clean in PUNCTUATION_MODES.values())
    assert all(isinstance(dataset, Dataset) and dataset.urls and dataset.files for dataset in DATASETS.values())


def test_alphabets_and_folds_are_complete() -> None:
    assert all(len(Alphabet(characters)) > 10 for characters in ALPHABETS.values())
    assert all(callable(fold) and description for fold, description in FOLDS.values())


@pytest.mark.parametrize("name", DECODERS)
def test_decoder_reads_certain_log_probabilities(name: str) -> None:
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
def test_format_is_deterministic_and_holds_the_text(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")  # PAGE-XML holds the time of writing
    characters = tuple(Character(c, 0.9, float(k), k + 1.0) for k, c in enumerate("two words"))
    page = Page(
        90, 9, (Line("two words", 0.9, ((0.0, 0.0), (90.0, 0.0), (90.0, 9.0), (0.0, 9.0)), "reader", characters),)
    )
    output_format = open_format(name)

    def render() -> str | bytes:
        return output_format.render("a.png", [page], lambda page: np.full((9, 90, 3), 255, np.uint8))

    document = render()
    assert document == render() and output_format.suffix.startswith(".") and output_format.help.startswith(f"{name}: ")
    if isinstance(document, str):  # the text is in an attribute, or each character in its own element
        assert not document.endswith("\n") and ("two" in document or "two" in re.sub("<[^>]*>", "", document))


def test_recognizers_are_chosen_by_suffix() -> None:
    assert all(suffix.startswith(".") and callable(recognizer) for suffix, recognizer in RECOGNIZERS.items())


def public_methods(cls: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(cls, inspect.isfunction) if not name.startswith("_")}


def test_trackers_implement_the_contract() -> None:
    trackers = importlib.import_module("glyphline.training.trackers")
    methods = public_methods(trackers.Tracker)
    for tracker in trackers.TRACKERS.values():
        assert issubclass(tracker, trackers.Tracker) and tracker.help
        for method in methods:  # the same parameters as the contract's
            assert list(inspect.signature(getattr(tracker, method)).parameters) == list(
                inspect.signature(getattr(trackers.Tracker, method)).parameters
            )


def test_translators_and_voices_implement_their_contracts() -> None:
    for table, contract in ((TRANSLATORS, Translator), (VOICES, Voice)):
        for name, member in table.items():
            assert member.name == name and public_methods(contract) <= public_methods(member)
            for method in public_methods(contract):  # the same parameters as the contract's
                assert list(inspect.signature(getattr(member, method)).parameters) == list(
                    inspect.signature(getattr(contract, method)).parameters
                )
    for name in TRANSLATORS:
        pairs = open_translator(name).pairs()
        assert all(pair.translator == name and pair.source != pair.target for pair in pairs)


def test_encoders_and_contexts_return_the_declared_shapes() -> None:
    torch = pytest.importorskip("torch")
    encoders = importlib.import_module("glyphline.training.encoders")
    recipe = NetworkRecipe(channels=(4, 4), stride=4, features=8, layers=1)
    with torch.no_grad():
        for name, make_encoder in encoders.ENCODERS.items():
            channels = (4, 4, 4) if name == "lcnet" else (4, 4)
            encoder = make_encoder(dataclasses.replace(recipe, channels=channels), 48)
            features = encoder(torch.rand(2, 1, 48, 96))
            assert features.shape == (2, encoder.steps(96), encoder.features), name
            assert encoder.stride > 0
        for name, make_context in encoders.CONTEXTS.items():
            context = make_context(8, recipe)
            assert context(torch.rand(2, 5, 8)).shape == (2, 5, context.features), name
