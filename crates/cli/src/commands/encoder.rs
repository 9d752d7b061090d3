//! What turns texts into features: hashed TF-IDF, or the model that `--encoder` names, a sentence encoder or what `retrieve train` made.

use super::word_encoder::WordEncoder;
use quadrat::Result;
use quadrat::data::text::Lsa;
use quadrat::numeric::TextEncoder;
use std::path::Path;
use std::sync::Arc;

/// Dimensions of features made from text where nobody says how many.
const TEXT_DIM: usize = 64;

/// The encoder by `--text-dim` and `--encoder`.
pub fn of(dims: Option<usize>, folder: Option<&Path>) -> Result<Arc<dyn TextEncoder>> {
    match folder {
        None => Ok(Arc::new(Lsa { dims: dims.unwrap_or(TEXT_DIM) })),
        Some(folder) if WordEncoder::is_in(folder) => Ok(Arc::new(WordEncoder::open(folder)?)),
        Some(folder) => model(folder),
    }
}

#[cfg(feature = "networks")]
fn model(folder: &Path) -> Result<Arc<dyn TextEncoder>> {
    Ok(Arc::new(open(folder)?))
}

#[cfg(not(feature = "networks"))]
fn model(folder: &Path) -> Result<Arc<dyn TextEncoder>> {
    let want =
        "this program was built without networks: build it with its default features (cargo install quadrat-cli)";
    Err(quadrat::Error::input("--encoder", folder.display(), want))
}

/// The model of a folder, whose vectors are kept in the user's folder for such things, if there is one.
#[cfg(feature = "networks")]
pub fn open(folder: &Path) -> Result<quadrat::nn::text::SentenceEncoder> {
    let encoder = quadrat::nn::text::SentenceEncoder::open(folder)?;
    let place = |name: &str| std::env::var_os(name).map(std::path::PathBuf::from).filter(|path| path.is_absolute());
    let caches = place("XDG_CACHE_HOME").or_else(|| Some(place("HOME")?.join(".cache")));
    match caches {
        Some(caches) => encoder.cached_in(caches.join("quadrat").join("encoders")),
        None => Ok(encoder),
    }
}
