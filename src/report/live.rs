//! The lines at the bottom of a terminal that say what is under way and how long it has been.

use std::{collections::BTreeMap, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::{Look, words};

/// The part of the terminal that is redrawn. Everything else that goes to the same terminal, such
/// as diagnostics, is written inside [`Live::suspend`]. Cheap to clone.
#[derive(Clone)]
pub struct Live(Option<MultiProgress>);

impl Live {
    /// `shown` is for terminals that can move the cursor; otherwise nothing is ever redrawn.
    pub fn new(shown: bool) -> Self {
        Self(shown.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr())))
    }

    pub fn is_shown(&self) -> bool {
        self.0.is_some()
    }

    /// Runs `write` while the live lines are out of the way.
    pub fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(lines) => lines.suspend(write),
            None => write(),
        }
    }
}

/// One live line per operation under way.
pub struct Operations {
    live: Live,
    look: Look,
    bars: BTreeMap<String, ProgressBar>,
}

impl Operations {
    pub fn new(live: Live, look: Look) -> Self {
        Self { live, look, bars: BTreeMap::new() }
    }

    pub fn live(&self) -> &Live {
        &self.live
    }

    pub fn started(&mut self, id: &str, line: String) {
        let Some(lines) = &self.live.0 else { return };
        let bar = lines.add(ProgressBar::new_spinner().with_style(style(&self.look, None)).with_message(line));
        bar.enable_steady_tick(Duration::from_millis(100));
        self.bars.insert(id.to_owned(), bar);
    }

    /// It waits, and has been doing so for `elapsed`: the line counts on from there by itself.
    pub fn waits(&mut self, id: &str, line: String, elapsed: Duration, timeout: Duration) {
        if let Some(bar) = self.bars.get(id) {
            bar.set_style(style(&self.look, Some(timeout)));
            bar.set_elapsed(elapsed);
            bar.set_message(line);
        }
    }

    pub fn finished(&mut self, id: &str) {
        if let (Some(lines), Some(bar)) = (&self.live.0, self.bars.remove(id)) {
            bar.finish_and_clear();
            lines.remove(&bar);
        }
    }

    pub fn clear(&mut self) {
        while let Some((id, _)) = self.bars.first_key_value() {
            let id = id.clone();
            self.finished(&id);
        }
    }
}

fn style(look: &Look, timeout: Option<Duration>) -> ProgressStyle {
    let time = move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        // Whole seconds: tenths would only flicker.
        let elapsed = words::friendly(Duration::from_secs(state.elapsed().as_secs()));
        // What cannot be drawn now is drawn the next time.
        let _ = match timeout {
            Some(timeout) => write!(out, "{elapsed} of {}", words::friendly(timeout)),
            None => write!(out, "{elapsed}"),
        };
    };
    let (on, off) = if look.colour { ("\x1b[36m", "\x1b[0m") } else { ("", "") };
    let ticks: &[&str] = if look.unicode {
        &["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏", " "]
    } else {
        &["-", "\\", "|", "/", " "]
    };
    ProgressStyle::with_template(&format!("  {on}{{spinner}}{off} {{wide_msg}} {{time}} "))
        .expect("the template is a constant")
        .tick_strings(ticks)
        .with_key("time", time)
}
