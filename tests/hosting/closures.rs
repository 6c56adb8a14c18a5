//! Closures that are called in another file than they were written in.
//!
//! Rhai's closures have no environment: functions are looked up where the closure runs, and Rhai
//! takes it to be in that file.

use crate::support::{Project, run_project, trace};

const LIB: &str = "import \"stdlib/deep\" as deep;\nfn around(block) {\n    block.call(1)\n}\n\
                   fn over(block) { [1].map(block); [2].map(|x| block.call(x)); }\n\
                   fn aside(block) { strands([|| block.call(3), || mine(4)]); }\nfn mine(x) { act(x) }";

fn acted(runbook: &str) -> Vec<String> {
    let project = Project::new(&format!("import \"lib\" as lib; import \"stdlib/greet\" as greet;\n{runbook}"))
        .with("runbooks/lib.rhai", LIB);
    let (host, ended) = run_project(&project);
    ended.expect("runs");
    host.acted()
}

#[test]
fn a_closure_finds_functions_and_imports_of_its_own_file() {
    assert_eq!(acted("lib::around(|x| act(greet::hello(x)));"), ["hello 1"]);
    assert_eq!(acted("fn f(x) { act(greet::hello(x)) } lib::around(|x| f(x));"), ["hello 1"]);
    assert_eq!(acted("fn f(x) { act(x) } lib::over(|x| f(x)); lib::over(f);"), ["1", "2", "1", "2"]);
    let mut parallel = acted("fn f(x) { act(x) } lib::aside(|x| f(x));");
    parallel.sort();
    assert_eq!(parallel, ["3", "4"]);
}

#[test]
fn a_function_that_a_closure_could_confuse_is_refused() {
    for runbook in [
        "fn mine(x) { act(x) }\nlib::around(|x| mine(x));",
        "fn mine(x) { act(x) }\nfn through(x) { mine(x) }\nlib::around(|x| through(x));",
    ] {
        let project = Project::new(&format!("import \"lib\" as lib;\n{runbook}")).with("runbooks/lib.rhai", LIB);
        let (host, ended) = run_project(&project);
        let words = trace(ended).compact();
        assert!(
            words.starts_with("runbooks/main.rhai:3:17: `mine` is also a function of `runbooks/lib.rhai`"),
            "{words}"
        );
        assert!(host.acted().is_empty());
    }
    // Another number of parameters is another function, and what no closure calls is safe.
    acted("fn mine(x, y) { act(x) } lib::around(|x| mine(x, x));");
    acted("fn mine(x) { act(x) } mine(1); lib::around(|x| act(x));");
    acted("fn mine(x) { act(x) } fn other(x) { mine(x) } other(1); lib::around(|x| act(x));");
}

#[test]
fn a_failure_in_a_closure_is_shown_in_the_closures_file() {
    let project = |inner: &str| {
        Project::new(&format!("import \"lib\" as lib;\nlib::around(|x| {{\n    {inner}\n}});"))
            .with("runbooks/lib.rhai", LIB)
    };
    for (inner, words) in [
        (
            "[1].for_each(|y| refuse(\"no\"))",
            "runbooks/main.rhai:3:22: refused: no\n  runbooks/main.rhai:3:9: in `for_each`, called here",
        ),
        ("let a = 1; a.b", "runbooks/main.rhai:3:18: an integer has no `b`"),
        ("throw \"no\"", "runbooks/main.rhai:3:5: no"),
        (
            "try { refuse(\"no\") } catch (e) { throw e }",
            "runbooks/main.rhai:3:11: refused: no\n  runbooks/main.rhai:3:38: thrown again here",
        ),
        ("fatal()", "runbooks/main.rhai:3:5: the run is over"),
    ] {
        let compact = trace(run_project(&project(inner)).1).compact();
        assert!(compact.starts_with(words), "{inner}: {compact}");
        if inner != "fatal()" {
            let way = "\n  runbooks/lib.rhai:3:11: in a closure, called here\n  runbooks/main.rhai:2:6: in `around`, called here";
            assert!(compact.contains(way), "{inner}: {compact}");
        }
    }
}
