//! Marks: where they lie, and what they do to the samples of an MCU.

use super::blocks::Blend;
use super::header::Header;
use super::refusal::Refusal;
use std::ops::Range;

/// The most layers in all.
const MAX_LAYERS: usize = 256;

/// The most pixels a side of an MCU can have.
const SIDE: usize = 32;

/// One colour (sRGB) laid over a region of the picture as it is stored; `alpha` holds its opacity, a byte a pixel.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// The first column of the region.
    pub left: u32,
    /// Its first row.
    pub top: u32,
    /// Its width, 1 at least.
    pub width: u32,
    /// Its height, 1 at least.
    pub height: u32,
    /// Red, green and blue.
    pub colour: [u8; 3],
    /// Width × height bytes, row by row; 0 is clear, 255 hides what is below.
    pub alpha: &'a [u8],
    /// A colour for each pixel instead: three times as many bytes. A grey picture can not take it.
    pub pixels: Option<&'a [u8]>,
}

/// A layer in the terms of one file.
struct Placed<'a> {
    columns: Range<usize>,
    rows: Range<usize>,
    /// The ink in each component.
    ink: [f32; 3],
    alpha: &'a [u8],
    pixels: Option<&'a [u8]>,
}

/// All layers, the lowest first, over a grid of MCUs.
pub struct Marks<'a> {
    layers: Vec<Placed<'a>>,
    width: usize,
    height: usize,
    mcu_width: usize,
    mcu_height: usize,
    mcus: (usize, usize),
    colours: usize,
}

/// What the layers do to the pixels of one MCU: pixel × keep + add.
pub struct Cover {
    /// Nothing is laid over any of them.
    clear: bool,
    keep: [f32; SIDE * SIDE],
    add: [[f32; SIDE * SIDE]; 3],
}

impl<'a> Marks<'a> {
    /// Check that the layers fit on the picture.
    pub fn new(layers: &[Layer<'a>], header: &Header) -> Result<Self, Refusal> {
        if layers.len() > MAX_LAYERS {
            return Err(Refusal::Mark);
        }
        let colours = header.components.len();
        let mut placed = Vec::with_capacity(layers.len());
        for layer in layers {
            let [left, top, width, height] =
                [layer.left, layer.top, layer.width, layer.height].map(|value| value as usize);
            let (Some(right), Some(bottom)) = (left.checked_add(width), top.checked_add(height)) else {
                return Err(Refusal::Mark);
            };
            let [red, green, blue] = layer.colour;
            if width == 0
                || height == 0
                || right > header.width
                || bottom > header.height
                || layer.alpha.len() != width * height
                || (colours == 1 && (red != green || green != blue || layer.pixels.is_some()))
                || layer.pixels.is_some_and(|pixels| pixels.len() != 3 * width * height)
            {
                return Err(Refusal::Mark);
            }
            placed.push(Placed {
                columns: left..right,
                rows: top..bottom,
                ink: ycc(layer.colour),
                alpha: layer.alpha,
                pixels: layer.pixels,
            });
        }
        Ok(Marks {
            layers: placed,
            width: header.width,
            height: header.height,
            mcu_width: 8 * header.most_across,
            mcu_height: 8 * header.most_down,
            mcus: header.mcus(),
            colours,
        })
    }

    /// The columns of MCUs that layers touch in one row of them: ranges in their order, apart from each other.
    pub fn touched(&self, mcu_row: usize) -> Vec<Range<usize>> {
        let rows = mcu_row * self.mcu_height..(mcu_row + 1) * self.mcu_height;
        let mut found: Vec<Range<usize>> = self
            .layers
            .iter()
            .filter(|layer| layer.rows.start < rows.end && rows.start < layer.rows.end)
            .map(|layer| layer.columns.start / self.mcu_width..layer.columns.end.div_ceil(self.mcu_width))
            .collect();
        found.sort_by_key(|range| range.start);
        let mut merged: Vec<Range<usize>> = Vec::with_capacity(found.len());
        for range in found {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        merged
    }

    /// How many MCUs are touched.
    pub fn area(&self) -> usize {
        (0..self.mcus.1).map(|row| self.touched(row).iter().map(Range::len).sum::<usize>()).sum()
    }

    /// What the layers do to an MCU. Beyond the picture's edges it is what they do at the edge: encoders fill up MCUs
    /// by repeating the last pixel.
    pub fn cover(&self, column: usize, row: usize, cover: &mut Cover) {
        cover.clear = true;
        cover.keep[..self.mcu_height * SIDE].fill(1.0);
        for plane in cover.add.iter_mut().take(self.colours) {
            plane[..self.mcu_height * SIDE].fill(0.0);
        }
        let (left, top) = (column * self.mcu_width, row * self.mcu_height);
        for layer in &self.layers {
            let columns = layer.columns.start.max(left)..layer.columns.end.min(left + self.mcu_width);
            for line in layer.rows.start.max(top)..layer.rows.end.min(top + self.mcu_height) {
                let first = (line - layer.rows.start) * layer.columns.len() + columns.start - layer.columns.start;
                let Some(alphas) = layer.alpha.get(first..first + columns.len()) else { continue };
                if alphas.iter().all(|&alpha| alpha == 0) {
                    continue;
                }
                cover.clear = false;
                let start = (line - top) * SIDE + columns.start - left;
                let here = start..start + alphas.len();
                for (keep, &alpha) in cover.keep[here.clone()].iter_mut().zip(alphas) {
                    *keep *= 1.0 - f32::from(alpha) / 255.0;
                }
                let Some(pixels) = layer.pixels else {
                    for (plane, ink) in cover.add.iter_mut().zip(layer.ink).take(self.colours) {
                        for (value, &alpha) in plane[here.clone()].iter_mut().zip(alphas) {
                            *value += (ink - *value) * (f32::from(alpha) / 255.0);
                        }
                    }
                    continue;
                };
                for ((at, &alpha), pixel) in here.zip(alphas).zip(pixels[3 * first..].chunks_exact(3)) {
                    for (plane, ink) in cover.add.iter_mut().zip(ycc([pixel[0], pixel[1], pixel[2]])) {
                        plane[at] += (ink - plane[at]) * (f32::from(alpha) / 255.0);
                    }
                }
            }
        }
        if !cover.clear {
            let (right, bottom) = (self.mcu_width.min(self.width - left), self.mcu_height.min(self.height - top));
            cover.fill_up(right..self.mcu_width, bottom..self.mcu_height);
        }
    }
}

impl Cover {
    /// For nothing yet.
    pub fn new() -> Self {
        Cover { clear: true, keep: [1.0; SIDE * SIDE], add: [[0.0; SIDE * SIDE]; 3] }
    }

    /// Fill these columns and rows by repeating what lies before them.
    fn fill_up(&mut self, columns: Range<usize>, rows: Range<usize>) {
        for plane in std::iter::once(&mut self.keep).chain(&mut self.add) {
            for line in plane.chunks_exact_mut(SIDE).take(rows.start) {
                let last = line[columns.start - 1];
                line[columns.clone()].fill(last);
            }
            for row in rows.clone() {
                plane.copy_within((rows.start - 1) * SIDE..rows.start * SIDE, row * SIDE);
            }
        }
    }

    /// What happens to one block of a component: the `x`-th and `y`-th of it in the MCU, each sample of it standing
    /// for `wide` × `high` pixels. None if that is nothing.
    pub fn block(&self, component: usize, x: usize, y: usize, wide: usize, high: usize) -> Option<Blend> {
        if self.clear {
            return None;
        }
        let means = match wide {
            1 => means::<1>,
            2 => means::<2>,
            3 => means::<3>,
            _ => means::<4>,
        };
        let keep = means(&self.keep, x, y, high)?;
        if keep.iter().flatten().all(|&share| share == 1.0) {
            return None;
        }
        Some(Blend { keep, add: means(self.add.get(component)?, x, y, high)? })
    }
}

/// The means of `WIDE` × `high` pixels for each sample of a block.
fn means<const WIDE: usize>(plane: &[f32; SIDE * SIDE], x: usize, y: usize, high: usize) -> Option<[[f32; 8]; 8]> {
    let pixels = (WIDE * high) as f32;
    let mut found = [[0.0; 8]; 8];
    for (row, means) in found.iter_mut().enumerate() {
        for line in 0..high {
            let at = ((8 * y + row) * high + line) * SIDE + 8 * x * WIDE;
            for (mean, part) in means.iter_mut().zip(plane.get(at..at + 8 * WIDE)?.chunks_exact(WIDE)) {
                *mean += part.iter().sum::<f32>();
            }
        }
        for mean in means {
            *mean /= pixels;
        }
    }
    Some(found)
}

/// A colour in the terms of JFIF.
fn ycc(colour: [u8; 3]) -> [f32; 3] {
    let [red, green, blue] = colour.map(f32::from);
    [
        0.299 * red + 0.587 * green + 0.114 * blue,
        128.0 - 0.168_735_9 * red - 0.331_264_1 * green + 0.5 * blue,
        128.0 + 0.5 * red - 0.418_687_6 * green - 0.081_312_4 * blue,
    ]
}
