//! The walk over the picture data: which bits are to be replaced, and by what.

use super::bits;
use super::blocks::Scales;
use super::header::Header;
use super::huffman::{filled, read_block, read_dc, skip_block, symbols_of};
use super::index::{self, Point, STACK};
use super::marks::{Cover, Marks};
use super::refusal::Refusal;
use super::scan::{Interval, Slot, intervals, slots};
use crate::cores::Core;
use std::ops::Range;

/// Edited blocks that are held in memory, at the most: 64 MB of them, and a half more while two threads come together.
const MAX_EDITED: usize = 500_000;

/// From so many edited blocks on, half a millisecond of work, a second thread saves more than its start costs.
const SHARED: usize = if cfg!(fuzzing) { 8 } else { 500 };

/// The bits `from..to` are replaced by a DC difference, and by AC coefficients if there is a block.
pub struct Edit {
    pub from: usize,
    pub to: usize,
    pub component: usize,
    pub difference: i32,
    /// Its place in `Walk::blocks`.
    pub block: Option<usize>,
}

/// What a walk has found.
pub struct Walk {
    /// The unstuffed data of all intervals that were walked, one after the other, and padding.
    pub bytes: Vec<u8>,
    pub intervals: Vec<Interval>,
    pub edits: Vec<Edit>,
    /// Zigzag order; the DC is told by the edit.
    pub blocks: Vec<[i16; 64]>,
    missing: Missing,
}

/// Symbols that tables lack: [DC or AC][table][symbol].
type Missing = Box<[[[bool; 256]; 4]; 2]>;

/// How many blocks marks touch, if that is less work than decoding the picture.
pub fn edited(header: &Header, marks: &Marks) -> Result<usize, Refusal> {
    let (across, down) = header.mcus();
    let area = marks.area() * header.blocks();
    let half = across * down * header.blocks() / 2;
    if area > MAX_EDITED || (area > 10_000 && area > half) { Err(Refusal::Area) } else { Ok(area) }
}

/// Walk over the picture: all of it, or, where there are restart markers and `all` is not asked for, the intervals
/// that marks touch. With `threads` of 2 and more, two share large marks.
pub fn walk(file: &[u8], header: &Header, marks: &Marks, all: bool, threads: usize) -> Result<Walk, Refusal> {
    let area = edited(header, marks)?;
    let (bytes, mut intervals) = intervals(file, header, marks, all)?;
    let slots = slots(header, &header.dc, &header.ac)?;
    let mut known = bits::reserved(intervals.len())?;
    for interval in &intervals {
        known.push(match &interval.bits {
            Some(bits) if bits.len() / 8 >= index::WORTH => {
                index::points(&bytes, bits.clone(), &slots, interval.mcus.len(), threads)?
            }
            _ => Vec::new(),
        });
    }
    let scales = header.scales()?;
    let walker = |area: usize| -> Result<Walker, Refusal> {
        let cover = Box::new(Cover::new());
        Ok(Walker { header, marks, bytes: &bytes, slots: &slots, scales: &scales, cover, found: Found::new(area)? })
    };
    let border = if threads > 1 && area >= SHARED { middle(header, marks) } else { None };
    let (front, back) = parts(&bytes, &intervals, &known, &slots, border)?;
    let found = if back.is_empty() {
        walker(area)?.over(&front)?
    } else {
        let second = walker(area / 2 + 1)?;
        let taken = Core::current();
        std::thread::scope(|scope| {
            let builder = std::thread::Builder::new().stack_size(STACK);
            let other = builder.spawn_scoped(scope, || {
                taken.leave();
                second.over(&back)
            });
            let found = walker(area)?.over(&front)?; // with room for all
            let other = match other {
                Ok(thread) => thread.join().map_err(|_| Refusal::Internal)??,
                Err(_) => walker(area / 2 + 1)?.over(&back)?, // no second thread is to be had
            };
            Ok(found.with(other))
        })?
    };
    for Ended { interval, mcus, bit, edits } in found.ended {
        let whole = intervals.get_mut(interval).ok_or(Refusal::Internal)?;
        whole.bits.as_mut().ok_or(Refusal::Internal)?.end = bit;
        whole.edits = if mcus.start == whole.mcus.start { edits } else { whole.edits.start..edits.end };
    }
    Ok(Walk { bytes, intervals, edits: found.edits, blocks: found.blocks, missing: found.missing })
}

/// MCUs of an interval that one thread goes over.
struct Part<'k> {
    interval: usize,
    mcus: Range<usize>,
    /// Whether they are the interval's last ones.
    last: bool,
    /// Where its data end.
    limit: usize,
    place: Place<'k>,
}

/// The MCU that two threads part at, the first one of a row: about as many are touched before it as from there on.
/// None if all are touched on one side of it, or if something behind it depends on the edits before.
fn middle(header: &Header, marks: &Marks) -> Option<usize> {
    let (across, down) = header.mcus();
    let rows: Vec<_> = (0..down).map(|row| marks.touched(row)).collect();
    halfway(across, &rows)
}

fn halfway(across: usize, rows: &[Vec<Range<usize>>]) -> Option<usize> {
    let touched = |row: &Vec<Range<usize>>| row.iter().map(Range::len).sum::<usize>();
    let all = rows.iter().map(touched).sum::<usize>();
    let mut before = 0;
    for (number, row) in rows.iter().enumerate() {
        if (1..all).contains(&before) && before + touched(row) > all / 2 {
            // What follows an edited block makes up for its DC: in the same row, or not at all.
            let last = rows[number - 1].last();
            return last.is_none_or(|range| range.end < across).then_some(number * across);
        }
        before += touched(row);
    }
    None
}

/// All intervals that are wanted: those up to the border, and those from there on.
fn parts<'k>(
    bytes: &[u8],
    intervals: &[Interval],
    known: &'k [Vec<Point>],
    slots: &[Slot],
    border: Option<usize>,
) -> Result<(Vec<Part<'k>>, Vec<Part<'k>>), Refusal> {
    let (mut front, mut back) = (Vec::new(), Vec::new());
    for (number, (Interval { bits, mcus, .. }, known)) in intervals.iter().zip(known).enumerate() {
        let Some(bits) = bits else { continue };
        let place = Place { mcus: 0, bit: bits.start, predicted: [0; 3], delta: [0; 3], known };
        let whole = Part { interval: number, mcus: mcus.clone(), last: true, limit: bits.end, place };
        match border {
            Some(border) if mcus.start >= border => back.push(whole),
            Some(border) if mcus.end > border && !known.is_empty() => {
                let further = index::border(bytes, known, border - mcus.start, bits.end, slots)?;
                let place = Place { mcus: further.mcus, bit: further.bit, predicted: further.sums, ..whole.place };
                front.push(Part { mcus: mcus.start..border, last: false, ..whole });
                back.push(Part { interval: number, mcus: border..mcus.end, last: true, limit: bits.end, place });
            }
            _ => front.push(whole),
        }
    }
    Ok((front, back))
}

/// What one thread has found.
struct Found {
    edits: Vec<Edit>,
    blocks: Vec<[i16; 64]>,
    missing: Missing,
    ended: Vec<Ended>,
}

/// A part that was gone over: up to this bit, and with these edits.
struct Ended {
    interval: usize,
    mcus: Range<usize>,
    bit: usize,
    edits: Range<usize>,
}

impl Found {
    /// Nothing, and room for so many blocks.
    fn new(area: usize) -> Result<Self, Refusal> {
        let missing = Box::new([[[false; 256]; 4]; 2]);
        Ok(Found { edits: bits::reserved(2 * area)?, blocks: bits::reserved(area)?, missing, ended: Vec::new() })
    }

    /// The same with what was found behind it.
    fn with(mut self, other: Found) -> Self {
        let (edits, blocks) = (self.edits.len(), self.blocks.len());
        let moved = |block: usize| block + blocks;
        self.edits.extend(other.edits.into_iter().map(|edit| Edit { block: edit.block.map(moved), ..edit }));
        self.blocks.extend(other.blocks);
        for (own, others) in self.missing.iter_mut().flatten().flatten().zip(other.missing.iter().flatten().flatten()) {
            *own |= others;
        }
        let moved = |range: Range<usize>| range.start + edits..range.end + edits;
        self.ended.extend(other.ended.into_iter().map(|ended| Ended { edits: moved(ended.edits), ..ended }));
        self
    }
}

struct Walker<'a> {
    header: &'a Header<'a>,
    marks: &'a Marks<'a>,
    bytes: &'a [u8],
    slots: &'a [Slot<'a>],
    scales: &'a [Scales],
    cover: Box<Cover>,
    found: Found,
}

/// Where the walk is in an interval: the bit, and for each component the DC as it was read and how much more it is in
/// what will be written.
#[derive(Clone, Copy)]
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
    fn over(mut self, parts: &[Part]) -> Result<Found, Refusal> {
        for &Part { interval, ref mcus, last, limit, place } in parts {
            let (first, mut place) = (self.found.edits.len(), place);
            self.mcus(mcus.clone(), limit, &mut place)?;
            // Between the last code and the marker there is less than a byte, or there are data too many.
            if place.bit > limit || (last && limit - place.bit >= 8) {
                return Err(Refusal::Damaged);
            }
            self.found.ended.push(Ended {
                interval,
                mcus: mcus.clone(),
                bit: place.bit,
                edits: first..self.found.edits.len(),
            });
        }
        Ok(self.found)
    }

    /// Row by row, and in each row in turns: MCUs beside the marks, MCUs under them.
    fn mcus(&mut self, mcus: Range<usize>, limit: usize, place: &mut Place) -> Result<(), Refusal> {
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
                self.beside(beside + from - at, limit, place)?;
                for column in from..to {
                    self.under((column, row), limit, place)?;
                }
                (at, beside) = (to, 0);
            }
            beside += end - at;
            next += end - column;
        }
        self.beside(beside, limit, place)
    }

    /// Go over MCUs that no mark touches. The first of them may need other DC differences than it has.
    fn beside(&mut self, mut count: usize, limit: usize, place: &mut Place) -> Result<(), Refusal> {
        while count > 0 && place.delta != [0; 3] {
            for slot in 0..self.slots.len() {
                self.keep(slot, place)?;
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
            for slot in self.slots {
                let difference = skip_block(self.bytes, &mut bit, slot.dc, slot.ac)?;
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
    fn keep(&mut self, slot: usize, place: &mut Place) -> Result<(), Refusal> {
        let Slot { component, dc, ac, .. } = self.slots[slot];
        let from = place.bit;
        if place.delta[component] == 0 {
            let difference = skip_block(self.bytes, &mut place.bit, dc, ac)?;
            place.predicted[component] = place.predicted[component].wrapping_add(difference);
            return Ok(());
        }
        let mut to = from;
        read_dc(self.bytes, &mut to, dc)?;
        let difference = skip_block(self.bytes, &mut place.bit, dc, ac)?;
        place.predicted[component] = place.predicted[component].wrapping_add(difference);
        let difference = difference - place.delta[component];
        place.delta[component] = 0;
        self.edit(Edit { from, to, component, difference, block: None }, slot)
    }

    /// An MCU that marks touch; blocks of it that nothing is laid over stay.
    fn under(&mut self, (column, row): (usize, usize), limit: usize, place: &mut Place) -> Result<(), Refusal> {
        self.marks.cover(column, row, &mut self.cover);
        for slot in 0..self.slots.len() {
            let Slot { component, x, y, dc, ac } = self.slots[slot];
            let part = &self.header.components[component];
            let (wide, high) = (self.header.most_across / part.across, self.header.most_down / part.down);
            let Some(blend) = self.cover.block(component, x, y, wide, high) else {
                self.keep(slot, place)?;
                continue;
            };
            let from = place.bit;
            let (difference, coded) = read_block(self.bytes, &mut place.bit, dc, ac)?;
            let before = place.predicted[component].wrapping_add(difference);
            let mut block = coded.map(i32::from);
            block[0] = before;
            self.scales[component].blend(&mut block, &blend)?;
            let old_delta = std::mem::replace(&mut place.delta[component], block[0] - before);
            place.predicted[component] = before;
            let difference = difference + place.delta[component] - old_delta;
            block[0] = 0;
            self.found.blocks.push(block.map(|value| value as i16));
            let block = Some(self.found.blocks.len() - 1);
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
        if dc.complete && ac.complete {
            self.found.edits.push(edit);
            return Ok(());
        }
        let part = &self.header.components[component];
        let [dc_missing, ac_missing] = &mut *self.found.missing;
        let block = edit.block.map(|at| &self.found.blocks[at]);
        symbols_of(edit.difference, block.map(|block| (block, filled(block))), |is_ac, symbol| {
            if is_ac {
                ac_missing[part.ac][usize::from(symbol)] |= !ac.has(symbol);
            } else {
                dc_missing[part.dc][usize::from(symbol)] |= !dc.has(symbol);
            }
        });
        self.found.edits.push(edit);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_threads_part_in_the_middle_of_what_is_touched() {
        let rows = |touched: &[Range<usize>]| -> Vec<Vec<Range<usize>>> {
            touched.iter().map(|range| if range.is_empty() { vec![] } else { vec![range.clone()] }).collect()
        };
        // Rows 2 to 5 of 10 MCUs are touched: two of them before row 4, two from there on.
        assert_eq!(halfway(10, &rows(&[0..0, 0..0, 3..9, 3..9, 3..9, 3..9, 0..0])), Some(40));
        // Two marks far from each other, the upper one larger.
        assert_eq!(halfway(10, &rows(&[0..9, 0..9, 0..0, 0..0, 4..6])), Some(10));
        // A mark that reaches the end of the row before: its first MCU makes up for the edits before it.
        assert_eq!(halfway(10, &rows(&[3..10, 3..10, 3..10, 3..10])), None);
        // A row alone, nothing at all.
        assert_eq!(halfway(10, &rows(&[0..0, 1..9, 0..0])), None);
        assert_eq!(halfway(10, &rows(&[0..0, 0..0])), None);
    }
}
