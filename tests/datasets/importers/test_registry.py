import subprocess
import sys

import pytest

from fretal_bench import plugins
from fretal_bench.datasets import importers
from fretal_bench.errors import BenchError
from installed import an_installation
from trees import Tree

MINE = """
from fretal_bench.datasets.importers import Importer, Match

PLUGIN = Importer("{name}", "Mine", "*.mine", {recognises}, lambda root, options: None)
NOT_ONE = "a string"
"""
SEES_NOTHING = 'lambda root: Match(0.0, missed=("*.mine",))'


@pytest.fixture
def install(tmp_path_factory, monkeypatch):
    """Install a distribution whose entry points name things in one module."""

    def install(name="mine", recognises=SEES_NOTHING, **points):
        code = MINE.format(name=name, recognises=recognises)
        folder = tmp_path_factory.mktemp("site")
        an_installation(folder, "an-importer", "2.1", {"a_plugin": code}, "importers", points)
        monkeypatch.syspath_prepend(folder)
        plugins.forget()

    yield install
    plugins.forget()
    sys.modules.pop("a_plugin", None)


def test_every_importer_is_listed_under_its_own_name():
    known = importers.importers()
    assert {name: family.name for name, family in known.items()} == {name: name for name in known}
    assert importers.importer_names() == set(known)


def test_the_names_of_importers_are_known_without_importing_one():
    code = (
        "import sys; from fretal_bench.datasets import importers; assert 'ffpp' in importers.importer_names();"
        "print([name for name in sys.modules if name.endswith(('faceforensics', 'pandas', 'numpy'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_plugin_is_an_importer_like_any_other(install):
    install(mine="a_plugin:PLUGIN")

    assert importers.importer("mine").title == "Mine"
    assert "mine" in importers.importer_names()


@pytest.mark.parametrize("target", ["NOT_ONE", "absent"])
def test_a_broken_plugin_is_named_in_a_warning_and_stops_nothing(install, target):
    install(mine="a_plugin:PLUGIN", spoilt=f"a_plugin:{target}")

    with pytest.warns(plugins.PluginWarning, match=r"an-importer 2.1: importer plugin 'spoilt'"):
        known = importers.importers()

    assert {"mine", "ffpp"} <= set(known)
    assert "spoilt" not in known


def test_a_plugin_cannot_take_a_name_that_is_taken(install):
    install(name="ffpp", other="a_plugin:PLUGIN")

    with pytest.warns(plugins.PluginWarning, match="'ffpp' is taken"):
        importers.importers()


def test_a_plugin_that_fails_to_look_is_passed_over(install, tmp_path):
    install(recognises="lambda root: 1 / 0", mine="a_plugin:PLUGIN")
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
