//! Progressive files (ITU T.81, annex G): each scan tells a part of the coefficients, so no block can be replaced in
//! one place. All coefficients are read, those of the blocks under the marks are changed, and all are written as one
//! sequential scan with codes made for it: the same values, in about as many bytes and in less time.

mod read;
mod write;

use super::bits::reserved;
use super::header::{Component, Header};
use super::huffman::filled;
use super::marks::{Cover, Marks};
use super::refusal::Refusal;
use super::walk::edited;

/// The most blocks of coefficients that are held in memory: 128 MB of them.
const MAX_BLOCKS: usize = 1_000_000;

/// The most scans. Encoders write 6 to 12.
const MAX_SCANS: usize = 40;

/// The highest bit that a scan may end at: from there on, no value outgrows what a sequential file can hold. The standard
/// lets scans end at 13 (G.1.1.1.1); encoders go to 3.
const MAX_LOW: u32 = 9;

/// What one scan tells: of these components, the bits from `high` down to `low` of the coefficients `first..=last`.
pub struct Scan {
    /// In the order of the frame.
    pub components: Vec<usize>,
    pub first: usize,
    pub last: usize,
    /// The lowest bit that is known before; None if nothing is.
    pub high: Option<u32>,
    pub low: u32,
    /// Its MCUs between two restart markers; 0 if there are none.
    pub restart: usize,
    /// The numbers of the Huffman tables for each component, DC and AC.
    tables: Vec<(u8, u8)>,
}

/// All coefficients of one component.
pub struct Plane {
    /// Blocks in a row, and how many of them and how many rows a scan of this component alone has: those of MCUs that
    /// reach over the picture's edge are coded only together with other components.
    stride: usize,
    wide: usize,
    high: usize,
    /// In zigzag order.
    blocks: Vec<[i16; 64]>,
    /// Which AC coefficients of each block are not 0: a bit each.
    filled: Vec<u64>,
}

/// Lay marks over a progressive file.
pub fn splice(file: &[u8], header: Header, marks: &Marks, orientation: u8) -> Result<Vec<u8>, Refusal> {
    edited(&header, marks)?;
    let mut planes = read::read(file, &header)?;
    edit(&mut planes, &header, marks)?;
    write::write(&header.sequential(), &planes, orientation)
}

/// Change the blocks under the marks.
fn edit(planes: &mut [Plane], header: &Header, marks: &Marks) -> Result<(), Refusal> {
    let scales = header.scales()?;
    let mut cover = Box::new(Cover::new());
    for row in 0..header.mcus().1 {
        for column in marks.touched(row).into_iter().flatten() {
            marks.cover(column, row, &mut cover);
            for (component, (plane, part)) in planes.iter_mut().zip(&header.components).enumerate() {
                let (wide, high) = (header.most_across / part.across, header.most_down / part.down);
                for (y, x) in (0..part.down).flat_map(|y| (0..part.across).map(move |x| (y, x))) {
                    let Some(blend) = cover.block(component, x, y, wide, high) else { continue };
                    let at = (row * part.down + y) * plane.stride + column * part.across + x;
                    let Some(block) = plane.blocks.get_mut(at) else { continue };
                    let mut values = block.map(i32::from);
                    scales[component].blend(&mut values, &blend)?;
                    *block = values.map(|value| value as i16);
                    plane.filled[at] = filled(block);
                }
            }
        }
    }
    Ok(())
}

/// The bits `first..=last`.
fn band(first: usize, last: usize) -> u64 {
    u64::MAX >> (63 - last) & u64::MAX << first
}

impl Scan {
    /// What a start of scan tells; `segment` is what it says.
    fn read(segment: &[u8], header: &Header, restart: usize) -> Result<Self, Refusal> {
        let (&count, rest) = segment.split_first().ok_or(Refusal::NotAJpeg)?;
        let (parts, [first, last, approximation]) = rest.split_at(rest.len().saturating_sub(3)) else {
            return Err(Refusal::NotAJpeg);
        };
        if count == 0 || parts.len() != 2 * usize::from(count) {
            return Err(Refusal::NotAJpeg);
        }
        let mut scan = Scan {
            components: Vec::with_capacity(4),
            first: usize::from(*first),
            last: usize::from(*last),
            high: Some(u32::from(approximation >> 4)).filter(|&high| high > 0),
            low: u32::from(approximation & 15),
            restart,
            tables: Vec::with_capacity(4),
        };
        for part in parts.chunks_exact(2) {
            let found = header.components.iter().position(|component| component.id == part[0]);
            let component = found.ok_or(Refusal::Scans)?;
            if scan.components.last().is_some_and(|&before| before >= component) {
                return Err(Refusal::Scans);
            }
            scan.components.push(component);
            scan.tables.push((part[1] >> 4, part[1] & 15));
        }
        let together = if scan.first == 0 { scan.last == 0 } else { scan.components.len() == 1 };
        let refines = scan.high.is_none_or(|high| high == scan.low + 1);
        if scan.last < scan.first || scan.last > 63 || scan.low > MAX_LOW || !together || !refines {
            return Err(Refusal::Scans);
        }
        Ok(scan)
    }

    /// Whether it is about DC.
    fn dc(&self) -> bool {
        self.first == 0
    }

    /// Do something with each block it tells of, in the order of the stream: with the number of its MCU, its component
    /// and its place in the plane.
    #[inline(always)]
    fn each(
        &self,
        header: &Header,
        sides: &[[usize; 3]],
        mut act: impl FnMut(usize, usize, usize) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        if let &[component] = &self.components[..] {
            let [stride, wide, high] = sides[component];
            for row in 0..high {
                for column in 0..wide {
                    act(row * wide + column, component, row * stride + column)?;
                }
            }
            return Ok(());
        }
        let (across, down) = header.mcus();
        for mcu in 0..across * down {
            let (row, column) = (mcu / across, mcu % across);
            for &component in &self.components {
                let part = &header.components[component];
                for y in 0..part.down {
                    for x in 0..part.across {
                        let at = (row * part.down + y) * sides[component][0] + column * part.across + x;
                        act(mcu, component, at)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Plane {
    /// All planes of a picture, with nothing in them.
    fn all(header: &Header) -> Result<Vec<Self>, Refusal> {
        let (across, down) = header.mcus();
        if across * down * header.blocks() > MAX_BLOCKS {
            return Err(Refusal::Large);
        }
        let plane = |part: &Component| {
            let (stride, rows) = (across * part.across, down * part.down);
            let mut blocks = reserved(stride * rows)?;
            blocks.resize(stride * rows, [0; 64]);
            let mut filled = reserved(stride * rows)?;
            filled.resize(stride * rows, 0);
            Ok(Plane {
                stride,
                wide: (header.width * part.across).div_ceil(8 * header.most_across),
                high: (header.height * part.down).div_ceil(8 * header.most_down),
                blocks,
                filled,
            })
        };
        header.components.iter().map(plane).collect()
    }
}

/// Blocks in a row, and those of a scan of one component, of each plane.
fn sides(planes: &[Plane]) -> Vec<[usize; 3]> {
    planes.iter().map(|plane| [plane.stride, plane.wide, plane.high]).collect()
}
