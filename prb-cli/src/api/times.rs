//! Times as PRB v3 writes them, UTC.

use crate::queue::utc;

/// A time in milliseconds since 1970 as `2024-05-30T07:01:02.123Z`.
pub(super) fn rfc3339(milliseconds: u64) -> String {
    let text = utc(milliseconds);
    format!("{}.{:03}Z", text.trim_end_matches('Z'), milliseconds % 1000)
}

/// The same as `05-30 07:01:02`.
pub(super) fn month_and_day(milliseconds: u64) -> String {
    let text = utc(milliseconds);
    let date = text.split_once('-').map_or("", |(_, rest)| rest);
    date.trim_end_matches('Z').replacen('T', " ", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_v3_does() {
        let at = 1_717_052_462_007;
        assert_eq!(
            (rfc3339(at).as_str(), month_and_day(at).as_str()),
            ("2024-05-30T07:01:02.007Z", "05-30 07:01:02")
        );
        assert_eq!(month_and_day(0), "01-01 00:00:00");
    }
}
