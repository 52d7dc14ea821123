"""Reasons why a file or a frame is not read or gives no crop."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Reason(Enum):
    """Why there is no crop, in words, in the order in which they are reported."""

    MISSING = "the file is missing"
    NO_FILE = "it is no regular file"
    TOO_LARGE = "its picture is larger than the limit"
    TOO_LONG = "it is longer than the limit"
    UNDECODABLE = "it cannot be decoded"
    DEEP = "it has more than 8 bits a channel"
    HDR = "it is HDR, and no tone mapping is done"
    BAD_FRAME = "the frame cannot be decoded"
    NO_FACE = "no face found"
    OTHER_FACE = "only another face than the chosen one"
    SEVERAL = "another face is as prominent as the chosen one"
    CUT = "cut short"
    SHORT = "fewer frames than asked for"
    LEFT_OUT = "left out when the data set was read"


class Cause(NamedTuple):
    """A reason, and what it was in this case; as text ``reason: detail``."""

    reason: Reason
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}" if self.detail else self.reason.value

    def more(self, detail: str) -> Cause:
        """The same with a further detail."""
        return Cause(self.reason, f"{self.detail}: {detail}" if self.detail else detail)

    @classmethod
    def read(cls, text: str) -> Cause:
        """Read what ``str`` wrote.

        Raises:
            ValueError: The text begins with none of the reasons.
        """
        reason, _, detail = text.partition(": ")
        return cls(Reason(reason), detail)


class Unreadable(Exception):
    """A file that gives no picture, and why; its text is the cause's."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(str(cause))
        self.cause = cause
