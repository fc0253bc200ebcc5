"""Tests of Argos packages: what is refused, and a real one, trained here, that translates."""

from __future__ import annotations

import json
import shutil
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from glyphline.app.translators import argos, translate_lines, translate_text
from glyphline.app.translators.argos import Argos, find_packages, read_package, unpack
from glyphline.errors import DataError, MissingPackage, UserError
from glyphline.page import Line

METADATA = {"from_code": "en", "to_code": "de", "package_version": "1.0"}
needs_argos = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("ctranslate2", "sentencepiece", "torch")),
    reason='needs pip install "glyphline[argos,train]"',
)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of packages."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.setenv("ARGOS_PACKAGES_DIR", str(folder))
    argos._load_model.cache_clear()
    return folder


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_packages_are_found_and_unpacked_once(packages: Path) -> None:
    files = {"en_de/metadata.json": json.dumps(METADATA).encode(), "en_de/model/config.json": b"{}"}
    path = write_zip(packages / "translate-en_de-1_0.argosmodel", files)
    assert find_packages()["en", "de"].path == path
    folder = unpack(path)
    assert (folder / "model" / "config.json").read_text() == "{}" and unpack(path) == folder
    assert find_packages()["en", "de"].path == folder  # a folder comes before a file
    assert sorted(entry.name for entry in packages.iterdir()) == [folder.name, path.name]
    assert Argos().remove("en", "de") and not list(packages.iterdir()) and not Argos().remove("en", "de")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"en_de/metadata.json": b"{}"}, "from_code"),
        ({"en_de/metadata.json": b"[]"}, "no Argos package"),
        ({"en_de/metadata.json": b"\xff"}, "no Argos package"),
        ({"en_de/x": b""}, "no Argos package"),
        ({"../metadata.json": json.dumps(METADATA).encode()}, "one folder"),
        ({"en_de/metadata.json": json.dumps(METADATA).encode(), "en_de/../../x": b""}, "one folder"),
        ({"/etc/metadata.json": json.dumps(METADATA).encode()}, "one folder"),
        ({"a/metadata.json": json.dumps(METADATA).encode(), "b/x": b""}, "one folder"),
        ({"en_de/metadata.json": bytes(2_000_000)}, "too large"),
        ({f"en_de/{k}": b"" for k in range(300)}, "too large"),
    ],
)
def test_hostile_and_damaged_packages_are_refused(packages: Path, files: dict[str, bytes], message: str) -> None:
    path = write_zip(packages / "bad.argosmodel", files)
    with pytest.raises(DataError, match=message):
        read_package(path)
    assert find_packages() == {}


def test_bombs_and_links_are_refused(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(argos, "MAX_BYTES", 1000)
    files = {"en_de/metadata.json": json.dumps(METADATA).encode(), "en_de/model.bin": bytes(2000)}
    with pytest.raises(DataError, match="too large"):
        unpack(write_zip(packages / "bomb.argosmodel", files))
    link = zipfile.ZipInfo("en_de/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(packages / "link.argosmodel", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="link"):
        unpack(packages / "link.argosmodel")
    (packages / "junk.argosmodel").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"junk\.argosmodel"):
        read_package(packages / "junk.argosmodel")
    assert not [entry for entry in packages.iterdir() if entry.suffix != ".argosmodel"]


def test_install_says_where_packages_go(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"\*\.argosmodel"):
        Argos().install("en", "de", None)
    monkeypatch.setattr(argos, "find_spec", lambda name: None)
    assert Argos().pairs() == []
    (packages / "en_de").mkdir()
    (packages / "en_de" / "metadata.json").write_text(json.dumps(METADATA))
    with pytest.raises(MissingPackage, match=r'pip install "glyphline\[argos\]"'):
        Argos().translate(["Exit"], "en", "de")


@needs_argos
def test_a_damaged_model_is_reported(packages: Path) -> None:
    (packages / "en_de" / "model").mkdir(parents=True)
    (packages / "en_de" / "metadata.json").write_text(json.dumps(METADATA))
    with pytest.raises(DataError, match=r"no sentencepiece\.model"):
        translate_text("Exit", "en", "de", "argos")
    (packages / "en_de" / "sentencepiece.model").write_bytes(b"junk")
    with pytest.raises(DataError, match="damaged"):
        translate_text("Exit", "en", "de", "argos")


@needs_argos
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")
def test_a_real_package_translates(packages: Path) -> None:
    from argos_package import SIGNS, write_package

    write_package(packages / "en_de")
    shutil.make_archive(str(packages / "translate-en_de-1_0"), "zip", packages, "en_de")
    (packages / "translate-en_de-1_0.zip").rename(packages / "translate-en_de-1_0.argosmodel")
    shutil.rmtree(packages / "en_de")
    for english, german in SIGNS:
        line = translate_text(english, "en", "de", "argos")
        assert (line.text, line.translator, line.is_gist) == (german, "argos", False)
    lines = [Line(text, 1.0, (), "") for text in ("THE MUSEUM", "IS CLOSED")]
    page = translate_lines(lines, "en", "de", "argos")
    assert [line.text for line in page.lines] == ["DAS MUSEUM IST", "GESCHLOSSEN"]
    assert translate_text("The museum is closed", "en", "de").translator == "argos"  # not a phrase of the phrase book
