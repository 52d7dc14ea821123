"""Every registered strategy passes the conformance kit."""

import pytest

from fretal_bench.strategies.registry import strategies
from fretal_bench.testing import strategy_checks, tiny_transformer

OPTIONS = {"domain-lora": {"model": tiny_transformer}}
"""Strategies for which the kit's defaults don't do."""

CHECKS = [
    pytest.param(check, id=f"{info.name}-{check}")
    for info in strategies().values()
    if not info.origin
    for check in strategy_checks(info, **OPTIONS.get(info.name, {}))
]


@pytest.mark.parametrize("check", CHECKS)
def test_every_strategy_conforms(check):
    check()


@pytest.mark.slow
def test_two_processes_give_the_bytes_of_one():
    (check,) = [c for c in strategy_checks(strategies()["er"], processes=True) if "processes" in c.name]
    check()


def test_the_kit_covers_every_hyperparameter_of_every_strategy():
    names = {param.id for param in CHECKS}
    assert {"ewc-reacts_to_lambda_", "fretal-reacts_to_feature", "lwf-reacts_to_temperature"} <= names
    assert all(
        f"{name}-resumes_to_the_same_bytes" in names for name, info in strategies().items() if not info.origin
    )
