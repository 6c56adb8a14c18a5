//! Words for options that were not understood.
//!
//! Operations and control words decode with serde. Its messages are right and unfriendly: they speak
//! of Rust types, list all names instead of the near one, and do not say whose option it was.

use crate::script::suggest;

/// What to say about wrong options, and what to underline.
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    pub message: String,
    pub help: Option<String>,
    /// `ingress[1].port`; empty for the call itself.
    pub path: String,
}

/// The words for something that is no map of options.
pub fn no_map(function: &str, found: &str) -> Words {
    Words {
        message: format!("`{function}` expects an object map of options, found {found}"),
        help: Some(format!("write {function}(#{{ … }})")),
        path: String::new(),
    }
}

/// The words for something that is no text, where a control word wants text first.
pub fn no_text(function: &str, found: &str, signature: &str) -> Words {
    Words {
        message: format!("`{function}` takes text first, found {found}"),
        help: Some(format!("write {signature}")),
        path: String::new(),
    }
}

/// The words for an option that is the plain first argument, too.
pub fn given_twice(function: &str, name: &str) -> Words {
    Words {
        message: format!("`{name}` of `{function}` is given twice"),
        help: Some("give it either as the first argument or as an option".into()),
        path: name.to_owned(),
    }
}

/// The words for a value that no option can be: a function, a range.
pub fn untransferable(function: &str, path: &str, found: &str) -> Words {
    let whose = if path.is_empty() { format!("`{function}`") } else { format!("option `{path}` of `{function}`") };
    Words { message: format!("{whose} cannot be {found}"), help: None, path: path.to_owned() }
}

/// The words for a secret in an option that would show it.
pub fn secret(function: &str, path: &str) -> Words {
    let help = "a secret can be given to options that keep it, such as `user_data` and `private_key`: leave \
                `secret: true` out if it need not be one";
    Words { help: Some(help.to_owned()), ..untransferable(function, path, "a secret") }
}

/// The words for serde's `message` about the option at `path` of `function`.
pub fn words(function: &str, path: &str, message: &str) -> Words {
    let path = path.trim_matches('.');
    // serde_json adds a position in a text that does not exist here.
    let message = message.split(" at line ").next().unwrap_or(message);
    if let Some(rest) = message.strip_prefix("unknown field ") {
        return unknown_option(function, path, rest);
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        let message = format!("missing option {rest} of {}", owner(function, path));
        return Words { message, help: None, path: path.to_owned() };
    }
    let whose = if path.is_empty() { format!("`{function}`") } else { format!("option `{path}` of `{function}`") };
    let (message, help) = match message.strip_prefix("unknown variant ") {
        Some(rest) => unknown_value(rest),
        None => (mismatch(message).unwrap_or_else(|| message.to_owned()), None),
    };
    Words { message: format!("{whose}: {message}"), help, path: path.to_owned() }
}

/// `rest` is `` `min_siz`, expected one of `name`, `min_size` ``.
fn unknown_option(function: &str, path: &str, rest: &str) -> Words {
    let names = quoted(rest);
    let (name, known) = names.split_first().map_or(("", &[][..]), |(name, known)| (*name, known));
    let parent = match path.rsplit_once('.') {
        Some((parent, last)) if last == name => parent,
        None if path == name => "",
        _ => path,
    };
    let help = suggest::did_you_mean(name, known.iter().copied()).unwrap_or_else(|| match known {
        [] => "it has no options".into(),
        known => format!("its options are `{}`", known.join("`, `")),
    });
    Words {
        message: format!("unknown option `{name}` of {}", owner(function, parent)),
        help: Some(help),
        path: if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") },
    }
}

fn unknown_value(rest: &str) -> (String, Option<String>) {
    let names = quoted(rest);
    let (name, known) = names.split_first().map_or(("", &[][..]), |(name, known)| (*name, known));
    let expected = match known {
        [only] => format!("{only:?}"),
        known => format!("one of {}", known.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")),
    };
    let help = suggest::closest(name, known.iter().copied()).map(|near| format!("did you mean {near:?}?"));
    (format!("expected {expected}, found {name:?}"), help)
}

fn owner(function: &str, path: &str) -> String {
    if path.is_empty() { format!("`{function}`") } else { format!("`{path}` of `{function}`") }
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// `invalid type: string "x", expected a boolean` in our order and with our types.
fn mismatch(message: &str) -> Option<String> {
    let rest = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))
        .or_else(|| message.strip_prefix("invalid length "))?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    Some(format!("expected {}, found {}", type_words(expected), found_words(found)))
}

fn type_words(rust: &str) -> String {
    match rust {
        "u8" | "u16" | "u32" | "u64" | "usize" => "an integer that is not negative".into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "an integer".into(),
        "f32" | "f64" => "a number".into(),
        "a sequence" => "an array".into(),
        "a map" | "map" => "an object map".into(),
        _ if rust.starts_with("struct ") || rust.starts_with("internally tagged enum") => "an object map".into(),
        _ if rust.starts_with("a borrowed string") => "a string".into(),
        _ => rust.into(),
    }
}

fn found_words(found: &str) -> String {
    let unquoted = |rest: &str| rest.trim_matches('`').to_owned();
    match found {
        "null" | "unit value" => "nothing".into(),
        // A length: a sequence where a struct was wanted.
        _ if found.parse::<usize>().is_ok() => "an array".into(),
        "sequence" => "an array".into(),
        "map" => "an object map".into(),
        _ => match found.split_once(' ') {
            Some(("string", text)) => format!("the string {text}"),
            Some(("integer", number)) => format!("the integer {}", unquoted(number)),
            Some(("boolean", flag)) => format!("the boolean {}", unquoted(flag)),
            Some(("floating", rest)) => format!("the number {}", unquoted(rest.trim_start_matches("point "))),
            _ => found.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the ways in which decoding fails are looked at")]
    struct Options {
        name: String,
        min_size: u32,
        weight: Option<f64>,
        #[serde(default)]
        public: bool,
        #[serde(default)]
        ingress: Vec<Ingress>,
        #[serde(default)]
        tags: BTreeMap<String, String>,
        protocol: Option<Protocol>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the ways in which decoding fails are looked at")]
    struct Ingress {
        port: u16,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Protocol {
        Tcp,
        Http,
        Https,
    }

    fn decode(options: Value) -> Words {
        let error = serde_path_to_error::deserialize::<_, Options>(options).expect_err("it is wrong");
        words("launch", &error.path().to_string(), &error.inner().to_string())
    }

    #[test]
    fn what_is_wrong_is_said_and_found() {
        let table = [
            (
                json!({ "name": "a", "min_siz": 1 }),
                ("unknown option `min_siz` of `launch`", Some("did you mean `min_size`?"), "min_siz"),
            ),
            (
                json!({ "name": "a", "min_size": 1, "colour": 1 }),
                (
                    "unknown option `colour` of `launch`",
                    Some("its options are `name`, `min_size`, `weight`, `public`, `ingress`, `tags`, `protocol`"),
                    "colour",
                ),
            ),
            (
                json!({ "name": "a", "min_size": 1, "ingress": [{ "port": 1 }, { "prot": 1 }] }),
                ("unknown option `prot` of `ingress[1]` of `launch`", Some("did you mean `port`?"), "ingress[1].prot"),
            ),
            (json!({ "name": "a" }), ("missing option `min_size` of `launch`", None, "")),
            (
                json!({ "name": "a", "min_size": 1, "ingress": [{}] }),
                ("missing option `port` of `ingress[0]` of `launch`", None, "ingress[0]"),
            ),
            (
                json!({ "name": "a", "min_size": "2" }),
                (
                    "option `min_size` of `launch`: expected an integer that is not negative, found the string \"2\"",
                    None,
                    "min_size",
                ),
            ),
            (
                json!({ "name": "a", "min_size": -2 }),
                (
                    "option `min_size` of `launch`: expected an integer that is not negative, found the integer -2",
                    None,
                    "min_size",
                ),
            ),
            (
                json!({ "name": 3, "min_size": 2 }),
                ("option `name` of `launch`: expected a string, found the integer 3", None, "name"),
            ),
            (
                json!({ "name": "a", "min_size": 2, "public": "x" }),
                ("option `public` of `launch`: expected a boolean, found the string \"x\"", None, "public"),
            ),
            (
                json!({ "name": "a", "min_size": 2.5 }),
                (
                    "option `min_size` of `launch`: expected an integer that is not negative, found the number 2.5",
                    None,
                    "min_size",
                ),
            ),
            (
                json!({ "name": "a", "min_size": 1, "ingress": { "port": 1 } }),
                ("option `ingress` of `launch`: expected an array, found an object map", None, "ingress"),
            ),
            (
                json!({ "name": "a", "min_size": 1, "tags": { "cost.centre": 7 } }),
                (
                    "option `tags.cost.centre` of `launch`: expected a string, found the integer 7",
                    None,
                    "tags.cost.centre",
                ),
            ),
            (
                json!({ "name": "a", "min_size": 1, "protocol": "htps" }),
                (
                    "option `protocol` of `launch`: expected one of \"tcp\", \"http\", \"https\", found \"htps\"",
                    Some("did you mean \"https\"?"),
                    "protocol",
                ),
            ),
            (json!([]), ("`launch`: expected an object map, found an array", None, "")),
        ];
        for (options, (message, help, path)) in table {
            let expected = Words { message: message.into(), help: help.map(Into::into), path: path.into() };
            let text = options.to_string();
            assert_eq!(decode(options), expected, "{text}");
        }
    }
}
