//! A key that moves from one worker to another.

use codec::{Decode, Encode};
use prb_devnet::worker::pb;
use prb_devnet::worker::scale::*;
use prb_devnet::worker::{AttestationMode, Error, Restart, WorkerConfig};

use crate::solo::*;
use crate::worker_support::*;

const OLD: [u8; 2] = [1; 2];
const NEW: [u8; 2] = [2; 2];

fn config(attestation: AttestationMode, measurement: &[u8], key: u8) -> WorkerConfig {
    let (measurement, machine) = (measurement.to_vec(), "one".to_owned());
    WorkerConfig { key: Some([key; 32]), attestation, measurement, machine, ..Default::default() }
}

/// A worker with a key, on a chain that allowed it in block 1 and its successor in block 2.
fn server(attestation: AttestationMode) -> Solo {
    let mut solo = Solo::start(config(attestation, &OLD, 3), attestation.provider());
    let allowed = |measurement: [u8; 2], at: u32| {
        (map_key("PhalaRegistry", "PRuntimeAddedAt", &measurement.to_vec().encode()), Some(at.encode()))
    };
    solo.step(vec![allowed(OLD, 1), allowed(NEW, 2)], &[]).unwrap();
    solo
}

fn client(attestation: AttestationMode) -> Worker {
    Worker::new(config(attestation, &NEW, 4))
}

/// Gives it the start of the server's chain, as a bridge does.
fn init(client: &mut Worker, attestation: AttestationMode) -> pb::InitRuntimeResponse {
    let request = pb::InitRuntimeRequest {
        attestation_provider: attestation.provider().map(|provider| provider.encode()),
        ..Solo::unstarted(config(attestation, &OLD, 3)).init_request()
    };
    client.call("InitRuntime", &request).unwrap()
}

fn challenge(server: &mut Solo) -> pb::HandoverChallenge {
    server.worker.call("HandoverCreateChallenge", &pb::Empty {}).unwrap()
}

fn accept(client: &mut Worker, challenge: &pb::HandoverChallenge) -> pb::HandoverChallengeResponse {
    client.call("HandoverAcceptChallenge", challenge).unwrap()
}

fn start(
    server: &mut Solo,
    response: &pb::HandoverChallengeResponse,
) -> Result<pb::HandoverWorkerKey, Error> {
    server.worker.call("HandoverStart", response)
}

fn receive(client: &mut Worker, key: &pb::HandoverWorkerKey) -> Result<pb::Empty, Error> {
    client.call("HandoverReceive", key)
}

fn dcap_challenge(server: &mut Solo) -> pb::HandoverChallenge {
    server.worker.call("DcapHandoverCreateChallenge", &pb::Empty {}).unwrap()
}

fn dcap_accept(client: &mut Worker, given: &pb::HandoverChallenge) -> pb::DcapHandoverChallengeResponse {
    client.call("DcapHandoverAcceptChallenge", given).unwrap()
}

fn dcap_start(
    server: &mut Solo,
    response: &pb::DcapHandoverChallengeResponse,
) -> Result<pb::DcapHandoverWorkerKey, Error> {
    server.worker.call("DcapHandoverStart", response)
}

fn dcap_receive(client: &mut Worker, key: &pb::DcapHandoverWorkerKey) -> Result<pb::Empty, Error> {
    client.call("DcapHandoverReceive", key)
}

/// After a restart it is the one with that key.
fn has_key(client: &mut Worker, attestation: AttestationMode, key: Key) {
    client.0.restart(Restart::FromCheckpoint).unwrap();
    assert_eq!(init(client, attestation).encoded_public_key, key);
    assert_eq!(client.0.info().public_key, Some(hex::encode(key)));
}

#[test]
fn v3_f89_a_key_moves_encrypted_and_is_used_after_a_restart() {
    for attestation in [AttestationMode::None, AttestationMode::Ias] {
        let (mut server, mut client) = (server(attestation), client(attestation));
        let key = server.pubkey();
        let own = init(&mut client, attestation).encoded_public_key;
        assert_ne!(own, key);
        let given = challenge(&mut server);
        let response = accept(&mut client, &given);
        assert!(response.encoded_challenge_handler.starts_with(&given.encoded_challenge));
        let sealed = start(&mut server, &response).unwrap();
        let parts = EncryptedWorkerKey::decode(&mut &sealed.encoded_worker_key[..]).unwrap();
        assert_eq!((parts.para_id, parts.dev_mode), (0, false));
        assert_eq!(parts.encrypted_key.encrypted_key.len(), 80);
        assert_eq!(sealed.attestation.is_some(), attestation == AttestationMode::Ias);
        receive(&mut client, &sealed).unwrap();

        // What runs is what was started, until it is started again.
        assert_eq!(client.0.info().public_key, Some(hex::encode(&own)));
        let asked = pb::GetRuntimeInfoRequest::default();
        let told = client.call::<pb::InitRuntimeResponse>("GetRuntimeInfo", &asked);
        assert_eq!(refused(told), "Uninitiated runtime info");
        has_key(&mut client, attestation, key);
        assert_eq!(server.pubkey(), key, "the other one has it too, until it is stopped");
    }
}

#[test]
fn v3_f89_a_key_that_was_handed_over_is_attested_once_the_chain_is_seen_to_know_it() {
    let (mut server, mut client) = (server(AttestationMode::Ias), client(AttestationMode::Ias));
    let response = accept(&mut client, &challenge(&mut server));
    let sealed = start(&mut server, &response).unwrap();
    receive(&mut client, &sealed).unwrap();
    let mut successor = Solo::unstarted(config(AttestationMode::Ias, &NEW, 4));
    std::mem::swap(&mut successor.worker, &mut client);
    successor.worker.0.restart(Restart::LoseState).unwrap();
    successor.init(Some(AttestationProvider::Ias), None).unwrap();
    let headers = successor.sync_genesis();
    successor.worker.sync_header(&headers).unwrap();
    let block = successor.empty_block_1();
    successor.worker.dispatch(&[block]).unwrap();
    let attestation = |solo: &mut Solo| {
        let reply = solo.worker.call("GetRuntimeInfo", &pb::GetRuntimeInfoRequest::default());
        reply.map(|reply: pb::InitRuntimeResponse| reply.attestation.is_some()).unwrap()
    };
    assert!(!attestation(&mut successor), "the key came from outside");
    let registered = successor.mine(WorkerEvent::Registered { confidence_level: 1 });
    successor.events(&[registered]);
    assert!(attestation(&mut successor));
}

#[test]
fn v3_f89_a_challenge_is_answered_once_and_in_time() {
    let (mut server, mut client) = (server(AttestationMode::None), client(AttestationMode::None));
    let uninitialised = client.call::<pb::HandoverChallenge>("HandoverCreateChallenge", &pb::Empty {});
    assert_eq!(refused(uninitialised), "Runtime not initialized");
    let first = challenge(&mut server);
    let answer = accept(&mut client, &first);
    let second = challenge(&mut server);
    assert_ne!(first, second);
    assert_eq!(refused(start(&mut server, &answer)), "Invalid challenge");
    let answer = accept(&mut client, &second);
    assert_eq!(refused(start(&mut server, &answer)), "Invalid challenge", "the attempt used it up");

    let given = challenge(&mut server);
    let answer = accept(&mut client, &given);
    for _ in 0..150 {
        server.events(&[]);
    }
    assert!(start(&mut server, &answer).is_ok());
    let given = challenge(&mut server);
    let answer = accept(&mut client, &given);
    for _ in 0..151 {
        server.events(&[]);
    }
    assert_eq!(refused(start(&mut server, &answer)), "Outdated challenge");
}

#[test]
fn v3_f89_a_key_is_taken_by_whom_it_was_encrypted_for_only() {
    let mut server = server(AttestationMode::None);
    let [mut client, mut other] = [5, 6].map(|key| Worker::new(config(AttestationMode::None, &NEW, key)));
    let given = challenge(&mut server);
    let sealed = start(&mut server, &accept(&mut client, &given)).unwrap();
    assert_eq!(refused(receive(&mut other, &sealed)), "Handover ecdhkey not initialized");
    accept(&mut other, &given);
    assert_eq!(refused(receive(&mut other, &sealed)), "Decrypt failed");
    let mut damaged = sealed.clone();
    *damaged.encoded_worker_key.last_mut().unwrap() ^= 1;
    assert_eq!(refused(receive(&mut client, &damaged)), "Decrypt failed");
    receive(&mut client, &sealed).unwrap();
    assert_eq!(refused(receive(&mut client, &sealed)), "Handover ecdhkey not initialized");
}

#[test]
fn v3_f89_workers_that_attest_with_ias_are_asked_who_and_where_they_are() {
    const IAS: AttestationMode = AttestationMode::Ias;
    type Spoil = fn(&mut pb::HandoverChallengeResponse);
    let forged: Spoil = |response| response.attestation.as_mut().unwrap().encoded_report[40] ^= 1;
    let undecodable: Spoil = |response| response.attestation.as_mut().unwrap().encoded_report = vec![9];
    // Whom the server hears from, what is wrong with the answer, what it says.
    let cases: [(WorkerConfig, Spoil, &str); 6] = [
        (config(IAS, &NEW, 4), |response| response.attestation = None, "Client attestation not found"),
        (config(IAS, &NEW, 4), undecodable, "Decode client attestation failed"),
        (config(IAS, &NEW, 4), forged, "Invalid client RA report"),
        (WorkerConfig { machine: "two".into(), ..config(IAS, &NEW, 4) }, |_| {}, "No remote handover"),
        (config(IAS, &[3; 2], 4), |_| {}, "Client pRuntime not allowed on chain"),
        (config(IAS, &OLD, 4), |_| {}, "No handover for old pRuntime"),
    ];
    for (client, spoil, told) in cases {
        let mut server = server(IAS);
        let given = challenge(&mut server);
        let mut response = accept(&mut Worker::new(client), &given);
        spoil(&mut response);
        assert_eq!(refused(start(&mut server, &response)), told);
    }
    let mut unknown = Solo::start(config(IAS, &OLD, 3), IAS.provider());
    let response = accept(&mut client(IAS), &challenge(&mut unknown));
    assert_eq!(refused(start(&mut unknown, &response)), "Server pRuntime not allowed on chain");

    let (mut server, mut client) = (server(IAS), client(IAS));
    let response = accept(&mut client, &challenge(&mut server));
    let sealed = start(&mut server, &response).unwrap();
    let unvouched = pb::HandoverWorkerKey { attestation: None, ..sealed.clone() };
    assert_eq!(refused(receive(&mut client, &unvouched)), "Server attestation not found");
    let mut forged = sealed;
    forged.attestation.as_mut().unwrap().encoded_report[40] ^= 1;
    assert_eq!(refused(receive(&mut client, &forged)), "Invalid server RA report");
}

#[test]
fn v3_f89_workers_that_attest_with_dcap_recognise_each_other_by_local_reports() {
    const DCAP: AttestationMode = AttestationMode::Dcap;
    let mut plain = server(AttestationMode::None);
    let told = plain.worker.call::<pb::HandoverChallenge>("DcapHandoverCreateChallenge", &pb::Empty {});
    assert_eq!(refused(told), "DCAP not enabled");
    type Spoil = fn(&mut Solo, &mut pb::DcapHandoverChallengeResponse);
    // Whom the server hears from, what is wrong, what it says.
    let cases: [(WorkerConfig, Spoil, &str); 6] = [
        (config(DCAP, &NEW, 4), |_, response| response.la_report.clear(), "Invalid LA report"),
        (config(DCAP, &NEW, 4), |_, response| response.la_report[0] ^= 1, "Invalid challenge handler"),
        (WorkerConfig { machine: "two".into(), ..config(DCAP, &NEW, 4) }, |_, _| {}, "Invalid LA report"),
        (config(DCAP, &NEW, 4), |server, _| server.worker.0.set_time(1_700_000_061), "Invalid NTP time"),
        (config(DCAP, &[3; 2], 4), |_, _| {}, "Client pRuntime not allowed on chain"),
        (config(DCAP, &OLD, 4), |_, _| {}, "No handover for old pRuntime"),
    ];
    for (client, spoil, told) in cases {
        let mut server = server(DCAP);
        let given = dcap_challenge(&mut server);
        let mut response = dcap_accept(&mut Worker::new(client), &given);
        spoil(&mut server, &mut response);
        assert_eq!(refused(dcap_start(&mut server, &response)), told);
        assert_eq!(refused(dcap_start(&mut server, &response)), "Invalid challenge", "it was used up");
    }
    let (mut server, mut client) = (server(DCAP), client(DCAP));
    let key = server.pubkey();
    let response = dcap_accept(&mut client, &dcap_challenge(&mut server));
    let sealed = dcap_start(&mut server, &response).unwrap();
    let mut other = sealed.clone();
    other.encoded_worker_key[0] ^= 1;
    assert_eq!(refused(dcap_receive(&mut client, &other)), "Invalid key received");
    dcap_receive(&mut client, &sealed).unwrap();
    has_key(&mut client, DCAP, key);
}
