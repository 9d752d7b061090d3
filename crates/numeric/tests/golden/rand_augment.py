"""Makes rand_augment.json: Pillow 13.0.0's operations on a grey and a coloured image of 18 x 20 random bytes.

    pip install pillow numpy
    python rand_augment.py > rand_augment.json
"""

import json

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

H, W = 18, 20
rng = np.random.default_rng(1)
# Bytes of unequal range, so that autocontrast and equalise have something to do.
grey = rng.integers(20, 200, (H, W)).astype(np.uint8)
colour = np.stack([rng.integers(low, high, (H, W)) for low, high in [(0, 180), (30, 255), (60, 90)]], -1).astype(np.uint8)

move = lambda image, *map: image.transform(image.size, Image.Transform.AFFINE, map)
OPERATIONS = {
    "autocontrast": ([0], lambda i, m: ImageOps.autocontrast(i)),
    "brightness": ([0.1, 0.8], lambda i, m: ImageEnhance.Brightness(i).enhance(m)),
    "colour": ([0.1, 0.8], lambda i, m: ImageEnhance.Color(i).enhance(m)),
    "contrast": ([0.1, 0.8], lambda i, m: ImageEnhance.Contrast(i).enhance(m)),
    "equalise": ([0], lambda i, m: ImageOps.equalize(i)),
    "posterise": ([4, 6, 8], lambda i, m: ImageOps.posterize(i, m)),
    "rotate": ([-23.4, 11.7, 29.1], lambda i, m: i.rotate(m)),
    "sharpness": ([0.1, 0.8], lambda i, m: ImageEnhance.Sharpness(i).enhance(m)),
    "shear-x": ([-0.27, 0.13], lambda i, m: move(i, 1, m, 0, 0, 1, 0)),
    "shear-y": ([-0.27, 0.13], lambda i, m: move(i, 1, 0, 0, m, 1, 0)),
    "solarise": ([64, 200], lambda i, m: ImageOps.solarize(i, m)),
    "translate-x": ([-0.21, 0.13], lambda i, m: move(i, 1, 0, m * W, 0, 1, 0)),
    "translate-y": ([-0.21, 0.13], lambda i, m: move(i, 1, 0, 0, 0, 1, m * H)),
}


def planes(image):
    """Channels x height x width, in hexadecimal."""
    array = np.asarray(image)
    return (array if array.ndim == 2 else array.transpose(2, 0, 1)).tobytes().hex()


cases = []
for channels, array in [(1, grey), (3, colour)]:
    image = Image.fromarray(array)
    for name, (magnitudes, apply) in OPERATIONS.items():
        # Of a coloured image what is not done channel by channel, and one of each other kind.
        if channels == 3 and name not in ("autocontrast", "colour", "contrast", "equalise", "rotate"):
            continue
        for magnitude in magnitudes[:2]:
            pixels = planes(apply(image, magnitude))
            cases.append({"operation": name, "magnitude": magnitude, "channels": channels, "pixels": pixels})
images = [planes(Image.fromarray(grey)), planes(Image.fromarray(colour))]
print(json.dumps({"sides": [H, W], "images": images, "cases": cases}, separators=(",", ":")))
