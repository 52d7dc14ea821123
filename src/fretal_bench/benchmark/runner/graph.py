"""Steps named by their history, and the graph of them that a run has to compute.

A step is a model at a point of its history: before any training (number -1), or after domain 0, 1, 2, ... Its id is a
chain of hashes: that of the untrained model says which strategy (hyperparameters, origin, revision), recipe and seed;
every domain adds the content of its training and validation samples. Nothing of later domains, of test samples or of
names is in it, so streams that begin alike share their first steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.runner.content import content_id
from fretal_bench.datasets.streams.domain import NO_ROWS

if TYPE_CHECKING:
    from fretal_bench.benchmark.detectors.architecture import Architecture

SOURCE: Final = "source"
"""The strategy of source models: plain training on the first domain."""


@dataclass(frozen=True)
class Source:
    """A source model that the user brought: what builds its network, and what identifies it.

    Attributes:
        architecture: What builds its network.
        content: Its weights' hash and its architecture, as plain data.
    """

    architecture: Architecture
    content: Mapping[str, Any] = field(repr=False)


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
        source: The source model that the user brought and that its history begins with; None without one.
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
    source: Source | None = field(default=None, repr=False)

    @property
    def domain(self) -> str:
        """Name of the domain that was learned last; empty if none was."""
        return self.order[self.number] if self.number >= 0 else ""

    @property
    def kind(self) -> Literal["untrained", "brought", "adopted", "trained"]:
        """``adopted``: the strategy takes over a source model; no domain is trained. ``brought``: that is the user's."""
        if self.before is None:
            return "untrained" if self.source is None else "brought"
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
    brought: Mapping[str, Any] | None = None,
) -> tuple[str, ...]:
    """Return the ids of the steps of a cell, from the untrained model to the last domain that is learned.

    A domain without training rows is learned by nobody, adds nothing to the history and has no step of its own.

    ``id(untrained) = H(recipe, seed, strategy)``; ``id(k) = H(id(k - 1), training and validation content of domain k)``.
    A strategy that adopts the source model has two more at the beginning, the source model's, and
    ``id(0) = H(id of the source model, strategy)``. A source model that the user brought takes the place of its two
    steps: ``id(brought) = H(recipe, its weights and architecture)``, the same for every seed, and the step that adopts it
    is ``H(id(brought), strategy, seed)``.

    Args:
        domains: What the stream's fingerprint says of each domain, in the order in which they are learned.
        recipe: ``Recipe.content()``.
        seed: The seed.
        strategy: ``strategy_content``.
        adopts: Whether the strategy adopts the source model.
        brought: ``Source.content`` of the source model that the user brought; None without one.
    """
    if brought is not None:
        ids = [brought_id(recipe, brought)]
        ids.append(adopted_id(ids[0], {**strategy, "seed": seed}))
        for domain in domains:
            if is_learned(domain):
                ids.append(trained_id(ids[-1], learned_content(domain)))
        return tuple(ids)
    first = strategy_content(SOURCE, {}) if adopts else strategy
    ids = [content_id({"recipe": recipe, "seed": seed, **first})]
    for number, domain in enumerate(filter(is_learned, domains)):
        ids.append(trained_id(ids[-1], learned_content(domain)))
        if adopts and number == 0:
            ids.append(adopted_id(ids[-1], strategy))
    return tuple(ids)


def adopts_source(steps: Sequence[str], domains: Sequence[Any]) -> bool:
    """Whether a cell with these steps along these domains adopts the source model, which has two steps of its own."""
    learned = [domain for domain in domains if is_learned(domain)]
    return len(steps) == len(learned) + 2


def is_learned(domain: Any) -> bool:
    """Whether a domain has training rows, by what the fingerprint or the plan says of it."""
    rows = domain["rows"]["train"] if isinstance(domain, Mapping) else domain.rows.train
    return bool(rows != NO_ROWS)


def brought_id(recipe: Mapping[str, Any], brought: Mapping[str, Any]) -> str:
    """Return the id of a source model that the user brought: of its tensors and architecture, and of the recipe."""
    return content_id({"recipe": recipe, "brought": brought, **strategy_content(SOURCE, {})})


def judged_rows(path: Sequence[Step]) -> tuple[tuple[int, Step], ...]:
    """Return which step of a cell is judged as each row of its matrices, from -1, before training, to the last domain.

    Where a source model is adopted, the step that adopted it. Where nobody learns a domain, the step before.
    """
    numbers = range(-1, len(path[-1].order))
    return tuple((number, [step for step in path if step.number <= number][-1]) for number in numbers)


def path_of(
    ids: Sequence[str],
    domains: Sequence[Mapping[str, Any]],
    recipe: Recipe,
    seed: int,
    stream: str,
    own: Mapping[str, Any],
    fold: int = 0,
    source: Source | None = None,
) -> tuple[Step, ...]:
    """Return the steps of a cell, from the untrained or brought model to the last domain that is learned.

    Args:
        ids: Their ids, ``step_ids``.
        domains: What the stream's fingerprint says of each domain, in the order in which they are learned.
        recipe: The recipe.
        seed: The seed.
        stream: What opens the stream.
        own: The attributes of the steps that say which strategy it is: ``strategy``, ``label``, ``hyperparameters``,
            ``origin``, ``revision``, ``resumable``.
        fold: Which fold of the stream it is.
        source: The source model that the user brought; None without one.
    """
    adopts = adopts_source(ids, domains)
    called = f"source model, seed {seed}" if source is None else "the source model that was brought"
    of_source = {"strategy": SOURCE, "label": called, "hyperparameters": {}}
    learned = [number for number, domain in enumerate(domains) if is_learned(domain)]
    # The source model's number twice where a strategy adopts it.
    numbers = [-1, *learned]
    if adopts:
        at = 0 if source is not None else 1
        numbers.insert(at, numbers[at])
    names = tuple(domain["name"] for domain in domains)
    steps: list[Step] = []
    for place, (id, number) in enumerate(zip(ids, numbers, strict=True)):
        of_model = adopts and place < (1 if source is not None else 2)
        is_trained = place > 0 and number != numbers[place - 1]
        steps.append(
            Step(
                id=id,
                number=number,
                before=steps[-1] if steps else None,
                recipe=recipe,
                # One for all seeds.
                seed=0 if source is not None and place == 0 else seed,
                stream=stream,
                order=names,
                learned=learned_content(domains[number]) if is_trained else None,
                fold=fold,
                source=source,
                **(of_source if of_model else own),
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
