//! Coverage-guided fuzzing; `./run` builds and starts it.
//!
//! The first eight bytes of an input say where the marks lie, the rest is the file. Whatever comes out of it has to be a
//! file that this library reads again, to the last code, and finds nothing to change in; and two threads have to come to
//! what one comes to.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight_splice::{Layer, splice};

fuzz_target!(|input: &[u8]| {
    let Some((choice, file)) = input.split_at_checked(8) else { return };
    let (width, height) = size(file).unwrap_or((16, 16));
    let place = |at: usize, side: u32| (u32::from(choice[at]) * side) >> 8;
    let alpha: Vec<u8> =
        (0..96 * 96).map(|at| (at as u32 * 7 + u32::from(choice[4])) as u8 | (choice[5] & 1)).collect();
    let pixels: Vec<u8> = (0..3 * 96 * 96).map(|at| (at as u32 * 5) as u8 ^ choice[4]).collect();
    let layers: Vec<Layer> = (0..usize::from(choice[6] % 4))
        .map(|at| {
            let (left, top) = (place(at % 4, width), place((at + 1) % 4, height));
            let (wide, high) = ((width - left).min(1 + place(2, 96)), (height - top).min(1 + place(3, 96)));
            let colour = if choice[5] & 2 == 0 { [choice[4]; 3] } else { [choice[0], choice[1], choice[4]] };
            let count = (wide * high) as usize;
            let pixels = (choice[5] & 4 != 0).then(|| &pixels[..3 * count]);
            Layer { left, top, width: wide, height: high, colour, alpha: &alpha[..count], pixels }
        })
        .collect();
    let orientation = choice[7] % 9;
    let first = splice(file, &layers, orientation, 1);
    if choice[5] & 128 != 0 {
        let shared = splice(file, &layers, orientation, 2);
        assert!(
            match (&first, &shared) {
                (Ok(first), Ok(shared)) => first.file(file) == shared.file(file) && first.way == shared.way,
                (Err(_), Err(_)) => true, // who reads in two places may meet another fault first
                _ => false,
            },
            "two threads came to something else"
        );
    }
    if let Ok(first) = first {
        let made = first.file(file);
        let again = splice(&made, &[], orientation, 1).unwrap_or_else(|why| panic!("refused its own work: {why:?}"));
        assert!(again.file(&made) == made, "changed without a mark");
        // With a mark over a corner everything is walked that restart markers may have let it skip.
        let whole = Layer { left: 0, top: 0, width: 1, height: 1, colour: [9; 3], alpha: &[128], pixels: None };
        let _ = splice(&made, &[whole], 0, 1);
    }
});

/// Width and height, as the first frame header says.
fn size(file: &[u8]) -> Option<(u32, u32)> {
    let at = file.windows(2).position(|pair| pair[0] == 0xFF && (0xC0..=0xC2).contains(&pair[1]))?;
    let side = |at: usize| Some(u32::from(*file.get(at)?) << 8 | u32::from(*file.get(at + 1)?));
    let (height, width) = (side(at + 5)?, side(at + 7)?);
    (width > 0 && height > 0).then_some((width, height))
}
