//! The arguments of operations and control words, as far as they are written as literals.

use std::sync::Arc;

use serde_json::Value;

use super::{
    lints::{MISSING_OPTION, UNKNOWN_OPTION, WRONG_ARGUMENT, WRONG_OPTION},
    probe::{self, Problem, Verdict, Way},
};
use crate::{
    api::{
        CONTROLS, bind,
        control::{environment, say},
        convert::{self, Secrets},
        options::{self, Words},
    },
    ops::{self, catalog},
    script::{
        Place,
        check::{Call, Entry, Finding, Lint, Outline, Shape, Written},
        suggest,
    },
};

/// Judges all calls of one script.
pub fn check(script: &Outline) -> Vec<Finding> {
    // A function that takes the place of an operation is a problem of its own.
    let is_own = |call: &Call| script.functions.iter().any(|function| function.name == call.name);
    let calls = script.calls.iter().filter(|call| call.path.is_empty() && !is_own(call));
    calls.flat_map(|call| check_call(script, call)).collect()
}

fn check_call(script: &Outline, call: &Call) -> Vec<Finding> {
    if let Some(entry) = catalog::find(&call.name) {
        let decode = |options: Value| (entry.prepare)(options).map(drop);
        let mut judge = Judge::new(script, call, entry.name, &decode, entry.schema);
        judge.operation(entry.positional, entry.second);
        return judge.findings;
    }
    let Some(control) = CONTROLS.iter().find(|control| control.name == call.name) else { return Vec::new() };
    let nothing = |_: Value| Ok(());
    let mut judge = match &control.options {
        Some(options) => Judge::new(script, call, control.name, &options.decode, options.schema),
        None => Judge::new(script, call, control.name, &nothing, schemars::Schema::default),
    };
    if let Some(written) = control.options.as_ref().and_then(|options| call.arguments.get(options.argument)) {
        judge.options(written);
    }
    judge.text_first(control.signatures);
    match call.arguments.first().and_then(Written::text) {
        Some(text) if call.is(say::SLEEP.name) => judge.sleep(&text),
        Some(text) if call.is(environment::STACK.name) => judge.stack(&text),
        _ => {}
    }
    judge.findings
}

/// What something is, as far as it is written as a literal.
fn described(written: &Written) -> Option<String> {
    Some(match &written.shape {
        Shape::Computed | Shape::Result(_) | Shape::Variable(_) => return None,
        Shape::Function(_) => "a function".to_owned(),
        Shape::Map(_) => "an object map".to_owned(),
        Shape::Plain(_) | Shape::Array(_) => match json(written) {
            Some(Ok(value)) => bind::described(&value),
            Some(Err(stuck)) => stuck.found,
            None => "an array".to_owned(),
        },
    })
}

/// Judges one call.
struct Judge<'a> {
    file: &'a Arc<str>,
    call: &'a Call,
    function: &'static str,
    decode: &'a dyn Fn(Value) -> Result<(), ops::Error>,
    schema: fn() -> schemars::Schema,
    findings: Vec<Finding>,
}

impl<'a> Judge<'a> {
    fn new(
        script: &'a Outline,
        call: &'a Call,
        function: &'static str,
        decode: &'a dyn Fn(Value) -> Result<(), ops::Error>,
        schema: fn() -> schemars::Schema,
    ) -> Self {
        Self { file: &script.file, call, function, decode, schema, findings: Vec::new() }
    }

    /// `op(#{…})`, and where the operation has a positional option `op(x)` and `op(x, #{…})`; with a second one `op(x, y)` and
    /// `op(x, y, #{…})`.
    fn operation(&mut self, positional: Option<&'static str>, second: Option<&'static str>) {
        match (self.call.arguments.as_slice(), positional) {
            ([], _) => self.options(&Written::map(Vec::new())),
            ([first], Some(name)) if first.entries().is_none() && is_known(first) => {
                self.options(&Written::map(vec![named(name, first)]));
            }
            // If it is a map, it is the options.
            ([first], Some(_)) if !is_known(first) => {}
            ([options], _) => self.options(options),
            // If it is a map, it is the options.
            ([_, second_or_options], Some(_)) if second.is_some() && !is_known(second_or_options) => {}
            ([first, value], Some(name)) if second.is_some() && value.entries().is_none() => {
                let given = [Some(name), second].into_iter().flatten().zip([first, value]);
                self.options(&Written::map(given.map(|(name, value)| named(name, value)).collect()));
            }
            ([first, value, options], Some(name)) => {
                let Some(entries) = options.entries() else { return self.options(options) };
                let given: Vec<_> = [Some(name), second].into_iter().flatten().zip([first, value]).collect();
                for (name, _) in given.iter().filter(|(name, _)| entries.iter().any(|entry| entry.key == *name)) {
                    self.add_words(WRONG_ARGUMENT, options::given_twice(self.function, name), options);
                }
                let rest = entries.iter().filter(|entry| given.iter().all(|(name, _)| entry.key != *name)).cloned();
                let all = Written::map(given.iter().map(|(name, value)| named(name, value)).chain(rest).collect());
                self.options(&Written { through_variable: options.through_variable, ..all });
            }
            ([first, options], Some(name)) => {
                let Some(entries) = options.entries() else { return self.options(options) };
                if entries.iter().any(|entry| entry.key == name) {
                    self.add_words(WRONG_ARGUMENT, options::given_twice(self.function, name), options);
                }
                let rest = entries.iter().filter(|entry| entry.key != name).cloned();
                let all = Written::map([named(name, first)].into_iter().chain(rest).collect());
                self.options(&Written { through_variable: options.through_variable, ..all });
            }
            // Too many arguments: that is said already.
            _ => {}
        }
    }

    /// Control words of which all forms begin with text: `sleep("5m")`.
    fn text_first(&mut self, signatures: &[&str]) {
        let begins =
            |signature: &&str| signature.strip_prefix(self.function).is_some_and(|rest| rest.starts_with("(\""));
        let (true, Some(first)) = (signatures.iter().all(begins), self.call.arguments.first()) else {
            return;
        };
        if first.text().is_none()
            && let Some(found) = described(first)
        {
            self.add_words(WRONG_ARGUMENT, options::no_text(self.function, &found, signatures[0]), first);
        }
    }

    fn options(&mut self, options: &Written) {
        if options.entries().is_some() {
            return self.value(options, options, &Way::default());
        }
        let Some(found) = described(options) else { return };
        self.add_words(WRONG_ARGUMENT, options::no_map(self.function, &found), options);
    }

    /// Judges the value at the end of `way`, and all that is below it.
    fn value(&mut self, options: &Written, written: &Written, way: &Way) {
        match (&written.shape, json(written)) {
            (Shape::Function(_), _) => {
                let words = options::untransferable(self.function, &way.path(), "a function");
                return self.add_words(WRONG_OPTION, words, options);
            }
            (_, Some(Ok(value))) => match probe::value(self.function, self.decode, way, value) {
                None => return,
                Some(verdict) => {
                    let goes_no_further = verdict.problem == Problem::Unknown && verdict.path == way.path();
                    self.add(verdict, options);
                    if goes_no_further {
                        return;
                    }
                }
            },
            (_, Some(Err(stuck))) => {
                let path = if stuck.path.is_empty() { way.path() } else { format!("{}.{}", way.path(), stuck.path) };
                let words = options::untransferable(self.function, path.trim_matches('.'), &stuck.found);
                return self.add_words(WRONG_OPTION, words, options);
            }
            (_, None) => {
                if let Some(verdict) = probe::key(self.function, self.decode, way) {
                    return self.add(verdict, options);
                }
            }
        }
        // The decoder stops at the first problem: look for more.
        match &written.shape {
            Shape::Map(entries) => {
                self.missing(options, entries, way);
                for entry in entries {
                    self.value(options, &entry.value, &way.key(&entry.key));
                }
            }
            Shape::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(options, item, &way.index(index));
                }
            }
            Shape::Computed | Shape::Result(_) | Shape::Variable(_) | Shape::Function(_) | Shape::Plain(_) => {}
        }
    }

    /// What is required at the end of `way` and not among `entries`.
    fn missing(&mut self, options: &Written, entries: &[Entry], way: &Way) {
        let nothing = Value::Object(serde_json::Map::new());
        let verdict = probe::value(self.function, self.decode, way, nothing);
        if !verdict.is_some_and(|verdict| verdict.problem == Problem::Missing && verdict.path == way.path()) {
            // Nothing is required, or the decoder has a mind of its own.
            return;
        }
        let schema = (self.schema)().to_value();
        let Some(schema) = way.schema(&schema) else { return };
        let is_unknown = |key: &str| schema["properties"].get(key).is_none();
        for option in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            // A key that is meant to be this one is unknown: that says enough.
            let is_misspelt = |key: &str| is_unknown(key) && suggest::closest(key, [option]).is_some();
            if !entries.iter().any(|entry| entry.key == option || is_misspelt(&entry.key)) {
                self.add(probe::missing(self.function, &way.path(), option), options);
            }
        }
    }

    fn sleep(&mut self, text: &str) {
        if let Err(message) = say::duration_of(text) {
            let words = options::words(self.function, "", &message);
            let finding = Finding::new(WRONG_ARGUMENT, self.file, words.message).help(words.help);
            self.findings.push(finding.at(self.call.place_of_first()));
        }
    }

    fn stack(&mut self, application: &str) {
        if let Some(failure) = environment::unsuitable(application) {
            let finding = Finding::of_failure(WRONG_ARGUMENT, self.file, failure);
            self.findings.push(finding.at(self.call.place_of_first()));
        }
    }

    fn add(&mut self, verdict: Verdict, options: &Written) {
        let lint = match verdict.problem {
            Problem::Unknown => UNKNOWN_OPTION,
            Problem::Missing => MISSING_OPTION,
            Problem::Wrong => WRONG_OPTION,
        };
        self.add_words(lint, Words { message: verdict.message, help: verdict.help, path: verdict.path }, options);
    }

    fn add_words(&mut self, lint: Lint, words: Words, options: &Written) {
        let written = options.position_of(&words.path).and_then(|position| Place::new(self.file, position));
        let given = (self.call.place.clone(), format!("given to `{}` here", self.function));
        let other = given.0.clone().filter(|_| written.is_some() && options.through_variable);
        let finding = Finding::new(lint, self.file, words.message).at(written.or(given.0)).help(words.help);
        let finding = finding.other(other.map(|place| (place, given.1)));
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }
}

/// The plain first argument, under its name.
fn named(name: &str, first: &Written) -> Entry {
    Entry { key: name.to_owned(), position: first.position, value: first.clone() }
}

fn is_known(written: &Written) -> bool {
    !matches!(written.shape, Shape::Computed | Shape::Result(_) | Shape::Variable(_))
}

/// The value as it comes to an option. `None`: a part of it is computed.
fn json(written: &Written) -> Option<Result<Value, convert::Untransferable>> {
    Some(convert::to_json(&written.literal()?, Secrets::Pass))
}
