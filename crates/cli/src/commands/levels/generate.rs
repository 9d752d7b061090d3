//! `quadrat levels generate`: new maps like given ones.

use super::maps;
use crate::args::Run;
use crate::output::{Reply, check_place, count, figure, table};
use crate::parameters::Declared;
use crate::report::{Block, Page};
use clap::{Args, ValueEnum};
use quadrat::select::levels::{Grid, Likeness, RandomEdits, UniformRandom, VaeTrainer};
use quadrat::select::{Dred, new_levels};
use quadrat::{
    Card, Error, Progress, Result, Seed, catalogue, check_vacant, find, write_atomic_bytes, write_atomic_folder,
};
use serde_json::json;
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "\
Maps are text files (.txt), a line for each row of cells, all maps of one size:
  . or a space  empty     #  wall     ,  moss     ~  lava
  >  v  <  ^    the start with its heading (S: >)     G  the goal

Example:
  quadrat levels generate --levels maps/ --method dred --count 100 --out new/")]
pub struct GenerateLevels {
    /// Folder of maps
    #[arg(long, value_name = "FOLDER")]
    pub levels: PathBuf,
    /// What makes them
    #[arg(long, value_name = "NAME", default_value = "dred")]
    pub method: Maker,
    /// New maps
    #[arg(long, value_name = "N")]
    pub count: usize,
    /// With edits: random changes of each map
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub edits: usize,
    #[command(flatten)]
    pub vae: Declared<VaeTrainer>,
    /// Folder to make, with a file for each new map
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    #[command(flatten)]
    pub run: Run,
    /// Write a self-contained HTML page about the run
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// What makes maps.
#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub enum Maker {
    /// An autoencoder of the given maps, between two of them
    Dred,
    /// Random changes of a given map
    Edits,
    /// Random tiles, whatever the given maps are like
    Random,
}

/// Makes the maps and writes them.
pub fn run(args: &GenerateLevels, progress: &dyn Progress) -> Result<Reply> {
    let card = find(&catalogue(), "dred")?;
    check_vacant(&args.out)?;
    if let Some(report) = &args.report {
        check_place(report)?;
    }
    if args.count == 0 {
        return Err(Error::input("--count", 0, "ask for at least 1"));
    }
    if let Some(name) = args.vae.any().filter(|_| args.method != Maker::Dred) {
        return Err(Error::input("option", format!("`--{name}`"), "it belongs to --method dred"));
    }
    let vae = args.vae.settings()?;
    let given = maps::read_all(&args.levels)?;
    let levels: Vec<Grid> = given.iter().map(|(_, level)| level.clone()).collect();
    let seed = Seed(args.run.seed);
    let new = match args.method {
        Maker::Dred => Dred { vae, ..Dred::default() }.generate(&levels, args.count, seed, progress)?,
        Maker::Edits if args.edits == 0 => return Err(Error::input("--edits", 0, "use at least 1")),
        Maker::Edits => new_levels(&RandomEdits { edits: args.edits }, &levels, args.count, seed, progress)?,
        Maker::Random => new_levels(&UniformRandom, &levels, args.count, seed, progress)?,
    };
    let digits = args.count.to_string().len().max(4);
    write_atomic_folder(&args.out, |folder| {
        (1..).zip(&new).try_for_each(|(number, level)| {
            let file = folder.join(format!("level-{number:0digits$}{}", maps::ENDING));
            write_atomic_bytes(&file, level.to_string().as_bytes())
        })
    })?;
    reply(args, card, &levels, &new)
}

fn reply(args: &GenerateLevels, card: &'static Card, levels: &[Grid], new: &[Grid]) -> Result<Reply> {
    let method = args.method.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    let [old, made] = [levels, new].map(Likeness::of);
    let row = |name: &str, of: &dyn Fn(&Likeness) -> f64| vec![name.to_owned(), figure(of(&old)), figure(of(&made))];
    let rows = vec![
        ["", "given", "new"].map(str::to_owned).to_vec(),
        row("share of walls", &|l| l.walls),
        row("share of moss", &|l| l.moss),
        row("share of lava", &|l| l.lava),
        row("moves from start to goal", &|l| l.way),
        row("correlation of moss and way to the goal", &|l| l.moss_distance),
    ];
    let text = format!(
        "{method}: {} new maps of {} given ones (seed {}); all can be solved, none is there twice\n{}wrote {}\n",
        count(new.len()),
        count(levels.len()),
        args.run.seed,
        table(&rows, &[1, 2]),
        args.out.display()
    );
    let like = |l: &Likeness| json!({ "walls": l.walls, "moss": l.moss, "lava": l.lava, "moves": l.way, "moss_distance": l.moss_distance });
    let value = json!({
        "method": method,
        "levels": levels.len(),
        "count": new.len(),
        "seed": args.run.seed,
        "given": like(&old),
        "new": like(&made),
        "out": args.out,
    });
    if let Some(path) = &args.report {
        let mut page =
            Page::new("New levels", format!("{} maps by {method}, from {} given ones.", new.len(), levels.len()));
        page.section("Alike?", [Block::Table { rows, right: vec![1, 2] }]);
        for (heading, levels) in [("Given maps", levels), ("New maps", new)] {
            let maps = levels.iter().take(12).enumerate().map(|(at, level)| (format!("{}", at + 1), level.to_string()));
            page.section(heading, [Block::Beside(maps.collect())]);
        }
        page.finish(path, Some(card))?;
    }
    Ok(Reply::new(text, value))
}
