//! What a trained detector says: `predict`, and `eval --detections`.

use super::figures::{lines, own_pixels, tell};
use crate::commands::networks::learned::{Source, load};
use crate::commands::networks::predict::Predict;
use crate::output::{Reply, check_place, count, figure};
use quadrat::data::coco::{Annotations, write_detections};
use quadrat::data::images::{self, Channels, Wanted, listed};
use quadrat::nn::{Model, Network};
use quadrat::numeric::average_precision::average_precision;
use quadrat::robust::detection::detector::detect;
use quadrat::{Error, Progress, Result};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

/// Writes what a detector finds; nothing where the model is another.
pub fn predict(args: &Predict, progress: &dyn Progress) -> Result<Option<Reply>> {
    let (model, parameters, source) = load(args.what.model()?)?;
    let (Model::Detector(network), Source::Detector(detected)) = (model, source) else {
        return match &args.boxes {
            Some(_) => Err(Error::input("--boxes", "a model that is no detector", "train with --boxes makes one")),
            None => Ok(None),
        };
    };
    let folder = args.what.images.as_deref().filter(|folder| folder.is_dir());
    let folder = folder.ok_or_else(|| Error::input("--images", "no folder", "a detector takes a folder of images"))?;
    check_place(&args.out)?;
    let images = match &args.boxes {
        Some(boxes) => Annotations::read(boxes)?.images.into_iter().map(|image| (image.file_name, image.id)).collect(),
        None => ids(&detected.images, images::files(folder)?),
    };
    let names: Vec<String> = images.iter().map(|(name, _)| name.clone()).collect();
    let [channels, height, width] = network.shape;
    let channels = if channels == 1 { Channels::Grey } else { Channels::Rgb };
    let wanted = Wanted { size: Some((height, width)), channels: Some(channels) };
    let (pixels, sizes) = listed(folder, &names, &wanted, progress)?;
    let flat = pixels.into_shape_with_order((names.len(), network.inputs()));
    let flat = flat.map_err(|e| Error::numeric("images", e.to_string()))?;
    let found = detect(&network, &parameters, flat.view(), detected.threshold)?;
    let each = images.iter().zip(&found).zip(&sizes);
    let lines = each.flat_map(|(((name, id), found), size)| {
        let (categories, shape) = (&detected.categories, network.shape);
        found
            .iter()
            .map(move |f| (*id, name.as_str(), categories[f.class as usize].id, own_pixels(f, *size, shape), f.score))
    });
    write_detections(&args.out, lines)?;
    let all: usize = found.iter().map(Vec::len).sum();
    let text = format!(
        "found {} boxes in {} images with a score of {} and more\nwrote {}\n",
        count(all),
        count(names.len()),
        figure(detected.threshold),
        args.out.display()
    );
    let value = json!({ "images": names.len(), "detections": all, "threshold": detected.threshold, "out": args.out });
    Ok(Some(Reply::new(text, value)))
}

/// An id for each image: that of the training file, or the next ones behind the largest there.
fn ids(known: &BTreeMap<String, i64>, names: Vec<String>) -> Vec<(String, i64)> {
    let mut next = known.values().max().copied().unwrap_or(0);
    let id = |name: String| {
        let id = known.get(&name).copied().unwrap_or_else(|| {
            next += 1;
            next
        });
        (name, id)
    };
    names.into_iter().map(id).collect()
}

/// Compares detections with the objects that are there.
pub fn evaluate(boxes: &Path, detections: &Path) -> Result<Reply> {
    let annotations = Annotations::read(boxes)?;
    let found = annotations.detections(detections)?;
    let precision = average_precision(&annotations.objects, &found, annotations.categories.len());
    let (images, objects) = (annotations.images.len(), annotations.objects.len());
    let text = format!(
        "{} boxes for {} objects in {} images:\n{}",
        count(found.len()),
        count(objects),
        count(images),
        lines(&precision, &annotations)
    );
    let mut value = json!({ "images": images, "objects": objects, "detections": found.len() });
    tell(&mut value, &precision, &annotations);
    Ok(Reply::new(text, value))
}
