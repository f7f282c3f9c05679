//! Key handover of model workers: the steps and their order, without the secrets.

use super::{
    FakeWorker,
    machine::{Broke, Machine},
    never,
};
use crate::{
    handover::{Challenge, ChallengeResponse, Means, SealedKey},
    id::WorkerKey,
    port::{KeyHandover, WorkerError, worker::Refusal},
};
use async_trait::async_trait;
use codec::{Decode, Encode};

/// The name of a call in both its forms.
const fn named(means: Means, ias: &'static str, dcap: &'static str) -> &'static str {
    match means {
        Means::Ias => ias,
        Means::Dcap => dcap,
    }
}

fn refused<T>(message: &str) -> Result<T, Broke> {
    Err(Broke::Refused(message.to_owned(), Refusal::Other))
}

/// What the challenge is, and what whoever answers it puts behind.
fn challenge(machine: &Machine) -> Vec<u8> {
    (machine.key, machine.challenges).encode()
}

const ANSWER: &[u8] = b"answered";

#[async_trait]
impl KeyHandover for FakeWorker {
    async fn create_challenge(&self, means: Means) -> Result<Challenge, WorkerError> {
        let method = named(means, "HandoverCreateChallenge", "DcapHandoverCreateChallenge");
        self.call(method, never, |machine| {
            machine.initialized()?;
            machine.challenges += 1;
            machine.challenged = true;
            Ok(Challenge { means, encoded: challenge(machine).into() })
        })
        .await
    }

    async fn accept_challenge(&self, challenge: Challenge) -> Result<ChallengeResponse, WorkerError> {
        let means = challenge.means;
        let method = named(means, "HandoverAcceptChallenge", "DcapHandoverAcceptChallenge");
        let answer = |challenge: &[u8]| ChallengeResponse {
            means,
            encoded: [challenge, ANSWER].concat().into(),
            evidence: Some(b"evidence".as_slice().into()),
        };
        self.call(
            method,
            |_| Some(answer(b"another one")),
            |machine| {
                machine.accepted = true;
                Ok(answer(&challenge.encoded))
            },
        )
        .await
    }

    async fn start_handover(&self, response: ChallengeResponse) -> Result<SealedKey, WorkerError> {
        let means = response.means;
        self.call(named(means, "HandoverStart", "DcapHandoverStart"), never, |machine| {
            let spent = std::mem::take(&mut machine.challenged);
            if !spent || response.encoded != [&challenge(machine)[..], ANSWER].concat() {
                return refused("Invalid challenge");
            }
            Ok(SealedKey { means, encoded: machine.key.encode().into(), evidence: response.evidence })
        })
        .await
    }

    async fn receive_key(&self, key: SealedKey) -> Result<(), WorkerError> {
        let method = named(key.means, "HandoverReceive", "DcapHandoverReceive");
        self.call(method, never, |machine| {
            if !std::mem::take(&mut machine.accepted) {
                return refused("Handover ecdhkey not initialized");
            }
            let key = WorkerKey::decode(&mut &key.encoded[..]);
            machine.given = Some(key.map_err(|error| Broke::Undecodable(error.to_string()))?);
            Ok(())
        })
        .await
    }
}
