use super::game::{divergence, normalised};
use super::*;
use crate::objective::PreferenceLoss;
use ndarray::{Array2, array};
use proptest::prelude::*;
use quadrat_core::{Rng, Seed, Settings};

fn law(k: usize, rng: &mut Rng) -> Vec<f64> {
    normalised((0..k).map(|_| rng.normal()).collect())
}

fn random_game(k: usize, tau: f64, rng: &mut Rng) -> RegularisedGame {
    let mut p = Array2::from_elem((k, k), 0.5);
    for y in 0..k {
        for z in 0..y {
            p[[y, z]] = rng.uniform();
            p[[z, y]] = 1.0 - p[[y, z]];
        }
    }
    RegularisedGame::new(p, law(k, rng), tau).unwrap()
}

/// A cycle with an uneven anchor: the table of reference values below belongs to it.
fn golden(tau: f64) -> RegularisedGame {
    let cycle = array![[0.5, 0.9, 0.2], [0.1, 0.5, 0.7], [0.8, 0.3, 0.5]];
    RegularisedGame::new(cycle, vec![0.6, 0.3, 0.1], tau).unwrap()
}

fn near(a: &[f64], b: &[f64], tolerance: f64) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
}

/// Slopes by central differences of the fourth order.
fn slopes(at: &[f64], of: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let moved = |i: usize, step: f64| {
        let mut x = at.to_vec();
        x[i] += step;
        of(&x)
    };
    let h = 1e-3;
    let slope = |i| (8.0 * (moved(i, h) - moved(i, -h)) - (moved(i, 2.0 * h) - moved(i, -2.0 * h))) / (12.0 * h);
    (0..at.len()).map(slope).collect()
}

#[test]
fn equilibria_have_their_reference_values() {
    // Computed in double precision with numpy by two methods (Nash-MD to convergence, fixed point by Newton steps).
    for (tau, nash) in [
        (1.0, [0.6436598975, 0.2396233615, 0.1167167410]),
        (0.3, [0.6585377485, 0.1528417251, 0.1886205264]),
        (0.1, [0.4534849783, 0.1488411615, 0.3976738603]),
    ] {
        let game = golden(tau);
        let found = game.nash(1e-12).unwrap();
        assert!(near(&found, &nash, 1e-9), "{tau} {found:?}");
        assert!(game.duality_gap(&found).unwrap() < 1e-12);
        assert!(game.kl_to_nash(&found).unwrap() < 1e-12);
    }
    let game = golden(0.1);
    let offline = game.respond(game.anchor()).unwrap();
    assert!(near(&offline, &[0.801603, 0.018056, 0.180342], 1e-6), "{offline:?}");
    // Offline IPO is misled by the cycle: worse than the anchor itself.
    assert!((game.duality_gap(&offline).unwrap() - 0.133417).abs() < 1e-6);
    assert!((game.duality_gap(game.anchor()).unwrap() - 0.122063).abs() < 1e-6);
    let mixture = game.mixture_point(0.25, 1e-12).unwrap();
    assert!(near(&mixture, &[0.450149, 0.089490, 0.460361], 1e-6), "{mixture:?}");
    assert!((game.duality_gap(&mixture).unwrap() - 0.010804).abs() < 1e-6);
}

#[test]
fn three_losses_have_the_gradient_of_self_play() {
    let mut rng = Seed(1).rng(0);
    for _ in 0..20 {
        let tau = 0.1 + rng.uniform();
        let game = random_game(5, tau, &mut rng);
        let logits: Vec<f64> = (0..5).map(|_| rng.normal()).collect();
        let pi = normalised(logits.clone());
        let wins = game.against(&pi).unwrap();
        let log_ratio = |theta: &[f64]| -> Vec<f64> {
            normalised(theta.to_vec()).iter().zip(game.anchor()).map(|(p, m)| (p / m).ln()).collect()
        };
        // J: the sampled opponent is held, the policy is not.
        let self_play = slopes(&logits, |theta| {
            let p = normalised(theta.to_vec());
            p.iter().zip(&wins).map(|(p, w)| p * w).sum::<f64>() - tau * divergence(&p, game.anchor())
        });
        let wanted: Vec<f64> = self_play.iter().map(|g| -4.0 / tau * g).collect();
        // The paper's loss, its sampling held.
        let population = slopes(&logits, |theta| {
            let d = log_ratio(theta);
            let pair = |y: usize, z: usize| pi[y] * pi[z] * (d[y] - d[z] - (wins[y] - wins[z]) / tau).powi(2);
            (0..5).flat_map(|y| (0..5).map(move |z| (y, z))).map(|(y, z)| pair(y, z)).sum()
        });
        // Pairs with a known preference, and with verdicts in expectation.
        let d = log_ratio(&logits);
        let [mut known, mut verdicts] = [vec![0.0; 5], vec![0.0; 5]];
        for y in 0..5 {
            for z in 0..5 {
                let (share, p) = (pi[y] * pi[z], game.preferences()[[y, z]]);
                let slope = |p| share * PreferenceLoss::Ipo.of(d[y] - d[z], p, tau).1;
                for (sum, slope) in [(&mut known, slope(p)), (&mut verdicts, p * slope(1.0) + (1.0 - p) * slope(0.0))] {
                    sum[y] += slope;
                    sum[z] -= slope;
                }
            }
        }
        let size = wanted.iter().map(|g| g.abs()).fold(1e-3, f64::max);
        for found in [population, known, verdicts] {
            assert!(near(&found, &wanted, 1e-8 * size), "{found:?} {wanted:?}");
        }
    }
}

#[test]
fn offline_pairs_lead_to_the_best_response_to_their_law() {
    let game = golden(0.5);
    let rho = [0.2, 0.5, 0.3];
    let mut logits = vec![0.0; 3];
    for _ in 0..4000 {
        let pi = normalised(logits.clone());
        let d: Vec<f64> = pi.iter().zip(game.anchor()).map(|(p, m)| (p / m).ln()).collect();
        for y in 0..3 {
            let slope = |z: usize| PreferenceLoss::Ipo.of(d[y] - d[z], game.preferences()[[y, z]], 0.5).1;
            let pull: f64 = (0..3).map(|z| 2.0 * rho[y] * rho[z] * slope(z)).sum();
            logits[y] -= 0.2 * pull;
        }
    }
    assert!(near(&normalised(logits), &game.respond(&rho).unwrap(), 1e-8));
}

#[test]
fn nash_md_keeps_its_bound_at_every_step() {
    for tau in [1.0, 0.3, 0.1] {
        let game = golden(tau);
        let nash = game.nash(1e-13).unwrap();
        let mut policy = game.anchor().to_vec();
        for t in 0..1000 {
            let bound = 8.0 / (tau * tau * (t + 1) as f64);
            assert!(divergence(&nash, &policy) <= bound, "{tau} {t}");
            policy = game.nash_md(&policy, 2.0 / (tau * (t + 2) as f64)).unwrap();
        }
    }
}

proptest! {
    #[test]
    fn the_gap_bounds_what_any_rival_gains(seed in 0u64..1 << 40, tau in 0.02..2.0f64) {
        let mut rng = Seed(seed).rng(0);
        let game = random_game(4, tau, &mut rng);
        let (pi, rival) = (law(4, &mut rng), law(4, &mut rng));
        let payoff = |a: &[f64], b: &[f64]| {
            let wins: f64 = a.iter().zip(game.against(b).unwrap()).map(|(a, w)| a * w).sum();
            wins - tau * divergence(a, game.anchor()) + tau * divergence(b, game.anchor())
        };
        let gap = game.duality_gap(&pi).unwrap();
        prop_assert!(payoff(&rival, &pi) - payoff(&pi, &rival) <= gap + 1e-9);
        let best = game.respond(&pi).unwrap();
        prop_assert!((payoff(&best, &pi) - payoff(&pi, &best) - gap).abs() < 1e-9);
        // The mixture of the point where IPO-MD stands still is the equilibrium of a softer game.
        let point = game.mixture_point(0.3, 1e-12).unwrap();
        let mixture = game.mixture(&point, 0.3).unwrap();
        let softer = RegularisedGame::new(game.preferences().clone(), game.anchor().to_vec(), tau / 0.7).unwrap();
        prop_assert!(softer.duality_gap(&mixture).unwrap() < 1e-10);
        prop_assert!(near(&point, &game.respond(&mixture).unwrap(), 1e-9));
    }
}

#[test]
fn learners_settle_where_theory_says() {
    let game = golden(0.3);
    let learn =
        |way, beta| TableLearner { beta, steps: 3000, ..TableLearner::default() }.learn(&game, way, Seed(3)).unwrap();
    // 128 pairs a step and a rate that falls to 0: what is left is far below these bounds on every seed tried.
    for (way, beta, point) in [
        (Way::OnlineIpo, 0.0, game.nash(1e-10).unwrap()),
        (Way::IpoMd, 0.5, game.mixture_point(0.5, 1e-10).unwrap()),
        (Way::NashMdPg, 0.5, game.mixture_point(0.5, 1e-10).unwrap()),
    ] {
        let learnt = learn(way, beta);
        assert!(near(&learnt.policy, &point, 0.03), "{way:?} {:?} {point:?}", learnt.policy);
        assert_eq!(learnt.path.len(), 10);
        assert_eq!(learnt.path[9], learnt.policy);
        assert_eq!(learn(way, beta), learnt, "same seed, same bits");
    }
    // Offline IPO ends at the best response to what it was given, which is not the equilibrium.
    let offline = learn(Way::OfflineIpo, 0.0).policy;
    let online = learn(Way::OnlineIpo, 0.0).policy;
    assert!(game.duality_gap(&offline).unwrap() > 10.0 * game.duality_gap(&online).unwrap());
}

#[test]
fn games_that_are_none_are_refused() {
    let half = || Array2::from_elem((2, 2), 0.5);
    let cases: Vec<(Array2<f64>, Vec<f64>, f64, &str)> = vec![
        (half(), vec![0.5, 0.5], 0.0, "tau: got 0"),
        (half(), vec![0.5, 0.5], f64::INFINITY, "tau: got inf"),
        (half(), vec![1.0], 1.0, "preferences: got 2 x 2"),
        (Array2::zeros((0, 0)), vec![], 1.0, "preferences: got 0 x 0"),
        (array![[0.5, 0.6], [0.5, 0.5]], vec![0.5, 0.5], 1.0, "together they are 1.1"),
        (array![[0.5, 1.5], [-0.5, 0.5]], vec![0.5, 0.5], 1.0, "preference of answer 1 to answer 2: got 1.5"),
        (array![[0.5, f64::NAN], [0.5, 0.5]], vec![0.5, 0.5], 1.0, "got NaN"),
        (half(), vec![0.5, 0.6], 1.0, "sum 1.1"),
        (half(), vec![f64::NAN, 0.5], 1.0, "anchor"),
    ];
    for (preferences, anchor, tau, part) in cases {
        let error = RegularisedGame::new(preferences, anchor, tau).unwrap_err().to_string();
        assert!(error.contains(part), "{error} / {part}");
    }
    let game = golden(1.0);
    assert!(game.duality_gap(&[0.5, 0.5]).unwrap_err().to_string().contains("3, one an answer"));
    assert!(game.mixture(&[1.0, 0.0, 0.0], 1.5).unwrap_err().to_string().contains("beta: got 1.5"));
    assert!(game.nash(0.0).is_err() && game.nash_md(&[1.0, 0.0, 0.0], 1.5).is_err());
    // An answer that the anchor never gives costs without bound, and stays out of the equilibrium.
    let never = RegularisedGame::new(half(), vec![1.0, 0.0], 1.0).unwrap();
    assert_eq!(never.duality_gap(&[0.5, 0.5]).unwrap(), f64::INFINITY);
    assert_eq!(never.nash(1e-9).unwrap(), [1.0, 0.0]);
    let error = TableLearner::default().learn(&never, Way::OnlineIpo, Seed(1)).unwrap_err().to_string();
    assert!(error.contains("0 for answer 2"), "{error}");
    for learner in [
        TableLearner { beta: -0.1, ..TableLearner::default() },
        TableLearner { batch: 0, ..TableLearner::default() },
        TableLearner { rate: f64::NAN, ..TableLearner::default() },
    ] {
        assert!(learner.learn(&game, Way::IpoMd, Seed(1)).is_err(), "{learner:?}");
    }
}

#[test]
fn judges_are_looked_at() {
    let (a, b) = ([1, 2, 3].as_slice(), [4].as_slice());
    let questions = [Question { prompt: &[], a, b }, Question { prompt: &[], a: b, b }];
    let length = |_: &[u32], answer: &[u32]| answer.len() as f64;
    let said = BradleyTerry(length).prefer(&questions).unwrap();
    assert!(near(&said, &[1.0 / (1.0 + (-2.0_f64).exp()), 0.5], 1e-15));
    type Score = fn(&[u32], &[u32]) -> f64;
    let votes: Vec<Score> = vec![|_, y| y.len() as f64, |_, y| -(y.len() as f64), |_, y| y.len() as f64];
    assert!(near(&Vote(votes.clone()).prefer(&questions).unwrap(), &[2.0 / 3.0, 0.5], 1e-15));
    assert!(asymmetry(&Vote(votes), &questions).unwrap() < 1e-15);
    let matrix = Matrix(array![[0.5, 0.9], [0.3, 0.5]]);
    let pair = [Question { prompt: &[], a: &[0], b: &[1] }];
    assert!((asymmetry(&matrix, &pair).unwrap() - 0.2).abs() < 1e-15);
    assert!(matrix.prefer(&questions).is_err());
    assert!(Vote(Vec::<Score>::new()).prefer(&pair).is_err());
    struct Wrong(Vec<f64>);
    impl PreferenceModel for Wrong {
        fn prefer(&self, _: &[Question<'_>]) -> quadrat_core::Result<Vec<f64>> {
            Ok(self.0.clone())
        }
    }
    for (said, part) in [(vec![], "0 answers to 1"), (vec![1.2], "got 1.2"), (vec![f64::NAN], "got NaN")] {
        let error = judge::ask(&Wrong(said), &pair).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn the_card_is_read() {
    let read = |params: &[(&str, &str)]| OnlinePreferences::from_params(&params.iter().copied().collect());
    assert_eq!(read(&[]).unwrap(), OnlinePreferences::default());
    let given = read(&[("method", "ipo-md"), ("beta", "0.5")]).unwrap();
    assert_eq!(given.method.source(given.beta), Source::Mixture { beta: 0.5 });
    for (name, value) in [("tau", "0"), ("beta", "1.1"), ("completions", "1"), ("method", "ppo"), ("rate", "NaN")] {
        assert!(read(&[(name, value)]).is_err(), "{name} {value}");
    }
}
