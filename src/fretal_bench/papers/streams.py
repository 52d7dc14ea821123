"""The streams of a published table with the store of every domain, or the stand-ins for them, and what they lack."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from fretal_bench.datasets.streams.data import absolute_stores, locate, stream_state
from fretal_bench.datasets.streams.file import DomainFile, StreamFile, read_stream_file
from fretal_bench.datasets.streams.stream import find_stream
from fretal_bench.errors import BenchError
from fretal_bench.papers.file import PaperFile
from fretal_bench.papers.setting import Cannot
from fretal_bench.papers.stand_in import StandIns, stand_ins

WHOLE: Final = ""
"""In place of a domain: the whole stream."""
FOLDER: Final = "streams"
"""In the folder of a table's results: the streams, each with its stores, as files."""
_TAG: Final = 8
"""Hexadecimal digits after the name of a stream that some domains were left out of."""

Located = tuple[StreamFile, Mapping[str, Cannot]]
"""A stream with its stores, and what it lacks by domain (``WHOLE`` for all)."""


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
        self, paper: PaperFile, out: Path, stream_as: str | None = None, data: Sequence[Path] = ()
    ) -> None:
        self.paper, self.out, self.data = paper, out, data
        self.lent = self._lender(stream_as)
        self._located: dict[str, Located] = {}
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
        """Return a stream with every store named; only where ``lacks`` finds nothing."""
        return self._locate(key)[0]

    def lacks(self, key: str, domain: str = WHOLE) -> Cannot | None:
        """Return why a stream, or a domain of it, cannot be run; None if it can."""
        lacking = self._locate(key)[1]
        return lacking.get(WHOLE) or lacking.get(domain)

    def remarks(self) -> tuple[str, ...]:
        """Say what stands in for what, and what was left out."""
        if self.lent is None:
            return ()
        files = [self.paper.streams[key] for key in self._located]
        names = dict.fromkeys(domain.name for file in files for domain in file.domains)
        lender = self.lent.stream.name
        methods = {name: " + ".join(domain.methods) for name, domain in self.lent.domains.items()}
        other = [f"{name} = {methods[name]}" for name in names if name != methods.get(name, name)]
        out = [name for name in names if name not in methods]
        twice = len({file for file, _ in self._located.values()}) < len(self._located)
        same = "streams that differ in quality alone are one and the same here, trained once."
        return (
            *([f"Stand-ins from {lender}: {', '.join(other)}."] if other else []),
            *([f"Left out, since {lender} has no more domains: {', '.join(out)}."] if out else []),
            *([f"All qualities are {lender}'s own: {same}"] if twice else []),
        )

    def _locate(self, key: str) -> Located:
        if key not in self._located:
            file = self.paper.streams[key]
            optional = key in self.paper.optional
            self._located[key] = (
                self._stores(file, optional) if self.lent is None else _replaced(file, self.lent)
            )
        return self._located[key]

    def _lender(self, stream_as: str | None) -> StandIns | None:
        if stream_as is None:
            return None
        stream = find_stream(stream_as)
        return stand_ins(self.paper.streams.values(), locate(stream, self.data))

    def _stores(self, file: StreamFile, optional: bool) -> Located:
        """Find the stores of a stream; of an ``optional`` one, later domains that no store holds are left out."""
        lacking: dict[str, Cannot] = {}
        remembered = remembered_stores(self.out / FOLDER, file)
        if optional:
            for domain in file.domains[1:]:
                alone = replace(file, domains=(domain,))
                if self._try(alone, remembered) is None:
                    lacking[domain.name] = self._lack(alone)
            kept = tuple(domain for domain in file.domains if domain.name not in lacking)
            if lacking:
                names = json.dumps([domain.name for domain in kept])
                tag = hashlib.sha256(names.encode()).hexdigest()[:_TAG]
                file = replace(file, name=f"{file.name}-{tag}", domains=kept)
        located = self._try(file, remembered)
        if located is None:
            return file, {**lacking, WHOLE: self._lack(file)}
        return located, lacking

    def _try(self, file: StreamFile, remembered: Mapping[str, Path]) -> StreamFile | None:
        try:
            # The stream is written to another folder than the file that names its stores.
            return absolute_stores(locate(file, self.data if file.needs_data else (), remembered))
        except BenchError:
            return None

    def _lack(self, file: StreamFile) -> Cannot:
        state = stream_state(file, self.data)
        self._commands.update(dict.fromkeys(state["commands"]))
        self._missing.update(dict.fromkeys(state["lacks"]))
        return Cannot("data" if state["lacks"] else "stores", str(state["data"]))


def remembered_stores(folder: Path, file: StreamFile) -> dict[str, Path]:
    """Return the store of every domain in an earlier run of a table: one that goes on doesn't need ``--data`` again.

    Read from the files of this very stream in ``folder``, whole or with domains left out; a store counts only for a
    domain that is described in the same words.
    """
    own = re.compile(rf"{re.escape(file.name)}(-[0-9a-f]{{{_TAG}}})?")
    described = {_description(domain) for domain in file.domains}
    stores: dict[str, Path] = {}
    for path in sorted(folder.glob("*.toml")):
        if own.fullmatch(path.stem):
            for domain in read_stream_file(path).domains:
                if _description(domain) in described:
                    stores[domain.name] = Path(domain.store)
    return stores


def _description(domain: DomainFile) -> tuple[object, ...]:
    """What a domain is, wherever it is stored."""
    return domain.name, domain.datasets, domain.methods, domain.compressions


def _replaced(file: StreamFile, lent: StandIns) -> Located:
    """Put the stand-ins in the place of a stream's data; what has none by domain."""
    lender = lent.stream.name
    lacking = {
        domain.name: Cannot("stand-in", f"{lender} has no stand-in for {domain.name}")
        for domain in file.domains
        if domain.name not in lent.domains
    }
    # A stream has a domain at least.
    replaced = lent.replace(file) if len(lacking) < len(file.domains) else file
    first = file.domains[0].name
    if first in lacking:
        lacking[WHOLE] = lacking[first]
    elif len(replaced.domains) < min(2, len(file.domains)):
        lacking[WHOLE] = Cannot("stand-in", f"{lender} has too few domains for it")
    return replaced, lacking
