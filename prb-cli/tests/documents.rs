//! What the documents promise is there: each feature and fault they list has a test by its number, or a word on
//! what replaces it.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{collections::BTreeSet, fs, path::Path};

/// Names of all functions in the sources of the workspace.
fn functions() -> BTreeSet<String> {
    fn visit(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
            if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
                visit(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let names = text.lines().filter_map(|line| line.split_once("fn ")?.1.split_once('('));
                found.extend(names.map(|(name, _)| name.to_owned()));
            }
        }
    }
    let mut found = BTreeSet::new();
    visit(&workspace(), &mut found);
    found
}

fn workspace() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Rows of the tables in a document: id, and the cells behind it as one text.
fn rows(document: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(workspace().join("docs").join(document)).unwrap();
    let cells = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    cells.map(|(id, rest)| (id.to_owned(), rest.to_owned())).collect()
}

/// Names in backticks that look like tests.
fn tests_in(row: &str) -> Vec<&str> {
    let quoted = row.split('`').skip(1).step_by(2);
    quoted
        .filter(|name| {
            name.contains('_')
                && name.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit())
        })
        .collect()
}

#[test]
fn every_feature_has_a_test_by_its_name_or_a_word() {
    let functions = functions();
    let rows = rows("features.md");
    let listed: BTreeSet<&str> = rows.iter().map(|(id, _)| id.as_str()).collect();
    let v2 = (25..=58).map(|n| format!("v2_f{n:03}"));
    let v3 = (20..=38).chain(40..=54).chain(85..=92).map(|n| format!("v3_f{n}"));
    for id in v2.chain(v3) {
        assert!(listed.contains(id.as_str()), "{id} is not in docs/features.md");
    }
    for (id, row) in &rows {
        let tests = tests_in(row);
        for test in &tests {
            assert!(functions.contains(*test), "docs/features.md, {id}: there is no test {test}");
        }
        let is_tested = tests.iter().any(|test| test.contains(id.as_str()));
        let is_explained = row.contains("Replaced: ") || row.contains("Not built: ");
        assert!(
            is_tested || is_explained,
            "{id} has neither a test by its name nor a word on what replaces it"
        );
    }
}
