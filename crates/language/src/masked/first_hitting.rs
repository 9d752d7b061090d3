//! The first-hitting sampler: from one uncovered token to the next, without the time between.
//!
//! Zheng et al., ICLR 2025 (arXiv 2409.02908). With n places hidden at time τ, the time at which the next one is uncovered
//! has a law that can be drawn from, 1 - α at it being u^(1/n) (1 - α_τ) for a uniform u, and each of the n is as likely to be the one:
//!
//! > τ ← α⁻¹(1 - u^(1/n) (1 - α_τ)),  l ~ uniform(hidden places),  x_l ~ μ_l(x),  n ← n - 1.
//!
//! This is the reverse process without steps, so without their error, and calls the model as often as there are places. A model that
//! is not told the time needs no τ either: places in a random order, a token each from what the model says then.
//!
//! With fewer calls than places, groups of places share one: group i of N has floor((i + 1) L / N) - floor(i L / N) of the L. They are
//! drawn without knowledge of each other, which is the only error. [`Order::Second`] tries to make up for it: what the model would have
//! said at a time τ inside group i is extrapolated along a line through its answers at the beginnings of this group and the last one,
//!
//! > μ_i + (τ - τ_i) / (τ_i - τ_(i-1)) (μ_i - μ_(i-1)),  negative entries 0, scaled to sum 1.
//!
//! The paper has such a sampler and one that predicts and corrects; their exact formulas could not be verified, this one is derived from
//! their description, and the paper itself is said to find that higher orders may do harm. It is not the default. Which places a group has
//! was not verified either; it cannot matter, since the order is uniform.

use super::{Asked, Draw, MaskedSampler, Sample, Schedule, Step, Usual, draw};
use quadrat_core::{Choice, Error, Result, Rng};
use std::ops::Range;

/// The first-hitting sampler.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FirstHitting {
    /// Calls of the model; `None`: one a place, which is exact.
    pub calls: Option<usize>,
    /// How places that share a call see each other.
    pub order: Order,
    /// How tokens are drawn.
    pub draw: Draw,
}

/// How places that share a call see each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Order {
    /// Not at all.
    First,
    /// By extrapolation from the last call (linear schedule).
    Second,
}

impl Default for FirstHitting {
    fn default() -> Self {
        FirstHitting { calls: None, order: Order::First, draw: Draw::TwoStage }
    }
}

impl MaskedSampler for FirstHitting {
    fn uncover(&self, asked: &mut Asked, sample: &mut Sample, places: &[usize], rng: &mut Rng) -> Result<()> {
        let groups = groups(places.len(), self.calls.unwrap_or(places.len()))?;
        let mut order = places.to_vec();
        rng.shuffle(&mut order);
        sample.draws += order.len();
        match self.order {
            Order::First => {
                for group in groups {
                    let group = &order[group];
                    asked.ask(sample, group)?;
                    for (i, &place) in group.iter().enumerate() {
                        sample.tokens[place] = self.draw.token(asked.row(i), rng) as u32;
                    }
                }
            }
            Order::Second => self.extrapolate(asked, sample, &groups, &order, rng)?,
        }
        sample.order.extend(order);
        Ok(())
    }
}

impl FirstHitting {
    /// Its steps over so many hidden places, for [`exact_law`](super::exact_law); those of [`Order::First`].
    ///
    /// # Errors
    /// As in sampling.
    pub fn steps(&self, places: usize) -> Result<Vec<Step>> {
        let groups = groups(places, self.calls.unwrap_or(places))?;
        Ok(groups.into_iter().map(|group| Step::Set(group.len())).collect())
    }

    fn extrapolate(
        &self,
        asked: &mut Asked,
        sample: &mut Sample,
        groups: &[Range<usize>],
        order: &[usize],
        rng: &mut Rng,
    ) -> Result<()> {
        let times = hitting_times(order.len(), &Usual::Linear, rng);
        // What the last call said of this group's places; nothing for the first.
        let mut before: Option<(f64, Vec<f64>)> = None;
        let mut row = Vec::new();
        for (at, group) in groups.iter().enumerate() {
            let called = if group.start == 0 { 1.0 } else { times[group.start - 1] };
            let next = groups.get(at + 1).map_or(group.end, |next| next.end);
            asked.ask(sample, &order[group.start..next])?;
            for i in 0..group.len() {
                let own = asked.row(i);
                if let Some((earlier, rows)) = &before {
                    let slope = (times[group.start + i] - called) / (called - earlier);
                    on_the_line(own, &rows[i * own.len()..(i + 1) * own.len()], slope, &mut row);
                }
                let row = if before.is_some() { &row } else { own };
                sample.tokens[order[group.start + i]] = self.draw.token(row, rng) as u32;
            }
            before = Some((called, (group.len()..next - group.start).flat_map(|i| asked.row(i)).copied().collect()));
        }
        Ok(())
    }
}

/// `now` + `slope` (`now` - `before`), no entry below 0. Where nothing is left of it, or two calls were at one time, `now` itself.
fn on_the_line(now: &[f64], before: &[f64], slope: f64, row: &mut Vec<f64>) {
    row.clear();
    row.extend(now.iter().zip(before).map(|(&now, &before)| (now + slope * (now - before)).max(0.0)));
    let total = draw::sum(row);
    if !(total.is_finite() && total > 0.0) {
        row.copy_from_slice(now);
    }
}

/// `places` numbers in `calls` groups that differ by one at most.
///
/// # Errors
/// No calls, or more than there are places.
pub(super) fn groups(places: usize, calls: usize) -> Result<Vec<Range<usize>>> {
    if calls == 0 || calls > places {
        return Err(Error::input("calls", calls, format!("1 to {places}, the number of hidden places")));
    }
    Ok((0..calls).map(|i| i * places / calls..(i + 1) * places / calls).collect())
}

/// The times, falling from 1, at which `places` hidden places are uncovered one after the other.
pub fn hitting_times(places: usize, schedule: &dyn Schedule, rng: &mut Rng) -> Vec<f64> {
    let mut hidden = 1.0;
    let hit = |n: usize| {
        hidden *= (1.0 - rng.uniform()).powf(1.0 / n as f64);
        schedule.time(1.0 - hidden)
    };
    (1..=places).rev().map(hit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_share_the_places_out() {
        assert_eq!(groups(10, 4).unwrap(), [0..2, 2..5, 5..7, 7..10]);
        assert_eq!(groups(3, 3).unwrap(), [0..1, 1..2, 2..3]);
        for calls in [0, 4] {
            assert!(groups(3, calls).unwrap_err().to_string().contains("1 to 3"));
        }
    }

    #[test]
    fn extrapolated_rows_are_cut_at_nothing_or_stand() {
        let mut row = Vec::new();
        for (before, slope, wanted) in [
            ([0.6, 0.4], 0.5, [1.05, 0.0]),
            ([0.9, 0.1], 7.0, [0.9, 0.1]),
            ([0.8, 0.2], 1.0, [1.0, 0.0]),
            ([0.8, 0.2], f64::INFINITY, [0.9, 0.1]),
            ([0.9, 0.1], f64::INFINITY, [0.9, 0.1]),
        ] {
            on_the_line(&[0.9, 0.1], &before, slope, &mut row);
            assert!(row.iter().zip(wanted).all(|(a, b): (&f64, f64)| (a - b).abs() < 1e-12), "{before:?}: {row:?}");
        }
    }
}
