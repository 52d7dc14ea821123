"""Another stream's data in the place of a paper's: to try a table's whole way without its data sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from fretal_bench.datasets.streams.data import absolute_stores
from fretal_bench.datasets.streams.file import DomainFile, StreamFile


@dataclass(frozen=True)
class StandIns:
    """What stands in for each domain of a table.

    Attributes:
        stream: The stream that lends its data.
        domains: By name of the table's domain; those that are not in it have none.
    """

    stream: StreamFile
    domains: Mapping[str, DomainFile]

    def replace(self, file: StreamFile) -> StreamFile:
        """Return a stream of the same domain names with the stand-ins' data; domains that have none are left out.

        At least one must have a stand-in. Qualities of the original mean nothing in it: streams that differ in them alone
        become one stream of one name, and are trained once.
        """
        kept = [domain.name for domain in file.domains if domain.name in self.domains]
        # A stream of the lender's own domains in its own order is that stream, and goes by its name.
        same = kept == [domain.name for domain in self.stream.domains]
        slug = "-".join("".join(filter(str.isalnum, name.lower())) for name in kept)
        return replace(
            file,
            path=self.stream.path,
            name=self.stream.name if same else f"{self.stream.name}-{slug}",
            description=f"{self.stream.name} in the place of other data",
            source="",
            image_size=0,
            frames=0,
            protocol=self.stream.protocol,
            folds=self.stream.folds,
            domains=tuple(replace(self.domains[name], name=name) for name in kept),
            group="",
            group_description="",
        )


def stand_ins(files: Iterable[StreamFile], stream: StreamFile) -> StandIns:
    """Choose what stands in for the domains of a table's streams.

    A domain of the same name; else the next domain of ``stream`` that no domain of the table has by name, in order;
    else, if there is none left and ``stream`` has all its manipulations, those together (a data set of several
    manipulations). No data stand in twice.

    Args:
        files: The table's streams.
        stream: The stream that lends its data, all of whose stores are named.
    """
    needed: dict[str, DomainFile] = {}
    for file in files:
        for domain in file.domains:
            needed.setdefault(domain.name, domain)
    lent = {domain.name: domain for domain in absolute_stores(stream).domains}
    chosen = {name: lent[name] for name in needed if name in lent}
    free = [domain for name, domain in lent.items() if name not in chosen]
    together = _together(list(lent.values()))
    for name, domain in needed.items():
        if name in chosen:
            continue
        if free:
            chosen[name] = free.pop(0)
        elif together and set(domain.methods) == set(together.methods) and together not in chosen.values():
            chosen[name] = together
    return StandIns(stream, chosen)


def _together(domains: list[DomainFile]) -> DomainFile | None:
    """All manipulations of a stream as one domain; None if they are not in one store."""
    if len({(domain.store, domain.datasets, domain.compressions) for domain in domains}) > 1:
        return None
    return replace(domains[0], methods=tuple(method for domain in domains for method in domain.methods))
