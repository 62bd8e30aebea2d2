//! Access tokens: authentication with one, issue, list and revocation.

use std::net::IpAddr;
use std::time::Duration;

use audit_log::Value;
use jiff::Timestamp;

use super::authorise::Authorizer;
use crate::auth::{
    AccessToken, AccessTokenId, AccessTokenRecord, Caller, CertificateFingerprint, Networks, Scope, Scopes,
    Subject, Unauthenticated, authenticate,
};
use crate::clock::Clock;
use crate::key::KeyName;
use crate::service::context::Context;
use crate::service::error::ServiceError;
use crate::service::error_code::ErrorCode;
use crate::service::operation::{
    ACCESS_TOKENS_ISSUE, ACCESS_TOKENS_LIST, ACCESS_TOKENS_REVOKE, AUTH_REVOKE, OperationInfo,
};
use crate::service::recorder::{RecordedChange, Recorder};
use crate::service::subject::AuditSubject;
use crate::store::Store;

/// The longest life of an access token, 90 days: a runbook host's token is renewed each quarter.
const LONGEST_LIFE: Duration = Duration::from_secs(90 * 86_400);

/// A request to issue an access token.
#[derive(Debug)]
pub struct IssueAccessToken {
    /// Whose keys it is good for.
    pub subject: Subject,
    /// What it allows.
    pub scopes: Scopes,
    /// How long it is valid.
    pub life: Duration,
    /// Client networks; `None` for this host only.
    pub networks: Option<Networks>,
    /// Names of keys; empty for all of the subject.
    pub keys: Vec<KeyName>,
    /// The client certificate that it is bound to.
    pub client_certificate: Option<CertificateFingerprint>,
}

/// A request to revoke access tokens.
#[derive(Debug)]
pub enum RevokeAccessTokens {
    /// Every access token of this subject.
    AllOf(Subject),
    /// One access token.
    One(AccessTokenId),
}

/// A new access token: its text leaves the service only here.
#[derive(Debug)]
pub struct Issued {
    /// The access token.
    pub token: AccessToken,
    /// What is kept of it.
    pub record: AccessTokenRecord,
}

/// An access token that was not accepted.
#[derive(Debug)]
pub struct Rejected {
    /// Why.
    pub error: Unauthenticated,
    /// Id and subject of a token that is known and was presented from the wrong network.
    pub misplaced: Option<(AccessTokenId, Subject)>,
}

/// Access tokens.
#[derive(Clone, Debug)]
pub struct AccessTokens {
    authorizer: Authorizer,
    recorder: Recorder,
    store: Store,
    clock: Clock,
}

impl AccessTokens {
    pub(in crate::service) fn new(
        (authorizer, recorder): (Authorizer, Recorder),
        store: Store,
        clock: Clock,
    ) -> Self {
        Self { authorizer, recorder, store, clock }
    }

    /// The caller of an `Authorization` header with an access token.
    ///
    /// # Errors
    /// When the token is unknown, expired, revoked or from the wrong network. A token that is bound to another client
    /// certificate is as unknown as one that does not exist.
    pub fn authenticate(
        &self,
        header: Option<&str>,
        from: IpAddr,
        certificate: Option<CertificateFingerprint>,
    ) -> Result<Caller, Rejected> {
        let mut presented = None;
        let caller = authenticate(header, Some(from), self.clock.latest(), |hash| {
            let record = self.store.access_token(hash).filter(|record| record.works_with(certificate));
            presented = record.as_ref().map(|record| (record.id.clone(), record.subject));
            record
        });
        caller.map_err(|error| {
            let misplaced = presented.filter(|_| error == Unauthenticated::WrongNetwork);
            Rejected { error, misplaced }
        })
    }

    /// Notes that an access token is used. Once a minute the store writes that down; the request does not wait.
    pub fn touch(&self, caller: &Caller) {
        let at = self.clock.now();
        let Some(id) = caller.token_id().filter(|id| self.store.touch(id, at)).cloned() else { return };
        let store = self.store.clone();
        tokio::spawn(async move {
            if let Err(error) = store.write_last_use(id.clone(), at).await {
                tracing::warn!(%error, %id, "the last use of an access token was not stored");
            }
        });
    }

    /// Issues an access token.
    ///
    /// # Errors
    /// When the caller is not the administrator of this host, the request is out of bounds, or a write fails.
    pub async fn issue(&self, context: Context, request: IssueAccessToken) -> Result<Issued, ServiceError> {
        self.authorizer.local(&ACCESS_TOKENS_ISSUE, &context)?;
        let wrong = if request.scopes.is_empty() {
            Some(("scopes", "an access token needs at least one scope"))
        } else if request.scopes.contains(Scope::KeysDestroy) {
            let message = "keys:destroy in an access token allows nothing: destroying and restoring take a signed \
                           request of the EOA, or the command line on the host";
            Some(("scopes", message))
        } else if request.life > LONGEST_LIFE || request.life.as_secs() == 0 {
            Some(("ttl", "an access token is valid for between one second and 90 days"))
        } else {
            None
        };
        if let Some((field, message)) = wrong {
            let error = ServiceError::new(ErrorCode::InvalidRequest, message).field(field);
            return Err(self.recorder.refuse(&ACCESS_TOKENS_ISSUE, &context, AuditSubject::default(), error));
        }
        let created_at = Timestamp::from_second(self.clock.latest().as_second());
        let created_at = created_at.map_err(ServiceError::internal)?;
        let token = AccessToken::random().map_err(ServiceError::internal)?;
        let record = AccessTokenRecord {
            id: AccessTokenId::random().map_err(ServiceError::internal)?,
            subject: request.subject,
            scopes: request.scopes,
            created_at,
            expires_at: created_at.saturating_add(request.life).map_err(ServiceError::internal)?,
            revoked_at: None,
            client_certificate: request.client_certificate,
            login: false,
            networks: request.networks.unwrap_or_else(Networks::loopback),
            keys: request.keys,
            last_used_at: None,
        };
        let mut facts = facts_of(&record);
        facts.push(("networks", Value::Text(record.networks.to_string())));
        if !record.keys.is_empty() {
            let keys: Vec<_> = record.keys.iter().map(KeyName::as_str).collect();
            facts.push(("keys", Value::Text(keys.join(" "))));
        }
        if let Some(certificate) = record.client_certificate {
            facts.push(("client_certificate", Value::Text(certificate.to_string())));
        }
        let change = RecordedChange { operation: &ACCESS_TOKENS_ISSUE, context, actor: None, facts };
        let inserted = self.store.insert_access_token(token.hash(), record.clone());
        self.recorder.change(change, inserted).await?;
        Ok(Issued { token, record })
    }

    /// At most this many access tokens without their secrets, oldest first, behind the one of this time and id.
    ///
    /// # Errors
    /// When the caller is not the administrator of this host.
    pub fn list(
        &self,
        context: &Context,
        after: Option<&(Timestamp, AccessTokenId)>,
        most: usize,
    ) -> Result<Vec<AccessTokenRecord>, ServiceError> {
        self.authorizer.local(&ACCESS_TOKENS_LIST, context)?;
        if after.is_none() {
            self.recorder.note(&ACCESS_TOKENS_LIST, context, AuditSubject::default(), "ok");
        }
        Ok(self.store.access_tokens_after(after, most))
    }

    /// Revokes access tokens at once, and returns those that it found. Revoking twice is no error.
    ///
    /// # Errors
    /// When the caller is not the administrator of this host, there is no such token, or a write fails.
    pub async fn revoke(
        &self,
        context: Context,
        request: RevokeAccessTokens,
    ) -> Result<Vec<AccessTokenRecord>, ServiceError> {
        self.authorizer.local(&ACCESS_TOKENS_REVOKE, &context)?;
        match request {
            RevokeAccessTokens::AllOf(subject) => {
                let facts = vec![("subject", Value::Text(subject.to_string()))];
                let change = RecordedChange { operation: &ACCESS_TOKENS_REVOKE, context, actor: None, facts };
                let revoked = self.store.revoke_access_tokens_of(subject, self.clock.now());
                self.recorder.change(change, revoked).await
            }
            RevokeAccessTokens::One(id) => {
                let revoked = self.revoke_by_id(context, &ACCESS_TOKENS_REVOKE, id).await?;
                let unknown =
                    || ServiceError::new(ErrorCode::NotFound, "there is no such access token").recorded();
                Ok(vec![revoked.ok_or_else(unknown)?])
            }
        }
    }

    /// Revokes the access token that the request carries.
    ///
    /// # Errors
    /// When the request carries none, or a write fails.
    pub async fn revoke_own(&self, context: Context) -> Result<(), ServiceError> {
        let Some(id) = context.caller().and_then(Caller::token_id).cloned() else {
            let message = "this call revokes the access token that it is made with";
            let error = ServiceError::new(ErrorCode::InvalidRequest, message);
            return Err(self.recorder.refuse(&AUTH_REVOKE, &context, AuditSubject::default(), error));
        };
        self.revoke_by_id(context, &AUTH_REVOKE, id).await.map(drop)
    }

    async fn revoke_by_id(
        &self,
        context: Context,
        operation: &'static OperationInfo,
        id: AccessTokenId,
    ) -> Result<Option<AccessTokenRecord>, ServiceError> {
        let facts = vec![("token_id", Value::Text(id.to_string()))];
        let change = RecordedChange { operation, context, actor: None, facts };
        self.recorder.change(change, self.store.revoke_access_token(id, self.clock.now())).await
    }
}

/// A new access token as the audit log records it.
pub(super) fn facts_of(record: &AccessTokenRecord) -> Vec<(&'static str, Value)> {
    vec![
        ("token_id", Value::Text(record.id.to_string())),
        ("subject", Value::Text(record.subject.to_string())),
        ("scopes", Value::Text(record.scopes.to_string())),
        ("expires_at", Value::Text(record.expires_at.to_string())),
    ]
}
