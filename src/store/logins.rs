//! Logins: which challenges were used, and the token that each gave, in one transaction.

use std::sync::PoisonError;

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use zeroize::Zeroizing;

use super::{Store, StoreError, tokens};
use crate::auth::{AccessTokenHash, AccessTokenRecord, Challenge, ChallengeKey};

/// How many tokens of logins an EOA has at a time; one more takes the place of the oldest.
const MOST_PER_EOA: u32 = 32;

/// How long what expired is kept, seconds: so long the holder of a token is told that it expired.
const KEPT: i64 = 3_600;

/// How many are forgotten while everybody waits: room for as many logins.
const FORGOTTEN_AT_ONCE: usize = 1_000;

/// Whether a challenge gave a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoggedIn {
    /// It did, now.
    Now,
    /// It was used before; nothing was done.
    Before,
}

/// The key that seals challenges: made once, with the store.
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

impl Store {
    /// What seals challenges.
    pub const fn challenge_key(&self) -> &ChallengeKey {
        &self.challenge_key
    }

    /// Whether a challenge was used.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn is_spent(&self, nonce: &[u8; 32]) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM spent_challenge WHERE nonce = ?1";
        let found = self.connection().query_row(sql, params![nonce], |_| Ok(()));
        Ok(found.optional()?.is_some())
    }

    /// Forgets tokens of logins that expired an hour ago. How many.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn forget_expired(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.forget(usize::MAX, |record| record.expires_at.as_second() <= now.as_second() - KEPT)
    }

    /// Forgets some tokens of logins that work no more: telling their holders why counts less than room for others.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn forget_dead(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.forget(FORGOTTEN_AT_ONCE, |record| record.expires_at <= now || record.revoked_at.is_some())
    }

    /// Chosen in memory: a search of the table would keep every writer waiting.
    fn forget(&self, most: usize, is_gone: impl Fn(&AccessTokenRecord) -> bool) -> Result<usize, StoreError> {
        let mut connection = self.connection();
        let gone = {
            let index = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
            index.hashes_of(most, |record| record.login && is_gone(record))
        };
        if gone.is_empty() {
            return Ok(0);
        }
        let transaction = connection.transaction()?;
        {
            let mut statement = transaction.prepare("DELETE FROM token WHERE hash = ?1")?;
            for hash in &gone {
                statement.execute(params![hash.as_bytes()])?;
            }
        }
        transaction.commit()?;
        let mut index = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        for hash in &gone {
            index.remove(hash);
        }
        Ok(gone.len())
    }

    /// Spends a challenge for a token, both or neither. Durable when it returns. Forgets challenges that nobody can
    /// use any more, and tokens of logins that are long expired or too many.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn log_in(
        &self,
        challenge: &Challenge,
        hash: AccessTokenHash,
        record: AccessTokenRecord,
        now: Timestamp,
    ) -> Result<LoggedIn, StoreError> {
        let now = now.as_second();
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        // Later than they expire: clocks are set back, too.
        transaction.execute("DELETE FROM spent_challenge WHERE expires_at <= ?1", params![now - KEPT])?;
        let spend = "INSERT INTO spent_challenge (nonce, expires_at) VALUES (?1, ?2)";
        match transaction.execute(spend, params![challenge.nonce, challenge.expires_at().as_second()]) {
            Ok(_) => {}
            Err(rusqlite::Error::SqliteFailure(error, _)) if error.code == ErrorCode::ConstraintViolation => {
                return Ok(LoggedIn::Before);
            }
            Err(error) => return Err(error.into()),
        }
        let gone: Vec<[u8; 32]> = {
            let mut statement = transaction.prepare(
                "DELETE FROM token WHERE login = 1 AND (expires_at <= ?1 OR id IN (
                     SELECT id FROM token WHERE login = 1 AND subject = ?2
                     ORDER BY created_at DESC, rowid DESC LIMIT -1 OFFSET ?3))
                 RETURNING hash",
            )?;
            let values = params![now - KEPT, record.subject.to_string(), MOST_PER_EOA - 1];
            statement.query_map(values, |row| row.get(0))?.collect::<Result<_, _>>()?
        };
        tokens::insert(&transaction, &hash, &record)?;
        transaction.commit()?;
        let mut index = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        for hash in gone {
            index.remove(&AccessTokenHash::new(hash));
        }
        index.insert(hash, record);
        Ok(LoggedIn::Now)
    }
}
