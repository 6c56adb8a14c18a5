//! Runbooks with operations, on the simulated AWS.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use runner::{
    api::{self, FailureKind, Host, Inputs, ScriptFailure},
    aws::Endpoint,
    clock::Clock,
    event::{Event, Events, Report, Stamped},
    ops::Error,
    run::{Journal, RollbackReport, Run, RunId, Store},
    script::{Limits, Stdlib, check::Severity},
    settings::Environment,
    sim::{Simulator, Source},
};
use serde_json::{Value, json};

use crate::support::Project;

const STDLIB: Stdlib = &[(
    "net",
    "fn main(cidr) { ensure_vpc(#{ name: \"main\", cidr_block: cidr }) }  fn ask() { param(\"zone\", #{ default_value: \"a\" }) }",
)];

/// A runbook that was run.
struct Ran {
    run: Arc<Run>,
    _host: Host,
    ended: Result<(), ScriptFailure>,
    events: Arc<Mutex<Vec<Stamped>>>,
    simulator: Arc<Simulator>,
    tokio: tokio::runtime::Runtime,
    _files: (Project, tempfile::TempDir),
}

struct Keep(Arc<Mutex<Vec<Stamped>>>);

impl Report for Keep {
    fn event(&mut self, stamped: &Stamped) {
        self.0.lock().unwrap().push(stamped.clone());
    }
}

fn inputs() -> Inputs {
    let vars = json!({ "min_size": 2, "zones": ["a", "b"], "nested": { "deep": true } });
    let prod = Environment {
        name: "prod".into(),
        region: Some("eu-central-1".into()),
        vars: vars.as_object().cloned().unwrap(),
        ..Environment::default()
    };
    let staging = Environment { name: "staging".into(), region: Some("us-east-1".into()), ..Environment::default() };
    let environments = [prod, staging].into_iter().map(|environment| (environment.name.clone(), environment));
    Inputs { environments: environments.collect(), ..Inputs::default() }
}

fn run_with(runbook: &str, inputs: Inputs, before: impl FnOnce(&Arc<Run>)) -> Ran {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let context = tokio.enter();
    let simulator = Arc::new(Simulator::open(Source::Fresh, 1).unwrap());
    let start = simulator.clock() + Duration::from_secs(1);
    let clock = Clock::virtual_from(start, 1);
    let world = Arc::clone(&simulator);
    clock.on_advance(move |now| world.advance(now));
    let events = Arc::new(Mutex::new(Vec::new()));
    let reports: Vec<Box<dyn Report>> = vec![Box::new(Keep(Arc::clone(&events)))];
    let journals = tempfile::tempdir().unwrap();
    let id = RunId::new(start, 1);
    let journal = Journal::new(Store::folder(journals.path()).expect("a store"), id.as_str());
    let endpoint = Endpoint::Sim(Arc::clone(&simulator));
    let run = Run::new(id, clock.clone(), Events::new(clock, reports), journal, endpoint, 1);
    simulator.begin_run();
    before(&run);

    let project = Project::new(runbook);
    let complaints = complaints(&project, runbook, &inputs);
    let host = Host::new(Arc::clone(&run), inputs)
        .with_stdlib(STDLIB)
        .with_limits(Limits { steps: 1_000_000, ..Limits::default() });
    let loaded = api::load(&project.0.path().join("runbooks/main.rhai"), project.0.path());
    let ended = loaded.and_then(|runbook| host.execute(&runbook));
    assert!(ended.is_err() || complaints.is_empty(), "what runs is complained about: {complaints:#?}\n{runbook}");
    drop(context);
    Ran { run, _host: host, ended, events, simulator, tokio, _files: (project, journals) }
}

/// The errors that a check finds. The modules of these tests are none of the binary's.
fn complaints(project: &Project, runbook: &str, inputs: &Inputs) -> Vec<String> {
    if runbook.contains("stdlib/") {
        return Vec::new();
    }
    let (environments, environment) = (&inputs.environments, inputs.environment.as_deref());
    let known = api::check::Known { environments, environment, params: Some(&inputs.params) };
    let file = project.0.path().join("runbooks/main.rhai");
    let found = api::check::check(project.0.path(), &[file], &known).expect("no bug");
    let errors = found.iter().map(|found| &found.finding).filter(|finding| finding.lint.severity == Severity::Error);
    errors.map(|finding| format!("{:?}: {}", finding.place, finding.message)).collect()
}

fn run(runbook: &str) -> Ran {
    run_with(runbook, inputs(), |_| ())
}

/// In environment `prod`, stack `shop-prod`. The preamble is the first line.
fn run_in_prod(runbook: &str) -> Ran {
    run(&format!("let env = environment(\"prod\"); stack(\"shop\");\n{runbook}"))
}

impl Ran {
    #[track_caller]
    fn ok(self) -> Self {
        if let Err(failure) = &self.ended {
            panic!("the runbook failed: {failure:?}");
        }
        self
    }

    #[track_caller]
    fn failure(&self) -> &ScriptFailure {
        self.ended.as_ref().expect_err("the runbook fails")
    }

    #[track_caller]
    fn fails(runbook: &str, message: &str) {
        assert_eq!(run(runbook).failure().message, message, "{runbook}");
    }

    fn roll_back(&self) -> RollbackReport {
        let _context = self.tokio.enter();
        self.run.roll_back("a test")
    }

    fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().iter().map(|stamped| stamped.event.clone()).collect()
    }

    fn logs(&self) -> Vec<String> {
        let one = |event| if let Event::Log { message } = event { Some(message) } else { None };
        self.events().into_iter().filter_map(one).collect()
    }

    fn operations(&self) -> Vec<String> {
        let one = |event| match event {
            Event::OperationStarted { id, operation, subject, .. } => Some(format!("{id} {operation} {subject}")),
            _ => None,
        };
        self.events().into_iter().filter_map(one).collect()
    }

    fn output(&self, name: &str) -> Value {
        let outputs: BTreeMap<_, _> = self.run.summary().outputs.into_iter().collect();
        outputs.get(name).cloned().unwrap_or_default()
    }

    fn has_vpc(&self) -> bool {
        self.simulator.observe().to_string().contains("10.0.0.0/16")
    }
}

const VPC: &str = r#"ensure_vpc(#{ name: "main", cidr_block: "10.0.0.0/16" })"#;

#[test]
fn an_operation_returns_a_handle() {
    let ran = run_in_prod(&format!(
        r#"let vpc = {VPC};
        output("name", vpc.name); output("id", vpc["vpc_id"]); output("vpc", vpc); output("is", vpc == {VPC});
        output("in", "vpc_id" in vpc); output("not in", "x" in vpc); output("get", vpc.get("x") ?? "none");
        log(vpc.change, vpc.name); log(`${{vpc}}`);"#
    ))
    .ok();
    assert_eq!(ran.output("name"), "shop-prod-main");
    assert_eq!(ran.output("in"), true);
    assert_eq!(ran.output("not in"), false);
    assert_eq!(ran.output("get"), "none");
    assert_eq!(ran.output("vpc")["cidr_block"], "10.0.0.0/16");
    assert_eq!(ran.output("vpc").get("$handle"), None);
    assert_eq!(ran.logs()[0], "created shop-prod-main");
    assert!(ran.logs()[1].starts_with("vpc {"), "{:?}", ran.logs());
    assert_eq!(ran.operations(), ["1 ensure_vpc main", "2 ensure_vpc main"]);
}

#[test]
fn a_handle_is_read_only_and_knows_its_properties() {
    let ran = run_in_prod(&format!("let vpc = {VPC};\nlog(vpc.vpc_ids);"));
    assert_eq!(ran.failure().message, "runbooks/main.rhai:3:8: a vpc has no `vpc_ids`\n  help: did you mean `vpc_id`?");
    let ran = run_in_prod(&format!("let vpc = {VPC};\nvpc.name = \"x\";"));
    assert!(ran.failure().message.contains("`name` of a vpc cannot be set"), "{}", ran.failure().message);
}

#[test]
fn wrong_options_are_underlined() {
    for (call, message) in [
        (
            "ensure_vpc(#{\n  name: \"a\",\n  cidr_blok: \"10.0.0.0/16\" });",
            "runbooks/main.rhai:4:3: unknown option `cidr_blok` of `ensure_vpc`\n  help: did you mean `cidr_block`?",
        ),
        ("ensure_vpc(#{ name: \"a\" });", "runbooks/main.rhai:2:1: missing option `cidr_block` of `ensure_vpc`"),
        (
            "ensure_vpc(#{ name: 3, cidr_block: \"10.0.0.0/16\" });",
            "runbooks/main.rhai:2:15: option `name` of `ensure_vpc`: expected a string, found the integer 3",
        ),
        (
            "let o = #{ name: 3 };\nensure_vpc(o);",
            "runbooks/main.rhai:3:1: option `name` of `ensure_vpc`: expected a string, found the integer 3",
        ),
        (
            "ensure_vpc(\"main\");",
            "runbooks/main.rhai:2:1: `ensure_vpc` expects an object map of options, found the string \"main\"\n  help: write ensure_vpc(#{ … })",
        ),
        ("ensure_vpc(#{ name: || 1 });", "runbooks/main.rhai:2:15: option `name` of `ensure_vpc` cannot be a function"),
        (
            "ensure_vpc(#{ name: \"a\", cidr_block: \"10\" });",
            "runbooks/main.rhai:2:26: option `cidr_block` of `ensure_vpc`: expected an IPv4 range such as \"10.0.0.0/16\", found \"10\"",
        ),
        (
            "ensure_vpc(#{ name: \"a\", cidr_block: \"10.0.0.0/16\", instance_tenancy: \"dedicate\" });",
            "runbooks/main.rhai:2:53: option `instance_tenancy` of `ensure_vpc`: expected one of \"default\", \"dedicated\", found \"dedicate\"\n  help: did you mean \"dedicated\"?",
        ),
    ] {
        let ran = run_in_prod(call);
        assert_eq!(ran.failure().message, message, "{call}");
        assert!(matches!(ran.failure().kind, FailureKind::Script), "{:?}", ran.failure().kind);
    }
}

#[test]
fn a_failed_operation_can_be_caught_and_read() {
    let ran = run(&format!(
        "environment(\"prod\");\ntry {{ {VPC} }} catch (e) {{ log(e.message); log(e.operation); log(e.hint); output(\"code\", e.code); }}"
    ))
    .ok();
    assert_eq!(ran.logs()[..2], ["making a resource needs a stack that owns it", "ensure_vpc"]);
    assert_eq!(ran.output("code"), Value::Null);

    let ran = run(&format!("environment(\"prod\");\ntry {{ {VPC} }} catch (e) {{\n  throw e;\n}}"));
    assert!(matches!(&ran.failure().kind, FailureKind::Operation(error) if matches!(**error, Error::Missing { .. })));
    assert!(
        ran.failure().message.starts_with("runbooks/main.rhai:2:7: making a resource"),
        "{}",
        ran.failure().message
    );
}

#[test]
fn an_environment_has_vars() {
    let ran = run_in_prod(
        "log(env.name, env.region); log(env.vars.min_size + 1); log(env.vars.zones[1]); if env.vars.nested.deep { log(\"deep\") }",
    )
    .ok();
    assert_eq!(ran.logs(), ["prod eu-central-1", "3", "b", "deep"]);
    let ran = run_in_prod("env.vars.min_sizes");
    assert_eq!(
        ran.failure().message,
        "runbooks/main.rhai:2:9: the environment has no var `min_sizes`\n  help: did you mean `min_size`?"
    );
    let ran = run_in_prod("env.vars.colour");
    assert!(
        ran.failure().message.ends_with("help: runner.toml has `min_size`, `zones`, `nested`"),
        "{}",
        ran.failure().message
    );
}

#[test]
fn environments_and_stacks_are_named_once_and_known() {
    for (runbook, message) in [
        ("environment(\"prdo\")", "runner.toml has no environment `prdo`\n  help: did you mean `prod`?"),
        ("environment()", "no environment is given\n  help: add `--env NAME`"),
        (
            "stack(\"shop\")",
            "a stack belongs to an environment, and none is named yet\n  help: call `environment(\"…\")` first",
        ),
    ] {
        Ran::fails(runbook, &format!("runbooks/main.rhai:1:1: {message}"));
    }
    assert!(run("environment(\"prod\"); environment(\"staging\")").failure().message.contains("is `prod` already"));
    assert!(run("environment(\"prod\"); stack(\"Shop\")").failure().message.contains("it has other characters"));
    run("environment(\"prod\"); environment(\"prod\"); stack(\"a\"); stack(\"a\");").ok();

    let given = Inputs { environment: Some("staging".into()), ..inputs() };
    let ran = run_with("environment(\"prod\")", given.clone(), |_| ());
    assert!(matches!(ran.failure().kind, FailureKind::Usage));
    assert!(ran.failure().message.contains("this runbook is for environment `prod`, and --env says `staging`"));
    let ran = run_with("let env = environment(); log(stack(\"shop\"));", given, |_| ()).ok();
    assert_eq!(ran.logs(), ["shop-staging"]);
}

#[test]
fn parameters_are_given_typed_and_known() {
    let given =
        |params: Value| Inputs { params: params.as_object().cloned().unwrap().into_iter().collect(), ..inputs() };
    let runbook =
        "let n = param(\"count\", #{ type: \"integer\", default_value: 1 }); log(n + 1); log(param(\"image\"));";
    let ran = run_with(runbook, given(json!({ "count": "4", "image": "ami-1" })), |_| ()).ok();
    assert_eq!(ran.logs(), ["5", "ami-1"]);

    let ran = run_with(runbook, given(json!({ "imag": "ami-1" })), |_| ());
    assert!(matches!(ran.failure().kind, FailureKind::Usage));
    assert_eq!(ran.failure().message, "`runbooks/main.rhai` has no parameter `imag`\n  help: did you mean `image`?");
    let ran = run_with(runbook, given(json!({})), |_| ());
    assert_eq!(
        ran.failure().message,
        "runbooks/main.rhai:1:81: the parameter `image` is missing\n  help: add `--param image=…`"
    );

    let imported = "import \"stdlib/net\" as net; log(net::ask());";
    assert_eq!(run_with(imported, given(json!({ "zone": "b" })), |_| ()).ok().logs(), ["b"]);
}

#[test]
fn a_secret_can_only_be_passed_on() {
    let secret = "let s = param(\"password\", #{ secret: true });";
    for (use_, words) in [
        ("print(s)", "turned into text"),
        ("log(s)", "turned into text"),
        ("log(`is ${s}`)", "turned into text"),
        ("\"a\" + s", "joined with text"),
        ("s + \"a\"", "joined with text"),
        ("let t = \"a\"; t += s;", "joined with text"),
        ("s == \"hunter2\"", "compared"),
        ("\"hunter2\" == s", "compared"),
        ("s != s", "compared"),
        ("s < \"i\"", "compared"),
        ("s[0]", "taken apart"),
        ("s.text", "taken apart"),
        ("s.len()", "measured"),
        ("[s].contains(\"hunter2\")", "compared"),
        ("\"hunter2\" in [s]", "compared"),
        ("switch s { \"hunter2\" => log(\"leak\"), _ => fail(\"a secret cannot be compared\") }", "compared"),
        ("debug(s)", "turned into text"),
        ("s.to_string()", "turned into text"),
        ("fail(s.to_debug())", "turned into text"),
    ] {
        let inputs = Inputs { params: BTreeMap::from([("password".into(), json!("hunter2"))]), ..inputs() };
        let ran = run_with(&format!("{secret}\n{use_};"), inputs, |_| ());
        let message = &ran.ended.as_ref().expect_err(use_).message;
        assert!(message.contains("a secret cannot be ") && message.contains(words), "{use_}: {message}");
        let logs = ran.logs();
        assert!(!logs.iter().any(|log| log.contains("hunter2") || log.contains("leak")), "{use_}: {logs:?}");
    }
    for leak in [
        "output(\"x\", [s]);",
        "throw s;",
        "print([s]);",
        "print(#{ a: s });",
        "log([s].to_json());",
        "throw #{ message: s };",
        "throw [s];",
    ] {
        let inputs = Inputs { params: BTreeMap::from([("password".into(), json!("hunter2"))]), ..inputs() };
        let ran = run_with(&format!("{secret}\n{leak};"), inputs, |_| ());
        let said = format!("{:?} {:?} {:?}", ran.ended, ran.logs(), ran.run.summary().outputs);
        assert!(!said.contains("hunter2"), "{leak}: {said}");
    }
}

#[test]
fn stages_nest_and_only_those_that_succeed_finish() {
    let ran = run_in_prod(
        r#"let x = stage("outer", || stage("inner", || { sleep("90s"); 7 })); log(x);
        try { stage("broken", || fail("no")); } catch (e) { log(e.message); }"#,
    )
    .ok();
    let stages = ran.events().into_iter().filter_map(|event| match event {
        Event::StageStarted { stage } => Some(format!("> {stage}")),
        Event::StageFinished { stage, elapsed } => Some(format!("< {stage} {}", elapsed.as_secs())),
        _ => None,
    });
    assert_eq!(stages.collect::<Vec<_>>(), ["> outer", "> inner", "< inner 90", "< outer 90", "> broken"]);
    assert_eq!(ran.logs(), ["7", "no"]);
}

#[test]
fn branches_run_at_the_same_time_and_keep_their_order() {
    let ran = run_in_prod(
        r#"let before = now();
        let n = 0;
        let a = parallel([|| { sleep("2m"); n += 1; n }, || { sleep("1m"); n += 1; n }, || 3]);
        let m = parallel(#{ x: || 1, y: || parallel([|| 2]) });
        output("a", a); output("m", m); output("n", n);
        output("limited", parallel([|| { sleep("1m"); 1 }, || { sleep("1m"); 2 }], #{ max_concurrency: 1 }));
        output("before", before); output("after", now());"#,
    )
    .ok();
    assert_eq!(ran.output("a"), json!([1, 1, 3]));
    assert_eq!(ran.output("m"), json!({ "x": 1, "y": [2] }));
    assert_eq!(ran.output("n"), 0);
    assert_eq!(ran.output("limited"), json!([1, 2]));
    let time = |name| ran.output(name).as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(time("after").duration_since(time("before")).as_secs(), 240);
}

#[test]
fn operations_in_branches_have_ids_of_their_own() {
    let vpc = |name: &str| format!("|| ensure_vpc(#{{ name: \"{name}\", cidr_block: \"10.0.0.0/16\" }})");
    let ran = run_in_prod(&format!("{VPC};\nparallel([{}, {}]);\n{VPC};", vpc("a"), vpc("b"))).ok();
    let mut operations = ran.operations();
    operations.sort();
    assert_eq!(operations, ["1 ensure_vpc main", "2.1.1 ensure_vpc a", "2.2.1 ensure_vpc b", "3 ensure_vpc main"]);
}

#[test]
fn the_failure_of_a_branch_ends_the_others_or_waits_for_them() {
    let ran = run_in_prod(
        r#"try {
            parallel([
                || { try { sleep("1h"); } catch {} log("not reached"); },
                || { try { loop { [1].map(|x| sleep("7s")); } } catch {} log("not reached"); },
                || { sleep("1m"); fail("third"); },
            ]);
        } catch (e) { log(e.message); }
        try {
            parallel([|| { sleep("1h"); fail("first"); }, || fail("second")], #{ on_failure: "finish" });
        } catch (e) { log(e.message); }
        try {
            parallel([|| parallel([|| { sleep("1h"); log("not reached") }]), || fail("outer")]);
        } catch (e) { log(e.message); }
        log(now());"#,
    )
    .ok();
    assert_eq!(ran.logs()[..3], ["third", "first", "outer"]);
    let at: jiff::Timestamp = ran.logs()[3].parse().unwrap();
    assert!(at.duration_since(ran.simulator.clock()).as_secs().abs() < 5, "time went on");
}

#[test]
fn a_wrong_branch_is_explained() {
    let ran = run_in_prod("parallel([|| 1, 2]);");
    assert!(ran.failure().message.starts_with("runbooks/main.rhai:2:1: branch 2 of `parallel` is not a function"));
    let ran = run_in_prod("parallel([|| fail(\"x\")]);");
    assert_eq!(
        ran.failure().trace().place.as_ref().map(ToString::to_string).as_deref(),
        Some("runbooks/main.rhai:2:14")
    );
    let ran = run_in_prod("parallel([|| 1], #{ max_concurency: 1 });");
    assert!(ran.failure().message.contains("did you mean `max_concurrency`?"), "{}", ran.failure().message);
}

#[test]
fn another_region_is_another_place() {
    let ran = run_in_prod(&format!(
        "let there = within(#{{ region: \"us-east-1\" }}, || {VPC});\nlet here = {VPC};\nlog(there.vpc_id == here.vpc_id); log(here.change);\n\
         within(#{{ region: \"us-east-1\" }}, || parallel([|| log({VPC}.change)]));"
    ))
    .ok();
    assert_eq!(ran.logs(), ["false", "created", "unchanged"]);
    assert!(run_in_prod("within(#{}, || 1)").failure().message.contains("it would change nothing"));
}

#[test]
fn hooks_run_in_a_rollback_with_their_place_in_it() {
    let ran = run_in_prod(&format!(
        r#"import "stdlib/net" as net;
        let name = "old";
        on_rollback("first", || log("hook of " + name));
        name = "new";
        {VPC};
        on_rollback(|| {{ log(net::main("10.0.0.0/16").change); throw "too bad" }});
        fail("now");"#
    ));
    let FailureKind::Script = ran.failure().kind else { panic!("{:?}", ran.failure()) };
    assert!(ran.has_vpc());
    let report = ran.roll_back();
    assert_eq!(ran.logs(), ["unchanged", "hook of old"]);
    assert!(!ran.has_vpc(), "{report:?}");
    assert_eq!(report.left.len(), 1);
    let (hook, error) = &report.left[0];
    assert_eq!(hook, "hook runbooks/main.rhai:7");
    assert!(error.starts_with("runbooks/main.rhai:7:"), "{error}");
    assert!(error.contains("too bad"), "{error}");
}

#[test]
fn an_interrupt_ends_the_script_but_not_its_hooks() {
    let interrupting = "try { [1].map(|x| { loop { sleep(\"1s\"); } }) } catch {}\nlog(\"not reached\");";
    let ran = run_with(
        &format!("environment(\"prod\"); on_rollback(|| {{ sleep(\"5s\"); log(\"hook\") }});\n{interrupting}"),
        inputs(),
        |run| assert!(!run.interrupt().request()),
    );
    assert!(matches!(ran.failure().kind, FailureKind::Interrupted), "{:?}", ran.failure());
    assert!(ran.logs().is_empty());

    let stop = "environment(\"prod\"); on_rollback(|| { sleep(\"5s\"); log(\"hook\") }); loop { try { [1].map(|x| sleep(\"1s\")) } catch {} }";
    let interrupter = Arc::new(Mutex::new(None));
    let handle = Arc::clone(&interrupter);
    let ran = run_with(stop, inputs(), |run| {
        let run = Arc::clone(run);
        *handle.lock().unwrap() = Some(std::thread::spawn(move || {
            // Once the hook is registered, and long before the script runs out of steps.
            while !run.has_undos() {
                std::thread::sleep(Duration::from_millis(1));
            }
            run.interrupt().request();
        }));
    });
    let _ = interrupter.lock().unwrap().take().map(std::thread::JoinHandle::join);
    assert!(matches!(ran.failure().kind, FailureKind::Interrupted), "{:?}", ran.failure());
    assert!(ran.roll_back().is_clean());
    assert_eq!(ran.logs(), ["hook"]);
}

#[test]
fn durations_are_strings() {
    assert_eq!(
        run("sleep(\"5 apples\")").failure().message,
        "runbooks/main.rhai:1:1: `sleep`: expected a duration such as \"90s\", \"5m\" or \"1h 30m\", found \"5 apples\""
    );
    assert!(run("sleep(5)").failure().message.contains("for seconds, write sleep(\"5s\")"));
}

#[test]
fn a_step_is_counted_in_every_branch() {
    let ran = run("parallel([|| { loop {} }, || { loop {} }]);");
    assert_eq!(ran.failure().trace().message, "the script took more than 1000000 steps");
}

#[test]
fn a_runbook_declares_its_environment_and_parameters() {
    let project = Project::new(
        "import \"stdlib/net\" as net; import \"missing\" as m;\nlet env = environment(\"prod\");\nlet p = param(\"image\", #{ help: \"AMI\", default_value: env.name });\nfn f() { param(\"late\") }",
    );
    let runbook = api::load(&project.0.path().join("runbooks/main.rhai"), project.0.path()).unwrap();
    assert_eq!(runbook.declared_environment().as_deref(), Some("prod"));
    let declared = api::control::param::declared(&runbook, STDLIB);
    let declared: Vec<_> = declared.iter().map(|param| (param.name.as_str(), param.help.as_deref())).collect();
    assert_eq!(declared, [("image", Some("AMI")), ("late", None), ("zone", None)]);
}

#[test]
fn a_runbook_cannot_take_the_name_of_an_operation() {
    Ran::fails(
        "fn ensure_vpc(x) {}",
        "runbooks/main.rhai:1:4: the function `ensure_vpc` would take the place of the host function of that name\n  help: give it another name",
    );
    assert!(run("fn stage(a, b) {}").failure().message.contains("the function `stage`"));
}

#[test]
fn every_option_can_be_written_in_a_runbook() {
    fn names(schema: &Value, found: &mut Vec<String>) {
        match schema {
            Value::Object(fields) => {
                let properties = fields.get("properties").and_then(Value::as_object);
                found.extend(properties.into_iter().flat_map(|properties| properties.keys().cloned()));
                fields.values().for_each(|value| names(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| names(item, found)),
            _ => {}
        }
    }
    let engine = runner::script::engine::parser(&Limits::default());
    let operations = runner::ops::catalog::OPERATIONS.iter().map(|entry| (entry.name, Some(entry.schema)));
    let controls =
        api::CONTROLS.iter().map(|control| (control.name, control.options.as_ref().map(|options| options.schema)));
    for (function, schema) in operations.chain(controls) {
        let mut found = vec![function.to_owned()];
        if let Some(schema) = schema {
            names(schema().as_value(), &mut found);
        }
        for name in found {
            let written = engine.compile(format!("{function}(#{{ {name}: 1 }})"));
            assert!(written.is_ok(), "`{name}` of `{function}` is a reserved word of Rhai: {written:?}");
        }
    }
}

#[test]
fn every_example_compiles() {
    let engine = runner::script::engine::parser(&Limits::default());
    let operations = runner::ops::catalog::OPERATIONS.iter().map(|entry| (entry.name, entry.example));
    let controls = api::CONTROLS.iter().map(|control| (control.name, control.example));
    for (name, example) in operations.chain(controls) {
        // What is around an example is not part of it.
        let known = "let env = #{}; let vpc = #{}; let green = #{};";
        if let Err(error) = engine.compile(format!("{known}\n{example}"))
            && !matches!(*error.0, rhai::ParseErrorType::VariableUndefined(_))
        {
            panic!("the example of `{name}` does not compile: {error}\n{example}");
        }
    }
}
