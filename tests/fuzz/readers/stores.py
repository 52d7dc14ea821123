"""Readers of crop stores, streams and folders of stores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from fuzz.damage import BYTES, HOSTILE, JSON, NOT_NAMES, PLACES, TEXT, TOML, Damage, Random, damages, trees
from fuzz.judging import Claim, Unreadable
from fuzz.readers import reader
from fuzz.readers.planned import planned
from fuzz.readers.recipes import written_toml
from fuzz.running import Bench
from fuzz.tables import TABLES

SIDE: Final = 32
"""Of the tiny stream's crops, pixels."""
_WRITES: Final = ("out*", "steps*", "store/.verified.json", "results*", "reports*")


@reader(
    "stream TOML",
    "store",
    parts="stream",
    file="tiny.toml",
    damages=(*TEXT, *PLACES, *trees(TOML)),
    writes=_WRITES,
    weight=3,
)
def stream(bench: Bench) -> Claim:
    from fretal_bench.datasets.streams.file import DomainFile, Protocol, StreamTable, read_stream_file

    planned(bench, "--stream", "tiny.toml")
    file, written = read_stream_file(Path("tiny.toml")), written_toml("tiny.toml")
    used: dict[str, Any] = {key: getattr(file, key) for key in StreamTable.__dataclass_fields__}
    used["protocol"] = vars(file.protocol)
    used["domains"] = [vars(domain) for domain in file.domains]
    if isinstance(written, Unreadable):
        return Claim(used, written)
    expected = _filled(StreamTable, written)
    expected["protocol"] = _filled(Protocol, written.get("protocol", {}))
    expected["domains"] = [_filled(DomainFile, domain) for domain in written["domains"]]
    return Claim(used, expected)


def _filled(kind: Any, values: dict[str, Any]) -> dict[str, Any]:
    """A table's values, with the defaults of the keys that it leaves out."""
    defaults = {key: field.default for key, field in kind.__dataclass_fields__.items()}
    return {**defaults, **values}


def a_hostile_name(path: Path, random: Random) -> str:
    """A name in TOML that no path may hold, for the stream or a domain."""
    import tomli_w

    table = TOML.load(path.read_text("utf-8"))
    name = HOSTILE[int(random.integers(len(HOSTILE)))]
    owner = table if random.random() < 0.6 else table["domains"][int(random.integers(len(table["domains"])))]
    owner["name"] = name
    path.write_text(tomli_w.dumps(table), "utf-8")
    return f"{'stream' if owner is table else 'domain'} called {name[:40]!r}"


@reader(
    "stream name into paths",
    "store",
    parts="stream",
    file="tiny.toml",
    damages=damages(a_hostile_name),
    writes=("results*", "steps*", "store/.verified.json"),
)
def stream_name(bench: Bench) -> Claim:
    from unittest.mock import patch

    with (
        patch("fretal_bench.benchmark.runner.run.execute", lambda *_: None),
        patch("fretal_bench.cli.run.show_report", lambda *_, **__: None),
    ):
        bench("run", "--strategies", "finetuning", "--jobs", "1", "--stream", "tiny.toml")
    written = written_toml("tiny.toml")
    names = [written["name"], *(d["name"] for d in written["domains"])] if isinstance(written, dict) else []
    return Claim(names, Unreadable("a name in it cannot be one") if set(names) & set(NOT_NAMES) else names)


def _store(bench: Bench) -> Claim:
    return Claim(planned(bench, "--stream", "tiny.toml"))


def _resealed(damage: Damage) -> Damage:
    """A damage after which ``store.json`` is made to fit again, with the functions that the suite publishes."""

    def apply(path: Path, random: Random) -> str:
        words = damage.apply(path, random)
        _seal(path.parent)
        return f"{words}; sealed again"

    return Damage(f"{damage.name}, sealed again", apply)


def _seal(folder: Path) -> None:
    """Write the hashes of both files, and the checksum over them, as the format of stores says (docs/architecture.md)."""
    path = folder / "store.json"
    info = json.loads(path.read_text("utf-8"))
    lines = ""
    for name in ("index.parquet", "crops.npy"):
        data = (folder / name).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        info["files"][name].update(bytes=len(data), sha256=digest)
        lines += f"{name} {digest}\n"
    info["checksum"] = hashlib.sha256(lines.encode()).hexdigest()
    path.write_text(json.dumps(info, indent=2) + "\n", "utf-8")


def _shape_that_lies(path: Path, random: Random) -> str:
    data = path.read_bytes()
    header = data[:128].decode("latin-1")
    old = header[header.index("(") : header.index(")") + 1]
    shapes = (
        old.replace("(", "(1"),
        "(2147483647, 32, 32, 3)",
        "(-1, 32, 32, 3)",
        "(72, 32, 96)",
        "()",
        "(72, 32, 32, 3, 1)",
        "(9223372036854775807, 32, 32, 3)",
    )
    new = shapes[int(random.integers(len(shapes)))]
    header = header.replace(old, new)
    path.write_bytes((header[:127].rstrip("\n").ljust(127) + "\n").encode("latin-1")[:128] + data[128:])
    return f"shape {new}"


def _type_that_lies(path: Path, random: Random) -> str:
    data = path.read_bytes()
    kinds = (b"|i1", b"|b1", b"|O8", b"<f4", b"|V1", b"|S1", b"<U1")
    new = kinds[int(random.integers(len(kinds)))]
    path.write_bytes(data[:128].replace(b"|u1", new) + data[128:])
    return f"type {new!r}"


def _column_major(path: Path, random: Random) -> str:
    data = path.read_bytes()
    path.write_bytes(data[:128].replace(b"False", b"True ") + data[128:])
    return "Fortran order"


def _pickled(path: Path, random: Random) -> str:
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return "a pickled object"


_HEADER: Final = damages(_shape_that_lies, _type_that_lies, _column_major, _pickled)


def _splits_unknown(path: Path, random: Random) -> str:
    frame = pd.read_parquet(path)
    frame["split"] = frame["split"].replace("val", ("dev", "Val", "", "test ")[int(random.integers(4))])
    _kept(frame, path)
    return "val called otherwise"


def _frames_impossible(path: Path, random: Random) -> str:
    frame = pd.read_parquet(path)
    value = (-7, 2**31 - 1, 2**40)[int(random.integers(3))]
    frame["frame"] = frame["frame"].astype("int64")
    frame.loc[0, "frame"] = value
    frame.to_parquet(path, index=False)
    return f"frame {value}"


def _paths_that_leave(path: Path, random: Random) -> str:
    frame = pd.read_parquet(path)
    value = ("/etc/passwd", "../../x.png", "", "a\\b.png", "C:x")[int(random.integers(5))]
    frame.loc[0, "path"] = value
    _kept(frame, path)
    return f"path {value!r}"


def _a_person_in_two_splits(path: Path, random: Random) -> str:
    frame = pd.read_parquet(path)
    train, test = frame[frame["split"] == "train"].iloc[0], frame["split"] == "test"
    frame.loc[test, ["source", "target"]] = train["target"]
    _kept(frame, path)
    return "the test people are those of training"


def _labels_against_methods(path: Path, random: Random) -> str:
    frame = pd.read_parquet(path)
    frame["label"] = (1 - frame["label"]).astype("int8")
    _kept(frame, path)
    return "every label turned"


def _kept(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame with the columns' own types."""
    frame.astype({"label": "int8", "frame": "int32"}).to_parquet(path, index=False)


_RULES: Final = damages(
    _splits_unknown, _frames_impossible, _paths_that_leave, _a_person_in_two_splits, _labels_against_methods
)


def _store_reader(name: str, file: str, kinds: Any, weight: int = 1) -> Callable[..., Any]:
    return reader(
        name, "store", parts="stream", file=f"store/{file}", damages=kinds, writes=_WRITES, weight=weight
    )


_store_reader("store.json", "store.json", (*TEXT, *PLACES, *trees(JSON)), 3)(_store)
_store_reader("index.parquet", "index.parquet", (*BYTES, *PLACES, *TABLES))(_store)
_store_reader("crops.npy", "crops.npy", (*BYTES, *PLACES, *_HEADER))(_store)
_store_reader("memory of verified stores", ".verified.json", (*TEXT, *PLACES, *trees(JSON)))(_store)


def _believed_of_a_sealed_index(bench: Bench) -> Claim:
    """A store that fits its checksums says what it says; but it must keep the manifest's rules."""
    used = planned(bench, "--stream", "tiny.toml")
    frame = pd.read_parquet("store/index.parquet")
    return Claim(used["stream"]["domains"], _rules_of(frame, used["stream"]["domains"]))


def _rules_of(frame: pd.DataFrame, used: Any) -> Any:
    columns = [
        "path",
        "dataset",
        "method",
        "compression",
        "split",
        "label",
        "video",
        "source",
        "target",
        "frame",
    ]
    real = frame["method"] == "real" if "method" in frame else None
    broken = {
        "its columns are not the manifest's": list(frame.columns) != columns,
        "a value is missing": bool(frame.isna().to_numpy().any()),
    }
    if not any(broken.values()) and real is not None:
        paths = frame["path"].astype(str)
        people = pd.concat(
            [
                frame[["target", "split"]].set_axis(["who", "split"], axis=1),
                frame[["source", "split"]].set_axis(["who", "split"], axis=1),
            ]
        )
        crossing = people[people["who"].astype(str) != ""].drop_duplicates().groupby("who").size().gt(1)
        broken |= {
            "label and method contradict each other": bool((real != (frame["label"] == 0)).any()),
            "a label is neither 0 nor 1": not set(frame["label"]) <= {0, 1},
            "a split is none of the three": not set(frame["split"]) <= {"train", "val", "test"},
            "a frame number is impossible": not frame["frame"].astype(float).between(-1, 2**31 - 1).all(),
            "a path leads outside": bool(paths.str.contains(r"^$|^/|\\|\.\.|^[A-Za-z]:").any()),
            "a person is in two splits": bool(crossing.any()),
            "a real video shows another face": bool((real & (frame["source"] != frame["target"])).any()),
        }
    reason = next((words for words, holds in broken.items() if holds), "")
    return Unreadable(reason) if reason else used


_store_reader("index.parquet, sealed again", "index.parquet", [_resealed(d) for d in (*_RULES, *TABLES)], 3)(
    _believed_of_a_sealed_index
)


@_store_reader("crops.npy, sealed again", "crops.npy", [_resealed(d) for d in (*_HEADER, *BYTES)])
def sealed_crops(bench: Bench) -> Claim:
    """A store that fits its checksums shows what its file holds, if that is an array of such crops."""
    used = planned(bench, "--stream", "tiny.toml")["stream"]["domains"]
    count = len(pd.read_parquet("store/index.parquet"))
    try:
        crops = np.load("store/crops.npy", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        return Claim(used, Unreadable(f"numpy says: {error}"))
    if crops.dtype != np.uint8 or crops.shape != (count, SIDE, SIDE, 3):
        return Claim(used, Unreadable(f"it holds {crops.dtype} {crops.shape}"))
    return Claim({name: _crops(domain) for name, domain in used.items()}, _crops_of(crops))


def _crops(domain: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in domain.items() if key.endswith("crops")}


def _crops_of(crops: np.ndarray) -> dict[str, Any]:
    """The crops of every split of both domains of the tiny stream, by the rules of its file."""
    index = pd.read_parquet("store/index.parquet")
    content: dict[str, Any] = {}
    for number in range(2):
        own = index["method"].isin(["real", f"m{number}"])
        content[f"D{number}"] = {
            f"{split} crops": hashlib.sha256(
                crops[(own & (index["split"] == split)).to_numpy()].tobytes()
            ).hexdigest()
            for split in ("train", "val", "test")
        }
    return content


@reader(
    "store in a data folder",
    "store",
    parts="stream open",
    file="data/*/*",
    damages=(*BYTES, *PLACES),
    writes=(*_WRITES, "data/*/.verified.json"),
    warns=True,
)
def data_folder(bench: Bench) -> Claim:
    return Claim(planned(bench, "--stream", "open.toml", "--data", "data"))


@reader(
    "stream.toml of results",
    "store",
    parts="stream open",
    file="out/stream.toml",
    damages=(*TEXT, *PLACES, *trees(TOML)),
    writes=(*_WRITES, "data/*/.verified.json"),
    warns=True,
)
def remembered_stores(bench: Bench) -> Claim:
    """A run that goes on looks for its stores where an earlier one found them."""
    return Claim(planned(bench, "--stream", "open.toml"))
