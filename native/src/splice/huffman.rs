//! Huffman tables: read, looked up, and given codes for symbols that they lack (ITU T.81, annexes C and F).

use super::bits::{Writer, window};
use super::refusal::Refusal;

/// Bits that one symbol is looked up by; longer codes are rare.
const NEAR: u32 = 12;

/// Bits that a leap over several coefficients is looked up by.
pub const FAR: u32 = 12;

/// What a leap adds to the number of coefficients when it ends the block.
const ENDS: usize = 128;

/// What it adds where it can not tell: more than there are, and less than ENDS.
pub const UNKNOWN: u16 = 64;

/// What the next FAR bits mean as a run of whole symbols: bits << 8 | coefficients.
pub type Ahead = [u16; 1 << FAR];

/// A place inside a block: bit << 8 | AC coefficients before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step(u64);

impl Step {
    /// The place behind a block's DC.
    #[inline(always)]
    pub fn at(bit: usize) -> Self {
        Step((bit as u64) << 8)
    }

    /// The bit.
    #[inline(always)]
    pub fn bit(self) -> usize {
        (self.0 >> 8) as usize
    }

    #[inline(always)]
    fn done(self) -> usize {
        (self.0 & 0xFF) as usize
    }

    /// Whether more of the block follows.
    #[inline(always)]
    pub fn inside(self) -> bool {
        self.done() < 63
    }

    /// Whether the block ends here. If neither, the step was one too far, or into the unknown: `Table::closer` helps.
    #[inline(always)]
    pub fn ends(self) -> bool {
        self.done() == 63 || (ENDS..ENDS + 63).contains(&self.done())
    }
}

/// Go as far as one look tells. None past the padding.
#[inline(always)]
pub fn step(bytes: &[u8], from: Step, ahead: &Ahead) -> Option<Step> {
    let word = window(bytes, from.bit())?;
    Some(Step(from.0 + u64::from(ahead[(word >> (64 - FAR)) as usize])))
}

/// The largest size of a DC difference and of an AC coefficient with 8 bits a sample.
pub const MAX_DC: u32 = 11;
pub const MAX_AC: u32 = 10;

const END_OF_BLOCK: u8 = 0x00;
/// As many zeros, and no value.
pub const SIXTEEN_ZEROS: u8 = 0xF0;

/// One table, ready to decode and to encode.
#[derive(Clone)]
pub struct Table {
    /// How many codes there are of each length, 1 to 16.
    pub counts: [u8; 17],
    /// The symbols in the order of their codes.
    pub symbols: Vec<u8>,
    codes: [u16; 256],
    lengths: [u8; 256],
    /// By the next NEAR bits: length << 8 | symbol, 0 for longer codes.
    near: Box<[u16; 1 << NEAR]>,
    far: Box<Ahead>,
    /// Whether it has codes for all symbols that a file of 8 bits a sample can need.
    pub complete: bool,
    /// Of each length: the first code, and the number of shorter codes.
    first: [(u32, u32); 17],
}

impl Table {
    /// The table of one DHT segment. What libjpeg refuses is refused: too many codes, or one that is all ones.
    pub fn new(counts: [u8; 17], symbols: &[u8], ac: bool) -> Result<Self, Refusal> {
        let mut table = Table::slow(counts, symbols, ac)?;
        if ac {
            table.far = table.look_ahead(|_| false);
        }
        Ok(table)
    }

    /// The same table, made in less time, which leaps over nothing.
    pub fn slow(counts: [u8; 17], symbols: &[u8], ac: bool) -> Result<Self, Refusal> {
        let mut table = Table {
            counts,
            symbols: symbols.to_vec(),
            codes: [0; 256],
            lengths: [0; 256],
            near: Box::new([0; 1 << NEAR]),
            far: Box::new([0; 1 << FAR]),
            complete: false,
            first: [(0, 0); 17],
        };
        if symbols.is_empty() || symbols.len() > 256 || (!ac && symbols.iter().any(|&symbol| symbol > 15)) {
            return Err(Refusal::Tables);
        }
        let (mut code, mut at) = (0u32, 0usize);
        for length in 1..=16u32 {
            table.first[length as usize] = (code, at as u32);
            for _ in 0..counts[length as usize] {
                let symbol = *symbols.get(at).ok_or(Refusal::Tables)?;
                if code + 1 >= 1 << length {
                    return Err(Refusal::Tables);
                }
                table.codes[symbol as usize] = code as u16;
                table.lengths[symbol as usize] = length as u8;
                if length <= NEAR {
                    let from = (code << (NEAR - length)) as usize;
                    let to = from + (1 << (NEAR - length));
                    table.near[from..to].fill((length as u16) << 8 | u16::from(symbol));
                }
                code += 1;
                at += 1;
            }
            code <<= 1;
        }
        if at < symbols.len() {
            return Err(Refusal::Tables);
        }
        table.complete = if ac {
            [END_OF_BLOCK, SIXTEEN_ZEROS].iter().all(|&symbol| table.has(symbol))
                && (0..=0xFF).all(|symbol: u8| !(1..=MAX_AC).contains(&u32::from(symbol & 15)) || table.has(symbol))
        } else {
            (0..=MAX_DC as u8).all(|symbol| table.has(symbol))
        };
        Ok(table)
    }

    /// What the next bits mean as a run of whole symbols, up to one that `stops`. The bits of the last value may lie
    /// beyond them.
    pub fn look_ahead(&self, stops: impl Fn(u8) -> bool) -> Box<Ahead> {
        let mut far = Box::new([UNKNOWN; 1 << FAR]);
        for window in 0..1u32 << FAR {
            let (mut bits, mut coefficients) = (0u32, 0usize);
            while bits < FAR {
                let rest = window << bits & ((1 << FAR) - 1);
                let entry = self.near[(rest >> (FAR - NEAR)) as usize];
                let (length, symbol) = (u32::from(entry >> 8), entry as u8);
                if entry == 0 || bits + length > FAR || stops(symbol) {
                    break;
                }
                let size = u32::from(symbol & 15);
                let run = usize::from(symbol >> 4);
                let (size, run) = match symbol {
                    END_OF_BLOCK => (0, ENDS),
                    SIXTEEN_ZEROS => (0, 16),
                    _ if size == 0 || size > MAX_AC => break,
                    _ => (size, run + 1),
                };
                if coefficients + run % ENDS > 63 {
                    break;
                }
                bits += length + size;
                coefficients += run;
                if run == ENDS {
                    break;
                }
            }
            if bits > 0 {
                far[window as usize] = (bits << 8) as u16 | coefficients as u16;
            }
        }
        far
    }

    /// What several codes at once are looked up in; only tables for AC have it.
    #[inline(always)]
    pub fn ahead(&self) -> &Ahead {
        &self.far
    }

    /// Take the one code at a place, which is at the top of the word. What it leads to is inside the block or ends it.
    pub fn closer(&self, word: u64, from: Step) -> Result<Step, Refusal> {
        let (done, _, bits) = read_ac(word, self, from.done())?;
        Ok(Step(((from.bit() + bits as usize) as u64) << 8 | done as u64))
    }

    /// The next symbol and the length of its code.
    #[inline(always)]
    pub fn symbol(&self, word: u64) -> Result<(u8, u32), Refusal> {
        let entry = self.near[(word >> (64 - NEAR)) as usize];
        if entry != 0 { Ok((entry as u8, u32::from(entry >> 8))) } else { self.long_symbol(word) }
    }

    #[cold]
    fn long_symbol(&self, word: u64) -> Result<(u8, u32), Refusal> {
        for length in NEAR + 1..=16 {
            let code = (word >> (64 - length)) as u32;
            let (first, shorter) = self.first[length as usize];
            if code >= first && code - first < u32::from(self.counts[length as usize]) {
                let symbol = self.symbols.get((shorter + code - first) as usize).ok_or(Refusal::Damaged)?;
                return Ok((*symbol, length));
            }
        }
        Err(Refusal::Damaged)
    }

    /// The code of a symbol, and its length: 0 if it has none.
    pub fn code(&self, symbol: u8) -> (u16, u8) {
        (self.codes[usize::from(symbol)], self.lengths[usize::from(symbol)])
    }

    /// How many bits its code for the symbol has, 0 if it has none.
    #[cfg(test)]
    pub fn length(&self, symbol: u8) -> u32 {
        u32::from(self.lengths[symbol as usize])
    }

    /// Whether it has a code for the symbol.
    pub fn has(&self, symbol: u8) -> bool {
        self.lengths[symbol as usize] != 0
    }

    /// Write a symbol, and behind it the lowest `size` bits of a value.
    #[inline(always)]
    pub fn write(&self, writer: &mut Writer, symbol: u8, value: u32, size: u32) -> Result<(), Refusal> {
        let length = u32::from(self.lengths[symbol as usize]);
        if length == 0 {
            return Err(Refusal::Tables);
        }
        writer.put(u32::from(self.codes[symbol as usize]) << size | value, length + size);
        Ok(())
    }

    /// The same table with codes for more symbols, which no older code changes for: they take the unused codes of 16
    /// bits. None if there are too few.
    pub fn grown(&self, missing: &[u8], ac: bool) -> Option<Self> {
        let used: u32 = (1..=16).map(|length| u32::from(self.counts[length]) << (16 - length)).sum();
        let mut counts = self.counts;
        counts[16] = u8::try_from(usize::from(counts[16]) + missing.len()).ok()?;
        if used as usize + missing.len() > 0xFFFF {
            return None;
        }
        Table::new(counts, &[&self.symbols, missing].concat(), ac).ok()
    }

    /// A table with codes for more symbols where no codes are free: the rarest of the old symbols give up theirs for
    /// codes of 16 bits, and with them the space for the new ones.
    pub fn rebuilt(&self, missing: &[u8], ac: bool) -> Result<Self, Refusal> {
        let mut lengths: Vec<(u8, usize)> = Vec::new();
        for length in 1..=16 {
            let (_, shorter) = self.first[length];
            let own = shorter as usize..shorter as usize + usize::from(self.counts[length]);
            lengths.extend(self.symbols.get(own).unwrap_or(&[]).iter().map(|&symbol| (symbol, length)));
        }
        let used: usize = lengths.iter().map(|&(_, length)| 1 << (16 - length)).sum();
        let mut free = 0xFFFF_usize.saturating_sub(used);
        for (_, length) in lengths.iter_mut().rev() {
            if free >= missing.len() {
                break;
            }
            free += (1 << (16 - *length)) - 1;
            *length = 16;
        }
        lengths.extend(missing.iter().map(|&symbol| (symbol, 16)));
        lengths.sort_by_key(|&(_, length)| length); // stable: of one length, the old order
        let mut counts = [0u8; 17];
        for &(_, length) in &lengths {
            counts[length] = counts[length].checked_add(1).ok_or(Refusal::Tables)?;
        }
        let symbols: Vec<u8> = lengths.iter().map(|&(symbol, _)| symbol).collect();
        Table::new(counts, &symbols, ac)
    }
}

/// The value that `size` bits at the top of the word stand for (F.2.2.1, EXTEND).
#[inline(always)]
pub fn extended(word: u64, size: u32) -> i32 {
    let value = (word >> 1 >> (63 - size)) as i32;
    // Without a branch, which nobody could predict: less is added where the first bit is 0.
    let low = !(word as i64 >> 63) as i32;
    value + (low & (1 - (1 << size)))
}

/// The size of a value, and the bits that stand for it.
#[inline(always)]
pub fn sized(value: i32) -> (u32, u32) {
    let size = 32 - value.unsigned_abs().leading_zeros();
    let bits = if value < 0 { value - 1 } else { value };
    (size, bits as u32 & ((1 << size) - 1))
}

/// The next DC difference; `bit` moves behind it.
#[inline(always)]
pub fn read_dc(bytes: &[u8], bit: &mut usize, dc: &Table) -> Result<i32, Refusal> {
    let word = window(bytes, *bit).ok_or(Refusal::Damaged)?;
    let (size, length) = dc.symbol(word)?;
    let size = u32::from(size);
    if size > MAX_DC {
        return Err(Refusal::Damaged);
    }
    *bit += (length + size) as usize;
    Ok(extended(word << length, size))
}

/// One AC symbol: how many coefficients there are with it, ENDS more if it ends the block, and its value.
#[inline(always)]
fn read_ac(word: u64, ac: &Table, before: usize) -> Result<(usize, i32, u32), Refusal> {
    let (symbol, length) = ac.symbol(word)?;
    let size = u32::from(symbol & 15);
    let after = before + usize::from(symbol >> 4) + 1;
    match symbol {
        END_OF_BLOCK => return Ok((before + ENDS, 0, length)),
        _ if after > 63 || size > MAX_AC || (size == 0 && symbol != SIXTEEN_ZEROS) => return Err(Refusal::Damaged),
        _ => {}
    }
    Ok((after, extended(word << length, size), length + size))
}

/// Go over one block and return its DC difference.
#[inline(always)]
pub fn skip_block(bytes: &[u8], bit: &mut usize, dc: &Table, ac: &Table) -> Result<i32, Refusal> {
    let difference = read_dc(bytes, bit, dc)?;
    let mut place = Step::at(*bit);
    loop {
        let after = step(bytes, place, &ac.far).ok_or(Refusal::Damaged)?;
        if after.inside() {
            place = after;
            continue;
        }
        place = if after.ends() { after } else { ac.closer(window(bytes, place.bit()).unwrap_or(0), place)? };
        if !place.inside() {
            break;
        }
    }
    *bit = place.bit();
    Ok(difference)
}

/// The coefficients of a block in zigzag order, the first left at 0, and its DC difference.
pub fn read_block(bytes: &[u8], bit: &mut usize, dc: &Table, ac: &Table) -> Result<(i32, [i16; 64]), Refusal> {
    let mut block = [0i16; 64];
    let difference = read_dc(bytes, bit, dc)?;
    let mut done = 0;
    while done < 63 {
        let word = window(bytes, *bit).ok_or(Refusal::Damaged)?;
        let (further, value, bits) = read_ac(word, ac, done)?;
        *bit += bits as usize;
        if value != 0 {
            block[further & 63] = value as i16;
        }
        done = further;
    }
    Ok((difference, block))
}

/// Which AC coefficients of a block are not 0: a bit each.
pub fn filled(block: &[i16; 64]) -> u64 {
    block.iter().enumerate().skip(1).fold(0, |bits, (at, &value)| bits | u64::from(value != 0) << at)
}

/// Tell which symbols a block is written with, DC first.
pub fn symbols_of(difference: i32, block: Option<(&[i16; 64], u64)>, mut tell: impl FnMut(bool, u8)) {
    tell(false, sized(difference).0 as u8);
    let Some((block, filled)) = block else { return };
    each_ac(block, filled, |symbol, _, _| {
        tell(true, symbol);
        Ok(())
    })
    .unwrap_or_default();
}

#[inline(always)]
fn each_ac(
    block: &[i16; 64],
    mut filled: u64,
    mut write: impl FnMut(u8, u32, u32) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut next = 1;
    while filled != 0 {
        let at = filled.trailing_zeros() as usize;
        filled &= filled - 1;
        let mut zeros = at - next;
        while zeros > 15 {
            write(SIXTEEN_ZEROS, 0, 0)?;
            zeros -= 16;
        }
        let (size, bits) = sized(i32::from(block[at]));
        write((zeros << 4) as u8 | size as u8, bits, size)?;
        next = at + 1;
    }
    if next < 64 { write(END_OF_BLOCK, 0, 0) } else { Ok(()) }
}

/// Write a DC difference.
#[inline(always)]
pub fn write_dc(writer: &mut Writer, difference: i32, dc: &Table) -> Result<(), Refusal> {
    let (size, bits) = sized(difference);
    if size > MAX_DC {
        return Err(Refusal::Range);
    }
    dc.write(writer, size as u8, bits, size)
}

/// Write the AC coefficients of a block, which are in zigzag order; `filled` are not 0.
#[inline(always)]
pub fn write_ac(writer: &mut Writer, block: &[i16; 64], filled: u64, ac: &Table) -> Result<(), Refusal> {
    each_ac(block, filled, |symbol, bits, size| ac.write(writer, symbol, bits, size))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::splice::bits::PADDING;

    /// A table over all symbols a baseline file may use, skewed as real ones are: codes of 4 to 16 bits.
    pub fn table(ac: bool) -> Table {
        let symbols: Vec<u8> = if ac {
            (0..=255u8).filter(|&s| s == 0 || s == 0xF0 || (1..=10).contains(&(s & 15))).collect()
        } else {
            (0..=11).collect()
        };
        let mut counts = [0u8; 17];
        counts[4] = 8;
        counts[if ac { 16 } else { 8 }] = (symbols.len() - 8) as u8;
        Table::new(counts, &symbols, ac).unwrap()
    }

    pub fn noise(seed: &mut u32) -> u32 {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *seed >> 8
    }

    pub fn block(seed: &mut u32) -> (i32, [i16; 64]) {
        let mut block = [0i16; 64];
        for _ in 0..noise(seed) % 80 {
            let size = noise(seed) % 11;
            block[1 + (noise(seed) % 63) as usize] =
                ((noise(seed) % (2 << size)) as i16 - (1 << size)).clamp(-1023, 1023);
        }
        ((noise(seed) % 4095) as i32 - 2047, block)
    }

    #[test]
    fn blocks_come_back_as_they_were_written() {
        let (dc, ac, mut seed) = (table(false), table(true), 1);
        let blocks: Vec<_> = (0..3000).map(|_| block(&mut seed)).collect();
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out);
        for (difference, block) in &blocks {
            write_dc(&mut writer, *difference, &dc).unwrap();
            write_ac(&mut writer, block, filled(block), &ac).unwrap();
        }
        writer.finish();
        out.extend([0xFF, 0xD9]);
        let mut bytes = Vec::new();
        crate::splice::bits::unstuff(&out, 0, &mut bytes).unwrap();
        bytes.resize(bytes.len() + PADDING, 0);

        let (mut skipped, mut read) = (0, 0);
        for (difference, block) in &blocks {
            assert_eq!(skip_block(&bytes, &mut skipped, &dc, &ac), Ok(*difference));
            assert_eq!(read_block(&bytes, &mut read, &dc, &ac), Ok((*difference, *block)));
            assert_eq!(skipped, read);
        }
    }

    #[test]
    fn new_symbols_take_free_codes_and_leave_the_others_alone() {
        let old = Table::new(
            {
                let mut c = [0; 17];
                c[1] = 1;
                c[3] = 2;
                c
            },
            &[0, 1, 2],
            true,
        )
        .unwrap();
        let new = old.grown(&[0x21, 0xF0], true).unwrap();
        for symbol in [0, 1, 2] {
            assert_eq!((new.codes[symbol], new.lengths[symbol]), (old.codes[symbol], old.lengths[symbol]));
        }
        assert!(new.has(0x21) && new.has(0xF0) && new.lengths[0x21] == 16);
    }

    #[test]
    fn a_full_table_makes_room() {
        // 1, 01, 001, ... and all ones left out: one code of 16 bits is free.
        let mut counts = [1u8; 17];
        counts[0] = 0;
        let symbols: Vec<u8> = (1..=16).map(|at| if at > 10 { 0x10 + at - 10 } else { at }).collect();
        let old = Table::new(counts, &symbols, true).unwrap();
        let missing: Vec<u8> = (0..10u8).flat_map(|run| (1..=10).map(move |size| (run + 5) << 4 | size)).collect();
        assert!(old.grown(&missing, true).is_none());
        let new = old.rebuilt(&missing, true).unwrap();
        assert!(symbols.iter().chain(&missing).all(|&symbol| new.has(symbol)));
        assert_eq!(new.lengths[1], 1);
    }

    #[test]
    fn codes_that_libjpeg_refuses_are_refused() {
        let counts = |length: usize, count: u8| {
            let mut c = [0; 17];
            c[length] = count;
            c
        };
        assert!(Table::new(counts(1, 2), &[0, 1], true).is_err()); // the second is all ones
        assert!(Table::new(counts(2, 5), &[0, 1, 2, 3, 4], true).is_err());
        assert!(Table::new(counts(3, 1), &[16], false).is_err());
        assert!(Table::new([0; 17], &[], true).is_err());
    }
}
