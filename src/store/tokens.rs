//! Tokens: the hash of each, what it allows, until when.

use std::collections::HashMap;
use std::sync::PoisonError;

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::{Store, StoreError};
use crate::auth::{AccessTokenHash, AccessTokenId, AccessTokenRecord, Subject};
use crate::key::KeyName;

#[derive(Debug, Default)]
pub(super) struct Index {
    by_hash: HashMap<AccessTokenHash, AccessTokenRecord>,
    by_id: HashMap<AccessTokenId, AccessTokenHash>,
}

impl Index {
    pub(super) fn load(connection: &Connection) -> Result<Self, StoreError> {
        let mut index = Self::default();
        let mut statement = connection.prepare("SELECT * FROM token")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            index.insert(AccessTokenHash::new(row.get("hash")?), record_from(row)?);
        }
        Ok(index)
    }
}

impl Index {
    pub(super) fn insert(&mut self, hash: AccessTokenHash, record: AccessTokenRecord) {
        self.by_id.insert(record.id.clone(), hash);
        self.by_hash.insert(hash, record);
    }

    /// At most so many tokens of which this is true.
    pub(super) fn hashes_of(
        &self,
        most: usize,
        is_wanted: impl Fn(&AccessTokenRecord) -> bool,
    ) -> Vec<AccessTokenHash> {
        let wanted = self.by_hash.iter().filter(|(_, record)| is_wanted(record));
        wanted.map(|(hash, _)| *hash).take(most).collect()
    }

    pub(super) fn remove(&mut self, hash: &AccessTokenHash) {
        if let Some(record) = self.by_hash.remove(hash) {
            self.by_id.remove(&record.id);
        }
    }
}

pub(super) fn insert(
    connection: &Connection,
    hash: &AccessTokenHash,
    record: &AccessTokenRecord,
) -> Result<(), StoreError> {
    let keys: Vec<_> = record.keys.iter().map(KeyName::as_str).collect();
    connection.execute(
        "INSERT INTO token (id, hash, subject, scopes, created_at, expires_at, login, networks, keys,
             client_certificate)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            record.id.as_str(),
            hash.as_bytes(),
            record.subject.to_string(),
            record.scopes.to_string(),
            record.created_at.as_second(),
            record.expires_at.as_second(),
            record.login,
            record.networks.to_string(),
            keys.join(" "),
            record.client_certificate.map(|certificate| certificate.to_string()),
        ],
    )?;
    Ok(())
}

impl Store {
    /// Keeps a new token. Durable when it returns.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn insert_token(&self, hash: AccessTokenHash, record: AccessTokenRecord) -> Result<(), StoreError> {
        let connection = self.connection();
        insert(&connection, &hash, &record)?;
        self.tokens.write().unwrap_or_else(PoisonError::into_inner).insert(hash, record);
        Ok(())
    }

    /// Revokes a token; `None` if there is no such token. Revoking twice keeps the first time.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn revoke_token(
        &self,
        id: &AccessTokenId,
        now: Timestamp,
    ) -> Result<Option<AccessTokenRecord>, StoreError> {
        let connection = self.connection();
        let sql = "UPDATE token SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1";
        if connection.execute(sql, params![id.as_str(), now.as_second()])? == 0 {
            return Ok(None);
        }
        let mut index = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        let hash = index.by_id.get(id).copied();
        let record = hash.and_then(|hash| index.by_hash.get_mut(&hash));
        Ok(record.map(|record| {
            record.revoked_at.get_or_insert(now);
            record.clone()
        }))
    }

    /// Revokes every token of this subject that is not revoked yet; gives those.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn revoke_tokens_of(
        &self,
        subject: Subject,
        now: Timestamp,
    ) -> Result<Vec<AccessTokenRecord>, StoreError> {
        let connection = self.connection();
        let sql = "UPDATE token SET revoked_at = ?2 WHERE subject = ?1 AND revoked_at IS NULL";
        connection.execute(sql, params![subject.to_string(), now.as_second()])?;
        let mut index = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        let tokens = index.by_hash.values_mut();
        let live = tokens.filter(|record| record.subject == subject && record.revoked_at.is_none());
        Ok(live
            .map(|record| {
                record.revoked_at = Some(now);
                record.clone()
            })
            .collect())
    }

    /// Notes in memory that a token is used; whether that is to be written down, once a minute, with
    /// [`write_last_use`](Self::write_last_use).
    pub fn used(&self, id: &AccessTokenId, now: Timestamp) -> bool {
        let stale = |record: &AccessTokenRecord| {
            record.last_used_at.is_none_or(|last| now.as_second() - last.as_second() >= 60)
        };
        let known = {
            let index = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
            index.by_id.get(id).and_then(|hash| index.by_hash.get(hash)).is_some_and(stale)
        };
        if !known {
            return false;
        }
        let mut index = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        let Some(hash) = index.by_id.get(id).copied() else { return false };
        let Some(record) = index.by_hash.get_mut(&hash).filter(|record| stale(record)) else { return false };
        record.last_used_at = Some(now);
        true
    }

    /// Writes down when a token was last used.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn write_last_use(&self, id: &AccessTokenId, now: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE token SET last_used_at = ?2 WHERE id = ?1";
        self.connection().execute(sql, params![id.as_str(), now.as_second()])?;
        Ok(())
    }

    /// How many tokens are kept.
    pub fn token_count(&self) -> usize {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).by_hash.len()
    }

    /// What is known of the token with this hash.
    pub fn token(&self, hash: &AccessTokenHash) -> Option<AccessTokenRecord> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).by_hash.get(hash).cloned()
    }

    /// Whether a token that was recognised a while ago would still be.
    pub fn is_live(&self, id: &AccessTokenId, now: Timestamp) -> bool {
        let index = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let record = index.by_id.get(id).and_then(|hash| index.by_hash.get(hash));
        record.is_some_and(|record| record.revoked_at.is_none() && now < record.expires_at)
    }

    /// Every token, oldest first.
    pub fn all_tokens(&self) -> Vec<AccessTokenRecord> {
        let index = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let mut records: Vec<_> = index.by_hash.values().cloned().collect();
        records.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        records
    }
}

fn record_from(row: &Row<'_>) -> Result<AccessTokenRecord, StoreError> {
    let text = |column: &str| row.get::<_, String>(column);
    let senseless = |column: &'static str| move |_| StoreError::Corrupt(format!("token column {column}"));
    let time = |column: &str| {
        let seconds: Option<i64> = row.get(column)?;
        seconds.map(|_| timestamp(row, column)).transpose()
    };
    let keys = text("keys")?.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>();
    let certificate: Option<String> = row.get("client_certificate")?;
    let certificate = certificate.map(|text| text.parse()).transpose();
    Ok(AccessTokenRecord {
        id: text("id")?.parse().map_err(|_| StoreError::Corrupt("token column id".into()))?,
        subject: text("subject")?.parse().map_err(senseless("subject"))?,
        scopes: text("scopes")?.parse().map_err(|_| StoreError::Corrupt("token column scopes".into()))?,
        created_at: timestamp(row, "created_at")?,
        expires_at: timestamp(row, "expires_at")?,
        revoked_at: time("revoked_at")?,
        login: row.get("login")?,
        networks: text("networks")?
            .parse()
            .map_err(|_| StoreError::Corrupt("token column networks".into()))?,
        keys: keys.map_err(|_| StoreError::Corrupt("token column keys".into()))?,
        last_used_at: time("last_used_at")?,
        client_certificate: certificate
            .map_err(|_| StoreError::Corrupt("token column client_certificate".into()))?,
    })
}

/// A column of Unix seconds.
pub(super) fn timestamp(row: &Row<'_>, column: &str) -> Result<Timestamp, StoreError> {
    Timestamp::from_second(row.get(column)?)
        .map_err(|_| StoreError::Corrupt(format!("column {column} is not a time")))
}
