//! Where the wrapped records of an installation are: in the token, or outside it. Decided at `init`, and found at each
//! start by the canary record. Not for the records.

use std::ops::Deref;
use std::sync::Arc;

use super::anchor;
use crate::error::OpenError;
use crate::labels::{CANARY_LABEL, Naming};
use crate::pkcs11::{Session, TokenError};
use crate::records::{Found, InMemory, Records, RecordsError};
use crate::settings::{LocationChoice, Settings};
use crate::wrap::{Template, TokenRecords, kek_named_in};

/// The place of the records, and how the token takes data objects.
///
/// While keys move (`runtime::rewrap`) one place may have records of two key-encryption keys under the same labels.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) template: Arc<Template>,
    /// None: the token.
    outside: Option<Arc<dyn Records + Send + Sync>>,
    /// The key-encryption key whose records count; none: all do.
    kek: Option<[u8; 16]>,
    /// Whose objects are looked for and made.
    pub(crate) naming: Naming,
}

impl Place {
    /// The place that has the canary record of this key-encryption key; of any, where that is not known.
    pub(crate) fn find(
        session: &Session,
        settings: &Settings,
        kek: Option<[u8; 16]>,
    ) -> Result<Self, OpenError> {
        if let Some(found) = Self::holding_canary(session, settings, kek)? {
            return Ok(found);
        }
        match Self::holding_canary(session, settings, None)? {
            // That of another key-encryption key.
            Some(_) => Err(OpenError::CanaryFailed { source: None }),
            None => Err(OpenError::CanaryMissing { count: 0 }),
        }
    }

    /// The place for the records of a new installation; that of the canary record where there is one.
    pub(crate) fn choose(session: &Session, settings: &Settings) -> Result<Self, OpenError> {
        match Self::holding_canary(session, settings, None)? {
            Some(found) => Ok(found),
            None => Self::for_new(session, settings),
        }
    }

    /// The same of one key-encryption key alone.
    pub(crate) fn choose_for(
        session: &Session,
        settings: &Settings,
        kek: [u8; 16],
    ) -> Result<Self, OpenError> {
        match Self::holding_canary(session, settings, Some(kek))? {
            Some(found) => Ok(found),
            None => Ok(Self::for_new(session, settings)?.of(Some(kek))),
        }
    }

    /// Both places in which records of this key-encryption key may be, whether any are.
    pub(crate) fn all_of(settings: &Settings, kek: [u8; 16]) -> Vec<Self> {
        let outside = settings.records.clone().map(Self::outside);
        outside.into_iter().chain([Self::in_token()]).map(|place| place.of(Some(kek))).collect()
    }

    fn for_new(session: &Session, settings: &Settings) -> Result<Self, OpenError> {
        let (token, outside) = (Self::in_token(), settings.records.clone().map(Self::outside));
        match (settings.location, outside) {
            (LocationChoice::Store, Some(outside)) => Ok(outside),
            (LocationChoice::Store, None) => {
                Err(OpenError::Settings("keys.location is store, and no store was given"))
            }
            (LocationChoice::Auto | LocationChoice::Token, outside) => match token.template.probe(session) {
                Ok(()) => Ok(token),
                Err(error) if error.refuses_template() => {
                    let allowed = outside.filter(|_| settings.location == LocationChoice::Auto);
                    let outside = allowed.ok_or(OpenError::NoDataObjects { source: error })?;
                    tracing::info!(%error, "the token takes no data objects; the wrapped records are in the store");
                    Ok(outside)
                }
                Err(error) => Err(error.into()),
            },
        }
    }

    fn holding_canary(
        session: &Session,
        settings: &Settings,
        kek: Option<[u8; 16]>,
    ) -> Result<Option<Self>, OpenError> {
        let token = Self::in_token().of(kek);
        let outside = settings.records.clone().map(|records| Self::outside(records).of(kek));
        let holds =
            |place: &Self| Ok::<_, RecordsError>(!place.records(session).find(CANARY_LABEL)?.is_empty());
        let in_token = holds(&token)?;
        let outside = match outside {
            Some(outside) if holds(&outside)? => Some(outside),
            Some(_) | None => None,
        };
        match (settings.location, in_token, outside) {
            (_, true, Some(_)) => Err(OpenError::TwoPlaces),
            (LocationChoice::Store, true, None) => Err(OpenError::LocationRefused(token.name())),
            (LocationChoice::Token, false, Some(outside)) => Err(OpenError::LocationRefused(outside.name())),
            (_, true, None) => Ok(Some(token)),
            (_, false, outside) => Ok(outside),
        }
    }

    /// The token, whether its records are there or not.
    pub(crate) fn in_token() -> Self {
        Self { template: Arc::default(), outside: None, kek: None, naming: Naming::Installation }
    }

    fn outside(records: Arc<dyn Records + Send + Sync>) -> Self {
        Self { outside: Some(records), ..Self::in_token() }
    }

    fn of(self, kek: Option<[u8; 16]>) -> Self {
        Self { kek, ..self }
    }

    /// The same place for a rehearsal, with nothing in it.
    pub(crate) fn rehearsing(self) -> Self {
        let outside = self.outside.map(|_| Arc::new(InMemory::default()) as _);
        Self { outside, naming: Naming::Rehearsal, ..self }
    }

    /// Whether the records are data objects of the token.
    pub(crate) const fn is_token(&self) -> bool {
        self.outside.is_none()
    }

    /// Its name in settings and reports.
    pub(crate) const fn name(&self) -> &'static str {
        if self.is_token() { "token" } else { "store" }
    }

    /// The records, for as long as the session may be used.
    pub(crate) fn records<'a>(&'a self, session: &'a Session) -> Reached<'a> {
        let place = match &self.outside {
            None => Where::Token(TokenRecords { session, template: &self.template, naming: self.naming }),
            Some(outside) => Where::Outside(&**outside),
        };
        Reached { place, kek: self.kek }
    }

    /// Whether the token keeps the audit log's anchor: one that has none now is asked whether it takes data objects.
    pub(crate) fn keeps_anchors(&self, session: &Session) -> Result<bool, TokenError> {
        if self.is_token() || !anchor::read(session)?.is_empty() {
            return Ok(true);
        }
        match self.template.probe(session) {
            Ok(()) => Ok(true),
            Err(error) if error.refuses_template() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The records as a session reaches them, those of one key-encryption key alone.
pub(crate) struct Reached<'a> {
    place: Where<'a>,
    kek: Option<[u8; 16]>,
}

enum Where<'a> {
    Token(TokenRecords<'a>),
    Outside(&'a (dyn Records + Send + Sync)),
}

impl Reached<'_> {
    fn all(&self) -> &dyn Records {
        match &self.place {
            Where::Token(records) => records,
            Where::Outside(records) => *records,
        }
    }

    /// Whether the value counts here: one that names no key-encryption key is everyone's, so that damage is seen.
    fn counts(&self, value: &[u8]) -> bool {
        let named = self.kek.and_then(|_| kek_named_in(value));
        named.is_none() || named == self.kek
    }
}

impl Records for Reached<'_> {
    fn find(&self, label: &str) -> Result<Vec<Vec<u8>>, RecordsError> {
        let mut found = self.all().find(label)?;
        found.retain(|value| self.counts(value));
        Ok(found)
    }

    fn scan(&self, each: &mut dyn FnMut(Found<'_>)) -> Result<(), RecordsError> {
        self.all().scan(&mut |found| match found {
            Found::Value { value, .. } if !self.counts(value) => each(Found::Foreign),
            found @ (Found::Value { .. } | Found::Incomplete | Found::Foreign) => each(found),
        })
    }

    fn insert(&self, label: &str, value: &[u8]) -> Result<(), RecordsError> {
        self.all().insert(label, value)
    }

    fn remove_value(&self, label: &str, value: &[u8]) -> Result<(), RecordsError> {
        self.all().remove_value(label, value)
    }
}

impl<'a> Deref for Reached<'a> {
    type Target = dyn Records + 'a;

    fn deref(&self) -> &Self::Target {
        self
    }
}
