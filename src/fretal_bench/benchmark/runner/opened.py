"""Streams and test sets that are open in this process: each opened once, however many steps need it."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, Final

from fretal_bench.benchmark.runner.graph import Step, TestSet, learned_content, set_id
from fretal_bench.datasets.corruptions import corruption
from fretal_bench.datasets.streams.corrupted import CorruptedSource
from fretal_bench.datasets.streams.domain import CropSource, Domain
from fretal_bench.datasets.streams.further_sets import open_test_sets
from fretal_bench.datasets.streams.stream import Stream, open_stream
from fretal_bench.errors import BenchError

Order = tuple[str, ...]
Place = tuple[str, tuple[str, ...], int]
"""Further test sets: the stream or store that they are of, the stores for it, and the fold."""
_sets: dict[Place, tuple[Domain, ...]] = {}
_streams: dict[str, Stream] = {}
_orders: dict[tuple[str, int, Order], Stream] = {}
_corrupted: dict[str, CorruptedSource] = {}
_CORRUPTED_BYTES: Final = 1 << 30
"""Corrupted test sets that are kept, together; each is needed again for the next model."""


def use_stream(reference: str, stream: Stream) -> None:
    """Let ``reference`` stand for an open stream in this process, in place of what it stood for before."""
    _streams.clear()
    _orders.clear()
    _streams[reference] = stream
    experiences.cache_clear()


def the_stream(reference: str, order: Order = (), fold: int = 0) -> Stream:
    """Return the stream that ``reference`` opens, in an order of its domains and in one of its folds.

    One stream is kept open in a process, and besides its fold 0 one other: what a process holds of the crops of many
    folds would be all of them many times. Its checksums were compared when the run was prepared.
    """
    if reference not in _streams:
        use_stream(reference, open_stream(reference, verify=False))
    if not (order or fold):
        return _streams[reference]
    if (reference, fold, order) not in _orders:
        if order:
            _orders[reference, fold, order] = the_stream(reference, fold=fold).in_order(order)
        else:
            _let_go_of_folds()
            _orders[reference, fold, order] = _streams[reference].in_fold(fold)
    return _orders[reference, fold, order]


def _let_go_of_folds() -> None:
    """Let go of every fold but the first."""
    for key in [key for key in _orders if key[1]]:
        del _orders[key]
    experiences.cache_clear()
    _corrupted.clear()


def use_sets(place: Place, sets: tuple[Domain, ...]) -> None:
    """Let a place stand for open further test sets in this process; those of its other folds are kept."""
    for other in [other for other in _sets if other[:2] != place[:2]]:
        del _sets[other]
    _sets[place] = sets


def the_sets(place: Place) -> tuple[Domain, ...]:
    """Return the further test sets that a place opens; those of one stream or store are kept open in a process."""
    if place not in _sets:
        where, data, fold = place
        use_sets(place, open_test_sets(where, data, verify=False, fold=fold))
    return _sets[place]


def is_open(name: str | Place) -> bool:
    """Whether a stream or further test sets are open in this process."""
    return name in _streams if isinstance(name, str) else name in _sets


def samples(of: TestSet) -> CropSource | CorruptedSource:
    """Return the samples of a test set.

    Raises:
        BenchError: Its stream has changed since the run was planned.
    """
    domains: Iterable[Domain]
    if of.further:
        domains = the_sets((of.stream, of.data, of.fold))
    else:
        stream = the_stream(of.stream, fold=of.fold)
        # A domain that comes first in some order may have other validation samples there than where it comes later.
        domains = (stream.at(domain.name, place) for place in (0, 1) for domain in stream)
    domains = [domain for domain in domains if domain.name == of.domain]
    if not domains:
        raise BenchError(f"{of.stream} has no domain {of.domain!r} any more; run the same command again")
    same = (
        domain
        for domain in domains
        if set_id({**domain.content(of.split), "corruption": of.corruption}, of.split) == of.id
    )
    domain = next(same, None)
    if domain is None:
        raise _changed(of.stream, domains[0])
    return _corrupted_samples(of, domain) if of.corruption else domain.batches(of.split)


def _corrupted_samples(of: TestSet, domain: Domain) -> CorruptedSource:
    """Return the corrupted samples of a test set; those that are used most lately are kept."""
    source = _corrupted.pop(of.id, None) or CorruptedSource(domain, corruption(of.corruption))
    _corrupted[of.id] = source
    while sum(kept.bytes for kept in _corrupted.values()) > _CORRUPTED_BYTES and len(_corrupted) > 1:
        _corrupted.pop(next(iter(_corrupted)))
    return source


def check_learned(step: Step) -> None:
    """Compare what was planned to be learned up to a step with the stream that is open now.

    Raises:
        BenchError: Its stream has changed since the run was planned: the step would be another than its id says.
    """
    stream = the_stream(step.stream, step.order, step.fold)
    for of in step.path:
        if of.learned is not None:
            domain = stream[of.number]
            if learned_content(domain.content("train", "val")) != of.learned:
                raise _changed(step.stream, domain)


def _changed(place: str, domain: Domain) -> BenchError:
    return BenchError(
        f"{place}: domain {domain.name!r} holds other samples than when the run was planned; run the same command again"
    )


@functools.lru_cache(maxsize=4)
def experiences(reference: str, order: Order, device: str, fold: int = 0) -> dict[int, Any]:
    """Return the training experiences of the domains that have training rows, by the domain's number.

    Their images are on ``device`` where they fit.
    """
    stream = the_stream(reference, order, fold)
    train = list(stream.as_avalanche().train_stream)
    for experience in train:
        experience.source = experience.source.to(device)
    learned = [number for number, domain in enumerate(stream) if len(domain.rows["train"])]
    return dict(zip(learned, train, strict=True))
