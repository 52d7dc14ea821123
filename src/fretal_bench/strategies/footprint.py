"""The footprint of a strategy: weights that learn, weights beyond the backbone's, and bytes kept between two domains."""

from __future__ import annotations

from dataclasses import dataclass

from fretal_bench.strategies.state import tensor_bytes
from fretal_bench.strategies.template import ContinualStrategy


@dataclass(frozen=True)
class Footprint:
    """What a strategy takes besides time, after a domain.

    Attributes:
        weights: Weights of the model that the strategy was given (the recipe's), the base of shares.
        trainable: Of the weights that the optimiser has, those that learned in the domain trained last; 0 where nothing
            was trained, None where the domain was not trained here.
        extra: Numbers that judging needs beyond that model: adapters, heads, statistics (``extra_weights``).
        kept: Bytes that must be stored for the next domain beyond the weights of one plain model: the tensors of the
            saved state, and the images that a memory names, as the crop store has them. A teacher that is the last
            model is that model, and adds nothing. None where it is not known: state that cannot be saved, or a plugin
            with old samples that does not count them.
    """

    weights: int
    trainable: int | None
    extra: int
    kept: int | None


def footprint(strategy: ContinualStrategy, image: int, *, trained: bool, resumable: bool) -> Footprint:
    """Return the footprint of a strategy that has learned a domain.

    Args:
        strategy: The strategy.
        image: Bytes of a stored image.
        trained: Whether it trained the domain, rather than adopting a model that learned it.
        resumable: Whether its state can be gone on from.
    """
    images = strategy.kept_images()
    kept = None
    if resumable and images is not None:
        kept = tensor_bytes(strategy.state_dict()) - strategy.plain_bytes + images * image
    return Footprint(
        strategy.plain_weights,
        strategy.trainable_weights if trained else None,
        strategy.extra_weights(),
        kept,
    )
