"""Runs the commands of docs/own-characters.md in order, with a shortened training."""

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
SHORT_TRAINING = [
    "--set", "training.epochs=3", "--set", "training.epoch_lines=640", "--set", "training.validation_lines=40",
    "--set", "training.learning_rate=0.006", "--track", "csv",
]  # fmt: skip


@pytest.mark.slow
def test_commands_of_the_page_train_a_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verbs = [command.split()[1] for command in COMMANDS]
    assert verbs == ["examples/own/runes.py", "compose", "train", "language", "export", "read", "evaluate"]
    for name in ("recipes", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    outputs = {}
    for command in COMMANDS:
        program, verb, *arguments = shlex.split(command)
        capsys.readouterr()
        if program == "python":
            subprocess.run([sys.executable, verb, *arguments], check=True)
            continue
        options = SHORT_TRAINING if verb == "train" else ["--count", "40", "--json"] if verb == "evaluate" else []
        if verb == "read":
            options = ["--min-confidence", "0"]  # after so little training every line would be rejected
        with pytest.raises(SystemExit) as exited:
            main([verb, *arguments, *options])
        assert exited.value.code == 0, command
        outputs[verb] = capsys.readouterr().out
    rows = [row.split(",") for row in Path("runs/own/metrics.csv").read_text().splitlines()]
    validation_losses = [float(row[2]) for row in rows if row[1] == "val_loss"]
    assert len(validation_losses) == 3 and validation_losses[-1] < validation_losses[0]
    assert alphabet_of(open_recognizer("own/runes.onnx")).characters == load_recipe("recipes/own.yaml").lines.alphabet
    assert Path("own/sheet.png").stat().st_size > 1000
    result = json.loads(outputs["evaluate"])
    assert result["lines"] == 40 and result["decoder"] == "beam:own/runes.lm" and 0 < result["cer"] <= 1
