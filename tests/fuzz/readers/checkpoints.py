"""Readers of checkpoints: by predict, and by a run that goes on from one."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import torch

from fuzz.damage import BYTES, JSON, PLACES, TEXT, Inapplicable, Random, damages, trees
from fuzz.judging import Claim
from fuzz.readers import reader
from fuzz.readers.results import run_again, written
from fuzz.running import Bench, Outcome

_EXECUTED: Final = "fuzz-executed"
"""Made by code that hides in a pickle, were it run."""


def _state(path: Path) -> Any:
    return torch.load(path, weights_only=True)


def _tensors(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all tensors of numbers in a state."""
    if isinstance(value, torch.Tensor):
        return [at] if value.is_floating_point() and value.numel() else []
    items: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [place for key, below in items for place in _tensors(below, (*at, key))]


def _weights(state: Any, random: Random) -> tuple[dict[str, Any], str]:
    """The model's weights, and the name of one of them."""
    names = ["/".join(map(str, place)) for place in _tensors(state["model"])]
    return state["model"], names[int(random.integers(len(names)))]


def _saved(state: Any, path: Path, words: str) -> str:
    torch.save(state, path)
    return words


def weights_that_are_no_numbers(path: Path, random: Random) -> str:
    state = _state(path)
    model, name = _weights(state, random)
    value = (float("nan"), float("inf"), -float("inf"), 1e38)[int(random.integers(4))]
    if random.random() < 0.5:
        model[name][:] = value
    else:
        model[name].view(-1)[0] = value
    return _saved(state, path, f"{name} holds {value}")


def weights_changed(path: Path, random: Random) -> str:
    state = _state(path)
    model, name = _weights(state, random)
    model[name] = model[name] * -1 + 0.5
    return _saved(state, path, f"other numbers in {name}")


def weights_of_another_shape(path: Path, random: Random) -> str:
    state = _state(path)
    model, name = _weights(state, random)
    model[name] = torch.zeros(3, 5, 7)
    return _saved(state, path, f"{name} of another shape")


def weights_of_another_type(path: Path, random: Random) -> str:
    state = _state(path)
    model, name = _weights(state, random)
    kinds = (torch.int64, torch.float64, torch.bool, torch.complex64)
    model[name] = model[name].to(kinds[int(random.integers(4))])
    return _saved(state, path, f"{name} as {model[name].dtype}")


def a_weight_less(path: Path, random: Random) -> str:
    state = _state(path)
    model, name = _weights(state, random)
    del model[name]
    return _saved(state, path, f"without {name}")


def a_weight_more(path: Path, random: Random) -> str:
    state = _state(path)
    state["model"]["fuzz.weight"] = torch.zeros(3)
    return _saved(state, path, "a weight more")


def weights_of_another_backbone(path: Path, random: Random) -> str:
    from fretal_bench.testing import tiny_convnet

    state = _state(path)
    state["model"] = tiny_convnet().state_dict()
    return _saved(state, path, "weights of another backbone")


def a_part_less(path: Path, random: Random) -> str:
    state = _state(path)
    key = list(state)[int(random.integers(len(state)))]
    del state[key]
    return _saved(state, path, f"without {key!r}")


def a_part_of_another_shape(path: Path, random: Random) -> str:
    state = _state(path)
    key = list(state)[int(random.integers(len(state)))]
    values: tuple[Any, ...] = (None, [], {}, "text", 3, {"": 1}, torch.zeros(1))
    state[key] = values[int(random.integers(len(values)))]
    return _saved(state, path, f"{key!r} is {str(state[key])[:30]!r}")


def all_of_another_shape(path: Path, random: Random) -> str:
    values: tuple[Any, ...] = (None, [], {}, "text", 3, torch.zeros(1), {"state_dict": {}}, [{"model": {}}])
    value = values[int(random.integers(len(values)))]
    return _saved(value, path, f"all of it {str(value)[:30]!r}")


def of_another_strategy(path: Path, random: Random) -> str:
    others = [other for other in sorted(path.parent.parent.glob("*/checkpoint.pt")) if other != path]
    if not others:
        raise Inapplicable
    shutil.copyfile(others[0], path)
    return f"that of {others[0].parent.name}"


class _Evil:
    def __reduce__(self) -> Any:
        return open, (_EXECUTED, "w")


def a_pickle_with_code(path: Path, random: Random) -> str:
    how = int(random.integers(3))
    if how == 0:
        path.write_bytes(pickle.dumps(_Evil()))
    elif how == 1:
        torch.save({"model": _Evil()}, path)
    else:
        torch.save({"model": _Evil()}, path, _use_new_zipfile_serialization=False)
    return ("a bare pickle", "in torch's zip", "in torch's old format")[
        how
    ] + " that opens a file for writing"


def a_script(path: Path, random: Random) -> str:
    module = torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2))  # type: ignore[no-untyped-call]
    torch.jit.save(module, path)
    return "a TorchScript archive"


def a_zip_of_something_else(path: Path, random: Random) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "x")
        if random.random() < 0.5:
            archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
    return "a zip of other files"


def a_member_of_the_zip_changed(path: Path, random: Random) -> str:
    """One member of torch's zip made shorter, longer or other, the rest as it is."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = sorted(members)[int(random.integers(len(members)))]
    data = members[name]
    members[name] = (data[: len(data) // 2], data * 2, random.bytes(len(data)), b"")[int(random.integers(4))]
    if members[name] == data:
        raise Inapplicable
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for other, content in members.items():
            archive.writestr(other, content)
    path.write_bytes(out.getvalue())
    return f"{name}: {len(data)} bytes are {len(members[name])}"


CHECKPOINTS: Final = damages(
    weights_that_are_no_numbers,
    weights_changed,
    weights_of_another_shape,
    weights_of_another_type,
    a_weight_less,
    a_weight_more,
    weights_of_another_backbone,
    a_part_less,
    a_part_of_another_shape,
    all_of_another_shape,
    of_another_strategy,
    a_pickle_with_code,
    a_script,
    a_zip_of_something_else,
    a_member_of_the_zip_changed,
)


class _Finder:
    """A face detector that sees one face in the middle of every picture."""

    name = "mtcnn"

    def detect(self, image: Any) -> list[Any]:
        from fretal_bench.datasets.faces.boxes import Face, FaceBox

        height, width = image.shape[:2]
        return [Face(FaceBox(width * 0.2, height * 0.2, width * 0.8, height * 0.8), 0.99)]


def judge_pictures(bench: Bench, *pictures: str, cell: Path | None = None) -> Outcome:
    """Call ``bench predict`` with the detector of a cell; a picture that has no score is an answer."""
    path = cell or sorted(Path("r/cells").iterdir())[0]
    # The face detector is not what is damaged, and takes a second to open.
    with patch("fretal_bench.benchmark.prediction.predict.open_detector", lambda *_: _Finder()):
        return bench("predict", path, *pictures, "--device", "cpu", "--json", findings=True)


def predicted(bench: Bench) -> Claim:
    """What ``bench predict`` says of a picture, by the detector of every cell."""
    cells = sorted(Path("r/cells").iterdir())
    claims = {cell.name: _scores(judge_pictures(bench, "face.png", cell=cell)) for cell in cells}
    if Path(_EXECUTED).exists():
        raise AssertionError("code in the checkpoint was run")
    return Claim(claims)


def _scores(outcome: Outcome) -> Any:
    """What is said of each file, without the time that it took."""
    return [(at["score"], at["faces"], at["reason"]) for at in strict(outcome.out)["files"]]


def strict(text: str) -> Any:
    """JSON as other programs read it, to whom NaN is none."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} stands in what is printed")

    return json.loads(text, parse_constant=refuse)


reader(
    "checkpoint.pt by predict",
    "recipes",
    parts="results picture",
    file="steps/steps/*/checkpoint.pt",
    damages=(*BYTES, *PLACES, *CHECKPOINTS),
    weight=3,
)(predicted)
reader(
    "cell.json by predict",
    "recipes",
    parts="results picture",
    file="r/cells/*/cell.json",
    damages=(*TEXT, *PLACES, *trees(JSON)),
    weight=3,
)(predicted)


@reader(
    "checkpoint.pt of steps by run",
    "recipes",
    parts="stream halfway",
    file="h-steps/steps/*/checkpoint.pt",
    damages=(*BYTES, *PLACES, *CHECKPOINTS),
    writes=(*written("h", "h-steps"), "h/*"),
)
def gone_on(bench: Bench) -> Claim:
    """What a run makes of the steps of the first domain: cells that are trained on from there."""
    claim = run_again(bench, "h", "h-steps")
    # What training took differs from run to run, and so does the report of it.
    tables = {key: value for key, value in claim.used.items() if key.endswith(".parquet")}
    return replace(claim, used={**tables, "problems": claim.used["problems"]})


@reader(
    "checkpoint.pt of source models by run",
    "recipes",
    parts="stream begun",
    file="b-steps/steps/*/checkpoint.pt",
    damages=(*BYTES, *PLACES, *CHECKPOINTS),
    writes=(*written("b", "b-steps"), "b/*"),
    quick=False,
)
def trained_on(bench: Bench) -> Claim:
    """What a run makes of a source model, where nothing else is done: one strategy, two steps."""
    import pandas as pd

    from fretal_bench.benchmark.runner.run import run
    from fretal_bench.testing import TINY_RECIPE

    changes = {"recipe": {**TINY_RECIPE, "source_epochs": 1}}
    results = run(["finetuning"], "tiny.toml", changes=changes, out="b", pool="b-steps")
    if results.failures:
        from fretal_bench.errors import RunError

        raise RunError(f"failed: {results.failures[0].reason}")
    (cell,) = results.cells
    return Claim(pd.DataFrame(cell.scores))
