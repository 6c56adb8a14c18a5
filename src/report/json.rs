//! One JSON object per event and line, for programs: `runner run --json`.

use std::io::Write;

use crate::event::{Report, Stamped};

/// Writes each event as a line of JSON. Each line is flushed: the reader may act on it.
pub struct Json {
    out: Option<Box<dyn Write + Send>>,
}

impl Json {
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out: Some(out) }
    }
}

impl Report for Json {
    fn event(&mut self, stamped: &Stamped) {
        let Some(out) = &mut self.out else { return };
        let written = serde_json::to_vec(stamped).map_err(Into::into).and_then(|mut line| {
            line.push(b'\n');
            out.write_all(&line)?;
            out.flush()
        });
        if written.is_err() {
            // The reader has gone. The run goes on: it may be in the middle of a change.
            self.out = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_schema_is_stable() {
        let out = sample::Buffer::default();
        let mut report = Json::new(Box::new(out.clone()));
        sample::deploy_that_fails().iter().for_each(|event| report.event(event));
        insta::assert_snapshot!(out.text());
    }

    #[test]
    fn every_line_reads_back() {
        for stamped in sample::deploy_that_fails() {
            let line = serde_json::to_string(&stamped).expect("an event is JSON");
            assert_eq!(serde_json::from_str::<Stamped>(&line).expect("and reads back"), stamped);
        }
    }

    #[test]
    fn a_reader_that_leaves_stops_the_writing_only() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut report = Json::new(Box::new(Closed));
        sample::deploy_that_fails().iter().for_each(|event| report.event(event));
        assert!(report.out.is_none());
    }
}
