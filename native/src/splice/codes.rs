//! The best Huffman codes for how often each symbol comes (ITU T.81, K.2).

use super::huffman::Table;
use super::refusal::Refusal;

/// The longest code.
const LONGEST: usize = 16;

/// A table with codes for all symbols that come: the more often, the shorter.
pub fn best(often: &[u32; 256], ac: bool) -> Result<Table, Refusal> {
    // One symbol more, the rarest, gets the code that is all ones, which is not allowed.
    let mut weights: Vec<(u64, Vec<usize>)> =
        (0..256).filter(|&symbol| often[symbol] > 0).map(|symbol| (u64::from(often[symbol]), vec![symbol])).collect();
    weights.push((0, vec![256]));
    let mut lengths = [0usize; 257];
    while weights.len() > 1 {
        weights.sort_by_key(|weight| std::cmp::Reverse(weight.0)); // stable: the rarest are last
        let (Some((one, mut symbols)), Some((other, others))) = (weights.pop(), weights.pop()) else { break };
        symbols.extend(others);
        for &symbol in &symbols {
            lengths[symbol] += 1;
        }
        weights.push((one + other, symbols));
    }
    let mut counts = [0usize; 258];
    for &length in lengths.iter().filter(|&&length| length > 0) {
        counts[length] += 1;
    }
    // Codes that are too long: two of them go up to their common beginning, and a shorter code makes room for the other.
    for length in (LONGEST + 1..counts.len()).rev() {
        while counts[length] > 0 {
            let shorter = (1..length - 1).rev().find(|&shorter| counts[shorter] > 0).ok_or(Refusal::Tables)?;
            counts[length] -= 2;
            counts[length - 1] += 1;
            counts[shorter + 1] += 2;
            counts[shorter] -= 1;
        }
    }
    // The one symbol more has one of the longest codes.
    let last = (1..=LONGEST).rev().find(|&length| counts[length] > 0).ok_or(Refusal::Tables)?;
    counts[last] -= 1;
    let mut symbols: Vec<usize> = (0..256).filter(|&symbol| lengths[symbol] > 0).collect();
    symbols.sort_by_key(|&symbol| lengths[symbol]);
    let symbols: Vec<u8> = symbols.into_iter().map(|symbol| symbol as u8).collect();
    Table::slow(std::array::from_fn(|length| counts[length] as u8), &symbols, ac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_often_has_a_short_code() {
        let mut often = [0; 256];
        (often[3], often[7], often[9]) = (1000, 10, 1);
        let table = best(&often, true).unwrap();
        assert_eq!([3, 7, 9, 4].map(|symbol| table.length(symbol)), [1, 2, 3, 0]);
    }

    #[test]
    fn one_symbol_has_a_code() {
        let mut often = [0; 256];
        often[0] = 5;
        assert_eq!(best(&often, false).unwrap().length(0), 1);
    }

    #[test]
    fn no_code_is_too_long() {
        let mut often = [0; 256];
        let (mut one, mut other) = (1u32, 1u32);
        for slot in often.iter_mut().take(40) {
            *slot = one;
            (one, other) = (other, one + other);
        }
        let table = best(&often, true).unwrap();
        assert!((0..40).all(|symbol| (1..=16).contains(&table.length(symbol))));
        assert_eq!(table.length(39), 1);
    }

    #[test]
    fn all_symbols_can_come() {
        let table = best(&[1; 256], true).unwrap();
        assert!((0..=255).all(|symbol| (8..=9).contains(&table.length(symbol))));
    }
}
