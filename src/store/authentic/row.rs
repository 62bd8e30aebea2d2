//! Rows as bytes for their MACs: table, identity, then every deciding column, in one encoding for each content.
//!
//! A column is `absent 0` or `present 1 | length 4 | bytes`; numbers are 8 bytes, big-endian. The MAC covers values,
//! not the SQL of one back end. Last use is left out: it decides nothing.

use std::fmt;

use jiff::Timestamp;

use crate::auth::{AccessTokenHash, AccessTokenRecord, Policy};
use crate::key::{Binding, Eoa, Freeze, KeyName, KeyVersion, Registry, Reservation, Schedule, ScheduleScope};

/// Tables whose rows decide something. The numbers are part of the MACs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(in crate::store) enum Table {
    KeyVersion = 1,
    Reservation = 2,
    AccessToken = 3,
    Policy = 4,
    Schedule = 5,
    UsedChallenge = 6,
    AppliedIntent = 7,
    Freeze = 8,
    TakenAway = 9,
}

impl Table {
    const fn name(self) -> &'static str {
        match self {
            Self::KeyVersion => "key version",
            Self::Reservation => "reserved key version",
            Self::AccessToken => "access token",
            Self::Policy => "key policy",
            Self::Schedule => "rotation schedule",
            Self::UsedChallenge => "used challenge",
            Self::AppliedIntent => "applied intent",
            Self::Freeze => "freeze",
            Self::TakenAway => "intent of a taking away",
        }
    }
}

/// One row: where it belongs, and what it says.
pub(in crate::store) struct Row {
    table: Table,
    id: Columns,
    content: Columns,
    /// What a person calls it.
    name: String,
}

impl Row {
    pub(in crate::store) fn version(version: &KeyVersion) -> Self {
        let KeyVersion { id, eoa, name, version: number, status, public_key, binding, .. } = version;
        let KeyVersion { registration, times, destroy_intent, .. } = version;
        let mut content = Columns::default();
        content.bytes(eoa.as_bytes()).text(name.as_str()).number(number.number());
        content.text(status.lifecycle.as_str()).flag(status.disabled);
        content.bytes(&public_key.g1.to_bytes()).bytes(&public_key.g2.to_bytes());
        content.binding(binding.as_ref());
        content.optional(registration.map(|it| it.held), Columns::flag);
        content.time(registration.map(|it| it.since));
        content.time(Some(times.created)).time(times.activated).time(times.superseded).time(times.retired);
        content.time(times.destroy).time(times.destroyed).time(times.announced);
        content.optional(*destroy_intent, |columns, it| columns.bytes(&it.to_bytes()));
        let said = format!("{eoa} {name} v{number}");
        Self::new(Table::KeyVersion, Columns::of(&id.to_bytes()), content, said)
    }

    pub(in crate::store) fn reservation(reservation: &Reservation) -> Self {
        let Reservation { id, eoa, name, version, binding } = reservation;
        let mut content = Columns::default();
        content.bytes(eoa.as_bytes()).text(name.as_str()).number(version.number()).binding(binding.as_ref());
        let said = format!("{eoa} {name} v{version}");
        Self::new(Table::Reservation, Columns::of(&id.to_bytes()), content, said)
    }

    pub(in crate::store) fn access_token(hash: &AccessTokenHash, record: &AccessTokenRecord) -> Self {
        let AccessTokenRecord {
            id,
            subject,
            scopes,
            created_at,
            expires_at,
            revoked_at,
            login,
            networks,
            keys,
            last_used_at: _,
            client_certificate,
        } = record;
        let mut content = Columns::default();
        content.text(id.as_str()).text(&subject.to_string()).text(&scopes.to_string());
        content.time(Some(*created_at)).time(Some(*expires_at)).time(*revoked_at);
        content.flag(*login).text(&networks.to_string());
        content.number(keys.len() as u64);
        for key in keys {
            content.text(key.as_str());
        }
        content.optional(client_certificate.map(|it| it.to_string()), |columns, it| columns.text(&it));
        Self::new(Table::AccessToken, Columns::of(hash.as_bytes()), content, id.as_str().to_owned())
    }

    pub(in crate::store) fn policy(owner: &Eoa, name: &KeyName, policy: &Policy) -> Self {
        let Policy { signing, networks, per_minute } = policy;
        let mut content = Columns::default();
        content.text(&signing.to_string()).text(&networks.to_string());
        content.optional(*per_minute, |columns, it| columns.number(it.get()));
        let mut id = Columns::of(owner.as_bytes());
        id.text(name.as_str());
        Self::new(Table::Policy, id, content, format!("{owner} {name}"))
    }

    pub(in crate::store) fn schedule(owner: &Eoa, scope: &ScheduleScope, schedule: &Schedule) -> Self {
        let Schedule { every_days, announce_days, overlap_days, activate, retire_on, jitter_hours } =
            *schedule;
        let mut content = Columns::default();
        content.number(every_days).number(announce_days).number(overlap_days);
        content.flag(activate).text(retire_on.as_str()).number(jitter_hours);
        Self::new(Table::Schedule, schedule_id(owner, scope), content, format!("{owner} {scope}"))
    }

    pub(in crate::store) fn used_challenge(nonce: &[u8; 32], expires_at: i64) -> Self {
        let mut content = Columns::default();
        content.signed(expires_at);
        Self::new(Table::UsedChallenge, Columns::of(nonce), content, hex::encode(nonce))
    }

    pub(in crate::store) fn applied_intent(intent: u64) -> Self {
        let mut id = Columns::default();
        id.number(intent);
        Self::new(Table::AppliedIntent, id, Columns::default(), intent.to_string())
    }

    pub(in crate::store) fn freeze(freeze: &Freeze) -> Self {
        let Freeze { since, reason } = freeze;
        let mut content = Columns::default();
        content.time(Some(*since)).optional(reason.as_deref(), Columns::text);
        Self::new(Table::Freeze, Columns::default(), content, format!("since {since}"))
    }

    pub(in crate::store) fn taken_away(record_hash: &[u8; 32]) -> Self {
        Self::new(Table::TakenAway, Columns::of(record_hash), Columns::default(), hex::encode(record_hash))
    }

    fn new(table: Table, id: Columns, content: Columns, name: String) -> Self {
        Self { table, id, content, name }
    }

    pub(super) fn place(&self) -> Place {
        Place::new(self.table, &self.id)
    }

    /// The input of the MAC: the place, so that a row cannot be moved, and the content.
    pub(super) fn message(&self) -> Vec<u8> {
        let mut message = Columns::of(&self.place().0);
        message.bytes(&self.content.0);
        message.0
    }
}

/// For the refusal of a forged row.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.table.name(), self.name)
    }
}

/// Where a row belongs: its table and its identity in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store) struct Place(pub(super) Vec<u8>);

impl Place {
    fn new(table: Table, id: &Columns) -> Self {
        Self([&[table as u8], id.0.as_slice()].concat())
    }

    pub(in crate::store) fn access_token(hash: &AccessTokenHash) -> Self {
        Self::new(Table::AccessToken, &Columns::of(hash.as_bytes()))
    }

    pub(in crate::store) fn reservation(id: hsm::KeyId) -> Self {
        Self::new(Table::Reservation, &Columns::of(&id.to_bytes()))
    }

    pub(in crate::store) fn schedule(owner: &Eoa, scope: &ScheduleScope) -> Self {
        Self::new(Table::Schedule, &schedule_id(owner, scope))
    }

    pub(in crate::store) fn used_challenge(nonce: &[u8; 32]) -> Self {
        Self::new(Table::UsedChallenge, &Columns::of(nonce))
    }

    pub(in crate::store) fn applied_intent(intent: u64) -> Self {
        let mut id = Columns::default();
        id.number(intent);
        Self::new(Table::AppliedIntent, &id)
    }

    pub(in crate::store) fn freeze() -> Self {
        Self::new(Table::Freeze, &Columns::default())
    }

    pub(in crate::store) fn taken_away(record_hash: &[u8; 32]) -> Self {
        Self::new(Table::TakenAway, &Columns::of(record_hash))
    }

    pub(super) fn is_of(&self, table: Table) -> bool {
        self.0.first() == Some(&(table as u8))
    }
}

fn schedule_id(owner: &Eoa, scope: &ScheduleScope) -> Columns {
    let mut id = Columns::of(owner.as_bytes());
    id.text(&scope.to_string());
    id
}

/// Columns one after the other; two different sequences never give the same bytes.
#[derive(Default)]
struct Columns(Vec<u8>);

impl Columns {
    fn of(bytes: &[u8]) -> Self {
        let mut columns = Self::default();
        columns.bytes(bytes);
        columns
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.push(1);
        self.0.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    fn number(&mut self, number: impl Into<u64>) -> &mut Self {
        self.bytes(&number.into().to_be_bytes())
    }

    fn signed(&mut self, number: i64) -> &mut Self {
        self.bytes(&number.to_be_bytes())
    }

    fn flag(&mut self, flag: bool) -> &mut Self {
        self.bytes(&[u8::from(flag)])
    }

    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T) -> &mut Self) -> &mut Self {
        match value {
            Some(value) => write(self, value),
            None => {
                self.0.push(0);
                self
            }
        }
    }

    fn time(&mut self, time: Option<Timestamp>) -> &mut Self {
        self.optional(time, |columns, time| columns.signed(time.as_second()))
    }

    fn binding(&mut self, binding: Option<&Binding>) -> &mut Self {
        let Some(Binding { chain_id, registry, verifying_contract, operator }) = binding else {
            self.0.push(0);
            return self;
        };
        self.number(*chain_id).text(registry.as_str());
        match registry {
            Registry::BlsApkRegistry => {
                self.optional(None::<u64>, Self::number).optional(None::<u64>, Self::number)
            }
            Registry::KeyRegistrar { avs, operator_set_id } => {
                self.bytes(avs.as_bytes()).number(*operator_set_id)
            }
        };
        self.bytes(verifying_contract.as_bytes()).bytes(operator.as_bytes())
    }
}
