"""Frames of a video: a choice of them, evenly spaced, read with as little other decoding as can be."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import av
import cv2
import numpy as np

from fretal_bench.datasets.check.probe import probe
from fretal_bench.datasets.faces.crops import Image
from fretal_bench.datasets.faces.reasons import Cause, Reason
from fretal_bench.errors import first_line

_LONGEST: Final = 120
"""Characters of a library's words."""


class Unreadable(Exception):
    """A video that gives no frames, and why; its text is the cause's."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(str(cause))
        self.cause = cause


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

    def __init__(self, path: Path) -> None:
        """Open the file and list its frames.

        Raises:
            Unreadable: There is no such file, or no frame in it.
        """
        self.path = path
        try:
            with av.open(str(path)) as container:
                stream = _video_stream(container)
                coded = (stream.codec_context.height, stream.codec_context.width)
                self.declared = int(stream.frames)
                self._times = _times(container, stream)
        except FileNotFoundError as error:
            raise Unreadable(Cause(Reason.MISSING)) from error
        except (av.FFmpegError, OSError, ValueError) as error:
            raise Unreadable(Cause(Reason.UNDECODABLE, _short(error))) from error
        if not self._times:
            raise Unreadable(Cause(Reason.UNDECODABLE, "no frames"))
        self.numbers: Sequence[int] = range(len(self._times))
        # The header has the size as it is coded; a phone's videos are coded lying and turned when they are shown.
        self.shape: tuple[int, int] = self._shape_as_shown() or coded

    def read(self, numbers: Sequence[int]) -> Iterator[Frame]:
        """Give each of these frames, ascending, each exactly once."""
        pending = {self._times[number]: number for number in sorted(numbers)}
        for picture in self._pictures(frozenset(pending)):
            if picture.pts not in pending:
                continue
            # Frames come out in order, so earlier ones will not come any more.
            for time in [time for time in pending if time < picture.pts]:
                yield Frame(pending.pop(time), None)
            number = pending.pop(picture.pts)
            yield Frame(number, None if picture.is_corrupt else _upright(picture))
            if not pending:
                return
        for number in pending.values():
            yield Frame(number, None)

    def _shape_as_shown(self) -> tuple[int, int] | None:
        """Height and width of the first frame that can be decoded; None if none can."""
        with contextlib.closing(self._pictures(frozenset(self._times[:1]))) as pictures:
            picture = next(pictures, None)
        if picture is None:
            return None
        return (picture.width, picture.height) if _quarters(picture) % 2 else (picture.height, picture.width)

    def _pictures(self, times: frozenset[int]) -> Generator[Any, None, None]:
        """Decode from the beginning what is needed for the frames of these times; nothing if the file has vanished."""
        try:
            container = av.open(str(self.path))
        except (av.FFmpegError, OSError):
            return
        with container:
            yield from self._decoded(container, times)

    def _decoded(self, container: Any, times: frozenset[int]) -> Iterator[Any]:
        """Decode what is needed for the frames of these times; damage costs the frames it hits."""
        stream = _video_stream(container)
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
                continue
            except (av.FFmpegError, OSError):
                return
            yield from pictures


class ImageFiles:
    """A video whose frames were extracted: one image file a frame."""

    def __init__(self, files: Mapping[int, Path]) -> None:
        """Take the files by frame number, and look at the first that can be read.

        Raises:
            Unreadable: None can be read.
        """
        self.numbers: Sequence[int] = sorted(files)
        self.declared = len(files)
        self._files = files
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
            if not path.is_file():
                return Frame(number, None, Cause(Reason.MISSING))
            problem = probe(path)
            if problem is not None and problem[0] != "wrong-extension":
                return Frame(number, None, Cause(Reason.UNDECODABLE, problem[1]))
            image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        except (OSError, cv2.error) as error:
            return Frame(number, None, Cause(Reason.UNDECODABLE, _short(error)))
        if image is None:
            return Frame(number, None, Cause(Reason.UNDECODABLE, "no image that OpenCV knows"))
        return Frame(number, np.ascontiguousarray(image[:, :, ::-1]))


def _video_stream(container: Any) -> Any:
    if not container.streams.video:
        raise ValueError("no video stream in it")
    return container.streams.video[0]


def _times(container: Any, stream: Any) -> list[int]:
    """Presentation times of all frames that will be shown, ascending; up to where the file is damaged."""
    times: set[int] = set()
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, OSError):
            packet = None
        if packet is None:
            return sorted(times)
        time = _time(packet)
        if packet.size and time is not None and not packet.is_corrupt and not packet.is_discard:
            times.add(time)


def _time(packet: Any) -> int | None:
    time: int | None = packet.pts if packet.pts is not None else packet.dts
    return time


def _upright(picture: Any) -> Image:
    """The picture as RGB, turned as it is to be shown."""
    image: Image = picture.to_ndarray(format="rgb24")
    quarters = _quarters(picture)
    return np.ascontiguousarray(np.rot90(image, quarters)) if quarters else image


def _quarters(picture: Any) -> int:
    """By how many quarter turns, counter-clockwise, a picture is to be shown turned: 0 to 3."""
    return round(getattr(picture, "rotation", 0) / 90) % 4


def _short(error: Exception) -> str:
    """What went wrong, without the file's name, which may be another machine's."""
    return (getattr(error, "strerror", None) or first_line(error))[:_LONGEST]
