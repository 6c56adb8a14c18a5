//! Runbooks that do it wrong, each in one way, from `tests/wrong`: the simulated AWS sees requests fail, or an operation
//! refuses. The first line of each says which.

use std::{fs, path::Path};

use runner::event::{Event, Stamped};

use crate::project::{Project, Ran};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wrong");

/// A project with the folder in it, in whose world blue has the traffic.
fn deployed() -> Project {
    let project = fs::read_dir(FOLDER).expect("the folder").fold(
        Project::new().file("runner.toml", "[environments.prod]\nregion = \"eu-central-1\"\n"),
        |project, entry| {
            let path = entry.expect("an entry").path();
            let text = fs::read_to_string(&path).expect("a runbook");
            project.file(path.file_name().expect("a name").to_str().expect("UTF-8"), &text)
        },
    );
    let ran = run(&project, "first");
    assert_eq!(ran.code, Some(0), "{ran}");
    project
}

fn run(project: &Project, name: &str) -> Ran {
    project.runner(&["run", &format!("{name}.rhai"), "--sim", "--json"])
}

/// Requests that failed in a run.
fn failed(ran: &Ran) -> u64 {
    let last = ran.stdout.lines().last().unwrap_or_else(|| panic!("no events\n{ran}"));
    match serde_json::from_str::<Stamped>(last).expect("an event").event {
        Event::RunFinished { summary, .. } => summary.traffic.expect("a simulated run has traffic").failed,
        other => panic!("the last event is {other:?}\n{ran}"),
    }
}

#[track_caller]
fn is_caught(name: &str) {
    let text = fs::read_to_string(Path::new(FOLDER).join(format!("{name}.rhai"))).expect("a runbook");
    let caught = text.lines().next().and_then(|line| line.strip_prefix("// caught: ")).expect("it says how");
    let project = deployed();
    let mut ran = run(&project, name);
    let failed = failed(&ran);
    // Its end is enough to be shown.
    ran.stdout = ran.stdout.lines().last().unwrap_or_default().to_owned();
    match caught.split_once(", ") {
        Some(("refused", why)) => {
            let words = ran.stderr.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
            assert!(words.contains("refused: ") && words.contains(why), "it was to be refused with `{why}`\n{ran}");
            assert_eq!(failed, 0, "refused too late\n{ran}");
        }
        None if caught == "requests" => assert!(failed > 0, "no request failed\n{ran}"),
        None if caught == "no" => assert_eq!((ran.code, failed), (Some(10), 0), "{ran}"),
        _ => panic!("`{caught}` is no way to be caught"),
    }
}

macro_rules! runbooks {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            is_caught(stringify!($name));
        })*

        #[test]
        fn all_are_tried() {
            let all = [$(stringify!($name)),*];
            for entry in fs::read_dir(FOLDER).expect("the folder") {
                let path = entry.expect("an entry").path();
                let name = path.file_stem().expect("a name").to_str().expect("UTF-8").to_owned();
                assert!(all.contains(&&*name) || ["first", "shop"].contains(&&*name), "{name} is not tried");
            }
        }
    };
}

runbooks! {
    right,
    back_onto_a_shrunken_fleet,
    delete_a_referenced_group,
    forget_the_pin,
    old_fleet_removed_before_bake,
    scale_to_nothing,
    shift_before_healthy,
    shift_to_nobody,
    terminate_before_draining,
}
