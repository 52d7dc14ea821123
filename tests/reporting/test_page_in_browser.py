"""The page in Chromium: what it switches, sorts, filters and opens, its addresses, small screens, paper, contrast."""

from __future__ import annotations

import os
import re
import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from fretal_bench.reporting.page.page import page as write_page
from fretal_bench.reporting.summary import summarize
from fretal_bench.reporting.tables import decimal
from fretal_bench.reporting.verdict import verdict

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed, e.g. Debian's chromium")

STRATEGIES = {
    "finetuning": (0.95, 0.14),
    "ewc": (0.90, 0.06),
    "fretal": (0.93, 0.04),
    "er": (0.92, 0.02),
    "joint": (0.94, 0.0),
}
DOMAINS = ("Deepfakes", "Face2Face", "FaceSwap")


class Crops:
    """A crop store of noise, as far as a page needs one."""

    crops = np.random.default_rng(0).integers(0, 255, (100, 80, 80, 3), dtype=np.uint8)

    def __len__(self):
        return len(self.crops)


SCRIPT = files("fretal_bench.reporting.page").joinpath("script", "core.js").read_text("utf-8")


def written(results, folder, stores=None):
    summary = summarize(results)
    file = folder / "index.html"
    file.write_text(write_page(results, summary, verdict(summary), (), stores), "utf-8")
    return file


@pytest.fixture(scope="module")
def file(make, tmp_path_factory):
    """The page of five strategies, with pictures of faces."""
    results = make(STRATEGIES, seeds=2, domains=DOMAINS)
    return written(results, tmp_path_factory.mktemp("page"), {"0123": Crops()})


@pytest.fixture(scope="module")
def long_file(make, tmp_path_factory):
    """The page of 23 strategies."""
    many = {f"strategy-{k:02d}": (0.95 - 0.005 * k, 0.005 * k) for k in range(21)}
    results = make({**many, "zero-shot": (0.6, 0.0), "joint": (0.94, 0.0)}, seeds=1)
    return written(results, tmp_path_factory.mktemp("long"))


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium):
    """Open a page; whatever it writes to the console, or throws, fails the test."""
    pages, said = [], []

    def open_(file, address="", width=1440, **options):
        tab = chromium.new_page(viewport={"width": width, "height": 900}, **options)
        tab.set_default_timeout(60_000)
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.goto(f"file://{file}{address}")
        pages.append(tab)
        return tab

    yield open_
    for tab in pages:
        tab.close()
    assert not said


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory):
    """Where pictures are kept: a folder that is named, so that they can be looked at, or the test's own."""
    folder = os.environ.get("FRETAL_BENCH_SCREENSHOTS")
    place = Path(folder) if folder else tmp_path_factory.mktemp("screenshots")
    place.mkdir(parents=True, exist_ok=True)
    return place


def rows(tab):
    return tab.eval_on_selector_all(
        "#leaderboard-table tbody tr", "all => all.map(row => row.dataset.strategy)"
    )


def cell(tab, strategy, column):
    return tab.locator(f'#leaderboard-table tr[data-strategy="{strategy}"] td.n').nth(column).inner_text()


def test_the_leaderboard_is_sorted_by_forgetting_and_bounds_stand_below(opened, file):
    tab = opened(file)
    assert rows(tab) == ["er", "fretal", "ewc", "finetuning", "joint"]
    tab.click('button[data-sort="learning"]')
    learned = [float(cell(tab, name, 1).split()[0]) for name in rows(tab)[:-1]]
    assert learned == sorted(learned, reverse=True)
    assert "sort=learning" in tab.url
    tab.click('button[data-sort="learning"]')
    assert [float(cell(tab, name, 1).split()[0]) for name in rows(tab)[:-1]] == learned[::-1]
    assert rows(tab)[-1] == "joint"
    assert tab.get_attribute("th:has(> button[data-sort=learning])", "aria-sort") == "descending"


def test_metric_and_level_are_switched_and_an_address_opens_the_same_view(opened, file):
    tab = opened(file)
    before = tab.inner_text("#answer"), cell(tab, "ewc", 0)
    tab.click("button[data-metric=auc]")
    tab.click("button[data-level=video]")
    assert "video AUC" in tab.inner_text("#answer")
    assert tab.url.endswith("#metric=auc&level=video")
    numbers = tab.inner_text("#leaderboard-table")
    other = opened(file, "#metric=auc&level=video")
    assert other.inner_text("#leaderboard-table") == numbers
    assert other.get_attribute("button[data-metric=auc]", "aria-pressed") == "true"
    tab.go_back()
    tab.go_back()
    assert (tab.inner_text("#answer"), cell(tab, "ewc", 0)) == before
    unknown = opened(file, "#metric=nonsense&strategy=nobody&level=video")
    assert unknown.get_attribute("button[data-level=video]", "aria-pressed") == "true"
    assert "video accuracy" in unknown.inner_text("#answer")


def test_strategies_are_filtered_by_name_and_by_what_they_keep(opened, file):
    tab = opened(file)
    tab.fill("#filter", "ewc, fre")
    assert rows(tab) == ["fretal", "ewc"]
    assert tab.locator("#tradeoff-plot .point").count() == 2
    assert "filter=ewc" in tab.url
    tab.fill("#filter", "")
    tab.click("button[data-kind=samples]")
    tab.click("button[data-kind=bound]")
    assert rows(tab) == ["fretal", "ewc", "finetuning"]


def test_a_strategy_is_opened_from_the_leaderboard_the_plot_and_an_address(opened, file):
    tab = opened(file)
    tab.click('#leaderboard-table tr[data-strategy="ewc"] a')
    assert tab.inner_text("#strategy-name") == "ewc"
    assert tab.url.endswith("#strategy=ewc")
    assert tab.locator("#strategy-matrix tbody tr").count() == 1 + len(DOMAINS)
    for place in ("courses", "scores", "rocs"):
        assert tab.locator(f"#strategy-{place} svg").count() == len(DOMAINS), place
    assert "ewc-0" in tab.inner_text("#strategy-cells")
    tab.go_back()
    assert tab.inner_text("#strategy-name") == "er"
    point = tab.locator('#tradeoff-plot .point[data-strategy="fretal"]')
    point.focus()
    assert tab.inner_text("#tradeoff-plot .tip").startswith("fretal, forgetting 0.")
    tab.keyboard.press("Enter")
    assert tab.inner_text("#strategy-name") == "fretal"
    assert opened(file, "#strategy=joint").inner_text("#strategy-name") == "joint"


def test_pairs_are_read_cell_by_cell_with_the_keyboard(opened, file):
    tab = opened(file)
    assert tab.locator("table.pairs tbody tr").count() == 4
    tab.locator('table.pairs td[tabindex="0"]').focus()
    assert tab.inner_text("#pairs-words").startswith("er minus fretal: −0.")
    # Over the diagonal, where there is nothing to read.
    tab.keyboard.press("ArrowDown")
    assert tab.inner_text("#pairs-words").startswith("ewc minus fretal: +0.")


def test_faces_that_were_forgotten_are_shown_with_their_pictures_and_those_won_back(opened, file):
    tab = opened(file, "#strategy=finetuning")
    shown = tab.locator("#faces-list figure")
    assert shown.count() > 0
    assert tab.locator("#faces-list figure.fake img").count() == shown.count()
    tab.click("button[data-faces=alarm]")
    assert tab.locator("#faces-list figure.real").count() == shown.count() > 0
    tab.select_option("#faces-domain", "Deepfakes")
    assert set(tab.locator("#faces-list figcaption .soft").all_inner_texts()) <= {
        f"Deepfakes, seed {seed}{more}" for seed in (0, 1) for more in ("", " (also 0)", " (also 1)")
    }
    assert "faces=alarm" in tab.url
    assert file.stat().st_size < 3_000_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_scrolls_sideways_on_a_phone_and_names_stay_where_tables_do(
    opened, long_file, screenshots, scheme
):
    tab = opened(long_file, width=390, color_scheme=scheme)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    name = tab.locator("#leaderboard-table tbody th").first
    before = name.bounding_box()["x"]
    tab.evaluate("document.querySelector('#leaderboard .wide').scrollLeft = 300")
    assert abs(name.bounding_box()["x"] - before) < 1
    tab.screenshot(path=screenshots / f"page-390-{scheme}.png", full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault_in_contrast_names_and_structure(opened, file, screenshots, scheme):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed (extra dev)"
    )
    tab = opened(file, color_scheme=scheme)
    found = axe.Axe().run(tab).response["violations"]
    assert [(fault["id"], [node["target"] for node in fault["nodes"]][:3]) for fault in found] == []
    tab.screenshot(path=screenshots / f"page-1440-{scheme}.png", full_page=True)


def test_twenty_three_strategies_are_printed_on_ten_pages_at_most(opened, long_file, screenshots):
    tab = opened(long_file)
    paper = screenshots / "page.pdf"
    tab.pdf(path=paper, format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", paper.read_bytes())) <= 10


def test_without_scripts_the_leaderboard_and_all_tables_are_there(opened, file):
    tab = opened(file, java_script_enabled=False)
    names = tab.locator("#leaderboard-table tbody th").all_inner_texts()
    assert [name.split()[0] for name in names] == ["er", "fretal", "ewc", "finetuning", "joint"]
    assert not tab.locator(".controls").is_visible()
    assert not tab.locator("#strategy-choice").is_visible()
    assert tab.locator("#matrices details").count() == len(STRATEGIES)


def test_a_number_halfway_between_two_is_written_as_in_the_tables(opened, file):
    tab = opened(file)
    functions = re.search(
        r"^function decimals.*?^}\n\nfunction written.*?^}\n", SCRIPT, re.DOTALL | re.MULTILINE
    )[0]
    values = [sign * k / n for n in (16, 80, 400, 1120) for k in range(n + 1) for sign in (1, -1)]
    values = [round(value, 8) for value in values]
    for digits in (1, 2, 3, 4):
        ours = tab.evaluate(
            f"([of, digits]) => {{ {functions} return of.map((v) => written(v, digits)); }}", [values, digits]
        )
        assert [text.replace("\N{MINUS SIGN}", "-") for text in ours] == [
            decimal(value, digits) for value in values
        ]
