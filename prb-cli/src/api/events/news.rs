//! What has changed between two looks, as it is sent. Pure.

use super::Topic;
use hyper::body::Bytes;
use serde::Serialize;
use std::{collections::HashMap, fmt::Write};

/// How everything is, or as much of it as was looked at.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// JSON; empty if it was not looked at.
    pub(super) overview: String,
    /// Id and JSON of each worker, in the order of their names.
    pub(super) workers: Vec<(String, String)>,
    /// Something that is another thing whenever transactions are.
    pub(super) transactions: Option<u64>,
    /// Likewise of the inventory.
    pub(super) inventory: Option<u64>,
}

/// Messages, each with its topic.
type Messages = Vec<(Topic, Bytes)>;

/// What is to be told.
#[derive(Debug, Default)]
pub(super) struct News {
    /// To whom knows what was told before.
    pub(super) changes: Messages,
    /// To whom knows nothing.
    pub(super) all: Messages,
}

impl News {
    /// What has changed from one look to the next, and, if `anybody_new`, how everything is.
    pub(super) fn of(before: &Look, now: &Look, anybody_new: bool) -> Self {
        let mut news = Self::default();
        if before.overview != now.overview {
            news.changes.push((Topic::Overview, message(Topic::Overview, &now.overview)));
        }
        if let Some(changed) = workers(before, now) {
            news.changes.push((Topic::Workers, changed));
        }
        for (topic, has_changed) in [
            (Topic::Transactions, before.transactions != now.transactions),
            (Topic::Inventory, before.inventory != now.inventory),
        ] {
            if has_changed {
                news.changes.push((topic, message(topic, "{}")));
            }
        }
        if anybody_new {
            news.all = vec![
                (Topic::Overview, message(Topic::Overview, &now.overview)),
                (Topic::Workers, rows(true, now.workers.iter().map(|(_, row)| row.as_str()), &[])),
                (Topic::Transactions, message(Topic::Transactions, "{}")),
                (Topic::Inventory, message(Topic::Inventory, "{}")),
            ];
        }
        news
    }
}

/// Workers that have changed or are gone; none if there are none.
fn workers(before: &Look, now: &Look) -> Option<Bytes> {
    let mut known: HashMap<&str, &str> =
        before.workers.iter().map(|(id, row)| (id.as_str(), row.as_str())).collect();
    let mut changed = Vec::new();
    for (id, row) in &now.workers {
        if known.remove(id.as_str()) != Some(row) {
            changed.push(row.as_str());
        }
    }
    // In the order in which they were.
    let removed: Vec<&str> =
        before.workers.iter().map(|(id, _)| id.as_str()).filter(|id| known.contains_key(id)).collect();
    if changed.is_empty() && removed.is_empty() {
        return None;
    }
    Some(rows(false, changed.into_iter(), &removed))
}

/// `{"all":…,"workers":[…],"removed":[…]}` of rows that are JSON already; ids need no escapes.
fn rows<'r>(all: bool, workers: impl Iterator<Item = &'r str>, removed: &[&str]) -> Bytes {
    let mut data = format!("{{\"all\":{all},\"workers\":[");
    for (at, row) in workers.enumerate() {
        data.push_str(if at == 0 { "" } else { "," });
        data.push_str(row);
    }
    data.push_str("],\"removed\":[");
    for (at, id) in removed.iter().enumerate() {
        // A String takes everything.
        let _ = write!(data, "{}\"{id}\"", if at == 0 { "" } else { "," });
    }
    data.push_str("]}");
    message(Topic::Workers, &data)
}

/// An event. JSON has no line breaks between its values here, and none within them ever.
fn message(topic: Topic, data: &str) -> Bytes {
    format!("event: {}\ndata: {data}\n\n", topic.name()).into()
}

/// As JSON in one line; all that is told has such a form.
pub(super) fn written(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(workers: &[(&str, &str)]) -> Look {
        let workers = workers.iter().map(|(id, row)| ((*id).to_owned(), (*row).to_owned())).collect();
        Look { overview: "{}".to_owned(), workers, transactions: Some(1), inventory: Some(1) }
    }

    fn texts(messages: &[(Topic, Bytes)]) -> Vec<&str> {
        messages.iter().map(|(_, message)| std::str::from_utf8(message).unwrap()).collect()
    }

    #[test]
    fn only_rows_that_changed_are_told_and_those_that_are_gone() {
        let before = look(&[("a", "1"), ("b", "2"), ("c", "3")]);
        type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
        let cases: &[Case<'_>] = &[
            (&[("a", "1"), ("b", "2"), ("c", "3")], &[]),
            (
                &[("a", "1"), ("b", "9"), ("c", "3")],
                &["event: workers\ndata: {\"all\":false,\"workers\":[9],\"removed\":[]}\n\n"],
            ),
            (
                &[("b", "2"), ("d", "4")],
                &["event: workers\ndata: {\"all\":false,\"workers\":[4],\"removed\":[\"a\",\"c\"]}\n\n"],
            ),
        ];
        for (now, expected) in cases {
            assert_eq!(texts(&News::of(&before, &look(now), false).changes), *expected, "{now:?}");
        }
    }

    #[test]
    fn who_is_new_is_told_everything_and_others_what_has_changed() {
        let before = look(&[("a", "1")]);
        let now =
            Look { overview: "{\"ready\":true}".to_owned(), transactions: Some(2), ..look(&[("a", "1")]) };
        let news = News::of(&before, &now, true);
        let overview = "event: overview\ndata: {\"ready\":true}\n\n";
        let transactions = "event: transactions\ndata: {}\n\n";
        assert_eq!(texts(&news.changes), [overview, transactions]);
        assert_eq!(
            texts(&news.all),
            [
                overview,
                "event: workers\ndata: {\"all\":true,\"workers\":[1],\"removed\":[]}\n\n",
                transactions,
                "event: inventory\ndata: {}\n\n",
            ]
        );
        assert_eq!(texts(&News::of(&now, &now, false).all), [""; 0]);
    }
}
