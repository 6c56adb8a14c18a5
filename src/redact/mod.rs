//! Keeps secrets out of everything that is shown or written: events, journal, errors.
//!
//! A secret is opaque to scripts and operations already; this is the second fence, for what AWS or a library says back.

pub mod looks;
pub mod members;
pub mod user_data;

use std::sync::{Arc, PoisonError, RwLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

/// What stands where a secret was.
pub const MASK: &str = "(secret)";

/// What stands for a secret value of an account that a dry run does not read. `of` says which.
pub fn placeholder(of: &str) -> String {
    format!("{PLACEHOLDER}{of})")
}

/// Whether a text stands for a secret that was not read.
pub fn is_placeholder(text: &str) -> bool {
    text.starts_with(PLACEHOLDER)
}

const PLACEHOLDER: &str = "(a secret that a dry run does not read: ";

/// Shorter secrets are masked only where they are the whole text: as parts they are everywhere.
const SHORTEST_PART: usize = 4;
/// Of a secret of several lines, those from this length on are masked by themselves, in bytes.
const SHORTEST_LINE: usize = 16;

/// What is done with words, and with trees that hold words.
pub trait Edit {
    fn text(&self, text: &mut String);

    /// Keys included: they are somebody's too.
    fn tree(&self, tree: &mut Value);

    /// Values only: the keys are AWS's.
    fn values(&self, tree: &mut Value) {
        match tree {
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.values(item)),
            Value::Object(fields) => fields.values_mut().for_each(|value| self.values(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// The secrets a run has come to know. Copies share them.
#[derive(Clone, Default)]
pub struct Secrets(Arc<RwLock<Vec<String>>>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    /// From here on `text` is shown nowhere.
    pub fn hide(&self, text: &str) {
        if text.is_empty() {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // As it is, as part of JSON text, and as part of a URL or a form.
        let json = Value::from(text).to_string();
        let url: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let forms = [text.to_owned(), json[1..json.len() - 1].to_owned(), url.replace('+', "%20"), url];
        // Output comes line by line. Short lines, and those around a key, say nothing.
        let lines =
            text.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE && !line.starts_with("-----"));
        for form in forms.into_iter().chain(lines.map(str::to_owned)) {
            if !known.contains(&form) {
                known.push(form);
            }
        }
        // A secret that contains another one goes first.
        known.sort_by_key(|form| std::cmp::Reverse(form.len()));
    }

    pub fn is_empty(&self) -> bool {
        self.known().is_empty()
    }

    /// `text` without secrets. Base64 that holds one is masked as a whole.
    pub fn mask(&self, text: &str) -> String {
        let known = self.known();
        if known.is_empty() {
            return text.to_owned();
        }
        if known.iter().any(|secret| secret == text) || hides(text, &known) {
            return MASK.to_owned();
        }
        let parts = known.iter().filter(|secret| secret.len() >= SHORTEST_PART);
        parts.fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MASK))
    }

    fn mask_keys(&self, tree: &mut Value) {
        match tree {
            Value::Array(items) => items.iter_mut().for_each(|item| self.mask_keys(item)),
            Value::Object(fields) => {
                let all = std::mem::take(fields).into_iter();
                fields.extend(all.map(|(key, mut value)| {
                    self.mask_keys(&mut value);
                    (self.mask(&key), value)
                }));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn known(&self) -> std::sync::RwLockReadGuard<'_, Vec<String>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Edit for Secrets {
    fn text(&self, text: &mut String) {
        if !self.is_empty() {
            *text = self.mask(text);
        }
    }

    fn tree(&self, tree: &mut Value) {
        if !self.is_empty() {
            self.mask_keys(tree);
            self.values(tree);
        }
    }
}

/// Whether `text` is base64 of something with a secret in it: user data, a certificate.
fn hides(text: &str, known: &[String]) -> bool {
    let compact: String = text.split_whitespace().collect();
    let Ok(bytes) = STANDARD.decode(compact) else { return false };
    let decoded = String::from_utf8_lossy(&bytes);
    known.iter().any(|secret| secret.len() >= SHORTEST_PART && decoded.contains(secret.as_str()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secrets(texts: &[&str]) -> Secrets {
        let secrets = Secrets::default();
        texts.iter().for_each(|text| secrets.hide(text));
        secrets
    }

    #[test]
    fn a_secret_is_masked_in_every_form() {
        let secrets = secrets(&["hunter2 \"&\""]);
        for text in [
            "the password hunter2 \"&\" was refused",
            r#"{"password": "hunter2 \"&\""}"#,
            "password=hunter2%20%22%26%22&x=1",
            "password=hunter2+%22%26%22",
        ] {
            let masked = secrets.mask(text);
            assert!(masked.contains(MASK) && !masked.contains("hunter2"), "{masked}");
        }
        assert_eq!(secrets.mask(&STANDARD.encode("#!/bin/sh\nexport P='hunter2 \"&\"'\n")), MASK);
        assert_eq!(secrets.mask(&STANDARD.encode("#!/bin/sh\n")), STANDARD.encode("#!/bin/sh\n"));
    }

    #[test]
    fn short_secrets_do_not_mask_everything() {
        let secrets = secrets(&["no"]);
        assert_eq!(secrets.mask("nothing is known"), "nothing is known");
        assert_eq!(secrets.mask("no"), MASK);
    }

    #[test]
    fn trees_are_masked_with_their_keys() {
        let mut tree = json!({ "a": ["x hunter2"], "hunter2": { "hunter2": 1 }, "b": null });
        let secrets = secrets(&["hunter2"]);
        secrets.tree(&mut tree);
        assert_eq!(tree, json!({ "a": ["x (secret)"], "(secret)": { "(secret)": 1 }, "b": null }));
    }

    #[test]
    fn the_longer_secret_goes_first() {
        assert_eq!(secrets(&["abcd", "abcdef"]).mask("abcdef abcd"), "(secret) (secret)");
    }
}
