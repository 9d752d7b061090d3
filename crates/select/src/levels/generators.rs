//! New levels from given ones.

use super::grid::{Grid, Tile};
use quadrat_core::{Error, Result, Rng};

/// What makes new levels.
pub trait LevelGenerator {
    /// `count` levels from `parents`, of which there is at least one. They need not have a solution.
    ///
    /// # Errors
    /// No parent, or parents that the generator cannot use.
    fn generate(&self, parents: &[Grid], count: usize, rng: &mut Rng) -> Result<Vec<Grid>>;
}

/// Random changes of a parent: each makes another tile of a cell, or moves the goal or the start there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandomEdits {
    /// Changes of each level.
    pub edits: usize,
}

impl LevelGenerator for RandomEdits {
    /// The parents in turn.
    fn generate(&self, parents: &[Grid], count: usize, rng: &mut Rng) -> Result<Vec<Grid>> {
        check(parents)?;
        (0..count).map(|at| edited(&parents[at % parents.len()], self.edits, rng)).collect()
    }
}

fn edited(parent: &Grid, edits: usize, rng: &mut Rng) -> Result<Grid> {
    let mut tiles = parent.tiles().to_vec();
    let [mut start, mut goal] = [parent.start(), parent.goal()];
    for _ in 0..edits {
        let cell = rng.below(tiles.len());
        if cell == start || cell == goal {
            continue;
        }
        match rng.below(Tile::ALL.len() + 1) {
            // Three other tiles, the goal, the start.
            what @ 0..3 => {
                let others = Tile::ALL.into_iter().filter(|tile| *tile != tiles[cell]);
                tiles[cell] = others.into_iter().nth(what).unwrap_or(Tile::Empty);
            }
            what => {
                tiles[cell] = Tile::Empty;
                *(if what == 3 { &mut goal } else { &mut start }) = cell;
            }
        }
    }
    Grid::new(parent.width(), tiles, start, goal, parent.heading())
}

/// Tiles without regard to the parents, of which only the size is taken: domain randomisation. Walls cover up to half of the
/// cells, moss and lava up to a quarter each of the others, all uniformly; start and goal are anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UniformRandom;

impl LevelGenerator for UniformRandom {
    fn generate(&self, parents: &[Grid], count: usize, rng: &mut Rng) -> Result<Vec<Grid>> {
        check(parents)?;
        let (width, cells) = (parents[0].width(), parents[0].tiles().len());
        let mut one = || {
            let [walls, moss, lava] = [0.5, 0.25, 0.25].map(|most| most * rng.uniform());
            let mut tiles: Vec<Tile> = (0..cells)
                .map(|_| match (rng.uniform() < walls, rng.uniform()) {
                    (true, _) => Tile::Wall,
                    (_, u) if u < moss => Tile::Moss,
                    (_, u) if u < moss + lava => Tile::Lava,
                    _ => Tile::Empty,
                })
                .collect();
            let ends = rng.sample(cells, 2);
            ends.iter().for_each(|cell| tiles[*cell] = Tile::Empty);
            Grid::new(width, tiles, ends[0], ends[1], rng.below(4) as u8)
        };
        (0..count).map(|_| one()).collect()
    }
}

/// The parents' size, which is one.
pub(super) fn check(parents: &[Grid]) -> Result<[usize; 2]> {
    let size = |level: &Grid| [level.width(), level.height()];
    let Some(first) = parents.first() else { return Err(Error::input("levels", 0, "give at least 1 level")) };
    match parents.iter().position(|level| size(level) != size(first)) {
        None => Ok(size(first)),
        Some(at) => {
            let ([w, h], [first_w, first_h]) = (size(&parents[at]), size(first));
            let got = format!("{w} x {h} cells");
            Err(Error::input(format!("level {at}"), got, format!("the first has {first_w} x {first_h}: use one size")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::levels::Family;
    use quadrat_core::Seed;

    #[test]
    fn edits_change_at_most_their_number_of_cells() {
        let parents = crate::levels::draw_levels(&[Family::Caves], 7, 3, &mut Seed(1).rng(0)).unwrap();
        let levels = RandomEdits { edits: 5 }.generate(&parents, 300, &mut Seed(2).rng(0)).unwrap();
        let (mut moved, mut changed) = (0, 0);
        for (at, level) in levels.iter().enumerate() {
            let parent = &parents[at % 3];
            let cells = level.tiles().iter().zip(parent.tiles()).filter(|(a, b)| a != b).count();
            assert!(cells <= 5 && level.heading() == parent.heading());
            moved += usize::from(level.goal() != parent.goal()) + usize::from(level.start() != parent.start());
            changed += cells;
        }
        // 5 changes of 300 levels, three in five of a tile; ends move in two of five, moss below them may go.
        assert!((700..1100).contains(&changed) && (300..600).contains(&moved), "{changed} {moved}");
        assert_eq!(RandomEdits { edits: 0 }.generate(&parents, 3, &mut Seed(0).rng(0)).unwrap(), parents);
    }

    #[test]
    fn random_levels_have_all_sorts() {
        let parents = [Grid::parse(">....G\n......\n......\n......\n").unwrap()];
        let levels = UniformRandom.generate(&parents, 400, &mut Seed(3).rng(0)).unwrap();
        let share = |tile| {
            let count: usize = levels.iter().map(|l| l.tiles().iter().filter(|t| **t == tile).count()).sum();
            count as f64 / (400.0 * 24.0)
        };
        // Means 0.25 and 0.75 / 8 of 22 of 24 cells; deviations of a level's share are below 0.2.
        assert!((share(Tile::Wall) - 0.25 * 22.0 / 24.0).abs() < 0.05);
        assert!((share(Tile::Moss) - 0.09375 * 22.0 / 24.0).abs() < 0.03);
        assert!((share(Tile::Lava) - 0.09375 * 22.0 / 24.0).abs() < 0.03);
        assert!(levels.iter().all(|level| (level.width(), level.height()) == (6, 4)));
    }

    #[test]
    fn parents_must_be_there_and_of_one_size() {
        let one = Grid::parse(">.G\n").unwrap();
        let other = Grid::parse(">..G\n").unwrap();
        for generator in [&RandomEdits { edits: 1 } as &dyn LevelGenerator, &UniformRandom] {
            assert!(generator.generate(&[], 1, &mut Seed(0).rng(0)).is_err());
            let error = generator.generate(&[one.clone(), other.clone()], 1, &mut Seed(0).rng(0)).unwrap_err();
            assert_eq!(error.to_string(), "level 1: got 4 x 1 cells; the first has 3 x 1: use one size");
        }
    }
}
