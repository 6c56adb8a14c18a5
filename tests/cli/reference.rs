//! The reference of the language in docs/, generated from the catalogue.

use std::{fs, path::Path};

#[test]
fn the_reference_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let wanted = runner::api::docs::markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, wanted).expect("docs/ is writable");
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "docs/operations.md is stale: run `UPDATE_DOCS=1 cargo test --test cli reference`");
}
