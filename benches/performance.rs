//! What the program costs: calls to AWS and their depth, time, memory. Prints the tables of docs/performance.md.
//!
//!     cargo bench                       # all
//!     cargo bench -- calls services     # some
//!
//! Time in the simulated AWS is virtual, 50 ms a call; time "on the wall" is this machine's.

#[path = "../tests/support/account.rs"]
#[allow(dead_code, reason = "written for the tests too")]
mod account;
mod beside_boto3;
mod deploy;
mod layers;
#[path = "../tests/support/live.rs"]
#[allow(dead_code, reason = "written for the tests too")]
mod live;
#[path = "../tests/support/moto.rs"]
#[allow(dead_code, reason = "written for the tests too")]
mod moto;
mod process;
mod services;
mod sweep;

type Section = (&'static str, fn());

const SECTIONS: &[Section] = &[
    ("calls", deploy::calls),
    ("boto3", beside_boto3::measure),
    ("process", process::measure),
    ("layers", layers::measure),
    ("sweep", sweep::measure),
    ("services", services::measure),
    ("waiting", services::waiting),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if let [child, count] = &arguments[..]
        && child == services::CHILD
    {
        return services::child(count.parse().expect("a number"));
    }
    if let Some(unknown) = arguments.iter().find(|name| SECTIONS.iter().all(|(known, _)| known != name)) {
        let known: Vec<&str> = SECTIONS.iter().map(|(name, _)| *name).collect();
        eprintln!("there is no section {unknown}; there are {}", known.join(", "));
        std::process::exit(2);
    }
    for (name, measure) in SECTIONS {
        if arguments.is_empty() || arguments.iter().any(|wanted| wanted == name) {
            println!("\n## {name}");
            measure();
        }
    }
}

/// The middle one of an odd number of measurements.
fn median<T: Ord + Copy>(mut all: Vec<T>) -> T {
    all.sort();
    all[all.len() / 2]
}
