"""Hue with chroma, or with saturation and value, of pixels, and pixels of them (HSV's hexagon)."""

import torch

NAMES = ("grey", "red", "yellow", "green", "cyan", "blue", "magenta")
"""Of groups of hues, 60 degrees each round the colour that has the name; grey: of little chroma."""
GREY_CHROMA = 0.1
"""Below which a pixel counts as grey."""


def hue_and_chroma(pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """HSV's hue in turns, in [0, 1), red 0, green 1/3, and chroma, max - min, in [0, 1].

    Of pixels (n, 3, ...) of 255, (n, ...) each, in float32, or in float64 if they are. Grey has hue 0.
    """
    red, green, blue = (pixels.to(torch.promote_types(pixels.dtype, torch.float32)) / 255).unbind(1)
    most = torch.maximum(torch.maximum(red, green), blue)
    chroma = most - torch.minimum(torch.minimum(red, green), blue)
    scale = chroma.clamp(min=1e-6)
    sixths = torch.where(
        most == red, (green - blue) / scale, torch.where(most == green, 2 + (blue - red) / scale, 4 + (red - green) / scale)
    )
    return torch.where(chroma > 0, (sixths / 6) % 1, 0.0), chroma


def pixels_of(hue: torch.Tensor, chroma: torch.Tensor, grey: torch.Tensor) -> torch.Tensor:
    """Pixels (n, 3) float in [0, 255] of hues, chromas and means of the three channels (of 255), clipped. (n,) each."""
    shape = _hexagon(hue)
    return (grey[:, None] + 255 * chroma[:, None] * (shape - shape.mean(1, keepdim=True))).clamp(0, 255)


def hsv_of(pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Hue in turns, in [0, 1), saturation and value, in [0, 1], as `hue_and_chroma`. Grey has hue 0, black saturation 0."""
    hue, chroma = hue_and_chroma(pixels)
    value = pixels.amax(1).to(chroma.dtype) / 255
    return hue, chroma / value.clamp(min=1e-6), value


def pixels_of_hsv(hue: torch.Tensor, saturation: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Pixels (n, 3, ...) float in [0, 255] of hues, in any number of turns, saturations and values in [0, 1]; (n, ...) each."""
    return 255 * value[:, None] * (1 - saturation[:, None] * (1 - _hexagon(hue)))


def _hexagon(hue: torch.Tensor) -> torch.Tensor:
    """The channels of hues (n, ...) at full chroma and value: (n, 3, ...) in [0, 1]."""
    offsets = torch.stack([hue * 6 + shift for shift in (0, 4, 2)], 1) % 6
    return ((offsets - 3).abs() - 1).clamp(0, 1)


def binned(values: torch.Tensor, bins: int) -> torch.Tensor:
    """Values in [0, 1] to int64 in [0, bins), of bins of one width."""
    return (0.99999 * bins * values).floor().long().clamp(0, bins - 1)


def hue_names(bins: int) -> torch.Tensor:
    """The name of each bin of hue, an index into `NAMES` that is not grey's: (bins,) int64."""
    return 1 + ((torch.arange(bins) + 0.5) / bins * 6).round().long() % 6
