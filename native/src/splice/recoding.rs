//! Codes of one table taken over into another one: most bits stay as they are.

use super::bits::{Writer, window};
use super::huffman::{Ahead, FAR, Step, Table, UNKNOWN, read_dc, step};
use super::refusal::Refusal;

/// How a table's codes are taken over into another one: as they are, but for the symbols whose codes are others there.
pub struct Recoding<'a> {
    old: &'a Table,
    new: &'a Table,
    other: [bool; 256],
    far: Box<Ahead>,
}

impl<'a> Recoding<'a> {
    /// From one table to another that has all of its symbols.
    pub fn new(old: &'a Table, new: &'a Table, ac: bool) -> Self {
        let other = std::array::from_fn(|symbol| old.code(symbol as u8) != new.code(symbol as u8));
        let far = if ac { old.look_ahead(|symbol| other[usize::from(symbol)]) } else { Box::new([UNKNOWN; 1 << FAR]) };
        Recoding { old, new, other, far }
    }
}

/// Bits on their way into a new file, most of them as they are: those from `copied` on are not yet written.
pub struct Recoder<'a, 'b> {
    pub bytes: &'a [u8],
    pub bit: usize,
    pub copied: usize,
    pub writer: Writer<'b>,
}

impl Recoder<'_, '_> {
    /// Write all bits before this place that are not written yet.
    pub fn copy(&mut self, to: usize) -> Result<(), Refusal> {
        self.writer.copy(self.bytes, self.copied, to)?;
        self.copied = to;
        Ok(())
    }

    /// Take over a block's DC difference.
    #[inline(always)]
    pub fn dc(&mut self, dc: &Recoding) -> Result<(), Refusal> {
        let from = self.bit;
        let word = window(self.bytes, from).ok_or(Refusal::Damaged)?;
        let (symbol, length) = dc.old.symbol(word)?;
        read_dc(self.bytes, &mut self.bit, dc.old)?;
        if dc.other[usize::from(symbol)] {
            self.replace(from, symbol, length, word, dc.new)?;
        }
        Ok(())
    }

    /// Take over a block's AC coefficients.
    #[inline(always)]
    pub fn ac(&mut self, ac: &Recoding) -> Result<(), Refusal> {
        let mut place = Step::at(self.bit);
        loop {
            let after = step(self.bytes, place, &ac.far).ok_or(Refusal::Damaged)?;
            if after.inside() {
                place = after;
                continue;
            }
            place = if after.ends() { after } else { self.one(place, ac)? };
            if !place.inside() {
                self.bit = place.bit();
                return Ok(());
            }
        }
    }

    /// The one symbol at a place, which is rare, or has another code.
    fn one(&mut self, place: Step, ac: &Recoding) -> Result<Step, Refusal> {
        let word = window(self.bytes, place.bit()).ok_or(Refusal::Damaged)?;
        let after = ac.old.closer(word, place)?;
        let (symbol, length) = ac.old.symbol(word)?;
        if ac.other[usize::from(symbol)] {
            self.bit = after.bit();
            self.replace(place.bit(), symbol, length, word, ac.new)?;
        }
        Ok(after)
    }

    /// Write the symbol at `from`, whose value ends at the bit we are at, by its new code.
    fn replace(&mut self, from: usize, symbol: u8, length: u32, word: u64, new: &Table) -> Result<(), Refusal> {
        self.copy(from)?;
        let size = (self.bit - from) as u32 - length;
        let value = if size == 0 { 0 } else { ((word << length) >> (64 - size)) as u32 };
        new.write(&mut self.writer, symbol, value, size)?;
        self.copied = self.bit;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::bits::PADDING;
    use super::super::huffman::tests::{block, table};
    use super::super::huffman::{filled, write_ac, write_dc};
    use super::*;

    /// The table with the codes of so many of its rarest symbols in another order.
    fn shuffled(table: &Table, rarest: usize) -> Table {
        let mut symbols = table.symbols.clone();
        let from = symbols.len() - rarest;
        symbols[from..].reverse();
        Table::new(table.counts, &symbols, true).unwrap()
    }

    #[test]
    fn blocks_are_taken_over_by_other_tables() {
        let (dc, ac) = (table(false), table(true));
        for (rarest, rarest_dc) in [(0, 0), (1, 0), (7, 2), (40, 12), (ac.symbols.len(), 0)] {
            let (dc2, ac2) = (shuffled(&dc, rarest_dc), shuffled(&ac, rarest));
            let mut seed = 1 + rarest as u32;
            let blocks: Vec<_> = (0..1000).map(|_| block(&mut seed)).collect();
            let coded = |dc: &Table, ac: &Table| {
                let mut out = Vec::new();
                let mut writer = Writer::new(&mut out);
                for (difference, block) in &blocks {
                    write_dc(&mut writer, *difference, dc).unwrap();
                    write_ac(&mut writer, block, filled(block), ac).unwrap();
                }
                writer.finish();
                out
            };
            let mut file = coded(&dc, &ac);
            file.extend([0xFF, 0xD9]);
            let mut bytes = Vec::new();
            crate::splice::bits::unstuff(&file, 0, &mut bytes).unwrap();
            bytes.resize(bytes.len() + PADDING, 0);

            let (dcs, acs) = (Recoding::new(&dc, &dc2, false), Recoding::new(&ac, &ac2, true));
            let mut out = Vec::new();
            let mut recoder = Recoder { bytes: &bytes, bit: 0, copied: 0, writer: Writer::new(&mut out) };
            for _ in &blocks {
                recoder.dc(&dcs).unwrap();
                recoder.ac(&acs).unwrap();
            }
            recoder.copy(recoder.bit).unwrap();
            recoder.writer.finish();
            assert_eq!(out, coded(&dc2, &ac2));
        }
    }
}
