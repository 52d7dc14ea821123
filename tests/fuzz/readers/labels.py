"""Readers of what says which file is real and which is fake: CSV, JSON, splits, folders, archives."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from fuzz.damage import BYTES, HOSTILE, JSON, PLACES, TEXT, Random, damages, trees
from fuzz.judging import SEALED, TOLD, Claim, Unreadable, bytes_of
from fuzz.lists import LISTS
from fuzz.readers import reader
from fuzz.running import Bench

_LABELS: Final = {"0": 0, "1": 1, "real": 0, "fake": 1}
_COLUMNS: Final = ("label", "split", "video", "source", "target")
GONE: Final = Unreadable("it is no file")
Written = Mapping[str, Any] | Unreadable


def checked(
    bench: Bench, root: str, layout: str, written: Callable[[], Written] | None = None, **options: Any
) -> Claim:
    """What ``bench data check`` and the manifest make of a data set.

    Args:
        bench: Calls the command.
        root: The data set.
        layout: Its importer.
        written: Reads the damaged file independently: path -> what stands there, of ``_COLUMNS``; None: as undamaged.
        options: Of the reading, as ``ReadOptions`` has them.
    """
    from fretal_bench.datasets.importers import ReadOptions, read_dataset

    words = [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    outcome = bench("data", "check", root, "--as", layout, "--json", *words, findings=True)
    values: dict[str, Any] = {
        key: Path(value) if key == "split_path" else value for key, value in options.items()
    }
    read = read_dataset(Path(root), layout, ReadOptions(**values))
    expected = SEALED if written is None else written()
    if isinstance(expected, Unreadable) and (outcome.code == 1 or expected == GONE):
        # The file is gone or called wrong; what comes from others must be as it was, but for splits that lack it now.
        expected = SEALED
    told = any(finding["severity"] != "info" for finding in json.loads(outcome.out)["findings"])
    whole: dict[str, Any] = {left.path: TOLD for left in read.left_out}
    whole |= {row["path"]: {key: row[key] for key in _COLUMNS} for row in read.frame.to_dict("records")}
    if expected == SEALED and not told:
        return Claim(whole)
    used = {path: row if row is TOLD else _as_written(row, path, expected) for path, row in whole.items()}
    return Claim(used, expected, lenient=told, whole=whole)


def _as_written(row: dict[str, Any], path: str, expected: Any) -> dict[str, Any]:
    """Of a row the columns of which the file says something."""
    says = expected.get(path, _COLUMNS) if isinstance(expected, Mapping) else ("label",)
    return row if isinstance(says, Unreadable) else {key: row[key] for key in says}


def written_csv(path: str) -> Written:
    """A CSV's lines by path, read by the letter: nothing that could mean two things has a meaning."""
    try:
        text = bytes_of(path).decode("utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except (ValueError, csv.Error) as error:
        return Unreadable(f"it is no CSV: {error}")
    header = [name.strip() for name in rows[0]] if rows else []
    if len(set(header)) < len(header):
        return Unreadable("a column stands in it twice")
    if {"path", "label"} - set(header):
        return Unreadable("it has no path or no label")
    lines: dict[str, Any] = {}
    for row in rows[1:]:
        values = {name: value.strip() for name, value in zip(header, row, strict=False)}
        entry: Any = {key: values[key] for key in _COLUMNS if values.get(key)}
        entry["label"] = _LABELS.get(
            values.get("label", "").lower(), Unreadable(f"its label is {values.get('label')!r}")
        )
        if len(row) > len(header):
            entry = Unreadable("its line has more fields than there are columns")
        elif (
            entry["label"] == 0
            and values.get("source")
            and values.get("target", "") not in ("", values["source"])
        ):
            entry = Unreadable("a real face is said to be another's")
        path_ = values.get("path", "")
        if path_ in lines and lines[path_] != entry:
            entry = Unreadable("two lines of it contradict each other")
        lines[path_] = entry
    entries = [entry for entry in lines.values() if isinstance(entry, dict)]
    if all(entry.get("split") != "val" for entry in entries):
        # Validation is then taken out of train, by person.
        for entry in entries:
            entry.pop("split", None)
    return lines


@reader(
    "manifest CSV",
    "labels",
    parts="listed",
    file="listed/list.csv",
    damages=(*TEXT, *PLACES, *LISTS),
    weight=4,
)
def manifest(bench: Bench) -> Claim:
    return checked(bench, "listed", "csv", lambda: written_csv("listed/list.csv"))


def strict_json(path: str) -> Any:
    """JSON in which no key stands twice and every number is one; raises ``ValueError``."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in items}) < len(items):
            raise ValueError("a key stands in it twice")
        return dict(items)

    def refuse(text: str) -> None:
        raise ValueError(f"{text} stands in it")

    return json.loads(bytes_of(path).decode("utf-8-sig"), object_pairs_hook=pairs, parse_constant=refuse)


def _read(path: str, take: Callable[[Any], dict[str, Any]]) -> Written:
    try:
        return take(strict_json(path))
    except (ValueError, RecursionError, AttributeError, TypeError, LookupError) as error:
        return Unreadable(f"it says nothing clear: {error!r}"[:200])


@reader(
    "DeepfakeBench JSON",
    "labels",
    parts="dfb",
    file="dfb/set.json",
    damages=(*TEXT, *PLACES, *trees(JSON), *damages()),
    weight=2,
)
def deepfakebench(bench: Bench) -> Claim:
    def take(data: Any) -> dict[str, Any]:
        rows: dict[str, Any] = {}
        for groups in data.values():
            for group, splits in groups.items():
                for split, videos in splits.items():
                    for values in videos.values():
                        label, other = _ending(values["label"]), _ending(group)
                        for frame in values["frames"]:
                            fair = label is not None and label == other and split in ("train", "val", "test")
                            rows[frame] = {"label": label} if fair else Unreadable("its label is not clear")
        return rows

    return checked(bench, "dfb", "deepfakebench", lambda: _read("dfb/set.json", take))


def _ending(name: Any) -> int | None:
    """Real or fake where a name ends in just that word."""
    word = str(name).lower().replace("_", "-").rpartition("-")[2]
    return {"real": 0, "fake": 1}.get(word)


@reader(
    "DFDC metadata.json",
    "labels",
    parts="dfdc",
    file="dfdc/*/metadata.json",
    damages=(*TEXT, *PLACES, *trees(JSON)),
    weight=2,
)
def dfdc(bench: Bench) -> Claim:
    def take(_: Any) -> dict[str, Any]:
        rows: dict[str, Any] = {}
        for part in ("dfdc_train_part_0", "dfdc_train_part_35"):
            for name, values in strict_json(f"dfdc/{part}/metadata.json").items():
                text = values.get("label") if isinstance(values, dict) else None
                label = _LABELS.get(text.lower()) if isinstance(text, str) else None
                rows[f"{part}/{name}"] = (
                    {"label": label} if label is not None else Unreadable("it has no label")
                )
        return rows | _test_labels()

    return checked(bench, "dfdc", "dfdc", lambda: _read("dfdc/dfdc_train_part_0/metadata.json", take))


def _test_labels() -> dict[str, Any]:
    return {
        f"test/{k}{n}.mp4": {"label": label} for k, label in (("real", 0), ("fake", 1)) for n in (1, 2, 3)
    }


@reader(
    "DFDC labels.csv",
    "labels",
    parts="dfdc",
    file="dfdc/test/labels.csv",
    damages=(*TEXT, *PLACES, *LISTS),
    weight=2,
)
def dfdc_labels(bench: Bench) -> Claim:
    def written() -> Written:
        other = Path("labels-as-paths.csv")
        try:
            other.write_bytes(bytes_of("dfdc/test/labels.csv").replace(b"filename", b"path"))
        except ValueError:
            return GONE
        rows = written_csv(str(other))
        other.unlink()
        if isinstance(rows, Unreadable):
            return rows
        train = {
            f"dfdc_train_part_{part}/{kind}{part}.mp4": {"label": label}
            for part in (0, 35)
            for kind, label in (("real", 0), ("fake", 1))
        }
        return train | {
            f"test/{path}": entry if isinstance(entry, Unreadable) else {"label": entry["label"]}
            for path, entry in rows.items()
        }

    return checked(bench, "dfdc", "dfdc", written)


@reader(
    "FF++ splits",
    "labels",
    parts="ffpp",
    file="ffpp/splits/*.json",
    damages=(*TEXT, *PLACES, *trees(JSON)),
    weight=2,
)
def ffpp(bench: Bench) -> Claim:
    return checked(bench, "ffpp", "ffpp", _paired)


@reader(
    "identity split",
    "labels",
    parts="ffpp",
    file="ffpp/split.json",
    damages=(*TEXT, *PLACES, *trees(JSON)),
)
def identity(bench: Bench) -> Claim:
    return checked(
        bench,
        "ffpp",
        "ffpp",
        lambda: _read("ffpp/split.json", _assigned),
        splits="identity",
        split_path="ffpp/split.json",
    )


def _paired() -> Written:
    """Every video's split by the pairs in the split files; of a person in two of them none."""
    split_of: dict[str, str] = {}
    try:
        listed = [
            (name, split)
            for split in ("train", "val", "test")
            for a, b in strict_json(f"ffpp/splits/{split}.json")
            for name in (a, b)
        ]
    except (ValueError, TypeError, RecursionError) as error:
        return Unreadable(f"a split says nothing clear: {error}")
    for name, split in listed:
        if not isinstance(name, str) or split_of.setdefault(name, split) != split:
            return Unreadable(f"{name!r} is in two splits, or is no name")
    return _by_people(split_of)


def _by_people(split_of: Mapping[Any, Any]) -> dict[str, Any]:
    """Label and split of every video of the tree, where its people are of one split."""
    rows: dict[str, Any] = {}
    for path in sorted(Path("ffpp").rglob("*.mp4")):
        people = path.stem.split("_")
        splits = {split_of.get(name) for name in people}
        split = splits.pop() if len(splits) == 1 else None
        rows[path.relative_to("ffpp").as_posix()] = (
            {"label": len(people) - 1, "split": split}
            if split in ("train", "val", "test")
            else Unreadable("it is in no one split")
        )
    return rows


def _assigned(data: Any) -> dict[str, Any]:
    return _by_people(data["details"]["identity_split"]["assignment"])


# Folders and archives.


def a_hostile_name(path: Path, random: Random) -> str:
    names = [name.replace("/", "_") for name in HOSTILE if "\x00" not in name and len(name) < 250]
    names = [name for name in names if name not in ("", ".", "..")]
    name = names[int(random.integers(len(names)))]
    files = sorted(path.rglob("*.png"))
    file = files[int(random.integers(len(files)))]
    file.rename(file.with_name(name + ".png"))
    return f"{file.name} called {name[:40]!r}"


def a_name_of_invalid_bytes(path: Path, random: Random) -> str:
    file = sorted(path.rglob("*.png"))[0]
    file.rename(Path(str(file.parent) + "/" + b"\xff\xfe.png".decode("utf-8", "surrogateescape")))
    return f"{file.name} called \\xff\\xfe.png"


def another_class_name(path: Path, random: Random) -> str:
    folder = path / ("train", "val", "test")[int(random.integers(3))]
    names = (
        "aigc",
        "0_fake",
        "1_real",
        "nature",
        "Real",
        "unreal",
        "notfake",
        "REAL ",
        "fake_real",
        "genuine",
    )
    name = names[int(random.integers(len(names)))]
    (folder / "fake").rename(folder / name)
    return f"{folder.name}/fake called {name!r}"


def a_circle_of_folders(path: Path, random: Random) -> str:
    (path / "train" / "real" / "loop").symlink_to("../..")
    return "a link back to the folder above"


def a_link_that_leaves(path: Path, random: Random) -> str:
    (path / "train" / "real" / "passwd.png").symlink_to("/etc/passwd")
    return "a link to /etc/passwd"


def a_damaged_picture(path: Path, random: Random) -> str:
    files = sorted(path.rglob("*.png"))
    file = files[int(random.integers(len(files)))]
    kinds = (*BYTES, *PLACES)
    kind = kinds[int(random.integers(len(kinds)))]
    return f"{file.name}, {kind.name}: {kind.apply(file, random)}"


@reader(
    "image folders",
    "labels",
    parts="folders",
    file="folders",
    damages=damages(
        a_hostile_name,
        a_name_of_invalid_bytes,
        another_class_name,
        a_circle_of_folders,
        a_link_that_leaves,
        a_damaged_picture,
    ),
)
def folders(bench: Bench) -> Claim:
    def written() -> Written:
        labels = {
            "real": 0,
            "genuine": 0,
            "nature": 0,
            "0_real": 0,
            "fake": 1,
            "aigc": 1,
            "ai": 1,
            "1_fake": 1,
        }
        rows: dict[str, Any] = {}
        for path in sorted(Path("folders").rglob("*.png")):
            name = path.relative_to("folders").as_posix()
            if path.is_symlink() or not path.is_file():
                rows[name] = Unreadable("it is a link or no file")
                continue
            label = labels.get(path.parent.name.lower().strip())
            rows[name] = (
                {"label": label} if label is not None else Unreadable(f"{path.parent.name!r} is no class")
            )
        return rows

    return checked(bench, "folders", "image-folders", written)


def _rewritten(
    path: Path, change: Callable[[tarfile.TarInfo], tarfile.TarInfo | None], *more: tarfile.TarInfo
) -> None:
    members = []
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member)
            members.append((member, b"" if file is None else file.read()))
    with tarfile.open(path, "w:gz") as archive:
        for member, data in members:
            changed = change(member)
            if changed is not None:
                archive.addfile(changed, io.BytesIO(data))
        for member in more:
            archive.addfile(member)


def a_member_that_leaves(path: Path, random: Random) -> str:
    names = ("../../fuzz-escaped.png", "/tmp/fuzz-escaped.png", "0/real/1/../../../../x.png", "0\\..\\x.png")
    name = names[int(random.integers(len(names)))]
    first = True

    def change(member: tarfile.TarInfo) -> tarfile.TarInfo:
        nonlocal first
        if first:
            member.name, first = name, False
        return member

    _rewritten(path, change)
    return f"a member called {name}"


def a_member_of_another_kind(path: Path, random: Random) -> str:
    kinds = {
        "symlink": tarfile.SYMTYPE,
        "hard link": tarfile.LNKTYPE,
        "fifo": tarfile.FIFOTYPE,
        "device": tarfile.CHRTYPE,
    }
    word = list(kinds)[int(random.integers(len(kinds)))]
    member = tarfile.TarInfo("0/real/1/9.png")
    member.type, member.linkname = kinds[word], "/etc/passwd"
    _rewritten(path, lambda other: other, member)
    return f"a member that is a {word}"


def a_member_of_zeros(path: Path, random: Random) -> str:
    """Three gigabytes of zeros that take three megabytes; the file itself is made without holding them."""
    size = 3 * 2**30
    member = tarfile.TarInfo("0/real/1/3.png")
    member.size = size
    block = bytes(2**20)
    with gzip.open(path, "wb", compresslevel=1) as out:
        out.write(member.tobuf())
        for _ in range(size // len(block)):
            out.write(block)
        out.write(bytes(1024))
    return "a member of 3 GB of zeros"


def a_member_twice(path: Path, random: Random) -> str:
    with tarfile.open(path) as archive:
        member = archive.getmembers()[0]
    member.size = 0
    _rewritten(path, lambda other: other, member)
    return f"{member.name} twice"


_ARCHIVES: Final = damages(a_member_that_leaves, a_member_of_another_kind, a_member_twice)


@reader(
    "archives",
    "labels",
    parts="wild",
    file="wild/*/*.tar.gz",
    # No list says which archives there are: one that is gone is not missed.
    damages=(*BYTES, *(place for place in PLACES if place.name != "gone"), *_ARCHIVES, *_ARCHIVES),
)
def archives(bench: Bench) -> Claim:
    return checked(bench, "wild", "wilddeepfake")
