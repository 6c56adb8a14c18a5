//! Two long texts as a unified diff of bounded size: what a person reads of changed user data or a policy document.

use similar::TextDiff;

/// Lines around a change.
const CONTEXT: usize = 3;
/// Lines of a diff; the rest is counted.
const MAX_LINES: usize = 400;
/// Characters of a line; generated text may have no line breaks at all.
const MAX_WIDTH: usize = 500;
/// Of these, how many stand before the place where a line begins to differ.
const BEFORE: usize = 80;
/// Lines of a text that is still compared: the time it takes grows faster than the text.
const MAX_COMPARED: usize = 5_000;
/// As other tools write it.
const CARRIAGE_RETURN: &str = "^M";

/// What changes from `before` to `after`: hunks without a head, empty if nothing does.
pub fn unified_diff(before: &str, after: &str) -> String {
    if before == after {
        return String::new();
    }
    let (old, new) = (before.lines().count(), after.lines().count());
    if old.max(new) > MAX_COMPARED {
        return format!("@@ too long to compare: {old} lines before, {new} after @@\n");
    }
    // A carriage return is seen by nobody, and makes a script fail.
    let (before, after) = (before.replace('\r', CARRIAGE_RETURN), after.replace('\r', CARRIAGE_RETURN));
    let hunks = TextDiff::from_lines(&before, &after).unified_diff().context_radius(CONTEXT).to_string();
    let lines: Vec<&str> = hunks.lines().collect();
    let total = lines.len();
    let mut diff = String::with_capacity(hunks.len());
    for line in &lines[..total.min(MAX_LINES)] {
        diff += &cut(line, &lines);
        diff.push('\n');
    }
    if total > MAX_LINES {
        diff += &format!("@@ {} more lines @@\n", total - MAX_LINES);
    }
    diff
}

/// A new text: each of its lines with a `+`. Nothing is cut, since nobody has read it before.
pub fn added(text: &str) -> String {
    text.replace("\r\n", &format!("{CARRIAGE_RETURN}\n"))
        .lines()
        .map(|line| format!("+{}\n", line.replace('\r', CARRIAGE_RETURN)))
        .collect()
}

/// A line that is too long, from before the place where it first differs from its like: two lines are not cut to the same.
fn cut(line: &str, lines: &[&str]) -> String {
    let is_long = |line: &str| line.chars().nth(MAX_WIDTH).is_some();
    if !is_long(line) {
        return line.to_owned();
    }
    let (sign, text) = line.split_at(line.chars().next().map_or(0, char::len_utf8));
    let like = |other: &&str| text.chars().zip(other.chars().skip(1)).take_while(|(a, b)| a == b).count();
    let others = lines.iter().filter(|other| is_long(other) && other[..1] != *sign);
    let same = others.map(like).filter(|same| *same < text.chars().count()).max().unwrap_or(0);
    let start = if same < MAX_WIDTH - BEFORE { 0 } else { same - BEFORE };
    let shown: String = text.chars().skip(start).take(MAX_WIDTH - 1).collect();
    let before = if start > 0 { "…" } else { "" };
    let after = if text.chars().nth(start + MAX_WIDTH - 1).is_some() { "…" } else { "" };
    format!("{sign}{before}{shown}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_line_with_what_is_around_it() {
        let before = "#!/bin/bash\nset -eu\n\nversion=1.4.2\nstart --version \"$version\"\n";
        let after = before.replace("1.4.2", "1.5.0");
        let wanted = "@@ -1,5 +1,5 @@\n #!/bin/bash\n set -eu\n \n-version=1.4.2\n+version=1.5.0\n start --version \"$version\"\n";
        assert_eq!(unified_diff(before, &after), wanted);
    }

    #[test]
    fn nothing_when_nothing_changes() {
        assert_eq!(unified_diff("same\n", "same\n"), "");
    }

    #[test]
    fn a_line_break_at_the_end_is_a_difference() {
        let wanted = "@@ -1 +1 @@\n-end\n+end\n\\ No newline at end of file\n";
        assert_eq!(unified_diff("end\n", "end"), wanted);
    }

    #[test]
    fn carriage_returns_are_seen() {
        assert_eq!(unified_diff("a\r\nb\n", "a\nb\n"), "@@ -1,2 +1,2 @@\n-a^M\n+a\n b\n");
    }

    #[test]
    fn long_lines_are_not_cut_to_the_same() {
        let long = |end: &str| format!("{}{end}{}\n", "x".repeat(2_000), "y".repeat(2_000));
        let diff = unified_diff(&long("old"), &long("new"));
        let lines: Vec<&str> = diff.lines().skip(1).collect();
        assert!(lines[0].starts_with("-…xxx") && lines[0].contains("xoldy"), "{diff}");
        assert!(lines[1].starts_with("+…xxx") && lines[1].contains("xnewy"), "{diff}");
    }

    #[test]
    fn new_text_is_there_line_by_line() {
        assert_eq!(added("a\r\n\n  b"), "+a^M\n+\n+  b\n");
    }

    #[test]
    fn its_size_is_bounded() {
        let before: String = (0..5_000).map(|i| format!("line {i}\n")).collect();
        let diff = unified_diff(&before, "");
        assert_eq!(diff.lines().count(), MAX_LINES + 1);
        assert!(diff.ends_with("@@ 4601 more lines @@\n"), "{diff}");

        let wide = unified_diff("", &"x".repeat(100_000));
        assert!(wide.len() < 2 * MAX_WIDTH, "{} bytes", wide.len());
        let long = unified_diff("", &"x\n".repeat(MAX_COMPARED + 1));
        assert_eq!(long, "@@ too long to compare: 0 lines before, 5001 after @@\n");
    }
}
