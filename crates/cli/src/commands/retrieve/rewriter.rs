//! A rewriter of queries as a folder: three files of numbers, and what they are.

use crate::output::write_json;
use crate::parameters::with_parameters;
use ndarray::Axis;
use quadrat::data::{read_embedding, write_matrix};
use quadrat::retrieval::rewrite::{LolPrf, Rewriter};
use quadrat::{Error, Method, Result, write_atomic_folder};
use serde_json::Value;
use std::path::Path;

/// What tells a rewriter's folder.
const HEAD: &str = "rewriter.json";
/// The files, by their names in [`Rewriter`].
const TRANSFORM: &str = "transform.npy";
const ATTENTION: &str = "attention.npy";
const RANKS: &str = "ranks.npy";

/// Writes a folder that is whole or absent. `told` must have the numbers `dims` and `documents`.
pub fn write(folder: &Path, rewriter: &Rewriter, told: &Value) -> Result<()> {
    write_atomic_folder(folder, |folder| {
        write_matrix(&folder.join(TRANSFORM), rewriter.transform.view())?;
        write_matrix(&folder.join(ATTENTION), rewriter.attention.view())?;
        write_matrix(&folder.join(RANKS), rewriter.ranks.view().insert_axis(Axis(1)))?;
        write_json(&folder.join(HEAD), told)
    })
}

/// What `--prf` names for an index of vectors, such as lol-prf:model=FOLDER,documents=3: the rewriter, and how many documents it sees.
pub fn named(text: &str) -> Result<(Rewriter, usize)> {
    let (name, given) = with_parameters("--prf", text)?;
    let known = std::iter::once(LolPrf::CARD.slug).chain(LolPrf::CARD.aliases.iter().copied());
    if !known.clone().any(|known| known == name) {
        let want = "an index of words; for one of vectors use lol-prf:model=FOLDER, with the folder that `retrieve train` made";
        return Err(Error::input("--prf", format!("`{name}`"), want));
    }
    let (mut folder, mut documents) = (None, None);
    for (key, value) in &given {
        match key.as_str() {
            "model" => folder = Some(Path::new(value)),
            "documents" => {
                let want = "a whole number, 0 for none";
                documents =
                    Some(value.parse().map_err(|_| Error::input("documents of --prf", format!("`{value}`"), want))?);
            }
            _ => {
                return Err(Error::input(
                    "parameter of --prf",
                    format!("`{key}`"),
                    "lol-prf takes model and documents",
                ));
            }
        }
    }
    let Some(folder) = folder else {
        return Err(Error::input(
            "--prf",
            format!("`{text}`"),
            "lol-prf:model=FOLDER, the folder that `retrieve train` made",
        ));
    };
    let (rewriter, trained_with) = read(folder)?;
    Ok((rewriter, documents.unwrap_or(trained_with)))
}

fn read(folder: &Path) -> Result<(Rewriter, usize)> {
    let path = folder.join(HEAD);
    let what = path.display().to_string();
    let bytes = std::fs::read(&path).map_err(|error| Error::io(&path, error))?;
    let told: Value = serde_json::from_slice(&bytes).map_err(|error| Error::data(&what, None, error.to_string()))?;
    let number = |name: &str| {
        told[name].as_u64().filter(|number| *number > 0 && *number < 1 << 32).map(|number| number as usize)
    };
    let (Some(dims), Some(documents)) = (number("dims"), number("documents")) else {
        return Err(Error::data(what, None, "it does not say the rewriter's `dims` and `documents`"));
    };
    let rewriter = Rewriter {
        transform: read_embedding(&folder.join(TRANSFORM), dims)?,
        attention: read_embedding(&folder.join(ATTENTION), dims)?,
        ranks: read_embedding(&folder.join(RANKS), documents + 1)?.column(0).to_owned(),
    };
    rewriter.check(dims)?;
    Ok((rewriter, documents))
}
