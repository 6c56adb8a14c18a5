//! Times, numbers and values in words that people read.

use std::time::Duration;

use serde_json::Value;

use super::Look;

/// Where calls go, as in the head of a run.
pub fn target(target: &str) -> &str {
    if target == "sim" { "simulated AWS" } else { target }
}

/// As [`friendly`], of what data has as seconds. What is no duration is none.
pub fn seconds(seconds: f64) -> String {
    friendly(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// `0.4s`, `42s`, `1m 30s`, `2h 5m`: as exact as somebody who waits wants it, and rounded, so that parts fit their sum.
pub fn friendly(duration: Duration) -> String {
    let tenths = (duration.as_millis() + 50) / 100;
    let seconds = (duration.as_millis() + 500) / 1000;
    let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
    match seconds {
        _ if tenths == 0 => "0s".to_owned(),
        _ if tenths < 10 => format!("0.{tenths}s"),
        ..60 => format!("{seconds}s"),
        60..3600 => two(seconds / 60, "m", seconds % 60, "s"),
        _ => {
            let minutes = seconds / 60 + u64::from(seconds % 60 >= 30);
            two(minutes / 60, "h", minutes % 60, "m")
        }
    }
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    match small {
        0 => format!("{large}{large_unit}"),
        _ => format!("{large}{large_unit} {small}{small_unit}"),
    }
}

/// `36,204`
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 change`, `2 changes`
pub fn plural(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// `, 26 kept, 1 hook`: what a rollback has beyond what it takes back.
pub fn kept_and_hooks(kept: usize, hooks: usize) -> String {
    let kept = (kept > 0).then(|| format!(", {kept} kept"));
    let hooks = (hooks > 0).then(|| format!(", {}", plural(hooks, "hook")));
    [kept, hooks].into_iter().flatten().collect()
}

/// A value as one line: strings as they are, the rest as JSON.
pub fn value(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => clean(text),
        Value::Null => "none".to_owned(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(self::value).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(_) | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// One line, without what could steer a terminal or turn the order of what is read: the text may come from AWS or from
/// a runbook.
pub fn clean(text: &str) -> String {
    let steers = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.trim_end().chars().map(|c| if steers(c) { ' ' } else { c }).collect()
}

/// `web, db, cache and 4 more`: at most `shown` names.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>, shown: usize) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let mut text = names.iter().take(shown).copied().collect::<Vec<_>>().join(", ");
    if names.len() > shown {
        text += &format!(" and {} more", names.len() - shown);
    }
    text
}

/// At most `width` characters, with a sign that something is missing.
pub fn shorten(look: &Look, text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let ellipsis = look.ellipsis();
    let kept: String = text.chars().take(width.saturating_sub(ellipsis.chars().count())).collect();
    format!("{}{ellipsis}", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_friendly() {
        let cases = [
            (0, "0s"),
            (49, "0s"),
            (99, "0.1s"),
            (450, "0.5s"),
            (960, "1s"),
            (1_499, "1s"),
            (1_999, "2s"),
            (59_999, "1m"),
            (60_000, "1m"),
            (90_000, "1m 30s"),
            (3_600_000, "1h"),
            (3_629_000, "1h"),
            (3_630_000, "1h 1m"),
            (7_500_000, "2h 5m"),
        ];
        for (millis, words) in cases {
            assert_eq!(friendly(Duration::from_millis(millis)), words, "{millis} ms");
        }
    }

    #[test]
    fn numbers_have_groups() {
        for (number, words) in [(0, "0"), (999, "999"), (1_000, "1,000"), (36_204, "36,204"), (1_234_567, "1,234,567")]
        {
            assert_eq!(count(number), words);
        }
    }

    #[test]
    fn nothing_that_steers_a_terminal_comes_through() {
        assert_eq!(value(&"\x1b[2Jgone\r\n".into()), " [2Jgone");
        assert_eq!(clean("allow \u{202e}ynED\u{202c} all\u{2028}"), "allow  ynED  all");
    }

    #[test]
    fn names_are_counted_when_they_are_many() {
        assert_eq!(listed(["web"], 2), "web");
        assert_eq!(listed(["web", "db", "cache", "queue"], 2), "web, db and 2 more");
    }
}
