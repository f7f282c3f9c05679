//! What the documents promise is there: each feature and fault they list has a test by its number, or a word on
//! what replaces it; what the error guide quotes is said, and what dashboard and alerts look at is measured.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "documents/errors.rs"]
mod errors;
#[path = "documents/expressions.rs"]
mod expressions;
#[path = "documents/macros.rs"]
mod macros;
#[path = "documents/measured.rs"]
mod measured;
#[path = "documents/operations.rs"]
mod operations;
#[path = "documents/promql.rs"]
mod promql;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Every Rust file of the workspace, by its path.
fn sources() -> BTreeMap<String, String> {
    fn visit(folder: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
            if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
                visit(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.insert(path.to_string_lossy().replace('\\', "/"), text);
            }
        }
    }
    let mut found = BTreeMap::new();
    visit(&workspace(), &mut found);
    found
}

/// Names of the functions in a source.
fn functions(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| Some(line.split_once("fn ")?.1.split_once('(')?.0))
}

fn workspace() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A file of the workspace.
fn text_of(path: &str) -> String {
    fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Rows of the tables in a document: id, and the cells behind it as one text.
fn rows(document: &str) -> Vec<(String, String)> {
    let text = text_of(&format!("docs/{document}"));
    let cells = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    cells.map(|(id, rest)| (id.to_owned(), rest.to_owned())).collect()
}

/// A source whose texts do not go on in the next line, as the compiler joins them.
fn joined(source: &str) -> String {
    source.split("\\\n").map(str::trim_start).collect()
}

/// What is in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Names in backticks that look like tests.
fn tests_in(row: &str) -> Vec<&str> {
    quoted(row)
        .filter(|name| {
            name.contains('_')
                && name.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit())
        })
        .collect()
}

/// Every row of both lists of features is there, with a test that shows it or a word on what does the same.
#[test]
fn every_feature_has_a_test_or_a_word() {
    let sources = sources();
    let functions: BTreeSet<&str> = sources.values().flat_map(|text| functions(text)).collect();
    let rows = rows("features.md");
    let listed: BTreeSet<&str> = rows.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(listed.len(), rows.len(), "a feature is listed twice");
    let v2 = (1..=141).map(|n| format!("v2-F{n:03}"));
    let ranges = [1..=18, 20..=38, 40..=54, 60..=66, 70..=80, 85..=92];
    let v3 = ranges.into_iter().flatten().map(|n| format!("v3-F{n:02}"));
    for id in v2.chain(v3) {
        assert!(listed.contains(id.as_str()), "{id} is not in docs/features.md");
    }
    for (id, row) in &rows {
        let tests = tests_in(row);
        for test in &tests {
            assert!(functions.contains(*test), "docs/features.md, {id}: there is no test {test}");
        }
        let is_explained = ["Replaced: ", "Documented: "].iter().any(|word| row.contains(word));
        assert!(
            !tests.is_empty() || is_explained,
            "{id} has neither a test nor a word on what does the same or where it is written"
        );
    }
}

/// Whether a cell names tests, each of which must be in the file named before it.
fn has_tests(sources: &BTreeMap<String, String>, about: &str, cell: &str) -> bool {
    let named_in = |file: &str, test: &str| {
        let files = sources.iter().filter(|(path, _)| path.ends_with(&format!("/{file}")));
        let mut names = files.flat_map(|(_, text)| functions(text));
        match test.strip_suffix('…') {
            Some(beginning) => names.any(|name| name.starts_with(beginning)),
            None => names.any(|name| name == test),
        }
    };
    let mut file = None;
    for name in quoted(cell) {
        if name.ends_with(".rs") {
            file = Some(name);
        } else {
            let file = file.unwrap_or_else(|| panic!("{about}: in which file is {name}?"));
            assert!(named_in(file, name), "{about}: there is no test {name} in {file}");
        }
    }
    file.is_some()
}

/// Each listener has tests against peers without permission, with too much, and too slow or too many; or shares them.
#[test]
fn every_listener_has_its_tests_against_hostile_peers() {
    let sources = sources();
    let document = text_of("docs/faults.md");
    let section = document.split("## Listeners").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut listeners = 0;
    for row in section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| Listener |")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [listener, faults @ ..] = &cells[..] else { panic!("no cells: {row}") };
        assert_eq!(faults.len(), 3, "{listener}: X18, X19 and X20");
        for cell in faults {
            let is_shared = cell.starts_with("as ") || cell.starts_with("the same ");
            assert!(has_tests(&sources, listener, cell) || is_shared, "{listener}: no test: {cell}");
        }
        listeners += 1;
    }
    assert!(listeners >= 5, "{listeners}");
}

/// Each fault has a row, and what the row names is there: tests (`…` stands for the rest of a name) in the file named
/// before them, metrics and log lines in the code.
#[test]
fn every_fault_has_its_tests_metrics_and_log_lines() {
    let sources = sources();
    let code: String =
        sources.iter().filter(|(path, _)| path.contains("/src/")).map(|(_, text)| joined(text)).collect();
    let document = text_of("docs/faults.md");
    let document = document.split("## Listeners").next().unwrap();
    let mut listed = BTreeSet::new();
    for row in document.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| Fault |")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [fault, _, metrics, lines, tests] = cells[..] else { panic!("five cells: {row}") };
        listed.extend(fault.split(' ').next().filter(|id| id.starts_with('X')));
        let names: Vec<&str> = quoted(metrics).filter(|name| name.starts_with("prb_")).collect();
        assert!(!names.is_empty(), "{fault}: no metric");
        for name in names {
            let name = name.split('{').next().unwrap();
            assert!(code.contains(&format!("\"{name}\"")), "{fault}: there is no metric {name}");
        }
        assert!(quoted(lines).next().is_some() || lines.starts_with("none: "), "{fault}: no log line");
        for part in quoted(lines).flat_map(|line| line.split('…')) {
            assert!(code.contains(part.trim()), "{fault}: nothing says {part:?}");
        }
        assert!(has_tests(&sources, fault, tests), "{fault}: no test");
    }
    for id in (1..=24).map(|number| format!("X{number}")) {
        assert!(listed.contains(id.as_str()), "{id} is not in docs/faults.md");
    }
}

/// Files that git keeps, or that lie where it would.
fn kept_files() -> Vec<std::path::PathBuf> {
    fn visit(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
            if path.is_dir() {
                if !["target", "artifacts", ".git"].iter().any(|left_out| name == *left_out) {
                    visit(&path, found);
                }
            } else if name != ".git" {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    visit(&workspace(), &mut found);
    found
}

#[test]
fn no_file_holds_a_merge_that_was_left() {
    let mut texts = 0;
    for path in kept_files() {
        // What is no text has no lines.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        texts += 1;
        for mark in ["<<<<<<< ", ">>>>>>> "] {
            let at = text.lines().position(|line| line.starts_with(mark));
            assert_eq!(at, None, "{}: a line begins with {mark:?}", path.display());
        }
    }
    assert!(texts > 300, "{texts}");
}
