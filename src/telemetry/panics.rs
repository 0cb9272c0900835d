//! What is told of a panic: where, never what. Its message may quote the text
//! that was at work.

use std::io::{self, Write};
use std::panic;

use prometheus::IntCounter;

/// Replaces the panic hook of the process by one that logs the place of the
/// panic alone and, where `count` is given, counts it. Where no log is set up
/// the line goes to standard error.
pub fn catch_panics(count: Option<IntCounter>) {
    panic::set_hook(Box::new(move |panic| {
        if let Some(count) = &count {
            count.inc();
        }
        let (file, line) = panic.location().map_or(("an unknown place", 0), |l| (l.file(), l.line()));
        if tracing::dispatcher::has_been_set() {
            tracing::error!(file, line, "Privet has panicked.");
        } else {
            // There is nobody left to tell if this fails.
            let _ = writeln!(io::stderr(), "privet has panicked at {file}:{line}");
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_counted_and_its_message_is_not_told() {
        let count = IntCounter::new("panics", "Panics.").unwrap();
        let before = panic::take_hook();
        catch_panics(Some(count.clone()));
        let caught = panic::catch_unwind(|| panic!("ana@example.com"));
        panic::set_hook(before);
        assert!(caught.is_err());
        // Other tests of the process may panic meanwhile.
        assert!(count.get() >= 1);
    }
}
