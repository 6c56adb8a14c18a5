//! User data as people may read it: decoded, and without what looks like a secret.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::run::hex;

/// Parts of names whose values are left out. Whoever marks a value as secret is not left to this: it is shown nowhere.
const TELLING: [&str; 9] =
    ["password", "passwd", "secret", "token", "api_key", "apikey", "access_key", "private_key", "credential"];

/// User data as EC2 has it, in base64, as text.
pub fn shown(encoded: Option<&str>) -> String {
    let Some(encoded) = encoded else { return String::new() };
    let Ok(bytes) = STANDARD.decode(encoded) else { return digest(encoded.as_bytes()) };
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => without_secrets(&text),
        Ok(text) => digest(text.as_bytes()),
        Err(binary) => digest(binary.as_bytes()),
    }
}

/// User data in base64 without what looks like a secret: the same if nothing does.
pub fn masked(encoded: &str) -> String {
    let text = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match text {
        Some(text) if without_secrets(&text) == text.trim_end_matches('\n') => encoded.to_owned(),
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

/// `DB_PASSWORD=hunter2` becomes `DB_PASSWORD=(not shown)`; a private key is left out as a whole.
pub fn without_secrets(text: &str) -> String {
    let mut shown = Vec::new();
    let mut in_key = false;
    for line in text.lines() {
        if line.contains("-----BEGIN") && line.contains("PRIVATE KEY") {
            in_key = true;
            shown.push("(a private key, not shown)".to_owned());
        }
        if !in_key {
            shown.push(masked_line(line));
        }
        in_key &= !(line.contains("-----END") && line.contains("PRIVATE KEY"));
    }
    shown.join("\n")
}

fn masked_line(line: &str) -> String {
    let Some(at) = line.find(['=', ':']) else { return line.to_owned() };
    let (name, value) = line.split_at(at + 1);
    let last = name.trim_end_matches(['=', ':', '"', '\'', ' ']).rsplit([' ', '"', '\'', ';', '&']).next();
    let last = last.unwrap_or_default().to_lowercase().replace('-', "_");
    if value.trim().is_empty() || !TELLING.iter().any(|telling| last.contains(telling)) {
        return line.to_owned();
    }
    let space = &value[..value.len() - value.trim_start().len()];
    format!("{name}{space}(not shown)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_left_out() {
        let table = [
            ("export DB_PASSWORD=hunter2", "export DB_PASSWORD=(not shown)"),
            ("api-key: abc", "api-key: (not shown)"),
            ("\"clientSecret\": \"abc\",", "\"clientSecret\": (not shown)"),
            ("PORT=8080", "PORT=8080"),
            ("password=", "password="),
            ("# set the password below", "# set the password below"),
            ("echo hello", "echo hello"),
        ];
        for (line, wanted) in table {
            assert_eq!(masked_line(line), wanted);
        }
        let key = "a\n-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nb";
        assert_eq!(without_secrets(key), "a\n(a private key, not shown)\nb");
    }

    #[test]
    fn what_holds_no_secret_stays_as_it_is() {
        let plain = STANDARD.encode("#!/bin/sh\nPORT=8080 run\n");
        assert_eq!(masked(&plain), plain);
        assert_eq!(masked(&STANDARD.encode("TOKEN=abc\n")), STANDARD.encode("TOKEN=(not shown)"));
    }

    #[test]
    fn data_that_is_no_text_is_a_digest() {
        assert_eq!(shown(Some(&STANDARD.encode("#!/bin/sh\nrun\n"))), "#!/bin/sh\nrun");
        assert_eq!(shown(None), "");
        assert!(shown(Some(&STANDARD.encode([0x1f, 0x8b, 0, 255]))).starts_with("(4 bytes, sha256 "));
    }
}
