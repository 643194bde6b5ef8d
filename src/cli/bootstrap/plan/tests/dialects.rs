//! What puts permissions into access tokens.

use super::*;

#[test]
fn a_dialect_keeps_its_kind() {
    for (dialect, expected) in [
        (Some("access_token"), Some("access_token_authz")),
        (Some("rfc9068_profile"), Some("rfc9068_profile_authz")),
        (Some("rfc9068_profile_authz"), None),
    ] {
        let mut present = whole();
        present.apis[0].1 = api(&["read", "write", "rule"], true, dialect);
        let changes = difference(&wanted(), &present);
        let expected = expected.map(|dialect| Change::ExtendApi {
            identifier: "api".into(),
            add: Vec::new(),
            rbac: false,
            dialect: Some(dialect.into()),
        });
        assert_eq!(changes, Vec::from_iter(expected), "{dialect:?}");
    }
}

#[test]
fn a_dialect_that_is_never_told_is_set_once_along_with_the_rest() {
    let dialect = |scopes: &[&str], rbac| {
        let mut present = whole();
        present.apis[0].1 = api(scopes, rbac, None);
        match difference(&wanted(), &present).as_slice() {
            [] => None,
            [Change::ExtendApi { dialect, .. }] => dialect.clone(),
            other => panic!("{other:?}"),
        }
    };
    let all = ["read", "write", "rule"];
    let set = Some("access_token_authz".to_owned());
    assert_eq!(dialect(&all, false), set);
    assert_eq!(dialect(&all[1..], true), set);
    assert_eq!(dialect(&all, true), None);
}
