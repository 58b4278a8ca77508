//! How far a backfill is: a bar on a terminal, now and then a line elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

/// How often a line is printed where there is no terminal.
const LINE: Duration = Duration::from_secs(5);

/// Bytes of all files against those read.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    begun: Instant,
    printed: Instant,
    total: u64,
    /// Bytes of files that have been read to their end.
    before: u64,
    observations: u64,
}

impl Progress {
    /// Of so many bytes.
    pub(crate) fn new(total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{msg} [{wide_bar}] {bytes}/{total_bytes} {eta}");
            ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, begun: Instant::now(), printed: Instant::now(), total, before: 0, observations: 0 }
    }

    /// `bytes` of the present file have been read, and so many more observations posted.
    pub(crate) fn advance(&mut self, file: &str, bytes: u64, observations: u64) {
        self.observations += observations;
        let done = (self.before + bytes).min(self.total);
        let rate = (self.observations as f64 / self.begun.elapsed().as_secs_f64().max(0.001)) as u64;
        let posted = format!("{file}: {} observations, {}/s", HumanCount(self.observations), HumanCount(rate));
        match &self.bar {
            Some(bar) => {
                bar.set_position(done);
                bar.set_message(posted);
            }
            None if self.printed.elapsed() >= LINE => {
                self.printed = Instant::now();
                let share = 100 * done / self.total.max(1);
                eprintln!("{share} % of {}; {posted}", HumanBytes(self.total));
            }
            None => {}
        }
    }

    /// A file of so many bytes is behind us.
    pub(crate) fn file_done(&mut self, bytes: u64) {
        self.before += bytes;
    }

    /// A line that stays.
    pub(crate) fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
