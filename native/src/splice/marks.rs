//! Marks: where they lie, and what they do to the samples of an MCU.

use super::blocks::Blend;
use super::header::Header;
use super::refusal::Refusal;
use std::ops::Range;

/// The most layers in all.
const MAX_LAYERS: usize = 64;

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
        cover.keep.fill(1.0);
        for plane in &mut cover.add {
            plane.fill(0.0);
        }
        let (left, top) = (column * self.mcu_width, row * self.mcu_height);
        for layer in &self.layers {
            if layer.columns.start >= left + self.mcu_width || layer.columns.end <= left.min(self.width - 1) {
                continue;
            }
            for y in 0..self.mcu_height {
                let line = (top + y).min(self.height - 1);
                if !layer.rows.contains(&line) {
                    continue;
                }
                let width = layer.columns.len();
                let first = (line - layer.rows.start) * width;
                let Some(alphas) = layer.alpha.get(first..first + width) else { continue };
                for x in 0..self.mcu_width {
                    let place = (left + x).min(self.width - 1);
                    let Some(column) = place.checked_sub(layer.columns.start) else { continue };
                    let Some(&alpha) = alphas.get(column) else { continue };
                    let (at, alpha) = (y * SIDE + x, f32::from(alpha) / 255.0);
                    cover.keep[at] *= 1.0 - alpha;
                    for (plane, ink) in cover.add.iter_mut().zip(layer.ink(first + column)).take(self.colours) {
                        plane[at] += (ink - plane[at]) * alpha;
                    }
                }
            }
        }
    }
}

impl Placed<'_> {
    /// The ink of a pixel.
    fn ink(&self, pixel: usize) -> [f32; 3] {
        match self.pixels.and_then(|pixels| pixels.get(3 * pixel..3 * pixel + 3)) {
            Some(&[red, green, blue]) => ycc([red, green, blue]),
            _ => self.ink,
        }
    }
}

impl Cover {
    /// For nothing yet.
    pub fn new() -> Self {
        Cover { keep: [1.0; SIDE * SIDE], add: [[0.0; SIDE * SIDE]; 3] }
    }

    /// What happens to one block of a component: the `x`-th and `y`-th of it in the MCU, each sample of it standing
    /// for `wide` × `high` pixels. None if that is nothing.
    pub fn block(&self, component: usize, x: usize, y: usize, wide: usize, high: usize) -> Option<Blend> {
        let plane = self.add.get(component)?;
        let pixels = (wide * high) as f32;
        let mut blend = Blend { keep: [[0.0; 8]; 8], add: [[0.0; 8]; 8] };
        let mut any = false;
        for row in 0..8 {
            for column in 0..8 {
                let (mut keep, mut add) = (0.0, 0.0);
                for line in 0..high {
                    let at = ((8 * y + row) * high + line) * SIDE + (8 * x + column) * wide;
                    keep += self.keep.get(at..at + wide)?.iter().sum::<f32>();
                    add += plane.get(at..at + wide)?.iter().sum::<f32>();
                }
                any |= keep != pixels;
                blend.keep[row][column] = keep / pixels;
                blend.add[row][column] = add / pixels;
            }
        }
        any.then_some(blend)
    }
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
