//! The route table: the path decides first, then the method.
//!
//! Routes stand in a tree, one level a segment. At each level a literal is tried before `{param}`, and that
//! before `{*rest}`; what comes first and fits to the end wins. Letter case and a trailing slash do not count,
//! because some backends ignore them: they must never lead to a weaker rule.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use http::Method;

use super::path::NormalPath;
use super::pattern::{Pattern, Segment, folded, same_letters};

/// What a route asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Nothing; a token is not even read.
    Public,
    /// Nothing; a token that verifies is passed on as an identity.
    Optional,
    /// A token that verifies.
    Authenticated,
    /// A token that holds all of these permissions.
    AllOf(Vec<String>),
    /// A token that holds one of these permissions.
    AnyOf(Vec<String>),
}

/// The methods a route covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Methods {
    /// Every one.
    All,
    /// These; `HEAD` follows `GET`.
    List(Vec<Method>),
}

/// One entry of the route table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Which paths.
    pub pattern: Pattern,
    /// Which methods.
    pub methods: Methods,
    /// What it asks for.
    pub requirement: Requirement,
}

/// What holds for a path that no route names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// 403, with or without a token.
    Deny,
    /// This requirement.
    Apply(Requirement),
}

/// Two routes of which neither is more specific.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Index of the earlier route.
    pub first: usize,
    /// Index of the later route.
    pub second: usize,
    /// What the two share.
    pub kind: ConflictKind,
}

/// What two conflicting routes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConflictKind {
    /// The same paths and a common method.
    #[error(
        "the same paths and methods are named by an earlier route, so this one would never be reached"
    )]
    Same,
    /// Paths that differ in the names of parameters only.
    #[error(
        "an earlier route names the same paths and methods with other parameter names, so neither is more specific"
    )]
    Tie,
    /// Paths that differ in letter case or a trailing slash only.
    #[error(
        "an earlier route differs only in letter case or a trailing slash, which some backends ignore: give both one path"
    )]
    Spelling,
}

/// What the table says about a request.
#[derive(Clone, Copy, Debug)]
pub enum Found<'a> {
    /// This route.
    Route {
        /// Its index in [`Table::routes`].
        index: usize,
        /// What it asks for.
        requirement: &'a Requirement,
    },
    /// The path is named, the method is not.
    MethodNotAllowed {
        /// Value of `Allow`.
        allow: &'a str,
        /// Index in [`Table::routes`] of the first route that names the path.
        index: usize,
    },
    /// No route names the path.
    Fallback(&'a Fallback),
}

/// All routes and the default.
#[derive(Clone, Debug)]
pub struct Table {
    routes: Vec<Route>,
    fallback: Fallback,
    root: Node,
}

#[derive(Clone, Debug, Default)]
struct Node {
    literals: Vec<(String, Node)>,
    param: Option<Box<Node>>,
    /// Routes that end here.
    here: Option<Group>,
    /// Routes whose `{*rest}` starts here.
    rest: Option<Group>,
}

/// Routes of one shape; they differ in their methods.
#[derive(Clone, Debug, Default)]
struct Group {
    routes: Vec<usize>,
    allow: String,
}

impl Table {
    /// Builds the table.
    ///
    /// # Errors
    ///
    /// Every pair of routes that could tie.
    pub fn build(routes: Vec<Route>, fallback: Fallback) -> Result<Self, Vec<Conflict>> {
        let mut root = Node::default();
        let mut conflicts = Vec::new();
        for (index, route) in routes.iter().enumerate() {
            let group = root.group(route.pattern.segments());
            conflicts.extend(
                group
                    .routes
                    .iter()
                    .filter_map(|&first| conflict(&routes, first, index)),
            );
            group.routes.push(index);
        }
        root.fill_allow(&routes);
        if conflicts.is_empty() {
            Ok(Self {
                routes,
                fallback,
                root,
            })
        } else {
            Err(conflicts)
        }
    }

    /// The routes, in the order they were given.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// What holds for a path that no route names.
    #[must_use]
    pub fn fallback(&self) -> &Fallback {
        &self.fallback
    }

    /// The route for `path` and `method`.
    #[must_use]
    pub fn find(&self, path: &NormalPath<'_>, method: &Method) -> Found<'_> {
        // Paths of a few segments stay on the stack of this one allocation.
        let segments: Vec<Cow<'_, str>> = path.segments().collect();
        let Some(group) = self.root.find(&segments) else {
            return Found::Fallback(&self.fallback);
        };
        let covers = |&&index: &&usize| self.routes[index].methods.cover(method);
        match group.routes.iter().find(covers) {
            Some(&index) => Found::Route {
                index,
                requirement: &self.routes[index].requirement,
            },
            None => Found::MethodNotAllowed {
                allow: &group.allow,
                index: group.routes[0],
            },
        }
    }
}

fn conflict(routes: &[Route], first: usize, second: usize) -> Option<Conflict> {
    let (a, b) = (&routes[first], &routes[second]);
    let kind = if a.pattern.as_str() == b.pattern.as_str() {
        ConflictKind::Same
    } else if a
        .pattern
        .segments()
        .iter()
        .any(|s| matches!(s, Segment::Literal(_)))
        && folded(a.pattern.as_str().trim_end_matches('/'))
            .eq(folded(b.pattern.as_str().trim_end_matches('/')))
    {
        ConflictKind::Spelling
    } else {
        ConflictKind::Tie
    };
    a.methods.overlap(&b.methods).then_some(Conflict {
        first,
        second,
        kind,
    })
}

impl Node {
    fn group(&mut self, segments: &[Segment]) -> &mut Group {
        match segments {
            [] => self.here.get_or_insert_default(),
            [Segment::Rest, ..] => self.rest.get_or_insert_default(),
            [Segment::Param, rest @ ..] => self.param.get_or_insert_default().group(rest),
            [Segment::Literal(text), rest @ ..] => {
                let at = self
                    .literals
                    .iter()
                    .position(|(literal, _)| literal == text)
                    .unwrap_or_else(|| {
                        self.literals.push((text.clone(), Node::default()));
                        self.literals.len() - 1
                    });
                self.literals[at].1.group(rest)
            }
        }
    }

    fn fill_allow(&mut self, routes: &[Route]) {
        for group in self.here.iter_mut().chain(&mut self.rest) {
            group.allow = allow(group.routes.iter().map(|&index| &routes[index].methods));
        }
        for node in self
            .literals
            .iter_mut()
            .map(|(_, node)| node)
            .chain(self.param.as_deref_mut())
        {
            node.fill_allow(routes);
        }
    }

    /// Each node is visited once at most, so a look-up costs no more than the table has nodes.
    fn find(&self, segments: &[Cow<'_, str>]) -> Option<&Group> {
        let Some((segment, rest)) = segments.split_first() else {
            return self.here.as_ref().or(self.rest.as_ref());
        };
        self.literals
            .iter()
            .find(|(literal, _)| same_letters(literal, segment))
            .and_then(|(_, node)| node.find(rest))
            .or_else(|| self.param.as_ref().and_then(|node| node.find(rest)))
            .or(self.rest.as_ref())
    }
}

/// Value of `Allow` (RFC 9110, section 10.2.1) for routes of one shape.
fn allow<'a>(methods: impl Iterator<Item = &'a Methods>) -> String {
    let mut names = BTreeSet::new();
    for methods in methods {
        if let Methods::List(list) = methods {
            names.extend(list.iter().map(Method::as_str));
        }
    }
    if names.contains("GET") {
        names.insert("HEAD");
    }
    names.into_iter().collect::<Vec<_>>().join(", ")
}

impl Methods {
    /// Whether `method` is one of these.
    #[must_use]
    pub fn cover(&self, method: &Method) -> bool {
        match self {
            Self::All => true,
            Self::List(list) => {
                list.contains(method) || (method == Method::HEAD && list.contains(&Method::GET))
            }
        }
    }

    fn overlap(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::List(a), Self::List(b)) => {
                a.iter().any(|m| other.cover(m)) || b.iter().any(|m| self.cover(m))
            }
            (Self::All, _) | (_, Self::All) => true,
        }
    }
}

impl Requirement {
    /// Whether the request's token has to be looked at.
    #[must_use]
    pub fn reads_token(&self) -> bool {
        *self != Self::Public
    }

    /// Whether a request without a valid token is refused.
    #[must_use]
    pub fn needs_token(&self) -> bool {
        match self {
            Self::Public | Self::Optional => false,
            Self::Authenticated | Self::AllOf(_) | Self::AnyOf(_) => true,
        }
    }
}

impl Found<'_> {
    /// The requirement that applies, where one does.
    #[must_use]
    pub fn requirement(&self) -> Option<&Requirement> {
        match *self {
            Self::Route { requirement, .. } | Self::Fallback(Fallback::Apply(requirement)) => {
                Some(requirement)
            }
            Self::MethodNotAllowed { .. } | Self::Fallback(Fallback::Deny) => None,
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("public"),
            Self::Optional => f.write_str("optional"),
            Self::Authenticated => f.write_str("authenticated"),
            Self::AllOf(names) => write!(f, "permissions: [{}]", names.join(", ")),
            Self::AnyOf(names) => write!(f, "any_permission: [{}]", names.join(", ")),
        }
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::List(list) => f.write_str(
                &list
                    .iter()
                    .map(Method::as_str)
                    .collect::<Vec<_>>()
                    .join(","),
            ),
        }
    }
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deny => f.write_str("deny"),
            Self::Apply(requirement) => requirement.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::path::PathRules;
    use super::*;
    use proptest::prelude::*;

    fn route(pattern: &str, methods: &[Method]) -> Route {
        let methods = if methods.is_empty() {
            Methods::All
        } else {
            Methods::List(methods.to_vec())
        };
        Route {
            pattern: Pattern::parse(pattern).unwrap(),
            methods,
            requirement: Requirement::Authenticated,
        }
    }

    fn table(patterns: &[&str]) -> Table {
        Table::build(
            patterns.iter().map(|p| route(p, &[])).collect(),
            Fallback::Deny,
        )
        .unwrap()
    }

    fn winner<'a>(table: &'a Table, path: &str) -> Option<&'a str> {
        let path = NormalPath::parse(path, &PathRules::default()).unwrap();
        match table.find(&path, &Method::GET) {
            Found::Route { index, .. } => Some(table.routes()[index].pattern.as_str()),
            Found::MethodNotAllowed { .. } | Found::Fallback(_) => None,
        }
    }

    #[test]
    fn literal_wins_over_param_and_that_over_rest() {
        let table = table(&[
            "/{*rest}",
            "/{a}",
            "/x",
            "/x/{b}",
            "/x/y",
            "/{a}/y/z",
            "/x/{*rest}",
        ]);
        for (path, pattern) in [
            ("/", "/{*rest}"),
            ("/x", "/x"),
            ("/q", "/{a}"),
            ("/x/y", "/x/y"),
            ("/x/q", "/x/{b}"),
            ("/x/q/r", "/x/{*rest}"),
            ("/x/y/z", "/x/{*rest}"),
            ("/q/y/z", "/{a}/y/z"),
            ("/q/r/s", "/{*rest}"),
        ] {
            assert_eq!(winner(&table, path), Some(pattern), "{path}");
        }
    }

    #[test]
    fn letter_case_and_a_trailing_slash_never_make_a_path_less_guarded() {
        let table = table(&[
            "/pub/{*rest}",
            "/pub/secret",
            "/admin/{id}/edit",
            "/{*rest}",
        ]);
        for path in ["/pub/secret", "/pub/Secret", "/PUB/SECRET/", "/pub/secret/"] {
            assert_eq!(winner(&table, path), Some("/pub/secret"), "{path}");
        }
        assert_eq!(winner(&table, "/Admin/7/EDIT/"), Some("/admin/{id}/edit"));
    }

    #[test]
    fn a_named_path_with_an_unnamed_method_does_not_fall_through() {
        let table = Table::build(
            vec![
                route("/a", &[Method::GET]),
                route("/a", &[Method::PUT]),
                route("/{*rest}", &[]),
            ],
            Fallback::Apply(Requirement::Public),
        )
        .unwrap();
        let path = NormalPath::parse("/a", &PathRules::default()).unwrap();
        assert!(matches!(
            table.find(&path, &Method::PUT),
            Found::Route { index: 1, .. }
        ));
        assert!(matches!(
            table.find(&path, &Method::HEAD),
            Found::Route { index: 0, .. }
        ));
        let Found::MethodNotAllowed { allow, .. } = table.find(&path, &Method::POST) else {
            panic!()
        };
        assert_eq!(allow, "GET, HEAD, PUT");
    }

    #[test]
    fn routes_that_could_tie_are_conflicts() {
        let kind = |a: Route, b: Route| {
            Table::build(vec![a, b], Fallback::Deny)
                .map(drop)
                .map_err(|c| c[0].kind)
        };
        let get = &[Method::GET];
        assert_eq!(
            kind(route("/a/{x}", get), route("/a/{y}", get)),
            Err(ConflictKind::Tie)
        );
        assert_eq!(
            kind(route("/a", get), route("/a", &[])),
            Err(ConflictKind::Same)
        );
        assert_eq!(
            kind(route("/a", get), route("/A/", get)),
            Err(ConflictKind::Spelling)
        );
        assert_eq!(
            kind(route("/a", get), route("/a", &[Method::HEAD])),
            Err(ConflictKind::Same)
        );
        assert_eq!(kind(route("/a", get), route("/a", &[Method::POST])), Ok(()));
        assert_eq!(kind(route("/a/{x}", get), route("/a/{*x}", get)), Ok(()));
    }

    /// How much a pattern says about each segment of a path: the order of the design, written the slow way.
    fn rank(pattern: &Pattern) -> Vec<u8> {
        let mut rank: Vec<u8> = pattern
            .segments()
            .iter()
            .map(|s| match s {
                Segment::Literal(_) => 3,
                Segment::Param => 2,
                Segment::Rest => 0,
            })
            .collect();
        // A path that ends says more than one that may go on.
        rank.push(1);
        rank
    }

    proptest! {
        #[test]
        fn the_most_specific_route_that_fits_wins(
            patterns in prop::collection::btree_set(prop::collection::vec(prop::sample::select(vec!["a", "b", "{p}"]), 0..4), 1..8),
            rests in prop::collection::btree_set(prop::collection::vec(prop::sample::select(vec!["a", "b", "{p}"]), 0..3), 0..4),
            path in prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "A"]), 0..5),
        ) {
            let number = |parts: &[&str]| parts.iter().enumerate().map(|(i, p)| p.replace("{p}", &format!("{{p{i}}}"))).collect::<Vec<_>>().join("/");
            let mut texts: Vec<String> = patterns.iter().map(|p| format!("/{}", number(p))).collect();
            texts.extend(rests.iter().map(|p| format!("/{}", number(&[p.as_slice(), &["{*rest}"]].concat()))));
            let table = table(&texts.iter().map(String::as_str).collect::<Vec<_>>());
            let path = format!("/{}", path.join("/"));
            let normal = NormalPath::parse(&path, &PathRules::default()).unwrap();
            let expected = table.routes().iter().filter(|r| r.pattern.matches(&normal)).max_by_key(|r| rank(&r.pattern)).map(|r| r.pattern.as_str());
            prop_assert_eq!(winner(&table, &path), expected);
        }
    }
}
