//! The log: one line an event on standard error, as text or as JSON.

use std::io::{IsTerminal, stderr};

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people; coloured where standard error is a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// A log was set up before in this process.
#[derive(Debug, thiserror::Error)]
#[error("the log is set up already")]
pub struct LogAlreadySet;

/// Sets up the log of the process. Only events of Privet itself are written:
/// what its libraries would say may quote a request.
pub fn init(format: LogFormat, level: LevelFilter) -> Result<(), LogAlreadySet> {
    tracing::subscriber::set_global_default(subscriber(format, level, stderr().is_terminal(), stderr))
        .map_err(|_| LogAlreadySet)
}

fn subscriber<W>(format: LogFormat, level: LevelFilter, ansi: bool, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let own = Targets::new().with_target(env!("CARGO_CRATE_NAME"), level);
    let layer = fmt::layer().with_writer(writer).with_target(false);
    match format {
        LogFormat::Text => Box::new(registry().with(own).with(layer.with_ansi(ansi))),
        LogFormat::Json => {
            let layer = layer.json().flatten_event(true).with_current_span(false).with_span_list(false);
            Box::new(registry().with(own).with(layer))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(buf)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, level: LevelFilter) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        tracing::subscriber::with_default(subscriber(format, level, false, move || writer.clone()), || {
            tracing::info!(request_id = "01J", findings = 2, "Forwarded.");
            tracing::debug!("A detail.");
            tracing::error!(target: "hyper::proto", "ana@example.com");
        });
        let text = lines.0.lock().unwrap().clone();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn text_and_json_hold_the_fields() {
        let text = logged(LogFormat::Text, LevelFilter::INFO);
        assert!(text.ends_with(" INFO Forwarded. request_id=\"01J\" findings=2\n"), "{text}");

        let json: serde_json::Value = serde_json::from_str(&logged(LogFormat::Json, LevelFilter::INFO)).unwrap();
        assert_eq!(json["level"], "INFO");
        assert_eq!(json["message"], "Forwarded.");
        assert_eq!(json["request_id"], "01J");
        assert_eq!(json["findings"], 2);
    }

    #[test]
    fn the_level_holds_and_libraries_are_silent() {
        assert!(logged(LogFormat::Text, LevelFilter::DEBUG).contains("A detail."));
        assert_eq!(logged(LogFormat::Text, LevelFilter::ERROR), "");
        assert!(!logged(LogFormat::Json, LevelFilter::TRACE).contains("ana@"));
    }
}
