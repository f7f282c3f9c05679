//! What every metric counts or shows.
//!
//! Names follow the conventions of Prometheus: counters end in `_total`, and seconds and bytes are the units. Amounts of coins are
//! whole planck where they are added up, which loses nothing, and PHA where they are only looked at.

use metrics::Unit;

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only up, from 0 at each start. It is not there before it is counted for the first time.
    Counter,
    /// Up and down.
    Gauge,
    /// How many were below each of some bounds.
    Histogram,
}

/// A metric of prb.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name, as Prometheus has it.
    pub name: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// What it is measured in.
    pub unit: Unit,
    /// What it counts or shows, in one line.
    pub help: &'static str,
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, unit: Unit::Count, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, unit: Unit::Count, help }
}

const fn bytes(metric: Metric) -> Metric {
    Metric { unit: Unit::Bytes, ..metric }
}

const fn seconds(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, unit: Unit::Seconds, help }
}

/// Every metric of prb, by part and name.
pub const METRICS: &[Metric] = &[
    // The process.
    gauge("prb_build_info", "Always 1; the version is its label"),
    counter("prb_crashes_total", "Tasks that crashed and were started again"),
    gauge("prb_stalled", "1 while this stands still and was told of, by what it is"),
    counter("prb_clock_went_back_total", "Starts at which the clock was behind the last one's"),
    // Ingest, and the nodes it reads from.
    gauge("prb_ingest_relay_height", "Last relay block in the store"),
    gauge("prb_ingest_relay_target", "Last relay block that is finalized"),
    gauge("prb_ingest_changes_height", "Last block in the store with its storage changes"),
    gauge("prb_ingest_changes_target", "Last block that is finalized and has storage changes"),
    counter("prb_ingest_relay_headers_total", "Relay headers stored"),
    counter("prb_ingest_changes_total", "Blocks of storage changes stored"),
    counter("prb_ingest_failures_total", "Steps of ingest that failed"),
    counter("prb_ingest_refused_total", "Answers that did not verify, by the check that failed"),
    gauge("prb_source_height", "Finalized height that a node told last"),
    gauge("prb_source_in_use", "1 for the node that answered last, 0 for the others of its chain"),
    gauge("prb_source_score", "How well a node answers, from 0 (everything fails) to 100"),
    counter("prb_source_requests_total", "Questions to a node"),
    seconds("prb_source_seconds", "How long good answers of a node took, by what was asked for"),
    counter("prb_source_failures_total", "Questions that a node failed, by reason"),
    counter("prb_source_left_total", "Times a node was left for others, by reason"),
    counter(
        "prb_source_stalled_total",
        "Times a node's stream of finalized heads fell silent and was opened anew",
    ),
    counter("prb_source_equivocations_total", "Justifications with equivocations"),
    counter(
        "prb_headers_cache_passed_over_total",
        "Failures of the headers-cache, after which nodes are asked",
    ),
    // Data providers that are read from.
    counter("prb_remote_failures_total", "Questions that a data provider failed"),
    counter(
        "prb_remote_refused_answers_total",
        "Answers of data providers that were damaged or not what was asked for",
    ),
    counter("prb_remote_hedges_total", "Times another data provider was asked beside a silent one"),
    // The store.
    bytes(gauge("prb_store_bytes", "Size of the store's data file, as of the last block stored")),
    gauge("prb_store_full", "1 while nothing can be added to the store for want of space"),
    counter("prb_store_full_total", "Additions to the store that found no space, by what was full"),
    counter("prb_store_damaged_total", "Times an item was found damaged on disk, by stream"),
    counter("prb_store_repaired_total", "Damaged items that were put right, by stream"),
    counter("prb_store_repair_failures_total", "Attempts to put a damaged item right that failed, by stream"),
    counter("prb_store_stale_readers_total", "Readers of the store whose process had died"),
    counter("prb_store_unclean_opens_total", "Openings of a store that was not closed in order"),
    counter("prb_archive_damaged_total", "Files of an archive that came damaged"),
    counter("prb_archive_retries_total", "Questions to an archive that were asked again"),
    // The server of a data provider.
    counter("prb_server_answers_total", "Answers to readers, by HTTP status"),
    bytes(counter("prb_server_bytes_total", "Bytes of answers to readers")),
    counter("prb_server_accept_failures_total", "Connections of readers that could not be accepted"),
    counter("prb_server_refused_connections_total", "Connections of readers beyond the limits"),
    counter("prb_server_refused_questions_total", "Questions of readers that were refused, by cause"),
    counter("prb_server_cut_connections_total", "Connections of readers that were cut off, by cause"),
    // The management API.
    counter("prb_api_answers_total", "Answers of the management API, by HTTP status"),
    counter("prb_api_refused_connections_total", "Connections to the management API beyond the limits"),
    gauge("prb_api_listeners", "Who listens to the management API for what changes"),
    counter(
        "prb_api_cut_listeners_total",
        "Listeners that were cut off because they took what changed too slowly",
    ),
    counter(
        "prb_api_cut_connections_total",
        "Connections to the management API that ended by an error or a deadline",
    ),
    // Workers.
    gauge("prb_workers", "Workers by stage"),
    gauge("prb_workers_in_trouble", "Workers that do not get on"),
    counter("prb_worker_calls_total", "Calls to workers, by method and result"),
    counter("prb_worker_surprises_total", "Changes of workers that nobody ordered, by kind"),
    bytes(gauge("prb_feed_under_way_bytes", "Bytes that workers are being fed or loaded with")),
    counter("prb_feed_waits_total", "Times a worker had to wait until others had their data"),
    counter("prb_feed_loads_total", "States that fresh workers were loaded with, by result"),
    counter("prb_feed_failures_total", "Steps of feeding workers that failed, by cause"),
    counter("prb_facts_reads_total", "Reads of what the chain says of workers"),
    counter("prb_facts_failures_total", "Looks at what the chain says of workers that failed"),
    counter("prb_operate_failures_total", "Looks at workers that found no way on"),
    counter("prb_calls_undone_total", "Transactions that took effect and were undone by others, by call"),
    counter("prb_commands_total", "Commands to workers that ended, by command and result"),
    counter("prb_messages_total", "Messages of workers that were sent to the chain, by what became of them"),
    counter("prb_messages_refused_total", "Messages that the chain refused, by its error"),
    counter("prb_collateral_total", "Collateral asked for at a PCCS, by result"),
    // Operators.
    gauge("prb_operators_unusable", "Operators that cannot sign"),
    counter("prb_identity_failures_total", "Times the identity could not be used, by cause"),
    gauge("prb_account_balance_pha", "Free balance of an account that signs, where low_balance is set"),
    counter("prb_account_low_total", "Times an account was found below low_balance"),
    // Transactions.
    gauge("prb_tx_waiting", "Jobs that are in no extrinsic yet"),
    gauge("prb_tx_in_flight", "Extrinsics that may still be included"),
    gauge(
        "prb_tx_paused",
        "1 while nothing is sent, by order or until it is certain that nothing is sent twice",
    ),
    counter("prb_tx_sent_total", "Extrinsics given to a node for the first time"),
    counter("prb_tx_ended_total", "Extrinsics that ended, by fate"),
    counter("prb_tx_dropped_total", "Jobs that a person dropped"),
    counter("prb_tx_dry_run_total", "Extrinsics that were not sent because of dry_run"),
    counter("prb_tx_refused_total", "Extrinsics that a node refused, by reason"),
    counter("prb_tx_lost_answers_total", "Extrinsics given to a node that did not answer"),
    counter("prb_tx_troubles_total", "Turns of an account that failed"),
    counter("prb_tx_node_changes_total", "Changes to another node for transactions"),
    counter("prb_tx_node_behind_total", "Answers of nodes that were behind what another had finalized"),
    counter("prb_tx_foreign_nodes_total", "Nodes of another chain that were passed over"),
    counter("prb_tx_other_chain_total", "Times only nodes of another chain than the journal's were left"),
    counter("prb_tx_runtime_upgrades_total", "Upgrades of the runtime that were followed"),
    counter("prb_tx_nonces_taken_total", "Nonces that another program used"),
    counter("prb_tx_rests_total", "Rests because another program signs with the account"),
    counter("prb_tx_fees_planck_total", "Fees paid, in planck, by pool"),
    counter("prb_tx_tips_planck_total", "Tips offered on top of the usual one, in planck"),
    // The queue to a trader of its own.
    gauge("prb_redis_up", "1 while Redis answers, by role"),
    gauge("prb_redis_lease_held", "1 while this process is the one at work in its namespace, by role"),
    counter("prb_redis_failures_total", "Failures of Redis, by role"),
    counter("prb_redis_flushes_total", "Times Redis was found to have forgotten everything"),
    counter("prb_redis_standing_by_total", "Times another one was found at work in the namespace, by role"),
    counter("prb_redis_takeovers_total", "Takeovers from a trader with another journal"),
    counter("prb_redis_asks_total", "Questions to the trader, by kind"),
    counter("prb_redis_answers_total", "Answers of the trader, by kind of question"),
    counter("prb_redis_unanswered_total", "Questions that no trader answered in time"),
    counter("prb_redis_stale_total", "Entries that nobody waited for any more"),
    counter("prb_redis_unread_total", "Entries that were not understood"),
    // The peer-to-peer network.
    gauge("prb_p2p_peers", "Peers that answer, by what they are"),
    counter("prb_p2p_calls_total", "Calls to peers, by method and outcome"),
    counter("prb_p2p_answers_total", "Calls of peers, by method and outcome"),
    counter("prb_p2p_refused_total", "Connections, peers and calls of peers that were refused, by reason"),
    // Notifications.
    counter("prb_notify_sent_total", "Notifications that were delivered, by address"),
    counter("prb_notify_failures_total", "Attempts to deliver a notification that failed, by address"),
    counter("prb_notify_dropped_total", "Notifications that were given up, by reason"),
];
