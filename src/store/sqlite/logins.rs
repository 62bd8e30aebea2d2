//! The challenge key, and challenges that were used for an access token.

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use zeroize::Zeroizing;

use super::access_tokens;
use crate::auth::{AccessTokenHash, ChallengeKey};
use crate::store::backend::{ChallengeUse, Login};
use crate::store::error::StoreError;

/// Reads the key that authenticates challenges, and makes it in a new store.
pub(super) fn challenge_key(connection: &Connection) -> Result<ChallengeKey, StoreError> {
    let sql = "SELECT key FROM challenge_key";
    if let Some(key) = connection.query_row(sql, [], |row| row.get(0)).optional()? {
        return Ok(ChallengeKey::new(key));
    }
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *key).map_err(StoreError::Random)?;
    connection.execute("INSERT INTO challenge_key (only, key) VALUES (1, ?1)", params![*key])?;
    Ok(ChallengeKey::new(*key))
}

pub(super) fn is_used(connection: &Connection, nonce: &[u8; 32]) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM used_challenge WHERE nonce = ?1";
    Ok(connection.query_row(sql, params![nonce], |_| Ok(())).optional()?.is_some())
}

pub(super) fn log_in(connection: &Connection, login: &Login) -> Result<ChallengeUse, StoreError> {
    let before = login.delete_expired_before.as_second();
    let insert = "INSERT INTO used_challenge (nonce, expires_at) VALUES (?1, ?2)";
    let expires_at = login.challenge_expires_at.as_second();
    match connection.execute(insert, params![login.nonce, expires_at]) {
        Ok(_) => {}
        Err(rusqlite::Error::SqliteFailure(error, _)) if error.code == ErrorCode::ConstraintViolation => {
            return Ok(ChallengeUse::AlreadyUsed);
        }
        Err(error) => return Err(error.into()),
    }
    connection.execute(
        "DELETE FROM used_challenge WHERE expires_at <= ?1 AND nonce <> ?2",
        params![before, login.nonce],
    )?;
    let mut statement = connection.prepare(
        "DELETE FROM access_token WHERE login = 1 AND (expires_at <= ?1 OR id IN (
             SELECT id FROM access_token WHERE login = 1 AND subject = ?2
             ORDER BY created_at DESC, rowid DESC LIMIT -1 OFFSET ?3))
         RETURNING hash",
    )?;
    let others = login.tokens_per_owner.saturating_sub(1);
    let deleted = statement
        .query_map(params![before, login.record.subject.to_string(), others], |row| row.get(0))?
        .map(|hash| hash.map(AccessTokenHash::new))
        .collect::<Result<_, _>>()?;
    access_tokens::insert(connection, &login.hash, &login.record)?;
    Ok(ChallengeUse::Accepted(deleted))
}
