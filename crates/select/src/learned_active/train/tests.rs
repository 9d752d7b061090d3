//! The game of three thresholds in two questions, whose values are known by enumeration, and what must hold of any training.

use super::tape::Tape;
use super::*;
use crate::learned_active::{Game, mean_losses};
use crate::{AnswerTable, Classical, LinearBandit, QueryPolicy, QueryRule};
use ndarray::{Array2, array};
use quadrat_core::Silent;

/// Worst-case loss of the best mixture of deterministic policies, by multiplicative weights on the hypotheses: an upper
/// bound from the mixture and a lower bound from the best reply to the average weights, which meet.
///
/// The learner's best reply to weights is found by enumeration: for each first query and reply the best second query, for
/// each history the best answer. `adaptive` lets the second query depend on the first reply.
fn game_value(flip: f64, adaptive: bool) -> (f64, f64) {
    let yes = |h: usize, x: usize| if x >= h { 1.0 - flip } else { flip };
    let likelihood = |h, x, y: usize| if y == 1 { yes(h, x) } else { 1.0 - yes(h, x) };
    // The loss of the best reply to weights w, and its loss at each hypothesis.
    let reply = |w: &[f64; 4]| -> (f64, [f64; 4]) {
        let mut best = (f64::INFINITY, [0.0; 4]);
        let leaf = |x1, y1, x2, y2| {
            let joint: Vec<f64> = (0..4).map(|h| likelihood(h, x1, y1) * likelihood(h, x2, y2)).collect();
            let z = (0..4).max_by(|a, b| (w[*a] * joint[*a]).total_cmp(&(w[*b] * joint[*b]))).unwrap();
            let mut at = [0.0; 4];
            (0..4).filter(|h| *h != z).for_each(|h| at[h] = joint[h]);
            at
        };
        let value = |at: &[f64; 4]| at.iter().zip(w).map(|(a, w)| a * w).sum::<f64>();
        let sum = |a: [f64; 4], b: [f64; 4]| std::array::from_fn::<f64, 4, _>(|h| a[h] + b[h]);
        for x1 in 0..3 {
            let after = |y1, x2| sum(leaf(x1, y1, x2, 0), leaf(x1, y1, x2, 1));
            let least =
                |options: Vec<[f64; 4]>| options.into_iter().min_by(|a, b| value(a).total_cmp(&value(b))).unwrap();
            let at = if adaptive {
                sum(least((0..3).map(|x| after(0, x)).collect()), least((0..3).map(|x| after(1, x)).collect()))
            } else {
                least((0..3).map(|x| sum(after(0, x), after(1, x))).collect())
            };
            if value(&at) < best.0 {
                best = (value(&at), at);
            }
        }
        best
    };
    let mut log = [0.0_f64; 4];
    let (mut mean_w, mut mean_loss) = ([0.0; 4], [0.0; 4]);
    let rounds = 40_000;
    for round in 0..rounds {
        let most = log.iter().fold(f64::NEG_INFINITY, |m, l| m.max(*l));
        let mut w = log.map(|l| (l - most).exp());
        let total: f64 = w.iter().sum();
        w.iter_mut().for_each(|w| *w /= total);
        let (_, at) = reply(&w);
        let rate = 0.5 / (1.0 + round as f64).sqrt();
        log.iter_mut().zip(at).for_each(|(log, loss)| *log += rate * loss);
        mean_w.iter_mut().zip(w).for_each(|(mean, w)| *mean += w / f64::from(rounds));
        mean_loss.iter_mut().zip(at).for_each(|(mean, loss)| *mean += loss / f64::from(rounds));
    }
    (reply(&mean_w).0, mean_loss.iter().fold(0.0_f64, |m, l| m.max(*l)))
}

#[test]
fn the_tiny_game_has_the_known_values() {
    for (flip, adaptive, fixed) in [(0.1, 0.19, 0.37), (0.0, 0.0, 0.25), (0.2, 0.36, 0.48)] {
        for (value, adaptive) in [(adaptive, true), (fixed, false)] {
            let (low, high) = game_value(flip, adaptive);
            assert!(low <= value + 1e-9 && value <= high + 1e-9, "{flip} {adaptive}: {low} {value} {high}");
            assert!(high - low < 0.006, "{flip} {adaptive}: {low} {high}");
        }
    }
}

/// The expected loss of a policy at `theta` and its gradients, by enumeration of all histories of two yes-no questions.
fn enumerate(policy: &LearnedPolicy, problem: &dyn QueryProblem, theta: &[f64]) -> (f64, Network) {
    let n = problem.queries();
    let mut board = policy.board();
    let (mut loss, mut slope) = (0.0, policy.network.zeros());
    for (x1, x2) in (0..n).flat_map(|a| (0..n).map(move |b| (a, b))) {
        for (y1, y2) in [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)] {
            board.restart();
            let mut chance = 1.0;
            let mut score = policy.network.zeros();
            for (x, y) in [(x1, y1), (x2, y2)] {
                board.look();
                let yes = problem.mean(theta, x);
                chance *= f64::from(board.queries[x]) * if y == 1.0 { yes } else { 1.0 - yes };
                let mut logit: Vec<f32> = board.queries.iter().map(|p| -p).collect();
                logit[x] += 1.0;
                let features = board.features.clone();
                policy.network.query_backward(&features, &logit, &mut board.hidden, &mut score);
                board.tell(x, Some(y)).unwrap();
            }
            board.conclude();
            let costs: Vec<f64> = (0..problem.answers()).map(|z| problem.loss(z, theta)).collect();
            let cost: f64 = board.answers.iter().zip(&costs).map(|(q, c)| f64::from(*q) * c).sum();
            score.parts_mut().into_iter().flatten().for_each(|g| *g *= cost as f32);
            let by_answer: Vec<f32> =
                board.answers.iter().zip(&costs).map(|(q, c)| (f64::from(*q) * (c - cost)) as f32).collect();
            policy.network.answer_backward(&board.answer_features, &by_answer, &mut score);
            score.parts_mut().into_iter().flatten().for_each(|g| *g *= chance as f32);
            slope.add(&score);
            loss += chance * cost;
        }
    }
    (loss, slope)
}

fn tiny(flip: f64) -> AnswerTable {
    AnswerTable::thresholds(3, &[flip]).unwrap()
}

/// A policy that nobody trained, with weights that are not symmetric.
fn untrained(problem: &dyn QueryProblem) -> LearnedPolicy {
    let grid = Grid::new(problem, &[], Seed(0)).unwrap();
    let mut rng = Seed(5).rng(0);
    let mut network = Network::new(features(&grid), 8, problem.queries(), problem.answers(), 1.0, &mut rng);
    network.parts_mut().into_iter().flatten().for_each(|w| *w += 0.2 * rng.normal() as f32);
    LearnedPolicy { grid, budget: 2, no_repeat: false, network }
}

/// Never below the value of the game, at most 0.02 above it.
#[test]
fn training_reaches_the_value_of_the_tiny_game() {
    for (flip, value) in [(0.1, 0.19), (0.0, 0.0), (0.2, 0.36)] {
        let table = tiny(flip);
        let trainer =
            Trainer { levels: vec![1e9], batch: 128, steps: 250, hidden: 16, games: 50, ..Trainer::default() };
        let policy = trainer.train(&table, 2, Seed(1), &Silent).unwrap().policy;
        let exact = |h: usize| enumerate(&policy, &table, &[h as f64, flip]).0;
        let worst = (0..4).map(exact).fold(0.0_f64, f64::max);
        assert!(worst >= value - 1e-6 && worst <= value + 0.02, "flip {flip}: {worst}, value {value}");
    }
}

/// REINFORCE with the leave-one-out baseline has the enumerated gradient as its mean: 4,000 groups, and the sum of squared
/// standardised differences of all weights that move; each weight within five standard errors (one false alarm in about
/// ten thousand seeds for the 240 weights together).
#[test]
fn the_gradient_is_unbiased() {
    let table = tiny(0.2);
    let policy = untrained(&table);
    let theta = [2.0, 0.2];
    let (loss, exact) = enumerate(&policy, &table, &theta);
    let exact: Vec<f32> = exact.parts().into_iter().flatten().copied().collect();
    let (mut sum, mut squares, mut losses) = (vec![0.0_f64; exact.len()], vec![0.0_f64; exact.len()], 0.0);
    let mut tape = Tape::new(&policy);
    let groups = 4000;
    for i in 0..groups {
        let group = tape.group(&table, &theta, &mut Seed(6).rng(i));
        losses += group.loss / groups as f64;
        for (at, g) in group.slope.parts().into_iter().flatten().enumerate() {
            sum[at] += f64::from(*g);
            squares[at] += f64::from(*g).powi(2);
        }
    }
    assert!((losses - loss).abs() < 0.01, "{losses} {loss}");
    let count = groups as f64;
    for (at, (exact, (sum, squares))) in exact.iter().zip(sum.iter().zip(&squares)).enumerate() {
        let mean = sum / count;
        let error = ((squares / count - mean * mean).max(0.0) / count).sqrt();
        assert!((mean - f64::from(*exact)).abs() <= 5.0 * error + 1e-6, "{at}: {mean} {exact} {error}");
    }
}

/// The same game with its queries in another order: the policy asks the same questions with the same probabilities.
#[test]
fn permuted_queries_permute_the_policy() {
    let yes = array![[1.0, 0.0, 0.2, 0.0], [1.0, 1.0, 0.6, 0.0], [0.0, 1.0, 0.9, 1.0]];
    let order = [2, 0, 3, 1];
    let one = AnswerTable::new(yes.view(), &[0.1, 0.2]).unwrap();
    let other = AnswerTable::new(yes.select(ndarray::Axis(1), &order).view(), &[0.1, 0.2]).unwrap();
    let policy = untrained(&one);
    let mut permuted = LearnedPolicy { grid: Grid::new(&other, &[], Seed(0)).unwrap(), ..policy.clone() };
    let own = policy.network.parts()[4].clone();
    *permuted.network.parts_mut()[4] = order.iter().map(|x| own[*x]).collect();
    let (mut a, mut b) = (policy.board(), permuted.board());
    for (x, y) in [(1, 1.0), (0, 0.0), (1, 1.0)] {
        a.look();
        b.look();
        for (to, from) in order.iter().enumerate() {
            assert!((b.queries[to] - a.queries[*from]).abs() < 1e-5, "{:?} {:?}", a.queries, b.queries);
        }
        a.tell(x, Some(y)).unwrap();
        b.tell(order.iter().position(|from| *from == x).unwrap(), Some(y)).unwrap();
    }
    a.conclude();
    b.conclude();
    assert!(a.answers.iter().zip(&b.answers).all(|(p, q)| (p - q).abs() < 1e-5));
}

/// Theta that is not finite: the score-function gradient by theta agrees with differences of the expected loss, and
/// training leaves finite losses.
#[test]
fn bandits_are_trained_too() {
    let bandit = LinearBandit::new(Array2::eye(3).view(), Array2::eye(3).view()).unwrap();
    let trainer = Trainer {
        levels: vec![2.0, 6.0],
        particles: 12,
        batch: 96,
        steps: 40,
        hidden: 8,
        games: 200,
        ..Trainer::default()
    };
    let trained = trainer.train(&bandit, 6, Seed(2), &Silent).unwrap();
    assert_eq!((trained.specialists.len(), trained.levels.len()), (2, 2));
    for level in &trained.levels {
        assert!(level.best.is_finite() && level.worst >= 0.0 && level.worst < 3.0, "{level:?}");
    }

    let policy = &trained.policy;
    let theta = vec![0.6, 0.1, -0.4];
    let mut tape = Tape::new(policy);
    let groups = 3000;
    let (mut sum, mut squares) = ([0.0_f64; 3], [0.0_f64; 3]);
    for i in 0..groups {
        let group = tape.group(&bandit, &theta, &mut Seed(7).rng(i));
        sum.iter_mut().zip(&group.theta_slope).for_each(|(sum, g)| *sum += g);
        squares.iter_mut().zip(&group.theta_slope).for_each(|(sum, g)| *sum += g * g);
    }
    // Common random numbers do not help here: 60,000 games a side, differences over 0.6.
    let loss = |theta: &[f64], seed| {
        let thetas = [theta.to_vec()];
        mean_losses(&bandit, policy, &thetas, 6, 60_000, Seed(seed), &Silent).unwrap()[0]
    };
    for (at, (sum, squares)) in sum.into_iter().zip(squares).enumerate() {
        let mean = sum / groups as f64;
        let error = ((squares / groups as f64 - mean * mean) / groups as f64).sqrt();
        let moved = |by: f64| {
            let mut theta = theta.clone();
            theta[at] += by;
            theta
        };
        let difference = (loss(&moved(0.1), 8) - loss(&moved(-0.1), 9)) / 0.2;
        // Five standard errors of both sides (a loss has a deviation of about 0.4), and the curvature.
        let room = 5.0 * (error + 0.4 / 60_000_f64.sqrt() * 1.41 / 0.2) + 0.03;
        assert!((mean - difference).abs() < room, "{at}: {mean} {difference} {room}");
    }
}

#[test]
fn the_same_seed_trains_the_same_policy_on_any_number_of_threads() {
    let table = AnswerTable::thresholds(4, &[0.0, 0.2]).unwrap();
    let trainer = Trainer { batch: 64, steps: 12, games: 40, no_repeat: true, ..Trainer::default() };
    let train = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| trainer.train(&table, 9, Seed(3), &Silent)).unwrap()
    };
    let one = train(1);
    assert_eq!(one, train(2));
    assert_eq!(one.policy.questions(), 4, "no more questions than queries without repeats");
    let text = serde_json::to_string(&one.policy).unwrap();
    assert_eq!(serde_json::from_str::<LearnedPolicy>(&text).unwrap(), one.policy);
    let damaged = text.replace("\"questions\":4", "\"questions\":0");
    assert!(serde_json::from_str::<LearnedPolicy>(&damaged).unwrap_err().to_string().contains("damaged"));

    // No question is asked twice, and the game ends when none is left.
    let mut rng = Seed(4).rng(0);
    let mut game = one.policy.start();
    let mut asked = Vec::new();
    while let Some(x) = game.ask(&mut rng) {
        asked.push(x);
        game.tell(x, Some(0.0)).unwrap();
    }
    asked.sort_unstable();
    assert_eq!(asked, [0, 1, 2, 3]);
}

#[test]
fn settings_out_of_range_are_errors() {
    let table = tiny(0.1);
    let good = Trainer { steps: 1, batch: 8, games: 1, ..Trainer::default() };
    assert!(good.train(&table, 1, Seed(0), &Silent).is_ok());
    for (trainer, part) in [
        (Trainer { batch: 7, ..good.clone() }, "batch"),
        (Trainer { steps: 0, ..good.clone() }, "steps"),
        (Trainer { hidden: 0, ..good.clone() }, "hidden"),
        (Trainer { particles: 1, ..good.clone() }, "particles"),
        (Trainer { games: 0, ..good.clone() }, "games"),
        (Trainer { rate: f64::NAN, ..good.clone() }, "rate"),
        (Trainer { sharpness: 0.0, ..good.clone() }, "sharpness"),
        (Trainer { levels: vec![2.0, 1.0], ..good.clone() }, "ascend"),
        (Trainer { levels: vec![1e-9], ..good.clone() }, "nothing can be learnt"),
    ] {
        let message = trainer.train(&table, 2, Seed(0), &Silent).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
    assert!(good.train(&table, 0, Seed(0), &Silent).unwrap_err().to_string().contains("at least 1"));
    struct Stop;
    impl Progress for Stop {
        fn cancelled(&self) -> bool {
            true
        }
    }
    assert!(matches!(good.train(&table, 2, Seed(0), &Stop), Err(Error::Cancelled)));
}

/// Every rule against the value of the tiny game: adaptive ones reach it where they assume the true noise, none is better.
#[test]
fn classical_rules_on_the_tiny_game() {
    let table = tiny(0.1);
    let design = table.design();
    let thetas = table.parameters().unwrap();
    for (rule, most) in [
        (QueryRule::InformationGain, 0.19),
        (QueryRule::Uncertainty, 0.19),
        (QueryRule::Uniform, 0.7),
        (QueryRule::Design(design), 0.6),
        (QueryRule::Halving(2), 0.4),
        (QueryRule::TopTwo, 0.6),
    ] {
        let policy = Classical::new(&table, rule.clone()).unwrap();
        let losses = mean_losses(&table, &policy, &thetas, 2, 4000, Seed(1), &Silent).unwrap();
        let worst = losses.iter().fold(0.0_f64, |most, loss| most.max(*loss));
        // Standard error at most 0.008 each; five of them.
        assert!(worst > 0.19 - 0.03 && worst < most + 0.04, "{rule:?}: {losses:?}");
    }
    assert!(Classical::new(&table, QueryRule::Halving(0)).is_err());
}
