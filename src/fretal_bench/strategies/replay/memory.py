"""The memory of a replay strategy: which training samples of past domains are kept, never copies of their images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from fretal_bench.errors import BenchError
from fretal_bench.strategies.state import check_tensor


class ReplayMemory:
    """At most ``size`` training samples of all past domains together, as row numbers.

    A memory is filled by one of two policies, and not by both:

    - ``offer_evenly``: a reservoir, in which every sample ever offered is kept with the same probability;
    - ``offer_ranked``: equal shares for the classes and, within a class, for the domains; a share keeps the samples
      that were ranked first and gives up the last.

    Args:
        size: The budget: samples in all, over all past domains. At least 2.

    Attributes:
        domains: Number of each sample's domain, int64 [N], N <= size.
        rows: Its position in the domain's training data, int64 [N].
        labels: Its label, int64 [N].
        logits: The logits kept with it, float32 [N, 2]; NaN where none were kept.
        offered: Samples offered to the reservoir so far.

    Raises:
        BenchError: ``size`` is below 2; there would not be a sample a class.
    """

    def __init__(self, size: int) -> None:
        if size < 2:
            raise BenchError(f"a memory of {size} samples cannot hold both classes; give it 2 or more")
        self.size = size
        self.offered = 0
        self.domains, self.rows, self.labels = (torch.empty(0, dtype=torch.int64) for _ in range(3))
        self.logits = torch.empty(0, 2)

    def __len__(self) -> int:
        return len(self.rows)

    def offer_evenly(
        self, domain: int, labels: Tensor, generator: torch.Generator, among: Tensor | None = None
    ) -> Tensor:
        """Offer training samples of a domain to the reservoir, once each, in the order of their rows.

        The n-th sample ever offered (from 0) is kept while there is room; then it replaces the sample in place j, j
        drawn uniformly from 0..n, if j < size. So after any number n >= size of samples each of them is in the memory
        with probability size / n.

        Args:
            domain: The domain's number.
            labels: Labels of its training data, int64 [M].
            generator: Source of the draws.
            among: The rows that are offered, int64, ascending; all if None.

        Returns:
            The places of the memory that now hold samples of this domain, int64, ascending.

        Source: Vitter, "Random sampling with a reservoir", ACM TOMS 1985, algorithm R.
        """
        candidates = torch.arange(len(labels)) if among is None else among.cpu()
        numbers = self.offered + torch.arange(len(candidates))
        drawn = (torch.rand(len(candidates), dtype=torch.float64, generator=generator) * (numbers + 1)).long()
        places = torch.where(numbers < self.size, numbers, drawn)
        taken = {int(places[row]): row for row in (places < self.size).nonzero().squeeze(1).tolist()}
        self.offered += len(candidates)
        grown = min(self.size, self.offered) - len(self)
        blank = torch.zeros(grown, dtype=torch.int64)
        self.domains, self.rows, self.labels = (
            torch.cat([kept, blank]) for kept in (self.domains, self.rows, self.labels)
        )
        self.logits = torch.cat([self.logits, torch.full((grown, 2), torch.nan)])
        where = torch.tensor(sorted(taken), dtype=torch.int64)
        rows = candidates[torch.tensor([taken[place] for place in where.tolist()], dtype=torch.int64)]
        self.domains[where], self.rows[where], self.labels[where] = domain, rows, labels.cpu()[rows]
        self.logits[where] = torch.nan
        return where

    def shares(self, domain: int, labels: Tensor) -> dict[int, int]:
        """Return how many samples of each class of a new domain there would be room for, by label.

        Args:
            domain: The domain's number, greater than those of all domains before it.
            labels: Labels of its training data, int64 [M].
        """
        new = {(label, domain): count for label, count in Counter(labels.tolist()).items()}
        counts = balanced_shares({**self._held(), **new}, self.size)
        return {label: counts[label, domain] for label, _ in new}

    def offer_ranked(self, domain: int, ranked: Mapping[int, Tensor]) -> None:
        """Offer the samples of a domain in order of preference, class by class.

        The budget is shared out anew (``balanced_shares``). The samples of older domains keep their order, so that
        what they give up is what was ranked last.

        Args:
            domain: The domain's number, greater than those of all domains before it.
            ranked: For each label the rows of its samples, int64, the most wanted first; of as many samples as
                ``shares`` names, or more.
        """
        held = self._held()
        offered = {(label, domain): len(rows) for label, rows in ranked.items()}
        counts = balanced_shares({**held, **offered}, self.size)
        kept = [
            ((self.labels == label) & (self.domains == old)).nonzero().squeeze(1)[: counts[label, old]]
            for label, old in held
        ]
        places = torch.cat(kept).sort().values if kept else torch.empty(0, dtype=torch.int64)
        new = {label: rows[: counts[label, domain]].cpu() for label, rows in sorted(ranked.items())}
        rows = torch.cat(list(new.values()))
        self.rows = torch.cat([self.rows[places], rows])
        self.domains = torch.cat([self.domains[places], torch.full_like(rows, domain)])
        labels = [torch.full_like(of_label, label) for label, of_label in new.items()]
        self.labels = torch.cat([self.labels[places], *labels])
        self.logits = torch.cat([self.logits[places], torch.full((len(rows), 2), torch.nan)])

    def _held(self) -> dict[tuple[int, int], int]:
        """Count the samples by (label, domain)."""
        return Counter(zip(self.labels.tolist(), self.domains.tolist(), strict=True))

    def state_dict(self) -> dict[str, Any]:
        """Return the memory as tensors and plain numbers."""
        return {
            "offered": self.offered,
            "domains": self.domains,
            "rows": self.rows,
            "labels": self.labels,
            "logits": self.logits,
        }

    def _fits(self, rows: Tensor) -> bool:
        return rows.ndim == 1 and len(rows) <= self.size

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state``, which ``state_dict`` returned.

        Raises:
            BadState: It is no memory of at most ``size`` samples.
        """
        size = len(
            check_tensor(state["rows"], "memory: rows", self._fits, f"at most {self.size} rows", torch.int64)
        )
        for name in ("domains", "rows", "labels"):
            check_tensor(
                state[name], f"memory: {name}", _numbers(size), f"{size} whole numbers from 0", torch.int64
            )
        check_tensor(
            state["logits"],
            "memory: logits",
            lambda value: value.shape == (size, 2),
            f"[{size}, 2]",
            torch.float32,
        )
        self.offered = int(state["offered"])
        # On the CPU wherever the checkpoint was mapped to: row numbers are drawn and looked up there.
        for name in ("domains", "rows", "labels", "logits"):
            setattr(self, name, state[name].cpu())


def _numbers(size: int) -> Callable[[Tensor], bool]:
    """Return what says whether a tensor holds ``size`` numbers, none of them below 0."""
    return lambda value: value.shape == (size,) and not bool((value < 0).any())


def equal_shares(available: Sequence[int], budget: int) -> list[int]:
    """Share ``budget`` places out evenly; what one cannot fill goes to the others.

    Args:
        available: How many each could fill.
        budget: Places in all.

    Returns:
        Places of each. No two that could fill more differ by more than one; odd places go to the first.
    """
    shares = [0] * len(available)
    left = min(budget, sum(available))
    while left:
        hungry = [i for i, most in enumerate(available) if shares[i] < most]
        each = max(1, left // len(hungry))
        for i in hungry:
            more = min(each, available[i] - shares[i], left)
            shares[i] += more
            left -= more
    return shares


def balanced_shares(available: Mapping[tuple[int, int], int], budget: int) -> dict[tuple[int, int], int]:
    """Share ``budget`` places out evenly between classes and, within a class, between domains.

    Args:
        available: How many samples there are, by (label, domain).
        budget: Places in all.

    Returns:
        Places by (label, domain).
    """
    classes = sorted({label for label, _ in available})
    groups = [sorted(group for group in available if group[0] == label) for label in classes]
    totals = [sum(available[group] for group in of_class) for of_class in groups]
    shares: dict[tuple[int, int], int] = {}
    for of_class, places in zip(groups, equal_shares(totals, budget), strict=True):
        parts = equal_shares([available[group] for group in of_class], places)
        shares |= dict(zip(of_class, parts, strict=True))
    return shares
