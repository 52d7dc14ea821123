"""DF40: 40 ways to make a fake, as folders of cropped frames or as DeepfakeBench JSON files over them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from fretal_bench import parsing
from fretal_bench.datasets.importers.celeb_df import FOLDERS, TEST_LIST, read_test_list
from fretal_bench.datasets.importers.deepfakebench import (
    Listed,
    has_shape,
    in_one_split,
    label_of,
    listed_videos,
    take,
)
from fretal_bench.datasets.importers.faceforensics import official_splits
from fretal_bench.datasets.importers.family import Import, Importer, Match
from fretal_bench.datasets.importers.located import Locator
from fretal_bench.datasets.importers.names import recorded_faces
from fretal_bench.datasets.importers.options import ReadOptions
from fretal_bench.datasets.importers.recordings import (
    Recording,
    Shelf,
    add_recording,
    frames_of,
    leave_out_recording,
    recordings,
)
from fretal_bench.datasets.importers.rows import ManifestRow, Rows, rooted
from fretal_bench.datasets.importers.walk import Tree
from fretal_bench.datasets.manifest import FAKE, REAL

PREFIX: Final = "df40-"
METHODS: Final = (
    *("fsgan", "faceswap", "simswap", "inswap", "blendface", "uniface", "mobileswap", "e4s", "facedancer"),
    *("fomm", "facevid2vid", "wav2lip", "MRAA", "one_shot_free", "pirender", "tpsm", "lia", "danet"),
    *("sadtalker", "mcnet", "hyperreenact"),
    *(
        "VQGAN",
        "StyleGAN2",
        "StyleGAN3",
        "StyleGANXL",
        "sd2.1",
        "ddim",
        "ddpm",
        "rddm",
        "PixArt",
        "DiT",
        "SiT",
    ),
    *("deepfacelab", "heygen", "MidJourney", "whichfaceisreal", "stargan", "starganv2"),
    *("styleclip", "e4e", "CollabDiff"),
)
"""Folders of the methods; the last two lines are those that bring their own reals."""
_METHOD_OF: Final[Mapping[str, str]] = {
    **{method.lower(): method for method in METHODS},
    "whichisreal": "whichfaceisreal",
}
_TOPS: Final = {"DF40": "test", "DF40_train": "train"}
_REALS: Final = {"ff": "FaceForensics++", "cdf": "Celeb-DF-v2"}
_FF_REALS: Final = "FaceForensics++/original_sequences/youtube/c23"
_BETWEEN: Final = ("frames", "images", "faces", "inversions")
"""Folders between a method's domain and its videos, or its pictures."""
_BESIDE: Final = ("landmarks", "masks", "videos")
_JSON_FOLDER: Final = "dataset_json"
_CLASSES: Final = {"real": REAL, "fake": FAKE}
_CODED: Final = "c23"
"""The compression of FaceForensics++ that DF40 was made from; its frames are pictures, of none."""


@dataclass(frozen=True)
class _Place:
    """A folder of one method and domain: its part of the data set, its split, its class."""

    shelf: Shelf
    domain: str
    top: str
    split: str
    label: int


def recognise(root: Path) -> Match:
    """Look for a JSON file called after a method and domain, or for DF40/ or DF40_train/ with such folders."""
    folder, name = rooted(root)
    if not folder.is_dir():
        return Match(0, missed=("DF40/",))
    tree = Tree(folder)
    lists = _lists(tree, name)
    if name and lists and not has_shape(parsing.read_json(root, "list")):
        lists = []
    places = [] if name else [f"{place.shelf.folder}/" for place in _places(tree)][:3]
    signs = (*lists[:3], *places)
    return Match(
        0.95 if signs else 0, signs, () if signs else ("<method>_{ff,cdf}.json, no DF40/<method>/{ff,cdf}/",)
    )


def read(root: Path, options: ReadOptions) -> Import:
    """Read the JSON files if there are any (the given one, or those of a folder), else the folders.

    The fakes and reals of the FaceForensics++ domain are one data set, ``df40-ff``, those of Celeb-DF are ``df40-cdf``,
    and each method with reals of its own is ``df40-<method>``.
    """
    folder, name = rooted(root)
    rows = Rows(Tree(folder))
    lists = _lists(rows.tree, name)
    if lists:
        return _read_lists(rows, lists, options)
    places = list(_places(rows.tree, rows))
    domains = {place.domain for place in places}
    splits = _ff_splits(rows, options) if "ff" in domains else {}
    for place in places:
        _read_place(rows, place, splits, options)
    for domain, home in _REALS.items():
        if domain in domains and rows.tree.has(home) is None:
            words = f"the reals of the domain {domain} belong in {home}/, which isn't there"
            rows.note(
                home,
                "missing",
                "error",
                words,
                "put them there as DeepfakeBench has them, frames in folders",
            )
    if "ff" in domains and rows.tree.has(_FF_REALS):
        shelf = Shelf(_FF_REALS, _dataset("", "ff"), "real", "none")
        _read_reals(rows, shelf, options, splits, "the lists of FaceForensics++")
    if "cdf" in domains and rows.tree.has(_REALS["cdf"]):
        _read_celeb_df(rows, options)
    source = "DF40/ is the test, DF40_train/ train; reals by the lists of their data sets"
    return rows.finish("df40", options, source, has_val="val" in rows.splits)


def _named(name: str) -> tuple[str, str] | None:
    """Method and domain ("" for a method with reals of its own) by the name of a list; None if it is no such name."""
    method, _, domain = name.rpartition("_")
    if domain in _REALS and method.lower() in _METHOD_OF:
        return _METHOD_OF[method.lower()], domain
    return (_METHOD_OF[name.lower()], "") if name.lower() in _METHOD_OF else None


def _dataset(method: str, domain: str) -> str:
    return PREFIX + (domain or method)


def _lists(tree: Tree, name: str) -> list[str]:
    """The JSON files of DF40: the named one, or those in the root and in dataset_json/."""
    inner = tree.child("", _JSON_FOLDER)
    folders = ["", inner.path] if inner is not None and inner.is_folder and not name else [""]
    entries = (entry for folder in folders for entry in tree.files(folder, {".json"}))
    return [entry.path for entry in entries if name in ("", entry.name) and _named(entry.stem) is not None]


def _read_lists(rows: Rows, lists: list[str], options: ReadOptions) -> Import:
    listed = [video for path in lists for video in _renamed(rows, path)]
    locator = Locator(rows)
    for video in in_one_split(rows, listed):
        take(rows, locator, video)
    locator.report()
    return rows.finish("df40", options, "as in the JSON", has_val="val" in rows.splits)


def _renamed(rows: Rows, path: str) -> Iterator[Listed]:
    """The videos of a JSON, with data set and method by its key: labels of several methods say ``roop``."""
    strange: dict[str, int] = {}
    for video in listed_videos(rows, path):
        place = _named(video.dataset)
        if place is None or video.compression not in ("none", _CODED):
            what = f"{video.dataset}, {video.compression}"
            strange[what] = strange.get(what, 0) + 1
            continue
        method = "" if label_of(video.group) == REAL else place[0]
        yield replace(video, dataset=_dataset(*place), method=method, compression="none")
    for what, count in strange.items():
        words = f"expected a method of DF40 with ff or cdf, and {_CODED} alone, found {what}; {count} videos not read"
        rows.note(path, "bad-file", "error", words, "correct the JSON")


def _places(tree: Tree, rows: Rows | None = None) -> Iterator[_Place]:
    """The methods' folders that are read; with ``rows`` what is of no known name is told."""
    for top, split in _TOPS.items():
        for folder in tree.folders(top) if tree.has(top) is not None else ():
            method = _METHOD_OF.get(folder.name.lower())
            if method is None:
                if rows is not None:
                    rows.note(
                        folder.path, "name", "warning", "no method of DF40", "rename it; it is not read"
                    )
                continue
            for entry in tree.folders(folder.path):
                domain = entry.name.lower()
                if domain in _REALS:
                    shelf = Shelf(entry.path, _dataset(method, domain), method, "none")
                    yield _Place(shelf, domain, top, split, FAKE)
                elif domain in _CLASSES:
                    label = _CLASSES[domain]
                    shelf = Shelf(
                        entry.path, _dataset(method, ""), method if label == FAKE else "real", "none"
                    )
                    yield _Place(shelf, "", top, split, label)
                elif rows is not None:
                    words = f"expected ff, cdf, fake or real, found {entry.name!r}"
                    rows.note(entry.path, "name", "warning", words, "rename it; it is not read")


def _read_place(rows: Rows, place: _Place, splits: Mapping[str, str], options: ReadOptions) -> None:
    """Add a method's folder; ``splits`` has those of the videos of FaceForensics++."""
    if place.split == "train" and place.domain != "ff" and options.splits != "identity":
        words = "DF40 trains in the FaceForensics++ domain alone"
        rows.leave_out_folder(
            place.shelf.folder, "split", words, "try --splits identity", place.shelf.dataset
        )
        return
    allowed = ("test",) if place.split == "test" else ("train", "val")
    for recording in _recordings_in(rows, place):
        target, source, original = recorded_faces(recording.video, place.label)
        listed = {splits[who] for who in (target, source) if who in splits} if place.domain == "ff" else set()
        if len(listed) > 1 or not listed.issubset(allowed):
            words = f"{place.top}/ is {place.split}, the lists of FaceForensics++ say {' and '.join(sorted(listed))}"
            leave_out_recording(rows, recording, place.shelf, "split", words, "check the lists")
            continue
        row = ManifestRow(
            *("", place.shelf.dataset, place.shelf.method, "none", place.label, "", source, target),
            split=listed.pop() if listed else place.split,
            original=original,
        )
        add_recording(rows, recording, row)


def _recordings_in(rows: Rows, place: _Place) -> Iterator[Recording]:
    """A folder of frames is a video, a loose picture one of its own, called by its path."""
    folder = place.shelf.folder
    between = (entry.path for entry in rows.tree.folders(folder) if entry.name.lower() in _BETWEEN)
    for level in (folder, *between):
        for path, _ in frames_of(rows, level, place.shelf):
            yield Recording(path, ((path, 0),))
        for entry in rows.tree.folders(level):
            if entry.name.lower() in (*_BETWEEN, *_BESIDE):
                continue
            if files := frames_of(rows, entry.path, place.shelf):
                # The name alone has a meaning where it is that of the video that the fake was made of.
                yield Recording(entry.name if place.domain else entry.path, files)


def _ff_splits(rows: Rows, options: ReadOptions) -> dict[str, str]:
    """Video of FaceForensics++ -> split, by its lists: of ``--split-path``, or in its folder."""
    if options.splits == "identity":
        return {}
    folders = (f"{_REALS['ff']}/splits", _REALS["ff"])
    there = (rows.tree.root / folder for folder in folders if rows.tree.has(f"{folder}/train.json"))
    return official_splits(rows, replace(options, split_path=options.split_path or next(there, None)))


def _read_reals(
    rows: Rows, shelf: Shelf, options: ReadOptions, splits: Mapping[str, str], lists: str
) -> None:
    """Add real videos, as frames alone: the fakes are cropped frames, too."""
    for recording in recordings(rows, shelf, replace(options, media="frames")):
        split = splits.get(recording.video, "")
        if not split and options.splits != "identity":
            words = f"{recording.video} is not in {lists}"
            leave_out_recording(
                rows, recording, shelf, "split", words, f"check {lists}, or use --splits identity"
            )
            continue
        target, source, _ = recorded_faces(recording.video, REAL)
        row = ManifestRow(*("", shelf.dataset, "real", "none", REAL, "", source, target, split))
        add_recording(rows, recording, row)


def _read_celeb_df(rows: Rows, options: ReadOptions) -> None:
    """Add the reals of Celeb-DF v2 that its list tests; DF40 trains on none of them."""
    listed = {} if options.splits == "identity" else read_test_list(rows, _REALS["cdf"])
    for entry in rows.tree.folders(_REALS["cdf"]):
        if FOLDERS.get(entry.name.lower()) == REAL:
            shelf = Shelf(entry.path, _dataset("", "cdf"), "real", "none")
            tested = {
                video: "test"
                for (folder, video), label in (listed or {}).items()
                if folder == entry.name.lower() and label == REAL
            }
            _read_reals(rows, shelf, options, tested, TEST_LIST)


IMPORTER: Final = Importer(
    name="df40",
    title="DF40",
    layout="<method>_{ff,cdf}.json over its frames, or DF40/<method>/{ff,cdf,fake,real}/<video>/*.png, "
    "DF40_train/<method>/ff/<video>/*.png, FaceForensics++/, Celeb-DF-v2/",
    recognises=recognise,
    read=read,
    cropped=True,
    ignores=("*/masks/*", "*/landmarks/*", "*/videos/*"),
)
