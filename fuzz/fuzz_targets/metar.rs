#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weatherglass_fuzz::dialect("metar", bytes));
