"""Blocks as marks: a part of a photo made coarse, where the rest of it is not decoded.

What the blocks are is computed as every way of drawing does it, on as much of the picture as they cover. So all that
was done there before is under them: marks, and other blocks.
"""

from collections.abc import Sequence

import pyvips

from safelight.operations import Coarse, Edit, Mark, Region, Size, Turn


def as_marks(edits: Sequence[Edit], size: Size, picture: pyvips.Image) -> list[Turn | Mark]:
    """The edits with marks in place of blocks, of which there is one at least; they turn the picture once at most.

    The picture comes as it is stored, in this size, and streamed. No row of it is decoded that lies below all blocks.
    """
    picture = _covered(edits, size, picture)
    marks: list[Turn | Mark] = []
    for edit in edits:
        if isinstance(edit, Turn):
            picture = edit.turned(picture)
            marks.append(edit)
            continue
        where = edit.region
        if isinstance(edit, Coarse):
            done = edit.blocks(where.of(picture)).copy_memory()
            marks.append(edit.mark(done))
        else:
            done = where.of(edit.draw(picture)).copy_memory()
            marks.append(edit)
        # In memory: what overlaps would else be computed anew for each part that is laid over it.
        picture = picture.insert(done, where.left, where.top)
    return marks


def _covered(edits: Sequence[Edit], size: Size, picture: pyvips.Image) -> pyvips.Image:
    """The picture in memory where blocks will be, and black elsewhere: that takes none."""
    turn, regions = None, list[Region]()
    for edit in edits:
        if isinstance(edit, Turn):
            turn = edit
        elif isinstance(edit, Coarse):
            regions.append(turn.stored(edit.region, size) if turn else edit.region)
    left, top = min(where.left for where in regions), min(where.top for where in regions)
    right = max(where.left + where.width for where in regions)
    bottom = max(where.top + where.height for where in regions)
    part = picture.crop(left, top, right - left, bottom - top).copy_memory()
    return part.embed(left, top, size.width, size.height)
