//! The key that authenticates the rows of the store, and the installation id: one wrapped record, made at `init`.
//!
//! The key rests wrapped by the key-encryption key; the installation id is in the record's authenticated header,
//! so neither can be exchanged without the other. The clear key stays in a guarded page of this process and leaves
//! it only as MACs and as the keys that [`StoreKey::derive`] gives. Not for rows (`avs_kms::store`).

use std::fmt;

use hmac::digest::Key;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::checkpoint_key::CheckpointSigner;
use super::init_records::InitRecords;
use crate::arena::{Arena, ArenaError, SecretMemoryPolicy, SecretPage, Slot};
use crate::clock::unix_seconds;
use crate::error::OpenError;
use crate::key::StoredName;
use crate::labels::STORE_KEY_LABEL;
use crate::pkcs11::{Session, TokenError};
use crate::records::{Records, RecordsError};
use crate::wrap::{
    self, GenerateError, Header, Kek, Payload, Scheme, UnwrapError, UnwrappedScalar, WrappedKey,
};

/// Length of the key, bytes.
const KEY_LEN: usize = 32;

/// Authenticates the rows of the store, by HMAC-SHA-256. Has no `Clone`; share it in an `Arc`.
pub struct StoreKey {
    page: SecretPage,
    installation: [u8; 16],
    /// Of its record.
    iv: Box<[u8]>,
}

impl StoreKey {
    /// For tests: a key that is no secret.
    ///
    /// # Errors
    /// Where the kernel gives no locked page.
    #[doc(hidden)]
    pub fn of_tests(installation: [u8; 16]) -> Result<Self, ArenaError> {
        let page = SecretPage::new(SecretMemoryPolicy::PreferSecret, |page| page.fill(1))?;
        Ok(Self { page, installation, iv: Box::default() })
    }

    /// A key that no token has: for a store in memory that is gone with the process.
    ///
    /// # Errors
    /// Where the kernel gives no locked page or no randomness.
    pub fn random() -> Result<Self, OpenError> {
        let mut filled = Ok(());
        let page = SecretPage::new(SecretMemoryPolicy::PreferSecret, |page| filled = getrandom::fill(page))?;
        filled?;
        Ok(Self { page, installation: [0; 16], iv: Box::default() })
    }

    /// Random id of this installation, made at `init` and never changed.
    #[must_use]
    pub const fn installation(&self) -> [u8; 16] {
        self.installation
    }

    /// The initialisation vector of its record: no other record may have it.
    pub(crate) fn record_iv(&self) -> &[u8] {
        &self.iv
    }

    /// The MAC of a message under a context: what is made for one context is worthless in every other.
    #[must_use]
    pub fn mac(&self, context: &str, message: &[u8]) -> [u8; 32] {
        self.begin(context, message).finalize().into_bytes().into()
    }

    /// Whether this is the MAC of the message, in constant time.
    #[must_use]
    pub fn verify(&self, context: &str, message: &[u8], mac: &[u8]) -> bool {
        self.begin(context, message).verify_slice(mac).is_ok()
    }

    /// A key of its own for another use, named by the context.
    #[must_use]
    pub fn derive(&self, context: &str) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.begin("derive", context.as_bytes()).finalize().into_bytes().into())
    }

    fn begin(&self, context: &str, message: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.page.read(|page| {
            // RFC 2104: a short key is filled up with zeros, as the page is.
            let mut key = zeroize::Zeroizing::new(Key::<Hmac<Sha256>>::default());
            key.iter_mut().zip(page.iter().take(KEY_LEN)).for_each(|(place, byte)| *place = *byte);
            <Hmac<Sha256> as Mac>::new(&key)
        });
        for part in [self.installation.as_slice(), context.as_bytes(), message] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreKey").finish_non_exhaustive()
    }
}

/// Whether there is any record with the label.
pub(crate) fn exists(records: &dyn Records) -> Result<bool, RecordsError> {
    Ok(!records.find(STORE_KEY_LABEL)?.is_empty())
}

/// Makes the key and the installation id. The caller has made sure that there is none.
pub(crate) fn create(with: &InitRecords<'_>, arena: &mut Arena) -> Result<(), OpenError> {
    let InitRecords { session, kek, scheme, ids, .. } = *with;
    let named = (ids.installation, StoredName::STORE_KEY);
    let header = Header::internal((scheme, kek.id), named, Payload::StoreKey, unix_seconds());
    let mut fresh = UnwrappedScalar::random_key(session, arena.parts().0).map_err(|error| match error {
        GenerateError::Token(error) => OpenError::from(error),
        GenerateError::Random(error) => error.into(),
        GenerateError::Exhausted => unfit("no key could be drawn"),
    })?;
    let sealed = wrap::seal(session, kek.handle, header, &mut fresh);
    drop(fresh);
    with.store(STORE_KEY_LABEL, sealed, arena).map(drop)
}

/// Finds the one record of this key-encryption key and brings the key into a page of its own.
pub(crate) fn open(
    session: &Session,
    records: &dyn Records,
    kek: &Kek,
    scheme: Scheme,
    signer: &CheckpointSigner,
    slot: &mut Slot,
    memory: SecretMemoryPolicy,
) -> Result<StoreKey, OpenError> {
    let record = find(records, kek)?;
    if record.header.scheme != scheme {
        return Err(unfit("its record has another wrapping scheme than the canary"));
    }
    if !signer.endorses(&record) {
        return Err(unfit("its record is not signed by the checkpoint key"));
    }
    let unwrapped = wrap::open(session, kek.handle, &record, slot).map_err(|error| match error {
        UnwrapError::Token(TokenError { cause, .. }) => unfit(&format!("it does not decrypt ({cause})")),
        UnwrapError::Length(_) => unfit("it decrypts to another length"),
    })?;
    let page = SecretPage::new(memory, |page| unwrapped.copy_key_to(page))?;
    let iv = record.iv().into();
    Ok(StoreKey { page, installation: record.header.key.to_bytes(), iv })
}

/// The one record of the store key under this key-encryption key.
pub(crate) fn find(records: &dyn Records, kek: &Kek) -> Result<WrappedKey, OpenError> {
    let mut found = wrap::find_labelled(records, STORE_KEY_LABEL)?;
    let record = match (found.pop(), found.len()) {
        (Some(record), 0) => record.map_err(|error| unfit(&error.to_string()))?,
        (None, _) => {
            return Err(unfit("its record is gone; restore the token and the store from one backup"));
        }
        (Some(_), more) => return Err(unfit(&format!("{} records carry its label", more + 1))),
    };
    let header = &record.header;
    if header.payload != Payload::StoreKey || header.kek != kek.id || header.name != StoredName::STORE_KEY {
        return Err(unfit("its record is not the one that init made"));
    }
    Ok(record)
}

fn unfit(problem: &str) -> OpenError {
    OpenError::StoreKey { label: STORE_KEY_LABEL, problem: problem.to_owned() }
}
