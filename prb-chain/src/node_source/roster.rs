//! Whom to ask, in which order. Pure.

use super::standing::{Kind, Place, Standing};
use prb_core::{id::Height, moment::Moment};

/// Indexes of the endpoints to ask, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Order {
    /// Those that are believed to answer; the configured order counts among equals.
    pub(super) first: Vec<usize>,
    /// Those that rest, for when none of the others answers; whose rest ends first comes first.
    pub(super) last: Vec<usize>,
}

/// Whom to ask. Endpoints of another chain are asked where there is nobody else: their addresses may lead somewhere
/// else by now.
pub(super) fn order(standings: &[Standing], now: Moment, kind: Kind) -> Order {
    let mut places: Vec<(Place, usize)> = standings
        .iter()
        .enumerate()
        .map(|(index, standing)| (standing.place(now, kind), index))
        .filter(|(place, _)| *place != Place::Foreign)
        .collect();
    if places.is_empty() {
        return Order { first: (0..standings.len()).collect(), last: Vec::new() };
    }
    places.sort();
    let (first, last): (Vec<_>, Vec<_>) =
        places.into_iter().partition(|(place, _)| !matches!(place, Place::Rests(_)));
    let indexes = |places: Vec<(Place, usize)>| places.into_iter().map(|(_, index)| index).collect();
    Order { first: indexes(first), last: indexes(last) }
}

/// Indexes of the endpoints against which nothing speaks, in the configured order.
pub(super) fn well(standings: &[Standing], now: Moment, kind: Kind) -> Vec<usize> {
    let well = |index: &usize| standings[*index].place(now, kind) == Place::Well;
    (0..standings.len()).filter(well).collect()
}

/// Whether another endpoint than `index` claims to have the block at `height`, and does not rest. It may be behind one
/// that claims more than there is.
pub(super) fn another_has(
    standings: &[Standing],
    now: Moment,
    kind: Kind,
    index: usize,
    height: Height,
) -> bool {
    standings.iter().enumerate().any(|(other, standing)| {
        other != index
            && standing.height(now).is_some_and(|claimed| claimed >= height)
            && standing.place(now, kind) < Place::Rests(now)
    })
}

/// The highest finalized head that is believed: the highest that an endpoint claims which does not rest and was not
/// found to claim too much.
pub(super) fn best(standings: &[Standing], now: Moment) -> Option<Height> {
    let well = standings.iter().filter(|standing| standing.place(now, Kind::Tip) < Place::Rests(now));
    well.filter_map(|standing| standing.height(now)).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use prb_core::{
        id::{BlockRef, Hash},
        port::SourceError,
    };
    use std::time::Duration;

    const NOW: Moment = Moment(Duration::from_secs(100));

    fn standings(count: usize) -> Vec<Standing> {
        (0..count).map(|index| Standing::new(index as u64)).collect()
    }

    fn head(height: u32) -> BlockRef {
        BlockRef { height: Height(height), hash: Hash([3; 32]) }
    }

    fn timeout() -> SourceError {
        SourceError::Timeout { endpoint: "a".into(), what: "b".into(), seconds: 1 }
    }

    /// The order for changes after something happened to three endpoints.
    fn after(what: impl FnOnce(&mut [Standing])) -> [Vec<usize>; 2] {
        let mut three = standings(3);
        what(&mut three);
        let Order { first, last } = order(&three, NOW, Kind::Changes);
        [first, last]
    }

    #[test]
    fn the_configured_order_counts_among_equals() {
        assert_eq!(after(|_| {}), [vec![0, 1, 2], vec![]]);
    }

    #[test]
    fn who_rests_is_the_last_resort_for_that_kind_alone() {
        let first_rests = |kind| {
            after(|three| {
                three[0].failed(NOW, kind, &timeout());
            })
        };
        assert_eq!(first_rests(Kind::Changes), [vec![1, 2], vec![0]]);
        let mut two = standings(2);
        two[0].failed(NOW, Kind::Changes, &timeout());
        assert_eq!(well(&two, NOW, Kind::Changes), [1]);
        assert_eq!(first_rests(Kind::Headers), [vec![0, 1, 2], vec![]]);
    }

    #[test]
    fn where_all_rest_the_first_to_be_back_is_asked_first() {
        let all_rest = after(|three| {
            three[1].failed(NOW, Kind::Changes, &timeout());
            three[0].refused(NOW, "state root at 7");
            three[2].refused(NOW, "state root at 7");
        });
        assert_eq!((all_rest[0].len(), all_rest[1].len(), all_rest[1][0]), (0, 3, 1));
    }

    #[test]
    fn who_is_behind_comes_last_and_who_is_foreign_never() {
        let one_behind = after(|three| {
            three[0].heard(head(5));
            three[0].compared(NOW, Height(50), 10);
        });
        assert_eq!(one_behind, [vec![1, 2, 0], vec![]]);
        let hash = Hash::default();
        let foreign = SourceError::Foreign { endpoint: "a".into(), chain: "b", found: hash, expected: hash };
        let one_foreign = after(|three| {
            three[1].failed(NOW, Kind::Tip, &foreign);
        });
        assert_eq!(one_foreign, [vec![0, 2], vec![]]);
        let all_foreign = after(|three| {
            three.iter_mut().for_each(|it| drop(it.failed(NOW, Kind::Tip, &foreign)));
        });
        assert_eq!(all_foreign, [vec![0, 1, 2], vec![]], "until one of them is not");
    }

    #[test]
    fn a_height_counts_from_whom_nothing_speaks_against() {
        let mut two = standings(2);
        two[0].heard(head(7));
        two[1].heard(head(9));
        assert!(another_has(&two, NOW, Kind::Batch, 0, Height(9)));
        assert!(!another_has(&two, NOW, Kind::Batch, 0, Height(10)));
        assert!(!another_has(&two, NOW, Kind::Batch, 1, Height(9)));
        assert_eq!(best(&two, NOW), Some(Height(9)));
        two[1].refused(NOW, "header link at 8");
        assert!(!another_has(&two, NOW, Kind::Batch, 0, Height(9)));
        assert_eq!(best(&two, NOW), Some(Height(7)));
    }

    #[test]
    fn one_that_claims_too_much_hides_nobody_and_is_not_believed_once_it_is_found_out() {
        let mut two = standings(2);
        two[0].heard(head(1_000_000));
        two[1].heard(head(40));
        assert_eq!(best(&two, NOW), Some(Height(1_000_000)));
        assert!(two[1].compared(NOW, Height(1_000_000), 10).is_some());
        assert!(another_has(&two, NOW, Kind::Batch, 0, Height(40)), "though it is behind that claim");
        assert!(!another_has(&two, NOW, Kind::Batch, 0, Height(41)));
        assert!(two[0].lacks(NOW, Kind::Batch, Height(40)).is_some());
        assert_eq!(best(&two, NOW), Some(Height(40)));
        assert!(!another_has(&two, NOW, Kind::Batch, 1, Height(41)));
        assert!(two[1].compared(NOW, Height(40), 10).is_some(), "it is not behind any more");
        assert_eq!(order(&two, NOW, Kind::Tip).first, [1, 0]);
        two[0].heard(head(1_000_000));
        assert_eq!(best(&two, NOW), Some(Height(40)), "whatever it repeats");
        assert_eq!(best(&two, NOW + Duration::from_secs(10)), Some(Height(1_000_000)), "for a while");
    }
}
