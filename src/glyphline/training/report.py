"""The report page of runs: one HTML file with everything inside it, which needs no network and no account."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from glyphline.errors import DataError, UserError
from glyphline.imaging.documents import load
from glyphline.reading.lines import LineReader
from glyphline.reading.recognition.calibration import calibration_error, reliability
from glyphline.score import join_spaces, score
from glyphline.training.calibrate import matches
from glyphline.training.charts import line_chart
from glyphline.training.data import leave_out_narrow, open_lines
from glyphline.training.network import Network, TorchRecognizer, describe_layers, load_network
from glyphline.training.runs import (
    BEST_WEIGHTS,
    DAMAGE,
    VALIDATION_FILE,
    Run,
    describe_damage,
    differing_settings,
    is_run,
    read_json_object,
    read_run,
    require,
    require_number,
)
from glyphline.training.validation import (
    ErrorSummary,
    Validation,
    ValidationLine,
    make_validation,
    read_validation,
)
from glyphline.training.verdicts import format_value

SWEEP_FILE = "sweep.json"
PROTOCOL_TEXTS = ("rules", "cannot_tell")  # keys of its protocol with lists of sentences
TEMPLATE = "report.html"
MAX_BYTES = 3 * 2**20  # of the page; predictions, then the sections of runs are left out beyond it
PREDICTIONS = 24  # with pictures, of each run
CONFUSIONS, CHARACTERS = 30, 40  # rows of the tables
#: metric -> (title of its chart, whether it is a fraction)
CURVES = {
    "val_cer": ("CER of the validation lines", True),
    "val_loss": ("Loss of the validation lines, nats a line", False),
    "loss": ("Loss of the training lines, nats a line", False),
    "watch_cer": ("CER of the watched lines", True),
    "learning_rate": ("Learning rate", False),
    "gradient_norm": ("Norm of the gradient before clipping", False),
    "lines_per_second": ("Training speed, lines a second", False),
}


@dataclass(frozen=True)
class Reliability:
    """The calibration of the character confidences on the validation lines."""

    error: float  # expected calibration error, 0..1
    rows: list[tuple[float, float, int]]  # (mean confidence, fraction correct, characters) of each bin
    chart: str


@dataclass(frozen=True)
class RunReport:
    """What the page shows of one run. Empty where the run lacks it; `missing` says why."""

    run: Run
    title: str
    validation: Validation | None
    errors: ErrorSummary | None
    interval: tuple[float, float]  # 95 % interval of the CER, see `rate_interval`
    reliability: Reliability | None
    length_chart: str
    layers: list[tuple[str, str, tuple[int | str, ...], int]]
    characters: list[tuple[int, str]]  # id and character of the alphabet, blank first
    path: list[tuple[str, int]]  # (character, id) of each CTC time step of the first sample; "" for the blank
    step_width: int  # px of a time step
    missing: tuple[str, ...]

    @property
    def worst(self) -> list[ValidationLine]:
        """The validation lines with pictures, those with the highest CER first."""
        lines = self.validation.lines if self.validation else ()
        return sorted((line for line in lines if line.picture), key=lambda line: -line.cer)

    @property
    def speed(self) -> float | None:
        """The median of the training speed in lines a second."""
        values = [value for _, value in self.run.metrics.get("lines_per_second", ())]
        return float(np.median(values)) if values else None


def read_validation_lines(run: Run, network: Network, count: int) -> Validation:
    """Read the first `count` validation lines of a run again, for a run folder without validation.json.

    Raises what `open_lines` raises, such as DataError for a data set that is not on this machine.
    """
    options = network.recipe.training
    lines = open_lines(network.recipe.lines, "val", options.seed, options.validation_glyphs)
    training_lines = open_lines(network.recipe.lines, "train", options.seed)
    for each in (lines, training_lines):
        leave_out_narrow(each, network.steps)  # as the training did, which has named them
    indices = range(min(count, options.validation_lines))
    images, truths = lines.canonical_batch(indices)
    decoded = LineReader(TorchRecognizer(network)).decode_canonical(images)
    step = int(run.best.get("step", 0))
    return make_validation(step, list(zip(indices, truths, decoded, strict=True)), lines, training_lines)


def _describe_encoding(network: Network, picture: str) -> list[tuple[str, int]]:
    """The most probable class of each time step of a line picture (PNG in base64): (character, id)."""
    image = load(base64.b64decode(picture))
    steps = network.steps(image.shape[1])
    classes = TorchRecognizer(network).log_probs(image[None])[0, :steps].argmax(1)
    characters = network.alphabet.characters
    return [(characters[k - 1] if k else "", int(k)) for k in classes]


def _measure_reliability(validation: Validation) -> Reliability | None:
    """The calibration of the character confidences; None where nothing was read."""
    confidences = [c for line in validation.lines for c in line.confidences]
    correct = [flag for line in validation.lines for flag in matches(line.text, join_spaces(line.truth))]
    if not confidences:
        return None
    rows = reliability(confidences, correct)
    points = [(confidence, fraction) for confidence, fraction, _ in rows]
    title = "Fraction of characters that are correct, against their confidence"
    chart = line_chart(title, [("", points)], "confidence", percent=True, diagonal=True, markers=True)
    return Reliability(calibration_error(confidences, correct), rows, chart)


def _describe_run(folder: Path, line_count: int, report: Callable[[str], None]) -> RunReport:
    """Read a run folder and compute what the page shows of it. Raises UserError for a folder without a run."""
    run = read_run(folder)
    missing = list(run.missing)
    network = None
    if (folder / BEST_WEIGHTS).is_file():
        try:
            network = load_network(folder / BEST_WEIGHTS)[0]
        except DataError as error:
            missing.append(f"the network ({error})")
    validation = None
    try:
        if (folder / VALIDATION_FILE).is_file():
            validation = read_validation(folder / VALIDATION_FILE)
        elif network is not None:
            report(f"{folder} holds no {VALIDATION_FILE}: reading {line_count} of its validation lines again")
            validation = read_validation_lines(run, network, line_count)
    except UserError as error:
        missing.append(f"the predictions ({error})")
    layers, path, characters = [], [], []
    if network is not None:
        width = network.recipe.lines.height * 10
        if validation and validation.samples:
            picture = validation.samples[0][1]
            path, width = _describe_encoding(network, picture), load(base64.b64decode(picture)).shape[1]
        layers = describe_layers(network, width)
        characters = [(0, "blank"), *enumerate(network.alphabet.characters, 1)]
    errors = validation.errors() if validation else None
    interval = (0.0, 0.0)
    if validation and validation.lines:
        texts = [line.truth for line in validation.lines], [line.text for line in validation.lines]
        interval = score(*texts).cer_interval
    length_chart = ""
    if errors:
        points = [((low + high) / 2, cer) for low, high, _, cer in errors.lengths]
        title = "CER by length of the line"
        length_chart = line_chart(title, [("", points)], "characters of the line", percent=True, markers=True)
    return RunReport(
        run, run.name, validation, errors, interval, _measure_reliability(validation) if validation else None,
        length_chart, layers, characters, path, network.stride if network else 0, tuple(missing),
    )  # fmt: skip


def read_sweep(folder: Path) -> dict[str, Any]:
    """What the page shows of the sweep.json of a sweep folder: name, baseline, protocol and arms.

    A field that is missing or null is empty. Raises DataError for a file that is damaged.
    """
    path = folder / SWEEP_FILE
    try:
        sweep = read_json_object(path)
        protocol = require(dict, sweep.get("protocol") or {}, "protocol")
        for key in PROTOCOL_TEXTS:
            require(list, protocol.get(key) or [], key)
        return {
            "name": str(sweep.get("name") or folder.resolve().name), "baseline": str(sweep.get("baseline") or ""),
            "protocol": protocol, "arms": [_complete_arm(arm) for arm in require(list, sweep["arms"], "arms")],
        }  # fmt: skip
    except DAMAGE as error:
        raise DataError(f"{describe_damage(path, error)}: run `glyphline sweep` again") from None


def _complete_arm(arm: dict[str, Any]) -> dict[str, Any]:
    """An arm of sweep.json with all its fields. Raises one of DAMAGE."""

    def number(values: dict[str, Any], name: str) -> float | None:
        return None if values.get(name) is None else require_number(values[name], name)

    def interval(name: str) -> tuple[float, float] | None:
        low, high = require(list, arm.get(name) or [None, None], name)
        return None if low is None else (require_number(low, name), require_number(high, name))

    return {
        "name": str(arm["name"]), "changes": require(dict, arm.get("changes") or {}, "changes"),
        "verdict": str(arm.get("verdict") or ""),
        **{name: number(arm, name) for name in ("cer", "difference")},
        **{name: interval(name) for name in ("cer_interval", "difference_interval")},
        "seeds": [
            {
                "seed": seed.get("seed"), "run": seed.get("run"), "cer": number(seed, "cer"),
                "stopped_at_epoch": number(seed, "stopped_at_epoch"),
            }
            for seed in require(list, arm.get("seeds") or [], "seeds")
        ],
    }  # fmt: skip


def _collect_folders(folders: Sequence[Path]) -> tuple[list[dict[str, Any]], list[Path]]:
    """The sweeps among the folders, and the folders of all runs: of a sweep, the first run of each arm that is there.

    Raises UserError for a folder that holds neither.
    """
    sweeps, runs = [], []
    for folder in folders:
        if (folder / SWEEP_FILE).is_file():
            sweeps.append(read_sweep(folder))
            for arm in sweeps[-1]["arms"]:
                paths = [folder / str(seed["run"]) for seed in arm["seeds"] if seed["run"]]
                runs += [path for path in paths if is_run(path)][:1]
        else:
            read_run(folder)  # refuses a folder without a run before the others are read
            runs.append(folder)
    return sweeps, list(dict.fromkeys(runs))


def _distinct_titles(reports: Sequence[RunReport]) -> list[RunReport]:
    """The reports with the folder above in the title of runs that share a name."""
    names = [report.title for report in reports]
    return [
        replace(report, title=f"{report.run.folder.resolve().parent.name}/{report.title}")
        if names.count(report.title) > 1
        else report
        for report in reports
    ]


def build_report(
    folders: Sequence[Path], *, line_count: int = 200, report: Callable[[str], None] = lambda text: None
) -> str:
    """The HTML page about runs and sweeps.

    folders: run folders, also of runs that have not ended, and folders with sweep.json; at least one. line_count:
    validation lines to read again for a run without validation.json. report: receives a line when that is done, and
    one that says what was left out: where the page would have more than MAX_BYTES, first predictions, then the sections
    of the last runs. The page says it too.
    Raises UserError for a folder that holds neither a run nor a sweep, and when the page is larger even so; DataError
    for a damaged sweep.json.
    """
    import jinja2

    sweeps, run_folders = _collect_folders(folders)
    reports = _distinct_titles([_describe_run(folder, line_count, report) for folder in run_folders])
    # the name and the description of a recipe are no settings; a run without a recipe has none to compare
    recipes = [item.run.recipe.to_dict() | {"name": "", "about": ""} if item.run.recipe else {} for item in reports]
    charts = []
    for name, (title, percent) in CURVES.items():
        curves = [(item.title, item.run.metrics.get(name, ())) for item in reports]
        charts.append((title, line_chart(title, curves, "optimiser step", percent=percent)))
    alphabets = {item.title: "".join(c for k, c in item.characters if k) for item in reports if item.characters}
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = lambda value: "-" if value is None else f"{value:.2%}"
    environment.filters["value"] = format_value
    environment.filters["points"] = lambda value: "-" if value is None else f"{100 * value:+.2f}"
    template = environment.from_string(resources.files("glyphline.training").joinpath(TEMPLATE).read_text("utf-8"))

    def render(pictures: int, sections: int, left_out: str) -> str:
        return template.render(
            reports=reports, sweeps=sweeps, charts=[chart for chart in charts if chart[1]], pictures=pictures,
            sections=sections, left_out=left_out, differences=differing_settings(recipes),
            different_alphabets=alphabets if len(set(alphabets.values())) > 1 else {},
            best_cer=min((item.run.best["val_cer"] for item in reports if "val_cer" in item.run.best), default=None),
            confusions=CONFUSIONS, letters=CHARACTERS,
        )  # fmt: skip

    pictures, sections, left_out = PREDICTIONS, len(reports), ""
    while (size := len((page := render(pictures, sections, left_out)).encode())) > MAX_BYTES:
        if pictures:
            pictures //= 2
        elif sections:
            sections //= 2
        else:
            raise UserError(
                f"a page of {len(reports)} runs has {size / 2**20:.1f} MB without their sections, and at most "
                f"{MAX_BYTES / 2**20:g} MB are allowed: give fewer runs"
            )
        left_out = _describe_omissions(pictures, [item.title for item in reports[sections:]])
    if left_out:
        report(left_out)
    return page


def _describe_omissions(pictures: int, titles: Sequence[str]) -> str:
    """Say what a page leaves out. pictures: predictions shown of each run. titles: the runs without a section."""
    text = f"so that the page stays below {MAX_BYTES / 2**20:g} MB, it shows {pictures} predictions of each run"
    if titles:
        text += f" and has no section of {', '.join(titles)}: a page of these runs alone shows more"
    return text
