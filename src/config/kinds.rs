//! Kinds of values: how each is written, what it allows, and how it is read.

mod pkcs11;

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;

pub(super) use self::pkcs11::{KEY_LABEL, LABEL, MODULE_TEXT, SERIAL, VARIABLE};

/// A value as the layers hold it.
#[derive(Clone, Debug)]
pub(super) enum Raw {
    /// A text, number or truth value of the file, of the environment or of a flag.
    One(String),
    /// A TOML array of the file.
    List(Vec<String>),
}

/// A kind of value.
pub(super) trait Kind {
    /// What it is read into.
    type Value;

    /// Type, unit and allowed values, after "expected".
    fn expected(&self) -> String;

    /// The value, if it is of this kind.
    fn read(&self, raw: &Raw) -> Option<Self::Value>;

    /// The default as TOML.
    fn to_toml(&self, text: &str) -> String {
        format!("{text:?}")
    }

    /// Whether an error message may repeat the value. A URL may hold an API key.
    fn is_public(&self) -> bool {
        true
    }

    /// How the environment and flags give a value.
    fn layer_text(&self, text: String) -> Raw {
        Raw::One(text)
    }
}

/// A kind that a function reads from a text.
pub(super) struct Text<T> {
    expected: &'static str,
    read: fn(&str) -> Option<T>,
    bare: bool,
    public: bool,
}

impl<T> Kind for Text<T> {
    type Value = T;

    fn expected(&self) -> String {
        self.expected.to_owned()
    }

    fn read(&self, raw: &Raw) -> Option<T> {
        one(raw).and_then(self.read)
    }

    fn to_toml(&self, text: &str) -> String {
        if self.bare { text.to_owned() } else { format!("{text:?}") }
    }

    fn is_public(&self) -> bool {
        self.public
    }
}

fn one(raw: &Raw) -> Option<&str> {
    match raw {
        Raw::One(text) => Some(text),
        Raw::List(_) => None,
    }
}

const fn text<T>(expected: &'static str, read: fn(&str) -> Option<T>) -> Text<T> {
    Text { expected, read, bare: false, public: true }
}

/// Any text.
pub(super) const ANY: Text<String> = text("text", |text| Some(text.to_owned()));

/// An address and port.
pub(super) const ADDRESS: Text<SocketAddr> =
    text("an address and port, such as \"127.0.0.1:8254\"", |text| text.parse().ok());

/// True or false.
pub(super) const BOOL: Text<bool> = Text { bare: true, ..text("true or false", |text| text.parse().ok()) };

/// A path.
pub(super) const PATH: Text<PathBuf> = text("a path", |text| (!text.is_empty()).then(|| PathBuf::from(text)));

/// The URL of an HTTP service.
pub(super) const URL: Text<String> = Text {
    public: false,
    ..text("a URL, such as \"https://host/path\"", |text| {
        let rest = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme))?;
        (!rest.is_empty() && !rest.contains(char::is_whitespace)).then(|| text.to_owned())
    })
};

/// An Ethereum address. Its checksum is checked where the addresses are used.
pub(super) const EOA: Text<String> = text("an address: 0x and 40 hex digits", |text| {
    let digits = text.strip_prefix("0x")?;
    (digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| text.to_owned())
});

/// A host name or an IP address, without port.
pub(super) const HOST: Text<String> = text("a host name or an IP address, without port", |text| {
    let is_name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let is_host = !text.is_empty() && (is_name || text.parse::<std::net::IpAddr>().is_ok());
    is_host.then(|| text.to_owned())
});

/// A network in CIDR form, but not the whole internet.
pub(super) const NETWORK: Text<IpNet> =
    text("a network, such as \"10.1.0.0/16\" or \"fd00::/8\", without bits behind the prefix", |text| {
        let network: IpNet = text.parse().ok()?;
        (network.trunc() == network && network.prefix_len() > 0).then_some(network)
    });

/// An EOA, or all of them.
pub(super) const OPERATOR: Text<String> = text("an address: 0x and 40 hex digits, or \"*\"", |text| {
    if text == "*" { Some(text.to_owned()) } else { (EOA.read)(text) }
});

/// A filter of log lines.
pub(super) const LOG_FILTER: Text<String> =
    text("`error`, `warn`, `info`, `debug` or `trace`, or a filter such as `info,avs_kms=debug`", |text| {
        text.parse::<tracing_subscriber::EnvFilter>().ok().map(|_| text.to_owned())
    });

/// A part of a whole.
pub(super) const RATIO: Text<f64> = Text {
    bare: true,
    ..text("a number from 0 to 1", |text| text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio)))
};

/// Requests per second.
pub(super) const PER_SECOND: Text<u32> =
    text("a rate per second, such as \"100/s\", up to \"1000000/s\"; \"0\": no limit", |text| {
        rate(text, "/s")
    });

/// Requests per minute.
pub(super) const PER_MINUTE: Text<u32> =
    text("a rate per minute, such as \"100/min\", up to \"1000000/min\"; \"0\": no limit", |text| {
        rate(text, "/min")
    });

fn rate(text: &str, unit: &str) -> Option<u32> {
    if text == "0" {
        return Some(0);
    }
    text.strip_suffix(unit)?.parse().ok().filter(|count| *count <= 1_000_000)
}

/// A time, written such as `500ms`, `10s` or `5m`.
pub(super) struct Time {
    expected: &'static str,
    /// The longest.
    most: Duration,
    /// Whether it has whole seconds.
    whole: bool,
}

/// A time of up to an hour.
pub(super) const TIME: Time = Time {
    expected: "a time, such as \"500ms\", \"10s\" or \"5m\", more than 0 and at most \"1h\"",
    most: Duration::from_secs(3_600),
    whole: false,
};

/// A lifetime of up to 90 days.
pub(super) const LIFETIME: Time = Time {
    expected: "a time in whole seconds, such as \"15m\" or \"12h\", from \"1s\" to \"2160h\" (90 days)",
    most: Duration::from_secs(90 * 86_400),
    whole: true,
};

impl Kind for Time {
    type Value = Duration;

    fn expected(&self) -> String {
        self.expected.to_owned()
    }

    fn read(&self, raw: &Raw) -> Option<Duration> {
        let duration: Duration = one(raw)?.parse::<jiff::SignedDuration>().ok()?.try_into().ok()?;
        let allowed = !duration.is_zero() && duration <= self.most;
        (allowed && !(self.whole && duration.subsec_nanos() != 0)).then_some(duration)
    }
}

/// A whole number in a range.
pub(super) struct Number<T>(pub(super) RangeInclusive<T>);

impl<T: FromStr + Display + PartialOrd> Kind for Number<T> {
    type Value = T;

    fn expected(&self) -> String {
        format!("a whole number from {} to {}", self.0.start(), self.0.end())
    }

    fn read(&self, raw: &Raw) -> Option<T> {
        one(raw)?.parse().ok().filter(|number| self.0.contains(number))
    }

    fn to_toml(&self, text: &str) -> String {
        text.to_owned()
    }
}

/// One of a few names.
pub(super) struct Choice<T: 'static>(pub(super) &'static [(&'static str, T)]);

impl<T: Copy> Kind for Choice<T> {
    type Value = T;

    fn expected(&self) -> String {
        let names: Vec<_> = self.0.iter().map(|(name, _)| format!("{name:?}")).collect();
        match names.as_slice() {
            [others @ .., last] if !others.is_empty() => format!("{} or {last}", others.join(", ")),
            names => names.concat(),
        }
    }

    fn read(&self, raw: &Raw) -> Option<T> {
        let text = one(raw)?;
        self.0.iter().find(|(name, _)| *name == text).map(|(_, value)| *value)
    }
}

/// A value that an empty text leaves out.
pub(super) struct Optional<K>(pub(super) K);

impl<K: Kind> Kind for Optional<K> {
    type Value = Option<K::Value>;

    fn expected(&self) -> String {
        format!("{}, or empty", self.0.expected())
    }

    fn read(&self, raw: &Raw) -> Option<Self::Value> {
        if one(raw)?.is_empty() { Some(None) } else { self.0.read(raw).map(Some) }
    }

    fn to_toml(&self, text: &str) -> String {
        if text.is_empty() { format!("{text:?}") } else { self.0.to_toml(text) }
    }

    fn is_public(&self) -> bool {
        self.0.is_public()
    }
}

/// Any number of values: a TOML array, and in the environment a text with commas.
pub(super) struct List<K>(pub(super) K);

impl<K: Kind> Kind for List<K> {
    type Value = Vec<K::Value>;

    fn expected(&self) -> String {
        format!("an array; each element is {}", self.0.expected())
    }

    fn read(&self, raw: &Raw) -> Option<Self::Value> {
        match raw {
            Raw::One(_) => None,
            Raw::List(items) => items.iter().map(|item| self.0.read(&Raw::One(item.clone()))).collect(),
        }
    }

    fn to_toml(&self, text: &str) -> String {
        debug_assert!(text.is_empty(), "no list has a default");
        "[]".to_owned()
    }

    fn is_public(&self) -> bool {
        self.0.is_public()
    }

    fn layer_text(&self, text: String) -> Raw {
        Raw::List(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
    }
}
