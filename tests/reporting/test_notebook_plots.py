"""The plots of results in a notebook: into whose axes, what they show, and that nothing else is changed."""

import dataclasses
import inspect
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from fretal_bench.errors import BenchError
from fretal_bench.reporting.drawing import image
from fretal_bench.reporting.notebook import shown
from fretal_bench.reporting.notebook_plots import ResultPlots
from fretal_bench.reporting.palette import looks
from fretal_bench.reporting.plots import PLOTS
from fretal_bench.reporting.summary import summarize

DOMAINS = ["Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures"]
KNOWN = {
    "finetuning": (0.95, 0.14),
    "ewc": (0.90, 0.06),
    "ewc(lambda_=9.0)": (0.90, 0.05),
    "fretal/cored": (0.93, 0.04),
    "joint": (0.94, 0.0),
}
CALLS = {
    "tradeoff": {},
    "courses": {"domain": "Face2Face"},
    "matrix": {"strategies": "ewc"},
    "forgetting_matrix": {"strategies": "cored"},
    "differences": {"reference": "ewc"},
    "faces": {"strategy": "finetuning"},
}
"""A call of every method that any results have something for, with which it fits into one panel."""


@pytest.fixture(scope="module")
def results(make):
    return shown(make(KNOWN))


@pytest.fixture
def with_crops(results, monkeypatch):
    """Results whose crop stores are at hand."""
    crops = lambda _, frames: [np.full((8, 8, 3), row % 255, np.uint8) for row in frames["row"]]  # noqa: E731
    monkeypatch.setattr(type(results), "crops_of", crops)
    return dataclasses.replace(results)


def methods():
    return {name for name, _ in inspect.getmembers(ResultPlots, inspect.isfunction) if name[0] != "_"}


def test_tab_finds_the_plots_and_each_says_what_it_draws(results):
    assert "plot" in dir(results)
    assert {*CALLS, "further", "updates", "orders"} == methods() <= set(dir(results.plot))
    assert all(inspect.getdoc(getattr(ResultPlots, name)).startswith("Draw ") for name in methods())
    assert all(name in repr(results.plot) for name in methods())


def test_a_plot_goes_into_the_callers_axes_and_changes_nothing_else(with_crops):
    pyplot_before, settings = "matplotlib.pyplot" in sys.modules, dict(matplotlib.rcParams)
    figure = Figure((12, 8), layout="constrained")
    FigureCanvasSVG(figure)
    engine = figure.get_layout_engine()
    panels = figure.subplots(2, 3).ravel()
    for panel, (name, arguments) in zip(panels, CALLS.items(), strict=True):
        assert getattr(with_crops.plot, name)(**arguments, ax=panel) is panel
        assert panel.has_data()
    assert figure.axes == list(panels)
    assert figure.get_layout_engine() is engine
    assert isinstance(figure.canvas, FigureCanvasSVG)
    assert dict(matplotlib.rcParams) == settings
    assert ("matplotlib.pyplot" in sys.modules) == pyplot_before


def test_a_plot_without_axes_is_a_figure_that_a_notebook_shows_and_pyplot_does_not_know(results):
    figure = results.plot.differences()
    png, about = figure._repr_png_()
    assert png.startswith(b"\x89PNG")
    assert about["width"] == round(100 * figure.get_figwidth())
    assert about["alt"].startswith("Differences from ")
    plt = sys.modules.get("matplotlib.pyplot")
    assert plt is None or not plt.get_fignums()


def test_a_plot_of_all_strategies_has_the_bytes_and_the_words_of_the_reports(results):
    figure = results.plot.tradeoff()
    report = next(plot for plot in PLOTS if plot.name == "forgetting-against-learning")
    summary = summarize(results)
    png, about = figure._repr_png_()
    assert png == image(report.draw(summary), "png")
    assert about["alt"] == report.words(summary)


def test_of_some_strategies_the_look_is_that_of_all(results):
    look = looks(summarize(results).strategies)
    panel = Figure().subplots()
    results.plot.courses("FaceSwap", ["ewc(lambda_=9.0)", "joint"], panel)
    lines = {line.get_label(): line for line in panel.lines if not line.get_label().startswith("_")}
    assert list(lines) == ["ewc(lambda_=9.0)", "joint"]
    for label, line in lines.items():
        assert (to_hex(line.get_color()), line.get_marker()) == (look[label].colour, look[label].marker)
    first, second = Figure().subplots(1, 2)
    results.plot.matrix("ewc", first)
    results.plot.matrix("joint", second)
    learned = [panel.collections[0].get_facecolors()[0] for panel in (first, second)]
    values = [results.matrix(label).iloc[1, 0] for label in ("ewc", "joint")]
    assert values[0] != values[1]
    assert not np.allclose(*learned)


def test_a_matrix_holds_the_values_of_the_metric_and_level_that_were_asked_for(results):
    panel = Figure().subplots()
    results.plot.matrix("ewc", panel, metric="auc", level="video")
    expected = results.matrix("ewc", "auc", "video").iloc[1:].to_numpy()
    texts = [float(text.get_text()) for text in panel.texts]
    assert texts == pytest.approx(expected.ravel(), abs=0.0051)
    assert [label.get_text() for label in panel.get_xticklabels()] == DOMAINS


def test_differences_are_those_of_compare_and_filled_where_they_are_told_apart(results):
    panel = Figure().subplots()
    results.plot.differences("finetuning", ax=panel)
    names = [label.get_text() for label in panel.get_yticklabels()]
    assert set(names) == {"ewc", "ewc(lambda_=9.0)", "fretal/cored"}
    points = [line for line in panel.lines if len(line.get_xdata()) == 1]
    for name, point in zip(names, points, strict=True):
        row = results.compare("finetuning", name).loc["backward_transfer"]
        assert point.get_xdata()[0] == pytest.approx(row["difference"])
        assert (to_hex(point.get_markerfacecolor()) != "#ffffff") == row["told_apart"]
    learned = Figure().subplots()
    results.plot.differences("finetuning", "ewc", learned, quantity="learning")
    (point,) = [line for line in learned.lines if len(line.get_xdata()) == 1]
    expected = results.compare("ewc", "finetuning").loc["learning", "difference"]
    assert point.get_xdata()[0] == pytest.approx(expected)


def test_faces_are_those_that_moved_most_one_a_video_with_their_crops(with_crops):
    frames = with_crops.forgotten("finetuning", "Face2Face", crops=True)
    assert [crop[0, 0, 0] for crop in frames["crop"]] == list(frames["row"] % 255)
    panel = Figure().subplots()
    with_crops.plot.faces("finetuning", "Face2Face", panel, most=4)
    missed = frames[frames["kind"] == "missed"].assign(moved=lambda of: (of["then"] - of["now"]).abs())
    best = missed.groupby("video")["moved"].max().nlargest(4)
    assert len(panel.images) == 4
    rows = {int(drawn.get_array()[0, 0, 0]) for drawn in panel.images}
    assert rows <= set(missed.loc[missed["moved"] >= best.min(), "row"] % 255)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda of, ax: of.tradeoff("ecw"), "unknown strategy 'ecw'; did you mean 'ewc'"),
        (lambda of, ax: of.tradeoff([]), "expected at least one name"),
        (lambda of, ax: of.courses("Deepfake"), "unknown domain 'Deepfake'; did you mean 'Deepfakes'"),
        (lambda of, ax: of.courses(ax=ax), "ax= holds one panel: name a domain (Deepfakes"),
        (lambda of, ax: of.matrix(ax=ax), "ax= holds one panel: name one strategy (finetuning"),
        (lambda of, ax: of.matrix("ewc", metric="aoc"), "'aoc'"),
        (lambda of, ax: of.differences("joint"), "joint is not compared"),
        (lambda of, ax: of.differences("ewc", "joint"), "none of joint is compared with ewc"),
        (lambda of, ax: of.differences(quantity="lerning"), "did you mean 'learning'"),
        (lambda of, ax: of.faces("ewc"), "the crop store of Deepfakes is not on this machine"),
        (lambda of, ax: of.faces("ewc", kind="lost"), "unknown kind of forgotten face 'lost'"),
        (lambda of, ax: of.further(), "bench score RESULTS --on STORE"),
        (lambda of, ax: of.updates(), "run with --watch 10"),
        (lambda of, ax: of.orders(), "run with --orders all"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_one_line(results, call, message):
    with pytest.raises(BenchError) as error:
        call(results.plot, Figure().subplots())
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_one_domain_has_courses_and_a_matrix_and_no_forgetting(make):
    of = shown(make(seeds=1, domains=("a",))).plot
    assert of.matrix("ewc").axes
    assert of.courses().axes
    with pytest.raises(BenchError, match="nothing can be forgotten"):
        of.tradeoff()


def test_crops_are_a_column_of_nothing_where_no_store_is(results):
    frame = results.forgotten("ewc", "Face2Face", crops=True)
    assert list(frame["crop"]) == [None] * len(frame)
    pd.testing.assert_frame_equal(frame.drop(columns="crop"), results.forgotten("ewc", "Face2Face"))
