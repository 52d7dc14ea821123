"""The manifest: one row a frame, its columns, and the check that every data set's rows pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Literal, get_args

from fretal_bench.datasets.dates import DATE_WORDS, date_of
from fretal_bench.errors import BenchError, unknown_name
from fretal_bench.names import NAME

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

REAL: Final = 0
FAKE: Final = 1
Split = Literal["train", "val", "test"]
SPLITS: Final = ("train", "val", "test")
Compression = Literal["raw", "c23", "c40", "jpeg25", "none"]
COMPRESSIONS: Final[tuple[str, ...]] = get_args(Compression)
TEXT_COLUMNS: Final = ("path", "dataset", "method", "compression", "split", "video", "source", "target")
COLUMNS: Final[dict[str, str]] = {
    "path": "str",
    "dataset": "str",
    "method": "str",
    "compression": "str",
    "split": "str",
    "label": "int8",
    "video": "str",
    "source": "str",
    "target": "str",
    "frame": "int32",
}
DATE: Final = "date"
"""A column that a manifest may have besides: when what made a fake was published, as ``dates.date_of`` reads it; "" where
that is not known."""


def check_manifest(frame: pd.DataFrame, *, people: bool = True) -> pd.DataFrame:
    """Check a manifest and return it with the columns in their order and of their types.

    The row-wise rules: no column missing or unknown; `path` relative, with ``/``; no control characters; `dataset` and
    `method` names (``names.NAME``); `split`, `compression` and `label` of their lists; `method` is ``real`` exactly
    where `label` is 0; `video` named; a real video shows its own face (`source` = `target`); `frame` at least -1; no
    frame listed twice. An empty `source` or `target` means that the data set doesn't name the person.

    Args:
        frame: One row a frame, with the columns of ``COLUMNS``, and ``DATE`` if dates are known; the pandas index is
            ignored.
        people: Also check that no person and no video is in two splits (``check_splits``); off for a
            part of a manifest.

    Returns:
        A new frame with exactly ``COLUMNS``, in that order and of those types, then ``DATE`` if it was there, and rows
        numbered from 0.

    Raises:
        BenchError: At the first row that breaks a rule, with the row's number, what was found and what to do.
    """
    # Here, as everywhere in this file: listing streams needs its names, not these.
    import numpy as np
    import pandas as pd

    for column in frame.columns:
        if column not in (*COLUMNS, DATE):
            raise unknown_name("manifest column", str(column), (*COLUMNS, DATE))
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing:
        raise BenchError(f"the manifest lacks the column {missing[0]!r}; add it, one value a row")
    types = column_types(dated=DATE in frame.columns)
    frame = frame.loc[:, list(types)].reset_index(drop=True)
    for column in (name for name, kind in types.items() if kind == "str"):
        if isinstance(frame[column].dtype, pd.StringDtype):
            is_text = frame[column].notna().to_numpy(dtype=bool)
        else:
            is_text = frame[column].map(lambda value: isinstance(value, str)).to_numpy(dtype=bool)
        _refuse(frame, column, ~is_text, "must be text; write '' for what is not known")
    for column, least, most in (("label", REAL, FAKE), ("frame", -1, np.iinfo(np.int32).max)):
        number = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=np.float64)
        rule = (
            "must be 0 (real) or 1 (fake)"
            if column == "label"
            else "must be a frame number, or -1 for all frames"
        )
        _refuse(frame, column, ~((number >= least) & (number <= most) & (number == np.floor(number))), rule)
    frame = frame.astype(types)
    _check_rows(frame)
    if people:
        check_splits(frame)
    return frame


def column_types(*, dated: bool) -> dict[str, str]:
    """Return the columns of a manifest in their order, each with its type; with ``DATE`` at the end where it is dated."""
    return {**COLUMNS, DATE: "str"} if dated else COLUMNS


def check_splits(frame: pd.DataFrame) -> None:
    """Refuse a manifest in which a person or a video is in two splits.

    A person is known by data set and name, as `source` or as `target`; an empty name is no person.

    Args:
        frame: Rows with the manifest's columns; of several data sets, methods and compressions if need be.

    Raises:
        BenchError: With the first person or video found in two splits, and a row of each.
    """
    for kind, crossing in split_crossings(frame):
        if len(crossing):
            pair = crossing[crossing["name"] == crossing["name"].iloc[0]]
            where = " and ".join(f"{s} (row {r})" for s, r in zip(pair["split"], pair["row"], strict=True))
            raise BenchError(
                f"{kind} {pair['name'].iloc[0]!r} is in more than one split: {where}; "
                f"put all rows of one {kind} into one split, or leave them out"
            )


def split_crossings(frame: pd.DataFrame) -> Iterator[tuple[Literal["person", "video"], pd.DataFrame]]:
    """Find the people and the videos that are in more than one split, as ``check_splits`` knows them.

    Args:
        frame: Rows with the manifest's columns `dataset`, `method`, `video`, `source`, `target` and `split`; any text
            may be a split.

    Yields:
        What they are, and the frame of them, the first found first: `name` (``dataset/person`` or
        ``dataset/method/video``), `split`, and `row`, the number of its first row there.
    """
    import numpy as np
    import pandas as pd

    # The rows of a video differ in path and frame alone, so that few are left; the first of each tells its number.
    columns = ["dataset", "method", "video", "source", "target", "split"]
    row = np.flatnonzero(~frame.duplicated(columns).to_numpy(dtype=bool))
    frame = frame[columns].take(row)
    person = pd.concat([frame["source"], frame["target"]], ignore_index=True)
    twice = pd.concat([frame[["dataset", "split"]]] * 2, ignore_index=True)
    rows = np.tile(row, 2)
    known = (person != "").to_numpy(dtype=bool)
    yield "person", _crossing((twice["dataset"] + "/" + person)[known], twice["split"][known], rows[known])
    # A video is one recording in all its codings: its c40 copy in test would leak its c23 copy in train.
    recording = frame["dataset"] + "/" + frame["method"] + "/" + frame["video"]
    yield "video", _crossing(recording, frame["split"], row)


def video_key(frame: pd.DataFrame) -> pd.Series[str]:
    """Name every row's video across data sets: ``dataset/method/compression/video``.

    Args:
        frame: Rows with those four columns.

    Returns:
        One key a row, with the frame's own pandas index.
    """
    key: pd.Series[str] = (
        frame["dataset"] + "/" + frame["method"] + "/" + frame["compression"] + "/" + frame["video"]
    )
    return key.rename("video")


def people_key(frame: pd.DataFrame) -> pd.Series[str]:
    """Name the people in every row across data sets: ``dataset/target``, and ``+dataset/source`` where that is another.

    The filmed person stands first, then the one whose face was put there. A name that a data set leaves empty is left
    out; where it names nobody, the key is empty. A ``+`` inside of a name is written ``%2B`` and a ``%`` ``%25``, so
    that ``key.split("+")`` gives the people.

    Args:
        frame: Rows with `dataset`, `source` and `target`.

    Returns:
        One key a row, with the frame's own pandas index.
    """
    import pandas as pd

    columns = ["dataset", "source", "target"]
    kinds = frame[columns].drop_duplicates()
    keys = pd.Series(
        [
            "+".join(
                dict.fromkeys(f"{_escaped(dataset)}/{_escaped(name)}" for name in (target, source) if name)
            )
            for dataset, source, target in kinds.itertuples(index=False, name=None)
        ],
        index=pd.MultiIndex.from_frame(kinds),
        dtype="str",
    )
    of_rows = keys.loc[pd.MultiIndex.from_frame(frame[columns])].set_axis(frame.index)
    return of_rows.rename("people")


def _escaped(name: str) -> str:
    return name.replace("%", "%25").replace("+", "%2B")


def _check_rows(frame: pd.DataFrame) -> None:
    fake = (frame["label"] == FAKE).to_numpy()
    for column in ("dataset", "method", "video"):
        _refuse(frame, column, (frame[column] == "").to_numpy(), "must not be empty; name it")
    for column in ("dataset", "method"):
        misnamed = [name for name in frame[column].unique() if NAME.fault(name)]
        _refuse(frame, column, frame[column].isin(misnamed).to_numpy(dtype=bool), f"must be {NAME.expected}")
    for column in ("path", "video", "source", "target"):
        strange = frame[column].str.contains(r"[\x00-\x1f\x7f]", regex=True).to_numpy(dtype=bool)
        _refuse(frame, column, strange, "must not hold a control character; rename it")
    path = frame["path"]
    outside = path.str.contains(r"^$|^/|^[A-Za-z]:|\\|(?:^|/)\.\.(?:/|$)", regex=True).to_numpy()
    _refuse(frame, "path", outside, "must be relative to the data set's root, with '/' and without '..'")
    _refuse(frame, "split", ~frame["split"].isin(SPLITS).to_numpy(), f"must be one of {', '.join(SPLITS)}")
    known = frame["compression"].isin(COMPRESSIONS).to_numpy()
    _refuse(frame, "compression", ~known, f"must be one of {', '.join(COMPRESSIONS)}")
    called_real = (frame["method"] == "real").to_numpy()
    _refuse(frame, "method", called_real == fake, "must be 'real' where the label is 0, and only there")
    strange = ~fake & (frame["source"] != frame["target"]).to_numpy()
    _refuse(frame, "source", strange, "must equal the target in a real video")
    if DATE in frame.columns:
        undated = [text for text in frame[DATE].unique() if date_of(text) != text]
        _refuse(frame, DATE, frame[DATE].isin(undated).to_numpy(dtype=bool), f"must be {DATE_WORDS}, or ''")
    repeated = frame.duplicated(["dataset", "method", "compression", "video", "path", "frame"]).to_numpy()
    _refuse(frame, "frame", repeated, "is listed twice for this video; list each frame once")


def _refuse(frame: pd.DataFrame, column: str, wrong: np.ndarray, rule: str) -> None:
    if wrong.any():
        row = int(wrong.argmax())
        raise BenchError(f"manifest row {row}: {column} is {frame[column].iloc[row]!r}, but it {rule}")


def _crossing(name: pd.Series[str], split: pd.Series[str], row: np.ndarray) -> pd.DataFrame:
    """The first row in each split of the names that are in more than one."""
    import pandas as pd

    seen = pd.DataFrame({"name": name.to_numpy(), "split": split.to_numpy(), "row": row})
    first = seen.drop_duplicates(["name", "split"])
    return first[first["name"].duplicated(keep=False)]
