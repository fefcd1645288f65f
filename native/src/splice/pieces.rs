//! The new file while it is being written: bytes of its own, and ranges of the old file that nobody has copied so far.

use std::ops::Range;

/// Shorter ranges are copied: to tell of them takes longer.
const WORTH: usize = if cfg!(any(fuzzing, test)) { 16 } else { 16 << 10 };

/// A range of the old file that goes on before one of the new bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Kept {
    /// So many new bytes stand before it.
    pub before: usize,
    /// Where it begins in the old file.
    pub from: usize,
    /// Where it ends there.
    pub to: usize,
}

/// See the module.
pub struct Pieces<'a> {
    own: Vec<u8>,
    file: &'a [u8],
    kept: Vec<Kept>,
    /// Of the old file, and behind all that is written; it may grow.
    pending: Range<usize>,
}

impl<'a> Pieces<'a> {
    /// A new file that begins with these bytes, made of an old one.
    pub fn new(own: Vec<u8>, file: &'a [u8]) -> Self {
        Pieces { own, file, kept: Vec::new(), pending: 0..0 }
    }

    /// Go on with these bytes of the old file. None if it has none there.
    pub fn keep(&mut self, range: Range<usize>) -> Option<()> {
        self.file.get(range.clone())?;
        if self.pending.end == range.start && !self.pending.is_empty() {
            self.pending.end = range.end;
        } else {
            self.settle();
            self.pending = range;
        }
        Some(())
    }

    /// Go on with a restart marker, which stands before this place in the old file, too.
    pub fn marker(&mut self, marker: [u8; 2], place: usize) {
        if !self.pending.is_empty() && self.pending.end + marker.len() == place {
            self.pending.end = place;
        } else {
            self.own().extend(marker);
        }
    }

    /// What new bytes are appended to.
    pub fn own(&mut self) -> &mut Vec<u8> {
        self.settle();
        &mut self.own
    }

    /// The new bytes, and the ranges that go in between.
    pub fn into_parts(mut self) -> (Vec<u8>, Vec<Kept>) {
        self.settle();
        (self.own, self.kept)
    }

    fn settle(&mut self) {
        let range = std::mem::take(&mut self.pending);
        if range.len() >= WORTH {
            self.kept.push(Kept { before: self.own.len(), from: range.start, to: range.end });
        } else {
            self.own.extend_from_slice(self.file.get(range).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Spliced;
    use crate::Way;

    #[test]
    fn ranges_that_meet_are_one() {
        let file: Vec<u8> = (0..=255).collect();
        let mut pieces = Pieces::new(vec![1, 2], &file);
        pieces.keep(10..30).unwrap();
        pieces.marker([30, 31], 32);
        pieces.keep(32..60).unwrap();
        pieces.own().push(3);
        pieces.keep(100..104).unwrap();
        pieces.marker([7, 7], 107);
        pieces.keep(200..240).unwrap();
        assert!(pieces.keep(250..260).is_none());
        let (own, kept) = pieces.into_parts();
        assert_eq!(own, [1, 2, 3, 100, 101, 102, 103, 7, 7]);
        assert_eq!(kept, [Kept { before: 2, from: 10, to: 60 }, Kept { before: 9, from: 200, to: 240 }]);
        let whole = Spliced { own, kept, way: Way::Copied }.file(&file);
        let expected = [&[1, 2], &file[10..60], &[3, 100, 101, 102, 103, 7, 7], &file[200..240]].concat();
        assert_eq!(whole, expected);
    }
}
