"""Picture files in and out for ``python -m fastconv filter``; needs Pillow."""
from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from fastconv.image import filter2d


class PictureError(Exception):
    """A picture that cannot be read or written; the message is one line for the user."""


def filter_file(source: Path, target: Path, kernels: Sequence[NDArray[Any]], mode: str = "mirror") -> None:
    """Filter the picture in `source` and write it to `target`, whose ending names the format.

    Each colour is filtered by itself and saturated to the picture's 8 or 16 bits. Transparency and the colour
    profile are kept as they are, and the orientation that a camera noted is applied.
    """
    file_format = _format_of(target)
    image, alpha, profile = _read(source)
    if image.dtype.itemsize > 1 and file_format not in ("PNG", "TIFF"):
        raise PictureError(f"cannot write {target}: the picture has 16 bits, and {file_format} holds 8; "
                           "try .png or .tif")
    channel_axis = 2 if image.ndim == 3 else None
    if len(kernels) == 1:
        filtered = filter2d(image, kernels[0], mode=mode, channel_axis=channel_axis)
    else:
        filtered = magnitude(image, kernels, mode=mode, channel_axis=channel_axis)
    _write(target, file_format, filtered if alpha is None else np.dstack([filtered, alpha]), profile)


def magnitude(image: NDArray[Any], kernels: Sequence[NDArray[Any]], *, mode: str = "mirror",
              channel_axis: int | None = None) -> NDArray[Any]:
    r"""Length of the vector of responses to several kernels, rounded and saturated to the image's dtype.

    With a derivative along each axis this is the gradient's magnitude: :math:`\sqrt{y_0^2 + y_1^2}`.
    """
    # In floating point, since a response may be negative or beyond the range of the image's dtype.
    responses = [filter2d(image, k, mode=mode, channel_axis=channel_axis, dtype=np.float32) for k in kernels]
    length: NDArray[Any] = np.rint(np.sqrt(np.sum(np.square(responses), axis=0)))
    return length.clip(0, np.iinfo(image.dtype).max).astype(image.dtype)


def _read(path: Path) -> tuple[NDArray[Any], NDArray[Any] | None, bytes | None]:
    """Pixels as (rows, columns) or (rows, columns, 3), transparency and colour profile."""
    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file)
            picture.load()
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        raise PictureError(f"cannot read {path}: {_reason(error)}") from error
    if picture.mode in ("I", "F"):
        raise PictureError(f"cannot filter {path}: it holds 32-bit values; 8-bit and 16-bit pictures will do")
    profile = picture.info.get("icc_profile")
    if picture.mode.startswith("I;16"):
        return np.array(picture).astype(np.uint16), None, profile
    # Palettes, bilevel, CMYK and the like become what filtering makes sense for: grey or RGB.
    has_alpha = picture.has_transparency_data
    base = "L" if picture.mode in ("1", "L", "LA", "La") else "RGB"
    pixels = np.array(picture.convert(base + "A" if has_alpha else base))
    if not has_alpha:
        return pixels, None, profile
    colours = pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]
    return np.ascontiguousarray(colours), pixels[..., -1], profile


def _write(path: Path, file_format: str, pixels: NDArray[Any], profile: bytes | None) -> None:
    options: dict[str, Any] = {"quality": 95} if file_format in ("JPEG", "WEBP") else {}
    # A file beside the target, then renamed: whoever looks finds the old picture or the new one, and whole.
    target = path.resolve()
    temporary = target.with_name(f".fastconv-{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            Image.fromarray(pixels).save(file, format=file_format, icc_profile=profile, **options)
        os.replace(temporary, target)
    except Exception as error:  # Pillow's encoders, as its decoders
        raise PictureError(f"cannot write {path}: {_reason(error)}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _format_of(path: Path) -> str:
    file_format = Image.registered_extensions().get(path.suffix.lower())
    if file_format not in Image.SAVE:
        raise PictureError(f"cannot write {path}: no picture format has the ending '{path.suffix}'; "
                           "try .png or .jpg")
    return file_format


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
