#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| spanwire_fuzz_targets::topic_pattern::run(bytes));
