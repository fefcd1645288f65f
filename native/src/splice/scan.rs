//! The walk over the picture data: which bits are to be replaced, and by what.

use super::bits::{self, END, PADDING, RESTART};
use super::blocks;
use super::header::Header;
use super::huffman::{Table, filled, read_block, read_dc, skip_block, symbols_of};
use super::index::{self, Point};
use super::marks::{Cover, Marks};
use super::refusal::Refusal;
use std::ops::Range;

/// Edited blocks that are held in memory, at the most: 64 MB of them.
const MAX_EDITED: usize = 500_000;

/// The bits `from..to` are replaced by a DC difference, and by AC coefficients if there is a block.
pub struct Edit {
    pub from: usize,
    pub to: usize,
    pub component: usize,
    pub difference: i32,
    /// Its place in `Walk::blocks`.
    pub block: Option<usize>,
}

/// The data between two restart markers.
pub struct Interval {
    /// Where they lie in the file.
    pub file: Range<usize>,
    /// The bits they are without stuffing, if they have been walked; without the last byte's padding.
    pub bits: Option<Range<usize>>,
    pub mcus: Range<usize>,
    pub edits: Range<usize>,
}

/// What a walk has found.
pub struct Walk {
    /// The unstuffed data of all intervals that were walked, one after the other.
    pub bytes: Vec<u8>,
    pub intervals: Vec<Interval>,
    pub edits: Vec<Edit>,
    /// Zigzag order; the DC is told by the edit.
    pub blocks: Vec<[i16; 64]>,
    /// Symbols that tables lack: [DC or AC][table][symbol].
    missing: Box<[[[bool; 256]; 4]; 2]>,
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

/// How many blocks marks touch, if that is less work than decoding the picture.
pub fn edited(header: &Header, marks: &Marks) -> Result<usize, Refusal> {
    let (across, down) = header.mcus();
    let area = marks.area() * header.blocks();
    let half = across * down * header.blocks() / 2;
    if area > MAX_EDITED || (area > 10_000 && area > half) { Err(Refusal::Area) } else { Ok(area) }
}

/// Walk over the picture: all of it, or, where there are restart markers and `all` is not asked for, the intervals
/// that marks touch. Of the others, only the markers are checked, and their order.
pub fn walk(file: &[u8], header: &Header, marks: &Marks, all: bool, threads: usize) -> Result<Walk, Refusal> {
    let (across, down) = header.mcus();
    let total = across * down;
    let step = if header.restart > 0 { header.restart } else { total };
    let rest = file.get(header.data..).ok_or(Refusal::Truncated)?;
    let area = edited(header, marks)?;
    // A block takes 2 bits at the least: a file with too few bytes needs no look.
    if rest.len() / 2 + 1 < total * header.blocks() / 8 {
        return Err(Refusal::Truncated);
    }
    let mut walker = Walker {
        header,
        marks,
        slots: slots(header, &header.dc, &header.ac)?,
        cover: Box::new(Cover::new()),
        threads,
        walk: Walk {
            bytes: bits::reserved(if header.restart == 0 || all { rest.len() + PADDING } else { 0 })?,
            intervals: Vec::new(),
            edits: bits::reserved(2 * area)?,
            blocks: bits::reserved(area)?,
            missing: Box::new([[[false; 256]; 4]; 2]),
        },
    };
    let mut touched = vec![false; if all || header.restart == 0 { 0 } else { total.div_ceil(step) }];
    if !touched.is_empty() {
        for row in 0..down {
            for range in marks.touched(row) {
                let (first, last) = (row * across + range.start, row * across + range.end.min(across) - 1);
                touched[first / step..=last / step].fill(true);
            }
        }
    }
    let mut at = header.data;
    for (number, first) in (0..total).step_by(step).enumerate() {
        let mcus = first..(first + step).min(total);
        let wanted = touched.get(number).copied().unwrap_or(true);
        let end = if wanted { walker.interval(file, at, mcus)? } else { walker.leap(file, at, mcus)? };
        let expected = if first + step < total { RESTART + (number % 8) as u8 } else { END };
        if end.marker != expected {
            return Err(if end.marker == 0xDA || end.marker == 0xC4 { Refusal::Scans } else { Refusal::Damaged });
        }
        at = end.after;
    }
    Ok(walker.walk)
}

struct Walker<'a> {
    header: &'a Header<'a>,
    marks: &'a Marks<'a>,
    slots: Vec<Slot<'a>>,
    cover: Box<Cover>,
    threads: usize,
    walk: Walk,
}

/// Where the walk is in an interval: the bit, and for each component the DC as it was read and how much more it is in
/// what will be written.
struct Place<'p> {
    /// MCUs of the interval before it.
    mcus: usize,
    bit: usize,
    predicted: [i32; 3],
    delta: [i32; 3],
    /// Borders further on that are known already.
    known: &'p [Point],
}

impl Walker<'_> {
    fn leap(&mut self, file: &[u8], at: usize, mcus: Range<usize>) -> Result<bits::End, Refusal> {
        let end = bits::leap(file, at)?;
        let edits = self.walk.edits.len()..self.walk.edits.len();
        self.walk.intervals.push(Interval { file: at..end.data, bits: None, mcus, edits });
        Ok(end)
    }

    fn interval(&mut self, file: &[u8], at: usize, mcus: Range<usize>) -> Result<bits::End, Refusal> {
        let mut bytes = std::mem::take(&mut self.walk.bytes);
        let start = bytes.len();
        let end = bits::unstuff(file, at, &mut bytes)?;
        let limit = 8 * bytes.len();
        bytes.extend([0; PADDING]);
        let edits = self.walk.edits.len();
        let known = if limit / 8 - start >= index::WORTH {
            index::points(&bytes, 8 * start..limit, &self.slots, mcus.len(), self.threads)?
        } else {
            Vec::new()
        };
        let mut place = Place { mcus: 0, bit: 8 * start, predicted: [0; 3], delta: [0; 3], known: &known };
        self.mcus(&bytes, mcus.clone(), limit, &mut place)?;
        // Between the last code and the marker there is less than a byte, or there are data too many.
        if place.bit > limit {
            return Err(Refusal::Damaged);
        }
        if limit - place.bit >= 8 {
            return Err(Refusal::Damaged);
        }
        bytes.truncate(limit / 8);
        self.walk.bytes = bytes;
        self.walk.intervals.push(Interval {
            file: at..end.data,
            bits: Some(8 * start..place.bit),
            mcus,
            edits: edits..self.walk.edits.len(),
        });
        Ok(end)
    }

    /// Row by row, and in each row in turns: MCUs beside the marks, MCUs under them.
    fn mcus(&mut self, bytes: &[u8], mcus: Range<usize>, limit: usize, place: &mut Place) -> Result<(), Refusal> {
        let (across, _) = self.header.mcus();
        let mut next = mcus.start;
        let mut beside = 0;
        while next < mcus.end {
            let (row, column) = (next / across, next % across);
            let end = across.min(column + mcus.end - next);
            let mut at = column;
            for range in self.marks.touched(row) {
                let (from, to) = (range.start.clamp(at, end), range.end.clamp(at, end));
                if from == to {
                    continue;
                }
                self.beside(bytes, beside + from - at, limit, place)?;
                for column in from..to {
                    self.under(bytes, (column, row), limit, place)?;
                }
                (at, beside) = (to, 0);
            }
            beside += end - at;
            next += end - column;
        }
        self.beside(bytes, beside, limit, place)
    }

    /// Go over MCUs that no mark touches. The first of them may need other DC differences than it has.
    fn beside(&mut self, bytes: &[u8], mut count: usize, limit: usize, place: &mut Place) -> Result<(), Refusal> {
        while count > 0 && place.delta != [0; 3] {
            for slot in 0..self.slots.len() {
                self.keep(bytes, slot, place)?;
            }
            place.mcus += 1;
            count -= 1;
        }
        let end = place.mcus + count;
        let passed = place.known.partition_point(|point| point.mcus <= end);
        if let Some(&Point { mcus, bit, sums }) = place.known[..passed].last().filter(|point| point.mcus > place.mcus) {
            (place.mcus, place.bit, place.predicted) = (mcus, bit, sums);
        }
        place.known = &place.known[passed..];
        let (mut bit, mut predicted) = (place.bit, place.predicted);
        for _ in place.mcus..end {
            for slot in &self.slots {
                let difference = skip_block(bytes, &mut bit, slot.dc, slot.ac)?;
                let sum = &mut predicted[slot.component];
                *sum = sum.wrapping_add(difference);
            }
            if bit > limit {
                return Err(Refusal::Damaged);
            }
        }
        (place.mcus, place.bit, place.predicted) = (end, bit, predicted);
        Ok(())
    }

    /// A block that stays, with a DC difference that makes up for the edited block before it.
    fn keep(&mut self, bytes: &[u8], slot: usize, place: &mut Place) -> Result<(), Refusal> {
        let Slot { component, dc, ac, .. } = self.slots[slot];
        let from = place.bit;
        if place.delta[component] == 0 {
            let difference = skip_block(bytes, &mut place.bit, dc, ac)?;
            place.predicted[component] = place.predicted[component].wrapping_add(difference);
            return Ok(());
        }
        let mut to = from;
        read_dc(bytes, &mut to, dc)?;
        let difference = skip_block(bytes, &mut place.bit, dc, ac)?;
        place.predicted[component] = place.predicted[component].wrapping_add(difference);
        let difference = difference - place.delta[component];
        place.delta[component] = 0;
        self.edit(Edit { from, to, component, difference, block: None }, slot)
    }

    /// An MCU that marks touch; blocks of it that nothing is laid over stay.
    fn under(
        &mut self,
        bytes: &[u8],
        (column, row): (usize, usize),
        limit: usize,
        place: &mut Place,
    ) -> Result<(), Refusal> {
        self.marks.cover(column, row, &mut self.cover);
        for slot in 0..self.slots.len() {
            let Slot { component, x, y, dc, ac } = self.slots[slot];
            let part = &self.header.components[component];
            let (wide, high) = (self.header.most_across / part.across, self.header.most_down / part.down);
            let Some(blend) = self.cover.block(component, x, y, wide, high) else {
                self.keep(bytes, slot, place)?;
                continue;
            };
            let from = place.bit;
            let (difference, coded) = read_block(bytes, &mut place.bit, dc, ac)?;
            let before = place.predicted[component].wrapping_add(difference);
            let mut block = coded.map(i32::from);
            block[0] = before;
            blocks::blend(&mut block, self.header.quantisation(component)?, &blend)?;
            let old_delta = std::mem::replace(&mut place.delta[component], block[0] - before);
            place.predicted[component] = before;
            let difference = difference + place.delta[component] - old_delta;
            block[0] = 0;
            self.walk.blocks.push(block.map(|value| value as i16));
            let block = Some(self.walk.blocks.len() - 1);
            self.edit(Edit { from, to: place.bit, component, difference, block }, slot)?;
        }
        place.mcus += 1;
        if place.bit > limit { Err(Refusal::Damaged) } else { Ok(()) }
    }

    fn edit(&mut self, edit: Edit, slot: usize) -> Result<(), Refusal> {
        if !(-2047..=2047).contains(&edit.difference) {
            return Err(Refusal::Range);
        }
        let Slot { component, dc, ac, .. } = self.slots[slot];
        let part = &self.header.components[component];
        let [dc_missing, ac_missing] = &mut *self.walk.missing;
        let block = edit.block.map(|at| &self.walk.blocks[at]);
        symbols_of(edit.difference, block.map(|block| (block, filled(block))), |is_ac, symbol| {
            if is_ac {
                ac_missing[part.ac][usize::from(symbol)] |= !ac.has(symbol);
            } else {
                dc_missing[part.dc][usize::from(symbol)] |= !dc.has(symbol);
            }
        });
        self.walk.edits.push(edit);
        Ok(())
    }
}

impl Walk {
    /// The symbols that the edits need and a table lacks.
    pub fn missing(&self, ac: bool, table: usize) -> Vec<u8> {
        let marked = &self.missing[usize::from(ac)][table];
        (0..=255).filter(|&symbol: &u8| marked[usize::from(symbol)]).collect()
    }
}
