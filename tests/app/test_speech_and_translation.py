"""Tests of `glyphline read --translate`, `--speak`, `--speech-out` and of `glyphline translate`."""

from __future__ import annotations

import contextlib
import io
import json
import os
import stat
import wave
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import jsonschema
import numpy as np
import pytest

from glyphline.app.translators import phrase_book
from glyphline.cli import main
from glyphline.cli.read import ReaderOptions
from glyphline.page import Line, Page, Word

ROOT = Path(__file__).parents[2]
needs_voices = pytest.mark.skipif(find_spec("hibari") is None, reason='needs pip install "glyphline[app]"')


class CommandResult(NamedTuple):
    code: Any
    out: str
    err: str


def run(*words: object) -> CommandResult:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as exit_info:
        main([str(word) for word in words])
    return CommandResult(exit_info.value.code, out.getvalue(), err.getvalue())


class SignReader:
    """A PageReader that reads the same German sign from every image."""

    detector = None
    min_confidence = 0.7

    def read_pages(self, source: object) -> list[Page]:
        texts = ("NOTAUSGANG", "Wir bellen ungern um den Apfel herum")
        words = [tuple(Word(word, 0.9, 0, 1) for word in text.split()) for text in texts]
        lines = [
            Line(text, 0.9, (), "sign", words=words[k], paragraph=k, language="de") for k, text in enumerate(texts)
        ]
        return [Page(90, 30, (*lines, Line("", 0.1, (), "sign", rejected=True, reason="too blurred")), language="de")]


@pytest.fixture
def sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of an image that is read as SignReader says, with the phrase book as the only translator."""
    monkeypatch.setattr("glyphline.reading.pages.open_reader", lambda *_: SignReader())
    monkeypatch.setattr("glyphline.app.translators.TRANSLATORS", {"phrase-book": phrase_book.PhraseBook})
    cv2.imwrite(str(tmp_path / "sign.png"), np.full((30, 90, 3), 255, np.uint8))
    return tmp_path / "sign.png"


def test_text_has_the_translation_in_place_of_the_lines(sign: Path) -> None:
    result = run("read", sign, "--translate", "en")
    assert result.out == "EMERGENCY EXIT\nWir bellen ungern um den Apfel herum\n" and result.code == 0
    assert "glyphline translate install de en" in result.err and "1 of 3 lines rejected" in result.err
    assert run("read", sign).out.startswith("NOTAUSGANG\n")


def test_json_has_the_translation_beside_the_text(sign: Path) -> None:
    document = json.loads(run("read", sign, "--translate", "en", "--format", "json").out)
    lines = document["pages"][0]["lines"]
    assert lines[0]["text"] == "NOTAUSGANG" and lines[0]["translation"] == {
        "language": "en", "text": "EMERGENCY EXIT", "translator": "phrase-book", "is_gist": False, "unknown": [],
    }  # fmt: skip
    assert lines[1]["translation"]["text"] == lines[1]["text"] and lines[1]["translation"]["translator"] == ""
    assert lines[2]["rejected"] and lines[2]["translation"]["text"] == ""
    jsonschema.validate(document, json.loads((ROOT / "docs" / "page.schema.json").read_text(encoding="utf-8")))
    assert '"translation"' not in run("read", sign, "--format", "json").out


def test_a_folder_of_results_is_translated(sign: Path, tmp_path: Path) -> None:
    assert run("read", sign, "--translate", "fr", "--out", tmp_path / "out").code == 0
    assert (tmp_path / "out" / "sign.png.txt").read_text(encoding="utf-8").startswith("SORTIE DE SECOURS\n")
    other = run("read", sign, "--translate", "en", "--out", tmp_path / "out")
    assert other.code == 2 and "made with other settings (translate 'fr', not 'en')" in other.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--translate", "english"), 'glyphline: "english" is no language code: give one such as en, de, pt'),
        (("--translate", "en", "--format", "hocr"), "--translate goes with --format text and json, not with hocr"),
        (("--speech-out", "sign.mp3"), "--speech-out sign.mp3: speech is a WAV file; name it something.wav"),
        (("--speak", "--out", "folder"), "leave out --out FOLDER"),
        (("--speech-out", "sign.wav", "--out", "folder"), "--speech-out sign.wav is one file"),
    ],
)
def test_mistakes(sign: Path, options: tuple[str, ...], message: str) -> None:
    result = run("read", sign, *options)
    assert (result.code, result.out) == (2, "") and message in result.err and result.err.count("\n") == 1


def test_speech_out_takes_one_image(sign: Path) -> None:
    sign.with_name("other.png").write_bytes(sign.read_bytes())
    result = run("read", sign, sign.with_name("other.png"), "--speech-out", "sign.wav")
    assert result.code == 2 and "give one image" in result.err


@needs_voices
def test_speech_out_writes_what_was_read_or_translated(sign: Path, tmp_path: Path) -> None:
    seconds = []
    for options in ((), ("--translate", "en")):
        result = run("read", sign, "--speech-out", tmp_path / "sign.wav", *options)
        assert result.code == 0 and result.out
        with wave.open(str(tmp_path / "sign.wav")) as file:
            seconds.append(file.getnframes() / file.getframerate())
    assert all(2 < length < 8 for length in seconds) and seconds[0] != seconds[1]


def write_player(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)


@needs_voices
@pytest.mark.skipif(os.name == "nt", reason="the player of this test is a shell script")
def test_speak_plays_through_the_first_player_that_works(
    sign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    players = tmp_path / "bin"
    players.mkdir()
    monkeypatch.setenv("PATH", str(players))
    silent = run("read", sign, "--speak")
    assert silent.code == 2 and silent.out.startswith("NOTAUSGANG") and "no player is installed (paplay" in silent.err
    assert "--speech-out sign.wav" in silent.err
    write_player(players, "paplay", "echo connection refused >&2; exit 1")
    broken = run("read", sign, "--speak")
    assert broken.code == 2 and "paplay: connection refused" in broken.err
    write_player(players, "aplay", f'/bin/cp "$2" {tmp_path}/played.wav')
    assert run("read", sign, "--speak").code == 0
    with wave.open(str(tmp_path / "played.wav")) as file:
        assert file.getnframes() > file.getframerate()


# ------------------------------------------------------------------------------------------------- glyphline translate


def test_list_has_a_row_a_pair() -> None:
    result = run("translate", "list")
    assert result.code == 0 and "phrase book of common signs" in result.err
    assert all(row.count("\t") == 4 for row in result.out.splitlines())
    if find_spec("fxtranslate"):
        assert "\nde\ten\tfirefox\t" in "\n" + result.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("instal", "de", "en"), 'did you mean "install"? choices: install, list, remove'),
        (("install", "de"), "takes two languages: glyphline translate install de en"),
        (("remove",), "takes two languages: glyphline translate remove de en"),
        (("list", "de"), "takes no languages"),
        (("install", "de", "de"), "is no pair of two languages"),
        (("remove", "xx", "en"), "no model from xx to en is installed"),
    ],
)
def test_mistakes_of_translate(words: tuple[str, ...], message: str) -> None:
    result = run("translate", *words)
    assert (result.code, result.out) == (2, "") and message in result.err and result.err.count("\n") == 1


def test_install_reports_a_failed_download(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fxtranslate")
    monkeypatch.setenv("FXTRANSLATE_RECORDS_URL", "http://127.0.0.1:9/records")
    result = run("translate", "install", "de", "en")
    assert result.code == 1 and "Firefox's model de-en could not be downloaded" in result.err


def test_options_of_older_folders_have_no_translation() -> None:
    assert ReaderOptions("auto", "beam", "auto", None, None, None).translate is None
