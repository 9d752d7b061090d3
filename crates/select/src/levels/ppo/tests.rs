use super::*;
use crate::levels::{Family, draw_levels};

/// Levels in turn; keeps what it is told.
struct InTurn {
    levels: Vec<Grid>,
    next: usize,
    told: Vec<(usize, usize, f64, Option<f64>, bool)>,
}

impl InTurn {
    fn of(levels: Vec<Grid>) -> Self {
        InTurn { levels, next: 0, told: Vec::new() }
    }
}

impl Curriculum for InTurn {
    fn next(&mut self) -> Result<(usize, Grid)> {
        let level = self.next % self.levels.len();
        self.next += 1;
        Ok((level, self.levels[level].clone()))
    }

    fn played(&mut self, level: usize, episode: &Episode<'_>) -> Result<()> {
        let Steps::Advantages(all) = episode.steps else { panic!("advantages are told") };
        let size = all.iter().map(|a| a.abs()).sum();
        self.told.push((level, all.len(), size, episode.reward, episode.done));
        Ok(())
    }
}

/// With lambda 1 they are the discounted returns less the values, with lambda 0 the errors over one step; an episode's end
/// separates, and a cut one is worth what is said.
#[test]
fn advantages_are_returns_and_errors_at_the_ends() {
    let rewards = [0.0, 1.0, 0.5, 0.0, 2.0];
    let values = [0.3, 0.1, -0.2, 0.7, 0.4];
    let ends = [None, Some(0.0), None, Some(0.9), None];
    let (gamma, last) = (0.9, 0.6);
    let close = |found: Vec<f64>, expected: [f64; 5]| {
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?} {expected:?}");
    };
    let last_two = [0.5 + gamma * gamma * 0.9, gamma * 0.9];
    let returns = [gamma, 1.0, last_two[0], last_two[1], 2.0 + gamma * last];
    close(advantages(&rewards, &values, &ends, last, gamma, 1.0), std::array::from_fn(|t| returns[t] - values[t]));
    let next = [0.1, 0.0, 0.7, 0.9, 0.6];
    let errors = std::array::from_fn(|t| rewards[t] + gamma * next[t] - values[t]);
    close(advantages(&rewards, &values, &ends, last, gamma, 0.0), errors);
}

const RULES: Rules = Rules { view: 5, walls_hide: false, limit: 30 };

/// Every move is told once, whole episodes with their return and the rest without; the same seed gives the same bits.
#[test]
fn all_moves_are_told() {
    let levels = draw_levels(&[Family::Rooms, Family::Caves], 6, 5, &mut Seed(3).rng(0)).unwrap();
    let ppo = Ppo { environments: 3, moves: 50, first: 16, second: 8, ..Ppo::default() };
    let run = || {
        let mut curriculum = InTurn::of(levels.clone());
        let mut learner = ppo.start(RULES, &mut curriculum, Seed(1)).unwrap();
        for _ in 0..3 {
            learner.update(&mut curriculum).unwrap();
        }
        (curriculum.told, learner.agent().clone())
    };
    let (told, agent) = run();
    assert_eq!(told.iter().map(|told| told.1).sum::<usize>(), 3 * 3 * 50);
    assert!(told.iter().all(|told| told.4 == told.3.is_some() && told.1 <= 30 && told.2.is_finite()));
    assert!(told.iter().any(|told| told.4) && told.iter().any(|told| !told.4));
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(run);
    let two = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap().install(run);
    assert!(one == (told, agent) && one == two);
}

/// A straight way is learnt within 25 updates of 512 moves: nearly all episodes reach the goal, and the random agent's fewer.
#[test]
fn a_short_way_is_learnt() {
    let level = Grid::parse("....\n>..G\n....\n").unwrap();
    let mut curriculum = InTurn::of(vec![level.clone()]);
    let ppo = Ppo { environments: 8, moves: 64, first: 32, second: 16, ..Ppo::default() };
    let rules = Rules { limit: 12, ..RULES };
    let mut learner = ppo.start(rules, &mut curriculum, Seed(2)).unwrap();
    let test = vec![level; 200];
    let solved = |learner: &Learner| {
        let all = learner.rehearse(&test, Seed(9)).unwrap();
        all.iter().filter(|episode| episode.reward > 0.0).count()
    };
    let before = solved(&learner);
    for _ in 0..25 {
        learner.update(&mut curriculum).unwrap();
    }
    let after = solved(&learner);
    assert!(before < 120 && after > 190, "{before} {after}");
}

/// An episode alone is the same in any company, and its advantages are those of the formula.
#[test]
fn rehearsals_do_not_depend_on_company() {
    let levels = draw_levels(&[Family::Rooms, Family::Corridors], 6, 6, &mut Seed(4).rng(0)).unwrap();
    let agent = Agent::random(&RULES, [16, 8], &mut Seed(5).rng(0));
    let all = rehearse(&agent, &RULES, &levels, 0.99, 0.9, Seed(6)).unwrap();
    let some = rehearse(&agent, &RULES, &levels[..2], 0.99, 0.9, Seed(6)).unwrap();
    assert_eq!(all[..2], some[..]);
    for episode in &all {
        let steps = episode.advantages.len();
        assert!((1..=30).contains(&steps) && episode.seen.dim() == (steps, 27));
        assert!(episode.advantages.iter().all(|a| a.is_finite()));
        assert!((0.0..1.0).contains(&episode.reward));
    }
    assert!(rehearse(&agent, &RULES, &[], 0.99, 0.9, Seed(6)).unwrap().is_empty());
}

#[test]
fn settings_of_nothing_are_told() {
    let level = Grid::parse(">.G\n").unwrap();
    for wrong in [Ppo { environments: 0, ..Ppo::default() }, Ppo { batches: 0, ..Ppo::default() }] {
        assert!(wrong.start(RULES, &mut InTurn::of(vec![level.clone()]), Seed(0)).is_err());
    }
    let blind = Rules { view: 4, ..RULES };
    assert!(Ppo::default().start(blind, &mut InTurn::of(vec![level]), Seed(0)).is_err());
}
