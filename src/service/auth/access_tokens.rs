//! `avs-kms token issue|list|revoke`, which only the machine's own operator does, and the revocation of one's own.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::auth::{
    AccessToken, AccessTokenId, AccessTokenRecord, Caller, CertificateFingerprint, Networks, Scopes, Subject,
};
use crate::key::KeyName;
use crate::service::{AuditSubject, Context, ErrorCode, Service, ServiceError, now};
use audit_log::{Actor, Input, Intent, Outcome, Recordable, Value};

/// The longest life of a token, 90 days: a runbook host's token is renewed each quarter.
const LONGEST_LIFE: Duration = Duration::from_secs(90 * 86_400);

/// A token to be made.
#[derive(Debug)]
pub struct IssueAccessToken {
    /// Whose keys it is good for.
    pub subject: Subject,
    /// What it allows.
    pub scopes: Scopes,
    /// How long it works.
    pub life: Duration,
    /// From where; none given means from this machine.
    pub networks: Option<Networks>,
    /// Which keys of the subject; none for all.
    pub keys: Vec<KeyName>,
    /// The client certificate without which it does not work.
    pub client_certificate: Option<CertificateFingerprint>,
}

/// What is to be revoked.
#[derive(Debug)]
pub enum RevokeAccessTokens {
    /// Every token of this subject.
    AllOf(Subject),
    /// The token of this name.
    One(AccessTokenId),
}

/// A new token: the only time that its text leaves the service.
#[derive(Debug)]
pub struct Issued {
    /// The token.
    pub token: AccessToken,
    /// What is kept of it.
    pub record: AccessTokenRecord,
}

const HERE_ONLY: &str = "tokens are managed on the service's own machine";
const ISSUE: &str = "token.issue";
const LIST: &str = "token.list";
const REVOKE: &str = "token.revoke";
const REVOKE_OWN: &str = "auth.revoke";

/// A change of the tokens, ready to be recorded.
struct Change {
    context: Context,
    actor: Actor,
    operation: &'static str,
    facts: Vec<(&'static str, Value)>,
}

impl Recordable for Change {
    fn intent(&self) -> Intent {
        Intent {
            operation: self.operation,
            actor: self.actor.clone(),
            request: self.context.request().to_string(),
            key: None,
            input: Some(Input::Fields(self.facts.clone())),
        }
    }
}

/// What the audit log says of a new token.
pub(in crate::service) fn facts_of(record: &AccessTokenRecord) -> Vec<(&'static str, Value)> {
    vec![
        ("token_id", Value::Text(record.id.to_string())),
        ("subject", Value::Text(record.subject.to_string())),
        ("scopes", Value::Text(record.scopes.to_string())),
        ("expires_at", Value::Text(record.expires_at.to_string())),
    ]
}

impl Service {
    /// Notes that a token is used, and writes that down once a minute, without being waited for.
    pub fn used(self: &Arc<Self>, caller: &Caller) {
        let at = now();
        let Some(id) = caller.token_id().filter(|id| self.store.used(id, at)).cloned() else { return };
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = store.write_last_use(&id, at) {
                tracing::warn!(%error, %id, "the last use of a token could not be written down");
            }
        });
    }

    /// Issues a token.
    ///
    /// # Errors
    /// When the caller is not the machine's own operator, the wish is out of bounds, or nothing can be
    /// written.
    pub async fn issue_token(
        &self,
        context: Context,
        wish: IssueAccessToken,
    ) -> Result<Issued, ServiceError> {
        self.local_only(ISSUE, &context, HERE_ONLY)?;
        let wrong = if wish.scopes.is_empty() {
            Some(("scopes", "a token needs at least one scope"))
        } else if wish.life > LONGEST_LIFE || wish.life.as_secs() == 0 {
            Some(("ttl", "a token lives between one second and 90 days"))
        } else {
            None
        };
        if let Some((field, sentence)) = wrong {
            let failure = ServiceError::new(ErrorCode::InvalidRequest, sentence).field(field);
            return Err(self.refuse(ISSUE, &context, AuditSubject::default(), failure));
        }
        let created_at = Timestamp::from_second(now().as_second()).map_err(ServiceError::internal)?;
        let expires_at = created_at.saturating_add(wish.life).map_err(ServiceError::internal)?;
        let id = AccessTokenId::random().map_err(ServiceError::internal)?;
        let token = AccessToken::random().map_err(ServiceError::internal)?;
        let record = AccessTokenRecord {
            id,
            subject: wish.subject,
            scopes: wish.scopes,
            created_at,
            expires_at,
            revoked_at: None,
            client_certificate: wish.client_certificate,
            login: false,
            networks: wish.networks.unwrap_or_else(Networks::loopback),
            keys: wish.keys,
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
        let (hash, kept) = (token.hash(), record.clone());
        self.change(context, ISSUE, facts, move |store| store.insert_token(hash, kept)).await?;
        Ok(Issued { token, record })
    }

    /// Every token, without its secret.
    ///
    /// # Errors
    /// When the caller is not the machine's own operator.
    pub fn list_tokens(&self, context: &Context) -> Result<Vec<AccessTokenRecord>, ServiceError> {
        self.local_only(LIST, context, HERE_ONLY)?;
        self.note(LIST, context, AuditSubject::default(), "ok");
        Ok(self.store.all_tokens())
    }

    /// Revokes tokens at once and gives those that it found. Revoking twice is no error.
    ///
    /// # Errors
    /// When the caller is not the machine's own operator, there is no such token, or nothing can be written.
    pub async fn revoke_token(
        &self,
        context: Context,
        wish: RevokeAccessTokens,
    ) -> Result<Vec<AccessTokenRecord>, ServiceError> {
        self.local_only(REVOKE, &context, HERE_ONLY)?;
        match wish {
            RevokeAccessTokens::AllOf(subject) => {
                let facts = vec![("subject", Value::Text(subject.to_string()))];
                self.change(context, REVOKE, facts, move |store| store.revoke_tokens_of(subject, now())).await
            }
            RevokeAccessTokens::One(id) => {
                let revoked = self.revoke_by_id(context, REVOKE, id).await?;
                let unknown = || ServiceError::new(ErrorCode::NotFound, "there is no such token").recorded();
                Ok(vec![revoked.ok_or_else(unknown)?])
            }
        }
    }

    /// Revokes the token that the request came with.
    ///
    /// # Errors
    /// When the request came with none, or nothing can be written.
    pub async fn revoke_own_token(&self, context: Context) -> Result<(), ServiceError> {
        let Some(id) = context.caller().and_then(Caller::token_id).cloned() else {
            let sentence = "this call revokes the bearer token that it is made with";
            let failure = ServiceError::new(ErrorCode::InvalidRequest, sentence);
            return Err(self.refuse(REVOKE_OWN, &context, AuditSubject::default(), failure));
        };
        self.revoke_by_id(context, REVOKE_OWN, id).await.map(|_| ())
    }

    async fn revoke_by_id(
        &self,
        context: Context,
        operation: &'static str,
        id: AccessTokenId,
    ) -> Result<Option<AccessTokenRecord>, ServiceError> {
        let facts = vec![("token_id", Value::Text(id.to_string()))];
        self.change(context, operation, facts, move |store| store.revoke_token(&id, now())).await
    }

    /// Intent, change, outcome: each durable before the next.
    pub(in crate::service) async fn change<T: Send + 'static>(
        &self,
        context: Context,
        operation: &'static str,
        facts: Vec<(&'static str, Value)>,
        write: impl FnOnce(&crate::store::Store) -> Result<T, crate::store::StoreError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let actor = context.actor();
        self.change_as(context, actor, operation, facts, write).await
    }

    /// The same, by somebody whom the context does not know yet.
    pub(in crate::service) async fn change_as<T: Send + 'static>(
        &self,
        context: Context,
        actor: Actor,
        operation: &'static str,
        facts: Vec<(&'static str, Value)>,
        write: impl FnOnce(&crate::store::Store) -> Result<T, crate::store::StoreError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let change = Change { context, actor, operation, facts };
        let recorded = self
            .audit
            .record(change)
            .await
            .map_err(|refused| ServiceError::from(refused.error).recorded())?;
        let (_, guard) = recorded.consume();
        let result = self.in_store(write).await;
        let code = result.as_ref().map_or_else(|failure| failure.code().as_str(), |_| "ok");
        guard.record_outcome_durable(Outcome { code, signature_hash: None, micros: 0, detail: None }).await?;
        result.map_err(ServiceError::recorded)
    }
}
