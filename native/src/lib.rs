//! Marks on a JPEG without decoding the rest of it.
//!
//! A JPEG's pixels are a stream of Huffman codes, block after block of 8 × 8 samples. To lay a mark over a corner, only
//! the blocks under it have to be decoded, blended and coded again, by the file's own tables. Every other bit is copied,
//! so the rest of the picture stays what it was, to the last bit, and takes hardly any time. A progressive JPEG tells each
//! coefficient in several places: all are read, and written again with the same values as a sequential file.
//!
//! [`splice()`] is the whole of it. It holds no state, reads no file, and does not know who calls; [`boundary`] is
//! the C interface, and `cores` asks the system where a thread runs: the only places with `unsafe` in them. What it can
//! not do it refuses, with a [`Refusal`], before anything large is reserved: somebody else decodes the picture then.

#![deny(unsafe_code)]
#![warn(missing_docs)]

#[allow(unsafe_code)] // pointers come in and go out here, and here alone
pub mod boundary;
#[allow(unsafe_code)] // the system's calls have no other way
mod cores;
mod splice;

pub use splice::marks::Layer;
pub use splice::pieces::Kept;
pub use splice::refusal::Refusal;
pub use splice::{Spliced, Way, splice};
