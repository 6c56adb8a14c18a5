//! `cargo +nightly fuzz run execution`
#![no_main]

#[path = "../../tests/support/fuzz.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::execution(data));
