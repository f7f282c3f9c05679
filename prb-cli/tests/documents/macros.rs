//! Calls of macros in the code of the crates, read as text.

use std::collections::BTreeMap;

/// One call of a macro.
pub(super) struct Call<'t> {
    /// What stands before it in its file.
    pub(super) before: &'t str,
    /// What stands between its parentheses.
    pub(super) arguments: &'t str,
    /// The texts among that.
    pub(super) texts: Vec<String>,
}

/// The code of the crates without their tests, by path in the workspace. Texts that go on in the next line are joined, as
/// the compiler does it.
pub(super) fn code() -> BTreeMap<String, String> {
    let root = format!("{}/", super::workspace().to_string_lossy().replace('\\', "/"));
    let of_crates = super::sources().into_iter().filter_map(|(path, text)| {
        let path = path.strip_prefix(&root)?.to_owned();
        let is_code = path.starts_with("prb-") && path.contains("/src/");
        let is_test = path.contains("/tests") || path.contains("/testkit/");
        (is_code && !is_test).then(|| (path, super::joined(&text)))
    });
    of_crates.collect()
}

/// Calls of the macro of that name, with or without a path before it.
pub(super) fn calls<'t>(text: &'t str, name: &str) -> Vec<Call<'t>> {
    let opening = format!("{name}!(");
    let of_another_name = |before: &str| before.ends_with(|c: char| c == '_' || c.is_alphanumeric());
    let calls = text.match_indices(&opening).filter(|(at, _)| !of_another_name(&text[..*at]));
    let read = calls.map(|(at, _)| {
        let rest = &text[at + opening.len()..];
        let (end, texts) = scan(rest);
        Call { before: &text[..at], arguments: &rest[..end], texts }
    });
    read.collect()
}

/// Where the parenthesis before a text is closed in it, and the texts until there.
fn scan(rest: &str) -> (usize, Vec<String>) {
    let (mut depth, mut texts, mut text) = (1_usize, Vec::new(), None::<String>);
    let mut characters = rest.char_indices();
    while let Some((at, character)) = characters.next() {
        if let Some(current) = &mut text {
            match character {
                '"' => texts.extend(text.take()),
                '\\' => current.extend(characters.next().map(|(_, escaped)| escaped)),
                _ => current.push(character),
            }
            continue;
        }
        match character {
            '"' => text = Some(String::new()),
            '(' => depth += 1,
            ')' if depth == 1 => return (at, texts),
            ')' => depth -= 1,
            _ => {}
        }
    }
    panic!("a call does not end: {}", &rest[..rest.len().min(80)]);
}

#[test]
fn calls_are_found_with_their_texts() {
    let text =
        "a::warn!(x = f(y), \"one (of \\\"two\\\"\"); describe_warn!(\"other\"); warn!(\"two {x}\", z)";
    let calls = calls(text, "warn");
    let texts: Vec<_> = calls.iter().map(|call| call.texts.join("|")).collect();
    assert_eq!(texts, ["one (of \"two\"", "two {x}"]);
    assert_eq!((calls[0].before, calls[1].arguments), ("a::", "\"two {x}\", z"));
}
