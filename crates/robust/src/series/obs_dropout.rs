//! ObsDropout: hide some of what was observed, so that a classifier must use what is made up in its place.
//!
//! Without it a classifier can read all it needs from observed entries, and nothing makes the imputations useful (the paper's
//! trivial solution). Each observed entry is kept with probability 1 − β, anew for every draw k and completion j; holes stay holes.

use super::given::{Chance, Given};
use quadrat_core::Rng;

/// Which of the observed entries are kept (1 or 0) and ln p of that: n_kept ln(1 − β) + n_dropped ln β, which is 0 for β = 0.
/// `rate` is β, from 0 to below 1; costs a draw for each observed entry.
///
/// ```
/// use quadrat_robust::series::obs_dropout;
/// let mask = [1.0, 0.0, 1.0, 1.0];
/// let mut rng = quadrat_core::Seed(1).rng(0);
/// assert_eq!(obs_dropout(&mask, 0.0, &mut rng), (mask.to_vec(), 0.0));
/// let (kept, log_p) = obs_dropout(&mask, 0.5, &mut rng);
/// assert!(kept[1] == 0.0 && (log_p - 3.0 * 0.5f32.ln()).abs() < 1e-6);
/// ```
pub fn obs_dropout(mask: &[f32], rate: f32, rng: &mut Rng) -> (Vec<f32>, f32) {
    if rate <= 0.0 {
        return (mask.to_vec(), 0.0);
    }
    let mut log_p = 0.0;
    let mut keep = |observed: &f32| {
        if *observed == 0.0 {
            return 0.0;
        }
        let dropped = rng.uniform() < f64::from(rate);
        log_p += if dropped { rate.ln() } else { (1.0 - rate).ln() };
        f32::from(!dropped)
    };
    let kept = mask.iter().map(&mut keep).collect();
    (kept, log_p)
}

/// What is left of some series, one after the other: times x channels each.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept {
    /// 1 where kept.
    pub mask: Vec<f32>,
    /// The last kept value of the channel before or at each time; 0 (its mean) before the first.
    pub last: Vec<f32>,
    /// Steps since it was observed; since the series began where there is none.
    pub since: Vec<f32>,
    /// ln p of what was kept, for each series.
    pub log_p: Vec<f32>,
}

impl Kept {
    /// `k` draws for each series, one after the other.
    pub(super) fn drawn(given: &Given, k: usize, rate: f32, chance: &mut Chance) -> Self {
        let [n, t, d] = given.size;
        let mut kept = Kept::default();
        for i in 0..n {
            for draw in 0..k {
                let (mask, log_p) = obs_dropout(&given.mask[i * t * d..(i + 1) * t * d], rate, chance.of(i));
                kept.mask.extend(mask);
                kept.log_p.push(log_p);
                kept.push_last(given, i, i * k + draw);
            }
        }
        kept
    }

    /// Adds last values and times of series i as the mask at `place` leaves it.
    pub(super) fn push_last(&mut self, given: &Given, i: usize, place: usize) {
        let [_, t, d] = given.size;
        let mask = &self.mask[place * t * d..(place + 1) * t * d];
        let (mut last, mut at) = (vec![0.0; d], vec![0.0; d]);
        for time in 0..t {
            let now = given.times[i * t + time];
            for (c, (last, at)) in last.iter_mut().zip(&mut at).enumerate() {
                let entry = time * d + c;
                if mask[entry] == 1.0 {
                    *last = given.values[i * t * d + entry];
                    *at = now;
                }
                self.last.push(*last);
                self.since.push(now - *at);
            }
        }
    }
}
