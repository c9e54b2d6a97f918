//! Every text of the window, of its desktop entry and of what the library says is in `po/`, and every language there has
//! all of them.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as expected"
)]

use std::process::Command;

#[test]
fn no_text_lacks_its_translation() {
    let done = Command::new("python3")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["tools/strings.py", "--check"])
        .output()
        .unwrap();
    let missing = String::from_utf8_lossy(&done.stdout);
    let broken = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success() && missing.is_empty(),
        "{missing}{broken}run `make strings`, and fill in what po/ lacks"
    );
}
