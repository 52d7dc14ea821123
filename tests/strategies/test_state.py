"""States of every strategy: its own is taken back, what is not its own is refused in one line."""

import copy
import io
import os
import pickle
import zipfile

import pytest
import torch
from torch import Tensor

from fretal_bench.errors import BenchError
from fretal_bench.strategies import life
from fretal_bench.strategies.registry import find_strategy, names
from fretal_bench.testing import TinyConvNet, tiny_transformer
from tests_support import NEEDING_ATTENTION, experience_of

NAMES = names(stock=True, plugins=False)
KEEPING = [name for name in NAMES if not name.startswith(("avalanche:", "finetuning", "zero-shot", "joint"))]
"""Most of them keep something besides the model."""
RESUMABLE = [name for name in NAMES if not name.startswith("avalanche:")]
SIDE = 32
SMALLER = {"domain-lora": {"clusters": 2}, "s-prompts": {"clusters": 2}, "ranpac": {"projections": 8}}
"""Hyperparameters that make a state quick to try at all its leaves."""


def built(name):
    torch.manual_seed(0)
    model = tiny_transformer() if name in NEEDING_ATTENTION else TinyConvNet()
    values = SMALLER.get(name, {})
    return life.build(
        find_strategy(name), model, torch.optim.SGD(model.parameters(), 0.01), values=values, batch_size=6
    )


def experience(number):
    generator = torch.Generator().manual_seed(number)
    return experience_of(
        torch.randn(12, 3, SIDE, SIDE, generator=generator), torch.tensor([0, 1] * 6), number
    )


EXPERIENCES = [experience(number) for number in range(2)]
_states = {}


def state_of(name):
    """What a strategy saves after two domains, trained once."""
    if name not in _states:
        strategy = built(name)
        for one in EXPERIENCES:
            life.train(strategy, one)
        file = io.BytesIO()
        life.save(strategy, file)
        _states[name] = file.getvalue()
    return life.read_state(io.BytesIO(_states[name]))


def refusal(name, state):
    """The line that refuses a state."""
    with pytest.raises(BenchError) as caught:
        life.begin(built(name), find_strategy(name), EXPERIENCES, state)
    line = str(caught.value)
    assert line.isprintable()
    assert "weights_only" not in line
    return line


def leaves(value, path=()):
    """Where the tensors and numbers of a state are."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*path, key))
    else:
        yield path


def replaced(state, path, make):
    """A copy of a state with one leaf made anew."""
    state = copy.deepcopy(state)
    holder = state
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = make(holder[path[-1]])
    return state


@pytest.mark.parametrize("name", RESUMABLE)
def test_a_strategy_takes_its_own_state_back(name):
    state = state_of(name)
    strategy = built(name)
    life.begin(strategy, find_strategy(name), EXPERIENCES, state)
    after = strategy.state_dict()
    assert list(leaves(after)) == list(leaves(state))
    assert after["step"] == 2


@pytest.mark.parametrize("name", RESUMABLE)
def test_the_state_of_another_strategy_is_refused(name):
    # Fisher information by class is kept as EWC's is.
    other = "er" if name in ("ewc", "ewc-by-class") else "ewc"
    state = {**state_of(name), "extra": state_of(other)["extra"]}
    assert f"expected a state of strategy {name!r}" in refusal(name, state)


@pytest.mark.parametrize("name", RESUMABLE)
def test_what_is_wrong_with_the_weights_is_named(name):
    state = state_of(name)
    weight = next(iter(state["model"]))
    assert repr(weight) in refusal(name, replaced(state, ("model", weight), lambda old: torch.zeros(3, 99)))
    assert "float64" in refusal(name, replaced(state, ("model", weight), Tensor.double))
    line = refusal(name, replaced(state, ("model", weight), lambda old: old * torch.nan))
    assert "holds NaN or infinite numbers: the training that wrote it diverged" in line
    without = copy.deepcopy(state)
    del without["model"][weight]
    assert repr(weight) in refusal(name, without)
    assert "'more'" in refusal(name, {**state, "model": {**state["model"], "more": torch.zeros(1)}})
    assert "a table" in refusal(name, {**state, "extra": [1]}) + refusal(name, {**state, "model": None})
    for key in state:
        assert key in refusal(name, {other: value for other, value in state.items() if other != key})
    for step in ("x", -1, True, 1.5, None, 1, 3):
        assert "step" in refusal(name, {**state, "step": step})


@pytest.mark.parametrize("name", KEEPING)
def test_nothing_of_another_shape_or_kind_is_believed_of_what_a_strategy_keeps(name):
    state = state_of(name)
    for path in leaves({"extra": state["extra"]}):
        for make in (lambda old: torch.zeros(3, 3, 3), lambda old: "text", lambda old: None):
            refusal(name, replaced(state, path, make))


class Evil:
    """Runs code when it is unpickled as pickles are."""

    def __reduce__(self):
        return os.system, ("touch owned",)


@pytest.mark.parametrize(
    "kind",
    [
        "empty",
        "text",
        "pickle",
        "evil",
        "legacy",
        "script",
        "cut",
        "compressed",
        "list",
        "number keys",
        "zip",
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused_and_nothing_in_it_runs(kind, tmp_path, monkeypatch, recwarn):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "checkpoint.pt"
    whole = {"step": 1, "model": {"w": torch.zeros(1000)}, "extra": {}}
    torch.save({"list": [whole], "number keys": {1: whole}, "evil": Evil()}.get(kind, whole), path)
    if kind in ("empty", "text", "cut"):
        path.write_bytes({"empty": b"", "text": b"weights", "cut": path.read_bytes()[:-600]}[kind])
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(Evil()))
    elif kind == "legacy":
        torch.save(whole, path, _use_new_zipfile_serialization=False)
    elif kind == "script":
        torch.jit.script(torch.nn.Linear(2, 2)).save(path)
    elif kind in ("compressed", "zip"):
        with zipfile.ZipFile(path) as old:
            members = {name: old.read(name) for name in old.namelist()} if kind != "zip" else {"a": b"b"}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if kind != "zip" else zipfile.ZIP_STORED) as new:
            for name, content in members.items():
                new.writestr(name, content)
    recwarn.clear()
    with pytest.raises(BenchError) as caught, life.naming(path, "do this"):
        life.read_state(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert line.endswith("; do this")
    assert "checkpoint that `bench run` wrote" in line
    assert line.isprintable()
    assert "weights_only" not in line
    assert [warning for warning in recwarn if "TorchScript" in str(warning.message)] == []
    assert not (tmp_path / "owned").exists()


def test_a_pipe_and_a_folder_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "none"):
        with pytest.raises(BenchError, match="checkpoint"):
            life.read_state(path)


def test_the_scores_of_weights_that_are_no_numbers_are_no_scores():
    from fretal_bench.strategies.batches import TensorSource

    strategy = built("finetuning")
    source = TensorSource(torch.zeros(5, SIDE, SIDE, 3, dtype=torch.uint8))
    assert len(life.judge(strategy, source)) == 5
    with torch.no_grad():
        strategy.model.head.weight.fill_(torch.nan)
    with pytest.raises(life.NoProbability, match=r"5 of 5 images is no number .*nan.: training diverged"):
        life.judge(strategy, source)
    strategy.probabilities = lambda inputs: torch.full((len(inputs), 2), 3.5)
    with pytest.raises(life.NoProbability, match=r"3.5.: probabilities.. must return probabilities"):
        life.judge(strategy, source)
