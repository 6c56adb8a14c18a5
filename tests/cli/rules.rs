//! The rules of the layout that a compiler does not check: who may name what. See docs/design.md.

use std::{fs, path::Path};

/// All Rust and Rhai files below `folder`, with the lines that are neither comments nor tests.
fn sources(folder: &str) -> Vec<(String, Vec<String>)> {
    fn walk(folder: &Path, found: &mut Vec<(String, Vec<String>)>) {
        let mut entries: Vec<_> =
            fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "rhai") {
                let text = fs::read_to_string(&path).expect("a text file");
                let code = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
                let code = code.filter(|line| !line.trim_start().starts_with("//")).map(str::to_owned);
                found.push((path.display().to_string(), code.collect()));
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    assert!(!found.is_empty(), "{folder} is empty");
    found
}

/// No code below `folder` may contain one of `words`.
fn forbid(folder: &str, words: &[&str]) {
    let mut found = Vec::new();
    for (file, lines) in sources(folder) {
        for line in lines {
            for word in words {
                if line.contains(word) {
                    found.push(format!("{file} names {word}: {}", line.trim()));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn operations_do_not_know_the_language() {
    forbid("src/ops", &["rhai"]);
    forbid("src/run", &["rhai"]);
    forbid("src/aws", &["rhai"]);
    forbid("src/sim", &["rhai"]);
}

#[test]
fn the_script_host_knows_no_aws_word() {
    forbid("src/script", &["crate::ops", "crate::aws", "crate::run", "crate::sim", "aws_"]);
}

#[test]
fn only_operations_and_clients_name_the_sdk() {
    for folder in ["src/api", "src/cli", "src/report", "src/run", "src/script", "src/settings", "src/sim"] {
        forbid(folder, &["aws_sdk_", "aws_config::"]);
    }
}

#[test]
fn only_the_command_line_and_reports_write_to_a_terminal() {
    for folder in ["src/api", "src/aws", "src/ops", "src/run", "src/script", "src/settings", "src/sim"] {
        forbid(folder, &["print!(", "println!(", "eprint", "stdout()", "stderr()", "dbg!("]);
    }
}

#[test]
fn nobody_asks_whether_it_is_simulated() {
    forbid("src/ops", &["is_simulated", "crate::sim", "is_virtual"]);
    forbid("src/script", &["is_simulated", "is_virtual"]);
    for folder in ["stdlib", "runbooks"] {
        forbid(folder, &["simulated", "is_sim"]);
    }
}

#[test]
fn files_say_what_they_own() {
    for (file, _) in sources("src") {
        let text = fs::read_to_string(&file).expect("a text file");
        assert!(text.starts_with("//!"), "{file} does not open with what it owns");
    }
}
