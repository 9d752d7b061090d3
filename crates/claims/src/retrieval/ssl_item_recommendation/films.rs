//! Films, what is known of them, and who liked them.

use crate::{Scale, Trial};
use quadrat_core::{Error, Result};
use quadrat_data::{Missing, Table, atomic};
use quadrat_retrieval::recommend::{Features, Field, Interactions};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// A catalogue with its log.
pub struct Films {
    pub items: Features,
    pub log: Interactions,
    /// What it is, in words.
    pub said: String,
    /// Whether it is the real one.
    pub real: bool,
}

/// Relations of the graph from a film to what it has. The inverse ones and prizes are left out: a prize is an outcome, not a feature.
const RELATIONS: [(&str, &str); 11] = [
    ("kind", "film.film.genre"),
    ("country", "film.film.country"),
    ("language", "film.film.language"),
    ("director", "film.film.directed_by"),
    ("actor", "film.film.actor"),
    ("producer", "film.film.produced_by"),
    ("writer", "film.film.written_by"),
    ("cinematographer", "film.film.cinematography"),
    ("rating", "film.film.rating"),
    ("company", "film.film.production_companies"),
    ("subject", "film.film.subjects"),
];

impl Films {
    /// MovieLens-100k from the folder of the trial; at smoke scale a small catalogue that is made up.
    pub fn of(trial: &Trial) -> Result<Films> {
        match (trial.data, trial.scale) {
            (_, Scale::Smoke) => Films::made_up(trial),
            (Some(folder), _) => Films::read(folder),
            (None, _) => {
                let want = "this claim is about MovieLens-100k with its knowledge graph, which may not be passed on: `pip download \
                            --no-deps recbole==1.2.1`, unzip the wheel, and name its folder recbole/dataset_example/ml-100k";
                Err(Error::input("--data", "nothing", want))
            }
        }
    }

    fn read(folder: &Path) -> Result<Films> {
        let open = |ending: &str| {
            let path = folder.join(format!("ml-100k.{ending}"));
            Table::open_with(&path.display().to_string(), &atomic::reading(), Arc::new(quadrat_core::Silent))
        };
        let films = open("item")?;
        let names = films.strings("item_id:token")?;
        let (link, graph, ratings) = (open("link")?, open("kg")?, open("inter")?);
        let entities = link.strings("entity_id:token")?.into_iter().zip(link.strings("item_id:token")?);
        let place: HashMap<&str, usize> =
            names.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
        let of_entity: HashMap<String, usize> =
            entities.filter_map(|(entity, film)| Some((entity, *place.get(film.as_str())?))).collect();
        let mut told = vec![vec![Vec::new(); names.len()]; RELATIONS.len()];
        let (heads, relations) = (graph.strings("head_id:token")?, graph.strings("relation_id:token")?);
        for ((head, relation), tail) in heads.iter().zip(&relations).zip(graph.strings("tail_id:token")?) {
            let relation = RELATIONS.iter().position(|(_, name)| name == relation);
            if let (Some(film), Some(relation)) = (of_entity.get(head), relation) {
                told[relation][*film].push(tail);
            }
        }
        let words = films.strings("class:token_seq")?;
        let years = films.strings("release_year:token")?;
        let mut fields = vec![
            Field::of("class", words.iter().map(|words| words.split_whitespace())),
            Field::of("decade", years.iter().map(|year| year.get(..3))),
        ];
        fields.extend(RELATIONS.iter().zip(told).map(|((name, _), rows)| Field::of(name, rows)));

        let stars = ratings.numeric(&["rating:float", "timestamp:float"], Missing::Error)?;
        let (users, rated) = (ratings.strings("user_id:token")?, ratings.strings("item_id:token")?);
        let mut numbers: HashMap<&String, u32> = HashMap::new();
        let (mut pairs, mut times) = (Vec::new(), Vec::new());
        for ((user, film), stars) in users.iter().zip(&rated).zip(stars.outer_iter()) {
            let next = numbers.len() as u32;
            let user = *numbers.entry(user).or_insert(next);
            if let Some(film) = place.get(film.as_str()).filter(|_| stars[0] >= 4.0) {
                pairs.push((user, *film as u32));
                times.push(stars[1]);
            }
        }
        Ok(Films {
            log: Interactions::new(numbers.len(), names.len(), pairs, Some(times))?,
            items: Features::new(names.len(), fields, None)?,
            said: format!(
                "MovieLens-100k with its knowledge graph (recbole 1.2.1): {} ratings of 4 or 5 by {} users of {} films",
                stars.column(0).iter().filter(|stars| **stars >= 4.0).count(),
                numbers.len(),
                names.len()
            ),
            real: true,
        })
    }

    /// 80 films of four kinds, a few of which many like.
    fn made_up(trial: &Trial) -> Result<Films> {
        let mut rng = trial.seed.stream("made up").rng(0);
        let mut field = |name: &str, many: usize, noise: usize| {
            Field::of(
                name,
                (0..80).map(|film| vec![format!("{}", (film % 4) * many + rng.below(noise))]).collect::<Vec<_>>(),
            )
        };
        let fields = vec![field("kind", 1, 1), field("maker", 3, 3), field("place", 2, 4), field("year", 0, 5)];
        let mut rng = trial.seed.stream("liked").rng(0);
        let mut pairs = Vec::new();
        for user in 0..60 {
            for _ in 0..16 {
                pairs.push((user, (4.0 * (20.0 * rng.uniform().powi(2)).floor()) as u32 + user % 4));
            }
        }
        let times = (0..pairs.len()).map(|at| at as f64).collect();
        Ok(Films {
            log: Interactions::new(60, 80, pairs, Some(times))?,
            items: Features::new(80, fields, None)?,
            said: "A catalogue that is made up".to_owned(),
            real: false,
        })
    }
}
