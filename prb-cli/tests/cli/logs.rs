//! What a service logs, as text and as JSON for programs.

use crate::asked::Side;
use crate::place::Place;
use crate::run::until_computing;
use crate::world::World;
use prb_devnet::network;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn v2_f008_logs_are_lines_of_json_that_name_worker_pool_and_height() {
    let mut world = World::new(network::Config::default(), 40, 1).await;
    world.run_chains();
    let place = Place::with_nodes(&world.url(Side::Relay), &world.url(Side::Para));
    let text = std::fs::read_to_string(place.path("prb.toml")).unwrap();
    place.configure(&format!("{text}[log]\njson = true\n"));
    place.add_alice().await;
    place.add_worker("w", &world.workers[0].url()).await;
    let running = place.run("info");
    until_computing(&world, &world.workers, || running.log()).await;
    let (code, log) = running.end("-TERM").await;
    assert_eq!(code, Some(0));
    world.halt_chains().await;

    let lines: Vec<Value> = log
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for line in &lines {
        let known = ["INFO", "WARN"].contains(&line["level"].as_str().unwrap());
        assert!(known && line["timestamp"].is_string() && line["target"].is_string(), "{line}");
        assert!(
            line["fields"]["message"].as_str().is_some_and(|message| !message.contains('\u{1b}')),
            "{line}"
        );
    }
    let said = |message: &str| {
        let found =
            lines.iter().find(|line| line["fields"]["message"].as_str().unwrap().starts_with(message));
        found.unwrap_or_else(|| panic!("nothing says {message}: {}", log.join("\n")))["fields"].clone()
    };
    assert_eq!((&said("stage")["worker"], &said("submitting")["pool"]), (&"w".into(), &"1".into()));
    assert!(said("finalized")["height"].as_str().unwrap().parse::<u32>().unwrap() > 0);
}
