//! How the findings of a check are written: as text, as JSON, as annotations for GitHub.

use std::path::Path;

use serde::Serialize;

use super::{Failure, diagnostic::rendered, exit};
use crate::{
    plan,
    report::{Ink, Look},
    script::check::{Extent, Found, Severity},
    settings::shown,
};

/// Of the JSON form. A reader refuses a number it does not know; fields can be added under the same one.
const VERSION: u32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Text,
    Json,
    Github,
}

/// What was found in all projects.
#[derive(Default)]
pub struct Findings {
    files: usize,
    /// Each with its file as the user would type it.
    found: Vec<(String, Found)>,
}

impl Findings {
    /// Adds what was found in `files` scripts of the project `root`.
    pub fn add(&mut self, root: &Path, files: usize, found: Vec<Found>) {
        self.files += files;
        self.found.extend(found.into_iter().map(|found| {
            let path = root.join(&*found.finding.file);
            // Modules of the binary have no path.
            let file = if path.exists() { shown(&path).to_string() } else { found.finding.file.to_string() };
            (file, found)
        }));
    }

    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.found.iter().filter(|(_, found)| found.finding.lint.severity == severity).count()
    }

    /// How a verb fails that needs runbooks without errors.
    pub fn refusal(&self) -> Failure {
        Failure::of_many(exit::USAGE, self.reports())
    }

    /// The first error, as a plan tells it.
    pub fn first_error(&self) -> Option<plan::Failure> {
        let is_error = |(_, found): &&(String, Found)| found.finding.lint.severity == Severity::Error;
        let (file, found) = self.found.iter().find(is_error)?;
        let extent = found.extent();
        Some(plan::Failure {
            message: found.finding.message.clone(),
            help: found.finding.help.clone(),
            file: Some(file.clone()),
            line: extent.map(|extent| extent.line),
            column: extent.map(|extent| extent.column),
            exit_code: exit::USAGE.code,
        })
    }

    /// The reports with the lines of source.
    pub fn reports(&self) -> Vec<miette::Report> {
        self.found.iter().map(|(file, found)| miette::Report::new(found.problem(file))).collect()
    }

    pub fn written(&self, format: Format, look: Look, deny_warnings: bool) -> String {
        match format {
            Format::Text => self.text(look, deny_warnings),
            Format::Json => self.json(),
            Format::Github => self.found.iter().map(|(file, found)| annotation(file, found) + "\n").collect(),
        }
    }

    fn text(&self, look: Look, deny_warnings: bool) -> String {
        let reports = self.reports();
        let reports: String = reports.iter().map(|report| rendered(&**report, look) + "\n").collect();
        let files = counted(self.files, "file");
        let summary = match (self.errors(), self.warnings()) {
            (0, 0) => look.paint(Ink::Green, &format!("{} no problems in {files}", look.done())),
            (0, warnings) => {
                let (ink, symbol) = if deny_warnings { (Ink::Red, look.failed()) } else { (Ink::Yellow, look.done()) };
                look.paint(ink, &format!("{symbol} {} in {files}", counted(warnings, "warning")))
            }
            (errors, 0) => look.paint(Ink::Red, &format!("{} {} in {files}", look.failed(), counted(errors, "error"))),
            (errors, warnings) => {
                let (errors, warnings) = (counted(errors, "error"), counted(warnings, "warning"));
                look.paint(Ink::Red, &format!("{} {errors} and {warnings} in {files}", look.failed()))
            }
        };
        format!("{reports}{summary}\n")
    }

    fn json(&self) -> String {
        let findings = self.found.iter().map(|(file, found)| {
            let extent = found.extent();
            JsonFinding {
                file,
                line: extent.map(|extent| extent.line),
                column: extent.map(|extent| extent.column),
                end_column: extent.map(|extent| extent.end_column),
                severity: severity(found),
                lint: found.finding.lint.name,
                message: &found.finding.message,
                help: found.finding.help.as_deref(),
            }
        });
        let report = JsonReport {
            version: VERSION,
            files: self.files,
            errors: self.errors(),
            warnings: self.warnings(),
            findings: findings.collect(),
        };
        serde_json::to_string_pretty(&report).expect("text and numbers can be written as JSON") + "\n"
    }
}

#[derive(Serialize)]
struct JsonReport<'a> {
    version: u32,
    files: usize,
    errors: usize,
    warnings: usize,
    findings: Vec<JsonFinding<'a>>,
}

/// Lines and columns count from 1, columns in characters; all three are `null` for a file as a whole.
#[derive(Serialize)]
struct JsonFinding<'a> {
    file: &'a str,
    line: Option<u32>,
    column: Option<u32>,
    end_column: Option<u32>,
    severity: &'static str,
    lint: &'static str,
    message: &'a str,
    help: Option<&'a str>,
}

fn severity(found: &Found) -> &'static str {
    match found.finding.lint.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// See <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>.
fn annotation(file: &str, found: &Found) -> String {
    let finding = &found.finding;
    let mut properties = vec![("file", file.to_owned())];
    if let Some(Extent { line, column, end_column }) = found.extent() {
        properties
            .extend([("line", line), ("col", column), ("endColumn", end_column)].map(|(k, v)| (k, v.to_string())));
    }
    properties.push(("title", finding.lint.name.to_owned()));
    let properties = properties.iter().map(|(key, value)| format!("{key}={}", escaped_property(value)));
    let help = finding.help.as_ref().map(|help| format!("\n{help}")).unwrap_or_default();
    format!(
        "::{} {}::{}",
        severity(found),
        properties.collect::<Vec<_>>().join(","),
        escaped(&format!("{}{help}", finding.message))
    )
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn escaped_property(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
