"""The tutorial of docs/adapt.md: its commands, as they stand there, on a tree of few people and a recipe of one epoch."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from fretal_bench.datasets.ffpp_mini.tree import make_mini
from fretal_bench.datasets.store.store import CropStore

PAGE = Path(__file__).parents[1] / "docs" / "adapt.md"
# Two pairs of train, a pair of validation and of test people, with their partners.
PEOPLE = (0, 14, 1, 15, 28, 30, 32, 36)
QUICK = ("--set", "recipe.epochs=1", "--set", "recipe.source_epochs=1", "--jobs", "1")


def commands() -> list[list[str]]:
    """The commands of the page, in order."""
    blocks = re.findall(r"(?:^    .*\n)+", PAGE.read_text("utf-8"), re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.strip().startswith("bench ")]


def test_the_tutorial_runs_as_it_stands(bench, tmp_path):
    """Shortened: 8 of 40 people, 3 of 10 frames, one epoch, one strategy and seed less."""
    (stream,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "old.toml").write_text(stream)
    typed = commands()
    assert [words[1] for words in typed] == ["data", "data", "run", "export", "adapt", "export", "predict"]
    make_mini(tmp_path / typed[0][3], ("c23",), PEOPLE)
    for words in typed[1:]:
        words = [{"10": "3", "0-2": "0,1", "finetuning,lwf,fretal": "lwf"}.get(word, word) for word in words]
        words = [word.replace("-10-videos", "-3-videos") for word in words]
        more = QUICK if words[1] in ("run", "adapt") else ("--jobs", 1) if words[1] == "data" else ()
        code, out, err = bench(*words[1:], *more)
        assert code == 0, (words, err)
    assert "trained on unknown (the source model was brought), NeuralTextures" in out
    assert "036_032.mp4" in out
    assert len(CropStore.open(tmp_path / "stores" / "mini").index)
    record = json.loads((tmp_path / "adapted.json").read_text())
    assert record["strategy"] == "lwf"
    assert record["threshold"] is not None
    table = (tmp_path / "reports" / "adapt-NeuralTextures-3-videos" / "tables" / "adaptation.csv").read_text()
    assert [line.split(",")[0] for line in table.splitlines()[:1]] == ["tested_on"]
    assert "NeuralTextures (new)" in table


@pytest.mark.long
def test_the_tutorial_runs_whole_on_the_embedded_data(bench, tmp_path):
    (stream,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "old.toml").write_text(stream)
    for words in commands():
        code, _, err = bench(*words[1:])
        assert code == 0, (words, err)
