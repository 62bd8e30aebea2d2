//! `POST /v1/scalar_mul`: multiplies a point of the caller's choice.

use std::sync::Arc;
use std::time::Instant;

use hsm::G1Point;
use sha2::{Digest, Sha256};

use super::authorise::Operation;
use super::{Allowed, Asked, Context, Failure, Service, version_ref};
use crate::audit::{Input, Intent, Outcome, Receipt, Recordable};
use crate::auth::Scope;
use crate::key::{Eoa, KeyName, VersionSelector};
use crate::store::KeyVersion;

/// What the caller asks for.
#[derive(Debug)]
pub struct ScalarMul {
    /// The owner of the key.
    pub eoa: Eoa,
    /// Its name.
    pub name: KeyName,
    /// Which version.
    pub version: VersionSelector,
    /// The point to multiply.
    pub point: G1Point,
}

impl Operation for ScalarMul {
    const NAME: &'static str = "scalar_mul";
    const SCOPE: Scope = Scope::SignPoint;

    fn owner(&self) -> Eoa {
        self.eoa
    }

    fn key_name(&self) -> Option<&KeyName> {
        Some(&self.name)
    }
}

/// An allowed multiplication with a key that exists and may sign: ready to be recorded.
#[derive(Debug)]
pub struct Ready {
    allowed: Allowed<ScalarMul>,
    version: Arc<KeyVersion>,
}

impl Ready {
    pub(super) fn version(&self) -> &KeyVersion {
        &self.version
    }

    pub(super) const fn point(&self) -> G1Point {
        self.allowed.operation().point
    }
}

impl Recordable for Ready {
    fn intent(&self) -> Intent {
        let context = self.allowed.context();
        Intent {
            operation: ScalarMul::NAME,
            actor: context.actor(),
            request: context.request(),
            key: Some(version_ref(&self.version)),
            input: Some(Input::Point(self.point().to_bytes())),
        }
    }
}

/// A product and everything that its answer names.
#[derive(Debug)]
pub struct Signed {
    /// The key that was used.
    pub version: Arc<KeyVersion>,
    /// What was multiplied.
    pub point: G1Point,
    /// The product.
    pub signature: G1Point,
    /// Where the intent stands in the log.
    pub receipt: Receipt,
}

impl Service {
    /// Multiplies. The intent is durable before the key is touched; the outcome follows without being
    /// waited for.
    ///
    /// # Errors
    /// Every refusal and failure, recorded.
    pub async fn scalar_mul(
        &self,
        context: Context,
        request: ScalarMul,
        deadline: Instant,
    ) -> Result<Signed, Failure> {
        let allowed = self.authorise(context, request)?;
        let ready = self.ready(allowed)?;
        let recorded =
            self.audit.record(ready).await.map_err(|refused| Failure::from(refused.error).recorded())?;
        let receipt = recorded.receipt();
        let begun = Instant::now();
        let (result, ready, settlement) = self.custody.multiply(recorded, deadline).await;
        let micros = begun.elapsed().as_micros().try_into().unwrap_or(u64::MAX);
        match result {
            Ok(signature) => {
                let hash = Sha256::digest(signature.to_bytes()).into();
                settlement.settle(Outcome { code: "ok", signature_hash: Some(hash), micros, detail: None });
                Ok(Signed { point: ready.point(), version: ready.version, signature, receipt })
            }
            Err(error) => {
                let failure = Failure::from(error);
                let code = failure.code().slug();
                settlement.settle(Outcome { code, signature_hash: None, micros, detail: failure.cause() });
                Err(failure.recorded())
            }
        }
    }

    /// Finds the version and asks whether it signs.
    fn ready(&self, allowed: Allowed<ScalarMul>) -> Result<Ready, Failure> {
        let ScalarMul { eoa, name, version, .. } = allowed.operation();
        let found = self.store.version(eoa, name, *version).map_err(Failure::from).and_then(|version| {
            version.state.may_sign()?;
            Ok(version)
        });
        match found {
            Ok(version) => Ok(Ready { allowed, version }),
            Err(failure) => {
                let asked = Asked::key(*eoa, name);
                Err(self.refuse(ScalarMul::NAME, allowed.context(), asked, failure))
            }
        }
    }
}
