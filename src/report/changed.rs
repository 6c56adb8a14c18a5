//! Two values of one field, told so that a reader sees where they differ: lists by their elements, texts never cut to the
//! same.

use std::collections::BTreeSet;

use serde_json::Value;

use super::words::value;

/// What of a list goes, what comes, and how many stay.
#[derive(Debug, PartialEq, Eq)]
pub struct Elements {
    pub gone: Vec<String>,
    pub new: Vec<String>,
    pub same: usize,
}

/// The elements of both, if they are lists that differ in more than their order.
pub fn elements(before: &Value, after: &Value) -> Option<Elements> {
    let (Value::Array(before), Value::Array(after)) = (before, after) else { return None };
    let mut new: Vec<&Value> = after.iter().collect();
    let mut gone = Vec::new();
    for item in before {
        match new.iter().position(|other| *other == item) {
            Some(at) => drop(new.remove(at)),
            None => gone.push(value(item)),
        }
    }
    if gone.is_empty() && new.is_empty() {
        return None;
    }
    let new: Vec<String> = new.into_iter().map(value).collect();
    Some(Elements { same: after.len() - new.len(), gone, new })
}

/// Each of the texts cut, or all as they are if different ones would look the same.
pub fn cut_apart(texts: Vec<String>, cut: impl Fn(&str) -> String) -> Vec<String> {
    let short: Vec<String> = texts.iter().map(|text| cut(text)).collect();
    let different = |texts: &[String]| texts.iter().collect::<BTreeSet<_>>().len();
    if different(&short) == different(&texts) { short } else { texts }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_told_by_their_elements() {
        let found = elements(&json!(["a", "b", "b"]), &json!(["b", "a", { "c": 1 }]));
        let wanted = Elements { gone: vec!["b".into()], new: vec![r#"{"c":1}"#.into()], same: 2 };
        assert_eq!(found, Some(wanted));
        assert_eq!(elements(&json!(["a", "b"]), &json!(["b", "a"])), None, "another order");
        assert_eq!(elements(&json!("a"), &json!(["a"])), None);
    }

    #[test]
    fn what_differs_is_not_cut_to_the_same() {
        let cut = |text: &str| text.chars().take(2).collect();
        let texts = |all: [&str; 2]| all.map(str::to_owned).to_vec();
        assert_eq!(cut_apart(texts(["abc", "xyz"]), cut), ["ab", "xy"]);
        assert_eq!(cut_apart(texts(["abc", "abd"]), cut), ["abc", "abd"]);
        assert_eq!(cut_apart(texts(["abc", "abc"]), cut), ["ab", "ab"]);
    }
}
