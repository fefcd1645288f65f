//! Coefficients out of scans (G.2).

use super::super::bits::{self, END, PADDING, RESTART, window};
use super::super::header::{Header, Told, huffman_tables, marker, segment, told};
use super::super::huffman::{MAX_AC, SIXTEEN_ZEROS, Table, extended, read_dc};
use super::super::refusal::Refusal;
use super::{MAX_SCANS, Plane, Scan, band, sides};

/// The largest DC and AC coefficients that a sequential file can hold.
const MOST_DC: i64 = 2047;
const MOST_AC: i64 = 1023;

/// What is known of a coefficient: nothing, or all bits from this one on.
const NOTHING: u32 = u32::MAX;

/// Read all scans. What libjpeg warns of is refused, and files that do not tell everything, and nothing twice.
pub fn read(file: &[u8], header: &Header) -> Result<Vec<Plane>, Refusal> {
    // Each block's DC takes a bit at the least: a file with too few bytes needs no memory.
    let (across, down) = header.mcus();
    if file.len().saturating_sub(header.data) < across * down * header.blocks() / 8 {
        return Err(Refusal::Truncated);
    }
    let mut planes = Plane::all(header)?;
    let mut known = vec![[NOTHING; 64]; planes.len()];
    let mut tables = header.told.clone();
    let (mut scans, mut restart) = (0, header.restart);
    let (mut code, mut at) = (0xDA, header.data);
    while code != END {
        let (content, after) = segment(file, at)?;
        match code {
            0xDA => {
                let scan = Scan::read(content, header, restart)?;
                if scans == MAX_SCANS {
                    return Err(Refusal::Scans);
                }
                follows(&scan, &mut known)?;
                (code, at) = Reader::new(file, header, &scan, &tables)?.read(after, &mut planes)?;
                scans += 1;
                continue;
            }
            0xC4 => huffman_tables(content, &mut tables)?,
            0xDD => restart = usize::from(u16::from_be_bytes(content.try_into().map_err(|_| Refusal::NotAJpeg)?)),
            0xE0..=0xEF | 0xFE => {}
            _ => return Err(Refusal::Scans),
        }
        (code, at) = marker(file, after)?;
    }
    if known.iter().flatten().any(|&low| low != 0) { Err(Refusal::Scans) } else { Ok(planes) }
}

/// Check that a scan goes on where those before it ended, as encoders do, and note what it tells.
fn follows(scan: &Scan, known: &mut [[u32; 64]]) -> Result<(), Refusal> {
    for &component in &scan.components {
        if !scan.dc() && known[component][0] == NOTHING {
            return Err(Refusal::Scans);
        }
        for low in &mut known[component][scan.first..=scan.last] {
            if *low != scan.high.unwrap_or(NOTHING) {
                return Err(Refusal::Scans);
            }
            *low = scan.low;
        }
    }
    Ok(())
}

struct Reader<'a> {
    file: &'a [u8],
    header: &'a Header<'a>,
    scan: &'a Scan,
    /// By component; empty where the scan needs none.
    tables: [Option<Table>; 3],
    /// The data of one interval without stuffing, and where they end.
    bytes: Vec<u8>,
    limit: usize,
    bit: usize,
    /// How many further blocks have nothing new.
    run: u32,
    predicted: [i32; 3],
}

impl<'a> Reader<'a> {
    fn new(file: &'a [u8], header: &'a Header<'a>, scan: &'a Scan, found: &[Told]) -> Result<Self, Refusal> {
        let mut tables = [const { None }; 3];
        for (&component, &(dc, ac)) in scan.components.iter().zip(&scan.tables) {
            let what = if scan.dc() { dc } else { 0x10 | ac };
            if !scan.dc() || scan.high.is_none() {
                let (counts, symbols) = told(found, what)?;
                tables[component] = Some(Table::slow(counts, symbols, !scan.dc())?);
            }
        }
        Ok(Reader { file, header, scan, tables, bytes: Vec::new(), limit: 0, bit: 0, run: 0, predicted: [0; 3] })
    }
}

impl Reader<'_> {
    /// Read the scan. Return the marker behind it, and where that one's content begins.
    fn read(&mut self, at: usize, planes: &mut [Plane]) -> Result<(u8, usize), Refusal> {
        let mut end = self.begin(at)?;
        let (scan, header, restart) = (self.scan, self.header, self.scan.restart);
        let (mut border, mut number) = (if restart > 0 { restart } else { usize::MAX }, 0u8);
        scan.each(header, &sides(planes), |mcu, component, at| {
            if mcu == border {
                self.end()?;
                if end.marker != RESTART + number % 8 {
                    return Err(Refusal::Damaged);
                }
                (border, number) = (border + restart, number.wrapping_add(1));
                end = self.begin(end.after)?;
            }
            let plane = &mut planes[component];
            let (Some(block), Some(filled)) = (plane.blocks.get_mut(at), plane.filled.get_mut(at)) else {
                return Err(Refusal::Internal);
            };
            match (scan.dc(), scan.high) {
                (true, None) => self.dc(component, block),
                (true, Some(_)) => self.dc_bit(block),
                (false, None) => {
                    *filled |= self.ac(component, block)?;
                    Ok(())
                }
                (false, Some(_)) => {
                    *filled |= self.ac_bits(component, block, *filled & band(scan.first, scan.last))?;
                    Ok(())
                }
            }
        })?;
        self.end()?;
        if (RESTART..RESTART + 8).contains(&end.marker) {
            return Err(Refusal::Damaged);
        }
        Ok((end.marker, end.after))
    }

    /// Go to the data of the next interval.
    fn begin(&mut self, at: usize) -> Result<bits::End, Refusal> {
        self.bytes.clear();
        let length = bits::leap(self.file, at)?.data - at;
        self.bytes.try_reserve(length + PADDING).map_err(|_| Refusal::Memory)?;
        let end = bits::unstuff(self.file, at, &mut self.bytes)?;
        self.limit = 8 * self.bytes.len();
        self.bytes.extend([0; PADDING]);
        (self.bit, self.run, self.predicted) = (0, 0, [0; 3]);
        Ok(end)
    }

    /// Between the last code and the marker there is less than a byte, and no block is left over.
    fn end(&self) -> Result<(), Refusal> {
        if self.bit > self.limit || self.limit - self.bit >= 8 || self.run > 0 {
            return Err(Refusal::Damaged);
        }
        Ok(())
    }

    #[inline(always)]
    fn word(&self) -> Result<u64, Refusal> {
        window(&self.bytes, self.bit).ok_or(Refusal::Damaged)
    }

    #[inline(always)]
    fn symbol(&mut self, component: usize) -> Result<(u8, u64), Refusal> {
        let word = self.word()?;
        let table = self.tables[component].as_ref().ok_or(Refusal::Tables)?;
        let (symbol, length) = table.symbol(word)?;
        self.bit += length as usize;
        Ok((symbol, word << length))
    }

    fn dc(&mut self, component: usize, block: &mut [i16; 64]) -> Result<(), Refusal> {
        let table = self.tables[component].as_ref().ok_or(Refusal::Tables)?;
        let difference = read_dc(&self.bytes, &mut self.bit, table)?;
        let value = self.predicted[component].wrapping_add(difference);
        self.predicted[component] = value;
        block[0] = whole(value, self.scan.low, MOST_DC)?;
        Ok(())
    }

    fn dc_bit(&mut self, block: &mut [i16; 64]) -> Result<(), Refusal> {
        block[0] |= ((self.word()? >> 63) as i16) << self.scan.low;
        self.bit += 1;
        Ok(())
    }

    /// A run of blocks that end here, this one among them.
    #[inline(always)]
    fn ends(&mut self, size: u32, word: u64) {
        self.run = (1 << size) - 1 + if size > 0 { (word >> (64 - size)) as u32 } else { 0 };
        self.bit += size as usize;
    }

    /// Return which coefficients there are.
    #[inline(always)]
    fn ac(&mut self, component: usize, block: &mut [i16; 64]) -> Result<u64, Refusal> {
        let mut new = 0;
        if self.run > 0 {
            self.run -= 1;
            return Ok(new);
        }
        let mut at = self.scan.first;
        while at <= self.scan.last {
            let (symbol, word) = self.symbol(component)?;
            let (zeros, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            if size == 0 && symbol != SIXTEEN_ZEROS {
                self.ends(zeros as u32, word);
                return Ok(new);
            }
            at += zeros;
            if at > self.scan.last || size > MAX_AC {
                return Err(Refusal::Damaged);
            }
            if size > 0 {
                self.bit += size as usize;
                block[at] = whole(extended(word, size), self.scan.low, MOST_AC)?;
                new |= 1 << at;
            }
            at += 1;
        }
        Ok(new)
    }

    /// One more bit of the `old` coefficients. Return which are new.
    #[inline(always)]
    fn ac_bits(&mut self, component: usize, block: &mut [i16; 64], old: u64) -> Result<u64, Refusal> {
        let mut all_new = 0;
        let mut at = self.scan.first;
        while self.run == 0 && at <= self.scan.last {
            let (symbol, word) = self.symbol(component)?;
            let (mut zeros, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            let mut new = 0;
            match size {
                0 if symbol != SIXTEEN_ZEROS => {
                    self.ends(zeros as u32, word);
                    self.run += 1; // the rest of this block is one of them, too
                    break;
                }
                0 => {}
                1 => {
                    self.bit += 1;
                    new = if word >> 63 == 1 { 1 << self.scan.low } else { -1 << self.scan.low };
                }
                _ => return Err(Refusal::Damaged),
            }
            // Over as many zeros as it says, and over all that is there already.
            let mut free = !old & band(at, self.scan.last);
            while zeros > 0 {
                (free, zeros) = (free & free.wrapping_sub(1), zeros - 1);
            }
            if free == 0 {
                return Err(Refusal::Damaged);
            }
            let next = free.trailing_zeros() as usize;
            self.refine_all(block, old & band(at, next))?;
            at = next;
            if new != 0 {
                block[at] = new;
                all_new |= 1 << at;
            }
            at += 1;
        }
        if self.run > 0 && at <= self.scan.last {
            self.refine_all(block, old & band(at, self.scan.last))?;
        }
        self.run = self.run.saturating_sub(1);
        Ok(all_new)
    }

    /// One more bit of each of these coefficients.
    #[inline(always)]
    fn refine_all(&mut self, block: &mut [i16; 64], mut which: u64) -> Result<(), Refusal> {
        let bit = 1i16 << self.scan.low;
        while which != 0 {
            let mut word = self.word()?;
            let some = which.count_ones().min(56);
            self.bit += some as usize;
            for _ in 0..some {
                let value = &mut block[which.trailing_zeros() as usize & 63];
                *value += if word >> 63 == 0 {
                    0
                } else if *value < 0 {
                    -bit
                } else {
                    bit
                };
                which &= which - 1;
                word <<= 1;
            }
        }
        Ok(())
    }
}

/// A value whose lowest bits are not known yet.
#[inline(always)]
fn whole(value: i32, low: u32, most: i64) -> Result<i16, Refusal> {
    let value = i64::from(value) << low;
    if value.abs() > most { Err(Refusal::Range) } else { Ok(value as i16) }
}
