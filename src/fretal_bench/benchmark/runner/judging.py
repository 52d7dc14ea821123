"""Finished steps judged on further or corrupted test sets: nothing is trained, the cells get more scores."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd

from fretal_bench import files, parsing
from fretal_bench.benchmark.recipes.device import resolve_device
from fretal_bench.benchmark.recipes.recipe import recorded_recipe
from fretal_bench.benchmark.runner import documents, score_table
from fretal_bench.benchmark.runner.brought import recorded_source
from fretal_bench.benchmark.runner.call import STREAM_FILE, check_jobs
from fretal_bench.benchmark.runner.documents import CellFile, FurtherContent, PlanFile
from fretal_bench.benchmark.runner.engines import run_agenda
from fretal_bench.benchmark.runner.folder import REMEDY, ResultFolder, write_frame
from fretal_bench.benchmark.runner.graph import Step, TestSet, adopts_source, path_of, set_id
from fretal_bench.benchmark.runner.joining import Judgements, Samples
from fretal_bench.benchmark.runner.opened import use_sets, use_stream
from fretal_bench.benchmark.runner.pool import Pool
from fretal_bench.benchmark.runner.progress import Listener
from fretal_bench.benchmark.runner.ray_cluster import Cluster, asked_for
from fretal_bench.benchmark.runner.results import further_place, stream_of_order
from fretal_bench.benchmark.runner.seals import Sealed, read_about, seal
from fretal_bench.benchmark.runner.task import Outcome, Task
from fretal_bench.datasets.corruptions import corrupted_name, corruptions
from fretal_bench.datasets.progress import ProgressCallback
from fretal_bench.datasets.streams.domain import NO_ROWS, Domain, row_hash
from fretal_bench.datasets.streams.further_sets import folds_at, open_test_sets, test_set
from fretal_bench.datasets.streams.leakage import check_apart
from fretal_bench.datasets.streams.stream import Stream, open_stream
from fretal_bench.errors import BenchError, BenchWarning
from fretal_bench.strategies.registry import find_strategy
from fretal_bench.workers import default_jobs

_PAUSE: Final = 0.5
"""Seconds to wait for another process's step where there is nothing else to do."""


@dataclass(frozen=True)
class ScoreCall:
    """What ``bench score`` asks for.

    Args:
        results: The result folder.
        on: What to judge on: the name of a stream, the path of its TOML file, or the folder of a crop store; nothing
            where ``corrupt`` is given.
        data: Stores, or folders of stores, for a stream that doesn't name its own.
        stream: What opens the stream that the cells were trained on, if that is not built in and not in the folder.
        device: Overrides the device of the cells' recipe.
        jobs: Processes; results don't depend on it.
        pool: Where the steps are; default what the folder's plan says.
        ray: As ``Call``'s.
        gpus_per_step: As ``Call``'s.
        corrupt: Judge the last step of every cell on the stream's own test samples, so corrupted
            (``datasets.corruptions.corruptions``).
        model: ``FILE.py:FUNCTION``, where the cells began with code of the user's own; it is run only if it is that.
    """

    results: str | os.PathLike[str]
    on: str = ""
    data: Sequence[str | os.PathLike[str]] = ()
    stream: str | None = None
    device: str | None = None
    jobs: int | None = None
    pool: str | os.PathLike[str] | None = None
    ray: str | None = None
    gpus_per_step: float = 1.0
    corrupt: str = ""
    model: str = ""


@dataclass(frozen=True)
class Judged:
    """A done cell and the steps of it that can be judged.

    Attributes:
        id: The cell's id.
        label: What to call it.
        steps: Those whose state is at hand, in order; by number what is judged as.
        fold: Which fold of the stream it is of.
    """

    id: str
    label: str
    steps: tuple[Step, ...]
    fold: int = 0


@dataclass(frozen=True)
class JudgedSet:
    """A test set.

    Attributes:
        domain: Its samples.
        ref: What identifies them.
        folds: The folds whose cells it is for: whom it tests, these were not trained on.
    """

    domain: Domain
    ref: TestSet
    folds: frozenset[int]


@dataclass
class JudgingAgenda:
    """The tasks of ``bench score``, one a step, in the order of the cells; what another process is at is put off.

    Attributes:
        pool: The pool.
        left: Tasks that are left.
        reasons: Why a step could not be judged, by its id.
        tasks: How many there were.
    """

    pool: Pool
    left: list[Task]
    reasons: dict[str, str] = field(default_factory=dict)
    tasks: int = 0

    def __post_init__(self) -> None:
        self.tasks = len(self.left)

    def take(self) -> Task | None:
        """Return the next task; None if none is left."""
        return self.left.pop(0) if self.left else None

    def done(self, task: Task, outcome: Outcome) -> bool:
        """Take in what became of a task."""
        if outcome.busy:
            self.left.append(dataclasses.replace(task, wait=_PAUSE))
        elif outcome.reason:
            self.reasons[task.step.id] = outcome.reason
        return False

    def is_needed(self, id: str) -> bool:
        """Whether a task that is left begins with the state of a step."""
        return any(task.needs == id for task in self.left)

    def settle(self) -> None:
        """Do nothing: the cells get their scores when all is judged."""


@dataclass(frozen=True)
class Scoring:
    """A judging that is ready.

    Attributes:
        folder: The result folder.
        sets: The test sets, those of all folds.
        cells: The cells.
        agenda: The tasks.
        jobs: Processes.
        left_out: Why cells are not judged, by their label.
        cluster: What judges, if not this machine.
    """

    folder: ResultFolder
    sets: tuple[JudgedSet, ...]
    cells: tuple[Judged, ...]
    agenda: JudgingAgenda
    jobs: int
    left_out: dict[str, str]
    cluster: Cluster | None = None


def prepare_scoring(call: ScoreCall, building: ProgressCallback | None = None) -> Scoring:
    """Check everything that can be wrong with a judging; judge nothing.

    Args:
        call: The call.
        building: Told (done, total) while a built-in data set is made on first use.

    Raises:
        BenchError: Something in the call is wrong; the message says what to do.
    """
    check_jobs(call.jobs)
    _check_asked(call)
    cluster = asked_for(call.ray, call.jobs, call.gpus_per_step)
    folder = ResultFolder(call.results)
    _, plan = documents.read_plan(folder.path)
    if plan.imported is not None:
        raise BenchError(
            f"{folder.path}: its scores were imported from {plan.imported.words}: there is no detector here to judge with"
        )
    pool = Pool(call.pool if call.pool is not None else folder.pool)
    sets = (_corrupted_sets if call.corrupt else _further_sets)(call, folder, plan, building)
    if call.model and cluster is not None:
        raise BenchError(
            f"--ray {call.ray}: --model is code of your own, which other machines don't have; leave one of the two out"
        )
    cells, left_out = _cells(folder, plan, pool, call, elsewhere=cluster is not None)
    if not cells:
        first = next(iter(left_out.items()), None)
        reason = f"{first[0]}: {first[1]}" if first else "no cell is done"
        raise BenchError(f"{folder.path}: no cell can be judged; {reason}")
    if call.corrupt:
        # The detector that is left in the end: what corruption does on the way is nobody's question.
        cells = tuple(dataclasses.replace(cell, steps=cell.steps[-1:]) for cell in cells)
    _check_crops(folder, cells, [of.domain for of in sets])
    agenda = JudgingAgenda(pool, _tasks(pool, cells, sets))
    device = cells[0].steps[0].recipe.device
    return Scoring(folder, sets, cells, agenda, call.jobs or default_jobs(device), left_out, cluster)


def _check_asked(call: ScoreCall) -> None:
    """Refuse a call that says not, or twice, what to judge on."""
    if not call.on and not call.corrupt:
        raise BenchError("nothing to judge on; give --on STREAM or STORE, or --corrupt all")
    if call.on and call.corrupt:
        raise BenchError(
            "--corrupt is of the stream's own test sets, --on of others; give one of the two, and call twice for both"
        )
    if call.data and call.corrupt:
        raise BenchError("--data is for --on; with --corrupt say as --stream what opens the stream")


def _further_sets(
    call: ScoreCall, folder: ResultFolder, plan: PlanFile, building: ProgressCallback | None
) -> tuple[JudgedSet, ...]:
    """Open the test sets that were never trained on: of a stream with the same folds those of every cell's fold."""
    data = tuple(os.path.abspath(path) for path in call.data)
    place = str(Path(call.on).absolute()) if os.path.exists(call.on) and "/" in call.on else call.on
    folds = _folds(folder, plan)
    # Folds of another number are of other people: then it is the store's own split that is judged on, or refused.
    follows = len(plan.folds) > 0 and folds_at(place) == len(plan.folds) + 1
    opened: dict[int, tuple[Domain, ...]] = {}
    for fold in folds if follows else (0,):
        opened[fold] = open_test_sets(place, data, None if opened else building, verify=not opened, fold=fold)
    sets = [
        JudgedSet(domain, ref, frozenset((fold,) if follows else folds))
        for fold, of_fold in opened.items()
        for domain in of_fold
        for id in (set_id(domain.fingerprint(), "test"),)
        for ref in (TestSet(id, domain.name, "test", place, further=True, data=data, fold=fold),)
    ]
    _check_names(plan, sets, f"--on {call.on}")
    _, trained = _trained_on(call, folder, plan, building)
    for fold in folds:
        _check_apart(plan, fold, trained[fold], [of.domain for of in sets if fold in of.folds])
    for fold, of_fold in opened.items():
        use_sets((place, data, fold), of_fold)
    return tuple(sets)


def _folds(folder: ResultFolder, plan: PlanFile) -> tuple[int, ...]:
    """Return the folds of which there are done cells; the first where there is none."""
    done = {plan.fold_of(entry.seed) for entry in plan.cells if folder.cell(entry.id).is_dir()}
    return tuple(sorted(done)) or (0,)


def _check_apart(plan: PlanFile, fold: int, trained: Sequence[Domain], judged: Sequence[Domain]) -> None:
    """Refuse test sets that hold a person or a video that cells of a fold were trained on; errors as ``check_apart``."""
    try:
        check_apart(trained, judged)
    except BenchError as error:
        if not plan.folds:
            raise
        count = len(plan.folds) + 1
        raise BenchError(
            f"cells of fold {fold} of {count} (seed {fold}, {fold + count}, ...): {error}; or judge on a stream of the "
            f"same people with folds = {count}, of which each cell is judged on its own fold's"
        ) from error


def _corrupted_sets(
    call: ScoreCall, folder: ResultFolder, plan: PlanFile, building: ProgressCallback | None
) -> tuple[JudgedSet, ...]:
    """Describe the test sets of the stream's own domains, corrupted: one for each fold, corruption and domain."""
    chosen = corruptions(call.corrupt)
    stream, _ = _trained_on(call, folder, plan, building)
    reference = _reference(call, folder, plan)
    use_stream(reference, stream)
    folds = _folds(folder, plan)
    # Where folds are draws of training videos, all test the same.
    alike = plan.stream.protocol.draws > 1
    groups = {0: frozenset(folds)} if alike else {fold: frozenset((fold,)) for fold in folds}
    sets = []
    for fold, of_folds in groups.items():
        for of in chosen:
            for domain in stream.in_fold(fold):
                if not len(domain.rows["test"]):
                    continue
                corrupted = test_set(corrupted_name(domain.name, of.name), domain.store, domain.rows["test"])
                id = set_id({**domain.fingerprint(), "corruption": of.name}, "test")
                ref = TestSet(id, domain.name, "test", reference, corruption=of.name, fold=fold)
                sets.append(JudgedSet(corrupted, ref, of_folds))
    if not sets:
        raise BenchError(f"{reference}: no domain has test rows to corrupt")
    _check_names(plan, sets, f"--corrupt {call.corrupt}")
    return tuple(sets)


def execute_scoring(scoring: Scoring, listener: Listener = lambda _: None) -> None:
    """Judge what is left to be judged, and give every cell its further scores.

    Raises:
        BenchError: A step could not be judged.
        RunError: The disk is full, or a worker process was killed; what is finished is kept.
    """
    agenda = scoring.agenda
    run_agenda(agenda, listener, scoring.jobs, scoring.cluster)
    contents = [_content(of) for of in scoring.sets]
    scoring.folder.add_further(contents)
    tables = [
        (of.folds, documents.build(FurtherContent, content, of.domain.name), Samples(of.domain, of.ref))
        for content, of in zip(contents, scoring.sets, strict=True)
    ]
    for cell in scoring.cells:
        ids = [of.ref.id for of in scoring.sets if cell.fold in of.folds]
        judges = (judge_of(agenda.pool, step, ids).id for step in cell.steps)
        failed = next((id for id in judges if id in agenda.reasons), None)
        if failed is not None:
            scoring.left_out[cell.label] = agenda.reasons[failed]
            continue
        for folds, content, samples in tables:
            if cell.fold in folds:
                _keep(scoring.folder, agenda.pool, cell, content, samples)


def _content(of: JudgedSet) -> dict[str, Any]:
    return {
        **of.domain.fingerprint(),
        "rows": {"train": NO_ROWS, "val": NO_ROWS, "test": row_hash(of.domain.rows["test"])},
        **({"corruption": of.ref.corruption} if of.ref.corruption else {}),
        **({"fold": of.ref.fold} if of.ref.fold else {}),
    }


def _check_names(plan: PlanFile, sets: Sequence[JudgedSet], asked: str) -> None:
    """Refuse test sets that would be taken for another: a domain of the stream, or an earlier further set."""
    learned = {domain.name for domain in plan.stream.domains}
    earlier = {(domain.name, domain.fold): domain for domain in plan.further}
    # Scores are found by the samples, and say the name: under a second one they would be those of another test set.
    names = {set_id(parsing.plain(domain), "test"): domain.name for domain in plan.further}
    for domain, ref in ((of.domain, of.ref) for of in sets):
        if names.setdefault(ref.id, domain.name) != domain.name:
            raise BenchError(
                f"{asked}: test set {domain.name!r} holds the samples of test set {names[ref.id]!r}; give a stream "
                "file in which they have that name, and are there once"
            )
        if domain.name in learned:
            raise BenchError(
                f"{asked}: test set {domain.name!r} has the name of a domain that was trained on; "
                "give a stream file in which it has another"
            )
        same = earlier.get((domain.name, ref.fold))
        if same is not None and set_id(parsing.plain(same), "test") != ref.id:
            raise BenchError(
                f"{asked}: other test samples were judged as {domain.name!r} before; give a stream file in which "
                "these have another name"
            )


def _reference(call: ScoreCall, folder: ResultFolder, plan: PlanFile) -> str:
    """Return what opens the stream that the cells were trained on."""
    own = folder.path.absolute() / STREAM_FILE
    return call.stream or (str(own) if own.exists() else plan.stream.name)


def _trained_on(
    call: ScoreCall, folder: ResultFolder, plan: PlanFile, building: ProgressCallback | None
) -> tuple[Stream, dict[int, list[Domain]]]:
    """Open what the cells were trained on.

    Returns:
        The stream; and for each fold of which there are done cells its domains in every order: one that is learned first
        may train on more than where it comes later.
    """
    reference = _reference(call, folder, plan)
    remedy = "give what opens it as --stream"
    try:
        stream = open_stream(reference, building, verify=False)
    except BenchError as error:
        raise BenchError(
            f"the stream that the cells were trained on cannot be opened: {error}; {remedy}"
        ) from error
    folds = {}
    for fold in _folds(folder, plan):
        domains: dict[int, Domain] = {}
        for order in range(len(plan.orders) + 1):
            expected = parsing.plain(stream_of_order(plan, order, fold).domains)
            names = [domain["name"] for domain in expected]
            folded = stream.in_fold(fold) if fold < stream.folds else stream
            same = sorted(names) == sorted(domain.name for domain in stream)
            ordered = folded.in_order(names) if same else folded
            if [domain.fingerprint() for domain in ordered] != expected:
                of_fold = f" in fold {fold}" if fold else ""
                raise BenchError(
                    f"{reference}: is not the stream that the cells of {folder.path} were trained on{of_fold} (its data "
                    f"differ from those in plan.json); {remedy}"
                )
            domains.update((id(domain), domain) for domain in ordered)
        folds[fold] = list(domains.values())
    return stream, folds


def _cells(
    folder: ResultFolder, plan: PlanFile, pool: Pool, call: ScoreCall, *, elsewhere: bool = False
) -> tuple[tuple[Judged, ...], dict[str, str]]:
    """Return the done cells with what can be judged of them, and why others cannot be judged."""
    cells, left_out = [], {}
    for entry in plan.cells:
        label = f"{entry.label}, seed {entry.seed}"
        if not folder.cell(entry.id).is_dir():
            continue
        about = read_about(Sealed(folder.cell(entry.id)))
        if not about.steps:
            left_out[label] = "an earlier version made it, which kept no steps"
            continue
        fold = plan.fold_of(entry.seed)
        domains = parsing.plain(stream_of_order(plan, entry.order, fold).domains)
        if about.brought is not None and about.brought.code and not call.model:
            left_out[label] = (
                f"its model is code of your own ({about.brought.backbone}), which is run only where you name it: --model "
                "FILE.py:FUNCTION"
            )
            continue
        path = _path(about, domains, label, call, elsewhere)
        if not pool.has_state(path[-1].id):
            left_out[label] = f"the checkpoint of its last step is not in {pool.path}"
            continue
        at_hand = [step for step in path if step.before is None or pool.has_state(step.id)]
        # What a strategy adopted is judged as the step that adopted it.
        adopts = adopts_source(about.steps, domains)
        adopted = path[0 if about.brought is not None else 1]
        own = [step for step in at_hand if not (adopts and step is adopted)]
        cells.append(Judged(entry.id, label, tuple(own), fold))
    return tuple(cells), left_out


def _path(
    about: CellFile, domains: Sequence[Mapping[str, Any]], label: str, call: ScoreCall, elsewhere: bool
) -> tuple[Step, ...]:
    """Make the steps of a done cell again, from what it says of itself."""
    recipe = recorded_recipe(about.recipe, f"cell {about.id}: recipe")
    if call.device is not None:
        recipe = recipe.changed({"device": resolve_device(call.device, elsewhere=elsewhere)})
    own = {
        "strategy": about.strategy,
        "label": label,
        "hyperparameters": about.hyperparameters,
        "origin": about.origin,
        "revision": about.revision or 0,
        "resumable": find_strategy(about.strategy).resumable,
    }
    source = recorded_source(about, recipe, call.model)
    return path_of(about.steps, domains, recipe, about.seed, "", own, source=source)


def _check_crops(folder: ResultFolder, cells: Sequence[Judged], sets: Sequence[Domain]) -> None:
    """Compare how faces were cropped: a model judges what it was trained on."""
    crop = read_about(Sealed(folder.cell(cells[0].id))).crop
    for domain in sets:
        info = domain.store.info
        if crop is not None and domain.store.size != crop.size:
            raise BenchError(
                f"{domain.store.path}: expected crops of {crop.size} px, as the cells were trained on, found "
                f"{domain.store.size} px; prepare the store with --size {crop.size}"
            )
        if crop is not None and info.margin != crop.margin:
            warnings.warn(
                f"{domain.store.path}: its faces were cropped with margin {info.margin:g}, those that the cells were "
                f"trained on with {crop.margin:g}: scores are of that difference too",
                BenchWarning,
                stacklevel=3,
            )


def _tasks(pool: Pool, cells: Sequence[Judged], sets: Sequence[JudgedSet]) -> list[Task]:
    """Return what is to be judged, each step once; what judges as the source model is judged there."""
    tasks: dict[str, Task] = {}
    for cell in cells:
        refs = [of.ref for of in sets if cell.fold in of.folds]
        ids = [ref.id for ref in refs]
        for step in cell.steps:
            of = judge_of(pool, step, ids)
            if of.id not in tasks:
                judged = pool.judged(of.id)
                left = tuple(ref for ref in refs if ref.id not in judged)
                tasks[of.id] = Task(of, left, trains=False)
    return [task for task in tasks.values() if task.sets]


def judge_of(pool: Pool, step: Step, sets: Sequence[str]) -> Step:
    """Return the step whose scores on test sets are those of ``step``: itself, or the source model that it judges as."""
    id = pool.judge_on(step.id, sets)
    return step if id == step.id or step.before is None else step.before


def _keep(folder: ResultFolder, pool: Pool, cell: Judged, content: FurtherContent, samples: Samples) -> None:
    """Write the scores of a cell on one further test set."""
    final = further_place(folder.path, samples.set, cell.id)
    with folder.hold(cell.id):
        if final.is_dir():
            return
        judgements = [
            (step.number, Judgements(pool, judge_of(pool, step, [samples.set]).id)) for step in cell.steps
        ]
        parts = [samples.scored(number, judged) for number, judged in judgements]
        with files.folder(final, remedy=REMEDY) as part:
            write_frame(part / "scores.parquet", pd.concat(parts, ignore_index=True))
            made_with = judgements[-1][1].of(samples.set).environment
            (part / "environment.json").write_text(parsing.to_json(made_with), "utf-8")
            table = score_table.read_table((part / "scores.parquet").read_bytes(), "scores.parquet")
            score_table.check_further(table, content, "scores.parquet")
            seal(part)
