//! Somebody on another machine, who needs a token.

use crate::{
    bridge::Bridge,
    driver::Browser,
    page::Monitor,
    world::{World, name},
};
use prb_devnet::network;

const TOKEN: &str = "a-token-of-some-length";

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_from_another_machine_is_asked_for_the_token_and_told_where_it_is() {
    let Some(browser) = Browser::start().await else { return };
    let world = World::new(network::Config::default(), 5, 1).await;
    let file = world.data_dir().join("api.token");
    std::fs::write(&file, TOKEN).unwrap();
    let mut config = world.config();
    config.api.token_file = Some(file);
    let bridge = Bridge::start(world, config).await;

    browser.come_from_elsewhere().await;
    let monitor = Monitor::open(&browser, bridge.monitor()).await;
    monitor.dialog_opens("Token").await;
    monitor.shows("api.token_file").await;
    browser.picture("token-light-desktop").await;
    assert!(!monitor.text().await.contains("alice"), "nothing is shown to a stranger");

    monitor.fill("Token", "another-token-of-some-length").await;
    monitor.press("Use it").await;
    monitor.dialog_opens("Token").await;
    monitor.fill("Token", TOKEN).await;
    monitor.press("Use it").await;
    monitor.dialog_closes().await;
    monitor.go("workers", &name(0)).await;

    // What was refused is all there is to complain of.
    let others = |complaint: &String| !complaint.contains("401 (Unauthorized)");
    assert_eq!(browser.complaints().await.into_iter().filter(others).collect::<Vec<_>>(), [""; 0]);
    drop(browser);
    bridge.stop().await;
}
