//! The C interface. Every `unsafe` of this library is in this file.
//!
//! The caller keeps its side: pointers are valid for the lengths they come with, and what `safelight_splice` has filled
//! in is given back to `safelight_splice_free` once. No panic crosses the border.

use crate::{Layer, Refusal, splice};
use std::ffi::c_char;
use std::panic::catch_unwind;
use std::ptr::null_mut;
use std::slice::from_raw_parts;

/// Changes whenever anything below does.
pub const INTERFACE: u32 = 3;

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

/// A new file in C.
#[repr(C)]
pub struct CSpliced {
    data: *mut u8,
    length: usize,
    capacity: usize,
    way: i32,
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
        spliced.write(CSpliced { data: null_mut(), length: 0, capacity: 0, way: 0 });
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
            let mut data = std::mem::ManuallyDrop::new(done.file);
            let found = CSpliced {
                data: data.as_mut_ptr(),
                length: data.len(),
                capacity: data.capacity(),
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
    // SAFETY: these are the parts of the vector that was taken apart above.
    unsafe {
        let CSpliced { data, length, capacity, .. } =
            spliced.replace(CSpliced { data: null_mut(), length: 0, capacity: 0, way: 0 });
        if !data.is_null() {
            drop(Vec::from_raw_parts(data, length, capacity));
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
