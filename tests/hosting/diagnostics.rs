//! How failures read.

use miette::{GraphicalReportHandler, GraphicalTheme};
use runner::script::Trace;

use crate::support::{Host, Project, fail, run_project, trace};

fn render(host: &Host, trace: &Trace) -> String {
    let mut text = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(100)
        .render_report(&mut text, &host.problem(trace))
        .expect("renders");
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_way_to_a_failure_is_shown() {
    let project = Project::new("import \"lib\" as lib;\nfn outer(x) {\n    lib::inner(x)\n}\n[1].map(|x| outer(x));")
        .with("runbooks/lib.rhai", "fn inner(x) {\n    let e = \"é\"; refuse(\"it is \" + x)\n}");
    let (host, ended) = run_project(&project);
    let trace = trace(ended);
    insta::assert_snapshot!("way_compact", trace.compact());
    insta::assert_snapshot!("way", render(&host, &trace));
    assert_eq!(trace.failure.as_ref().and_then(|failure| failure.cause::<u8>()), Some(&7));
}

#[test]
fn what_is_thrown_again_keeps_its_origin() {
    let (host, trace) = fail("try {\n    refuse(\"a\");\n} catch (e) {\n    throw e;\n}");
    assert!(trace.failure.is_some());
    insta::assert_snapshot!("again", render(&host, &trace));

    let (_, trace) = fail("try {\n    let x = #{}; x.y\n} catch (e) {\n    throw e;\n}");
    assert_eq!(
        trace.compact().lines().take(2).collect::<Vec<_>>(),
        ["runbooks/main.rhai:2:20: Property not found: y", "  runbooks/main.rhai:4:5: thrown again here"]
    );
}

#[test]
fn words() {
    for (script, words) in [
        ("throw \"no\"", "runbooks/main.rhai:1:1: no"),
        ("throw #{ message: \"no\", code: 1 }", "runbooks/main.rhai:1:1: no"),
        ("throw 7", "runbooks/main.rhai:1:1: 7"),
        ("atc(1)", "runbooks/main.rhai:1:1: there is no function `atc` for an integer\n  help: did you mean `act`?"),
        (
            "act(1, \"x\")",
            "runbooks/main.rhai:1:1: there is no function `act` for an integer, a string\n  help: `act` exists, but not with 2 arguments",
        ),
        (
            "fn launch_fleet(x) {}\nlaunch_flet(1)",
            "runbooks/main.rhai:2:1: there is no function `launch_flet` for an integer\n  help: did you mean `launch_fleet`?",
        ),
        ("1 + #{}", "runbooks/main.rhai:1:3: `+` does not work between an integer and an object map"),
        (
            "let m = #{ a: 1 }; m.b",
            "runbooks/main.rhai:1:22: the object map has no `b`\n  help: if it may be missing, ask `\"b\" in map` first, or take `map.get(\"b\") ?? other`",
        ),
        ("[1][4]", "runbooks/main.rhai:1:5: index 4 is outside the array, which has 1 elements"),
        ("let x = 1 / 0;", "runbooks/main.rhai:1:11: division by zero: 1 / 0"),
    ] {
        assert_eq!(fail(script).1.compact(), words, "{script}");
    }
}

#[test]
fn words_of_syntax_errors() {
    for (script, words) in [
        (
            "let x = 5m;",
            "runbooks/main.rhai:1:10: expecting ';' to terminate this statement\n  help: durations are strings: \"5m\"",
        ),
        (
            "let sync = 1;",
            "runbooks/main.rhai:1:5: `sync` is a reserved word\n  help: take another name; as a key of a map it can be quoted: \"sync\"",
        ),
        (
            "let a = 1;\nfn f() { a }",
            "runbooks/main.rhai:2:10: there is no variable `a`\n  help: functions do not see the variables around them: pass it as an argument",
        ),
        // A sign of several bytes is not cut in two.
        ("let x = 5\u{20ac};", "runbooks/main.rhai:1:10: unexpected '\u{20ac}'"),
    ] {
        let refused = Project::new(script).load().expect_err("refused");
        assert_eq!(refused.trace.compact(), words, "{script}");
    }
    let refused = Project::new("fn f() {").load().expect_err("refused");
    let problem = refused.trace.problem(&refused.library);
    let mut text = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .render_report(&mut text, &problem)
        .expect("renders");
    assert!(text.contains("fn f() {"), "{text}");
}
