#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| spanwire_fuzz_targets::password_hash::run(bytes));
