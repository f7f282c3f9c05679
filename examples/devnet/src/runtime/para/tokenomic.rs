//! The stake rules, in the fixed-point numbers of the live chain: U64F64 (64 fractional bits), and
//! U80F48 (48 fractional bits) where amounts convert.

use super::types::TokenomicParams;
use sp_core::U256;

/// 1 in U64F64 bits.
pub const ONE: u128 = 1 << 64;

/// Planck in one PHA.
const PHA: u128 = 1_000_000_000_000;

/// U64F64 bits of a fraction.
pub const fn fraction(numerator: u128, denominator: u128) -> u128 {
    // A quotient and a remainder, so that nothing overflows.
    (numerator / denominator) * ONE + (numerator % denominator) * ONE / denominator
}

fn saturate(value: U256) -> u128 {
    u128::try_from(value).unwrap_or(u128::MAX)
}

fn multiply(a: u128, b: u128) -> u128 {
    saturate((U256::from(a) * U256::from(b)) >> 64)
}

/// U64F64 bits of an amount of planck in PHA.
pub fn pha_of(planck: u128) -> u128 {
    saturate(((U256::from(planck) << 48) / U256::from(PHA)) << 16)
}

/// Planck of U64F64 bits of PHA, floored.
pub fn planck_of(pha: u128) -> u128 {
    saturate((U256::from(pha >> 16) * U256::from(PHA)) >> 48)
}

/// Parameters of a fresh chain: K = 100, re = 1.3, v_max = 30000, rig_k = 0.3, rig_b = 0.
pub fn default_params() -> TokenomicParams {
    TokenomicParams {
        pha_rate: ONE,
        rho: fraction(100_000_099_985, 100_000_000_000),
        budget_per_block: fraction(100, 1),
        v_max: fraction(30_000, 1),
        cost_k: fraction(287, 10_000_000),
        cost_b: fraction(15, 100_000),
        slash_rate: 0,
        treasury_ratio: fraction(2, 10),
        heartbeat_window: 10,
        rig_k: fraction(3, 10),
        rig_b: 0,
        re: fraction(13, 10),
        k: fraction(100, 1),
        kappa: ONE,
    }
}

/// Smallest stake for a score, in planck: K times the square root of the score, in PHA.
pub fn minimal_stake(params: &TokenomicParams, score: u32) -> u128 {
    // The root of score * 2^128 is the root of the score times 2^64.
    let root = saturate((U256::from(score) << 128).integer_sqrt());
    planck_of(multiply(params.k, root))
}

/// Initial value of a session, U64F64 bits:
/// `(1 + (re - 1) * confidence factor) * (stake + rig_k * score + rig_b)`.
pub fn initial_value(params: &TokenomicParams, stake: u128, score: u32, confidence: u8) -> u128 {
    let factor = match confidence {
        4 => fraction(8, 10),
        5 => fraction(7, 10),
        _ => ONE,
    };
    let bonus = ONE.saturating_add(multiply(params.re.saturating_sub(ONE), factor));
    let rig = multiply(params.rig_k, u128::from(score) << 64).saturating_add(params.rig_b);
    multiply(bonus, pha_of(stake).saturating_add(rig))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stake_bounds_follow_the_formula() {
        let params = default_params();
        assert_eq!(minimal_stake(&params, 100), 1000 * PHA);
        assert_eq!(minimal_stake(&params, 2), 141_421_356_237_309);
        // 1.3 * (1000 + 0.3 * 100) = 1339, short of it by the rounding of 1.3 and 0.3.
        assert_eq!(initial_value(&params, 1000 * PHA, 100, 1) >> 64, 1338);
        assert!(initial_value(&params, 1000 * PHA, 100, 5) < initial_value(&params, 1000 * PHA, 100, 4));
        assert_eq!(planck_of(pha_of(1500 * PHA)), 1500 * PHA);
    }
}
