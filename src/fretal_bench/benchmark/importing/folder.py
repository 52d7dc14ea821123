"""A result folder of imported scores: a plan, and a cell for every strategy and seed, as a run writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fretal_bench import files, parsing
from fretal_bench.benchmark.importing.rows import Ints, ScoreRows, read_rows
from fretal_bench.benchmark.importing.samples import Samples, find_samples
from fretal_bench.benchmark.runner.documents import FORMAT, PLAN, ImportedContent, plan_checksum
from fretal_bench.benchmark.runner.environment import installed_version
from fretal_bench.benchmark.runner.folder import REMEDY
from fretal_bench.benchmark.runner.plan import base_content, cell_id
from fretal_bench.benchmark.runner.seals import seal
from fretal_bench.datasets.streams.domain import NO_ROWS, row_hash
from fretal_bench.errors import BenchError
from fretal_bench.names import NAME, check_name, hidden_fault

if TYPE_CHECKING:
    import pyarrow as pa

    from fretal_bench.datasets.streams.file import StreamFile

RECIPE: Final = "imported"
"""The name of a recipe that is not known."""
_SHIFT: Final = 32


@dataclass(frozen=True)
class ImportCall:
    """What is to be imported, and how it is to be read.

    Attributes:
        csv: The CSV of scores.
        out: The result folder to make.
        strategy: What the method is called; empty where the file says.
        stream: The stream whose domains these are, in its order; None where it is none of the suite's.
        domains: Or the domains, in the order in which they are learned; none = as they first appear.
        mapped: See ``columns.columns_of``.
        logits: Whether scores are logits.
        dataset: What the data set of videos is called whose names say nothing of it; empty = ``keys.OWN``.
    """

    csv: Path
    out: Path
    strategy: str = ""
    stream: StreamFile | None = None
    domains: tuple[str, ...] = ()
    mapped: tuple[tuple[str, str], ...] = ()
    logits: bool = False
    dataset: str = ""


@dataclass(frozen=True)
class Imported:
    """What was imported.

    Attributes:
        path: The result folder.
        stream: The stream's name.
        domains: Its domains, in the order in which they are learned.
        cells: Strategy and seed of each cell.
        rows: Rows of the file.
        samples: Test samples, of all domains and folds.
        videos: Videos, of all domains.
        people: Whether the file says who is in them.
        frames: Whether it numbers frames; if not, every row is a video.
        folds: Sets of test samples, one for seeds of equal s mod their number.
        untrained: Whether there are scores before any training.
        left_out: Columns of the file that were not read.
        content: The file's name and hash.
        dataset: What the data set of the videos is called here, as their names do not say it; empty where they do.
    """

    path: Path
    stream: str
    domains: tuple[str, ...]
    cells: tuple[tuple[str, int], ...]
    rows: int
    samples: int
    videos: int
    people: bool
    frames: bool
    folds: int
    untrained: bool
    left_out: tuple[str, ...]
    content: ImportedContent
    dataset: str


def import_scores(call: ImportCall) -> Imported:
    """Make a result folder of the scores of a method that ran elsewhere, whole or not at all.

    It is one of the ordinary kind: reports and the Python API read it. Its cells say that they were imported, from which
    file, and have no cost and no detector.

    Raises:
        BenchError: The file cannot be read, its rows are wrong or some are missing, or the folder is there already.
        RunError: There is no space left.
    """
    if call.strategy:
        check_name(call.strategy, "--strategy", NAME)
    if call.dataset:
        check_name(call.dataset, "--dataset", NAME)
    if call.out.is_dir() and any(call.out.iterdir()):
        raise BenchError(f"{call.out} is not empty; {REMEDY}, or delete it first")
    files.check_place(call.out, "--out")
    where = str(call.csv)
    name = call.stream.name if call.stream is not None else check_name(call.csv.stem, f"{where}: its name")
    domains = call.domains or _domains_of(call.stream)
    rows = read_rows(call.csv, dict(call.mapped), call.strategy, logits=call.logits)
    for strategy, _ in rows.cells:
        check_name(strategy, f"{where}: strategy", NAME)
    samples = find_samples(rows, domains, call.dataset, where, of_stream=call.stream is not None)
    content = ImportedContent(call.csv.name, files.sha256(call.csv), samples.has_untrained, _options(call))
    _write(call, name, rows, samples, content)
    return Imported(
        call.out,
        name,
        samples.domains,
        rows.cells,
        len(rows.score),
        len(samples.keys),
        len(samples.videos),
        "person" in rows.columns,
        "frame" in rows.columns,
        len(samples.folds),
        samples.has_untrained,
        rows.left_out,
        content,
        samples.dataset,
    )


def _options(call: ImportCall) -> tuple[str, ...]:
    """Return the call's options as words; none where one has characters that cannot be seen."""
    given = {
        "--strategy": call.strategy,
        "--stream": call.stream.name if call.stream is not None else "",
        "--domains": ",".join(call.domains),
        "--map": ",".join(f"{name}={column}" for name, column in call.mapped),
        "--dataset": call.dataset,
    }
    words = [word for option, value in given.items() if value for word in (option, value)]
    words += ["--logits"] if call.logits else []
    return () if any(hidden_fault(word) for word in words) else tuple(words)


def _domains_of(stream: StreamFile | None) -> tuple[str, ...]:
    return () if stream is None else tuple(domain.name for domain in stream.learned)


def _write(call: ImportCall, name: str, rows: ScoreRows, samples: Samples, content: ImportedContent) -> None:
    """Write plan and cells."""
    protocol = call.stream.protocol.content() if call.stream is not None else {}
    own, *others = (
        [_domain(samples, place, keys) for place in range(len(samples.domains))] for keys in samples.folds
    )
    stream = {"name": name, "protocol": protocol, "domains": own}
    folds = [own, *others]
    ids = [
        _id({**stream, "domains": folds[seed % len(folds)]}, strategy, seed, content)
        for strategy, seed in rows.cells
    ]
    plan: dict[str, Any] = {
        "format": FORMAT,
        "stream": stream,
        **({"folds": [{"domains": domains} for domains in others]} if others else {}),
        "recipe": {"name": RECIPE},
        "imported": parsing.plain(content),
        "cells": [
            {"id": id, "strategy": strategy, "label": strategy, "hyperparameters": {}, "seed": seed}
            for id, (strategy, seed) in zip(ids, rows.cells, strict=True)
        ],
    }
    plan["checksum"] = plan_checksum(plan)
    with files.folder(call.out, remedy=REMEDY) as part:
        for number, (id, (strategy, seed)) in enumerate(zip(ids, rows.cells, strict=True)):
            place = part / "cells" / id
            place.mkdir(parents=True)
            about = {
                "id": id,
                "stream": name,
                "strategy": strategy,
                "hyperparameters": {},
                "recipe": {"name": RECIPE},
                "seed": seed,
                "origin": _origin(content),
                "revision": 0,
                "imported": parsing.plain(content),
            }
            (place / "cell.json").write_text(parsing.to_json(about), "utf-8")
            (place / "environment.json").write_text(parsing.to_json(_environment(seed)), "utf-8")
            _write_scores(place / "scores.parquet", rows, samples, number, samples.fold(seed))
            seal(place)
        (part / PLAN).write_text(parsing.to_json(plan), "utf-8")


def _domain(samples: Samples, place: int, keys: Ints) -> dict[str, Any]:
    """Return what the plan says of a domain in a fold: nobody knows on what it was trained."""
    of_domain = keys[samples.domain_of[keys >> _SHIFT] == place]
    rows = {"train": NO_ROWS, "val": NO_ROWS, "test": row_hash(samples.rows(of_domain))}
    return {"name": samples.domains[place], "store": samples.content(place), "rows": rows}


def _id(stream: dict[str, Any], strategy: str, seed: int, content: ImportedContent) -> str:
    return cell_id(base_content(stream, {}, seed), strategy, {}, _origin(content))


def _origin(content: ImportedContent) -> str:
    return f"imported sha256:{content.sha256}"


def _environment(seed: int) -> dict[str, Any]:
    """Return what is known of how a cell was made: by which version it was imported."""
    return {
        "versions": {"fretal-bench": installed_version() or "not installed"},
        "system": "not known (imported)",
        "machine": "",
        "processor": "",
        "device": "not known (imported)",
        "seed": seed,
        "phases": [],
    }


def _write_scores(path: Path, rows: ScoreRows, samples: Samples, cell: int, keys: Ints) -> None:
    """Write the scores of a cell, a step after the other."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = keys >> _SHIFT
    same = [
        _texts(samples.domains, samples.domain_of[place]),
        pa.array(samples.rows(keys), pa.int64()),
        pa.array(samples.labels[place], pa.int8()),
        _texts(samples.videos, place),
        _texts(samples.people, place),
    ]
    text = pa.string()
    kinds = (pa.int16(), text, pa.int64(), pa.int8(), text, text, pa.float32())
    names = ("step", "domain", "row", "label", "video", "people", "score")
    schema = pa.schema(list(zip(names, kinds, strict=True)))
    with pq.ParquetWriter(path, schema) as writer:
        for step in range(-1, len(samples.domains)):
            if step in samples.steps:
                scores = rows.score[samples.of(rows, cell, step)[1]]
            else:
                scores = np.full(len(keys), np.nan, dtype=np.float32)
            number = pa.array(np.full(len(keys), step, dtype=np.int16))
            writer.write_table(pa.Table.from_arrays([number, *same, pa.array(scores)], schema=schema))


def _texts(names: Sequence[str], place: Ints) -> pa.Array:
    """Return a column of texts, of which there are few."""
    import pyarrow as pa

    codes = pa.array(place, pa.int32())
    return pa.DictionaryArray.from_arrays(codes, pa.array(names, pa.string())).cast(pa.string())
