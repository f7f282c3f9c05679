//! The dashboard and the alerts under `deploy/`: whatever they look at is measured, and is explained.

use super::{
    errors::anchors,
    expressions::{bare, grouped_by, is_balanced, is_duration, metrics},
    measured, promql, text_of,
};
use prb_cli::telemetry::Kind;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

type Known = BTreeMap<String, (Kind, BTreeSet<String>)>;

/// What Prometheus adds to every metric.
const OF_THE_SCRAPE: [&str; 2] = ["job", "instance"];

/// Sees that an expression is well-formed and names metrics and labels that there are; answers the labels its result may
/// have. Counters only grow from their start, so all that can be asked of them is how fast.
fn read(place: &str, expression: &str, known: &Known) -> BTreeSet<String> {
    let text = bare(expression);
    let kind = promql::kind_of(expression);
    assert_eq!(kind, Ok(promql::Kind::Vector), "{place}: {expression}");
    let mut labels: BTreeSet<String> = OF_THE_SCRAPE.map(str::to_owned).into();
    let mut rated = BTreeMap::new();
    for named in metrics(&text) {
        let parts = ["_bucket", "_sum", "_count"];
        let whole = parts.iter().find_map(|part| named.name.strip_suffix(*part));
        let histogram =
            whole.filter(|name| known.get(*name).is_some_and(|(kind, _)| *kind == Kind::Histogram));
        let Some((kind, of_it)) = known.get(histogram.unwrap_or(named.name)) else {
            panic!("{place}: there is no metric {}", named.name)
        };
        let mut of_it = of_it.clone();
        of_it.extend(OF_THE_SCRAPE.map(str::to_owned));
        if named.name.ends_with("_bucket") {
            of_it.insert("le".to_owned());
        }
        for label in named.labels {
            assert!(of_it.contains(label), "{place}: {} has no label {label}", named.name);
        }
        labels.extend(of_it);
        let is_rated = named.before.ends_with("rate(") || named.before.ends_with("increase(");
        if *kind == Kind::Gauge {
            assert!(!is_rated, "{place}: {} is no counter", named.name);
        } else {
            *rated.entry(named.name.to_owned()).or_insert(false) |= is_rated;
        }
    }
    assert!(
        rated.values().all(|is_rated| *is_rated),
        "{place}: a counter without rate or increase: {rated:?}"
    );
    let groups: BTreeSet<String> = grouped_by(&text).into_iter().map(str::to_owned).collect();
    assert!(groups.is_subset(&labels), "{place}: {groups:?} are not all labels: {expression}");
    let is_summed = text.contains(" by (");
    if is_summed { groups } else { labels }
}

/// Labels that a text of Grafana (`{{label}}`) or Prometheus (`{{ $labels.label }}`) shows.
fn shown(text: &str) -> BTreeSet<String> {
    let templates = text.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap_or_default().trim());
    let labels = templates.map(|template| template.strip_prefix("$labels.").unwrap_or(template));
    labels.filter(|label| !label.starts_with('$')).map(str::to_owned).collect()
}

#[test]
fn the_dashboard_shows_what_is_measured() {
    let known = measured::of_the_code();
    let dashboard: Value = serde_json::from_str(&text_of("deploy/grafana/prb.json")).unwrap();
    let said = |value: &Value, place: &str| {
        let text = value.as_str().unwrap_or_default().to_owned();
        assert!(!text.trim().is_empty(), "{place}: a text is missing");
        text
    };
    said(&dashboard["title"], "dashboard");
    said(&dashboard["uid"], "dashboard");
    assert!(dashboard["schemaVersion"].as_u64().is_some_and(|version| version >= 36));
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert_eq!(variables[0]["name"], "datasource");
    assert_eq!(variables[0]["type"], "datasource");
    for variable in variables.iter().filter(|variable| variable["type"] == "query") {
        let query = said(&variable["definition"], "variable");
        assert!(!metrics(&query).is_empty() && is_balanced(&query), "{query}");
        metrics(&query).iter().for_each(|named| assert!(known.contains_key(named.name), "{query}"));
    }
    let (mut ids, mut fields) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = said(&panel["title"], "panel");
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is another panel's");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        assert!(x + w <= 24, "{title}: beyond the right edge");
        for field in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(fields.insert(field), "{title}: on top of another panel");
        }
        if panel["type"] == "row" {
            continue;
        }
        said(&panel["description"], &title);
        said(&panel["fieldConfig"]["defaults"]["unit"], &title);
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        let targets = panel["targets"].as_array().unwrap();
        let names: BTreeSet<String> = targets.iter().map(|target| said(&target["refId"], &title)).collect();
        assert!(!targets.is_empty() && names.len() == targets.len(), "{title}: {names:?}");
        for target in targets {
            let labels = read(&title, &said(&target["expr"], &title), &known);
            let legend = shown(&said(&target["legendFormat"], &title));
            assert!(legend.is_subset(&labels), "{title}: {legend:?} are not all of {labels:?}");
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    rules: Vec<Alert>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Alert {
    alert: String,
    expr: String,
    #[serde(rename = "for")]
    lasting: String,
    labels: BTreeMap<String, String>,
    annotations: Annotations,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Annotations {
    summary: String,
    description: String,
    runbook_url: String,
}

#[test]
fn alerts_look_at_what_is_measured_and_say_what_to_do() {
    let known = measured::of_the_code();
    let rules: Rules = serde_saphyr::from_str(&text_of("deploy/prometheus/alerts.yml")).unwrap();
    let guide = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/HEAD/docs/errors.md#");
    let anchors = anchors();
    let (mut groups, mut names) = (BTreeSet::new(), BTreeSet::new());
    for Group { name, rules } in rules.groups {
        assert!(!rules.is_empty() && groups.insert(name.clone()), "group {name}");
        for Alert { alert, expr, lasting, labels: said, annotations } in rules {
            let place = format!("alert {alert}");
            assert!(alert.starts_with("Prb") && names.insert(alert), "{place}: another one has this name");
            assert!(is_duration(&lasting), "{place}: for {lasting}");
            assert_eq!(said.len(), 1, "{place}: severity is the label");
            assert!(["critical", "warning"].contains(&said["severity"].as_str()), "{place}: {said:?}");
            let labels = read(&place, &expr, &known);
            first_event_counts(&place, &expr, &known);
            let Annotations { summary, description, runbook_url } = annotations;
            for text in [&summary, &description] {
                let shown = shown(text);
                assert!(!text.trim().is_empty() && is_balanced(text), "{place}: {text}");
                assert!(shown.is_subset(&labels), "{place}: {shown:?} are not all of {labels:?}");
            }
            assert!(description.contains("Remedy: "), "{place}: no remedy");
            let anchor = runbook_url.strip_prefix(guide).unwrap_or_else(|| panic!("{place}: {runbook_url}"));
            assert!(anchors.contains(anchor), "{place}: docs/errors.md has no #{anchor}");
        }
    }
}

/// A counter begins with its first event, and what begins does not increase: an alert that is to be raised by a single
/// event asks for that as well.
fn first_event_counts(place: &str, expression: &str, known: &Known) {
    let text = bare(expression);
    let named = metrics(&text);
    let counts =
        named.iter().any(|named| known.get(named.name).is_some_and(|(kind, _)| *kind == Kind::Counter));
    let by_one = text.contains("> 0") && text.contains("increase(");
    assert!(
        !(counts && by_one) || text.contains(" offset "),
        "{place}: a first event is not seen: {expression}"
    );
}

#[test]
fn labels_in_texts_are_found() {
    let text = "{{stage}} on {{ $labels.instance }}: {{ $value }} {{$labels.what}}";
    assert_eq!(shown(text).into_iter().collect::<Vec<_>>(), ["instance", "stage", "what"]);
}
