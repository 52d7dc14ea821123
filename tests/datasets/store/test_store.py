"""The manifest's rules and the crop store: whole or not there, checked, reproducible."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import pickle
import shutil
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fretal_bench import files
from fretal_bench.datasets.manifest import COLUMNS, check_manifest, people_key, video_key
from fretal_bench.datasets.store import store as store_module
from fretal_bench.datasets.store.cache import cache_folder
from fretal_bench.datasets.store.store import CropStore, CropStoreWriter, StoreExistsError, open_or_build
from fretal_bench.errors import BenchError, RunError
from toy_stores import toy_rows, toy_store


def rows(count: int = 4, *, split: str = "train", person: str = "p") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "path": [f"original/{person}.mp4"] * count,
            "dataset": "toy",
            "method": "real",
            "compression": "c23",
            "split": split,
            "label": 0,
            "video": person,
            "source": person,
            "target": person,
            "frame": range(count),
        }
    )


def crops(count: int = 4, size: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def write(path: Path, count: int = 4) -> CropStore:
    with CropStoreWriter(path, size=8, name="toy") as writer:
        writer.add(crops(count), rows(count))
        writer.fail("original/q.mp4", 3, "no face found")
        return writer.finish({"note": "x"})


def build_when_both_have_seen_none(path: Path, log: Path, both: Barrier) -> None:
    class Writer(CropStoreWriter):
        def __enter__(self) -> CropStoreWriter:
            both.wait(60)
            return super().__enter__()

    def fill(writer: CropStoreWriter) -> None:
        with log.open("a") as out:
            out.write("built\n")
        writer.add(crops(), rows())
        writer.finish()

    store_module.CropStoreWriter = Writer  # type: ignore[misc]
    open_or_build(path, fill, size=8, name="toy")


def test_check_manifest_returns_the_columns_in_order_and_of_their_types() -> None:
    checked = check_manifest(rows()[list(reversed(COLUMNS))])
    assert list(checked.columns) == list(COLUMNS)
    assert checked["label"].dtype == np.int8
    assert checked["frame"].dtype == np.int32


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("label", 2, "0 .real. or 1"),
        ("label", 0.5, "0 .real. or 1"),
        ("split", "valid", "train, val, test"),
        ("compression", "c0", "raw, c23"),
        ("frame", -2, "frame"),
        ("method", "Deepfakes", "'real' where the label is 0"),
        ("path", "/etc/x", "relative"),
        ("path", "a/../b", "relative"),
        ("path", "a\\b", "relative"),
        ("path", "a\nb", "control character"),
        ("target", "p\x1b[2J", "control character"),
        ("dataset", "a/b", "no path"),
        ("dataset", "toy\u202e", "bidirectional"),
        ("method", "x" * 101, "1 to 100 characters"),
        ("video", "", "must not be empty"),
        ("source", "q", "must equal the target"),
        ("source", None, "must be text"),
        ("frame", 1, "twice"),
    ],
)
def test_a_bad_manifest_row_is_named_with_its_column(column: str, value: object, words: str) -> None:
    frame = rows().astype({column: object})
    frame.loc[2, column] = value
    with pytest.raises(BenchError, match=rf"row 2: {column} .*{words}"):
        check_manifest(frame)


def test_a_missing_and_an_unknown_column_are_named() -> None:
    with pytest.raises(BenchError, match="lacks the column 'frame'"):
        check_manifest(rows().drop(columns="frame"))
    with pytest.raises(BenchError, match="did you mean 'frame'"):
        check_manifest(rows().rename(columns={"frame": "frames"}))


def test_a_person_in_two_splits_is_refused_even_as_the_source_of_a_fake() -> None:
    fake = rows(split="test", person="t").assign(method="Deepfakes", label=1, source="p")
    with pytest.raises(BenchError, match=r"person 'toy/p'.*train .*test"):
        check_manifest(pd.concat([rows(), fake]))


def test_a_video_whose_other_coding_stands_in_another_split_is_refused() -> None:
    other = rows(split="test").assign(compression="c40", source="", target="")
    with pytest.raises(BenchError, match="video 'toy/real/p'"):
        check_manifest(pd.concat([rows().assign(source="", target=""), other]))


def test_people_that_a_data_set_does_not_name_are_not_taken_for_one_person() -> None:
    frame = pd.concat([rows(), rows(split="test", person="q")]).assign(source="", target="")
    assert len(check_manifest(frame)) == 8


def test_people_key_names_the_filmed_person_then_the_other_and_leaves_out_who_is_not_known() -> None:
    frame = pd.DataFrame(
        [
            ("a", "c", "b"),
            ("a", "b", "b"),
            ("x", "c", ""),
            ("x", "", "b"),
            ("a", "", ""),
            ("a+", "1+2", "50%"),
        ],
        columns=["dataset", "source", "target"],
        index=[5, 3, 3, 1, 0, 9],
    )
    key = people_key(frame)
    assert key.tolist() == ["a/b+a/c", "a/b", "x/c", "x/b", "", "a%2B/50%25+a%2B/1%2B2"]
    assert list(key.index) == list(frame.index)
    assert people_key(frame.iloc[:0]).empty


def test_video_key_joins_data_set_method_compression_and_video() -> None:
    assert video_key(rows(2)).tolist() == ["toy/real/c23/p"] * 2


def test_a_written_store_reads_back_as_it_was(tmp_path: Path) -> None:
    write(tmp_path / "s")
    store = CropStore.open(tmp_path / "s")
    np.testing.assert_array_equal(store.crops, crops())
    pd.testing.assert_frame_equal(store.index, check_manifest(rows()))
    assert (store.name, store.size, len(store)) == ("toy", 8, 4)
    assert store.info.failures == ({"path": "original/q.mp4", "frame": 3, "reason": "no face found"},)
    assert store.info.details == {"note": "x"}
    assert isinstance(store.crops, np.memmap)
    assert not store.crops.flags.writeable


def test_the_same_content_gives_the_same_bytes_and_other_content_another_checksum(tmp_path: Path) -> None:
    first, second, other = write(tmp_path / "a"), write(tmp_path / "b"), write(tmp_path / "c", 3)
    for name in ("crops.npy", "index.parquet", "store.json"):
        assert (first.path / name).read_bytes() == (second.path / name).read_bytes()
    assert other.checksum != first.checksum


def test_nothing_is_left_of_a_store_whose_writing_failed(tmp_path: Path) -> None:
    def fail_half_way() -> None:
        with CropStoreWriter(tmp_path / "s", size=8, name="toy") as writer:
            writer.add(crops(), rows())
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        fail_half_way()
    assert [p.name for p in tmp_path.iterdir() if not p.name.endswith(".lock")] == []


def test_what_a_killed_writer_left_is_cleared_by_the_next_one(tmp_path: Path) -> None:
    stale = tmp_path / ".s.part-dead"
    stale.mkdir()
    (stale / "crops.npy").write_bytes(b"half")
    write(tmp_path / "s")
    assert not stale.exists()


def test_writing_over_an_existing_store_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "s")
    with pytest.raises(StoreExistsError, match="exists already; delete it"):
        write(tmp_path / "s")


def test_crops_of_the_wrong_shape_or_type_are_refused(tmp_path: Path) -> None:
    with CropStoreWriter(tmp_path / "s", size=8, name="toy") as writer:
        with pytest.raises(BenchError, match="must be uint8"):
            writer.add(crops(size=9), rows())
        with pytest.raises(BenchError, match="must be uint8"):
            writer.add(crops().astype(np.float32), rows())
        with pytest.raises(BenchError, match="no crops to store"):
            writer.finish()


@pytest.mark.parametrize("name", ["crops.npy", "index.parquet"])
def test_a_changed_byte_and_a_cut_file_are_found(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "s").path / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(BenchError, match=rf"{name}: damaged.*expected sha256 .*delete the store's folder"):
        CropStore.open(tmp_path / "s")
    path.write_bytes(whole[:-1])
    with pytest.raises(BenchError, match=rf"{name}: damaged.*bytes"):
        CropStore.open(tmp_path / "s", verify=False)
    path.unlink()
    with pytest.raises(BenchError, match=f"{name}: damaged"):
        CropStore.open(tmp_path / "s", verify=False)


def test_an_edited_store_json_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "s").path / "store.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps({**info, "checksum": "0" * 64}))
    with pytest.raises(BenchError, match=r"store\.json: damaged"):
        CropStore.open(tmp_path / "s")
    path.write_text(json.dumps({**info, "format": 99}))
    with pytest.raises(BenchError, match="expected store format 1, found 99"):
        CropStore.open(tmp_path / "s")


def test_a_missing_store_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"no crop store at .*nowhere"):
        CropStore.open(tmp_path / "nowhere")
    with pytest.raises(BenchError, match="not a crop store"):
        CropStore.open(tmp_path)


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "move", full)
    with pytest.raises(RunError, match=r"/s: no space left"):
        write(tmp_path / "s")
    assert [p.name for p in tmp_path.iterdir() if not p.name.endswith(".lock")] == []


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match=r"/s: cannot be written .*FRETAL_BENCH_CACHE"):
        write(tmp_path / "file" / "s")


def test_two_processes_building_one_store_build_it_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    log = tmp_path / "log"
    call = (tmp_path / "s", log, context.Barrier(2))
    jobs = [context.Process(target=build_when_both_have_seen_none, args=call) for _ in range(2)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(60)
    assert [job.exitcode for job in jobs] == [0, 0]
    assert log.read_text() == "built\n"
    assert len(CropStore.open(tmp_path / "s")) == 4


def test_a_store_crosses_to_another_process_by_its_path(tmp_path: Path) -> None:
    packed = pickle.dumps(write(tmp_path / "s", 4))
    assert len(packed) < 1000
    np.testing.assert_array_equal(pickle.loads(packed).crops, crops())


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("FRETAL_BENCH_CACHE", raising=False)
    assert cache_folder() == tmp_path / "fretal-bench"
    monkeypatch.setenv("FRETAL_BENCH_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("FRETAL_BENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path.home() / ".cache" / "fretal-bench"


def test_a_store_that_version_0_1_wrote_opens_unchanged_and_is_written_alike_today(tmp_path: Path) -> None:
    old = Path(shutil.copytree(Path(__file__).with_name("store_of_0_1"), tmp_path / "old"))
    new = toy_store(tmp_path / "new", toy_rows(("Deepfakes",)), size=8)
    store = CropStore.open(old)
    pd.testing.assert_frame_equal(store.index, new.index)
    np.testing.assert_array_equal(store.crops, new.crops)
    assert (old / "crops.npy").read_bytes() == (new.path / "crops.npy").read_bytes()
    # The Parquet library names its version in the index, so that size and hashes follow it.
    own = {"files": {}, "checksum": "0" * 64}
    texts = [json.dumps({**json.loads((path / "store.json").read_text()), **own}) for path in (old, new.path)]
    assert texts[0] == texts[1]
