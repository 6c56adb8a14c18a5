//! User data as people may read it: decoded, and without what looks like a secret.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::looks::{both_without_secrets, without_secrets};
use crate::run::hex;

/// User data as EC2 has it, in base64, as text.
pub fn shown(encoded: Option<&str>) -> String {
    match encoded.map(decoded) {
        None => String::new(),
        Some(Ok(text)) => without_secrets(&text),
        Some(Err(digest)) => digest,
    }
}

/// Two versions of user data as text. Where something changed that is not shown, the second says so.
pub fn both_shown(before: Option<&str>, after: Option<&str>) -> (String, String) {
    match (before.map(decoded), after.map(decoded)) {
        (Some(Ok(old)), Some(Ok(new))) => both_without_secrets(&old, &new),
        _ => (shown(before), shown(after)),
    }
}

/// The text, or what stands for data that is none.
fn decoded(encoded: &str) -> Result<String, String> {
    let bytes = STANDARD.decode(encoded).map_err(|_| digest(encoded.as_bytes()))?;
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        Ok(text) => Err(digest(text.as_bytes())),
        Err(binary) => Err(digest(binary.as_bytes())),
    }
}

/// User data in base64 without what looks like a secret: the same if nothing does.
pub fn masked(encoded: &str) -> String {
    let text = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match text {
        Some(text) if without_secrets(&text) == text => encoded.to_owned(),
        Some(text) => STANDARD.encode(without_secrets(&text)),
        None => STANDARD.encode(shown(Some(encoded))),
    }
}

/// A request with its user data as it may be read.
pub fn in_request(request: Value) -> Value {
    match request {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| {
                let value = match value {
                    Value::String(encoded) if name == "UserData" => Value::String(shown(Some(&encoded))),
                    // Only its public half has come here; even that is not for a reader.
                    Value::String(_) if name == "PrivateKey" => Value::String("(not shown)".to_owned()),
                    value => in_request(value),
                };
                (name, value)
            });
            Value::Object(fields.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(in_request).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => request,
    }
}

/// What stands for data that is not text.
fn digest(bytes: &[u8]) -> String {
    format!("({} bytes, sha256 {})", bytes.len(), &hex(&Sha256::digest(bytes))[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_no_secret_stays_as_it_is() {
        let plain = STANDARD.encode("#!/bin/sh\nPORT=8080 run\n");
        assert_eq!(masked(&plain), plain);
        assert_eq!(masked(&STANDARD.encode("TOKEN=abc\n")), STANDARD.encode("TOKEN=(not shown)\n"));
    }

    #[test]
    fn a_change_of_what_is_not_shown_is_told() {
        let encoded = |text: &str| Some(STANDARD.encode(text));
        let (old, new) = (encoded("TOKEN=a\n"), encoded("TOKEN=b\n"));
        let (before, after) = both_shown(old.as_deref(), new.as_deref());
        assert_eq!((before.as_str(), after.as_str()), ("TOKEN=(not shown)\n", "TOKEN=(not shown, changed)\n"));
        assert_eq!(both_shown(None, new.as_deref()), (String::new(), "TOKEN=(not shown)\n".to_owned()));
    }

    #[test]
    fn data_that_is_no_text_is_a_digest() {
        assert_eq!(shown(Some(&STANDARD.encode("#!/bin/sh\nrun\n"))), "#!/bin/sh\nrun\n");
        assert_eq!(shown(None), "");
        assert!(shown(Some(&STANDARD.encode([0x1f, 0x8b, 0, 255]))).starts_with("(4 bytes, sha256 "));
    }
}
