"""Set a photo upright."""

from safelight.operations import Edit, Operation, Size, Turn


class AutoOrient(Operation, frozen=True):
    """Turn the pixels as the camera's orientation tag says, so that nobody has to read the tag any more.

    A JPEG that is otherwise only marked, and not encoded anew (`format: same`, `quality: keep`, with the accelerator),
    keeps its pixels as they lie, and the tag; `sanitize: pixels` has them turned.

    Put it before whatever depends on where is up: a watermark's corner, a crop.
    """

    def size(self, before: Size) -> Size:
        """Orientations 5 to 8 swap width and height."""
        if before.orientation >= 5:
            return Size(before.height, before.width)
        return Size(before.width, before.height)

    def edits(self, before: Size) -> tuple[Edit, ...]:
        """One turn, or nothing if the picture stands upright."""
        return (Turn(before.orientation),) if before.orientation != 1 else ()
