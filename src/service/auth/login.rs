//! Login with an EOA: `POST /v1/auth/challenge` and `/v1/auth/verify` exchange a signature for an access token.
//!
//! Not for: forms of signatures and messages (`auth`), or access tokens from the command line (`access_tokens`).

use std::sync::Arc;
use std::time::Duration;

use audit_log::{Actor, Value};
use jiff::Timestamp;
use tokio::sync::Mutex;

use super::access_tokens::{Issued, facts_of};
use super::contract_wallet::ContractWallets;
use super::login_rules::{LoginRules, enabled};
use crate::auth::{
    AccessToken, AccessTokenId, AccessTokenRecord, Audience, Challenge, EoaSignature, Forbidden,
    InstallationId, Networks, Scope, Scopes, Subject,
};
use crate::clock::Clock;
use crate::key::Eoa;
use crate::service::context::Context;
use crate::service::error::ServiceError;
use crate::service::error_code::ErrorCode;
use crate::service::operation::{AUTH_CHALLENGE, AUTH_VERIFY};
use crate::service::quotas::Quotas;
use crate::service::recorder::{RecordedChange, Recorder};
use crate::service::subject::AuditSubject;
use crate::store::Store;

/// Access tokens that the service keeps; with more, logins are refused until some have expired.
const MOST_TOKENS: usize = 200_000;

/// Bound for EOAs that are not known here. Addresses are free to create: the other half is for EOAs that own keys.
const MOST_TOKENS_OF_UNKNOWN: usize = MOST_TOKENS / 2;

const ONE_MINUTE: Duration = Duration::from_secs(60);

/// Scopes of a login that names none: what a runbook needs to register a key.
const USUAL_SCOPES: [Scope; 5] =
    [Scope::KeysCreate, Scope::KeysRead, Scope::SignDigest, Scope::SignPoint, Scope::SignTyped];

/// A request for a login challenge.
#[derive(Debug)]
pub struct RequestChallenge {
    /// The EOA that logs in.
    pub eoa: Eoa,
    /// Scopes of the access token; `None` for the usual ones.
    pub scopes: Option<Scopes>,
    /// How long the access token is valid, seconds; `None` for the usual time.
    pub life: Option<u32>,
}

/// A challenge with its id.
#[derive(Debug)]
pub struct IssuedChallenge {
    /// The installation that it is for.
    pub installation: InstallationId,
    /// Id, which `verify` wants back.
    pub id: String,
    /// The challenge.
    pub challenge: Challenge,
    /// The EIP-4361 text.
    pub message: String,
    /// The EIP-712 object.
    pub typed_data: serde_json::Value,
}

/// A signed challenge.
#[derive(Debug)]
pub struct LoginResponse {
    /// Id of the challenge.
    pub challenge_id: String,
    /// Signature of the text or of the object.
    pub signature: Vec<u8>,
}

/// Logins.
#[derive(Debug)]
pub struct Logins {
    recorder: Recorder,
    store: Store,
    rules: Option<Arc<LoginRules>>,
    contract_wallets: ContractWallets,
    quotas: Quotas,
    turn: Mutex<()>,
    clock: Clock,
}

impl Logins {
    pub(in crate::service) fn new(
        recorder: Recorder,
        store: Store,
        (rules, quotas): (Option<Arc<LoginRules>>, Quotas),
        clock: Clock,
    ) -> Self {
        let (contract_wallets, turn) = (ContractWallets::new(), Mutex::default());
        Self { recorder, store, rules, contract_wallets, quotas, turn, clock }
    }

    /// This service, as signatures name it.
    ///
    /// # Errors
    /// Where login is not enabled.
    pub fn audience(&self) -> Result<&Audience, ServiceError> {
        Ok(&self.rules()?.audience)
    }

    /// A challenge for every client. Nothing is stored, and the answer says nothing about the EOA.
    ///
    /// # Errors
    /// When the request is out of bounds.
    pub fn challenge(
        &self,
        context: &Context,
        request: RequestChallenge,
    ) -> Result<IssuedChallenge, ServiceError> {
        let rules = self.rules()?;
        let scopes = request.scopes.unwrap_or_else(|| USUAL_SCOPES.into_iter().collect());
        let life = request.life.map_or(rules.usual_life, |seconds| Duration::from_secs(seconds.into()));
        let signed_by = context.caller().filter(|caller| caller.is_signed()).and_then(|caller| caller.eoa());
        let wrong = if scopes.is_empty() {
            let message = "an access token needs at least one scope";
            Some(ServiceError::new(ErrorCode::InvalidRequest, message).field("scopes"))
        } else if life.is_zero() || life > rules.longest_life {
            let message =
                format!("an access token is valid for 1 to {} seconds", rules.longest_life.as_secs());
            Some(ServiceError::new(ErrorCode::InvalidRequest, message).field("ttl_seconds"))
        } else if scopes.contains(Scope::KeysDestroy) && signed_by != Some(request.eoa) {
            Some(ServiceError::from(Forbidden::NeedsSignature).field("scopes"))
        } else {
            None
        };
        if let Some(error) = wrong {
            return Err(self.recorder.refuse(&AUTH_CHALLENGE, context, AuditSubject::default(), error));
        }
        let life = u32::try_from(life.as_secs()).unwrap_or(u32::MAX);
        let challenge = Challenge::random(request.eoa, scopes, life, self.clock.latest());
        let challenge = challenge.map_err(ServiceError::internal)?;
        let audience = &rules.audience;
        Ok(IssuedChallenge {
            id: self.store.challenge_key().seal(&challenge, audience),
            installation: audience.installation(),
            message: challenge.message(audience),
            typed_data: challenge.typed_data(audience),
            challenge,
        })
    }

    /// Exchanges a signed challenge for an access token, once.
    ///
    /// # Errors
    /// When the challenge is not one of this service's, expired or used, the signature is not the EOA's, or a write
    /// fails. Recorded.
    pub async fn log_in(&self, context: Context, response: LoginResponse) -> Result<Issued, ServiceError> {
        let (challenge, proof) = match self.verify(&response).await {
            Ok(verified) => verified,
            Err(error) => {
                let claimed = self.claimed_eoa(&response.challenge_id);
                let subject = claimed.map(AuditSubject::keys_of).unwrap_or_default();
                return Err(self.recorder.refuse(&AUTH_VERIFY, &context, subject, error));
            }
        };
        // Two logins at once must not both take the last place.
        let _turn = self.turn.lock().await;
        let quota =
            self.quotas.check_new_access_token(&context, &self.store, &challenge.eoa, self.clock.now());
        let counted = match quota {
            Ok(()) => self.check_token_count(&challenge.eoa).await,
            Err(error) => Err(error),
        };
        if let Err(error) = counted {
            return Err(self.recorder.refuse(&AUTH_VERIFY, &context, AuditSubject::default(), error));
        }
        let at = Timestamp::from_second(self.clock.latest().as_second()).map_err(ServiceError::internal)?;
        let life = Duration::from_secs(challenge.life.into());
        let token = AccessToken::random().map_err(ServiceError::internal)?;
        let record = AccessTokenRecord {
            id: AccessTokenId::random().map_err(ServiceError::internal)?,
            subject: Subject::Eoa(challenge.eoa),
            scopes: challenge.scopes,
            created_at: at,
            expires_at: at.saturating_add(life).map_err(ServiceError::internal)?,
            revoked_at: None,
            login: true,
            networks: Networks::default(),
            keys: Vec::new(),
            last_used_at: None,
            client_certificate: None,
        };
        let mut facts = facts_of(&record);
        facts.push(("proof", Value::Text(proof.to_owned())));
        facts.push(("nonce", Value::Bytes(challenge.nonce.to_vec())));
        let actor = Some(Actor::operator(challenge.eoa.to_string(), context.address()));
        let change = RecordedChange { operation: &AUTH_VERIFY, context, actor, facts };
        let logged_in = self.store.log_in(&challenge, token.hash(), record.clone(), self.clock.highest());
        if self.recorder.change(change, logged_in).await? {
            Ok(Issued { token, record })
        } else {
            Err(unknown_challenge().recorded())
        }
    }

    /// Deletes login tokens that are long expired. Runs once, before the first request.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn delete_expired_tokens(&self) -> Result<usize, ServiceError> {
        self.store.delete_expired_tokens(self.clock.highest()).await.map_err(ServiceError::internal)
    }

    /// Refuses a login while too many access tokens are kept. Expired ones are deleted first.
    async fn check_token_count(&self, eoa: &Eoa) -> Result<(), ServiceError> {
        let known = self.rules()?.is_known(eoa, &self.store);
        let most = if known { MOST_TOKENS } else { MOST_TOKENS_OF_UNKNOWN };
        if self.store.access_token_count() < most {
            return Ok(());
        }
        let deleted = self.store.delete_dead_tokens(self.clock.highest()).await;
        // Replacing an expired token does not evict a valid one.
        if deleted.map_err(ServiceError::internal)? > 0 && self.store.access_token_count() < MOST_TOKENS {
            return Ok(());
        }
        let message = "too many access tokens are in use";
        Err(ServiceError::new(ErrorCode::Overloaded, message).retry_after(ONE_MINUTE))
    }

    /// The EOA that a challenge of this service names. It does not identify the client.
    pub fn claimed_eoa(&self, challenge_id: &str) -> Option<Eoa> {
        let challenge = self.store.challenge_key().open(challenge_id, self.audience().ok()?)?;
        Some(challenge.eoa)
    }

    /// The challenge that was signed, and the form of the proof.
    async fn verify(&self, response: &LoginResponse) -> Result<(Challenge, &'static str), ServiceError> {
        let rules = self.rules()?;
        let audience = &rules.audience;
        let challenge = self.store.challenge_key().open(&response.challenge_id, audience);
        let challenge = challenge.ok_or_else(unknown_challenge)?;
        if self.clock.latest() >= challenge.expires_at() {
            let message = "the challenge has expired; ask for a new one";
            return Err(ServiceError::new(ErrorCode::ChallengeExpired, message));
        }
        let used = self.store.is_challenge_used(challenge.nonce).await;
        if used.map_err(ServiceError::internal)? {
            return Err(unknown_challenge());
        }
        let digests = challenge.digests(audience);
        let form = match EoaSignature::from_bytes(&response.signature) {
            Ok(signature) => {
                let by_owner = |digest: &[u8; 32]| signature.signer(digest) == Some(challenge.eoa);
                if let Some((form, _)) = digests.iter().find(|(_, digest)| by_owner(digest)) {
                    rules.check_allowed(&challenge.eoa)?;
                    return Ok((challenge, form));
                }
                None
            }
            Err(error) => Some(error),
        };
        // The node is believed, so it is asked about listed contracts only.
        let listed = rules.chain.as_ref().filter(|_| rules.contract_wallets.contains(&challenge.eoa));
        let Some(node) = listed else {
            let form = form.map_or_else(String::new, |error| format!(" ({error})"));
            let message = format!(
                "the signature is not this EOA's over the challenge{form}; a contract wallet (ERC-1271) logs in only \
                 if auth.contract_wallets lists it and chain.rpc_url names a node"
            );
            return Err(ServiceError::new(ErrorCode::SignatureMismatch, message).field("signature"));
        };
        let (hashes, node) = (digests.map(|(_, digest)| digest), (node, audience.chain_id()));
        // Nothing is proved yet: an EOA beside the list gets the answer of a wrong signature, and no node is asked.
        let accepted = rules.check_allowed(&challenge.eoa).is_ok()
            && self.contract_wallets.accepts(node, &challenge.eoa, hashes, &response.signature).await?;
        if !accepted {
            let message =
                "the signature is neither this EOA's over the challenge nor one that its contract accepts";
            return Err(ServiceError::new(ErrorCode::SignatureMismatch, message).field("signature"));
        }
        Ok((challenge, "erc1271"))
    }

    fn rules(&self) -> Result<&LoginRules, ServiceError> {
        enabled(self.rules.as_ref())
    }
}

fn unknown_challenge() -> ServiceError {
    let message = "there is no such challenge, or it was used; ask for a new one";
    ServiceError::new(ErrorCode::ChallengeUnknown, message)
}
