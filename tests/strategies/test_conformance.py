"""Every registered strategy passes the conformance kit."""

import pytest

from fretal_bench.strategies.registry import find_strategy, list_strategies, names
from fretal_bench.testing import strategy_checks, tiny_transformer

OPTIONS = {
    "domain-lora": {"model": tiny_transformer},
    "s-prompts": {"model": tiny_transformer},
    "orthogonal-lora": {"model": tiny_transformer},
    # What it keeps grows with the square of the projections, which are many on purpose.
    "ranpac": {"settings": {"projections": 16}},
    "hdp": {
        "exempt": {
            "respects_its_memory_budget": "keeps a perturbation a domain: as large as an image, made of noise and "
            "gradients; that it reads no old image is a test of its own"
        }
    },
}
"""Strategies for which the kit's defaults don't do."""

CHECKS = [
    pytest.param(check, id=f"{info.name}-{check}")
    for info in list_strategies()
    if not info.origin
    for check in strategy_checks(info, **OPTIONS.get(info.name, {}))
]


@pytest.mark.parametrize("check", CHECKS)
def test_every_strategy_conforms(check):
    check()


@pytest.mark.slow
def test_two_processes_give_the_bytes_of_one():
    (check,) = [c for c in strategy_checks(find_strategy("er"), processes=True) if "processes" in c.name]
    check()


def test_the_kit_covers_every_hyperparameter_of_every_strategy():
    checked = {param.id for param in CHECKS}
    assert {"ewc-reacts_to_lambda_", "fretal-reacts_to_feature", "lwf-reacts_to_temperature"} <= checked
    assert all(f"{name}-resumes_to_the_same_bytes" in checked for name in names(plugins=False))
