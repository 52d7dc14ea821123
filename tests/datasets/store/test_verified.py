"""The memory of verified stores: unchanged files are not read again, changed ones are."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from fretal_bench import files
from fretal_bench.datasets.store.cache import cache_folder
from fretal_bench.datasets.store.store import CropStore
from fretal_bench.errors import BenchError
from toy_stores import toy_rows, toy_store

MEMORY = ".verified.json"


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The names of the files that were hashed, as they are."""
    names: list[str] = []
    plain = files.sha256

    def sha256(path: Path) -> str:
        names.append(Path(path).name)
        return plain(path)

    monkeypatch.setenv("FRETAL_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(files, "sha256", sha256)
    return names


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return toy_store(tmp_path / "stores" / "toy", toy_rows(("FaceSwap",))).path


def flip_last_byte(path: Path) -> None:
    """Change a byte where it stands: same size, same inode."""
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))


def test_a_store_is_hashed_when_it_is_first_opened_and_not_again(store: Path, hashed: list[str]) -> None:
    CropStore.open(store, verify=False)
    assert hashed == []
    CropStore.open(store)
    assert sorted(hashed) == ["crops.npy", "index.parquet"]
    hashed.clear()
    CropStore.open(store)
    assert hashed == []
    assert (store / MEMORY).exists()


@pytest.mark.parametrize("name", ["crops.npy", "index.parquet"])
def test_a_changed_byte_of_a_verified_store_is_found_though_the_size_is_the_same(
    store: Path, hashed: list[str], name: str
) -> None:
    CropStore.open(store)
    before = (store / name).stat()
    flip_last_byte(store / name)
    os.utime(store / name, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    with pytest.raises(BenchError, match=rf"{name}: damaged crop store: expected sha256"):
        CropStore.open(store)


@pytest.mark.parametrize("name", ["crops.npy", "index.parquet"])
def test_a_file_that_was_written_to_and_given_its_old_time_is_hashed(
    store: Path, hashed: list[str], name: str
) -> None:
    CropStore.open(store)
    before = (store / name).stat()
    flip_last_byte(store / name)
    os.utime(store / name, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(BenchError, match=rf"{name}: damaged crop store: expected sha256"):
        CropStore.open(store)


def test_a_file_put_in_the_place_of_another_is_hashed_though_size_and_time_are_the_same(
    store: Path, hashed: list[str]
) -> None:
    CropStore.open(store)
    crops = store / "crops.npy"
    before = crops.stat()
    other = store / "other"
    other.write_bytes(crops.read_bytes())
    flip_last_byte(other)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(crops)
    with pytest.raises(BenchError, match=r"crops\.npy: damaged"):
        CropStore.open(store)


def test_a_memory_that_is_damaged_or_of_another_store_is_not_believed(store: Path, hashed: list[str]) -> None:
    CropStore.open(store)
    kept = (store / MEMORY).read_text()
    other = "1" if kept.split('"checksum": "')[1][0] == "0" else "0"
    old = json.dumps({key: value for key, value in json.loads(kept).items() if key != "rules"})
    for text in (
        *("", "{", "[]", "null", "[" * 100_000, '{"checksum": 1}', old),
        re.sub('"checksum": ".', f'"checksum": "{other}', kept),
        kept.replace('"files"', '"file"'),
    ):
        (store / MEMORY).write_text(text)
        hashed.clear()
        CropStore.open(store)
        assert sorted(hashed) == ["crops.npy", "index.parquet"]
    assert (store / MEMORY).read_text() == kept


def test_rows_are_held_against_the_rules_once_and_again_when_the_rules_change(
    store: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    looks: list[Path] = []
    monkeypatch.setenv("FRETAL_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("fretal_bench.datasets.store.store.check_rows", lambda _, path: looks.append(path))
    for _ in range(2):
        CropStore.open(store)
        CropStore.open(store, verify=False)
    assert len(looks) == 1
    monkeypatch.setattr("fretal_bench.datasets.store.verified.RULES", 99)
    for _ in range(2):
        CropStore.open(store)
    assert len(looks) == 2


def test_a_store_that_cannot_be_written_to_is_remembered_in_the_cache(
    store: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = files.move

    def move(part: Path, final: Path) -> None:
        if store in final.parents:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        plain(part, final)

    monkeypatch.setattr(files, "move", move)
    CropStore.open(store)
    hashed.clear()
    CropStore.open(store)
    assert hashed == []
    assert sorted(path.name for path in store.iterdir()) == ["crops.npy", "index.parquet", "store.json"]
    assert len(list((cache_folder() / "verified").iterdir())) == 1


def test_a_store_opens_where_neither_it_nor_the_cache_can_be_written(
    store: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "move", full)
    for _ in range(2):
        hashed.clear()
        assert len(CropStore.open(store)) > 0
        assert sorted(hashed) == ["crops.npy", "index.parquet"]


def test_a_copied_store_that_cannot_be_written_to_is_hashed_once_though_it_brings_a_memory(
    store: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    CropStore.open(store)
    copy = Path(shutil.copytree(store, tmp_path / "copy"))
    plain = files.move

    def move(part: Path, final: Path) -> None:
        if copy in final.parents:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        plain(part, final)

    monkeypatch.setattr(files, "move", move)
    CropStore.open(copy)
    hashed.clear()
    CropStore.open(copy)
    assert hashed == []
