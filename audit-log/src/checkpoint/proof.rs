//! Merkle proofs: inclusion of a record in a checkpoint, and consistency of two checkpoints.
//!
//! The service checks each proof before it gives it out. The receiver needs the public key of the
//! log and nothing else. The text form is c2sp.org/tlog-proof. Not for: reading records.

use std::fmt;

use thiserror::Error;
use tlog_tiles::HashReader;

use crate::checkpoint::key::VerifierKey;
use crate::checkpoint::signed::{CheckpointError, SignedCheckpoint};
use crate::format::head::Receipt;
use crate::format::log_id::LogId;
use crate::format::merkle::Hash;

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// A record is in the log of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// The record's number.
    pub seq: u64,
    /// The record's hash.
    pub record_hash: Hash,
    /// From the leaf's sibling to the root's child, RFC 6962 section 2.1.1.
    pub hashes: Vec<Hash>,
    /// The signed head that it leads to.
    pub checkpoint: SignedCheckpoint,
}

/// The log of `to` records begins with the log of `from` records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// The smaller size.
    pub from: u64,
    /// Its root.
    pub from_root: Hash,
    /// The larger size.
    pub to: u64,
    /// Its root.
    pub to_root: Hash,
    /// RFC 6962 section 2.1.2.
    pub hashes: Vec<Hash>,
}

/// Why there is no proof, or the proof is wrong.
#[derive(Debug, Error)]
pub enum ProofError {
    /// No checkpoint covers that record or size yet.
    #[error("there is no checkpoint of {size} records yet")]
    NotYet {
        /// What would have to be covered.
        size: u64,
    },
    /// The sizes are out of order.
    #[error("a consistency proof goes from a size of at least 1 to one that is not smaller")]
    Order,
    /// Checkpoints are off, or the hashes of the tree are not here.
    #[error(
        "this log has no proofs: checkpoints are off, or older segments were moved away before they were indexed"
    )]
    Off,
    /// The stored hashes do not fit the log, or the proof does not lead to the root.
    #[error("the proof does not lead to the root of the checkpoint")]
    Wrong,
    /// Not a proof in the C2SP form.
    #[error("this is not a proof in the form of {FIRST_LINE}")]
    Form,
    /// The checkpoint in the proof is not valid.
    #[error("the checkpoint of the proof is not valid")]
    Checkpoint(#[from] CheckpointError),
    /// The proof is of another log.
    #[error("the proof is of the log {found}, not of {expected}")]
    OtherLog {
        /// The receipt's log.
        expected: LogId,
        /// The log that the checkpoint names.
        found: LogId,
    },
    /// The proof is for another record.
    #[error("the proof is for record {found}, not for record {expected}")]
    OtherRecord {
        /// The receipt's record.
        expected: u64,
        /// The proof's record.
        found: u64,
    },
}

/// Proves that record `seq` is in the log of a checkpoint.
pub(crate) fn inclusion(
    stored: &impl HashReader,
    checkpoint: &SignedCheckpoint,
    seq: u64,
) -> Result<InclusionProof, ProofError> {
    if seq >= checkpoint.size() {
        return Err(ProofError::NotYet { size: seq.saturating_add(1) });
    }
    let leaf = stored.read_hashes(&[tlog_tiles::stored_hash_index(0, seq)]).map_err(|_| ProofError::Wrong)?;
    let record_hash = leaf.first().ok_or(ProofError::Wrong)?.0;
    let path = tlog_tiles::prove_record(checkpoint.size(), seq, stored).map_err(|_| ProofError::Wrong)?;
    let hashes = path.into_iter().map(|hash| hash.0).collect();
    let proof = InclusionProof { seq, record_hash, hashes, checkpoint: checkpoint.clone() };
    proof.leads_to_root(record_hash)?;
    Ok(proof)
}

/// Proves that the log of `to` records extends the log of `from` records.
pub(crate) fn consistency(
    stored: &impl HashReader,
    newest: u64,
    from: u64,
    to: u64,
) -> Result<ConsistencyProof, ProofError> {
    if from == 0 || from > to {
        return Err(ProofError::Order);
    }
    if to > newest {
        return Err(ProofError::NotYet { size: to });
    }
    let root = |size| tlog_tiles::tree_hash(size, stored).map(|root| root.0).map_err(|_| ProofError::Wrong);
    let (from_root, to_root) = (root(from)?, root(to)?);
    let path = tlog_tiles::prove_tree(to, from, stored).map_err(|_| ProofError::Wrong)?;
    let hashes = path.into_iter().map(|hash| hash.0).collect();
    let proof = ConsistencyProof { from, from_root, to, to_root, hashes };
    proof.check()?;
    Ok(proof)
}

impl ConsistencyProof {
    /// Checks the proof against the two roots it names; compare those with the checkpoints.
    ///
    /// # Errors
    /// When it does not hold.
    pub fn check(&self) -> Result<(), ProofError> {
        let path = self.hashes.iter().copied().map(tlog_tiles::Hash).collect();
        let [old, new] = [self.from_root, self.to_root].map(tlog_tiles::Hash);
        tlog_tiles::check_tree(&path, self.to, new, self.from, old).map_err(|_| ProofError::Wrong)
    }
}

impl InclusionProof {
    fn leads_to_root(&self, record_hash: Hash) -> Result<(), ProofError> {
        let path = self.hashes.iter().copied().map(tlog_tiles::Hash).collect();
        let root = tlog_tiles::Hash(self.checkpoint.root());
        tlog_tiles::check_record(&path, self.checkpoint.size(), root, self.seq, tlog_tiles::Hash(record_hash))
            .map_err(|_| ProofError::Wrong)
    }

    /// Checks offline that the record of a receipt is in the log: the text of a proof, the log's
    /// public key, and the receipt that came with the signature.
    ///
    /// # Errors
    /// When the proof is malformed, signed by another key, of another log, for another record, or does not hold.
    pub fn verify_receipt(
        text: &str,
        key: &VerifierKey,
        receipt: &Receipt,
    ) -> Result<SignedCheckpoint, ProofError> {
        let (proof, note) = text.split_once("\n\n").ok_or(ProofError::Form)?;
        let mut lines = proof.lines();
        if lines.next() != Some(FIRST_LINE) {
            return Err(ProofError::Form);
        }
        let mut lines = lines.skip_while(|line| line.starts_with("extra ")).fuse();
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).ok_or(ProofError::Form)?;
        let seq: u64 = index.parse().map_err(|_| ProofError::Form)?;
        let hash = |line| tlog_tiles::Hash::parse_hash(line).map(|hash| hash.0).map_err(|_| ProofError::Form);
        let hashes = lines.map(hash).collect::<Result<_, _>>()?;
        let checkpoint = key.open(note.as_bytes())?;
        if seq != receipt.seq {
            return Err(ProofError::OtherRecord { expected: receipt.seq, found: seq });
        }
        // A configured origin does not say which log it is.
        let found = LogId::of_origin(checkpoint.origin());
        if let Some(found) = found.filter(|found| *found != receipt.log) {
            return Err(ProofError::OtherLog { expected: receipt.log, found });
        }
        let this = Self { seq, record_hash: receipt.record_hash, hashes, checkpoint };
        if seq >= this.checkpoint.size() {
            return Err(ProofError::Wrong);
        }
        this.leads_to_root(receipt.record_hash)?;
        Ok(this.checkpoint)
    }
}

/// The C2SP text form.
impl fmt::Display for InclusionProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}\nindex {}", self.seq)?;
        for hash in &self.hashes {
            writeln!(f, "{}", tlog_tiles::Hash(*hash))?;
        }
        write!(f, "\n{}", self.checkpoint.note())
    }
}
