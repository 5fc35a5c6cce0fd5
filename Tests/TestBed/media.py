# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Pictures and tones that say who sent them, and judging what arrived.

A picture's upper half is a board of four rows of eight cells, black or white: 16 bits of frame number, 8 bits that name
the sender, 8 bits of check sum. A receiver thus knows that what it decoded is what was sent. A tone's pitch names its
sender.
"""

import zlib

import numpy

COLUMNS, ROWS = 8, 4
SAMPLE_RATE = 48000
BLACK, WHITE = 24, 226


def mark_of(identity: str) -> int:
    """8 bits for a sender's pictures."""
    return zlib.crc32(identity.encode()) & 0xFF


def pitch_of(identity: str) -> float:
    """400 to 1900 Hz in steps of 20: far enough apart to be told from each other."""
    return 400 + 20 * (zlib.crc32(b"tone " + identity.encode()) % 76)


def check_sum(number: int, mark: int) -> int:
    return zlib.crc32(bytes([number >> 8, number & 0xFF, mark])) & 0xFF


class Picture:
    """Draws numbered I420 frames of one sender."""

    def __init__(self, identity: str, width: int, height: int):
        self.width, self.height, self.mark = width, height, mark_of(identity)
        self.row = numpy.arange(width, dtype=numpy.int32)

    def draw(self, number: int) -> bytes:
        number &= 0xFFFF
        frame = numpy.full(self.width * self.height * 3 // 2, 128, dtype=numpy.uint8)
        luma = frame[: self.width * self.height].reshape(self.height, self.width)
        board = self.height // 2
        word = number << 16 | self.mark << 8 | check_sum(number, self.mark)
        bits = numpy.array([word >> (31 - i) & 1 for i in range(32)], dtype=numpy.uint8).reshape(ROWS, COLUMNS)
        cells = numpy.where(bits, WHITE, BLACK).astype(numpy.uint8)
        columns = numpy.minimum(self.row * COLUMNS // self.width, COLUMNS - 1)
        rows = numpy.minimum(numpy.arange(board) * ROWS // board, ROWS - 1)
        luma[:board] = cells[rows][:, columns]
        # The lower half moves, so that no codec can take one frame for the next.
        luma[board:] = (self.row * 2 + number * 6) % 200 + 30
        return frame.tobytes()


def read_picture(luma: numpy.ndarray) -> tuple[int, int] | None:
    """Frame number and sender's mark, or nothing when the board cannot be read."""
    height, width = luma.shape
    cell_height, cell_width = height / 2 / ROWS, width / COLUMNS
    word = 0
    for row in range(ROWS):
        for column in range(COLUMNS):
            top, left = (row + 0.3) * cell_height, (column + 0.3) * cell_width
            cell = luma[int(top): max(int(top + 0.4 * cell_height), int(top) + 1),
                        int(left): max(int(left + 0.4 * cell_width), int(left) + 1)]
            level = float(cell.mean())
            if 100 < level < 150:
                return None
            word = word << 1 | int(level > 125)
    number, mark, sum_ = word >> 16, word >> 8 & 0xFF, word & 0xFF
    return (number, mark) if sum_ == check_sum(number, mark) else None


class Tone:
    """Samples of a sender's tone, ten milliseconds at a time, without a jump between them."""

    SAMPLES = SAMPLE_RATE // 100

    def __init__(self, identity: str):
        self.pitch = pitch_of(identity)
        self.position = 0

    def next(self) -> bytes:
        moments = (numpy.arange(self.SAMPLES) + self.position) / SAMPLE_RATE
        self.position += self.SAMPLES
        return (numpy.sin(2 * numpy.pi * self.pitch * moments) * 9000).astype(numpy.int16).tobytes()


def measure_tone(samples: numpy.ndarray) -> tuple[float, float]:
    """Level (root of the mean square) and pitch in Hz.

    Half a second gives lines 2 Hz apart; a parabola through the strongest and its neighbours finds the top in between.
    """
    level = float(numpy.sqrt((samples ** 2).mean()))
    spectrum = numpy.abs(numpy.fft.rfft(samples * numpy.hanning(len(samples))))
    top = int(spectrum[1:-1].argmax()) + 1
    left, middle, right = numpy.log(spectrum[top - 1: top + 2] + 1e-9)
    curve = left - 2 * middle + right
    offset = 0.5 * (left - right) / curve if curve else 0.0
    return level, (top + float(offset)) * SAMPLE_RATE / len(samples)
