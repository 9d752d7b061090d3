use super::*;
use proptest::prelude::*;

fn near(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * (1.0 + b.abs())
}

/// The largest difference between an objective's weights and the slopes of its loss by central differences.
fn apart(objective: &dyn SequenceObjective, group: Group<'_>) -> f64 {
    let pull = objective.pull(&group).unwrap();
    let loss = |i: usize, step: f64| {
        let mut policy = group.policy.to_vec();
        policy[i] += step;
        objective.pull(&Group { policy: &policy, ..group }).unwrap().loss
    };
    let slope = |i: usize| (loss(i, 1e-5) - loss(i, -1e-5)) / 2e-5;
    (0..group.policy.len()).map(|i| (slope(i) - pull.weights[i]).abs() / (1.0 + slope(i).abs())).fold(0.0, f64::max)
}

const ALL: [Targets; 6] = [
    Targets::Mle,
    Targets::MleAug { mean: false },
    Targets::MleAug { mean: true },
    Targets::Mml,
    Targets::BetaMml { beta: 0.25 },
    Targets::Mixed { mml: 0.3, mle: 0.7, power: 0.5 },
];

#[test]
fn likelihoods_of_many_targets_have_their_values() {
    // Computed in double precision with numpy from the formulas.
    let l = [-1.0, -2.5, -0.3];
    for (objective, loss, weights) in [
        (Targets::Mle, 1.0, [1.0, 0.0, 0.0]),
        (Targets::MleAug { mean: false }, 3.8, [1.0; 3]),
        (Targets::Mml, -0.1746107888, [0.3089391989, 0.0689336529, 0.6221271482]),
        (Targets::BetaMml { beta: 0.25 }, -3.2291266251, [0.3473988775, 0.2387635240, 0.4138375985]),
    ] {
        let pull = objective.pull(&Group { policy: &l, ..Group::default() }).unwrap();
        assert!(near(pull.loss, loss, 1e-10), "{objective:?} {}", pull.loss);
        assert!(pull.weights.iter().zip(weights).all(|(w, want)| near(-w, want, 1e-10)), "{objective:?} {pull:?}");
    }
    let flat = Targets::BetaMml { beta: 1e-6 }.pull(&Group { policy: &l, ..Group::default() }).unwrap();
    assert!(flat.weights.iter().all(|w| near(*w, -1.0 / 3.0, 1e-6)));
}

proptest! {
    #[test]
    fn weights_are_the_slopes_of_the_loss(
        l in prop::collection::vec(-30.0..-0.01f64, 2..8),
        shift in prop::collection::vec(-2.0..2.0f64, 8),
        p in prop::collection::vec(0.0..1.0f64, 28),
        tau in 0.05..2.0f64,
    ) {
        for objective in ALL {
            prop_assert!(apart(&objective, Group { policy: &l, ..Group::default() }) < 1e-8, "{objective:?}");
        }
        let anchor: Vec<f64> = l.iter().zip(&shift).map(|(l, s)| l - s).collect();
        let mut said = p.iter();
        let judged = all_pairs(l.len(), |_, _| Ok(*said.next().unwrap())).unwrap();
        let group = Group { policy: &l, anchor: &anchor, judged: &judged };
        for loss in [PreferenceLoss::Ipo, PreferenceLoss::Dpo, PreferenceLoss::Slic] {
            // Central differences say nothing at a corner of the hinge.
            let corner = |pair: &Judged| {
                let h = group.log_ratio(pair.first) - group.log_ratio(pair.second);
                ((tau * h).abs() - 1.0).abs() < 1e-4
            };
            if loss == PreferenceLoss::Slic && judged.iter().any(corner) {
                continue;
            }
            prop_assert!(apart(&Preferred { loss, tau }, group) < 1e-7, "{loss:?}");
        }
    }

    #[test]
    fn verdicts_agree_with_known_preferences_in_expectation(h in -20.0..20.0f64, p in 0.0..=1.0f64, tau in 0.05..2.0f64) {
        for loss in [PreferenceLoss::Ipo, PreferenceLoss::Dpo, PreferenceLoss::Slic] {
            let (known, slope) = loss.of(h, p, tau);
            let (won, lost) = (loss.of(h, 1.0, tau), loss.of(h, 0.0, tau));
            prop_assert!(near(p * won.1 + (1.0 - p) * lost.1, slope, 1e-12));
            // The losses of verdicts lie above by the variance of their targets, which h does not change.
            let more = if loss == PreferenceLoss::Ipo { p * (1.0 - p) / (tau * tau) } else { 0.0 };
            prop_assert!(near(p * won.0 + (1.0 - p) * lost.0, known + more, 1e-10));
            // The pair the other way round.
            let (mirrored, opposite) = loss.of(-h, 1.0 - p, tau);
            prop_assert!(near(mirrored, known, 1e-12) && near(opposite, -slope, 1e-12));
        }
    }
}

#[test]
fn pairs_have_the_published_losses() {
    let of = |loss: PreferenceLoss, h: f64, tau: f64| loss.of(h, 1.0, tau).0;
    // (h - 1/(2 tau))^2, -ln sigmoid(tau h), max(0, 1 - tau h); the sum form of IPO on a pair where TRL's mean form gives 18.6.
    assert!(near(of(PreferenceLoss::Ipo, 3.0, 0.1), 4.0, 1e-15));
    assert!(near(of(PreferenceLoss::Dpo, 5.0, 0.1), 0.474_076_984_180_107_1, 1e-14));
    assert!(near(of(PreferenceLoss::Slic, 3.0, 0.1), 0.7, 1e-15));
    // Neither overflows.
    assert_eq!(of(PreferenceLoss::Dpo, -1e5, 1.0), 1e5);
    assert_eq!(of(PreferenceLoss::Dpo, 1e5, 1.0), 0.0);
}

#[test]
fn the_policy_gradient_pulls_at_the_first_alone() {
    let judged = [Judged { first: 0, second: 1, preference: 0.8 }];
    let group = Group { policy: &[-1.0, -2.0], anchor: &[-1.5, -2.0], judged: &judged };
    let pull = NashMdPg { tau: 0.2 }.pull(&group).unwrap();
    assert!(near(pull.weights[0], -(0.8 - 0.5 - 0.2 * 0.5), 1e-15) && pull.weights[1] == 0.0);
    assert_eq!(pull.loss, pull.weights[0]);
}

#[test]
fn equal_completions_are_unbiased_zeros() {
    let judged = [Judged { first: 0, second: 1, preference: 0.5 }];
    let group = Group { policy: &[-1.0, -1.0], anchor: &[-2.0, -2.0], judged: &judged };
    let pull = Preferred { loss: PreferenceLoss::Ipo, tau: 0.1 }.pull(&group).unwrap();
    assert_eq!((pull.loss, pull.weights), (0.0, vec![0.0, 0.0]));
}

#[test]
fn what_cannot_be_computed_is_refused() {
    let ipo = |tau| Preferred { loss: PreferenceLoss::Ipo, tau };
    let pair = |first, second, preference| vec![Judged { first, second, preference }];
    type Case = (f64, Vec<f64>, Vec<f64>, Vec<Judged>, &'static str);
    let cases: Vec<Case> = vec![
        (0.0, vec![-1.0; 2], vec![-1.0; 2], pair(0, 1, 1.0), "tau: got 0"),
        (f64::NAN, vec![-1.0; 2], vec![-1.0; 2], pair(0, 1, 1.0), "tau: got NaN"),
        (1.0, vec![], vec![], pair(0, 1, 1.0), "sequences: got none"),
        (1.0, vec![-1.0, f64::NAN], vec![-1.0; 2], pair(0, 1, 1.0), "ln π of sequence 2: got NaN"),
        (1.0, vec![-1.0; 2], vec![-1.0], pair(0, 1, 1.0), "ln μ: got 1 for 2"),
        (1.0, vec![-1.0; 2], vec![f64::NEG_INFINITY, -1.0], pair(0, 1, 1.0), "the anchor gives zero probability"),
        (1.0, vec![-1.0; 2], vec![-1.0; 2], vec![], "judged pairs: got none"),
        (1.0, vec![-1.0; 2], vec![-1.0; 2], pair(0, 2, 1.0), "places below 2"),
        (1.0, vec![-1.0; 2], vec![-1.0; 2], pair(0, 1, 1.5), "preference: got 1.5"),
        (1.0, vec![-1.0; 2], vec![-1.0; 2], pair(0, 1, f64::NAN), "preference: got NaN"),
    ];
    for (tau, policy, anchor, judged, part) in cases {
        let group = Group { policy: &policy, anchor: &anchor, judged: &judged };
        let error = ipo(tau).pull(&group).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    assert!(all_pairs(1, |_, _| Ok(0.5)).unwrap_err().to_string().contains("at least 2"));
    for beta in [0.0, -1.0, 1.5, f64::NAN] {
        let group = Group { policy: &[-1.0], ..Group::default() };
        assert!(Targets::BetaMml { beta }.pull(&group).unwrap_err().to_string().contains("at most 1"));
    }
}
