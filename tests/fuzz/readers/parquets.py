"""Readers of Parquet files with a picture in each row: what their rows say, and the pictures, by prepare."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from fuzz.damage import BYTES, PLACES, Random, damages
from fuzz.judging import TOLD, Claim, Unreadable, bytes_of
from fuzz.readers import reader
from fuzz.readers.labels import Written, checked
from fuzz.readers.pictures import CLOSE, SIDE, prepared
from fuzz.running import Bench
from fuzz.tables import TABLES

FILE: Final = "parquet/train.parquet"
GROUP: Final = 5
"""Rows of a group, as the world has them."""
_LABELS: Final = {"real": 0, "fake": 1}
_TEXTS: Final = ("label", "split", "video", "source", "target")
_DAMAGES: Final = tuple(damage for damage in TABLES if damage.name != "labels flipped")
"""Labels are words here, not numbers."""


def _table(*columns: str) -> pa.Table | Unreadable:
    """Columns of the file, read whole."""
    try:
        return pq.read_table(pa.BufferReader(bytes_of(FILE)), columns=[*columns], use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        return Unreadable(f"it is no Parquet file: {error!r}"[:200])


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _paths(column: str) -> Iterator[str]:
    """What rows are called."""
    metadata = pq.read_metadata(pa.BufferReader(bytes_of(FILE)))
    for group in range(metadata.num_row_groups):
        for row in range(metadata.row_group(group).num_rows):
            yield f"{FILE.removeprefix('parquet/')}::{column}/{group:05}/{row:07}"


def _written() -> Written:
    """The rows by path, read by the letter."""
    try:
        schema = pq.read_schema(pa.BufferReader(bytes_of(FILE)))
    except (pa.ArrowException, OSError, ValueError) as error:
        return Unreadable(f"it is no Parquet file: {error!r}"[:200])
    names = schema.names
    pictures = [field.name for field in schema if _is_bytes(field.type)]
    if len(pictures) != 1 or names.count("label") != 1:
        return Unreadable("it has not one column of pictures and one label")
    columns: dict[str, list[Any]] = {}
    for name in _TEXTS:
        if name not in names:
            continue
        kind = schema.field(names.index(name)).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if names.count(name) > 1:
            return Unreadable(f"{name} is there twice")
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
            if name == "label":
                return Unreadable("its label is no text")
            # Not used, and said.
            continue
        # Of pictures nothing is read here: what is wrong with them is another reader's.
        table = _table(name)
        if isinstance(table, Unreadable):
            return table
        columns[name] = [(value or "").strip() for value in table.column(name).to_pylist()]
    rows: dict[str, Any] = {}
    for number, path in enumerate(_paths(pictures[0])):
        entry: Any = {name: values[number] for name, values in columns.items() if values[number]}
        label = _LABELS.get(entry.get("label", "").lower())
        entry["label"] = Unreadable("its label is no word for one") if label is None else label
        if label == 0 and len({entry[key] for key in ("source", "target") if key in entry}) > 1:
            entry = Unreadable("a real face is said to be another's")
        rows[path] = entry
    entries = [entry for entry in rows.values() if isinstance(entry, dict)]
    if "split" not in columns or all(entry.get("split") != "val" for entry in entries):
        # The split is the file's, or validation is taken out of train, by person.
        for entry in entries:
            entry.pop("split", None)
    return rows


@reader(
    "Parquet with pictures",
    "labels",
    parts="parquet",
    file=FILE,
    damages=(*BYTES, *PLACES, *_DAMAGES),
    weight=3,
)
def rows(bench: Bench) -> Claim:
    return checked(bench, "parquet", "parquet", _written)


def _write(frame: pd.DataFrame, path: Path) -> None:
    """Write the rows into groups as they were, since these name them."""
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, row_group_size=GROUP)


def a_damaged_picture(path: Path, random: Random) -> str:
    """Damage the bytes of one row's picture, the file itself being sound."""
    frame: Any = pd.read_parquet(path)
    row = int(random.integers(len(frame)))
    picture = path.with_name("picture")
    picture.write_bytes(frame.loc[row, "image"])
    kind = BYTES[int(random.integers(len(BYTES)))]
    words = kind.apply(picture, random)
    frame.at[row, "image"] = picture.read_bytes()
    picture.unlink()
    _write(frame, path)
    return f"picture of row {row}, {kind.name}: {words}"


def no_picture(path: Path, random: Random) -> str:
    frame = pd.read_parquet(path)
    row = int(random.integers(len(frame)))
    frame.at[row, "image"] = None
    _write(frame, path)
    return f"row {row} without a picture"


@reader(
    "Parquet's pictures by prepare",
    "pictures",
    parts="parquet",
    file=FILE,
    damages=(*BYTES, *damages(a_damaged_picture, a_damaged_picture, no_picture)),
    writes=("made*", ".made.*"),
    quick=False,
)
def pictures(bench: Bench) -> Claim:
    crops = prepared(bench, "parquet", "parquet", "--frames", "0")
    table = _table("image")
    whole = isinstance(table, pa.Table)
    data = {}
    if isinstance(table, pa.Table):
        data = dict(zip(_paths("image"), table.column("image").to_pylist(), strict=True))
    used: dict[str, Any] = {}
    for key, value in crops.items():
        if value is TOLD:
            used[key] = TOLD
            continue
        crop, label = value
        # Of a file that is damaged further on the rows before that may be right.
        seen = _decoded(data.get(key.partition("#")[0])) if whole else None
        if isinstance(seen, Unreadable):
            used[key] = {"label": label, "picture": f"accepted, though {seen.reason}"}
        elif seen is not None and np.abs(crop.astype(int) - seen).mean() > CLOSE:
            used[key] = {"label": label, "picture": "other pixels than another decoder sees"}
        else:
            used[key] = {"label": label, "picture": "as another decoder sees it"}
    return Claim(used, lenient=TOLD in used.values())


def _decoded(data: bytes | None) -> Any:
    """A picture as another library sees it; ``Unreadable`` where that says it is damaged; None: the suite's own rule."""
    try:
        with Image.open(io.BytesIO(data or b"")) as image:
            image.load()
            whole = image.size == (SIDE, SIDE) and image.mode in ("RGB", "L")
            return np.asarray(image.convert("RGB")) if whole else None
    except Exception as error:
        return Unreadable(f"another decoder says: {type(error).__name__}")
