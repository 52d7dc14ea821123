"""The base world: a tiny store, a stream, finished and unfinished results, and small data sets, made once a run."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

STRATEGIES: Final = ("finetuning", "ewc")
RUN: Final = ("run", "--strategies", ",".join(STRATEGIES), "--stream", "tiny.toml", "--jobs", "1")
"""The call that made the results ``r``, but for its recipe and folder."""

_BOOM: Final = '''
from fretal_bench.errors import BenchError
from fretal_bench.strategies.record import StrategyInfo
from fretal_bench.strategies.template import ContinualStrategy

STRATEGY = StrategyInfo("boom", __name__ + ":Boom", "fails", "none")


class Boom(ContinualStrategy):
    """It fails."""

    def penalty(self):
        raise BenchError("boom")
'''


def build(folder: Path, parts: frozenset[str]) -> None:
    """Make the parts of the world that are asked for; call it in a child process, it imports everything and trains.

    Args:
        folder: An empty folder.
        parts: Names of ``PARTS``.
    """
    os.chdir(folder)
    os.environ["FRETAL_BENCH_CACHE"] = str(folder / "cache")
    for name, make in PARTS.items():
        if name in parts:
            make()


def quietly(*words: str) -> int:
    """Call ``bench`` without its output; gives the exit code."""
    from fretal_bench import plugins
    from fretal_bench.cli.main import main

    plugins.forget()
    sys.argv = ["bench", *words]
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def recipe_words(**changes: object) -> list[str]:
    """The ``--set`` options of the tiny recipe."""
    from fretal_bench.testing import TINY_RECIPE

    values = {**TINY_RECIPE, "source_epochs": 1, **changes}
    return [word for key, value in values.items() for word in ("--set", f"recipe.{key}={value}")]


def _stream() -> None:
    from fretal_bench.datasets.store.store import CropStore
    from fretal_bench.testing import tiny_stream

    tiny_stream(Path(), domains=2, people=8, size=32)
    CropStore.open("store")
    Path(".store.lock").unlink(missing_ok=True)


def _open_stream() -> None:
    """A stream that names no store, a folder with two stores of which one fits, and results that remember it."""
    from fretal_bench.testing import tiny_stream

    text = Path("tiny.toml").read_text("utf-8")
    open_text = text.replace('store = "store"', 'datasets = ["tiny"]').replace(
        'name = "tiny"', 'name = "open"\nimage_size = 32'
    )
    Path("open.toml").write_text(open_text, "utf-8")
    shutil.copytree("store", "data/fits")
    # Another store that fits the first domain, of another size: the stream's own decides.
    tiny_stream(Path("data"), domains=1, people=8, size=16)
    Path("data/store").rename("data/other")
    Path("data/tiny.toml").unlink()
    with patch("fretal_bench.benchmark.runner.run.train", lambda *_: None):
        words = ["run", "--strategies", ",".join(STRATEGIES), "--stream", "open.toml", "--jobs", "1"]
        quietly(*words, *recipe_words(), "--data", "data", "--out", "out")
    # The stores of this copy of the world, not of where it was made.
    remembered = Path("out/stream.toml")
    remembered.write_text(remembered.read_text("utf-8").replace(f"{Path.cwd()}/", ""), "utf-8")


def _results() -> None:
    """Finished results, and a pool that holds the last state of every cell."""
    if code := quietly(*RUN, *recipe_words(), "--out", "r", "--keep", "last"):
        raise RuntimeError(f"the base run ended with {code}")


def _failed() -> None:
    """As the finished results, with a cell that failed."""
    shutil.copytree("r", "f")
    Path("boom.py").write_text(_BOOM, "utf-8")
    words = [word if word != ",".join(STRATEGIES) else "finetuning,boom" for word in RUN]
    quietly(*words, *recipe_words(), "--plugin", "boom.py", "--out", "f", "--pool", "failed-steps")
    if len(list(Path("f/failures").iterdir())) != 1:
        raise RuntimeError("no cell failed")


def _unfinished() -> None:
    """Results of which every step is done, in the pool ``u-steps``, and the cell not yet put together."""
    from fretal_bench.errors import BenchError

    with patch("fretal_bench.benchmark.runner.agenda.finish_cell", side_effect=BenchError("not yet")):
        quietly(*RUN, *recipe_words(), "--out", "u", "--pool", "u-steps")
    shutil.rmtree("u/failures")
    # The source model, and for each strategy what adopts it and the second domain.
    if len(list(Path("u-steps/steps").iterdir())) != 1 + 2 * len(STRATEGIES):
        raise RuntimeError("steps are missing")


def _halfway() -> None:
    """The pool of a run that has learned the first domain, with its source model and what adopts it."""
    _steps_of("h-steps", lambda step: step["number"] == 0)


def _begun() -> None:
    """The pool of a run that has a source model and nothing else."""
    _steps_of("b-steps", lambda step: step["strategy"] == "source")


def _steps_of(name: str, kept: Callable[[Any], bool]) -> None:
    """Copy the pool of the unfinished results with some of its steps and their scores alone."""
    shutil.copytree("u-steps", name)
    for folder in Path(name, "steps").iterdir():
        if not kept(json.loads((folder / "step.json").read_text("utf-8"))):
            shutil.rmtree(folder)
            shutil.rmtree(Path(name, "scores", folder.name), ignore_errors=True)


def _recipes() -> None:
    from fretal_bench.benchmark.recipes.recipe import Recipe, toml_of_recipe
    from fretal_bench.testing import TINY_RECIPE

    recipe = Recipe().changed({**TINY_RECIPE, "description": "tiny"})
    Path("recipe.toml").write_text(toml_of_recipe(recipe), "utf-8")
    tables = (
        '\n[hyperparameters.ewc]\nlambda_ = 12.5\n\n[tuning]\nstream = "tiny"\ndomains = ["D0", "D1"]\nbudget = 3\n'
        'seed = 0\nobjective = "average accuracy on validation data"\nstrategies = ["ewc"]\n'
    )
    Path("tuned.toml").write_text(toml_of_recipe(recipe) + tables, "utf-8")


def _listed() -> None:
    from trees import Tree

    tree = Tree(Path("listed"))
    lines = ["path,label,split,video,source,target"]
    for number in range(12):
        kind, split = ("real", "fake")[number % 2], ("train", "val", "test")[number // 2 % 3]
        tree.image(f"x/{kind}{number}.png")
        person = f"p{number}"
        source = person if kind == "real" else ""
        lines.append(f"x/{kind}{number}.png,{number % 2},{split},v{number},{source},{person}")
    tree.text("list.csv", "\n".join(lines) + "\n")


def _deepfakebench() -> None:
    from trees import Tree

    tree = Tree(Path("dfb"))
    groups: dict[str, dict[str, dict[str, object]]] = {}
    for group, label in (("Set-real", "Set-Real"), ("Set-fake", "Set-Fake")):
        for number, split in enumerate(("train", "val", "test")):
            video = f"{group}{number}"
            paths = [f"frames/{video}/{frame:03d}.png" for frame in range(2)]
            tree.image(*paths)
            groups.setdefault(group, {})[split] = {video: {"label": label, "frames": paths}}
    tree.json("set.json", {"Set": groups})


def _dfdc() -> None:
    from trees import Tree

    tree = Tree(Path("dfdc"))
    for part in (0, 35):
        folder = f"dfdc_train_part_{part}"
        tree.video(f"{folder}/real{part}.mp4", f"{folder}/fake{part}.mp4")
        content = {
            f"real{part}.mp4": {"label": "REAL", "split": "train"},
            f"fake{part}.mp4": {"label": "FAKE", "split": "train", "original": f"real{part}.mp4"},
        }
        tree.json(f"{folder}/metadata.json", content)
    tree.video(*(f"test/{kind}{number}.mp4" for kind in ("real", "fake") for number in (1, 2, 3)))
    lines = [f"{kind}{number}.mp4,{int(kind == 'fake')}" for kind in ("real", "fake") for number in (1, 2, 3)]
    tree.text("test/labels.csv", "\n".join(["filename,label", *lines]) + "\n")


def _ffpp() -> None:
    from trees import Tree

    tree = Tree(Path("ffpp"))
    pairs = {"train": [["000", "001"], ["002", "003"]], "val": [["004", "005"]], "test": [["006", "007"]]}
    for split, listed in pairs.items():
        for a, b in listed:
            tree.video(*(f"original_sequences/youtube/c23/videos/{name}.mp4" for name in (a, b)))
            names = (f"{a}_{b}", f"{b}_{a}")
            tree.video(*(f"manipulated_sequences/Deepfakes/c23/videos/{name}.mp4" for name in names))
        tree.json(f"splits/{split}.json", listed)
    assignment = {name: split for split, listed in pairs.items() for pair in listed for name in pair}
    fractions = {"train": 0.5, "val": 0.25, "test": 0.25}
    by_identity = {"assignment": assignment, "fractions": fractions, "seed": 0, "components": 4, "cut": False}
    tree.json("split.json", {"details": {"identity_split": by_identity}})


def _folders() -> None:
    from trees import Tree

    tree = Tree(Path("folders"))
    for split in ("train", "val", "test"):
        for number in range(2):
            tree.image(f"{split}/real/{split}r{number}.png", f"{split}/fake/{split}f{number}.png")


def _archives() -> None:
    from trees import Tree

    tree = Tree(Path("wild"))
    for kind in ("real", "fake"):
        for split in ("train", "test"):
            tree.tar(f"{kind}_{split}/0.tar.gz", f"./0/{kind}/1/1.png", f"./0/{kind}/1/2.png")


def _published() -> None:
    head = ("table", "paper", "protocol", "quantity", "method", "column", "value", "source", "confidence")
    lines = [
        f"mine,A paper,D0 -> D1,accuracy %,{method},{column},{value},table 1,printed"
        for method, column, value in (("ours", "AA", 77.5), ("theirs", "AA", 78.5), ("ours", "D0", 60))
    ]
    Path("own.csv").write_text("\n".join([",".join(head), *lines]) + "\n", "utf-8")
    Path("mine.toml").write_text(
        'scale = 100\nnotes = ["a note"]\n[streams]\nall = "tiny.toml"\n[rows]\nours = { strategy = "finetuning" }\n'
        'theirs = { strategy = "ewc", set = { lambda_ = 3.5 } }\n[columns]\nAA = { quantity = "average" }\n'
        'D0 = { domain = "D0", after = "last", recipe = { epochs = 2 } }\n',
        "utf-8",
    )


def _plugin() -> None:
    Path("boom.py").write_text(_BOOM, "utf-8")


def _pixels(number: int) -> Any:
    import numpy as np

    ramp = np.add.outer(np.arange(32), np.arange(32)) * 3
    return np.stack([np.roll(ramp, number * 5, 0), ramp, np.roll(ramp, number * 7, 1)], axis=2).astype(
        np.uint8
    )


def _picture() -> None:
    from PIL import Image

    Image.fromarray(_pixels(1)).resize((96, 96)).save("face.png")


def _pictures() -> None:
    from PIL import Image

    for place, (split, kind) in enumerate((s, k) for s in ("train", "val", "test") for k in ("real", "fake")):
        folder = Path("pictures", split, kind)
        folder.mkdir(parents=True)
        for number in range(2):
            Image.fromarray(_pixels(7 * place + number)).save(folder / f"{split}{kind}{number}.png")
    formats: dict[str, dict[str, Any]] = {
        "png": {},
        "jpg": {"quality": 92},
        "webp": {"quality": 92},
        "tiff": {},
        "bmp": {},
    }
    for number, (suffix, options) in enumerate(formats.items()):
        folder = Path("pictures/train", ("fake", "real")[number % 2])
        Image.fromarray(_pixels(50 + number)).save(folder / f"x.{suffix}", **options)


def _parquet() -> None:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    names = ("image", "label", "split", "method", "video", "source", "target", "frame")
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for place, split in enumerate(("train", "train", "val", "test")):
        for label in ("real", "fake"):
            for frame in range(2):
                data = io.BytesIO()
                Image.fromarray(_pixels(20 * place + 2 * frame + (label == "fake"))).save(data, "png")
                video = f"{label}{place}"
                row = (data.getvalue(), label, split, label, video, f"p{place}", f"p{place}", frame)
                for name, value in zip(names, row, strict=True):
                    columns[name].append(value)
    Path("parquet").mkdir()
    pq.write_table(pa.table(columns), "parquet/train.parquet", row_group_size=5)


def _clips() -> None:
    import av
    import numpy as np

    def write(path: Path, frames: list[Any], **options: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            video = container.add_stream("libx264", rate=25, options=options)
            video.height, video.width = frames[0].shape[:2]
            video.pix_fmt = "yuv420p"
            for frame in frames:
                container.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(video.encode())

    lines = ["path,label,split,video,source,target"]
    for number, split in enumerate(("train", "val", "test")):
        for kind in ("real", "fake"):
            name = f"x/{kind}{number}.mp4"
            write(Path("clips", name), [_pixels(10 * number + frame) for frame in range(4)])
            lines.append(f"{name},{int(kind == 'fake')},{split},{kind}{number},p{number},p{number}")
    Path("clips/list.csv").write_text("\n".join(lines) + "\n", "utf-8")
    write(Path("clips/large.mp4"), [np.zeros((8192, 8192, 3), np.uint8)] * 2, preset="ultrafast", crf="51")


PARTS: Final[dict[str, Callable[[], None]]] = {
    "stream": _stream,
    "open": _open_stream,
    "results": _results,
    "failed": _failed,
    "unfinished": _unfinished,
    "halfway": _halfway,
    "begun": _begun,
    "recipes": _recipes,
    "listed": _listed,
    "dfb": _deepfakebench,
    "dfdc": _dfdc,
    "ffpp": _ffpp,
    "folders": _folders,
    "wild": _archives,
    "published": _published,
    "plugin": _plugin,
    "picture": _picture,
    "pictures": _pictures,
    "clips": _clips,
    "parquet": _parquet,
}
"""What can be made, each after those that it needs."""
FILES: Final = {
    "stream": ("store", "tiny.toml"),
    "open": ("open.toml", "data", "out"),
    "results": ("r", "steps"),
    "failed": ("f",),
    "unfinished": ("u", "u-steps"),
    "halfway": ("h-steps",),
    "begun": ("b-steps",),
    "recipes": ("recipe.toml", "tuned.toml"),
    "published": ("own.csv", "mine.toml"),
    "plugin": ("boom.py",),
    "picture": ("face.png",),
}
"""Files and folders of each part, where they are not called like it."""
NEEDS: Final = {
    "open": ("stream",),
    "results": ("stream",),
    "failed": ("stream", "results"),
    "unfinished": ("stream",),
    "halfway": ("stream", "unfinished"),
    "begun": ("stream", "unfinished"),
}


def closure(parts: frozenset[str]) -> frozenset[str]:
    """Add the parts that others are made from."""
    return parts | {need for part in parts for need in NEEDS.get(part, ())}


def files_of(parts: frozenset[str]) -> list[str]:
    """Name the files and folders of parts."""
    return [name for part in sorted(parts) for name in FILES.get(part, (part,))]


def is_there(folder: Path, part: str) -> bool:
    """Whether a part was made already."""
    return all((folder / name).exists() for name in FILES.get(part, (part,)))
