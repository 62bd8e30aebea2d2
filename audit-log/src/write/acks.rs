//! Acknowledgements of a batch, at the cost of one wake-up.
//!
//! Waking a task from outside its runtime takes system calls. So a larger batch is acknowledged by
//! one task inside the runtime, which wakes the others. Not for: refusals (`queue`).

use tokio::runtime::Handle;

use crate::format::head::Receipt;
use crate::write::queue::entry::{IntentAck, NoteAck};

/// Up to this many are acknowledged one by one: a single waiter must not wait for another task.
const DIRECT: usize = 2;

/// The acknowledgements of a batch. Dropping it sends them, also when the task that holds it is
/// cancelled.
#[derive(Default)]
pub(crate) struct Acks {
    intents: Vec<(IntentAck, Receipt)>,
    notes: Vec<(NoteAck, Receipt)>,
}

impl Acks {
    pub(crate) fn intent(&mut self, ack: IntentAck, receipt: Receipt) {
        self.intents.push((ack, receipt));
    }

    pub(crate) fn note(&mut self, ack: NoteAck, receipt: Receipt) {
        self.notes.push((ack, receipt));
    }

    /// Sends them, from inside that runtime if they are many. A runtime that has ended drops the
    /// task, and so sends them too.
    pub(crate) fn send(self, runtime: Option<&Handle>) {
        match runtime {
            Some(runtime) if self.intents.len() + self.notes.len() > DIRECT => {
                drop(runtime.spawn(async move { drop(self) }));
            }
            Some(_) | None => drop(self),
        }
    }
}

impl Drop for Acks {
    fn drop(&mut self) {
        for (ack, receipt) in self.intents.drain(..) {
            ack(Ok(receipt));
        }
        for (ack, receipt) in self.notes.drain(..) {
            let _ = ack.send(Ok(receipt));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use tokio::runtime::Builder;
    use tokio::sync::oneshot;

    use super::*;
    use crate::error::AuditError;
    use crate::format::log_id::LogId;
    use crate::write::queue::runtime_of_here;

    fn owed(count: u64) -> (Acks, Vec<oneshot::Receiver<Result<Receipt, AuditError>>>) {
        let mut acks = Acks::default();
        let waiting = (0..count).map(|seq| {
            let (ack, answer) = oneshot::channel();
            acks.note(ack, Receipt { seq, log: LogId([0; 16]), record_hash: [0; 32] });
            answer
        });
        let waiting = waiting.collect();
        (acks, waiting)
    }

    #[test]
    fn a_large_batch_is_acknowledged_by_the_runtime_by_an_ended_one_and_without_any() {
        let alive = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let ended = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let of_ended = ended.handle().clone();
        drop(ended);
        for runtime in [Some(alive.handle()), Some(&of_ended), None] {
            for count in [1, 100] {
                let (acks, waiting) = owed(count);
                acks.send(runtime);
                for (seq, answer) in (0..).zip(waiting) {
                    assert_eq!(answer.blocking_recv().unwrap().unwrap().seq, seq);
                }
            }
        }
    }

    #[test]
    fn a_runtime_that_only_its_owner_drives_is_not_relied_on() {
        let own = Builder::new_current_thread().build().unwrap();
        assert!(own.block_on(async { runtime_of_here() }).is_none());
        let threads = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        assert!(threads.block_on(async { runtime_of_here() }).is_some());
        assert!(runtime_of_here().is_none());
    }
}
