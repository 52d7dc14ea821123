import sys
from importlib.metadata import EntryPoint

import pytest

from fretal_bench.datasets import importers
from fretal_bench.datasets.importers import Importer, Match
from fretal_bench.errors import BenchError
from trees import Tree

PLUGIN = Importer(
    "mine", "Mine", "*.mine", lambda root: Match(0.0, missed=("*.mine",)), lambda root, options: None
)
NOT_ONE = "a string"


@pytest.fixture
def plugins(monkeypatch):
    """Install entry points that name things in this module."""
    monkeypatch.setitem(sys.modules, "a_plugin", sys.modules[__name__])

    def install(**names):
        points = [
            EntryPoint(name, f"a_plugin:{target}", importers.ENTRY_POINTS) for name, target in names.items()
        ]
        monkeypatch.setattr(importers, "entry_points", lambda group: points)
        importers.importers.cache_clear()

    yield install
    importers.importers.cache_clear()


def test_a_plugin_is_an_importer_like_any_other(plugins):
    plugins(mine="PLUGIN")

    assert importers.importer("mine") is PLUGIN


@pytest.mark.parametrize("target", ["NOT_ONE", "absent"])
def test_a_broken_plugin_is_named_in_a_warning_and_stops_nothing(plugins, target):
    plugins(mine="PLUGIN", spoilt=target)

    with pytest.warns(UserWarning, match="'spoilt'"):
        known = importers.importers()

    assert {"mine", "ffpp"} <= set(known)
    assert "spoilt" not in known


def test_a_plugin_cannot_take_a_name_that_is_taken(plugins, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PLUGIN", importers.importer("ffpp"))
    plugins(other="PLUGIN")

    with pytest.warns(UserWarning, match="'ffpp' is taken"):
        importers.importers()


def test_a_plugin_that_fails_to_look_is_passed_over(plugins, monkeypatch, tmp_path):
    def fail(root):
        raise RuntimeError("no")

    monkeypatch.setattr(
        sys.modules[__name__], "PLUGIN", Importer("mine", "Mine", "", fail, lambda root, options: None)
    )
    plugins(mine="PLUGIN")
    Tree(tmp_path).image("A/train/real/0.png")

    with pytest.warns(UserWarning, match="'mine' failed"):
        assert importers.recognise(tmp_path)[0].name == "image-folders"


def test_an_unknown_layout_says_what_was_tried_and_missed_and_what_to_do(tmp_path):
    Tree(tmp_path).text("readme.txt", "hello")

    with pytest.raises(BenchError) as caught:
        importers.recognise(tmp_path)

    message = str(caught.value)
    assert all(f"{name} (no " in message for name in importers.importers())
    assert "dfdc_train_part_N/metadata.json" in message
    assert "--as NAME" in message
    assert "\n" not in message


def test_an_unknown_layout_points_at_a_folder_below_that_is_known(tmp_path):
    Tree(tmp_path).video("downloads/original_sequences/youtube/c23/videos/000.mp4")

    with pytest.raises(BenchError, match=r"downloads looks like ffpp: give that folder"):
        importers.recognise(tmp_path)


def test_a_misspelt_layout_gets_the_nearest_names(tmp_path):
    with pytest.raises(BenchError, match="did you mean 'celeb-df-v2'"):
        importers.read_dataset(tmp_path, "celeb-df2")


def test_nothing_at_the_path_is_said_in_one_line(tmp_path):
    with pytest.raises(BenchError, match="found nothing there"):
        importers.recognise(tmp_path / "absent")


def test_every_importer_reads_an_empty_folder_without_a_row(tmp_path):
    for name, family in importers.importers().items():
        if name == "csv":
            continue
        read = family.read(tmp_path, importers.ReadOptions())
        assert read.frame.empty, name
        assert any(finding.severity == "error" for finding in read.findings), name
