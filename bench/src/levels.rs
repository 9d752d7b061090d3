//! The level sampler and the grid world; peers: `bench/levels.py`.

use crate::{Figures, Settings, Workload, measure};
use quadrat_core::{Error, Result, Seed};
use quadrat_select::levels::{Action, Episode, Grid, LevelSampler, Rules, Seen, Steps, World};
use serde_json::json;

/// The workloads of levels.
pub fn workloads() -> Vec<Workload> {
    vec![("level-sampler", sampler), ("grid-world", world)]
}

/// `levels=N pairs=P`: P draws of a level by rank and staleness, each followed by its new score, once all N have one.
fn sampler(settings: &Settings) -> Result<Figures> {
    let (levels, pairs) = (settings.number("levels", 4000)?, settings.number("pairs", 20_000)?);
    let mut replay =
        LevelSampler { staleness: 0.1, beta: 1.0, ..LevelSampler::default() }.start(levels, levels, Seed(1))?;
    let mut rng = Seed(2).rng(0);
    let mut told = || [rng.uniform()];
    for level in 0..levels {
        replay.tell(level, &Episode::whole(Steps::Advantages(&told())))?;
    }
    let (sum, mut figures) = measure(|| {
        let mut sum = 0;
        for _ in 0..pairs {
            let level = replay.ask();
            replay.tell(level, &Episode::whole(Steps::Advantages(&told())))?;
            sum += level;
        }
        Ok(sum)
    })?;
    figures.insert("mean level".into(), json!(sum as f64 / pairs as f64));
    Ok(figures)
}

/// `map=FILE steps=N`: N random moves of one environment, each with its coded view of 7 x 7 cells.
fn world(settings: &Settings) -> Result<Figures> {
    let path = settings.text("map", "map.txt");
    let level = Grid::parse(&std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?)?;
    let steps = settings.number("steps", 50_000)?;
    let rules = Rules { view: 7, walls_hide: true, limit: 4 * level.tiles().len() };
    let mut world = World::new(rules, &level)?;
    let (mut view, mut image) = ([Seen::Hidden; 49], [[0; 3]; 49]);
    let mut rng = Seed(3).rng(0);
    let (hidden, mut figures) = measure(|| {
        let mut hidden = 0;
        for _ in 0..steps {
            let outcome = world.act(Action::ALL[rng.below(3)]);
            if outcome.ended || outcome.cut {
                world.reset(&level);
            }
            world.look(&mut view);
            image.iter_mut().zip(&view).for_each(|(code, seen)| *code = seen.code());
            hidden += image.iter().filter(|code| code[0] == 0).count();
        }
        Ok(hidden)
    })?;
    figures.insert("hidden cells of a view".into(), json!(hidden as f64 / steps as f64));
    Ok(figures)
}
