"""What ``--orders`` means: all orders, so many drawn by a seed, or those that are named."""

from __future__ import annotations

import hashlib
import itertools

import pytest

from fretal_bench.benchmark.runner.orders import orders_of
from fretal_bench.errors import BenchError

FOUR = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
TWELVE = tuple(f"d{number}" for number in range(12))


def rank(seed: int, *words: str) -> str:
    return hashlib.sha256(f"{seed}/orders/{'/'.join(words)}".encode()).hexdigest()


@pytest.mark.parametrize("names", [FOUR[:1], FOUR[:2], FOUR, TWELVE[:7]])
def test_all_is_every_order_once_and_the_streams_own_first(names: tuple[str, ...]) -> None:
    orders = orders_of(" all ", names)
    assert orders[0] == names
    assert len(orders) == len(set(orders))
    assert set(orders) == set(itertools.permutations(names))


@pytest.mark.parametrize("names", [FOUR, TWELVE])
@pytest.mark.parametrize("count", [1, 2, 5, 24])
def test_a_number_is_so_many_different_orders_with_the_streams_own_first(
    names: tuple[str, ...], count: int
) -> None:
    orders = orders_of(str(count), names, seed=3)
    assert orders[0] == names
    assert len(set(orders)) == len(orders) == count
    assert all(sorted(order) == sorted(names) for order in orders)
    # A run that is given more orders goes on from those it has.
    assert orders_of("24", names, seed=3)[:count] == orders


def test_the_draw_is_a_ranking_by_hashes_and_so_the_same_everywhere() -> None:
    others = sorted(set(itertools.permutations(FOUR)) - {FOUR}, key=lambda order: rank(7, *order))
    assert orders_of("4", FOUR, seed=7) == (FOUR, *others[:3])
    drawn = [tuple(sorted(TWELVE, key=lambda name: rank(7, str(draw), name))) for draw in range(3)]
    assert orders_of("4", TWELVE, seed=7) == (TWELVE, *drawn)


@pytest.mark.parametrize("names", [FOUR, TWELVE])
def test_another_seed_draws_others(names: tuple[str, ...]) -> None:
    assert len({orders_of("4", names, seed) for seed in range(5)}) == 5


def test_the_orders_after_the_first_do_not_depend_on_which_is_the_streams_own() -> None:
    other = FOUR[::-1]
    here, there = orders_of("24", FOUR)[1:], orders_of("24", other)[1:]
    assert [o for o in here if o != other] == [o for o in there if o != FOUR]


def test_orders_that_are_named_are_taken_as_they_are() -> None:
    assert orders_of("B, A,C ;C,B,A", ("A", "B", "C")) == (("B", "A", "C"), ("C", "B", "A"))
    assert orders_of("A", ("A",)) == (("A",),)


@pytest.mark.parametrize(
    ("text", "names", "words"),
    [
        ("A,B,D", "ABC", "--orders: order 1: unknown domain 'D'. Known: A, B, C"),
        (
            "Face2Face,FaceSwap,NeuralTextures,Deepfake",
            FOUR,
            "unknown domain 'Deepfake'; did you mean 'Deepfakes'",
        ),
        ("A,B,C;A,B", "ABC", "--orders: order 2: domain 'C' is missing; an order names all 3 domains"),
        ("A,B,A", "ABC", "--orders: order 1: domain 'A' is there twice; name every domain once"),
        ("A,B,C;", "ABC", "--orders: order 2: unknown domain ''"),
        ("A,B,C;C,B,A;A,B,C", "ABC", "--orders: order 3 is order 1 again; name every order once"),
        ("0", "ABC", "--orders 0: expected at least 1"),
        ("7", "ABC", "--orders 7: 3 domains have 6 orders in all; give no more, or 'all'"),
        ("6000", "ABC", "--orders 6000: 3 domains have 6 orders in all"),
        ("5041", TWELVE, "--orders 5041: a call takes at most 5,040 orders"),
        (
            "all",
            TWELVE,
            "--orders all: 12 domains have 12! orders, and a call takes at most 5,040; give a number",
        ),
        *(
            (
                text,
                "ABC",
                "--orders: expected 'all', a number of orders, or orders such as 'A,B,C;B,A,C', found",
            )
            for text in ("", "-1", "1.5", "All", "9" * 5000, "\u0663", "a\x1bb")
        ),
    ],
)
def test_a_mistake_is_one_line_that_names_it(text: str, names: tuple[str, ...], words: str) -> None:
    with pytest.raises(BenchError) as caught:
        orders_of(text, tuple(names))
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_many_domains_are_no_reason_to_list_their_orders() -> None:
    names = tuple(f"d{number}" for number in range(300))
    assert len(set(orders_of("30", names))) == 30
    with pytest.raises(BenchError, match=r"300 domains have 300! orders"):
        orders_of("all", names)
