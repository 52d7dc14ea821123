"""The JSON files of a result folder as records: plan, cell, environment, phases, failure and checksums."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from fretal_bench import files, names, parsing, records
from fretal_bench.benchmark.recipes.recipe import Recipe, Tuning
from fretal_bench.datasets.corruptions import corruption
from fretal_bench.datasets.streams.file import Protocol
from fretal_bench.datasets.streams.folds import fold_of
from fretal_bench.errors import BenchError
from fretal_bench.names import Rule, check_name
from fretal_bench.records import Invalid, Record, limited, ruled

FORMAT: Final = 2
"""The plan's; raised when an older version would misread what a newer one writes."""
_FORMATS: Final = (1, 2)
"""Those that are read; in the first, steps were kept in the result folder."""
PLAN: Final = "plan.json"
OF_DATA: Final = ("left_out", "shortcuts", "brought_from", "brought_as")
"""Keys of the plan's stream that say something of its data and are no part of what identifies it."""
AGAIN: Final = "delete its folder and run the same command again"
"""What to do with a cell, a step or a source model that is damaged."""
_COPY: Final = (
    "bring the file back from a copy, or read the folder with the version of fretal-bench that wrote it"
)
_LARGEST: Final = 64 * 2**20
"""Bytes of a JSON file."""
_LONGEST: Final = 2000
"""Characters of a label, which names every hyperparameter that was changed."""
_NAMED: Final = 10
"""Result folders that are named of those in a folder."""
R = TypeVar("R", bound=Record)


@functools.lru_cache(maxsize=10_000)
def _title_fault(text: str) -> str:
    if not text.strip():
        return "it is empty"
    if len(text) > _LONGEST:
        return f"it has {len(text)} characters"
    # A title is never part of a path: plans of earlier versions may have a "/" in a domain's name.
    characters = sorted(set(text) - set("/\\"))
    return next((fault for character in characters if (fault := names.NAME.fault(f"x{character}x"))), "")


TITLE: Final = Rule("a text without control or bidirectional characters", _title_fault)
"""What stands in reports and in no path: labels, and the names in the plans of earlier versions."""
WORD: Final = Rule("a text without hidden characters", names.hidden_fault)
"""What is a word of a command."""


@dataclass(frozen=True)
class RowHashes(Record):
    """SHA-256 over the row numbers of each split of a domain."""

    train: str = ruled(names.ID)
    val: str = ruled(names.ID)
    test: str = ruled(names.ID)


@dataclass(frozen=True)
class DomainContent(Record):
    """A domain in the plan: its name, its store's checksum and its rows."""

    name: str = ruled(TITLE)
    store: str = ruled(names.ID)
    rows: RowHashes = dataclasses.field(kw_only=True)


def _corruption_fault(name: str) -> str:
    try:
        corruption(name)
    except BenchError as error:
        return str(error)
    return ""


@dataclass(frozen=True)
class FurtherContent(DomainContent):
    """A further test set in the plan.

    Attributes:
        corruption: What is done to the pixels of a domain's own test samples.
        fold: Which fold's cells it is for, where it is not for those of the first, or of all.
    """

    corruption: str | None = ruled(Rule("the name of a corruption, as in jpeg-30", _corruption_fault), None)
    fold: int = limited(0, at_least=0)


@dataclass(frozen=True)
class FoldContent(Record):
    """The domains of the stream in a fold after the first, and those in each of the plan's other orders."""

    domains: tuple[DomainContent, ...]
    orders: tuple[tuple[DomainContent, ...], ...] = ()


@dataclass(frozen=True)
class BroughtContent(Record):
    """What identifies a source model that the user brought.

    Attributes:
        weights: SHA-256 over its tensors, as the model with two outputs has them.
        backbone: The timm model, or ``FILE.py:FUNCTION`` of the user's own.
        arguments: What it was built with besides.
        code: SHA-256 of that file; empty for a timm model.
    """

    weights: str = ruled(names.SHA256)
    backbone: str = ruled(TITLE)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""

    def content(self) -> dict[str, Any]:
        """Return it as plain data, as ids hash it: what is empty is left out."""
        values = {"weights": self.weights, "backbone": self.backbone}
        more = {"arguments": dict(self.arguments), "code": self.code}
        return {**values, **{key: value for key, value in more.items() if value}}


@dataclass(frozen=True)
class StreamContent(Record):
    """The stream in the plan.

    Besides its domains, what its stores left out, counted by reason, and each domain's shortcut in words; and the source
    model that the user brought, with the file that it was read from and what was taken for granted of it.
    """

    name: str = ruled(TITLE)
    protocol: Protocol = dataclasses.field(kw_only=True)
    domains: tuple[DomainContent, ...] = dataclasses.field(kw_only=True)
    left_out: Mapping[str, int] = field(default_factory=dict)
    shortcuts: Mapping[str, str] = field(default_factory=dict)
    brought: BroughtContent | None = None
    brought_from: str = ""
    brought_as: str = ""

    def in_order(self, domains: tuple[DomainContent, ...]) -> StreamContent:
        """Return the stream with its domains in another order."""
        return dataclasses.replace(self, domains=domains)

    def __post_init__(self) -> None:
        """Check the domains together; raises ``Invalid``."""
        super().__post_init__()
        of_domains = [domain.name for domain in self.domains]
        if not of_domains or len(set(of_domains)) < len(of_domains):
            raise Invalid("domains", "one domain at least, all of different names", of_domains)


@dataclass(frozen=True)
class ImportedContent(Record):
    """Where scores come from that were imported, of a method that ran elsewhere.

    Attributes:
        file: The name of the file that they were read from.
        sha256: Of that file.
        untrained: Whether there are scores before any training; if not, those of step -1 are missing.
        options: The options of ``bench import`` that the file was read with, as words; none in results of earlier
            versions.
    """

    file: str = ruled(TITLE)
    sha256: str = ruled(names.SHA256)
    untrained: bool = False
    options: tuple[str, ...] = ruled(WORD, ())

    @property
    def words(self) -> str:
        """Name the file: ``scores.csv (sha256 0123456789ab...)``."""
        return f"{self.file} (sha256 {self.sha256[:12]}...)"


@dataclass(frozen=True)
class Entry(Record):
    """What the plan says of a cell."""

    id: str = ruled(names.ID)
    strategy: str = ruled(TITLE)
    label: str = ruled(TITLE)
    hyperparameters: Mapping[str, Any] = dataclasses.field(kw_only=True)
    seed: int = dataclasses.field(kw_only=True)
    order: int = limited(0, at_least=0)
    steps: tuple[str, ...] = ruled(names.ID, ())
    source: str | None = ruled(names.ID, None)


@dataclass(frozen=True)
class PlanFile(Record):
    """``plan.json``; ``checksum`` is of what its other keys say.

    ``orders`` are the domains in every order but the stream's own, which the cells number from 1; ``pool`` is where the
    steps are, from the folder, if not beside it; ``further`` are test sets that were never trained on, or corrupted
    ones. ``folds`` are the domains in every fold but the first, of a stream that has several (``streams.folds``,
    ``Protocol.draws``): seed s is of fold s mod their number. ``imported`` is there where scores were imported: there
    is no recipe then but its name, and no protocol. In the first format cells have a ``source`` and no ``steps``.
    """

    format: int
    stream: StreamContent
    recipe: Mapping[str, Any]
    cells: tuple[Entry, ...]
    hyperparameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tuning: Mapping[str, Any] = field(default_factory=dict)
    orders: tuple[tuple[DomainContent, ...], ...] = ()
    pool: str = ""
    further: tuple[FurtherContent, ...] = ()
    folds: tuple[FoldContent, ...] = ()
    imported: ImportedContent | None = None
    checksum: str | None = ruled(names.SHA256, None)

    def __post_init__(self) -> None:
        """Check the recipe and the cells together; raises ``Invalid`` or ``ValueError``."""
        super().__post_init__()
        _check_recipe(self.recipe)
        if self.tuning:
            _nested("tuning", Tuning, self.tuning)
        own = sorted(domain.name for domain in self.stream.domains)
        for domains in self.orders:
            if sorted(domain.name for domain in domains) != own:
                raise Invalid(
                    "orders", "the stream's domains, each once", [domain.name for domain in domains]
                )
        _check_folds(self)
        last = max((entry.order for entry in self.cells), default=0)
        if last > len(self.orders):
            raise Invalid("cells", f"orders 0 to {len(self.orders)}", last)
        ids = [entry.id for entry in self.cells]
        if len(set(ids)) < len(ids):
            twice = next(id for id in ids if ids.count(id) > 1)
            raise Invalid("cells", "every cell once", twice)

    def fold_of(self, seed: int) -> int:
        """Return the fold that the cells of a seed are of."""
        return fold_of(seed, len(self.folds) + 1)


def _check_folds(plan: PlanFile) -> None:
    """Compare the domains of every fold with the stream's: names, order and stores are theirs; raises ``Invalid``."""
    own = [_kinds(domains) for domains in (plan.stream.domains, *plan.orders)]
    for number, fold in enumerate(plan.folds, start=1):
        if [_kinds(domains) for domains in (fold.domains, *fold.orders)] != own:
            names = [domain.name for domain in fold.domains]
            raise Invalid("folds", "in every fold the stream's domains, in all of the plan's orders", names)
        # Few videos may be drawn twice alike.
        if plan.stream.protocol.draws == 1 and fold.domains in (
            plan.stream.domains,
            *(other.domains for other in plan.folds[: number - 1]),
        ):
            raise Invalid("folds", "folds of different people", number, "it is another fold again")
    last = max((domain.fold for domain in plan.further), default=0)
    if last > len(plan.folds):
        raise Invalid("further", f"folds 0 to {len(plan.folds)}", last)


def _kinds(domains: tuple[DomainContent, ...]) -> list[tuple[str, str]]:
    return [(domain.name, domain.store) for domain in domains]


@dataclass(frozen=True)
class Crop(Record):
    """How the faces that a cell learned from were cropped; earlier versions did not say by which face ``detector``."""

    size: int = limited(at_least=1, at_most=8192)
    margin: float = limited(at_least=0, at_most=100)
    detector: str = ""


@dataclass(frozen=True)
class CellFile(Record):
    """``cell.json``: what a cell is.

    Versions before the first with checksums wrote no ``revision``; those that kept steps in the result folder wrote
    ``source`` and no ``steps``.
    """

    id: str = ruled(names.ID)
    stream: str = ruled(TITLE)
    strategy: str = ruled(TITLE)
    hyperparameters: Mapping[str, Any] = dataclasses.field(kw_only=True)
    recipe: Mapping[str, Any] = dataclasses.field(kw_only=True)
    seed: int = dataclasses.field(kw_only=True)
    origin: str = ""
    revision: int | None = limited(None, at_least=0)
    steps: tuple[str, ...] = ruled(names.ID, ())
    source: str | None = ruled(names.ID, None)
    crop: Crop | None = None
    brought: BroughtContent | None = None
    imported: ImportedContent | None = None

    def __post_init__(self) -> None:
        """Check the recipe; raises ``ValueError``."""
        super().__post_init__()
        _check_recipe(self.recipe)


@dataclass(frozen=True)
class Phase(Record):
    """What one phase of a step took, and the footprint of the strategy after it (``strategies/footprint.py``).

    ``updates`` and ``images`` are those of the training (``ContinualStrategy.images_seen``), ``samples`` are the training
    samples that the strategy holds afterwards for later domains. Earlier versions wrote none of these; judging has none.
    """

    phase: str = ruled(TITLE)
    step: int = limited(at_least=-1)
    seconds: float = limited(at_least=0)
    cpu_seconds: float | None = limited(None, at_least=0)
    peak_memory_mb: float | None = limited(None, at_least=0)
    weights: int | None = limited(None, at_least=1)
    trainable: int | None = limited(None, at_least=0)
    extra: int | None = None
    kept: int | None = None
    updates: int | None = limited(None, at_least=0)
    images: int | None = limited(None, at_least=0)
    samples: int | None = limited(None, at_least=0)


@dataclass(frozen=True)
class MadeWith(Record):
    """Versions and machine; ``steps`` where a cell's were not all made with the same."""

    versions: Mapping[str, str]
    system: str
    machine: str
    processor: str
    device: str
    cores: int | None = limited(None, at_least=1)
    commit: str | None = None
    steps: tuple[str, ...] = ()


@dataclass(frozen=True)
class EnvironmentFile(MadeWith):
    """``environment.json`` of a done cell."""

    seed: int | None = None
    phases: tuple[Phase, ...] = ()
    environments: tuple[MadeWith, ...] = ()


@dataclass(frozen=True)
class PhasesFile(Record):
    """``phases.json`` of a step, which is a list, under the key ``phases``."""

    phases: tuple[Phase, ...]


@dataclass(frozen=True)
class FailureFile(Record):
    """``failures/ID.json``."""

    id: str = ruled(names.ID)
    label: str = ruled(TITLE)
    seed: int = dataclasses.field(kw_only=True)
    reason: str = dataclasses.field(kw_only=True)
    traceback: str = dataclasses.field(kw_only=True)

    def __post_init__(self) -> None:
        """Check that the reason is one; raises ``Invalid``."""
        super().__post_init__()
        if not self.reason.strip() or self.reason.startswith("Traceback ("):
            raise Invalid("reason", "a reason in words", self.reason)


@dataclass(frozen=True)
class ChecksumsFile(Record):
    """``checksums.json``: the SHA-256 of every other file of a cell, a source model or a step, by its name."""

    files: Mapping[str, str]

    def __post_init__(self) -> None:
        """Check that names are no paths and checksums are some; raises ``Invalid``."""
        super().__post_init__()
        for name, checksum in self.files.items():
            if fault := names.NAME.fault(name):
                raise Invalid("files", "names of files", name, fault)
            if len(checksum) != 64 or names.ID.fault(checksum):
                raise Invalid(f"files.{name}", "a SHA-256", checksum)


def parse(content: bytes, where: str, remedy: str = AGAIN) -> Any:
    """Parse the JSON of a result folder's file; ``BenchError`` that ends with ``remedy`` if it is none."""
    try:
        return parsing.parse_json(content.decode("utf-8"), where)
    except UnicodeDecodeError as error:
        raise BenchError(f"{where}: not UTF-8 text (byte {error.start}); {remedy}") from error
    except BenchError as error:
        raise BenchError(f"{error}; {remedy}") from error


def build(kind: type[R], values: Any, where: str, remedy: str = AGAIN) -> R:
    """Build the record of a result folder's file; ``BenchError`` that names the key and ends with ``remedy``."""
    try:
        return records.read(kind, values, where)
    except BenchError as error:
        raise BenchError(f"{error}; {remedy}") from error


def read_bytes(path: Path, what: str, remedy: str = AGAIN) -> bytes:
    """Read a JSON file of a result folder, unparsed."""
    return files.read_bytes(path, what, remedy, _LARGEST)


def read_plan(folder: Path) -> tuple[dict[str, Any], PlanFile]:
    """Read the plan of a result folder.

    Returns:
        The plan as it is written, and as a record.

    Raises:
        BenchError: There is none, it is of another format, or it is damaged; the message names the key.
    """
    path = folder / PLAN
    if not path.exists():
        if inside := _result_folders_in(folder):
            raise BenchError(f"{folder} is no result folder (it has no {PLAN}); found in {folder}: {inside}")
        raise BenchError(f"{folder} is no result folder (it has no {PLAN}); `bench run` makes one")
    values = parse(read_bytes(path, "plan", _COPY), str(path), _COPY)
    of = values.get("format", FORMAT) if isinstance(values, dict) else FORMAT
    if of not in _FORMATS or isinstance(of, bool):
        raise BenchError(
            f"{path}: key 'format': expected {' or '.join(map(str, _FORMATS))}, found {of!r}: another version of "
            "fretal-bench wrote it; read the folder with that version"
        )
    plan = build(PlanFile, values, str(path), _COPY)
    # Plans of versions before the first with checksums have none.
    if plan.checksum not in (None, plan_checksum(values)):
        raise BenchError(f"{path}: not the plan that was written: its checksum is of another; {_COPY}")
    return values, plan


def _result_folders_in(folder: Path) -> str:
    """Name the result folders in a folder that is none, the first of many; empty if there are none."""
    try:
        found = sorted(path.name for path in folder.iterdir() if (path / PLAN).is_file())
    except OSError:
        return ""
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ", ".join(map(names.escaped, found[:_NAMED])) + more


def plan_checksum(values: Mapping[str, Any]) -> str:
    """SHA-256 of what a plan says under its other keys, hexadecimal."""
    content = {key: value for key, value in values.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_failure(path: Path, entry: Entry) -> FailureFile:
    """Read why a cell of the plan failed.

    Raises:
        BenchError: The file is damaged, or is of another cell.
    """
    remedy = "delete it and run the same command again"
    failure = build(
        FailureFile, parse(read_bytes(path, "failure", remedy), str(path), remedy), str(path), remedy
    )
    for key in ("id", "label", "seed"):
        planned, written = getattr(entry, key), getattr(failure, key)
        if planned != written:
            raise BenchError(
                f"{path}: key {key!r}: expected {planned!r} as in {PLAN}, found {written!r}; {remedy}"
            )
    return failure


def check_id(id: str, where: str) -> str:
    """Return an id that may stand in a path; ``BenchError`` if it is none."""
    return check_name(id, where, names.ID)


def _check_recipe(values: Mapping[str, Any]) -> None:
    _check_recipe_once(json.dumps(values, sort_keys=True))


@functools.lru_cache(maxsize=64)
def _check_recipe_once(text: str) -> None:
    # The cells of a folder have one recipe.
    values = json.loads(text)
    if not isinstance(values.get("name"), str):
        raise Invalid("recipe.name", "text", values.get("name"))
    _nested("recipe", Recipe, values)


def _nested(key: str, kind: type, values: Mapping[str, Any]) -> None:
    """Check a table that stays plain data as the record that it is."""
    try:
        records.read(kind, values, key)
    except BenchError as error:
        raise ValueError(str(error)) from error
