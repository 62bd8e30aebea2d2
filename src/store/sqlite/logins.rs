//! Challenges that were used for an access token.

use rusqlite::{Connection, params};

use super::access_tokens;
use crate::auth::AccessTokenHash;
use crate::store::authentic::{Place, Row, Rows};
use crate::store::backend::{ChallengeUse, Login};
use crate::store::error::StoreError;

/// Verifies the used challenges at the start.
pub(super) fn load_used(connection: &Connection, verified: &mut Rows) -> Result<(), StoreError> {
    let mut statement = connection.prepare("SELECT nonce, expires_at, mac FROM used_challenge")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let used = Row::used_challenge(&row.get("nonce")?, row.get("expires_at")?);
        verified.load(&used, &row.get::<_, Vec<u8>>("mac")?);
    }
    Ok(())
}

/// From memory: a row that is deleted in the file stays used.
pub(super) fn is_used(rows: &Rows, nonce: &[u8; 32]) -> bool {
    rows.contains(&Place::used_challenge(nonce))
}

pub(super) fn log_in(
    connection: &Connection,
    rows: &mut Rows,
    login: &Login,
) -> Result<ChallengeUse, StoreError> {
    if is_used(rows, &login.nonce) {
        return Ok(ChallengeUse::AlreadyUsed);
    }
    let before = login.delete_expired_before.as_second();
    let expires_at = login.challenge_expires_at.as_second();
    let mac = rows.put(&Row::used_challenge(&login.nonce, expires_at));
    let insert = "INSERT INTO used_challenge (nonce, expires_at, mac) VALUES (?1, ?2, ?3)";
    connection.execute(insert, params![login.nonce, expires_at, mac])?;
    let mut statement = connection.prepare(
        "DELETE FROM used_challenge WHERE expires_at <= ?1 AND nonce <> ?2 RETURNING nonce, expires_at",
    )?;
    let mut expired = statement.query(params![before, login.nonce])?;
    while let Some(row) = expired.next()? {
        let nonce = row.get("nonce")?;
        // A row whose date was edited would make a used challenge work again.
        rows.check(&Row::used_challenge(&nonce, row.get("expires_at")?))?;
        rows.remove(Place::used_challenge(&nonce));
    }
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
        .collect::<Result<Vec<_>, _>>()?;
    deleted.iter().for_each(|hash| rows.remove(Place::access_token(hash)));
    access_tokens::insert(connection, rows, &login.hash, &login.record)?;
    Ok(ChallengeUse::Accepted(deleted))
}
