//! Compares two observations, and shows only what differs.

use serde_json::Value;

#[track_caller]
pub fn assert_same(found: &Value, wanted: &Value, when: &str) {
    let mut differences = Vec::new();
    compare("", found, wanted, &mut differences);
    assert!(differences.is_empty(), "{when}, the account differs (found / wanted):\n{}", differences.join("\n"));
}

fn compare(path: &str, found: &Value, wanted: &Value, differences: &mut Vec<String>) {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            let keys: std::collections::BTreeSet<&String> = found.keys().chain(wanted.keys()).collect();
            for key in keys {
                let (found, wanted) = (found.get(key).unwrap_or(&Value::Null), wanted.get(key).unwrap_or(&Value::Null));
                compare(&format!("{path}/{key}"), found, wanted, differences);
            }
        }
        (Value::Array(found), Value::Array(wanted)) if found.len() == wanted.len() => {
            for (index, (found, wanted)) in found.iter().zip(wanted).enumerate() {
                compare(&format!("{path}/{index}"), found, wanted, differences);
            }
        }
        _ if found != wanted => differences.push(format!("{path}: {found} / {wanted}")),
        _ => {}
    }
}
