"""Frames of a video: a choice of them, evenly spaced, read with as little other decoding as can be."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import av
import numpy as np

from fretal_bench.datasets.check.probe import probe
from fretal_bench.datasets.faces.crops import Image
from fretal_bench.datasets.media.clips import open_clip
from fretal_bench.datasets.media.limits import MediaLimits, check_file
from fretal_bench.datasets.media.orientation import Turn
from fretal_bench.datasets.media.pictures import read_picture
from fretal_bench.datasets.media.reasons import Cause, Reason, Unreadable


class Frame(NamedTuple):
    """A frame that was asked for: its number, and its picture (uint8 [H, W, 3], RGB) or why there is none."""

    number: int
    image: Image | None
    cause: Cause = Cause(Reason.BAD_FRAME)


class Source(Protocol):
    """A video: a file, extracted frames or members of an archive.

    Attributes:
        numbers: The frames there are, ascending.
        declared: How many its header declares; more than there are if it was cut short.
        shape: Height and width of its frames as ``read`` gives them, pixels.
    """

    numbers: Sequence[int]
    declared: int
    shape: tuple[int, int]

    def read(self, numbers: Sequence[int]) -> Iterator[Frame]:
        """Give each of these frames, ascending, each exactly once."""
        ...


def evenly(numbers: Sequence[int], count: int) -> list[int]:
    """Choose ``count`` numbers, each from the middle of an equal stretch; all for 0 or if there are fewer."""
    if count == 0 or count >= len(numbers):
        return list(numbers)
    return [numbers[(2 * place + 1) * len(numbers) // (2 * count)] for place in range(count)]


class VideoFile:
    """A video file read through PyAV.

    Frames are counted by listing packets, which decodes nothing. To reach certain frames everything they are predicted
    from is decoded, and nothing else: frames that no other refers to (most B-frames) are passed over.
    """

    def __init__(self, path: Path, limits: MediaLimits | None = None) -> None:
        """Open the file and list its frames.

        Args:
            path: The file.
            limits: What it may ask for; the default limits if not given.

        Raises:
            Unreadable: There is no such file, no frame in it, or it is beyond the limits.
        """
        self.path = path
        self._limits = limits or MediaLimits()
        self._turns: dict[int, Turn] = {}
        try:
            with open_clip(path, self._limits) as (container, stream, self.facts):
                self.declared = self.facts.frames
                self._times = _times(container, stream, self._limits.max_frames)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise Unreadable(
                Cause(Reason.UNDECODABLE, getattr(error, "strerror", None) or "damaged")
            ) from error
        if not self._times:
            raise Unreadable(Cause(Reason.UNDECODABLE, "no frames"))
        cause = self._limits.too_long(len(self._times), 0)
        if cause is not None:
            raise Unreadable(cause)
        self.numbers: Sequence[int] = range(len(self._times))
        # The header has the size as it is coded; a phone's videos are coded lying and turned when they are shown.
        self.shape: tuple[int, int] = self._shape_as_shown() or (self.facts.height, self.facts.width)

    def read(self, numbers: Sequence[int]) -> Iterator[Frame]:
        """Give each of these frames, ascending, each exactly once."""
        pending = {self._times[number]: number for number in sorted(numbers)}
        cause = Cause(Reason.BAD_FRAME)
        try:
            for picture in self._pictures(frozenset(pending)):
                if picture.pts not in pending:
                    continue
                # Frames come out in order, so earlier ones will not come any more.
                for time in [time for time in pending if time < picture.pts]:
                    yield Frame(pending.pop(time), None)
                number = pending.pop(picture.pts)
                yield Frame(number, None if picture.is_corrupt else self._upright(picture))
                if not pending:
                    return
        except Unreadable as error:
            cause = error.cause
        for number in pending.values():
            yield Frame(number, None, cause)

    def _shape_as_shown(self) -> tuple[int, int] | None:
        """Height and width of the first frame that can be decoded; None if none can."""
        picture = None
        pictures = self._pictures(frozenset(self._times[:1]))
        with contextlib.suppress(Unreadable), contextlib.closing(pictures):
            picture = next(pictures, None)
        if picture is None:
            return None
        turned = self._turn(picture).rows_are_columns
        return (picture.width, picture.height) if turned else (picture.height, picture.width)

    def _upright(self, picture: Any) -> Image:
        """A picture as RGB, turned and mirrored as it is to be shown."""
        return self._turn(picture).applied(picture.to_ndarray(format="rgb24"))

    def _turn(self, picture: Any) -> Turn:
        """How a picture is turned; looked up once for each angle, of which a video rarely has more than one."""
        if picture.rotation not in self._turns:
            self._turns[picture.rotation] = _turn_of(picture)
        return self._turns[picture.rotation]

    def _pictures(self, times: frozenset[int]) -> Generator[Any, None, None]:
        """Decode from the beginning what is needed for the frames of these times.

        Raises:
            Unreadable: The file has vanished, or its pictures have become larger than the limit.
        """
        with open_clip(self.path, self._limits) as (container, stream, _):
            for picture in _decoded(container, stream, times):
                if picture is None:
                    # libav kept to the limit and decoded nothing.
                    _check_size(stream.codec_context, self._limits)
                else:
                    _check_size(picture, self._limits)
                    yield picture


class ImageFiles:
    """A video whose frames were extracted: one image file a frame."""

    def __init__(self, files: Mapping[int, Path], limits: MediaLimits | None = None) -> None:
        """Take the files by frame number, and look at the first that can be read.

        Args:
            files: Frame number -> file.
            limits: What one may ask for; the default limits if not given.

        Raises:
            Unreadable: None can be read.
        """
        self.numbers: Sequence[int] = sorted(files)
        self.declared = len(files)
        self._files = files
        self._limits = limits or MediaLimits()
        frame = Frame(-1, None, Cause(Reason.UNDECODABLE))
        for number in self.numbers:
            frame = self._read(number)
            if frame.image is not None:
                height, width = frame.image.shape[:2]
                self.shape = height, width
                return
        raise Unreadable(frame.cause)

    def read(self, numbers: Sequence[int]) -> Iterator[Frame]:
        """Give each of these frames, ascending, each exactly once."""
        for number in sorted(numbers):
            yield self._read(number)

    def _read(self, number: int) -> Frame:
        path = self._files[number]
        try:
            check_file(path, self._limits.file_bytes)
            problem = probe(path)
            if problem is not None and problem[0] != "wrong-extension":
                return Frame(number, None, Cause(Reason.UNDECODABLE, problem[1]))
            return Frame(number, read_picture(path, self._limits))
        except Unreadable as error:
            return Frame(number, None, error.cause)


def _check_size(sized: Any, limits: MediaLimits) -> None:
    cause = limits.too_large(sized.width, sized.height)
    if cause is not None:
        raise Unreadable(cause)


def _decoded(container: Any, stream: Any, times: frozenset[int]) -> Iterator[Any]:
    """Decode what is needed for the frames of these times; damage costs the frames it hits, and gives None."""
    # One thread: the processes share the cores, and passing frames over works packet by packet.
    stream.codec_context.thread_count = 1
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                return
            needed = packet.size == 0 or _time(packet) in times
            stream.codec_context.skip_frame = "DEFAULT" if needed else "NONREF"
            pictures = packet.decode()
        except av.InvalidDataError:
            yield None
            continue
        except (av.FFmpegError, OSError):
            return
        yield from pictures


def _times(container: Any, stream: Any, most: int) -> list[int]:
    """Presentation times of all frames that will be shown, ascending, up to damage or past ``most``."""
    times: set[int] = set()
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, OSError):
            packet = None
        if packet is None or len(times) > most:
            return sorted(times)
        time = _time(packet)
        if packet.size and time is not None and not packet.is_corrupt and not packet.is_discard:
            times.add(time)


def _time(packet: Any) -> int | None:
    time: int | None = packet.pts if packet.pts is not None else packet.dts
    return time


def _turn_of(picture: Any) -> Turn:
    """How a picture is to be turned, from its display matrix.

    x' = a x + c y, y' = b x + d y (ISO 14496-12, 8.3.2). Turns by other than quarters go to the nearest one.
    """
    # Of a tiny copy: PyAV keeps a frame for ever whose side data was looked at.
    small = picture.reformat(width=16, height=16, format="gray")
    matrix = next((data for data in small.side_data if data.type.name == "DISPLAYMATRIX"), None)
    if matrix is None:
        return Turn(False, ())
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    turned = abs(b) + abs(c) > abs(a) + abs(d)
    across, down = (c, b) if turned else (a, d)
    return Turn(turned, tuple(axis for axis, sign in ((0, down), (1, across)) if sign < 0))
