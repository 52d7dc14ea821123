"""A data set's folder seen from inside: sorted listings, checked links, every oddity reported once."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fretal_bench import files
from fretal_bench.datasets.importers.family import Finding
from fretal_bench.errors import BenchError

ARCHIVE_SUFFIXES: Final = (".tar.gz", ".tgz", ".tar")


@dataclass(frozen=True)
class Entry:
    """A file or folder inside the root: its name, its path relative to the root, which of the two it is."""

    name: str
    path: str
    is_folder: bool

    @property
    def stem(self) -> str:
        """The name without its last extension."""
        return os.path.splitext(self.name)[0]

    @property
    def suffix(self) -> str:
        """The last extension in lower case."""
        return os.path.splitext(self.name)[1].lower()


class Tree:
    """A folder seen from inside: listings are sorted and cached, links that leave it or loop are refused.

    Attributes:
        root: The folder, links resolved.
        findings: What was refused, each once.
        devices: Pipes, devices and sockets, which are no files of a data set.
    """

    def __init__(self, root: Path) -> None:
        """Open the folder.

        Raises:
            BenchError: It isn't a folder that can be listed.
        """
        self.root = root.resolve()
        self.findings: dict[tuple[str, str], Finding] = {}
        self._listings: dict[str, dict[str, Entry]] = {}
        self.devices: list[str] = []
        self._linked = False
        if not self.root.is_dir():
            raise BenchError(
                f"{root}: expected a folder with a data set, found no folder there; check the path"
            )

    def entries(self, folder: str = "") -> tuple[Entry, ...]:
        """List a folder, sorted by name; hidden files, refused links and unusable names are not in it."""
        return tuple(self._listing(folder).values())

    def folders(self, folder: str = "") -> tuple[Entry, ...]:
        """The sub-folders of a folder."""
        return tuple(entry for entry in self.entries(folder) if entry.is_folder)

    def files(self, folder: str = "", suffixes: Collection[str] | None = None) -> tuple[Entry, ...]:
        """The files of a folder, of certain extensions."""
        return tuple(
            e for e in self.entries(folder) if not e.is_folder and (suffixes is None or e.suffix in suffixes)
        )

    def child(self, folder: str, *names: str) -> Entry | None:
        """The first entry of a folder with one of these names, letter case aside."""
        lowered = [name.lower() for name in names]
        candidates = [e for e in self.entries(folder) if e.name.lower() in lowered]
        return min(candidates, key=lambda e: lowered.index(e.name.lower()), default=None)

    def has(self, path: str) -> Entry | None:
        """The entry at a relative path, or None; a path that leaves the root is not there."""
        if leaves_root(path):
            return None
        *folders, name = path.split("/")
        place = ""
        for folder in folders:
            parent = self._listing(place).get(folder)
            if parent is None or not parent.is_folder:
                return None
            place = parent.path
        return self._listing(place).get(name)

    def real_path(self, path: str) -> str:
        """Where a file is, links resolved: the same for one file under two names."""
        return os.path.realpath(self.root / path) if self._linked else path

    def descend(self, folder: str = "", *, follow: bool = True) -> Iterator[Entry]:
        """Every file below a folder, depth first; a folder that is its own ancestor through links is not entered.

        Args:
            folder: Where to begin.
            follow: Whether folders behind links are entered; without it each file comes once, at its own place.
        """
        yield from self._descend(folder, follow, frozenset({os.path.realpath(self.root / folder)}))

    def _descend(self, folder: str, follow: bool, above: frozenset[str]) -> Iterator[Entry]:
        for entry in self.entries(folder):
            if not entry.is_folder:
                yield entry
                continue
            where = self.root / entry.path
            if where.is_symlink() and not follow:
                continue
            real = os.path.realpath(where)
            if real in above:
                self._report_loop(entry.path)
                continue
            yield from self._descend(entry.path, follow, above | {real})

    def _listing(self, folder: str) -> dict[str, Entry]:
        if folder not in self._listings:
            self._listings[folder] = {entry.name: entry for entry in self._list(folder)}
        return self._listings[folder]

    def _list(self, folder: str) -> Iterator[Entry]:
        try:
            with os.scandir(self.root / folder) as scan:
                listing = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            self.report(folder, "unreadable", f"cannot be listed: {error.strerror}", "make it readable")
            return
        for item in listing:
            if item.name.startswith("."):
                continue
            path = f"{folder}/{item.name}" if folder else item.name
            shown = path.encode("utf-8", "backslashreplace").decode()
            if not is_plain(item.name):
                self.report(
                    shown,
                    "name",
                    "a name that is no UTF-8, or holds a backslash or a control character",
                    _RENAME,
                )
            elif not item.is_symlink() or self._link_is_good(item, path, folder):
                if item.is_dir() or item.is_file():
                    yield Entry(item.name, path, item.is_dir())
                else:
                    self._report_device(item.path, path)

    def _link_is_good(self, item: os.DirEntry[str], path: str, folder: str) -> bool:
        try:
            os.stat(item.path)
        except OSError as error:
            if error.errno == errno.ELOOP:
                self._report_loop(path)
            else:
                self.report(
                    path,
                    "link",
                    f"a link to {os.readlink(item.path)}, which isn't there",
                    "remove or repair it",
                )
            return False
        real = Path(os.path.realpath(item.path))
        if real != self.root and self.root not in real.parents:
            action = "put the files inside the folder, or give the folder they are in"
            self.report(
                path, "outside", "a link that leads out of the data set's folder; it was not followed", action
            )
            return False
        place = Path(os.path.realpath(self.root / folder))
        if real == place or real in place.parents:
            self._report_loop(path)
            return False
        self._linked = True
        return True

    def _report_loop(self, path: str) -> None:
        self.report(
            path,
            "loop",
            "a link that leads back to a folder it is in; it was not followed",
            "remove the link",
        )

    def _report_device(self, file: str, path: str) -> None:
        self.devices.append(path)
        self.report(path, "device", f"{files.kind_of(file)}; it was not opened", "remove it")

    def report(self, path: str, kind: str, words: str, action: str) -> None:
        """Keep an error about a path; a second one of the same kind changes nothing."""
        self.findings.setdefault((path, kind), Finding(path, kind, "error", words, action))


def is_plain(name: str) -> bool:
    """Whether a name can stand in a manifest: UTF-8, no backslash, no control character."""
    return _UNUSABLE.search(name) is None


def leaves_root(path: str) -> bool:
    """Whether a path from a list or an archive could lead out of the folder it is relative to."""
    parts = path.replace("\\", "/").split("/")
    return path == "" or path.startswith(("/", "\\", "~")) or ".." in parts or path[1:2] == ":"


_UNUSABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff]")
_RENAME: Final = "rename it"
