//! Readers: frames of one segment, records across segments, lines, pages, exports. Every record is
//! checked before it is given out.

pub(crate) mod chain;
pub(crate) mod cursor;
pub(crate) mod export;
pub(crate) mod frame_reader;
pub(crate) mod lines;
pub(crate) mod page;
pub(crate) mod source;
pub(crate) mod store_stamp;
