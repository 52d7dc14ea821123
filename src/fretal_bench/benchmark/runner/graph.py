"""Steps named by their history, and the graph of them that a run has to compute.

A step is a model at a point of its history: before any training (number -1), or after domain 0, 1, 2, ... Its id is a
chain of hashes: that of the untrained model says which strategy (hyperparameters, origin, revision), recipe and seed;
every domain adds the content of its training and validation samples. Nothing of later domains, of test samples or of
names is in it, so streams that begin alike share their first steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.runner.content import content_id

SOURCE: Final = "source"
"""The strategy of source models: plain training on the first domain."""


@dataclass(frozen=True)
class Step:
    """A model at a point of its history.

    Attributes:
        id: Hash of that history.
        number: The domain that was learned last, from 0; -1 for a model that learned none.
        before: The step that it goes on from; None for an untrained model.
        strategy: The strategy's name, or ``source``.
        label: What to call it.
        hyperparameters: All of them.
        recipe: The recipe, its device resolved.
        seed: The seed.
        stream: Name or path that opens the stream in which its domains are.
        order: Names of all domains of that stream, in the order in which they are learned.
        origin: The plugin that the strategy comes from, with its version.
        revision: The strategy's.
        resumable: Whether it can be trained from the state of the step before; if not, all steps up to it are trained
            in one piece.
        learned: The content of the domain that it learned, ``learned_content``; None for a step that trained none.
        fold: Which fold of the stream its domains are of.
    """

    id: str
    number: int
    before: Step | None = field(repr=False)
    strategy: str
    label: str
    hyperparameters: Mapping[str, Any]
    recipe: Recipe
    seed: int
    stream: str
    order: tuple[str, ...]
    origin: str = ""
    revision: int = 0
    resumable: bool = True
    learned: Mapping[str, Any] | None = field(default=None, repr=False)
    fold: int = 0

    @property
    def domain(self) -> str:
        """Name of the domain that was learned last; empty if none was."""
        return self.order[self.number] if self.number >= 0 else ""

    @property
    def kind(self) -> Literal["untrained", "adopted", "trained"]:
        """``adopted``: the strategy takes over a source model; no domain is trained."""
        if self.before is None:
            return "untrained"
        return "adopted" if self.before.number == self.number else "trained"

    @property
    def path(self) -> tuple[Step, ...]:
        """All steps up to this one, from the untrained model."""
        return (*(self.before.path if self.before else ()), self)


@dataclass(frozen=True)
class TestSet:
    """The samples of one split of a domain, that steps are judged on.

    Attributes:
        id: Hash of the store's content and the row numbers; see ``set_id``.
        domain: The domain's name.
        split: ``test`` or ``val``.
        stream: What opens the stream, or the further test sets, that it is in.
        further: Whether ``stream`` is of further test sets (``bench score``).
        data: Stores, or folders of stores, for further test sets of a stream that doesn't name its own.
        corruption: The name of what is done to its pixels (``datasets.corruptions``); empty for nothing.
        fold: Which fold of that stream it is of.
    """

    __test__ = False  # not a test, whatever pytest thinks of its name

    id: str
    domain: str
    split: Literal["test", "val"]
    stream: str
    further: bool = False
    data: tuple[str, ...] = ()
    corruption: str = ""
    fold: int = 0


def step_ids(
    domains: Sequence[Mapping[str, Any]],
    recipe: Mapping[str, Any],
    seed: int,
    strategy: Mapping[str, Any],
    *,
    adopts: bool,
) -> tuple[str, ...]:
    """Return the ids of the steps of a cell, from the untrained model to the last domain.

    ``id(untrained) = H(recipe, seed, strategy)``; ``id(k) = H(id(k - 1), training and validation content of domain k)``.
    A strategy that adopts the source model has two more at the beginning, the source model's, and
    ``id(0) = H(id of the source model, strategy)``.

    Args:
        domains: What the stream's fingerprint says of each domain, in the order in which they are learned.
        recipe: ``Recipe.content()``.
        seed: The seed.
        strategy: ``strategy_content``.
        adopts: Whether the strategy adopts the source model.
    """
    first = strategy_content(SOURCE, {}) if adopts else strategy
    ids = [content_id({"recipe": recipe, "seed": seed, **first})]
    for number, domain in enumerate(domains):
        ids.append(trained_id(ids[-1], learned_content(domain)))
        if adopts and number == 0:
            ids.append(adopted_id(ids[-1], strategy))
    return tuple(ids)


def adopts_source(steps: Sequence[str], domains: Sequence[Any]) -> bool:
    """Whether a cell with these steps along these domains adopts the source model, which has two steps of its own."""
    return len(steps) == len(domains) + 2


def path_of(
    ids: Sequence[str],
    domains: Sequence[Mapping[str, Any]],
    recipe: Recipe,
    seed: int,
    stream: str,
    own: Mapping[str, Any],
    fold: int = 0,
) -> tuple[Step, ...]:
    """Return the steps of a cell, from the untrained model to the last domain.

    Args:
        ids: Their ids, ``step_ids``.
        domains: What the stream's fingerprint says of each domain, in the order in which they are learned.
        recipe: The recipe.
        seed: The seed.
        stream: What opens the stream.
        own: The attributes of the steps that say which strategy it is: ``strategy``, ``label``, ``hyperparameters``,
            ``origin``, ``revision``, ``resumable``.
        fold: Which fold of the stream it is.
    """
    adopts = adopts_source(ids, domains)
    of_source = {"strategy": SOURCE, "label": f"source model, seed {seed}", "hyperparameters": {}}
    contents = [learned_content(domain) for domain in domains]
    names = tuple(domain["name"] for domain in domains)
    steps: list[Step] = []
    for place, id in enumerate(ids):
        number = place - 1 - (adopts and place > 1)
        is_trained = place > 0 and not (adopts and place == 2)
        steps.append(
            Step(
                id=id,
                number=number,
                before=steps[-1] if steps else None,
                recipe=recipe,
                seed=seed,
                stream=stream,
                order=names,
                learned=contents[number] if is_trained else None,
                fold=fold,
                **(of_source if adopts and place < 2 else own),
            )
        )
    return tuple(steps)


def trained_id(before: str, learned: Mapping[str, Any]) -> str:
    """Return the id of a step that trained a domain: ``H(id of the step before, learned_content)``."""
    return content_id({"before": before, "domain": learned})


def adopted_id(source: str, strategy: Mapping[str, Any]) -> str:
    """Return the id of a step that adopted a source model: ``H(id of that, strategy_content)``."""
    return content_id({"before": source, **strategy})


def strategy_content(
    name: str, hyperparameters: Mapping[str, Any], origin: str = "", revision: int = 0
) -> dict[str, Any]:
    """Return what identifies a strategy in ids, as plain data."""
    return {
        "strategy": name,
        "hyperparameters": hyperparameters,
        "origin": origin,
        "revision": revision,
    }


def set_id(domain: Mapping[str, Any], split: str) -> str:
    """Return the id of a test set: a hash of its store's content, its row numbers, and what is done to its pixels.

    Args:
        domain: What the stream's fingerprint says of the domain; ``corruption`` besides where there is one.
        split: ``test`` or ``val``.
    """
    corrupted = {"corruption": domain["corruption"]} if domain.get("corruption") else {}
    return content_id({"store": domain["store"], "rows": domain["rows"][split], **corrupted})


def learned_content(domain: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a domain is part of a step's id: store, and training and validation rows.

    Args:
        domain: What the stream's fingerprint, or ``Domain.content``, says of the domain.
    """
    rows = domain["rows"]
    return {"store": domain["store"], "train": rows["train"], "val": rows["val"]}
