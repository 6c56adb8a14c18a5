//! Limits, fatal errors, hooks and strands.

use std::time::Duration;

use runner::script::{Limits, runbook::Stopped};

use crate::support::{Project, fail, run, succeed, trace};

#[test]
fn a_fatal_error_ends_the_run_whatever_the_script_does() {
    for script in [
        "try { fatal() } catch {} act(1);",
        "try { [1].map(|x| fatal()) } catch {} act(1);",
        "let a = [2, 1]; a.sort(|x, y| { fatal(); 0 }); act(1);",
        "try { [1].filter(|x| { [2].map(|y| fatal()); true }) } catch {} act(1);",
        "fn again() { try { [1].map(|x| fatal()) } catch { again() } } again(); act(1);",
        "try { [1].map(|x| fatal()) } catch {}",
    ] {
        let (host, trace) = fail(script);
        assert_eq!(trace.message, "the run is over", "{script}");
        assert!(host.acted().is_empty(), "{script}");
    }
}

#[test]
fn steps_are_counted_over_everything() {
    for script in [
        "loop {}",
        "loop { try { [1].map(|x| { loop {} }) } catch {} }",
        "strands([|| { loop {} }])",
        "fn f() { loop {} } try { f() } catch { loop {} }",
    ] {
        let project = Project::new(script);
        let host = project.host(&Limits { steps: 100_000, ..Limits::default() });
        assert_eq!(trace(host.script.run()).message, "the script took more than 100000 steps", "{script}");
    }
}

#[test]
fn deep_recursion_is_an_error() {
    let (_, trace) = fail("fn f(n) { f(n + 1) } f(0)");
    assert_eq!(trace.message, "functions call each other too deeply");
    let (_, trace) = fail("fn f(n) { [1].map(|x| f(n + 1)) } f(0)");
    assert_eq!(trace.message, "functions call each other too deeply");
}

#[test]
fn values_have_a_size() {
    for script in ["let s = \"x\"; loop { s += s; }", "let a = [1]; loop { a += a; }", "let a = []; a.pad(1000000, 0);"]
    {
        assert!(fail(script).1.message.starts_with("too large"), "{script}");
    }
}

#[test]
fn the_deepest_values_can_be_dropped() {
    // Not looked at, since no variable is used, and still taken down again.
    let project = Project::new("fn deepen() { for i in 0..9000 { this = [this]; } } let a = []; a.deepen();");
    let patient = Duration::from_secs(60);
    let host = project.host(&Limits { computing: patient, elapsing: patient, ..Limits::default() });
    host.script.run().expect("the runbook reaches its end");
    let (_, trace) = fail("let a = []; for i in 0..2000 { a = [a]; }");
    assert_eq!(trace.message, "`a` nests more than 64 levels deep");
}

#[test]
fn what_escapes_the_run_is_not_there() {
    for (script, words) in [
        ("eval(\"1\")", "reserved keyword 'eval' is disabled"),
        ("let x = nothing;", "there is no variable `nothing`"),
        ("nowhere::f()", "there is no module `nowhere`"),
    ] {
        let refused = Project::new(script).load().expect_err("refused");
        assert_eq!(refused.trace.message, words, "{script}");
    }
    assert_eq!(fail("sleep(1)").1.message, r#"expected a duration such as "90s" or "5m", found the number 1"#);
    assert_eq!(fail("sleep(0.5)").1.help.as_deref(), Some(r#"for seconds, write sleep("0.5s")"#));
    assert!(fail("timestamp()").1.message.starts_with("`timestamp` is not available"));
}

#[test]
fn prints_go_to_the_host() {
    let host = succeed("print(\"a\"); print(1); let f = || print(\"b\"); f.call();");
    assert_eq!(*host.world.printed.lock().unwrap(), ["a", "1", "b"]);
}

#[test]
fn a_panic_is_a_bug_and_not_the_end_of_the_process() {
    let (_, ended) = run("panics()");
    let Err(Stopped::Panicked(panic)) = ended else { panic!("expected a panic, got {ended:?}") };
    assert_eq!(panic.to_string(), "a bug");
}

#[test]
fn an_assignment_to_a_constant_map_is_an_error() {
    assert!(fail("const M = #{ a: 1 }; M.a = 2;").1.message.contains("constant"));
}

#[test]
fn a_hook_keeps_the_values_it_saw() {
    let host = succeed(
        r#"
        let fleet = "old"; on_end(|| act(fleet)); fleet = "new";
        for i in 0..3 { on_end(|| act(i)); }
        let m = #{ list: [1] }; on_end(|| act(m)); m.list.push(2);
        let inner = "a"; let f = || act(inner); on_end(|| f.call()); inner = "b";
        "#,
    );
    host.run_hooks().into_iter().for_each(|hook| drop(hook.expect("the hook runs")));
    assert_eq!(host.acted(), ["a", "#{\"list\": [1]}", "2", "1", "0", "old"]);
}

#[test]
fn a_hook_finds_imports_and_the_functions_of_its_module() {
    let host = succeed(
        r#"
        import "stdlib/greet" as greet;
        on_end(|| act(greet::hello("you")));
        greet::later("from the module");
        fn own(x) { act(x) }
        on_end(|| own("own"));
        "#,
    );
    let results = host.run_hooks();
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(host.acted(), ["own", "from the module", "hello you"]);
}

#[test]
fn a_hook_from_deep_down_has_its_own_depth() {
    let host = succeed(
        r#"
        fn down(n) { if n == 0 { on_end(|| deep(30)) } else { down(n - 1) } }
        fn deep(n) { if n == 0 { act("bottom") } else { deep(n - 1) } }
        down(50);
        "#,
    );
    assert_eq!(host.run_hooks(), [Ok("bottom".to_owned())]);
}

#[test]
fn hooks_run_after_a_fatal_error_and_their_errors_have_a_place() {
    let (host, _) = fail("on_end(|| act(\"back\"));\non_end(|| throw \"no\");\nfatal();");
    let results = host.run_hooks();
    assert_eq!(results[0].as_ref().expect_err("throws").lines().next(), Some("runbooks/main.rhai:2:11: no"));
    assert_eq!(results[1], Ok("back".into()));
}

#[test]
fn a_closure_that_contains_itself_is_refused() {
    let (_, trace) = fail("let f = 1; f = || f; on_end(f);");
    assert_eq!(trace.message, "`f` nests more than 64 levels deep");
}

#[test]
fn strands_do_not_share_what_they_capture() {
    let host = succeed(
        r#"
        let n = 0;
        let work = || { for i in 0..1000 { n += 1; } n };
        act(strands([work, work, work]));
        act(n);
        "#,
    );
    assert_eq!(host.acted(), ["[1000, 1000, 1000]", "0"]);
}

#[test]
fn strands_nest_and_import() {
    let host = succeed(
        r#"
        let r = strands([
            || { import "stdlib/deep" as deep; deep::hello("a") },
            || strands([|| { import "stdlib/deep" as deep; deep::hello("b") }]),
        ]);
        act(r);
        "#,
    );
    assert_eq!(host.acted(), [r#"["hello a!", ["hello b!"]]"#]);
}

#[test]
fn exit_ends_the_run_well_and_a_closure_only_itself() {
    let host = succeed("strands([|| { exit(1); act(2); }]); act(3); [1].for_each(|x| exit()); act(4);");
    assert_eq!(host.acted(), ["3"]);
}
