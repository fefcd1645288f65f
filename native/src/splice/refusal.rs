//! Why a picture is not spliced.

/// The reason. Nothing has been written then, and another way of drawing takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Refusal {
    /// It does not begin as a JPEG does, or breaks the structure of segments.
    NotAJpeg = 1,
    /// Lossless, hierarchical, or a sequential file with a progressive scan.
    NotSequential = 2,
    /// Arithmetic coding.
    Arithmetic = 3,
    /// More or fewer than 8 bits a sample.
    Depth = 4,
    /// CMYK, RGB, or two components.
    Colours = 5,
    /// Sampling factors that do not divide each other, or more blocks in an MCU than the standard allows.
    Sampling = 6,
    /// More than one scan; of a progressive file, too many, or scans that do not tell everything once.
    Scans = 7,
    /// A table that is missing, or breaks the rules.
    Tables = 8,
    /// Codes that mean nothing, or more or less data than the picture's size needs.
    Damaged = 9,
    /// The data end too early.
    Truncated = 10,
    /// A mark outside the picture, colour on a grey picture, or too many of them.
    Mark = 11,
    /// The marks cover so much of a large picture that decoding all of it is cheaper.
    Area = 12,
    /// A value that no Huffman code of a baseline file can hold.
    Range = 13,
    /// Memory ran out.
    Memory = 14,
    /// A mistake in this library, caught at its border.
    Internal = 15,
    /// A progressive file whose coefficients would take too much memory.
    Large = 16,
}

impl Refusal {
    /// Every reason there is.
    pub const ALL: [Refusal; 16] = [
        Refusal::NotAJpeg,
        Refusal::NotSequential,
        Refusal::Arithmetic,
        Refusal::Depth,
        Refusal::Colours,
        Refusal::Sampling,
        Refusal::Scans,
        Refusal::Tables,
        Refusal::Damaged,
        Refusal::Truncated,
        Refusal::Mark,
        Refusal::Area,
        Refusal::Range,
        Refusal::Memory,
        Refusal::Internal,
        Refusal::Large,
    ];

    /// The reason in a few words, ended by a zero byte as C wants it.
    pub fn reason(self) -> &'static std::ffi::CStr {
        match self {
            Refusal::NotAJpeg => c"its segments are not those of a JPEG",
            Refusal::NotSequential => c"it is neither sequential nor progressive",
            Refusal::Arithmetic => c"it is coded arithmetically",
            Refusal::Depth => c"its samples do not have 8 bits",
            Refusal::Colours => c"its colours are neither grey nor YCbCr",
            Refusal::Sampling => c"its components are sampled in an unusual way",
            Refusal::Scans => c"its scans are unusual",
            Refusal::Tables => c"one of its tables is missing or damaged",
            Refusal::Damaged => c"its picture data are damaged",
            Refusal::Truncated => c"its picture data end too early",
            Refusal::Mark => c"a mark does not fit on it",
            Refusal::Area => c"the marks cover too much of it",
            Refusal::Range => c"its values are out of range",
            Refusal::Memory => c"memory ran out",
            Refusal::Internal => c"a mistake in the accelerator",
            Refusal::Large => c"it is progressive and large",
        }
    }
}
