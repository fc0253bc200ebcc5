"""docs/own-characters.md does what it says, command by command; only its training is cut short here."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from glyphline.cli import main
from glyphline.reading.recognition.recognizers import alphabet_of, open_recognizer
from glyphline.recipe import load_recipe

pytest.importorskip("torch")
pytest.importorskip("onnx")

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "own-characters.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^ {4}((?:glyphline|python) .+)$", PAGE, re.MULTILINE)
SHORT = ["--set", "training.epochs=3", "--set", "training.epoch_lines=640", "--set", "training.validation_lines=40",
         "--set", "training.learning_rate=0.006", "--track", "csv"]  # fmt: skip


@pytest.mark.slow
def test_the_page_leads_from_a_folder_to_a_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verbs = [command.split()[1] for command in COMMANDS]
    assert verbs == ["examples/own/runes.py", "compose", "train", "language", "export", "read", "evaluate"]
    for name in ("recipes", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    said = {}
    for command in COMMANDS:
        who, verb, *rest = shlex.split(command)
        capsys.readouterr()
        if who == "python":
            subprocess.run([sys.executable, verb, *rest], check=True)
            continue
        more = SHORT if verb == "train" else ["--count", "40", "--json"] if verb == "evaluate" else []
        if verb == "read":
            more = ["--min-confidence", "0"]  # so little trained, it would leave everything rejected
        with pytest.raises(SystemExit) as ended:
            main([verb, *rest, *more])
        assert ended.value.code == 0, command
        said[verb] = capsys.readouterr().out
    curve = [float(row.split(",")[2]) for row in Path("runs/own/metrics.csv").read_text().splitlines()
             if row.split(",")[1] == "val_loss"]  # fmt: skip
    assert len(curve) == 3 and curve[-1] < curve[0]
    assert alphabet_of(open_recognizer("own/runes.onnx")).characters == load_recipe("recipes/own.yaml").lines.alphabet
    assert Path("own/sheet.png").stat().st_size > 1000
    result = json.loads(said["evaluate"])
    assert result["lines"] == 40 and result["decoder"] == "beam:own/runes.lm" and 0 < result["cer"] <= 1
