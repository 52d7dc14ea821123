"""``store.json``: the record of what a crop store is, read, checked, and compared with the files next to it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, TypeVar

from fretal_bench import files, parsing, records
from fretal_bench.errors import BenchError
from fretal_bench.names import NAME, SHA256
from fretal_bench.records import Invalid, Record, limited, ruled

R = TypeVar("R")
FORMAT: Final = 1
CROPS: Final = "crops.npy"
INDEX: Final = "index.parquet"
INFO: Final = "store.json"
DATA: Final = (INDEX, CROPS)
"""The files whose content is the store's; ``store.json`` describes them."""
REMEDY: Final = "delete the store's folder and run again"
_FAILURE: Final = {"path", "frame", "reason"}


@dataclass(frozen=True)
class FileEntry(Record):
    """Size and hash of a file of the store."""

    bytes: int = limited(at_least=0)
    sha256: str = ruled(SHA256)


@dataclass(frozen=True, kw_only=True)
class About(Record):
    """What is known of a store before it is written.

    Attributes:
        name: The store's name.
        size: Height and width of a crop, pixels.
        detector: What found the faces.
        margin: Side of the crop over the longer side of the face box.
        made_by: The program that wrote it.
    """

    name: str = ruled(NAME)
    size: int = limited(at_least=1, at_most=8192)
    detector: str
    margin: float = limited(at_least=0, at_most=100)
    made_by: str


@dataclass(frozen=True, kw_only=True)
class StoreInfo(About):
    """The content of ``store.json``, besides what was known before the store was written.

    Attributes:
        format: Version of the layout.
        count: Number of crops.
        failures: What gave no crop, each with ``path``, ``frame`` (-1 for the whole video) and ``reason``.
        checksum: Sha256 over both files: the same exactly if crops and rows are.
        files: Size and sha256 of ``index.parquet`` and ``crops.npy``.
        details: What else its maker noted; plain data. Its keys are read with ``noted``.
    """

    format: int
    count: int = limited(at_least=1, at_most=10**9)
    failures: tuple[Any, ...]
    checksum: str = ruled(SHA256)
    files: Mapping[str, FileEntry]
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that failures and files are what they should be; raises ``Invalid``."""
        super().__post_init__()
        for place, failure in enumerate(self.failures):
            # By hand: a store may list a hundred thousand, and records would take seconds for them.
            if not (
                isinstance(failure, dict)
                and failure.keys() == _FAILURE
                and isinstance(failure["path"], str)
                and isinstance(failure["reason"], str)
                and type(failure["frame"]) is int
                and failure["frame"] >= -1
            ):
                raise Invalid(f"failures[{place}]", "a table of path, frame and reason", failure)
        if set(self.files) != set(DATA):
            raise Invalid("files", f"entries of {' and '.join(DATA)} alone", sorted(self.files))
        if self.checksum != checksum_of({name: self.files[name].sha256 for name in DATA}):
            raise Invalid("checksum", "the hash of the hashes under 'files'", self.checksum)

    def noted(self, kind: type[R], path: Path) -> R:
        """Read those keys of ``details`` that a record has; the others are left aside.

        Args:
            kind: A record whose fields all have defaults: stores of earlier versions and of other makers lack them.
            path: The store's folder, for the errors.

        Raises:
            BenchError: One of them is not what the record takes.
        """
        names = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # a dataclass
        values = {name: value for name, value in self.details.items() if name in names}
        return records.read(kind, values, f"{path / INFO}: key 'details'")


def read_info(folder: str | os.PathLike[str]) -> StoreInfo:
    """Read and check ``store.json``; the files next to it are not looked at.

    Raises:
        BenchError: It is missing, damaged or of another format.
    """
    folder = Path(folder)
    path = folder / INFO
    with files.refusals(folder, remedy="correct the path", doing="read"):
        if not folder.is_dir():
            raise BenchError(
                f"no crop store at {folder}; make it first (`bench data prepare`), or correct the path"
            )
        if not os.path.lexists(path):
            raise BenchError(
                f"{folder} is not a crop store: it has no {path.name}; give the store's own folder"
            )
    values = parsing.read_json(path, "crop store", REMEDY)
    version = values.get("format") if isinstance(values, dict) else None
    if type(version) is int and version != FORMAT:
        raise BenchError(
            f"{path}: expected store format {FORMAT}, found {version}; "
            "delete the folder and make the store again with this version"
        )
    try:
        return records.read(StoreInfo, values, f"{path}: damaged crop store")
    except BenchError as error:
        raise BenchError(f"{error}; {REMEDY}") from error


def damaged(path: Path, expected: str, actual: str) -> BenchError:
    """Build the error for a store that is not as it was written."""
    return BenchError(f"{path}: damaged crop store: expected {expected}, found {actual}; {REMEDY}")


def checksum_of(digests: Mapping[str, str]) -> str:
    """Hash the hashes of both files (file name -> sha256) into the store's checksum."""
    lines = "".join(f"{name} {digests[name]}\n" for name in DATA)
    return hashlib.sha256(lines.encode()).hexdigest()
