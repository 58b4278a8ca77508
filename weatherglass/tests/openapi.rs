//! The api's document is committed beside the dashboard, whose types are generated from it.

use std::path::Path;
use std::process::Command;

#[test]
fn the_committed_document_is_what_the_binary_says() {
    let output = Command::new(env!("CARGO_BIN_EXE_weatherglass")).arg("openapi").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("web/openapi.json");
    let committed = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}: run `make types`", path.display()));
    // Not assert_eq: a thousand lines twice would bury what to do.
    assert!(output.stdout == committed, "web/openapi.json is not what the api says now: run `make types`");
}
