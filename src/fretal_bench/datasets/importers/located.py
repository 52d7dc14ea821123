"""Locator of the files that a published list names: inside the root, without the folders that the path began with."""

from __future__ import annotations

from fretal_bench.datasets.importers.rows import Rows
from fretal_bench.datasets.importers.walk import Entry


class Locator:
    """Turns listed paths into paths relative to the root; what leads out of it is refused, what isn't there is counted.

    Lists carry the folders of the machine they were made on. As many leading folders are dropped as it takes to find the
    file below the root, but never down to a bare name, which could be anybody's.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._dropped: tuple[int, ...] = ()
        self._gone: dict[str, tuple[int, str]] = {}
        self._refused: dict[str, tuple[int, str]] = {}

    def find(self, listed: str, where: str) -> str | None:
        """The path relative to the root, or None.

        Args:
            listed: The path as listed.
            where: What it is listed for; findings are counted by it.
        """
        entry = self.entry(listed, where)
        return None if entry is None else entry.path

    def entry(self, listed: str, where: str) -> Entry | None:
        """The same, for a file or a folder."""
        path = listed.replace("\\", "/")
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if ".." in parts:
            self._count(self._refused, where, listed)
            return None
        for drop in (*self._dropped, *range(max(1, len(parts) - 1))):
            if (
                drop < max(1, len(parts) - 1)
                and (entry := self._rows.tree.has("/".join(parts[drop:]))) is not None
            ):
                self._dropped = (drop,)
                return entry
        absolute = path.startswith(("/", "~")) or path[1:2] == ":"
        self._count(self._refused if absolute else self._gone, where, listed)
        return None

    def report(self) -> None:
        """Add the findings: one for each thing whose files are outside, or not there."""
        for where, (count, example) in sorted(self._refused.items()):
            words = f"{count} paths lead out of the folder, {example!r} among them; refused"
            self._rows.note(
                where, "outside", "error", words, "correct the list, or put the files below the folder"
            )
        for where, (count, example) in sorted(self._gone.items()):
            words = f"{count} files aren't there, {example!r} among them"
            self._rows.note(
                where, "missing", "warning", words, "put them below the folder, or drop them from the list"
            )

    def _count(self, into: dict[str, tuple[int, str]], where: str, listed: str) -> None:
        count, example = into.get(where, (0, listed))
        into[where] = (count + 1, example)
