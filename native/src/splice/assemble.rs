//! The new file, from the old one's bits and the edits.

use super::bits::{PADDING, Writer, count_full};
use super::header::Header;
use super::huffman::{Table, read_dc, recode_ac, write_ac, write_dc};
use super::refusal::Refusal;
use super::scan::{Edit, Interval, Slot, Walk, slots};

/// Huffman tables by number, for DC and AC.
pub type Tables = ([Option<Table>; 4], [Option<Table>; 4]);

/// Write an interval, copying every bit that no edit replaces. The codes of the old tables hold in the new ones.
pub fn spliced(
    out: &mut Vec<u8>,
    file: &[u8],
    walk: &Walk,
    interval: &Interval,
    header: &Header,
    tables: &Tables,
) -> Result<(), Refusal> {
    let edits = walk.edits.get(interval.edits.clone()).ok_or(Refusal::Internal)?;
    let data = file.get(interval.file.clone()).ok_or(Refusal::Internal)?;
    let (Some(bits), Some(first)) = (&interval.bits, edits.first()) else {
        out.extend_from_slice(data);
        return Ok(());
    };
    // Up to the first edit the file's bytes are as they were, stuffing and all.
    let whole = walk.bytes.get(bits.start / 8..first.from / 8).ok_or(Refusal::Internal)?;
    out.extend_from_slice(data.get(..whole.len() + count_full(whole)).ok_or(Refusal::Internal)?);
    let mut writer = Writer::new(out);
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

/// Write an interval by other tables, code by code.
pub fn recoded(
    out: &mut Vec<u8>,
    walk: &Walk,
    interval: &Interval,
    header: &Header,
    tables: &Tables,
) -> Result<(), Refusal> {
    let mut edits = walk.edits.get(interval.edits.clone()).ok_or(Refusal::Internal)?.iter().peekable();
    let mut bit = interval.bits.as_ref().ok_or(Refusal::Internal)?.start;
    let mut writer = Writer::new(out);
    let (old, new) = (slots(header, &header.dc, &header.ac)?, slots(header, &tables.0, &tables.1)?);
    for _ in interval.mcus.clone() {
        for (old, new) in old.iter().zip(&new) {
            let Slot { dc, ac, .. } = old;
            if let Some(edit) = edits.next_if(|edit| edit.from == bit) {
                write(&mut writer, edit, walk, new.dc, new.ac)?;
                bit = edit.to;
                if edit.block.is_some() {
                    continue;
                }
            } else {
                let difference = read_dc(&walk.bytes, &mut bit, dc)?;
                write_dc(&mut writer, difference, new.dc)?;
            }
            recode_ac(&walk.bytes, &mut bit, ac, &mut writer, new.ac)?;
        }
    }
    writer.finish();
    Ok(())
}

fn write(writer: &mut Writer, edit: &Edit, walk: &Walk, dc: &Table, ac: &Table) -> Result<(), Refusal> {
    write_dc(writer, edit.difference, dc)?;
    match edit.block {
        Some(at) => write_ac(writer, walk.blocks.get(at).ok_or(Refusal::Internal)?, ac),
        None => Ok(()),
    }
}

/// More bytes than the new file takes, as a rule: a vector that has to grow is moved.
pub fn room(file: &[u8], header: &Header, walk: &Walk, recoding: bool) -> usize {
    let data = file.len() - header.data;
    let edited = walk.blocks.iter().map(|block| 4 * block.iter().filter(|&&value| value != 0).count() + 8);
    header.room() + data + if recoding { data / 8 } else { data / 64 } + edited.sum::<usize>() + PADDING
}
