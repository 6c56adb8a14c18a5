//! What a run did, from its journal, as a page for a ticket or for a browser.

use maud::{Markup, html};

use super::{
    plan::{escape, page},
    words::clean,
};

/// A run as people are told of it, in words that are not painted.
pub struct Account {
    pub run: String,
    /// What it is about: a key and its text.
    pub head: Vec<(&'static str, String)>,
    /// What happened: the time, and what.
    pub rows: Vec<(String, String)>,
    /// What would take it back; of each, whether it is done.
    pub undo: Vec<(String, bool)>,
}

/// The longest text of a cell: an error may be a page.
const LONGEST: usize = 1000;

impl Account {
    pub fn markdown(&self) -> String {
        let prose = |text: &str| escape::prose(text, LONGEST);
        let mut out = format!("# Run {}\n\n", prose(&self.run));
        for (key, text) in &self.head {
            out += &format!("- **{key}**: {}\n", prose(text));
        }
        out += "\n| time (UTC) | what happened |\n|---|---|\n";
        for (at, what) in &self.rows {
            out += &format!("| {at} | {} |\n", prose(what));
        }
        if !self.undo.is_empty() {
            out += "\n## What takes it back\n\n";
            for (what, done) in &self.undo {
                out += &format!("1. {}{}\n", prose(what), if *done { " (done)" } else { "" });
            }
        }
        out
    }

    pub fn html(&self) -> String {
        page(&format!("Run {}", clean(&self.run)), &self.body())
    }

    fn body(&self) -> Markup {
        html! {
            header {
                h1 { "Run " (clean(&self.run)) }
                dl.head { @for (key, text) in &self.head { div { dt { (key) } dd { (clean(text)) } } } }
            }
            main {
                section {
                    h2 { "What happened" }
                    table {
                        thead { tr { th { "time (UTC)" } th { "what" } } }
                        tbody { @for (at, what) in &self.rows { tr { td.at { (at) } td { (clean(what)) } } } }
                    }
                }
                @if !self.undo.is_empty() {
                    section {
                        h2 { "What takes it back" }
                        ol { @for (what, done) in &self.undo { li { (clean(what)) @if *done { span.quiet { " (done)" } } } } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Account {
        Account {
            run: "20261127-101502-k3f9".to_owned(),
            head: vec![("stack", "shop-prod".to_owned()), ("state", "suspended: <b>interrupted</b>".to_owned())],
            rows: vec![("10:15:02".to_owned(), "1  ensure_vpc shop|prod".to_owned())],
            undo: vec![("delete vpc shop-prod-main".to_owned(), true)],
        }
    }

    #[test]
    fn nothing_of_a_run_is_taken_for_markup() {
        let (markdown, html) = (sample().markdown(), sample().html());
        assert!(markdown.contains("shop\\|prod") && markdown.contains("\\<b\\>"), "{markdown}");
        assert!(html.contains("&lt;b&gt;interrupted") && !html.contains("<b>"), "{html}");
    }

    #[test]
    fn as_a_page_for_a_ticket() {
        insta::assert_snapshot!(sample().markdown());
    }
}
