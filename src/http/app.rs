//! What every handler gets: the service, the limits, the deadline of the request.

use std::sync::Arc;
use std::time::Duration;

use crate::http::limits::admission::Gate;
use crate::http::limits::rate_limit::{RateSettings, Rates};
use crate::service::Service;

/// The largest body that is read, bytes (api.md, Rules).
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// What every handler gets.
#[derive(Clone, Debug)]
pub struct App {
    pub(crate) service: Arc<Service>,
    pub(crate) body_timeout: Duration,
    pub(crate) gate: Arc<Gate>,
    pub(crate) rates: Arc<Rates>,
}

/// How much of what the application takes on.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    /// A body must arrive within this time.
    pub body_timeout: Duration,
    /// Requests that are worked on at a time.
    pub in_flight: usize,
    /// How long others may wait for their turn.
    pub wait: Duration,
    /// How often clients may ask.
    pub rates: RateSettings,
}

impl App {
    /// The application over a service.
    pub fn new(service: Arc<Service>, admission: Admission) -> Self {
        let Admission { body_timeout, in_flight, wait, rates } = admission;
        Self {
            service,
            body_timeout,
            gate: Arc::new(Gate::new(in_flight, wait)),
            rates: Arc::new(Rates::new(rates)),
        }
    }

    /// Takes on so much from now on; the time of bodies stays as it was.
    pub fn readmit(&self, admission: Admission) {
        let Admission { body_timeout: _, in_flight, wait, rates } = admission;
        self.gate.set(in_flight, wait);
        self.rates.set(rates);
    }
}

/// When the answer must be out, as the operations know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(pub(crate) std::time::Instant);
