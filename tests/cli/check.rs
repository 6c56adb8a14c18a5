//! `runner check`: what it finds, how it says so, and that it keeps quiet about what is right.

use std::{collections::BTreeSet, fs, path::Path};

use runner::{api, script::check::Severity};
use serde_json::Value;

use crate::project::{Project, Ran};

const SETTINGS: &str = "[environments.prod]\nregion = \"eu-central-1\"\n[environments.prod.vars]\nsize = 3\n";
const HEAD: &str = "let env = environment(\"prod\");\nstack(\"shop\");\n";

/// A project with one runbook, `runbooks/deploy.rhai`.
fn project(runbook: &str) -> Project {
    Project::new().file("runner.toml", SETTINGS).file("runbooks/deploy.rhai", runbook)
}

fn check(project: &Project, arguments: &[&str]) -> Ran {
    project.runner(&[&["check"], arguments].concat())
}

/// The findings as JSON.
fn findings(project: &Project, arguments: &[&str]) -> Vec<Value> {
    let ran = check(project, &[arguments, &["--format", "json"]].concat());
    assert_eq!(ran.stderr, "", "{ran}");
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran}"));
    assert_eq!(report["version"], 1);
    report["findings"].as_array().expect("an array").clone()
}

/// `lint line:column`
fn places(findings: &[Value]) -> Vec<String> {
    let shown = |finding: &Value| {
        let lint = finding["lint"].as_str().expect("a name");
        match finding["line"].as_u64() {
            Some(line) => format!("{lint} {line}:{}-{}", finding["column"], finding["end_column"]),
            None => lint.to_owned(),
        }
    };
    findings.iter().map(shown).collect()
}

/// A problem of each kind.
struct Case {
    lint: &'static str,
    runbook: &'static str,
    files: &'static [(&'static str, &'static str)],
    arguments: &'static [&'static str],
}

const fn case(lint: &'static str, runbook: &'static str) -> Case {
    Case { lint, runbook, files: &[], arguments: &[] }
}

const fn with(
    lint: &'static str,
    runbook: &'static str,
    files: &'static [(&'static str, &'static str)],
    arguments: &'static [&'static str],
) -> Case {
    Case { lint, runbook, files, arguments }
}

const IMAGE: &str = "let image = param(\"image\", #{ help: \"AMI to deploy\" });\n\
                     let count = param(\"count\", #{ default_value: 3 });\nlog(image, count);";

const CASES: &[Case] = &[
    case("syntax", "let a = 1;\nsleep(5m);"),
    with("unresolved-import", "import \"lib/nett\" as net;\nnet::ensure();", &[("runbooks/lib/net.rhai", "")], &[]),
    with(
        "circular-import",
        "import \"a\" as a;\na::f();",
        &[("runbooks/a.rhai", "import \"b\" as b;\nfn f() {}"), ("runbooks/b.rhai", "import \"a\" as a;\nfn g() {}")],
        &["runbooks/deploy.rhai"],
    ),
    case("computed-import", "let which = \"network\";\nimport \"stdlib/\" + which as net;\nnet::ensure(#{});"),
    case("reserved-name", "fn wait_healthy(x) {\n    x\n}\nimport \"stdlib/network\" as stage;\nwait_healthy(1);"),
    with(
        "action-on-import",
        "import \"a\" as a;\na::f();",
        &[("runbooks/a.rhai", "fn f() {}\nlet vpc = find_vpc(\"default\");")],
        &["runbooks/deploy.rhai"],
    ),
    with(
        "ambiguous-function",
        "import \"a\" as a;\nfn name(x) { `${x}` }\na::each(|x| log(name(x)));",
        &[("runbooks/a.rhai", "fn name(x) { x }\nfn each(block) { block.call(1) }")],
        &[],
    ),
    case("unknown-function", "fn launch_fleet(x) { x }\nlog(launch_flet(1));"),
    with(
        "unknown-module",
        "import \"stdlib/network\" as network;\nlet ensure = || netwrk::ensure(#{ cidr_block: \"10.0.0.0/16\" });\nensure.call();",
        &[],
        &[],
    ),
    case("wrong-arity", "fn launch(name, size) { log(name, size) }\nlaunch(\"web\");"),
    case(
        "captured-loop-variable",
        "let branches = [];\nfor zone in [\"a\", \"b\"] {\n    branches.push(|| log(zone));\n}\nparallel(branches);",
    ),
    case("unknown-option", "ensure_vpc(#{ name: \"main\", cidr_block: \"10.0.0.0/16\", tag: #{} });"),
    case("missing-option", "let vpc = #{ name: \"main\" };\nensure_vpc(vpc);"),
    case("wrong-option", "wait_healthy(#{ target_groups: [], auto_scaling_group: \"web\", timeout: \"15 apples\" });"),
    case(
        "wrong-argument",
        "ensure_vpc(\"main\");\nsleep(5);\nlet label = 3;\ncommit(label);\nstage([1], || log(1));\nsleep(5 + 1);",
    ),
    case("unknown-environment", "let env = environment(\"prdo\");\nlog(env.name);"),
    with(
        "other-environment",
        "environment(\"prod\");\nenvironment(\"staging\");",
        &[("runner.toml", "[environments.prod]\n[environments.staging]\n")],
        &[],
    ),
    case(
        "unknown-var",
        "let env = environment(\"prod\");\nlet f = || log(env.vars.sise);\nf.call();\nlog(`${env.vars.other}`);",
    ),
    with(
        "wrong-config",
        "let names = [config(\"../data/shop.tml\"), config(\"../data/shop.toml\"), config(\"../none/*.toml\"), \
         config(\"../data/*.json\")];\nlog(names);",
        &[("data/shop.toml", "port = 80\nname =\n"), ("data/a.yaml", "")],
        &[],
    ),
    with("wrong-settings", "log(1);", &[("runner.toml", "[environments.prod]\nregoin = \"eu-central-1\"\n")], &[]),
    with("undeclared-param", IMAGE, &[], &["--param", "image=ami-1", "--param", "cuont=4", "runbooks/deploy.rhai"]),
    with("missing-param", IMAGE, &[], &["--param", "count=4"]),
    with("wrong-param", IMAGE, &[], &["--param", "image=ami-1", "--param", "count=four"]),
    case("unused-param", "let image = param(\"image\");\nlog(\"deploying\");"),
    case(
        "param-described-twice",
        "fn image() { param(\"image\", #{ help: \"AMI\" }) }\nlog(param(\"image\", #{ required: false }) ?? image());",
    ),
    case(
        "useless-hook",
        "let vpc = find_vpc(\"default\");\non_rollback(|| log(\"back\"));\noutput(\"vpc\", vpc.vpc_id);",
    ),
];

#[test]
fn each_kind_of_problem() {
    let known: BTreeSet<_> = api::check::lints::all().map(|lint| lint.name).collect();
    // A file that is no text is no string: it has a test of its own.
    let covered: BTreeSet<_> = CASES.iter().map(|case| case.lint).chain(["unreadable-file"]).collect();
    assert_eq!(covered, known);
    for Case { lint, runbook, files, arguments } in CASES {
        let project = files.iter().fold(project(runbook), |project, (name, text)| project.file(name, text));
        let found: BTreeSet<_> = findings(&project, arguments).iter().map(|found| found["lint"].to_string()).collect();
        assert_eq!(found, BTreeSet::from([format!("\"{lint}\"")]), "{runbook}");
        let ran = check(&project, arguments);
        let severity = api::check::lints::all().find(|known| known.name == *lint).expect("it is known").severity;
        assert_eq!(ran.code, Some(if severity == Severity::Error { 3 } else { 0 }), "{ran}");
        insta::assert_snapshot!(format!("each_{}", lint.replace('-', "_")), ran);
    }
}

#[test]
fn a_file_that_is_no_text() {
    let project = project("");
    fs::write(project.path().join("runbooks/deploy.rhai"), [0xff, 0xfe]).expect("written");
    insta::assert_snapshot!(check(&project, &[]));
    insta::assert_snapshot!("a_file_that_is_no_text_github", check(&project, &["--format", "github"]));
    assert_eq!(places(&findings(&project, &[])), ["unreadable-file"]);
}

/// Many problems of a script, and of the module it imports, are told at once and in their order.
fn broken() -> Project {
    project(
        "import \"lib\" as lib;\nlet env = environment(\"prod\");\nlet size = env.vars.size;\n\
         let group = #{ name: size, vpc: \"vpc-1\", ingress: [#{ port: \"é\", prt: size }, #{ port: size, cidr_ip: 3 }] };\n\
         ensure_security_group(group);\nlib::lunch(size);\n",
    )
    .file("runbooks/lib.rhai", "fn launch(size) {\n    find_vpc(\"main\", #{ tags: #{ a: 1, b: size } }, 3);\n}\n")
}

#[test]
fn several_problems_at_once() {
    insta::assert_snapshot!(check(&broken(), &[]));
}

/// With all else that is wrong, as far as it does not depend on them.
#[test]
fn all_variables_that_are_declared_nowhere() {
    let runbook = r#"let image = param("image");
let size = 3;
log(imge, `${sise}`, [siz].map(|x| x + factor));
fn launch() { log(size); }
ensure_vpc(#{ name: "main", cidr_block: block, tag: 1 });
block.len();
launch();
log(image);
"#;
    insta::assert_snapshot!(check(&project(runbook), &[]));
    // Another mistake ends the search.
    let found = findings(&project("log(a);\nb = 1;\nlog(c);\nensure_vpc(1);"), &[]);
    assert_eq!(places(&found), ["syntax 1:5-6", "syntax 2:1-2"]);
}

/// What cannot be read may ask for any parameter.
#[test]
fn a_syntax_error_is_not_blamed_on_parameters() {
    let broken = ["let a = 1\nlet image = param(\"image\");", "import \"lib/none\" as none;\nnone::ask();"];
    for runbook in broken {
        let found = findings(&project(runbook), &["--param", "image=ami-1"]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_ne!(found[0]["lint"], "undeclared-param");
    }
}

/// Without a name, the environment is the one that is given, or any.
#[test]
fn variables_of_an_environment_that_is_not_known_yet() {
    let settings = "[environments.a.vars]\nsizes = { min = 1 }\n[environments.b.vars]\nsizes = { max = 1 }\n";
    let runbook = "let env = environment();\nlog(env.vars.sizes.min, env.vars.sizes.max);\nlog(env.vars.sizes.mx);";
    let project = Project::new().file("runner.toml", settings).file("runbooks/deploy.rhai", runbook);
    let found = findings(&project, &[]);
    assert_eq!(places(&found), ["unknown-var 3:20-22"]);
    let ran = project.runner(&["run", "runbooks/deploy.rhai", "--sim", "--env", "b"]);
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(ran.stderr.contains("`vars.sizes` of the environment has no `min`"), "{ran}");
}

/// Of the stdlib, and of a module of the project.
#[test]
fn options_of_functions() {
    let runbook = r#"import "stdlib/bluegreen" as bluegreen;
import "lib/tell" as tell;
bluegreen::deploy(#{ live: "none" }, #{
    image_id: "ami-1", instance_typ: "t3.small", min_size: 1,
    bake_tme: "10m", before_shift: |fleet| log(fleet),
});
let words = #{ chanel: "ops" };
tell::everybody(words);
tell::everybody(3);
"#;
    let module = r#"fn everybody(options) {
    check_options(options, #{ required: ["text"], optional: ["channel"] });
    log(options.text);
}"#;
    insta::assert_snapshot!(check(&project(runbook).file("runbooks/lib/tell.rhai", module), &[]));
}

/// What is computed is found when it is run, before the function does anything.
#[test]
fn options_of_functions_in_a_run() {
    let runbook = HEAD.to_owned()
        + "import \"stdlib/network\" as network;\nlet options = #{ cidr_block: \"10.0.0.0/16\" };\n\
           for key in [\"nat_gatways\"] { options[key] = \"none\"; }\nnetwork::ensure(options);\n";
    let project = project(&runbook);
    assert_eq!(findings(&project, &[]), Vec::<Value>::new());
    let ran = project.runner(&["run", "runbooks/deploy.rhai", "--sim", "--world", "fresh"]);
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(ran.stdout.contains("nothing was changed"), "{ran}");
    insta::assert_snapshot!(ran.stderr);
    let missing = runbook.replace("nat_gatways", "cidr_block").replace("#{ cidr_block: \"10.0.0.0/16\" }", "#{}");
    let project = self::project(&missing.replace("cidr_block\"]", "name\"]"));
    let ran = project.runner(&["run", "runbooks/deploy.rhai", "--sim", "--world", "fresh"]);
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(ran.stderr.contains("missing option `cidr_block` of `ensure`"), "{ran}");
    let no_map = runbook.replace("ensure(options)", "ensure(env)");
    let ran = self::project(&no_map).runner(&["run", "runbooks/deploy.rhai", "--sim", "--world", "fresh"]);
    assert!(ran.stderr.contains("`ensure` expects an object map of options, found an environment"), "{ran}");
}

#[test]
fn as_json() {
    insta::assert_snapshot!(check(&broken(), &["--format", "json"]));
}

#[test]
fn as_annotations() {
    insta::assert_snapshot!(check(&broken(), &["--format", "github"]));
    let odd = Project::new().file("runner.toml", SETTINGS).file("a,b:c%/x.rhai", "environment(\"50%\");");
    let ran = check(&odd, &["--format", "github"]);
    assert_eq!(
        ran.stdout,
        "::error file=a%2Cb%3Ac%25/x.rhai,line=1,col=13,endColumn=18,title=unknown-environment::\
         runner.toml has no environment `50%25`%0Arunner.toml has `prod`\n"
    );
}

#[test]
fn warnings_fail_only_if_they_are_denied() {
    let project = project("let unused = param(\"image\");");
    assert_eq!(check(&project, &[]).code, Some(0));
    assert_eq!(check(&project, &["--deny-warnings"]).code, Some(3));
    assert_eq!(check(&project, &["--deny-warnings", "--format", "github"]).code, Some(3));
}

#[test]
fn what_is_checked() {
    let project = project("log(1);")
        .file("runbooks/deep/er/a.rhai", "fn f(options) { options.hook(1) }")
        .file("runbooks/.hidden/b.rhai", "let = 1;")
        .file("other/c.rhai", "let = 1;")
        .file("notes.txt", "");
    let checked = |arguments: &[&str]| {
        let ran = check(&project, arguments);
        ran.stdout.lines().last().unwrap_or_default().to_owned()
    };
    assert_eq!(checked(&[]), "✓ no problems in 2 files");
    assert_eq!(checked(&["runbooks/deploy.rhai"]), "✓ no problems in 1 file");
    assert_eq!(checked(&["runbooks/deep", "runbooks/deploy.rhai"]), "✓ no problems in 2 files");
    assert_eq!(checked(&["."]), "✗ 1 error in 3 files");
    assert_eq!(findings(&project, &["."])[0]["file"], "other/c.rhai");
    // Without a folder `runbooks`, the current one.
    let plain = Project::new().file("a.rhai", "log(1, 2)").file("b/c.rhai", "log()");
    assert_eq!(places(&findings(&plain, &[])), ["wrong-arity 1:1-4"]);
}

#[test]
fn nothing_to_check() {
    insta::assert_snapshot!(check(&Project::new().file("runbooks/readme.md", ""), &["runbooks"]));
    insta::assert_snapshot!("nothing_to_check_missing", check(&project(""), &["runbooks/deplyo.rhai"]));
    insta::assert_snapshot!(
        "nothing_to_check_parameters",
        check(&project("").file("runbooks/other.rhai", ""), &["--param", "a=b"])
    );
}

#[test]
fn each_project_has_its_own_settings() {
    let project = Project::new()
        .file("a/runner.toml", "[environments.prod]\n")
        .file("a/deploy.rhai", "environment(\"prod\"); environment(\"staging\");")
        .file("b/runner.toml", "[environments.staging]\n")
        .file("b/deploy.rhai", "environment(\"staging\"); import \"../a/deploy\" as a;");
    let found = findings(&project, &["."]);
    assert_eq!(
        places(&found),
        ["other-environment 1:34-43", "unknown-environment 1:34-43", "unresolved-import 1:32-45"]
    );
    assert!(found[2]["message"].as_str().is_some_and(|message| message.contains("outside the project")), "{found:?}");
}

#[test]
fn what_is_wrong_stops_a_run_before_it_begins() {
    let project = project(&format!(
        "{HEAD}let image = param(\"image\");\nensure_vpc(#{{ name: \"main\", cidr_blok: \"10.0.0.0/16\" }});\nwait_helthy(image);"
    ));
    let ran = project.runner(&["run", "runbooks/deploy.rhai", "--sim"]);
    assert_eq!(ran.code, Some(3));
    assert!(!project.path().join(".runner").exists(), "there is no journal and no world");
    insta::assert_snapshot!(ran);
}

#[test]
fn warnings_do_not_stop_a_run() {
    let project = project(&format!("{HEAD}let image = param(\"image\");"));
    let run = ["run", "runbooks/deploy.rhai", "--sim", "--world", "fresh", "--param", "image=ami-1"];
    let ran = project.runner(&run);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stderr.starts_with("warning: the parameter `image` is never used"), "{ran}");
    assert!(!project.runner(&[&run[..], &["-qq"]].concat()).stderr.contains("never used"));
}

#[test]
fn what_is_given_to_a_run_is_checked() {
    let run = |arguments: &[&str]| {
        let project =
            project(&format!("{HEAD}{IMAGE}")).file("runner.toml", &format!("{SETTINGS}[environments.staging]\n"));
        project.runner(&[&["run", "runbooks/deploy.rhai", "--sim", "--world", "fresh"], arguments].concat())
    };
    assert_eq!(run(&["--param", "image=ami-1"]).code, Some(0));
    insta::assert_snapshot!(run(&["--env", "staging", "--param", "imag=ami-1", "--param", "count=x"]));
}

/// What is right, however unusual, is not complained about.
#[test]
fn no_false_alarms() {
    let choice =
        "if param(\"where\") == \"prod\" { environment(\"prod\") } else { environment(\"prod\") }; stack(\"a\");";
    let in_prod = [
        // Closures in maps and arrays, called in all ways.
        "let m = #{ run: |x| log(x) }; m.run(1); m.run.call(2); m[\"run\"].call(3);",
        "let m = #{}; m.tell = |a, b, c| log(a, b, c); m.tell(1, 2, 3);",
        "let m = #{}; m[\"tell\"] = || log(1); m.tell();",
        "let f = |x| x; log(f.call(1)); log(call(f, 1));",
        "fn add(a, b) { a + b } let f = Fn(\"add\"); log(f.call(1, 2)); log([1, 2].reduce(add));",
        "let f = Fn(\"ensure_vpc\"); log(f.call(#{ name: \"a\", cidr_block: \"10.0.0.0/16\" }));",
        "fn each(list, f) { for x in list { f.call(x) } } each([1], |x| log(x)); each([1], Fn(\"log\"));",
        "let fs = #{ a: || 1, b: || 2 }; log(parallel(fs)); log(parallel([fs.a, fs.b]));",
        "fn twice(f) { || { f.call(); f.call() } } twice(|| log(1)).call();",
        "let x = 1; let f = || { let x = x + 1; || x }; log(f.call().call());",
        // Methods and `this`.
        "fn bump(by) { this + by } let n = 1; log(n.bump(2));",
        "fn show() { log(this) } \"a\".show(); let l = [1]; l.show();",
        "let m = #{ n: 1 }; fn set_n(n) { this.n = n } m.set_n(2);",
        "[1, 2].map(|x| x * 2).filter(|x| x > 2).for_each(|x| log(x));",
        "[1, 2].for_each(|| log(this));",
        "let s = \"a,b\"; log(s.split(\",\").len(), s.len, s.contains(\"a\")); log(s.to_upper());",
        "let s = \"a\"; s.replace(\"a\", \"b\"); s += \"c\"; log(s.sub_string(1), s[0], `${s} ${s.len()}`);",
        "log([3, 1].sort(), #{ a: 1 }.keys(), 5.max(3)); log(max(1, 2), (1.5).floor(), PI());",
        "let m = #{ a: 1 }; log(m.get(\"b\") ?? 2, \"a\" in m, m?.a, type_of(m));",
        "let m = parse_json(\"{}\"); log(m.len());",
        // Control flow.
        "let d = 5; log(switch d { 1 => \"a\", 2 | 3 if d > 2 => \"b\", 4..7 => \"c\", _ => { fail(\"d\") } });",
        "let n = loop { break now(); }; log(n); let i = 0; do { i += 1; } while i < 3; while i > 0 { i -= 1; continue; }",
        "try { throw #{ message: \"a\", code: 1 } } catch (e) { log(e.message) } try { fail(\"x\") } catch { log(1) }",
        "fn f(x) { if x { return 1; } 2 } log(f(true)); exit(0);",
        "for (x, i) in [1, 2] { log(x, i); } for i in range(0, 10, 2) { log(i); } for c in \"abc\" { log(c); }",
        "if is_def_fn(\"extra\", 1) { extra(1); } if is_def_var(\"x\") { log(1); }",
        // Shadowed variables, constants, several units.
        "let o = #{ nam: 1 }; let o = #{ name: \"a\", cidr_block: \"10.0.0.0/16\" }; ensure_vpc(o);",
        "let o = #{ nam: 1 }; { let o = #{ name: \"a\", cidr_block: \"10.0.0.0/16\" }; ensure_vpc(o); } log(o);",
        "fn f(o) { ensure_vpc(o); } let o = #{ nam: 1 }; log(o); f(#{ name: \"a\", cidr_block: \"10.0.0.0/16\" });",
        "let o = #{ nam: 1 }; let f = |o| ensure_vpc(o); f.call(#{ name: \"a\", cidr_block: \"10.0.0.0/16\" }); log(o);",
        "const O = #{ name: \"a\", cidr_block: \"10.0.0.0/16\" }; fn f() { ensure_vpc(global::O) } f(); ensure_vpc(O);",
        // Maps that are built step by step, or changed.
        "let o = #{}; o.name = \"a\"; o.cidr_block = \"10.0.0.0/16\"; ensure_vpc(o);",
        "let o = #{ name: \"a\" }; o[\"cidr_block\"] = \"10.0.0.0/16\"; ensure_vpc(o);",
        "let o = #{ name: \"a\" }; o += #{ cidr_block: \"10.0.0.0/16\" }; ensure_vpc(o);",
        "let o = #{ name: \"a\" }; o.mixin(#{ cidr_block: \"10.0.0.0/16\" }); ensure_vpc(o);",
        "let o = #{ name: \"a\" }; mixin(o, #{ cidr_block: \"10.0.0.0/16\" }); ensure_vpc(o);",
        "let o = #{ name: \"a\" }; o.set(\"cidr_block\", \"10.0.0.0/16\"); ensure_vpc(o);",
        "let o = #{ nam: 1, name: \"a\", cidr_block: \"10.0.0.0/16\" }; o.remove(\"nam\"); ensure_vpc(o);",
        "let o = #{ name: 1, cidr_block: \"10.0.0.0/16\" }; o.name = \"a\"; ensure_vpc(o);",
        "let o = #{ name: 1 }; o = #{ name: \"a\", cidr_block: \"10.0.0.0/16\" }; ensure_vpc(o);",
        "let o = #{ name: \"a\" }; let add = || o.cidr_block = \"10.0.0.0/16\"; add.call(); ensure_vpc(o);",
        "fn with_block() { this.cidr_block = \"10.0.0.0/16\"; } let o = #{ name: \"a\" }; o.with_block(); ensure_vpc(o);",
        "let o = #{ name: \"a\" } + #{ cidr_block: \"10.0.0.0/16\" }; ensure_vpc(o);",
        "let o = if env.vars.size > 1 { #{ name: \"a\", cidr_block: \"10.0.0.0/16\" } } else { #{} }; ensure_vpc(o);",
        "let tags = #{}; for t in [\"a\"] { tags[t] = t; } ensure_vpc(#{ name: \"a\", cidr_block: \"10.0.0.0/16\", tags: tags });",
        "let rules = []; rules.push(#{ port: 80, cidr_ip: \"0.0.0.0/0\" }); \
         ensure_security_group(#{ name: \"a\", vpc_id: \"vpc-1\", ingress: rules });",
        // Options of all kinds, computed and not.
        "let n = `a-${env.name}`; ensure_vpc(#{ name: n, cidr_block: env.vars.get(\"block\") ?? \"10.0.0.0/16\" });",
        "let vpc = find_vpc(\"default\"); find_vpc(\"default\", #{ tags: #{ a: \"b\" } }); find_vpc(#{ vpc: vpc.vpc_id });",
        "let v = \"main\"; find_vpc(v); v.find_vpc(); v.find_vpc(#{ tags: #{} });",
        "ensure_role(#{ name: \"a\", trust: \"ec2.amazonaws.com\", inline_policies: #{ p: #{ Statement: [#{ Effect: \"Allow\", \
         Action: env.vars.get(\"actions\"), Resource: \"*\" }] } } });",
        "param(\"a\", #{ \"default\": 1 }) + param(\"b\", #{ type: \"integer\", allowed: [1, 2] })",
        "ensure_subnets(#{ vpc_id: \"vpc-1\", tier: \"public\", availability_zones: 2 }); \
         ensure_subnets(#{ vpc_id: \"vpc-1\", tier: \"public\", availability_zones: [\"a\", env.vars.get(\"zone\")] });",
        "within(#{ region: \"us-east-1\" }, || log(1)); parallel([|| 1], #{ max_concurrency: 2, on_failure: \"finish\" });",
        // Functions that say which options they take.
        "fn f(o) { check_options(o, #{ required: [\"a\"], optional: [\"b\"] }); log(o.a) } f(#{ a: 1 }); f(#{ a: 1, b: || 2 });",
        "fn f(o) { check_options(o, #{ required: [\"a\"] }); } let o = #{}; o.a = 1; f(o); o.set(\"a\", 1); f(o);",
        "fn f(o) { if \"a\" in o { check_options(o, #{ optional: [\"a\"] }); } } f(#{ b: 1 });",
        "fn f(o) { let o = #{}; check_options(o, #{ optional: [\"a\"] }); } f(#{ b: 1 });",
        "fn f(o) { o.remove(\"b\"); check_options(o, #{ optional: [\"a\"] }); } f(#{ b: 1 });",
        "fn f(o) { o.a = 1; check_options(o, #{ required: [\"a\"] }); } f(#{});",
        "fn f(o, keys) { check_options(o, #{ optional: keys }); } f(#{ b: 1 }, [\"b\"]);",
        // Variables of the environment, and files.
        "log(env.vars.size, env.name, env.vars.keys()); if \"extra\" in env.vars { log(env.vars.extra); }",
        "try { log(env.vars.extra); config(\"none.toml\"); } catch { log(1); }",
        "fn f(env) { env.vars.extra } log(f(#{ vars: #{ extra: 1 } }));",
        "if env.vars.size > 1 { let env = #{ vars: #{ extra: 1 } }; log(env.vars.extra); }",
        "log(env.vars?.extra ?? 1); log(env.vars.size.to_string());",
        // Closures in loops that see what they are meant to.
        "for z in [\"a\", \"b\"] { on_rollback(|| log(z)); find_vpc(z); }",
        "let bs = []; for z in [\"a\"] { let zone = z; bs.push(|| log(zone)); } parallel(bs);",
        "for z in [\"a\"] { let bs = []; bs.push(|| log(z)); parallel(bs); }",
        "let bs = []; for z in [\"a\"] { bs.push(|| log(z)); parallel(bs); bs = []; }",
        "parallel([\"a\", \"b\"].map(|z| || log(z)));",
        "let bs = []; [\"a\"].for_each(|z| bs.push(|| log(z))); parallel(bs);",
        // Hooks that matter, parameters that are used.
        "on_rollback(|| log(1)); find_vpc(\"default\");",
        "on_rollback(|| log(1)); sleep(\"1m\");",
        "fn deploy() { find_vpc(\"default\") } on_rollback(|| log(1)); deploy();",
        "let m = #{ deploy: || find_vpc(\"default\") }; on_rollback(|| log(1)); m.deploy();",
        "fn deploy(x) { find_vpc(x) } on_rollback(|| log(1)); [\"a\"].for_each(deploy);",
        "let deploy = |x| find_vpc(x); on_rollback(|| log(1)); [\"a\"].for_each(deploy);",
        "on_rollback(|| log(1)); if env.vars.size > 3 { throw \"too large\" }",
        "if env.vars.size > 1 { commit(\"a\"); } on_rollback(|| log(1)); find_vpc(\"default\");",
        "import \"stdlib/network\" as network; on_rollback(|| log(1)); network::ensure(#{ cidr_block: \"10.0.0.0/16\" });",
        "let p = param(\"a\"); let f = || log(p); f.call();",
        "const P = param(\"a\"); fn f() { log(global::P) } f();",
        "let p = param(\"a\"); export p as q;",
        "fn ask() { param(\"a\") } log(ask());",
        "let _p = param(\"a\");",
        "log(`${param(\"a\")}`); let m = #{ a: param(\"b\") }; log(m);",
        "let p = (); p = param(\"a\"); log(p);",
        "if env.name == \"prod\" { log(param(\"a\", #{ help: \"x\" })) } else { log(param(\"a\", #{ help: \"x\" })) }",
    ];
    let runbooks = in_prod.map(|runbook| format!("{HEAD}{runbook}"));
    let alarms: Vec<_> = runbooks
        .into_iter()
        .chain([choice.to_owned()])
        .map(|runbook| (findings(&project(&runbook), &[]), runbook))
        .filter(|(found, _)| !found.is_empty())
        .collect();
    assert!(alarms.is_empty(), "{alarms:#?}");
}

/// A module by itself, with what only its importers know.
#[test]
fn no_false_alarms_in_modules() {
    let module = "import \"other\" as other;\nconst SIZES = #{ small: 1 };\n\
                  fn deploy(options) { options.hook(1); options.before.call(options.list.fancy()); other::run(|| own()) }\n\
                  fn own() { global::SIZES.small }\nprivate fn helper(x) { x.y.hook(1) }\nfn use_it(x) { helper(x) }\n";
    let other = "export const LIMIT = 3; export let f = |x| x;\nfn run(block) { block.call() }\n\
                 fn late() { import \"module\" as m; m::own() }\n";
    let project = Project::new().file("runbooks/module.rhai", module).file("runbooks/other.rhai", other);
    assert_eq!(findings(&project, &[]), Vec::<Value>::new());
    let project = project.file(
        "runbooks/main.rhai",
        "import \"module\" as m; import \"other\" as o;\nfn mine() { 1 }\n\
         m::deploy(#{ hook: |x| x, before: |x| mine(), list: #{ fancy: || 1 } }); log(o::LIMIT); log(m::other::late());",
    );
    assert_eq!(findings(&project, &[]), Vec::<Value>::new());
}

#[test]
fn what_is_shipped_has_no_problems() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut project = Project::new();
    for folder in ["runbooks", "stdlib"] {
        for entry in fs::read_dir(root.join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            // Folders are systems, with settings of their own: tests/cli/systems.rs.
            if path.is_dir() {
                continue;
            }
            let name = format!("{folder}/{}", path.file_name().and_then(|name| name.to_str()).expect("a name"));
            project = project.file(&name, &fs::read_to_string(&path).expect("a script"));
        }
    }
    let project = project.file("runner.toml", include_str!("../../runner.toml"));
    assert_eq!(findings(&project, &["."]), Vec::<Value>::new());
    let given = ["--param", "image=ami-1", "runbooks/prod-deploy.rhai"];
    assert_eq!(findings(&project, &given), Vec::<Value>::new());
}

/// Checks a piece of a runbook, with its variables declared before it.
fn findings_of_a_piece(piece: &str) -> Vec<Value> {
    let settings = include_str!("../../runner.toml");
    let mut known = String::new();
    loop {
        let project = Project::new()
            .file("runner.toml", settings)
            .file("services/web.toml", "name = \"web\"\nport = 80\n")
            .file("runbooks/x.rhai", &format!("{known}\n{piece}\n"));
        let found = findings(&project, &[]);
        let message = found.iter().find(|found| found["lint"] == "syntax").and_then(|found| found["message"].as_str());
        match message.and_then(|message| message.strip_prefix("there is no ")?.split_once(" `")) {
            Some(("variable", name)) => known += &format!("let {} = now();", name.trim_end_matches('`')),
            Some(("module", name)) => {
                let name = name.trim_end_matches('`');
                known += &format!("import \"stdlib/{name}\" as {name};");
            }
            _ => return found,
        }
    }
}

#[test]
fn examples_have_no_problems() {
    let operations = runner::ops::catalog::OPERATIONS.iter().map(|entry| (entry.name, entry.example));
    let controls = api::CONTROLS.iter().map(|control| (control.name, control.example));
    for (name, example) in operations.chain(controls) {
        // Nothing fails after the example of a hook, and nobody uses what an example asks for.
        let found = findings_of_a_piece(&format!("{example}\n;find_vpc(\"default\");"));
        let found: Vec<_> = found.iter().filter(|found| found["lint"] != "unused-param").collect();
        assert!(found.is_empty(), "the example of `{name}`: {found:#?}");
    }
}

#[test]
fn documentation_has_no_problems() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = fs::read_dir(root.join("docs")).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut pieces = 0;
    for path in documents.chain([root.join("README.md")]) {
        // Signatures are no scripts; the examples of the reference have a test of their own.
        if path.file_name().is_some_and(|name| name == "operations.md") || path.is_dir() {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a document");
        for piece in text.split("```rhai\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            pieces += 1;
            let found = findings_of_a_piece(piece);
            assert!(found.is_empty(), "{}: {found:#?}\n{piece}", path.display());
        }
    }
    assert!(pieces > 1, "the documents have examples");
}

#[test]
fn each_lint_is_documented() {
    let document = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/checking.md")).expect("a document");
    for lint in api::check::lints::all() {
        let severity = if lint.severity == Severity::Error { "error" } else { "warning" };
        let row = format!("| `{}` | {severity} | {} |", lint.name, lint.about);
        assert!(document.contains(&row), "docs/checking.md lacks {row}");
    }
    let rows = document.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, api::check::lints::all().count());
}
