//! The Rhai host.
//!
//! `facts` asserts what we rely on in Rhai itself: an upgrade that changes one of these facts fails
//! here, by name. The other modules test the host built on them.

mod closures;
mod diagnostics;
mod facts;
mod fuzz_smoke;
mod hosting;
mod imports;
mod runs;
mod support;
