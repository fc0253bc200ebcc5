"""The report page and the list of runs: what they show, half-written runs, sweeps, and the page in a real browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from glyphline.cli import main
from glyphline.errors import UserError
from glyphline.recipe import Recipe
from glyphline.training.charts import line_chart, tick_values
from glyphline.training.report import MAX_BYTES, build_report
from glyphline.training.runs import differing_settings, find_runs, read_run
from glyphline.training.train import train
from glyphline.training.validation import read_validation

TinyRecipe = Callable[..., Recipe]
CHROMIUM = Path("/usr/bin/chromium")
WCAG = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}}


@pytest.fixture(scope="module")
def other_run(tiny_recipe: TinyRecipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with another alphabet and another context. Tests must not change it."""
    folder = tmp_path_factory.mktemp("runs") / "other"
    recipe = tiny_recipe(lines__alphabet="full", network__context="lstm", training__epochs=1)
    train(recipe, folder, trackers=["csv"], progress=False, report=lambda text: None)
    return folder


@pytest.fixture(scope="module")
def page(finished_run: Path) -> str:
    return build_report([finished_run])


class Page(HTMLParser):
    """Checks that every element is closed in order, and collects the addresses that a browser would load."""

    VOID = ("meta", "link", "img", "path", "circle")

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.addresses: list[str] = []
        self.images = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.images += tag == "img"
        self.addresses += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:  # also called for <path/>
            assert self.stack.pop() == tag


def parse(html: str) -> Page:
    page = Page()
    page.feed(html)
    assert page.stack == []
    return page


# ------------------------------------------------------------------------------------------------------------- the page


def test_page_holds_everything_about_a_run_and_loads_nothing(page: str, finished_run: Path) -> None:
    parsed = parse(page)
    assert all(address.startswith(("data:", "#")) for address in parsed.addresses)
    assert "<script" not in page and len(page.encode()) < MAX_BYTES
    validation = read_validation(finished_run / "validation.json")
    pictures = sum(bool(line.picture) for line in validation.lines)
    assert parsed.images == pictures + len(validation.samples) == 12 + 8
    for heading in (
        "Result", "Curves", "Composed training lines", "Encoding", "Network", "Predictions", "Confusions",
        "Errors by character", "Errors by length", "Calibration", "Recipe, command",
    ):  # fmt: skip
        assert re.search(rf"<h[23][^>]*>{heading}", page), heading
    result = json.loads((finished_run / "result.json").read_text())
    assert f"{result['best']['val_cer']:.2%}" in page and f"{result['parameters']:,} parameters" in page
    assert "epoch_lines: 40" in page and (finished_run / "command.txt").read_text().split()[0] in page


def test_predictions_are_sorted_by_error(page: str, finished_run: Path) -> None:
    table = page[page.index("Predictions, the worst first") : page.index("Confusions")]
    rates = [float(rate) for rate in re.findall(r'<td class="n">([\d.]+)%', table)]
    assert rates == sorted(rates, reverse=True) and len(rates) == 12
    validation = read_validation(finished_run / "validation.json")
    for line in validation.lines:
        assert line.truth in table and len(line.confidences) == len(line.text)


def test_validation_file_agrees_with_the_metrics(finished_run: Path) -> None:
    from glyphline.score import score

    validation, run = read_validation(finished_run / "validation.json"), read_run(finished_run)
    assert validation.step == run.best["step"]
    result = score([line.truth for line in validation.lines], [line.text for line in validation.lines])
    assert (result.cer, result.wer) == (run.best["val_cer"], run.best["val_wer"])
    errors = validation.errors()
    wrong = sum(count for _, count, _ in errors.characters) + sum(n for truth, _, n in errors.confusions if not truth)
    assert wrong == sum(n for _, _, n in errors.confusions) == round(result.cer * result.characters)


def test_page_of_a_run_without_predictions_reads_its_lines_again(finished_run: Path, page: str, tmp_path: Path) -> None:
    folder = tmp_path / finished_run.name
    shutil.copytree(finished_run, folder)
    (folder / "validation.json").unlink()
    reports: list[str] = []
    again = build_report([folder], line_count=12, report=reports.append)
    assert len(reports) == 1 and "again" in reports[0]
    # The sums of other batches are rounded in another order, so only the confidences may differ.
    assert re.findall(r'<td class="text">.*?</td>', again, re.S) == re.findall(r'<td class="text">.*?</td>', page, re.S)


def test_runs_with_different_alphabets_stand_side_by_side(finished_run: Path, other_run: Path) -> None:
    html = build_report([finished_run, other_run])
    parse(html)
    assert "The runs have different alphabets (finished: 27 characters, other: 63 characters)" in html
    differences = html[html.index("Settings that differ") : html.index("Best epoch of each run")]
    keys = re.findall(r'<th scope="row">([\w.]+)</th>', differences)
    assert keys == ["lines.alphabet", "network.context", "training.epochs"]
    assert html.count('class="dot curve-1"') > 1  # a single epoch is a dot


@pytest.mark.parametrize(
    "kept, missing",
    [
        (["recipe.yaml", "command.txt", "environment.json"], ["the result", "the curves", "the network"]),
        (["recipe.yaml", "metrics.csv", "best.pt", "environment.json"], ["the result", "the command"]),
        (["result.json"], ["the recipe", "the curves", "the network", "the command", "the environment"]),
    ],
)
def test_half_written_run_shows_what_there_is(
    kept: list[str], missing: list[str], finished_run: Path, tmp_path: Path
) -> None:
    for name in kept:
        shutil.copy(finished_run / name, tmp_path)
    html = build_report([tmp_path])
    parse(html)
    assert re.findall(r"Missing: (the \w+)", html) == missing


GARBAGE = bytes(range(256))
NESTED = b"[" * 200_000
RESULT = {"steps": 10, "epochs": 1, "best": {"val_cer": 0.1}, "minutes": 1.0}
#: (file of a run folder, its damaged content, what the report says of it)
DAMAGED_FILES = [
    *(
        (name, content, f"{name} is damaged")
        for name in ("result.json", "environment.json", "recipes.json", "validation.json")
        for content in (GARBAGE, b"", b'{"best": {"val', b"[3]", NESTED)
    ),
    *(
        ("result.json", json.dumps(RESULT | change).encode(), "result.json is damaged")
        for change in (
            {"best": None}, {"best": {"val_cer": "0.1"}}, {"minutes": "long"}, {"steps": float("inf")},
            {"epochs": [1]}, {"best": {"epoch": 10**400}}, {"minutes": True},
        )
    ),
    ("result.json", b"{}", "result.json is damaged (&#39;best&#39; is missing)"),
    ("recipes.json", b'[{"until_epoch": null, "changes": {}}]', "recipes.json is damaged (until_epoch is"),
    ("recipes.json", b'[{"until_epoch": 1, "changes": {"name": 4}}]', "recipes.json is damaged (name is"),
    ("recipes.json", b'[{"until_epoch": 1}]', "recipes.json is damaged (&#39;changes&#39; is missing)"),
    ("command.txt", GARBAGE, "command.txt is damaged"),
    ("metrics.csv", GARBAGE + b"\n1,a,b\n", "metrics.csv is damaged, unreadable rows: "),
    (
        "metrics.csv",
        b'step,name,value\n10,val_loss,0.5\n20,"val_loss,0.4\n-3,loss,1\n30,val_loss,0.3\n',
        "metrics.csv is damaged, unreadable rows: 2)",
    ),
    (
        "metrics.csv",
        b"step,name,value\n900000000000000,val_loss,1e9\n10,epoch,inf\n1" + b"0" * 5000 + b",loss,1\n\n",
        "metrics.csv is damaged, unreadable rows: 1)",
    ),
    *(("recipe.yaml", content, "recipe.yaml") for content in (GARBAGE, b"[", b"- a", b"name: 2024-99-99", b"{" * 700)),
    ("best.pt", GARBAGE, "the network"),
    *(
        (
            "validation.json",
            json.dumps({"format_version": 1, "step": 1, "lines": [], "samples": [], **change}).encode(),
            "validation.json is damaged",
        )
        for change in (
            {"lines": None}, {"lines": ["a"]}, {"step": float("inf")}, {"samples": [["a", "no base64!"]]},
            {"samples": [["a", "aaaa"]]},
            {"lines": [{"index": 0, "truth": "ab", "text": "ab", "confidences": [0.5], "picture": ""}]},
            {"lines": [{"index": 0, "truth": "a", "text": "a", "confidences": [float("nan")], "picture": ""}]},
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize("name, content, expected", DAMAGED_FILES)
def test_damaged_file_of_a_run_is_named_and_hides_no_other_run(
    name: str, content: bytes, expected: str, finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [tmp_path / "damaged", tmp_path / "whole"]
    for folder in folders:
        folder.mkdir()
        for file in ("recipe.yaml", "result.json", "metrics.csv", "command.txt", "environment.json"):
            shutil.copy(finished_run / file, folder)
    (folders[0] / name).write_bytes(content)
    html = build_report(folders)
    parse(html)
    assert re.search(rf"Missing: [^<]*{re.escape(expected)}", html)
    assert html.count('<section id="run-') == 2
    assert run_main(["runs", str(tmp_path)]) == 0
    _, *rows = (line.split("\t") for line in capsys.readouterr().out.splitlines())
    states = {row[0]: row[-1] for row in rows}
    # `runs` does not read the weights and the predictions
    assert (name in states["damaged"]) == (name not in ("best.pt", "validation.json"))
    assert states["whole"] == "finished"


def test_readable_rows_of_damaged_metrics_are_kept(finished_run: Path, tmp_path: Path) -> None:
    shutil.copytree(finished_run, tmp_path / "run")
    whole = read_run(finished_run)
    path = tmp_path / "run" / "metrics.csv"
    header, *rows = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(header + rows[0] + GARBAGE + b'\n"\n' + b"".join(rows[1:]) + b"50,val_lo")
    run = read_run(tmp_path / "run")
    assert run.metrics == whole.metrics and run.best == whole.best and run.unreadable == ("metrics.csv",)
    path.write_bytes(header + b"".join(rows) + b"50,val_lo")  # what a kill leaves is no damage
    assert read_run(tmp_path / "run").unreadable == () and read_run(tmp_path / "run").metrics == whole.metrics


def test_published_runs_are_whole() -> None:
    runs = find_runs(Path(__file__).parents[2] / "benchmarks" / "results")
    assert runs and not [(run.folder, run.missing) for run in runs if set(run.unreadable) - {"recipe.yaml"}]


def test_page_that_grows_too_large_says_what_it_leaves_out(
    finished_run: Path, other_run: Path, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glyphline.training.report.MAX_BYTES", 60_000)
    reports: list[str] = []
    smaller = build_report([finished_run], report=reports.append)
    assert parse(smaller).images < parse(page).images and '<section id="run-0"' in smaller
    (note,) = reports
    assert re.search(r"it shows \d+ predictions of each run$", note) and note[1:] in smaller and note[1:] not in page
    both = build_report([finished_run, other_run], report=reports.append)
    parse(both)
    assert "shows 0 predictions of each run and has no section of other" in reports[1] and reports[1][1:] in both
    assert both.count('<section id="run-') == 1 and 'href="#run-1"' not in both
    assert len(smaller.encode()) <= 60_000 and len(both.encode()) <= 60_000
    monkeypatch.setattr("glyphline.training.report.MAX_BYTES", 5_000)
    with pytest.raises(UserError, match=r"a page of 2 runs has .*: give fewer runs"):
        build_report([finished_run, other_run])


def test_settings_changed_on_resume_are_shown(finished_run: Path, page: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    history = [{"file": "recipe-1.yaml", "until_epoch": 3, "changes": {"training.epochs": [3, 4]}}]
    (folder / "recipes.json").write_text(json.dumps(history * 2))  # the second entry is that of a kill
    html = build_report([folder])
    row = '<tr><th scope="row">training.epochs</th><td>3</td><td>4</td><td class="n">4</td></tr>'
    parse(html)
    assert html.count(row) == 1 and "changed when the run was resumed" not in page
    (folder / "recipes.json").write_text("[{]")
    assert "Missing: the changes of the recipe (recipes.json is damaged" in build_report([folder])


def test_texts_are_escaped(finished_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    (folder / "command.txt").write_text("<script>alert(1)</script>\n")
    html = build_report([folder])
    assert "<script" not in html and "&lt;script&gt;" in html


# --------------------------------------------------------------------------------------------------------------- sweeps


def write_sweep(folder: Path, runs: list[Path]) -> None:
    folder.mkdir()
    arms = []
    for k, run in enumerate(runs):
        shutil.copytree(run, folder / run.name)
        seed = {"seed": 0, "run": run.name, "cer": 0.5 - k / 10, "stopped_at_epoch": 3 if k else None}
        arms.append(
            {
                "name": run.name,
                "changes": {"network.context": "lstm"} if k else {},
                "seeds": [seed],
                "cer": 0.5 - k / 10,
                "cer_interval": [0.3, 0.6],
                "verdict": "worth it" if k else "baseline",
            }
        )
    sweep = {"arms": arms, "baseline": runs[0].name, "protocol": {"epochs": 4, "recipe": {"name": "tiny"}}}
    (folder / "sweep.json").write_text(json.dumps(sweep))


def test_sweep_is_a_table_with_the_runs_of_its_arms(finished_run: Path, other_run: Path, tmp_path: Path) -> None:
    write_sweep(tmp_path / "sweep", [finished_run, other_run])
    html = build_report([tmp_path / "sweep"])
    parse(html)
    table = html[html.index("The arms of the sweep") : html.index("The runs side by side")]
    for text in ("finished (baseline)", "network.context=lstm", "40.00%", "0: 40.00% (stopped at epoch 3)", "worth it"):
        assert text in table
    assert "epochs: 4." in html  # the recipe of the protocol is not repeated
    assert html.count('<section id="run-') == 2


def test_published_sweep_is_shown_with_its_differences_and_its_protocol(tmp_path: Path) -> None:
    published = Path(__file__).parents[2] / "benchmarks" / "results" / "sweep" / "sweep.json"
    shutil.copy(published, tmp_path)
    sweep = json.loads(published.read_text())
    html = build_report([tmp_path])
    parse(html)
    section = html[html.index('<section id="sweep-0"') : html.index("</section>")]
    assert "CER of the test lines" in section and "validation lines" not in section
    assert "rungs: 3;" in section and "cannot" not in section[: section.index("<table>")]
    assert "lines.glyphs=[emnist/byclass]" in section and "training.distinct_lines=null" in section
    for note in (*sweep["protocol"]["rules"], *sweep["protocol"]["cannot_tell"]):
        assert f"<li>{escape(note)}</li>".replace("&#x27;", "&#39;") in section
    for arm in sweep["arms"][1:]:
        low, high = arm["difference_interval"]
        assert f"<td>{100 * low:+.2f} to {100 * high:+.2f}</td>" in section


ARM = {"name": "wide", "changes": {"network.layers": 2}, "seeds": [{"seed": 0, "cer": 0.5}], "cer": 0.5}


def test_fields_that_a_sweep_lacks_are_empty(tmp_path: Path) -> None:
    nothing = dict.fromkeys(("changes", "seeds", "cer", "cer_interval", "difference", "verdict"))
    arms = [{"name": "wide"}, ARM | nothing]
    (tmp_path / "sweep.json").write_text(json.dumps({"arms": arms, "protocol": None, "baseline": None, "name": None}))
    page = build_report([tmp_path])
    parse(page)
    assert page.count('<tr><th scope="row">wide</th>') == 2 and "<h1>Sweep</h1>" in page


@pytest.mark.parametrize(
    "content",
    [
        GARBAGE, NESTED, b'{"arms": [{}]}', b"[]", b'{"arms": 3}', b'{"arms": [4]}',
        *(json.dumps({"arms": [ARM | change]}).encode() for change in (
            {"changes": "all"}, {"seeds": 1}, {"seeds": [1]}, {"cer": "low"}, {"cer_interval": 0.5},
            {"cer_interval": [0.5]}, {"difference_interval": [0.1, None]}, {"seeds": [{"stopped_at_epoch": "last"}]},
        )),
        *(json.dumps({"arms": [ARM], "protocol": protocol}).encode() for protocol in (3, ["a"], {"rules": 3})),
    ],
)  # fmt: skip
def test_damaged_sweep_is_refused(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sweep.json").write_bytes(content)
    assert run_main(["report", str(tmp_path), "--out", str(tmp_path / "report.html")]) == 2
    message = capsys.readouterr().err
    assert "sweep.json is damaged (" in message and "again" in message and message.count("\n") == 1


# --------------------------------------------------------------------------------------------------------- the commands


def run_main(words: list[str]) -> int:
    with pytest.raises(SystemExit) as caught:
        main(words)
    return int(str(caught.value.code))


def test_report_of_no_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, file = tmp_path / "report.html", tmp_path / "recipe.yaml.orig"
    file.touch()
    faults = {tmp_path: "holds no run", tmp_path / "nowhere": "does not exist", file: "is a file"}
    for path, fault in faults.items():
        assert run_main(["report", str(path), "--out", str(out)]) == 2
        message = capsys.readouterr().err
        assert message.count("\n") == 1 and f"{path} {fault}" in message and "glyphline train" in message
    assert not out.exists()


def test_runs_lists_finished_and_unfinished_runs(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished_run, tmp_path / "a" / "done")
    (tmp_path / "begun").mkdir()
    shutil.copy(finished_run / "recipe.yaml", tmp_path / "begun")
    assert run_main(["runs", str(tmp_path)]) == 0
    header, *rows = (line.split("\t") for line in capsys.readouterr().out.splitlines())
    cells = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    result = json.loads((finished_run / "result.json").read_text())
    assert cells["a/done"]["CER"] == f"{result['best']['val_cer']:.2%}" and cells["a/done"]["state"] == "finished"
    assert cells["begun"]["state"] == "no epoch yet" and cells["begun"]["CER"] == "-"
    assert run_main(["runs", str(tmp_path / "nowhere")]) == 2


def test_runs_are_not_searched_for_further_runs(finished_run: Path, tmp_path: Path) -> None:
    copied_recipe = tmp_path / "a" / "run" / "mlflow-artifacts" / "id" / "artifacts" / "run" / "recipe.yaml"
    copied_recipe.parent.mkdir(parents=True)
    for path in (copied_recipe, tmp_path / "a" / "run" / "recipe.yaml"):
        shutil.copy(finished_run / "recipe.yaml", path)
    assert [run.folder for run in find_runs(tmp_path)] == [tmp_path / "a" / "run"]


def test_runs_of_an_empty_folder_say_how_to_make_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert find_runs(tmp_path) == [] and run_main(["runs", str(tmp_path)]) == 0
    assert "glyphline train" in capsys.readouterr().err


def test_read_run_refuses_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no run"):
        read_run(tmp_path)


def test_settings_that_one_recipe_lacks_differ() -> None:
    assert differing_settings([{"a": 1, "b": {"c": 2}}, {"a": 1}]) == {"b.c": [2, None]}


# ----------------------------------------------------------------------------------------------------------- the charts


@pytest.mark.parametrize("low, high", [(0, 1), (0.0, 3.7e-4), (-5, 12345), (2, 2.0001)])
def test_ticks_are_a_few_round_numbers_within_the_range(low: float, high: float) -> None:
    ticks = tick_values(low, high)
    assert 3 <= len(ticks) <= 8 and low - 1e-9 <= ticks[0] < ticks[-1] <= high + 1e-9


def test_chart_of_one_late_step_is_drawn() -> None:
    assert 'class="dot curve-0"' in line_chart("t", [("a", [(1e15, 2.0)])], "x")


def test_chart_leaves_out_what_is_not_finite_and_thins_long_curves() -> None:
    assert line_chart("t", [("a", [(0, float("nan"))]), ("b", [])], "x") == ""
    chart = line_chart("t", [("a", [(k, k % 7) for k in range(5000)]), ("b", [(3, 1.0)])], "x")
    assert chart.count("L") < 420 and 'class="dot curve-1"' in chart


# --------------------------------------------------------------------------------------------------------- real browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if not CHROMIUM.exists():
        pytest.skip("needs /usr/bin/chromium: apt-get install chromium")
    with playwright_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_page_in_a_browser_is_accessible_and_fits(
    width: int, scheme: str, browser: Any, finished_run: Path, other_run: Path, tmp_path: Path
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    write_sweep(tmp_path / "sweep", [finished_run, other_run])
    path = tmp_path / "report.html"
    path.write_text(build_report([tmp_path / "sweep"]), encoding="utf-8")
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True)
    shown, problems = context.new_page(), []
    shown.on("console", lambda message: problems.append(message.text))
    shown.on("pageerror", lambda error: problems.append(str(error)))
    shown.on("requestfailed", lambda request: problems.append(request.url))
    shown.goto(path.as_uri())
    assert problems == []
    assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
    violations = axe.Axe().run(shown, options=WCAG).response["violations"]
    assert not violations, [(v["id"], v["nodes"][0]["html"]) for v in violations]
    shown.emulate_media(media="print")
    assert shown.evaluate("[...document.querySelectorAll('.tall')].every(e => e.scrollHeight <= e.clientHeight + 1)")
    context.close()
