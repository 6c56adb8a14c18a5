//! The modules inside the binary: `import "stdlib/network" as network;`.

use crate::script::Stdlib;

/// The files of the folder `stdlib/`, by the name they are imported with.
pub const MODULES: Stdlib = &[];
