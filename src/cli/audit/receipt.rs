//! `avs-kms audit verify-receipt`: what a response of a signing call proves, offline.
//!
//! The receipt names a record by its hash. Only the record itself says what was asked for, and only its outcome says
//! what signature came out, so without them nothing about the signature is proven.

use std::path::{Path, PathBuf};

use clap::Args;
use hsm::{G1Point, G2Point};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::cli::error::CliError;
use crate::cli::output::Output;
use crate::eigenlayer;
use audit_log::{InclusionProof, ProofError, Receipt, SignedCheckpoint, VerifierKey, hash_text, leaf_hash};

pub(super) const HELP: &str = "\
Without --record only the record's place in the log is proven, and nothing about the signature.
With the record, the answer must name the same EOA, key name, version, public key and message.
With its outcome in the same file and a second --proof for that, the signature is proven, too.

Example:
  curl -s \"$URL/v1/audit/proof?seq=5\" >proof.json
  curl -s \"$URL/v1/audit/proof?seq=6\" >outcome.json
  curl -s \"$URL/v1/audit?after=4\" -H \"Authorization: Bearer $TOKEN\" >records.json
  avs-kms audit verify-receipt --answer answer.json --public-key log.pub --record records.json \\
    --proof proof.json --proof outcome.json";

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// File with the response of the signing call
    #[arg(long, value_name = "FILE")]
    answer: PathBuf,
    /// File with the response of GET /v1/audit/proof?seq=…, or with its `proof` only; repeat it for the outcome
    #[arg(long, value_name = "FILE", required = true)]
    proof: Vec<PathBuf>,
    /// File with the record of the receipt and its outcome: the response of GET /v1/audit, or lines of `audit export`
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// File with the public key of the log, one line
    #[arg(long, value_name = "FILE")]
    public_key: PathBuf,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<(), CliError> {
    let key = audit_log::public_key_in(&arguments.public_key);
    let key = key.map_err(|error| CliError::new(error.message()))?;
    let unusable = || {
        let file = arguments.answer.display();
        CliError::new(format!("{file} has no audit receipt {{seq, log, record_hash}}"))
    };
    let answer: Value = serde_json::from_str(&read(&arguments.answer)?).map_err(|_| unusable())?;
    let receipt = receipt_in(&answer).ok_or_else(unusable)?;
    let proofs = arguments.proof.iter().map(|file| proof_in(file)).collect::<Result<Vec<_>, _>>()?;
    let checkpoint = proven(&proofs, &key, &receipt)
        .map_err(|error| CliError::context("the receipt does not hold", &error))?;
    let (seq, size) = (receipt.seq, checkpoint.size());
    let signature = match &arguments.record {
        None => Proven::Nothing,
        Some(file) => {
            let records = records_in(file)?;
            let (_, record) =
                records.iter().find(|(hash, _)| *hash == receipt.record_hash).ok_or_else(|| {
                    CliError::new(format!(
                        "{} does not have the record of the receipt, byte for byte",
                        file.display()
                    ))
                })?;
            fits_record(&answer, record, seq)?;
            match records.iter().find(|(_, record)| is_outcome_of(record, seq)) {
                None => Proven::Request,
                Some((hash, outcome)) => {
                    fits_outcome(&answer, outcome)?;
                    let seq = outcome.get("seq").and_then(Value::as_u64).unwrap_or_default();
                    let outcome = Receipt { seq, log: receipt.log, record_hash: *hash };
                    match proven(&proofs, &key, &outcome) {
                        Ok(_) => Proven::Signature,
                        Err(_) => Proven::Request,
                    }
                }
            }
        }
    };
    let origin = checkpoint.origin();
    let fields = json!({"seq": seq, "size": size, "origin": origin, "proven": signature.name()});
    output.print(&fields, || {
        format!("proven: record {seq} is in the log {origin} of {size} records; {}", signature.words())
    });
    Ok(())
}

/// How much of the answer is proven.
#[derive(Clone, Copy)]
enum Proven {
    Nothing,
    Request,
    Signature,
}

impl Proven {
    const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "record",
            Self::Request => "request",
            Self::Signature => "signature",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Nothing => "nothing about the signature is proven: pass the record with --record",
            Self::Request => {
                "it is of this EOA, key and message; nothing about the signature itself is proven: pass its outcome \
                 record with --record, and the proof of that with --proof"
            }
            Self::Signature => "it is of this EOA, key and message, and its outcome names this signature",
        }
    }
}

fn read(file: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(file)
        .map_err(|error| CliError::context(format!("cannot read {}", file.display()), &error))
}

/// The whole response of the service, or the text of the proof.
fn proof_in(file: &Path) -> Result<String, CliError> {
    let text = read(file)?;
    let response = serde_json::from_str::<Value>(&text).ok();
    let proof = response.and_then(|value| value.get("proof").and_then(Value::as_str).map(str::to_owned));
    Ok(proof.unwrap_or(text))
}

/// The checkpoint of the first proof that holds for the receipt; else why the first one does not.
fn proven(proofs: &[String], key: &VerifierKey, receipt: &Receipt) -> Result<SignedCheckpoint, ProofError> {
    let mut results = proofs.iter().map(|proof| InclusionProof::verify_receipt(proof, key, receipt));
    let first = results.next().unwrap_or(Err(ProofError::Off));
    if first.is_ok() {
        return first;
    }
    results.find_map(Result::ok).map_or(first, Ok)
}

fn receipt_in(answer: &Value) -> Option<Receipt> {
    let receipt = answer.get("audit")?;
    let record_hash = hex_of(receipt.get("record_hash")?)?.try_into().ok()?;
    let log = receipt.get("log")?.as_str()?.parse().ok()?;
    Some(Receipt { seq: receipt.get("seq")?.as_u64()?, log, record_hash })
}

fn hex_of(value: &Value) -> Option<Vec<u8>> {
    let digits = value.as_str()?;
    hex::decode(digits.strip_prefix("0x").unwrap_or(digits)).ok()
}

/// The records in a page or in lines, each with the hash of its bytes.
fn records_in(file: &Path) -> Result<Vec<([u8; 32], Value)>, CliError> {
    #[derive(serde::Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        records: Vec<&'a RawValue>,
    }
    let text = read(file)?;
    let raw: Vec<&str> = match serde_json::from_str::<Page<'_>>(&text) {
        Ok(page) => page.records.iter().map(|record| record.get()).collect(),
        Err(_) => text.lines().filter(|line| !line.is_empty()).collect(),
    };
    let parsed = raw.into_iter().map(|raw| Ok((leaf_hash(raw.as_bytes()), serde_json::from_str(raw)?)));
    parsed.collect::<Result<_, serde_json::Error>>().map_err(|error| {
        CliError::context(format!("{} has no records of an audit log", file.display()), &error)
    })
}

fn is_outcome_of(record: &Value, seq: u64) -> bool {
    record.get("intent").and_then(Value::as_u64) == Some(seq)
}

/// Compares what the answer says with what its record says.
fn same(what: &str, answer: Option<String>, record: Option<String>) -> Result<(), CliError> {
    if answer.is_some() && answer == record {
        return Ok(());
    }
    let shown = |text: Option<String>| text.unwrap_or_else(|| "nothing".to_owned());
    let (answer, record) = (shown(answer), shown(record));
    Err(CliError::new(format!(
        "the answer does not fit its record: {what} is {answer} in the answer and {record} in the record"
    )))
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer)?.as_str().map(str::to_owned)
}

fn number(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer)?.as_u64().map(|number| number.to_string())
}

fn bytes32(value: &Value, pointer: &str) -> Option<[u8; 32]> {
    hex_of(value.pointer(pointer)?)?.try_into().ok()
}

/// A point of the answer.
fn point(answer: &Value, member: &str) -> Option<G1Point> {
    let coordinate = |name| bytes32(answer, &format!("/{member}/{name}"));
    G1Point::from_coordinates(&coordinate("x")?, &coordinate("y")?).ok()
}

/// The public key of the answer in G2.
fn g2_point(answer: &Value) -> Option<G2Point> {
    let at = |name, index| bytes32(answer, &format!("/g2/{name}/{index}"));
    let [x, y] = ["x", "y"].map(|name| Some([at(name, 0)?, at(name, 1)?]));
    let ([x0, x1], [y0, y1]) = (x?, y?);
    G2Point::from_coordinates([&x0, &x1], [&y0, &y1]).ok()
}

/// What the answer has of the key in other forms. The record names the key in G1 alone, and a caller may use any of them.
fn fits_key(answer: &Value, g1: Option<G1Point>) -> Result<(), CliError> {
    let key = g1.zip(g2_point(answer)).filter(|(g1, g2)| eigenlayer::same_key(g1, g2));
    let has = |member| answer.get(member).is_some();
    if has("g2") && key.is_none() {
        return Err(CliError::new(
            "the answer does not fit its record: the public key in G2 is of another key",
        ));
    }
    if has("key_data") {
        let data = key.map(|(g1, g2)| hex::encode(eigenlayer::key_data(&g1, &g2)));
        same("the key data", answer.get("key_data").and_then(hex_of).map(hex::encode), data)?;
    }
    let pair = |member: &str| ["x", "y"].map(|name| answer.pointer(&format!("/{member}/{name}")).cloned());
    let params = json!({"pubkey_registration_params": [pair("signature"), pair("g1"), pair("g2")]});
    if answer.get("evm").is_some_and(|evm| *evm != params) {
        let what = "the arguments of a contract (evm) are not its own signature and key";
        return Err(CliError::new(format!("the answer does not fit its record: {what}")));
    }
    Ok(())
}

/// What the intent names: the key and the message.
fn fits_record(answer: &Value, record: &Value, seq: u64) -> Result<(), CliError> {
    same("the kind", Some("intent".to_owned()), text(record, "/kind"))?;
    same("the number", Some(seq.to_string()), number(record, "/seq"))?;
    let lower = |eoa: Option<String>| eoa.map(|eoa| eoa.to_ascii_lowercase());
    same("the EOA", lower(text(answer, "/eoa")), lower(text(record, "/key/eoa")))?;
    same("the name", text(answer, "/name"), text(record, "/key/name"))?;
    same("the version", number(answer, "/version"), number(record, "/key/version"))?;
    let recorded_key = || text(record, "/key/public_key_hash");
    same("the operator id", bytes32(answer, "/operator_id").map(|id| hash_text(&id)), recorded_key())?;
    let g1 = point(answer, "g1");
    let key_hash = g1.as_ref().map(|g1| hash_text(&eigenlayer::operator_id(g1)));
    same("the hash of the public key", key_hash, recorded_key())?;
    fits_key(answer, g1)?;
    let hash = point(answer, "hash");
    if text(record, "/input/digest").is_some() {
        let digest = bytes32(answer, "/digest");
        same("the digest", digest.map(|digest| hash_text(&digest)), text(record, "/input/digest"))?;
        let hashed = digest.map(|digest| hex::encode(eigenlayer::hash_to_g1(&digest).to_bytes()));
        return same("the hash", hash.map(|hash| hex::encode(hash.to_bytes())), hashed);
    }
    same("the point", hash.map(|hash| hash_text(hash.x())), text(record, "/input/x"))?;
    same("the point", hash.map(|hash| hash_text(hash.y())), text(record, "/input/y"))
}

/// The hash of the signature in the outcome.
fn fits_outcome(answer: &Value, outcome: &Value) -> Result<(), CliError> {
    let signature = point(answer, "signature").map(|signature| signature.to_bytes());
    let bytes = answer.get("signature_bytes").and_then(hex_of).map(hex::encode);
    same("the signature", bytes, signature.map(hex::encode))?;
    let hash = signature.map(|bytes| hash_text(&Sha256::digest(bytes).into()));
    same("the hash of the signature", hash, text(outcome, "/signature_hash"))
}
