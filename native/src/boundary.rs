//! The C interface, and what is asked of the system. Every `unsafe` of this library is in this file.
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

/// Where a second thread runs. Linux wakes it on the core of the one that starts it, and on small machines that are a
/// little busy it does not look for an idle one: both would share a core for as long as such work takes.
#[derive(Clone, Copy)]
pub struct Core(#[cfg_attr(not(target_os = "linux"), allow(dead_code))] Option<usize>);

/// The cores that a thread may run on, as `cpu_set_t` has them.
#[cfg(target_os = "linux")]
type Cores = [u64; 16];

#[cfg(target_os = "linux")]
unsafe extern "C" {
    safe fn sched_getcpu() -> i32;
    fn sched_getaffinity(thread: i32, length: usize, cores: *mut Cores) -> i32;
    fn sched_setaffinity(thread: i32, length: usize, cores: *const Cores) -> i32;
}

impl Core {
    /// The one that this thread runs on.
    pub fn current() -> Self {
        #[cfg(target_os = "linux")]
        return Core(usize::try_from(sched_getcpu()).ok());
        #[cfg(not(target_os = "linux"))]
        Core(None)
    }

    /// Move this thread to another core than that one, if there is any, and let it go wherever the system wants then.
    pub fn leave(self) {
        #[cfg(target_os = "linux")]
        if let Some(taken) = self.0 {
            let mut allowed: Cores = [0; 16];
            let length = size_of::<Cores>();
            // SAFETY: 0 is this thread, and the sets are as long as it is said.
            unsafe {
                if sched_getaffinity(0, length, &mut allowed) < 0 {
                    return;
                }
                let mut others = allowed;
                if let Some(word) = others.get_mut(taken / 64) {
                    *word &= !(1 << (taken % 64));
                }
                if others != [0; 16] && sched_setaffinity(0, length, &others) == 0 {
                    sched_setaffinity(0, length, &allowed);
                }
            }
        }
    }
}
