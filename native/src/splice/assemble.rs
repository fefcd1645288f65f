//! The new file, from the old one's bits and the edits.

use super::bits::{PADDING, Writer, count_full};
use super::header::Header;
use super::huffman::{Table, filled, write_ac, write_dc};
use super::pieces::Pieces;
use super::recoding::{Recoder, Recoding};
use super::refusal::Refusal;
use super::scan::{Interval, slots};
use super::walk::{Edit, Walk};

/// Huffman tables by number, for DC and AC.
pub type Tables = ([Option<Table>; 4], [Option<Table>; 4]);

/// Write an interval, keeping every bit that no edit replaces. The codes of the old tables hold in the new ones.
pub fn spliced(
    out: &mut Pieces,
    walk: &Walk,
    interval: &Interval,
    header: &Header,
    tables: &Tables,
) -> Result<(), Refusal> {
    let edits = walk.edits.get(interval.edits.clone()).ok_or(Refusal::Internal)?;
    let (Some(bits), Some(first)) = (&interval.bits, edits.first()) else {
        return out.keep(interval.file.clone()).ok_or(Refusal::Internal);
    };
    // Up to the first edit the file's bytes are as they were, stuffing and all.
    let whole = walk.bytes.get(bits.start / 8..first.from / 8).ok_or(Refusal::Internal)?;
    let start = interval.file.start;
    out.keep(start..start + whole.len() + count_full(whole)).ok_or(Refusal::Internal)?;
    let mut writer = Writer::new(out.own());
    let mut at = first.from & !7;
    for edit in edits {
        writer.copy(&walk.bytes, at, edit.from)?;
        let part = header.components.get(edit.component).ok_or(Refusal::Internal)?;
        let dc = tables.0[part.dc].as_ref().ok_or(Refusal::Internal)?;
        let ac = tables.1[part.ac].as_ref().ok_or(Refusal::Internal)?;
        write(&mut writer, edit, walk, dc, ac)?;
        at = edit.to;
    }
    writer.copy(&walk.bytes, at, bits.end)?;
    writer.finish();
    Ok(())
}

/// Write an interval by other tables: bits are copied but for the codes that are others there.
pub fn recoded<'t>(
    out: &mut Vec<u8>,
    walk: &Walk,
    interval: &Interval,
    header: &'t Header,
    tables: &'t Tables,
) -> Result<(), Refusal> {
    let mut edits = walk.edits.get(interval.edits.clone()).ok_or(Refusal::Internal)?.iter().peekable();
    let bit = interval.bits.as_ref().ok_or(Refusal::Internal)?.start;
    let mut recoder = Recoder { bytes: &walk.bytes, bit, copied: bit, writer: Writer::new(out) };
    let recodings = |old: &'t [Option<Table>; 4], new: &'t [Option<Table>; 4], ac| -> [Option<Recoding<'t>>; 4] {
        std::array::from_fn(|at| Some(Recoding::new(old[at].as_ref()?, new[at].as_ref()?, ac)))
    };
    let (dcs, acs) = (recodings(&header.dc, &tables.0, false), recodings(&header.ac, &tables.1, true));
    // Of each block in an MCU: by what it is taken over, and where an edit is put in.
    let mut blocks = Vec::with_capacity(10);
    for slot in slots(header, &tables.0, &tables.1)? {
        let part = header.components.get(slot.component).ok_or(Refusal::Internal)?;
        let (Some(dc), Some(ac)) = (&dcs[part.dc], &acs[part.ac]) else { return Err(Refusal::Tables) };
        blocks.push((slot, dc, ac));
    }
    for _ in interval.mcus.clone() {
        for (slot, dc, ac) in &blocks {
            if let Some(edit) = edits.next_if(|edit| edit.from == recoder.bit) {
                recoder.copy(edit.from)?;
                write(&mut recoder.writer, edit, walk, slot.dc, slot.ac)?;
                recoder.bit = edit.to;
                recoder.copied = edit.to;
                if edit.block.is_some() {
                    continue;
                }
            } else {
                recoder.dc(dc)?;
            }
            recoder.ac(ac)?;
        }
    }
    recoder.copy(recoder.bit)?;
    recoder.writer.finish();
    Ok(())
}

fn write(writer: &mut Writer, edit: &Edit, walk: &Walk, dc: &Table, ac: &Table) -> Result<(), Refusal> {
    write_dc(writer, edit.difference, dc)?;
    match edit.block {
        Some(at) => {
            let block = walk.blocks.get(at).ok_or(Refusal::Internal)?;
            write_ac(writer, block, filled(block), ac)
        }
        None => Ok(()),
    }
}

/// More bytes than the new file takes, as a rule: a vector that has to grow is moved.
pub fn room(file: &[u8], header: &Header, walk: &Walk, recoding: bool) -> usize {
    let data = file.len() - header.data;
    let edited = walk.blocks.iter().map(|block| 4 * block.iter().filter(|&&value| value != 0).count() + 8);
    header.room() + data + if recoding { data / 8 } else { data / 64 } + edited.sum::<usize>() + PADDING
}
