//! Who liked what -> a recommender.

use super::super::recommender::Saved;
use super::{TrainRetriever, required};
use crate::commands::work;
use crate::output::{Reply, count, figure, seconds, table};
use crate::parameters::with_parameters;
use crate::reading::Reading;
use crate::terminal;
use clap::Args;
use ndarray::Array2;
use quadrat::data::{Table, atomic};
use quadrat::retrieval::recommend::{
    Features, Interactions, Popularity, Quality, Recommender, SslItems, Task, Trained, build, hold_out,
    mutual_information, slices,
};
use quadrat::{Card, Known, LogColumns, Params, Progress, Result, Seed, Settings};
use serde_json::{Value, json};
use std::time::Instant;

/// What recommenders are trained on.
#[derive(Args, Debug)]
pub struct Liked {
    /// For recommenders: who liked what, one a row; a file as for `select`, or one of RecBole's (.inter)
    #[arg(long, value_name = "FILE")]
    pub interactions: Option<String>,
    /// Column of the users, also in --users [default: user_id]
    #[arg(long, value_name = "COLUMN", requires = "interactions")]
    pub user: Option<String>,
    /// Column of the items, also in --items [default: item_id]
    #[arg(long, value_name = "COLUMN", requires = "interactions")]
    pub item: Option<String>,
    /// Column that says how much the user liked the item, such as a rating
    #[arg(long, value_name = "COLUMN", requires = "at_least")]
    pub weight: Option<String>,
    /// Least --weight of a row that counts
    #[arg(long, value_name = "NUMBER", requires = "weight")]
    pub at_least: Option<f64>,
    /// Column of times: each user's latest rows are held back, and not any of them
    #[arg(long, value_name = "COLUMN", requires = "interactions")]
    pub time: Option<String>,
    /// What is known of the items; several values of a cell stand between |
    #[arg(long, value_name = "FILE", requires = "interactions")]
    pub items: Option<String>,
    /// What is known of the users
    #[arg(long, value_name = "FILE", requires = "interactions")]
    pub users: Option<String>,
    /// Columns of --items to use [default: all that say something]
    #[arg(long, value_name = "A,B,C", requires = "items", value_delimiter = ',')]
    pub fields: Vec<String>,
}

/// Trains, and writes a folder.
pub fn run(args: &TrainRetriever, text: &str, progress: &dyn Progress) -> Result<Reply> {
    let file = required("--interactions", args.liked.interactions.as_deref(), "a file of who liked what")?;
    let (name, params) = with_parameters("--method", text)?;
    let params: Params = params.into_iter().collect();
    let method = build(name, &params)?;
    let card = method.card();
    let seed = Seed(args.run.seed);
    let liked = &args.liked;
    let columns = LogColumns {
        user: liked.user.clone().unwrap_or_else(|| "user_id".to_owned()),
        item: liked.item.clone().unwrap_or_else(|| "item_id".to_owned()),
        weight: liked.weight.clone(),
        at_least: liked.at_least,
        time: liked.time.clone(),
    };
    let known = |file: &Option<String>, id: &str, fields: &[String]| {
        let file = file.as_ref().map(|file| Known::read(&open(file, &args.reading)?, id, fields));
        file.transpose()
    };
    let users = known(&liked.users, &columns.user, &[])?;
    let items = known(&liked.items, &columns.item, &liked.fields)?;
    let log = columns.read(&open(file, &args.reading)?, users.as_ref(), items.as_ref())?;
    let mut notes: Vec<String> = [&users, &items].into_iter().flatten().flat_map(|known| known.notes.clone()).collect();
    for (what, known, names) in [("users", &users, &log.users), ("items", &items, &log.items)] {
        let strange = known.as_ref().map_or(0, |known| names.len() - known.names.len());
        if strange > 0 {
            notes.push(format!("{} {what} of {file} are not in --{what}: nothing is known of them", count(strange)));
        }
    }
    let users = users.map(|known| known.features(&log.users)).transpose()?;
    let items = items.map(|known| known.features(&log.items)).transpose()?;
    let (train, held) = match args.validation {
        0.0 => (log.interactions.clone(), None),
        share => {
            hold_out(&log.interactions, share, seed.stream("validation")).map(|(train, held)| (train, Some(held)))?
        }
    };
    let task = Task { interactions: &train, items: items.as_ref(), users: users.as_ref() };
    let started = Instant::now();
    let trained = method.fit(&task, seed, progress)?;
    let took = started.elapsed().as_secs_f64();
    notes.extend(trained.notes.iter().cloned());
    notes.iter().for_each(|note| eprintln!("quadrat: note: {note}"));

    let information = match items.as_ref().filter(|_| card.is_called("ssl-item-recommendation")) {
        Some(items) => Some(Information::of(items, &SslItems::from_params(&params)?, seed)),
        None => None,
    };
    let judged = held.as_ref().map(|held| Judged::of(&trained, &task, held, progress)).transpose()?;
    let value = json!({
        "method": text,
        "users": log.users.len(),
        "items": log.items.len(),
        "interactions": train.pairs().len(),
        "held_back": held.as_ref().map_or(0, |held| held.pairs().len()),
        "fields": items.as_ref().map(|items| items.fields().iter().map(|field| &field.name).collect::<Vec<_>>()),
        "information": information.as_ref().map(Information::json),
        "quality": judged.as_ref().map(|judged| judged.json(card)),
        "losses": trained.losses,
        "seed": args.run.seed,
        "seconds": took,
        "warnings": notes,
        "out": args.out,
    });
    let mut text = format!(
        "{} users, {} items, {} interactions to learn from and {} held back\n",
        count(log.users.len()),
        count(log.items.len()),
        count(train.pairs().len()),
        count(held.as_ref().map_or(0, |held| held.pairs().len()))
    );
    if let Some(information) = &information {
        text.push_str(&information.text());
    }
    if let (Some(first), Some(last)) = (trained.losses.first(), trained.losses.last()) {
        text.push_str(&format!("loss {} to {}, {}\n", figure(*first), figure(*last), seconds(took)));
    }
    if let Some(judged) = &judged {
        text.push_str(&judged.text(card));
    }
    Saved { model: trained.model, log }.write(&args.out, &value)?;
    text.push_str(&format!("wrote {}\n", args.out.display()));
    Ok(Reply::new(text, value))
}

fn open(file: &str, reading: &Reading) -> Result<Table> {
    match atomic::is_atomic(file) {
        true => Table::open_with(file, &atomic::reading(), terminal::open_one()),
        false => work::read(file, reading),
    }
}

/// How much the items' fields tell of each other.
struct Information {
    fields: Vec<String>,
    table: Array2<f64>,
}

impl Information {
    fn of(items: &Features, method: &SslItems, seed: Seed) -> Information {
        let fields = items.fields().iter().map(|field| field.name.clone()).collect();
        let table = mutual_information(items, method.information, method.many_values, seed.stream("information"));
        Information { fields, table }
    }

    fn text(&self) -> String {
        let head = std::iter::once("mutual information".to_owned()).chain(self.fields.iter().cloned()).collect();
        let row = |(name, values): (&String, ndarray::ArrayView1<f64>)| {
            std::iter::once(name.clone()).chain(values.iter().map(|v| format!("{v:.2}"))).collect()
        };
        let rows: Vec<Vec<String>> =
            std::iter::once(head).chain(self.fields.iter().zip(self.table.outer_iter()).map(row)).collect();
        table(&rows, &(1..=self.fields.len()).collect::<Vec<_>>())
    }

    fn json(&self) -> Value {
        let rows: Vec<Vec<f64>> = self.table.outer_iter().map(|row| row.to_vec()).collect();
        json!({ "fields": self.fields, "table": rows })
    }
}

/// How well what was held back is found, beside a list of what is popular.
struct Judged {
    found: Vec<Quality>,
    popular: Vec<Quality>,
}

/// As [`Quality::of`] orders what it finds.
const SLICES: [&str; 4] = ["popular third", "middle third", "rare third", "all items"];

impl Judged {
    fn of(trained: &Trained, task: &Task, held: &Interactions, progress: &dyn Progress) -> Result<Judged> {
        let (known, slices) = (task.interactions, slices(task.interactions));
        let popular = Popularity {}.fit(task, Seed(0), progress)?;
        let found = Quality::of(&trained.model, known, held, &slices, progress)?;
        Ok(Judged { found, popular: Quality::of(&popular.model, known, held, &slices, progress)? })
    }

    /// A slice, the method's figures in it, and those of popularity.
    fn rows(&self) -> impl Iterator<Item = (&'static str, &Quality, &Quality)> {
        SLICES.into_iter().zip(&self.found).zip(&self.popular).map(|((slice, found), popular)| (slice, found, popular))
    }

    fn text(&self, card: &Card) -> String {
        let mut rows = vec![
            ["held back among", "users", "recall@20", "ndcg@20", "popularity: recall@20", "ndcg@20"]
                .map(str::to_owned)
                .to_vec(),
        ];
        rows.extend(self.rows().map(|(slice, found, popular)| {
            let figures = [found.recall_at_20, found.ndcg_at_20, popular.recall_at_20, popular.ndcg_at_20];
            [slice.to_owned(), count(found.users)].into_iter().chain(figures.map(|v| format!("{v:.4}"))).collect()
        }));
        format!("{}:\n{}", card.slug, table(&rows, &[1, 2, 3, 4, 5]))
    }

    fn json(&self, card: &Card) -> Value {
        let figures =
            |q: &Quality| json!({ "recall@20": q.recall_at_20, "recall@50": q.recall_at_50, "ndcg@20": q.ndcg_at_20 });
        let row = |(slice, found, popular): (&str, &Quality, &Quality)| json!({ "among": slice, "users": found.users, card.slug: figures(found), "popularity": figures(popular) });
        self.rows().map(row).collect()
    }
}
