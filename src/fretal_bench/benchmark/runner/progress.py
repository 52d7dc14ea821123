"""Progress of a run: what is reported while it trains, and to whom."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Where a cell is in its training; sent to whoever watches.

    Args:
        work: Id of the cell or source model.
        label: What to call it.
        phase: ``train``, ``after`` (what the strategy does at a domain's end), ``evaluate`` or ``done``.
        domain: Name of the domain.
        step: Number of the domain, from 0.
        steps: Number of domains.
        epoch: Epoch, from 1.
        epochs: Epochs of this domain.
        share: Share of this domain's updates that are done.
        loss: Loss of the last batch.
        images_per_second: Training images a second since the last report.
    """

    work: str
    label: str
    phase: str
    domain: str = ""
    step: int = 0
    steps: int = 1
    epoch: int = 0
    epochs: int = 0
    share: float = 0.0
    loss: float = math.nan
    images_per_second: float = 0.0


Listener = Callable[[Progress], None]
