"""Tables of scores as Parquet: read, and checked to be the scores of the stream's samples at every step."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from fretal_bench.benchmark.runner.documents import AGAIN, DomainContent, StreamContent
from fretal_bench.datasets.streams.domain import NO_ROWS, row_hash
from fretal_bench.errors import BenchError
from fretal_bench.names import shown

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Split = Literal["test", "val"]
COLUMNS: Final = ("step", "domain", "row", "label", "video", "people", "score")
"""``people`` is ``manifest.people_key``: who is in the sample."""
_EARLIER: Final = tuple(name for name in COLUMNS if name != "people")
"""Those of earlier versions, which didn't say who is in a sample."""
_TYPES: Final = {
    "step": ("int16",),
    "domain": ("string", "large_string"),
    "row": ("int64",),
    "label": ("int8",),
    "video": ("string", "large_string"),
    "people": ("string", "large_string"),
    "score": ("float",),
}
"""Arrow's names of the types; how long texts may be differs between versions of pandas."""
_WORDS: Final = {"test": "test", "val": "validation", "train": "training"}
_ROWS_PER_BYTE: Final = 8
_FEW_ROWS: Final = 1_000_000
_TEXT_PER_BYTE: Final = 300
_MUCH_TEXT: Final = 2**28
"""A table of the suite takes at least a bit a row, since a step's rows differ; what promises more would fill memory."""
_ERRORS: Final = (OSError, ValueError, KeyError, TypeError, NotImplementedError, MemoryError)
"""What reading a damaged Parquet file raises, beside Arrow's own errors."""


class UnusableScores(BenchError):
    """Scores of the right samples that are no probabilities: their cell is left out, and named."""


def read_table(content: bytes, where: str, remedy: str = AGAIN) -> pa.Table:
    """Read a table of scores.

    Args:
        content: The Parquet file.
        where: Its path, for the errors.
        remedy: What to do if it is damaged.

    Raises:
        BenchError: It is no Parquet, or its columns or their types are not those that the suite writes.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(io.BytesIO(content))
        names = tuple(schema.names)
        if names not in (COLUMNS, _EARLIER):
            columns = ", ".join(map(str, schema.names))[:200] or "none"
            raise BenchError(f"{where}: expected the columns {', '.join(COLUMNS)}, found {columns}; {remedy}")
        # Texts are read as numbers of a dictionary: a short file may say one long text a million times.
        texts = [name for name in names if "string" in _TYPES[name]]
        file = pq.ParquetFile(io.BytesIO(content), read_dictionary=texts)
        rows = file.metadata.num_rows
        _check_types({field.name: str(field.type) for field in schema}, rows, where, remedy)
        if rows > _FEW_ROWS + _ROWS_PER_BYTE * len(content):
            raise BenchError(f"{where}: promises {rows:,} rows in {len(content):,} bytes; {remedy}")
        # Without what pandas wrote about itself, which says nothing more about plain columns.
        table = file.read(use_threads=False).replace_schema_metadata(None)
        if _text_bytes(*(table[name] for name in texts)) > _MUCH_TEXT + _TEXT_PER_BYTE * len(content):
            raise BenchError(f"{where}: its texts are too long; {remedy}")
        table = table.cast(pa.schema([(name, _arrow_type(name)) for name in names])).combine_chunks()
    except (*_ERRORS, pa.ArrowException) as error:
        raise BenchError(
            f"{where}: expected a Parquet file, found a damaged or another one; {remedy}"
        ) from error
    for name in names:
        # pandas writes scores that are no numbers as missing ones.
        if name != "score" and table[name].null_count:
            raise BenchError(
                f"{where}: column {name!r}: expected a value in every row, found none in some; {remedy}"
            )
    return table


def read_scores(
    content: bytes, where: str, remedy: str
) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Read the scores of one step in a pool: a Parquet file with the columns set, row and score.

    Args:
        content: The file.
        where: Its path, for the errors.
        remedy: What to do if it is damaged.

    Returns:
        By test set its rows, int64 [N], and P(fake), float32 [N].

    Raises:
        BenchError: It is no such file, or a score is no probability.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(content), read_dictionary=["set"])
        if file.metadata.num_rows > _FEW_ROWS + _ROWS_PER_BYTE * len(content):
            raise BenchError(
                f"{where}: promises {file.metadata.num_rows:,} rows in {len(content):,} bytes; {remedy}"
            )
        table = file.read(use_threads=False).combine_chunks()
        row, score = table["row"].to_numpy(), table["score"].to_numpy()
        sets = table["set"].combine_chunks()
        of = np.asarray(sets.indices.to_numpy(zero_copy_only=False))
        by_set = {id: (row[of == at], score[of == at]) for at, id in enumerate(sets.dictionary.to_pylist())}
    except (*_ERRORS, AttributeError, pa.ArrowException) as error:
        raise BenchError(
            f"{where}: expected a Parquet file, found a damaged or another one; {remedy}"
        ) from error
    if row.dtype != np.int64 or score.dtype != np.float32:
        raise BenchError(
            f"{where}: expected int64 rows and float32 scores, found {row.dtype} and {score.dtype}; {remedy}"
        )
    if not ((score >= 0) & (score <= 1)).all():
        raise BenchError(f"{where}: some scores are no probabilities; {remedy}")
    return by_set


def _arrow_type(name: str) -> Any:
    import pyarrow as pa

    return pa.type_for_alias({"float": "float32"}.get(_TYPES[name][0], _TYPES[name][0]))


def _text_bytes(*columns: Any) -> int:
    """Return how many bytes the texts of dictionary-encoded columns take as plain texts."""
    import pyarrow.compute as pc

    total = 0
    # A column without a value has no dictionary.
    for chunk in (chunk for column in columns if len(column) for chunk in column.chunks):
        lengths = pc.binary_length(chunk.dictionary).to_numpy(zero_copy_only=False).astype(np.float64)
        indices = chunk.indices.drop_null().to_numpy(zero_copy_only=False)
        if len(lengths):
            total += int(np.bincount(indices, minlength=len(lengths))[: len(lengths)] @ lengths)
    return total


def _check_types(types: dict[str, str], rows: int, where: str, remedy: str) -> None:
    for name, type in types.items():
        expected = _TYPES[name]
        # Where test rows are withheld, texts have no type.
        if type not in expected and (rows or type != "null"):
            words = {"float": "float32"}.get(expected[0], expected[0])
            raise BenchError(
                f"{where}: column {name!r}: expected {words}, found {type.replace('float', 'float32')}; {remedy}"
            )


def check_table(
    table: pa.Table,
    stream: StreamContent,
    split: Split,
    where: str,
    remedy: str = AGAIN,
    *,
    untrained: bool = True,
) -> str:
    """Check that a table holds every sample of a split of every domain at every step, and P(fake) of each.

    Args:
        table: As ``read_table`` gives it.
        stream: What the plan says of the stream: its domains and their rows.
        split: The split.
        where: The table's path, for the errors.
        remedy: What to do if it is damaged.
        untrained: Whether there are scores before any training; if not, all of them are missing.

    Returns:
        A SHA-256 over rows, labels and videos: equal for all cells of a stream.

    Raises:
        UnusableScores: A score is not finite, or no probability.
        BenchError: Steps, domains, rows, labels or videos are not those of the stream.
    """
    fault = _fault(table, stream, split)
    if fault:
        raise BenchError(f"{where}: {fault}; {remedy}")
    if not untrained:
        size = len(table) // (len(stream.domains) + 1)
        if np.isfinite(table["score"].to_numpy()[:size]).any():
            raise BenchError(f"{where}: expected no scores of step -1, found some; {remedy}")
    unusable = _unusable(table if untrained else table.slice(size), len(stream.domains) - (not untrained))
    if unusable:
        raise UnusableScores(f"{where}: {unusable}")
    return _content(table, len(stream.domains) + 1)


def check_further(table: pa.Table, domain: DomainContent, where: str, remedy: str = AGAIN) -> None:
    """Check that a table holds every sample of a further test set at some steps, and P(fake) of each.

    Args:
        table: As ``read_table`` gives it.
        domain: What the plan says of the test set.
        where: The table's path, for the errors.
        remedy: What to do if it is damaged.

    Raises:
        BenchError: Its steps, domain, rows, labels or videos are not those of the test set, or a score is no
            probability, which is never written: the judging would have failed.
    """
    step = table["step"].to_numpy()
    numbers = sorted(set(step.tolist()))
    size = len(table) // max(1, len(numbers))
    fault = ""
    if not numbers or not np.array_equal(step, np.repeat(numbers, size)) or numbers[0] < -1:
        fault = "its steps are not in their order, or have not the same samples each"
    elif set(table["domain"].to_pylist()) != {domain.name}:
        fault = f"expected the scores of test set {shown(domain.name)} alone"
    else:
        first = table.slice(0, size)
        if row_hash(first["row"].to_numpy()) != domain.rows.test:
            fault = f"its rows are not those of test set {shown(domain.name)} in the plan"
        fault = fault or _fault_of_samples_alone(first) or _fault_of_steps(table, first, len(numbers))
        fault = fault or _unusable(table, len(numbers) - 1)
    if fault:
        raise BenchError(f"{where}: {fault}; {remedy}")


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Return a table as a pandas frame."""
    frame: pd.DataFrame = table.to_pandas()
    return frame


def untrained(table: pa.Table, stream: StreamContent) -> str:
    """Return a checksum of the scores before any training; nothing where all are alike and say nothing."""
    scores = table["score"].to_numpy()[: len(table) // (len(stream.domains) + 1)]
    if not len(scores) or scores.min() == scores.max():
        return ""
    return hashlib.sha256(scores.tobytes()).hexdigest()


def _fault(table: pa.Table, stream: StreamContent, split: Split) -> str:
    """Say what is wrong with everything but the scores; nothing if all is right."""
    last = len(stream.domains) - 1
    if not len(table):
        # Test rows may be withheld (tuning), and a stream may have no validation rows.
        missing = [domain.name for domain in stream.domains if getattr(domain.rows, split) != NO_ROWS]
        return (
            f"holds no scores; expected those of domain {shown(missing[0])} at steps -1 to {last}"
            if missing
            else ""
        )
    step = table["step"].to_numpy()
    if step.min() < -1 or step.max() > last:
        return (
            f"holds steps {step.min()} to {step.max()}; a stream of {last + 1} domains has steps -1 to {last}"
        )
    counts = np.bincount(step.astype(np.int64) + 1, minlength=last + 2)
    for at, count in enumerate(counts, start=-1):
        if count != counts[0] or not count:
            return f"holds {count} scores of step {at} and {counts[0]} of step -1; every step has the same samples"
    size = int(counts[0])
    if not np.array_equal(step, np.repeat(np.arange(-1, last + 1), size)):
        return "its steps are not in their order"
    first = table.slice(0, size)
    return (
        _fault_of_samples(first, stream, split)
        or _fault_of_samples_alone(first)
        or _fault_of_steps(table, first, last + 2)
    )


def _fault_of_samples(first: pa.Table, stream: StreamContent, split: Split) -> str:
    """Compare domains and rows of the first step with the stream's."""
    import pyarrow.compute as pc

    runs = pc.run_end_encode(first["domain"].combine_chunks())
    domains, ends = runs.values.to_pylist(), runs.run_ends.to_pylist()
    expected = {domain.name: domain for domain in stream.domains}
    for name in domains:
        if name not in expected:
            return f"holds scores of domain {shown(name)}, which the stream does not have"
    learned = [d.name for d in stream.domains if d.name in domains or getattr(d.rows, split) != NO_ROWS]
    if domains != learned:
        missing = [name for name in learned if name not in domains]
        if missing:
            return f"holds no scores of domain {shown(missing[0])}"
        return "its domains are not in the order of the stream"
    rows, start = first["row"].to_numpy(), 0
    for name, end in zip(domains, ends, strict=True):
        hashes = expected[name].rows
        scored = row_hash(rows[start:end])
        if scored != getattr(hashes, split):
            other = next((words for key, words in _WORDS.items() if getattr(hashes, key) == scored), "other")
            return f"holds {other} rows of domain {shown(name)}, not the {_WORDS[split]} rows of the plan"
        start = end
    return ""


def _fault_of_samples_alone(first: pa.Table) -> str:
    """Say what is wrong with labels, videos and people of the first step, whatever the stream is."""
    return _fault_of_labels(first) or _fault_of_people(first)


def _fault_of_people(first: pa.Table) -> str:
    """Compare the people of the first step with the videos: of their data set, two in a fake at most, in a real one."""
    if "people" not in first.column_names:
        return ""
    kinds = first.group_by(["video", "people"], use_threads=False).aggregate([])
    for video, names in zip(kinds["video"].to_pylist(), kinds["people"].to_pylist(), strict=True):
        dataset, method = video.split("/")[:2]
        dataset = dataset.replace("%", "%25").replace("+", "%2B")
        keys = names.split("+") if names else []
        of_dataset = all(key.startswith(f"{dataset}/") and key != f"{dataset}/" for key in keys)
        if not of_dataset or len(set(keys)) < len(keys) or len(keys) > (1 if method == "real" else 2):
            return (
                f"column 'people': video {shown(video)} has {shown(names)}; expected {shown(dataset + '/PERSON')}, in "
                "a fake another one after a '+', or nothing where nobody is known"
            )
    return ""


def _fault_of_labels(first: pa.Table) -> str:
    """Compare the labels of the first step with the videos, whose keys name the method."""
    import pyarrow.compute as pc

    labels = first["label"].to_numpy()
    if not np.isin(labels, (0, 1)).all():
        at = int(np.flatnonzero(~np.isin(labels, (0, 1)))[0])
        return f"column 'label': expected 0 (real) or 1 (fake), found {labels[at]}"
    real = pc.match_substring_regex(first["video"], r"^[^/]*/real/").to_numpy()
    wrong = np.flatnonzero(real != (labels == 0))
    if len(wrong):
        at = int(wrong[0])
        video = shown(first["video"][at].as_py())
        return f"column 'label': video {video} has label {labels[at]}; real videos have 0, all others 1"
    return ""


def _fault_of_steps(table: pa.Table, first: pa.Table, steps: int) -> str:
    """Compare the samples of every later step with those of the first."""
    size = len(first)
    for number in range(1, steps):
        block = table.slice(number * size, size)
        for name in (name for name in table.column_names if name not in ("step", "score")):
            if not block[name].equals(first[name]):
                pairs = zip(
                    first["domain"].to_pylist(), first[name].to_pylist(), block[name].to_pylist(), strict=True
                )
                domain, before, now = next(pair for pair in pairs if pair[1] != pair[2])
                return (
                    f"column {name!r}: domain {shown(domain)} has {_cut(now)} at step {number - 1} where step -1 has "
                    f"{_cut(before)}; every step has the same samples"
                )
    return ""


def _cut(value: Any) -> str:
    return shown(value, 40) if isinstance(value, str) else repr(value)


def _unusable(table: pa.Table, domains: int) -> str:
    scores = table["score"].to_numpy()
    finite = np.isfinite(scores)
    if not finite.all():
        at = int(np.flatnonzero(~finite)[0]) // max(1, len(table) // (domains + 1)) - 1
        return (
            f"{np.count_nonzero(~finite):,} of {len(scores):,} scores are not finite, the first at step {at}: "
            "training diverged; run it again with a lower learning rate"
        )
    outside = (scores < 0) | (scores > 1)
    if outside.any():
        return (
            f"{np.count_nonzero(outside):,} of {len(scores):,} scores are outside of [0, 1], the first "
            f"{scores[outside][0]:g}: no probabilities; correct the strategy and run it again"
        )
    return ""


def people_content(table: pa.Table, stream: StreamContent) -> str:
    """Return a checksum of the people of a checked table; nothing of one that doesn't say who they are."""
    if "people" not in table.column_names:
        return ""
    first = table.slice(0, len(table) // (len(stream.domains) + 1))
    return hashlib.sha256("\0".join(first["people"].to_pylist()).encode()).hexdigest()


def _content(table: pa.Table, steps: int) -> str:
    first = table.slice(0, len(table) // steps)
    digest = hashlib.sha256(first["row"].to_numpy().tobytes() + first["label"].to_numpy().tobytes())
    digest.update("\0".join(first["video"].to_pylist()).encode())
    return digest.hexdigest()
