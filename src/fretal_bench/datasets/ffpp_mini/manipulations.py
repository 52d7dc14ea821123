"""The four manipulations of FaceForensics++ in miniature, and the control that does nothing.

Each takes the target's ten frames and a source person, and gives ten frames in which the target's face is changed. They
follow the methods' ideas, not their code: Deepfakes (a shared encoder and a decoder for each identity), Face2Face
(Thies et al., CVPR 2016), FaceSwap (Kowalski's graphics-based swap), NeuralTextures (Thies et al., SIGGRAPH 2019); see
Roessler et al., FaceForensics++, ICCV 2019, section 3.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from scipy.fft import dstn, idstn

from fretal_bench.datasets.faces.crops import Image
from fretal_bench.datasets.ffpp_mini.geometry import (
    Array,
    apply,
    hull_mask,
    mean_shape,
    pixel_grid,
    similarity,
    warp,
    warp_map,
)
from fretal_bench.datasets.ffpp_mini.photographs import PEOPLE, Person, people

Manipulation = Callable[[Person, Person], Image]

# MediaPipe Face Mesh: below this point a face is "lower".
_NOSE_TIP: Final = 4
_CODE_LENGTH: Final = 12
_ALIGNED: Final = 64
_TEXTURE: Final = 112
# Widths of the blending zones, pixels of a photograph.
_SEAM: Final = 2.0
_SWAP_SEAM: Final = 4 / 3
_STILL: Final = np.eye(2, 3)


def identity(target: Person, source: Person) -> Image:
    """Change nothing: the control. A detector that beats chance here reads the pipeline, not the manipulation."""
    return target.frames.copy()


def deepfakes(target: Person, source: Person) -> Image:
    """Decode the target's pose and expression with the source's face; paste a rectangle (autoencoder face swap).

    A linear autoencoder of the two people's aligned 64 x 64 faces (and their mirror images): one shared basis U of 12
    eigenfaces, one mean face m for each identity. A frame x of the target becomes m_source + U U' (x - m_target),
    and is Poisson-blended into the face's box.
    """
    faces = {person.name: _aligned_faces(person) for person in (target, source)}
    means = {name: face.mean(0) for name, face in faces.items()}
    spread = np.concatenate([faces[name] - means[name] for name in faces])
    # Eigenvectors of the 40 x 40 Gram matrix, largest last, give those of the 4096 x 4096 covariance.
    weights = np.linalg.eigh(spread @ spread.T)[1][:, -_CODE_LENGTH:]
    basis = weights.T @ spread
    basis /= np.linalg.norm(basis, axis=1, keepdims=True)
    frames = target.frames.copy()
    for i, (frame, points) in enumerate(zip(target.frames, target.landmarks, strict=True)):
        code = (faces[target.name][i] - means[target.name]) @ basis.T
        face = (means[source.name] + code @ basis).reshape(_ALIGNED, _ALIGNED)
        onto = similarity(points, _canonical())
        patch = warp(face, apply(onto, pixel_grid(frame.shape)))
        frames[i] = _to_pixels(_poisson_paste(patch, frame, _inner_box(points, frame.shape)))
    return frames


def face2face(target: Person, source: Person) -> Image:
    """Give the target the driver's expression, with the target's own texture (facial reenactment).

    The texture is unwrapped into an aligned square of 112 pixels and rendered from there, the landmarks moved by the
    difference of the two people's expressions.
    """
    frames = target.frames.copy()
    for i, (frame, points) in enumerate(zip(target.frames, target.landmarks, strict=True)):
        moved = points + _expression_change(target, source, i)
        dense = warp_map(moved, points, frame.shape, rigid=_STILL)
        rendered = warp(_through_texture(frame, points), dense)
        mask = hull_mask(moved, frame.shape, feather=_SEAM)
        frames[i] = _to_pixels(frame + mask * (rendered - frame))
    return frames


def faceswap(target: Person, source: Person) -> Image:
    """Warp the source's texture onto the target's landmarks, match the brightness, blend at the hull (graphics swap)."""
    frames = target.frames.copy()
    for i, frame in enumerate(target.frames):
        points = target.landmarks[i]
        best = _nearest_pose(points, source.landmarks)
        texture = warp(source.frames[best], warp_map(points, source.landmarks[best], frame.shape))
        mask = hull_mask(points, frame.shape, feather=_SWAP_SEAM)
        weight = mask.sum()
        shift = ((frame - texture) * mask).sum() / weight
        frames[i] = _to_pixels(frame + mask * (texture + shift - frame))
    return frames


def neuraltextures(target: Person, source: Person) -> Image:
    """Re-synthesise the lower face with the driver's mouth at half resolution and up-sample it (neural rendering)."""
    frames = target.frames.copy()
    for i, frame in enumerate(target.frames):
        points = target.landmarks[i]
        onto = similarity(points, _canonical())
        depth = apply(onto, points)[:, 1] - _canonical()[_NOSE_TIP, 1]
        lower = np.clip(depth / (_ALIGNED / 16), 0, 1)
        moved = points + lower[:, None] * _expression_change(target, source, i)
        texture = warp(frame, warp_map(moved, points, frame.shape, rigid=_STILL))
        mask = hull_mask(moved[lower > 0], frame.shape, feather=2 * _SEAM)
        frames[i] = _to_pixels(frame + mask * (_render(texture) - frame))
    return frames


CONTROL: Final = "identity"
MANIPULATIONS: Final[dict[str, Manipulation]] = {
    "Deepfakes": deepfakes,
    "Face2Face": face2face,
    "FaceSwap": faceswap,
    "NeuralTextures": neuraltextures,
    CONTROL: identity,
}


@lru_cache(maxsize=1)
def _shape_model() -> tuple[Array, Array]:
    """Mean shape [468, 2], and the basis [468, 4] of what a turned, moved or resized mean face looks like."""
    shapes = np.concatenate([person.landmarks for person in people() if person.split == "train"])
    mean = mean_shape(shapes)
    flat = np.column_stack([np.ones(len(mean)), mean])
    aligned = np.stack([apply(similarity(shape, mean), shape) for shape in shapes])
    # What no affine map of the mean explains moves along x and y in proportion to depth: its first component.
    rest = aligned - flat @ (np.linalg.pinv(flat) @ aligned)
    samples = rest.transpose(0, 2, 1).reshape(-1, rest.shape[1])
    depth = np.linalg.svd(samples, full_matrices=False)[2][0]
    return mean, np.column_stack([flat, depth])


@lru_cache(maxsize=1)
def _canonical() -> Array:
    """Place the mean shape in the 64 x 64 square of aligned faces; [468, 2]."""
    mean, _ = _shape_model()
    centre = (mean.min(0) + mean.max(0)) / 2
    scale = 0.8 * _ALIGNED / float(np.ptp(mean, axis=0).max())
    return np.asarray((mean - centre) * scale + (_ALIGNED - 1) / 2)


def _aligned_faces(person: Person) -> Array:
    grid = pixel_grid((_ALIGNED, _ALIGNED))
    faces = []
    for frame, points in zip(person.frames, person.landmarks, strict=True):
        back = similarity(_canonical(), points)
        scale = np.sqrt(np.linalg.det(back[:, :2]))
        smooth = cv2.GaussianBlur(frame.astype(np.float32), (0, 0), max(0.5 * scale, 0.1))
        faces.append(warp(smooth, apply(back, grid)))
    straight = np.stack(faces).astype(np.float64)
    return np.concatenate([straight, straight[:, :, ::-1]]).reshape(2 * len(faces), -1)


def _expression_change(target: Person, driver: Person, frame: int) -> Array:
    """Move the target's landmarks from its own expression to the driver's; [468, 2] pixels.

    Expression is what remains of a frame's landmarks, in the mean face's coordinates, after the pose (the best affine
    map of the mean face with its depth) and the person's average are taken out.
    """
    change = _expressions(driver)[frame] - _expressions(target)[frame]
    mean, _ = _shape_model()
    return np.asarray(change @ similarity(mean, target.landmarks[frame])[:, :2].T)


@lru_cache(maxsize=PEOPLE)
def _expressions(person: Person) -> Array:
    mean, basis = _shape_model()
    aligned = np.stack([apply(similarity(shape, mean), shape) for shape in person.landmarks])
    rest = aligned - basis @ (np.linalg.pinv(basis) @ aligned)
    return np.asarray(rest - rest.mean(0))


def _through_texture(frame: Image, points: Array) -> npt.NDArray[np.float32]:
    """Unwrap the face into the aligned texture square and render it back where it was: two bilinear samplings."""
    zoom = _TEXTURE / _ALIGNED
    square = (_canonical() + 0.5) * zoom - 0.5
    unwrapped = warp(frame, apply(similarity(square, points), pixel_grid((_TEXTURE, _TEXTURE))))
    return warp(unwrapped, apply(similarity(points, square), pixel_grid(frame.shape)))


def _nearest_pose(points: Array, shapes: Array) -> int:
    error = [np.sum((apply(similarity(shape, points), shape) - points) ** 2) for shape in shapes]
    return int(np.argmin(error))


def _inner_box(points: Array, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Box of the face without its outermost twelfth, at least one pixel inside the picture: rows, columns."""
    low, high = points.min(0), points.max(0)
    inset = (high - low) / 12
    first = np.maximum(np.round(low + inset).astype(int), 1)
    last = np.minimum(np.round(high - inset).astype(int), np.array(shape[::-1]) - 2)
    return slice(first[1], last[1] + 1), slice(first[0], last[0] + 1)


def _poisson_paste(patch: npt.NDArray[np.float32], frame: Image, box: tuple[slice, slice]) -> Array:
    """Paste a rectangle so that its gradients are the patch's and its rim is the frame's (Perez et al. 2003).

    Inside the box the result is patch + h, where h is harmonic and equals frame - patch on the rim; a sine transform
    solves that exactly on a rectangle.
    """
    result = frame.astype(np.float64)
    rows, columns = box
    rim = (slice(rows.start - 1, rows.stop + 1), slice(columns.start - 1, columns.stop + 1))
    gap = result[rim] - patch[rim]
    gap[1:-1, 1:-1] = 0
    pull = gap[:-2, 1:-1] + gap[2:, 1:-1] + gap[1:-1, :-2] + gap[1:-1, 2:]
    size = pull.shape
    wave = [2 - 2 * np.cos(np.pi * np.arange(1, n + 1) / (n + 1)) for n in size]
    harmonic = idstn(dstn(pull, type=1) / (wave[0][:, None] + wave[1][None, :]), type=1)
    result[box] = patch[box] + harmonic
    return result


def _render(texture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Halve the resolution and double it again as a transposed convolution does, with its uneven overlap."""
    height, width = texture.shape
    half = cv2.resize(texture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    up = cv2.resize(half, (width, height), interpolation=cv2.INTER_NEAREST)
    checks = np.indices(texture.shape).sum(0) % 2 * 2 - 1
    return np.asarray(up * (1 + 0.03 * checks), dtype=np.float32)


def _to_pixels(image: npt.NDArray[np.floating]) -> Image:
    return np.asarray(np.clip(np.round(image), 0, 255), dtype=np.uint8)
