"""The average of the old and the new weights."""

from __future__ import annotations

from torch import Tensor

from fretal_bench.strategies import merging
from fretal_bench.strategies.merging.merging_strategy import MergingStrategy
from fretal_bench.strategies.merging.points import interpolated, point_of, state_of


class WeightAveraging(MergingStrategy):
    """``theta^m_t = (1 - a) theta^m_{t-1} + a theta_t``; training of domain t begins at ``theta^m_{t-1}``.

    - ``rule=interpolation``: a = ``alpha``. 1 is fine-tuning, 0 the source model; with a fixed a old domains fade.
    - ``rule=mean``: a = 1/t, t counting the domains from 1, so that ``theta^m_t`` is the mean of the models that the
      domains left, the source model among them. Here too a training begins at the merged model: that is how CoFiMA's
      code goes on after averaging, and nothing but the merged model has to be kept. (The mean of the models of plain
      fine-tuning, each of which begins at the last, is another method.)

    All weights are averaged, the head as well: all domains have the same two classes. BatchNorm's statistics: see
    ``MergingStrategy``; merged ones are those of a mixture of a share a of the new model's and 1 - a of the old one's.

    WiSE-FT interpolates once, between a zero-shot and a fine-tuned model; the stream's form is that of CoFiMA without its
    Fisher information.

    Source: Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022, equation 1; Marouf et al., "Weighted
    Ensemble Models Are Strong Continual Learners" (CoFiMA), ECCV 2024.
    """

    info = merging.WEIGHT_AVERAGING

    def share(self) -> float:
        """Return a, the share of the newly trained weights."""
        constants = self.hyperparameters
        return 1 / (self.step + 1) if constants.rule == "mean" else float(constants.alpha)

    def merged(self) -> dict[str, Tensor]:
        """Return the average."""
        trained = self.model.state_dict()
        old, new = point_of(self.start, self.start), point_of(trained, self.start)
        return state_of(interpolated(old, new, self.share()), self.start, trained)
