//! The way to the token: find it, log in once, key-encryption key, canary. Made at start and again by every recovery;
//! not for records and not for deciding when.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cryptoki_sys::*;
use secrecy::ExposeSecret;

use super::canary::{self, CanaryError};
use super::checkpoint_key::{Notary, NotaryError};
use crate::arena::{Pin, Slot};
use crate::error::OpenError;
use crate::labels::{CHECKPOINT_KEY_LABEL, KEK_LABEL};
use crate::pkcs11::{Call, Code, Generation, Library, ObjectHandle, Role, Session, TokenError, TokenInfo};
use crate::settings::TokenSelector;
use crate::wrap::{Kek, KekError, Record, Unfit};

/// How long C_Finalize may wait for calls of other threads to come back.
const QUIESCE: Duration = Duration::from_secs(2);

/// An initialised module with its user logged in.
pub(crate) struct Login {
    pub(crate) library: Arc<Library>,
    pub(crate) generation: Generation,
    pub(crate) token: TokenInfo,
    /// Logged in first and kept open: closing the last session would log out. Never does any cryptography.
    pub(crate) holder: Session,
}

/// Everything that a session needs to work with the records, as of one epoch.
pub(crate) struct Link {
    pub(crate) epoch: u64,
    pub(crate) library: Arc<Library>,
    pub(crate) generation: Generation,
    pub(crate) token: TokenInfo,
    /// The key-encryption key as the token holds it; uses SoftHSM's files at every call.
    pub(crate) kek: Kek,
    /// Its copy, owned by the holder session: works without a file, valid in every session of this login.
    pub(crate) session_kek: ObjectHandle,
    pub(crate) canary: Record,
    /// Signs the audit log's checkpoints.
    pub(crate) notary: Notary,
    /// Gone once disconnected.
    holder: Mutex<Option<Session>>,
}

impl Login {
    /// Initialises the module, finds the token and presents the PIN, once.
    ///
    /// `serial`: of the token that was used before; another token of the same label is not taken for it.
    pub(crate) fn new(
        library: &Arc<Library>,
        selector: &TokenSelector,
        serial: Option<&str>,
        pin: &Pin,
    ) -> Result<Self, OpenError> {
        let generation = library.initialise()?;
        let login = || {
            let token = select(library.tokens(generation)?, selector, serial)?;
            let holder = Session::open(library, generation, token.slot)?;
            log_in(&holder, &token, pin)?;
            Ok(Self { library: Arc::clone(library), generation, token, holder })
        };
        login().inspect_err(|_| finalise(library))
    }

    /// A further session of the same login.
    pub(crate) fn session(&self) -> Result<Session, TokenError> {
        Session::open(&self.library, self.generation, self.token.slot)
    }

    /// Finds and checks key-encryption key and canary.
    pub(crate) fn link(self, epoch: u64, slot: &mut Slot) -> Result<Link, OpenError> {
        let Self { library, generation, token, holder } = self;
        let mut build = |holder: &Session| {
            let kek = Kek::find(holder)?;
            let session_kek = kek.session_copy(holder)?;
            let worker = Session::open(&library, generation, token.slot)?;
            let canary = canary::find(&worker, &kek)?;
            canary::open(&worker, kek.handle, &canary, slot)?;
            canary::open(&worker, session_kek, &canary, slot)?;
            Ok((kek, session_kek, canary, Notary::find(holder)?))
        };
        match build(&holder) {
            Ok((kek, session_kek, canary, notary)) => {
                let holder = Mutex::new(Some(holder));
                Ok(Link { epoch, library, generation, token, kek, session_kek, canary, notary, holder })
            }
            Err(error) => {
                drop(holder);
                finalise(&library);
                Err(error)
            }
        }
    }
}

impl Link {
    /// A session of this login for one thread.
    pub(crate) fn session(&self) -> Result<Session, TokenError> {
        Session::open(&self.library, self.generation, self.token.slot)
    }

    /// A login of the same initialisation, made anew if the module has forgotten it. The PIN is presented only if the
    /// module says that nobody is logged in.
    pub(crate) fn renew(&self, pin: &Pin) -> Result<Login, OpenError> {
        let (library, generation) = (Arc::clone(&self.library), self.generation);
        let holder = self.session()?;
        let mut token = self.token.clone();
        if !holder.is_logged_in()? {
            let here = library.tokens(generation)?.into_iter().find(|seen| seen.serial == token.serial);
            token = here.ok_or(TokenError { call: Call::GetTokenInfo, code: Code(CKR_TOKEN_NOT_PRESENT) })?;
            log_in(&holder, &token, pin)?;
        }
        Ok(Login { library, generation, token, holder })
    }

    /// The cached canary record with the session copy of the key: whether decryption as such works. Touches no file.
    pub(crate) fn check_decryption(&self, session: &Session, slot: &mut Slot) -> Result<(), CanaryError> {
        canary::open(session, self.session_kek, &self.canary, slot)
    }

    /// The canary found again and decrypted by both keys: whether the token itself is there and whole.
    pub(crate) fn check_canary(&self, session: &Session, slot: &mut Slot) -> Result<(), CanaryError> {
        canary::deep(session, &self.kek, self.session_kek, &self.canary, slot)
    }

    /// Logs out and finalizes. Sessions of other threads become stale, and are stopped at the gate.
    pub(crate) fn disconnect(&self) {
        let holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(holder) = holder
            && let Err(error) = holder.log_out()
        {
            tracing::debug!(%error, "logging out failed");
        }
        finalise(&self.library);
    }
}

pub(crate) fn finalise(library: &Library) {
    if let Err(error) = library.finalise(QUIESCE) {
        tracing::warn!(%error, "the module was not finalized cleanly");
    }
}

fn select(
    tokens: Vec<TokenInfo>,
    selector: &TokenSelector,
    serial: Option<&str>,
) -> Result<TokenInfo, OpenError> {
    let tokens: Vec<_> = tokens.into_iter().filter(|token| token.has(CKF_TOKEN_INITIALIZED)).collect();
    let (wanted, matches): (_, fn(&TokenInfo, &str) -> bool) = match selector {
        TokenSelector::Label(label) => (label, |token, wanted| token.label == wanted),
        TokenSelector::Serial(serial) => (serial, |token, wanted| token.serial == wanted),
    };
    let fits =
        |token: &&TokenInfo| matches(token, wanted) && serial.is_none_or(|serial| token.serial == serial);
    let found: Vec<_> = tokens.iter().filter(fits).collect();
    match found[..] {
        [token] => Ok(token.clone()),
        [] => Err(OpenError::TokenNotFound {
            wanted: wanted.clone(),
            seen: tokens.iter().map(|token| token.label.clone()).collect(),
        }),
        [..] => Err(OpenError::TokenAmbiguous {
            wanted: wanted.clone(),
            serials: found.iter().map(|token| token.serial.clone()).collect(),
        }),
    }
}

/// Tries the PIN once, and not at all where one mistake more would lock it.
fn log_in(holder: &Session, token: &TokenInfo, pin: &Pin) -> Result<(), OpenError> {
    if token.has(CKF_USER_PIN_LOCKED) || token.has(CKF_USER_PIN_FINAL_TRY) {
        return Err(OpenError::PinLocked);
    }
    match holder.log_in(Role::User, pin.expose_secret()) {
        Ok(()) => Ok(()),
        Err(TokenError { code, .. }) if code.0 == CKR_USER_ALREADY_LOGGED_IN => Ok(()),
        Err(TokenError { code, .. }) if code.0 == CKR_PIN_LOCKED => Err(OpenError::PinLocked),
        Err(TokenError { code, .. })
            if matches!(
                code.0,
                CKR_PIN_INCORRECT | CKR_PIN_INVALID | CKR_PIN_LEN_RANGE | CKR_PIN_EXPIRED
            ) =>
        {
            Err(OpenError::WrongPin)
        }
        Err(error) => Err(error.into()),
    }
}

impl From<NotaryError> for OpenError {
    fn from(error: NotaryError) -> Self {
        match error {
            NotaryError::Unfit(problem) => Self::CheckpointKey { label: CHECKPOINT_KEY_LABEL, problem },
            NotaryError::Token(error) => error.into(),
            NotaryError::Random(error) => error.into(),
        }
    }
}

impl From<KekError> for OpenError {
    fn from(error: KekError) -> Self {
        let label = KEK_LABEL.to_owned();
        match error {
            KekError::Missing => Self::KekMissing { label },
            KekError::Duplicate(count) => Self::KekDuplicate { label, count },
            KekError::Unfit(problem) => Self::KekAttributes { problem },
            KekError::Token(error) => error.into(),
            KekError::Random(error) => error.into(),
        }
    }
}

impl From<Unfit> for OpenError {
    fn from(error: Unfit) -> Self {
        match error {
            Unfit::Token(error) => error.into(),
            Unfit::RoundTrip | Unfit::IgnoresHeader | Unfit::IgnoresTag => {
                Self::TokenUnfit { problem: error.to_string() }
            }
        }
    }
}

impl From<getrandom::Error> for OpenError {
    fn from(error: getrandom::Error) -> Self {
        Self::Host { what: "the kernel's generator failed", source: std::io::Error::other(error) }
    }
}

/// Whether a recovery may try again. Only what concerns the PIN may not: a token in trouble says everything else.
pub(crate) fn may_pass(error: &OpenError) -> bool {
    match error {
        OpenError::WrongPin | OpenError::PinLocked => false,
        OpenError::Token(TokenError { call: Call::Login, code }) => code.0 != CKR_USER_PIN_NOT_INITIALIZED,
        OpenError::ModuleMissing { .. }
        | OpenError::TokenNotFound { .. }
        | OpenError::TokenAmbiguous { .. }
        | OpenError::KekDuplicate { .. }
        | OpenError::KekAttributes { .. }
        | OpenError::PinFile { .. }
        | OpenError::AlreadyRunning { .. }
        | OpenError::LockFile { .. }
        | OpenError::KekMissing { .. }
        | OpenError::AlreadyInitialised { .. }
        | OpenError::CheckpointKey { .. }
        | OpenError::CanaryMissing { .. }
        | OpenError::CanaryFailed { .. }
        | OpenError::TokenUnfit { .. }
        | OpenError::Memory(_)
        | OpenError::Token(_)
        | OpenError::Host { .. }
        | OpenError::Settings(_) => true,
    }
}
