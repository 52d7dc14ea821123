"""What a stream lacks of the stores at hand, with the command that makes each of them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fretal_bench.datasets.importers import importer_names
from fretal_bench.datasets.streams.data_folder import DATA_FOLDER, StoreAtHand, data_folder
from fretal_bench.datasets.streams.file import DomainFile, StreamFile

_OF_PARTS: Final = ("cddb", "df40")
"""Importers whose data sets are called after them and a part of theirs: ``df40-ff``."""
_FOLDERS: Final = "image-folders"
_JPEG: Final = "jpeg"
# Where the commands put stores if there is no data folder.
_FOLDER: Final = "stores"
_NAMED: Final = 4


@dataclass(frozen=True)
class Lack:
    """Something that no store at hand holds.

    Attributes:
        what: Data set, methods and compression.
        command: What makes a store of it.
        hint: What the command needs, where the data set has no importer of its own.
    """

    what: str
    command: str
    hint: str = ""


def contents_of(domain: DomainFile, store: StoreAtHand) -> list[tuple[str, str, str]]:
    """Data set, method and compression of what a store holds of a domain."""
    return [
        key
        for key in store.contents
        if key[0] in domain.datasets and (not domain.compressions or key[2] in domain.compressions)
    ]


def lack_of(file: StreamFile, domain: DomainFile, stores: Sequence[StoreAtHand]) -> Lack:
    """What a domain lacks, and the command that makes it; ``stores`` are those at hand."""
    coded = [compression for compression in domain.compressions if compression != "none"]
    what = " and ".join(domain.datasets) + (f" at {' and '.join(coded)}" if coded else "")
    near = [methods for store in stores if (methods := {m for _, m, _ in contents_of(domain, store)})]
    if near:
        # Its data set is there, but incomplete: name what is absent.
        has = max(near, key=lambda methods: len(methods & {"real", *domain.methods}))
        absent = [method for method in ("real", *domain.methods) if method not in has]
        absent += ["fakes"] if has == {"real"} and not domain.methods else []
        what += f" ({', '.join(absent)})" if absent else " (all of it in one store)"
    hint = " (image folders or a CSV of that name)" if _family(domain) == _FOLDERS else ""
    return Lack(what, _command(file, domain), hint)


def _command(file: StreamFile, domain: DomainFile) -> str:
    family, compression = _family(domain), next(iter(domain.compressions), "none")
    name = domain.datasets[0] if family == _FOLDERS else family
    coded = "" if compression == "none" else f"-{compression}"
    # Data sets are wanted at several sizes: the names keep them apart.
    name += coded + (f"-{file.image_size}px" if file.image_size else "")
    words = ["bench", "data", "prepare", "ROOT", "--as", family]
    words += ["--out", str((data_folder() or Path(_FOLDER)) / name)]
    if compression.startswith(_JPEG):
        # FaceForensics++ is published at H.264 levels; of these c23 is the papers' high quality.
        words += ["--compression", "c23", "--jpeg", compression.removeprefix(_JPEG)]
    elif compression != "none":
        words += ["--compression", compression]
    # Sets of images have no videos to take frames of.
    if file.frames and family not in ("cddb", _FOLDERS):
        words += ["--frames", str(file.frames)]
        words[words.index("--out") + 1] += f"-{file.frames}f"
    if file.image_size:
        words += ["--size", str(file.image_size)]
    return shlex.join(words)


def _family(domain: DomainFile) -> str:
    """The importer that reads a domain's data set."""
    dataset = domain.datasets[0]
    first, dash, _ = dataset.partition("-")
    if dash and first in _OF_PARTS:
        return first
    return dataset if dataset in importer_names() else _FOLDERS


def merged(lacks: Sequence[Lack]) -> list[Lack]:
    """Each lack once, in their order."""
    return list(dict.fromkeys(lacks))


def sentence(file: StreamFile, lacks: Sequence[Lack], stores: Sequence[StoreAtHand]) -> str:
    """One line: what a stream lacks, what was found instead, and what to type."""
    what = ", ".join(lack.what + lack.hint for lack in lacks)
    commands = "; ".join(commands_of(lacks))
    names = [store.path.name for store in stores]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    at_hand = f"found {', '.join(names[:_NAMED])}{more}" if names else "found no store"
    folder = data_folder()
    then = "" if folder else f"; then give --data {_FOLDER}, or set {DATA_FOLDER} to it"
    return f"stream {file.name!r} lacks {what}; {at_hand}; type: {commands}{then}"


def state_of(lacks: Sequence[Lack]) -> str:
    """``yes`` where nothing is lacking, else what is, in a few words."""
    if not lacks:
        return "yes"
    named = ", ".join(lack.what for lack in lacks[:_NAMED])
    more = f" and {len(lacks) - _NAMED} more" if len(lacks) > _NAMED else ""
    return f"lacks {named}{more}"


def commands_of(lacks: Sequence[Lack]) -> list[str]:
    """The commands that make what is lacking, each once."""
    return list(dict.fromkeys(lack.command for lack in lacks))
