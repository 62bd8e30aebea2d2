//! Tokens: the hash of each, what it allows, until when.

use std::collections::HashMap;
use std::sync::PoisonError;

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::{Store, StoreError};
use crate::auth::{TokenHash, TokenId, TokenRecord};

#[derive(Debug, Default)]
pub(super) struct Index {
    by_hash: HashMap<TokenHash, TokenRecord>,
    by_id: HashMap<TokenId, TokenHash>,
}

impl Index {
    pub(super) fn load(connection: &Connection) -> Result<Self, StoreError> {
        let mut index = Self::default();
        let mut statement = connection.prepare("SELECT * FROM token")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            index.insert(TokenHash::new(row.get("hash")?), record_from(row)?);
        }
        Ok(index)
    }
}

impl Index {
    fn insert(&mut self, hash: TokenHash, record: TokenRecord) {
        self.by_id.insert(record.id.clone(), hash);
        self.by_hash.insert(hash, record);
    }
}

impl Store {
    /// Keeps a new token. Durable when it returns.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn insert_token(&self, hash: TokenHash, record: TokenRecord) -> Result<(), StoreError> {
        let connection = self.connection();
        connection.execute(
            "INSERT INTO token (id, hash, subject, scopes, created_at, expires_at, client_certificate)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                record.id.as_str(),
                hash.as_bytes(),
                record.subject.to_string(),
                record.scopes.to_string(),
                record.created_at.as_second(),
                record.expires_at.as_second(),
                record.client_certificate.map(|certificate| certificate.to_string()),
            ],
        )?;
        self.tokens.write().unwrap_or_else(PoisonError::into_inner).insert(hash, record);
        Ok(())
    }

    /// Revokes a token; `None` if there is no such token. Revoking twice keeps the first time.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn revoke_token(&self, id: &TokenId, now: Timestamp) -> Result<Option<TokenRecord>, StoreError> {
        let connection = self.connection();
        let sql = "UPDATE token SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1";
        if connection.execute(sql, params![id.as_str(), now.as_second()])? == 0 {
            return Ok(None);
        }
        let mut index = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        let record = index.by_hash.values_mut().find(|record| record.id == *id);
        Ok(record.map(|record| {
            record.revoked_at.get_or_insert(now);
            record.clone()
        }))
    }

    /// What is known of the token with this hash.
    pub fn token(&self, hash: &TokenHash) -> Option<TokenRecord> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).by_hash.get(hash).cloned()
    }

    /// Whether a token that was recognised a while ago would still be.
    pub fn is_live(&self, id: &TokenId, now: Timestamp) -> bool {
        let index = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let record = index.by_id.get(id).and_then(|hash| index.by_hash.get(hash));
        record.is_some_and(|record| record.revoked_at.is_none() && now < record.expires_at)
    }

    /// Every token, oldest first.
    pub fn all_tokens(&self) -> Vec<TokenRecord> {
        let index = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let mut records: Vec<_> = index.by_hash.values().cloned().collect();
        records.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        records
    }
}

fn record_from(row: &Row<'_>) -> Result<TokenRecord, StoreError> {
    let text = |column: &str| row.get::<_, String>(column);
    let senseless = |column: &'static str| move |_| StoreError::Corrupt(format!("token column {column}"));
    let revoked: Option<i64> = row.get("revoked_at")?;
    let certificate: Option<String> = row.get("client_certificate")?;
    let certificate = certificate.map(|text| text.parse()).transpose();
    Ok(TokenRecord {
        id: text("id")?.parse().map_err(|_| StoreError::Corrupt("token column id".into()))?,
        subject: text("subject")?.parse().map_err(senseless("subject"))?,
        scopes: text("scopes")?.parse().map_err(|_| StoreError::Corrupt("token column scopes".into()))?,
        created_at: timestamp(row, "created_at")?,
        expires_at: timestamp(row, "expires_at")?,
        revoked_at: revoked.map(|_| timestamp(row, "revoked_at")).transpose()?,
        client_certificate: certificate
            .map_err(|_| StoreError::Corrupt("token column client_certificate".into()))?,
    })
}

/// A column of Unix seconds.
pub(super) fn timestamp(row: &Row<'_>, column: &str) -> Result<Timestamp, StoreError> {
    Timestamp::from_second(row.get(column)?)
        .map_err(|_| StoreError::Corrupt(format!("column {column} is not a time")))
}
