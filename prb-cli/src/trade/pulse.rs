//! Whether those answer whom a trader needs. Pure: time is an argument.

use prb_core::{
    id::Height,
    moment::Moment,
    progress::{CHAIN_PATIENCE, PATIENCE},
};

/// What a trader has heard of Redis and of its node.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    redis: Party,
    node: Party,
    /// The highest finalized block, and since when it is that.
    head: Option<(Height, Moment)>,
}

/// One of them.
#[derive(Debug, Default)]
struct Party {
    /// Since when it does not answer, and why; none while it does.
    away: Option<(Moment, String)>,
    answered: bool,
}

impl Party {
    fn hear(&mut self, now: Moment, answer: Result<(), String>) {
        match answer {
            Ok(()) => *self = Self { away: None, answered: true },
            Err(cause) => {
                let since = self.away.as_ref().map_or(now, |(since, _)| *since);
                self.away = Some((since, cause));
            }
        }
    }

    /// Why it does not answer. One that answered before may take its time.
    fn silence(&self, now: Moment) -> Option<String> {
        match &self.away {
            None if self.answered => None,
            None => Some("it has not answered yet".to_owned()),
            Some((since, _)) if self.answered && now.since(*since) < PATIENCE => None,
            Some((_, cause)) => Some(cause.clone()),
        }
    }
}

impl Pulse {
    pub(super) fn hear_redis(&mut self, now: Moment, answer: Result<(), String>) {
        self.redis.hear(now, answer);
    }

    /// What the node says of its finalized head.
    pub(super) fn hear_node(&mut self, now: Moment, answer: Result<Height, String>) {
        if let Ok(head) = answer
            && self.head.is_none_or(|(known, _)| head > known)
        {
            self.head = Some((head, now));
        }
        self.node.hear(now, answer.map(drop));
    }

    /// Who keeps the trader from getting on, and how; nobody if all is well.
    pub(super) fn troubles(&self, now: Moment) -> Vec<(&'static str, String)> {
        let redis = self.redis.silence(now).map(|cause| format!("redis does not answer: {cause}"));
        let node =
            self.node.silence(now).map(|cause| format!("the parachain's node does not answer: {cause}"));
        let mut troubles: Vec<_> = redis.map(|redis| ("redis", redis)).into_iter().collect();
        troubles.extend(node.or_else(|| self.stands_still(now)).map(|node| ("node", node)));
        troubles
    }

    fn stands_still(&self, now: Moment) -> Option<String> {
        let (head, since) = self.head?;
        let still = now.since(since);
        (still >= CHAIN_PATIENCE).then(|| {
            let seconds = still.as_secs();
            format!(
                "the node's finalized head has been block {head} for {seconds} s; see whether it has peers and the chain \
                 finalizes blocks"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    #[test]
    fn nobody_who_never_answered_is_well_and_who_did_may_take_a_moment() {
        let mut pulse = Pulse::default();
        let subjects = |pulse: &Pulse, second| {
            pulse.troubles(at(second)).into_iter().map(|(subject, _)| subject).collect::<Vec<_>>()
        };
        assert_eq!(subjects(&pulse, 0), ["redis", "node"]);
        pulse.hear_redis(at(1), Ok(()));
        assert_eq!(subjects(&pulse, 1), ["node"]);
        pulse.hear_node(at(1), Err("refused".to_owned()));
        assert_eq!(pulse.troubles(at(1))[0].1, "the parachain's node does not answer: refused");
        pulse.hear_node(at(2), Ok(Height(7)));
        assert!(pulse.troubles(at(2)).is_empty());
        pulse.hear_redis(at(10), Err("gone".to_owned()));
        pulse.hear_redis(at(15), Err("gone still".to_owned()));
        assert!(pulse.troubles(at(19)).is_empty(), "a hiccup");
        assert_eq!(pulse.troubles(at(20)), [("redis", "redis does not answer: gone still".to_owned())]);
        pulse.hear_redis(at(21), Ok(()));
        assert!(pulse.troubles(at(21)).is_empty());
    }

    #[test]
    fn x23_a_node_that_answers_and_does_not_get_on_is_told() {
        let mut pulse = Pulse::default();
        pulse.hear_redis(at(0), Ok(()));
        for (second, head, well) in
            [(0, 7, true), (100, 7, true), (110, 8, true), (229, 6, true), (230, 8, false)]
        {
            pulse.hear_node(at(second), Ok(Height(head)));
            assert_eq!(pulse.troubles(at(second)).is_empty(), well, "{second}");
        }
        let [(subject, cause)] = &pulse.troubles(at(230))[..] else { panic!() };
        assert!(*subject == "node" && cause.contains("block 8 for 120 s"), "{cause}");
        pulse.hear_node(at(231), Ok(Height(9)));
        assert!(pulse.troubles(at(231)).is_empty());
    }
}
