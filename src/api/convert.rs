//! Values across the bridge: Rhai's to JSON and back.

use rhai::{Array, Dynamic, FnPtr, ImmutableString, Map};
use serde_json::{Number, Value};

use super::{Handle, Secret};
use crate::ops::holds_secret;

/// The key under which a handle's kind travels, as the options of operations read it.
const HANDLE: &str = "$handle";
/// The key under which a secret's text travels.
const SECRET: &str = "$secret";

/// The kind of an environment's vars.
pub const VARS: &str = "vars";

/// Why a value cannot cross, and where it is: `ingress[1].port`.
#[derive(Debug, PartialEq, Eq)]
pub struct Untransferable {
    pub path: String,
    pub found: String,
}

/// What becomes of secrets on the way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// To an option, which knows how to keep one.
    Pass,
    /// To where everybody can read it.
    Refuse,
}

/// How deep values may nest that cross.
const DEPTH: usize = 64;

/// A script's value for an operation.
pub fn to_json(value: &Dynamic, secrets: Secrets) -> Result<Value, Untransferable> {
    at(value, secrets, DEPTH, &mut String::new())
}

fn at(value: &Dynamic, secrets: Secrets, depth: usize, path: &mut String) -> Result<Value, Untransferable> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(Untransferable { path: String::new(), found: "a value that nests too deeply".into() });
    };
    let stuck = |found: &str| Untransferable { path: path.clone(), found: found.to_owned() };
    if value.is_shared() {
        return at(&value.flatten_clone(), secrets, depth, path);
    }
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(flag) = value.as_bool() {
        return Ok(Value::Bool(flag));
    }
    if let Ok(number) = value.as_int() {
        return Ok(number.into());
    }
    if let Ok(number) = value.as_float() {
        return Number::from_f64(number)
            .map(Value::Number)
            .ok_or_else(|| stuck("a number that is infinite or none at all"));
    }
    if let Ok(character) = value.as_char() {
        return Ok(Value::String(character.into()));
    }
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return Ok(Value::String(text.to_string()));
    }
    if let Some(items) = value.read_lock::<Array>() {
        let items = items
            .iter()
            .enumerate()
            .map(|(index, item)| within(path, &format!("[{index}]"), |path| at(item, secrets, depth, path)));
        return items.collect::<Result<_, _>>().map(Value::Array);
    }
    if let Some(map) = value.read_lock::<Map>() {
        let entries = map.iter().map(|(key, item)| {
            let step = if path.is_empty() { key.to_string() } else { format!(".{key}") };
            Ok((key.to_string(), within(path, &step, |path| at(item, secrets, depth, path))?))
        });
        return entries.collect::<Result<_, _>>().map(Value::Object);
    }
    if let Some(handle) = value.read_lock::<Handle>() {
        let value = handle.to_json();
        return match secrets {
            Secrets::Refuse if holds_secret(&value) => Err(stuck("a secret")),
            Secrets::Refuse | Secrets::Pass => Ok(value),
        };
    }
    if let Some(secret) = value.read_lock::<Secret>() {
        return match secrets {
            Secrets::Pass => Ok(serde_json::json!({ SECRET: secret.expose() })),
            Secrets::Refuse => Err(stuck("a secret")),
        };
    }
    if value.is::<FnPtr>() {
        return Err(stuck("a function"));
    }
    Err(stuck(&format!("a {}", value.type_name().rsplit("::").next().unwrap_or_default().to_lowercase())))
}

fn within<T>(path: &mut String, step: &str, f: impl FnOnce(&mut String) -> T) -> T {
    let length = path.len();
    path.push_str(step);
    let result = f(path);
    path.truncate(length);
    result
}

/// Where secrets are in what travels, in the form in which decoders name places.
pub fn secrets_in(value: &Value) -> Vec<String> {
    fn look(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) if fields.contains_key(SECRET) => found.push(path.to_owned()),
            Value::Object(fields) => fields.iter().for_each(|(key, value)| {
                let step = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                look(value, &step, found);
            }),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, item)| look(item, &format!("{path}[{index}]"), found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    look(value, "", &mut found);
    found
}

/// A handle as it travels.
pub fn handle(kind: &str, fields: &serde_json::Map<String, Value>) -> Value {
    let kind = (HANDLE.to_owned(), Value::from(kind));
    let fields = fields.iter().map(|(key, value)| (key.clone(), value.clone()));
    Value::Object([kind].into_iter().chain(fields).collect())
}

/// A value for the script. Objects that say which kind of handle they are become handles.
pub fn from_json(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => number.as_f64().unwrap_or(f64::NAN).into(),
        },
        Value::String(text) => text.clone().into(),
        Value::Array(items) => items.iter().map(from_json).collect::<Array>().into(),
        Value::Object(fields) => {
            if let Some(Value::String(kind)) = fields.get(HANDLE) {
                let fields = fields.iter().filter(|(key, _)| *key != HANDLE);
                return Dynamic::from(Handle::new(kind, fields.map(|(k, v)| (k.clone(), v.clone())).collect()));
            }
            if let Some(Value::String(text)) = fields.get(SECRET) {
                return Dynamic::from(Secret::new(text));
            }
            fields.iter().map(|(key, value)| (key.as_str().into(), from_json(value))).collect::<Map>().into()
        }
    }
}

/// JSON for people: without the marks that travel with handles and secrets.
pub fn shown(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(shown).collect(),
        Value::Object(fields) if fields.contains_key(SECRET) => "(secret)".into(),
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(key, _)| *key != HANDLE);
            Value::Object(fields.map(|(key, value)| (key.clone(), shown(value))).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ops::{IdOf, Kind, Sensitive};

    struct Vpc;
    impl Kind for Vpc {
        const KIND: &'static str = "vpc";
        const ID: &'static str = "vpc_id";
    }

    #[test]
    fn options_understand_what_travels() {
        let vpc = from_json(&json!({ HANDLE: "vpc", "vpc_id": "vpc-1" }));
        assert_eq!(vpc.type_name(), std::any::type_name::<Handle>());
        let id: IdOf<Vpc> = serde_json::from_value(to_json(&vpc, Secrets::Pass).expect("a handle")).expect("a vpc");
        assert_eq!(id.as_str(), "vpc-1");

        let secret = Dynamic::from(Secret::new("hunter2"));
        let sensitive: Sensitive =
            serde_json::from_value(to_json(&secret, Secrets::Pass).expect("a secret")).expect("text");
        assert!(sensitive.is_secret());
        assert_eq!(sensitive.expose(), "hunter2");
        assert_eq!(
            to_json(&secret, Secrets::Refuse),
            Err(Untransferable { path: String::new(), found: "a secret".into() })
        );
    }

    #[test]
    fn plain_values_come_back_as_they_were() {
        let value = json!({ "a": [1, 1.5, "x", true, null], "b": { "c": {} } });
        assert_eq!(to_json(&from_json(&value), Secrets::Refuse), Ok(value));
        assert_eq!(to_json(&Dynamic::from('x'), Secrets::Refuse), Ok(json!("x")));
    }

    #[test]
    fn what_cannot_travel_is_found() {
        let function = Dynamic::from(FnPtr::new("f").expect("a name"));
        let map = Map::from([("on".into(), Dynamic::from(vec![Dynamic::from(1_i64), function]))]);
        let stuck = to_json(&Dynamic::from(map), Secrets::Pass).expect_err("a function");
        assert_eq!(stuck, Untransferable { path: "on[1]".into(), found: "a function".into() });
    }

    #[test]
    fn people_see_no_marks() {
        let value = json!([{ HANDLE: "vpc", "vpc_id": "vpc-1" }, { SECRET: "hunter2" }]);
        assert_eq!(shown(&value), json!([{ "vpc_id": "vpc-1" }, "(secret)"]));
    }
}
