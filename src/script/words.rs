//! Rhai's errors in the runner's words: lowercase fragments, with help where there is some.

use rhai::{Dynamic, EvalAltResult, Map, ParseErrorType};

use super::{Failure, bounded};

/// What an error says.
pub(super) struct Words {
    pub message: String,
    pub help: Option<String>,
}

impl Words {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The words for an error at the end of its chain.
pub(super) fn of(error: &mut EvalAltResult) -> Words {
    match error {
        EvalAltResult::ErrorRuntime(value, _) | EvalAltResult::ErrorTerminated(value, _) => of_value(value),
        EvalAltResult::ErrorParsing(error, _) => of_syntax(error),
        EvalAltResult::ErrorFunctionNotFound(signature, _) => of_missing_function(signature),
        EvalAltResult::ErrorVariableNotFound(name, _) => Words::new(format!("there is no variable `{name}`")),
        EvalAltResult::ErrorPropertyNotFound(name, _) => Words::new(format!("the object map has no `{name}`")).help(
            format!("if it may be missing, ask `\"{name}\" in map` first, or take `map.get(\"{name}\") ?? other`"),
        ),
        EvalAltResult::ErrorIndexNotFound(index, _) => Words::new(format!("there is nothing at index `{index}`")),
        EvalAltResult::ErrorModuleNotFound(name, _) => Words::new(format!("there is no module `{name}`")),
        EvalAltResult::ErrorArrayBounds(len, index, _) => {
            Words::new(format!("index {index} is outside the array, which has {len} elements"))
        }
        EvalAltResult::ErrorStringBounds(len, index, _) => {
            Words::new(format!("index {index} is outside the string, which has {len} characters"))
        }
        EvalAltResult::ErrorMismatchDataType(wanted, found, _)
        | EvalAltResult::ErrorMismatchOutputType(wanted, found, _) => {
            Words::new(format!("expected {}, found {}", type_name(wanted), type_name(found)))
        }
        EvalAltResult::ErrorIndexingType(of, _) => Words::new(format!("{} has no elements to index", type_name(of))),
        EvalAltResult::ErrorDotExpr(text, _) => of_property(text),
        EvalAltResult::ErrorFor(_) => Words::new("`for` expects an array, a range or a string"),
        EvalAltResult::ErrorDataRace(name, _) => {
            Words::new(format!("`{name}` is in use by the closure that is being called"))
                .help("copy the value into another variable before the call")
        }
        EvalAltResult::ErrorStackOverflow(_) => {
            Words::new("functions call each other too deeply").help("a function that calls itself needs a way to end")
        }
        EvalAltResult::ErrorDataTooLarge(what, _) => Words::new(format!("too large: {}", lowercase(what))),
        other => {
            let _ = other.take_position();
            Words::new(lowercase(&other.to_string()))
        }
    }
}

/// What a thrown value says.
fn of_value(value: &Dynamic) -> Words {
    if let Some(failure) = failure(value) {
        return Words { message: failure.message, help: failure.help };
    }
    // What `catch` makes of Rhai's own errors, and a good way to throw one's own.
    if let Some(message) = value.read_lock::<Map>().and_then(|map| map.get("message").map(Dynamic::to_string)) {
        return Words::new(message);
    }
    if value.is_unit() {
        return Words::new("the script threw an error without words");
    }
    if bounded::is_deep(value) {
        return Words::new("the script threw a value that nests too deeply to be shown");
    }
    // A value of the host has no words of its own: Rhai says what type it is.
    if !value.is_string() && value.to_string() == value.type_name() {
        return Words::new(format!("the script threw {}", type_name(value.type_name())));
    }
    Words::new(value.to_string())
}

/// As much of a message as somebody reads, and nothing that a terminal would obey: a script can
/// throw whatever it likes.
pub(super) fn shown(message: &str) -> String {
    const MOST: usize = 2_000;
    let (text, rest) = message.split_at(message.char_indices().nth(MOST).map_or(message.len(), |(end, _)| end));
    visible(text) + if rest.is_empty() { "" } else { "…" }
}

/// A text of as many characters that shows what it is.
pub(super) fn visible(text: &str) -> String {
    text.chars().map(|c| if is_deceptive(c) { '\u{fffd}' } else { c }).collect()
}

/// The characters that change the direction of a text, or command a terminal: with them a text can
/// show something else than what it is.
pub(super) fn is_deceptive(character: char) -> bool {
    match character {
        '\n' | '\r' | '\t' => false,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => character.is_control(),
    }
}

/// The host's failure, if that is what was thrown.
pub(super) fn failure(value: &Dynamic) -> Option<Failure> {
    value.flatten_clone().try_cast()
}

fn of_syntax(error: &ParseErrorType) -> Words {
    let words = Words::new(lowercase(&error.to_string()));
    match error {
        ParseErrorType::Reserved(word) => Words::new(format!("`{word}` is a reserved word"))
            .help(format!(r#"take another name; as a key of a map it can be quoted: "{word}""#)),
        ParseErrorType::VariableUndefined(name) => Words::new(format!("there is no variable `{name}`"))
            .help("functions do not see the variables around them: pass it as an argument"),
        ParseErrorType::ModuleUndefined(name) => Words::new(format!("there is no module `{name}`"))
            .help(format!(r#"import it first: import "stdlib/{name}" as {name};"#)),
        _ => words,
    }
}

/// `text` is Rhai's: `Unknown property 'b' - a getter is not registered for type 'i64'`.
fn of_property(text: &str) -> Words {
    match text.split('\'').collect::<Vec<_>>().as_slice() {
        ["Unknown property ", name, _, of, ..] => Words::new(format!("{} has no `{name}`", type_name(of))),
        ["No writable property ", name, _, of, ..] => {
            Words::new(format!("`{name}` of {} cannot be set", type_name(of)))
        }
        _ => Words::new(lowercase(text)),
    }
}

/// `signature` is Rhai's: `launch (map, &str | ImmutableString | String)`.
fn of_missing_function(signature: &str) -> Words {
    let (name, arguments) = function(signature);
    let is_operator = !name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    match (is_operator, arguments.as_slice()) {
        (true, [left, right]) => Words::new(format!("`{name}` does not work between {left} and {right}")),
        (true, _) => Words::new(format!("`{name}` does not work on {}", arguments.join(", "))),
        (false, []) => Words::new(format!("there is no function `{name}` without arguments")),
        (false, _) => Words::new(format!("there is no function `{name}` for {}", arguments.join(", "))),
    }
}

/// The name and the types of the arguments in a signature of Rhai's.
pub(super) fn function(signature: &str) -> (&str, Vec<String>) {
    let (name, arguments) = signature.split_once(" (").unwrap_or((signature, ""));
    let arguments = arguments.trim_end_matches(')');
    let types = arguments.split(", ").filter(|argument| !argument.is_empty()).map(type_name).collect();
    (name, types)
}

/// A type as runbooks call it.
fn type_name(name: &str) -> String {
    let name = name.trim();
    match name {
        "i64" => "an integer".into(),
        "f64" => "a number".into(),
        "bool" => "a boolean".into(),
        "char" => "a character".into(),
        "()" => "nothing".into(),
        "map" => "an object map".into(),
        "array" => "an array".into(),
        "Fn" => "a function".into(),
        "range" | "range=" => "a range".into(),
        _ if name.contains("String") || name == "string" => "a string".into(),
        // Of the host's types, the last part of the path is a word.
        _ => format!("a {}", lowercase(name.rsplit("::").next().unwrap_or(name))),
    }
}

fn lowercase(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Thing;

    #[test]
    fn what_is_thrown_is_told() {
        assert_eq!(of_value(&"no space".into()).message, "no space");
        assert_eq!(of_value(&"string".into()).message, "string", "text, also if it is the name of its type");
        assert_eq!(of_value(&Dynamic::from(Thing)).message, "the script threw a thing");
    }
}
