"""The pool: steps and their scores, each computed once and kept for every result folder beside it.

steps/ID/                 a step: step.json, checkpoint.pt, phases.json, environment.json, checksums.json
scores/STEP/BATCH/        a step judged on some test sets: judged.json, scores.parquet, environment.json, checksums.json
courses/STEP/EVERY/       a step judged while it was trained, every so many updates: watched.json, course.parquet,
                          environment.json, checksums.json
locks/STEP.lock           held by the process that works on a step
folders/ID.json           a result folder that uses the pool, so that ``bench clean`` knows what is referred to

A step's checkpoint may be removed (``bench run --keep last``, ``bench clean``): what was scored stays. Its course is no
part of the step, which is the same with and without one: it may come later, and there may be several.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import os
import shutil
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fretal_bench import files, names, parsing
from fretal_bench.benchmark.runner import course_table, documents
from fretal_bench.benchmark.runner.content import content_id
from fretal_bench.benchmark.runner.course_table import Grid, NewCourse
from fretal_bench.benchmark.runner.documents import Crop, MadeWith, check_id
from fretal_bench.benchmark.runner.environment import Phases
from fretal_bench.benchmark.runner.graph import Step, adopted_id, brought_id, strategy_content, trained_id
from fretal_bench.benchmark.runner.locks import FOREVER, Busy, held, is_held
from fretal_bench.benchmark.runner.score_table import read_scores
from fretal_bench.benchmark.runner.seals import CHECKSUMS, Sealed, read_phases, seal
from fretal_bench.errors import BenchError
from fretal_bench.records import Record, limited, ruled

REMEDY: Final = "give another --pool"
AGAIN: Final = "delete its folder and run the same command again"
FORMAT: Final = 1
"""The pool's; raised when an older version would misread what a newer one writes."""


@dataclass(frozen=True)
class StepFile(Record):
    """``step.json``: what a step is.

    Attributes:
        judges_as: The source model whose judgements are its own, bit for bit; None for a step that is judged itself.
        crop: How the faces that it learned from were cropped.
        learned: The content of the domain that was trained; None for a step that adopts a source model.
    """

    format: int
    id: str = ruled(names.ID)
    before: str | None = ruled(names.ID)
    number: int = limited(at_least=-1)
    strategy: str = ruled(documents.TITLE)
    hyperparameters: Mapping[str, Any] = dataclasses.field(kw_only=True)
    recipe: Mapping[str, Any] = dataclasses.field(kw_only=True)
    seed: int = dataclasses.field(kw_only=True)
    origin: str = ""
    revision: int = limited(0, at_least=0)
    judges_as: str | None = ruled(names.ID, None)
    crop: Crop | None = None
    learned: Mapping[str, Any] | None = None
    brought: documents.BroughtContent | None = None


@dataclass(frozen=True)
class Cost(Record):
    """What it took to judge a step on a test set."""

    seconds: float = limited(at_least=0)
    cpu_seconds: float | None = limited(None, at_least=0)
    peak_memory_mb: float | None = limited(None, at_least=0)


@dataclass(frozen=True)
class JudgedFile(Record):
    """``judged.json``: which step was judged on which test sets, and what each took."""

    format: int
    step: str = ruled(names.ID)
    sets: Mapping[str, Cost] = dataclasses.field(kw_only=True)


@dataclass(frozen=True)
class WatchedFile(Record):
    """``watched.json``: which step was judged while it was trained, how often, and what that took.

    Attributes:
        every: Updates between two evaluations.
        updates: Updates of the domain, altogether.
        seconds: What the judging took.
        training_seconds: What the training took besides.
    """

    format: int
    step: str = ruled(names.ID)
    number: int = limited(at_least=0)
    every: int = limited(at_least=1, at_most=course_table.MOST)
    updates: int = limited(at_least=0)
    seconds: float = limited(at_least=0)
    training_seconds: float = limited(at_least=0)


@dataclass(frozen=True)
class NewStep:
    """A step that was computed, and is to be kept.

    Attributes:
        step: Which one.
        state: What ``life.save`` wrote.
        judges_as: See ``StepFile``.
        phases: What its training took.
        environment: What it was made with.
        crop: How the faces that it learned from were cropped: ``size``, ``margin`` and ``detector``.
        course: What it was judged to be while it was trained, if that was asked for.
    """

    step: Step
    state: bytes = field(repr=False)
    judges_as: str | None
    phases: Phases
    environment: Mapping[str, Any]
    crop: Mapping[str, Any]
    course: NewCourse | None = None


@dataclass(frozen=True)
class NewScores:
    """Scores of one step that were computed, and are to be kept.

    Attributes:
        step: Id of the step.
        scores: P(fake) of every row of each test set, float32 [N], by the set's id.
        rows: Row numbers of the store of each test set, int64 [N].
        costs: What each set took, as ``Cost``'s values.
        environment: What they were made with.
    """

    step: str
    scores: Mapping[str, NDArray[np.float32]] = field(repr=False)
    rows: Mapping[str, NDArray[np.int64]] = field(repr=False)
    costs: Mapping[str, Mapping[str, Any]]
    environment: Mapping[str, Any]

    def without(self, sets: Container[str]) -> NewScores:
        """Return the scores on all sets but some."""
        left = {id: scores for id, scores in self.scores.items() if id not in sets}
        return dataclasses.replace(self, scores=left)


@dataclass(frozen=True)
class Computed:
    """What became of a task: the steps that were made, and the scores."""

    steps: tuple[NewStep, ...] = ()
    scores: tuple[NewScores, ...] = ()


class Pool:
    """Where steps are kept; several runs may use it at once."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def create(self) -> None:
        """Make the folder, if it is not there.

        Raises:
            BenchError: It cannot be written, or is something else.
        """
        with files.refusals(self.path, remedy=REMEDY):
            if (self.path / documents.PLAN).exists():
                raise BenchError(f"{self.path} is a result folder and no pool of steps; {REMEDY}")
            ours = (self.path / "locks").is_dir()
            if not ours and self.path.is_dir() and any(self.path.iterdir()):
                raise BenchError(f"{self.path} is not empty and no pool of steps; {REMEDY}")
            for kind in ("folders", "locks"):
                (self.path / kind).mkdir(parents=True, exist_ok=True)

    def note(self, folder: Path) -> None:
        """Write down that a result folder uses the pool; errors as ``files.refusals``."""
        # Without links: from where they point to, ".." leads elsewhere.
        path = os.path.relpath(os.path.realpath(folder), os.path.realpath(self.path))
        place = self.path / "folders" / f"{content_id({'path': path})}.json"
        if not place.exists():
            files.write(place, parsing.to_json({"path": path}), remedy=REMEDY)

    def folders(self) -> list[Path]:
        """Return the result folders that noted themselves and are still there."""
        parent = self.path / "folders"
        names = sorted(os.listdir(parent)) if parent.is_dir() else []
        folders = []
        for name in names:
            if name.endswith(".json") and not name.startswith("."):
                values = parsing.read_json(parent / name, "note of a result folder", AGAIN)
                path = values.get("path") if isinstance(values, dict) else None
                if not isinstance(path, str):
                    raise BenchError(
                        f"{parent / name}: key 'path': expected a path, found {path!r}; delete the file"
                    )
                folder = Path(os.path.normpath(Path(os.path.realpath(self.path)) / path))
                folders += [folder] if (folder / documents.PLAN).exists() else []
        return folders

    @contextlib.contextmanager
    def hold(self, id: str, wait: float = FOREVER) -> Iterator[None]:
        """Hold the lock of a step; a killed process lets go of it.

        Args:
            id: The step.
            wait: Seconds to wait for another process; for ever if negative.

        Raises:
            Busy: Another process still holds it.
        """
        with held(self.path / "locks" / f"{check_id(id, 'lock')}.lock", wait, REMEDY):
            yield

    def is_held(self, id: str) -> bool:
        """Whether a process works on a step now."""
        return is_held(self.path / "locks" / f"{check_id(id, 'lock')}.lock")

    def step(self, id: str) -> Path:
        """Return the folder of a step."""
        return self.path / "steps" / check_id(id, f"{self.path}: steps")

    def has_step(self, id: str) -> bool:
        """Whether a step was computed; its checkpoint may be gone."""
        return self.step(id).is_dir()

    def has_state(self, id: str) -> bool:
        """Whether a step was computed and its checkpoint is there."""
        return (self.step(id) / "checkpoint.pt").exists()

    def record(self, id: str) -> StepFile:
        """Read what a step is.

        Raises:
            BenchError: It is missing, damaged, another step's, or of another format.
        """
        sealed = _sealed(self.step(id))
        where = sealed.path / "step.json"
        values = sealed.read_json("step.json", "step")
        _check_format(values, where)
        record = documents.build(StepFile, values, str(where), sealed.remedy)
        if record.id != id:
            raise BenchError(f"{where}: key 'id': expected {id!r}, found {record.id!r}; {sealed.remedy}")
        if _id_of(record) != id:
            raise BenchError(f"{where}: its content is not that of the id {id}; {sealed.remedy}")
        return record

    def state(self, id: str) -> bytes:
        """Read the checkpoint of a step.

        Raises:
            BenchError: It is missing, is another step's, or is not what the step was finished with.
        """
        if not self.has_state(id):
            raise BenchError(
                f"{self.step(id)}: its checkpoint was removed; run the same command again to train it anew"
            )
        # What is trained from another step's state would have a wrong history for ever.
        self.record(id)
        return _sealed(self.step(id)).read("checkpoint.pt", "checkpoint")

    def phases(self, id: str) -> Phases:
        """Read what the training of a step took; errors as ``record``."""
        return read_phases(_sealed(self.step(id)))

    def environment(self, id: str) -> dict[str, Any]:
        """Read what a step was made with; errors as ``record``."""
        return _environment(_sealed(self.step(id)))

    def judge_of(self, id: str) -> str:
        """Return the step whose scores are those of step ``id``: itself, or the source model that it judges as."""
        return (self.record(id).judges_as if self.has_step(id) else None) or id

    def judge_on(self, id: str, sets: Iterable[str]) -> str:
        """Return the step that has, or can make, the scores of step ``id`` on test sets.

        That is ``judge_of``; of a source model whose state is gone before it was judged on them, the step itself.
        """
        judge = self.judge_of(id)
        if judge != id and not self.has_state(judge) and not set(sets) <= self.judged(judge).keys():
            return id
        return judge

    def judged(self, id: str) -> dict[str, Path]:
        """Return, by test set, the folder of the scores of a step on it.

        Raises:
            BenchError: A file that says so is damaged or of another step.
        """
        places: dict[str, Path] = {}
        parent = self.path / "scores" / check_id(id, f"{self.path}: scores")
        if not parent.is_dir():
            return places
        for name in sorted(entry.name for entry in os.scandir(parent) if not names.ID.fault(entry.name)):
            places.update(dict.fromkeys(self._judged(parent / name, id).sets, parent / name))
        return places

    def judged_in(self, place: Path) -> tuple[str, ...]:
        """Return the test sets of one of the folders that ``judged`` gives; errors as ``judged``."""
        return tuple(self._judged(place, place.parent.name).sets)

    def _judged(self, place: Path, id: str) -> JudgedFile:
        sealed = _sealed(place)
        values = sealed.read_json("judged.json", "scores")
        _check_format(values, place / "judged.json")
        judged = documents.build(JudgedFile, values, str(place / "judged.json"), AGAIN)
        if judged.step != id:
            raise BenchError(
                f"{place / 'judged.json'}: key 'step': expected {id!r}, found {judged.step!r}; {AGAIN}"
            )
        return judged

    def scores(self, place: Path) -> Scored:
        """Read the scores in one of the folders that ``judged`` gives.

        Raises:
            BenchError: They are missing or damaged.
        """
        judged = self._judged(place, place.parent.name)
        sealed = _sealed(place)
        where = place / "scores.parquet"
        by_set = read_scores(sealed.read(where.name, "scores"), str(where), AGAIN)
        if by_set.keys() != judged.sets.keys():
            raise BenchError(f"{where}: expected the test sets of judged.json, found others; {AGAIN}")
        return Scored(by_set, judged.sets, _environment(sealed))

    def keep_step(self, new: NewStep) -> None:
        """Keep a step, whole or not at all; the caller holds its lock. Errors as ``files.refusals``."""
        final = self.step(new.step.id)
        if self._finished_with(new):
            # Its checkpoint was removed, and is needed again. All else stays, since others may be reading it.
            files.write(final / "checkpoint.pt", new.state, remedy=REMEDY)
            return
        with files.folder(final, remedy=REMEDY) as part:
            (part / "checkpoint.pt").write_bytes(new.state)
            for name, values in (
                ("step", _content(new)),
                ("phases", new.phases),
                ("environment", new.environment),
            ):
                (part / f"{name}.json").write_text(parsing.to_json(values), "utf-8")
            seal(part)
            if final.is_dir():
                # In one step, so that no half of it is ever there; `files.folder` removes what is left of it.
                files.move(final, final.with_name(f".{final.name}.part-replaced"))
        shutil.rmtree(final.with_name(f".{final.name}.part-replaced"), ignore_errors=True)

    def _finished_with(self, new: NewStep) -> bool:
        """Whether a step is there already that had the same checkpoint."""
        try:
            self.record(new.step.id)
            checksums = _sealed(self.step(new.step.id)).checksums or {}
        except BenchError:
            return False
        return checksums.get("checkpoint.pt") == hashlib.sha256(new.state).hexdigest()

    def check_same(self, new: NewStep) -> None:
        """Check that a step that was trained again is the one that is here; only then a course of the one is the other's.

        Raises:
            BenchError: It is another, or the one that is here is damaged.
        """
        self.record(new.step.id)
        checksums = _sealed(self.step(new.step.id)).checksums or {}
        if checksums.get("checkpoint.pt") != hashlib.sha256(new.state).hexdigest():
            raise BenchError(
                f"{self.step(new.step.id)}: trained again for its course it became another: this machine, or the "
                "versions here, don't give the bytes that are there, and its course would be of another training; run "
                "with --watch from the beginning, into another --out and --pool"
            )

    def course(self, id: str, every: int) -> Path:
        """Return the folder of a step's course."""
        return self.path / "courses" / check_id(id, f"{self.path}: courses") / course_table.folder_of(every)

    def has_course(self, id: str, every: int) -> bool:
        """Whether there is a course of a step that was judged every so many updates."""
        return self.course(id, every).is_dir()

    def read_course(self, place: Path) -> tuple[WatchedFile, pd.DataFrame]:
        """Read a course in the folder that ``course`` gives.

        Raises:
            BenchError: It is missing, damaged, or another step's.
        """
        sealed = _sealed(place)
        where = place / "watched.json"
        values = sealed.read_json(where.name, "course")
        _check_format(values, where)
        about = documents.build(WatchedFile, values, str(where), AGAIN)
        for key, expected in (
            ("step", place.parent.name),
            ("every", int(place.name) if place.name.isdigit() else -1),
        ):
            if getattr(about, key) != expected:
                raise BenchError(
                    f"{where}: key {key!r}: expected {expected!r}, found {getattr(about, key)!r}; {AGAIN}"
                )
        _environment(sealed)
        grid = Grid(about.number, about.every, about.updates, ended=False)
        content = sealed.read(course_table.NAME, "course")
        return about, course_table.read(content, [grid], str(place / course_table.NAME), AGAIN)

    def keep_course(self, new: NewStep) -> None:
        """Keep the course of a step, whole or not at all; the caller holds the step's lock.

        Errors as ``files.refusals``.
        """
        course = new.course
        assert course is not None
        about = {
            "format": FORMAT,
            "step": new.step.id,
            "number": course.number,
            "every": course.every,
            "updates": course.updates,
            "seconds": course.seconds,
            "training_seconds": course.training_seconds,
        }
        with files.folder(self.course(new.step.id, course.every), remedy=REMEDY) as part:
            table = course_table.to_bytes(course_table.frame_of(course.rows))
            (part / course_table.NAME).write_bytes(table)
            for name, values in (("watched", about), ("environment", new.environment)):
                (part / f"{name}.json").write_text(parsing.to_json(values), "utf-8")
            seal(part)

    def keep_scores(self, new: NewScores) -> None:
        """Keep scores, whole or not at all; the caller holds the step's lock. Errors as ``files.refusals``."""
        batch = content_id({"sets": sorted(new.scores)})
        final = self.path / "scores" / check_id(new.step, "scores") / batch
        table = pd.DataFrame(
            {
                "set": np.repeat(list(new.scores), [len(values) for values in new.scores.values()]),
                "row": np.concatenate([new.rows[id] for id in new.scores]),
                "score": np.concatenate(list(new.scores.values())),
            }
        )
        with files.folder(final, remedy=REMEDY) as part:
            # Through memory: on a full disk the file's own writer alone raises an OSError with its number.
            buffer = io.BytesIO()
            table.to_parquet(buffer, index=False)
            (part / "scores.parquet").write_bytes(buffer.getbuffer())
            judged = {
                "format": FORMAT,
                "step": new.step,
                "sets": {id: dict(new.costs[id]) for id in new.scores},
            }
            for name, values in (("judged", judged), ("environment", new.environment)):
                (part / f"{name}.json").write_text(parsing.to_json(values), "utf-8")
            seal(part)

    def drop_state(self, id: str) -> None:
        """Remove the checkpoint of a step, if no other process is at it; its scores stay."""
        with contextlib.suppress(Busy), self.hold(id, wait=0), files.refusals(self.step(id), remedy=REMEDY):
            (self.step(id) / "checkpoint.pt").unlink(missing_ok=True)


@dataclass(frozen=True)
class Scored:
    """Scores of a step, read.

    Attributes:
        by_set: By test set its rows, int64 [N], and P(fake), float32 [N].
        costs: By test set what it took.
        environment: What they were made with.
    """

    by_set: Mapping[str, tuple[NDArray[np.int64], NDArray[np.float32]]]
    costs: Mapping[str, Cost]
    environment: Mapping[str, Any]


def _content(new: NewStep) -> dict[str, Any]:
    step = new.step
    return {
        "format": FORMAT,
        "id": step.id,
        "before": None if step.before is None else step.before.id,
        "number": step.number,
        "strategy": step.strategy,
        "hyperparameters": dict(step.hyperparameters),
        "recipe": {"name": step.recipe.name, **step.recipe.content()},
        "seed": step.seed,
        "origin": step.origin,
        "revision": step.revision,
        "judges_as": new.judges_as,
        "crop": dict(new.crop),
        "learned": None if step.learned is None else dict(step.learned),
        **({"brought": dict(step.source.content)} if step.source is not None else {}),
    }


def _id_of(record: StepFile) -> str:
    """Return the id that a step has by what its file says of it."""
    if record.before is None:
        recipe = {key: value for key, value in record.recipe.items() if key != "name"}
        return brought_id(recipe, record.brought.content()) if record.brought is not None else ""
    if record.learned is not None:
        return trained_id(record.before, record.learned)
    own = strategy_content(record.strategy, record.hyperparameters, record.origin, record.revision)
    return adopted_id(record.before, own if record.brought is None else {**own, "seed": record.seed})


def _sealed(place: Path) -> Sealed:
    """Open a finished folder of the pool.

    Raises:
        BenchError: It has no checksums, which every one is finished with.
    """
    sealed = Sealed(place, AGAIN)
    if sealed.checksums is None:
        raise BenchError(f"{place / CHECKSUMS}: expected a file, found none; {AGAIN}")
    return sealed


def _environment(sealed: Sealed) -> dict[str, Any]:
    values: dict[str, Any] = sealed.read_json("environment.json", "environment")
    documents.build(MadeWith, values, str(sealed.path / "environment.json"), sealed.remedy)
    return values


def _check_format(values: Any, where: Path) -> None:
    of = values.get("format") if isinstance(values, dict) else None
    if of != FORMAT or isinstance(of, bool):
        raise BenchError(
            f"{where}: key 'format': expected {FORMAT}, found {of!r}: another version of fretal-bench wrote it; {REMEDY}"
        )
