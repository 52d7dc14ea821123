"""States of strategies between two domains: read from files without executing anything, and held against a new strategy.

A file may be damaged, may be another strategy's, of another backbone, or of a training that diverged: what is wrong is
told in one line, before anything of it is believed.
"""

from __future__ import annotations

import os
import pickle
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, Final

import torch
from torch import Tensor

from fretal_bench import files
from fretal_bench.errors import BenchError
from fretal_bench.names import shown

KEYS: Final = ("step", "model", "extra")
"""What a state holds: domains learned, the model's weights, and what the strategy keeps besides."""
_WHAT: Final = "a checkpoint that `bench run` wrote"


class BadState(BenchError):
    """A state that is not what its reader expects; whoever knows the file names it, see ``naming``."""


@contextmanager
def naming(file: str | os.PathLike[str], remedy: str) -> Iterator[None]:
    """Name the file that a state is from, and what to do, where the block raises ``BadState``."""
    try:
        yield
    except BadState as error:
        raise BenchError(f"{os.fspath(file)}: {error}; {remedy}") from error


def read_state(
    file: str | os.PathLike[str] | IO[bytes], device: str | torch.device = "cpu"
) -> dict[str, Any]:
    """Read what ``life.save`` wrote, its tensors on ``device``; nothing in it is executed.

    Raises:
        BenchError: There is no such file, or it is no regular one.
        BadState: It is damaged, holds more than tensors and plain data, or is no strategy's state.
    """
    if isinstance(file, str | os.PathLike):
        files.check_regular(file, "checkpoint")
    _check_archive(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state = torch.load(file, map_location=device, weights_only=True)
    except MemoryError:
        raise
    except pickle.UnpicklingError as error:
        # torch's own text advises to load it in a way that runs what is in it.
        raise BadState(f"holds more than tensors and plain data, expected {_WHAT}") from error
    except Exception as error:  # torch has no class of its own for what is damaged
        raise BadState(f"expected {_WHAT}, found one that is damaged") from error
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
        raise BadState(f"expected {_WHAT}, found {_kind(state)}")
    return state


def _check_archive(file: str | os.PathLike[str] | IO[bytes]) -> None:
    """Find out whether a file is a zip archive whose members are stored as they are, as torch writes them.

    Anything else (a bare pickle, TorchScript, a compressed archive of a thousand times its size) is not opened.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BadState(f"expected {_WHAT}, found no such archive, or a damaged one") from error
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise BadState(f"expected {_WHAT}, found a compressed archive")
    names = {member.filename.rpartition("/")[2] for member in members}
    if "data.pkl" not in names or "constants.pkl" in names:
        raise BadState(f"expected {_WHAT}, found an archive of another kind")
    if not isinstance(file, str | os.PathLike):
        file.seek(0)


def check_weights(weights: Any, model: torch.nn.Module) -> None:
    """Hold a state dict against a model: the same names, shapes and types, and finite numbers.

    Raises:
        BadState: They differ; the message names the first weight that does.
    """
    _check_alike(weights, model.state_dict(), f"the weights of {_backbone(model)}")
    broken = next((name for name, value in weights.items() if not _is_finite(value)), None)
    if broken is not None:
        raise BadState(
            f"weight {shown(broken)} holds NaN or infinite numbers: the training that wrote it diverged"
        )


def check_outline(state: Mapping[str, Any], expected: Mapping[str, Any], who: str, *, own: bool) -> None:
    """Hold a state against that of a new strategy: the same keys, and what the new one keeps, of the same kind.

    Args:
        state: The state.
        expected: ``state_dict()`` of a new strategy of the same kind.
        who: The strategy, for the message.
        own: Whether it is the suite's own; a plugin may begin with nothing where it keeps something later.

    Raises:
        BadState: A key is missing, is unknown, or its value is of another kind.
    """
    if set(expected) != set(KEYS):
        # A plugin with a state of its own, of which it knows more than is said here.
        return
    _check_keys(state, expected, f"a state of {who}")
    step = state["step"]
    if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step < 2**31:
        raise BadState(f"step: expected a whole number of domains, found {_kind(step)}")
    if not isinstance(state["extra"], dict):
        raise BadState(f"extra: expected a table, found {_kind(state['extra'])}")
    for key, value in expected["extra"].items():
        if key not in state["extra"]:
            raise BadState(f"expected a state of {who}, which keeps {shown(key)}, found none of it")
        if own and _kind(state["extra"][key]) != _kind(value):
            raise BadState(
                f"{key}: expected {_kind(value)} in a state of {who}, found {_kind(state['extra'][key])}"
            )


def check_restored(state: Mapping[str, Any], restored: Mapping[str, Any], who: str) -> None:
    """Hold a state against that of the strategy that loaded it: what the state holds and the strategy ignores is not its.

    Raises:
        BadState: The state holds something that the strategy does not keep.
    """
    if "extra" in restored:
        unknown = [key for key in state["extra"] if key not in restored["extra"]]
        if unknown:
            raise BadState(f"expected a state of {who}, found one that keeps {shown(str(unknown[0]))}")


def check_table(value: Any, expected: Mapping[str, Tensor], what: str) -> dict[str, Tensor]:
    """Return a table of tensors that has the names, shapes and types of ``expected``; ``BadState`` if it has not."""
    _check_alike(value, expected, what)
    return dict(value)


def check_tensor(
    value: Any, what: str, holds: Callable[[Tensor], bool], expected: str, dtype: torch.dtype | None = None
) -> Tensor:
    """Return a tensor of which ``holds`` is true; else ``BadState``."""
    right = isinstance(value, Tensor) and (dtype is None or value.dtype == dtype)
    if not right or not holds(value):
        raise BadState(f"{what}: expected {expected}, found {_kind(value)}")
    tensor: Tensor = value
    return tensor


def numbers_in(value: Any) -> int:
    """Count the numbers of all tensors in nested tables and lists."""
    return sum(tensor.numel() for tensor in _tensors(value))


def tensor_bytes(value: Any) -> int:
    """Add up the bytes of all tensors in nested tables and lists, as a file holds them: memory that is shared once.

    A tensor that is a part of a larger one counts as the larger one, since that is what is saved.
    """
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage() for tensor in _tensors(value)}
    return sum(storage.nbytes() for storage in storages.values())


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        return [tensor for part in value.values() for tensor in _tensors(part)]
    if isinstance(value, list | tuple):
        return [tensor for part in value for tensor in _tensors(part)]
    return []


def _check_alike(values: Any, expected: Mapping[str, Any], what: str) -> None:
    if not isinstance(values, Mapping):
        raise BadState(f"expected {what}, found {_kind(values)}")
    _check_keys(values, expected, what)
    for name, value in expected.items():
        if _form(values[name]) != _form(value):
            raise BadState(f"{shown(name)}: expected {_form(value)} in {what}, found {_form(values[name])}")


def _check_keys(values: Mapping[str, Any], expected: Mapping[str, Any], what: str) -> None:
    for has, lacks, words in ((expected, values, "none"), (values, expected, "it")):
        name = next((name for name in has if name not in lacks), None)
        if name is not None:
            kept = "has" if words == "none" else "has no"
            raise BadState(f"expected {what}, which {kept} {shown(str(name))}, found {words}")


def _is_finite(value: Any) -> bool:
    return not isinstance(value, Tensor) or not value.is_floating_point() or bool(value.isfinite().all())


def _form(value: Any) -> str:
    if isinstance(value, Tensor):
        sides = "x".join(map(str, value.shape))
        return f"{str(value.dtype).removeprefix('torch.')} {f'[{sides}]' if sides else 'number'}"
    return _kind(value)


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        return "a tensor"
    if isinstance(value, dict):
        return "a table"
    names = {list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "something else" if value is not None else "nothing")


def _backbone(model: torch.nn.Module) -> str:
    configuration: Any = getattr(model, "pretrained_cfg", None) or {}
    return str(configuration.get("architecture") or type(model).__name__)
