//! The scan: where its data lie in the file, and the bits that they are.

use super::bits::{self, END, PADDING, RESTART};
use super::header::Header;
use super::huffman::Table;
use super::marks::Marks;
use super::refusal::Refusal;
use std::ops::Range;

/// The data between two restart markers.
pub struct Interval {
    /// Where they lie in the file.
    pub file: Range<usize>,
    /// The bits they are without stuffing, if somebody wants them; after a walk, without the last byte's padding.
    pub bits: Option<Range<usize>>,
    pub mcus: Range<usize>,
    /// What a walk wants to replace there.
    pub edits: Range<usize>,
}

/// A block's place in the MCU, and how it is coded.
pub struct Slot<'a> {
    pub component: usize,
    pub x: usize,
    pub y: usize,
    pub dc: &'a Table,
    pub ac: &'a Table,
}

/// The blocks of an MCU in the order of the stream.
pub fn slots<'a>(
    header: &Header,
    dc: &'a [Option<Table>; 4],
    ac: &'a [Option<Table>; 4],
) -> Result<Vec<Slot<'a>>, Refusal> {
    let mut slots = Vec::with_capacity(10);
    for (component, part) in header.components.iter().enumerate() {
        for (y, x) in (0..part.down).flat_map(|y| (0..part.across).map(move |x| (y, x))) {
            let dc = dc.get(part.dc).and_then(Option::as_ref).ok_or(Refusal::Tables)?;
            let ac = ac.get(part.ac).and_then(Option::as_ref).ok_or(Refusal::Tables)?;
            slots.push(Slot { component, x, y, dc, ac });
        }
    }
    Ok(slots)
}

/// Find all intervals, and unstuff them, one after the other: all, or, where there are restart markers and `all` is not
/// asked for, those that marks touch. Of the others, only the markers are checked, and their order.
pub fn intervals(file: &[u8], header: &Header, marks: &Marks, all: bool) -> Result<(Vec<u8>, Vec<Interval>), Refusal> {
    let (across, down) = header.mcus();
    let total = across * down;
    let step = if header.restart > 0 { header.restart } else { total };
    let rest = file.get(header.data..).ok_or(Refusal::Truncated)?;
    // A block takes 2 bits at the least: a file with too few bytes needs no look.
    if rest.len() / 2 + 1 < total * header.blocks() / 8 {
        return Err(Refusal::Truncated);
    }
    let mut touched = vec![false; if all || header.restart == 0 { 0 } else { total.div_ceil(step) }];
    if !touched.is_empty() {
        for row in 0..down {
            for range in marks.touched(row) {
                let (first, last) = (row * across + range.start, row * across + range.end.min(across) - 1);
                touched[first / step..=last / step].fill(true);
            }
        }
    }
    let mut bytes = bits::reserved(if header.restart == 0 || all { rest.len() + PADDING } else { 0 })?;
    let mut found = Vec::new();
    let mut at = header.data;
    for (number, first) in (0..total).step_by(step).enumerate() {
        let start = bytes.len();
        let wanted = touched.get(number).copied().unwrap_or(true);
        let end = if wanted { bits::unstuff(file, at, &mut bytes)? } else { bits::leap(file, at)? };
        let expected = if first + step < total { RESTART + (number % 8) as u8 } else { END };
        if end.marker != expected {
            return Err(if end.marker == 0xDA || end.marker == 0xC4 { Refusal::Scans } else { Refusal::Damaged });
        }
        found.push(Interval {
            file: at..end.data,
            bits: wanted.then_some(8 * start..8 * bytes.len()),
            mcus: first..(first + step).min(total),
            edits: 0..0,
        });
        at = end.after;
    }
    bytes.resize(bytes.len() + PADDING, 0);
    Ok((bytes, found))
}
