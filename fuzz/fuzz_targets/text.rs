#![no_main]

// A name that promises nothing: the content says the format, the dialect and the encoding.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quadrat_fuzz::exercise("fuzzed", bytes));
