//! A level: tiles, a start and a goal, as an array and as text.

use quadrat_core::{Error, Result};
use std::collections::VecDeque;
use std::fmt;

/// What a cell is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tile {
    /// Free ground.
    Empty,
    /// Stops who walks and who looks.
    Wall,
    /// Free ground with moss, which grows near goals.
    Moss,
    /// Ends the episode of who steps on it.
    Lava,
}

impl Tile {
    /// All tiles, in the order of their numbers.
    pub const ALL: [Tile; 4] = [Tile::Empty, Tile::Wall, Tile::Moss, Tile::Lava];

    /// Whether one can stand on it and live.
    pub fn is_free(self) -> bool {
        matches!(self, Tile::Empty | Tile::Moss)
    }

    fn letter(self) -> char {
        match self {
            Tile::Empty => '.',
            Tile::Wall => '#',
            Tile::Moss => ',',
            Tile::Lava => '~',
        }
    }
}

/// Headings: right, down, left and up.
const ARROWS: [char; 4] = ['>', 'v', '<', '^'];

/// Steps along the headings, y downwards.
pub(super) const AHEAD: [(isize, isize); 4] = [(1, 0), (0, 1), (-1, 0), (0, -1)];

/// The most cells to a side.
const LARGEST: usize = 256;

/// A map with one start and one goal. Beyond its edge all is wall, so it needs no border.
///
/// As text a row is a line: `.` or a space empty, `#` wall, `,` moss, `~` lava, `G` the goal, and the start an arrow for
/// the heading (`>`, `v`, `<`, `^`; `S` is read as `>`). Both have empty ground below them.
///
/// ```
/// use quadrat_select::levels::Grid;
/// let level = Grid::parse("#####\n#>.G#\n#####\n")?;
/// assert_eq!((level.width(), level.height(), level.way()), (5, 3, Some(2)));
/// assert_eq!(level.to_string(), "#####\n#>.G#\n#####\n");
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grid {
    width: usize,
    tiles: Vec<Tile>,
    start: usize,
    goal: usize,
    heading: u8,
}

impl Grid {
    /// A level of `tiles`, row by row; `start` and `goal` are numbers of cells, `heading` is 0 right, 1 down, 2 left, 3 up.
    ///
    /// # Errors
    /// Rows that are not full, a side of none or more than 256 cells; a start or goal outside, on one cell, or on wall or
    /// lava (what lies there must be empty); an unknown heading.
    pub fn new(width: usize, tiles: Vec<Tile>, start: usize, goal: usize, heading: u8) -> Result<Self> {
        let height = tiles.len().checked_div(width).unwrap_or(0);
        if width == 0 || width * height != tiles.len() || !(1..=LARGEST).contains(&height) || width > LARGEST {
            let got = format!("{} cells in rows of {width}", tiles.len());
            return Err(Error::input("level", got, format!("give full rows, 1 to {LARGEST} cells to a side")));
        }
        for (what, at) in [("start", start), ("goal", goal)] {
            if tiles.get(at) != Some(&Tile::Empty) {
                return Err(Error::input(what, format!("cell {at}"), "name an empty cell of the level"));
            }
        }
        if start == goal {
            return Err(Error::input("goal", "the start's cell", "start and goal need two cells"));
        }
        if heading > 3 {
            return Err(Error::input("heading", heading, "use 0 right, 1 down, 2 left or 3 up"));
        }
        Ok(Grid { width, tiles, start, goal, heading })
    }

    /// Reads a map from its text; lines at the end without a character are not part of it.
    ///
    /// # Errors
    /// No line, ragged lines, an unknown character, a start or goal that is missing or there twice (line and column are
    /// told), more than 256 cells to a side.
    pub fn parse(text: &str) -> Result<Self> {
        let lines: Vec<&str> = text.trim_end_matches(['\n', '\r']).lines().collect();
        let width = lines.first().map_or(0, |line| line.chars().count());
        if width == 0 {
            return Err(Error::input("map", "no cells", "write one line of characters for each row of cells"));
        }
        let (mut tiles, mut start, mut goal) = (Vec::new(), None, None);
        for (y, line) in (1..).zip(&lines) {
            if line.chars().count() != width {
                let got = format!("{} characters, line 1 has {width}", line.chars().count());
                return Err(Error::input(format!("map, line {y}"), got, "make all lines equally long"));
            }
            for (x, letter) in (1..).zip(line.chars()) {
                let place = || format!("map, line {y}, column {x}");
                let twice = |what: &str| Error::input(place(), format!("a second {what}"), "a map has one");
                let arrow = ARROWS.iter().position(|arrow| *arrow == letter);
                tiles.push(match (letter, arrow) {
                    ('.' | ' ', _) => Tile::Empty,
                    ('#', _) => Tile::Wall,
                    (',', _) => Tile::Moss,
                    ('~', _) => Tile::Lava,
                    ('G', _) => match goal.replace(tiles.len()) {
                        None => Tile::Empty,
                        Some(_) => return Err(twice("goal")),
                    },
                    ('S', _) | (_, Some(_)) => match start.replace((tiles.len(), arrow.unwrap_or(0) as u8)) {
                        None => Tile::Empty,
                        Some(_) => return Err(twice("start")),
                    },
                    _ => {
                        let want =
                            "use . or a space (empty), # (wall), , (moss), ~ (lava), G (goal) and > v < ^ or S (start)";
                        return Err(Error::input(place(), format!("`{letter}`"), want));
                    }
                });
            }
        }
        let (start, heading) =
            start.ok_or_else(|| Error::input("map", "no start", "mark it by >, v, <, ^ (its heading) or S"))?;
        let goal = goal.ok_or_else(|| Error::input("map", "no goal", "mark it by G"))?;
        Grid::new(width, tiles, start, goal, heading)
    }

    /// Cells in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows of cells.
    pub fn height(&self) -> usize {
        self.tiles.len() / self.width
    }

    /// The tiles, row by row.
    pub fn tiles(&self) -> &[Tile] {
        &self.tiles
    }

    /// The cell where one starts.
    pub fn start(&self) -> usize {
        self.start
    }

    /// The cell to reach.
    pub fn goal(&self) -> usize {
        self.goal
    }

    /// The heading at the start: 0 right, 1 down, 2 left, 3 up.
    pub fn heading(&self) -> u8 {
        self.heading
    }

    /// Moves on the shortest way from start to goal without wall and lava; none where there is no way.
    pub fn way(&self) -> Option<usize> {
        self.distances()[self.start]
    }

    /// Moves from each cell to the goal; none from walls, lava and cells that are cut off.
    pub fn distances(&self) -> Vec<Option<usize>> {
        distances(self.width, &self.tiles, self.goal)
    }

    /// As [`parse`](Self::parse) has it, each row with `letter` of its cells in place of what is written for them.
    pub fn draw(&self, letter: impl Fn(usize) -> Option<char>) -> String {
        let mut text = String::with_capacity(self.tiles.len() + self.height());
        for (cell, tile) in self.tiles.iter().enumerate() {
            text.push(letter(cell).unwrap_or_else(|| match cell {
                _ if cell == self.start => ARROWS[usize::from(self.heading)],
                _ if cell == self.goal => 'G',
                _ => tile.letter(),
            }));
            if (cell + 1).is_multiple_of(self.width) {
                text.push('\n');
            }
        }
        text
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.draw(|_| None))
    }
}

/// The arrow of a heading.
pub fn arrow(heading: u8) -> char {
    ARROWS[usize::from(heading % 4)]
}

/// The cells beside `cell`, in the order of the headings.
pub(super) fn beside(width: usize, cells: usize, cell: usize) -> impl Iterator<Item = usize> {
    let (x, y) = ((cell % width) as isize, (cell / width) as isize);
    let height = (cells / width) as isize;
    AHEAD.into_iter().filter_map(move |(dx, dy)| {
        let (x, y) = (x + dx, y + dy);
        ((0..width as isize).contains(&x) && (0..height).contains(&y)).then(|| y as usize * width + x as usize)
    })
}

/// Moves from each cell to `to` over free cells, by breadth first.
pub(super) fn distances(width: usize, tiles: &[Tile], to: usize) -> Vec<Option<usize>> {
    let mut far = vec![None; tiles.len()];
    far[to] = Some(0);
    let mut queue = VecDeque::from([(to, 0)]);
    while let Some((cell, moves)) = queue.pop_front() {
        for next in beside(width, tiles.len(), cell) {
            if tiles[next].is_free() && far[next].is_none() {
                far[next] = Some(moves + 1);
                queue.push_back((next, moves + 1));
            }
        }
    }
    far
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn maps_that_are_none_are_told_where_and_why() {
        for (text, says) in [
            ("", "no cells"),
            ("\n\n", "no cells"),
            (">.G\n..\n", "map, line 2: got 2 characters, line 1 has 3"),
            (">.G\n\n...\n", "map, line 2: got 0 characters"),
            (">.G\n.x.\n", "map, line 2, column 2: got `x`"),
            ("..G\n...\n", "no start"),
            (">..\n...\n", "no goal"),
            (">.G\n..^\n", "map, line 2, column 3: got a second start"),
            (">.G\n..G\n", "map, line 2, column 3: got a second goal"),
        ] {
            let error = Grid::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text:?}: {error}");
        }
        let row = |n| Grid::new(n, vec![Tile::Empty; n], 0, 1, 0);
        assert!(row(256).is_ok() && row(257).is_err() && row(0).is_err());
        let of = |start, goal, heading| {
            Grid::new(2, vec![Tile::Empty, Tile::Empty, Tile::Moss, Tile::Wall], start, goal, heading)
        };
        assert!(of(0, 1, 3).is_ok());
        for (start, goal, heading) in [(0, 0, 0), (0, 2, 0), (3, 0, 0), (0, 9, 0), (0, 1, 4)] {
            assert!(of(start, goal, heading).is_err());
        }
        assert!(Grid::new(3, vec![Tile::Empty; 4], 0, 1, 0).is_err());
    }

    #[test]
    fn ways_go_around_walls_and_lava() {
        assert_eq!(Grid::parse("S#G\n.~.\n...\n").unwrap().way(), Some(6));
        assert_eq!(Grid::parse("S#G\r\n.#,\r\n ,.\r\n").unwrap().way(), Some(6));
        assert_eq!(Grid::parse("S#G\n~#.\n...\n").unwrap().way(), None);
    }

    proptest! {
        #[test]
        fn text_is_read_as_it_was_written(
            width in 1_usize..9, codes in prop::collection::vec(0_usize..4, 2..60), start: prop::sample::Index,
            by: prop::sample::Index, heading in 0_u8..4,
        ) {
            let mut tiles: Vec<Tile> = codes.iter().map(|code| Tile::ALL[*code]).collect();
            tiles.truncate((tiles.len() / width).max(1) * width);
            tiles.resize(tiles.len().max(width), Tile::Wall);
            prop_assume!(tiles.len() > 1);
            let start = start.index(tiles.len());
            let goal = (start + 1 + by.index(tiles.len() - 1)) % tiles.len();
            tiles[start] = Tile::Empty;
            tiles[goal] = Tile::Empty;
            let level = Grid::new(width, tiles, start, goal, heading).unwrap();
            prop_assert_eq!(Grid::parse(&level.to_string()).unwrap(), level);
        }
    }
}
