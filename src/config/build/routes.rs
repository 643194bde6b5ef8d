//! `default`, `routes` and `tests`.

use crate::config::raw::Document;
use crate::config::raw::routes::{DefaultAccess, Route as RawRoute};
use crate::config::read::{At, Field, OneOrMany};
use crate::config::report::{Mistake, Mistakes};
use crate::config::test_case::TestCase;
use crate::config::tree::Place;
use crate::config::values::Permission;
use crate::gate;
use crate::policy::{Fallback, Methods, Requirement, Route, Table};

/// The table, and the line of each of its routes.
pub(super) fn routes(document: &Document, mistakes: &mut Mistakes) -> Option<(Table, Vec<usize>)> {
    let fallback = match document.default.value() {
        Some(DefaultAccess::Access(access)) => Fallback::Apply(access.into()),
        Some(DefaultAccess::Deny) | None => Fallback::Deny,
    };
    let raw = document
        .routes
        .get()
        .map(|list| list.items.as_slice())
        .unwrap_or_default();
    let mut routes = Vec::new();
    let mut places = Vec::new();
    for item in raw {
        if !document.stripe.is_absent() {
            not_intercepted(item, mistakes);
        }
        if let Some(route) = route(item, mistakes) {
            routes.push(route);
            places.push(item.path.place().unwrap_or(item.place));
        }
    }
    if document.auth0.is_absent() {
        tokens_without_auth0(document, &routes, &places, &fallback, mistakes);
    }
    let lines = places.iter().map(|place| place.line).collect();
    match Table::build(routes, fallback) {
        Ok(table) => Some((table, lines)),
        Err(conflicts) => {
            for conflict in conflicts {
                let first = places[conflict.first].line;
                let message = format!("{} (line {first})", conflict.kind);
                let help = "give the two different paths or methods, or take one away";
                mistakes.add(Mistake::new(places[conflict.second], message).help(help));
            }
            None
        }
    }
}

fn route(raw: &At<RawRoute>, mistakes: &mut Mistakes) -> Option<Route> {
    let requirement = requirement(raw, mistakes);
    let methods = match raw.methods.optional().ok()? {
        None => Methods::All,
        Some(list) => Methods::List(list.0.values().cloned().collect()),
    };
    Some(Route {
        pattern: raw.path.value()?,
        methods,
        requirement: requirement?,
    })
}

fn requirement(raw: &At<RawRoute>, mistakes: &mut Mistakes) -> Option<Requirement> {
    let given = [
        !raw.access.is_absent(),
        !raw.permissions.is_absent(),
        !raw.any_permission.is_absent(),
    ];
    let help = "write exactly one of `access: public | optional | authenticated`, `permissions: […]` (all of them) \
                and `any_permission: […]` (one of them)";
    match given.iter().filter(|given| **given).count() {
        0 => {
            return mistakes
                .none(Mistake::new(raw.place, "this route does not say what it needs").help(help));
        }
        1 => {}
        _ => {
            return mistakes.none(
                Mistake::new(raw.place, "this route says in two ways what it needs").help(help),
            );
        }
    }
    match (raw.access.value(), &raw.permissions, &raw.any_permission) {
        (Some(access), _, _) => Some(access.into()),
        (None, Field::Given(all), _) => Some(Requirement::AllOf(names(all))),
        (None, _, Field::Given(any)) => Some(Requirement::AnyOf(names(any))),
        (None, _, _) => None,
    }
}

fn names(list: &OneOrMany<Permission>) -> Vec<String> {
    list.0
        .values()
        .map(|permission| permission.0.clone())
        .collect()
}

/// Reports a route that Tollgate's own endpoints hide. A wildcard that merely includes one is fine.
fn not_intercepted(raw: &RawRoute, mistakes: &mut Mistakes) {
    let Some(path) = raw.path.get().filter(|path| gate::hides(path.as_str())) else {
        return;
    };
    let message = format!(
        "`{}` is answered by Tollgate itself, since the file has a `stripe` section",
        path.value
    );
    mistakes.add(
        Mistake::new(path.place, message).help("take this route away: it would never be reached"),
    );
}

/// Reports, once, that tokens are needed and nothing says whose.
fn tokens_without_auth0(
    document: &Document,
    routes: &[Route],
    places: &[Place],
    fallback: &Fallback,
    mistakes: &mut Mistakes,
) {
    let needing = routes
        .iter()
        .zip(places)
        .filter(|(route, _)| route.requirement != Requirement::Public);
    let by_default = !matches!(
        fallback,
        Fallback::Deny | Fallback::Apply(Requirement::Public)
    );
    let default = document.default.place().filter(|_| by_default);
    let places: Vec<Place> = needing.map(|(_, place)| *place).chain(default).collect();
    let Some(first) = places.first() else { return };
    let more = match places.len() {
        1 => String::new(),
        count => format!(", and so do {} more", count - 1),
    };
    let message = format!("this needs access tokens{more}, but the file has no `auth0` section");
    let help =
        "add `auth0: { domain: tenant.eu.auth0.com, audience: … }`, or write `access: public`";
    mistakes.add(Mistake::new(*first, message).help(help));
}

pub(super) fn tests(document: &Document) -> Option<Vec<TestCase>> {
    let tests = document.tests.get()?.items.iter().map(|raw| {
        let permissions = raw.permissions.optional().ok()?;
        Some(TestCase {
            line: raw.place.line,
            method: raw.method.value()?,
            path: raw.path.value()?,
            permissions: permissions.map(|list| list.values().map(|name| name.0.clone()).collect()),
            expect: raw.expect.value()?,
        })
    });
    tests.collect()
}
