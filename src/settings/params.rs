//! The parameters of a runbook: `--params-file`, and over it `--param`.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use super::{Error, error::Text, file};

/// Of the file, if there is one, and of the flags, which win.
pub fn resolve(file: Option<&Path>, flags: Vec<(String, String)>) -> Result<BTreeMap<String, Value>, Error> {
    let mut typed = BTreeMap::new();
    for (name, value) in flags {
        if typed.insert(name.clone(), Value::String(value)).is_some() {
            return Err(Error::ParamTwice { name });
        }
    }
    let mut params = file.map(read).transpose()?.unwrap_or_default();
    params.append(&mut typed);
    Ok(params)
}

fn read(path: &Path) -> Result<BTreeMap<String, Value>, Error> {
    let parse = match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => toml,
        Some("json") => json,
        _ => return Err(Error::ParamsFormat { path: path.to_owned() }),
    };
    let text = fs::read_to_string(path).map_err(|cause| Error::Unreadable {
        what: "parameters",
        path: path.to_owned(),
        cause,
    })?;
    // An error shows its place, and a parameter may be a secret.
    parse(&Text { name: &path.display().to_string(), text: &text, shown: &without_values(&text) })
}

/// The text with stars for values, byte for byte, so that places stay where they are.
fn without_values(text: &str) -> String {
    let line = |line: &str| {
        let value = line.find(['=', ':']).map_or(0, |at| at + 1);
        let star = |byte: u8| match byte {
            b'{' | b'}' | b'[' | b']' | b'"' | b',' | b' ' | b'\t' | b'\r' | b'\n' => char::from(byte),
            _ => '*',
        };
        line[..value].chars().chain(line[value..].bytes().map(star)).collect::<String>()
    };
    text.split_inclusive('\n').map(line).collect()
}

fn toml(source: &Text<'_>) -> Result<BTreeMap<String, Value>, Error> {
    let table: toml::Table = toml::from_str(source.text).map_err(|error| source.toml_error(&error))?;
    Ok(table.into_iter().map(|(name, value)| (name, file::json(value))).collect())
}

fn json(source: &Text<'_>) -> Result<BTreeMap<String, Value>, Error> {
    serde_json::from_str(source.text).map_err(|error| {
        let line_start: usize =
            source.text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let at = source.text.floor_char_boundary(line_start + error.column().saturating_sub(1));
        let message = error.to_string();
        // The place is shown, it need not be said.
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        source.error(at..at, format!("parameters have to be one JSON object: {message}"), None)
    })
}
