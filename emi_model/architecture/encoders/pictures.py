"""Pictures as an encoder wants them: what its own processor does, on PIL and PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from emi_model.architecture.encoders.resizing import FILTERS, grey, resized_as_pil
from emi_model.errors import ConfigError

PictureArray = NDArray[np.uint8]

Pictures = TypeVar("Pictures", NDArray[np.uint8], Tensor)

BILINEAR = 2
"""PIL's number of the filter that most processors resize with."""


@dataclass(frozen=True)
class Processor:
    """Size, crop and scale of pictures: the content of a preprocessor_config.json.

    Attributes:
        side: (height, width) in pixels to resize to; None: as they are.
        crop: (height, width) in pixels that are kept, in the middle; None: all.
        resample: PIL's number of the filter.
        factor: pixels, 0 to 255, are multiplied by this.
        mean: is subtracted then, for each channel.
        deviation: divides the rest.
        grey: pictures have one channel, of their brightness.
    """

    side: tuple[int, int] | None
    crop: tuple[int, int] | None
    resample: int
    factor: float
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    grey: bool

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Processor:
        """Read a preprocessor_config.json, and ``grey`` in it.

        Raises:
            ConfigError: a size that is written neither as a side nor as height and width.
        """
        plain = not content.get("do_normalize", True)
        side = _size(content.get("size")) if content.get("do_resize", True) else None
        crop = _size(content.get("crop_size")) if content.get("do_center_crop", False) else None
        if side and crop and (crop[0] > side[0] or crop[1] > side[1]):
            raise ConfigError(f"processor.crop_size is {crop}, expected within the size, {side}")
        return cls(
            side=side,
            crop=crop,
            resample=int(content.get("resample", BILINEAR)),
            factor=content.get("rescale_factor", 1 / 255) if content.get("do_rescale", True) else 1,
            mean=(0.0,) if plain else tuple(content.get("image_mean", (0.5,))),
            deviation=(1.0,) if plain else tuple(content.get("image_std", (0.5,))),
            grey=bool(content.get("grey", False)),
        )

    @property
    def num_channels(self) -> int:
        """Channels of a picture."""
        return 1 if self.grey else 3

    def resized(self, pictures: PictureArray) -> PictureArray:
        """Return RGB pictures (N, H, W, 3) in their size, uint8 (N, height, width, channels)."""
        if not len(pictures):
            return pictures[..., : self.num_channels]
        return np.stack([self._resized(picture) for picture in pictures])

    def sized(self, pictures: Tensor) -> Tensor:
        """Return RGB pictures, uint8 (N, H, W, 3), as `resized` does, on their device.

        A GPU does it by itself, where it knows the filter; the pictures are the same to the bit.
        """
        if pictures.device.type != "cpu" and self._is_known:
            return self._resized_there(pictures)
        found = torch.from_numpy(self.resized(pictures.cpu().numpy()))
        return found.to(pictures.device)

    def scaled(self, pictures: Tensor) -> Tensor:
        """Return resized pictures, uint8 (N, H, W, C), as float32 (N, C, H, W)."""
        mean, deviation = (
            torch.tensor(values, device=pictures.device) for values in (self.mean, self.deviation)
        )
        values = (pictures.float() * self.factor - mean) / deviation
        return values.permute(0, 3, 1, 2).contiguous()

    @property
    def _is_known(self) -> bool:
        return self.side is None or self.resample in FILTERS

    def _resized_there(self, pictures: Tensor) -> Tensor:
        if self.grey:
            pictures = grey(pictures)
        if self.side is not None:
            pictures = resized_as_pil(pictures, self.side, self.resample)
        return self._cropped(pictures)

    def _resized(self, picture: PictureArray) -> PictureArray:
        image = Image.fromarray(picture)
        if self.grey:
            image = image.convert("L")
        if self.side is not None:
            height, width = self.side
            image = image.resize((width, height), resample=Image.Resampling(self.resample))
        array: PictureArray = np.asarray(image).reshape(image.height, image.width, -1)
        return self._cropped(array)

    def _cropped(self, pictures: Pictures) -> Pictures:
        """Return the middle of pictures (..., H, W, C)."""
        if self.crop is None:
            return pictures
        height, width = self.crop
        top, left = (pictures.shape[-3] - height) // 2, (pictures.shape[-2] - width) // 2
        return pictures[..., top : top + height, left : left + width, :]


def _size(size: Any) -> tuple[int, int]:
    """Return (height, width); pictures are square, so a shortest side gives both."""
    if isinstance(size, int):
        return size, size
    if isinstance(size, Mapping) and "height" in size and "width" in size:
        return int(size["height"]), int(size["width"])
    if isinstance(size, Mapping) and set(size) == {"shortest_edge"}:
        return int(size["shortest_edge"]), int(size["shortest_edge"])
    raise ConfigError(f"processor: size is {size!r}, expected height and width, or shortest_edge")
