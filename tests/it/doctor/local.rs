//! What can be wrong here: the file, the backend, the ledger.

use super::{Case, examine, nothing, without_backend};

#[tokio::test]
async fn the_file_the_backend_and_the_ledger() {
    examine(&[
        Case {
            what: "a test that does not hold",
            breaks: nothing,
            edit: |yaml| format!("{yaml}\ntests: [{{ method: GET, path: /, expect: 401 }}]\n"),
            lines: &[("config tests", "FAIL", "do not hold", "tollgate check")],
        },
        Case {
            what: "no backend",
            breaks: nothing,
            edit: without_backend,
            lines: &[("upstream answers", "FAIL", "cannot connect", "upstream.url")],
        },
        Case {
            what: "no folder for the ledger",
            breaks: nothing,
            edit: |yaml| yaml.replace("/ledger.db", "/nowhere/ledger.db"),
            lines: &[("ledger ledger", "FAIL", "cannot be made", "store.url")],
        },
        Case {
            what: "a ledger that is not there yet",
            breaks: nothing,
            edit: |yaml| yaml.replace("/ledger.db", "/later.db"),
            lines: &[],
        },
    ])
    .await;
}
