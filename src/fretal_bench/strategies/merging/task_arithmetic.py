"""Task arithmetic: the differences that domains make to one source model, added up or merged by TIES."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from fretal_bench.strategies import merging
from fretal_bench.strategies.merging import Statistics
from fretal_bench.strategies.merging.merging_strategy import MergingStrategy
from fretal_bench.strategies.merging.points import (
    Point,
    copied,
    difference,
    moved,
    point_of,
    state_of,
)
from fretal_bench.strategies.merging.ties import ties
from fretal_bench.strategies.state import BadState, check_table, check_weights

_LEAST_VARIANCE = 0.1
"""Of a merged BatchNorm layer, in variances of the source model, where the sum of the task vectors extrapolates."""


class TaskArithmetic(MergingStrategy):
    """``theta^m_t = theta_0 + lambda tau``, every domain trained from ``theta_0``; ``tau_i = theta_i - theta_0``.

    ``theta_0`` is the model after the first domain, which so has ``tau = 0`` and is in ``theta_0``: models that begin at
    random weights lie in no common basin.

    - ``merge=sum``: ``tau = sum_i tau_i``. Kept: theta_0 and the sum of the tau_i.
    - ``merge=ties``: of every tau_i only the ``keep`` per cent of its entries that are largest, one threshold for all
      its weights; for every entry the sign of their sum; ``tau`` is the mean of those that are not 0 and have this sign
      (``ties.py``). Kept: theta_0 and every theta_i, a model a domain.

    Which entries: with ``ties`` the weights that are trained. BatchNorm's statistics and other buffers, whose scale is
    another, take no part in trimming and election; their tau is the plain mean of the tau_i (and BatchNorm's are then
    measured anew, unless ``batchnorm`` says otherwise). With ``sum`` all entries are treated alike. BatchNorm by second
    moments as in ``points.py``. Where ``lambda`` times the number of domains is above 1 a merged variance can come out
    negative; none is let below a tenth of theta_0's.

    All weights are merged, the head as well: all domains have the same two classes. The papers merge once, models of
    independent tasks; here those of the domains so far are merged after every domain.

    Source: Ilharco et al., "Editing Models with Task Arithmetic", ICLR 2023; Yadav et al., "TIES-Merging: Resolving
    Interference When Merging Models", NeurIPS 2023, algorithm 1.
    """

    info = merging.TASK_ARITHMETIC

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kept: list[dict[str, Tensor]] = []
        """Of ``sum``: the sum of the task vectors, one point in float32; of ``ties``: the state after every domain."""

    def statistics_rule(self) -> Statistics:
        """Return ``merge`` for sums and ``reestimate`` for TIES where nothing else is said."""
        constants = self.hyperparameters
        if constants.batchnorm == "auto":
            return "reestimate" if constants.merge == "ties" else "merge"
        return super().statistics_rule()

    def before_domain(self, experience: Any) -> None:
        """Go back to the source model."""
        if self.step == 1:
            super().before_domain(experience)
        self.model.load_state_dict(self.start)
        # In a script that goes on with one optimiser: its momentum is of another training.
        self.optimizer.state.clear()

    def merged(self) -> dict[str, Tensor]:
        """Return the source model with the merged task vector."""
        trained = self.model.state_dict()
        start = point_of(self.start, self.start)
        if self.hyperparameters.merge == "ties":
            self.kept.append(copied(trained))
            tau = self._ties()
        else:
            tau = self._sum(difference(point_of(trained, self.start), start))
        scale = float(self.hyperparameters.lambda_)
        extrapolates = scale * (self.step if self.hyperparameters.merge == "sum" else 1) > 1
        least = _LEAST_VARIANCE if extrapolates else None
        return state_of(moved(start, tau, scale), self.start, trained, least)

    def _sum(self, tau: Point) -> Point:
        """Add a task vector to the sum of those before it."""
        for total in self.kept:
            tau = {name: part + total[name].double() for name, part in tau.items()}
        self.kept = [self._stored(tau)]
        return tau

    @staticmethod
    def _stored(tau: Point) -> dict[str, Tensor]:
        return {name: part.float() for name, part in tau.items()}

    def _ties(self) -> Point:
        """Merge the task vectors of all domains so far."""
        start = point_of(self.start, self.start)
        weights = {name for name, w in self.model.named_parameters(remove_duplicate=False) if w.requires_grad}
        rest: Point = {name: torch.zeros_like(part) for name, part in start.items() if name not in weights}
        for state in self.kept:
            point = point_of(state, self.start)
            for name, total in rest.items():
                total += (point[name] - start[name]) / len(self.kept)

        def tasks() -> Iterator[Point]:
            own = {name: part for name, part in start.items() if name in weights}
            return (difference(point_of(state, self.start), own) for state in self.kept)

        return rest | ties(tasks, self.hyperparameters.keep)

    def extra_state(self) -> dict[str, Any]:
        """Keep the source model, unless the checkpoint itself is that, and the task vectors."""
        return {"start": self.start if self.step > 1 else {}, "kept": self.kept}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore the source model and the task vectors."""
        of_tasks = max(0, self.step - 1)
        expected = of_tasks if self.hyperparameters.merge == "ties" else min(1, of_tasks)
        if len(state["kept"]) != expected:
            raise BadState(
                f"kept: expected {expected} task vectors or models after {self.step} domains, found {len(state['kept'])}"
            )
        if not of_tasks:
            if state["start"]:
                raise BadState("start: expected nothing before the second domain, found a model")
            self.start, self.kept = {}, []
            return
        check_weights(state["start"], self.model)
        self.start = copied(state["start"])
        self.kept = [self._checked(kept) for kept in state["kept"]]

    def _checked(self, kept: Any) -> dict[str, Tensor]:
        if self.hyperparameters.merge == "ties":
            check_weights(kept, self.model)
            return copied(kept)
        like = self._stored(point_of(self.start, self.start))
        return copied(check_table(kept, like, "a sum of task vectors"))
