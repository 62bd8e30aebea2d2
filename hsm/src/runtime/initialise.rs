//! Initialising a token: what `init` makes in it, and in which order.

use super::start::{Prepared, prepare};
use crate::arena::Arena;
use crate::error::OpenError;
use crate::labels::{CANARY_LABEL, KEK_LABEL};
use crate::settings::Settings;
use crate::token::canary;
use crate::token::checkpoint_key::CheckpointSigner;
use crate::token::connection::{LoggedInToken, finalise};
use crate::token::store_key::{self, StoreKey};
use crate::wrap::{self, Kek, KekError};

/// What `init` made in the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitReport {
    /// Label of the token.
    pub token_label: String,
    /// Serial number of the token.
    pub token_serial: String,
    /// Label of the key-encryption key.
    pub kek_label: String,
    /// Its `CKA_ID`, 32 hex digits.
    pub kek_id: String,
    /// Id of this installation, 32 hex digits.
    pub installation: String,
}

/// What `init` gives: what it made, and the key that the new store is authenticated with.
#[derive(Debug)]
pub struct Initialised {
    /// What was made.
    pub report: InitReport,
    /// Authenticates the rows of the store.
    pub store_key: StoreKey,
}

/// See [`crate::Enclave::initialise`] and [`crate::Enclave::adopt`].
pub(crate) fn initialise(settings: &Settings, adopt: bool) -> Result<Initialised, OpenError> {
    let Prepared { lock: _lock, memory, pin, mut arena, module } = prepare(settings)?;
    let login = LoggedInToken::new(&module, &settings.token, None, &pin)?;
    let made = make_kek(&login, &mut arena, settings, adopt).and_then(|kek| {
        let store_key = store_key::open(&login.session()?, &kek, arena.parts().0, memory)?;
        Ok((kek, store_key))
    });
    drop(login.holder);
    finalise(&module);
    let (kek, store_key) = made?;
    let report = InitReport {
        token_label: login.info.label,
        token_serial: login.info.serial,
        kek_label: KEK_LABEL.to_owned(),
        kek_id: hex::encode(kek.id),
        installation: hex::encode(store_key.installation()),
    };
    Ok(Initialised { report, store_key })
}

/// Key-encryption key, checkpoint key, store key, canary, in this order. What an interrupted init has made is kept, as long as the
/// token holds no wrapped key. The canary marks the end of init.
fn make_kek(
    login: &LoggedInToken,
    arena: &mut Arena,
    settings: &Settings,
    adopt: bool,
) -> Result<Kek, OpenError> {
    let session = login.session()?;
    let found = match Kek::find(&session) {
        Ok(kek) => Some(kek),
        Err(KekError::Missing) => None,
        Err(error) => return Err(error.into()),
    };
    let already = |found: &str| Err(OpenError::AlreadyInitialised { found: found.to_owned() });
    let planted = canary::exists(&session)?;
    if planted && !(adopt && found.is_some()) {
        return already(CANARY_LABEL);
    }
    let mut keys = 0;
    wrap::scan(&session, |object| keys += usize::from(matches!(object, wrap::ObjectKind::Key(..))))?;
    if keys > 0 {
        return already(&format!("{keys} wrapped keys"));
    }
    let scheme = wrap::probe_new_key(|| login.session(), arena.parts().0)?;
    let kek = match found {
        Some(kek) => {
            tracing::warn!(label = KEK_LABEL, "continuing with what an earlier init left in the token");
            kek
        }
        None => Kek::generate(&session)?,
    };
    if CheckpointSigner::exists(&session)? {
        CheckpointSigner::find(&session)?
    } else {
        CheckpointSigner::generate(&session)?
    };
    if !store_key::exists(&session)? {
        store_key::create(&session, &kek, scheme, arena.parts().0)?;
    }
    if planted {
        let record = canary::find(&session, &kek)?;
        canary::open(&session, kek.handle, &record, arena.parts().0)?;
    } else {
        canary::create(&session, &kek, scheme, arena.parts().0)?;
    }
    if let Some(directory) = &settings.sync_directory {
        let synced = std::fs::File::open(directory).and_then(|opened| Ok(rustix::fs::syncfs(&opened)?));
        synced.map_err(|source| OpenError::Host { what: "the token directory was not synced", source })?;
    }
    Ok(kek)
}
