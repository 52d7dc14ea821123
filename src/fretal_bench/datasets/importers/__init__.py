"""Importers: the families of data sets that can be read, recognition of a folder's family, and its manifest."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Final

from fretal_bench.datasets.importers.family import (
    Finding,
    Import,
    Importer,
    LeftOut,
    Match,
    Official,
)
from fretal_bench.datasets.importers.options import ReadOptions
from fretal_bench.errors import BenchError, BenchWarning, unknown_name
from fretal_bench.plugins import Plugin, register

__all__ = [
    "Finding",
    "Import",
    "Importer",
    "LeftOut",
    "Match",
    "Official",
    "ReadOptions",
    "importer",
    "importer_names",
    "importers",
    "read_dataset",
    "recognise",
]

_RECOGNISED = 0.5
_NEIGHBOURS = 20
_BUILT_IN: Final[Mapping[str, str]] = {
    "ffpp": "faceforensics:IMPORTER",
    "dfd": "dfd:IMPORTER",
    "celeb-df-v1": "celeb_df:V1",
    "celeb-df-v2": "celeb_df:V2",
    "celeb-df-pp": "celeb_df_pp:IMPORTER",
    "dfdc": "dfdc:IMPORTER",
    "dfdc-preview": "dfdc_preview:IMPORTER",
    "deeperforensics": "deeper_forensics:IMPORTER",
    "wilddeepfake": "wild_deepfake:IMPORTER",
    "cddb": "cddb:IMPORTER",
    "image-folders": "image_folders:IMPORTER",
    "video-folders": "video_folders:IMPORTER",
    "deepfakebench": "deepfakebench:IMPORTER",
    "df40": "df40:IMPORTER",
    "dfil": "dfil:IMPORTER",
    "parquet": "parquet:IMPORTER",
    "csv": "csv_manifest:IMPORTER",
}
"""Name -> file here and the record in it; imported when needed, since listing streams needs the names alone."""


def importers() -> Mapping[str, Importer]:
    """Every importer by name: the built-in ones, then those of plugins.

    A plugin names an ``Importer`` (or several) in the entry-point group ``fretal_bench.importers``, or as ``IMPORTER``
    (or ``IMPORTERS``) in a file given with ``--plugin``; see ``plugins.register`` for one that is wrong.
    """
    return register("importers", {name: _load(target) for name, target in _BUILT_IN.items()}, _read)


def importer_names() -> frozenset[str]:
    """The names of all importers; of the built-in ones nothing is imported."""
    known: dict[str, Importer | None] = dict.fromkeys(_BUILT_IN)
    return frozenset(register("importers", known, _read))


def importer(name: str) -> Importer:
    """Look an importer up by name.

    Raises:
        BenchError: There is none of that name; the nearest are given.
    """
    known = importers()
    if name not in known:
        raise unknown_name("data set layout", name, known)
    return known[name]


def recognise(root: Path) -> tuple[Importer, Match]:
    """Tell which family's layout a folder (or list file) has.

    Returns:
        The importer and what spoke for it.

    Raises:
        BenchError: There is nothing at the path, no layout fits, or two fit equally well. The error lists what was tried,
            what each missed, and how to name one.
    """
    if not root.exists():
        raise BenchError(f"{root}: expected a data set, found nothing there; check the path")
    matches = _matches(root)
    best = max(match.score for match in matches.values())
    winners = [name for name, match in matches.items() if match.score == best]
    if best < _RECOGNISED:
        raise BenchError(_nothing_fits(root, matches))
    if len(winners) > 1:
        raise BenchError(
            f"{root}: it could be {' or '.join(winners)}; name the one you mean, e.g. --as {winners[0]}"
        )
    return importers()[winners[0]], matches[winners[0]]


def read_dataset(root: Path, as_name: str | None = None, options: ReadOptions | None = None) -> Import:
    """Read a data set on disk into a manifest, without decoding anything.

    Args:
        root: Its folder, or its list file.
        as_name: The importer to use; None recognises the layout.
        options: How to split, and what to read.

    Raises:
        BenchError: The layout is unknown, or a file that was named is wrong.
    """
    family = importer(as_name) if as_name is not None else recognise(root)[0]
    return family.read(root, options or ReadOptions())


def _load(target: str) -> Importer:
    module, _, name = target.partition(":")
    family: Importer = getattr(import_module(f"{__name__}.{module}"), name)
    return family


def _matches(root: Path) -> dict[str, Match]:
    return {name: _match(family, root) for name, family in importers().items()}


def _match(family: Importer, root: Path) -> Match:
    try:
        return family.recognises(root)
    except Exception as error:
        if family.name in _BUILT_IN:
            raise
        warnings.warn(
            f"importer plugin {family.name!r} failed to look at {root}: {error!r}", BenchWarning, stacklevel=4
        )
        return Match(0, missed=("a working plugin",))


def _nothing_fits(root: Path, matches: Mapping[str, Match]) -> str:
    missed = "; ".join(
        f"{name} (no {', no '.join(match.missed) or 'sign of it'})" for name, match in matches.items()
    )
    hint = ""
    for child in sorted(root.iterdir())[:_NEIGHBOURS] if root.is_dir() else ():
        if child.is_dir() and not child.is_symlink():
            below = _matches(child)
            name = max(below, key=lambda name: below[name].score)
            if below[name].score >= _RECOGNISED:
                hint = f" {child} looks like {name}: give that folder."
                break
    way_out = "Name the layout with --as NAME, or list the files in a CSV (--as csv)"
    return f"{root}: no known layout. Tried: {missed}.{hint} {way_out}"


def _read(plugin: Plugin, value: object) -> Iterator[tuple[str, Importer]]:
    if not isinstance(value, Importer):
        raise TypeError(f"expected an Importer record, found {type(value).__name__}")
    for field in ("recognises", "read"):
        if not callable(getattr(value, field)):
            raise TypeError(f"importer {value.name!r}: {field} cannot be called")
    yield value.name, value
