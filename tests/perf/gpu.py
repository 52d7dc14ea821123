"""Training and judging on a GPU, on random crops at the size of FaceForensics++: ``python -m perf.gpu`` in ``tests``.

Every number is of the runner's own objects: the recipe's strategy, loop, augmentation and store. What they are held
against is a bare loop of PyTorch that updates the same model, compiled as a whole, on inputs that are on the device.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from fretal_bench.benchmark.recipes.augmentation import Augmentation
from fretal_bench.benchmark.recipes.loop import StopWhenDiverged
from fretal_bench.benchmark.recipes.model import build_model, build_optimizer
from fretal_bench.benchmark.recipes.recipe import Recipe, open_recipe
from fretal_bench.datasets.store.store import CropStore, CropStoreWriter
from fretal_bench.datasets.streams.domain import CropSource
from fretal_bench.strategies import life
from fretal_bench.strategies.registry import find_strategy
from fretal_bench.strategies.template import ContinualStrategy

VIDEOS, FRAMES = 1440, 32
"""Of a domain of FaceForensics++: 720 real and 720 fake training videos."""
WARM, UPDATES = 10, 60
STRATEGIES = ("kd", "fretal", "er", "dfil", "ewc")


@dataclass(frozen=True)
class Setting:
    """How a model is trained.

    Attributes:
        precision: ``fp32``, ``bf16`` or ``fp16``.
        channels_last: Layout in memory.
        compiled: Whether ``torch.compile`` is used.
    """

    precision: str
    channels_last: bool = True
    compiled: bool = False

    def __str__(self) -> str:
        layout = "channels last" if self.channels_last else "channels first"
        return f"{self.precision}, {layout}, {'compiled' if self.compiled else 'eager'}"

    def recipe(self, name: str, device: str, batch_size: int | None) -> Recipe:
        """Return a recipe in this setting, one epoch a domain, its last weights kept."""
        changes: dict[str, Any] = {"precision": self.precision, "channels_last": self.channels_last}
        changes |= {"compile": self.compiled, "device": device, "epochs": 1, "source_epochs": 1}
        if batch_size is not None:
            changes["batch_size"] = batch_size
        return open_recipe(name).changed({**changes, "pretrained": False})


SETTINGS = tuple(
    Setting(precision, channels_last)
    for precision in ("fp32", "bf16", "fp16")
    for channels_last in (False, True)
) + tuple(Setting(precision, compiled=True) for precision in ("bf16", "fp16"))


def write_store(folder: Path, size: int, videos: int) -> CropStore:
    """Write random crops of one domain, reals and fakes by turns, for training all."""
    random = np.random.default_rng(0)
    with CropStoreWriter(folder / f"store{size}", size=size, name="random") as writer:
        for video in range(videos):
            crops = np.frombuffer(random.bytes(FRAMES * size * size * 3), np.uint8)
            name, fake = f"{video:04d}", video % 2
            row = {"path": f"{name}.mp4", "dataset": "random", "method": ("real", "fake")[fake]}
            row |= {"compression": "none", "split": "train", "label": fake}
            row |= dict.fromkeys(("video", "source", "target"), name)
            rows = pd.DataFrame([{**row, "frame": frame} for frame in range(FRAMES)])
            writer.add(crops.reshape(FRAMES, size, size, 3), rows)
        return writer.finish()


class OnDevice:
    """The same batch of images, on the device, whatever is asked for: a source that costs no time."""

    def __init__(self, source: CropSource, batch_size: int, device: str) -> None:
        self.targets = source.targets
        self._images = source.images(torch.arange(batch_size)).to(device)

    def __len__(self) -> int:
        return len(self.targets)

    def images(self, index: torch.Tensor) -> torch.Tensor:
        """Return as many images as are asked for."""
        return self._images[: len(index)]


class Stopwatch:
    """Seconds of ``UPDATES`` updates after ``WARM`` others; ends the training after them."""

    supports_distributed = True

    def __init__(self, device: str) -> None:
        self.device, self.count, self.seconds = device, 0, float("nan")

    def after_training_iteration(self, strategy: Any, **_: Any) -> None:
        self.count += 1
        if self.count == WARM:
            self.begun = _now(self.device)
        if self.count == WARM + UPDATES:
            self.seconds = _now(self.device) - self.begun
            strategy.stop_training()


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _reset_peak(device: str) -> None:
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()


def _peak(device: str) -> float:
    """Return the most memory that was taken since it was reset, GiB."""
    return torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else float("nan")


class Bench:
    """Measures on one store."""

    def __init__(self, recipe: str, device: str, store: CropStore, batch_size: int | None) -> None:
        self.name, self.device, self.store, self.batch_size = recipe, device, store, batch_size
        self.source = CropSource(store, np.arange(len(store)))
        self.experience = _experience(self.source)

    def recipe(self, setting: Setting) -> Recipe:
        """Return the recipe in a setting."""
        return setting.recipe(self.name, self.device, self.batch_size)

    def strategy(
        self, name: str, setting: Setting, learned: bool = False, **values: Any
    ) -> ContinualStrategy:
        """Build a strategy as the runner does; with ``learned`` it stands after its first domain."""
        recipe, info = self.recipe(setting), find_strategy(name)
        model = build_model(recipe, 0)
        strategy = life.build(
            info,
            model,
            build_optimizer(recipe, model),
            values=values,
            device=self.device,
            precision=recipe.precision,
            batch_size=recipe.batch_size,
            transform=Augmentation(recipe),
            plugins=[StopWhenDiverged("", scaled=recipe.precision == "fp16")],
            balance=recipe.balance,
        )
        if learned:
            few = self.source.rows[: 8 * recipe.batch_size]
            earlier = _experience(CropSource(self.store, few, device=self.device, memory_limit=0))
            life.adopt(strategy, strategy.model.state_dict(), earlier)
        return strategy

    def rate(self, strategy: ContinualStrategy, *, resident: bool = False) -> tuple[float, float]:
        """Return images a second in training, and the peak of memory in GiB."""
        clock = Stopwatch(self.device)
        strategy.plugins.append(clock)
        size = strategy.train_mb_size
        source: Any = OnDevice(self.source, size, self.device) if resident else self.source.to(self.device)
        _reset_peak(self.device)
        self.experience.source = source
        life.train(strategy, self.experience)
        strategy.plugins.remove(clock)
        strategy._stop_training = False
        return UPDATES * size / clock.seconds, _peak(self.device)

    def bare_rate(self, setting: Setting) -> tuple[float, float]:
        """Return images a second, and the memory, of a bare loop: the model compiled whole, one batch again and again."""
        recipe = self.recipe(setting)
        plain = recipe.changed({"compile": False})
        model = build_model(plain, 0).to(self.device).train()
        optimizer = build_optimizer(plain, model)
        if setting.compiled:
            model.compile()
        images = self.source.images(torch.arange(recipe.batch_size)).to(self.device)
        inputs = Augmentation(plain).eval(images)
        targets = self.source.targets[: recipe.batch_size].to(self.device)
        kind = torch.bfloat16 if setting.precision == "bf16" else torch.float16
        scaler = torch.amp.GradScaler(
            self.device, enabled=setting.precision == "fp16" and self.device == "cuda"
        )
        _reset_peak(self.device)
        begun = 0.0
        for update in range(WARM + UPDATES):
            if update == WARM:
                begun = _now(self.device)
            optimizer.zero_grad()
            with torch.autocast(self.device, kind, enabled=setting.precision != "fp32"):
                loss = F.cross_entropy(model(inputs).float(), targets)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        seconds = _now(self.device) - begun
        return UPDATES * recipe.batch_size / seconds, _peak(self.device)

    def judging_rate(self, strategy: ContinualStrategy, *, resident: bool = False) -> float:
        """Return images a second where nothing is learned."""
        rows = self.source.rows[: UPDATES * strategy.eval_mb_size]
        few = CropSource(self.store, rows, device=self.device, memory_limit=0)
        source: Any = OnDevice(few, strategy.eval_mb_size, self.device) if resident else few
        strategy.score(source)
        begun = _now(self.device)
        strategy.score(source)
        return len(rows) / (_now(self.device) - begun)


def _experience(source: CropSource) -> Any:
    """Make an Avalanche experience of a source."""
    from fretal_bench.datasets.streams import avalanche

    class Only:
        name = "random"
        rows = dict.fromkeys(("train", "val", "test"), source.rows)

        def batches(self, split: str) -> CropSource:
            return source

    domains: Any = [Only()]
    return next(iter(avalanche.benchmark(domains).train_stream))


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="paper-fretal")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--videos", type=int, default=VIDEOS)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--parts", default="settings,judging,strategies,compiled")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args(words)
    if arguments.device == "cuda":
        print(torch.cuda.get_device_name(), "torch", torch.__version__, flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        size = open_recipe(arguments.recipe).image_size or 128
        begun = time.perf_counter()
        path = folder / f"store{size}"
        store = (
            CropStore.open(path, verify=False)
            if path.exists()
            else write_store(folder, size, arguments.videos)
        )
        print(f"{len(store)} crops of {size} px after {time.perf_counter() - begun:.0f} s", flush=True)
        bench = Bench(arguments.recipe, arguments.device, store, arguments.batch_size)
        parts = arguments.parts.split(",")
        if "settings" in parts:
            measure(bench, [setting for setting in SETTINGS if not setting.compiled])
        if "judging" in parts:
            measure_judging(bench)
        if "strategies" in parts:
            measure_strategies(bench)
        if "compiled" in parts:
            measure(bench, [setting for setting in SETTINGS if setting.compiled])


def measure(bench: Bench, settings: Sequence[Setting]) -> None:
    """Print, for each setting, images a second from the store, from the device, and of the bare loop; and memory."""
    for setting in settings:
        strategy = bench.strategy("finetuning", setting)
        rates: dict[bool, list[float]] = {False: [], True: []}
        memory = 0.0
        for resident in (False, True, True, False):
            rate, peak = bench.rate(strategy, resident=resident)
            rates[resident].append(rate)
            memory = peak
        bare, bare_memory = bench.bare_rate(setting)
        stored, resident_rate = (statistics.mean(rates[kind]) for kind in (False, True))
        print(
            f"{setting}: {stored:.0f} images/s, {resident_rate:.0f} on the device "
            f"(waiting {1 - stored / resident_rate:.1%}), bare {bare:.0f} ({stored / bare:.2f} of it); "
            f"{memory:.1f} GiB, bare {bare_memory:.1f}",
            flush=True,
        )


def measure_judging(bench: Bench) -> None:
    """Print images a second where nothing is learned, from the store and from the device."""
    for setting in (Setting("fp32"), Setting("fp16")):
        strategy = bench.strategy("finetuning", setting)
        strategy.eval_mb_size = 256
        stored, resident = (bench.judging_rate(strategy, resident=kind) for kind in (False, True))
        print(f"judging, {setting}: {stored:.0f} images/s, {resident:.0f} on the device", flush=True)


def measure_strategies(bench: Bench) -> None:
    """Print what an update of other strategies costs, in updates of fine-tuning."""
    setting = Setting("fp16")
    plain = bench.rate(bench.strategy("finetuning", setting))[0]
    for name in STRATEGIES:
        rate, memory = bench.rate(bench.strategy(name, setting, learned=True))
        print(
            f"{name}, {setting}: {rate:.0f} images/s, {plain / rate:.2f} of fine-tuning's time, {memory:.1f} GiB",
            flush=True,
        )


if __name__ == "__main__":
    main()
