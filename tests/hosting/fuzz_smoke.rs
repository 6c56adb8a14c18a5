//! The bodies of the fuzz targets on mutations of what we have, without instruments: a few seconds in a test, and
//! hours with `FUZZ_SECONDS=7200 cargo test --test hosting fuzz_smoke`. docs/sandbox.md says how long it
//! has run. `FUZZ_SEED` chooses another course.
//!
//! The input under way is in a file: if the whole process ends, that is the one.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use fastrand::Rng;
use runner::ops::catalog::OPERATIONS;
use serde_json::{Map, Value, json};

#[path = "../support/fuzz.rs"]
mod bodies;

/// No input may take longer, in a debug build on a machine that does something else as well.
const LONGEST: Duration = Duration::from_secs(5);

/// Words that mean something to the parser, alone or together.
const WORDS: &[&str] = &[
    "let ",
    "const ",
    "fn ",
    "private ",
    "if ",
    "else ",
    "switch ",
    "while ",
    "loop ",
    "do ",
    "until ",
    "for ",
    "in ",
    "!in ",
    "return ",
    "throw ",
    "try ",
    "catch ",
    "break ",
    "continue ",
    "import ",
    "export ",
    "as ",
    "this",
    "global::",
    "|x| ",
    "|| ",
    "|x, y| ",
    "#{",
    "}",
    "{",
    "[",
    "]",
    "(",
    ")",
    "()",
    ";",
    ",",
    ".",
    "?.",
    "?[",
    "::",
    "=>",
    "=",
    "+=",
    "**",
    "<<",
    ">>",
    "..",
    "..=",
    "??",
    "&&",
    "!",
    "-",
    "`",
    "${",
    "\"",
    "'",
    "\\u",
    "\\x",
    "/*",
    "*/",
    "//",
    "///",
    "0x",
    "1e9",
    "9223372036854775807",
    "_",
    ".map(",
    ".sort(",
    ".filter(",
    ".reduce(",
    ".pad(",
    ".replace(",
    ".split(",
    ".extract(",
    ".splice(",
    ".drain(",
    ".retain(",
    ".index_of(",
    ".to_json()",
    ".to_string()",
    ".call(",
    ".get(",
    ".set(",
    ".insert(",
    ".push(",
    ".zip(",
    ".dedup(",
    ".chop(",
    ".crop(",
    ".sub_string(",
    ".remove(",
    "type_of(",
    "parse_json(",
    "parse_int(",
    "range(",
    "is_def_var(",
    "is_shared(",
    "Fn(",
    "exit(",
    "print(",
    "debug(",
    "get_fn_metadata_list(",
    ".tag",
    ".bits",
    ".chars()",
    "== ",
    "true",
    "false",
    "\u{e9}",
    "\u{202e}",
    "\0",
    "\r\n",
    "\n",
    "import \"stdlib/network\" as n;",
];

#[test]
fn loading_survives() {
    fuzz("script", bodies::script, scripts(), mutated);
}

#[test]
fn running_survives() {
    fuzz("execution", bodies::execution, scripts(), mutated);
}

#[test]
fn options_survive() {
    fuzz("options", bodies::options, Vec::new(), |rng, _| {
        let choice = rng.u8(..);
        let schema = Value::from((OPERATIONS[usize::from(choice) % OPERATIONS.len()].schema)());
        let mut bytes = vec![choice];
        bytes.extend(something_like(rng, &schema, 0).to_string().into_bytes());
        bytes
    });
}

/// Feeds `body` until the time is over.
fn fuzz(name: &str, body: fn(&[u8]), corpus: Vec<Vec<u8>>, next: impl Fn(&mut Rng, &[Vec<u8>]) -> Vec<u8>) {
    let number = |variable, other| std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(other);
    let (seconds, seed) = (number("FUZZ_SECONDS", 2), number("FUZZ_SEED", 1));
    let mut rng = Rng::with_seed(seed);
    let under_way = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
    let started = Instant::now();
    let mut slowest = Duration::ZERO;
    let mut inputs = 0_u64;
    let mut try_one = |input: &[u8]| {
        fs::write(&under_way, input).expect("a file");
        let began = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| body(input)));
        let took = began.elapsed();
        slowest = slowest.max(took);
        inputs += 1;
        assert!(ended.is_ok() && took < LONGEST, "seed {seed}: see {} ({took:?})", under_way.display());
    };
    corpus.iter().for_each(|input| try_one(input));
    while started.elapsed() < Duration::from_secs(seconds) {
        try_one(&next(&mut rng, &corpus));
    }
    println!("{name}: {inputs} inputs in {:?}, seed {seed}, the slowest {slowest:?}", started.elapsed());
}

/// All scripts of this project.
fn scripts() -> Vec<Vec<u8>> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rhai") {
                found.push(path);
            }
        }
    }
    let mut files = Vec::new();
    for folder in ["runbooks", "stdlib", "tests/hostile"] {
        walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
    }
    files.sort();
    files.iter().map(|file| fs::read(file).expect("a file")).collect()
}

/// One of the corpus, or several, with a few things done to it.
fn mutated(rng: &mut Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    fn piece(rng: &mut Rng, of: &[u8]) -> Vec<u8> {
        let start = rng.usize(..=of.len());
        let end = (start + rng.usize(..=80)).min(of.len());
        of[start..end].to_vec()
    }
    let any = |rng: &mut Rng| rng.choice(corpus).expect("there are scripts").clone();
    let mut input = any(rng);
    for _ in 0..rng.usize(1..=12) {
        let at = rng.usize(..=input.len());
        let inserted = match rng.u8(..9) {
            0..3 => rng.choice(WORDS).expect("there are words").as_bytes().to_vec(),
            3 => {
                let other = any(rng);
                piece(rng, &other)
            }
            4 => piece(rng, &input),
            5 => piece(rng, &input).repeat(rng.usize(1..60)),
            6 => {
                let end = (at + rng.usize(..=40)).min(input.len());
                input.drain(at..end);
                continue;
            }
            7 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = if rng.bool() { rng.u8(32..127) } else { rng.u8(..) };
                }
                continue;
            }
            _ => {
                let numbers = [0, 1, -1, 2, 64, 1 << 20, i64::MAX, i64::MIN + 1];
                rng.choice(numbers).expect("there are numbers").to_string().into_bytes()
            }
        };
        input.splice(at..at, inserted);
    }
    // Most of what is no text any more says nothing about the parser.
    if rng.u8(..) > 0 { String::from_utf8_lossy(&input).into_owned().into_bytes() } else { input }
}

/// A value that fits a schema, mostly.
fn something_like(rng: &mut Rng, schema: &Value, depth: usize) -> Value {
    if depth > 6 || rng.u8(..12) == 0 {
        return anything(rng, depth);
    }
    let alternatives = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
    if let Some(one) = alternatives.and_then(|all| rng.choice(all)) {
        return something_like(rng, one, depth + 1);
    }
    if let Some(one) = schema.get("enum").and_then(Value::as_array).and_then(|all| rng.choice(all)) {
        return one.clone();
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        let mut fields = Map::new();
        for (name, property) in properties {
            if rng.u8(..3) > 0 {
                fields.insert(name.clone(), something_like(rng, property, depth + 1));
            }
        }
        if rng.u8(..8) == 0 {
            fields.insert("\u{e9}".into(), anything(rng, depth));
        }
        return fields.into();
    }
    if let Some(items) = schema.get("items") {
        return (0..rng.usize(..4)).map(|_| something_like(rng, items, depth + 1)).collect();
    }
    anything(rng, depth)
}

fn anything(rng: &mut Rng, depth: usize) -> Value {
    const TEXTS: &[&str] = &[
        "",
        "a",
        "main",
        "10.0.0.0/16",
        "10.0.0.0/33",
        "::/0",
        "300.1.1.1/8",
        "90s",
        "-1s",
        "1000000h",
        "5m 5m",
        "P1Y",
        "sg-1",
        "vpc-0123456789abcdef0",
        "ami-1",
        "arn:aws:iam::1:role/x",
        "arn:",
        "*",
        "*.example.com",
        "example.com.",
        "80",
        "80-90",
        "90-80",
        "tcp",
        "-1",
        "\u{0}",
        "\u{e9}\u{202e}",
        "1.5",
        "per_az",
        "$handle",
        "{{",
        "a b",
    ];
    match rng.u8(..if depth > 6 { 7 } else { 10 }) {
        0 => Value::Null,
        1 => rng.bool().into(),
        2 => (*rng.choice([0, 1, -1, 100, 65535, 65536, i64::MAX, i64::MIN].as_slice()).expect("a number")).into(),
        3 => (*rng.choice([0.0, -0.5, 1e308, 50.5].as_slice()).expect("a number")).into(),
        4..7 => (*rng.choice(TEXTS).expect("a text")).into(),
        7 => (0..rng.usize(..4)).map(|_| anything(rng, depth + 1)).collect(),
        8 => json!({ "$handle": "vpc", "vpc_id": anything(rng, depth + 1) }),
        _ => json!({ "name": anything(rng, depth + 1), "$secret": anything(rng, depth + 1) }),
    }
}
