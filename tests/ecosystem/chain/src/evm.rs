//! A local chain (anvil), EigenLayer's registries on it, and its precompiles as a pairing oracle.
//!
//! The contracts decide by their own code; nothing of the service's mathematics is used.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use alloy::contract::Error as ContractError;
use alloy::network::TransactionBuilder as _;
use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::TransactionRequest;
use avs_kms_client::{G1Point, G2Point, SignResult};
use eigen_utils::rewardsv2::middleware::{bls_apk_registry as first, registry_coordinator as coordinator};
use eigen_utils::slashing::middleware::bls_apk_registry as slashing;

/// The chain's id.
pub const CHAIN_ID: u64 = 31_337;

/// A running anvil, its first accounts unlocked.
pub struct Evm {
    _process: Process,
    pub url: String,
    pub rpc: RootProvider,
}

/// Ends with the test, however that ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Evm {
    /// Starts the program that `AVS_KMS_ANVIL` names.
    pub fn start() -> Self {
        // Our client and alloy share one reqwest, which brings no provider of its own.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let program = std::env::var("AVS_KMS_ANVIL").expect("AVS_KMS_ANVIL; `make test-chain` sets it");
        let child = Command::new(program)
            .args(["--host", "127.0.0.1", "--port", "0", "--chain-id", &CHAIN_ID.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("anvil starts");
        let mut process = Process(child);
        let mut lines = BufReader::new(process.0.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let address = lines.by_ref().find_map(|line| line.strip_prefix("Listening on ").map(str::to_owned));
        // The pipe must not fill up.
        std::thread::spawn(move || lines.for_each(drop));
        let url = format!("http://{}", address.expect("anvil says where it listens"));
        let rpc = RootProvider::new_http(url.parse().expect("a URL"));
        Self { _process: process, url, rpc }
    }

    pub async fn accounts(&self) -> Vec<Address> {
        self.rpc.get_accounts().await.expect("accounts")
    }

    async fn deploy(&self, from: Address, code: Bytes) -> Address {
        let transaction = TransactionRequest::default().from(from).with_deploy_code(code);
        let sent = self.rpc.send_transaction(transaction).await.expect("a deployment");
        let receipt = sent.get_receipt().await.expect("a receipt");
        assert!(receipt.status(), "the deployment failed");
        receipt.contract_address.expect("a contract")
    }

    /// Lets a contract's address send transactions, as the registry coordinator does to its registry.
    async fn impersonate(&self, who: Address) {
        let _: () =
            self.rpc.raw_request("anvil_impersonateAccount".into(), (who,)).await.expect("impersonation");
        let wei = U256::from(10).pow(U256::from(20));
        let _: () = self.rpc.raw_request("anvil_setBalance".into(), (who, wei)).await.expect("a balance");
    }

    /// EigenLayer's RegistryCoordinator and two generations of its BLSApkRegistry.
    pub async fn registries(&self) -> Registries {
        let deployer = self.accounts().await[0];
        let nonce = self.rpc.get_transaction_count(deployer).await.expect("a nonce");
        // The coordinator has to know its registry, which comes next, and the registry its coordinator.
        let registry = deployer.create(nonce + 1);
        let unused = Address::repeat_byte(0x11);
        let code = coordinator::RegistryCoordinator::deploy_builder(
            &self.rpc, unused, unused, registry, unused, unused,
        )
        .calldata()
        .clone();
        let coordinator = self.deploy(deployer, code).await;
        let code = first::BLSApkRegistry::deploy_builder(&self.rpc, coordinator).calldata().clone();
        assert_eq!(self.deploy(deployer, code).await, registry);
        let code = slashing::BLSApkRegistry::deploy_builder(&self.rpc, coordinator).calldata().clone();
        let slashing = self.deploy(deployer, code).await;
        self.impersonate(coordinator).await;
        Registries { coordinator, first: registry, slashing }
    }

    /// `RegistryCoordinator.pubkeyRegistrationMessageHash(operator)`.
    pub async fn registration_point(&self, registries: &Registries, operator: Address) -> G1Point {
        let contract = coordinator::RegistryCoordinator::new(registries.coordinator, &self.rpc);
        let point =
            contract.pubkeyRegistrationMessageHash(operator).call().await.expect("the coordinator answers");
        g1(&[point.X.to_be_bytes::<32>(), point.Y.to_be_bytes()].concat())
    }

    /// `registerBLSPublicKey` in a transaction of the coordinator's; the operator id that the registry then holds, or
    /// its refusal: the name of its error, `reverted` where it gives none.
    pub async fn register(
        &self,
        registry: Registry,
        operator: Address,
        parameters: &Parameters,
        point: &G1Point,
        from: Address,
    ) -> Result<B256, String> {
        let contract = slashing::BLSApkRegistry::new(registry.0, &self.rpc);
        let point = slashing::BN254::G1Point { X: word(&point.x.0), Y: word(&point.y.0) };
        let call =
            contract.registerBLSPublicKey(operator, parameters.solidity(), point).from(from).gas(2_000_000);
        // First as a call, which alone tells the reason; then for good.
        call.call().await.map_err(refusal)?;
        let receipt = call.send().await.expect("a transaction").get_receipt().await.expect("a receipt");
        assert!(receipt.status(), "a call went well that fails as a transaction");
        assert!(!receipt.inner.logs().is_empty(), "no NewPubkeyRegistration");
        Ok(contract.getOperatorId(operator).call().await.expect("the registry answers"))
    }

    /// `BN254SignatureVerifier.verifySignature` (KeyRegistrar, BN254CertificateVerifier) by the EVM's precompiles:
    /// e(σ + γP, −G2) · e(H + γG1, P′) = 1. `None` where a precompile refuses its input.
    pub async fn verifies(&self, digest: &[u8; 32], hash: &G1Point, signed: &Signed) -> Option<bool> {
        let Signed { signature, g1: key, g2 } = signed;
        let g2_bytes = [g2.x[0].0, g2.x[1].0, g2.y[0].0, g2.y[1].0].concat();
        let transcript = [&digest[..], &key.to_bytes(), &g2_bytes, &signature.to_bytes()].concat();
        let gamma = U256::from_be_bytes(keccak256(transcript).0) % word(&ORDER);
        let scaled = self.precompile(7, &[&key.to_bytes()[..], &gamma.to_be_bytes::<32>()].concat()).await?;
        let left = self.precompile(6, &[&signature.to_bytes()[..], &scaled].concat()).await?;
        let mut one_two = [0; 64];
        (one_two[31], one_two[63]) = (1, 2);
        let scaled = self.precompile(7, &[&one_two[..], &gamma.to_be_bytes::<32>()].concat()).await?;
        let right = self.precompile(6, &[&hash.to_bytes()[..], &scaled].concat()).await?;
        let minus_g2 =
            NEGATED_G2.map(|text| text.parse::<U256>().expect("a number").to_be_bytes::<32>()).concat();
        let answer = self.precompile(8, &[&left[..], &minus_g2, &right, &g2_bytes].concat()).await?;
        Some(U256::from_be_slice(&answer) == U256::from(1))
    }

    async fn precompile(&self, number: u8, input: &[u8]) -> Option<Vec<u8>> {
        let to = Address::with_last_byte(number);
        let call = TransactionRequest::default().to(to).input(input.to_vec().into());
        self.rpc.call(call).await.ok().map(|answer| answer.to_vec()).filter(|answer| !answer.is_empty())
    }
}

/// r.
const ORDER: [u8; 32] = [
    0x30, 0x64, 0x4e, 0x72, 0xe1, 0x31, 0xa0, 0x29, 0xb8, 0x50, 0x45, 0xb6, 0x81, 0x81, 0x58, 0x5d, 0x28,
    0x33, 0xe8, 0x48, 0x79, 0xb9, 0x70, 0x91, 0x43, 0xe1, 0xf5, 0x93, 0xf0, 0x00, 0x00, 0x01,
];

/// `BN254.negGeneratorG2()`: imaginary coefficients first.
const NEGATED_G2: [&str; 4] = [
    "11559732032986387107991004021392285783925812861821192530917403151452391805634",
    "10857046999023057135944570762232829481370756359578518086990519993285655852781",
    "17805874995975841540914202342111839520379459829704422454583296818431106115052",
    "13392588948715843804641432497768002650278120570034223513918757245338268106653",
];

/// Where the contracts are.
pub struct Registries {
    pub coordinator: Address,
    first: Address,
    slashing: Address,
}

/// One generation of BLSApkRegistry.
#[derive(Clone, Copy)]
pub struct Registry(Address);

impl Registry {
    pub fn address(self) -> Address {
        self.0
    }
}

impl Registries {
    /// Each generation with its name.
    pub fn all(&self) -> [(&'static str, Registry); 2] {
        [("rewards v2", Registry(self.first)), ("slashing", Registry(self.slashing))]
    }
}

/// A signature with its key.
#[derive(Clone)]
pub struct Signed {
    pub signature: G1Point,
    pub g1: G1Point,
    pub g2: G2Point,
}

impl From<&SignResult> for Signed {
    fn from(result: &SignResult) -> Self {
        Self { signature: result.signature, g1: result.g1, g2: result.g2 }
    }
}

impl Signed {
    /// A usual mistake.
    pub fn with_swapped_limbs(&self) -> Self {
        let G2Point { x: [x_imaginary, x_real], y: [y_imaginary, y_real] } = self.g2;
        Self { g2: G2Point { x: [x_real, x_imaginary], y: [y_real, y_imaginary] }, ..self.clone() }
    }
}

/// `PubkeyRegistrationParams` as its eight words; the struct is the same in every generation.
pub struct Parameters(slashing::IBLSApkRegistryTypes::PubkeyRegistrationParams);

impl Parameters {
    fn solidity(&self) -> slashing::IBLSApkRegistryTypes::PubkeyRegistrationParams {
        self.0.clone()
    }
}

impl From<&Signed> for Parameters {
    fn from(signed: &Signed) -> Self {
        let point = |point: &G1Point| slashing::BN254::G1Point { X: word(&point.x.0), Y: word(&point.y.0) };
        let limbs = |limbs: &[avs_kms_client::Bytes<32>; 2]| limbs.each_ref().map(|limb| word(&limb.0));
        Self(slashing::IBLSApkRegistryTypes::PubkeyRegistrationParams {
            pubkeyRegistrationSignature: point(&signed.signature),
            pubkeyG1: point(&signed.g1),
            pubkeyG2: slashing::BN254::G2Point { X: limbs(&signed.g2.x), Y: limbs(&signed.g2.y) },
        })
    }
}

impl From<slashing::IBLSApkRegistryTypes::PubkeyRegistrationParams> for Parameters {
    fn from(parameters: slashing::IBLSApkRegistryTypes::PubkeyRegistrationParams) -> Self {
        Self(parameters)
    }
}

fn word(bytes: &[u8; 32]) -> U256 {
    U256::from_be_bytes(*bytes)
}

/// `x‖y`.
pub fn g1(bytes: &[u8]) -> G1Point {
    G1Point::from_bytes(bytes.try_into().expect("64 bytes"))
}

/// The name of the contract's error; the first generation has sentences instead of names.
fn refusal(error: ContractError) -> String {
    use slashing::BLSApkRegistry::BLSApkRegistryErrors as Errors;
    if let Some(known) = error.as_decoded_interface_error::<Errors>() {
        return format!("{known:?}").split(['(', ' ']).next().unwrap_or_default().to_owned();
    }
    match error {
        ContractError::TransportError(error) => error.as_error_resp().map_or_else(
            || panic!("no refusal of the contract's: {error}"),
            |answer| answer.message.to_string(),
        ),
        other => panic!("no refusal of the contract's: {other}"),
    }
}
