use super::*;
use crate::inventory::{Operator, apply};
use crate::secret::Sealed;
use prb_core::id::AccountId;

fn parsed(name: &str, text: &str) -> Result<Rows, BulkError> {
    parse(Path::new(name), Format::of(Path::new(name)).unwrap(), text)
}

/// Operator main, pools 1 and 2, worker w1 in pool 1.
fn known() -> Snapshot {
    let operator =
        Operator { name: "main".into(), account: AccountId([1; 32]), proxied: None, secret: Sealed::lost() };
    Snapshot {
        operators: vec![operator],
        pools: vec![
            Pool::new(1, Some("main".into())),
            Pool { name: "south, old".into(), ..Pool::new(2, None) },
        ],
        workers: vec![WorkerRecord::new("w1", "http://10.0.0.1:8000", 1, 1_500_250_000_000_000)],
        revision: 0,
    }
}

/// What a file would do, or why not.
fn done(name: &str, text: &str) -> Result<Vec<String>, String> {
    let rows = parsed(name, text).map_err(|error| error.to_string())?;
    let mut snapshot = known();
    let changes = rows.changes(&snapshot).map_err(|error| error.to_string())?;
    let affected = apply(&mut snapshot, &changes)
        .map_err(|refused| rows.refused(refused.into()).unwrap().to_string())?;
    Ok(affected.iter().map(crate::inventory::Affected::text).collect())
}

/// Also v2_f045.
#[test]
fn v2_f045_csv_yaml_and_json_say_the_same() {
    let csv = "name, endpoint, pool, stake, enabled\n# rack 1\nw1,http://10.0.0.1:8000,1,2000,\nw2,http://10.0.0.2:8000,1,5planck,false\n";
    let yaml = "workers:\n  - {name: w1, endpoint: 'http://10.0.0.1:8000', pool: 1, stake: 2000}\n  - name: w2\n    endpoint: http://10.0.0.2:8000\n    pool: 1\n    stake: 5planck\n    enabled: false\n";
    let json = "{\n\t\"workers\": [\n\t\t{ \"name\": \"w1\", \"endpoint\": \"http:\\/\\/10.0.0.1:8000\", \"pool\": 1, \"stake\": 2000 },\n\t\t{ \"name\": \"w2\",\t\"endpoint\": \"http://10.0.0.2:8000\", \"pool\": 1, \"stake\": \"5planck\", \"enabled\": false }\n\t]\n}\n";
    let expected = Ok(vec![
        "worker w1 changed: stake 1500.25 PHA -> 2000 PHA".to_owned(),
        "worker w2 added with a stake of 0.000000000005 PHA".to_owned(),
    ]);
    for (name, text) in [("a.csv", csv), ("a.yaml", yaml), ("a.json", json)] {
        assert_eq!(done(name, text), expected, "{name}");
    }
    let pools = "pools:\n- {pid: 2, operator: main}\n- {pid: 3, name: north, sync_only: true, enabled: false, operator: main}\nworkers:\n- {name: w3, endpoint: 'http://h3', pool: 3}\n";
    assert_eq!(
        done("a.yml", pools),
        Ok(vec![
            "pool 2 changed: operator none -> main".to_owned(),
            "pool 3 added".to_owned(),
            "worker w3 added to be kept in step".to_owned(),
        ])
    );
}

#[test]
fn every_mistake_has_its_line_and_unit() {
    let head = "name,endpoint,pool,stake\nw1,http://10.0.0.1:8000,1,1\n";
    let cases = [
        ("a.csv", format!("{head}w2,http://h2,1,4000000000000000\n"), "a.csv, line 3", "planck"),
        ("a.csv", format!("{head}w2,http://h2,1,five\n"), "line 3", "\"five\" is not an amount"),
        ("a.csv", format!("{head}w2,http://h2,1\n"), "line 3", "3 values, and the first line names 4"),
        ("a.csv", format!("{head}w2,http://h2,one,1\n"), "line 3", "invalid digit"),
        ("a.csv", format!("{head}w2,http://h2,9,1\n"), "line 3", "there is no pool 9"),
        ("a.csv", format!("{head}w2,http://10.0.0.1:8000/,1,1\n"), "line 3", "endpoint of worker w1 already"),
        ("a.csv", format!("{head}w1,http://h2,1,1\n"), "line 3", "worker w1 is in line 2 already"),
        ("a.csv", "name,endpoint,pool,steak\nw2,http://h2,1,1\n".into(), "line 2", "steak"),
        ("a.csv", "name,endpoint,pool\nw2,http://h2,1\n".into(), "line 2", "stake of 0"),
        ("a.yaml", "workers:\n- {name: w2, pool: 1}\n".into(), "line 2", "endpoint"),
        (
            "a.yaml",
            "workers:\n- {name: w2, endpoint: 'http://h', pool: 9, stake: 1}\n".into(),
            "line 2",
            "no pool 9",
        ),
        (
            "a.yaml",
            "pools:\n- {pid: 1}\n- {pid: 5, operator: nobody}\n".into(),
            "line 3",
            "no operator nobody",
        ),
        ("a.yaml", "pools:\n- {pid: 1, mnemonic: x}\n".into(), "line 2", "mnemonic"),
        ("a.json", "{\n\"workers\": [\n{\"name\": \"w2\",,}]}".into(), "line 3", ""),
    ];
    for (name, text, line, cause) in cases {
        let refused = done(name, &text).unwrap_err();
        assert!(refused.contains(line) && refused.contains(cause), "{text} {refused}");
        assert_eq!(refused.lines().count(), 1, "{refused}");
    }
    assert!(matches!(Format::of(Path::new("workers.xls")), Err(BulkError::Ending(_))));
}

#[test]
fn what_is_exported_is_imported_without_a_change() {
    for (name, format) in [("a.csv", Format::Csv), ("a.yaml", Format::Yaml), ("a.json", Format::Json)] {
        let text = write(&known(), format).unwrap();
        let same = done(name, &text).unwrap();
        assert!(same.iter().all(|line| line.ends_with("is like that already")), "{text} {same:?}");
        assert_eq!(same.len(), if format == Format::Csv { 1 } else { 3 });
        // And it is enough to make everything anew.
        let mut anew = Snapshot { operators: known().operators, ..Snapshot::default() };
        if format == Format::Csv {
            anew.pools = known().pools;
        }
        let changes = parsed(name, &text).unwrap().changes(&anew).unwrap();
        apply(&mut anew, &changes).unwrap();
        assert_eq!(write(&anew, format).unwrap(), text);
    }
}

#[test]
fn a_worker_whose_name_looks_like_a_comment_is_exported_and_imported() {
    let mut filled = known();
    filled.workers.push(WorkerRecord::new("#7", "http://10.0.0.7:8000", 1, 1_500_250_000_000_000));
    let text = write(&filled, Format::Csv).unwrap();
    let changes = parsed("a.csv", &text).unwrap().changes(&filled).unwrap();
    let affected = apply(&mut filled, &changes).unwrap();
    assert_eq!(affected.len(), 2, "{text}");
    assert!(affected.iter().all(|one| !one.changed()), "{text}");
}

#[test]
fn tags_are_one_column_with_semicolons() {
    let csv = "name,endpoint,pool,tags\nw1,http://10.0.0.1:8000,1,rack-1; gpu\n";
    let yaml = "workers:\n- {name: w1, endpoint: 'http://10.0.0.1:8000', pool: 1, tags: gpu;rack-1}\n";
    for (name, text) in [("a.csv", csv), ("a.yaml", yaml)] {
        assert_eq!(
            done(name, text),
            Ok(vec!["worker w1 changed: tags none -> gpu;rack-1".to_owned()]),
            "{name}"
        );
    }
    let bad = done("a.csv", &csv.replace("gpu", "g u")).unwrap_err();
    assert!(bad.contains("line 2") && bad.contains("g u"), "{bad}");
    let mut tagged = known();
    tagged.workers[0].tags = vec!["gpu".into(), "rack-1".into()];
    for (format, name) in [(Format::Csv, "a.csv"), (Format::Yaml, "a.yaml"), (Format::Json, "a.json")] {
        let text = write(&tagged, format).unwrap();
        let changes = parsed(name, &text).unwrap().changes(&tagged).unwrap();
        assert!(apply(&mut tagged, &changes).unwrap().iter().all(|one| !one.changed()), "{text}");
        // A file that says nothing of tags leaves them.
        assert!(text.contains("gpu;rack-1"), "{text}");
    }
    assert_eq!(
        apply(
            &mut tagged,
            &parsed("a.csv", "name,endpoint,pool\nw1,http://10.0.0.1:8000,1\n")
                .unwrap()
                .changes(&known())
                .unwrap()
        )
        .unwrap()[0]
            .text(),
        "worker w1 is like that already"
    );
}
