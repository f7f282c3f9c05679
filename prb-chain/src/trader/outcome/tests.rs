//! Events of Khala (spec 1251), written out byte by byte.

use super::*;
use codec::Encode;

const SOME_FAILED: &str = "0302";
const ITEM_OK: &str = "0303";
/// `PhalaStakePoolv2.WorkerExists`.
const ITEM_FAILED: &str = "0304035d02000000";
const PROXY_OK: &str = "050000";
/// `System.CallFiltered`.
const PROXY_FAILED: &str = "050001030005000000";
/// Weight, class, pays fee.
const SUCCESS: &str = "0000040400 00";
/// `Token(FundsUnavailable)`, then the same.
const FAILED: &str = "00010700040400 00";

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn khala() -> Option<Metadata> {
    let folder = std::env::var_os("PRB_TEST_DATA")
        .map(std::path::PathBuf::from)
        .unwrap_or_else(|| std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"));
    let path = folder.join("khala-metadata.scale");
    let bytes = std::fs::read(&path)
        .inspect_err(|error| {
            eprintln!("SKIPPED: {} is not readable ({error}); set PRB_TEST_DATA", path.display())
        })
        .ok()?;
    Some(Metadata::decode(&mut &bytes[..]).unwrap())
}

/// `System.Events`: events of extrinsics, each by its index and its hex.
fn events(list: &[(u32, &str)]) -> Vec<u8> {
    let mut bytes = Compact(list.len() as u32).encode();
    for (index, event) in list {
        bytes.push(0);
        bytes.extend(index.encode());
        bytes.extend(hex::decode(event.replace(' ', "")).unwrap());
        bytes.push(0);
    }
    bytes
}

fn outcome(list: &[(u32, &str)], wrapping: Wrapping) -> Option<Result<Vec<CallResult>, String>> {
    let khala = khala()?;
    Some(events_of(&events(list), 2, &khala).and_then(|events| results(&events, wrapping, &khala)))
}

fn failed(pallet: Option<&str>, error: &str) -> CallResult {
    CallResult::Failed(DispatchError { pallet: pallet.map(str::to_owned), error: error.to_owned() })
}

const BATCH: Wrapping = Wrapping { proxied: false, batched: true, calls: 2 };
const SINGLE: Wrapping = Wrapping { proxied: false, batched: false, calls: 1 };

#[test]
fn items_of_a_batch_are_read_in_order_and_from_this_extrinsic_only() {
    let list =
        [(1, ITEM_FAILED), (2, ITEM_OK), (2, ITEM_FAILED), (2, SOME_FAILED), (2, SUCCESS), (3, ITEM_OK)];
    let Some(results) = outcome(&list, BATCH) else { return };
    assert_eq!(results, Ok(vec![CallResult::Ok, failed(Some("PhalaStakePoolv2"), "WorkerExists")]));
}

#[test]
fn an_extrinsic_that_failed_fails_all_calls() {
    let Some(results) = outcome(&[(2, FAILED)], BATCH) else { return };
    assert_eq!(results.map(|mut all| all.swap_remove(1)), Ok(failed(None, "Token.FundsUnavailable")));
}

#[test]
fn a_proxy_that_failed_fails_all_calls() {
    let wrapping = Wrapping { proxied: true, ..BATCH };
    let Some(results) = outcome(&[(2, PROXY_FAILED), (2, SUCCESS)], wrapping) else { return };
    assert_eq!(results, Ok(vec![failed(Some("System"), "CallFiltered"); 2]));
    let fine = [(2, ITEM_OK), (2, ITEM_OK), (2, "0301"), (2, PROXY_OK), (2, SUCCESS)];
    assert_eq!(outcome(&fine, wrapping), Some(Ok(vec![CallResult::Ok; 2])));
}

#[test]
fn events_that_do_not_add_up_are_not_guessed_at() {
    let few = [(2, ITEM_OK), (2, SUCCESS)];
    let Some(results) = outcome(&few, BATCH) else { return };
    assert!(results.unwrap_err().contains("1 item events for 2 calls"));
    assert!(outcome(&[(2, ITEM_OK)], SINGLE).unwrap().is_err());
    let unproxied = outcome(&[(2, SUCCESS)], Wrapping { proxied: true, ..SINGLE });
    assert!(unproxied.unwrap().is_err());
    assert!(outcome(&[(2, "ffff")], SINGLE).unwrap().is_err());
}
