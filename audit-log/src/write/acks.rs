//! Tells everybody in a batch that it is durable, at the price of one wake-up.
//!
//! A task that is woken from outside its runtime costs system calls, and the writer made two for each of a crowd. So
//! a crowd is told by a task of the runtime itself. Not for: refusals (`queue`).

use tokio::runtime::Handle;

use crate::format::head::Receipt;
use crate::write::queue::entry::{IntentAck, NoteAck};

/// So many are told one by one: whoever is alone shall not wait for a second task.
const FEW: usize = 2;

/// What a batch owes. Whoever holds it may die: dropping it tells.
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

    /// Tells them, from inside that runtime where they are many. A runtime that has ended drops the task, and so
    /// tells them too.
    pub(crate) fn tell(self, runtime: Option<&Handle>) {
        match runtime {
            Some(runtime) if self.intents.len() + self.notes.len() > FEW => {
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
        let mut answers = Acks::default();
        let waiting = (0..count).map(|seq| {
            let (ack, answer) = oneshot::channel();
            answers.note(ack, Receipt { seq, log: LogId([0; 16]), record_hash: [0; 32] });
            answer
        });
        let waiting = waiting.collect();
        (answers, waiting)
    }

    #[test]
    fn a_crowd_is_told_by_the_runtime_by_an_ended_one_and_without_any() {
        let alive = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let ended = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let of_ended = ended.handle().clone();
        drop(ended);
        for runtime in [Some(alive.handle()), Some(&of_ended), None] {
            for count in [1, 100] {
                let (answers, waiting) = owed(count);
                answers.tell(runtime);
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
