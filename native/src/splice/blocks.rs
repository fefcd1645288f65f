//! Blocks of samples and coefficients (ITU T.81, A.3.3), and what a mark does to them.

use super::header::ZIGZAG;
use super::refusal::Refusal;
use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};
use std::f64::consts::PI;
use std::ops::{Add, Mul, Sub};

/// Eight rows of eight values, or the columns of a block turned into rows.
type Matrix = [[f32; 8]; 8];

/// What happens to each sample of a block: sample × keep + add.
pub struct Blend {
    pub keep: Matrix,
    pub add: Matrix,
}

/// A row, all of which is reckoned with at once.
#[derive(Clone, Copy)]
struct Row([f32; 8]);

impl Add for Row {
    type Output = Row;

    #[inline(always)]
    fn add(self, other: Row) -> Row {
        Row(std::array::from_fn(|at| self.0[at] + other.0[at]))
    }
}

impl Sub for Row {
    type Output = Row;

    #[inline(always)]
    fn sub(self, other: Row) -> Row {
        Row(std::array::from_fn(|at| self.0[at] - other.0[at]))
    }
}

impl Mul<f32> for Row {
    type Output = Row;

    #[inline(always)]
    fn mul(self, factor: f32) -> Row {
        Row(self.0.map(|value| value * factor))
    }
}

/// The cosine transform of every column (Arai, Agui and Nakajima, "A fast DCT-SQ scheme for images", 1988). After that of
/// the rows, results are too large by 8 and what both frequencies have `left_out`.
#[inline(always)]
fn transform(rows: &Matrix) -> Matrix {
    let [s0, s1, s2, s3, s4, s5, s6, s7] = rows.map(Row);
    let (a0, a1, a2, a3) = (s0 + s7, s1 + s6, s2 + s5, s3 + s4);
    let (d0, d1, d2, d3) = (s0 - s7, s1 - s6, s2 - s5, s3 - s4);

    let (b0, b1, b2, b3) = (a0 + a3, a1 + a2, a1 - a2, a0 - a3);
    let turned = (b2 + b3) * FRAC_1_SQRT_2;
    let (e0, e4, e2, e6) = (b0 + b1, b0 - b1, b3 + turned, b3 - turned);

    let (c0, c1, c2) = (d3 + d2, d2 + d1, d1 + d0);
    let common = (c0 - c2) * 0.382_683_43; // sin π/8
    let (low, high) = (c0 * 0.541_196_1 + common, c2 * 1.306_563 + common); // √2 sin π/8, √2 cos π/8
    let middle = c1 * FRAC_1_SQRT_2;
    let (sum, difference) = (d0 + middle, d0 - middle);
    [e0, sum + high, e2, difference - low, e4, difference + low, e6, sum - high].map(|row| row.0)
}

/// Its inverse, for values that are smaller by 8, and larger by what both frequencies have `left_out`.
#[inline(always)]
fn inverse(rows: &Matrix) -> Matrix {
    let [c0, c1, c2, c3, c4, c5, c6, c7] = rows.map(Row);
    let (sum, difference, outer) = (c0 + c4, c0 - c4, c2 + c6);
    let inner = (c2 - c6) * SQRT_2 - outer;
    let (e0, e1, e2, e3) = (sum + outer, difference + inner, difference - inner, sum - outer);

    let (p, m, q, n) = (c5 + c3, c5 - c3, c1 + c7, c1 - c7);
    let common = (m + n) * 1.847_759; // 2 cos π/8
    let o0 = q + p;
    let o1 = common - m * 2.613_126 - o0; // 2 (cos π/8 + sin π/8)
    let o2 = (q - p) * SQRT_2 - o1;
    let o3 = common - n * 1.082_392_2 - o2; // 2 (cos π/8 − sin π/8)
    [e0 + o0, e1 + o1, e2 + o2, e3 + o3, e3 - o3, e2 - o2, e1 - o1, e0 - o0].map(|row| row.0)
}

/// What the fast transform leaves to the quantisation, for a frequency: √2 cos kπ/16, and 1 for 0.
fn left_out(frequency: usize) -> f64 {
    if frequency == 0 { 1.0 } else { std::f64::consts::SQRT_2 * (frequency as f64 * PI / 16.0).cos() }
}

#[inline(always)]
fn transposed(matrix: &Matrix) -> Matrix {
    std::array::from_fn(|row| std::array::from_fn(|column| matrix[column][row]))
}

/// A component's quantisation, with what the transforms leave out. By columns.
pub struct Scales {
    dc: i64,
    decoding: [f32; 64],
    encoding: [f32; 64],
}

/// Where each coefficient in zigzag order stands, by columns.
const PLACES: [u8; 64] = {
    let mut places = ZIGZAG;
    let mut at = 0;
    while at < 64 {
        places[at] = (ZIGZAG[at] & 7) << 3 | ZIGZAG[at] >> 3;
        at += 1;
    }
    places
};

impl Scales {
    /// Of steps in zigzag order.
    pub fn new(quantisation: &[u16; 64]) -> Self {
        let mut scales = Scales { dc: i64::from(quantisation[0]), decoding: [0.0; 64], encoding: [0.0; 64] };
        for (&place, &step) in PLACES.iter().zip(quantisation) {
            let place = usize::from(place);
            let scale = left_out(place >> 3) * left_out(place & 7);
            scales.decoding[place] = (f64::from(step) * scale / 8.0) as f32;
            scales.encoding[place] = (1.0 / (f64::from(step) * scale * 8.0)) as f32;
        }
        scales
    }

    /// Blend a block in place. Its coefficients are quantised and in zigzag order, the DC among them.
    ///
    /// Samples are cut to 0–255 before blending, as decoders do, so that a mark looks the same whoever draws it.
    pub fn blend(&self, block: &mut [i32; 64], blend: &Blend) -> Result<(), Refusal> {
        // Twice the range of eight bits: no encoder goes beyond.
        if (i64::from(block[0]) * self.dc).abs() > 4096 {
            return Err(Refusal::Range);
        }
        let mut columns = [0; 64];
        for (&place, &value) in PLACES.iter().zip(block.iter()) {
            columns[usize::from(place)] = value;
        }
        let coefficients = std::array::from_fn(|row| {
            std::array::from_fn(|at| columns[8 * row + at] as f32 * self.decoding[8 * row + at])
        });
        let mut samples = inverse(&transposed(&inverse(&coefficients)));
        for ((row, keep), add) in samples.iter_mut().zip(&blend.keep).zip(&blend.add) {
            for ((sample, keep), add) in row.iter_mut().zip(keep).zip(add) {
                *sample = (*sample + 128.0).clamp(0.0, 255.0) * keep + add - 128.0;
            }
        }
        let coefficients = transform(&transposed(&transform(&samples)));
        for (at, value) in columns.iter_mut().enumerate() {
            let exact = (coefficients[at >> 3][at & 7] * self.encoding[at]).clamp(-2047.0, 2047.0);
            *value = (exact + 0.5f32.copysign(exact)) as i32;
        }
        for (at, (&place, value)) in PLACES.iter().zip(block.iter_mut()).enumerate() {
            let limit = if at == 0 { 2047 } else { 1023 };
            *value = columns[usize::from(place)].clamp(-limit, limit);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::huffman::tests::noise;
    use super::*;

    /// Wave by wave, as A.3.3 defines it.
    fn defined(coefficients: &Matrix, x: usize, y: usize) -> f64 {
        let wave = |at: usize, frequency: usize| {
            let scale = if frequency == 0 { 0.125f64.sqrt() } else { 0.5 };
            scale * (((2 * at + 1) * frequency) as f64 * PI / 16.0).cos()
        };
        let terms = (0..64).map(|at| f64::from(coefficients[at >> 3][at & 7]) * wave(y, at >> 3) * wave(x, at & 7));
        terms.sum()
    }

    #[test]
    fn the_transforms_are_those_of_the_standard() {
        let mut seed = 1;
        for _ in 0..200 {
            let coefficients: Matrix =
                std::array::from_fn(|_| std::array::from_fn(|_| noise(&mut seed) as f32 % 700.0));
            let scaled = |by: fn(f64) -> f64, matrix: &Matrix| -> Matrix {
                std::array::from_fn(|u| std::array::from_fn(|v| matrix[u][v] * by(left_out(u) * left_out(v)) as f32))
            };
            let samples = inverse(&transposed(&inverse(&transposed(&scaled(|scale| scale / 8.0, &coefficients)))));
            for (x, y) in (0..8).flat_map(|y| (0..8).map(move |x| (x, y))) {
                assert!((f64::from(samples[y][x]) - defined(&coefficients, x, y)).abs() < 0.02);
            }
            let again = transposed(&transform(&transposed(&transform(&samples))));
            for (was, is) in coefficients
                .iter()
                .zip(scaled(|scale| 1.0 / (8.0 * scale), &again))
                .flat_map(|(was, is)| was.iter().zip(is))
            {
                assert!((was - is).abs() < 0.02, "{was} {is}");
            }
        }
    }

    #[test]
    fn keeping_everything_changes_nothing() {
        let mut block: [i32; 64] = std::array::from_fn(|at| if at % 7 == 0 { 9 - at as i32 % 19 } else { 0 });
        let before = block;
        let same = Blend { keep: [[1.0; 8]; 8], add: [[0.0; 8]; 8] };
        Scales::new(&[3; 64]).blend(&mut block, &same).unwrap();
        assert_eq!(block, before);
    }

    #[test]
    fn covering_everything_leaves_one_colour() {
        let mut block: [i32; 64] = std::array::from_fn(|at| 20 - at as i32);
        let cover = Blend { keep: [[0.0; 8]; 8], add: [[200.0; 8]; 8] };
        Scales::new(&[2; 64]).blend(&mut block, &cover).unwrap();
        assert_eq!(block[0], 8 * (200 - 128) / 2);
        assert!(block[1..].iter().all(|&value| value == 0));
    }

    #[test]
    fn values_beyond_all_samples_are_refused() {
        let mut block = [0; 64];
        block[0] = i32::MAX;
        let same = Blend { keep: [[1.0; 8]; 8], add: [[0.0; 8]; 8] };
        assert_eq!(Scales::new(&[u16::MAX; 64]).blend(&mut block, &same), Err(Refusal::Range));
    }
}
