"""Verdicts on the arms of a sweep: error rates, paired differences and their bootstrap intervals, in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

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
    """An arm beside another one. Rates and differences are fractions; intervals are 95 % bootstrap intervals."""

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

    The bootstrap (Efron 1979) resamples the seeds, and the lines in groups of `variants` consecutive ones, which show
    the same sentence, with replacement; both arms get the same sample. arm, other: at least one network each, in the
    order of the seeds; of the longer list the first ones are used. Raises ValueError when the numbers of lines differ.
    """
    count = min(len(arm), len(other))
    errors, lengths = (
        [np.stack([_sum_groups(getattr(e, name), variants) for e in side[:count]]) for side in (arm, other)]
        for name in ("errors", "lengths")
    )  # each a pair of (seeds, groups)
    groups = {values.shape[1] for values in (*errors, *lengths)}
    if len(groups) != 1:
        raise ValueError(f"the arms were measured on different numbers of lines: {sorted(groups)} groups")
    rng, size = np.random.default_rng(seed), groups.pop()
    # how often each resample holds each seed (RESAMPLES, seeds) and each group of lines (RESAMPLES, groups)
    seed_counts, group_counts = (rng.multinomial(n, np.full(n, 1 / n), RESAMPLES) for n in (count, size))

    def sums(values: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Sums of (seeds, groups) over each resample, (RESAMPLES,)."""
        summed: npt.NDArray[np.float64] = ((seed_counts @ values) * group_counts).sum(1).astype(np.float64)
        return summed

    rates = np.stack([sums(errors[side]) / np.maximum(1, sums(lengths[side])) for side in (0, 1)], 1)
    own, others = (errors[side].sum() / max(1, lengths[side].sum()) for side in (0, 1))
    return Comparison(
        cer=float(own), cer_interval=_percentiles(rates[:, 0]), difference=float(own - others),
        difference_interval=_percentiles(rates[:, 0] - rates[:, 1]), seeds=count, lines=len(arm[0].errors),
    )  # fmt: skip


def _sum_groups(values: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """Sums of consecutive values in groups of `size`; the last group may be smaller."""
    return np.add.reduceat(values, np.arange(0, len(values), size))


def _percentiles(values: npt.NDArray[np.float64]) -> Interval:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def count_seeds(count: int) -> str:
    """The number of seeds in words that follow it, such as `2 seeds`."""
    return f"{count} seed{'' if count == 1 else 's'}"


def describe_verdict(comparison: Comparison, baseline: str, stopped_at: int | None = None, epochs: int = 0) -> str:
    """The verdict on an arm in plain words. stopped_at: the epoch, of `epochs`, at which halving stopped the arm."""
    difference = f"CER {comparison.in_points}"
    if stopped_at is not None:
        judgement = {
            "worse": "worse there",
            "open": "not clearly worse there: more epochs might have helped",
            "better": "but better on the test lines there: stopped by mistake, try it alone",
        }[comparison.outcome]
        return f"stopped at epoch {stopped_at} of {epochs}, {judgement} ({difference} against {baseline} then)"
    judgement = {
        "better": "worth it",
        "worse": "not worth it",
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
        changes = ", ".join(f"`{key}={_yaml(value)}`" for key, value in arm["changes"].items()) or "nothing"
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


def _yaml(value: Any) -> str:
    """A value as a recipe has it, on one line."""
    if isinstance(value, list):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    return "null" if value is None else str(value)
