"""Parquet files with a picture in each row, as Hugging Face keeps data sets; columns by name or by option."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fretal_bench import parsing
from fretal_bench.datasets.dates import RELEASED
from fretal_bench.datasets.importers.archives import ArchiveLimits
from fretal_bench.datasets.importers.family import Import, Importer, Match
from fretal_bench.datasets.importers.names import (
    CLASS_WORDS,
    Contradiction,
    dataset_of_folder,
    label_of_class,
    split_of,
)
from fretal_bench.datasets.importers.options import ReadOptions
from fretal_bench.datasets.importers.parquet_files import (
    BYTES,
    SUFFIX,
    DamagedParquet,
    holds_pictures,
    is_struct,
    opened,
    row_path,
)
from fretal_bench.datasets.importers.rows import ManifestRow, Rows, rooted
from fretal_bench.datasets.importers.walk import Entry, Tree, is_plain
from fretal_bench.datasets.manifest import DATE, FAKE, REAL
from fretal_bench.errors import BenchError, unknown_name
from fretal_bench.names import shown

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_IMAGE: Final = "image"
_COLUMNS: Final = ("label", "split", "dataset", "method", "video", "source", "target", "frame", DATE)
_ROWS: Final = 4096
"""Rows of which the texts are read at once; never their pictures."""
_SMALL: Final = 64 << 20
_LEVELS: Final = 2
"""Folders below the root in which files are looked for: a configuration and its splits."""
_DIGITS: Final = 20
"""Python refuses to read longer numbers."""
_SOME: Final = 50
_CORRECT: Final = "correct the file, or map its values with --label"
_WORD: Final = {"real": REAL, "fake": FAKE}


@dataclass
class _Reading:
    """What is read of all files alike.

    Attributes:
        rows: Takes rows and findings.
        options: Columns, labels and limits.
        dataset: Name of the data set where no column has it.
        unsplit: Whether a file was met that says no split.
        counted: Rows of each video so far, which number its frames where no column does.
        known: Value of the label -> what it means.
        dates: Value of the date -> the date, "" for what is none.
    """

    rows: Rows
    options: ReadOptions
    dataset: str
    unsplit: bool = False
    counted: dict[tuple[str, ...], int] = field(default_factory=dict)
    known: dict[str, int | str] = field(default_factory=dict)
    dates: dict[str, str] = field(default_factory=dict)


def recognise(root: Path) -> Match:
    """Look for a Parquet file with a column that holds pictures."""
    folder, name = rooted(root)
    entry = next(iter(_files(Tree(folder), name, _SOME) if folder.is_dir() else ()), None)
    if entry is not None:
        try:
            with opened(folder / entry.path) as file:
                holds = any(holds_pictures(column.type) for column in file.schema_arrow)
        except DamagedParquet:
            # Given by itself it could be nothing else, so that its damage is told.
            return Match(0.5 if name else 0, (entry.path,))
        if holds:
            return Match(0.9, (entry.path,))
    return Match(0, missed=("*.parquet with a column of pictures",))


def read(root: Path, options: ReadOptions) -> Import:
    """Read the files' rows, without their pictures. Each is a picture of its own, unless a column names its video.

    Raises:
        BenchError: A column that is needed or named is not there, or nothing says which label is real.
    """
    for column in options.columns:
        if column not in (_IMAGE, *_COLUMNS):
            raise unknown_name("column of --column", column, (_IMAGE, *_COLUMNS))
    folder, name = rooted(root)
    rows = Rows(Tree(folder))
    reading = _Reading(rows, options, dataset_of_folder(Path(name).stem if name else rows.tree.root.name))
    for entry in _files(rows.tree, name):
        rows.claimed.add(entry.path)
        try:
            with opened(rows.tree.root / entry.path) as file:
                _read_file(reading, entry, file)
        except DamagedParquet as error:
            rows.leave_out(
                *(entry.path, "unreadable", f"cannot be read to its end: {error}", "download it again"),
                dataset=reading.dataset,
            )
    if len(rows) and not {"source", "target"} & options.columns.keys():
        words = "no column says who is in a picture, so each picture (or video) counts as a person of its own"
        rows.note("", "note", "info", words, "name the columns, if there are any: --column target=NAME")
    if reading.unsplit and options.splits != "identity":
        words = "a file without a split in its name or a column, so all is split by identity"
        rows.note("", "split", "info", words)
    return rows.finish(
        *("parquet", options, "the column split, or the files' names"),
        official=not reading.unsplit,
        has_val="val" in rows.splits,
    )


def _files(tree: Tree, name: str, most: int | None = None) -> list[Entry]:
    """The Parquet files of a folder and of those below it, or the named one."""
    if name:
        return [entry for entry in tree.files("", {SUFFIX}) if entry.name == name]
    folders, files = [""], []
    for _ in range(_LEVELS + 1):
        files += [entry for folder in folders for entry in tree.files(folder, {SUFFIX})]
        folders = [entry.path for folder in folders for entry in tree.folders(folder)][:most]
    return files


def _read_file(reading: _Reading, entry: Entry, file: pq.ParquetFile) -> None:
    rows, options = reading.rows, reading.options
    schema = file.schema_arrow
    image = _image_column(rows, entry, schema, options)
    columns = _columns(rows, entry, schema, options)
    if fault := _beyond(file, image, ArchiveLimits().times(options.archive_limits)):
        action = "raise --archive-limits, if it is what it should be"
        rows.leave_out(entry.path, "size", f"nothing of it is read: {fault}", action, dataset=reading.dataset)
        return
    names = _class_names(schema, columns["label"])
    if names is None and not options.labels and not _is_text(schema.field(columns["label"]).type):
        raise BenchError(
            f"{rows.tree.root / entry.path}: the column {columns['label']!r} holds numbers, and nothing says which is "
            "real; say it, e.g. --label 0=real --label 1=fake"
        )
    split = _split_of_file(entry)
    reading.unsplit |= split == "" and "split" not in columns
    for group in range(file.num_row_groups):
        start = 0
        for batch in file.iter_batches(
            _ROWS, row_groups=[group], columns=sorted(set(columns.values())), use_threads=False
        ):
            values = {column: batch.column(name).to_pylist() for column, name in columns.items()}
            for place in range(len(batch)):
                line = {column: _text(texts[place]) for column, texts in values.items()}
                if names is not None:
                    line["label"] = _class_name(names, line["label"])
                _take(reading, row_path(entry.path, image, group, start + place), line, split)
            start += len(batch)


def _take(reading: _Reading, path: str, line: Mapping[str, str], of_file: str) -> None:
    """Add a row, or leave it out with the reason."""
    label = _label(reading, line["label"])
    split = (split_of(line["split"]) if line["split"] else None) if "split" in line else of_file
    dataset = line.get("dataset") or reading.dataset
    method = "real" if label == REAL else (line.get("method") or "fake").replace("/", "-")
    video = line.get("video") or path
    target = line.get("target") or (line.get("source") if label == REAL else "") or video
    source = line.get("source") or (target if label == REAL else "")
    key = (dataset, method, video)
    number = line.get("frame") or str(reading.counted.get(key, 0))
    if "video" in line and "frame" not in line:
        reading.counted[key] = reading.counted.get(key, 0) + 1
    kind = words = ""
    if not isinstance(label, int):
        kind, words = "label", label
    elif split is None:
        kind, words = "split", f"expected the split train, val or test, found {shown(line['split'])}"
    elif label == REAL and source != target:
        kind, words = "label", f"a real picture shows its own face, but {shown(source)} and {shown(target)}"
    elif not (number.isdecimal() and len(number) < _DIGITS and int(number) < 2**31):
        kind, words = "name", f"expected a frame number, found {shown(number)}"
    if kind or not isinstance(label, int) or split is None:
        reading.rows.leave_out(
            path, kind, words, _CORRECT, dataset=dataset, method=method, compression="none"
        )
        return
    date = _date(reading, line.get(DATE, ""), path)
    reading.rows.add(
        ManifestRow(
            path, dataset, method, "none", label, video, source, target, split, int(number), date=date
        )
    )


def _date(reading: _Reading, text: str, path: str) -> str:
    """The date; each value is looked at once."""
    if text not in reading.dates:
        reading.dates[text] = reading.rows.date(text, path)
    return reading.dates[text]


def _label(reading: _Reading, text: str) -> int | str:
    """The label, or why there is none; each value is looked at once."""
    if text not in reading.known:
        given, word = reading.options.labels.get(text), label_of_class(text)
        if given is not None and isinstance(word, int) and _WORD[given] != word:
            raise BenchError(
                f"--label {text}={given}: the word says the opposite; leave it out, or correct the file"
            )
        if given is not None:
            reading.known[text] = _WORD[given]
        elif isinstance(word, int):
            reading.known[text] = word
        else:
            known = (
                "real, fake or the like" if not reading.options.labels else ", ".join(reading.options.labels)
            )
            because = f": {word.words}" if isinstance(word, Contradiction) else ""
            reading.known[text] = f"expected the label {known}, found {shown(text)}{because}"
    return reading.known[text]


def _image_column(rows: Rows, entry: Entry, schema: pa.Schema, options: ReadOptions) -> str:
    path = rows.tree.root / entry.path
    name = options.columns.get(_IMAGE)
    holding = [column.name for column in schema if holds_pictures(column.type)]
    if name is None and len(holding) != 1:
        there = ", ".join(holding) or "none"
        raise BenchError(
            f"{path}: expected one column of pictures, found {there}; name it, e.g. --column image=NAME"
        )
    column = holding[0] if name is None else name
    if column not in holding or "/" in column or not is_plain(column):
        raise BenchError(
            f"--column image={column}: expected a column of {path} with pictures as bytes, and without '/' in its name; "
            f"found {', '.join(holding) or 'none'}"
        )
    return column


def _columns(rows: Rows, entry: Entry, schema: pa.Schema, options: ReadOptions) -> dict[str, str]:
    """Manifest column -> column of the file: as named by option, else of the same name."""
    path = rows.tree.root / entry.path
    columns = {}
    for column in _COLUMNS:
        other = (
            RELEASED if column == DATE and DATE not in schema.names and RELEASED in schema.names else column
        )
        name = options.columns.get(column, other)
        if schema.names.count(name) == 1:
            kind = schema.field(name).type
            if _is_readable(column, kind):
                columns[column] = name
                continue
            words = f"expected texts or whole numbers in the column {name!r} for {column}, found {kind}"
            if column in options.columns or column == "label":
                raise BenchError(f"{path}: {words}; name another, e.g. --column {column}=NAME")
            rows.note(
                entry.path, "columns", "warning", f"{words}: it is not used", "name another with --column"
            )
        elif column in options.columns or column == "label" or name in schema.names:
            raise BenchError(
                f"{path}: expected one column {name!r} for {column}, found {', '.join(schema.names)}; "
                f"name it, e.g. --column {column}=NAME"
            )
    return columns


def _is_readable(column: str, kind: pa.DataType) -> bool:
    """Whether values of a type are texts, or become texts that somebody wrote: not bytes, fractions or lists."""
    import pyarrow as pa

    plain = pa.types.is_integer(kind) or pa.types.is_null(kind) or _is_text(kind)
    plain |= column == "label" and pa.types.is_boolean(kind)
    plain |= column == DATE and (pa.types.is_date(kind) or pa.types.is_timestamp(kind))
    return bool(plain)


def _beyond(file: pq.ParquetFile, image: str, limits: ArchiveLimits) -> str:
    """What of a file is beyond the limits, by what it declares; "" if nothing is."""
    if file.metadata.num_rows > limits.members:
        return f"{file.metadata.num_rows:,} rows, where {limits.members:,} are allowed"
    place = next(
        n
        for n in range(len(file.schema))
        if file.schema.column(n).path.split(".")[0] == image
        and (not is_struct(file.schema_arrow.field(image).type) or file.schema.column(n).name == BYTES)
    )
    chunks = [file.metadata.row_group(n).column(place) for n in range(file.num_row_groups)]
    together = sum(chunk.total_uncompressed_size for chunk in chunks)
    packed = sum(chunk.total_compressed_size for chunk in chunks)
    if together > limits.together:
        return f"pictures of {together:,} bytes together, where {limits.together:,} are allowed"
    if together > _SMALL and together > limits.ratio * packed:
        return f"pictures of more than {limits.ratio} times the {packed:,} bytes that they are packed in"
    return ""


def _class_names(schema: pa.Schema, column: str) -> list[str] | None:
    """What the numbers of a label stand for, where the file says so (Hugging Face's ``ClassLabel``); else None."""
    text = (schema.metadata or {}).get(b"huggingface")
    if text is None:
        return None
    try:
        value: Any = parsing.parse_json(text.decode(), "huggingface")
        names = value["info"]["features"][column]["names"]
    except (BenchError, UnicodeDecodeError, KeyError, TypeError):
        return None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def _class_name(names: list[str], text: str) -> str:
    return names[int(text)] if text.isdecimal() and len(text) < 9 and int(text) < len(names) else text


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).strip().lower() if isinstance(value, bool) else str(value).strip()


def _split_of_file(entry: Entry) -> str:
    """The split that a file's name begins with (``train-00000-of-00010``), or that its folder is called."""
    word = re.split(r"[-_.]", entry.stem)[0]
    folder = entry.path.rpartition("/")[0].rpartition("/")[2]
    return split_of(word) or split_of(folder) or ""


IMPORTER: Final = Importer(
    name="parquet",
    title="Parquet with pictures",
    layout="{train,validation,test}-*.parquet with a column of pictures (bytes, or bytes and path) and a column label "
    f"(words such as {CLASS_WORDS[REAL][0]}, {CLASS_WORDS[FAKE][0]})",
    recognises=recognise,
    read=read,
    unit="images",
)
