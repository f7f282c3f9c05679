//! What an expression of Prometheus names, as far as it takes to see that all of it is there.

/// A metric in an expression.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named<'e> {
    pub(super) name: &'e str,
    /// Labels it is selected by.
    pub(super) labels: Vec<&'e str>,
    /// What stands before it.
    pub(super) before: &'e str,
}

/// An expression with empty texts, which may look like anything.
pub(super) fn bare(expression: &str) -> String {
    expression.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}

/// Metrics of prb in a bare expression.
pub(super) fn metrics(bare: &str) -> Vec<Named<'_>> {
    let begins = bare.match_indices("prb_").map(|(at, _)| at);
    let begins = begins.filter(|at| !bare[..*at].ends_with(is_of_a_name));
    let named = begins.map(|at| {
        let name = word(&bare[at..]);
        let selector = bare[at + name.len()..].strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let matchers = selector.map_or("", |(matchers, _)| matchers).split(',');
        let labels = matchers.map(|matcher| word(matcher.trim())).filter(|label| !label.is_empty()).collect();
        Named { name, labels, before: &bare[..at] }
    });
    named.collect()
}

/// Labels that a bare expression sums up or joins by.
pub(super) fn grouped_by(bare: &str) -> Vec<&str> {
    let words = ["by", "without", "on", "ignoring", "group_left", "group_right"];
    let lists = bare.match_indices('(').filter(|(at, _)| {
        let before = bare[..*at].trim_end();
        words.iter().any(|word| before.strip_suffix(word).is_some_and(|rest| !rest.ends_with(is_of_a_name)))
    });
    let lists = lists.filter_map(|(at, _)| bare[at + 1..].split_once(')'));
    lists.flat_map(|(list, _)| list.split(',')).map(str::trim).filter(|label| !label.is_empty()).collect()
}

/// Whether every bracket of a bare expression is closed by its like.
pub(super) fn is_balanced(bare: &str) -> bool {
    let mut open = Vec::new();
    for character in bare.chars() {
        match character {
            '(' => open.push(')'),
            '[' => open.push(']'),
            '{' => open.push('}'),
            ')' | ']' | '}' if open.pop() != Some(character) => return false,
            _ => {}
        }
    }
    open.is_empty()
}

/// Whether it is a length of time as Prometheus writes it, like `5m`.
pub(super) fn is_duration(text: &str) -> bool {
    let (count, unit) = text.split_at(text.len().saturating_sub(1));
    count.parse::<u32>().is_ok() && ["s", "m", "h", "d"].contains(&unit)
}

fn is_of_a_name(character: char) -> bool {
    character == '_' || character.is_ascii_alphanumeric()
}

fn word(text: &str) -> &str {
    &text[..text.find(|character: char| !is_of_a_name(character)).unwrap_or(text.len())]
}

#[test]
fn expressions_are_read() {
    let text =
        bare("sum by (job, a) (rate(prb_x_total{a=~\"y,{\", b!=\"\"}[5m])) / on(job) my_prb_z + prb_w");
    let found = metrics(&text);
    let names: Vec<_> = found.iter().map(|named| (named.name, named.labels.join(","))).collect();
    assert_eq!(names, [("prb_x_total", "a,b".to_owned()), ("prb_w", String::new())]);
    assert!(found[0].before.ends_with("rate(") && is_balanced(&text));
    assert_eq!(grouped_by(&text), ["job", "a", "job"]);
    assert!(grouped_by("avg(x) and baby (y)").is_empty());
    for broken in ["(", "(]", "x)", "{(})"] {
        assert!(!is_balanced(broken), "{broken}");
    }
    assert!(
        is_duration("5m") && is_duration("0m") && !is_duration("m") && !is_duration("5") && !is_duration("")
    );
}
