"""Stream files: records of the TOML that names a stream's domains and protocol, read, checked and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal

from fretal_bench import files, names, parsing, records
from fretal_bench.datasets.manifest import SPLITS, Compression, Split
from fretal_bench.datasets.streams.source import SourceTable
from fretal_bench.names import NAME, Rule
from fretal_bench.records import Invalid, Record, limited, ruled

BUILTIN_STORE: Final = "builtin:"
_PLACE: Final = Rule(
    f"a folder, or {BUILTIN_STORE}NAME; no control or bidirectional characters", names.hidden_fault
)
_TEXT: Final = Rule(
    "text without control or bidirectional characters",
    lambda text: names.hidden_fault(text.replace("\n", " ").replace("\t", " ")),
)


@dataclass(frozen=True)
class Protocol(Record):
    """What a learner is given at each domain.

    Attributes:
        videos_per_class: Real and fake videos to train on in every domain after the first; all of them if None.
            Validation and test data are never thinned.
        shared_reals: Whether the domains of one store train on the same real videos. If not, each real training
            video goes to one of them. Validation and test reals are shared always, so that scores compare.
        seed: Of the choice of videos; the choice depends on it and on the videos' names alone.
        later_reals: Whether domains after the first bring real videos. If not (fake-incremental), they train and are
            validated on fakes alone: what a learner is not given chooses nothing either. Test sets keep their reals.
        draws: How many choices of ``videos_per_class`` videos there are: seed s trains on choice s mod draws, so that a
            seed draws videos as well as weights and batches. The first is that of a stream without the key.
    """

    videos_per_class: int | None = limited(None, at_least=1)
    shared_reals: bool = True
    seed: int = 0
    later_reals: bool = True
    draws: int = limited(1, at_least=1, at_most=1000)

    def __post_init__(self) -> None:
        """Check keys that belong together; raises ``Invalid``."""
        super().__post_init__()
        if self.draws > 1 and self.videos_per_class is None:
            raise Invalid("draws", "1 where all videos are trained on (no 'videos_per_class')", self.draws)

    def content(self) -> dict[str, object]:
        """Return the keys as plain data, for ids; without those that are newer, where they are as before them."""
        content = asdict(self)
        if self.later_reals:
            del content["later_reals"]
        if self.draws == 1:
            del content["draws"]
        return content


@dataclass(frozen=True)
class DomainFile(Record):
    """One ``[[domains]]`` table.

    Attributes:
        name: The domain's name.
        store: Folder of a crop store, relative to the stream file, or ``builtin:ffpp-mini-c23`` (``-c40``, ``-raw``);
            empty: whichever store at hand holds what the domain names (``--data``).
        methods: The manipulations whose fakes belong to it; all of its data sets if empty.
        datasets: Data sets whose rows belong to it; all in the store if empty.
        compressions: Compressions whose rows belong to it; all in the store if empty.
        splits: The splits of the store that are used; all if empty. A domain without ``train`` is one that nobody learns:
            models are judged on it. One without ``test`` is learned, and nobody is judged on it.
    """

    name: str = ruled(NAME)
    store: str = ruled(_PLACE, "")
    methods: tuple[str, ...] = ruled(NAME, ())
    datasets: tuple[str, ...] = ruled(NAME, ())
    compressions: tuple[Compression, ...] = ()
    splits: tuple[Split, ...] = ()

    def __post_init__(self) -> None:
        """Check that fakes and store are named, and nothing twice; raises ``Invalid``."""
        super().__post_init__()
        for key in ("methods", "datasets", "compressions", "splits"):
            values = getattr(self, key)
            if len(set(values)) < len(values):
                raise Invalid(key, "each name once", list(values))
        if "real" in self.methods:
            raise Invalid("methods", "names of manipulations ('real' is always included)", list(self.methods))
        if not (self.methods or self.datasets):
            raise Invalid("methods", "names of manipulations, or 'datasets' to take all of theirs", [])
        if not (self.store or self.datasets):
            raise Invalid("store", "a crop store, or 'datasets' to have a store found (--data)", self.store)
        if self.splits and not {"train", "test"} & set(self.splits):
            raise Invalid("splits", "'train' or 'test' among them", list(self.splits))

    @property
    def withheld(self) -> tuple[Split, ...]:
        """The splits that are left out."""
        return tuple(split for split in SPLITS if self.splits and split not in self.splits)


@dataclass(frozen=True)
class StreamTable(Record):
    """The keys of a stream file.

    Attributes:
        name: The stream's name.
        description: One line.
        source: The paper whose protocol it is; or a table ``[source]``, the model that the user brings
            (``streams.source``).
        hidden: Left out of the list of streams (controls).
        image_size: The protocol's crops, pixels; 0 where it names none. Any size runs; tables should say which.
        frames: The protocol's frames of each video; 0 where it names none.
        first: Learn the first so many domains and open no other; 0 = all. The others still have their share of the
            reals.
        withhold_test: Leave the test rows of every domain out, so that nothing can read them (tuning).
        protocol: What a learner is given at each domain.
        folds: Deal the people of its stores into so many folds, each of which tests others (``folds``); seed s takes fold
            s mod folds. 0 = the stores' own split alone.
        order: ``date``: the domains are learned in the order of their dates (``chronology``); if it is empty, as they
            stand here.
        domains: In the order in which they are learned, if ``order`` says nothing else.
    """

    name: str = ruled(NAME)
    description: str = ruled(_TEXT, "")
    source: str | SourceTable = ruled(_TEXT, "")  # noqa: RUF009 - a default that is text
    hidden: bool = False
    image_size: int = limited(0, at_least=1)
    frames: int = limited(0, at_least=1)
    first: int = limited(0, at_least=1)
    withhold_test: bool = False
    protocol: Protocol = Protocol()
    folds: int = limited(0, at_least=1)
    order: Literal["", "date"] = ""
    domains: tuple[DomainFile, ...] = ()

    def __post_init__(self) -> None:
        """Check the domains together; raises ``Invalid``."""
        super().__post_init__()
        called = [domain.name for domain in self.domains]
        if not called:
            raise Invalid("domains", "at least one [[domains]] table", called)
        if len(set(called)) < len(called):
            twice = next(name for name in called if called.count(name) > 1)
            raise Invalid("domains", "domains of different names", twice, "it is there twice")
        if self.folds > 1 and self.protocol.draws > 1:
            raise Invalid("folds", "none where the protocol draws videos by seed ('draws')", self.folds)
        if self.first > len(called):
            raise Invalid("first", f"no more than the {len(called)} domains", self.first)


@dataclass(frozen=True)
class StreamFile(StreamTable):
    """A whole stream file: its keys, and where they come from.

    Attributes:
        path: Where it was read.
        group: Of built-in streams made from one description, what to list them under together.
        group_description: One line about that group.
    """

    path: Path = Path()
    group: str = ""
    group_description: str = ""

    @property
    def paper(self) -> str:
        """The paper whose protocol it is; empty for none."""
        return self.source if isinstance(self.source, str) else ""

    @property
    def brought(self) -> SourceTable | None:
        """The source model that the user brings; None where it is trained on the first domain."""
        return None if isinstance(self.source, str) else self.source

    @property
    def learned(self) -> tuple[DomainFile, ...]:
        """The domains that are learned, in order."""
        return self.domains[: self.first or None]

    def folder_of(self, store: str) -> Path:
        """Return the folder of a store that the file names; relative ones start from the file's folder."""
        return self.path.parent / files.expanded(store)

    @property
    def needs_data(self) -> bool:
        """Whether some domain leaves open which store it is in."""
        return any(not domain.store for domain in self.domains)


def read_stream_file(path: Path) -> StreamFile:
    """Read and check a stream file.

    Raises:
        BenchError: It cannot be read, or a key is unknown, missing or of another type; with the file, the key and the
            nearest valid name.
    """
    return stream_of_table(path, parsing.read_toml(path, "stream file"))


def stream_of_table(
    path: Path, table: Mapping[str, Any], group: tuple[str, str] = ("", ""), where: str | None = None
) -> StreamFile:
    """Check a stream file's content.

    Args:
        path: For relative stores.
        table: The content.
        group: The stream's group and its description, where it has one.
        where: Where the content stands, for the errors; ``path`` if it is None.

    Raises:
        BenchError: As ``read_stream_file``.
    """
    content = records.read(StreamTable, table, where or str(path))
    values = {field.name: getattr(content, field.name) for field in fields(content)}
    return StreamFile(path=path, **values, group=group[0], group_description=group[1])


def toml_of_stream(file: StreamFile) -> str:
    """Write a stream as the text of a stream file that reads back as the same stream."""
    table = {field.name: parsing.plain(getattr(file, field.name)) for field in fields(StreamTable)}
    # Without the defaults, so that a reader sees what is particular to the stream.
    table["domains"] = [_stated(domain) for domain in table["domains"]]
    return parsing.to_toml(_stated(table))


def _stated(table: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a table that are not empty; every default that is left out is."""
    return {key: value for key, value in table.items() if value}
