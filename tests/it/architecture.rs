//! The shape of the sources: who may use whom, and how long things may get.

use std::fs;
use std::path::{Path, PathBuf};

/// The layers, the lowest first. A module uses lower layers and never a neighbour; only the first layer's own modules
/// may use each other.
const LAYERS: [&[&str]; 8] = [
    &[
        "types",
        "clock",
        "reply",
        "telemetry",
        "stop",
        "together",
        "cause",
    ],
    &["policy", "entitlement"],
    &["auth", "proxy", "server", "store", "stripe", "auth0"],
    &["endpoints", "sync"],
    &["gate", "admin"],
    &["config"],
    &["app"],
    &["cli"],
];

/// Lines of a file without its tests.
const MAX_FILE: usize = 400;
/// Lines of a function, its signature and braces included.
const MAX_FUNCTION: usize = 60;
/// Longer, because it is one match with an arm for each refusal, and that is to stay in one place.
const ONE_MATCH: (&str, &str) = ("gate/refusal.rs", "into_problem");

/// One file of `src/`.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// `src/gate/client.rs` belongs to `gate`.
    fn module(&self) -> &str {
        let first = self.path.iter().next().and_then(|name| name.to_str());
        first.map_or("", |name| name.trim_end_matches(".rs"))
    }

    /// How many `super` lead from this file to the root.
    fn depth(&self) -> usize {
        self.path.iter().count()
    }

    /// The lines before the tests.
    fn code(&self) -> Vec<&str> {
        let lines = self.text.lines();
        lines.take_while(|line| *line != "#[cfg(test)]").collect()
    }

    /// The text without its comments.
    fn without_comments(&self) -> String {
        let lines = self.text.lines();
        let code = lines.filter(|line| !line.trim_start().starts_with("//"));
        code.flat_map(|line| [line, "\n"]).collect()
    }

    /// The top modules that it names after `crate::`.
    fn uses(&self) -> Vec<String> {
        let text = self.without_comments();
        let mut found = Vec::new();
        for (at, prefix) in text.match_indices("crate::") {
            let after = &text[at + prefix.len()..];
            match after.strip_prefix('{') {
                Some(group) => found.extend(members(group)),
                None => found.push(identifier(after).to_owned()),
            }
        }
        found
    }

    /// Each function's name and how many lines it has.
    fn functions(&self) -> Vec<(String, usize)> {
        let lines = self.code();
        let starts = lines.iter().enumerate().filter_map(|(at, line)| {
            let name = declared_function(line)?;
            Some((at, name))
        });
        starts
            .filter_map(|(at, name)| Some((name.to_owned(), length(&lines[at..])?)))
            .collect()
    }
}

/// The first names of what stands in `{…}`, whose opening brace is gone.
fn members(group: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let mut names = Vec::new();
    let mut expected = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expected = true,
            c if expected && !c.is_whitespace() => {
                names.push(identifier(&group[at..]).to_owned());
                expected = false;
            }
            _ => {}
        }
    }
    names
}

fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// The name of the function whose declaration starts on this line.
fn declared_function(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let (before, after) = line.split_once("fn ")?;
    let qualifier = |word: &str| {
        ["pub", "async", "const", "extern", "\"C\""].contains(&word)
            || word.starts_with("pub(")
            || ["crate)", "super)"].contains(&word)
    };
    let declared = before
        .replace("pub(in ", "pub(")
        .split_whitespace()
        .all(qualifier);
    declared.then(|| identifier(after))
}

/// Lines of the function that starts at the first of `lines`; `None` when it has no body. The formatter puts its last
/// brace below its first letter.
fn length(lines: &[&str]) -> Option<usize> {
    let signature = lines
        .iter()
        .position(|line| line.ends_with(['{', '}', ';']))?;
    match lines[signature].chars().last() {
        Some('{') => {
            let indent = lines[0].len() - lines[0].trim_start().len();
            let close = format!("{}}}", " ".repeat(indent));
            lines
                .iter()
                .position(|line| *line == close)
                .map(|at| at + 1)
        }
        Some('}') => Some(signature + 1),
        _ => None,
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let text = fs::read_to_string(&path).expect("a source");
                let path = path.strip_prefix(&root).expect("below the root").to_owned();
                sources.push(Source { path, text });
            }
        }
    }
    assert!(sources.len() > 50, "the sources were found");
    sources
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn may_use(module: &str, other: &str) -> bool {
    match (layer(module), layer(other)) {
        (Some(here), Some(there)) => module == other || there < here || (here, there) == (0, 0),
        (None, _) | (_, None) => false,
    }
}

/// Files that belong to a module: all but the two roots.
fn modules() -> Vec<Source> {
    let mut sources = sources();
    sources.retain(|source| !["lib", "main"].contains(&source.module()));
    sources
}

#[test]
fn every_module_has_its_layer() {
    for source in modules() {
        let found = layer(source.module());
        assert!(found.is_some(), "{} stands in no layer", source.module());
    }
}

#[test]
fn a_module_uses_lower_layers_only_and_never_a_neighbour() {
    let mut wrong = Vec::new();
    for source in modules() {
        for used in source.uses() {
            if !may_use(source.module(), &used) {
                wrong.push(format!("{} uses {used}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_goes_round_the_layers_by_way_of_super() {
    for source in modules() {
        // The tests of a file are one module deeper.
        let to_the_root = "super::".repeat(source.depth() + 1);
        let code = source.code().join("\n");
        let short = "super::".repeat(source.depth());
        let path = source.path.display();
        assert!(!source.text.contains(&to_the_root), "{path}");
        assert!(!code.contains(&short), "{path}");
    }
}

#[test]
fn no_file_is_longer_than_400_lines_without_its_tests() {
    for source in sources() {
        let lines = source.code().len();
        let path = source.path.display();
        assert!(lines <= MAX_FILE, "{path} has {lines} lines");
    }
}

#[test]
fn no_function_is_longer_than_60_lines() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (name, lines) in source.functions() {
            let is_the_match =
                (source.path.as_path(), name.as_str()) == (Path::new(ONE_MATCH.0), ONE_MATCH.1);
            if lines > MAX_FUNCTION && !is_the_match {
                wrong.push(format!("{}: {name} has {lines}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_used_and_how_long_it_is_can_be_read() {
    let text = "use crate::{auth, gate::{self, Gate}, proxy};\n// use crate::cli;\n\
        pub(in crate::auth) fn one(\n    a: u8,\n) -> u8 {\n    crate::types::x()\n}\n\
        fn none();\nfn short() {}\n";
    let source = Source {
        path: "gate/x.rs".into(),
        text: text.to_owned(),
    };
    assert_eq!(source.uses(), ["auth", "gate", "proxy", "auth", "types"]);
    assert_eq!(
        source.functions(),
        [("one".to_owned(), 5), ("short".to_owned(), 1)]
    );
    assert!(may_use("gate", "server") && may_use("telemetry", "clock") && may_use("app", "app"));
    assert!(!may_use("server", "gate") && !may_use("proxy", "auth") && !may_use("admin", "gate"));
}
