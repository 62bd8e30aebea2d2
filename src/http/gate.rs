//! How many requests are worked on at a time: so many, as many again wait a moment, the rest is told to come back.
//!
//! Beyond what the cores can do more work at a time makes no answer earlier, only every answer later. Whoever is
//! refused here has used no key; under overload that is most of the work, so it leaves no record of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::operation::{Code, Failure};

/// The gate of all listeners.
#[derive(Debug)]
pub(super) struct Gate {
    places: Arc<Semaphore>,
    waiting: Semaphore,
    wait: Duration,
}

/// A place at work; free again when dropped.
pub(super) type Place = OwnedSemaphorePermit;

impl Gate {
    /// `places` requests at a time; as many may wait, each so long.
    pub(super) fn new(places: usize, wait: Duration) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), waiting: Semaphore::new(places), wait }
    }

    /// A place.
    pub(super) async fn enter(&self) -> Result<Place, Failure> {
        let places = Arc::clone(&self.places);
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        let Ok(_waiting) = self.waiting.try_acquire() else { return Err(self.refusal()) };
        match tokio::time::timeout(self.wait, places.acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(self.refusal()),
        }
    }

    fn refusal(&self) -> Failure {
        Failure::new(Code::Overloaded, "more requests than can be worked on; nothing was signed")
            .retry_after(self.wait.max(Duration::from_millis(1)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    #[tokio::test]
    async fn one_works_one_waits_and_the_third_is_sent_away_at_once() {
        let gate = Arc::new(Gate::new(1, Duration::from_secs(60)));
        let working = gate.enter().await.unwrap();
        let waiting = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.enter().await }
        });
        while gate.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(gate.enter().await.unwrap_err().code(), Code::Overloaded);
        drop(working);
        assert!(waiting.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn waiting_has_an_end() {
        let gate = Gate::new(1, Duration::from_millis(10));
        let _working = gate.enter().await.unwrap();
        let failure = gate.enter().await.unwrap_err();
        assert_eq!((failure.code(), failure.retry()), (Code::Overloaded, Some(Duration::from_millis(10))));
    }
}
