"""Verdicts on the arms of a sweep: error rates, paired differences and their intervals, in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from glyphline.score import t_quantile

RESAMPLES = 2000
Interval = tuple[float, float]


@dataclass(frozen=True)
class TestErrors:
    """The edits of one trained network on the test lines."""

    __test__ = False  # its name is no test's

    errors: npt.NDArray[np.int64]  # (lines,) edits of each line, after the fold
    lengths: npt.NDArray[np.int64]  # (lines,) characters of each truth, after the fold

    @property
    def cer(self) -> float:
        return float(self.errors.sum() / max(1, self.lengths.sum()))


@dataclass(frozen=True)
class Comparison:
    """An arm beside another one. Rates and differences are fractions; intervals are 95 % intervals, see `compare`."""

    cer: float  # mean over the seeds
    cer_interval: Interval
    difference: float  # CER of the arm minus that of the other; negative: the arm is better
    difference_interval: Interval
    seeds: int
    lines: int

    @property
    def outcome(self) -> str:
        """`better` or `worse` where the interval of the difference excludes 0, otherwise `open`."""
        low, high = self.difference_interval
        return "better" if high < 0 else "worse" if low > 0 else "open"

    @property
    def in_points(self) -> str:
        """The difference in percentage points with half the width of its interval, such as `-1.2 ± 0.3 points`."""
        low, high = self.difference_interval
        return f"{100 * self.difference:+.2f} ± {50 * (high - low):.2f} points"


def compare(arm: Sequence[TestErrors], other: Sequence[TestErrors], variants: int = 1, seed: int = 0) -> Comparison:
    """Compare the networks of two arms on the same test lines, one network a seed, paired by line and by seed.

    An interval holds the chance of the lines and that of the seeds. That of the lines is a bootstrap (Efron 1979) over
    groups of `variants` consecutive lines, which show the same sentence. That of the seeds is Student's t over the
    values of the seeds, with one degree of freedom less than seeds. The distances of both limits to the estimate are
    combined by squares (Howe 1974; Zou and Donner 2008, MOVER). With one seed the interval is that of the lines alone.
    arm, other: at least one network each, in the order of the seeds; of the longer list the first ones are used. seed:
    of the bootstrap. Raises ValueError when the numbers of lines differ.
    """
    count = min(len(arm), len(other))
    errors, lengths = (
        [np.stack([_sum_groups(getattr(e, name), variants) for e in side[:count]]) for side in (arm, other)]
        for name in ("errors", "lengths")
    )  # each a pair of (seeds, groups)
    groups = {values.shape[1] for values in (*errors, *lengths)}
    if len(groups) != 1:
        raise ValueError(f"the arms were measured on different numbers of lines: {sorted(groups)} groups")
    size = groups.pop()
    drawn = _draw_resamples(RESAMPLES, size, seed)
    resampled = [(drawn @ errors[k].sum(0)) / np.maximum(1, drawn @ lengths[k].sum(0)) for k in (0, 1)]
    rates = [float(errors[k].sum() / max(1, lengths[k].sum())) for k in (0, 1)]
    of_seeds = [errors[k].sum(1) / np.maximum(1, lengths[k].sum(1)) for k in (0, 1)]
    low, high = _interval(rates[0], resampled[0], of_seeds[0])
    difference = rates[0] - rates[1]
    return Comparison(
        cer=rates[0], cer_interval=(max(0.0, low), high), difference=difference,
        difference_interval=_interval(difference, resampled[0] - resampled[1], of_seeds[0] - of_seeds[1]),
        seeds=count, lines=len(arm[0].errors),
    )  # fmt: skip


@lru_cache(2)
def _draw_resamples(resamples: int, size: int, seed: int) -> npt.NDArray[np.int64]:
    """How often each resample holds each of `size` groups of lines, (resamples, size)."""
    return np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), resamples)


def _sum_groups(values: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """Sums of consecutive values in groups of `size`; the last group may be smaller."""
    return np.add.reduceat(values, np.arange(0, len(values), size))


def _interval(
    estimate: float, resampled: npt.NDArray[np.float64], of_seeds: npt.NDArray[np.float64]
) -> Interval:  # fmt: skip
    """The interval of `compare`. resampled: the estimate of each resample of the lines. of_seeds: that of each seed."""
    low, high = np.percentile(resampled, [2.5, 97.5])
    count, seed_width = len(of_seeds), 0.0
    if count > 1:
        seed_width = t_quantile(count - 1) * float(of_seeds.std(ddof=1)) / math.sqrt(count)
    return estimate - math.hypot(estimate - low, seed_width), estimate + math.hypot(high - estimate, seed_width)


def count_seeds(count: int) -> str:
    """The number of seeds in words that follow it, such as `2 seeds`."""
    return f"{count} seed{'' if count == 1 else 's'}"


def describe_verdict(comparison: Comparison, baseline: str, stopped_at: int | None = None, epochs: int = 0) -> str:
    """The verdict on an arm in plain words. stopped_at: the epoch, of `epochs`, at which halving stopped the arm."""
    difference = f"CER {comparison.in_points}"
    one_seed = " with this one seed" if comparison.seeds == 1 else ""
    if stopped_at is not None:
        judgement = {
            "worse": f"worse there{one_seed}",
            "open": "not clearly worse there: more epochs might have helped",
            "better": f"but better on the test lines there{one_seed}: stopped by mistake, try it alone",
        }[comparison.outcome]
        return f"stopped at epoch {stopped_at} of {epochs}, {judgement} ({difference} against {baseline} then)"
    judgement = {
        "better": f"better{one_seed}: another one may tell otherwise" if one_seed else "worth it",
        "worse": f"worse{one_seed}: another one may tell otherwise" if one_seed else "not worth it",
        "open": f"no difference that {count_seeds(comparison.seeds)} and {comparison.lines} lines can show",
    }[comparison.outcome]
    return f"{difference}, {judgement}"


def render_table(result: Mapping[str, Any]) -> str:
    """The Markdown page of a sweep: its table, the protocol, and what the protocol cannot tell.

    result: the content of sweep.json.
    """
    protocol = result["protocol"]
    header = ("arm", "what changes", "seeds", "epochs", "CER", "95 % interval", "difference to the baseline", "s/epoch")
    rows = [(*header, "verdict"), ("---",) * (len(header) + 1)]
    for arm in result["arms"]:
        changes = ", ".join(f"`{key}={format_value(value)}`" for key, value in arm["changes"].items()) or "nothing"
        ran = [seed["epochs"] for seed in arm["seeds"]]
        epochs = "-".join(str(n) for n in sorted({min(ran), max(ran)})) if ran else "0"
        cer = "" if arm["cer"] is None else f"{arm['cer']:.2%}"
        interval, difference = (
            "" if arm[key] is None else f"{sign}".join(f"{100 * value:{style}}" for value in arm[key])
            for key, sign, style in (("cer_interval", " - ", ".2f"), ("difference_interval", " .. ", "+.2f"))
        )
        seconds = "" if arm["seconds_per_epoch"] is None else f"{arm['seconds_per_epoch']:.0f}"
        rows.append(
            (arm["name"], changes, str(len(ran)), epochs, cer, interval, difference, seconds, arm["verdict"])
        )  # fmt: skip
    table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
    notes = "\n".join(f"- {note}" for note in (*protocol["rules"], *protocol["cannot_tell"]))
    return f"# {result['name']}\n\n{table}\n\nRates in percent, differences in percentage points.\n\n{notes}\n"


def format_value(value: Any) -> str:
    """A value as a recipe has it, on one line."""
    if isinstance(value, list):
        return "[" + ", ".join(map(format_value, value)) + "]"
    return "null" if value is None else str(value)
