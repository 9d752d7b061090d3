//! What levels are like, on average: what tells a generator that keeps to its examples from one that drifts.

use super::grid::{Grid, Tile};

/// Means over levels and their cells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likeness {
    /// Share of cells that are walls.
    pub walls: f64,
    /// Share of cells with moss.
    pub moss: f64,
    /// Share of cells with lava.
    pub lava: f64,
    /// Moves from start to goal, of the levels that can be solved.
    pub way: f64,
    /// Share of the levels that can be solved.
    pub solvable: f64,
    /// Correlation between moss (0 or 1) and the way to the goal, over all cells from which there is one. Below 0 where moss is
    /// a sign of a near goal; 0 where one of the two does not vary.
    pub moss_distance: f64,
}

impl Likeness {
    /// Of levels; NaN where there is none. O(cells).
    pub fn of(levels: &[Grid]) -> Self {
        let (mut counts, mut cells, mut ways) = ([0.0; 4], 0.0, Vec::new());
        let (mut moss, mut far) = (Vec::new(), Vec::new());
        for level in levels {
            ways.extend(level.way().map(|way| way as f64));
            for (tile, distance) in level.tiles().iter().zip(level.distances()) {
                counts[*tile as usize] += 1.0;
                cells += 1.0;
                if let Some(distance) = distance {
                    moss.push(f64::from(u8::from(*tile == Tile::Moss)));
                    far.push(distance as f64);
                }
            }
        }
        let [_, walls, mossy, lava] = counts.map(|count| count / cells);
        Likeness {
            walls,
            moss: mossy,
            lava,
            way: mean(&ways),
            solvable: ways.len() as f64 / levels.len() as f64,
            moss_distance: correlation(&moss, &far),
        }
    }
}

/// The divergence KL(a || b) in nats between the patterns of 2 x 2 tiles of two sets of levels, each of the 256 counted half
/// once more than it is. O(cells).
pub fn pattern_divergence(a: &[Grid], b: &[Grid]) -> f64 {
    let [a, b] = [a, b].map(patterns);
    a.iter().zip(&b).map(|(a, b)| a * (a / b).ln()).sum()
}

fn patterns(levels: &[Grid]) -> Vec<f64> {
    let mut counts = vec![0.5; 256];
    for level in levels {
        let (width, tiles) = (level.width(), level.tiles());
        for first in (0..tiles.len().saturating_sub(width)).filter(|cell| (cell + 1) % width != 0) {
            let cells = [first, first + 1, first + width, first + width + 1];
            counts[cells.iter().fold(0, |code, cell| 4 * code + tiles[*cell] as usize)] += 1.0;
        }
    }
    let sum: f64 = counts.iter().sum();
    counts.into_iter().map(|count| count / sum).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn correlation(x: &[f64], y: &[f64]) -> f64 {
    let (mx, my) = (mean(x), mean(y));
    let product =
        |a: &[f64], ma: f64, b: &[f64], mb: f64| -> f64 { a.iter().zip(b).map(|(a, b)| (a - ma) * (b - mb)).sum() };
    let scale = (product(x, mx, x, mx) * product(y, my, y, my)).sqrt();
    if scale > 0.0 { product(x, mx, y, my) / scale } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::levels::{Family, LevelGenerator, UniformRandom, draw_levels};
    use quadrat_core::Seed;

    #[test]
    fn figures_are_those_of_the_map() {
        let level = Grid::parse(">..,G\n#####\n....~\n").unwrap();
        let like = Likeness::of(std::slice::from_ref(&level));
        assert_eq!((like.walls, like.moss, like.lava, like.way), (5.0 / 15.0, 1.0 / 15.0, 1.0 / 15.0, 4.0));
        // Ways 4, 3, 2, 1, 0 with moss at 1: covariance -1/5, deviations sqrt 2 and 2/5.
        assert!((like.moss_distance + 0.2 / (2.0_f64.sqrt() * 0.4)).abs() < 1e-12, "{like:?}");
        assert_eq!(pattern_divergence(std::slice::from_ref(&level), std::slice::from_ref(&level)), 0.0);
    }

    #[test]
    fn random_tiles_are_unlike_families() {
        let mut rng = Seed(6).rng(0);
        let [a, b] = [(); 2].map(|()| draw_levels(&[Family::Rooms, Family::Caves], 9, 300, &mut rng).unwrap());
        let random = UniformRandom.generate(&a, 300, &mut rng).unwrap();
        let near = Likeness::of(&a).moss_distance;
        assert!((near - Likeness::of(&b).moss_distance).abs() < 0.1 && near < -0.2, "{near}");
        assert!(Likeness::of(&random).moss_distance.abs() < 0.1);
        assert!(pattern_divergence(&a, &b) < 0.1 && pattern_divergence(&random, &a) > 0.3);
        assert!(Likeness::of(&random).solvable < 0.9 && Likeness::of(&a).solvable == 1.0);
    }
}
