//! Blocks of samples and coefficients (ITU T.81, A.3.3), and what a mark does to them.

use super::header::ZIGZAG;
use super::refusal::Refusal;
use std::sync::LazyLock;

type Matrix = [[f32; 8]; 8];

/// What happens to each sample of a block: sample × keep + add.
pub struct Blend {
    pub keep: Matrix,
    pub add: Matrix,
}

/// Row u holds the cosine wave of frequency u.
static WAVES: LazyLock<Matrix> = LazyLock::new(|| {
    std::array::from_fn(|u| {
        std::array::from_fn(|x| {
            let scale = if u == 0 { 0.125f64.sqrt() } else { 0.5 };
            (scale * (((2 * x + 1) * u) as f64 * std::f64::consts::PI / 16.0).cos()) as f32
        })
    })
});

fn product(left: &Matrix, right: &Matrix) -> Matrix {
    let mut result = [[0.0; 8]; 8];
    for (row, factors) in result.iter_mut().zip(left) {
        for (factor, other) in factors.iter().zip(right) {
            for (sum, value) in row.iter_mut().zip(other) {
                *sum += factor * value;
            }
        }
    }
    result
}

fn transposed(matrix: &Matrix) -> Matrix {
    std::array::from_fn(|row| std::array::from_fn(|column| matrix[column][row]))
}

/// Blend a block in place. Its coefficients are quantised and in zigzag order, the DC among them.
///
/// Samples are cut to 0–255 before blending, as decoders do, so that a mark looks the same whoever draws it.
pub fn blend(block: &mut [i32; 64], quantisation: &[u16; 64], blend: &Blend) -> Result<(), Refusal> {
    // Twice the range of eight bits: no encoder goes beyond, and the sums below stay exact.
    if (i64::from(block[0]) * i64::from(quantisation[0])).abs() > 4096 {
        return Err(Refusal::Range);
    }
    let mut coefficients = [[0.0; 8]; 8];
    for ((&place, &value), &step) in ZIGZAG.iter().zip(block.iter()).zip(quantisation) {
        coefficients[usize::from(place >> 3)][usize::from(place & 7)] = (value * i32::from(step)) as f32;
    }
    let waves = &*WAVES;
    let turned = transposed(waves);
    let mut samples = product(&product(&turned, &coefficients), waves);
    for ((row, keep), add) in samples.iter_mut().zip(&blend.keep).zip(&blend.add) {
        for ((sample, keep), add) in row.iter_mut().zip(keep).zip(add) {
            *sample = (*sample + 128.0).clamp(0.0, 255.0) * keep + add - 128.0;
        }
    }
    let coefficients = product(&product(waves, &samples), &turned);
    for (at, ((&place, value), &step)) in ZIGZAG.iter().zip(block.iter_mut()).zip(quantisation).enumerate() {
        let exact = coefficients[usize::from(place >> 3)][usize::from(place & 7)] / f32::from(step);
        let limit = if at == 0 { 2047 } else { 1023 };
        *value = ((exact + 0.5f32.copysign(exact)) as i32).clamp(-limit, limit);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeping_everything_changes_nothing() {
        let mut block: [i32; 64] = std::array::from_fn(|at| if at % 7 == 0 { 9 - at as i32 % 19 } else { 0 });
        let before = block;
        let same = Blend { keep: [[1.0; 8]; 8], add: [[0.0; 8]; 8] };
        blend(&mut block, &[3; 64], &same).unwrap();
        assert_eq!(block, before);
    }

    #[test]
    fn covering_everything_leaves_one_colour() {
        let mut block: [i32; 64] = std::array::from_fn(|at| 20 - at as i32);
        blend(&mut block, &[2; 64], &Blend { keep: [[0.0; 8]; 8], add: [[200.0; 8]; 8] }).unwrap();
        assert_eq!(block[0], 8 * (200 - 128) / 2);
        assert!(block[1..].iter().all(|&value| value == 0));
    }

    #[test]
    fn values_beyond_all_samples_are_refused() {
        let mut block = [0; 64];
        block[0] = i32::MAX;
        let same = Blend { keep: [[1.0; 8]; 8], add: [[0.0; 8]; 8] };
        assert_eq!(blend(&mut block, &[u16::MAX; 64], &same), Err(Refusal::Range));
    }
}
