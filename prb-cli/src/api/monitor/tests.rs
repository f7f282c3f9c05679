use super::*;
use hyper::header::HeaderValue;
use std::collections::BTreeSet;

fn asset(name: &str) -> &'static Asset {
    Asset::find(name).unwrap_or_else(|| panic!("{name}"))
}

/// What stands between quotes after one of these words.
fn named<'a>(body: &'a str, words: &[&str]) -> Vec<&'a str> {
    let mut found = Vec::new();
    for word in words {
        found.extend(body.split(*word).skip(1).filter_map(|rest| rest.split('"').next()));
    }
    found
}

#[test]
fn every_file_that_is_named_is_there_and_every_one_that_is_there_is_named() {
    let (mut wanted, mut seen) = (vec![INDEX], BTreeSet::new());
    while let Some(name) = wanted.pop() {
        if !seen.insert(name) {
            continue;
        }
        let body = asset(name).body;
        for name in named(body, &["src=\"", "href=\"", "from \"", "import(\""]) {
            if name.starts_with('#') {
                continue;
            }
            wanted.push(name.strip_prefix("./").unwrap_or(name));
        }
    }
    let all: BTreeSet<&str> = ASSETS.iter().map(|asset| asset.name).collect();
    assert_eq!(seen, all);
}

#[test]
fn nothing_in_them_needs_what_the_policy_forbids() {
    for Asset { name, body, .. } in ASSETS.iter() {
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            " style=\"",
            "onclick=",
        ] {
            assert!(!body.contains(word), "{name} has {word}");
        }
        let elsewhere = body.replace("http://www.w3.org/2000/svg", "");
        for word in ["src=\"http", "href=\"http", "from \"http", "@import", "url("] {
            assert!(!elsewhere.contains(word), "{name} is to load {word}");
        }
    }
    let index = asset("").body;
    assert!(!index.contains("<style") && index.matches("<script").count() == 1);
}

#[test]
fn who_has_a_file_is_told_that_it_is_the_same() {
    let asset = asset("app.js");
    let held = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_str(value).unwrap());
        asset.is_held(&headers)
    };
    let tag = asset.tag.as_str();
    assert!(tag.len() == 66 && tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    for (value, expected) in [
        (tag.to_owned(), true),
        (format!("\"other\", {tag}"), true),
        (format!("W/{tag}"), true),
        ("*".to_owned(), true),
        ("\"other\"".to_owned(), false),
        (tag.trim_matches('"').to_owned(), false),
    ] {
        assert_eq!(held(&value), expected, "{value}");
    }
    assert!(!asset.is_held(&HeaderMap::new()));
    assert_eq!((asset.reply(true).status.as_u16(), asset.reply(true).body.len()), (304, 0));
    assert_eq!((asset.reply(false).status.as_u16(), asset.reply(false).body.len()), (200, asset.body.len()));
    let tags: BTreeSet<&str> = ASSETS.iter().map(|asset| asset.tag.as_str()).collect();
    assert_eq!(tags.len(), ASSETS.len());
}
