//! The writer: one thread that takes records from a queue, makes them durable in batches and
//! acknowledges them.

pub(crate) mod acks;
pub(crate) mod appender;
pub(crate) mod clock_step;
pub(crate) mod queue;
pub(crate) mod recovery;
pub(crate) mod segment_rotation;
pub(crate) mod writer;
