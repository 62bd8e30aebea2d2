//! Retest of keys that could not be read: a suspicion ends when the token opens the record. Not for suspecting a key.

use super::index::Index;
use crate::arena::Arena;
use crate::key::KeyId;
use crate::token::connection::TokenConnection;

/// Records that one retest opens at most, so that a slow token is not busy with them alone.
const RETEST_MAX: usize = 64;

/// Whose turn it is.
#[derive(Default)]
pub(crate) struct Retest {
    /// The last key of the turn before.
    last: Option<KeyId>,
}

impl Retest {
    /// Tries the next unreadable keys again. The caller has just seen a good canary; what fails here is left to the
    /// next check.
    pub(crate) fn run(&mut self, index: &Index, connection: &TokenConnection, arena: &mut Arena) {
        for id in self.turn(index.unreadable()) {
            match index.retest(connection, id, arena) {
                Ok(true) => tracing::info!(key = %id, "the record of the key can be read again"),
                Ok(false) => {}
                Err(error) => {
                    tracing::debug!(key = %id, %error, "the record of the key was not tried again");
                    return;
                }
            }
            self.last = Some(id);
        }
    }

    /// At most [`RETEST_MAX`] keys, beginning after the last one of the turn before.
    fn turn(&self, unreadable: Vec<KeyId>) -> Vec<KeyId> {
        let first = unreadable.iter().position(|id| Some(*id) > self.last).unwrap_or(0);
        let (before, after) = unreadable.split_at_checked(first).unwrap_or_default();
        after.iter().chain(before).copied().take(RETEST_MAX).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_turn_and_a_turn_is_bounded() {
        let ids: Vec<_> = (0..150).map(|number| KeyId::from_bytes([number; 16])).collect();
        let mut retest = Retest::default();
        let mut seen = Vec::new();
        for _ in 0..3 {
            let turn = retest.turn(ids.clone());
            assert_eq!(turn.len(), RETEST_MAX);
            retest.last = turn.last().copied();
            seen.extend(turn);
        }
        assert!(ids.iter().all(|id| seen.contains(id)));
        assert_eq!(retest.turn(Vec::new()), []);
        assert_eq!(retest.turn(vec![KeyId::from_bytes([7; 16])]), [KeyId::from_bytes([7; 16])]);
    }
}
