"""The README says what is so: its Python session runs, its commands and options exist, its links lead somewhere."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from glyphline.cli import main
from glyphline.reading.recognition.recognizers import bundled_names

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text(encoding="utf-8")
COMMANDS = sorted({c.strip() for c in re.findall(r"^ {4}(glyphline [^\n#]+)", TEXT, re.MULTILINE)})


@pytest.mark.skipif("reader" not in bundled_names(), reason="no reader is bundled yet")
@pytest.mark.parametrize("page, least", [("README.md", 5), ("docs/reading.md", 3)])
def test_the_session_runs(page: str, least: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(README.parent)
    failed, tried = doctest.testfile(page, module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert tried >= least and failed == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_exists(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, verb, *rest = command.split()
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert all(option in said for option in rest if option.startswith("--"))


def test_make_targets_exist() -> None:
    targets = re.findall(r"^([a-z]+):", (README.parent / "Makefile").read_text(), re.MULTILINE)
    named = set(re.findall(r"make ([a-z]+)", TEXT))
    assert {"demo", "test"} <= named <= set(targets) | {"are"}


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert target.startswith("https://") or (README.parent / target).exists(), target
