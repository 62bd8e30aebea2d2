//! `avs-kms token issue|list|revoke`: only the machine's own operator does this.

use std::time::Duration;

use jiff::Timestamp;

use super::{Asked, Code, Context, Failure, Service, now};
use crate::audit::{Input, Intent, Outcome, Recordable, Value};
use crate::auth::{BearerToken, Fingerprint, Scopes, Subject, TokenId, TokenRecord};

/// The longest life of a token, 90 days: a runbook host's token is renewed each quarter.
const LONGEST_LIFE: Duration = Duration::from_secs(90 * 86_400);

/// A token to be made.
#[derive(Debug)]
pub struct IssueToken {
    /// Whose keys it is good for.
    pub subject: Subject,
    /// What it allows.
    pub scopes: Scopes,
    /// How long it works.
    pub life: Duration,
    /// The client certificate without which it does not work.
    pub client_certificate: Option<Fingerprint>,
}

/// A token to be revoked.
#[derive(Debug)]
pub struct RevokeToken {
    /// Its public name.
    pub id: TokenId,
}

/// A new token: the only time that its text leaves the service.
#[derive(Debug)]
pub struct Issued {
    /// The token.
    pub token: BearerToken,
    /// What is kept of it.
    pub record: TokenRecord,
}

const HERE_ONLY: &str = "tokens are managed on the service's own machine";
const ISSUE: &str = "token.issue";
const LIST: &str = "token.list";
const REVOKE: &str = "token.revoke";

/// A change of the tokens, ready to be recorded.
struct Change {
    context: Context,
    operation: &'static str,
    facts: Vec<(&'static str, Value)>,
}

impl Recordable for Change {
    fn intent(&self) -> Intent {
        Intent {
            operation: self.operation,
            actor: self.context.actor(),
            request: self.context.request(),
            key: None,
            input: Some(Input::Fields(self.facts.clone())),
        }
    }
}

impl Service {
    /// Issues a token.
    ///
    /// # Errors
    /// When the caller is not the machine's own operator, the wish is out of bounds, or nothing can be
    /// written.
    pub async fn issue_token(&self, context: Context, wish: IssueToken) -> Result<Issued, Failure> {
        self.local_only(ISSUE, &context, HERE_ONLY)?;
        let wrong = if wish.scopes.is_empty() {
            Some(("scopes", "a token needs at least one scope"))
        } else if wish.life > LONGEST_LIFE || wish.life.as_secs() == 0 {
            Some(("ttl", "a token lives between one second and 90 days"))
        } else {
            None
        };
        if let Some((field, sentence)) = wrong {
            let failure = Failure::new(Code::InvalidRequest, sentence).at(field);
            return Err(self.refuse(ISSUE, &context, Asked::default(), failure));
        }
        let created_at = Timestamp::from_second(now().as_second()).map_err(Failure::internal)?;
        let expires_at = created_at.saturating_add(wish.life).map_err(Failure::internal)?;
        let id = TokenId::random().map_err(Failure::internal)?;
        let token = BearerToken::random().map_err(Failure::internal)?;
        let record = TokenRecord {
            id,
            subject: wish.subject,
            scopes: wish.scopes,
            created_at,
            expires_at,
            revoked_at: None,
            client_certificate: wish.client_certificate,
        };
        let mut facts = vec![
            ("token_id", Value::Text(record.id.to_string())),
            ("subject", Value::Text(record.subject.to_string())),
            ("scopes", Value::Text(record.scopes.to_string())),
            ("expires_at", Value::Text(record.expires_at.to_string())),
        ];
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
    pub fn list_tokens(&self, context: &Context) -> Result<Vec<TokenRecord>, Failure> {
        self.local_only(LIST, context, HERE_ONLY)?;
        self.note(LIST, context, Asked::default(), "ok");
        Ok(self.store.all_tokens())
    }

    /// Revokes a token at once. Revoking twice is no error.
    ///
    /// # Errors
    /// When the caller is not the machine's own operator, there is no such token, or nothing can be written.
    pub async fn revoke_token(&self, context: Context, wish: RevokeToken) -> Result<TokenRecord, Failure> {
        self.local_only(REVOKE, &context, HERE_ONLY)?;
        let facts = vec![("token_id", Value::Text(wish.id.to_string()))];
        let revoked =
            self.change(context, REVOKE, facts, move |store| store.revoke_token(&wish.id, now())).await?;
        revoked.ok_or_else(|| Failure::new(Code::NotFound, "there is no such token").recorded())
    }

    /// Intent, change, outcome: each durable before the next.
    async fn change<T: Send + 'static>(
        &self,
        context: Context,
        operation: &'static str,
        facts: Vec<(&'static str, Value)>,
        write: impl FnOnce(&crate::store::Store) -> Result<T, crate::store::StoreError> + Send + 'static,
    ) -> Result<T, Failure> {
        let change = Change { context, operation, facts };
        let recorded =
            self.audit.record(change).await.map_err(|refused| Failure::from(refused.error).recorded())?;
        let (_, settlement) = recorded.consume();
        let result = self.in_store(write).await;
        let code = result.as_ref().map_or_else(|failure| failure.code().slug(), |_| "ok");
        settlement.settle_durable(Outcome { code, signature_hash: None, micros: 0, detail: None }).await?;
        result.map_err(Failure::recorded)
    }
}
