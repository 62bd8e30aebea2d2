//! What happened to a key, as it is stored, listed and delivered.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::key::{Eoa, EventKind, KeyName, KeyVersion, KeyVersionNumber};

/// The longest wait between two attempts of a delivery.
pub(super) const LONGEST_RETRY_WAIT: Duration = Duration::from_secs(3_600);

/// A stored event.
#[derive(Clone, Debug)]
pub struct KeyEvent {
    /// Its number, from 1, in the order of the changes.
    pub seq: u64,
    /// The name of its kind.
    pub kind: String,
    /// Owner of the key.
    pub eoa: Eoa,
    /// Name of the key.
    pub name: KeyName,
    /// Number of the version.
    pub version: KeyVersionNumber,
    /// When it happened.
    pub at: Timestamp,
    /// Further members.
    pub facts: Map<String, Value>,
}

/// An event to be stored.
#[derive(Clone, Debug)]
pub struct NewEvent {
    pub(super) kind: EventKind,
    pub(super) eoa: Eoa,
    pub(super) name: KeyName,
    pub(super) version: KeyVersionNumber,
    pub(super) facts: Map<String, Value>,
}

/// An event that a webhook has not acknowledged.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Id of the webhook.
    pub webhook: String,
    /// What to deliver.
    pub event: KeyEvent,
    /// Failed attempts.
    pub attempts: u32,
}

impl NewEvent {
    /// An event of a version as it is now.
    pub fn of(kind: EventKind, version: &KeyVersion) -> Self {
        let mut facts = Map::new();
        let operator_id = crate::eigenlayer::operator_id(&version.public_key.g1);
        facts.insert("operator_id".to_owned(), format!("0x{}", hex::encode(operator_id)).into());
        facts.insert("state".to_owned(), version.state().as_str().into());
        if let Some(date) = version.times.destroy {
            facts.insert("destroy_at".to_owned(), date.to_string().into());
        }
        Self { kind, eoa: version.eoa, name: version.name.clone(), version: version.version, facts }
    }

    /// With one more member.
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    /// With the caller's reason, if there is one.
    pub fn with_reason(self, reason: Option<&str>) -> Self {
        match reason {
            Some(reason) => self.with("reason", reason),
            None => self,
        }
    }
}

impl KeyEvent {
    /// The JSON of `GET /v1/events` and of webhooks.
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        let mut put = |name: &str, value: Value| drop(object.insert(name.to_owned(), value));
        put("seq", self.seq.into());
        put("type", self.kind.as_str().into());
        put("eoa", self.eoa.to_string().into());
        put("name", self.name.as_str().into());
        put("version", self.version.number().into());
        put("at", self.at.to_string().into());
        put("at_unix", self.at.as_second().into());
        for (name, value) in &self.facts {
            put(name, value.clone());
        }
        Value::Object(object)
    }
}
