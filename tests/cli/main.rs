//! The command line as a user sees it: stdout, stderr and exit code.

mod check;
#[path = "../support/chromium.rs"]
mod chromium;
#[path = "../support/control_plane.rs"]
mod control_plane;
mod exit_codes;
mod faults;
#[path = "../support/forge.rs"]
mod forge;
mod healthcheck;
mod help;
mod html;
#[path = "../support/instances.rs"]
mod instances;
mod judges;
#[path = "../support/load.rs"]
mod load;
#[expect(dead_code, reason = "of moto's own environment, these tests use the interpreter")]
#[path = "../support/moto.rs"]
mod moto;
mod planning;
mod policy;
#[path = "../support/project.rs"]
mod project;
mod pull_request;
mod reference;
mod resume;
#[path = "../support/reverse_proxy.rs"]
mod reverse_proxy;
mod rules;
mod runbooks;
#[path = "../support/same.rs"]
mod same;
mod settings;
mod sockets;
mod systems;
mod usage;
mod wrong;

// The samples in `src/` call it by the same name.
use runner::plan;
