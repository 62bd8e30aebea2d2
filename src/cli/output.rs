//! What commands print: one line for people, or JSON for programs.

/// What commands print with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    pub(super) json: bool,
}

impl Output {
    /// One line for people, or the object for programs.
    #[expect(clippy::print_stdout, reason = "this is what standard output is for")]
    pub(super) fn print(self, value: &serde_json::Value, people: impl FnOnce() -> String) {
        if self.json {
            println!("{value}");
        } else {
            println!("{}", people());
        }
    }
}

#[expect(clippy::print_stderr, reason = "the one place where a command says what went wrong")]
pub(super) fn say(sentence: &str) {
    eprintln!("avs-kms: {sentence}");
}
