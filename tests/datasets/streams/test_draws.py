"""Few videos drawn by seed: every draw has as many, the first is the stream's without the key, all test the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fretal_bench.datasets.streams.file import Protocol, read_stream_file, toml_of_stream
from fretal_bench.datasets.streams.stream import Stream, find_stream, open_stream
from fretal_bench.errors import BenchError
from toy_stores import toy_store


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("draws")
    toy_store(path / "toy")
    return path


def stream_file(folder: Path, protocol: str, head: str = "") -> Path:
    domains = "".join(
        f'[[domains]]\nname = "{method}"\nstore = "toy"\nmethods = ["{method}"]\n'
        for method in ("Deepfakes", "FaceSwap")
    )
    path = folder / "mine.toml"
    path.write_text(f'name = "mine"\n{head}\n[protocol]\n{protocol}\n{domains}')
    return path


def videos(stream: Stream, place: int) -> dict[int, set[str]]:
    """The training videos of a domain, by label."""
    domain = stream[place]
    index = domain.store.index.iloc[domain.rows["train"]]
    return {label: set(part["video"]) for label, part in index.groupby("label")}


def test_a_seed_draws_other_videos_of_later_domains_and_nothing_else(folder: Path) -> None:
    stream = open_stream(stream_file(folder, "videos_per_class = 2\ndraws = 4"))
    assert stream.folds == 4
    drawn = [videos(stream.in_fold(draw), 1) for draw in range(4)]
    assert all(len(of[label]) == 2 for of in drawn for label in (0, 1))
    assert len({tuple(sorted(of[1])) for of in drawn}) > 1
    for draw in range(1, 4):
        other = stream.in_fold(draw)
        assert videos(other, 0) == videos(stream, 0)
        for place in (0, 1):
            for split in ("val", "test"):
                np.testing.assert_array_equal(other[place].rows[split], stream[place].rows[split])


def test_the_first_draw_is_that_of_a_stream_without_the_key(folder: Path) -> None:
    drawn = open_stream(stream_file(folder, "videos_per_class = 2\ndraws = 4"))
    plain = open_stream(stream_file(folder, "videos_per_class = 2"))
    assert plain.folds == 1
    assert videos(drawn, 1) == videos(plain, 1)
    assert "draws" not in plain.fingerprint()["protocol"]
    assert drawn.fingerprint()["protocol"]["draws"] == 4


def test_a_stream_with_draws_is_written_and_read_as_it_is(folder: Path) -> None:
    file = read_stream_file(stream_file(folder, "videos_per_class = 2\ndraws = 4"))
    (folder / "again.toml").write_text(toml_of_stream(file))
    assert read_stream_file(folder / "again.toml").protocol == Protocol(2, draws=4)
    assert find_stream(file) is file


@pytest.mark.parametrize(
    ("protocol", "head", "words"),
    [
        ("draws = 3", "", "'protocol.draws': expected 1 where all videos are trained on"),
        ("videos_per_class = 2\ndraws = 3", "folds = 2", "'folds': expected none where the protocol draws"),
        ("videos_per_class = 2\ndraws = 0", "", "'protocol.draws'"),
    ],
)
def test_draws_of_nothing_and_draws_in_folds_are_refused(
    folder: Path, protocol: str, head: str, words: str
) -> None:
    with pytest.raises(BenchError) as error:
        read_stream_file(stream_file(folder, protocol, head))
    assert words in str(error.value)
