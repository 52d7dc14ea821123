"""Detectors written as files: weights (safetensors), or a graph from pixels to P(fake) (ONNX, TorchScript), as judged.

What is written is what judges, whatever the strategy's rule is, and is compared with it before it is kept. A safetensors
file holds the weights of a plain classifier of the backbone; the other two hold a ``CropJudge``:

    input ``images``, float32 [batch, 3, S, S], RGB in [0, 1], S the side of the crop rule
    output ``fake``, float32 [batch]

so that normalisation and resizing are inside. Temperature and threshold are outside, in the record.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fretal_bench import files, parsing
from fretal_bench.benchmark.detectors.card import card_of
from fretal_bench.benchmark.detectors.graph import CropJudge, merged_tensors, of_strategy
from fretal_bench.benchmark.detectors.onnx_file import INPUT, OUTPUT, OnnxJudge, check_installed
from fretal_bench.benchmark.detectors.record import DetectorRecord, read_record, record_path, write_record
from fretal_bench.benchmark.detectors.weights import METADATA
from fretal_bench.errors import BenchError, RunError, first_line
from fretal_bench.strategies import life
from fretal_bench.strategies.batches import TensorSource
from fretal_bench.strategies.template import ContinualStrategy

Format = Literal["safetensors", "onnx", "torchscript"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
"""Each is the suffix of its files too."""
ALIKE: Final = 1e-4
"""How far P(fake) of what is exported may be from what is judged."""
_PROBES: Final = 24
_OPSET: Final = 18
_COUNTS: Final = "num_batches_tracked"
"""BatchNorm's count of batches, which no output depends on: layers that are frozen have none."""
_LARGEST_ONNX: Final = 2**31 - 2**20
"""Bytes of a protobuf message, which an ONNX file is."""
_OUT: Final = "give another --out"


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        weights: The file of the detector.
        record: Its record.
        card: Its model card.
        content: What the record says.
        plain: Whether a plain classifier of the backbone judges alike.
        difference: The largest difference between P(fake) of the file and of what it was made of.
        compared: Over so many crops.
    """

    weights: Path
    record: Path
    card: Path
    content: DetectorRecord
    plain: bool
    difference: float
    compared: int = _PROBES


def export(
    strategy: ContinualStrategy,
    network: nn.Module | None,
    record: DetectorRecord,
    out: str | os.PathLike[str],
    format: Format,
) -> Exported:
    """Write what a strategy judges by, its record and its model card.

    Args:
        strategy: As ``life.build_judge`` gives it, on the CPU, in fp32, its transform that of the recipe.
        network: A new network of the backbone with two outputs, without anything of a strategy or recipe; None where
            there is none.
        record: What is known of it, with the crop rule.
        out: The file; the record and the card get its name with other suffixes.
        format: What to write.

    Raises:
        BenchError: The strategy's rule is no plain classifier and ``safetensors`` is asked for; the package that writes
            ``onnx`` is not installed; or another detector's files are in the place.
        RunError: It cannot be traced, or what was written judges otherwise.
    """
    path = Path(out)
    if format == "onnx":
        check_installed()
    _check_place(path, record)
    assert record.crop is not None
    crops = probes(record.crop.size)
    expected = life.judge(strategy, TensorSource(crops))
    tensors = _plain(strategy, network, record, crops, expected)
    if format == "safetensors" and tensors is None:
        raise BenchError(
            f"{record.strategy or 'this detector'} judges by a rule of its own, which is no plain classifier of "
            f"{record.backbone or record.model} that weights alone could be; give --format onnx"
        )
    if tensors is not None:
        assert network is not None
        judge = _judge(network, record)
    else:
        judge = of_strategy(strategy, record.mean, record.std, crop=record.crop.size, image=record.image_size)
    bare = dataclasses.replace(record, sha256={})
    content, scores = _written(format, judge, tensors or {}, bare, crops)
    difference = float(np.abs(scores - expected).max())
    if not difference <= ALIKE:
        raise RunError(
            f"{path}: as {format}, P(fake) of {len(crops)} crops differs by up to {difference:.2g} from what is judged, "
            f"at most {ALIKE:g} was expected; nothing was written; give another --format"
        )
    return _keep(path, format, content, record, tensors is not None, difference)


def probes(size: int, count: int = _PROBES) -> Tensor:
    """Return crops to try a detector on, uint8 [N, S, S, 3]: smooth pictures of all levels of light, some with noise."""
    random = np.random.default_rng(0)
    coarse = torch.from_numpy(random.random((count, 3, 5, 5), np.float32))
    smooth = nn.functional.interpolate(coarse, (size, size), mode="bicubic", align_corners=False)
    level = torch.linspace(0.1, 0.9, count)[:, None, None, None]
    noise = torch.from_numpy(random.normal(0, 0.1, (count, 3, size, size)).astype(np.float32))
    noise[::2] = 0
    pixels = (level + (smooth - 0.5) * 0.8 + noise).clamp(0, 1)
    return (pixels * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def as_images(crops: Tensor) -> Tensor:
    """Return crops uint8 [N, S, S, 3] as an exported graph takes them: float32 [N, 3, S, S] in [0, 1]."""
    return crops.permute(0, 3, 1, 2).float().div(255).contiguous()


def _judge(network: nn.Module, record: DetectorRecord) -> CropJudge:
    assert record.crop is not None
    return CropJudge(network, record.mean, record.std, crop=record.crop.size, image=record.image_size)


@torch.no_grad()
def _plain(
    strategy: ContinualStrategy,
    network: nn.Module | None,
    record: DetectorRecord,
    crops: Tensor,
    expected: NDArray[np.float32],
) -> dict[str, Tensor] | None:
    """Return the weights with which the plain network judges as the strategy does, which it then has; None if none do."""
    classifier = strategy.classifier()
    if classifier is None or network is None:
        return None
    tensors = merged_tensors(classifier)
    own = network.state_dict()
    known = {name: value for name, value in tensors.items() if name in own}
    if len(known) < len(tensors) or not all(name in known or name.endswith(_COUNTS) for name in own):
        return None
    if any(own[name].shape != value.shape for name, value in known.items()):
        return None
    network.load_state_dict(known, strict=False)
    judged = _judge(network, record)(as_images(crops)).numpy()
    if not np.abs(judged - expected).max() <= ALIKE:
        return None
    return {name: value.detach().clone().contiguous() for name, value in network.state_dict().items()}


@torch.no_grad()
def _written(
    format: Format, judge: CropJudge, tensors: Mapping[str, Tensor], record: DetectorRecord, crops: Tensor
) -> tuple[bytes, NDArray[np.float32]]:
    """Return the content of the file, and P(fake) of crops as the content that is read again gives it."""
    images = as_images(crops)
    about = parsing.to_json(parsing.plain(dataclasses.asdict(record)))
    if format == "safetensors":
        from safetensors.torch import load, save

        content = save(dict(tensors), metadata={METADATA: about})
        judge.network.load_state_dict(load(content))
        return content, judge(images).numpy()
    if format == "onnx":
        content = _as_onnx(judge, images[:2], about)
        return content, OnnxJudge(content, "the exported graph").score(images.numpy())
    content = _as_torchscript(judge, images[:2])
    jit: Any = torch.jit
    with _quiet():
        # Of this process's own making, a moment ago.
        again = jit.load(io.BytesIO(content))
    return content, again(images).numpy()


def _as_onnx(judge: CropJudge, images: Tensor, about: str) -> bytes:
    try:
        with _quiet():
            program: Any = torch.onnx.export(
                judge,
                (images,),
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes={INPUT: {0: torch.export.Dim("batch")}},
                opset_version=_OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
            program.model.metadata_props[METADATA] = about
            size = sum(value.numel() * value.element_size() for value in judge.state_dict().values())
            if size > _LARGEST_ONNX:
                raise BenchError(
                    f"--format onnx: an ONNX file holds 2 GB at most, and these weights are {size / 1e9:.1f} GB; give "
                    "--format safetensors or torchscript"
                )
            content: bytes = program.model_proto.SerializeToString()
    except (BenchError, MemoryError):
        raise
    except Exception as error:  # the exporter has many ways to fail at an operation that it does not know
        raise RunError(
            f"--format onnx: torch's exporter cannot write this detector ({type(error).__name__}: {_cause(error)}); give "
            "--format torchscript"
        ) from error
    return content


def _as_torchscript(judge: CropJudge, images: Tensor) -> bytes:
    buffer = io.BytesIO()
    jit: Any = torch.jit
    try:
        with _quiet():
            jit.save(jit.trace(judge, (images,), check_trace=False), buffer)
    except MemoryError:
        raise
    except Exception as error:  # tracing runs the model, which may fail in any way
        raise RunError(
            f"--format torchscript: torch cannot trace this detector ({first_line(error)}); give --format onnx"
        ) from error
    return buffer.getvalue()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what exporters warn of and log off the screen: the result is compared instead."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _cause(error: BaseException) -> str:
    """Return the first line of the error at the bottom."""
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error)[:200]


def _check_place(path: Path, record: DetectorRecord) -> None:
    """Refuse to take the place of another detector's files; those of the same one are written again."""
    files.check_place(path, "--out")
    beside = record_path(path)
    if beside == path or path.suffix == ".md":
        raise BenchError(
            f"--out: expected a name for the detector, found {path}, which is its record's or card's; {_OUT}"
        )
    if os.path.lexists(beside):
        try:
            there = read_record(beside)
        except BenchError as error:
            raise BenchError(f"{error}; or {_OUT}") from error
        if not record.step or there.step != record.step:
            raise BenchError(f"{beside}: expected nothing, found the record of another detector; {_OUT}")
    elif os.path.lexists(path):
        raise BenchError(f"{path}: expected nothing, found a file that has no record; {_OUT}")


def _keep(
    path: Path, format: Format, content: bytes, record: DetectorRecord, plain: bool, difference: float
) -> Exported:
    """Write the file, its record and its card; what the same detector was written as before stays in the record."""
    place, card = record_path(path), path.with_suffix(".md")
    hashes = dict(read_record(place).sha256) if os.path.lexists(place) else {}
    suffix = path.suffix.removeprefix(".")
    # One that was removed since is not told of.
    hashes = {key: value for key, value in hashes.items() if path.with_suffix(f".{key}").exists()}
    hashes[suffix] = hashlib.sha256(content).hexdigest()
    record = dataclasses.replace(record, sha256=hashes)
    files.write(path, content, remedy=_OUT)
    write_record(place, record)
    files.write(card, card_of(record, path.stem, plain=plain), remedy=_OUT)
    return Exported(path, place, card, record, plain, difference)
