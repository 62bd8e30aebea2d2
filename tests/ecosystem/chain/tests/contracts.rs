//! From the real service over a real SoftHSM to EigenLayer's real contracts, and what they refuse.

#[path = "../../live.rs"]
mod live;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, keccak256};
use alloy::sol_types::{SolStruct as _, SolValue as _, eip712_domain};
use ark_bn254::{Fq, Fq2, G1Affine, G2Affine};
use avs_kms_chain::{CHAIN_ID, Evm, Parameters, Registries, Signed, g1};
use avs_kms_client::{Client, ClientError, G1Point, G2Point, KeyRef, Registration, SignResult, Version};
use eigen_crypto_bls as bls;
use eigen_crypto_bn254::utils::{map_to_curve, verify_message};
use eigen_utils::slashing::middleware::bls_apk_registry::IBLSApkRegistryTypes::PubkeyRegistrationParams;
use live::{Installation, Running, SCOPES};
use serde_json::{Value, json};

static ACCEPTED: AtomicU32 = AtomicU32::new(0);
static REFUSED: AtomicU32 = AtomicU32::new(0);

fn accepted() {
    ACCEPTED.fetch_add(1, Ordering::Relaxed);
}

fn refused() {
    REFUSED.fetch_add(1, Ordering::Relaxed);
}

/// The service with this chain as its node, asked through the typed client with a token for every operator.
struct Stage {
    evm: Evm,
    registries: Registries,
    operators: Vec<Address>,
    client: Client,
    token: String,
    service: Running,
    _installation: Installation,
    begun: Instant,
}

impl Stage {
    async fn new() -> Self {
        let begun = Instant::now();
        let evm = Evm::start();
        let registries = evm.registries().await;
        let operators = evm.accounts().await;
        let installation = Installation::new();
        let token = installation.token("*", SCOPES);
        let service = installation.serve(&[("AVS_KMS__CHAIN__RPC_URL", &evm.url)]);
        let client = Client::new(&service.url, token.clone().into()).unwrap();
        Self { evm, registries, operators, client, token, service, _installation: installation, begun }
    }

    fn key(&self, operator: usize) -> KeyRef {
        KeyRef::new(self.operators[operator].to_string())
    }

    fn coordinator(&self) -> Registration {
        Registration::bls_apk_registry(CHAIN_ID, self.registries.coordinator.to_string())
    }

    async fn registration(&self, operator: usize) -> SignResult {
        self.client.create_key(&self.key(operator)).await.unwrap();
        self.client.sign_registration(&self.key(operator), &self.coordinator()).await.unwrap()
    }

    fn report(&self, what: &str) {
        let (accepted, refused) = (ACCEPTED.load(Ordering::Relaxed), REFUSED.load(Ordering::Relaxed));
        let seconds = self.begun.elapsed().as_secs_f64();
        println!("{what}: {seconds:.1} s; the chain accepted {accepted} and refused {refused} so far");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registries_accept_the_services_registration_and_nothing_that_differs() {
    let stage = Stage::new().await;
    let (evm, registries) = (&stage.evm, &stage.registries);
    let [operator, other] = [stage.operators[1], stage.operators[2]];
    let signed = stage.registration(1).await;
    let (own, others) = (Signed::from(&signed), Signed::from(&stage.registration(2).await));

    // What the chain asks for is what was signed, whether the service built it or took the point from the chain.
    let point = evm.registration_point(registries, operator).await;
    assert_eq!(point, signed.hash);
    let raw = stage.client.scalar_mul(&stage.key(1), &point).await.unwrap();
    assert_eq!(raw.signature, signed.signature);

    let from = registries.coordinator;
    for (generation, registry) in registries.all() {
        let wrong = [
            ("another key's signature", Signed { signature: others.signature, ..own.clone() }, "Signature"),
            ("another key", Signed { g1: others.g1, g2: others.g2, ..own.clone() }, "Signature"),
            ("another key's G2", Signed { g2: others.g2, ..own.clone() }, "Signature"),
            ("a signature for another operator", others.clone(), "Signature"),
            // The precompile fails and the library burns the gas: no reason is given.
            ("swapped limbs of G2", own.with_swapped_limbs(), ""),
            (
                "the negated signature",
                Signed { signature: negated(&own.signature), ..own.clone() },
                "Signature",
            ),
        ];
        for (what, signed, reason) in wrong {
            let answer = evm.register(registry, operator, &(&signed).into(), &point, from).await;
            let refusal = answer.expect_err(&format!("{generation} accepts {what}"));
            assert!(
                refusal.contains(reason) || refusal.contains("signature"),
                "{generation}, {what}: {refusal}"
            );
            refused();
        }
        let parameters = Parameters::from(&own);
        let answer = evm.register(registry, operator, &parameters, &point, operator).await;
        assert!(answer.is_err(), "{generation}: anyone may register an operator");
        refused();

        let id = evm.register(registry, operator, &parameters, &point, from).await.unwrap();
        assert_eq!(id.0, signed.operator_id.0, "{generation}");
        accepted();

        // A key is bound to its operator, and the operator to its key, for ever.
        let again = evm.register(registry, operator, &parameters, &point, from).await;
        assert!(again.is_err(), "{generation}: an operator may register twice");
        refused();
        let other_point = evm.registration_point(registries, other).await;
        let registration = stage.coordinator().operator(other.to_string());
        let stolen = stage.client.sign_registration(&stage.key(1), &registration).await.unwrap();
        assert_eq!(stolen.hash, other_point);
        let answer =
            evm.register(registry, other, &(&Signed::from(&stolen)).into(), &other_point, from).await;
        assert!(answer.is_err(), "{generation}: two operators may have one key");
        refused();
        evm.register(registry, other, &(&others).into(), &other_point, from).await.unwrap();
        accepted();
    }
    stage.report("registries");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_refuses_what_the_real_contract_would_not_check() {
    let stage = Stage::new().await;
    let key = stage.key(1);
    stage.client.create_key(&key).await.unwrap();
    let contract = stage.registries.coordinator.to_string();
    let code =
        async |registration: Registration| match stage.client.sign_registration(&key, &registration).await {
            Err(ClientError::Api(refusal)) => (refusal.code, refusal.field.unwrap_or_default()),
            other => panic!("{other:?}"),
        };
    let mismatch = |field: &str| ("registry_mismatch".to_owned(), field.to_owned());
    let wrong_chain = Registration::bls_apk_registry(1, contract.clone());
    assert_eq!(code(wrong_chain).await, mismatch("chain_id"));
    // A coordinator is no KeyRegistrar; an account is no contract.
    let no_registrar = Registration::key_registrar(CHAIN_ID, contract, stage.operators[3].to_string(), 7);
    assert_eq!(code(no_registrar).await, mismatch("verifying_contract"));
    let no_contract = Registration::bls_apk_registry(CHAIN_ID, stage.operators[3].to_string());
    assert_eq!(code(no_contract).await, mismatch("verifying_contract"));
    stage.client.sign_registration(&key, &stage.coordinator()).await.unwrap();
    stage.report("comparison");
}

mod solidity {
    #![allow(non_snake_case)]
    alloy::sol_types::sol! {
        #![sol(alloy_sol_types = alloy::sol_types)]
        struct BN254KeyRegistration { address operator; address avs; uint32 operatorSetId; bytes keyData; }
        struct BN254Certificate { uint32 referenceTimestamp; bytes32 messageHash; }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn key_registrar_registrations_and_certificates_hold_under_the_evms_pairing() {
    // No node: there is no KeyRegistrar to ask on this chain.
    let evm = Evm::start();
    let installation = Installation::new();
    let service = installation.serve(&[]);
    let client = Client::new(&service.url, installation.token("*", SCOPES).into()).unwrap();
    let accounts = evm.accounts().await;
    let [operator, avs, registrar] = [accounts[1], accounts[2], accounts[3]];
    let (key, other) = (KeyRef::new(operator.to_string()), KeyRef::new(operator.to_string()).named("other"));
    let made = client.create_key(&key).await.unwrap().record;
    client.create_key(&other).await.unwrap();

    let registration = Registration::key_registrar(CHAIN_ID, registrar.to_string(), avs.to_string(), 7);
    let signed = client.sign_registration(&key, &registration).await.unwrap();
    let message = |id: u32, operator: Address| {
        let domain = eip712_domain! {
            name: "EigenLayer", version: "1", chain_id: CHAIN_ID, verifying_contract: registrar,
        };
        let key_data = made.key_data.0.to_vec().into();
        let registration =
            solidity::BN254KeyRegistration { operator, avs, operatorSetId: id, keyData: key_data };
        registration.eip712_signing_hash(&domain).0
    };
    check(&evm, &message(7, operator), &signed).await;
    let others = client.sign_registration(&other, &registration).await.unwrap();
    let wrong = [
        (message(8, operator), Signed::from(&signed)),
        (message(7, avs), Signed::from(&signed)),
        (message(7, operator), Signed { signature: others.signature, ..Signed::from(&signed) }),
        // The digest has the key in it, so another key has no signature under this one's digest.
        (message(7, operator), Signed::from(&others)),
        (message(7, operator), Signed::from(&signed).with_swapped_limbs()),
    ];
    for (digest, signed) in wrong {
        assert_ne!(evm.verifies(&digest, &hashed(&digest), &signed).await, Some(true));
        refused();
    }

    let message_hash = [0xab; 32];
    let signed = client.sign_certificate(&key, 1_795_000_000, message_hash).await.unwrap();
    let certificate = |reference_timestamp: u32| {
        let certificate = solidity::BN254Certificate {
            referenceTimestamp: reference_timestamp,
            messageHash: message_hash.into(),
        };
        certificate.eip712_hash_struct().0
    };
    // A bare struct hash, without the domain of EIP-712.
    let type_hash: B256 =
        "0xd9f77a423768f4b0526fa60a7c732334516a93f1d228dce50ad804ea74ced36e".parse().unwrap();
    let spelled = (type_hash, 1_795_000_000_u32, B256::from(message_hash));
    assert_eq!(keccak256(spelled.abi_encode()).0, certificate(1_795_000_000));
    check(&evm, &certificate(1_795_000_000), &signed).await;
    for digest in [certificate(1_795_000_001), message_hash] {
        assert_eq!(evm.verifies(&digest, &hashed(&digest), &(&signed).into()).await, Some(false));
        refused();
    }
    let (accepted, refused) = (ACCEPTED.load(Ordering::Relaxed), REFUSED.load(Ordering::Relaxed));
    println!("pairing: the chain accepted {accepted} and refused {refused} so far");
}

/// The answer signs this digest, by the EVM and by EigenLayer's own Rust.
async fn check(evm: &Evm, digest: &[u8; 32], answer: &SignResult) {
    assert_eq!(answer.digest.unwrap().0, *digest);
    assert_eq!(answer.hash, hashed(digest));
    assert_eq!(evm.verifies(digest, &answer.hash, &answer.into()).await, Some(true));
    assert!(verify_message(affine_g2(&answer.g2), digest, affine_g1(&answer.signature)));
    accepted();
}

#[tokio::test(flavor = "multi_thread")]
async fn eigen_crypto_bls_types_carry_the_answer_to_the_registry() {
    let stage = Stage::new().await;
    let (evm, operator) = (&stage.evm, stage.operators[4]);
    let answer = stage.registration(4).await;
    // The way of a Rust AVS: arkworks points in the SDK's types, and the SDK's own conversions to Solidity.
    let signature = bls::Signature::new(affine_g1(&answer.signature));
    let (key1, key2) =
        (bls::BlsG1Point::new(affine_g1(&answer.g1)), bls::BlsG2Point::new(affine_g2(&answer.g2)));
    assert!(verify_message(key2.g2(), &answer.digest.unwrap().0, signature.g1_point().g1()));
    let solidity = |point: G1Affine| {
        let point = bls::convert_to_g1_point(point).unwrap();
        let registry =
            eigen_utils::slashing::middleware::bls_apk_registry::BN254::G1Point { X: point.X, Y: point.Y };
        assert_eq!(
            bls::alloy_registry_g1_point_to_g1_affine(registry.clone()),
            bls::alloy_g1_point_to_g1_affine(point)
        );
        registry
    };
    let parameters = PubkeyRegistrationParams {
        pubkeyRegistrationSignature: solidity(signature.g1_point().g1()),
        pubkeyG1: solidity(key1.g1()),
        pubkeyG2: bls::convert_to_registry_g2_point(key2.g2()).unwrap(),
    };
    let point = evm.registration_point(&stage.registries, operator).await;
    for (generation, registry) in stage.registries.all() {
        let parameters = Parameters::from(parameters.clone());
        let id = evm.register(registry, operator, &parameters, &point, stage.registries.coordinator).await;
        assert_eq!(id.unwrap().0, answer.operator_id.0, "{generation}");
        accepted();
    }
    stage.report("eigen-crypto-bls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_javascript_client_registers_with_viem() {
    let stage = Stage::new().await;
    let operator = stage.operators[5];
    let program = std::env::var("AVS_KMS_JAVASCRIPT").expect("AVS_KMS_JAVASCRIPT; `make test-chain` sets it");
    for (generation, registry) in stage.registries.all() {
        let output = std::process::Command::new("node")
            .arg(&program)
            .envs([
                ("KMS_URL", stage.service.url.as_str()),
                ("KMS_TOKEN", &stage.token),
                ("RPC_URL", &stage.evm.url),
                ("OPERATOR", &operator.to_string()),
                ("COORDINATOR", &stage.registries.coordinator.to_string()),
                ("REGISTRY", &registry.address().to_string()),
            ])
            .output()
            .expect("node runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{generation}: {said}{}", String::from_utf8_lossy(&output.stderr));
        let made = stage.client.key(&stage.key(5)).await.unwrap().current;
        assert_eq!(said.trim(), made.operator_id.to_string(), "{generation}");
        accepted();
    }
    stage.report("viem");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_follows_a_key_from_one_registry_of_the_chain_to_the_next() {
    let evm = Evm::start();
    // An AVS that moves: a registry knows one key of an operator for ever, so the next key goes to the next registry.
    let (old, new) = (evm.registries().await, evm.registries().await);
    let operator = evm.accounts().await[6];
    let installation = Installation::new();
    let settings =
        [("AVS_KMS__CHAIN__RPC_URL", evm.url.as_str()), ("AVS_KMS__ROTATION__CHECK_INTERVAL", "200ms")];
    let service = installation.serve(&settings);
    let token = installation.token("*", &[SCOPES, &["keys:rotate"]].concat());
    let client = Client::new(&service.url, token.into()).unwrap();
    let bound = |registries: &Registries| {
        let coordinator = registries.coordinator.to_string();
        json!({"eoa": operator.to_string(), "binding": {
            "registry": "bls_apk_registry", "chain_id": CHAIN_ID, "verifying_contract": coordinator,
        }})
    };
    let key = KeyRef::new(operator.to_string());
    let register = async |version: u32, registries: &Registries| {
        let at = Registration::bls_apk_registry(CHAIN_ID, registries.coordinator.to_string());
        let signed =
            client.sign_registration(&key.clone().version(Version::Number(version)), &at).await.unwrap();
        let point = evm.registration_point(registries, operator).await;
        let (_, registry) = registries.all()[0];
        let parameters = Parameters::from(&Signed::from(&signed));
        evm.register(registry, operator, &parameters, &point, registries.coordinator).await.unwrap();
        accepted();
    };
    // Newest first: the state of each version, and whether its registry holds it.
    let seen = async || {
        let shown: Value = client.get(&format!("/v1/keys/{operator}/default")).await.unwrap();
        let versions = shown["versions"].as_array().unwrap().iter();
        versions
            .map(|version| {
                (version["state"].as_str().unwrap().to_owned(), version["binding"]["registered"] == true)
            })
            .collect::<Vec<_>>()
    };
    let until = async |wanted: &[(&str, bool)]| {
        let wanted: Vec<_> = wanted.iter().map(|(state, held)| ((*state).to_owned(), *held)).collect();
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let now = seen().await;
            if now == wanted {
                break;
            }
            assert!(Instant::now() < end, "{now:?} is not {wanted:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };

    let _: Value = client.post("/v1/keys", &bound(&old)).await.unwrap();
    until(&[("active", false)]).await;
    register(1, &old).await;
    until(&[("active", true)]).await;
    let _: Value = client.post("/v1/keys/rotate", &bound(&new)).await.unwrap();
    until(&[("pending", false), ("active", true)]).await;
    register(2, &new).await;
    until(&[("active", true), ("retiring", true)]).await;
    // Certificates of before ask for the old one.
    let one = client.sign_digest(&key.clone().version(Version::Number(1)), [7; 32]).await.unwrap();
    let two = client.sign_digest(&key, [7; 32]).await.unwrap();
    assert_ne!(one.g1, two.g1);
    assert!(verify_message(affine_g2(&one.g2), &[7; 32], affine_g1(&one.signature)));
    let (accepted, refused) = (ACCEPTED.load(Ordering::Relaxed), REFUSED.load(Ordering::Relaxed));
    println!("rotation: the chain accepted {accepted} and refused {refused} so far");
}

/// EigenLayer's own hash to the curve.
fn hashed(digest: &[u8; 32]) -> G1Point {
    let point = bls::convert_to_g1_point(map_to_curve(digest)).unwrap();
    g1(&[point.X.to_be_bytes::<32>(), point.Y.to_be_bytes()].concat())
}

fn field(bytes: &avs_kms_client::Bytes<32>) -> Fq {
    use ark_ff::PrimeField as _;
    Fq::from_be_bytes_mod_order(&bytes.0)
}

fn affine_g1(point: &G1Point) -> G1Affine {
    G1Affine::new(field(&point.x), field(&point.y))
}

/// arkworks has the real coefficient first.
fn affine_g2(point: &G2Point) -> G2Affine {
    let [x, y] = [&point.x, &point.y].map(|[imaginary, real]| Fq2::new(field(real), field(imaginary)));
    G2Affine::new(x, y)
}

fn negated(point: &G1Point) -> G1Point {
    let point = bls::convert_to_g1_point(-affine_g1(point)).unwrap();
    g1(&[point.X.to_be_bytes::<32>(), point.Y.to_be_bytes()].concat())
}
