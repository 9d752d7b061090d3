//! A trained recommender as a folder, and `quadrat retrieve recommend`: a user -> items that he or she will like.

use crate::args::Run;
use crate::output::{Reply, check_place, count, table, write_json};
use clap::Args;
use ndarray::{Array1, Array2, Axis};
use quadrat::data::trec::write_run;
use quadrat::data::{Missing, Table, npy_head, read_embedding, write_matrix};
use quadrat::numeric::Csr;
use quadrat::retrieval::recommend::{Interactions, Model, recommend};
use quadrat::{Error, Log, Progress, Result, nearest, write_atomic_bytes, write_atomic_folder};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub struct Recommend {
    /// The recommender, a folder that `retrieve train --interactions` made
    #[arg(long, value_name = "FOLDER")]
    pub model: PathBuf,
    /// Whom to recommend items to
    #[arg(long, value_name = "NAME", required_unless_present = "all_users", conflicts_with = "all_users")]
    pub user: Option<String>,
    /// Recommend items to every user, into a file of lines as other systems write their runs
    #[arg(long, requires = "out")]
    pub all_users: bool,
    /// Items a user
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub k: usize,
    /// Write a run: user, Q0, item, rank, score, tag
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
}

/// Lists items.
pub fn run(args: &Recommend, progress: &dyn Progress) -> Result<Reply> {
    if let Some(out) = &args.out {
        check_place(out)?;
    }
    let Saved { model, log } = Saved::read(&args.model)?;
    let users: Vec<u32> = match &args.user {
        Some(name) => vec![log.users.iter().position(|user| user == name).ok_or_else(|| stranger(name, &log))? as u32],
        None => (0..log.users.len() as u32).collect(),
    };
    let found = recommend(&model, &log.interactions, &users, args.k, progress)?;
    let named = |(user, items): (&u32, &Vec<(u32, f32)>)| -> Vec<(String, String, f32)> {
        let user = &log.users[*user as usize];
        items.iter().map(|(item, score)| (user.clone(), log.items[*item as usize].clone(), *score)).collect()
    };
    let lines: Vec<(String, String, f32)> = users.iter().zip(&found).flat_map(named).collect();
    let mut text = String::new();
    if !args.all_users {
        let row = |(rank, (_, item, score)): (usize, &(String, String, f32))| {
            vec![(rank + 1).to_string(), format!("{score:.4}"), item.clone()]
        };
        text.push_str(&table(&lines.iter().enumerate().map(row).collect::<Vec<_>>(), &[0, 1]));
    }
    if let Some(out) = &args.out {
        write_run(out, "quadrat", lines.iter().map(|(user, item, score)| (user.as_str(), item.as_str(), *score)))?;
        text.push_str(&format!("wrote {}, {} users\n", out.display(), count(users.len())));
    }
    let results: Vec<Value> =
        lines.iter().map(|(user, item, score)| json!({ "user": user, "item": item, "score": score })).collect();
    Ok(Reply::new(
        text,
        json!({ "model": args.model, "k": args.k, "users": users.len(), "out": args.out, "results": results }),
    ))
}

fn stranger(name: &str, log: &Log) -> Error {
    let near = nearest(name, log.users.iter().map(String::as_str)).join(", ");
    let want = format!(
        "it was not there in training; the nearest names are {near}. Train again with what the user liked, or with \
         a row of the user's features in --users; --method popularity gives a list for everybody"
    );
    Error::input("--user", format!("`{name}`"), want)
}

/// What a folder holds.
pub struct Saved {
    pub model: Model,
    pub log: Log,
}

const POPULAR: &str = "item-scores.npy";
const NEIGHBOURS: &str = "neighbours.npy";
const SIMILARITIES: &str = "similarities.npy";
const WEIGHTS: &str = "item-weights.npy";
const USERS: &str = "user-vectors.npy";
const ITEMS: &str = "item-vectors.npy";

impl Saved {
    /// A folder that is whole or absent.
    pub fn write(&self, folder: &Path, report: &Value) -> Result<()> {
        write_atomic_folder(folder, |folder| {
            let lines = |names: &[String]| names.iter().fold(String::new(), |all, name| all + name + "\n");
            write_atomic_bytes(&folder.join("users.txt"), lines(&self.log.users).as_bytes())?;
            write_atomic_bytes(&folder.join("items.txt"), lines(&self.log.items).as_bytes())?;
            write_pairs(&folder.join("interactions.npy"), self.log.interactions.pairs())?;
            match &self.model {
                Model::Popular(scores) => {
                    write_matrix(&folder.join(POPULAR), scores.view().insert_axis(Axis(1)))?;
                }
                Model::Neighbours(near) => {
                    let row = |row: usize| near.row(row).0.iter().map(move |other| (row as u32, *other));
                    let pairs: Vec<(u32, u32)> = (0..near.rows()).flat_map(row).collect();
                    write_pairs(&folder.join(NEIGHBOURS), &pairs)?;
                    let values = Array1::from_vec(near.values.clone());
                    write_matrix(&folder.join(SIMILARITIES), values.view().insert_axis(Axis(1)))?;
                }
                Model::Linear(weights) => write_matrix(&folder.join(WEIGHTS), weights.view())?,
                Model::Vectors { users, items } => {
                    write_matrix(&folder.join(USERS), users.view())?;
                    write_matrix(&folder.join(ITEMS), items.view())?;
                }
            }
            write_json(&folder.join("training.json"), report)
        })
    }

    pub fn read(folder: &Path) -> Result<Saved> {
        let names = |file: &str| {
            let path = folder.join(file);
            let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
            Ok::<Vec<String>, Error>(text.lines().map(str::to_owned).collect())
        };
        let (users, items) = (names("users.txt")?, names("items.txt")?);
        let pairs = read_pairs(&folder.join("interactions.npy"))?;
        let interactions = Interactions::new(users.len(), items.len(), pairs, None)?;
        let there = |file: &str| folder.join(file).is_file();
        let matrix = |file: &str, rows: usize| -> Result<Array2<f32>> { read_embedding(&folder.join(file), rows) };
        let model = if there(POPULAR) {
            Model::Popular(matrix(POPULAR, items.len())?.column(0).to_owned())
        } else if there(NEIGHBOURS) {
            let pairs = read_pairs(&folder.join(NEIGHBOURS))?;
            let values = matrix(SIMILARITIES, pairs.len())?;
            let mut near = Csr::new(items.len());
            let mut rest = pairs.iter().zip(values.column(0)).peekable();
            for row in 0..items.len() as u32 {
                near.push_row(
                    std::iter::from_fn(|| rest.next_if(|(pair, _)| pair.0 == row)).map(|(pair, v)| (pair.1, *v)),
                );
            }
            if near.indices.len() != pairs.len() || near.indices.iter().any(|item| *item as usize >= items.len()) {
                let why = "its items are not those of items.txt, in their order";
                return Err(Error::data(folder.join(NEIGHBOURS).display().to_string(), None, why));
            }
            Model::Neighbours(near)
        } else if there(WEIGHTS) {
            Model::Linear(matrix(WEIGHTS, items.len())?)
        } else {
            Model::Vectors { users: matrix(USERS, users.len())?, items: matrix(ITEMS, items.len())? }
        };
        let width = match &model {
            Model::Linear(weights) => (weights.ncols(), items.len()),
            Model::Vectors { users, items } => (users.ncols(), items.ncols()),
            Model::Popular(_) | Model::Neighbours(_) => (0, 0),
        };
        if width.0 != width.1 {
            return Err(Error::data(folder.display().to_string(), None, "its arrays do not fit each other"));
        }
        Ok(Saved { model, log: Log { interactions, users, items } })
    }
}

fn write_pairs(path: &Path, pairs: &[(u32, u32)]) -> Result<()> {
    let mut bytes = npy_head(pairs.len(), 2);
    pairs.iter().for_each(|(a, b)| bytes.extend([*a, *b].iter().flat_map(|v| v.to_le_bytes())));
    write_atomic_bytes(path, &bytes)
}

fn read_pairs(path: &Path) -> Result<Vec<(u32, u32)>> {
    let table = Table::open(&path.display().to_string(), &[])?;
    let numbers = table.numeric(&table.numeric_columns(), Missing::Error)?;
    if numbers.ncols() != 2 {
        return Err(Error::data(path.display().to_string(), None, "two columns of numbers are needed"));
    }
    Ok(numbers.outer_iter().map(|row| (row[0] as u32, row[1] as u32)).collect())
}
