//! Asks the decoder of a function what it makes of one value among its options.
//!
//! What operations accept is said by their types, which decode in thousands of places: a second
//! opinion about it would be wrong somewhere. So a single value is decoded where it stands, with
//! nothing around it, by the decoder that a run uses. serde reads the fields in order and looks for
//! missing ones last: an error at the value, or below it, is about the value; one above it is about
//! what was left out.

use serde_json::{Map, Value};

use crate::{api::options, ops::Error};

/// The way from the options to a value among them.
#[derive(Clone, Debug, Default)]
pub struct Way(Vec<Step>);

#[derive(Clone, Debug)]
enum Step {
    Key(String),
    Index(usize),
}

/// What a decoder says about a value, in the words of a run.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    pub problem: Problem,
    pub message: String,
    pub help: Option<String>,
    /// `ingress[1].port`
    pub path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    Unknown,
    Missing,
    Wrong,
}

impl Way {
    pub fn key(&self, key: &str) -> Self {
        Self(self.0.iter().cloned().chain([Step::Key(key.to_owned())]).collect())
    }

    pub fn index(&self, index: usize) -> Self {
        Self(self.0.iter().cloned().chain([Step::Index(index)]).collect())
    }

    /// `ingress[1].port`
    pub fn path(&self) -> String {
        self.paths().pop().unwrap_or_default().1
    }

    /// The paths of all values on the way, from the options to the end: as a probe has them, in which
    /// every array has one element, and as they are.
    fn paths(&self) -> Vec<(String, String)> {
        let mut here = (String::new(), String::new());
        let mut paths = vec![here.clone()];
        for step in &self.0 {
            for (path, index) in [(&mut here.0, Some(0)), (&mut here.1, None)] {
                match step {
                    Step::Key(key) if path.is_empty() => path.push_str(key),
                    Step::Key(key) => *path += &format!(".{key}"),
                    Step::Index(real) => *path += &format!("[{}]", index.unwrap_or(*real)),
                }
            }
            paths.push(here.clone());
        }
        paths
    }

    /// Options in which there is nothing but `value` at the end of the way.
    fn options(&self, value: Value) -> Value {
        self.0.iter().rev().fold(value, |value, step| match step {
            Step::Key(key) => Value::Object(Map::from_iter([(key.clone(), value)])),
            Step::Index(_) => Value::Array(vec![value]),
        })
    }

    /// The schema of the value at the end of the way. `None`: that depends on what else is given.
    pub fn schema<'a>(&self, root: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(some(root), |schema, step| {
            let next = match step {
                Step::Key(key) => schema["properties"].get(key).or_else(|| schema.get("additionalProperties"))?,
                Step::Index(_) => schema.get("items")?,
            };
            Some(some(next))
        })
    }
}

/// Without the `null` of what is optional.
fn some(schema: &Value) -> &Value {
    let any = schema["anyOf"].as_array();
    any.and_then(|any| any.iter().find(|one| one["type"] != "null")).unwrap_or(schema)
}

/// What is wrong with `value` at the end of `way`. `None`: nothing, as far as can be told from it alone.
pub fn value(function: &str, decode: impl Fn(Value) -> Result<(), Error>, way: &Way, value: Value) -> Option<Verdict> {
    let (message, path) = refusal(decode, way, value)?;
    let verdict = verdict(function, &path, &message);
    let end = way.path();
    let is_below = verdict
        .path
        .strip_prefix(end.as_str())
        .is_some_and(|rest| end.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']));
    is_below.then_some(verdict)
}

/// Whether the last key of `way` is unknown, whatever its value is. `None`: it is known, as far as can
/// be told from it alone.
pub fn key(function: &str, decode: impl Fn(Value) -> Result<(), Error>, way: &Way) -> Option<Verdict> {
    let Some(Step::Key(key)) = way.0.last() else { return None };
    let (message, path) = refusal(decode, way, Value::Null)?;
    let is_about_key =
        ["unknown field", "unknown variant"].iter().any(|what| message.starts_with(&format!("{what} `{key}`")));
    is_about_key.then(|| verdict(function, &path, &message))
}

/// What the decoder says about options that have nothing but `value`, and about which path.
fn refusal(decode: impl Fn(Value) -> Result<(), Error>, way: &Way, value: Value) -> Option<(String, String)> {
    let Err(Error::Option { path, message }) = decode(way.options(value)) else { return None };
    let path = path.trim_matches('.');
    let paths = way.paths();
    if let Some((_, real)) = paths.iter().find(|(probed, _)| probed == path) {
        return Some((message, real.clone()));
    }
    let (probed, real) = paths.last()?;
    let rest = path.strip_prefix(probed.as_str())?;
    Some((message, if real.is_empty() { rest.to_owned() } else { format!("{real}{rest}") }))
}

fn verdict(function: &str, path: &str, message: &str) -> Verdict {
    let words = options::words(function, path, message);
    let problem = if message.starts_with("unknown field ") {
        Problem::Unknown
    } else if message.starts_with("missing field ") {
        Problem::Missing
    } else {
        Problem::Wrong
    };
    Verdict { problem, message: words.message, help: words.help, path: words.path }
}

/// The words for a required option that is left out of the options at `path`.
pub fn missing(function: &str, path: &str, option: &str) -> Verdict {
    verdict(function, path, &format!("missing field `{option}`"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{api::CONTROLS, ops::catalog::OPERATIONS};

    /// Maps that are decoded by hand: only the whole map can be judged.
    const BY_HAND: [(&str, &str); 1] = [("launch_asg", "launch_template")];

    /// Visits all other maps among the options of everything in the catalogue whose keys are in its schema.
    fn for_each_map(mut visit: impl FnMut(&str, &dyn Fn(Value) -> Result<(), Error>, &Way, &Value)) {
        fn walk(function: &str, schema: &Value, way: &Way, visit: &mut dyn FnMut(&Way, &Value)) {
            let schema = some(schema);
            let is_by_hand = BY_HAND.iter().any(|(name, path)| (*name, *path) == (function, way.path().as_str()));
            if schema["properties"].is_object() && !is_by_hand {
                visit(way, schema);
            }
            for (key, property) in schema["properties"].as_object().into_iter().flatten() {
                walk(function, property, &way.key(key), visit);
            }
            if schema["items"].is_object() {
                // Not the first one: the way of a probe is not the way of the options.
                walk(function, &schema["items"], &way.index(3), visit);
            }
        }
        for entry in OPERATIONS {
            let decode = |options| (entry.prepare)(options).map(drop);
            let schema = (entry.schema)().to_value();
            walk(entry.name, &schema, &Way::default(), &mut |way, schema| visit(entry.name, &decode, way, schema));
        }
        for control in CONTROLS {
            let Some(options) = &control.options else { continue };
            let schema = (options.schema)().to_value();
            walk(control.name, &schema, &Way::default(), &mut |way, schema| {
                visit(control.name, &options.decode, way, schema)
            });
        }
    }

    #[test]
    fn keys_are_known_or_not_wherever_they_stand() {
        let mut maps = 0;
        for_each_map(|function, decode, way, schema| {
            maps += 1;
            for known in schema["properties"].as_object().into_iter().flatten().map(|(key, _)| key) {
                let verdict = key(function, decode, &way.key(known));
                assert_eq!(verdict, None, "`{known}` of `{}` of `{function}`", way.path());
            }
            let wrong = way.key("no_such_key");
            let verdict = key(function, decode, &wrong).unwrap_or_else(|| panic!("{} of {function}", wrong.path()));
            assert_eq!((verdict.problem, verdict.path), (Problem::Unknown, wrong.path()), "{function}");
            // And so says a whole map that has it.
            let whole = value(function, decode, way, json!({ "no_such_key": 1 })).expect("it is unknown");
            assert_eq!((whole.problem, whole.path), (Problem::Unknown, wrong.path()), "{function}");
        });
        assert!(maps > OPERATIONS.len(), "nested maps are looked at");
    }

    /// The schema says what is required; the decoder has to agree.
    #[test]
    fn what_is_required_is_missed() {
        for_each_map(|function, decode, way, schema| {
            let verdict = value(function, decode, way, json!({}));
            let missed = verdict.filter(|verdict| verdict.problem == Problem::Missing);
            let required: Vec<_> = schema["required"].as_array().into_iter().flatten().collect();
            let words = required.first().map(|first| {
                let first = first.as_str().expect("a name");
                missing(function, &way.path(), first)
            });
            assert_eq!(missed, words, "`{}` of `{function}`", way.path());
        });
    }

    /// What is left out around a value says nothing about it.
    #[test]
    fn a_value_is_judged_by_itself() {
        let decode = |options| {
            (crate::ops::catalog::find("ensure_security_group").expect("it is there").prepare)(options).map(drop)
        };
        let judge =
            |way: &Way, given: Value| value("f", decode, way, given).map(|verdict| (verdict.path, verdict.message));
        let rule = Way::default().key("ingress").index(2);
        assert_eq!(judge(&Way::default().key("name"), json!("web")), None);
        assert_eq!(judge(&rule, json!({ "port": 80 })), None);
        assert_eq!(judge(&rule.key("cidr_ip"), json!("10.0.0.0/8")), None);
        let wrong = "option `ingress[2].cidr_ip` of `f`: expected an IPv4 range such as \"10.0.0.0/16\", found \"10\"";
        let expected = Some(("ingress[2].cidr_ip".to_owned(), wrong.to_owned()));
        assert_eq!(judge(&rule.key("cidr_ip"), json!("10")), expected);
        assert_eq!(judge(&rule, json!({ "cidr_ip": "10" })), expected);
        assert_eq!(judge(&Way::default(), json!({ "ingress": [{}, {}, { "cidr_ip": "10" }] })), expected);
        // A handle decodes as a whole: what is in it says nothing by itself.
        assert_eq!(judge(&Way::default().key("vpc_id").key("vpc_id"), json!(3)), None);
    }

    #[test]
    fn the_schema_is_found_along_the_way() {
        let schema = json!({
            "properties": {
                "list": { "type": "array", "items": { "properties": { "a": { "type": "string" } } } },
                "maybe": { "anyOf": [{ "properties": { "b": { "type": "integer" } } }, { "type": "null" }] },
                "tags": { "additionalProperties": { "type": "string" } },
            },
        });
        let kind = |way: &Way| way.schema(&schema).map(|schema| schema["type"].clone());
        let root = Way::default();
        assert_eq!(kind(&root.key("list").index(4).key("a")), Some(json!("string")));
        assert_eq!(kind(&root.key("maybe").key("b")), Some(json!("integer")));
        assert_eq!(kind(&root.key("tags").key("x")), Some(json!("string")));
        assert_eq!(kind(&root.key("nothing")), None);
    }
}
