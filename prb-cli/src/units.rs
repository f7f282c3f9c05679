//! Amounts of PHA as people write them.

/// Planck per PHA.
pub const PLANCK_PER_PHA: u128 = 1_000_000_000_000;

/// An amount that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAmount {
    /// It is no number, or none with a unit that is known.
    #[error(
        "{0:?} is not an amount; write PHA like `1500` or `1500.25`, or planck (10^-12 PHA) like `1500planck`"
    )]
    NoAmount(String),
    /// It is more PHA than there are.
    #[error(
        "{0:?} looks like planck (10^-12 PHA): there are not that many PHA; write `{0}planck`, or the amount in PHA like \
         `1500`"
    )]
    NoUnit(String),
}

/// Planck of an amount in PHA (`1500`, `0.5`, at most 12 decimals; `PHA` may follow) or planck (`planck` follows).
pub fn parse(text: &str) -> Result<u128, BadAmount> {
    let bad = || BadAmount::NoAmount(text.to_owned());
    let trimmed = text.trim().replace('_', "");
    if let Some(planck) = trimmed.strip_suffix("planck") {
        return planck.trim().parse().map_err(|_| bad());
    }
    let pha = trimmed.strip_suffix("PHA").unwrap_or(&trimmed).trim();
    let (whole, fraction) = pha.split_once('.').unwrap_or((pha, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 12 || !digits(whole) || !digits(fraction) {
        return Err(bad());
    }
    let whole: u128 = whole.parse().map_err(|_| bad())?;
    let fraction: u128 = format!("{fraction:0<12}").parse().map_err(|_| bad())?;
    whole.checked_mul(PLANCK_PER_PHA).and_then(|planck| planck.checked_add(fraction)).ok_or_else(bad)
}

/// More PHA than there are: the supply is 10^9.
const TOO_MANY_PHA: u128 = 10_000_000_000;

/// The same for a stake. A bare number that can only be planck, as in files of PRB v2 and v3, is refused.
pub fn stake(text: &str) -> Result<u128, BadAmount> {
    let planck = parse(text)?;
    let in_planck = text.trim_end().ends_with("planck");
    if !in_planck && planck / PLANCK_PER_PHA >= TOO_MANY_PHA {
        Err(BadAmount::NoUnit(text.trim().trim_end_matches("PHA").trim_end().to_owned()))
    } else {
        Ok(planck)
    }
}

/// An amount in PHA, without needless zeros.
pub fn format(planck: u128) -> String {
    let (whole, fraction) = (planck / PLANCK_PER_PHA, planck % PLANCK_PER_PHA);
    if fraction == 0 {
        return format!("{whole} PHA");
    }
    format!("{whole}.{} PHA", format!("{fraction:012}").trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn v2_f029_pha_and_planck_are_told_apart() {
        assert_eq!(parse("1500"), Ok(1_500_000_000_000_000));
        assert_eq!(parse("1_500.25 PHA"), Ok(1_500_250_000_000_000));
        assert_eq!(parse("7planck"), Ok(7));
        for bad in ["", "1.2.3", "-1", "1e3", ".5", "0.1234567890123", "1 phala"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn planck_that_is_not_called_so_is_no_stake() {
        assert_eq!(stake("1500.5"), Ok(1_500_500_000_000_000));
        assert_eq!(stake("4000000000000000planck"), Ok(4_000_000_000_000_000));
        let refused = stake("4000000000000000").unwrap_err().to_string();
        assert!(
            refused.contains("looks like planck") && refused.contains("`4000000000000000planck`"),
            "{refused}"
        );
        assert!(stake("10000000000").is_err() && stake("9999999999").is_ok());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(planck: u128) {
            prop_assert_eq!(parse(&format(planck)), Ok(planck));
        }
    }
}
