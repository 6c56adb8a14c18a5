//! `cargo +nightly fuzz run script`
#![no_main]

#[path = "../../tests/support/fuzz.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::script(data));
