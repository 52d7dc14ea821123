"""The order of a stream's domains by the dates of their fakes (``order = "date"``)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from fretal_bench.datasets.dates import is_before
from fretal_bench.datasets.manifest import DATE, FAKE
from fretal_bench.datasets.streams.file import BUILTIN_STORE, DomainFile, StreamFile
from fretal_bench.errors import BenchError
from fretal_bench.names import shown

if TYPE_CHECKING:
    import pandas as pd

_BY_HAND = 'or leave order = "date" out and write the domains in their order'


def in_order_of_dates(file: StreamFile) -> StreamFile:
    """Put the domains of a stream in the order of their dates, if it asks for that.

    A domain's date is the earliest of its fakes, in every split; reals don't count. Nothing is guessed: where a fake has
    no date, or two domains cannot be told apart (``2024`` and ``2024-05``), the stream is refused.

    Args:
        file: A stream all of whose stores are named.

    Returns:
        The same stream with its domains in order, and no ``order`` any more.

    Raises:
        BenchError: As said above; or a store is missing or damaged, or has no rows of a domain.
    """
    if file.order != "date":
        return file
    dated = sorted(_dated(file), key=lambda pair: pair[0])
    for (date, domain), (later, other) in pairwise(dated):
        if not is_before(date, later):
            raise BenchError(
                f"{file.path}: key 'order': expected domains of different dates, found {shown(domain.name)} of {date} "
                f"and {shown(other.name)} of {later}, of which neither is earlier; make the dates more exact, {_BY_HAND}"
            )
    return replace(file, order="", domains=tuple(domain for _, domain in dated))


def _dated(file: StreamFile) -> Iterator[tuple[str, DomainFile]]:
    """Each domain with its date."""
    # Here: listing streams needs none of these.
    import numpy as np

    from fretal_bench.datasets.streams.choice import named_rows

    indexes: dict[str, pd.DataFrame] = {}
    for domain in file.domains:
        if domain.store not in indexes:
            indexes[domain.store] = _index(file, domain)
        index = indexes[domain.store]
        rows = index.iloc[np.concatenate([*named_rows(file.path, domain, index).values()])]
        fakes = rows[rows["label"] == FAKE]
        lacking = fakes[fakes[DATE] == ""] if DATE in index.columns else fakes
        if len(lacking) or fakes.empty:
            example = f", e.g. {shown(lacking['path'].iloc[0])}" if len(lacking) else ""
            raise BenchError(
                f"{file.path}: key 'order': expected a date of every fake of domain {shown(domain.name)}, found "
                f"{len(lacking):,} of {len(fakes):,} without one in {domain.store}{example}; import them with a column "
                f"of dates (docs/layouts.md), {_BY_HAND}"
            )
        yield str(fakes[DATE].min()), domain


def _index(file: StreamFile, domain: DomainFile) -> pd.DataFrame:
    from fretal_bench.datasets.store.files import check_sizes
    from fretal_bench.datasets.store.index import read_index
    from fretal_bench.datasets.store.info import INDEX, read_info

    if domain.store.startswith(BUILTIN_STORE):
        raise BenchError(
            f"{file.path}: key 'order': the fakes of domain {shown(domain.name)} in {domain.store} have no dates; "
            'leave order = "date" out and write the domains in their order'
        )
    folder = file.folder_of(domain.store)
    info = read_info(folder)
    check_sizes(folder, info)
    return read_index(folder / INDEX, info.count)
