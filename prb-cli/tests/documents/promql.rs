//! Whether an expression is one of Prometheus: its grammar, and what operators and functions take, as far as the dashboard and
//! the alerts use it.

/// What an expression results in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    /// Series with a value each.
    Vector,
    /// Series with their values over some time.
    Range,
}

use Kind::{Number, Range, Vector};

type Read<T> = Result<T, String>;

/// Functions, with what they take and result in.
const FUNCTIONS: &[(&str, &[Kind], Kind)] = &[
    ("rate", &[Range], Vector),
    ("irate", &[Range], Vector),
    ("increase", &[Range], Vector),
    ("delta", &[Range], Vector),
    ("deriv", &[Range], Vector),
    ("changes", &[Range], Vector),
    ("resets", &[Range], Vector),
    ("min_over_time", &[Range], Vector),
    ("max_over_time", &[Range], Vector),
    ("avg_over_time", &[Range], Vector),
    ("last_over_time", &[Range], Vector),
    ("absent", &[Vector], Vector),
    ("abs", &[Vector], Vector),
    ("ceil", &[Vector], Vector),
    ("clamp_min", &[Vector, Number], Vector),
    ("clamp_max", &[Vector, Number], Vector),
    ("histogram_quantile", &[Number, Vector], Vector),
    ("time", &[], Number),
    ("timestamp", &[Vector], Vector),
    ("vector", &[Number], Vector),
];

/// Those that sum up, with what they take.
const AGGREGATIONS: &[(&str, &[Kind])] = &[
    ("sum", &[Vector]),
    ("min", &[Vector]),
    ("max", &[Vector]),
    ("avg", &[Vector]),
    ("count", &[Vector]),
    ("topk", &[Number, Vector]),
    ("bottomk", &[Number, Vector]),
    ("quantile", &[Number, Vector]),
];

/// Operators, from those that bind least.
const OPERATORS: [&[&str]; 6] =
    [&["or"], &["and", "unless"], &["==", "!=", "<=", ">=", "<", ">"], &["+", "-"], &["*", "/", "%"], &["^"]];

/// Words that are no names of metrics.
const WORDS: [&str; 11] =
    ["or", "and", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool"];

/// What an expression results in; an error with what is wrong if it is none.
pub(super) fn kind_of(expression: &str) -> Read<Kind> {
    let mut parser = Parser { words: words(expression)?, at: 0 };
    let kind = parser.binary(0)?;
    match parser.peek() {
        None => Ok(kind),
        Some(word) => Err(format!("{word:?} is left over")),
    }
}

/// Names, numbers, lengths of time, texts and signs.
fn words(expression: &str) -> Read<Vec<String>> {
    let (mut words, mut rest) = (Vec::new(), expression.trim_start());
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => rest[1..].find('"').ok_or("a text does not end")? + 2,
            '$' | '_' | ':' | 'a'..='z' | 'A'..='Z' => {
                rest.find(|c: char| !(c == '$' || is_of_a_name(c))).unwrap_or(rest.len())
            }
            '0'..='9' => rest.find(|c: char| !(c == '.' || c.is_ascii_alphanumeric())).unwrap_or(rest.len()),
            _ => {
                let double = ["==", "!=", "<=", ">=", "=~", "!~"];
                if double.iter().any(|sign| rest.starts_with(sign)) { 2 } else { first.len_utf8() }
            }
        };
        let (word, after) = rest.split_at(length);
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    Ok(words)
}

fn is_of_a_name(c: char) -> bool {
    c == '_' || c == ':' || c.is_ascii_alphanumeric()
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| is_of_a_name(c) && !c.is_ascii_digit()) && !WORDS.contains(&word)
}

fn is_duration(word: &str) -> bool {
    let (count, unit) = word.split_at(word.len().saturating_sub(1));
    let is_variable = matches!(word, "$__rate_interval" | "$__interval" | "$__range");
    is_variable || (count.parse::<u32>().is_ok() && ["s", "m", "h", "d", "w", "y"].contains(&unit))
}

struct Parser {
    words: Vec<String>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<&str> {
        self.words.get(self.at).map(String::as_str)
    }

    fn next(&mut self) -> Read<String> {
        let word = self.words.get(self.at).cloned().ok_or("it ends too soon")?;
        self.at += 1;
        Ok(word)
    }

    fn takes(&mut self, word: &str) -> bool {
        let there = self.peek() == Some(word);
        self.at += usize::from(there);
        there
    }

    fn wants(&mut self, word: &str) -> Read<()> {
        if self.takes(word) { Ok(()) } else { Err(format!("{word:?} is missing before {:?}", self.peek())) }
    }

    fn binary(&mut self, level: usize) -> Read<Kind> {
        let Some(operators) = OPERATORS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = self.peek().filter(|word| operators.contains(word)).map(str::to_owned) {
            self.at += 1;
            let is_bool = self.takes("bool");
            self.matching()?;
            let right = self.binary(level + 1)?;
            left = joined(&operator, level, is_bool, left, right)?;
        }
        Ok(left)
    }

    /// `on(…)`, and what it may bring along.
    fn matching(&mut self) -> Read<()> {
        if self.takes("on") || self.takes("ignoring") {
            self.labels()?;
            if (self.takes("group_left") || self.takes("group_right")) && self.peek() == Some("(") {
                self.labels()?;
            }
        }
        Ok(())
    }

    fn labels(&mut self) -> Read<()> {
        self.wants("(")?;
        while !self.takes(")") {
            let label = self.next()?;
            if !is_name(&label) {
                return Err(format!("{label:?} is no label"));
            }
            if self.peek() != Some(")") {
                self.wants(",")?;
            }
        }
        Ok(())
    }

    fn unary(&mut self) -> Read<Kind> {
        if self.takes("-") || self.takes("+") {
            return self.unary();
        }
        let kind = self.primary()?;
        let kind = if self.takes("[") {
            let length = self.next()?;
            self.wants("]")?;
            match kind {
                Vector if is_duration(&length) => Range,
                _ => return Err(format!("[{length}] of {kind:?}")),
            }
        } else {
            kind
        };
        if self.takes("offset") {
            let length = self.next()?;
            if !is_duration(&length) || kind == Number {
                return Err(format!("offset {length} of {kind:?}"));
            }
        }
        Ok(kind)
    }

    fn primary(&mut self) -> Read<Kind> {
        let word = self.next()?;
        if word == "(" {
            let kind = self.binary(0)?;
            return self.wants(")").map(|()| kind);
        }
        if word.parse::<f64>().is_ok() && word.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(Number);
        }
        if let Some((_, takes)) = AGGREGATIONS.iter().find(|(name, _)| *name == word) {
            let before = self.grouping()?;
            self.arguments(&word, takes)?;
            if !before {
                self.grouping()?;
            }
            return Ok(Vector);
        }
        if is_name(&word) && self.peek() == Some("(") {
            let found = FUNCTIONS.iter().find(|(name, ..)| *name == word);
            let (_, takes, kind) = found.ok_or_else(|| format!("there is no function {word}"))?;
            return self.arguments(&word, takes).map(|()| *kind);
        }
        if !is_name(&word) && word != "{" {
            return Err(format!("{word:?} where something with a value should be"));
        }
        if word == "{" || self.takes("{") {
            self.matchers()?;
        }
        Ok(Vector)
    }

    fn grouping(&mut self) -> Read<bool> {
        let there = self.takes("by") || self.takes("without");
        if there {
            self.labels()?;
        }
        Ok(there)
    }

    fn arguments(&mut self, of: &str, takes: &[Kind]) -> Read<()> {
        self.wants("(")?;
        for (index, kind) in takes.iter().enumerate() {
            if index > 0 {
                self.wants(",")?;
            }
            let given = self.binary(0)?;
            if given != *kind {
                return Err(format!("{of} takes {kind:?}, not {given:?}"));
            }
        }
        self.wants(")")
    }

    fn matchers(&mut self) -> Read<()> {
        while !self.takes("}") {
            let (label, sign, text) = (self.next()?, self.next()?, self.next()?);
            if !is_name(&label) || !["=", "!=", "=~", "!~"].contains(&sign.as_str()) || !text.starts_with('"')
            {
                return Err(format!("{label}{sign}{text} selects nothing"));
            }
            if self.peek() != Some("}") {
                self.wants(",")?;
            }
        }
        Ok(())
    }
}

/// What an operator makes of its two sides.
fn joined(operator: &str, level: usize, is_bool: bool, left: Kind, right: Kind) -> Read<Kind> {
    let wrong = |why: &str| Err(format!("{left:?} {operator} {right:?}: {why}"));
    let is_comparison = level == 2;
    match (left, right) {
        (Range, _) | (_, Range) => wrong("values over some time have no operators"),
        _ if is_bool && !is_comparison => wrong("bool is for comparisons"),
        (Vector, Vector) => Ok(Vector),
        _ if level < 2 => wrong("both sides must be series"),
        (Number, Number) if is_comparison && !is_bool => wrong("numbers are compared with bool"),
        (Number, Number) => Ok(Number),
        _ => Ok(Vector),
    }
}

#[test]
fn what_is_an_expression_is_told_from_what_is_none() {
    for (expression, kind) in [
        ("up{job=~\"prb.*\"} == 0", Vector),
        ("increase(x[1h]) > 0\nor (x unless x offset 1h) > 0", Vector),
        ("sum by (a, b) (rate(x{c!=\"d\"}[5m])) > 0.2 * sum(y) by (a)", Vector),
        ("histogram_quantile(0.9, sum by (le) (rate(x_bucket[$__rate_interval]))) / 1e12", Vector),
        ("a / on(job) group_left b", Vector),
        ("-(1 + 2) * 3", Number),
        ("x[5m]", Range),
        ("1 == bool 2", Number),
    ] {
        assert_eq!(kind_of(expression), Ok(kind), "{expression}");
    }
    for expression in [
        "",
        "x >",
        "x == == 1",
        "(x",
        "x)",
        "x y",
        "rate(x)",
        "rate(x[5])",
        "increase(x[5m) > 0",
        "sum(x[5m])",
        "sum by a (x)",
        "sum by (a) rate(x[5m])",
        "x[5m] > 0",
        "rates(x[5m])",
        "1 == 1",
        "1 and x",
        "x{a=b}",
        "x{a}",
        "x offset",
        "by (a)",
        "topk(x, 3)",
        "\"x\"",
        "x{a=\"b}",
    ] {
        assert!(kind_of(expression).is_err(), "{expression}: {:?}", kind_of(expression));
    }
}
