"""The checks, one small function each: what was seen and what is expected, or None where all is well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fretal_bench.errors import BenchError
from fretal_bench.metrics.detection import auc
from fretal_bench.strategies.loading import load
from fretal_bench.strategies.record import check_info
from fretal_bench.strategies.targets import missing_class
from fretal_bench.testing.plain_script import run_script
from fretal_bench.testing.rig import Rig, Trained, TrainingFailed, Walk, digest
from fretal_bench.testing.values import accepted, alternatives, choices, fields, nonsense
from fretal_bench.testing.watcher import MODULES, PARAMETERS
from fretal_bench.testing.world import DOMAINS, SIDE

_IMAGE = 3 * SIDE * SIDE
"""Numbers of an image."""
_REVERSED = 0.4
"""An AUC that is worse than bad luck: on 20 test samples that nothing was learned of it is 0.5 +- 0.14."""


@dataclass(frozen=True)
class Finding:
    """What a check has against a strategy: what it saw, and what it expects."""

    seen: str
    expected: str


CheckFunction = Callable[[Rig], Finding | None]


def describes_itself(rig: Rig) -> Finding | None:
    """The info's fields have their types; the class is there, has a docstring, and its hooks take what they are given."""
    target = rig.info.target
    problem = _missing_class(target) if isinstance(target, str) else None
    problem = problem or check_info(rig.info)
    if problem is None:
        try:
            kind = load(rig.info)
        except BenchError as error:
            return Finding(str(error), "a ContinualStrategy class at StrategyInfo.target")
        if not (kind.__doc__ or "").strip():
            problem = f"{kind.__name__} has no docstring"
    if problem is None and rig.info.memory == "budget" and "memory" not in {f.name for f in fields(rig.info)}:
        problem = f"memory='budget', and {rig.info.constants.__name__} has no field 'memory'"
    return Finding(problem, "an info that says what the class is") if problem else None


def _missing_class(target: str) -> str | None:
    """Say that the file of a row has no class of its target's name; None where it has, or is not imported."""
    if target.startswith(":"):
        return f"target {target!r}: no module that is imported has this row and a class of this name"
    fault = missing_class(target)
    return f"target ':{target.rpartition(':')[2]}': {fault}" if fault else None


def trains_three_domains(rig: Rig) -> Finding | None:
    """It learns three domains; its state changes at each (unless it is a bound)."""
    states = [digest({"m": state["model"], "x": state["extra"]}) for state in rig.trained.saved]
    if rig.info.bound or len(set(states)) == DOMAINS:
        return None
    at = next(number for number in range(1, DOMAINS) if states[number] in states[:number])
    return Finding(f"domain {at} left the state as it was", "something learned from every domain")


def gives_the_same_bytes_again(rig: Rig) -> Finding | None:
    """A second run ends the same, though the global generators were disturbed before each training and each scoring."""
    return _same(
        rig,
        rig.train(disturbed=True),
        "another result in a second run",
        'draws from a generator of its own: draws.of(self.seed, self.step, "a name")',
    )


def resumes_to_the_same_bytes(rig: Rig) -> Finding | None:
    """New objects begun from saved files at every domain end where one object that goes all the way ends."""
    if not rig.info.resumable:
        return None
    whole = rig.train(stopping=False)
    return _same(
        rig,
        whole,
        "one object trained all the way, and new objects begun from state_dict() at every domain, differ",
        "everything that must outlive a domain in extra_state() and load_extra_state()",
    )


def scores_the_same_when_loaded(rig: Rig) -> Finding | None:
    """A new object that reads the state after a domain scores as the one that saved it: what `bench predict` does."""
    if not rig.info.resumable:
        return None
    for step, scores in enumerate(rig.trained.results):
        if digest(rig.walk.scored_by_a_new_object(step)) != scores:
            return Finding(
                f"a new object that has read the state after domain {step} gives other scores",
                "everything that scores depend on in extra_state() and load_extra_state(), and no random draws",
            )
    return None


def does_not_mind_what_else_runs(rig: Rig) -> Finding | None:
    """Steps of another cell of the same strategy between its own change nothing."""
    walk, other = Walk(rig), Walk(rig, seed=2)
    for _ in range(DOMAINS):
        other.step()
        walk.step()
    return _same(
        rig,
        walk.finish(),
        "another result when another cell's steps run between its own",
        "state on the object, none in the class or the module",
    )


def does_not_mind_being_judged_while_it_learns(rig: Rig) -> Finding | None:
    """Judged before every update, as ``bench run --watch`` does, it becomes what it is without."""
    if not rig.info.watchable:
        return None
    return _same(
        rig,
        rig.train(watched=True),
        "another result when it is judged while it learns",
        "probabilities() that change nothing of the strategy, or watchable=False in its row",
    )


def leaves_frozen_modules_alone(rig: Rig) -> Finding | None:
    """A teacher stays in eval mode, its weights and BatchNorm statistics as they are, without gradients."""
    return _faults(rig, MODULES, "strategies.frozen_copy(model), or the same by hand")


def leaves_frozen_parameters_alone(rig: Rig) -> Finding | None:
    """A parameter of the model with ``requires_grad`` off has no gradient and doesn't move."""
    return _faults(rig, PARAMETERS, "no gradient and no update where requires_grad is False")


def respects_its_memory_budget(rig: Rig) -> Finding | None:
    """While a later domain is trained at most ``memory`` old training rows are read or kept as images.

    Images that have lost their shape are counted too: see ``_other_numbers_in``.
    """
    if rig.info.memory == "all":
        return None
    budgets: list[tuple[int, Mapping[str, Any]]] = [(0, {})]
    if rig.info.memory == "budget":
        used = int(rig.base.get("memory", getattr(rig.info.hyperparameters(), "memory", 0)))
        smaller = [m for m in (used // 2,) if accepted(rig.info, {**rig.base, "memory": m})]
        budgets = [(m, {"memory": m}) for m in (used, *smaller)]
    for budget, changes in budgets:
        trained = rig.train(changes) if changes else rig.trained
        for step, reads in enumerate(trained.reads):
            rows = sum(
                len(rows) for (domain, split), rows in reads.items() if split == "train" and domain < step
            )
            if rows > budget:
                return Finding(
                    f"{rows} training rows of older domains read on domain {step}", f"at most {budget}"
                )
        for step, state in enumerate(trained.saved):
            images = _images_in(state["extra"])
            if images > budget:
                return Finding(f"{images} images in the state after domain {step}", f"at most {budget}")
            weights = state["model"].values()
            numbers = _other_numbers_in(state["extra"], {tuple(w.shape) for w in weights})
            images += max(0, numbers - sum(w.numel() for w in weights)) // _IMAGE
            if images > budget:
                return Finding(
                    f"{numbers} numbers in extra_state() after domain {step}, besides those shaped like the model's "
                    f"weights: with the images among them, room for {images} images beyond the model's own size",
                    f"at most {budget}",
                )
    return None


def reads_no_test_data(rig: Rig) -> Finding | None:
    """Neither images nor labels of a validation or test split are read while a domain is trained."""
    for step, reads in enumerate(rig.trained.reads):
        for (domain, split), rows in reads.items():
            if split != "train" and rows:
                return Finding(
                    f"{split} rows of domain {domain} read while domain {step} was trained", "none"
                )
    return None


def reads_no_later_domain(rig: Rig) -> Finding | None:
    """No training row of a domain is read before its turn."""
    for step, reads in enumerate(rig.trained.reads):
        for (domain, split), rows in reads.items():
            if split == "train" and domain > step and rows:
                return Finding(f"rows of domain {domain} read while domain {step} was trained", "none")
    return None


def scores_are_probabilities_of_fake(rig: Rig) -> Finding | None:
    """``score`` gives float32 [N] in [0, 1], and after every domain fakes score higher than reals.

    After the first domain on that domain. Later domains are hard for some (frozen features, a memory of a few samples):
    there it is enough that one of the domains learned so far is told apart, or nearly. Where P(real) is given all of
    them fall far below one half.
    """
    problem = _wrong_scores(rig.trained.scores)
    if problem:
        return problem
    for step, by_domain in enumerate(rig.trained.scores):
        reached = [auc(rig.trained.labels[domain], by_domain[domain]) for domain in range(step + 1)]
        if step == 0 and reached[0] <= 0.5:
            return Finding(
                f"AUC {reached[0]:.2f} on the first domain, just learned",
                "above 0.5: column 1 of probabilities is P(fake)",
            )
        if max(reached) < _REVERSED:
            return Finding(
                f"AUC {', '.join(f'{value:.2f}' for value in reached)} on the domains learned, after domain {step}",
                f"one of at least {_REVERSED}: column 1 of probabilities is P(fake) after every domain",
            )
    return None


def works_in_bf16(rig: Rig) -> Finding | None:
    """With autocast to bfloat16 the weights stay float32 and finite, and the scores are scores."""
    trained = rig.train(precision="bf16")
    for step, state in enumerate(trained.saved):
        for name, value in state["model"].items():
            if value.is_floating_point() and value.dtype != torch.float32:
                return Finding(f"{name} is {value.dtype} after domain {step}", "weights in float32")
            if not bool(torch.isfinite(value).all()):
                return Finding(f"{name} is not finite after domain {step}", "finite weights")
    return _wrong_scores(trained.scores)


def trains_on_plain_avalanche_experiences(rig: Rig) -> Finding | None:
    """It works in an Avalanche user's script: tensors without task labels, a plain model, ``eval`` returns accuracies."""
    try:
        script = run_script(rig)
    except TrainingFailed as error:
        return Finding(
            f"in an Avalanche script, with tensors and a plain model: {error}",
            "clean_batches(experience) for experience.source, mb_task_id for a label of the data, features_and_logits or "
            "head_of(model) for the methods of a timm model; a model that it needs is given to the kit by model=",
        )
    if len(script.accuracies) != DOMAINS + 1:
        return Finding(
            f"{len(script.accuracies)} accuracies from eval()",
            f"those of {DOMAINS} experiences and of the stream: leave evaluator to ContinualStrategy, and return what "
            "super().eval() gives",
        )
    if problem := _wrong_scores((script.scores,)):
        return problem
    # By one sample: batches of other sizes round otherwise.
    if abs(script.of_stream - script.counted) * sum(map(len, script.labels)) > 1.5:
        return Finding(
            f"an accuracy of {script.of_stream:.2f} from eval(), and {script.counted:.2f} by probabilities() at 0.5",
            "a forward() that returns, while is_training is False, logits of what probabilities() judges by",
        )
    return None


def refuses_nonsense(rig: Rig) -> Finding | None:
    """Not-a-number, infinity, negative strengths, words that are no choice, unknown keys and the like are refused."""
    taken = [
        f"{key}={value!r}"
        for change in nonsense(rig.info)
        for key, value in change.items()
        if accepted(rig.info, change)
    ]
    if not taken:
        return None
    return Finding(
        f"{', '.join(taken)} accepted",
        "an error from the record: limits of its fields, or ValueError",
    )


def reacts_to(key: str) -> CheckFunction:
    """Make the check that hyperparameter ``key`` changes the result: every choice, or some other number.

    A value that matters only with some choice of another hyperparameter is tried with each.
    """

    def check(rig: Rig) -> Finding | None:
        (field,) = (field for field in fields(rig.info) if field.name == key)
        values = alternatives(rig.info, field, rig.base)
        if not values:
            return Finding(
                f"no other value of {key} to try", "a number, a bool, or a Literal with two choices"
            )
        if choices(rig.info, key):
            still = [value for value in values if not _reacts(rig, {key: value})]
            if not still:
                return None
            seen = f"the same bytes with {key}={' and '.join(map(repr, still))} as with the default"
            return Finding(seen, "another result for each choice")
        if any(_reacts(rig, {key: value}) for value in values):
            return None
        return Finding(
            f"the same bytes with {key}={' and '.join(map(repr, values))} as with the value in use",
            "a hyperparameter that is declared changes the result",
        )

    check.__doc__ = f"Another value of {key} gives another result."
    return check


def _reacts(rig: Rig, change: Mapping[str, Any]) -> bool:
    """Whether ``change`` changes the result, by itself or with a choice of another hyperparameter."""
    if rig.train(change).digest != rig.trained.digest:
        return True
    for field in fields(rig.info):
        if field.name in change or not (choices(rig.info, field.name) or isinstance(field.default, bool)):
            continue
        for other in alternatives(rig.info, field, rig.base):
            setting = {field.name: other}
            if accepted(rig.info, {**rig.base, **setting, **change}) and (
                rig.train({**setting, **change}).digest != rig.train(setting).digest
            ):
                return True
    return False


def _same(rig: Rig, other: Trained, seen: str, expected: str) -> Finding | None:
    """Compare states and scores after every domain: what is on the object alone changes scores, not states."""
    for step in range(DOMAINS):
        if rig.trained.states[step] != other.states[step]:
            return Finding(f"{seen} (from domain {step} on)", expected)
        if rig.trained.results[step] != other.results[step]:
            return Finding(f"{seen} (scores from domain {step} on)", expected)
    return None


def _faults(rig: Rig, kind: str, expected: str) -> Finding | None:
    faults = rig.trained.faults.get(kind, ())
    return Finding("; ".join(faults[:3]), expected) if faults else None


def _wrong_scores(scores: tuple[tuple[NDArray[np.float32], ...], ...]) -> Finding | None:
    expected = "float32 [N] in [0, 1]"
    for step, by_domain in enumerate(scores):
        for scored in by_domain:
            if scored.dtype != np.float32 or scored.ndim != 1:
                return Finding(f"scores {scored.dtype} {list(scored.shape)} after domain {step}", expected)
            if not bool(((scored >= 0) & (scored <= 1)).all()):
                wrong = scored[~((scored >= 0) & (scored <= 1))][0]
                return Finding(f"a score of {wrong} after domain {step}", expected)
    return None


def _images_in(state: Any) -> int:
    """Count the images inside a state: tensors [N, 32, 32, 3] or [N, 3, 32, 32], or one image."""
    if isinstance(state, Mapping):
        return sum(_images_in(value) for value in state.values())
    if isinstance(state, list | tuple):
        return sum(_images_in(value) for value in state)
    return int(np.prod(state.shape[:-3])) if _is_images(state) else 0


def _other_numbers_in(state: Any, weights: AbstractSet[tuple[int, ...]]) -> int:
    """Count the numbers inside a state that could be the pixels of flattened, cut or shrunken images.

    Elements of tensors, and plain numbers. Left out are tensors in the shape of a weight of the model (importances,
    anchors, a teacher) and those that ``_images_in`` counts. What else strategies keep (class sums, a scatter matrix,
    centroids, row numbers) is together smaller than the model, which ``respects_its_memory_budget`` allows.
    """
    if isinstance(state, Mapping):
        return sum(_other_numbers_in(value, weights) for value in state.values())
    if isinstance(state, list | tuple):
        return sum(_other_numbers_in(value, weights) for value in state)
    if isinstance(state, torch.Tensor):
        return 0 if _is_images(state) or tuple(state.shape) in weights else state.numel()
    return int(isinstance(state, int | float))


def _is_images(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and tuple(value.shape[-3:]) in ((SIDE, SIDE, 3), (3, SIDE, SIDE))


CHECKS: tuple[CheckFunction, ...] = (
    describes_itself,
    refuses_nonsense,
    trains_three_domains,
    gives_the_same_bytes_again,
    resumes_to_the_same_bytes,
    scores_the_same_when_loaded,
    does_not_mind_what_else_runs,
    does_not_mind_being_judged_while_it_learns,
    leaves_frozen_modules_alone,
    leaves_frozen_parameters_alone,
    respects_its_memory_budget,
    reads_no_test_data,
    reads_no_later_domain,
    scores_are_probabilities_of_fake,
    works_in_bf16,
    trains_on_plain_avalanche_experiences,
)
"""Those that every strategy must pass; ``reacts_to`` adds one a hyperparameter."""
