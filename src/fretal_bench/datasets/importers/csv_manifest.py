"""A CSV of the user, for layouts that no other importer knows: the manifest's columns, most of them optional."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fretal_bench import parsing
from fretal_bench.datasets.dates import RELEASED
from fretal_bench.datasets.importers.family import Import, Importer, Match
from fretal_bench.datasets.importers.lists import read_fields, refused
from fretal_bench.datasets.importers.names import (
    Contradiction,
    dataset_of_folder,
    label_of_class,
    split_of,
)
from fretal_bench.datasets.importers.options import ReadOptions
from fretal_bench.datasets.importers.rows import ManifestRow, Rows, rooted
from fretal_bench.datasets.importers.walk import Entry, Tree
from fretal_bench.datasets.manifest import COLUMNS, COMPRESSIONS, DATE, FAKE, REAL
from fretal_bench.datasets.media.suffixes import IMAGE_SUFFIXES
from fretal_bench.errors import BenchError
from fretal_bench.names import shown

_NEEDED: Final = ("path", "label")
_OPTIONAL: Final = (*(column for column in COLUMNS if column not in _NEEDED), DATE, RELEASED)
_LABELS: Final = {"0": REAL, "1": FAKE}
_CORRECT: Final = "correct the line"
# Understood lines that are remembered: the rows of a video mostly follow one another.
_UNDERSTOOD: Final = 4096
# Python refuses to read longer numbers.
_DIGITS: Final = 20


def recognise(root: Path) -> Match:
    """Look for a CSV with the columns path and label: the given file, or one in the given folder."""
    folder, name = rooted(root)
    if not folder.is_dir():
        return Match(0, missed=("manifest.csv",))
    lists = tuple(entry.path for entry in _manifests(Tree(folder), name))
    if name.lower().endswith(".csv") and not lists:
        # Read as what it most likely should be, so that what is wrong with it is said.
        return Match(0.5, (name,))
    score = 0.98 if name and lists else 0.8 if lists else 0
    return Match(score, lists, () if lists else ("*.csv with the columns path and label",))


def read(root: Path, options: ReadOptions) -> Import:
    """Read the rows; paths start from the CSV's folder. Without a column ``split`` the split is by identity.

    A column ``date`` (or ``release_date``) is when what made a fake was published.

    Defaults: the folder's name as data set, ``fake`` as method, no compression, the file's path as video and target.

    Raises:
        BenchError: A column is unknown, missing or there twice, or several CSV files could be meant.
    """
    folder, name = rooted(root)
    rows = Rows(Tree(folder))
    files = _files(rows.tree, name) if name else _manifests(rows.tree, name)
    if name and not files:
        raise BenchError(
            f"{root}: expected a file *.csv, found another name or a link that leads out of its folder; "
            "give the file itself"
        )
    if len(files) != 1:
        names = ", ".join(entry.path for entry in files) or "none"
        raise BenchError(
            f"{root}: expected one CSV with the columns path and label, found {names}; name the file itself"
        )
    path = rows.tree.root / files[0].path
    header = parsing.csv_header(path, "list")
    parsing.check_header(header, str(path), _NEEDED, _OPTIONAL)
    if DATE in header and RELEASED in header:
        raise BenchError(
            f"{path}, line 1: expected one column of dates, found {DATE!r} and {RELEASED!r}; keep one of them"
        )
    _take_lines(rows, files[0], header)
    return rows.finish(
        "csv",
        options,
        f"the column split of {files[0].path}",
        official="split" in header,
        has_val="val" in rows.splits,
    )


def _files(tree: Tree, name: str) -> list[Entry]:
    return [entry for entry in tree.files("", {".csv"}) if name in ("", entry.name)]


def _manifests(tree: Tree, name: str) -> list[Entry]:
    return [entry for entry in _files(tree, name) if set(_NEEDED) <= set(_header(tree.root / entry.path))]


def _header(path: Path) -> list[str]:
    try:
        return parsing.csv_header(path, "list")
    except BenchError:
        return []


def _take_lines(rows: Rows, entry: Entry, header: list[str]) -> None:
    """Add the lines' rows. Lines that differ in their frame alone are understood once."""
    understood: dict[tuple[str, ...], ManifestRow] = {}
    place = header.index("frame") if "frame" in header else None
    lines = read_fields(rows, entry, _NEEDED, _OPTIONAL)
    next(lines, None)
    for number, fields in lines:
        frame = fields[place].strip() if place is not None else ""
        key = (*fields[:place], *fields[place + 1 :]) if place is not None else tuple(fields)
        # Without a frame the file's kind decides, and what is no number is a fault.
        row = understood.get(key) if _is_frame(frame) else None
        if row is not None:
            rows.add(row, int(frame))
        elif (row := _understood(rows, entry, number, header, fields)) is not None:
            rows.add(row)
            if len(understood) >= _UNDERSTOOD:
                understood.clear()
            understood[key] = row


def _understood(
    rows: Rows, entry: Entry, number: int, header: list[str], fields: list[str]
) -> ManifestRow | None:
    """A line's row; None if the line is left out, which is counted."""
    line = {column: field.strip() for column, field in zip(header, fields, strict=True)}
    if refused(rows, entry.path, line["path"]):
        return None
    parts = line["path"].replace("\\", "/").split("/")
    path = "/".join(part for part in parts if part != ".")
    file = rows.tree.has(path)
    if file is None or file.is_folder:
        words = f"{entry.path} line {number} names it; it isn't there, or no file"
        rows.leave_out(path, "missing", words, _CORRECT, dataset=line.get("dataset") or _folder_of(rows))
        return None
    text = line["label"].lower()
    label = _LABELS[text] if text in _LABELS else label_of_class(text)
    split = split_of(line["split"]) if "split" in line else ""
    values = _with_defaults(line, label, file, _folder_of(rows))
    for kind, words in _faults(line, values, label, split):
        rows.leave_out(
            path,
            kind,
            f"{entry.path} line {number}: {words}",
            _CORRECT,
            dataset=values["dataset"],
            method=values["method"],
            compression=values["compression"],
        )
        return None
    # Else one of the faults.
    assert isinstance(label, int)
    assert split is not None
    columns = {key: value for key, value in values.items() if key != "frame"}
    date = rows.date(line.get(DATE) or line.get(RELEASED, ""), entry.path, f"line {number}: ")
    return ManifestRow(path, label=label, split=split, frame=int(values["frame"]), date=date, **columns)


def _folder_of(rows: Rows) -> str:
    """The data set's name where a line has none."""
    return dataset_of_folder(rows.tree.root.name)


def _with_defaults(
    line: dict[str, str], label: int | Contradiction | None, file: Entry, folder: str
) -> dict[str, str]:
    """The texts of a row, with what the line leaves out."""
    video = line.get("video") or file.path
    target = line.get("target") or (line.get("source") if label == REAL else "") or video
    return {
        "dataset": line.get("dataset") or folder,
        "method": line.get("method") or ("real" if label == REAL else "fake"),
        "compression": line.get("compression") or "none",
        "video": video,
        "source": line.get("source") or (target if label == REAL else ""),
        "target": target,
        "frame": line.get("frame") or ("0" if file.suffix in IMAGE_SUFFIXES else "-1"),
    }


def _faults(
    line: dict[str, str], values: dict[str, str], label: int | Contradiction | None, split: str | None
) -> Iterator[tuple[str, str]]:
    """Why a line gives no row: the kind of finding, and words."""
    if not isinstance(label, int):
        yield "label", _mislabelled(line["label"], label)
    elif (values["method"] == "real") != (label == REAL):
        yield "label", f"the label is {line['label']}, the method {shown(values['method'])}"
    elif label == REAL and values["source"] != values["target"]:
        words = f"source is {shown(values['source'])} and target {shown(values['target'])}"
        yield "label", f"a real video shows its own face, but {words}"
    if split is None:
        yield "split", f"expected the split train, val or test, found {shown(line['split'])}"
    if values["compression"] not in COMPRESSIONS:
        yield "name", f"expected one of {', '.join(COMPRESSIONS)}, found {shown(values['compression'])}"
    if not _is_frame(values["frame"]):
        yield "name", f"expected a frame number, or -1 for all, found {shown(values['frame'])}"


def _mislabelled(text: str, label: Contradiction | None) -> str:
    expected = f"expected the label 0, 1, real or fake, found {shown(text)}"
    return expected if label is None else f"{expected}: {label.words}"


def _is_frame(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isdecimal() and len(digits) < _DIGITS and -1 <= int(text) < 2**31


IMPORTER: Final = Importer(
    name="csv",
    title="CSV manifest",
    layout="one CSV with at least the columns path and label (0 or real, 1 or fake), next to its files",
    recognises=recognise,
    read=read,
    unit="videos",
)
