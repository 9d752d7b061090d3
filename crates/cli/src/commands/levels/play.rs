//! `quadrat levels play`: a walk through a map.

use super::maps;
use crate::args::Run;
use crate::output::Reply;
use clap::Args;
use quadrat::select::levels::{Action, Grid, Outcome, Rules, Seen, World, arrow};
use quadrat::{Error, Result};
use serde_json::json;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "\
Keys, several to a line: a (turn left), d (turn right), w (one cell ahead), q (stop). The goal G ends the walk, and so does
lava (~). Moss (,) grows near goals.

Example:
  quadrat levels play --level maps/cave-01.txt")]
pub struct PlayLevel {
    /// The map [default: one of the program's own]
    #[arg(long, value_name = "FILE")]
    pub level: Option<PathBuf>,
    /// Cells to a side of what the agent sees, an odd number: the map beyond is covered [default: the whole map is shown]
    #[arg(long, value_name = "N")]
    pub view: Option<usize>,
    /// Moves after which the walk ends
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    #[command(flatten)]
    pub run: Run,
}

/// A cave with moss on the way.
const OWN: &str = "\
###########
#>.#.....~#
#..#.###..#
#.##.#.#..#
#......#.~#
#~###.##..#
#...#..,..#
###.##.,#,#
#~.....#,G#
###########
";

/// Plays until the keys end.
pub fn run(args: &PlayLevel) -> Result<Reply> {
    let level = match &args.level {
        Some(path) => maps::read(path)?,
        None => Grid::parse(OWN)?,
    };
    let rules = Rules { view: args.view.unwrap_or(3), walls_hide: true, limit: args.limit };
    let mut world = World::new(rules, &level)?;
    let (mut reward, mut end) = (0.0, None);
    // With --json standard output is for the result.
    let mut out: Box<dyn Write> = if args.run.json { Box::new(std::io::stderr()) } else { Box::new(std::io::stdout()) };
    let mut say = |text: &str| {
        // A reader that has gone away is no error.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    };
    say(&picture(&level, &world, args.view));
    let asks = std::io::stdin().is_terminal();
    if asks {
        say("a turn left, d turn right, w ahead, q stop: ");
    }
    'lines: for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|e| Error::io("standard input", e))?;
        for key in line.trim().chars() {
            let action = match key {
                'a' => Action::Left,
                'd' => Action::Right,
                'w' => Action::Forward,
                'q' => break 'lines,
                _ => {
                    say(&format!("no key `{key}`: use a, d, w or q\n"));
                    continue;
                }
            };
            let outcome = world.act(action);
            reward += outcome.reward;
            end = ending(&outcome);
            if end.is_some() {
                say(&picture(&level, &world, args.view));
                break 'lines;
            }
        }
        say(&picture(&level, &world, args.view));
        if asks {
            say("> ");
        }
    }
    let end = end.unwrap_or("stopped");
    let text = format!("{end} after {} moves; reward {reward:.3}\n", world.moves());
    let value = json!({ "level": args.level, "end": end, "moves": world.moves(), "reward": reward });
    Ok(Reply::new(text, value))
}

fn ending(outcome: &Outcome) -> Option<&'static str> {
    match outcome {
        Outcome { ended: true, reward, .. } if *reward > 0.0 => Some("the goal is reached"),
        Outcome { ended: true, .. } => Some("into the lava"),
        Outcome { cut: true, .. } => Some("out of moves"),
        _ => None,
    }
}

/// The map with the agent; with a `view`, what it does not see is covered.
fn picture(level: &Grid, world: &World, view: Option<usize>) -> String {
    let (x, y) = world.position();
    let agent = y * level.width() + x;
    let shown: Option<Vec<bool>> = view.map(|n| {
        let mut seen = vec![Seen::Hidden; n * n];
        world.look(&mut seen);
        let mut shown = vec![false; level.tiles().len()];
        for (at, sight) in seen.iter().enumerate().filter(|(_, sight)| **sight != Seen::Hidden) {
            let (ahead, right) = ((n - 1 - at / n) as isize, (at % n) as isize - (n / 2) as isize);
            let (dx, dy) = match world.heading() {
                0 => (ahead, right),
                1 => (-right, ahead),
                2 => (-ahead, -right),
                _ => (right, -ahead),
            };
            let (x, y) = (x as isize + dx, y as isize + dy);
            let inside = (0..level.width() as isize).contains(&x) && (0..level.height() as isize).contains(&y);
            if inside && *sight != Seen::Hidden {
                shown[y as usize * level.width() + x as usize] = true;
            }
        }
        shown
    });
    let map = level.draw(|cell| match &shown {
        _ if cell == agent => Some(arrow(world.heading())),
        Some(shown) if !shown[cell] => Some('?'),
        _ if cell == level.start() => Some('.'),
        _ => None,
    });
    format!("{map}\n")
}
