//! One sequential scan out of all coefficients, with the best codes for it.

use super::super::bits::{Writer, reserved};
use super::super::codes;
use super::super::header::Header;
use super::super::huffman::{MAX_AC, MAX_DC, symbols_of, write_ac, write_dc};
use super::super::refusal::Refusal;
use super::Plane;
use std::ops::Range;

/// Pictures of so many blocks are looked at whole to see which symbols come often.
const FEW: usize = 20_000;

/// Of larger ones, so many MCUs are looked at of each row's `EVERY`, further to the right in each row.
const SOME: usize = 4;
const EVERY: usize = 32;

/// More bytes than a block takes: 64 values of 27 bits at most, each byte with a zero behind it.
const BLOCK: usize = 440;

/// Write the picture to its end. `header` is that of the new file.
pub fn write(header: &Header, planes: &[Plane], orientation: u8) -> Result<Vec<u8>, Refusal> {
    let (across, down) = header.mcus();
    let mut often = [[[0u32; 256]; 2]; 2]; // DC and AC of each table
    let few = across * down * header.blocks() <= FEW;
    for row in 0..down {
        let (first, some, every) = if few { (0, across, across) } else { (row * SOME % EVERY, SOME, EVERY) };
        for start in (first..across).step_by(every) {
            let columns = start..across.min(start + some);
            let mut before = predicted(header, planes, row, start);
            each(header, planes, row, columns, &mut before, |table, difference, block| {
                symbols_of(difference, Some(block), |ac, symbol| {
                    often[table][usize::from(ac)][usize::from(symbol)] += 8;
                });
                Ok(())
            })?;
        }
    }
    let (mut dc, mut ac) = ([const { None }; 4], [const { None }; 4]);
    for (number, [dc_often, ac_often]) in often.iter_mut().enumerate().take(header.components.len()) {
        // Any other symbol may come where nobody looked.
        (0..=MAX_DC).for_each(|size| dc_often[size as usize] += 1);
        for (symbol, often) in ac_often.iter_mut().enumerate() {
            *often += u32::from((1..=MAX_AC).contains(&(symbol as u32 & 15)) || symbol == 0 || symbol == 0xF0);
        }
        (dc[number], ac[number]) = (Some(codes::best(dc_often, false)?), Some(codes::best(ac_often, true)?));
    }
    let mut out = reserved(header.room())?;
    header.write(&mut out, orientation, &dc, &ac);
    let mut writer = Writer::new(&mut out);
    let mut before = [0; 3];
    for row in 0..down {
        writer.reserve(across * header.blocks() * BLOCK)?;
        each(header, planes, row, 0..across, &mut before, |table, difference, (block, filled)| {
            let (Some(dc), Some(ac)) = (&dc[table], &ac[table]) else { return Err(Refusal::Tables) };
            write_dc(&mut writer, difference, dc)?;
            write_ac(&mut writer, block, filled, ac)
        })?;
    }
    writer.finish();
    out.extend([0xFF, 0xD9]);
    Ok(out)
}

/// The DC of each component before an MCU. That of a row's first stands for the one at the end of the row before.
fn predicted(header: &Header, planes: &[Plane], row: usize, column: usize) -> [i32; 3] {
    let mut found = [0; 3];
    for ((found, plane), part) in found.iter_mut().zip(planes).zip(&header.components) {
        let at = (row * part.down + part.down - 1) * plane.stride + (column * part.across).saturating_sub(1);
        *found = plane.blocks.get(at).map_or(0, |block| i32::from(block[0]));
    }
    found
}

/// Each block of some MCUs of a row in the order of the stream: the number of its tables, its DC difference, what it
/// holds.
#[inline(always)]
fn each(
    header: &Header,
    planes: &[Plane],
    row: usize,
    columns: Range<usize>,
    predicted: &mut [i32; 3],
    mut act: impl FnMut(usize, i32, (&[i16; 64], u64)) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    for column in columns {
        for ((part, plane), predicted) in header.components.iter().zip(planes).zip(&mut *predicted) {
            for y in 0..part.down {
                for x in 0..part.across {
                    let at = (row * part.down + y) * plane.stride + column * part.across + x;
                    let (Some(block), Some(&filled)) = (plane.blocks.get(at), plane.filled.get(at)) else {
                        return Err(Refusal::Internal);
                    };
                    let value = i32::from(block[0]);
                    let difference = value - std::mem::replace(predicted, value);
                    act(part.dc, difference, (block, filled))?;
                }
            }
        }
    }
    Ok(())
}
