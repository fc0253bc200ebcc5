"""README and documentation: Python sessions run, commands parse, links have targets, the site builds."""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer

from glyphline.cli.application import app
from glyphline.reading.recognition.recognizers import bundled_names

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
SESSIONS = [page for page in PAGES if ">>> " in page.read_text(encoding="utf-8")]


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def commands(page: Path) -> list[str]:
    """The commands in the indented code blocks of a page, without comments. Continued lines are joined."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line.split("  #")[0].strip() for line in re.findall(r"^ {4}(\S.*)$", text, re.MULTILINE)]


GLYPHLINE_COMMANDS = sorted({c for page in PAGES for c in commands(page) if c.startswith("glyphline ")})


@pytest.mark.skipif("reader" not in bundled_names(), reason="no reader is bundled yet")
@pytest.mark.parametrize("page", SESSIONS, ids=page_name)
def test_python_session_runs(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    failed, tried = doctest.testfile(str(page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert tried >= 3 and failed == 0


@pytest.mark.parametrize("command", GLYPHLINE_COMMANDS)
def test_command_parses(command: str) -> None:
    """The verb, every option and the values of options exist."""
    _, verb, *words = shlex.split(command)
    group: Any = typer.main.get_command(app)
    group.commands[verb].make_context(verb, words)  # raises a usage error for what does not exist


def test_commands_of_every_verb_are_documented() -> None:
    group: Any = typer.main.get_command(app)
    text = "\n".join(GLYPHLINE_COMMANDS) + (ROOT / "README.md").read_text(encoding="utf-8")
    assert not [verb for verb in group.commands if f"glyphline {verb}" not in text]


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {c.split()[1] for page in PAGES for c in commands(page) if c.startswith("make ")}
    assert {"demo", "test", "docs", "check"} <= named <= targets


def test_scripts_exist() -> None:
    scripts = {c.split()[1] for page in PAGES for c in commands(page) if c.startswith("python ")}
    assert scripts and not [script for script in scripts if not (ROOT / script).is_file()]


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_have_targets(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_named_files_exist() -> None:
    """Paths of the repository that are named in code style exist."""
    roots = ("src/", "tests/", "benchmarks/", "recipes/", "docs/", "examples/")
    modules = ("imaging/", "composing/", "training/", "reading/", "app/", "cli/")
    for page in PAGES:
        for path in re.findall(r"`([\w./-]+\.(?:py|yaml|json|md|txt))`", page.read_text(encoding="utf-8")):
            if path.startswith(roots):
                assert (ROOT / path).exists(), f"{page.name}: {path}"
            elif path.startswith(modules):
                assert (ROOT / "src" / "glyphline" / path).exists(), f"{page.name}: {path}"


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 130


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mkdocs") is None, reason='needs pip install "glyphline[docs]"')
def test_site_builds_strictly_and_needs_no_network(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = sorted((tmp_path / "site").rglob("*.html"))
    assert len(pages) >= 15
    fetched = re.compile(r'<(?:script|img|link)\b[^>]*\b(?:src|href)="https?://(?!localhost)[^"]*"')
    for page in pages:
        remote = [tag for tag in fetched.findall(page.read_text(encoding="utf-8")) if 'rel="canonical"' not in tag]
        assert not remote, f"{page.name}: {remote[:3]}"


def test_examples_of_family_members_run() -> None:
    """The code of docs/contributing.md runs from top to bottom, in a process of its own: it adds rows to the tables."""
    text = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 12  # one for each family
    done = subprocess.run([sys.executable, "-"], input="\n".join(blocks), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
