//! What stands before the picture data: read into values, and written again from them. Nothing else goes along.

use super::blocks::Scales;
use super::huffman::Table;
use super::refusal::Refusal;

/// The zigzag order: where in a row-by-row block each coefficient of the stream belongs.
pub const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

const ICC: &[u8] = b"ICC_PROFILE\0";

/// The most blocks in an MCU (B.2.3).
const MAX_BLOCKS: usize = 10;

/// One component, and how it is coded.
pub struct Component {
    pub id: u8,
    /// Blocks in an MCU, across and down.
    pub across: usize,
    pub down: usize,
    quantisation: usize,
    /// The numbers of its Huffman tables.
    pub dc: usize,
    pub ac: usize,
}

/// A Huffman table as a file tells it: its class and number, how many codes there are of each length, the symbols.
pub type Told<'a> = (u8, [u8; 17], &'a [u8]);

/// The frame markers of what can be spliced.
const BASELINE: u8 = 0xC0;
const EXTENDED: u8 = 0xC1;
const PROGRESSIVE: u8 = 0xC2;

/// A picture that can be spliced, all but its data.
pub struct Header<'a> {
    pub width: usize,
    pub height: usize,
    pub components: Vec<Component>,
    /// In zigzag order.
    quantisation: [Option<[u16; 64]>; 4],
    pub dc: [Option<Table>; 4],
    pub ac: [Option<Table>; 4],
    /// Every table up to the picture data, whether a scan needs it or not.
    pub told: Vec<Told<'a>>,
    /// MCUs between two restart markers; 0 if there are none.
    pub restart: usize,
    /// The marker of the frame.
    frame: u8,
    icc: Vec<&'a [u8]>,
    /// Where the picture data begin; of a progressive file, where its first scan is told.
    pub data: usize,
    /// Blocks of the least sampled component that an MCU's side spans.
    pub most_across: usize,
    pub most_down: usize,
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(*bytes.get(at)?) << 8 | usize::from(*bytes.get(at + 1)?))
}

/// The marker at a place, before which there may be fill bytes, and where its content begins.
pub fn marker(file: &[u8], mut at: usize) -> Result<(u8, usize), Refusal> {
    loop {
        if *file.get(at).ok_or(Refusal::Truncated)? != 0xFF {
            return Err(Refusal::NotAJpeg);
        }
        match *file.get(at + 1).ok_or(Refusal::Truncated)? {
            0xFF => at += 1,
            code => return Ok((code, at + 2)),
        }
    }
}

/// What a segment says whose length is told at a place, and where it ends.
pub fn segment(file: &[u8], at: usize) -> Result<(&[u8], usize), Refusal> {
    let length = word(file, at).ok_or(Refusal::Truncated)?;
    if length < 2 {
        return Err(Refusal::NotAJpeg);
    }
    Ok((file.get(at + 2..at + length).ok_or(Refusal::Truncated)?, at + length))
}

impl<'a> Header<'a> {
    /// Read everything up to the picture data. Whatever this library can not splice is refused here.
    pub fn read(file: &'a [u8]) -> Result<Self, Refusal> {
        if file.get(..2) != Some(&[0xFF, 0xD8]) {
            return Err(Refusal::NotAJpeg);
        }
        let mut header = Header {
            width: 0,
            height: 0,
            components: Vec::new(),
            quantisation: [None; 4],
            dc: [const { None }; 4],
            ac: [const { None }; 4],
            told: Vec::new(),
            restart: 0,
            frame: BASELINE,
            icc: Vec::new(),
            data: 0,
            most_across: 1,
            most_down: 1,
        };
        let (mut jfif, mut adobe) = (false, None);
        let mut at = 2;
        loop {
            let (code, content) = marker(file, at)?;
            let (segment, after) = segment(file, content)?;
            at = after;
            match code {
                0xC0..=PROGRESSIVE => header.frame(segment, code)?,
                0xC3 | 0xC5..=0xC7 => return Err(Refusal::NotSequential),
                0xC9..=0xCF => return Err(Refusal::Arithmetic),
                0xC4 => huffman_tables(segment, &mut header.told)?,
                0xDB => header.quantisation_tables(segment)?,
                0xDD if segment.len() == 2 => header.restart = word(segment, 0).unwrap_or(0),
                0xDA if header.progressive() => {
                    header.data = content;
                    break;
                }
                0xDA => {
                    header.scan(segment)?;
                    header.data = after;
                    break;
                }
                0xE0 => jfif |= segment.starts_with(b"JFIF\0"),
                0xE2 if segment.starts_with(ICC) => header.icc.push(segment),
                0xEE if segment.starts_with(b"Adobe") => adobe = segment.get(11).copied().or(adobe),
                0xE0..=0xEF | 0xFE => {}
                _ => return Err(Refusal::NotAJpeg),
            }
        }
        header.colours(jfif, adobe)?;
        header.needed_tables()?;
        header.order_profile();
        Ok(header)
    }

    fn frame(&mut self, segment: &'a [u8], code: u8) -> Result<(), Refusal> {
        let (Some(&depth), Some(height), Some(width), Some(&count)) =
            (segment.first(), word(segment, 1), word(segment, 3), segment.get(5))
        else {
            return Err(Refusal::NotAJpeg);
        };
        if !self.components.is_empty() || segment.len() != 6 + 3 * usize::from(count) || width == 0 || height == 0 {
            return Err(Refusal::NotAJpeg);
        }
        if depth != 8 {
            return Err(Refusal::Depth);
        }
        if count != 1 && count != 3 {
            return Err(Refusal::Colours);
        }
        (self.width, self.height, self.frame) = (width, height, code);
        for part in segment[6..].chunks_exact(3) {
            let (across, down) = (usize::from(part[1] >> 4), usize::from(part[1] & 15));
            if !(1..=4).contains(&across) || !(1..=4).contains(&down) || part[2] > 3 {
                return Err(Refusal::Sampling);
            }
            // A single component is never interleaved: its MCU is one block, whatever the factors say (A.2.2).
            let (across, down) = if count == 1 { (1, 1) } else { (across, down) };
            if self.components.iter().any(|other| other.id == part[0]) {
                return Err(Refusal::NotAJpeg);
            }
            self.components.push(Component {
                id: part[0],
                across,
                down,
                quantisation: usize::from(part[2]),
                dc: 0,
                ac: 0,
            });
            self.most_across = self.most_across.max(across);
            self.most_down = self.most_down.max(down);
        }
        let divides = |part: &Component| self.most_across % part.across == 0 && self.most_down % part.down == 0;
        if !self.components.iter().all(divides) || (count == 3 && self.blocks() > MAX_BLOCKS) {
            return Err(Refusal::Sampling);
        }
        Ok(())
    }

    fn scan(&mut self, segment: &[u8]) -> Result<(), Refusal> {
        let count = self.components.len();
        if count == 0 || segment.len() != 4 + 2 * count {
            return Err(if count == 0 { Refusal::NotAJpeg } else { Refusal::Scans });
        }
        if usize::from(segment[0]) != count {
            return Err(Refusal::Scans);
        }
        for (component, part) in self.components.iter_mut().zip(segment[1..].chunks_exact(2)) {
            let (dc, ac) = (usize::from(part[1] >> 4), usize::from(part[1] & 15));
            if part[0] != component.id || dc > 3 || ac > 3 {
                return Err(Refusal::Scans);
            }
            (component.dc, component.ac) = (dc, ac);
        }
        // All coefficients at once, in full: in a sequential file nothing else makes sense.
        if segment[1 + 2 * count..] == [0, 63, 0] { Ok(()) } else { Err(Refusal::NotSequential) }
    }

    fn quantisation_tables(&mut self, mut segment: &[u8]) -> Result<(), Refusal> {
        while let Some((&what, rest)) = segment.split_first() {
            let wide = match what >> 4 {
                0 => false,
                1 => true,
                _ => return Err(Refusal::Tables),
            };
            let bytes = rest.get(..if wide { 128 } else { 64 }).ok_or(Refusal::Tables)?;
            let mut table = [0u16; 64];
            for (at, value) in table.iter_mut().enumerate() {
                *value = if wide { word(bytes, 2 * at).unwrap_or(0) as u16 } else { u16::from(bytes[at]) };
            }
            *self.quantisation.get_mut(usize::from(what & 15)).ok_or(Refusal::Tables)? = Some(table);
            segment = &rest[bytes.len()..];
        }
        Ok(())
    }

    /// JPEG itself says nothing of colours; what decoders go by is the JFIF marker, Adobe's, and components' names.
    fn colours(&self, jfif: bool, adobe: Option<u8>) -> Result<(), Refusal> {
        let ids: Vec<u8> = self.components.iter().map(|component| component.id).collect();
        let ycc = match adobe {
            Some(transform) => transform == 1,
            None => jfif || ids != *b"RGB",
        };
        if ids.len() == 1 || ycc { Ok(()) } else { Err(Refusal::Colours) }
    }

    /// Build the tables that the one scan of a sequential file uses, and no others; check those of quantisation.
    fn needed_tables(&mut self) -> Result<(), Refusal> {
        for component in &self.components {
            if !self.progressive() {
                for (tables, number, class) in [(&mut self.dc, component.dc, 0), (&mut self.ac, component.ac, 0x10)] {
                    if tables[number].is_none() {
                        let (counts, symbols) = told(&self.told, class | number as u8)?;
                        tables[number] = Some(Table::new(counts, symbols, class > 0)?);
                    }
                }
            }
            let table = self.quantisation[component.quantisation].as_ref().ok_or(Refusal::Tables)?;
            if table.contains(&0) || (self.frame == BASELINE && table.iter().any(|&value| value > 255)) {
                return Err(Refusal::Tables);
            }
        }
        Ok(())
    }

    /// The colour profile's parts in their order. Parts that do not make a whole are left out.
    fn order_profile(&mut self) {
        let number = |part: &&[u8]| part.get(ICC.len()).copied().unwrap_or(0);
        self.icc.sort_by_key(number);
        let count = self.icc.len();
        let whole = self.icc.iter().enumerate().all(|(at, part)| {
            usize::from(number(part)) == at + 1 && part.get(ICC.len() + 1).map(|&all| usize::from(all)) == Some(count)
        });
        if !whole {
            self.icc.clear();
        }
    }

    /// The quantisation of each component.
    pub fn scales(&self) -> Result<Vec<Scales>, Refusal> {
        let steps = |part: &Component| self.quantisation.get(part.quantisation)?.as_ref();
        self.components.iter().map(|part| steps(part).map(Scales::new).ok_or(Refusal::Tables)).collect()
    }

    /// Whether its coefficients come in several scans, a part of them at a time.
    pub fn progressive(&self) -> bool {
        self.frame == PROGRESSIVE
    }

    /// The same picture, told in one scan without restart markers: luminance has its tables, both others share theirs.
    pub fn sequential(mut self) -> Self {
        let wide = self.quantisation.iter().flatten().flatten().any(|&value| value > 255);
        (self.frame, self.restart) = (if wide { EXTENDED } else { BASELINE }, 0);
        for (number, part) in self.components.iter_mut().enumerate() {
            (part.dc, part.ac) = (number.min(1), number.min(1));
        }
        self
    }

    /// Blocks in an MCU.
    pub fn blocks(&self) -> usize {
        self.components.iter().map(|part| part.across * part.down).sum()
    }

    /// MCUs across and down.
    pub fn mcus(&self) -> (usize, usize) {
        (self.width.div_ceil(8 * self.most_across), self.height.div_ceil(8 * self.most_down))
    }

    /// Write a header with these Huffman tables: JFIF, the orientation if it says anything, the colour profile, and
    /// what decoding takes.
    pub fn write(&self, out: &mut Vec<u8>, orientation: u8, dc: &[Option<Table>; 4], ac: &[Option<Table>; 4]) {
        out.extend([0xFF, 0xD8]);
        write_segment(out, 0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
        if (2..=8).contains(&orientation) {
            let mut exif = *b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0";
            exif[25] = orientation;
            write_segment(out, 0xE1, &exif);
        }
        for part in &self.icc {
            write_segment(out, 0xE2, part);
        }
        for (number, table) in self.quantisation.iter().enumerate() {
            let Some(table) = table.filter(|_| self.components.iter().any(|part| part.quantisation == number)) else {
                continue;
            };
            let wide = table.iter().any(|&value| value > 255);
            let mut body = vec![u8::from(wide) << 4 | number as u8];
            for value in table {
                body.extend(&value.to_be_bytes()[usize::from(!wide)..]);
            }
            write_segment(out, 0xDB, &body);
        }
        let [height, width] = [self.height, self.width].map(|side| (side as u16).to_be_bytes());
        let mut body = vec![8, height[0], height[1], width[0], width[1], self.components.len() as u8];
        for part in &self.components {
            body.extend([part.id, (part.across << 4 | part.down) as u8, part.quantisation as u8]);
        }
        write_segment(out, self.frame, &body);
        for (class, tables) in [(0, dc), (0x10, ac)] {
            for (number, table) in tables.iter().enumerate() {
                if let Some(table) = table {
                    let body = [&[class | number as u8], &table.counts[1..], &table.symbols].concat();
                    write_segment(out, 0xC4, &body);
                }
            }
        }
        if self.restart > 0 {
            write_segment(out, 0xDD, &(self.restart as u16).to_be_bytes());
        }
        let mut body = vec![self.components.len() as u8];
        for part in &self.components {
            body.extend([part.id, (part.dc << 4 | part.ac) as u8]);
        }
        body.extend([0, 63, 0]);
        write_segment(out, 0xDA, &body);
    }

    /// More bytes than `write` takes.
    pub fn room(&self) -> usize {
        8192 + self.icc.iter().map(|part| part.len() + 4).sum::<usize>()
    }
}

fn write_segment(out: &mut Vec<u8>, code: u8, body: &[u8]) {
    out.extend([0xFF, code]);
    out.extend(((body.len() + 2) as u16).to_be_bytes());
    out.extend(body);
}

/// The counts and symbols of a table that a file has told.
pub fn told<'a>(tables: &[Told<'a>], what: u8) -> Result<([u8; 17], &'a [u8]), Refusal> {
    let (_, counts, symbols) = tables.iter().find(|table| table.0 == what).ok_or(Refusal::Tables)?;
    Ok((*counts, symbols))
}

/// Read the tables of a segment.
pub fn huffman_tables<'a>(mut segment: &'a [u8], tables: &mut Vec<Told<'a>>) -> Result<(), Refusal> {
    while let Some((&what, rest)) = segment.split_first() {
        let mut counts = [0u8; 17];
        counts[1..].copy_from_slice(rest.get(..16).ok_or(Refusal::Tables)?);
        let count: usize = counts.iter().map(|&count| usize::from(count)).sum();
        let symbols = rest.get(16..16 + count).ok_or(Refusal::Tables)?;
        if what & 0xEF > 3 || count > 256 {
            return Err(Refusal::Tables);
        }
        tables.retain(|table| table.0 != what); // the last one holds, and there are never more than eight
        tables.push((what, counts, symbols));
        segment = &rest[16 + count..];
    }
    Ok(())
}
