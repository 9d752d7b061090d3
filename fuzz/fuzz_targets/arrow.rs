#![no_main]

// The first bytes tell a file from a stream.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quadrat_fuzz::exercise("fuzzed.arrow", bytes));
