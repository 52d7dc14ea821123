"""Places for the names of points, where no name covers another name or a point."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Directions in the order in which they are tried: right, left, above, below, then between.
_ANGLES = (0, 180, 90, 270, 45, 135, 315, 225, 22, 158, 338, 202, 67, 113, 247, 293)
_RADII = (7.0, 12.0, 18.0, 26.0, 36.0, 48.0, 62.0, 78.0, 96.0, 120.0, 150.0, 190.0, 240.0)


@dataclass(frozen=True)
class Rectangle:
    """A rectangle, in any unit of length."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: Rectangle) -> bool:
        """Whether two rectangles share an area."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.bottom < other.top
            and other.bottom < self.top
        )

    def inside(self, other: Rectangle) -> bool:
        """Whether this one lies wholly in the other."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.bottom >= other.bottom
            and self.top <= other.top
        )


@dataclass(frozen=True)
class Placement:
    """Where a name goes: its box, and whether it lies so far off that a line must lead to its point."""

    box: Rectangle
    led: bool


def place(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    frame: Rectangle,
    point_size: float = 8.0,
    obstacles: Sequence[Rectangle] = (),
) -> list[Placement]:
    """Place names greedily: the most crowded point first, each at the cheapest place around it.

    Args:
        points: Centres, in points (1/72 inch).
        sizes: Width and height of each name.
        frame: Where names must stay.
        point_size: Side of the square that a marker takes.
        obstacles: What a name had better not cross, such as error bars.

    Returns:
        One place a name, in order: near, and hiding as little as can be.
    """
    half = point_size / 2
    hard = [Rectangle(x - half, y - half, x + half, y + half) for x, y in points]
    crowd = [sum(math.dist(a, b) < 60 for b in points) for a in points]
    places: dict[int, Placement] = {}
    for at in sorted(range(len(points)), key=lambda k: (-crowd[k], k)):
        radii, candidates = zip(*_around(points[at], sizes[at], half), strict=True)
        boxes = [candidate.box for candidate in candidates]
        # Hiding a name or a mark is bad, crossing a bar is as bad as going 40 points further away.
        costs = np.array(radii) / 40 + _overlaps(boxes, obstacles)
        costs += 10 * _overlaps(boxes, hard)
        costs += np.where([box.inside(frame) for box in boxes], 0, 100)
        places[at] = candidates[int(np.argmin(costs))]
        hard.append(places[at].box)
    return [places[at] for at in range(len(points))]


def _overlaps(boxes: Sequence[Rectangle], others: Sequence[Rectangle]) -> npt.NDArray[np.int64]:
    """Count for each box the others that it ``overlaps``, all at once: of many names that is most of the work."""
    left, bottom, right, top = _sides(boxes)[:, :, None]
    others_left, others_bottom, others_right, others_top = _sides(others)[:, None, :]
    overlap = (left < others_right) & (others_left < right) & (bottom < others_top) & (others_bottom < top)
    return np.asarray(overlap.sum(axis=1), dtype=np.int64)


def _sides(boxes: Sequence[Rectangle]) -> npt.NDArray[np.float64]:
    """Give the sides of boxes: left, bottom, right and top, ``[4, n]``."""
    sides = [(box.left, box.bottom, box.right, box.top) for box in boxes]
    return np.array(sides, dtype=np.float64).reshape(-1, 4).T


def _around(
    point: tuple[float, float], size: tuple[float, float], half: float
) -> Iterator[tuple[float, Placement]]:
    """Give the places around a point with their distance, the nearest first."""
    x, y = point
    width, height = size
    for radius in _RADII:
        for angle in _ANGLES:
            dx, dy = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            # The box touches the circle with the side or corner that faces the point.
            left = x + radius * dx - width * (1 - dx) / 2
            bottom = y + radius * dy - height * (1 - dy) / 2
            yield (
                radius,
                Placement(
                    Rectangle(left, bottom, left + width, bottom + height), led=radius > 2.5 * half + 3
                ),
            )
