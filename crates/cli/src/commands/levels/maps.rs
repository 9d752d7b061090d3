//! Folders of levels.

use crate::commands::work;
use quadrat::select::levels::Grid;
use quadrat::{Error, Result};
use std::path::Path;

/// The ending of maps.
pub const ENDING: &str = ".txt";

/// The names of the files in a folder, in alphabetical order; hidden ones are not looked at.
///
/// # Errors
/// No folder, no file in it, a name that is no text.
pub fn names(folder: &Path) -> Result<Vec<String>> {
    if !folder.is_dir() {
        return Err(Error::input("--levels", folder.display(), "name a folder with a file for each level"));
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let path = entry.map_err(|e| Error::io(folder, e))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(Error::input(path.display().to_string(), "a name that is no text", "rename the file"));
        };
        if path.is_file() && !name.starts_with('.') {
            names.push(name.to_owned());
        }
    }
    if names.is_empty() {
        return Err(Error::input(
            "--levels",
            format!("{}: no file", folder.display()),
            "put a file there for each level",
        ));
    }
    names.sort();
    Ok(names)
}

/// A map that can be solved.
///
/// # Errors
/// The file, and what is wrong in it.
pub fn read(path: &Path) -> Result<Grid> {
    let what = path.display().to_string();
    let level = Grid::parse(&work::text(path)?).map_err(|e| Error::data(&what, None, e.to_string()))?;
    if level.way().is_none() {
        let why = "no way leads from the start to the goal: walls (#) and lava (~) cut it off";
        return Err(Error::data(&what, None, why));
    }
    Ok(level)
}

/// All maps of a folder, by name, of one size.
///
/// # Errors
/// As [`names`] and [`read`]; no map, maps of different sizes.
pub fn read_all(folder: &Path) -> Result<Vec<(String, Grid)>> {
    let maps: Vec<String> = names(folder)?.into_iter().filter(|name| name.ends_with(ENDING)).collect();
    if maps.is_empty() {
        let got = format!("{}: no file whose name ends with {ENDING}", folder.display());
        return Err(Error::input("--levels", got, "maps are text files with that ending"));
    }
    let mut levels: Vec<(String, Grid)> = Vec::with_capacity(maps.len());
    for name in maps {
        let level = read(&folder.join(&name))?;
        let size = |level: &Grid| (level.width(), level.height());
        if let Some((first, other)) = levels.first().filter(|(_, first)| size(first) != size(&level)) {
            let ((w, h), (first_w, first_h)) = (size(&level), size(other));
            let why = format!("{w} x {h} cells, and {first} has {first_w} x {first_h}: use maps of one size");
            return Err(Error::data(folder.join(&name).display().to_string(), None, why));
        }
        levels.push((name, level));
    }
    Ok(levels)
}
