"""Records of the importers: what a family of data sets is, what reading one gives, what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from fretal_bench.datasets.importers.identity_split import IdentitySplit
from fretal_bench.datasets.importers.options import ReadOptions

if TYPE_CHECKING:
    import pandas as pd

Severity = Literal["error", "warning", "info"]

KINDS: Final[Mapping[str, str]] = {
    "missing": "a file or folder that the layout needs is not there",
    "bad-file": "a list, JSON or archive cannot be read as what it should be",
    "empty": "a file of zero bytes",
    "unreadable": "a file whose container is damaged or cut short",
    "wrong-extension": "a file that is of another kind than its name says",
    "name": "a name that fits no rule of the layout",
    "label": "two places disagree whether it is real or fake",
    "split": "not in the official split",
    "crossing": "a person or a recording in two splits",
    "duplicate": "the same video or frame twice",
    "loop": "a symbolic link that leads back to where it is",
    "outside": "a path or link that leads out of the data set's folder",
    "link": "a symbolic link that leads nowhere",
    "device": "a pipe, device or socket",
    "size": "an archive that holds or declares more than its limits allow",
    "stray": "files that no rule of the layout mentions",
    "classes": "a data set or split without real, or without fake",
    "large": "a clip beyond the limits of what is decoded",
    "deep": "a clip of more than 8 bits a channel, or HDR",
    "shortcut": "a fact of the files alone tells real from fake",
    "checksum": "a file that differs from the written checksums",
    "note": "something to know",
}


@dataclass(frozen=True, order=True)
class Finding:
    """One thing about a data set on disk that a person should know.

    Attributes:
        file: The file or folder, relative to the root; "" for the whole set.
        kind: A key of ``KINDS``.
        severity: ``error`` (data is lost or cannot be trusted), ``warning`` (it works, but look at it), or ``info``.
        found: What was expected and what is there.
        action: What to do about it; "" for nothing.
    """

    file: str
    kind: str
    severity: Severity
    found: str
    action: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that did not get into the manifest: one that is there, or that the user's own list names.

    Attributes:
        path: The file, relative to the root.
        dataset: Its data set, as far as known.
        method: Its method, as far as known.
        compression: Its compression, as far as known.
        kind: Why: a key of ``KINDS``.
    """

    path: str
    dataset: str
    method: str
    compression: str
    kind: str


@dataclass(frozen=True)
class Official:
    """How many there should be; None stands for "all together".

    Attributes:
        count: The number, in the family's unit.
        source: Where the number is published.
        method: Manifest method, or None.
        compression: Manifest compression, or None.
        split: ``train``, ``val``, ``test``, ``train+val`` (where the set has no validation list), or None.
        dataset: Manifest data set, or None.
        each: The number holds for each compression that is there at all, not for a named one.
    """

    count: int
    source: str
    method: str | None = None
    compression: str | None = None
    split: str | None = None
    dataset: str | None = None
    each: bool = False


@dataclass(frozen=True)
class Match:
    """How well a folder fits a layout.

    Attributes:
        score: 0 (not at all) to 1 (beyond doubt); at least 0.5 counts as recognised.
        found: What spoke for it.
        missed: What was looked for and not there.
    """

    score: float
    found: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Import:
    """A data set on disk as a manifest.

    Attributes:
        family: Name of the importer.
        root: The folder that the manifest's paths start from.
        frame: The manifest; it has passed ``check_manifest``.
        findings: What a person should know, in a fixed order.
        left_out: Every media file of the layout that is not in the manifest.
        split_source: One line: where the splits come from.
        identity_split: The split by identity that was made or loaded; a store prepared with it keeps it.
        originals: Key of a fake video -> key of the real video it was made from, where both are in the manifest.
        claimed: Side files (lists, JSONs, labels) that were read.
    """

    family: str
    root: Path
    frame: pd.DataFrame
    findings: tuple[Finding, ...]
    left_out: tuple[LeftOut, ...]
    split_source: str
    identity_split: IdentitySplit | None
    originals: Mapping[str, str]
    claimed: tuple[str, ...]


@dataclass(frozen=True)
class Importer:
    """A family of data sets that can be read.

    Attributes:
        name: What ``--as`` takes.
        title: Its name in print.
        layout: The tree in one line, for error messages.
        recognises: How well a folder (or list file) fits.
        read: Reads it; decodes nothing.
        unit: What official counts count.
        official: How many there should be.
        cropped: True if the images are face crops already, so that no detector is needed.
        shares_track: True if a fake's face is where the face of its original is, frame by frame.
        ignores: Patterns of paths that belong to the set and aren't read (masks, models), as in ``fnmatch``.
    """

    name: str
    title: str
    layout: str
    recognises: Callable[[Path], Match]
    read: Callable[[Path, ReadOptions], Import]
    unit: Literal["videos", "sequences", "images"] = "videos"
    official: tuple[Official, ...] = ()
    cropped: bool = False
    shares_track: bool = False
    ignores: tuple[str, ...] = ()
