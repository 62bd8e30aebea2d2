//! `POST /v1/auth/challenge` and `/v1/auth/verify`: who proves an EOA gets a token for its keys.
//!
//! Not for: forms of signatures and messages (`auth`), or tokens from the command line (`tokens`).

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::auth::{
    AccessToken, AccessTokenId, AccessTokenRecord, Audience, Challenge, EoaSignature, Forbidden, Networks,
    Scope, Scopes, Subject,
};
use crate::chain::RpcClient;
use crate::key::Eoa;
use crate::service::auth::access_tokens::{Issued, facts_of};
use crate::service::{AuditSubject, Context, ErrorCode, Service, ServiceError, now};
use crate::store::{LoggedIn, StoreError};
use audit_log::{Actor, Value};

/// How many tokens are kept at most: beyond it nobody logs in until some have expired.
const MOST_TOKENS: usize = 200_000;

/// How many when a stranger logs in: EOAs cost nothing, and who has keys here needs a place.
const MOST_FOR_STRANGERS: usize = MOST_TOKENS / 2;

const ONE_MINUTE: Duration = Duration::from_secs(60);

/// What holds for logins and signed requests.
#[derive(Debug)]
pub struct LoginRules {
    /// This service, as signatures name it.
    pub audience: Audience,
    /// How long a token works if nobody says otherwise.
    pub usual_life: Duration,
    /// How long a token may work.
    pub longest_life: Duration,
    /// Who may log in and sign requests; empty for everybody.
    pub operators: Vec<Eoa>,
    /// The node that knows contract wallets (ERC-1271), if one is configured.
    pub chain: Option<RpcClient>,
}

/// The rules and what their upholding needs to remember.
#[derive(Debug)]
pub(in crate::service) struct Login {
    pub(in crate::service) rules: LoginRules,
    /// Strangers can make the service ask the node: not too many at a time.
    pub(in crate::service) asking: Semaphore,
    /// Whether the node was heard to be on the right chain.
    pub(in crate::service) right_chain: AtomicBool,
}

impl Login {
    pub(in crate::service) const fn new(rules: LoginRules) -> Self {
        Self { rules, asking: Semaphore::const_new(4), right_chain: AtomicBool::new(false) }
    }

    /// Whether the service has anything to do with this EOA.
    pub(in crate::service) fn admits(&self, eoa: &Eoa) -> Result<(), ServiceError> {
        let operators = &self.rules.operators;
        if operators.is_empty() || operators.contains(eoa) {
            return Ok(());
        }
        Err(ServiceError::new(ErrorCode::Forbidden, "this EOA is not among the operators of this service"))
    }
}

/// A login to begin.
#[derive(Debug)]
pub struct RequestChallenge {
    /// Who says to log in.
    pub eoa: Eoa,
    /// What the token shall allow; none given means the usual.
    pub scopes: Option<Scopes>,
    /// How long it shall work; none given means the usual.
    pub life: Option<u32>,
}

/// A challenge with its id.
#[derive(Debug)]
pub struct IssuedChallenge {
    /// What `verify` wants back.
    pub id: String,
    /// The challenge.
    pub challenge: Challenge,
    /// The EIP-4361 text.
    pub message: String,
    /// The EIP-712 object.
    pub typed_data: serde_json::Value,
}

/// A login to finish.
#[derive(Debug)]
pub struct LoginResponse {
    /// From the challenge.
    pub challenge_id: String,
    /// Over the text or the object.
    pub signature: Vec<u8>,
}

/// What a token allows if nobody says otherwise: what a runbook that registers a key needs.
const USUAL: [Scope; 5] =
    [Scope::KeysCreate, Scope::KeysRead, Scope::SignDigest, Scope::SignPoint, Scope::SignTyped];

impl Service {
    /// A challenge for whoever asks. Nothing is kept, and nothing is told of the EOA.
    ///
    /// # Errors
    /// When the wish is out of bounds.
    pub fn challenge(
        &self,
        context: &Context,
        wish: RequestChallenge,
    ) -> Result<IssuedChallenge, ServiceError> {
        let rules = &self.login()?.rules;
        let scopes = wish.scopes.unwrap_or_else(|| USUAL.into_iter().collect());
        let life = wish.life.map_or(rules.usual_life, |seconds| Duration::from_secs(seconds.into()));
        let signed_by = context.caller().filter(|caller| caller.is_signed()).and_then(|caller| caller.eoa());
        let wrong = if scopes.is_empty() {
            Some(
                ServiceError::new(ErrorCode::InvalidRequest, "a token needs at least one scope")
                    .field("scopes"),
            )
        } else if life.is_zero() || life > rules.longest_life {
            let most = rules.longest_life.as_secs();
            let sentence = format!("a token lives between 1 and {most} seconds");
            Some(ServiceError::new(ErrorCode::InvalidRequest, sentence).field("ttl_seconds"))
        } else if scopes.contains(Scope::KeysDestroy) && signed_by != Some(wish.eoa) {
            Some(ServiceError::from(Forbidden::NeedsSignature).field("scopes"))
        } else {
            None
        };
        if let Some(failure) = wrong {
            return Err(self.refuse("auth.challenge", context, AuditSubject::default(), failure));
        }
        let life = u32::try_from(life.as_secs()).unwrap_or(u32::MAX);
        let challenge = Challenge::random(wish.eoa, scopes, life, now()).map_err(ServiceError::internal)?;
        let audience = &rules.audience;
        Ok(IssuedChallenge {
            id: self.store.challenge_key().seal(&challenge, audience),
            message: challenge.message(audience),
            typed_data: challenge.typed_data(audience),
            challenge,
        })
    }

    /// A token for whoever signed the challenge, once.
    ///
    /// # Errors
    /// When the challenge is not one of this service's, expired or used, the signature is not the EOA's, or nothing
    /// can be written. Recorded.
    pub async fn log_in(&self, context: Context, answer: LoginResponse) -> Result<Issued, ServiceError> {
        const NAME: &str = "auth.verify";
        let (challenge, how) = match self.proven(&answer).await {
            Ok(proven) => proven,
            Err(failure) => return Err(self.refuse(NAME, &context, self.claimed(&answer), failure)),
        };
        if let Err(failure) = self.room_for_a_token_of(&challenge.eoa).await {
            return Err(self.refuse(NAME, &context, AuditSubject::default(), failure));
        }
        let at = Timestamp::from_second(now().as_second()).map_err(ServiceError::internal)?;
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
        facts.push(("proof", Value::Text(how.to_owned())));
        facts.push(("nonce", Value::Bytes(challenge.nonce.to_vec())));
        let actor = Actor::operator(challenge.eoa.to_string(), context.address());
        let (hash, kept) = (token.hash(), record.clone());
        let write = move |store: &crate::store::Store| store.log_in(&challenge, hash, kept, at);
        match self.change_as(context, actor, NAME, facts, write).await? {
            LoggedIn::Now => Ok(Issued { token, record }),
            LoggedIn::Before => Err(unknown().recorded()),
        }
    }

    /// Whether one more token can be kept, without those that work no more where it comes to that.
    async fn room_for_a_token_of(&self, eoa: &Eoa) -> Result<(), ServiceError> {
        let most = if self.is_known(eoa)? { MOST_TOKENS } else { MOST_FOR_STRANGERS };
        if self.store.token_count() < most {
            return Ok(());
        }
        let at = now();
        let forgotten = self.in_store(move |store| store.forget_dead(at)).await?;
        // Who takes the place of one that works no more takes nobody's.
        if forgotten > 0 && self.store.token_count() < MOST_TOKENS {
            return Ok(());
        }
        Err(ServiceError::new(ErrorCode::Overloaded, "too many tokens are in use").retry_after(ONE_MINUTE))
    }

    /// Forgets tokens of logins that are long expired. Runs once, before the first request. Blocks.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn forget_expired_tokens(&self) -> Result<usize, StoreError> {
        self.store.forget_expired(now())
    }

    /// Who says to log in, for the record of a refusal.
    fn claimed(&self, answer: &LoginResponse) -> AuditSubject {
        let audience = self.audience().ok();
        let challenge = audience.and_then(|it| self.store.challenge_key().open(&answer.challenge_id, it));
        challenge.map(|challenge| AuditSubject::keys_of(challenge.eoa)).unwrap_or_default()
    }

    /// The challenge that was answered and how; every reason why not is the caller's affair.
    async fn proven(&self, answer: &LoginResponse) -> Result<(Challenge, &'static str), ServiceError> {
        let login = self.login()?;
        let audience = &login.rules.audience;
        let challenge =
            self.store.challenge_key().open(&answer.challenge_id, audience).ok_or_else(unknown)?;
        if now() >= challenge.expires_at() {
            return Err(ServiceError::new(
                ErrorCode::ChallengeExpired,
                "the challenge has expired; ask for a new one",
            ));
        }
        let nonce = challenge.nonce;
        if self.in_store(move |store| store.is_spent(&nonce)).await? {
            return Err(unknown());
        }
        let digests = challenge.digests(audience);
        let form = match EoaSignature::from_bytes(&answer.signature) {
            Ok(signature) => {
                let by_owner = |digest: &[u8; 32]| signature.signer(digest) == Some(challenge.eoa);
                if let Some((how, _)) = digests.iter().find(|(_, digest)| by_owner(digest)) {
                    login.admits(&challenge.eoa)?;
                    return Ok((challenge, how));
                }
                None
            }
            Err(error) => Some(error),
        };
        let Some(chain) = &login.rules.chain else {
            let form = form.map_or_else(String::new, |error| format!(" ({error})"));
            let sentence = format!(
                "the signature is not this EOA's over the challenge{form}; the signature of a contract wallet \
                 (ERC-1271) cannot be checked: no node is configured (chain.rpc_url)"
            );
            return Err(ServiceError::new(ErrorCode::SignatureMismatch, sentence).field("signature"));
        };
        login.admits(&challenge.eoa)?;
        let hashes = digests.map(|(_, digest)| digest);
        if !login.is_valid(chain, &challenge.eoa, hashes, &answer.signature).await? {
            let sentence =
                "the signature is neither this EOA's over the challenge nor one that its contract takes";
            return Err(ServiceError::new(ErrorCode::SignatureMismatch, sentence).field("signature"));
        }
        Ok((challenge, "erc1271"))
    }

    /// Whether an EOA has something here: it is among the operators who are named, or has a key.
    pub(in crate::service) fn is_known(&self, eoa: &Eoa) -> Result<bool, ServiceError> {
        Ok(self.login()?.rules.operators.contains(eoa) || !self.store.versions_of_eoa(eoa).is_empty())
    }

    /// The rules of logins.
    pub(in crate::service) fn login(&self) -> Result<&Login, ServiceError> {
        self.login.as_ref().ok_or_else(|| ServiceError::new(ErrorCode::NotFound, "nobody logs in here"))
    }

    /// This service, as signatures name it.
    ///
    /// # Errors
    /// Where nobody logs in.
    pub fn audience(&self) -> Result<&Audience, ServiceError> {
        Ok(&self.login()?.rules.audience)
    }
}

fn unknown() -> ServiceError {
    ServiceError::new(
        ErrorCode::ChallengeUnknown,
        "there is no such challenge, or it was used; ask for a new one",
    )
}
