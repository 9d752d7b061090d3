//! Folders of image files.

use super::{Images, Wanted, decode, fitted, stack};
use crate::{Missing, Table};
use ndarray::Array4;
use quadrat_core::{Error, Progress, Result};
use rayon::prelude::*;
use std::path::Path;

/// What the names of image files end in.
const IMAGES: [&str; 3] = ["png", "jpg", "jpeg"];
/// Images that are not read. They are refused: passed over, a part of the set would be missing without a word.
const OTHERS: [&str; 9] = ["bmp", "gif", "tif", "tiff", "webp", "avif", "heic", "jp2", "ppm"];

pub(super) fn read(folder: &Path, wanted: &Wanted, progress: &dyn Progress) -> Result<Images> {
    let labels = ["labels.csv", "labels.tsv"].map(|name| folder.join(name)).into_iter().find(|path| path.is_file());
    let (names, labels, classes) = match labels {
        Some(labels) => from_table(&labels)?,
        None => from_folders(folder)?,
    };
    let (pixels, _) = listed(folder, &names, wanted, progress)?;
    Ok(Images { pixels, labels, classes, names })
}

/// Pixels (images x channels x height x width), and the height and width that each image has in its file.
pub type Pictures = (Array4<f32>, Vec<(usize, usize)>);

/// These image files of a folder as one array, made to fit, and the height and width that each has in its file.
///
/// # Errors
/// As [`Images::read`]; all name the file.
pub fn listed(folder: &Path, names: &[String], wanted: &Wanted, progress: &dyn Progress) -> Result<Pictures> {
    progress.begin("images", Some(names.len() as u64));
    let read = |name: &String| {
        let path = folder.join(name);
        let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
        let image = decode(&path.display().to_string(), &bytes)?;
        let (_, height, width) = image.dim();
        Ok((fitted(image, wanted, progress)?, (height, width)))
    };
    // Collected twice: the error is then that of the first file, whatever the threads do.
    let read: Vec<_> = names.par_iter().map(read).collect();
    let (images, sizes) = read.into_iter().collect::<Result<Vec<_>>>()?.into_iter().unzip();
    Ok((stack(images, wanted, &|i| folder.join(&names[i]).display().to_string())?, sizes))
}

/// The image files below a folder: those directly in it, or those in the folder of each class.
///
/// # Errors
/// No image there, or one of a format that is not read.
pub fn files(folder: &Path) -> Result<Vec<String>> {
    Ok(from_folders(folder)?.0)
}

/// Files, labels and classes.
type Listed = (Vec<String>, Vec<u32>, Vec<String>);

fn from_table(path: &Path) -> Result<Listed> {
    let table = Table::open(&path.display().to_string(), &[])?;
    let classes = table.categories("label", Missing::Error)?;
    let names = table.categories("file", Missing::Error)?;
    let names = names.codes.iter().map(|code| names.names[*code as usize].clone()).collect();
    Ok((names, classes.codes, classes.names))
}

fn from_folders(folder: &Path) -> Result<Listed> {
    let (classes, alone) = list(folder)?;
    if classes.is_empty() {
        if alone.is_empty() {
            let why = "no images in it: put PNG or JPEG files there, a folder of them for each class, or a labels.csv";
            return Err(Error::data(folder.display().to_string(), None, why));
        }
        return Ok((alone, Vec::new(), Vec::new()));
    }
    let (mut names, mut labels) = (Vec::new(), Vec::new());
    let classes = by_value(classes);
    for (label, class) in classes.iter().enumerate() {
        let inside = folder.join(class);
        let (_, files) = list(&inside)?;
        if files.is_empty() {
            let why = "no PNG or JPEG file in it; each folder is a class with its images directly inside";
            return Err(Error::data(inside.display().to_string(), None, why));
        }
        labels.extend(files.iter().map(|_| label as u32));
        names.extend(files.into_iter().map(|file| format!("{class}/{file}")));
    }
    Ok((names, labels, classes))
}

/// The folders and the image files in a folder, each by name.
fn list(folder: &Path) -> Result<(Vec<String>, Vec<String>)> {
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let path = entry.map_err(|e| Error::io(folder, e))?.path();
        let unfit = |why: &str| Error::data(path.display().to_string(), None, why);
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| unfit("the name is not UTF-8; rename it"))?.to_owned();
        if name.starts_with('.') {
            continue;
        }
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        if path.is_dir() {
            folders.push(name);
        } else if IMAGES.contains(&ending.as_str()) {
            files.push(name);
        } else if OTHERS.contains(&ending.as_str()) {
            return Err(unfit("images must be PNG or JPEG; convert it or take it out of the folder"));
        }
    }
    folders.sort_unstable();
    files.sort_unstable();
    Ok((folders, files))
}

/// Classes by value where all are numbers: 2 before 10.
fn by_value(mut classes: Vec<String>) -> Vec<String> {
    let number = |class: &String| class.parse::<f64>().ok().filter(|v| v.is_finite());
    if classes.iter().all(|class| number(class).is_some()) {
        classes.sort_by(|a, b| number(a).partial_cmp(&number(b)).unwrap_or(std::cmp::Ordering::Equal));
    }
    classes
}
