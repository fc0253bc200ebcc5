"""FAMILY: experiment trackers, which record a run: Weights & Biases, MLflow, TensorBoard, CSV, none.

Contract: `contract.py`. Every tracker is told about the run by one RunInfo and gets the same records. A tracker that
raises is reported once and dropped; the run goes on. To add one: subclass Tracker in a file of this folder, add a row
to TRACKERS.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from glyphline.errors import GlyphlineError, UserError, nearest
from glyphline.files import write_atomically
from glyphline.training.runs import DAMAGE, END_RECORDS_FILE, read_json_object
from glyphline.training.trackers.contract import (
    Metrics,
    Prediction,
    RunInfo,
    Tracker,
    TrialInfo,
    print_to_stderr,
)
from glyphline.training.trackers.files import CsvTracker, NoTracker, TensorBoardTracker
from glyphline.training.trackers.mlflow import MlflowTracker
from glyphline.training.trackers.wandb import WandbTracker
from glyphline.training.validation import ErrorSummary

__all__ = ["TRACKERS", "CsvTracker", "Metrics", "Prediction", "RunInfo", "Tracker", "Trackers", "TrialInfo"]

#: name of --track -> tracker
TRACKERS: dict[str, type[Tracker]] = {
    "wandb": WandbTracker,
    "mlflow": MlflowTracker,
    "tensorboard": TensorBoardTracker,
    "csv": CsvTracker,
    "none": NoTracker,
}


class Trackers(Tracker):
    """Passes every call to several trackers and never raises an Exception of theirs.

    A resumed run repeats what came after its last checkpoint. So the metrics and predictions of a tracker that cannot
    rewind are held back until `commit`, which is called when a checkpoint is written; `finish` drops what is left.
    A run can end several times, and a tracker gets its errors, summary and network of a step once: tracked.json in the
    run folder holds the steps.
    names: keys of TRACKERS; a name given twice counts once. report: receives one line when a tracker raises; that
    tracker is finished and gets no further calls. Raises UserError for an unknown name.
    """

    def __init__(self, names: Sequence[str], report: Callable[[str], None] = print_to_stderr) -> None:
        for name in names:
            if name not in TRACKERS:
                raise UserError(f'no tracker "{name}"; {nearest(name, TRACKERS)}')
        self.members: dict[str, Tracker] = {name: TRACKERS[name]() for name in dict.fromkeys(names)}
        self.report = report
        self._held_back: dict[str, list[Callable[[Tracker], None]]] = defaultdict(list)  # by name of the tracker
        self._end_steps: dict[str, dict[str, int]] = {}  # the content of tracked.json
        self._end_file = Path(END_RECORDS_FILE)

    def _call(self, name: str, call: Callable[[Tracker], None], is_finish: bool = False) -> None:
        """Call one tracker; report, finish and drop it where it raises. is_finish: the call is that of `finish`."""
        member = self.members[name]
        try:
            call(member)
        except Exception as error:  # whatever a tracker raises must not end hours of training
            del self.members[name]
            reason = (str(error).splitlines() or [""])[0]
            if not isinstance(error, GlyphlineError):  # its own messages need no name of a class
                reason = f"{type(error).__name__}: {reason}"
            self.report(f"tracking with {name} stopped ({reason}); the run goes on without it")
            if not is_finish:
                with suppress(Exception):  # what it raises now is the same failure
                    member.finish(completed=False)

    def _call_each(self, call: Callable[[Tracker], None]) -> None:
        for name in list(self.members):
            self._call(name, call)

    def _record(self, call: Callable[[Tracker], None]) -> None:
        for name, member in list(self.members.items()):
            if member.rewinds:
                self._call(name, call)
            else:
                self._held_back[name].append(call)

    def _record_once(self, method: str, step: int, *arguments: Any) -> None:
        """Pass on a record of the run's end, unless the tracker keeps none or has that of this step."""

        def record(name: str, tracker: Tracker) -> None:
            getattr(tracker, method)(*arguments)
            self._end_steps.setdefault(name, {})[method] = step
            write_atomically(self._end_file, (json.dumps(self._end_steps, indent=1) + "\n").encode())

        for name, member in list(self.members.items()):
            keeps_none = getattr(type(member), method) is getattr(Tracker, method)
            if not keeps_none and self._end_steps.get(name, {}).get(method) != step:
                self._call(name, partial(record, name))

    def commit(self) -> None:
        """Pass on what was held back, in order: a checkpoint holds the run up to here."""
        held_back, self._held_back = self._held_back, defaultdict(list)
        for name, calls in held_back.items():
            for call in calls:
                if name in self.members:
                    self._call(name, call)

    @contextmanager
    def track(self, run: RunInfo) -> Iterator[None]:
        """Start the trackers, and finish them after the block: the run has ended unless the block raises."""
        completed = False
        try:
            self.start(run)
            yield
            completed = True
        finally:
            self.finish(completed)

    def start(self, run: RunInfo) -> None:
        self._end_file = run.folder / END_RECORDS_FILE
        self._end_steps = {}
        if run.resumed_at:
            with suppress(*DAMAGE):  # then the records of the end are made again
                steps = read_json_object(self._end_file)
                self._end_steps = {name: dict(records) for name, records in steps.items()}
        self._call_each(lambda tracker: tracker.start(run))

    def log_metrics(self, step: int, metrics: Metrics) -> None:
        self._record(lambda tracker: tracker.log_metrics(step, metrics))

    def log_predictions(self, step: int, predictions: Sequence[Prediction]) -> None:
        self._record(lambda tracker: tracker.log_predictions(step, predictions))

    def log_errors(self, step: int, errors: ErrorSummary) -> None:
        self._record_once("log_errors", step, step, errors)

    def log_summary(self, summary: Metrics) -> None:
        self._record_once("log_summary", int(summary["steps"]), summary)

    def log_artifact(self, step: int, path: Path) -> None:
        self._record_once("log_artifact", step, step, path)

    def finish(self, completed: bool) -> None:
        self._held_back.clear()
        for name in list(self.members):
            self._call(name, lambda tracker: tracker.finish(completed), is_finish=True)
