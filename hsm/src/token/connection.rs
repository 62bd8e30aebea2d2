//! Connection to the token: slot, login, key-encryption key, canary. Made at start and by every recovery. Not for
//! records, and not for deciding when.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cryptoki::object::ObjectHandle;

use super::canary::{self, CanaryError};
use super::checkpoint_key::{CheckpointKeyError, CheckpointSigner, checkpoint_signer};
use super::login::Credential;
use super::place::{Place, Reached};
use super::selection::select;
use crate::arena::Slot;
use crate::error::OpenError;
use crate::key::KeyId;
use crate::labels::CHECKPOINT_KEY_LABEL;
use crate::pkcs11::{Function, Generation, Module, Session, TokenError, TokenInfo};
use crate::settings::{PreparedKeys, TokenSelector};
use crate::wrap::{Kek, KekError, NoScheme, ProbeError, Scheme, WrappedKey};

/// How long C_Finalize may wait for calls of other threads to come back.
const QUIESCE: Duration = Duration::from_secs(2);

/// An initialised module with its user logged in.
pub(crate) struct LoggedInToken {
    pub(crate) module: Arc<Module>,
    pub(crate) generation: Generation,
    pub(crate) info: TokenInfo,
    /// Logged in first and kept open: closing the last session would log out. Never does any cryptography.
    pub(crate) holder: Session,
}

/// Everything that a session needs to work with the records, as of one epoch.
pub(crate) struct TokenConnection {
    pub(crate) epoch: u64,
    pub(crate) module: Arc<Module>,
    pub(crate) generation: Generation,
    pub(crate) info: TokenInfo,
    /// The key-encryption key as the token holds it; uses SoftHSM's files at every call.
    pub(crate) kek: Kek,
    /// Its copy, owned by the holder session: works without a file, valid in every session of this login.
    pub(crate) session_kek: ObjectHandle,
    pub(crate) canary: WrappedKey,
    /// Where the records are, the canary record among them.
    pub(crate) place: Place,
    /// The scheme of the canary record, with its variant; every record has it.
    pub(crate) scheme: Scheme,
    /// Signs the audit log's checkpoints.
    pub(crate) checkpoint_signer: CheckpointSigner,
    /// Gone once disconnected.
    holder: Mutex<Option<Session>>,
}

impl LoggedInToken {
    /// Initialises the module, finds the token and presents the PIN, once.
    ///
    /// `serial`: of the token that was used before; another token of the same label is not taken for it.
    pub(crate) fn new(
        module: &Arc<Module>,
        selector: &TokenSelector,
        serial: Option<&str>,
        credential: &Credential,
    ) -> Result<Self, OpenError> {
        let generation = module.initialise()?;
        let login = || {
            Self::of((module, generation), select(module.tokens(generation)?, selector, serial)?, credential)
        };
        login().inspect_err(|_| finalise(module))
    }

    /// The login to a token that was selected, in an initialisation that is there.
    pub(crate) fn of(
        (module, generation): (&Arc<Module>, Generation),
        info: TokenInfo,
        credential: &Credential,
    ) -> Result<Self, OpenError> {
        let holder = Session::open(module, generation, info.slot)?;
        credential.log_in(&holder, &info)?;
        Ok(Self { module: Arc::clone(module), generation, info, holder })
    }

    /// A further session of the same login.
    pub(crate) fn session(&self) -> Result<Session, TokenError> {
        Session::open(&self.module, self.generation, self.info.slot)
    }

    /// Finds and checks key-encryption key and canary; `place` tells where that is. After an error the module is finalized.
    pub(crate) fn connect(
        self,
        epoch: u64,
        prepared: &PreparedKeys,
        place: impl FnOnce(&Session, &Kek) -> Result<Place, OpenError>,
        slot: &mut Slot,
    ) -> Result<TokenConnection, OpenError> {
        let module = Arc::clone(&self.module);
        self.connect_within(epoch, prepared, place, slot).inspect_err(|_| finalise(&module))
    }

    /// The same; the module stays initialised, for the other login that it has.
    pub(crate) fn connect_within(
        self,
        epoch: u64,
        prepared: &PreparedKeys,
        place: impl FnOnce(&Session, &Kek) -> Result<Place, OpenError>,
        slot: &mut Slot,
    ) -> Result<TokenConnection, OpenError> {
        let Self { module, generation, info, holder } = self;
        let build = |holder: &Session| -> Result<_, OpenError> {
            let kek = Kek::find_labelled(holder, prepared.kek.as_deref())?;
            if !kek.made_here {
                tracing::warn!(
                    "the token says that it did not make the key-encryption key (CKA_LOCAL is false)"
                );
            }
            let session_kek = kek.session_copy(holder)?;
            let worker = Session::open(&module, generation, info.slot)?;
            let place = place(&worker, &kek)?;
            let canary = canary::find(&*place.records(&worker), &kek)?;
            let checkpoint_signer = checkpoint_signer(holder, prepared, &place, &kek, canary.header.scheme)?;
            if !checkpoint_signer.endorses(&canary) {
                return Err(CanaryError::Unendorsed.into());
            }
            canary::open(&worker, kek.handle, &canary, slot)?;
            let session_kek = match canary::open(&worker, session_kek, &canary, slot) {
                Ok(()) => session_kek,
                // wolfPKCS11: an object of a session exists for that session alone.
                Err(CanaryError::Token(error)) if error.is_unknown_handle() && session_kek != kek.handle => {
                    tracing::warn!(%error, "no other session sees the copy of the key-encryption key; its own object is used");
                    let _ = holder.destroy(session_kek);
                    kek.handle
                }
                Err(error) => return Err(error.into()),
            };
            Ok((kek, session_kek, place, canary, checkpoint_signer))
        };
        let (kek, session_kek, place, canary, checkpoint_signer) = build(&holder)?;
        let (scheme, holder) = (canary.header.scheme, Mutex::new(Some(holder)));
        Ok(TokenConnection {
            epoch,
            module,
            generation,
            info,
            kek,
            session_kek,
            canary,
            place,
            scheme,
            checkpoint_signer,
            holder,
        })
    }
}

impl TokenConnection {
    /// Whether the record can be this key's, before it is opened; else what is wrong with it. A record under another
    /// scheme than the canary's was not made by this service: nothing is downgraded.
    pub(crate) fn admits(&self, id: KeyId, record: &WrappedKey) -> Result<(), &'static str> {
        if record.header.key != id || record.header.kek != self.kek.id {
            return Err("a record is another key's");
        }
        if record.header.scheme != self.scheme || !self.checkpoint_signer.endorses(record) {
            return Err("a record has another scheme than the canary, or no signature that its scheme needs");
        }
        Ok(())
    }

    /// A session of this login for one thread.
    pub(crate) fn session(&self) -> Result<Session, TokenError> {
        Session::open(&self.module, self.generation, self.info.slot)
    }

    /// The wrapped records.
    pub(crate) fn records<'a>(&'a self, session: &'a Session) -> Reached<'a> {
        self.place.records(session)
    }

    /// A login of the same initialisation, repeated if the module has forgotten it. The PIN is presented only if the
    /// module reports that no user is logged in.
    pub(crate) fn renew(&self, credential: &Credential) -> Result<LoggedInToken, OpenError> {
        let (module, generation) = (Arc::clone(&self.module), self.generation);
        let holder = self.session()?;
        let mut info = self.info.clone();
        if !holder.is_logged_in()? {
            let same = |seen: &TokenInfo| seen.serial == info.serial && seen.label == info.label;
            let here = module.tokens(generation)?.into_iter().find(same);
            let gone = TokenError::protocol_violation(Function::GetSlotList, "the token is in no slot");
            info = here.ok_or(gone)?;
            credential.log_in(&holder, &info)?;
        }
        Ok(LoggedInToken { module, generation, info, holder })
    }

    /// The cached canary record with the session copy of the key: whether decryption as such works. Touches no file.
    pub(crate) fn check_decryption(&self, session: &Session, slot: &mut Slot) -> Result<(), CanaryError> {
        canary::open(session, self.session_kek, &self.canary, slot)
    }

    /// The canary found again and decrypted by both keys: whether the token itself is there and whole.
    pub(crate) fn check_canary(&self, session: &Session, slot: &mut Slot) -> Result<(), CanaryError> {
        let records = self.place.is_token().then(|| self.records(session));
        canary::deep(session, records.as_deref(), &self.kek, self.session_kek, &self.canary, slot)
    }

    /// Logs out and finalizes. Sessions of other threads become stale, and make no more calls.
    pub(crate) fn disconnect(&self) {
        let holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(holder) = holder
            && let Err(error) = holder.log_out()
        {
            tracing::debug!(%error, "logging out failed");
        }
        finalise(&self.module);
    }
}

pub(crate) fn finalise(module: &Module) {
    if let Err(error) = module.finalise(QUIESCE) {
        tracing::warn!(%error, "the module was not finalized cleanly");
    }
}

impl From<CheckpointKeyError> for OpenError {
    fn from(error: CheckpointKeyError) -> Self {
        match error {
            CheckpointKeyError::Unfit(problem) | CheckpointKeyError::Stop { problem } => {
                Self::CheckpointKey { label: CHECKPOINT_KEY_LABEL.to_owned(), problem }
            }
            CheckpointKeyError::Outside(source) => Self::Records(source),
            CheckpointKeyError::Token(error) => error.into(),
            CheckpointKeyError::Random(error) => error.into(),
        }
    }
}

impl From<KekError> for OpenError {
    fn from(error: KekError) -> Self {
        match error {
            KekError::Missing { label, prepared: false } => Self::KekMissing { label },
            KekError::Missing { label, prepared: true } => Self::PreparedKekMissing { label },
            KekError::Duplicate { label, count } => Self::KekDuplicate { label, count },
            KekError::Unfit(problem) => Self::KekAttributes { problem },
            KekError::Token(error) => error.into(),
        }
    }
}

impl From<ProbeError> for OpenError {
    fn from(error: ProbeError) -> Self {
        if let ProbeError::Token(error) = error {
            return error.into();
        }
        Self::TokenUnfit { problem: error.to_string() }
    }
}

impl From<NoScheme> for OpenError {
    fn from(error: NoScheme) -> Self {
        Self::TokenUnfit { problem: error.to_string() }
    }
}
