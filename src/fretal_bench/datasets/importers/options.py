"""Options of a command as records whose errors name the option, and those for reading a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final, Literal

from fretal_bench.datasets.importers.identity_split import DEFAULT_FRACTIONS
from fretal_bench.errors import BenchError
from fretal_bench.records import Invalid, Record, limited

OPTION: Final = "option"
"""Field metadata: the option's name, where it is not ``--`` and the field's."""


class Options(Record):
    """Base of records whose values are a command's options."""

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            BenchError: One is not what its type hint and limits say; the message names the option.
        """
        try:
            super().__post_init__()
        except Invalid as error:
            raise self.wrong(error.key, error.expected, error.found) from error

    def wrong(self, key: str, expected: str, value: object) -> BenchError:
        """Build the error for the value of a field."""
        options = {field.name: field.metadata.get(OPTION) for field in fields(self)}  # type: ignore[arg-type]
        option = options.get(key) or f"--{key.replace('_', '-')}"
        return BenchError(
            f"{option}: expected {expected}, found {'nothing' if value is None else repr(value)}"
        )


@dataclass(frozen=True)
class ReadOptions(Options):
    """How to read a data set.

    Attributes:
        splits: ``official`` where there is one, or ``identity``: by person, seeded.
        split_path: A folder of split files, or the ``store.json`` of a store that was split by identity; None looks
            inside the root.
        fractions: Split -> share, for a split by identity.
        val_fraction: Share of train that becomes validation, by identity, where a set has no validation list.
        seed: Seeds the split by identity.
        archive_limits: Times the default limits that archives may have, see ``archives.ArchiveLimits``.
        columns: Of a Parquet file: manifest column (or ``image``) -> its name there.
        labels: Of a Parquet file: value of its label -> ``real`` or ``fake``.
        media: Which to read where a video is there as file and as extracted frames; ``auto`` prefers the file.
    """

    splits: Literal["official", "identity"] = "official"
    split_path: Path | None = None
    fractions: Mapping[str, float] = field(default_factory=lambda: DEFAULT_FRACTIONS)
    val_fraction: float = limited(0.1, at_least=0, below=1)
    seed: int = 0
    archive_limits: float = limited(1.0, above=0, at_most=1_000_000)
    columns: Mapping[str, str] = field(default_factory=dict, metadata={OPTION: "--column"})
    labels: Mapping[str, Literal["real", "fake"]] = field(default_factory=dict, metadata={OPTION: "--label"})
    media: Literal["auto", "videos", "frames"] = "auto"
