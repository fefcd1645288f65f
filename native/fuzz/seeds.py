"""Write seeds: small files of every kind the library knows, and some it refuses, from the encoders at hand.

python seeds.py FOLDER [PHOTO ...]     further photos are taken along as they are, if they are small
"""

import io
import random
import sys
from pathlib import Path

from PIL import Image

from safelight.imaging.sample import scene


def main(folder: Path, photos: list[Path]) -> None:
    """Write them."""
    dice = random.Random(1)
    folder.mkdir(exist_ok=True)
    files = [*_pillow(), *_vips(), *(path.read_bytes() for path in photos if path.stat().st_size < 16_000)]
    for number, data in enumerate(files):
        choice = bytes([*(dice.randrange(256) for _ in range(6)), dice.randrange(1, 4), dice.randrange(9)])
        (folder / f"seed-{number:03}").write_bytes(choice + data)


def _picture(width: int, height: int) -> Image.Image:
    pixels = scene(width * 2, height * 2, 0).resize(0.5)
    return Image.frombytes("RGB", (pixels.width, pixels.height), pixels.write_to_memory())


def _pillow() -> list[bytes]:
    found = []
    for width, height in ((16, 16), (57, 41), (96, 64)):
        for mode in ("RGB", "L", "CMYK"):
            for options in (
                {"quality": 90, "subsampling": 0},
                {"quality": 75, "subsampling": 1},
                {"quality": 30, "subsampling": 2},
                {"quality": 100, "subsampling": 0, "optimize": True},
                {"quality": 60, "optimize": True},
                {"quality": 80, "restart_marker_blocks": 3},
                {"quality": 80, "restart_marker_rows": 1, "optimize": True},
                {"progressive": True},
                {"progressive": True, "quality": 95, "subsampling": 0},
                {"progressive": True, "quality": 40, "subsampling": 1, "restart_marker_blocks": 5},
                {"progressive": True, "quality": 85, "subsampling": 2, "restart_marker_rows": 1},
                {"icc_profile": b"x" * 300},
            ):
                file = io.BytesIO()
                _picture(width, height).convert(mode).save(file, "JPEG", **options)
                found.append(file.getvalue())
    return found


def _vips() -> list[bytes]:
    picture = scene(64, 48, 0)
    return [
        picture.jpegsave_buffer(Q=q, subsample_mode=mode, optimize_coding=tight, restart_interval=restart)
        for q in (40, 95)
        for mode in ("on", "off")
        for tight in (False, True)
        for restart in (0, 2)
    ]


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
