//! Any text as the config file: no panic, and every mistake has its place in the file.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tollgate::config;

fuzz_target!(|text: &str| {
    // A file of the machine's must not decide what a run finds.
    if text.contains("${file:") {
        return;
    }
    let name = Path::new("tollgate.yaml");
    let environment = |name: &str| name.starts_with('A').then(|| "from-environment".to_owned());
    if let Err(report) = config::parse(name, text, &environment) {
        let report = report.to_string();
        assert!(report.contains("tollgate.yaml"), "{report}");
    }
});
