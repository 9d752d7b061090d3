#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| drop(quadrat_data::series::SeriesSet::read_ts("fuzzed.ts", bytes)));
