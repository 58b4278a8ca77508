//! What must hold of every score, whatever the numbers.

use models::scores;
use proptest::prelude::*;

const LEVELS: [f64; 7] = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95];

fn value() -> impl Strategy<Value = f64> {
    -60.0..60.0_f64
}

fn members() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(value(), 2..24)
}

fn pairs() -> impl Strategy<Value = Vec<(f64, f64)>> {
    prop::collection::vec((value(), value()), 1..60)
}

proptest! {
    #[test]
    fn the_quantile_of_a_sample_has_its_least_pinball_loss(mut sample in members(), level in 0.02..0.98_f64, other in value()) {
        sample.sort_by(f64::total_cmp);
        let loss = |q: f64| sample.iter().map(|y| scores::pinball(level, q, *y)).sum::<f64>();
        let rank = (level * sample.len() as f64) as usize;
        prop_assert!(loss(sample[rank.min(sample.len() - 1)]) <= loss(other) + 1e-9);
    }

    #[test]
    fn pinball_at_both_ends_of_an_interval_is_its_interval_score(low in value(), width in 0.0..30.0_f64, y in value(), miss in 0.02..0.98_f64) {
        let high = low + width;
        let both = scores::pinball(miss / 2.0, low, y) + scores::pinball(1.0 - miss / 2.0, high, y);
        prop_assert!((scores::interval(miss, low, high, y) - 2.0 / miss * both).abs() < 1e-6);
    }

    #[test]
    fn shares_of_ranks_are_positive_and_whole(steps in prop::collection::vec(0.01..1.0_f64, 2..30)) {
        let total: f64 = steps.iter().sum();
        let levels: Vec<f64> = steps[1..].iter().scan(steps[0], |sum, step| {
            let level = *sum / total;
            *sum += step;
            Some(level)
        }).collect();
        let shares = scores::rank_shares(&levels);
        prop_assert!(shares.iter().all(|s| *s > 0.0));
        prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_crps_of_a_certain_forecast_is_its_absolute_error(q in value(), y in value()) {
        // Half of 2 x pinball falls on each side of the median only for all levels together.
        let even: Vec<f64> = (0..10).map(|i| (f64::from(i) + 0.5) / 10.0).collect();
        prop_assert!((scores::crps_quantiles(&even, &[q; 10], y) - (q - y).abs()).abs() < 1e-9);
        prop_assert!((scores::crps_quantiles(&LEVELS, &[q; 7], y) - (q - y).abs()).abs() < 1e-9);
        prop_assert!((scores::crps_ensemble(&[q, q], y).unwrap_or(f64::NAN) - (q - y).abs()).abs() < 1e-9);
    }

    #[test]
    fn an_ensembles_crps_is_that_of_its_quantiles(mut sample in members(), y in value()) {
        sample.sort_by(f64::total_cmp);
        let count = sample.len() as f64;
        let levels: Vec<f64> = (0..sample.len()).map(|i| (i as f64 + 0.5) / count).collect();
        let ensemble = scores::crps_ensemble(&sample, y).unwrap_or(f64::NAN);
        prop_assert!((ensemble - scores::crps_quantiles(&levels, &sample, y)).abs() < 1e-6);
        prop_assert!(scores::fair_crps_ensemble(&sample, y).unwrap_or(f64::NAN) <= ensemble + 1e-9);
    }

    #[test]
    fn scores_move_with_the_scale_and_not_with_the_origin(sample in members(), y in value(), shift in value(), scale in 0.1..9.0_f64) {
        let moved: Vec<f64> = sample.iter().map(|m| m * scale + shift).collect();
        let (before, after) = (scores::crps_ensemble(&sample, y), scores::crps_ensemble(&moved, y * scale + shift));
        prop_assert!((before.unwrap_or(f64::NAN) * scale - after.unwrap_or(f64::NAN)).abs() < 1e-6);
    }

    #[test]
    fn a_root_mean_square_is_no_less_than_the_mean_and_that_no_less_than_the_bias(pairs in pairs()) {
        let found = scores::deviation(&pairs).ok_or_else(|| TestCaseError::fail("none"))?;
        prop_assert!(found.rmse >= found.mae - 1e-9 && found.mae >= found.bias.abs() - 1e-9);
    }

    #[test]
    fn honesty_is_the_best_policy_for_a_brier_score(truth in 0.0..1.0_f64, told in 0.0..1.0_f64) {
        // The expected score where it happens with probability `truth`.
        let expected = |p: f64| {
            let of = |happened| scores::brier(&[(p, happened)]).unwrap_or(f64::NAN);
            truth * of(true) + (1.0 - truth) * of(false)
        };
        prop_assert!(expected(truth) <= expected(told) + 1e-12);
    }

    #[test]
    fn the_frequency_itself_has_no_skill(happened in prop::collection::vec(any::<bool>(), 2..50)) {
        let frequency = happened.iter().filter(|h| **h).count() as f64 / happened.len() as f64;
        let pairs: Vec<(f64, bool)> = happened.iter().map(|h| (frequency, *h)).collect();
        match scores::brier_skill(&pairs) {
            Some(skill) => prop_assert!(skill.abs() < 1e-9),
            None => prop_assert!(frequency == 0.0 || frequency == 1.0),
        }
    }

    #[test]
    fn angles_know_no_order_and_no_turns(a in value(), b in value(), turns in -5..5_i32) {
        let angle = scores::angle(a, b);
        prop_assert!((0.0..=180.0).contains(&angle));
        prop_assert!((angle - scores::angle(b + 360.0 * f64::from(turns), a)).abs() < 1e-6);
    }

    #[test]
    fn no_number_panics(a in any::<f64>(), b in any::<f64>(), c in any::<f64>()) {
        let _ = (scores::pinball(a, b, c), scores::interval(a, b, c, a), scores::angle(a, b), scores::bin(a));
        let _ = (scores::crps_quantiles(&[a, b], &[c], a), scores::crps_ensemble(&[a, b, c], c));
        let _ = (scores::brier(&[(a, true), (b, false)]), scores::crps_normal(a, b, c), scores::rank_shares(&[a, b, c]));
    }
}
