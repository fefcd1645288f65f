//! The C interface. Every `unsafe` of this library is in this file and in `cores.rs`.
//!
//! The caller keeps its side: pointers are valid for the lengths they come with, and what `safelight_splice` has filled
//! in is given back to `safelight_splice_free` once. No panic crosses the border.

use crate::{Kept, Layer, Refusal, splice};
use std::ffi::c_char;
use std::mem::ManuallyDrop;
use std::panic::catch_unwind;
use std::ptr::null_mut;
use std::slice::from_raw_parts;

/// Changes whenever anything below does.
pub const INTERFACE: u32 = 4;

/// A [`Layer`] in C.
#[repr(C)]
pub struct CLayer {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
    colour: [u8; 3],
    alpha: *const u8,
    alpha_length: usize,
    /// Null, or three times as many bytes.
    pixels: *const u8,
}

/// A new file in C: its own bytes, and the ranges of the old file that go in between.
#[repr(C)]
pub struct CSpliced {
    own: *mut u8,
    own_length: usize,
    own_capacity: usize,
    kept: *mut Kept,
    kept_length: usize,
    kept_capacity: usize,
    way: i32,
}

impl CSpliced {
    const EMPTY: Self = CSpliced {
        own: null_mut(),
        own_length: 0,
        own_capacity: 0,
        kept: null_mut(),
        kept_length: 0,
        kept_capacity: 0,
        way: 0,
    };
}

/// The version of this interface.
#[unsafe(no_mangle)]
pub extern "C" fn safelight_splice_interface() -> u32 {
    INTERFACE
}

/// Splice; see [`splice()`]. 0, or the number of a [`Refusal`]; then `spliced` is left empty.
///
/// # Safety
/// `file` points to `length` bytes, `layers` to `count` layers whose `alpha` and `pixels` are as long as they say,
/// `spliced` to a struct that may be overwritten. Nothing of it changes meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn safelight_splice(
    file: *const u8,
    length: usize,
    layers: *const CLayer,
    count: usize,
    orientation: u8,
    threads: u32,
    spliced: *mut CSpliced,
) -> i32 {
    if file.is_null() || spliced.is_null() || (layers.is_null() && count > 0) {
        return Refusal::Internal as i32;
    }
    // SAFETY: not null, and the caller says that they are valid.
    let (file, layers) = unsafe {
        spliced.write(CSpliced::EMPTY);
        (from_raw_parts(file, length), if count > 0 { from_raw_parts(layers, count) } else { &[] })
    };
    if layers.iter().any(|layer| layer.alpha.is_null()) {
        return Refusal::Mark as i32;
    }
    let outcome = catch_unwind(|| {
        let layers: Vec<Layer> = layers
            .iter()
            .map(|layer| Layer {
                left: layer.left,
                top: layer.top,
                width: layer.width,
                height: layer.height,
                colour: layer.colour,
                // SAFETY: as above.
                alpha: unsafe { from_raw_parts(layer.alpha, layer.alpha_length) },
                // SAFETY: as above.
                pixels: (!layer.pixels.is_null())
                    .then(|| unsafe { from_raw_parts(layer.pixels, layer.alpha_length.saturating_mul(3)) }),
            })
            .collect();
        splice(file, &layers, orientation, threads as usize)
    });
    match outcome {
        Ok(Ok(done)) => {
            let mut own = ManuallyDrop::new(done.own);
            let mut kept = ManuallyDrop::new(done.kept);
            let found = CSpliced {
                own: own.as_mut_ptr(),
                own_length: own.len(),
                own_capacity: own.capacity(),
                kept: kept.as_mut_ptr(),
                kept_length: kept.len(),
                kept_capacity: kept.capacity(),
                way: done.way as i32,
            };
            // SAFETY: as above.
            unsafe { spliced.write(found) };
            0
        }
        Ok(Err(refusal)) => refusal as i32,
        Err(_) => Refusal::Internal as i32,
    }
}

/// Give back what `safelight_splice` has filled in. What is empty already stays so.
///
/// # Safety
/// `spliced` points to a struct that `safelight_splice` has filled in, and nobody has changed since.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn safelight_splice_free(spliced: *mut CSpliced) {
    if spliced.is_null() {
        return;
    }
    // SAFETY: these are the parts of the vectors that were taken apart above.
    unsafe {
        let given = spliced.replace(CSpliced::EMPTY);
        if !given.own.is_null() {
            drop(Vec::from_raw_parts(given.own, given.own_length, given.own_capacity));
            drop(Vec::from_raw_parts(given.kept, given.kept_length, given.kept_capacity));
        }
    }
}

/// What a number that `safelight_splice` gave back means, in a few words.
#[unsafe(no_mangle)]
pub extern "C" fn safelight_splice_reason(number: i32) -> *const c_char {
    Refusal::ALL
        .iter()
        .find(|refusal| **refusal as i32 == number)
        .map_or(c"unknown", |refusal| refusal.reason())
        .as_ptr()
}
