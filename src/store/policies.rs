//! What each key allows; a key that is not here allows everything.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError};

use rusqlite::{Connection, params};

use super::{Store, StoreError};
use crate::auth::Policy;
use crate::key::{Eoa, KeyName};

#[derive(Debug, Default)]
pub(super) struct Index(HashMap<(Eoa, KeyName), Arc<Policy>>);

impl Index {
    pub(super) fn load(connection: &Connection) -> Result<Self, StoreError> {
        let corrupt = |column: &str| StoreError::Corrupt(format!("key policy column {column}"));
        let mut index = Self::default();
        let mut statement =
            connection.prepare("SELECT eoa, name, signing, networks, per_minute FROM key_policy")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let text = |column: &str| row.get::<_, String>(column);
            let name = text("name")?.parse().map_err(|_| corrupt("name"))?;
            let per_minute: Option<u32> = row.get("per_minute")?;
            let policy = Policy {
                signing: text("signing")?.parse().map_err(|_| corrupt("signing"))?,
                networks: text("networks")?.parse().map_err(|_| corrupt("networks"))?,
                per_minute: per_minute
                    .map(|number| NonZeroU32::new(number).ok_or_else(|| corrupt("per_minute")))
                    .transpose()?,
            };
            index.0.insert((Eoa::new(row.get("eoa")?), name), Arc::new(policy));
        }
        Ok(index)
    }
}

impl Store {
    /// What a key allows, whether it exists or not.
    pub fn policy(&self, eoa: &Eoa, name: &KeyName) -> Arc<Policy> {
        let index = self.policies.read().unwrap_or_else(PoisonError::into_inner);
        index.0.get(&(*eoa, name.clone())).map(Arc::clone).unwrap_or_default()
    }

    /// Sets what a key allows. Durable when it returns.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_policy(&self, eoa: Eoa, name: KeyName, policy: Policy) -> Result<(), StoreError> {
        let connection = self.connection();
        connection.execute(
            "INSERT INTO key_policy (eoa, name, signing, networks, per_minute) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (eoa, name) DO UPDATE
             SET signing = excluded.signing, networks = excluded.networks, per_minute = excluded.per_minute",
            params![
                eoa.as_bytes(),
                name.as_str(),
                policy.signing.to_string(),
                policy.networks.to_string(),
                policy.per_minute.map(NonZeroU32::get),
            ],
        )?;
        let mut index = self.policies.write().unwrap_or_else(PoisonError::into_inner);
        index.0.insert((eoa, name), Arc::new(policy));
        Ok(())
    }
}
