//! Data in Markdown as GitHub and GitLab read it, so that it stays text: no markup, no link, no mention, no end of the
//! table cell, fence or comment it stands in.
//!
//! There are four places for data, each with its function: a sentence that we have begun, a code span, a fence, and the
//! line of a `<summary>`. Data never begins a line outside of a fence.

use sha2::{Digest, Sha256};

use crate::report::{
    Look,
    words::{clean, shorten},
};

/// Not seen; keeps what it stands in from being read as something else.
const JOINER: char = '\u{200d}';
/// What is not painted, whatever the reader's screen.
pub const LOOK: Look = Look { colour: false, unicode: true, width: 200 };

/// At most `max` characters of one line.
pub fn clip(text: &str, max: usize) -> String {
    let clean = clean(text);
    shorten(&LOOK, clean.trim_start(), max)
}

/// Text in a sentence that we have begun. Also in a table cell.
pub fn prose(text: &str, max: usize) -> String {
    let text = clip(text, max);
    let mut escaped = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    let mut last = ' ';
    while let Some(c) = chars.next() {
        let next = chars.peek().copied().unwrap_or(' ');
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '#' | '$' | '&') {
            escaped.push('\\');
        }
        // `www.`
        if c == '.' && last.eq_ignore_ascii_case(&'w') {
            escaped.push(JOINER);
        }
        escaped.push(c);
        let refers = match c {
            // Mentions and e-mail addresses.
            '@' => true,
            // Issues, merge requests, labels and the like, and `GH-12`.
            '#' | '!' | '~' | '$' | '%' | '&' => next.is_alphanumeric(),
            '-' => last.eq_ignore_ascii_case(&'h') && next.is_ascii_digit(),
            // `http://`
            ':' => next == '/',
            // `<!--`
            '<' => next == '!',
            _ => false,
        };
        if refers {
            escaped.push(JOINER);
        }
        last = c;
    }
    escaped
}

/// A code span.
pub fn code(text: &str, max: usize) -> String {
    let text = tame(&clip(text, max));
    if text.is_empty() {
        return String::new();
    }
    let ticks = "`".repeat(longest_run(&text, '`') + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{ticks}{pad}{text}{pad}{ticks}")
}

/// A code span in a table, where a bar ends the cell even inside of code.
pub fn code_in_cell(text: &str, max: usize) -> String {
    // A backslash before the bar would take our backslash for itself.
    code(text, max).replace("\\|", "\\ |").replace('|', "\\|")
}

/// Lines as a block that none of them can end.
pub fn fence(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| tame(line)).collect();
    let ticks = "`".repeat(lines.iter().map(|line| longest_run(line, '`')).max().unwrap_or(0).max(2) + 1);
    let mut block = format!("{ticks}diff\n");
    for line in &lines {
        block += line.trim_end();
        block.push('\n');
    }
    block += &ticks;
    block.push('\n');
    block
}

/// Code in a `<summary>`, where Markdown is not read but HTML is.
pub fn summary_code(text: &str, max: usize) -> String {
    let text = clip(text, max).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<code>{text}</code>")
}

/// A second comment like ours would lead whoever looks for it astray, and of a very long run of backticks GitHub's parser
/// makes no code: 80 are the most it takes for a span.
fn tame(text: &str) -> String {
    const MOST: usize = 40;
    let text = text.replace("<!--", &format!("<{JOINER}!--"));
    let run = "`".repeat(MOST);
    text.replace(&run, &format!("{run}{JOINER}"))
}

fn longest_run(text: &str, of: char) -> usize {
    text.split(|c| c != of).map(str::len).max().unwrap_or(0)
}

/// A value in the marker: a word without blanks that cannot end a comment.
pub fn word(text: &str) -> String {
    const MAX: usize = 160;
    let mut word = String::new();
    for byte in text.bytes() {
        match byte {
            // Two hyphens would end the comment.
            b'-' if word.ends_with('-') => word += "%2D",
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'/' | b'-' => word.push(byte.into()),
            other => word += &format!("%{other:02X}"),
        }
    }
    // A name that is cut is still one of its own.
    if word.len() > MAX {
        let digest: String = Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        word.truncate(MAX);
        word = format!("{}.{digest}", word.trim_end_matches('-'));
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_marker() {
        assert_eq!(word("runbooks/prod-deploy.rhai"), "runbooks/prod-deploy.rhai");
        assert_eq!(word("a --> <!-- b"), "a%20-%2D%3E%20%3C%21-%2D%20b");
        assert_eq!(word("größe"), "gr%C3%B6%C3%9Fe");
        let (one, other) = (word(&"x".repeat(500)), word(&"x".repeat(501)));
        assert!(one.len() < 200 && one != other, "{one}");
    }

    #[test]
    fn sentences() {
        let cases = [
            ("plain words, 10.20.0.0/16", "plain words, 10.20.0.0/16"),
            ("*bold* `code` | <b>", "\\*bold\\* \\`code\\` \\| \\<b\\>"),
            ("@octocat fixes #12", "@\u{200d}octocat fixes \\#\u{200d}12"),
            ("https://example.com", "https:\u{200d}//example.com"),
            ("a\\|b", "a\\\\\\|b"),
        ];
        for (text, escaped) in cases {
            assert_eq!(prose(text, 100), escaped);
        }
        assert_eq!(prose(&"x".repeat(50), 10), "xxxxxxxxx…");
    }

    #[test]
    fn code_spans() {
        assert_eq!(code("web", 100), "`web`");
        assert_eq!(code("a `b` c", 100), "``a `b` c``");
        assert_eq!(code("``", 100), "``` `` ```");
        assert_eq!(code("", 100), "");
        assert_eq!(code_in_cell("a|b\\|c", 100), "`a\\|b\\ \\|c`");
        assert_eq!(code("<!-- x -->", 100), "`<\u{200d}!-- x -->`");
        assert_eq!(longest_run(&code(&"`".repeat(500), 1_000), '`'), 41);
    }

    #[test]
    fn fences_are_longer_than_what_is_in_them() {
        assert_eq!(fence(&["+ a".into()]), "```diff\n+ a\n```\n");
        assert_eq!(fence(&["````".into()]), "`````diff\n````\n`````\n");
    }
}
