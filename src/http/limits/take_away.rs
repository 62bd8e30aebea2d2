//! Places of requests that only take away (disable, revoke): some for each EOA, beside all queues.
//!
//! Others cannot use up the places of an EOA. What exceeds them waits with all other requests.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use crate::key::Eoa;

/// Places of one EOA.
const PLACES: usize = 8;

type Taken = Arc<Mutex<HashMap<Option<Eoa>, usize>>>;

/// The places that are taken.
#[derive(Clone, Debug, Default)]
pub(super) struct TakeAwayPlaces(Taken);

/// A place; given back when dropped.
#[derive(Debug)]
pub(crate) struct TakeAwayPlace {
    taken: Taken,
    eoa: Option<Eoa>,
}

impl TakeAwayPlaces {
    /// A place at once, if its EOA has one left.
    pub(super) fn take(&self, eoa: Option<Eoa>) -> Option<TakeAwayPlace> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(eoa).or_default();
        if *count >= PLACES {
            return None;
        }
        *count += 1;
        Some(TakeAwayPlace { taken: Arc::clone(&self.0), eoa })
    }
}

impl Drop for TakeAwayPlace {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = taken.entry(self.eoa) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eoa_has_places_of_its_own_and_forgets_them() {
        let places = TakeAwayPlaces::default();
        let (one, other) = (Some(Eoa::new([1; 20])), Some(Eoa::new([2; 20])));
        let taken: Vec<_> = std::iter::from_fn(|| places.take(one)).collect();
        assert_eq!(taken.len(), PLACES);
        assert!(places.take(other).is_some() && places.take(None).is_some());
        drop(taken);
        assert!(places.take(one).is_some());
        assert!(places.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty());
    }
}
