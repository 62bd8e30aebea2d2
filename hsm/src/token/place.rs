//! Where the wrapped records of an installation are: in the token, or outside it. Decided at `init`, and found at each
//! start by the canary record. Not for the records.

use std::ops::Deref;
use std::sync::Arc;

use super::anchor;
use crate::error::OpenError;
use crate::labels::CANARY_LABEL;
use crate::pkcs11::{Session, TokenError};
use crate::records::{Records, RecordsError};
use crate::settings::{LocationChoice, Settings};
use crate::wrap::{Template, TokenRecords};

/// The place of the records, and how the token takes data objects.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) template: Arc<Template>,
    /// None: the token.
    outside: Option<Arc<dyn Records + Send + Sync>>,
}

impl Place {
    /// The place that has the canary record.
    pub(crate) fn find(session: &Session, settings: &Settings) -> Result<Self, OpenError> {
        Self::holding_canary(session, settings)?.ok_or(OpenError::CanaryMissing { count: 0 })
    }

    /// The place for the records of a new installation; that of the canary record where there is one.
    pub(crate) fn choose(session: &Session, settings: &Settings) -> Result<Self, OpenError> {
        if let Some(found) = Self::holding_canary(session, settings)? {
            return Ok(found);
        }
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

    fn holding_canary(session: &Session, settings: &Settings) -> Result<Option<Self>, OpenError> {
        let (token, outside) = (Self::in_token(), settings.records.clone().map(Self::outside));
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
        Self { template: Arc::default(), outside: None }
    }

    fn outside(records: Arc<dyn Records + Send + Sync>) -> Self {
        Self { template: Arc::default(), outside: Some(records) }
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
        match &self.outside {
            None => Reached::Token(TokenRecords { session, template: &self.template }),
            Some(outside) => Reached::Outside(&**outside),
        }
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

/// The records as a session reaches them.
pub(crate) enum Reached<'a> {
    Token(TokenRecords<'a>),
    Outside(&'a (dyn Records + Send + Sync)),
}

impl<'a> Deref for Reached<'a> {
    type Target = dyn Records + 'a;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Token(records) => records,
            Self::Outside(records) => *records,
        }
    }
}
