//! Replays the committed corpus of every target, with the neighbours of each seed.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use prb_fuzz::{TARGETS, Target};

/// Seeds are small, so that replaying all of their neighbours takes no time.
const MAX_SEED: usize = 4 << 10;

#[test]
fn every_target_has_a_corpus_and_a_program() {
    let names: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names, stems(&folder("corpus")));
    assert_eq!(names, stems(&folder("fuzz_targets")));
}

#[test]
fn seeds_hold() {
    for (name, target) in TARGETS {
        for (path, seed) in seeds(name) {
            assert!(seed.len() <= MAX_SEED, "{} is larger than {MAX_SEED} bytes", path.display());
            run(*target, &seed, &path, "as it is");
        }
        target(&[]);
    }
}

#[test]
fn seeds_cut_anywhere_hold() {
    for (name, target) in TARGETS {
        for (path, seed) in seeds(name) {
            for end in 0..seed.len() {
                run(*target, &seed[..end], &path, &format!("cut at {end}"));
            }
        }
    }
}

#[test]
fn seeds_with_one_byte_changed_hold() {
    for (name, target) in TARGETS {
        for (path, mut seed) in seeds(name) {
            for at in 0..seed.len() {
                let byte = seed[at];
                for changed in [byte ^ 0x01, byte ^ 0x80, byte.wrapping_add(4), 0xff] {
                    seed[at] = changed;
                    run(*target, &seed, &path, &format!("byte {at} as {changed:#04x}"));
                }
                seed[at] = byte;
            }
        }
    }
}

fn run(target: Target, data: &[u8], path: &Path, how: &str) {
    if std::panic::catch_unwind(|| target(data)).is_err() {
        panic!("{} {how} breaks its target; the reason is above", path.display());
    }
}

fn seeds(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut paths: Vec<_> =
        fs::read_dir(folder("corpus").join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "the corpus of {name} is empty");
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn stems(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}
