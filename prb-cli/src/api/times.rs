//! Times as PRB v3 writes them, UTC.

use crate::queue::utc;

/// A time in milliseconds since 1970 as `2024-05-30T07:01:02.123Z`.
pub(super) fn rfc3339(milliseconds: u64) -> String {
    let text = utc(milliseconds);
    format!("{}.{:03}Z", text.trim_end_matches('Z'), milliseconds % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_v3_does() {
        assert_eq!(rfc3339(1_717_052_462_007), "2024-05-30T07:01:02.007Z");
    }
}
