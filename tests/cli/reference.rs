//! What is generated in docs/: the reference of the language, from the catalogue, and the schema of plans.

use std::{fs, path::Path};

#[test]
fn the_reference_is_fresh() {
    is_fresh("docs/operations.md", &runner::api::docs::markdown());
}

#[test]
fn the_schema_of_plans_is_fresh() {
    is_fresh("docs/plan.schema.json", &runner::report::plan::schema());
}

/// A file in docs/ is what the program says. Written anew when `UPDATE_DOCS` is set.
fn is_fresh(file: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, wanted).expect("docs/ is writable");
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "{file} is stale: run `UPDATE_DOCS=1 cargo test --test cli reference`");
}

#[test]
fn the_readme_lists_the_exit_codes_and_shows_the_runbook() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("a README");
    for exit in runner::cli::exit::ALL {
        let row = format!("| {} | {} |", exit.code, exit.meaning);
        assert!(readme.contains(&row), "the README lacks {row}");
    }
    assert!(readme.contains(include_str!("../../runbooks/prod-deploy.rhai").trim()), "the README shows an old runbook");
}
