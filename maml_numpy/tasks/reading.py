"""Images read from bytes, and made small."""

import struct
import zlib
from functools import cache
from io import BytesIO

import numpy as np

from ..backend import Array

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PLAIN = (1, 0, 0, 0, 0)  # of a PNG's header: one bit, grey, its one compression and filter method, not interlaced


def read_grey(data: bytes, name: str) -> tuple[Array, bool]:
    """Return the image in `data`, (height, width) float32 from 0, black, to 1, white, and whether it had colours.

    name: what to call it in the message.
    Images of one bit, as Omniglot's, need NumPy alone, others matplotlib. Colours become the brightness that the eye
    sees, and what shines through is white.
    Raises ValueError for what is no image.
    """
    if (bits := one_bit(data)) is not None:
        return bits.astype(np.float32), False
    try:
        from matplotlib.image import imread
    except ImportError:
        raise ValueError(f"{name} is not a PNG of one bit per pixel: install matplotlib to read it") from None
    try:
        image = np.asarray(imread(BytesIO(data), format="png" if data.startswith(SIGNATURE) else "image"))
        if image.dtype.kind in "ui":
            image = image / np.float32(np.iinfo(image.dtype).max)
        image = image.astype(np.float32)
        if image.ndim == 3 and image.shape[2] == 4:
            image = image[:, :, :3] * image[:, :, 3:] + 1 - image[:, :, 3:]
        colour = image.ndim == 3 and bool(np.ptp(image[:, :, :3], axis=2).max() > 0)
        if image.ndim == 3:
            image = image[:, :, :3] @ np.array([0.299, 0.587, 0.114], np.float32)
    except Exception:  # whatever a decoder raises, and it may raise anything, these bytes are no image
        raise ValueError(f"{name} is no image, or a damaged one") from None
    return image, colour


def one_bit(data: bytes) -> Array | None:
    """Return the pixels of a PNG of one grey bit per pixel whose rows are not filtered, (height, width) uint8.

    Returns None for anything else, such as other PNGs and damaged ones.
    """
    if not data.startswith(SIGNATURE + b"\0\0\0\x0dIHDR") or len(data) < 33:
        return None
    width, height, *kind = struct.unpack(">IIBBBBB", data[16:29])
    if tuple(kind) != PLAIN or not 0 < width * height <= 2 ** 24:
        return None
    packed = b""
    at = 33
    while at + 8 <= len(data):
        length = int.from_bytes(data[at:at + 4], "big")
        if data[at + 4:at + 8] == b"IDAT":
            packed += data[at + 8:at + 8 + length]
        at += length + 12
    stride = 1 + (width + 7) // 8
    try:
        rows = zlib.decompressobj().decompress(packed, height * stride)
    except zlib.error:
        return None
    if len(rows) < height * stride:
        return None
    table = np.frombuffer(rows, np.uint8).reshape(height, stride)
    if table[:, 0].any():  # a filter
        return None
    return np.unpackbits(table[:, 1:], axis=1)[:, :width]


@cache
def averages(size: int, length: int) -> Array:
    """Return the matrix that averages `length` pixels to `size` pixels, (size, length) float32.

    Pixel i covers the interval from i length / size to (i + 1) length / size; a pixel that lies in part within it
    counts by that part.
    """
    edges = np.arange(size + 1) * length / size
    left = np.arange(length)
    inside = np.minimum(edges[1:, None], left + 1) - np.maximum(edges[:-1, None], left)
    return (np.maximum(inside, 0) * size / length).astype(np.float32)


def shrink(images: Array, size: int) -> Array:
    """images (..., height, width) -> (..., size, size), each pixel the mean of what it covers."""
    height, width = images.shape[-2:]
    return averages(size, height) @ (images @ averages(size, width).T)


def levels(ink: Array) -> Array:
    """ink (n, size, size) from 0 to 1 -> pixels (n, size * size) uint8, 0 to 255."""
    return np.rint(255 * np.clip(ink, 0, 1)).astype(np.uint8).reshape(len(ink), -1)
