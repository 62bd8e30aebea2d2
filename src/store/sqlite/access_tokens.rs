//! Access tokens.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::rows::{optional_time, timestamp};
use crate::auth::{AccessTokenHash, AccessTokenId, AccessTokenRecord};
use crate::key::KeyName;
use crate::store::authentic::{Place, Row as AuthenticRow, Rows};
use crate::store::error::StoreError;

pub(super) fn load(
    connection: &Connection,
    verified: &mut Rows,
) -> Result<Vec<(AccessTokenHash, AccessTokenRecord)>, StoreError> {
    let mut statement = connection.prepare("SELECT * FROM access_token")?;
    let mut rows = statement.query([])?;
    let mut tokens = Vec::new();
    while let Some(row) = rows.next()? {
        let (hash, record) = (AccessTokenHash::new(row.get("hash")?), record_from(row)?);
        verified.load(&AuthenticRow::access_token(&hash, &record), &row.get::<_, Vec<u8>>("mac")?);
        tokens.push((hash, record));
    }
    Ok(tokens)
}

pub(super) fn insert(
    connection: &Connection,
    rows: &mut Rows,
    hash: &AccessTokenHash,
    record: &AccessTokenRecord,
) -> Result<(), StoreError> {
    let keys: Vec<_> = record.keys.iter().map(KeyName::as_str).collect();
    connection.execute(
        "INSERT INTO access_token (id, hash, subject, scopes, created_at, expires_at, login, networks, keys,
             client_certificate, mac)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
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
            rows.put(&AuthenticRow::access_token(hash, record)),
        ],
    )?;
    Ok(())
}

pub(super) fn revoke(
    connection: &Connection,
    rows: &mut Rows,
    revoked: &[(AccessTokenHash, AccessTokenRecord)],
) -> Result<(), StoreError> {
    let mut statement =
        connection.prepare("UPDATE access_token SET revoked_at = ?2, mac = ?3 WHERE hash = ?1")?;
    for (hash, record) in revoked {
        let row = AuthenticRow::access_token(hash, record);
        let at = record.revoked_at.map(Timestamp::as_second);
        if statement.execute(params![hash.as_bytes(), at, rows.put(&row)])? != 1 {
            return Err(StoreError::Forged(row.to_string()));
        }
    }
    Ok(())
}

pub(super) fn set_last_use(
    connection: &Connection,
    id: &AccessTokenId,
    at: Timestamp,
) -> Result<(), StoreError> {
    let sql = "UPDATE access_token SET last_used_at = ?2 WHERE id = ?1";
    connection.execute(sql, params![id.as_str(), at.as_second()])?;
    Ok(())
}

pub(super) fn delete(
    connection: &Connection,
    rows: &mut Rows,
    hashes: &[AccessTokenHash],
) -> Result<(), StoreError> {
    let mut statement = connection.prepare("DELETE FROM access_token WHERE hash = ?1")?;
    for hash in hashes {
        statement.execute(params![hash.as_bytes()])?;
        rows.remove(Place::access_token(hash));
    }
    Ok(())
}

fn record_from(row: &Row<'_>) -> Result<AccessTokenRecord, StoreError> {
    let text = |column: &str| row.get::<_, String>(column);
    let corrupt = |column: &str| StoreError::Corrupt(format!("access token column {column}"));
    let keys = text("keys")?.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>();
    let certificate: Option<String> = row.get("client_certificate")?;
    let certificate = certificate.map(|text| text.parse()).transpose();
    Ok(AccessTokenRecord {
        id: text("id")?.parse().map_err(|_| corrupt("id"))?,
        subject: text("subject")?.parse().map_err(|_| corrupt("subject"))?,
        scopes: text("scopes")?.parse().map_err(|_| corrupt("scopes"))?,
        created_at: timestamp(row, "created_at")?,
        expires_at: timestamp(row, "expires_at")?,
        revoked_at: optional_time(row, "revoked_at")?,
        login: row.get("login")?,
        networks: text("networks")?.parse().map_err(|_| corrupt("networks"))?,
        keys: keys.map_err(|_| corrupt("keys"))?,
        last_used_at: optional_time(row, "last_used_at")?,
        client_certificate: certificate.map_err(|_| corrupt("client_certificate"))?,
    })
}
