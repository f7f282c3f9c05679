//! The dev worker shares no code with the bridge it is fed by.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};

fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn the_worker_imports_nothing_of_the_bridge_and_nothing_of_the_rest_of_the_dev_network() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![src.join("worker.rs")];
    sources(&src.join("worker"), &mut files);
    assert!(files.len() > 20, "found {} files only", files.len());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for (at, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap();
            let where_ = || format!("{}:{}: {line}", file.display(), at + 1);
            assert!(!code.contains("prb_"), "{}", where_());
            assert!(!code.contains("#[path") && !code.contains("include!"), "{}", where_());
            // Inside the crate only its own module is used.
            for rest in code.split("crate::").skip(1) {
                assert!(rest.starts_with("worker::"), "{}", where_());
            }
        }
    }
}
