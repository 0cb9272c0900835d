//! A progress bar on standard error, where somebody looks at it and the work is
//! long.

use super::inputs::Source;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal as _, Read};
use std::time::Duration;

/// Less than so many bytes are done before anybody looks.
const LONG: u64 = 64 << 20;

/// The bar, or nothing.
pub(super) struct Progress(Option<ProgressBar>);

impl Progress {
    /// A bar over the size of all files. There is none where findings go to
    /// the same terminal, or the size is not known.
    pub(super) fn start(sources: &[Source], findings_on_terminal: bool) -> Self {
        if findings_on_terminal || !io::stderr().is_terminal() {
            return Self(None);
        }
        let sizes: Option<Vec<u64>> = sources.iter().map(Source::size).collect();
        let total = sizes.map_or(0, |sizes| sizes.iter().sum());
        if total < LONG {
            return Self(None);
        }
        let bar = ProgressBar::new(total);
        let template = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Self(Some(bar))
    }

    /// The same input, of which each read moves the bar.
    pub(super) fn watch<R: Read>(&self, input: R) -> Watched<R> {
        Watched { input, bar: self.0.clone() }
    }

    pub(super) fn finish(self) {
        if let Some(bar) = self.0 {
            bar.finish_and_clear();
        }
    }
}

/// An input whose reads are counted.
pub(super) struct Watched<R> {
    input: R,
    bar: Option<ProgressBar>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(into)?;
        if let Some(bar) = &self.bar {
            bar.inc(count as u64);
        }
        Ok(count)
    }
}
