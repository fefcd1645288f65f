//! Entropy-coded data as bits: without the zero bytes that follow every 0xFF in a file (ITU T.81, F.1.2.3).

use super::refusal::Refusal;

/// The first of the eight restart markers, and the marker at the end of the picture.
pub const RESTART: u8 = 0xD0;
pub const END: u8 = 0xD9;

/// Bytes of zeros behind unstuffed data, so that a whole window can be read at its last bit.
pub const PADDING: usize = 16;

/// The 57 or more bits that start at `bit`, at the top of a word. None past the padding.
#[inline(always)]
pub fn window(bytes: &[u8], bit: usize) -> Option<u64> {
    let at = bit >> 3;
    let word: [u8; 8] = bytes.get(at..at + 8)?.try_into().ok()?;
    Some(u64::from_be_bytes(word) << (bit & 7))
}

/// A vector with room, or a refusal where an abort would be.
pub fn reserved<T>(capacity: usize) -> Result<Vec<T>, Refusal> {
    let mut new = Vec::new();
    new.try_reserve_exact(capacity).map_err(|_| Refusal::Memory)?;
    Ok(new)
}

/// The marks of the 0xFF bytes in a word: its lowest set bit belongs to the first of them in memory order.
#[inline(always)]
fn full_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let inverted = !word;
    inverted.wrapping_sub(ONES) & word & (ONES << 7)
}

/// Where the first 0xFF is from `from` on; the length of the data if there is none.
#[inline(always)]
fn next_full(data: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(word) = data.get(at..at + 8).and_then(|part| part.try_into().ok()) {
        let found = full_bytes(u64::from_le_bytes(word));
        if found != 0 {
            return at + (found.trailing_zeros() >> 3) as usize;
        }
        at += 8;
    }
    data.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == 0xFF)).map_or(data.len(), |found| at + found)
}

/// Where entropy-coded data end: the position after them, and the marker found there with the position after it.
pub struct End {
    pub data: usize,
    pub marker: u8,
    pub after: usize,
}

/// What follows the 0xFF at `at`: None for a stuffed zero. Fill bytes may stand before a marker, not before a zero:
/// decoders disagree about what that means.
#[inline(always)]
fn marker(data: &[u8], at: usize) -> Result<Option<End>, Refusal> {
    let mut next = at + 1;
    loop {
        match data.get(next) {
            None => return Err(Refusal::Truncated),
            Some(0) if next == at + 1 => return Ok(None),
            Some(0) => return Err(Refusal::Damaged),
            Some(0xFF) => next += 1,
            Some(&found) => return Ok(Some(End { data: at, marker: found, after: next + 1 })),
        }
    }
}

/// Leap over entropy-coded data to the next marker.
pub fn leap(data: &[u8], from: usize) -> Result<End, Refusal> {
    let mut at = from;
    loop {
        at = next_full(data, at);
        if let Some(end) = marker(data, at)? {
            return Ok(end);
        }
        at += 2;
    }
}

/// Append entropy-coded data to `out` as they are without stuffing, up to the next marker. `out` has the room.
pub fn unstuff(data: &[u8], from: usize, out: &mut Vec<u8>) -> Result<End, Refusal> {
    let mut at = from;
    loop {
        let full = next_full(data, at);
        if let Some(end) = marker(data, full)? {
            out.extend_from_slice(&data[at..full]);
            return Ok(end);
        }
        out.extend_from_slice(&data[at..=full]);
        at = full + 2;
    }
}

/// How many bytes of these are 0xFF, each of which has a zero behind it in a file.
pub fn count_full(bytes: &[u8]) -> usize {
    // In steps whose sums fit in a byte, which compilers turn into vector instructions.
    bytes.chunks(255).map(|chunk| chunk.iter().fold(0u8, |sum, &byte| sum + u8::from(byte == 0xFF)) as usize).sum()
}

/// Bits going out, stuffed, to the end of a buffer.
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    held: u64,
    count: u32,
}

impl<'a> Writer<'a> {
    /// A writer that begins at a byte's border.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Writer { out, held: 0, count: 0 }
    }

    /// Have room for so many bytes more.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.out.try_reserve(bytes).map_err(|_| Refusal::Memory)
    }

    /// Write the lowest `count` bits of `value`, 32 at most; what is above them is zero.
    #[inline(always)]
    pub fn put(&mut self, value: u32, count: u32) {
        self.held = (self.held << count) | u64::from(value);
        self.count += count;
        if self.count >= 32 {
            self.count -= 32;
            self.word32((self.held >> self.count) as u32);
        }
    }

    #[inline(always)]
    fn word32(&mut self, word: u32) {
        let bytes = word.to_be_bytes();
        // Where there is a doubt (a byte of 0xFF, or borrows that look like one), byte by byte.
        if full_bytes(u64::from(word)) == 0 {
            self.out.extend_from_slice(&bytes);
        } else {
            self.stuffed(&bytes);
        }
    }

    #[cold]
    fn stuffed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.out.push(byte);
            if byte == 0xFF {
                self.out.push(0);
            }
        }
    }

    /// Write whatever makes up whole bytes.
    fn settle(&mut self) {
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.held >> self.count) as u8;
            self.stuffed(&[byte]);
        }
    }

    /// Copy the bits `from..to` of unstuffed data.
    pub fn copy(&mut self, bytes: &[u8], from: usize, to: usize) -> Result<(), Refusal> {
        let mut at = from;
        if to.saturating_sub(at) >= 256 {
            // To a byte's border, and from there eight bytes at a time.
            self.settle();
            let gap = (8 - self.count) % 8;
            let word = window(bytes, at).ok_or(Refusal::Damaged)?;
            if gap > 0 {
                self.put((word >> (64 - gap)) as u32, gap);
                at += gap as usize;
            }
            self.settle();
            at = self.copy_words(bytes, at, to)?;
        }
        while at < to {
            let count = (to - at).min(32);
            let word = window(bytes, at).ok_or(Refusal::Damaged)?;
            self.put((word >> (64 - count)) as u32, count as u32);
            at += count;
        }
        Ok(())
    }

    fn copy_words(&mut self, bytes: &[u8], from: usize, to: usize) -> Result<usize, Refusal> {
        let shift = from & 7;
        let words = (to - from) / 64;
        let start = from >> 3;
        let source = bytes.get(start..start + 8 * words + 1).ok_or(Refusal::Damaged)?;
        for at in (0..8 * words).step_by(8) {
            let Some(Ok(word)) = source.get(at..at + 8).map(<[u8; 8]>::try_from) else {
                return Err(Refusal::Damaged);
            };
            let last = u64::from(source[at + 8]) << shift >> 8;
            let word = (u64::from_be_bytes(word) << shift) | last;
            if full_bytes(word) == 0 {
                self.out.extend_from_slice(&word.to_be_bytes());
            } else {
                self.stuffed(&word.to_be_bytes());
            }
        }
        Ok(from + 64 * words)
    }

    /// Fill the last byte with ones.
    pub fn finish(mut self) {
        let gap = (8 - self.count % 8) % 8;
        self.put((1 << gap) - 1, gap);
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stuffed(bytes: &[u8]) -> Vec<u8> {
        bytes.iter().flat_map(|&byte| if byte == 0xFF { vec![byte, 0] } else { vec![byte] }).collect()
    }

    fn noise(length: usize, mut seed: u32) -> Vec<u8> {
        (0..length)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if seed >> 30 == 0 { 0xFF } else { (seed >> 20) as u8 }
            })
            .collect()
    }

    #[test]
    fn unstuffing_undoes_stuffing() {
        for length in 0..300 {
            let bytes = noise(length, length as u32);
            let mut file = stuffed(&bytes);
            file.extend([0xFF, 0xD9]);
            let mut out = Vec::new();
            let end = unstuff(&file, 0, &mut out).unwrap();
            assert_eq!((out, end.data, end.marker, end.after), (bytes, file.len() - 2, 0xD9, file.len()));
            assert_eq!(leap(&file, 0).unwrap().data, end.data);
        }
    }

    #[test]
    fn data_without_a_marker_are_truncated() {
        for file in [&b"abc"[..], b"abcdefghijk\xff", b"a\xff\x00b\xff\xff"] {
            assert_eq!(unstuff(file, 0, &mut Vec::new()).err(), Some(Refusal::Truncated));
            assert_eq!(leap(file, 0).err(), Some(Refusal::Truncated));
        }
    }

    #[test]
    fn bits_are_copied_whatever_their_place() {
        let bytes = noise(2000, 7);
        for (skew, from, to) in [(0, 0, 16000), (1, 5, 15999), (7, 13, 270), (3, 8, 8 + 256), (31, 77, 9001), (5, 9, 9)]
        {
            let mut padded = bytes.clone();
            padded.resize(bytes.len() + PADDING, 0);
            let mut out = Vec::new();
            let mut writer = Writer::new(&mut out);
            writer.put((1u32 << skew) - 1, skew);
            writer.copy(&padded, from, to).unwrap();
            writer.finish();
            let mut bits: Vec<bool> = vec![true; skew as usize];
            bits.extend((from..to).map(|bit| bytes[bit / 8] >> (7 - bit % 8) & 1 == 1));
            bits.resize(bits.len().div_ceil(8) * 8, true);
            let plain: Vec<u8> =
                bits.chunks(8).map(|byte| byte.iter().fold(0, |sum, &bit| sum << 1 | u8::from(bit))).collect();
            assert_eq!(out, stuffed(&plain), "{skew} {from} {to}");
        }
    }

    #[test]
    fn full_bytes_are_counted() {
        let bytes = noise(5000, 3);
        assert_eq!(count_full(&bytes), bytes.iter().filter(|&&byte| byte == 0xFF).count());
    }
}
