//! The rule file: one rule per line, read again whenever it changes. The first rule that fits a call acts.
//!
//! `<function|*> <effect> [after=N] [every=N] [times=N] [delay_ms=N]` with the effects `rv=0x30` (instead of the call), `lost=0x30`
//! (after it: the reply is lost), `plain=0x30` (as `lost`: the output stays), `hang` (until the rules change), `poison`
//! (the session says OPERATION_ACTIVE from its second time on), `logout`, `flip`, `swap` (the output of the call before),
//! `fill=N`, `length=N`, `hits=0|2`, `own_iv`, `renumber` (every object handle given out before is invalid from here on),
//! `capacity=N` (C_OpenSession: SESSION_COUNT while N are open), `refuse=0x170` (templates with that attribute), `forgive` (a refused
//! decryption says OK and gives 32 bytes), `kill`, `kill_post`, `slow` (only the delay).

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

/// What a rule does to a call.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)] // the module's text says what each means
pub enum Effect {
    None,
    Before(u64),
    After(u64),
    Hang,
    Poison,
    LogOut,
    Flip,
    Swap,
    Fill(u8),
    Length(u64),
    Hits(u64),
    Renumber,
    Capacity(u64),
    Refuse(u64),
    OwnIv,
    /// A refusal becomes a success with 32 bytes.
    Forgive,
    Kill,
    KillAfter,
}

/// One line of the file.
#[derive(Clone, Debug)]
pub struct Rule {
    function: String,
    /// What happens.
    pub effect: Effect,
    /// Waited before the call.
    pub delay: Duration,
    after: u64,
    /// Acts on each call of this number alone.
    every: u64,
    calls: u64,
    times: u64,
}

#[derive(Default)]
struct RuleBook {
    version: Option<(SystemTime, u64)>,
    rules: Vec<Rule>,
}

static BOOK: Mutex<RuleBook> = Mutex::new(RuleBook { version: None, rules: Vec::new() });

fn path() -> Option<PathBuf> {
    std::env::var_os("HSM_FAULTS_RULES").map(Into::into)
}

fn version() -> Option<(SystemTime, u64)> {
    let found = std::fs::metadata(path()?).ok()?;
    Some((found.modified().ok()?, found.len()))
}

/// The rule for this call, if there is one and its turn has come.
pub fn active(function: &str) -> Option<Rule> {
    let mut book = current();
    let fits =
        |rule: &&mut Rule| rule.function == function || rule.function == "*" && function.starts_with("C_");
    let rule = book.rules.iter_mut().filter(|rule| rule.times > 0).find(fits)?;
    if rule.after > 0 {
        rule.after -= 1;
        return None;
    }
    rule.calls += 1;
    if !rule.calls.is_multiple_of(rule.every) {
        return None;
    }
    rule.times -= 1;
    Some(rule.clone())
}

/// The device that a rule `device:NAME` asks for.
pub fn device() -> Option<String> {
    let book = current();
    book.rules.iter().find_map(|rule| rule.function.strip_prefix("device:")).map(ToOwned::to_owned)
}

fn current() -> std::sync::MutexGuard<'static, RuleBook> {
    let mut book = BOOK.lock().unwrap();
    let version = version();
    if version != book.version {
        let text = path().and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        book.rules = text.lines().filter_map(parse).collect();
        book.version = version;
    }
    book
}

/// Returns when the rules have changed, or after a minute.
pub fn hang() {
    let (begun, before) = (Instant::now(), version());
    while version() == before && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn parse(line: &str) -> Option<Rule> {
    let mut words = line.split_whitespace();
    let function = words.next()?.to_owned();
    let (effect, delay) = (Effect::None, Duration::ZERO);
    let mut rule = Rule { function, effect, delay, after: 0, every: 1, calls: 0, times: u64::MAX };
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, "0"));
        let number = || match value.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).unwrap(),
            None => value.parse().unwrap(),
        };
        match key {
            "rv" => rule.effect = Effect::Before(number()),
            "lost" | "plain" => rule.effect = Effect::After(number()),
            "hang" => rule.effect = Effect::Hang,
            "poison" => rule.effect = Effect::Poison,
            "logout" => rule.effect = Effect::LogOut,
            "flip" => rule.effect = Effect::Flip,
            "swap" => rule.effect = Effect::Swap,
            "fill" => rule.effect = Effect::Fill(number() as u8),
            "length" => rule.effect = Effect::Length(number()),
            "hits" => rule.effect = Effect::Hits(number()),
            "renumber" => rule.effect = Effect::Renumber,
            "capacity" => rule.effect = Effect::Capacity(number()),
            "refuse" => rule.effect = Effect::Refuse(number()),
            "own_iv" => rule.effect = Effect::OwnIv,
            "forgive" => rule.effect = Effect::Forgive,
            "kill" => rule.effect = Effect::Kill,
            "kill_post" => rule.effect = Effect::KillAfter,
            "slow" => {}
            "delay_ms" => rule.delay = Duration::from_millis(number()),
            "after" => rule.after = number(),
            "every" => rule.every = number(),
            "times" => rule.times = number(),
            other => panic!("unknown word {other:?} in rule {line:?}"),
        }
    }
    Some(rule)
}
