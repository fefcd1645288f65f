#![forbid(unsafe_code)]
//! See the crate's documentation. The parts, in the order of the work:
//!
//! - [`header`]: read what stands before the picture data, and refuse what can not be spliced
//! - [`marks`]: which MCUs are touched, and what happens to their samples
//! - [`scan`]: find the data in the file; [`index`]: where MCUs begin in them
//! - [`walk`]: decode and blend the blocks under the marks; note what to replace
//! - [`huffman`], [`bits`], [`blocks`]: codes, bits, cosine transforms; [`codes`]: the best ones for given symbols;
//!   [`recoding`]: those of one table taken over into another
//! - [`assemble`]: write the new file, in [`pieces`]: what is new, and where the old one's bytes go on
//! - [`progressive`]: all of this for files that tell each coefficient bit by bit

mod assemble;
mod bits;
mod blocks;
mod codes;
mod header;
mod huffman;
mod index;
pub mod marks;
pub mod pieces;
mod progressive;
mod recoding;
pub mod refusal;
mod scan;
mod walk;

use header::Header;
use marks::{Layer, Marks};
use pieces::{Kept, Pieces};
use refusal::Refusal;

/// How the new file came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Way {
    /// Every bit beside the marks is the old one.
    Copied = 0,
    /// The same, and the Huffman tables hold more codes than before.
    Grown = 1,
    /// The tables had no room, or the file is progressive: the same coefficients under other codes.
    Recoded = 2,
}

/// A new JPEG, in pieces: most of its bytes are the old one's, and whoever has that need not be given them again.
pub struct Spliced {
    /// The bytes that are new, its head among them.
    pub own: Vec<u8>,
    /// Where the old file's bytes go in between, in their order.
    pub kept: Vec<Kept>,
    /// How it came about.
    pub way: Way,
}

impl Spliced {
    /// The whole file, from the one that it was made of.
    pub fn file(&self, original: &[u8]) -> Vec<u8> {
        let mut whole = Vec::new();
        let mut at = 0;
        for Kept { before, from, to } in &self.kept {
            whole.extend_from_slice(&self.own[at..*before]);
            whole.extend_from_slice(&original[*from..*to]);
            at = *before;
        }
        whole.extend_from_slice(&self.own[at..]);
        whole
    }
}

/// Lay layers over a JPEG, the first one lowest, and leave everything else as it is.
///
/// The picture is not turned. `orientation` is the EXIF tag that the new file gets; 0 and 1 write none. Of the other
/// metadata only the colour profile goes along. With `threads` of 2 and more, two share large files and large marks.
pub fn splice(file: &[u8], layers: &[Layer], orientation: u8, threads: usize) -> Result<Spliced, Refusal> {
    let header = Header::read(file)?;
    let marks = Marks::new(layers, &header)?;
    if header.progressive() {
        let own = progressive::splice(file, header, &marks, orientation)?;
        return Ok(Spliced { own, kept: Vec::new(), way: Way::Recoded });
    }
    let mut walk = walk::walk(file, &header, &marks, false, threads)?;

    let (mut way, mut tables) = (Way::Copied, (header.dc.clone(), header.ac.clone()));
    for ac in [false, true] {
        let own = if ac { &mut tables.1 } else { &mut tables.0 };
        for (number, table) in own.iter_mut().enumerate() {
            let missing = walk.missing(ac, number);
            let Some(old) = table.as_ref().filter(|_| !missing.is_empty()) else { continue };
            let (new, how) = match old.grown(&missing, ac) {
                Some(new) => (new, Way::Grown),
                None => (old.rebuilt(&missing, ac)?, Way::Recoded),
            };
            *table = Some(new);
            way = if way == Way::Recoded { way } else { how };
        }
    }
    if way == Way::Recoded && header.restart > 0 {
        walk = walk::walk(file, &header, &marks, true, threads)?; // every interval has to be written anew
    }

    let mut out = bits::reserved(assemble::room(file, &header, &walk, way == Way::Recoded))?;
    header.write(&mut out, orientation, &tables.0, &tables.1);
    let mut out = Pieces::new(out, file);
    for (number, interval) in walk.intervals.iter().enumerate() {
        if number > 0 {
            out.marker([0xFF, 0xD0 + ((number - 1) % 8) as u8], interval.file.start);
        }
        if way == Way::Recoded {
            assemble::recoded(out.own(), &walk, interval, &header, &tables)?;
        } else {
            assemble::spliced(&mut out, &walk, interval, &header, &tables)?;
        }
    }
    out.own().extend([0xFF, 0xD9]);
    let (own, kept) = out.into_parts();
    Ok(Spliced { own, kept, way })
}
