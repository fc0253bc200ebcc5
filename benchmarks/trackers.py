"""Reads back what a copy of an offline W&B run holds, and prints its names and counts as a Markdown table.

python benchmarks/trackers.py [RUN]    # a run folder; without one, a small recipe on embedded data is trained first
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from glyphline.recipe import recipe_from
from glyphline.training.trackers.wandb_records import find_run_files, item_names, read_records
from glyphline.training.train import train

RECIPE = {
    "name": "tiny",
    "lines": {
        "layout": "tiles", "glyphs": ["strokes"], "sentences": ["built-in"], "length": [4, 6], "cut": "character",
        "height": 28,
    },
    "network": {"encoder": "conv", "channels": [4, 8], "stride": 4, "features": 16, "layers": 1},
    "training": {"epochs": 3, "epoch_lines": 160, "validation_lines": 20, "batch": 8},
}  # fmt: skip

Contents = dict[str, Counter[str]]  # part of the record -> name -> how many


def read_contents(folder: Path) -> Contents:
    """What the offline runs of a run folder hold. Raises FileNotFoundError for a file that they name and that is gone.

    Counted are the records of a metric, the rows of all tables of a name, and the files of all artifacts of a name.
    """
    contents: Contents = defaultdict(Counter)
    for path in find_run_files(folder):
        for record in read_records(path):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                contents["settings"].update(item_names(record.run.config.update))
                names = {"group": record.run.run_group, "job type": record.run.job_type}
                contents["names"].update([*(f"{key} {name}" for key, name in names.items()), *record.run.tags])
            elif kind == "history":
                rows = {item.nested_key[0]: int(item.value_json) for item in record.history.item
                        if item.nested_key[1:] == ["nrows"]}  # fmt: skip
                contents["rows of tables"].update(rows)
                contents["metrics"].update(item_names(record.history.item) - rows.keys())
            elif kind == "summary":
                contents["summary"] |= Counter(item_names(record.summary.update))
            elif kind == "artifact":
                _count_files(contents, record.artifact, folder)
            elif kind == "environment":
                contents["machine"] |= Counter(field.name for field, _ in record.environment.ListFields())
            elif kind == "stats":
                contents["machine"]["records of its load"] += 1
            elif kind == "files":
                for file in record.files.files:
                    (path.parent / "files" / file.path).stat()
                    folder_name = str(Path(file.path).parent)
                    contents["files"][file.path if folder_name == "." else folder_name] += 1
    return contents


def _count_files(contents: Contents, artifact: Any, folder: Path) -> None:
    """Count the files of an artifact, pictures and others. Raises FileNotFoundError for one that is gone."""
    part = f"{'input' if artifact.use_after_commit else 'output'} of type {artifact.type}"
    name = artifact.name.replace(artifact.run_id, "ID")
    for entry in artifact.manifest.contents:
        (folder / entry.local_path).stat()
        contents[part][f"{name} ({Path(entry.path).suffix})"] += 1


def main() -> None:
    """Train where no run is named, move or copy the run folder, and print the table of what is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", type=Path, help="a run folder")
    run = parser.parse_args().run
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / "copy"
        if run is None:
            os.environ["WANDB_MODE"] = "offline"
            folder = Path(temporary) / "run"
            train(recipe_from(RECIPE), folder, trackers=["wandb"], progress=False, report=lambda text: None)
            folder.rename(copy)
        else:
            shutil.copytree(run, copy)
        print("| part | names, with a count above 1 |\n|---|---|")
        for part, names in read_contents(copy).items():
            counted = (name if count == 1 else f"{name}: {count}" for name, count in sorted(names.items()))
            print(f"| {part} | {', '.join(counted)} |")


if __name__ == "__main__":
    main()
