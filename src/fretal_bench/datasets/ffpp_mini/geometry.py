"""Face geometry: alignment by similarity, dense warps that cannot fold, and masks of a face."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import Delaunay

from fretal_bench.datasets.faces.crops import Image

Array = npt.NDArray[np.float64]
# A warp may squeeze area to a quarter, not less: where triangles fold (determinant <= 0) a detector would find specks.
MIN_JACOBIAN = 0.25


def pixel_grid(shape: tuple[int, int]) -> Array:
    """Give each pixel its own x and y; float64 [H, W, 2]."""
    return np.stack(np.meshgrid(np.arange(shape[1]), np.arange(shape[0])), axis=-1).astype(np.float64)


def similarity(points: Array, onto: Array) -> Array:
    """Fit the similarity that takes ``points`` onto ``onto`` with the least squared error.

    Args:
        points: [n, 2].
        onto: [n, 2].

    Returns:
        [2, 3]: ``apply(matrix, points)`` is about ``onto``. Source: Umeyama 1991, without reflections.
    """
    centre, goal = points.mean(0), onto.mean(0)
    p, q = points - centre, onto - goal
    scale = (p * p).sum()
    cosine = (p * q).sum() / scale
    sine = (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).sum() / scale
    linear = np.array([[cosine, -sine], [sine, cosine]])
    return np.hstack([linear, (goal - linear @ centre)[:, None]])


def apply(matrix: Array, points: Array) -> Array:
    """Apply a [2, 3] affine matrix to points [..., 2]."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


def mean_shape(shapes: Array) -> Array:
    """Average shapes after taking position, size and rotation out (generalised Procrustes, three rounds).

    Args:
        shapes: [n, points, 2].

    Returns:
        [points, 2], centred on 0, of root mean square radius 1.
    """
    mean: Array = shapes[0]
    for _ in range(3):
        mean = np.stack([apply(similarity(shape, mean), shape) for shape in shapes]).mean(0)
        mean = mean - mean.mean(0)
        mean = mean / np.sqrt((mean**2).sum(1).mean())
    return mean


def warp_map(output: Array, source: Array, shape: tuple[int, int], *, rigid: Array | None = None) -> Array:
    """Say for every output pixel where in the source image its value comes from.

    A similarity carries the whole; the rest is interpolated linearly over the Delaunay triangles of the output
    points, falls to nothing at the picture's border, and is smoothed, more and more, until no triangle folds: the
    Jacobian determinant, over that of the similarity, is at least ``MIN_JACOBIAN`` everywhere.

    Args:
        output: [n, 2], points in the output image.
        source: [n, 2], the same points in the source image.
        shape: Height and width of the output image.
        rigid: [2, 3], the similarity from output to source; fitted if not given.

    Returns:
        float64 [H, W, 2]: x and y in the source image.
    """
    height, width = shape
    rigid = similarity(output, source) if rigid is None else rigid
    reach = 0.25 * max(height, width)
    edge_x, edge_y = (np.linspace(-reach, side + reach, 7) for side in (width, height))
    border = np.array(
        [(x, y) for x in edge_x for y in edge_y if x in edge_x[[0, -1]] or y in edge_y[[0, -1]]]
    )
    points = np.vstack([output, border])
    rest = np.vstack([source - apply(rigid, output), np.zeros_like(border)])
    grid = pixel_grid(shape)
    # Every second pixel is enough: what is smaller is smoothed away below.
    rough = LinearNDInterpolator(Delaunay(points), rest)(grid[::2, ::2])
    rough = cv2.resize(rough, (width, height), interpolation=cv2.INTER_LINEAR)
    area = float(np.linalg.det(rigid[:, :2]))
    sigma = height / 75
    while True:
        smooth = cv2.GaussianBlur(rough, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        dense = apply(rigid, grid) + smooth
        if jacobian(dense).min() >= MIN_JACOBIAN * area:
            return np.asarray(dense)
        sigma *= 1.25


def jacobian(dense: Array) -> Array:
    """Determinant of the Jacobian of a dense map [H, W, 2], by central differences; [H, W]."""
    down, right = (np.gradient(dense, axis=axis) for axis in (0, 1))
    return np.asarray(right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0])


def warp(image: npt.NDArray[np.floating] | Image, dense: Array) -> npt.NDArray[np.float32]:
    """Sample an image at a dense map, bilinearly; the border is replicated. float32 [H, W]."""
    x, y = (np.ascontiguousarray(dense[..., i], dtype=np.float32) for i in (0, 1))
    return np.asarray(
        cv2.remap(image.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    )


def hull_mask(points: Array, shape: tuple[int, int], feather: float) -> npt.NDArray[np.float32]:
    """Weigh each pixel by its depth inside the convex hull of points: 0 outside, 1 from ``feather`` pixels inwards."""
    # Four binary digits of sub-pixel position; a hull that leaves the picture is cut by it.
    hull = cv2.convexHull(np.round(points * 16).astype(np.int32))
    mask = np.zeros((shape[0] + 2, shape[1] + 2), np.uint8)
    cv2.fillConvexPoly(mask, hull + 16, 1, shift=4)
    # Where the picture's border cuts the face there is nothing to blend with: replicate before measuring depth.
    inside = cv2.copyMakeBorder(mask[1:-1, 1:-1], 8, 8, 8, 8, cv2.BORDER_REPLICATE)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[8:-8, 8:-8]
    return np.asarray(np.clip(depth / feather, 0, 1), dtype=np.float32)
