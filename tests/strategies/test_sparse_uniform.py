"""The choice of a sparse, uniform memory, against loops."""

import pytest
import torch

from fretal_bench.strategies.replay.sparse_uniform import (
    sparse_uniform,
    spread_order,
    tile_order,
    tile_shuffled,
)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 6)])
def test_tiles_change_places_and_an_odd_edge_stays(height, width):
    x = torch.arange(2.0 * 3 * height * width).view(2, 3, height, width)
    order = torch.tensor([2, 0, 3, 1])
    actual = tile_shuffled(x, order)
    for row in range(height):
        for column in range(width):
            here = row, column
            h, w = height // 2, width // 2
            if row < 2 * h and column < 2 * w:
                tile = int(order[row // h * 2 + column // w])
                here = tile // 2 * h + row % h, tile % 2 * w + column % w
            assert torch.equal(actual[:, :, row, column], x[:, :, here[0], here[1]])


def test_the_order_of_tiles_is_never_the_one_they_have():
    orders = [tile_order(torch.Generator().manual_seed(seed)).tolist() for seed in range(200)]
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)
    assert [0, 1, 2, 3] not in orders
    assert len({tuple(order) for order in orders}) == 23


@pytest.mark.parametrize("count", [1, 2, 5, 8, 31, 32, 33, 250])
def test_every_beginning_of_the_spread_order_is_spread(count):
    order = spread_order(count)
    assert sorted(order) == list(range(count))
    for kept in range(1, count + 1):
        places = sorted(order[:kept])
        gaps = [b - a for a, b in zip(places, [*places[1:], count], strict=True)]
        # No gap is wider than four times the even one: the binary grid is the next power of two, and halves in turn.
        assert places[0] == 0
        assert max(gaps) <= 4 * count / kept + 1


def chosen_by_loops(features, stability, count):
    """The published choice: sort by distance, cut, in each segment the most stable and the least like it."""
    rows = list(range(len(features)))
    centre = sum(features[r] for r in rows) / len(rows)
    rows.sort(key=lambda r: -float((features[r] - centre).norm()))
    number = -(-count // 2)
    base, more = divmod(len(rows), number)
    segments, start = [], 0
    for k in range(number):
        end = start + base + (k < more)
        segments.append(rows[start:end])
        start = end
    pairs = []
    for segment in segments:
        stable = max(segment, key=lambda r: float(stability[r]))
        rest = [r for r in segment if r != stable]

        def cosine(r, stable=stable):
            return float(features[r] @ features[stable] / features[r].norm() / features[stable].norm())

        pairs.append([stable, *([min(rest, key=cosine)] if rest else [])])
    return pairs


@pytest.mark.parametrize(("size", "count"), [(40, 12), (41, 7), (9, 9), (8, 8), (17, 16), (5, 1), (1, 1)])
def test_each_segment_of_the_distance_gives_its_most_stable_sample_and_the_least_like_it(size, count):
    generator = torch.Generator().manual_seed(size)
    features = torch.randn(size, 6, generator=generator, dtype=torch.float64)
    stability = torch.rand(size, generator=generator)
    pairs = chosen_by_loops(features, stability, count)
    expected = [row for number in spread_order(len(pairs)) for row in pairs[number]][:count]
    actual = sparse_uniform(features, stability, count).tolist()
    assert actual == expected
    assert len(set(actual)) == count


def test_a_share_that_shrinks_still_reaches_from_the_farthest_to_the_centre():
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(400, 4, generator=generator)
    chosen = sparse_uniform(features, torch.rand(400, generator=generator), 64)
    away = (features - features.mean(0)).norm(dim=1)
    rank = away.argsort(descending=True).argsort()
    for kept in (64, 32, 16, 8):
        ranks = rank[chosen[:kept]].sort().values.float()
        # As many of the nearer half as of the farther.
        assert abs(int((ranks < 200).sum()) - kept / 2) <= 1
