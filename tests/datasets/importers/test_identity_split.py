import pytest

from fretal_bench.datasets.importers.identity_split import (
    IdentitySplit,
    connected_identities,
    split_by_identity,
)
from fretal_bench.errors import BenchError


def test_people_linked_by_a_fake_are_one_component():
    assert connected_identities([("a", "b"), ("c",), ("b", "d"), ("e", "f")]) == [
        ("a", "b", "d"),
        ("c",),
        ("e", "f"),
    ]


def test_components_go_whole_and_shares_come_near():
    videos = [(f"{n}a", f"{n}b") for n in range(100)]

    split = split_by_identity(videos, {"train": 0.7, "val": 0.1, "test": 0.2}, seed=5)

    counts = {
        name: sum(split.split_of(video) == name for video in videos) for name in ("train", "val", "test")
    }
    assert counts == {"train": 70, "val": 10, "test": 20}
    assert not split.cut


def test_the_seed_decides_and_the_order_of_videos_does_not():
    videos = [(f"{n}a", f"{n}b") for n in range(30)]

    assert split_by_identity(videos, seed=1) == split_by_identity(videos[::-1], seed=1)
    assert split_by_identity(videos, seed=1).assignment != split_by_identity(videos, seed=2).assignment


def test_where_everybody_is_linked_people_are_dealt_out():
    videos = [(f"{a}", f"{b}") for a in range(20) for b in range(20) if a < b]

    split = split_by_identity(videos)

    kept = [split.split_of(video) for video in videos]
    assert split.cut
    assert {"train", "val", "test", None} == set(kept)
    assert not split_by_identity(videos, may_cut=False).cut


def test_a_damaged_or_foreign_file_is_refused_in_one_line(tmp_path):
    for content in ("", "[]", "{}", '{"details": {}}', '{"details": {"identity_split": {"assignment": []}}}'):
        (tmp_path / "split.json").write_text(content)
        with pytest.raises(BenchError, match=r"split\.json"):
            IdentitySplit.load(tmp_path / "split.json")


def test_fractions_that_make_no_sense_are_refused():
    with pytest.raises(BenchError, match="positive"):
        split_by_identity([("a",)], {"train": -1, "test": 2})
