//! Whole processes: how long they take to start and to do something small, and how much memory they need at most.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::median;

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");
const TIMES: usize = 11;

pub fn measure() {
    let size = std::fs::metadata(RUNNER).expect("cargo has built it").len();
    println!("size of the binary: {} MB", size / 1_000_000);
    println!("| command | time | peak memory |\n|---|---|---|");
    let prod = ["--param", "image=ami-healthy-1"];
    let world = tempfile::tempdir().expect("a directory");
    let world = world.path().join("world").display().to_string();
    let deploy = [&["run", "runbooks/prod-deploy.rhai", "--sim", "--world", &world][..], &prod].concat();
    for (what, arguments) in [
        ("`runner --version`", vec!["--version"]),
        ("`runner check runbooks/prod-deploy.rhai`", vec!["check", "runbooks/prod-deploy.rhai"]),
        ("`runner plan --sim`, first deploy", [&["plan", "runbooks/prod-deploy.rhai", "--sim"][..], &prod].concat()),
        ("`runner run --sim`, first deploy, then without changes", deploy),
    ] {
        let all: Vec<(Duration, u64)> = (0..TIMES).map(|_| run(&arguments)).collect();
        let time = median(all.iter().map(|one| one.0).collect());
        let memory = all.iter().map(|one| one.1).max().unwrap_or_default();
        println!("| {what} | {} ms | {} MB |", time.as_millis(), memory / 1024);
    }
}

/// How long it took, and the peak of its resident memory in KiB.
fn run(arguments: &[&str]) -> (Duration, u64) {
    let started = Instant::now();
    let mut child = Command::new(RUNNER)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut peak = 0;
    let status = loop {
        // The kernel keeps the peak until the process ends.
        peak = peak_memory(&child.id().to_string()).unwrap_or(peak).max(peak);
        match child.try_wait().expect("it can be waited for") {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_micros(200)),
        }
    };
    assert!(matches!(status.code(), Some(0 | 2)), "{arguments:?}: {status}");
    (started.elapsed(), peak)
}

/// The peak of a process's resident memory in KiB, from what Linux says of it.
pub fn peak_memory(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(Path::new("/proc").join(process).join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
