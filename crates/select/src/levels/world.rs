//! A grid world in which an agent sees what lies before it, many environments at once.
//!
//! Rules, view and rewards are those of minigrid (Chevalier-Boisvert et al. 2023, version 3.2.0), of whose things it has walls,
//! floor (moss), goals and lava.

use super::grid::{AHEAD, Grid, Tile};
use quadrat_core::{Error, Result};

/// What an agent may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A quarter turn to the left.
    Left,
    /// A quarter turn to the right.
    Right,
    /// One cell ahead, if no wall is there.
    Forward,
}

impl Action {
    /// All actions, in the order of their numbers.
    pub const ALL: [Action; 3] = [Action::Left, Action::Right, Action::Forward];
}

/// What an agent sees of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Seen {
    /// Nothing: it lies behind a wall.
    Hidden,
    /// Empty ground, or the agent's own cell.
    Empty,
    /// A wall, or what lies beyond the map.
    Wall,
    /// Moss.
    Moss,
    /// The goal.
    Goal,
    /// Lava.
    Lava,
}

impl Seen {
    /// Kinds of sights.
    pub const KINDS: usize = 6;

    /// The three numbers by which minigrid codes it: object, colour and state.
    pub fn code(self) -> [u8; 3] {
        match self {
            Seen::Hidden => [0, 0, 0],
            Seen::Empty => [1, 0, 0],
            Seen::Wall => [2, 5, 0],
            Seen::Moss => [3, 1, 0],
            Seen::Goal => [8, 1, 0],
            Seen::Lava => [9, 0, 0],
        }
    }
}

/// The rules of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Cells to a side of the view, odd, 3 to 31: the agent stands in the middle of its last row and looks up.
    pub view: usize,
    /// Whether walls hide what is behind them.
    pub walls_hide: bool,
    /// Moves of an episode, at least 1.
    pub limit: usize,
}

impl Rules {
    /// # Errors
    /// A view that is even, below 3 or above 31; no move.
    pub fn check(&self) -> Result<()> {
        if self.view.is_multiple_of(2) || !(3..=31).contains(&self.view) {
            return Err(Error::input("view", self.view, "use an odd number of cells, 3 to 31"));
        }
        if self.limit == 0 {
            return Err(Error::input("limit", 0, "let an episode have at least 1 move"));
        }
        Ok(())
    }

    /// The features of a view: sights of its cells, the previous action or none, the heading.
    pub fn features(&self) -> usize {
        self.view * self.view * Seen::KINDS + 4 + 4
    }

    /// How many of the features are ones in any one view.
    pub fn ones(&self) -> usize {
        self.view * self.view + 2
    }
}

/// What a move led to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// 1 - 0.9 moves / limit at the goal, else 0.
    pub reward: f64,
    /// The goal or lava was reached.
    pub ended: bool,
    /// The last move that the limit allows was made.
    pub cut: bool,
}

/// One environment.
#[derive(Debug, Clone)]
pub struct World {
    rules: Rules,
    /// Sights of the map with a margin of walls, so that no view ends outside.
    sights: Vec<Seen>,
    pitch: usize,
    at: usize,
    heading: u8,
    moves: usize,
    previous: usize,
}

impl World {
    /// The level at its start.
    ///
    /// # Errors
    /// As [`Rules::check`].
    pub fn new(rules: Rules, level: &Grid) -> Result<Self> {
        rules.check()?;
        let mut world = World { rules, sights: Vec::new(), pitch: 0, at: 0, heading: 0, moves: 0, previous: 3 };
        world.reset(level);
        Ok(world)
    }

    /// Goes to the start of `level`.
    pub fn reset(&mut self, level: &Grid) {
        let margin = self.rules.view;
        self.pitch = level.width() + 2 * margin;
        self.sights.clear();
        self.sights.resize(self.pitch * (level.height() + 2 * margin), Seen::Wall);
        let place = |cell: usize| (cell / level.width() + margin) * self.pitch + cell % level.width() + margin;
        for (y, row) in level.tiles().chunks(level.width()).enumerate() {
            let first = place(y * level.width());
            for (sight, tile) in self.sights[first..].iter_mut().zip(row) {
                *sight = match tile {
                    Tile::Empty => Seen::Empty,
                    Tile::Wall => Seen::Wall,
                    Tile::Moss => Seen::Moss,
                    Tile::Lava => Seen::Lava,
                };
            }
        }
        self.sights[place(level.goal())] = Seen::Goal;
        self.at = place(level.start());
        (self.heading, self.moves, self.previous) = (level.heading(), 0, 3);
    }

    /// Does one action.
    pub fn act(&mut self, action: Action) -> Outcome {
        self.moves += 1;
        self.previous = action as usize;
        let mut outcome = Outcome { reward: 0.0, ended: false, cut: self.moves >= self.rules.limit };
        match action {
            Action::Left => self.heading = (self.heading + 3) % 4,
            Action::Right => self.heading = (self.heading + 1) % 4,
            Action::Forward => {
                let next = self.at.wrapping_add_signed(self.ahead(self.heading));
                let sight = self.sights[next];
                if sight != Seen::Wall {
                    self.at = next;
                }
                if sight == Seen::Goal {
                    outcome.reward = 1.0 - 0.9 * self.moves as f64 / self.rules.limit as f64;
                }
                outcome.ended = matches!(sight, Seen::Goal | Seen::Lava);
            }
        }
        outcome
    }

    /// Column and row of the agent's cell.
    pub fn position(&self) -> (usize, usize) {
        (self.at % self.pitch - self.rules.view, self.at / self.pitch - self.rules.view)
    }

    /// 0 right, 1 down, 2 left, 3 up.
    pub fn heading(&self) -> u8 {
        self.heading
    }

    /// Moves since the start.
    pub fn moves(&self) -> usize {
        self.moves
    }

    /// What the agent sees, row by row, the farthest first: view x view sights.
    pub fn look(&self, view: &mut [Seen]) {
        let n = self.rules.view;
        let (ahead, right) = (self.ahead(self.heading), self.ahead((self.heading + 1) % 4));
        let (half, far) = ((n / 2) as isize, (n - 1) as isize);
        for (row, seen) in view.chunks_exact_mut(n).enumerate() {
            let mut place = self.at.wrapping_add_signed((far - row as isize) * ahead - half * right);
            for seen in seen {
                *seen = self.sights[place];
                place = place.wrapping_add_signed(right);
            }
        }
        if self.rules.walls_hide {
            hide(view, n);
        }
        view[n * (n - 1) + n / 2] = Seen::Empty;
    }

    /// Where the ones of the features are ([`Rules::features`]), [`Rules::ones`] numbers. `view` is room for the sights.
    pub fn observe(&self, view: &mut [Seen], hot: &mut [u16]) {
        self.look(view);
        let sights = view.len() * Seen::KINDS;
        for ((cell, seen), hot) in view.iter().enumerate().zip(&mut *hot) {
            *hot = (cell * Seen::KINDS + *seen as usize) as u16;
        }
        hot[view.len()] = (sights + self.previous) as u16;
        hot[view.len() + 1] = (sights + 4 + usize::from(self.heading)) as u16;
    }

    fn ahead(&self, heading: u8) -> isize {
        let (x, y) = AHEAD[usize::from(heading)];
        y * self.pitch as isize + x
    }
}

/// Light spreads from the agent to the sides and away from it, one row after the other, and ends at walls: minigrid's rule. A
/// row of the view is a number whose bits say which cells are lit.
fn hide(view: &mut [Seen], n: usize) {
    let all = (1_u32 << n) - 1;
    let mut lit = 1_u32 << (n / 2);
    for row in view.chunks_exact_mut(n).rev() {
        let mut clear = 0_u32;
        for (x, seen) in row.iter().enumerate() {
            clear |= u32::from(*seen != Seen::Wall) << x;
        }
        let mut above = 0;
        // First to the right: a lit, clear cell lights the next one, and in the row above those over itself and the next.
        for x in 0..n - 1 {
            let from = lit & clear & (1 << x);
            lit |= from << 1;
            above |= from | from << 1;
        }
        for x in (1..n).rev() {
            let from = lit & clear & (1 << x);
            lit |= from >> 1;
            above |= from | from >> 1;
        }
        for (x, seen) in row.iter_mut().enumerate() {
            if lit & (1 << x) == 0 {
                *seen = Seen::Hidden;
            }
        }
        lit = above & all;
    }
}

#[cfg(test)]
mod tests;
