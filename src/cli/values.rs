//! Values of arguments: the few that an argument allows, and times.

use std::error::Error;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};

/// A parser for one of a few names, which the help lists.
pub(super) fn one_of<T>(names: impl IntoIterator<Item = &'static str>) -> impl TypedValueParser<Value = T>
where
    T: FromStr + Clone + Send + Sync + 'static,
    T::Err: Error + Send + Sync + 'static,
{
    PossibleValuesParser::new(names).try_map(|text| text.parse::<T>())
}

/// A lifetime such as `12h` or `30d`; a day has 24 hours.
pub(super) fn lifetime(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str = "expected a time such as 15m, 12h or 30d";
    let span: jiff::Span = text.parse().map_err(|_| EXPECTED.to_owned())?;
    let duration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| EXPECTED)?;
    duration.try_into().map_err(|_| EXPECTED.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_has_a_unit_and_is_not_negative() {
        assert_eq!(lifetime("12h"), Ok(Duration::from_secs(43_200)));
        assert_eq!(lifetime("30d"), Ok(Duration::from_secs(2_592_000)));
        for wrong in ["", "soon", "12", "-1h", "1y"] {
            let refused = lifetime(wrong);
            assert!(refused.as_ref().is_err_and(|error| error.contains("12h")), "{wrong}: {refused:?}");
        }
    }
}
