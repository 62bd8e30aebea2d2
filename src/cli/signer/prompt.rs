//! Reads a line that nobody should see from standard input, with the echo off where that is a terminal.

use std::io::IsTerminal;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::cli::error::Failed;
use crate::cli::output::say;

/// The longest line, bytes.
const MOST: usize = 1_024;

/// Puts the terminal back as it was, however the reading ends.
struct Quiet(Option<Termios>);

impl Quiet {
    fn begin() -> Self {
        let stdin = std::io::stdin();
        let before = stdin.is_terminal().then(|| tcgetattr(&stdin).ok()).flatten();
        if let Some(before) = &before {
            let mut quiet = before.clone();
            quiet.local_modes.remove(LocalModes::ECHO);
            // A terminal that cannot be quiet shows what is typed; whoever types sees it.
            let _ = tcsetattr(&stdin, OptionalActions::Flush, &quiet);
        }
        Self(before)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, before);
        }
    }
}

pub(super) fn read_password(prompt: &str) -> Result<Zeroizing<Vec<u8>>, Failed> {
    if std::io::stdin().is_terminal() {
        say(prompt);
    }
    let _quiet = Quiet::begin();
    // Byte by byte, past the buffer of the standard library, which nobody wipes.
    let mut line = Zeroizing::new(Vec::with_capacity(MOST));
    let mut byte = Zeroizing::new([0; 1]);
    while line.len() < MOST {
        match rustix::io::read(std::io::stdin(), &mut *byte) {
            Ok(0) => break,
            Ok(_) if *byte == *b"\n" => break,
            Ok(_) => line.extend_from_slice(&*byte),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Failed::while_trying("cannot read the password", &error)),
        }
    }
    Ok(line)
}
