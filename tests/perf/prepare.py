"""Preparing faces against decoding and detecting everything; its memory; a crop store against an image folder."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
import torch
from PIL import Image

from fretal_bench.benchmark.recipes.augmentation import Augmentation
from fretal_bench.benchmark.recipes.recipe import open_recipe
from fretal_bench.datasets.faces.detector import open_detector
from fretal_bench.datasets.faces.options import PrepareOptions
from fretal_bench.datasets.faces.prepare import prepare
from fretal_bench.datasets.ffpp_mini.photographs import people
from fretal_bench.datasets.store.store import CropStoreWriter
from fretal_bench.datasets.streams.domain import CropSource
from fretal_bench.strategies.batches import BatchLoader
from perf.steps import Row
from trees import Tree

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
WANTED = 32
FRAMES = 250


def measure_prepare(rounds: int) -> list[Row]:
    """Measure ``prepare`` on a real 720p clip and its four fakes, its memory, and reading what it leaves."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return [*_speed(folder, rounds), _memory(folder), *_reading(folder, rounds)]


def _speed(folder: Path, rounds: int) -> list[Row]:
    clip = _talking_head(folder / "clip.mp4", FRAMES)
    root = _tree(folder / "five", clip, videos=1, methods=METHODS)
    videos = 1 + len(METHODS)
    options = PrepareOptions(frames=WANTED, size=128)
    detector = open_detector("mtcnn")

    def ours(number: int) -> None:
        made = prepare(root, folder / f"store{number}", options=options)
        assert len(made.store) == videos * WANTED, made.failures

    def everything(_: int) -> None:
        # One of the five equal videos; its time counts five times.
        for picture in _decoded(clip):
            detector.detect(picture.to_ndarray(format="rgb24"))

    def decoder(_: int) -> None:
        assert sum(1 for _ in _decoded(clip)) == FRAMES

    cv2.setNumThreads(1)
    seconds = _alternate(rounds, {"ours": ours, "everything": everything, "decoder": decoder})
    rate = videos * FRAMES / _median(seconds["ours"])
    crops = videos * WANTED / _median(seconds["ours"])
    what = f"prepare, 720p, one real and four fakes ({rate:.0f} frames/s passed, {crops:.0f} crops/s)"
    return [
        Row(
            f"speed of {what}",
            "decode and detect every frame",
            [
                videos * theirs / mine
                for theirs, mine in zip(seconds["everything"], seconds["ours"], strict=True)
            ],
            "at least 5",
        ),
        Row(
            "speed of prepare",
            f"decoding every frame and nothing else ({FRAMES / _median(seconds['decoder']):.0f} frames/s)",
            [
                videos * theirs / mine
                for theirs, mine in zip(seconds["decoder"], seconds["ours"], strict=True)
            ],
            "as near to 1 as can be: 1 is the decoder alone",
        ),
    ]


def _memory(folder: Path) -> Row:
    """Peak memory for a set ten times as large, each in a process of its own."""
    clip = _talking_head(folder / "short.mp4", 12)
    peaks = []
    for videos in (4, 40):
        root = _tree(folder / f"set{videos}", clip, videos, METHODS)
        script = (
            "import sys; from pathlib import Path\n"
            "from fretal_bench.datasets.faces.prepare import prepare\n"
            "from fretal_bench.datasets.faces.options import PrepareOptions\n"
            "prepare(Path(sys.argv[1]), Path(sys.argv[2]), options=PrepareOptions(frames=8, size=224))\n"
            # Not ru_maxrss, which begins at what the parent had.
            "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
        )
        command = [sys.executable, "-c", script, str(root), str(folder / f"out{videos}")]
        peaks.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    what = f"peak memory of prepare, 200 videos ({peaks[1] / 1024:.0f} MiB; 240 MB of crops)"
    return Row(what, "20 videos", [peaks[1] / peaks[0]], "below 1.10")


def _reading(folder: Path, rounds: int, count: int = 2048, batch: int = 32) -> list[Row]:
    """Batches out of a store against batches out of an image folder, both flipped and normalised."""
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    rng = np.random.default_rng(0)
    small = rng.integers(0, 255, (count, 16, 16, 3), dtype=np.uint8)
    crops = np.stack([cv2.resize(image, (128, 128), interpolation=cv2.INTER_CUBIC) for image in small])
    labels = np.arange(count) % 2
    for number, (crop, label) in enumerate(zip(crops, labels, strict=True)):
        path = folder / "images" / ("fake" if label else "real") / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(crop).save(path, quality=95)
    with CropStoreWriter(folder / "reading", size=128, name="reading") as writer:
        writer.add(crops, _rows(labels))
        store = writer.finish()
    recipe = open_recipe("mini").changed(
        {"shift": 0, "brightness": 0.0, "contrast": 0.0, "cutmix": 0.0, "image_size": 0}
    )
    transform = transforms.Compose(
        [transforms.RandomHorizontalFlip(), transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)]
    )
    dataset = ImageFolder(str(folder / "images"), transform)
    rows = np.arange(count)
    loaders = {
        "held": BatchLoader(CropSource(store, rows), batch, Augmentation(recipe)),
        "mapped": BatchLoader(CropSource(store, rows, memory_limit=0), batch, Augmentation(recipe)),
        "folder": DataLoader(dataset, batch, shuffle=True),
        "workers": DataLoader(dataset, batch, shuffle=True, num_workers=2, persistent_workers=True),
    }

    def epoch(loader: object) -> Callable[[int], None]:
        def read(_: int) -> None:
            assert sum(len(images) for images, *_ in loader) == count  # type: ignore[attr-defined]

        return read

    seconds = _alternate(rounds, {name: epoch(loader) for name, loader in loaders.items()})
    rate = {name: count / _median(values) for name, values in seconds.items()}

    def row(ours: str, theirs: str, what: str, against: str) -> Row:
        ratios = [b / a for a, b in zip(seconds[ours], seconds[theirs], strict=True)]
        return Row(
            f"speed of batches from a store, {what} ({rate[ours]:.0f} images/s)",
            f"ImageFolder with PIL, {against} ({rate[theirs]:.0f} images/s)",
            ratios,
            "at least 2",
        )

    return [
        row("held", "folder", "held in memory", "this process"),
        row("held", "workers", "held in memory", "two workers"),
        row("mapped", "folder", "from the memory map", "this process"),
    ]


def _alternate(rounds: int, blocks: dict[str, Callable[[int], None]]) -> dict[str, list[float]]:
    """Seconds of each block, taken in turn; the first round warms up and doesn't count."""
    seconds: dict[str, list[float]] = {name: [] for name in blocks}
    for number in range(rounds + 1):
        for name, block in blocks.items():
            begun = time.perf_counter()
            block(number)
            seconds[name].append(time.perf_counter() - begun)
    return {name: values[1:] for name, values in seconds.items()}


def _median(values: list[float]) -> float:
    return float(np.median(values))


def _decoded(path: Path):  # type: ignore[no-untyped-def]
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        yield from container.decode(video=0)


def _talking_head(path: Path, frames: int) -> Path:
    """A 720p clip, 25 frames a second, of a face that sways before a still scene; coded as c23."""
    rng = np.random.default_rng(0)
    scene = cv2.GaussianBlur(rng.integers(0, 255, (720, 1280, 3), dtype=np.uint8), (0, 0), 3)
    photograph = cv2.resize(people()[0].frames[0], (276, 336), interpolation=cv2.INTER_CUBIC)
    face = np.dstack([photograph] * 3)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "23", "preset": "medium"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for number in range(frames):
            image = scene.copy()
            left, top = 500 + round(90 * np.sin(number / 25)), 190 + round(12 * np.sin(number / 7))
            image[top : top + 336, left : left + 276] = face
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def _tree(root: Path, clip: Path, videos: int, methods: tuple[str, ...]) -> Path:
    """A FaceForensics++ tree in which every video is the same clip."""
    tree = Tree(root)
    names = [f"{number:03d}" for number in range(videos + videos % 2)]
    for place, name in enumerate(names[:videos]):
        partner = names[place ^ 1]
        paths = [f"original_sequences/youtube/c23/videos/{name}.mp4"]
        paths += [f"manipulated_sequences/{method}/c23/videos/{name}_{partner}.mp4" for method in methods]
        for path in paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).hardlink_to(clip)
    pairs = [[a, b] for a, b in zip(names[::2], names[1::2], strict=True)]
    for split in ("train", "val", "test"):
        tree.json(f"splits/{split}.json", pairs if split == "train" else [])
    return root


def _rows(labels: np.ndarray) -> pd.DataFrame:
    people_of = [f"{number:04d}" for number in range(len(labels))]
    return pd.DataFrame(
        {
            "path": [f"{name}.png" for name in people_of],
            "dataset": "reading",
            "method": np.where(labels, "fake", "real"),
            "compression": "none",
            "split": "train",
            "label": labels,
            "video": people_of,
            "source": people_of,
            "target": people_of,
            "frame": 0,
        }
    )
