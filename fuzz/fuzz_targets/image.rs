#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| drop(quadrat_data::images::decode("fuzzed.png", bytes)));
