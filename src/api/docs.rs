//! The reference of the language: from the same descriptions that decode options.

use std::fmt::Write as _;

use schemars::Schema;
use serde_json::Value;

use super::control::{CONTROLS, ControlDoc};
use crate::{
    ops::catalog::{self, Entry, OPERATIONS},
    script::suggest,
};

/// One page of the reference.
struct Page {
    name: &'static str,
    signatures: Vec<String>,
    description: String,
    example: &'static str,
    options: Vec<Row>,
    returns: Option<String>,
}

/// One option.
#[derive(Debug, PartialEq)]
struct Row {
    /// With the option it is part of: `ingress[].port`.
    name: String,
    kind: String,
    default: Option<String>,
    required: bool,
    description: String,
}

/// The whole reference in Markdown.
pub fn markdown() -> String {
    let mut text = String::from("# The language of runbooks\n\n## Control words\n\n");
    for control in CONTROLS {
        write_markdown(&mut text, &Page::of_control(control));
    }
    for (area, entries) in areas() {
        write!(text, "## {area}\n\n").expect("a string takes everything");
        for entry in entries {
            write_markdown(&mut text, &Page::of_operation(entry));
        }
    }
    text
}

/// One operation or control word in Markdown.
///
/// # Errors
/// What to say if there is none of that name.
pub fn markdown_of(name: &str) -> Result<String, String> {
    let mut text = String::new();
    write_markdown(&mut text, &page(name)?);
    Ok(text)
}

/// One operation or control word for the terminal.
///
/// # Errors
/// What to say if there is none of that name.
pub fn text_of(name: &str) -> Result<String, String> {
    Ok(plain(&page(name)?))
}

/// The names of everything there is, by area, each with its first sentence.
pub fn index() -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let first = |page: Page| (page.name, first_sentence(&page.description));
    let controls = CONTROLS.iter().map(|control| first(Page::of_control(control))).collect();
    let operations = areas()
        .into_iter()
        .map(|(area, entries)| (area, entries.into_iter().map(|entry| first(Page::of_operation(entry))).collect()));
    std::iter::once(("Control words", controls)).chain(operations).collect()
}

fn areas() -> Vec<(&'static str, Vec<&'static Entry>)> {
    let mut areas: Vec<(&'static str, Vec<&'static Entry>)> = Vec::new();
    for entry in OPERATIONS {
        match areas.iter_mut().find(|(area, _)| *area == entry.area) {
            Some((_, entries)) => entries.push(entry),
            None => areas.push((entry.area, vec![entry])),
        }
    }
    areas
}

fn page(name: &str) -> Result<Page, String> {
    if let Some(entry) = catalog::find(name) {
        return Ok(Page::of_operation(entry));
    }
    if let Some(control) = CONTROLS.iter().find(|control| control.name == name) {
        return Ok(Page::of_control(control));
    }
    let names = OPERATIONS.iter().map(|entry| entry.name).chain(CONTROLS.iter().map(|control| control.name));
    let suggestion = suggest::did_you_mean(name, names).map(|help| format!("; {help}")).unwrap_or_default();
    Err(format!("there is no operation `{name}`{suggestion}"))
}

impl Page {
    fn of_operation(entry: &'static Entry) -> Self {
        let schema = (entry.schema)();
        let name = entry.name;
        let mut signatures = vec![format!("{name}(#{{ … }})")];
        if let Some(first) = entry.positional {
            match entry.second {
                None => signatures.extend([format!("{name}({first})"), format!("{name}({first}, #{{ … }})")]),
                Some(second) => signatures
                    .extend([format!("{name}({first}, {second})"), format!("{name}({first}, {second}, #{{ … }})")]),
            }
        }
        Self {
            name,
            signatures,
            description: description(schema.as_value()),
            example: entry.example,
            options: rows(&schema),
            returns: Some(entry.returns.replace('_', " ")),
        }
    }

    fn of_control(control: &'static ControlDoc) -> Self {
        Self {
            name: control.name,
            signatures: control.signatures.iter().map(|signature| (*signature).to_owned()).collect(),
            description: control.description.replace('\n', " "),
            example: control.example,
            options: control.options.as_ref().map(|options| rows(&(options.schema)())).unwrap_or_default(),
            returns: None,
        }
    }
}

fn write_markdown(text: &mut String, page: &Page) {
    let mut write = || -> std::fmt::Result {
        write!(
            text,
            "### `{}`\n\n{}\n\n```rhai\n{}\n```\n\n",
            page.name,
            page.description,
            page.signatures.join("\n")
        )?;
        if !page.options.is_empty() {
            text.push_str("| option | type | default | |\n|---|---|---|---|\n");
            for row in &page.options {
                let default = match (&row.default, row.required) {
                    (_, true) => "required".to_owned(),
                    (Some(default), _) => format!("`{default}`"),
                    (None, _) => String::new(),
                };
                let description = row.description.replace('|', "\\|");
                writeln!(text, "| `{}` | {} | {default} | {description} |", row.name, row.kind.replace('|', "\\|"))?;
            }
            text.push('\n');
        }
        if let Some(returns) = &page.returns {
            write!(text, "Returns {}.\n\n", super::handle::with_article(returns))?;
        }
        write!(text, "```rhai\n{}\n```\n\n", page.example)
    };
    write().expect("a string takes everything");
}

fn plain(page: &Page) -> String {
    let mut text = String::new();
    let mut write = || -> std::fmt::Result {
        writeln!(text, "{}\n", page.signatures.join("\n"))?;
        writeln!(text, "{}", page.description)?;
        if !page.options.is_empty() {
            writeln!(text, "\nOptions:")?;
            let width = page.options.iter().map(|row| row.name.len()).max().unwrap_or_default();
            for row in &page.options {
                let need = match (&row.default, row.required) {
                    (_, true) => ", required".to_owned(),
                    (Some(default), _) => format!(", default {default}"),
                    (None, _) => String::new(),
                };
                writeln!(text, "  {:width$}  {}{need}", row.name, row.kind)?;
                if !row.description.is_empty() {
                    writeln!(text, "  {:width$}  {}", "", row.description)?;
                }
            }
        }
        if let Some(returns) = &page.returns {
            writeln!(text, "\nReturns {}.", super::handle::with_article(returns))?;
        }
        writeln!(text, "\nExample:")?;
        page.example.lines().try_for_each(|line| writeln!(text, "  {line}"))
    };
    write().expect("a string takes everything");
    text
}

/// The options of a schema, nested ones after the option they are part of.
fn rows(schema: &Schema) -> Vec<Row> {
    let mut rows = Vec::new();
    add_rows(&mut rows, "", schema.as_value());
    rows
}

fn add_rows(rows: &mut Vec<Row>, prefix: &str, schema: &Value) {
    let Some(properties) = schema["properties"].as_object() else { return };
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in properties {
        let name_here = format!("{prefix}{name}");
        let default = property.get("default").filter(|default| !is_empty(default));
        rows.push(Row {
            name: name_here.clone(),
            kind: kind(property),
            default: default.map(Value::to_string),
            required: required.contains(&name.as_str()),
            description: description(property),
        });
        let inner = inner(property);
        if inner["type"] == "array" {
            add_rows(rows, &format!("{name_here}[]."), self::inner(&inner["items"]));
        } else {
            add_rows(rows, &format!("{name_here}."), inner);
        }
    }
}

/// What "nothing given" looks like: not worth a word.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Without the `null` of what is optional.
fn inner(schema: &Value) -> &Value {
    let some = schema["anyOf"].as_array().and_then(|any| any.iter().find(|one| one["type"] != "null"));
    some.unwrap_or(schema)
}

/// The type of an option in the words of runbooks.
fn kind(schema: &Value) -> String {
    let schema = inner(schema);
    if let Some(kind) = schema["x-type"].as_str() {
        return kind.replace('_', " ");
    }
    let literals = |values: &[Value]| values.iter().map(Value::to_string).collect::<Vec<_>>().join(" | ");
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<_> = values.iter().filter(|value| !value.is_null()).cloned().collect();
        return literals(&values);
    }
    if let Some(value) = schema.get("const") {
        return value.to_string();
    }
    if let Some(variants) = schema["oneOf"].as_array() {
        return variants.iter().map(kind).collect::<Vec<_>>().join(" | ");
    }
    let name = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        name => name.as_str(),
    };
    match name {
        Some("array") if schema["items"].is_object() => format!("array of {}", kind(&schema["items"])),
        Some("object") => match schema.get("additionalProperties") {
            Some(values) if values.is_object() => format!("map of {}", kind(values)),
            _ => "map".into(),
        },
        Some(name) => name.into(),
        None => "any".into(),
    }
}

/// The doc comment, on one line, with what the variants of a choice mean.
fn description(schema: &Value) -> String {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut text = one_line(schema["description"].as_str().unwrap_or_default());
    for variant in inner(schema)["oneOf"].as_array().into_iter().flatten() {
        if let (Some(value), Some(meaning)) = (variant.get("const"), variant["description"].as_str()) {
            write!(text, " {value}: {}", one_line(meaning)).expect("a string takes everything");
        }
    }
    text
}

fn first_sentence(text: &str) -> String {
    text.split_inclusive(". ").next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};

    use super::*;
    use crate::ops::{Duration, IdOf, Kind, Sensitive, Tags};

    struct Vpc;
    impl Kind for Vpc {
        const KIND: &'static str = "vpc";
        const ID: &'static str = "vpc_id";
    }

    /// Makes something.
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Options {
        /// What it is called.
        name: String,
        vpc: IdOf<Vpc>,
        #[serde(default)]
        more: Vec<IdOf<Vpc>>,
        timeout: Option<Duration>,
        password: Option<Sensitive>,
        #[serde(default)]
        tags: Tags,
        #[serde(default)]
        public: bool,
        /// Which one.
        #[serde(default)]
        protocol: Protocol,
        ingress: Vec<Rule>,
        health: Option<Rule>,
    }

    #[derive(Default, serde::Serialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    #[expect(dead_code, reason = "only its schema is looked at")]
    enum Protocol {
        /// Plain.
        #[default]
        Http,
        /// With a certificate.
        Https,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Rule {
        /// From 1.
        port: u16,
    }

    #[test]
    fn options_are_a_table() {
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        let schema = SchemaGenerator::new(settings).into_root_schema_for::<Options>();
        let shown = |row: Row| {
            let default = row.default.map(|default| format!(" = {default}")).unwrap_or_default();
            let need = if row.required { "!" } else { "" };
            format!("{}{need}: {}{default} {}", row.name, row.kind, row.description).trim_end().to_owned()
        };
        let rows: Vec<_> = rows(&schema).into_iter().map(shown).collect();
        assert_eq!(
            rows,
            [
                "name!: string What it is called.",
                "vpc!: vpc",
                "more: array of vpc",
                "timeout: duration",
                "password: string or secret",
                "tags: map of string Tags a runbook gives a resource, besides those that say who owns it.",
                "public: boolean = false",
                r#"protocol: "http" | "https" = "http" Which one. "http": Plain. "https": With a certificate."#,
                "ingress!: array of map",
                "ingress[].port!: integer From 1.",
                "health: map",
                "health.port!: integer From 1.",
            ]
        );
    }

    #[test]
    fn every_name_has_a_page_and_is_named_once() {
        let mut names: Vec<_> = index().into_iter().flat_map(|(_, names)| names).collect();
        for (name, sentence) in &names {
            assert!(!sentence.is_empty(), "{name} has no description");
            let text = text_of(name).expect("a page");
            assert!(text.contains("Example:"), "{text}");
            assert!(markdown().contains(&format!("### `{name}`")));
        }
        names.sort();
        names.dedup_by(|a, b| a.0 == b.0);
        assert_eq!(names.len(), OPERATIONS.len() + CONTROLS.len());
    }

    #[test]
    fn an_unknown_name_gets_a_suggestion() {
        assert_eq!(text_of("paralel"), Err("there is no operation `paralel`; did you mean `parallel`?".into()));
        assert_eq!(text_of("make_coffee"), Err("there is no operation `make_coffee`".into()));
    }
}
