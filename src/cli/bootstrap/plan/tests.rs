mod dialects;

use proptest::prelude::*;

use super::*;
use crate::entitlement;

const URL: &str = "https://app.example.test/stripe/webhook";
const EVENTS: &[&str] = &["a", "b", "c"];

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn wanted() -> Wanted {
    Wanted {
        apis: words(&["api"]),
        permissions: words(&["read", "write", "rule"]),
        unnamed: Vec::new(),
        plans: Vec::new(),
        roles: vec![
            entitlement::Role {
                name: "user".into(),
                permissions: words(&["read"]),
            },
            entitlement::Role {
                name: "admin".into(),
                permissions: words(&["read", "rule"]),
            },
        ],
        webhook: Some(Webhook {
            url: URL.into(),
            is_guessed: false,
            events: EVENTS,
            needed: EVENTS,
        }),
    }
}

fn permission(name: &str) -> Permission {
    Permission {
        resource_server: "api".into(),
        name: name.into(),
    }
}

fn api(scopes: &[&str], enforce_policies: bool, dialect: Option<&str>) -> Api {
    Api::There(ResourceServer {
        id: "1".into(),
        identifier: "api".into(),
        scopes: scopes.iter().map(|name| (name.to_string(), None)).collect(),
        enforce_policies,
        token_dialect: dialect.map(str::to_owned),
        signing_alg: None,
        token_lifetime: None,
    })
}

fn role(name: &str, permissions: &[&str]) -> PresentRole {
    PresentRole {
        role: Role {
            id: format!("rol_{name}"),
            name: name.into(),
        },
        permissions: Some(permissions.iter().map(|name| permission(name)).collect()),
    }
}

fn endpoint(id: &str, url: &str, events: &[&str], enabled: bool) -> WebhookEndpoint {
    WebhookEndpoint {
        id: id.into(),
        url: url.into(),
        events: words(events),
        api_version: None,
        enabled,
        live: None,
    }
}

fn whole() -> Present {
    Present {
        apis: vec![(
            "api".into(),
            api(
                &["more", "rule", "write", "read"],
                true,
                Some("access_token_authz"),
            ),
        )],
        roles: Some(vec![
            role("admin", &["more", "rule", "read"]),
            role("user", &["read"]),
        ]),
        endpoints: Some(vec![endpoint("we_1", URL, &["*"], true)]),
    }
}

#[test]
fn nothing_is_to_be_done_where_all_is_there_and_more() {
    assert_eq!(difference(&wanted(), &whole()), []);
}

#[test]
fn everything_is_made_where_nothing_is_there() {
    let empty = Present {
        apis: vec![("api".into(), Api::Missing)],
        roles: Some(Vec::new()),
        endpoints: Some(Vec::new()),
    };
    let made = difference(&wanted(), &empty);
    assert_eq!(
        made,
        [
            Change::MakeApi {
                identifier: "api".into(),
                permissions: words(&["read", "write", "rule"])
            },
            Change::MakeRole {
                name: "user".into()
            },
            Change::Permit {
                role: "user".into(),
                add: vec![permission("read")]
            },
            Change::MakeRole {
                name: "admin".into()
            },
            Change::Permit {
                role: "admin".into(),
                add: vec![permission("read"), permission("rule")]
            },
            Change::MakeEndpoint {
                url: URL.into(),
                events: words(EVENTS)
            },
        ]
    );
}

#[test]
fn what_cannot_be_seen_is_not_touched() {
    let unseen = Present {
        apis: vec![("api".into(), Api::Unseen)],
        roles: None,
        endpoints: None,
    };
    assert_eq!(difference(&wanted(), &unseen), []);
    let mut partly = whole();
    partly.roles = Some(vec![PresentRole {
        permissions: None,
        ..role("user", &[])
    }]);
    let changes = difference(&wanted(), &partly);
    assert_eq!(
        changes[0],
        Change::MakeRole {
            name: "admin".into()
        }
    );
    assert_eq!(changes.len(), 2);
}

#[test]
fn of_several_endpoints_that_lead_here_the_best_one_is_completed() {
    for (endpoints, expected) in [
        (
            vec![("we_1", &["a"][..], true), ("we_2", &["a", "b"], true)],
            Some(("we_2", &["c"][..], false)),
        ),
        (
            vec![("we_1", &["a", "b", "c"], false), ("we_2", &["a"], true)],
            Some(("we_2", &["b", "c"], false)),
        ),
        (
            vec![("we_1", &[], false), ("we_2", &["c", "b", "a", "z"], true)],
            None,
        ),
        (vec![("we_1", &["*"], false)], Some(("we_1", &[], true))),
    ] {
        let there = endpoints
            .iter()
            .map(|(id, events, on)| endpoint(id, URL, events, *on));
        let mut present = whole();
        present.endpoints = Some(there.collect());
        let expected = expected.map(|(id, add, enable)| Change::ExtendEndpoint {
            id: id.into(),
            url: URL.into(),
            add: words(add),
            enable,
        });
        assert_eq!(difference(&wanted(), &present), Vec::from_iter(expected));
    }
}

/// What each change does.
fn apply(present: &mut Present, change: &Change) {
    match change.clone() {
        Change::MakeApi {
            identifier,
            permissions,
        } => {
            let scopes: Vec<&str> = permissions.iter().map(String::as_str).collect();
            let there = present
                .apis
                .iter_mut()
                .find(|(name, _)| *name == identifier);
            there.unwrap().1 = api(&scopes, true, Some("access_token_authz"));
        }
        Change::ExtendApi {
            identifier,
            add,
            rbac,
            dialect,
        } => {
            let there = present
                .apis
                .iter_mut()
                .find(|(name, _)| *name == identifier);
            let Api::There(api) = &mut there.unwrap().1 else {
                unreachable!()
            };
            api.scopes.extend(add.into_iter().map(|name| (name, None)));
            api.enforce_policies |= rbac;
            api.token_dialect = dialect.or(api.token_dialect.take());
        }
        Change::MakeRole { name } => present.roles.as_mut().unwrap().push(role(&name, &[])),
        Change::Permit { role, add } => {
            let roles = present.roles.as_mut().unwrap();
            let there = roles
                .iter_mut()
                .find(|there| there.role.name == role)
                .unwrap();
            there.permissions.as_mut().unwrap().extend(add);
        }
        Change::MakeEndpoint { url, events } => {
            let events: Vec<&str> = events.iter().map(String::as_str).collect();
            present
                .endpoints
                .as_mut()
                .unwrap()
                .push(endpoint("we_new", &url, &events, true));
        }
        Change::ExtendEndpoint {
            id, add, enable, ..
        } => {
            let endpoints = present.endpoints.as_mut().unwrap();
            let there = endpoints.iter_mut().find(|there| there.id == id).unwrap();
            there.events.extend(add);
            there.enabled |= enable;
        }
    }
}

/// Everything that is there, one line each; a dialect that changes only gains permissions.
fn facts(present: &Present) -> Vec<String> {
    let mut facts = Vec::new();
    for (name, state) in &present.apis {
        if let Api::There(api) = state {
            facts.extend(
                api.scopes
                    .iter()
                    .map(|(scope, _)| format!("{name} scope {scope}")),
            );
            facts.push(format!("{name} {}", api.id));
            if api.enforce_policies {
                facts.push(format!("{name} rbac"));
            }
        }
    }
    for there in present.roles.iter().flatten() {
        facts.push(format!("role {:?}", there.role));
        let permitted = there.permissions.iter().flatten();
        facts.extend(permitted.map(|one| format!("{} permits {one:?}", there.role.name)));
    }
    for there in present.endpoints.iter().flatten() {
        facts.push(format!("endpoint {} {}", there.id, there.url));
        facts.extend(
            there
                .events
                .iter()
                .map(|event| format!("{} sends {event}", there.id)),
        );
        if there.enabled {
            facts.push(format!("{} on", there.id));
        }
    }
    facts
}

fn some(of: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(of, 0..=of.len())
}

const SCOPES: &[&str] = &["read", "write", "rule", "more"];

fn apis() -> impl Strategy<Value = Api> {
    let dialects = [
        None,
        Some("access_token"),
        Some("access_token_authz"),
        Some("rfc9068_profile"),
        Some("rfc9068_profile_authz"),
    ];
    prop_oneof![
        1 => Just(Api::Missing),
        1 => Just(Api::Unseen),
        6 => (some(SCOPES), any::<bool>(), proptest::sample::select(dialects.to_vec()))
            .prop_map(|(scopes, rbac, dialect)| api(&scopes, rbac, dialect)),
    ]
}

fn present() -> impl Strategy<Value = Present> {
    let names = some(&["user", "admin", "other"]);
    let roles = (
        names,
        proptest::collection::vec(proptest::option::of(some(SCOPES)), 3),
    );
    let roles = roles.prop_map(|(names, permitted)| {
        let there = names
            .iter()
            .zip(permitted)
            .map(|(name, permitted)| PresentRole {
                permissions: permitted
                    .map(|list| list.iter().map(|name| permission(name)).collect()),
                ..role(name, &[])
            });
        there.collect()
    });
    let urls = proptest::sample::select(vec![
        URL,
        "https://APP.example.test:443/stripe/webhook",
        "https://other.test/",
    ]);
    let endpoints = proptest::collection::vec(
        (urls, some(&["a", "b", "c", "z", "*"]), any::<bool>()),
        0..4,
    );
    let endpoints = endpoints.prop_map(|list| {
        let there = list.into_iter().enumerate();
        let there =
            there.map(|(at, (url, events, on))| endpoint(&format!("we_{at}"), url, &events, on));
        there.collect()
    });
    (
        apis(),
        proptest::option::weighted(0.9, roles),
        proptest::option::weighted(0.9, endpoints),
    )
        .prop_map(|(api, roles, endpoints)| Present {
            apis: vec![("api".into(), api)],
            roles,
            endpoints,
        })
}

proptest! {
    #[test]
    fn what_is_done_leaves_nothing_to_do_and_takes_nothing_away(before in present()) {
        let wanted = wanted();
        let mut after = before.clone();
        for change in difference(&wanted, &before) {
            apply(&mut after, &change);
        }
        prop_assert_eq!(difference(&wanted, &after), vec![]);
        let left = facts(&after);
        for fact in facts(&before) {
            prop_assert!(left.contains(&fact), "{} is gone", fact);
        }
    }

    #[test]
    fn no_change_is_empty(before in present()) {
        for change in difference(&wanted(), &before) {
            let does_something = match &change {
                Change::MakeApi { .. } | Change::MakeRole { .. } => true,
                Change::ExtendApi { add, rbac, dialect, .. } => !add.is_empty() || *rbac || dialect.is_some(),
                Change::Permit { add, .. } => !add.is_empty(),
                Change::MakeEndpoint { events, .. } => !events.is_empty(),
                Change::ExtendEndpoint { add, enable, .. } => !add.is_empty() || *enable,
            };
            prop_assert!(does_something, "{:?}", change);
        }
    }
}
