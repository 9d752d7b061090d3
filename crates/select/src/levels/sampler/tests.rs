use super::Strategy;
use super::*;
use proptest::prelude::*;
use quadrat_core::stats;

fn known(sampler: LevelSampler, scores: &[f64], counts: &[u64]) -> Replay {
    let draws = counts.iter().max().unwrap() + 1;
    let level = |(score, count): (&f64, &u64)| LevelState {
        score: Some(*score),
        drawn: Some(draws - count),
        ..LevelState::default()
    };
    let levels = scores.iter().zip(counts).map(level).collect();
    let state = ReplayState { draws, levels, ..ReplayState::new(sampler, scores.len(), scores.len(), Seed(3)) };
    state.resume().unwrap()
}

fn assert_near(found: &[f64], expected: &[f64], error: f64) {
    assert!(
        found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= error),
        "{found:?}"
    );
}

const SCORES: [f64; 4] = [0.5, 0.1, 0.9, 0.3];
const COUNTS: [u64; 4] = [0, 3, 1, 2];

/// Probabilities of the prioritised level replay of syllabus-rl 0.7 (numpy 2.4.6), and by the formulas where it has none.
#[test]
fn weights_are_those_of_the_reference() {
    use Transform::{EpsGreedy, Max, Power, Rank, Softmax};
    for (transform, beta, staleness, expected) in [
        (Rank, 0.1, 0.1, [0.000878, 0.050001, 0.915773, 0.033349]),
        (Rank, 0.1, 0.3, [0.000683, 0.150001, 0.749305, 0.100012]),
        (Rank, 0.1, 0.0, [0.000976, 0.000001, 0.999007, 0.000017]),
        (Rank, 1.0, 0.3, [0.168, 0.234, 0.386, 0.212]),
        (Rank, 1.0, 0.0, [0.24, 0.12, 0.48, 0.16]),
        (Rank, 0.3, 0.3, [0.061203, 0.156072, 0.666884, 0.115842]),
        (Power, 1.0, 0.0, [0.277716, 0.055987, 0.499446, 0.166851]),
        (Softmax, 1.0, 0.0, [0.251201, 0.168385, 0.374748, 0.205666]),
        (Max, 1.0, 0.0, [0.0, 0.0, 1.0, 0.0]),
        (EpsGreedy, 1.0, 0.0, [0.0125, 0.0125, 0.9625, 0.0125]),
    ] {
        let sampler = LevelSampler { transform, beta, staleness, ..LevelSampler::default() };
        assert_near(&known(sampler, &SCORES, &COUNTS).weights().unwrap(), &expected, 1e-6);
    }
}

/// The reference ranks ties by place (0.12, 0.16, 0.24, 0.48 for four equal scores); here they share.
#[test]
fn tied_levels_are_alike() {
    let sampler = LevelSampler { beta: 1.0, staleness: 0.0, ..LevelSampler::default() };
    let weights = |scores: &[f64]| known(sampler, scores, &vec![0; scores.len()]).weights().unwrap();
    assert_near(&weights(&[0.0; 4]), &[0.25; 4], 1e-12);
    assert_near(&weights(&[0.5, 0.5, 0.9, 0.5]), &[0.52 / 3.0, 0.52 / 3.0, 0.48, 0.52 / 3.0], 1e-12);
    let max = LevelSampler { transform: Transform::Max, staleness: 0.0, ..sampler };
    assert_near(&known(max, &[2.0, 1.0, 2.0], &[0; 3]).weights().unwrap(), &[0.5, 0.0, 0.5], 0.0);
    // No level waits, so staleness has nothing to say.
    let stale = LevelSampler { staleness: 1.0, ..sampler };
    assert_near(&known(stale, &[0.0; 4], &[0; 4]).weights().unwrap(), &[0.25; 4], 1e-12);
}

/// Pearson's statistic of 20,000 draws from one state, for every transform and both laws: a false alarm once in 10^5.
#[test]
fn draws_follow_the_weights() {
    let mut alarms = Vec::new();
    for transform in [Transform::Rank, Transform::Power, Transform::Softmax, Transform::EpsGreedy, Transform::Max] {
        for two in [false, true] {
            let sampler = LevelSampler { transform, beta: 0.7, ..LevelSampler::default() };
            let scores = [0.5, 0.1, 0.9, 0.3, 0.5, 0.0, 0.9];
            let mut replay = known(sampler, &scores, &[0, 3, 1, 2, 9, 4, 4]);
            if two {
                let second = LevelSampler { beta: 1.0, ..LevelSampler::default() };
                let mut state = ReplayState { second: Some(second), initial: 5, eta: 0.4, ..replay.state.clone() };
                state.levels.iter_mut().zip([0.0, 0.2, 0.0, 0.1, 0.7, 0.9, 0.1]).for_each(|(l, s)| l.second = Some(s));
                replay = state.resume().unwrap();
                assert_eq!(replay.first.len(), 5);
            }
            let weights = replay.weights().unwrap();
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            let (n, mut counts) = (20_000, vec![0.0; weights.len()]);
            for seed in 0..n {
                let mut drawn = replay.clone();
                drawn.state.seed = seed;
                counts[drawn.ask()] += 1.0;
            }
            let mut statistic = 0.0;
            for (count, weight) in counts.iter().zip(&weights) {
                assert!(*weight > 0.0 || *count == 0.0);
                if *weight > 0.0 {
                    statistic += (count - n as f64 * weight).powi(2) / (n as f64 * weight);
                }
            }
            let kinds = weights.iter().filter(|w| **w > 0.0).count();
            alarms.push(stats::chi_square_tail(statistic, (kinds - 1) as f64));
        }
    }
    assert!(alarms.iter().all(|p| *p > 1e-6), "{alarms:?}");
}

#[test]
fn a_cut_episode_scores_as_the_whole() {
    let advantages: Vec<f64> = (0..11).map(|t| (t as f64 * 1.7).sin()).collect();
    for strategy in [Strategy::ValueL1, Strategy::PositiveValueLoss, Strategy::SignedValueLoss] {
        let sampler = LevelSampler { strategy, ..LevelSampler::default() };
        let mut whole = sampler.start(2, 2, Seed(0)).unwrap();
        let score = whole.tell(1, &Episode::whole(Steps::Advantages(&advantages))).unwrap().unwrap();
        let mut cut = sampler.start(2, 2, Seed(0)).unwrap();
        // Another actor on the same level is another episode.
        let other = Episode { done: false, actor: 7, ..Episode::whole(Steps::Advantages(&[9.0])) };
        for (part, done) in [(0..2, false), (2..3, false), (3..11, true)] {
            cut.tell(1, &other).unwrap();
            let episode = Episode { done, ..Episode::whole(Steps::Advantages(&advantages[part])) };
            let told = cut.tell(1, &episode).unwrap();
            assert_eq!(told.is_some(), done);
            if let Some(told) = told {
                assert!((told - score).abs() < 1e-12);
            }
        }
        // A new policy: what was told of the part is its score, and nothing is left over.
        cut.updated();
        assert_eq!(cut.state.levels[1].score, Some(9.0));
        assert!(cut.state.partial.is_empty());
    }
}

#[test]
fn scores_are_those_of_the_strategies() {
    use Strategy::{GroundedValueL1, LeastConfidence, Loss, MinMargin, OneStepTd, PolicyEntropy, Uniform};
    let policies = [vec![0.7, 0.2, 0.1], vec![0.25, 0.25, 0.5]];
    let entropy = |p: &[f64]| -p.iter().map(|p| p * p.ln()).sum::<f64>() / 3.0_f64.ln();
    let mean = (entropy(&policies[0]) + entropy(&policies[1])) / 2.0;
    let returns = Steps::Returns { returns: &[1.0, 0.0], values: &[0.4, 0.2] };
    for (strategy, steps, expected) in [
        (Strategy::ValueL1, returns, 0.4),
        (Strategy::PositiveValueLoss, returns, 0.3),
        (Strategy::SignedValueLoss, returns, 0.2),
        (GroundedValueL1, returns, 0.0),
        (OneStepTd, Steps::TdErrors(&[0.5, -0.1]), 0.3),
        (Loss, Steps::Losses(&[2.0, 4.0]), 3.0),
        (PolicyEntropy, Steps::Policies(&policies), mean),
        (MinMargin, Steps::Policies(&policies), (0.5 + 0.75) / 2.0),
        (LeastConfidence, Steps::Policies(&policies), 0.4),
        (Uniform, Steps::Losses(&[5.0]), 0.0),
    ] {
        let mut replay = LevelSampler { strategy, ..LevelSampler::default() }.start(1, 1, Seed(0)).unwrap();
        let score = replay.tell(0, &Episode::whole(steps)).unwrap().unwrap();
        assert!((score - expected).abs() < 1e-12, "{strategy:?} {score}");
    }
    // Solved once, a level counts, even when it is not solved again; scores are averaged by alpha.
    let sampler = LevelSampler { strategy: GroundedValueL1, alpha: 0.25, ..LevelSampler::default() };
    let mut replay = sampler.start(1, 1, Seed(0)).unwrap();
    let mut tell = |advantage: f64, reward| {
        let advantages = [advantage];
        let episode = Episode { reward: Some(reward), ..Episode::whole(Steps::Advantages(&advantages)) };
        replay.tell(0, &episode).unwrap().unwrap()
    };
    assert_eq!([tell(1.0, 0.0), tell(1.0, 0.5), tell(3.0, 0.0)], [0.0, 0.25, 0.9375]);
}

#[test]
fn every_level_comes_once_and_then_as_the_schedule_says() {
    let mut replay = LevelSampler::default().start(20, 20, Seed(5)).unwrap();
    let mut first: Vec<usize> = (0..20).map(|_| replay.ask()).collect();
    assert!(replay.weights().is_err() && replay.ask() < 20, "many environments start at once");
    first.sort_unstable();
    assert_eq!(first, (0..20).collect::<Vec<_>>());
    replay.tell(3, &Episode::whole(Steps::Advantages(&[1.0]))).unwrap();
    assert!((0..10).all(|_| replay.ask() == 3), "levels without a score are not replayed");

    // Half first, then a new one at one draw in four.
    let schedule = LevelSampler { schedule: Schedule::Fixed, rho: 0.5, replay: 0.75, ..LevelSampler::default() };
    let (mut new, repeats) = (0.0, 2_000);
    for seed in 0..repeats {
        let mut replay = schedule.start(4, 4, Seed(seed)).unwrap();
        let mut seen = Vec::new();
        for _ in 0..2 {
            seen.push(replay.ask());
            replay.tell(seen[seen.len() - 1], &Episode::whole(Steps::Advantages(&[1.0]))).unwrap();
        }
        assert_ne!(seen[0], seen[1]);
        new += f64::from(u8::from(!seen.contains(&replay.ask())));
    }
    // Five standard errors: one alarm in a million.
    assert!((new / repeats as f64 - 0.25).abs() < 5.0 * (0.1875 / repeats as f64).sqrt(), "{new}");
}

#[test]
fn first_levels_stay_and_the_buffer_never_overflows() {
    let first = LevelSampler::default();
    let second = LevelSampler { strategy: Strategy::GroundedValueL1, beta: 1.0, ..first };
    let mut replay = first.start_with(second, 5, 12, Seed(1)).unwrap();
    for level in 0..5 {
        replay.tell(level, &Episode::whole(Steps::Advantages(&[0.01]))).unwrap();
    }
    let before = replay.state.levels[..5].to_vec();
    let mut rng = Seed(2).rng(0);
    let mut entered = Vec::new();
    for _ in 0..10_000 {
        let (advantage, reward) = (rng.uniform(), if rng.uniform() < 0.5 { 0.0 } else { 0.3 });
        let advantages = [advantage];
        let episode = Episode { reward: Some(reward), ..Episode::whole(Steps::Advantages(&advantages)) };
        let lowest = entered.iter().copied().fold(f64::INFINITY, f64::min);
        let slot = replay.propose(&episode).unwrap();
        let should = reward > 0.0 && (entered.len() < 7 || advantage > lowest);
        assert_eq!(slot.is_some(), should);
        if should {
            if entered.len() == 7 {
                entered.retain(|score| *score != lowest);
            }
            entered.push(advantage);
        }
        assert!(slot.is_none_or(|slot| (5..12).contains(&slot)) && replay.len() <= 12);
    }
    assert_eq!(replay.state.levels[..5], before);
    assert!(entered.iter().all(|score| *score > 0.99), "the best stay: {entered:?}");
    // Whole buffer at eta 1, the first levels alone at eta 0; staleness is about the first alone.
    replay.set_eta(1.0).unwrap();
    assert!(replay.weights().unwrap().iter().all(|w| *w > 0.0));
    replay.set_eta(0.0).unwrap();
    assert!(replay.weights().unwrap()[5..].iter().all(|w| *w == 0.0));
    assert!(replay.set_eta(1.5).is_err() && replay.set_eta(f64::NAN).is_err());
}

#[test]
fn what_does_not_fit_is_told() {
    let sampler = LevelSampler::default();
    let says = |result: Result<Option<f64>>, words: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    assert!(sampler.start(0, 4, Seed(0)).is_err() && sampler.start(5, 4, Seed(0)).is_err());
    for (wrong, what) in [
        (LevelSampler { beta: 0.0, ..sampler }, "beta"),
        (LevelSampler { beta: f64::NAN, ..sampler }, "beta"),
        (LevelSampler { staleness: 1.1, ..sampler }, "staleness"),
        (LevelSampler { rho: -0.1, ..sampler }, "rho"),
        (LevelSampler { replay: f64::NAN, ..sampler }, "replay"),
        (LevelSampler { alpha: 0.0, ..sampler }, "alpha"),
    ] {
        assert!(wrong.start(2, 2, Seed(0)).unwrap_err().to_string().starts_with(what));
    }
    let mut replay = sampler.start(2, 2, Seed(0)).unwrap();
    let advantages = |all| Episode::whole(Steps::Advantages(all));
    says(replay.tell(2, &advantages(&[1.0])), "0 to 1");
    says(replay.tell(1, &advantages(&[])), "level 1: got no steps");
    says(replay.tell(1, &advantages(&[1.0, f64::NAN])), "level 1: got a number that is not finite");
    says(replay.tell(1, &Episode::whole(Steps::Returns { returns: &[1.0], values: &[] })), "1 returns and 0 values");
    says(replay.tell(1, &Episode::whole(Steps::Losses(&[1.0]))), "value-l1 needs advantages");
    says(replay.tell(1, &Episode { reward: Some(f64::INFINITY), ..advantages(&[1.0]) }), "return on level 1");
    let mut doubt = LevelSampler { strategy: Strategy::MinMargin, ..sampler }.start(1, 1, Seed(0)).unwrap();
    says(doubt.tell(0, &Episode::whole(Steps::Policies(&[vec![0.5, 0.6]]))), "sum to 1");
    assert!(replay.set_score(0, f64::NAN).is_err() && replay.set_score(2, 0.0).is_err());
    assert_eq!(replay.state.levels, vec![LevelState::default(); 2], "nothing was told");
    let mut state = replay.state.clone();
    state.draws = 0;
    state.levels[0].drawn = Some(4);
    assert!(state.resume().is_err());
}

proptest! {
    /// Whatever is asked, told and offered: weights sum to 1, unseen levels have none, and a replay taken up from its state, by
    /// way of text, goes on with the same draws.
    #[test]
    fn states_go_on_exactly(
        moves in prop::collection::vec((0_usize..8, 0.0_f64..2.0, any::<bool>()), 1..60), transform in 0_usize..5, two: bool,
    ) {
        let all = [Transform::Rank, Transform::Power, Transform::Softmax, Transform::EpsGreedy, Transform::Max];
        let sampler = LevelSampler { transform: all[transform], beta: 0.01, rho: 0.5, ..LevelSampler::default() };
        let second = LevelSampler { strategy: Strategy::GroundedValueL1, ..sampler };
        let mut replay = match two {
            true => sampler.start_with(second, 6, 9, Seed(7)).unwrap(),
            false => sampler.start(6, 9, Seed(7)).unwrap(),
        };
        replay.set_eta(0.5).unwrap();
        for (what, value, done) in moves {
            let reward = Some(value - 1.0);
            let values = [value, -value];
            let episode = Episode { reward, done, ..Episode::whole(Steps::Advantages(&values)) };
            match what {
                0..3 => { replay.ask(); }
                3 => replay.updated(),
                4 => { replay.propose(&episode).unwrap(); }
                level => { replay.tell((level + (10.0 * value) as usize) % replay.len(), &episode).unwrap(); }
            }
            if let Ok(weights) = replay.weights() {
                prop_assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
                prop_assert!(weights.iter().zip(&replay.state.levels).all(|(w, l)| *w == 0.0 || l.score.is_some()));
            }
        }
        let text = serde_json::to_string(replay.state()).unwrap();
        let mut again = serde_json::from_str::<ReplayState>(&text).unwrap().resume().unwrap();
        prop_assert_eq!(again.weights().ok(), replay.weights().ok());
        for _ in 0..10 {
            prop_assert_eq!(again.ask(), replay.ask());
        }
    }
}
