//! Where MCUs begin, found several at a time.
//!
//! To know where a code ends, all codes before it have to be read: one after the other, each waiting for the last. A
//! processor could do several such chains at once. But there is only one, unless reading is begun in the middle, where
//! nothing says what the bits there mean. Huffman codes let one try: whoever reads from a wrong place soon hits upon a
//! true border by chance, and from there on sees what a reader from the start would see (ITU T.81 says nothing of it;
//! Klein and Wiseman, "Parallel Huffman decoding with applications to JPEG files", 2003, do).
//!
//! So the data are cut into pieces, and lanes read several of them in turns, code by code, each noting where its MCUs
//! begin. What a lane notes is only a guess. Then the true reader goes from piece to piece: it reads on from the end of
//! what it knows until it meets a place that the next piece's lane has noted as well; all later notes of that lane are
//! true then. If it never does, it reads the whole piece itself. The result is that of reading from the start, always,
//! and no input makes it more than twice the work; where nothing could be noted, whoever looks for a `border` reads once
//! more.

use super::bits::{reserved, window};
use super::huffman::{Ahead, Step, Table, read_dc, skip_block, step};
use super::refusal::Refusal;
use super::scan::Slot;
use crate::cores::Core;
use std::ops::Range;

/// The length of a piece in bytes. Lanes are right after two or three MCUs, some hundred bytes; fuzzers' files are small.
const PIECE: usize = if cfg!(fuzzing) { 48 } else { 16 << 10 };

/// Data from this size on are worth it: a piece for each lane.
pub const WORTH: usize = 4 * PIECE;

/// From so many pieces on, 1 MB, a second thread saves more than its start costs.
const SHARED: usize = if cfg!(fuzzing) { 40 } else { 64 };

/// A second thread's stack. It calls nothing deep.
pub const STACK: usize = 256 << 10;

/// So many MCUs of a piece are all noted, and of later ones one in so many.
const NOTED: u32 = 64;

/// A true border: so many MCUs lie before this bit, and their DC differences have these sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    pub mcus: usize,
    pub bit: usize,
    pub sums: [i32; 3],
}

/// A border that a lane takes for one.
#[derive(Clone, Copy)]
struct Note {
    bit: usize,
    mcus: u32,
    sums: [i32; 3],
}

/// Borders between the MCUs of an interval in their order, the first one at its start, `total` MCUs at the most.
/// `bytes` hold the interval unstuffed in these bits, and padding. Refused as `Damaged` if that comes
/// to light; but it is not read to the end.
pub fn points(
    bytes: &[u8],
    bits: Range<usize>,
    slots: &[Slot],
    total: usize,
    threads: usize,
) -> Result<Vec<Point>, Refusal> {
    let limit = bits.end;
    let mut here = Point { mcus: 0, bit: bits.start, sums: [0; 3] };
    let mut found = vec![here];
    for notes in pieces(bytes, bits, slots, threads)? {
        let mut next = 0;
        let meeting = loop {
            next += notes[next..].iter().take_while(|note| note.bit < here.bit).count();
            let Some(note) = notes.get(next) else { break notes.len() };
            if note.bit == here.bit {
                break next;
            }
            if here.mcus == total {
                return Ok(found);
            }
            here = after(bytes, here, limit, slots)?;
        };
        let Some((first, rest)) = notes[meeting..].split_first() else { continue };
        let base = here;
        for note in rest {
            let mcus = base.mcus + (note.mcus - first.mcus) as usize;
            if mcus > total {
                return Ok(found);
            }
            if note.bit > limit {
                return Err(Refusal::Damaged);
            }
            let sum = |at: usize| base.sums[at].wrapping_add(note.sums[at].wrapping_sub(first.sums[at]));
            here = Point { mcus, bit: note.bit, sums: [sum(0), sum(1), sum(2)] };
            found.push(here);
        }
    }
    debug_assert!(are_true(bytes, limit, slots, &found));
    Ok(found)
}

/// Whether whoever reads from the start comes to these places, and with these sums.
fn are_true(bytes: &[u8], limit: usize, slots: &[Slot], points: &[Point]) -> bool {
    let mut here = points[0];
    points.iter().all(|point| {
        while here.mcus < point.mcus {
            let Ok(next) = after(bytes, here, limit, slots) else { return false };
            here = next;
        }
        here == *point
    })
}

/// The border before an MCU, from the last one that is known before it.
pub fn border(bytes: &[u8], known: &[Point], mcus: usize, limit: usize, slots: &[Slot]) -> Result<Point, Refusal> {
    let passed = known.partition_point(|point| point.mcus <= mcus);
    let mut here = *known[..passed].last().ok_or(Refusal::Internal)?;
    while here.mcus < mcus {
        here = after(bytes, here, limit, slots)?;
    }
    Ok(here)
}

/// The border after one MCU more.
fn after(bytes: &[u8], here: Point, limit: usize, slots: &[Slot]) -> Result<Point, Refusal> {
    let Point { mcus, mut bit, mut sums } = here;
    for slot in slots {
        let difference = skip_block(bytes, &mut bit, slot.dc, slot.ac)?;
        sums[slot.component] = sums[slot.component].wrapping_add(difference);
    }
    if bit > limit { Err(Refusal::Damaged) } else { Ok(Point { mcus: mcus + 1, bit, sums }) }
}

/// What the lanes note, piece by piece; half of the pieces in a second thread if there are `threads` and many of them.
fn pieces(bytes: &[u8], bits: Range<usize>, slots: &[Slot], threads: usize) -> Result<Vec<Vec<Note>>, Refusal> {
    let count = bits.len().div_ceil(8 * PIECE);
    let mut pieces: Vec<Vec<Note>> = reserved(count)?;
    pieces.resize_with(count, Vec::new);
    let (front, back) = pieces.split_at_mut(if threads > 1 && count >= SHARED { count / 2 } else { count });
    let (own, other) = (bits.start..bits.end, bits.start + 8 * PIECE * front.len()..bits.end);
    if back.is_empty() {
        read(bytes, own, slots, front);
        return Ok(pieces);
    }
    let taken = Core::current();
    std::thread::scope(|scope| {
        let second = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || {
            taken.leave();
            read(bytes, other.clone(), slots, back);
        });
        read(bytes, own, slots, front);
        // Without a second thread the true reader reads its part alone.
        second.map_or(Ok(()), |thread| thread.join().map_err(|_| Refusal::Internal))
    })?;
    Ok(pieces)
}

/// Fill in what lanes note of these pieces; the first begins where the bits do. The last bits of all, where padding
/// looks like codes, are left alone.
fn read(bytes: &[u8], bits: Range<usize>, slots: &[Slot], pieces: &mut [Vec<Note>]) {
    let end = bits.end.saturating_sub(64);
    let mut waiting = (0..pieces.len()).filter_map(|number| {
        let from = bits.start + 8 * PIECE * number;
        Lane::begun(bytes, slots, number, from..(from + 8 * PIECE).min(end))
    });
    let mut lanes: Vec<Lane> = waiting.by_ref().take(4).collect();
    while let Ok(four) = <&mut [Lane; 4]>::try_from(lanes.as_mut_slice()) {
        let ended = race(bytes, four);
        let lane = match waiting.next() {
            Some(next) => std::mem::replace(&mut lanes[ended], next),
            None => lanes.swap_remove(ended),
        };
        pieces[lane.number] = lane.notes;
    }
    for mut lane in lanes {
        while lane.go(bytes) {}
        pieces[lane.number] = lane.notes;
    }
}

/// Let lanes take turns until one of them has come to its end; tell which.
#[inline(never)]
fn race(bytes: &[u8], [one, two, three, four]: &mut [Lane; 4]) -> usize {
    // What every turn touches, apart from the rest, so that it stays in registers.
    let mut steps = (one.step, two.step, three.step, four.step);
    macro_rules! turn {
        ($lane:ident, $at:tt) => {
            let Some(after) = step(bytes, steps.$at, $lane.ahead) else { break $at };
            steps.$at = match after.inside() {
                true => after,
                false => match $lane.turn(bytes, steps.$at, after) {
                    Some(next) => next,
                    None => break $at,
                },
            };
        };
    }
    let ended = loop {
        turn!(one, 0);
        turn!(two, 1);
        turn!(three, 2);
        turn!(four, 3);
    };
    (one.step, two.step, three.step, four.step) = steps;
    ended
}

/// One reader of one piece.
struct Lane<'a> {
    number: usize,
    step: Step,
    ahead: &'a Ahead,
    slots: &'a [Slot<'a>],
    /// The block that is being read, of those of an MCU.
    slot: usize,
    /// From where on no MCU is read any more.
    end: usize,
    mcus: u32,
    sums: [i32; 3],
    notes: Vec<Note>,
}

impl<'a> Lane<'a> {
    /// A lane that has read up to its first AC code. None if its piece holds no code.
    fn begun(bytes: &[u8], slots: &'a [Slot<'a>], number: usize, bits: Range<usize>) -> Option<Self> {
        let (ahead, notes) = (slots.first()?.ac.ahead(), Vec::new());
        let step = Step::at(bits.start);
        let mut lane = Lane { number, step, ahead, slots, slot: 0, end: bits.end, mcus: 0, sums: [0; 3], notes };
        lane.step = lane.restart(bytes, bits.start)?;
        Some(lane)
    }

    /// One turn, or False at the end.
    fn go(&mut self, bytes: &[u8]) -> bool {
        let Some(after) = step(bytes, self.step, self.ahead) else { return false };
        if after.inside() {
            self.step = after;
            return true;
        }
        match self.turn(bytes, self.step, after) {
            Some(next) => {
                self.step = next;
                true
            }
            None => false,
        }
    }

    /// Take the bit for the start of an MCU, and everything so far for a mistake.
    #[cold]
    #[inline(never)]
    fn restart(&mut self, bytes: &[u8], mut bit: usize) -> Option<Step> {
        while bit < self.end {
            self.slot = 0;
            self.mcus = 0;
            self.sums = [0; 3];
            self.notes.clear();
            self.note(bit);
            if let Some(begun) = self.block(bytes, bit) {
                return Some(begun);
            }
            bit += 1;
        }
        None
    }

    fn note(&mut self, bit: usize) {
        self.notes.push(Note { bit, mcus: self.mcus, sums: self.sums });
    }

    /// Read the DC of the block that begins here.
    #[inline(always)]
    fn block(&mut self, bytes: &[u8], mut bit: usize) -> Option<Step> {
        let slot = self.slots.get(self.slot)?;
        let difference = read_dc(bytes, &mut bit, slot.dc).ok()?;
        let sum = self.sums.get_mut(slot.component)?;
        *sum = sum.wrapping_add(difference);
        self.ahead = slot.ac.ahead();
        Some(Step::at(bit))
    }

    /// Go on from a step that led to the end of a block, or to what takes a closer look. None at the end.
    #[inline(never)]
    fn turn(&mut self, bytes: &[u8], before: Step, after: Step) -> Option<Step> {
        let slot = self.slots.get(self.slot)?;
        let after = if after.ends() {
            after
        } else {
            match self.closer(bytes, before, slot.ac) {
                Some(after) if after.inside() => return Some(after),
                Some(after) => after,
                None => return self.restart(bytes, before.bit() + 1),
            }
        };
        self.slot += 1;
        if self.slot == self.slots.len() {
            self.slot = 0;
            self.mcus += 1;
            let last = after.bit() >= self.end;
            if last || self.mcus < NOTED || self.mcus % NOTED == 0 {
                self.note(after.bit());
            }
            if last {
                return None;
            }
        }
        match self.block(bytes, after.bit()) {
            Some(begun) => Some(begun),
            None => self.restart(bytes, after.bit() + 1),
        }
    }

    #[cold]
    #[inline(never)]
    fn closer(&self, bytes: &[u8], before: Step, ac: &Table) -> Option<Step> {
        ac.closer(window(bytes, before.bit())?, before).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::bits::{PADDING, Writer, unstuff};
    use super::super::huffman::tests::{block, noise, table};
    use super::super::huffman::{filled, write_ac, write_dc};
    use super::*;

    /// An interval of so many MCUs of three blocks, unstuffed: its bytes, and their number without padding.
    fn interval(slots: &[Slot], mcus: usize, mut seed: u32) -> (Vec<u8>, usize) {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out);
        for slot in (0..mcus).flat_map(|_| slots) {
            let (difference, block) = block(&mut seed);
            write_dc(&mut writer, difference, slot.dc).unwrap();
            write_ac(&mut writer, &block, filled(&block), slot.ac).unwrap();
        }
        writer.finish();
        out.extend([0xFF, 0xD9]);
        let mut bytes = Vec::new();
        unstuff(&out, 0, &mut bytes).unwrap();
        let length = bytes.len();
        bytes.resize(length + PADDING, 0);
        (bytes, length)
    }

    /// All borders, read one after the other, as far as that goes.
    fn borders(bytes: &[u8], limit: usize, slots: &[Slot], total: usize) -> Vec<Point> {
        let mut found = vec![Point { mcus: 0, bit: 0, sums: [0; 3] }];
        while found.len() <= total {
            let Ok(next) = after(bytes, found[found.len() - 1], limit, slots) else { break };
            found.push(next);
        }
        found
    }

    fn slots<'a>(dc: &'a [Table; 2], ac: &'a [Table; 2]) -> Vec<Slot<'a>> {
        let slot = |component: usize, at: usize| Slot { component, x: 0, y: 0, dc: &dc[at], ac: &ac[at] };
        vec![slot(0, 0), slot(0, 0), slot(1, 1)]
    }

    #[test]
    fn points_are_true_borders() {
        let (dc, ac) = ([table(false), table(false)], [table(true), table(true).rebuilt(&[], true).unwrap()]);
        let slots = slots(&dc, &ac);
        let total = 12_000;
        let (bytes, length) = interval(&slots, total, 5);
        assert!(length > 2 * WORTH);
        let all = borders(&bytes, 8 * length, &slots, total);
        let found = points(&bytes, 0..8 * length, &slots, total, 1).unwrap();
        assert!(are_true(&bytes, 8 * length, &slots, &found));
        assert!(found.iter().all(|point| all[point.mcus] == *point));
        assert!(found.windows(2).all(|pair| pair[0].mcus < pair[1].mcus));
        assert!(found.len() > total / 100, "the lanes were of no use");
        assert!(found[found.len() - 1].mcus > total - 100);
        assert_eq!(found, points(&bytes, 0..8 * length, &slots, total, 2).unwrap());
        // No more than were asked for.
        let some = points(&bytes, 0..8 * length, &slots, total / 3, 2).unwrap();
        assert!(some.iter().all(|point| point.mcus <= total / 3 && all[point.mcus] == *point));
    }

    #[test]
    fn whatever_the_bytes_are_points_are_true() {
        let (dc, ac) = ([table(false), table(false)], [table(true), table(true)]);
        let slots = slots(&dc, &ac);
        let mut refused = 0;
        for seed in 1..60 {
            let (mut bytes, length) = interval(&slots, 2500, seed);
            let mut dice = seed;
            for _ in 0..1 << (seed % 12) {
                let at = noise(&mut dice) as usize % length;
                bytes[at] = noise(&mut dice) as u8;
            }
            let all = borders(&bytes, 8 * length, &slots, usize::MAX - 1);
            match points(&bytes, 0..8 * length, &slots, usize::MAX, 1 + seed as usize % 2) {
                Ok(found) => assert!(found.iter().all(|point| all[point.mcus] == *point)),
                Err(why) => {
                    assert_eq!(why, Refusal::Damaged);
                    refused += 1;
                }
            }
        }
        assert!(refused > 5);
    }
}
