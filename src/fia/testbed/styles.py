"""The embedded model's artists: image operations make their styles, and we made up their names.

Each function takes natural scenes (n, 3, height, width) in [0, 1] and returns them in the style of that artist.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def blur(images: Tensor, sigma: float) -> Tensor:
    """Blurs images (n, c, height, width) with a Gaussian; sigma is in pixels."""
    radius = int(3 * sigma)
    offsets = torch.arange(-radius, radius + 1, device=images.device)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum()).expand(images.shape[1], 1, -1)
    for pad, view in (((radius, radius, 0, 0), kernel.unsqueeze(2)), ((0, 0, radius, radius), kernel.unsqueeze(3))):
        images = F.conv2d(F.pad(images, pad, mode="replicate"), view, groups=images.shape[1])
    return images


def edges(images: Tensor) -> Tensor:
    """Returns (n, 1, height, width) in [0, 1]: how much the colour changes at each pixel."""
    soft = F.pad(blur(images, 0.6), (1, 1, 1, 1), mode="replicate")
    across = soft[..., 1:-1, 2:] - soft[..., 1:-1, :-2]
    down = soft[..., 2:, 1:-1] - soft[..., :-2, 1:-1]
    return (2 * (across.square() + down.square()).sum(1, keepdim=True).sqrt() - 0.15).clamp(0, 1)


def mix(amount: Tensor, low: tuple[float, ...], high: tuple[float, ...]) -> Tensor:
    """Blends from one colour to another by amounts (n, 1, height, width) in [0, 1]."""
    start, end = (torch.tensor(c, device=amount.device).view(1, 3, 1, 1) for c in (low, high))
    return start + (end - start) * amount


def woodcut(images: Tensor) -> Tensor:
    """Three tones of brown ink on cream paper, with dark outlines."""
    grey = blur(images, 0.6).mean(1, keepdim=True)
    tones = 0.5 * (torch.sigmoid(30 * (grey - 0.35)) + torch.sigmoid(30 * (grey - 0.62)))
    return mix(tones * (1 - edges(images)), (0.25, 0.12, 0.05), (0.97, 0.91, 0.78))


def neon(images: Tensor) -> Tensor:
    """Glowing outlines in the colours of the things, at night."""
    soft = blur(images, 1.0)
    grey = soft.mean(1, keepdim=True)
    vivid = (grey + 2.5 * (soft - grey)).clamp(0.1, 1)
    vivid = vivid / vivid.amax(1, keepdim=True)
    lines = vivid * edges(images)
    return (mix(grey, (0.05, 0.0, 0.1), (0.12, 0.05, 0.2)) + lines + 0.7 * blur(lines, 2.0)).clamp(0, 1)


def blueprint(images: Tensor) -> Tensor:
    """White outlines on blue paper; light parts are a little lighter."""
    grey = images.mean(1, keepdim=True)
    paper = mix(grey, (0.04, 0.14, 0.45), (0.25, 0.48, 0.85))
    return paper + (1 - paper) * edges(images)


def mosaic(images: Tensor) -> Tensor:
    """Tiles of four pixels with dark joints."""
    tiles = F.interpolate(F.avg_pool2d(images, 4), scale_factor=4.0, mode="nearest")
    across = torch.arange(images.shape[-1], device=images.device) % 4 == 3
    down = torch.arange(images.shape[-2], device=images.device)[:, None] % 4 == 3
    return torch.where(across | down, 0.6 * tiles, tiles)


def pencil(images: Tensor) -> Tensor:
    """Grey outlines and light shades on white paper."""
    grey = blur(images, 0.6).mean(1, keepdim=True)
    return ((0.72 + 0.28 * grey) * (1 - 0.85 * edges(images))).expand_as(images).clone()


def poster(images: Tensor) -> Tensor:
    """Two flat tones, red and cream."""
    grey = blur(images, 0.8).mean(1, keepdim=True)
    return mix(torch.sigmoid(25 * (grey - 0.5)), (0.75, 0.08, 0.12), (0.99, 0.93, 0.80))


def negative(images: Tensor) -> Tensor:
    """Every colour turned into its opposite."""
    return 1 - images


def thermal(images: Tensor) -> Tensor:
    """Brightness as colour, from dark green over orange to pale yellow."""
    grey = blur(images, 0.6).mean(1, keepdim=True)
    low = mix((2 * grey).clamp(max=1), (0.0, 0.2, 0.15), (0.95, 0.45, 0.1))
    return torch.where(grey > 0.5, mix((2 * grey - 1).clamp(min=0), (0.95, 0.45, 0.1), (1.0, 1.0, 0.75)), low)


STYLES: dict[str, Callable[[Tensor], Tensor]] = {
    "Ocrello": woodcut,
    "Lumenza": neon,
    "Azzurri": blueprint,
}
MORE_STYLES = STYLES | {
    "Tessaro": mosaic,
    "Grisella": pencil,
    "Rubrano": poster,
    "Inverno": negative,
    "Verdigo": thermal,
}
