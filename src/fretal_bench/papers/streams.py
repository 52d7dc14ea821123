"""Which streams of a published table can be run here: their stores, or the stand-ins for them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from fretal_bench.datasets.streams.data import absolute_stores, locate, stream_state
from fretal_bench.datasets.streams.file import StreamFile, read_stream_file
from fretal_bench.datasets.streams.stream import find_stream
from fretal_bench.errors import BenchError
from fretal_bench.papers.stand_in import StandIns, stand_ins
from fretal_bench.papers.table import PaperTable

WHOLE = ""
"""In place of a domain: the whole stream."""


class TableStreams:
    """The streams of a table with the store of every domain, found when they are asked for.

    Args:
        paper: The table.
        out: Folder of its results; where its streams were found earlier is read from ``OUT/streams``.
        stream_as: A stream whose data stand in for the paper's.
        data: Stores, or folders of stores.

    Raises:
        BenchError: There is no stream ``stream_as``, or its data are missing.
    """

    def __init__(
        self, paper: PaperTable, out: Path, stream_as: str | None = None, data: Sequence[Path] = ()
    ) -> None:
        self.paper, self.out, self.data = paper, out, data
        self.lent = self._lender(stream_as)
        self._found: dict[str, tuple[StreamFile, dict[str, str]]] = {}
        self._commands: dict[str, None] = {}
        self._missing: dict[str, None] = {}

    @property
    def commands(self) -> tuple[str, ...]:
        """What to type to get the stores that are missing, of the streams that were asked for."""
        return tuple(self._commands)

    @property
    def missing(self) -> tuple[str, ...]:
        """What no store at hand holds, of the streams that were asked for."""
        return tuple(self._missing)

    def at_hand(self, key: str) -> StreamFile:
        """Return a stream with every store named; only where ``lacks`` has nothing to say of it."""
        return self._find(key)[0]

    def lacks(self, key: str, domain: str = WHOLE) -> str:
        """Say in a few words why a stream, or a domain of it, cannot be run; empty if it can."""
        lacking = self._find(key)[1]
        return lacking.get(WHOLE) or lacking.get(domain, "")

    def reasons(self, places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Say of each value (method and column) why it cannot be run; empty if it can."""
        return {place: self._reason(*place) for place in places}

    def _reason(self, method: str, column: str) -> str:
        for part in self.paper.parts(column):
            setting = self.paper.setting(method, part)
            if isinstance(setting, str):
                return setting
            if reason := self.lacks(setting.stream, self.paper.columns[part][1].domain):
                return reason
        return ""

    def remarks(self) -> tuple[str, ...]:
        """Say what stands in for what, and what was left out."""
        if self.lent is None:
            return ()
        files = [self.paper.streams[key] for key in self._found]
        names = dict.fromkeys(domain.name for file in files for domain in file.domains)
        lender = self.lent.stream.name
        methods = {name: " + ".join(domain.methods) for name, domain in self.lent.domains.items()}
        other = [f"{name} = {methods[name]}" for name in names if name != methods.get(name, name)]
        out = [name for name in names if name not in methods]
        twice = len({file for file, _ in self._found.values()}) < len(self._found)
        same = "streams that differ in quality alone are one and the same here, trained once."
        return (
            *([f"Stand-ins from {lender}: {', '.join(other)}."] if other else []),
            *([f"Left out, since {lender} has no more domains: {', '.join(out)}."] if out else []),
            *([f"All qualities are {lender}'s own: {same}"] if twice else []),
        )

    def _find(self, key: str) -> tuple[StreamFile, dict[str, str]]:
        if key not in self._found:
            file = self.paper.streams[key]
            self._found[key] = self._located(file, key) if self.lent is None else _replaced(file, self.lent)
        return self._found[key]

    def _lender(self, stream_as: str | None) -> StandIns | None:
        if stream_as is None:
            return None
        stream = find_stream(stream_as)
        return stand_ins(self.paper.streams.values(), locate(stream, self.data))

    def _located(self, file: StreamFile, key: str) -> tuple[StreamFile, dict[str, str]]:
        """Find the stores of a stream, and what it lacks by domain."""
        lacking: dict[str, str] = {}
        if key in self.paper.optional:
            # Later domains are only tested on: those at hand are enough.
            for domain in file.domains[1:]:
                alone = replace(file, domains=(domain,))
                if self._try(alone) is None:
                    lacking[domain.name] = self._state(alone)
            kept = tuple(domain for domain in file.domains if domain.name not in lacking)
            if lacking:
                tag = hashlib.sha256(json.dumps([d.name for d in kept]).encode()).hexdigest()[:8]
                file = replace(file, name=f"{file.name}-{tag}", domains=kept)
        located = self._try(file)
        if located is None:
            return file, {**lacking, WHOLE: self._state(file)}
        return located, lacking

    def _try(self, file: StreamFile) -> StreamFile | None:
        try:
            # The stream is written to another folder than the file that names its stores.
            return absolute_stores(locate(file, self.data if file.needs_data else (), self._remembered(file)))
        except BenchError:
            return None

    def _state(self, file: StreamFile) -> str:
        row = stream_state(file, self.data)
        self._commands.update(dict.fromkeys(row["commands"]))
        self._missing.update(dict.fromkeys(row["lacks"]))
        return str(row["data"])

    def _remembered(self, file: StreamFile) -> dict[str, Path]:
        """The stores of an earlier run of the table: one that goes on doesn't need ``--data`` again."""
        stores: dict[str, Path] = {}
        for path in sorted((self.out / "streams").glob(f"{file.name}*.toml")):
            stores.update({domain.name: Path(domain.store) for domain in read_stream_file(path).domains})
        return stores


def _replaced(file: StreamFile, lent: StandIns) -> tuple[StreamFile, dict[str, str]]:
    """Put the stand-ins in the place of a stream's data; what has none by domain."""
    replaced, lender = lent.replace(file), lent.stream.name
    lacking = {
        domain.name: f"{lender} has no stand-in for {domain.name}"
        for domain in file.domains
        if domain.name not in lent.domains
    }
    first = file.domains[0].name
    if first in lacking:
        lacking[WHOLE] = lacking[first]
    elif len(replaced.domains) < min(2, len(file.domains)):
        lacking[WHOLE] = f"{lender} has too few domains for it"
    return replaced, lacking
