"""What a stream is: its domains, their stores, protocol and folds, and the samples of each where the data are there."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from fretal_bench.datasets.manifest import FAKE, REAL, SPLITS
from fretal_bench.datasets.streams.data import locate, stream_state
from fretal_bench.datasets.streams.file import BUILTIN_STORE, DomainFile, StreamFile
from fretal_bench.errors import BenchError, BenchWarning

_HERE = "yes"


@dataclass(frozen=True)
class DomainDescription:
    """A domain of a stream.

    Attributes:
        name: Its name.
        store: Where its samples are; empty where nothing at hand fits.
        datasets: Its data sets; none = all of its store.
        methods: Its manipulations; none = all.
        compressions: Its compressions; none = all.
        samples: Reals and fakes of each split in fold 0, by split; empty where the data are not there.
    """

    name: str
    store: str
    datasets: tuple[str, ...]
    methods: tuple[str, ...]
    compressions: tuple[str, ...]
    samples: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class StreamDescription:
    """A stream.

    Attributes:
        name: Its name.
        what: One line.
        paper: The paper whose protocol it is.
        path: The file that it stands in.
        domains: In the order in which they are learned.
        protocol: What a learner is given at each domain, by key.
        folds: How many there are; seed s takes fold s mod their number.
        image_size: The protocol's crops, in pixels; None where it names none.
        frames: The protocol's frames of a video; None where it names none.
        data: ``yes``, or in a few words why it cannot be opened here.
        lacks: What is missing.
        commands: What to type to get that.
    """

    name: str
    what: str
    paper: str
    path: str
    domains: tuple[DomainDescription, ...]
    protocol: Mapping[str, Any]
    folds: int
    image_size: int | None
    frames: int | None
    data: str
    lacks: tuple[str, ...]
    commands: tuple[str, ...]


def describe_stream(file: StreamFile, data: Sequence[Path] = ()) -> StreamDescription:
    """Say what a stream is; nothing is made or downloaded, and no crop is read.

    Args:
        file: The stream.
        data: Stores in addition to those in the data folder, as for ``open_stream``.
    """
    state = stream_state(file, data)
    located, samples = file, dict[str, dict[str, dict[str, int]]]()
    here, unmade = str(state["data"]), _unmade(file)
    if here == _HERE and unmade:
        here = f"not made yet: {', '.join(unmade)} is built on first use, in a minute or two"
    if here == _HERE:
        try:
            located, samples = _opened(file, data)
        except BenchError as error:
            here = str(error)
    return StreamDescription(
        file.name,
        file.description,
        file.paper,
        str(file.path),
        tuple(_domain(domain, samples.get(domain.name, {})) for domain in located.learned),
        asdict(file.protocol),
        max(1, file.folds),
        file.image_size or None,
        file.frames or None,
        here,
        tuple(state["lacks"]),
        tuple(state["commands"]),
    )


def _domain(domain: DomainFile, samples: Mapping[str, Mapping[str, int]]) -> DomainDescription:
    return DomainDescription(
        domain.name, domain.store, domain.datasets, domain.methods, domain.compressions, samples
    )


def _unmade(file: StreamFile) -> list[str]:
    """Return the stores of a stream that come with the suite and have not been built."""
    stores = dict.fromkeys(domain.store for domain in file.learned if domain.store.startswith(BUILTIN_STORE))
    if not stores:
        return []
    from fretal_bench.datasets.ffpp_mini.build import DATASET, ffpp_mini_place

    prefix = f"{BUILTIN_STORE}{DATASET}-"
    return [
        name for name in stores if not (ffpp_mini_place(name.removeprefix(prefix)) / "store.json").exists()
    ]


def _opened(
    file: StreamFile, data: Sequence[Path]
) -> tuple[StreamFile, dict[str, dict[str, dict[str, int]]]]:
    """Open a stream whose data are there; return it with its stores named, and its samples by domain and split."""
    from fretal_bench.datasets.streams.stream import open_located

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BenchWarning)
        located = locate(file, data)
    stream = open_located(located, verify=False)
    by_name = {domain.name: domain for domain in located.domains}
    located = replace(located, domains=tuple(by_name[domain.name] for domain in stream))
    return located, {
        domain.name: {
            split: {
                name: int((domain.store.index["label"].to_numpy()[domain.rows[split]] == label).sum())
                for name, label in (("reals", REAL), ("fakes", FAKE))
            }
            for split in SPLITS
        }
        for domain in stream
    }
