use super::*;
use crate::levels::Family;
use quadrat_core::Seed;

const CAVE: &str = "###########\n#>..#..,.G#\n#.#.#.##,##\n#...~..#..#\n#.#.##.#..#\n#.......~.#\n###########\n";
const EDGE: &str = "..#....\n,.#.~..\n..v.#,.\n#.##...\n...,.#G\n";

/// Places, headings, rewards, ends and views of random walks of minigrid 3.2.0 (gymnasium 1.4.0), in `minigrid.txt`: one
/// line a move, and the map `EDGE` had a border of walls there. Limit 40.
#[test]
fn walks_and_views_are_minigrids() {
    let mut view = Vec::new();
    let (mut world, mut compared): (Option<World>, usize) = (None, 0);
    let mut rules = Rules { view: 7, walls_hide: true, limit: 40 };
    let mut text = "";
    for line in include_str!("minigrid.txt").lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<usize>().unwrap();
        let seen = match words[0] {
            "map" => {
                text = if words[1] == "cave" { CAVE } else { EDGE };
                rules = Rules { view: number(2), walls_hide: words[3] == "hidden", ..rules };
                continue;
            }
            "start" => {
                view = vec![Seen::Hidden; rules.view * rules.view];
                world = Some(World::new(rules, &Grid::parse(text).unwrap()).unwrap());
                words[4]
            }
            letter => {
                let outcome = world.as_mut().unwrap().act(Action::ALL["LRF".find(letter).unwrap()]);
                assert!((outcome.reward - words[4].parse::<f64>().unwrap()).abs() < 1e-6, "{line}");
                let ends = format!("{}{}", u8::from(outcome.ended), u8::from(outcome.cut));
                assert_eq!(ends, words[5], "{line}");
                words[6]
            }
        };
        let world = world.as_ref().unwrap();
        assert_eq!((world.position(), usize::from(world.heading())), ((number(1), number(2)), number(3)), "{line}");
        world.look(&mut view);
        let letter = |seen: &Seen| [b'h', b'.', b'#', b',', b'G', b'~'][*seen as usize];
        let drawn: String = view.iter().map(|seen| char::from(letter(seen))).collect();
        assert_eq!(drawn, seen, "{line}");
        compared += 1;
    }
    assert!(compared > 150, "{compared}");
}

/// minigrid 3.2.0's codes of an unseen cell, an empty one, a wall, a green floor, a goal and lava.
#[test]
fn sights_have_minigrids_codes() {
    let kinds = [Seen::Hidden, Seen::Empty, Seen::Wall, Seen::Moss, Seen::Goal, Seen::Lava];
    let codes = [[0, 0, 0], [1, 0, 0], [2, 5, 0], [3, 1, 0], [8, 1, 0], [9, 0, 0]];
    assert_eq!(kinds.map(Seen::code), codes);
}

/// The reward of five moves of a hundred is 0.955, and the limit's last move cuts.
#[test]
fn rewards_fall_with_the_moves() {
    let level = Grid::parse("S....G\n").unwrap();
    let mut world = World::new(Rules { view: 3, walls_hide: true, limit: 100 }, &level).unwrap();
    let outcomes: Vec<Outcome> = (0..5).map(|_| world.act(Action::Forward)).collect();
    assert_eq!(outcomes[4], Outcome { reward: 0.955, ended: true, cut: false });
    assert!(outcomes[..4].iter().all(|o| o.reward == 0.0 && !o.ended));
    let mut world = World::new(Rules { view: 3, walls_hide: true, limit: 2 }, &level).unwrap();
    assert!(!world.act(Action::Left).cut);
    assert_eq!(world.act(Action::Left), Outcome { reward: 0.0, ended: false, cut: true });
    for rules in [(2, 10), (1, 10), (33, 10), (5, 0)] {
        assert!(World::new(Rules { view: rules.0, walls_hide: true, limit: rules.1 }, &level).is_err());
    }
}

/// Features name one sight a cell, the previous action and the heading; a turn around comes back to the same view.
#[test]
fn features_are_ones_in_their_places() {
    let rules = Rules { view: 5, walls_hide: false, limit: 50 };
    for item in 0..20 {
        let level = Family::Caves.draw(9, &mut Seed(8).rng(item)).unwrap();
        let mut world = World::new(rules, &level).unwrap();
        let (mut view, mut hot) = (vec![Seen::Hidden; 25], vec![0; rules.ones()]);
        world.observe(&mut view, &mut hot);
        let first = hot.clone();
        assert_eq!(hot[25], 25 * 6 + 3);
        for _ in 0..4 {
            world.act(Action::Left);
        }
        world.observe(&mut view, &mut hot);
        assert_eq!((&hot[..25], hot[25], hot[26]), (&first[..25], 25 * 6, first[26]));
        assert!(hot.iter().all(|at| usize::from(*at) < rules.features()));
        assert!(hot[..25].iter().enumerate().all(|(cell, at)| usize::from(*at) / 6 == cell));
    }
}
