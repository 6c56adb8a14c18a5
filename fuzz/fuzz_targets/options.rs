//! `cargo +nightly fuzz run options`
#![no_main]

#[path = "../../tests/support/fuzz.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::options(data));
