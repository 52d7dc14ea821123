"""Places of samples as a call of ``bench adapt`` names them: a crop store, all of its fakes or some methods."""

from __future__ import annotations

import os
import shlex
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fretal_bench import files
from fretal_bench.datasets.manifest import SPLITS, Split
from fretal_bench.datasets.store.index import read_index
from fretal_bench.datasets.store.info import INDEX, INFO, StoreInfo, read_info
from fretal_bench.datasets.streams.file import BUILTIN_STORE, DomainFile
from fretal_bench.errors import BenchError, BenchWarning, nearest
from fretal_bench.names import LONGEST, shown
from fretal_bench.records import Invalid

_SHAPE: Final = "STORE or STORE:METHOD,METHOD"
_LONGEST: Final = 20
"""Characters of methods that name a domain, which is a column's title."""
_WORDS: Final = {"train": "training", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class Place:
    """Samples that a call names.

    Attributes:
        option: The option that names them, for errors.
        store: The absolute path of a crop store, or ``builtin:NAME``.
        methods: The manipulations that are meant; all of the store's if empty.
        datasets: The data sets of the store that have them.
        splits: The splits in which there are such fakes and reals.
    """

    option: str
    store: str
    methods: tuple[str, ...]
    datasets: tuple[str, ...]
    splits: tuple[Split, ...] = SPLITS

    @property
    def name(self) -> str:
        """What to call them: the methods, or of many the store."""
        methods = "+".join(self.methods)
        if 0 < len(methods) <= _LONGEST:
            return methods
        return self.store.rstrip("/").rpartition("/")[2].rpartition(":")[2]

    def domain(self, name: str, splits: tuple[Split, ...]) -> DomainFile:
        """Return them as a domain of a stream file, of which these splits are used.

        Raises:
            BenchError: The store's folder has a name that no domain may have.
        """
        try:
            return DomainFile(name, self.store, self.methods, self.datasets, splits=splits)
        except Invalid as error:
            raise BenchError(
                f"{self.option} {self.store}: {error.key}: expected {error.expected}, found {shown(str(error.found))}; "
                "rename the folder"
            ) from error


def place_of(text: str, option: str, like: Place | None = None) -> Place:
    """Read ``STORE`` or ``STORE:METHOD,METHOD``; of the store its record and its rows are read, and no crop.

    Args:
        text: What the call says.
        option: Where, for errors.
        like: Another place, whose crops the store's must be like.

    Raises:
        BenchError: There is no crop store, it has no such method, or crops of another size.
    """
    where = f"{option} {text}"
    if text.startswith(BUILTIN_STORE):
        name, _, methods = text.removeprefix(BUILTIN_STORE).partition(":")
        return _builtin(name, _names(methods), option)
    store, methods = _parts(text)
    path = files.expanded(store)
    if not os.path.lexists(path):
        raise BenchError(f"{where}: expected a crop store ({_SHAPE}), found nothing there; check the path")
    if not (path / INFO).exists():
        raise BenchError(
            f"{where}: expected a crop store, found {files.kind_of(path)} without {INFO}; make one of its videos or "
            f"pictures: {_making(store, like)}"
        )
    path = path.resolve()
    info = read_info(path)
    crop = crop_of(like)
    if crop is not None and crop.size != info.size:
        raise BenchError(
            f"{where}: expected crops of {crop.size} px, as --test has, found {info.size} px; prepare "
            "both with one --size"
        )
    if crop is not None and crop.margin != info.margin:
        warnings.warn(
            f"{where}: its faces were cropped with margin {info.margin:g}, those of --test with {crop.margin:g}: a "
            "detector may learn that difference instead of fakes; prepare both with one --margin",
            BenchWarning,
            stacklevel=2,
        )
    rows = read_index(path / INDEX, info.count)
    known = set(rows["method"]) - {"real"}
    for method in _names(methods):
        if method not in known:
            raise BenchError(f"{where}: the store has no method {method!r}{nearest(method, known)}")
    fakes = rows[rows["method"].isin(_names(methods) or known)]
    datasets = tuple(dict.fromkeys(fakes["dataset"]))
    reals = rows[(rows["method"] == "real") & rows["dataset"].isin(datasets)]
    both = set(fakes["split"]) & set(reals["split"])
    return Place(
        option, str(path), _names(methods), datasets, tuple(split for split in SPLITS if split in both)
    )


def crop_of(place: Place | None) -> StoreInfo | None:
    """Return the record of a place's store; None for one that is built on first use."""
    if place is None or place.store.startswith(BUILTIN_STORE):
        return None
    return read_info(place.store)


def _making(folder: str, like: Place | None) -> str:
    """Return the command that makes a store of a folder, with the crops of another place."""
    words = ["bench", "data", "prepare", folder, "--out", f"stores/{Path(folder).name}"]
    info = crop_of(like)
    if info is not None:
        words += ["--size", str(info.size), "--margin", f"{info.margin:g}"]
    return shlex.join(words)


def _parts(text: str) -> tuple[str, str]:
    """Split a place into the store and the methods; a path that is there is no address."""
    if os.path.lexists(files.expanded(text)):
        return text, ""
    store, colon, methods = text.rpartition(":")
    return (store, methods) if colon else (text, "")


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _builtin(name: str, methods: tuple[str, ...], option: str) -> Place:
    """Return a place in FF++-mini, whose stores are built on first use; its control is no kind of fake."""
    from fretal_bench.datasets.ffpp_mini.build import DATASET
    from fretal_bench.datasets.ffpp_mini.manipulations import CONTROL, MANIPULATIONS

    known = [method for method in MANIPULATIONS if method != CONTROL]
    for method in methods:
        if method not in known:
            raise BenchError(
                f"{option} {BUILTIN_STORE}{name}: FF++-mini has no method {method!r}{nearest(method, known)}"
            )
    return Place(option, f"{BUILTIN_STORE}{name}", methods or tuple(known), (DATASET,))


def domains_of(new: Place, old: Sequence[Place], validation: bool) -> tuple[DomainFile, ...]:
    """Return the domains of a stream: the old kinds, of which test samples are used, then the new one.

    Args:
        new: What is learned; it may have no test samples.
        old: What must not be forgotten.
        validation: Whether validation samples of the old kinds are used too, to recommend a strategy.

    Raises:
        BenchError: Samples that are needed are not there.
    """
    splits: tuple[Split, ...] = ("val", "test") if validation else ("test",)
    needed = [(new, ("train",), "trained on"), *((place, splits, "judged by") for place in old)]
    if validation:
        needed.append((new, ("val",), "judged by with --validation"))
    for place, of, use in needed:
        for split in of:
            if split not in place.splits:
                raise BenchError(
                    f"{place.option} {place.store}: expected reals and fakes of its {_WORDS[split]} split, which are "
                    f"{use}, found none; prepare a store that has them"
                )
    own: tuple[Split, ...] = () if new.splits == SPLITS else new.splits
    taken: dict[str, int] = {}
    domains = []
    for place, of in [*((place, splits) for place in old), (new, own)]:
        name = place.name[:LONGEST].strip(". -") or "store"
        taken[name] = taken.get(name, 0) + 1
        domains.append(place.domain(name if taken[name] == 1 else f"{name[:90]}-{taken[name]}", of))
    return tuple(domains)
