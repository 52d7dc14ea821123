"""Folders of images, one a domain, as CoReD and many others lay them out: ``<domain>/<split>/{real,fake}``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fretal_bench.datasets.importers.classes import ClassFolder, add_images
from fretal_bench.datasets.importers.domains import domain_match, read_domains
from fretal_bench.datasets.importers.family import Import, Importer, Match
from fretal_bench.datasets.importers.options import ReadOptions
from fretal_bench.datasets.importers.rows import Rows
from fretal_bench.datasets.importers.walk import Tree
from fretal_bench.datasets.manifest import REAL


def recognise(root: Path) -> Match:
    """Look for a split with a class in it, below a domain or in the root itself."""
    return domain_match(root, "images")


def read(root: Path, options: ReadOptions) -> Import:
    """Read the domains; each is a data set of its own, with the method ``fake``."""
    rows = Rows(Tree(root))
    has_val = read_domains(rows, options, _add)
    return rows.finish("image-folders", options, "the folders' names", has_val=has_val)


def _add(rows: Rows, folder: ClassFolder, base: str) -> None:
    add_images(rows, folder, folder.domain, "real" if folder.label == REAL else "fake", base)


IMPORTER: Final = Importer(
    name="image-folders",
    title="image folders",
    layout="<domain>/{train,val,test}/{real,fake}/*",
    recognises=recognise,
    read=read,
    unit="images",
    cropped=True,
)
