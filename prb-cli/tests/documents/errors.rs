//! The error guide: what it quotes is said by the code, and every warning of the code is quoted.

use super::{
    macros::{calls, code},
    quoted, text_of,
};
use std::collections::BTreeSet;

/// One kind of error: its heading, and the points below.
struct Family {
    heading: String,
    points: Vec<String>,
}

fn families() -> Vec<Family> {
    let text = text_of("docs/errors.md");
    let parts = text.split("\n### ").skip(1).map(|part| part.split("\n## ").next().unwrap_or_default());
    let in_one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let read = parts.map(|part| {
        let mut points = part.split("\n- ").map(in_one_line);
        let heading = points.next().unwrap_or_default();
        Family { heading, points: points.collect() }
    });
    read.collect()
}

/// Where links into the guide may lead, as GitHub names its headings.
pub(super) fn anchors() -> BTreeSet<String> {
    let text = text_of("docs/errors.md");
    let headings =
        text.lines().filter(|line| line.starts_with("##")).map(|line| line.trim_start_matches('#').trim());
    let kept = |character: &char| character.is_alphanumeric() || [' ', '-', '_'].contains(character);
    let anchors: Vec<String> = headings
        .map(|heading| heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-"))
        .collect();
    let unique: BTreeSet<String> = anchors.iter().cloned().collect();
    assert_eq!(unique.len(), anchors.len(), "two headings of docs/errors.md have one anchor");
    unique
}

/// Words of the code in the guide; `…` stands for what differs.
fn words(families: &[Family]) -> Vec<(&str, &str)> {
    let all = families.iter().flat_map(|family| {
        let said = family.points.first().map_or("", String::as_str);
        quoted(said).map(move |words| (family.heading.as_str(), words))
    });
    all.collect()
}

/// What stands between the dots of quoted words.
fn parts_of(words: &str) -> impl Iterator<Item = &str> {
    words.split('…').map(str::trim).filter(|part| !part.is_empty())
}

#[test]
fn what_the_guide_quotes_is_said_by_the_code() {
    let code: String = code().into_values().collect();
    let families = families();
    assert!(families.len() > 20, "the guide is not read");
    for Family { heading, points } in &families {
        let [said, cause, remedy] = &points[..] else {
            panic!("{heading}: words, cause and remedy are wanted")
        };
        let begin = [(said, "Words: "), (cause, "Cause: "), (remedy, "Remedy: ")];
        assert!(
            begin.iter().all(|(point, word)| point.starts_with(*word)),
            "{heading}: words, cause, remedy"
        );
        assert!(quoted(said).next().is_some(), "{heading}: no words");
    }
    for (heading, words) in words(&families) {
        let parts: Vec<&str> = parts_of(words).collect();
        assert!(parts.concat().len() >= 10, "{heading}: {words:?} could be anything");
        for part in parts {
            assert!(code.contains(part), "{heading}: nothing says {part:?}");
        }
    }
}

#[test]
fn every_warning_is_in_the_guide() {
    let families = families();
    let words = words(&families);
    let is_explained =
        |message: &str| words.iter().any(|(_, words)| parts_of(words).all(|part| message.contains(part)));
    let mut missing = BTreeSet::new();
    for (path, text) in code() {
        for call in ["warn", "error"].iter().flat_map(|name| calls(&text, name)) {
            let Some(message) = call.texts.last() else { continue };
            // What is only filled in is a text of its own, and quoted as that.
            let is_no_text = message.starts_with('{') && message.ends_with('}');
            if !is_no_text && !is_explained(message) {
                missing.insert(format!("{path}: {message}"));
            }
        }
    }
    assert!(missing.is_empty(), "not in docs/errors.md: {missing:#?}");
}
