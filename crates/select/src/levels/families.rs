//! Ready families of levels, whose moss and lava say how far the goal is.

use super::grid::{Grid, Tile, beside, distances};
use quadrat_core::{Choice, Error, Result, Rng};

/// How walls are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Family {
    /// Four rooms, with a door in each wall between two.
    Rooms,
    /// Corridors of a maze by recursive division.
    Corridors,
    /// Caves of a cellular automaton.
    Caves,
    /// Walls from side to side, each with one gap.
    Crossings,
}

impl Family {
    /// A level of `side` x `side` cells that can be solved.
    ///
    /// The goal is any free cell, and the start one of the quarter of cells that are farthest from it. An empty cell has moss
    /// with probability 3 d (1 - u)^2, where u in [0, 1] is the rank of its way to the goal and d, the share of moss on
    /// average, is uniform in [0.10, 0.25]; walls turn to lava with 3 d u^2 by the rank of their straight distance. So moss is
    /// a sign of a near goal, and lava of a far one.
    ///
    /// # Errors
    /// A side below 5 or above 256.
    pub fn draw(self, side: usize, rng: &mut Rng) -> Result<Grid> {
        if !(5..=256).contains(&side) {
            return Err(Error::input("side", side, "use 5 to 256 cells"));
        }
        loop {
            let mut tiles = match self {
                Family::Rooms => rooms(side, rng),
                Family::Corridors => corridors(side, rng),
                Family::Caves => caves(side, rng),
                Family::Crossings => crossings(side, rng),
            };
            let free: Vec<usize> = (0..tiles.len()).filter(|cell| tiles[*cell].is_free()).collect();
            // A cave may have no room left.
            if free.len() < side {
                continue;
            }
            let goal = free[rng.below(free.len())];
            let far = distances(side, &tiles, goal);
            let mut reached: Vec<usize> = free.into_iter().filter(|cell| far[*cell].is_some()).collect();
            reached.sort_by_key(|cell| far[*cell]);
            if reached.len() < side {
                continue;
            }
            let farthest = reached.len() - reached.len().div_ceil(4);
            let start = reached[farthest + rng.below(reached.len() - farthest)];
            grow(&mut tiles, &reached, [start, goal], Tile::Moss, |u| (1.0 - u).powi(2), rng);
            let mut walls: Vec<usize> = (0..tiles.len()).filter(|cell| tiles[*cell] == Tile::Wall).collect();
            walls.sort_by_key(|cell| (cell % side).abs_diff(goal % side) + (cell / side).abs_diff(goal / side));
            grow(&mut tiles, &walls, [start, goal], Tile::Lava, |u| u * u, rng);
            let heading = rng.below(4) as u8;
            return Grid::new(side, tiles, start, goal, heading);
        }
    }
}

/// `count` levels, the families in turn.
///
/// # Errors
/// As [`Family::draw`]; no family.
pub fn draw_levels(families: &[Family], side: usize, count: usize, rng: &mut Rng) -> Result<Vec<Grid>> {
    if families.is_empty() {
        return Err(Error::input("families", "none", "name at least 1"));
    }
    (0..count).map(|at| families[at % families.len()].draw(side, rng)).collect()
}

/// Makes `tile` of cells in the order of their rank, with the probability 3 d `share`(rank), at most 1.
fn grow(tiles: &mut [Tile], cells: &[usize], but: [usize; 2], tile: Tile, share: impl Fn(f64) -> f64, rng: &mut Rng) {
    let density = 0.10 + 0.15 * rng.uniform();
    for (rank, cell) in cells.iter().enumerate() {
        let u = rank as f64 / cells.len().saturating_sub(1).max(1) as f64;
        if rng.uniform() < 3.0 * density * share(u) && !but.contains(cell) {
            tiles[*cell] = tile;
        }
    }
}

fn rooms(side: usize, rng: &mut Rng) -> Vec<Tile> {
    let mut tiles = vec![Tile::Empty; side * side];
    let [x, y] = [(); 2].map(|()| 2 + rng.below(side - 4));
    for at in 0..side {
        tiles[at * side + x] = Tile::Wall;
        tiles[y * side + at] = Tile::Wall;
    }
    for (low, high) in [(0, y), (y + 1, side)] {
        tiles[(low + rng.below(high - low)) * side + x] = Tile::Empty;
    }
    for (low, high) in [(0, x), (x + 1, side)] {
        tiles[y * side + low + rng.below(high - low)] = Tile::Empty;
    }
    tiles
}

fn corridors(side: usize, rng: &mut Rng) -> Vec<Tile> {
    let mut tiles = vec![Tile::Empty; side * side];
    // Walls stand on odd lines and doors on even ones, so that no wall closes a door.
    let mut chambers = vec![(0, 0, side, side)];
    while let Some((x, y, w, h)) = chambers.pop() {
        if w < 3 || h < 3 {
            continue;
        }
        let upright = if w == h { rng.below(2) == 0 } else { w > h };
        if upright {
            let wall = x + 1 + 2 * rng.below((w - 1) / 2);
            let door = y + 2 * rng.below(h.div_ceil(2));
            (y..y + h).filter(|y| *y != door).for_each(|y| tiles[y * side + wall] = Tile::Wall);
            chambers.extend([(x, y, wall - x, h), (wall + 1, y, x + w - wall - 1, h)]);
        } else {
            let wall = y + 1 + 2 * rng.below((h - 1) / 2);
            let door = x + 2 * rng.below(w.div_ceil(2));
            (x..x + w).filter(|x| *x != door).for_each(|x| tiles[wall * side + x] = Tile::Wall);
            chambers.extend([(x, y, w, wall - y), (x, wall + 1, w, y + h - wall - 1)]);
        }
    }
    tiles
}

/// Two in five cells are walls; three times over a cell becomes one where five or more of the nine around it are (outside
/// counts as wall at one cell in two).
fn caves(side: usize, rng: &mut Rng) -> Vec<Tile> {
    let mut walls: Vec<bool> = (0..side * side).map(|_| rng.uniform() < 0.4).collect();
    let n = side as isize;
    for _ in 0..3 {
        let crowded = |cell: usize| {
            let (x, y) = ((cell % side) as isize, (cell / side) as isize);
            let around = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (x + dx, y + dy)));
            let wall = |(x, y): (isize, isize)| match (0..n).contains(&x) && (0..n).contains(&y) {
                true => walls[(y * n + x) as usize],
                false => (x + y) % 2 == 0,
            };
            around.filter(|place| wall(*place)).count() >= 5
        };
        walls = (0..side * side).map(crowded).collect();
    }
    let tiles: Vec<Tile> = walls.iter().map(|wall| if *wall { Tile::Wall } else { Tile::Empty }).collect();
    // The largest cave alone; the others are filled.
    let (mut room, mut largest) = (vec![false; tiles.len()], Vec::new());
    for cell in 0..tiles.len() {
        if tiles[cell].is_free() && !room[cell] {
            let (mut cave, mut next) = (vec![cell], 0);
            room[cell] = true;
            while let Some(at) = cave.get(next).copied() {
                next += 1;
                for near in beside(side, tiles.len(), at) {
                    if tiles[near].is_free() && !std::mem::replace(&mut room[near], true) {
                        cave.push(near);
                    }
                }
            }
            if cave.len() > largest.len() {
                largest = cave;
            }
        }
    }
    let mut filled = vec![Tile::Wall; tiles.len()];
    largest.into_iter().for_each(|cell| filled[cell] = Tile::Empty);
    filled
}

fn crossings(side: usize, rng: &mut Rng) -> Vec<Tile> {
    let mut tiles = vec![Tile::Empty; side * side];
    let upright = rng.below(2) == 0;
    let mut line = 1 + rng.below(2);
    while line + 1 < side {
        let gap = rng.below(side);
        for at in (0..side).filter(|at| *at != gap) {
            tiles[if upright { at * side + line } else { line * side + at }] = Tile::Wall;
        }
        line += 2 + rng.below(2);
    }
    tiles
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::Seed;

    const ALL: [Family; 4] = [Family::Rooms, Family::Corridors, Family::Caves, Family::Crossings];

    /// Every level can be solved; moss lies nearer the goal than the free cells do, lava farther than the walls, in all
    /// families. Shares of moss over 200 levels stay within [0.08, 0.27] of free cells, whatever the seed.
    #[test]
    fn levels_can_be_solved_and_moss_is_near_the_goal() {
        for family in ALL {
            for side in [5, 7, 12] {
                let (mut moss, mut free, mut near, mut all) = (0.0, 0.0, 0.0, 0.0);
                for item in 0..200 {
                    let level = family.draw(side, &mut Seed(4).rng(item)).unwrap();
                    let far = level.distances();
                    assert!(level.way().is_some_and(|way| way >= 1), "{family:?}\n{level}");
                    for (tile, far) in level.tiles().iter().zip(&far) {
                        if let Some(far) = far {
                            let moss_here = f64::from(u8::from(*tile == Tile::Moss));
                            (moss, free) = (moss + moss_here, free + 1.0);
                            (near, all) = (near + moss_here * *far as f64, all + *far as f64);
                        }
                    }
                }
                assert!((0.08..0.27).contains(&(moss / free)), "{family:?} {side}: {}", moss / free);
                assert!(near / moss < 0.75 * all / free, "{family:?} {side}");
            }
        }
        assert!(Family::Caves.draw(4, &mut Seed(0).rng(0)).is_err());
        assert!(draw_levels(&[], 7, 3, &mut Seed(0).rng(0)).is_err());
        let levels = draw_levels(&ALL, 7, 9, &mut Seed(0).rng(0)).unwrap();
        assert_eq!((levels.len(), levels[8].width()), (9, 7));
    }

    #[test]
    fn mazes_have_a_way_between_all_their_cells() {
        for item in 0..50 {
            let tiles = corridors(9, &mut Seed(5).rng(item));
            let free = tiles.iter().filter(|tile| tile.is_free()).count();
            let reached = distances(9, &tiles, 0).iter().flatten().count();
            assert_eq!((reached, tiles[0]), (free, Tile::Empty));
        }
    }
}
