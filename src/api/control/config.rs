//! `config`: data of the project, and the only files a runbook can read besides its modules.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rhai::{Dynamic, Engine, Map, NativeCallContext};
use serde_json::Value;

use super::ControlDoc;
use crate::{
    api::{
        budget::Count,
        convert,
        session::{Result, Session},
    },
    script::{Failure, Place, Project, ProjectFile, project::Unread},
};

pub const CONFIG: ControlDoc = ControlDoc {
    name: "config",
    signatures: &[r#"config("shop.toml")"#, r#"config("services/*.toml")"#],
    description: "\
Reads a .toml or .json file of the project: an object map, or what else the JSON is. With `*` or `?` in
the file's name it reads all files that match, at least one, and returns a map of them by their names without
the extension. Paths are relative to this file, as those of imports are, and do not lead out of the
project. A file is read once in a run.",
    example: r#"for service in config("../services/*.toml").values() {
    log(`${service.name} listens on ${service.port}`);
}"#,
    arity: 1..=1,
    options: None,
};

/// In bytes, of one file.
const SIZE: usize = 256 << 10;

/// How many files one pattern may mean.
const FILES: usize = 100;

/// What was read in this run, by the names of the files and patterns.
#[derive(Default)]
pub struct Configs(Mutex<BTreeMap<String, Value>>);

impl Configs {
    /// What `key` was, or what `read` says it is from now on.
    fn once(&self, key: &str, read: impl FnOnce() -> Result<Value>) -> Result<Value> {
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key) {
            return Ok(known.clone());
        }
        let value = read()?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), value.clone());
        Ok(value)
    }
}

pub fn register(engine: &mut Engine, session: &Arc<Session>) {
    let at = Arc::clone(session);
    CONFIG
        .function(["path: string", "?"])
        .register_into_engine(engine, move |context: NativeCallContext, path: &str| config(&at, &context, path));
}

fn config(session: &Session, context: &NativeCallContext, path: &str) -> Result<Dynamic> {
    session.watch.check()?;
    let fail = |failure: Failure| failure.at(context).into();
    let place = Place::of_call(context);
    let script = place.as_ref().map(|place| &*place.file);
    if script.is_some_and(crate::script::is_stdlib) {
        return Err(fail(
            Failure::new("a module of the standard library has no files of its own")
                .help("pass what it needs as an option"),
        ));
    }
    if !is_pattern(path) {
        let file = find(&session.project, script, path).map_err(fail)?;
        return Ok(convert::from_json(&read(session, context, &file)?));
    }
    let folder = script.and_then(|script| Path::new(script).parent()).unwrap_or(Path::new(""));
    let names = session.configs.once(&format!("{}/{path}", folder.display()), || {
        let files = session.project.matching(script, path, FILES).map_err(fail)?;
        Ok(files.into_iter().map(|(name, file)| (name, file.name.into())).collect::<serde_json::Map<_, _>>().into())
    })?;
    let mut configs = Map::new();
    for (name, target) in names.as_object().into_iter().flatten() {
        let file = session.project.file(target.as_str().unwrap_or_default());
        let stem = name.rsplit_once('.').map_or(&**name, |(stem, _)| stem);
        let value = convert::from_json(&read(session, context, &file)?);
        if configs.insert(stem.into(), value).is_some() {
            return Err(fail(Failure::new(format!("more than one file that matches `{path}` is called `{stem}`"))));
        }
    }
    if configs.is_empty() {
        return Err(fail(no_match(path)));
    }
    Ok(configs.into())
}

/// The data of a file, as it was when it was read first.
fn read(session: &Session, context: &NativeCallContext, file: &ProjectFile) -> Result<Value> {
    session.configs.once(&file.name, || {
        session.spend(context, Count::Files, 1)?;
        let show = |file: &str, text: &str| session.library.add_text(file, text);
        let data = data(&session.project, file, &show).map_err(|failure| failure.at(context))?;
        session.wait_for(context, async { session.run.flush() })?;
        Ok(data)
    })
}

fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?'])
}

/// The file that a path in `script` means.
fn find(project: &Project, script: Option<&str>, path: &str) -> std::result::Result<ProjectFile, Failure> {
    project.find(script, path)?.ok_or_else(|| {
        let place = project.join(script, path).map(|place| project.shown(&place));
        let failure = Failure::new(format!("there is no file `{path}`"));
        failure.help(format!("it would be {}", place.unwrap_or_else(|_| path.to_owned())))
    })
}

fn no_match(pattern: &str) -> Failure {
    Failure::new(format!("no file matches `{pattern}`")).help("paths are relative to the file that calls `config`")
}

/// The data of a file. A text that is none is given to `show`, under the name that the failure knows it by.
fn data(project: &Project, file: &ProjectFile, show: &dyn Fn(&str, &str)) -> std::result::Result<Value, Failure> {
    let parse = match file.path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => toml,
        Some("json") => json,
        _ => return Err(Failure::new(format!("`{}` is neither a .toml nor a .json file", file.name))),
    };
    let text = project.read(file, SIZE).map_err(|unread| match unread {
        Unread::TooLarge => Failure::new(format!("`{}` has more than {} KiB", file.name, SIZE >> 10)),
        Unread::Other(error) => Failure::new(format!("cannot read `{}`: {error}", file.name)),
    })?;
    parse(&text).map_err(|wrong| {
        show(&file.name, &text);
        Failure::new(wrong.message).focus(Some(place(&file.name, &text, wrong.offset)))
    })
}

/// What `config(path)` in `script` would fail with, as things are.
pub fn judge(project: &Project, script: &str, path: &str, show: &dyn Fn(&str, &str)) -> Vec<Failure> {
    let files = match is_pattern(path) {
        false => find(project, Some(script), path).map(|file| vec![file]),
        true => project.matching(Some(script), path, FILES).map(|files| files.into_values().collect()),
    };
    match files {
        Ok(files) if files.is_empty() => vec![no_match(path)],
        Ok(files) => files.iter().filter_map(|file| data(project, file, show).err()).collect(),
        Err(failure) => vec![failure],
    }
}

/// Why a text is no data, and where, in bytes.
#[derive(Debug, PartialEq, Eq)]
struct Wrong {
    message: String,
    offset: usize,
}

fn toml(text: &str) -> std::result::Result<Value, Wrong> {
    let table: toml::Table = toml::from_str(text).map_err(|error| Wrong {
        message: error.message().lines().collect::<Vec<_>>().join(", "),
        offset: error.span().map_or(0, |span| span.start),
    })?;
    of_toml(toml::Value::Table(table)).map_err(|number| Wrong {
        message: format!("`{number}` is no number to count with"),
        // The parser does not say where: the first place where it is written.
        offset: text.find(&number.to_string().to_lowercase()).unwrap_or(0),
    })
}

/// Dates become text. Fails with a number that JSON has not.
fn of_toml(value: toml::Value) -> std::result::Result<Value, f64> {
    Ok(match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) if number.is_finite() => number.into(),
        toml::Value::Float(number) => return Err(number),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => {
            Value::Array(items.into_iter().map(of_toml).collect::<std::result::Result<_, _>>()?)
        }
        toml::Value::Table(table) => {
            let entries = table.into_iter().map(|(key, value)| of_toml(value).map(|value| (key, value)));
            Value::Object(entries.collect::<std::result::Result<_, _>>()?)
        }
    })
}

fn json(text: &str) -> std::result::Result<Value, Wrong> {
    serde_json::from_str(text).map_err(|error| {
        let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let message = error.to_string();
        Wrong {
            // The place is shown, it need not be said.
            message: message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message).to_owned(),
            // An error at the very end of a line is said to be before the first column of the next.
            offset: (line_start + error.column()).saturating_sub(1),
        }
    })
}

fn place(file: &str, text: &str, offset: usize) -> Place {
    let before = &text[..text.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let number = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
    Place {
        file: file.into(),
        line: number(before.matches('\n').count()),
        column: number(before[line_start..].chars().count()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json as value;

    use super::*;

    #[test]
    fn data_is_typed() {
        let text = "port = 80\nratio = 0.5\nfrom = 2026-01-02\nnames = [\"a\"]\n[tags]\na = true\n";
        assert_eq!(
            toml(text),
            Ok(value!({ "port": 80, "ratio": 0.5, "from": "2026-01-02", "names": ["a"], "tags": { "a": true } }))
        );
    }

    #[test]
    fn what_is_wrong_is_found() {
        let wrong = toml("a = 1\nb = \n").expect_err("no value");
        assert_eq!(place("f", "a = 1\nb = \n", wrong.offset).line, 2);
        let wrong = json("{\n  \"a\": tru\n}").expect_err("no value");
        assert_eq!(wrong.message, "expected ident");
        assert_eq!(place("f", "{\n  \"a\": tru\n}", wrong.offset).line, 2);
        assert_eq!(
            toml("a = 1\nb = inf"),
            Err(Wrong { message: "`inf` is no number to count with".into(), offset: 10 })
        );
    }
}
