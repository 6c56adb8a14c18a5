//! Text with `*` in it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Text in which `*` stands for any characters, also none. Letters match in either case, as in IAM's actions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(String);

impl Pattern {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.to_lowercase(), text.to_lowercase());
        let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        let Some(text) = text.strip_prefix(first).and_then(|text| text.strip_suffix(last)) else { return false };
        // The earliest place of each part leaves the most room for the next one.
        let found = middle.split('*').try_fold(text, |text, part| text.find(part).map(|at| &text[at + part.len()..]));
        found.is_some()
    }
}

impl TryFrom<String> for Pattern {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() {
            Err("expected a name or a pattern such as \"shop-*\", found nothing")
        } else {
            Ok(Self(text))
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `` `a*`, `b` ``
pub(super) fn listed(patterns: &[Pattern]) -> String {
    match patterns {
        [] => "nothing".to_owned(),
        _ => patterns.iter().map(|pattern| format!("`{pattern}`")).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn a_star_is_any_text() {
        let table = [
            ("ec2:Delete*", "ec2:DeleteVpc", true),
            ("ec2:delete*", "ec2:DeleteVpc", true),
            ("ec2:Delete*", "ec2:CreateVpc", false),
            ("*", "", true),
            ("*", "anything", true),
            ("*Vpc", "ec2:DeleteVpc", true),
            ("*Vpc", "ec2:DeleteVpcEndpoint", false),
            ("ec2:*Vpc*", "ec2:DeleteVpcEndpoint", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("a*b*b", "ab", false),
            ("ab*ba", "aba", false),
            ("a**b", "a-b", true),
            ("shop-db", "shop-db", true),
            ("shop-db", "shop-db-2", false),
            ("a.b", "axb", false),
            ("ü*", "Übung", true),
        ];
        for (pattern, text, matches) in table {
            let pattern = Pattern::try_from(pattern.to_owned()).expect("it is not empty");
            assert_eq!(pattern.matches(text), matches, "{pattern} and {text}");
        }
        assert!(Pattern::try_from(String::new()).is_err());
    }

    proptest::proptest! {
        /// Against the definition, tried the slow way.
        #[test]
        fn as_if_every_way_was_tried(pattern in "[ab*]{1,6}", text in "[ab]{0,8}") {
            fn slow(pattern: &[u8], text: &[u8]) -> bool {
                match (pattern.split_first(), text.split_first()) {
                    (None, None) => true,
                    (Some((b'*', rest)), _) => slow(rest, text) || text.split_first().is_some_and(|(_, text)| slow(pattern, text)),
                    (Some((p, pattern)), Some((t, text))) => p == t && slow(pattern, text),
                    (Some(_), None) | (None, Some(_)) => false,
                }
            }
            let expected = slow(pattern.as_bytes(), text.as_bytes());
            proptest::prop_assert_eq!(Pattern::try_from(pattern).expect("it is not empty").matches(&text), expected);
        }
    }
}
