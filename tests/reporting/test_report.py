"""Whole reports: files, bytes, the page, the terminal."""

from __future__ import annotations

import csv
import dataclasses
import errno
import io
import json
import os
import re
from html.parser import HTMLParser

import pytest
from rich.console import Console

from fretal_bench import plugins
from fretal_bench.errors import BenchError, RunError
from fretal_bench.metrics import registry
from fretal_bench.metrics.matrices import align_levels
from fretal_bench.reporting import quantities
from fretal_bench.reporting.contents import quantity_tables
from fretal_bench.reporting.inputs import left_out
from fretal_bench.reporting.page.page import page as write_page
from fretal_bench.reporting.plots import plots
from fretal_bench.reporting.report import print_summary, write_report
from fretal_bench.reporting.summary import summarize
from fretal_bench.reporting.verdict import verdict


@pytest.fixture(scope="module")
def results(make):
    return make(
        {"finetuning": (0.95, 0.14), "ewc": (0.90, 0.06), "joint": (0.94, 0.0)},
        seeds=2,
        domains=("Deepfakes", "Face2Face", "FaceSwap"),
        failed={("mas", 1): "loss is <nan> & gone"},
        missing=[("ewc", 5)],
    )


@pytest.fixture(scope="module")
def small(make):
    return make({"ewc": (0.90, 0.06), "lwf": (0.8, 0.1)}, seeds=1, domains=("a", "b"))


@pytest.fixture(scope="module")
def report(results, tmp_path_factory):
    return write_report(results, tmp_path_factory.mktemp("report") / "new" / "folder")


def printed(results, width=100):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    summary = summarize(results)
    print_summary(results, summary, verdict(summary), console)
    return console.file.getvalue()


def test_every_file_is_there_and_named_in_the_report(report):
    names = sorted(str(path.relative_to(report.path)) for path in report.path.rglob("*") if path.is_file())
    assert names == sorted(str(path.relative_to(report.path)) for path in report.files)
    tables = ("summary", "final", "transfer", "detection", "comparisons", "metrics", "cost")
    tables += ("accuracy-matrices", "class-matrices", "forgetting-matrices")
    pictures = ("accuracy-matrices", "forgetting-matrices", "domain-courses", "forgetting-against-learning")
    expected = {
        "index.html",
        "summary.md",
        "tables/values.csv",
        "tables/all-matrices.csv",
        "tables/all-comparisons.csv",
        "tables/progress.csv",
    }
    expected |= {f"tables/{name}{end}" for name in tables for end in (".csv", ".tex", "-narrow.tex")}
    expected |= {f"plots/{name}.{kind}" for name in pictures for kind in ("png", "svg")}
    assert set(names) == expected


def test_the_same_results_give_the_same_bytes_and_other_files_are_kept(small, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "notes.txt").write_text("mine")
    once, again = (write_report(small, tmp_path / name) for name in ("a", "b"))
    for one, other in zip(once.files, again.files, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name
    assert (tmp_path / "a" / "notes.txt").read_text() == "mine"


def test_every_cell_is_laid_out_once_for_all_that_is_written_and_printed(small, tmp_path, monkeypatch):
    laid_out = []

    def counted(scores, *how):
        laid_out.append(id(scores))
        return align_levels(scores, *how)

    monkeypatch.setattr(quantities, "align_levels", counted)
    written = write_report(small, tmp_path)
    print_summary(small, written.summary, written.verdict, Console(file=io.StringIO()))
    assert laid_out == [id(cell.scores) for cell in small.cells]


def test_the_summary_table_holds_the_known_forgetting(report):
    rows = {row["strategy"]: row for row in csv.DictReader((report.path / "tables/summary.csv").open())}
    assert float(rows["ewc"]["forgetting"]) == pytest.approx(0.09)
    assert float(rows["finetuning"]["forgetting"]) == pytest.approx(0.21)
    assert (
        float(rows["ewc"]["learning_low"])
        < float(rows["ewc"]["learning"])
        < float(rows["ewc"]["learning_high"])
    )


def test_a_report_as_plain_data_is_valid_json_without_nan(report):
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["verdict"]["leader"] == "ewc"
    assert plain["page"].endswith("index.html")
    ewc = next(strategy for strategy in plain["strategies"] if strategy["label"] == "ewc")
    assert ewc["values"]["forgetting"]["mean"] == pytest.approx(0.09)
    assert ewc["forgetting"][0] == [None, None, None]
    assert ewc["forgetting"][2][0] == pytest.approx(0.12)
    assert [(p["label"], p["seed"], p["kind"]) for p in plain["problems"]] == [
        ("mas", 1, "failed"),
        ("ewc", 5, "missing"),
    ]


def test_matrices_as_csv_are_in_matrix_form(report):
    rows = list(csv.reader((report.path / "tables/accuracy-matrices.csv").open()))
    assert rows[0] == ["strategy", "after", "Deepfakes", "Face2Face", "FaceSwap"]
    assert rows[1][:2] == ["finetuning", "untrained"]
    assert len(rows) == 1 + 3 * (1 + 3)


class Page(HTMLParser):
    """Checks that tags close in order, and collects links, sources and text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.sources, self.text = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values["href"]] if "href" in values else []
        self.sources += [values["src"]] if "src" in values else []
        if tag == "img":
            assert values.get("alt")
        if tag not in ("meta", "img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)


def page_of(results, **arguments):
    """The page without its plots, which take the time."""
    summary = summarize(results, **arguments)
    return write_page(results, summary, verdict(summary), ())


@pytest.fixture(scope="module")
def page(report):
    return Page(report.page.read_text("utf-8"))


def test_the_page_is_well_formed_and_its_links_lead_somewhere(page):
    assert not page.open
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_faces_are_a_section_of_the_page_unless_they_are_left_out(small):
    summary = summarize(small)
    with_faces, without = (write_page(small, summary, verdict(summary), (), stores) for stores in ({}, None))
    assert 'id="faces"' in with_faces
    assert "crop store of these results (0123) is not on the machine" in with_faces
    assert 'id="faces"' not in without
    assert '"faces":{' not in without


def test_the_page_is_self_contained(report, page):
    text = report.page.read_text("utf-8")
    assert not page.sources
    assert not re.search(r"<script[^>]* src", text)
    assert "<link" not in text
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_the_page_marks_the_best_values_and_writes_real_minus_signs(report, page):
    text = report.page.read_text("utf-8")
    ewc = next(s for s in report.summary.strategies if s.label == "ewc")
    assert f"<strong>{ewc.values['forgetting'].mean:.3f}±" in text
    assert f"−{abs(ewc.values['backward_transfer'].mean):.3f}" in "".join(page.text)
    assert not re.search(r">-\d", text)


def test_the_page_begins_with_the_verdict(report, page):
    text = " ".join(page.text)
    assert text.index(report.verdict.sentence) < text.index("max-based forgetting")


def test_the_page_adapts_to_dark_screens_and_to_paper(report):
    text = report.page.read_text("utf-8")
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


@pytest.mark.parametrize(
    "needle",
    [
        "loss is <nan> & gone",
        "asked for but not finished",
        "test_resnet",
        "0123456789ab",
        "2.13.0",
        "temperature",
    ],
)
def test_the_page_tells_failures_gaps_recipe_and_environment(make, page, needle):
    if needle == "temperature":
        page = Page(page_of(make({"fretal": (0.9, 0.1)}, 1, ("a",))))
    assert needle in " ".join(page.text)


def test_markdown_begins_with_the_verdict_and_shows_its_pictures(report):
    text = (report.path / "summary.md").read_text("utf-8")
    assert text.splitlines()[2] == f"**{report.verdict.sentence}**"
    for link in re.findall(r"\]\((.*?)\)", text):
        assert (report.path / link).is_file()
    assert "| mas | 1 | failed | loss is &lt;nan> & gone |" in text
    assert "| ewc | 5 | missing |" in text


def test_names_cannot_break_out_of_the_page(make):
    evil = "<img src=x onerror=alert(1)>"
    text = page_of(make({evil: (0.9, 0.05)}, 1, ("<b>", "&")))
    assert evil not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert not Page(text).open


def test_the_protocol_stands_under_every_table_and_test_sets_are_counted(make):
    results = make({"ewc": (0.9, 0.06)}, 1, ("a", "b"))
    protocol = {"videos_per_class": None, "shared_reals": True}
    plan = {**results.plan, "stream": {**results.plan["stream"], "protocol": protocol}}
    results = dataclasses.replace(results, plan=plan)
    summary = summarize(results)
    for table in quantity_tables(summary):
        assert "Stream: test-stream (videos_per_class=all, shared_reals=True)." in table.notes
    few = {**plan, "stream": {**plan["stream"], "protocol": {**protocol, "videos_per_class": 8}}}
    assert "videos_per_class=8" in summarize(dataclasses.replace(results, plan=few)).stream
    assert [dataclasses.astuple(size) for size in summary.sizes] == [
        ("a", 50, 50, 50, 1),
        ("b", 50, 50, 50, 1),
    ]
    assert "fake frames" in page_of(results)


def test_environments_that_differ_are_told_apart(small):
    first, *others = small.cells
    other = dataclasses.replace(first, environment={**first.environment, "device": "NVIDIA H200"})
    text = page_of(dataclasses.replace(small, cells=(other, *others)))
    assert "1 of 2 cells: ewc, seed 0." in text
    assert "NVIDIA H200" in text


def test_a_shortcut_of_a_domain_stands_in_the_protocol_and_nothing_where_there_is_none(make, tmp_path):
    results = make(seeds=2)
    plain = write_report(results, tmp_path / "plain").path
    domain = results.plan["stream"]["domains"][1]["name"]
    shortcuts = {domain: "suffix alone tells real from fake (real: <b>.jpg</b>; fake: .png)"}
    plan = {**results.plan, "stream": {**results.plan["stream"], "shortcuts": shortcuts}}

    told = write_report(dataclasses.replace(results, plan=plan), tmp_path / "told").path

    lines = (told / "summary.md").read_text().splitlines()
    (line,) = set(lines) - set((plain / "summary.md").read_text().splitlines())
    assert line.startswith(f"- Shortcut in {domain}: suffix alone tells real from fake")
    page = (told / "index.html").read_text()
    assert f"{domain}: suffix alone tells real from fake (real: &lt;b&gt;.jpg" in page
    assert "without looking at a picture" not in (plain / "index.html").read_text()


def test_data_left_out_are_counted_by_reason(make):
    results = make({"ewc": (0.9, 0.06)}, 1, ("a", "b"))
    assert left_out(results) == ()
    stream = {**results.plan["stream"], "left_out": {"too short": 3, "no face": 2}}
    results = dataclasses.replace(results, plan={**results.plan, "stream": stream})
    lines = ("test-stream: 2 left out: no face", "test-stream: 3 left out: too short")
    assert left_out(results) == lines
    for text in (page_of(results), printed(results)):
        assert all(line in text for line in lines)


def test_a_report_of_an_error_rate_at_video_level_says_so(small):
    text = page_of(small, metric="eer", level="video")
    assert "learning EER ↓" in text
    assert "EER at video level." in text
    assert "differences turned round" in text


def test_a_stream_of_one_domain_has_a_report_without_forgetting(make):
    results = make(domains=("only",))
    for text in (page_of(results), printed(results)):
        assert "Forgetting does not exist" in text
        assert ": forgetting" not in text


def test_nothing_half_written_is_left_and_everybody_may_read(report):
    assert not any(path.name.startswith(".") for path in report.path.rglob("*"))
    assert {path.stat().st_mode & 0o777 for path in report.files} == {0o644}


def test_a_place_where_no_folder_can_be_is_refused_with_exit_code_2_before_anything_is_drawn(
    small, tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("fretal_bench.reporting.report.summarize", lambda *_: pytest.fail("computed"))
    with pytest.raises(BenchError, match=r"file.*no folder; give another --out|is no folder") as refusal:
        write_report(small, os.fspath(tmp_path / "file"))
    assert refusal.value.exit_code == 2


def test_a_full_disk_is_a_failed_run_with_exit_code_1_and_leaves_nothing_half_written(
    small, tmp_path, monkeypatch
):
    def full(part, final):
        if final.suffix == ".csv":
            raise OSError(errno.ENOSPC, "No space left on device")
        part.replace(final)

    monkeypatch.setattr("fretal_bench.files.move", full)
    with pytest.raises(RunError, match="no space left") as refusal:
        write_report(small, tmp_path)
    assert refusal.value.exit_code == 1
    assert not [
        path for path in tmp_path.rglob("*") if path.is_file() and path.suffix not in (".svg", ".png")
    ]


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_the_terminal_report_keeps_within_its_width(results, width):
    lines = printed(results, width).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= width
    assert not any("…" in line for line in lines)


def test_the_terminal_report_begins_with_the_verdict_and_shows_everything(results):
    text = printed(results)
    assert text.startswith("ewc forgets least: 0.090")
    for words in (
        "Forgetting, and what was learned",
        "What training took",
        "loss is <nan> & gone",
        "not ranked",
    ):
        assert words.lower() in text.lower()


def test_matrices_stand_side_by_side_where_the_width_allows(results):
    assert "ewc: accuracy │ accuracy on reals/fakes │ forgetting" in printed(results, 120)
    middle = re.sub(" +\n", "\n", printed(results, 84))
    assert "ewc: accuracy │ accuracy on reals/fakes\n" in middle
    assert "ewc: forgetting\n" in middle
    narrow = printed(results, 60)
    assert "ewc: accuracy\n" in re.sub(" +\n", "\n", narrow)
    assert "ewc: forgetting\n" in re.sub(" +\n", "\n", narrow)


def test_a_side_by_side_row_holds_r_and_f_of_the_same_step(make):
    text = printed(make({"ewc": (0.90, 0.06)}, 1, ("a", "b", "c")), 100)
    row = next(line for line in text.splitlines() if line.startswith("c ") and "│" in line)
    left, by_class, right = (part.split() for part in row.split("│"))
    assert left == ["c", "0.790", "0.850", "0.910"]
    assert len(by_class) == 3
    assert right == ["+0.120", "+0.060"]


WIDE = """
from fretal_bench.metrics.registry import Metric

METRIC = Metric(
    "logit_gap",
    "logit gap",
    True,
    "12 times (mean score of the fakes - mean score of the reals), minus 3",
    lambda labels, scores: 12 * float(scores[labels == 1].mean() - scores[labels == 0].mean()) - 3,
    needs_both_classes=True,
)
"""


@pytest.fixture
def plugin(tmp_path):
    """A plugin file with a metric whose values lie below 0 and above 1; it is forgotten at the end."""
    file = tmp_path / "logit_gap.py"
    file.write_text(WIDE)
    plugins.forget()
    plugins.use_files([file])
    yield
    plugins.forget()


def test_a_metric_of_a_plugin_can_be_the_metric_of_a_whole_report(plugin, small, tmp_path):
    report = write_report(small, tmp_path / "out", "logit_gap")
    text = report.page.read_text("utf-8")
    assert "learning logit gap ↑" in text
    assert "Logit gap at frame level." in text
    rows = list(csv.DictReader((report.path / "tables/all-matrices.csv").open()))
    cell = small.cells[0].scores.query("step == 0 and domain == 'a'")
    means = cell.groupby("label")["score"].mean()
    (value,) = [
        float(row["value"])
        for row in rows
        if (row["label"], row["metric"], row["level"]) == ("ewc", "logit_gap", "frame")
        and (row["step"], row["domain"]) == ("0", "a")
    ]
    assert value == pytest.approx(12 * (means[1] - means[0]) - 3, rel=1e-6)
    assert value > 1
    summary = next(csv.DictReader((report.path / "tables/summary.csv").open()))
    detection = next(csv.DictReader((report.path / "tables/detection.csv").open()))
    assert float(summary["average"]) == float(detection["plugin_logit_gap"])


def test_plots_show_values_outside_of_0_to_1_whole(plugin, small):
    summary = summarize(small, "logit_gap")
    heat_maps, scatter = (
        next(plot for plot in plots(summary) if plot.name == name).draw(summary)
        for name in ("accuracy-matrices", "forgetting-against-learning")
    )
    means = [value for s in summary.strategies for value in (*s.accuracy.mean.ravel(), *s.baseline.mean)]
    low, high = heat_maps.axes[-1].get_xlim()
    assert low <= min(s.accuracy.mean.min() for s in summary.strategies)
    assert high >= max(means) - 1e-9
    bottom, top = scatter.axes[0].get_ylim()
    assert all(bottom < s.values["average"].mean < top for s in summary.strategies)


def test_accuracy_by_class_stands_beside_every_matrix_and_whole_in_the_files(report, results):
    summary = report.summary
    ewc = next(strategy for strategy in summary.strategies if strategy.label == "ewc")
    reals, fakes = ewc.by_class.mean
    text = f"{reals[3, 0]:.2f}/{fakes[3, 0]:.2f}"
    assert "ewc: accuracy on reals/fakes" in report.page.read_text()
    assert text in report.page.read_text()
    assert text in (report.path / "summary.md").read_text()
    wide = printed(results, 160)
    assert "ewc: accuracy │ accuracy on reals/fakes │ forgetting" in wide
    assert any(line.startswith("FaceSwap") and text in line for line in wide.splitlines())
    assert "ewc: accuracy on reals/fakes" in printed(results, 70)
    rows = list(csv.DictReader((report.path / "tables/class-matrices.csv").open()))
    row = next(row for row in rows if (row["strategy"], row["after"]) == ("ewc", "FaceSwap"))
    assert float(row["Deepfakes_reals"]) == pytest.approx(reals[3, 0])
    assert float(row["Deepfakes_fakes"]) == pytest.approx(fakes[3, 0])


def test_every_metric_of_the_final_detector_is_one_table_folded_on_the_page(report):
    rows = {row["strategy"]: row for row in csv.DictReader((report.path / "tables/metrics.csv").open())}
    cells = [cell for cell in report.summary.cells if cell.label == "ewc"]
    for name in registry.names():
        values = [cell.matrices["frame", name].values[-1].mean() for cell in cells]
        assert float(rows["ewc"][name]) == pytest.approx(sum(values) / len(values))
    page = report.page.read_text()
    assert page.count("<summary>The final detector by every metric, mean over domains</summary>") == 1


def test_how_videos_are_scored_is_said_where_it_is_not_by_the_mean(small):
    text = page_of(small, level="video", video="logit")
    assert "Accuracy at video level (mean frame logit)." in text
    assert "video: mean frame logit of each video" in text
