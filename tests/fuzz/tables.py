"""Damages of Parquet tables: types, values, rows and columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fuzz.damage import HOSTILE, Inapplicable, Random, damages


def _column(frame: pd.DataFrame, random: Random) -> str:
    return str(frame.columns[int(random.integers(len(frame.columns)))])


def _write(frame: pd.DataFrame, path: Path) -> None:
    try:
        frame.to_parquet(path, index=False)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise Inapplicable from error


def another_type(path: Path, random: Random) -> str:
    frame = pd.read_parquet(path)
    column = _column(frame, random)
    kinds: tuple[Any, ...] = (
        "str",
        "float64",
        "int64",
        "bool",
        "bytes",
        "category",
        "datetime64[ns]",
        "list",
        "float16",
    )
    kind = kinds[int(random.integers(len(kinds)))]
    try:
        if kind == "bytes":
            frame[column] = [str(value).encode() for value in frame[column]]
        elif kind == "list":
            frame[column] = [[value] for value in frame[column]]
        else:
            frame[column] = frame[column].astype(kind)
    except (ValueError, TypeError) as error:
        raise Inapplicable from error
    _write(frame, path)
    return f"{column} as {kind}"


def another_value(path: Path, random: Random) -> str:
    frame = pd.read_parquet(path)
    column, row = _column(frame, random), int(random.integers(len(frame)))
    numeric = pd.api.types.is_numeric_dtype(frame[column])
    values: tuple[Any, ...] = (np.nan, np.inf, -np.inf, -1, 2, 1.5, 2**40) if numeric else (None, *HOSTILE)
    value = values[int(random.integers(len(values)))]
    frame[column] = frame[column].astype(object)
    frame.loc[row if random.random() < 0.7 else slice(None), column] = value
    if numeric:
        frame[column] = frame[column].astype("float64" if isinstance(value, float) else "int64")
    _write(frame, path)
    return f"{column} of row {row} is {str(value)[:40]!r}"


def a_column_less(path: Path, random: Random) -> str:
    frame = pd.read_parquet(path)
    column = _column(frame, random)
    _write(frame.drop(columns=column), path)
    return f"without {column}"


def a_column_more(path: Path, random: Random) -> str:
    frame = pd.read_parquet(path)
    frame[("fuzz", "Label", "index", "")[int(random.integers(4))]] = 1
    _write(frame, path)
    return f"with {frame.columns[-1]!r}"


def a_column_twice(path: Path, random: Random) -> str:
    table = pq.read_table(path, use_threads=False)
    place = int(random.integers(table.num_columns))
    name = table.column_names[place]
    other = table.column(place).combine_chunks()
    again = pa.array(other.to_pylist()[::-1], other.type)
    pq.write_table(table.append_column(name, again), path)
    return f"{name} twice, once reversed"


def columns_renamed(path: Path, random: Random) -> str:
    frame = pd.read_parquet(path)
    a, b = random.choice(len(frame.columns), 2, replace=False)
    names = list(frame.columns)
    names[a], names[b] = names[b], names[a]
    frame.columns = pd.Index(names)
    _write(frame, path)
    return f"{names[a]} and {names[b]} under each other's names"


def rows_less(path: Path, random: Random) -> str:
    frame = pd.read_parquet(path)
    how = int(random.integers(3))
    keep = np.ones(len(frame), bool)
    if how == 0:
        keep[int(random.integers(len(frame)))] = False
    elif how == 1:
        keep[len(frame) // 2 :] = False
    else:
        keep[:] = False
    _write(frame[keep], path)
    return ("a row less", "half of the rows", "no row")[how]


def rows_twice(path: Path, random: Random) -> str:
    frame = pd.read_parquet(path)
    row = int(random.integers(len(frame)))
    more = frame.iloc[[row]] if random.random() < 0.5 else frame
    _write(pd.concat([frame, more], ignore_index=True), path)
    return "a row twice" if len(more) == 1 else "every row twice"


def rows_in_another_order(path: Path, random: Random) -> str:
    frame = pd.read_parquet(path)
    _write(frame.iloc[random.permutation(len(frame))], path)
    return "rows shuffled"


def labels_flipped(path: Path, random: Random) -> str:
    frame = pd.read_parquet(path)
    if "label" not in frame:
        raise Inapplicable
    chosen = np.ones(len(frame), bool)
    if "step" in frame and random.random() < 0.7:
        step = random.choice(frame["step"].unique())
        chosen = (frame["step"] == step).to_numpy()
    elif random.random() < 0.5:
        chosen = np.arange(len(frame)) == int(random.integers(len(frame)))
    frame.loc[chosen, "label"] = 1 - frame.loc[chosen, "label"]
    _write(frame, path)
    return f"{int(chosen.sum())} labels flipped"


def values_of_a_column_shuffled(path: Path, random: Random) -> str:
    frame = pd.read_parquet(path)
    column = _column(frame, random)
    shuffled = frame[column].to_numpy()[random.permutation(len(frame))]
    if (shuffled == frame[column].to_numpy()).all():
        raise Inapplicable
    frame[column] = shuffled
    _write(frame, path)
    return f"{column} shuffled"


def another_container(path: Path, random: Random) -> str:
    frame = pd.read_parquet(path)
    if random.random() < 0.5:
        frame.to_csv(path, index=False)
        return "as CSV"
    frame.to_feather(path)
    return "as Feather"


TABLES: Final = damages(
    another_type,
    another_value,
    a_column_less,
    a_column_more,
    a_column_twice,
    columns_renamed,
    rows_less,
    rows_twice,
    rows_in_another_order,
    labels_flipped,
    values_of_a_column_shuffled,
    another_container,
)
