"""Plots: what they show, that the same data give the same bytes, and extremes of size."""

from __future__ import annotations

import colorsys
import io
import itertools
import re
import time
from dataclasses import dataclass
from importlib import resources
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from fretal_bench.reporting.drawing import image
from fretal_bench.reporting.palette import COLOURS, DOMAIN_COLOURS, MARKERS, looks, mark_path
from fretal_bench.reporting.placement import Rectangle, place
from fretal_bench.reporting.plots import plots
from fretal_bench.reporting.summary import summarize
from fretal_bench.strategies.families import BUILT_IN

STYLE = resources.files("fretal_bench.reporting.page").joinpath("style", "base.css").read_text()


@pytest.fixture(scope="module")
def summary(make):
    return summarize(make({"finetuning": (0.95, 0.14), "ewc": (0.90, 0.06), "joint": (0.94, 0.0)}))


@pytest.fixture(scope="module")
def figures(summary):
    return {plot.name: plot.draw(summary) for plot in plots(summary)}


def visible(figure):
    return [axes for axes in figure.axes if axes.get_visible()]


def cells_of(figure, count):
    """The panels of a heat map: the middle of every cell and its text, cells from left to right, line by line."""
    (squares,) = figure.axes[0].collections
    middles = [path.vertices[:4].mean(axis=0) for path in squares.get_paths()]
    texts = {tuple(np.round(text.get_position(), 6)): text for text in figure.axes[0].texts}
    found = [(middle, texts.get(tuple(np.round(middle, 6)))) for middle in middles]
    size = len(found) // count
    return [found[at * size : (at + 1) * size] for at in range(count)]


def test_accuracy_heat_maps_print_every_value_of_every_strategy(summary, figures):
    axes = figures["accuracy-matrices"].axes[0]
    titles = [text.get_text() for text in axes.texts if (text.get_gid() or "").startswith("title")]
    assert titles == [strategy.label for strategy in summary.strategies]
    panels = cells_of(figures["accuracy-matrices"], len(summary.strategies))
    for panel, strategy in zip(panels, summary.strategies, strict=True):
        for (i, j), (_, text) in zip(np.ndindex(4, 4), panel, strict=True):
            assert float(text.get_text()) == pytest.approx(strategy.accuracy.mean[i, j], abs=0.0051)
            assert (text.get_fontstyle() == "italic") == (j > i)
    names = [text.get_text() for text in axes.texts if text.get_rotation() == 45]
    # All three panels stand in one line.
    assert names == 3 * list(summary.domains)


def test_only_cells_above_the_diagonal_are_hatched(summary, figures):
    outlines = [patch for patch in figures["accuracy-matrices"].axes[0].patches if patch.get_hatch()]
    panels = cells_of(figures["accuracy-matrices"], len(summary.strategies))
    for outline, panel in zip(outlines, panels, strict=True):
        for (i, j), (middle, _) in zip(np.ndindex(4, 4), panel, strict=True):
            assert outline.get_path().contains_point(middle) == (j > i)


def test_forgetting_heat_maps_are_centred_on_zero_and_leave_undefined_cells_empty(summary, figures):
    drawn = figures["forgetting-matrices"]
    for panel in cells_of(drawn, len(summary.strategies)):
        assert [text is not None for _, text in panel] == [j <= i for i, j in np.ndindex(3, 3)]
    low, high = drawn.axes[-1].get_xlim()
    assert low == -high
    fills = drawn.axes[0].collections[0].get_facecolors()
    assert np.all(fills[2] == 1.0)


def test_domain_courses_show_each_strategy_and_mark_the_step_that_learns_the_domain(summary, figures):
    panels = visible(figures["domain-courses"])
    assert [panel.get_title("left") for panel in panels] == list(summary.domains)
    for j, panel in enumerate(panels):
        lines = {line.get_label(): line for line in panel.lines}
        assert [line.get_xdata()[0] for name, line in lines.items() if name.startswith("_")] == [j]
        for strategy in summary.strategies:
            expected = [strategy.baseline.mean[j], *strategy.accuracy.mean[:, j]]
            np.testing.assert_allclose(lines[strategy.label].get_ydata(), expected)


def test_bands_are_drawn_but_of_two_seeds(make, figures):
    def bands(figure):
        return len(figure.axes[0].collections)

    assert bands(figures["domain-courses"]) == 3
    two = summarize(make({"ewc": (0.9, 0.06)}, seeds=2, domains=("a", "b")))
    assert bands(next(plot for plot in plots(two) if plot.name == "domain-courses").draw(two)) == 0
    one = summarize(make({"ewc": (0.9, 0.06)}, seeds=1, domains=("a", "b")))
    assert bands(next(plot for plot in plots(one) if plot.name == "domain-courses").draw(one)) == 1


def test_scatter_names_every_strategy_once(figures):
    panel = figures["forgetting-against-learning"].axes[0]
    assert sorted(names_in(panel)) == ["ewc", "finetuning", "joint"]
    assert any(text.get_text().startswith("average 0.") for text in panel.texts)


def test_no_line_is_of_an_average_that_there_is_not_and_no_label_begins_outside(make):
    """With one seed intervals reach far beyond what a rate can be."""
    of = summarize(make({"ewc": (0.9, 0.06), "lwf": (0.95, 0.1)}, seeds=1, domains=("a", "b")))
    figure = next(plot for plot in plots(of) if plot.name == "forgetting-against-learning").draw(of)
    panel = figure.axes[0]
    figure.canvas.draw()
    labels = [text for text in panel.texts if text.get_text().startswith("average ")]
    assert labels
    for label in labels:
        assert 0 <= float(label.get_text().split()[1]) <= 1
        assert label.get_window_extent().x0 >= panel.get_window_extent().x0


def names_in(panel):
    """The names of strategies in a plot, apart from the averages at the lines that mean one."""
    return [name for text in panel.texts if not (name := text.get_text()).startswith("average ")]


def test_a_users_own_matplotlib_settings_change_nothing(summary, figures):
    import matplotlib

    plot = plots(summary)[0]
    before = image(figures[plot.name], "png")
    with matplotlib.rc_context({"lines.linewidth": 9, "axes.facecolor": "red", "font.size": 20}):
        assert image(plot.draw(summary), "png") == before


def test_drawing_leaves_pyplot_and_the_settings_alone(summary):
    import matplotlib

    before = dict(matplotlib.rcParams)
    image(plots(summary)[0].draw(summary), "svg")
    assert dict(matplotlib.rcParams) == before


def test_pngs_have_at_least_150_dpi_and_svgs_are_well_formed_without_a_date(figures):
    drawn = figures["forgetting-against-learning"]
    png = Image.open(io.BytesIO(image(drawn, "png")))
    assert png.info["dpi"][0] >= 150 - 1e-6
    svg = image(drawn, "svg")
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert b"<dc:date>" not in svg


def test_three_strategies_are_drawn_and_written_quickly(summary, figures):
    begun = time.process_time()
    for plot in plots(summary):
        drawn = plot.draw(summary)
        image(drawn, "png"), image(drawn, "svg")
    # Own processor time, on a machine shared with others; about 3 s alone.
    assert time.process_time() - begun < 10


@pytest.mark.parametrize(
    ("strategies", "domains", "name"),
    [
        (1, 1, "accuracy-matrices"),
        (1, 1, "domain-courses"),
        (18, 2, "accuracy-matrices"),
        (18, 2, "forgetting-against-learning"),
        (1, 12, "accuracy-matrices"),
        (2, 12, "domain-courses"),
    ],
)
def test_extremes_of_size_can_be_drawn(make, strategies, domains, name):
    names = {f"method-{k}": (0.9, 0.01 * k) for k in range(strategies)}
    extreme = summarize(make(names, seeds=1, domains=[f"domain {k}" for k in range(domains)]))
    drawn = next(plot for plot in plots(extreme) if plot.name == name).draw(extreme)
    assert all(panel.get_position().width > 0.02 for panel in visible(drawn))


def test_one_domain_has_no_plots_of_forgetting(make):
    assert [plot.name for plot in plots(summarize(make(seeds=1, domains=("a",))))] == [
        "domain-courses",
        "accuracy-matrices",
    ]


def test_values_that_do_not_exist_do_not_stop_a_plot(make):
    results = make(seeds=1, domains=("a", "b", "c"))
    for cell in results.cells[:1]:
        cell.scores.loc[cell.scores["step"] == 1, "score"] = np.nan
    broken = summarize(results)
    drawn = {plot.name: plot.draw(broken) for plot in plots(broken)}
    panel, *_ = cells_of(drawn["accuracy-matrices"], len(broken.strategies))
    assert [text.get_text() for _, text in panel].count("–") == 3
    assert names_in(drawn["forgetting-against-learning"].axes[0]) == ["ewc"]


@dataclass(frozen=True)
class Drawn:
    """What a look is of."""

    label: str
    strategy: str
    bound: bool = False
    old_samples: str = "none"


def drawn_of(info, label=""):
    return Drawn(label or info.name, info.name, info.bound, {"budget": "500"}.get(info.memory, info.memory))


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_a_strategy_has_the_same_look_whatever_stands_beside_it_and_no_other_has_it():
    every = looks([drawn_of(info) for info in BUILT_IN])
    for info in BUILT_IN:
        assert looks([drawn_of(info)]) == {info.name: every[info.name]}
    competitors = [every[info.name] for info in BUILT_IN if not info.bound]
    assert len({(look.colour, look.marker) for look in competitors}) == len(competitors)
    values = looks([Drawn(f"ewc(lambda_={k})", "ewc") for k in range(3)])
    assert len(set(values.values())) == 3


def test_what_is_most_often_compared_is_told_apart_by_hue():
    labels = ("finetuning", "fretal", "kd", "lwf", "ewc")
    strategies = [Drawn(name, name, False, "none") for name in labels]
    hues = []
    for look in looks(strategies).values():
        red, green, blue = (int(look.colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
        hues.append(360 * colorsys.rgb_to_hsv(red, green, blue)[0])
    gaps = [abs((a - b + 180) % 360 - 180) for a, b in itertools.combinations(hues, 2)]
    # Ochre and orange are nearest, 14 degrees, and differ in lightness too.
    assert min(gaps) > 10


def test_looks_tell_what_a_strategy_keeps_without_colour_too():
    looks_of = {kind: looks([Drawn("s", "s", kind == "bound", old)])["s"] for kind, old in KEPT.items()}
    assert len({look.marker for look in looks_of.values()}) == 3
    assert not set(MARKERS["none"]) & set(MARKERS["samples"])
    assert not {*MARKERS["none"], *MARKERS["samples"]} & set(MARKERS["bound"])
    assert looks_of["bound"].fill == "white"


KEPT = {"none": "none", "samples": "up to 500", "bound": "all"}


def test_every_colour_is_seen_on_white_and_on_dark_paper():
    dark = re.search(r"dark\).*?--paper: (#[0-9a-f]{6})", STYLE, re.DOTALL)[1]
    for colour in (*DOMAIN_COLOURS, *(colour for of_kind in COLOURS.values() for colour in of_kind)):
        assert contrast(colour, "#ffffff") >= 3, colour
        assert contrast(colour, dark) >= 3, colour


def test_every_marker_has_an_outline_for_the_page_of_the_size_of_a_mark():
    for marker in (marker for of_kind in MARKERS.values() for marker in of_kind):
        numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", mark_path(marker))]
        assert max(map(abs, numbers)) <= 6


def test_names_cover_neither_points_nor_each_other():
    rng = np.random.default_rng(0)
    points = [(float(x), float(y)) for x, y in rng.uniform(100, 180, (12, 2))]
    places = place(points, [(60.0, 10.0)] * 12, Rectangle(0, 0, 460, 330))
    boxes = [where.box for where in places]
    for k, box in enumerate(boxes):
        assert box.inside(Rectangle(0, 0, 460, 330))
        assert not any(box.overlaps(other) for other in boxes[:k])
        assert not any(box.overlaps(Rectangle(x - 4, y - 4, x + 4, y + 4)) for x, y in points)


def test_a_name_goes_round_an_error_bar():
    bar = Rectangle(20, 49, 180, 51)
    (where,) = place([(100.0, 50.0)], [(40.0, 10.0)], Rectangle(0, 0, 200, 100), obstacles=[bar])
    assert not where.box.overlaps(bar)
    assert not where.led


def test_of_many_strategies_those_that_forget_least_are_coloured_and_all_have_their_intervals(make):
    lost = {f"s{k:02d}": (0.9, 0.02 * k) for k in range(9, 0, -1)} | {
        "finetuning": (0.9, 0.2),
        "joint": (0.94, 0.0),
    }
    crowd = summarize(make(lost))
    drawn = {plot.name: plot.draw(crowd) for plot in plots(crowd)}
    (legend,) = drawn["domain-courses"].legends
    names = ["s04", "s03", "s02", "s01", "finetuning", "joint"]
    assert [text.get_text() for text in legend.get_texts()] == names
    panel = visible(drawn["domain-courses"])[0]
    assert len([line for line in panel.lines if len(line.get_xdata()) == 5]) == 11
    scatter = drawn["forgetting-against-learning"].axes[0]
    assert set(names_in(scatter)) == set(lost)
    levels = [
        of for name in ("backward_transfer", "learning") for of in crowd.inference[name].levels.values()
    ]
    assert len(scatter.collections) == sum(of.low == of.low for of in levels) > len(lost)


def test_a_plot_says_in_a_sentence_what_it_shows(summary):
    words = {plot.name: plot.words(summary) for plot in plots(summary)}
    assert words["forgetting-against-learning"].startswith(
        "Forgetting against learning: ewc forgets least (0."
    )
    assert "finetuning most" in words["forgetting-against-learning"]
    assert "of finetuning on Deepfakes" in words["domain-courses"]
