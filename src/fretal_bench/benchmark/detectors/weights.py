"""Weights as files: tensors by name out of ``.safetensors``, ``.pt`` and ``.pth``, read without executing anything."""

from __future__ import annotations

import json
import os
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from fretal_bench import files, parsing
from fretal_bench.benchmark.detectors.record import DetectorRecord, parsed_record, record_of, record_path
from fretal_bench.errors import BenchError
from fretal_bench.names import shown

METADATA: Final = "fretal_bench.detector"
"""The key of a safetensors file's metadata that holds its record, as the JSON of ``NAME.json``."""
SUFFIXES: Final = (".safetensors", ".pt", ".pth")
_WHAT: Final = "weights"
_REMEDY: Final = "save the model's tensors alone: torch.save(model.state_dict(), FILE), or safetensors"
_WRAPPERS: Final = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params")
"""Keys under which training code keeps a model's tensors beside an optimiser's."""
_LISTED: Final = 3
_COUNTS: Final = "num_batches_tracked"
"""BatchNorm's count of batches, which weights of old versions of torch lack and no output depends on."""


@dataclass(frozen=True)
class Weights:
    """Tensors of a file, and what the file says of them itself.

    Attributes:
        path: The file.
        tensors: Its tensors by name, as they stand in it.
        record: What is known of them; None if there is no record.
        record_place: Where that stands; empty if there is none.
    """

    path: Path
    tensors: Mapping[str, Tensor] = field(repr=False)
    record: DetectorRecord | None = None
    record_place: str = ""


def read_weights(path: str | os.PathLike[str]) -> Weights:
    """Read a file of weights and the record that goes with it; nothing in it is executed.

    A state dict that is wrapped (``state_dict``, ``model``, ``net``, ...) is found.

    Raises:
        BenchError: There is no such file, it is damaged, holds more than tensors and plain data, or no tensors at all; or
            its record is not one, or another file's.
    """
    path = files.expanded(path)
    files.check_regular(path, _WHAT, "give a .safetensors, .pt or .pth file")
    if path.suffix not in SUFFIXES:
        raise BenchError(f"{path}: expected weights in a file that ends in {', '.join(SUFFIXES)}; {_REMEDY}")
    metadata: Mapping[str, str] = {}
    if path.suffix == ".safetensors":
        tensors, metadata = _read_safetensors(path)
    else:
        tensors = _state_dict(_read_pickle(path), path)
    if not tensors:
        raise BenchError(f"{path}: expected tensors by name, found none; {_REMEDY}")
    record = record_of(path)
    if record is not None:
        return Weights(path, tensors, record, str(record_path(path)))
    if METADATA in metadata:
        place = f"{path}: metadata {METADATA!r}"
        return Weights(
            path, tensors, parsed_record(parsing.parse_json(metadata[METADATA], place), place), place
        )
    return Weights(path, tensors)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            # Copied: the file may change or go while the tensors are used.
            return {name: file.get_tensor(name).clone() for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, json.JSONDecodeError) as error:
        raise BenchError(
            f"{path}: expected a safetensors file, found one that is damaged or cut off ({_line(error)}); copy it again"
        ) from error


def _read_pickle(path: Path) -> Any:
    _check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except pickle.UnpicklingError as error:
        # torch's own text advises to load it in a way that runs what is in it.
        named = re.search(r"(?:GLOBAL|global) ([\w.]+)", str(error))
        found = f"code ({shown(named[1])})" if named else "a damaged file or a pickle of something else"
        raise BenchError(
            f"{path}: expected tensors and plain data alone, found {found}, of which nothing was executed; {_REMEDY}"
        ) from error
    except Exception as error:  # torch has no class of its own for what is damaged
        raise _damaged(path, error) from error


def _check_archive(path: Path) -> None:
    """Refuse archives that are no state dict: compressed ones, TorchScript, cut-off ones; a bare pickle is read."""
    with files.opened(path, _WHAT) as file:
        start = file.read(2)
    if start != b"PK":
        return
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise _damaged(path, error) from error
    names = {member.filename.rpartition("/")[2] for member in members}
    if "constants.pkl" in names:
        raise BenchError(
            f"{path}: expected tensors alone, found a TorchScript program, of which nothing was executed; {_REMEDY}"
        )
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise BenchError(
            f"{path}: expected weights as torch.save writes them, found a compressed archive; {_REMEDY}"
        )


def _damaged(path: Path, error: Exception) -> BenchError:
    return BenchError(
        f"{path}: expected weights as torch.save writes them, found a file that is damaged or cut off "
        f"({_line(error)}); copy it again"
    )


def _line(error: Exception) -> str:
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return shown(text, 80) if text else type(error).__name__


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    """Return the tensors by name of what a pickle holds, a wrapped state dict among it."""
    if isinstance(content, Mapping):
        if _is_state(content):
            return dict(content)
        wrapped = [
            key for key in _WRAPPERS if isinstance(content.get(key), Mapping) and _is_state(content[key])
        ]
        if len(wrapped) == 1:
            return dict(content[wrapped[0]])
        if wrapped:
            raise BenchError(
                f"{path}: expected one table of tensors, found {' and '.join(map(repr, wrapped))}; save the one that is "
                "meant alone"
            )
        found = "a table of " + ", ".join(shown(str(key), 30) for key in list(content)[:5])
    else:
        found = f"a {type(content).__name__}"
    raise BenchError(
        f"{path}: expected tensors by name, or a table that holds them under one of {', '.join(map(repr, _WRAPPERS))}, "
        f"found {found}; {_REMEDY}"
    )


def _is_state(values: Mapping[Any, Any]) -> bool:
    return bool(values) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in values.items()
    )


def fitted(
    weights: Weights,
    expected: Mapping[str, Tensor],
    who: str,
    head: Iterable[str] = (),
    ignore: Iterable[str] = (),
) -> dict[str, Tensor]:
    """Return a file's tensors under a model's names, in the model's types, every one of them and no other.

    What all names begin with and no name of the model does (``module.``, ``model.``, ``backbone.``) is taken off. Half
    and double precision become the model's.

    Args:
        weights: The file's content.
        expected: The model's ``state_dict()``.
        who: The model, for the errors.
        head: Names of the weights of its last layer.
        ignore: Beginnings of names in the file that are no part of the model.

    Raises:
        BenchError: A tensor is missing, left over, of another shape or kind, or holds NaN.
    """
    tensors = without_prefix(weights.tensors, expected, ignore)
    _check_names(weights.path, tensors, expected, who)
    heads = set(head)
    converted: dict[str, Tensor] = {}
    for name, like in expected.items():
        value = tensors.get(name)
        if value is None:
            # A count of batches, see _check_names.
            converted[name] = like.clone()
            continue
        if value.shape != like.shape:
            where = "its head has another shape" if name in heads else "another architecture"
            remedy = (
                "state how many outputs it has" if name in heads else "state the backbone and its arguments"
            )
            raise BenchError(
                f"{weights.path}: tensor {shown(name)}: expected {list(like.shape)} as in {who}, found "
                f"{list(value.shape)}: {where}; {remedy}"
            )
        if value.is_floating_point() != like.is_floating_point() or value.is_complex() or value.is_quantized:
            raise BenchError(
                f"{weights.path}: tensor {shown(name)}: expected {_kind(like)}, found {_kind(value)}; save the model "
                "before it is quantised"
            )
        value = value.to(like.dtype).contiguous()
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise BenchError(
                f"{weights.path}: tensor {shown(name)} holds NaN or infinite numbers; give weights of a training that "
                "did not diverge"
            )
        converted[name] = value
    return converted


def without_prefix(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], ignore: Iterable[str] = ()
) -> dict[str, Tensor]:
    """Take off, part by part, what all names begin with and none of the model's does; arguments as ``fitted``."""
    dropped = tuple(ignore)
    kept = {name: value for name, value in tensors.items() if not (dropped and name.startswith(dropped))}
    while kept:
        first, dot, _ = next(iter(kept)).partition(".")
        prefix = first + dot
        if not dot or not all(name.startswith(prefix) for name in kept):
            break
        if any(name.startswith(prefix) for name in expected):
            break
        shorter = {name[len(prefix) :]: value for name, value in kept.items()}
        kept = {name: value for name, value in shorter.items() if not (dropped and name.startswith(dropped))}
    return kept


def _check_names(path: Path, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], who: str) -> None:
    missing = [name for name in expected if name not in tensors and not name.endswith(_COUNTS)]
    left = [name for name in tensors if name not in expected]
    if not missing and not left:
        return
    adapters = [name for name in left if re.search(r"(^|[._])(lora|adapter)", name, re.IGNORECASE)]
    if adapters and len(missing) > len(expected) // 2:
        raise BenchError(
            f"{path}: expected all weights of {who}, found adapters alone ({_some(adapters)}); merge them into the "
            "model's weights and save these"
        )
    lacks = f"{len(missing)} of {len(expected)} are missing ({_some(missing)})" if missing else ""
    has = f"{len(left)} are left over ({_some(left)})" if left else ""
    faults = " and ".join(filter(None, (lacks, has)))
    if missing:
        remedy = "state the backbone and its arguments that the weights are of"
    else:
        remedy = "state in 'ignore' how those begin that are no part of the model"
    raise BenchError(f"{path}: expected the tensors of {who}: {faults}; {remedy}")


def _some(names: list[str]) -> str:
    listed = ", ".join(shown(name, 50) for name in names[:_LISTED])
    return listed + (", ..." if len(names) > _LISTED else "")


def _kind(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")
