//! Reports by which enclaves on one machine recognise each other.
//!
//! A real one is made by the processor with a key that never leaves it. Here the machine's name stands for
//! that key: 32 bytes of content, 32 bytes that only somebody on the machine can make, the measurement.

use codec::Encode;
use sp_crypto_hashing::blake2_256;

const CONTENT: usize = 32;
const HEAD: usize = 64;

/// A report about the hash of `content` by the program of this measurement.
pub(crate) fn report(machine: &str, measurement: &[u8], content: &[u8]) -> Vec<u8> {
    let content = blake2_256(content);
    [&content[..], &seal(machine, &content, measurement), measurement].concat()
}

/// Why a report is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disbelief {
    /// It is none.
    Malformed,
    /// It is about something else.
    OtherContent,
    /// It was made on another machine.
    OtherMachine,
}

/// The measurement of who made a report about `content` on this machine.
pub(crate) fn verify<'a>(machine: &str, report: &'a [u8], content: &[u8]) -> Result<&'a [u8], Disbelief> {
    let (head, measurement) = report.split_at_checked(HEAD).ok_or(Disbelief::Malformed)?;
    let (about, sealed) = head.split_at(CONTENT);
    if about != blake2_256(content) {
        return Err(Disbelief::OtherContent);
    }
    if sealed != seal(machine, about, measurement) {
        return Err(Disbelief::OtherMachine);
    }
    Ok(measurement)
}

fn seal(machine: &str, content: &[u8], measurement: &[u8]) -> [u8; 32] {
    blake2_256(&(machine, content, measurement).encode())
}
