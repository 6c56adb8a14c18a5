//! Where modules come from, and what they may not do.

use crate::support::{Project, run_project, trace};

fn refused(project: &Project) -> String {
    trace(run_project(project).1).compact()
}

#[test]
fn modules_come_from_the_library_and_the_project() {
    let project = Project::new(
        r#"
        import "stdlib/greet" as greet;
        import "lib/own" as own;
        import "../shared/common" as common;
        act(greet::hello("a")); act(own::name()); act(common::name());
        "#,
    )
    .with("runbooks/lib/own.rhai", "import \"other.rhai\" as other; fn name() { other::name() }")
    .with("runbooks/lib/other.rhai", "fn name() { \"other\" }")
    .with("shared/common.rhai", "fn name() { \"common\" }");
    let (host, ended) = run_project(&project);
    ended.expect("runs");
    assert_eq!(host.acted(), ["hello a", "other", "common"]);
}

#[test]
fn a_module_runs_once() {
    let project = Project::new("import \"a\" as a; import \"b\" as b; import \"./a\" as c; act(a::N + c::N);")
        .with("runbooks/a.rhai", "print(\"loaded\"); export const N = 1;")
        .with("runbooks/b.rhai", "import \"a\" as a;");
    let (host, ended) = run_project(&project);
    ended.expect("runs");
    assert_eq!(*host.world.printed.lock().unwrap(), ["loaded"]);
}

#[test]
fn nothing_outside_the_project_is_imported() {
    let outside = tempfile::tempdir().expect("a folder");
    std::fs::write(outside.path().join("evil.rhai"), "").expect("a file");
    let outside = outside.path().join("evil");
    let name = outside.file_name().and_then(|name| name.to_str()).expect("a name");
    let folder = outside.parent().and_then(|p| p.file_name()).and_then(|name| name.to_str()).expect("a folder");

    let escape = refused(&Project::new(&format!("import \"../../{folder}/{name}\" as m;")));
    assert!(escape.contains("is outside the project"), "{escape}");
    let absolute = refused(&Project::new(&format!("import \"{}\" as m;", outside.display())));
    assert!(absolute.contains("is an absolute path"), "{absolute}");

    #[cfg(unix)]
    {
        let project = Project::new("import \"link\" as m;");
        std::os::unix::fs::symlink(outside.with_extension("rhai"), project.0.path().join("runbooks/link.rhai"))
            .expect("a link");
        let link = refused(&project);
        assert!(link.contains("is outside the project"), "{link}");
    }
    let other = refused(&Project::new("import \"notes.txt\" as m;").with("runbooks/notes.txt", ""));
    assert!(other.contains("`notes.txt` is not a `.rhai` file"), "{other}");
}

#[test]
fn a_missing_module_is_named_and_suggested() {
    let missing = refused(&Project::new("import \"stdlib/gret\" as m;"));
    assert_eq!(
        missing,
        "runbooks/main.rhai:1:8: there is no module `stdlib/gret`\n  help: did you mean `stdlib/greet`?"
    );
    let missing = refused(&Project::new("import \"lib/x\" as m;"));
    assert!(missing.contains("it would be runbooks/lib/x.rhai"), "{missing}");
}

#[test]
fn a_circle_of_imports_is_shown() {
    let project = Project::new("import \"a\" as a;")
        .with("runbooks/a.rhai", "import \"b\" as b;")
        .with("runbooks/b.rhai", "import \"a\" as a;");
    let circle = refused(&project);
    assert!(
        circle.starts_with(
            "runbooks/b.rhai:1:8: modules import each other in a circle: runbooks/a.rhai -> runbooks/b.rhai -> runbooks/a.rhai"
        ),
        "{circle}"
    );
    let own = refused(&Project::new("import \"main\" as m;"));
    assert!(own.contains("in a circle"), "{own}");
}

#[test]
fn nobody_takes_the_name_of_a_host_function() {
    let project = Project::new("// fn act\nlet x = 1;\n  fn act(a, b) { 1 }");
    let refused_ = project.load().expect_err("refused").trace.compact();
    assert_eq!(
        refused_,
        "runbooks/main.rhai:3:6: the function `act` would take the place of the host function of that name\n  help: give it another name"
    );
    let project = Project::new("if true { import \"a\" as act; }");
    let refused_ = project.load().expect_err("refused").trace.compact();
    assert!(refused_.starts_with("runbooks/main.rhai:1:25: the import name `act`"), "{refused_}");
    let project = Project::new("import \"a\" as a;").with("runbooks/a.rhai", "fn act(x) {}");
    let module = refused(&project);
    assert!(module.starts_with("runbooks/a.rhai:1:4: the function `act` would take the place"), "{module}");
}

#[test]
fn importing_a_module_does_nothing() {
    let project = Project::new("import \"a\" as a;")
        .with("runbooks/a.rhai", "fn f() { act(1) }\nlet g = || act(1);\nif true { act(2); }");
    let (host, ended) = run_project(&project);
    let words = trace(ended).compact();
    assert!(words.starts_with("runbooks/a.rhai:3:11: `act` would be called when the module is imported"), "{words}");
    assert!(host.acted().is_empty());

    let project = Project::new("import \"a\" as a;").with("runbooks/a.rhai", "let x = loop { break act(1); };");
    let (host, ended) = run_project(&project);
    let words = trace(ended).compact();
    assert!(words.starts_with("runbooks/a.rhai:1:22: `act` would be called when the module is imported"), "{words}");
    assert!(host.acted().is_empty());
}

#[test]
fn a_broken_module_shows_its_own_line_and_who_imports_it() {
    let project = Project::new("\nimport \"a\" as a;").with("runbooks/a.rhai", "fn f() {\n  let = 1;\n}");
    assert_eq!(
        refused(&project),
        "runbooks/a.rhai:2:7: expecting name of a variable\n  runbooks/main.rhai:2:8: imports `runbooks/a.rhai`"
    );
}

/// So a check must not take a function that an importer has for one that is missing.
#[test]
fn a_module_sees_the_functions_of_its_importer() {
    let project =
        Project::new("import \"a\" as a; fn own(x) { act(x) } a::f();").with("runbooks/a.rhai", "fn f() { own(1) }");
    let (host, ended) = run_project(&project);
    ended.expect("runs");
    assert_eq!(host.acted(), ["1"]);
}
