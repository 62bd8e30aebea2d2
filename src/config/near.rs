//! The setting that an unknown name most likely means.

/// How alike two names must be, 0 to 1.
const ALIKE: f64 = 0.8;

/// The nearest of `settings`: the same name in another section, or a similar spelling.
pub(super) fn nearest<'a>(key: &str, settings: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let same_name = settings.clone().find(|setting| name(setting) == name(key));
    let similar = settings
        .map(|setting| (strsim::jaro_winkler(key, setting), setting))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, setting)| setting);
    same_name.or(similar)
}

fn name(key: &str) -> Option<&str> {
    key.rsplit('.').next()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_misspelt_or_misplaced_setting_is_recognised() {
        let settings = ["server.listen", "server.max_connections", "pkcs11.module", "log.level"];
        let near = |key| nearest(key, settings.into_iter());
        assert_eq!(near("server.listn"), Some("server.listen"));
        assert_eq!(near("hsm.module"), Some("pkcs11.module"));
        assert_eq!(near("colour.red"), None);
    }
}
