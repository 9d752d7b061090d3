//! Boxes of objects in COCO's format: annotations to read, detections to read and write.
//!
//! An annotation file is a JSON object with `images` (`id`, `file_name` and, if known, `width` and `height`), `categories` (`id`,
//! `name`) and `annotations` (`id`, `image_id`, `category_id`, `bbox` as left, top, width, height in pixels, and if wanted `area` and
//! `iscrowd`). A result file is a list of `image_id`, `category_id`, `bbox` and `score`; ours also say the `file_name`, which other
//! programs pass over. Other fields are not looked at.

use quadrat_core::{Error, Result, write_atomic};
use quadrat_numeric::average_precision::{Detection, Truth};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::Path;

/// An image that a file of annotations lists.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Image {
    /// Its number in the file.
    pub id: i64,
    /// Its file, below the folder of images.
    pub file_name: String,
    /// Pixels, if the file says so.
    #[serde(default)]
    pub width: Option<f64>,
    /// Pixels, if the file says so.
    #[serde(default)]
    pub height: Option<f64>,
}

/// A class of objects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Category {
    /// Its number in the file.
    pub id: i64,
    /// What it is called.
    pub name: String,
}

/// A file of annotations.
#[derive(Debug, Clone, PartialEq)]
pub struct Annotations {
    /// By `id`.
    pub images: Vec<Image>,
    /// By `id`.
    pub categories: Vec<Category>,
    /// In the file's order; image and class are places in `images` and `categories`.
    pub objects: Vec<Truth>,
}

#[derive(Deserialize)]
struct AnnotationFile {
    images: Vec<Image>,
    categories: Vec<Category>,
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct Annotation {
    id: i64,
    image_id: i64,
    category_id: i64,
    bbox: [f64; 4],
    area: Option<f64>,
    #[serde(default)]
    iscrowd: u8,
}

#[derive(Serialize, Deserialize)]
struct Line<Number> {
    image_id: i64,
    category_id: i64,
    bbox: [Number; 4],
    score: Number,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file_name: Option<String>,
}

/// Pixels by which a box may stick out of its image: annotators round.
const MARGIN: f64 = 1.0;

impl Annotations {
    /// Reads a file of annotations; images without objects are images too.
    ///
    /// # Errors
    /// A file that cannot be read or is no such file; no image; two images, categories or annotations with one id; an annotation of an
    /// image or a category that is not listed; a box without area, with numbers that are not finite, or that sticks
    /// out of its image by more than a pixel.
    pub fn read(path: &Path) -> Result<Annotations> {
        let AnnotationFile { mut images, mut categories, annotations } = read(path, "annotations in COCO's format")?;
        let fail = |why: String| Error::data(path.display().to_string(), None, why);
        images.sort_by_key(|image| image.id);
        categories.sort_by_key(|category| category.id);
        let places =
            places(images.iter().map(|image| image.id)).map_err(|id| fail(format!("two images have the id {id}")))?;
        let classes = self::places(categories.iter().map(|category| category.id))
            .map_err(|id| fail(format!("two categories have the id {id}")))?;
        self::places(annotations.iter().map(|a| a.id))
            .map_err(|id| fail(format!("two annotations have the id {id}")))?;
        if images.is_empty() {
            return Err(fail("no image in it: `images` must list at least one".to_owned()));
        }
        let object = |a: &Annotation| {
            let Annotation { id, image_id, category_id, bbox, area, iscrowd } = a;
            let image = *places
                .get(image_id)
                .ok_or_else(|| fail(format!("annotation {id}: `images` has no image with the id {image_id}")))?;
            let of = &images[image as usize];
            let fail = |why: &str| fail(format!("annotation {id} of image {image_id} ({}): {why}", of.file_name));
            let class =
                *classes.get(category_id).ok_or_else(|| fail(&format!("no category has the id {category_id}")))?;
            let [left, top, width, height] = *bbox;
            if !(width > 0.0 && height > 0.0) {
                return Err(fail(&format!("a box of {width} x {height} pixels; both must be above 0")));
            }
            let beyond = |low: f64, far: f64, side: Option<f64>| {
                low < -MARGIN || side.is_some_and(|side| far > side + MARGIN) || !far.is_finite()
            };
            if beyond(left, left + width, of.width) || beyond(top, top + height, of.height) {
                let side = |side: Option<f64>| side.map_or("?".to_owned(), |v| v.to_string());
                return Err(fail(&format!(
                    "the box {bbox:?} (left, top, width, height) lies outside the image of {} x {} pixels",
                    side(of.width),
                    side(of.height)
                )));
            }
            Ok(Truth { image, class, bounds: *bbox, area: area.unwrap_or(width * height), crowd: *iscrowd != 0 })
        };
        let objects = annotations.iter().map(object).collect::<Result<_>>()?;
        Ok(Annotations { images, categories, objects })
    }

    /// Reads detections in these images.
    ///
    /// # Errors
    /// A file that cannot be read or is no such file; an image or a category that is not in the annotations, or an image with
    /// another file name there; a box of negative or infinite size; a score that is not finite.
    pub fn detections(&self, path: &Path) -> Result<Vec<Detection>> {
        let lines: Vec<Line<f64>> = read(path, "detections in COCO's format")?;
        let ids = |ids: &mut dyn Iterator<Item = i64>| -> HashMap<i64, u32> { ids.zip(0..).collect() };
        let images = ids(&mut self.images.iter().map(|image| image.id));
        let classes = ids(&mut self.categories.iter().map(|category| category.id));
        let detection = |(at, line): (usize, Line<f64>)| {
            let Line { image_id, category_id, bbox, score, file_name } = line;
            let fail = |why: String| {
                let name = file_name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
                let place = format!("detection {}, image_id {image_id}{name}", at + 1);
                Error::data(path.display().to_string(), None, format!("{place}: {why}"))
            };
            let image = *images.get(&image_id).ok_or_else(|| fail("the annotations list no such image".to_owned()))?;
            let named = &self.images[image as usize].file_name;
            if file_name.as_ref().is_some_and(|name| name != named) {
                let why = format!("there the annotations have {named}: predict with --boxes takes the ids from a file");
                return Err(fail(why));
            }
            let class = *classes
                .get(&category_id)
                .ok_or_else(|| fail(format!("the annotations list no category {category_id}")))?;
            if !(bbox[2] >= 0.0 && bbox[3] >= 0.0 && bbox.iter().all(|v| v.is_finite()) && score.is_finite()) {
                return Err(fail(format!("the box {bbox:?} with score {score}; sizes of 0 or more, finite numbers")));
            }
            Ok(Detection { image, class, bounds: bbox, score })
        };
        lines.into_iter().enumerate().map(detection).collect()
    }
}

/// Writes detections, a line each. `found` says for each the image's id and file, the category's id, left, top, width and
/// height, and the score.
///
/// # Errors
/// The file cannot be written.
pub fn write_detections<'a>(
    path: &Path,
    found: impl IntoIterator<Item = (i64, &'a str, i64, [f32; 4], f32)>,
) -> Result<()> {
    write_atomic(path, |out| {
        let failed = |e: std::io::Error| Error::io(path, e);
        let mut before = "[";
        for (image_id, file, category_id, bounds, score) in found {
            // Hundredths of a pixel.
            let bbox = bounds.map(|v| (f64::from(v) * 100.0).round() as f32 / 100.0);
            let line = Line { image_id, category_id, bbox, score, file_name: Some(file.to_owned()) };
            writeln!(out, "{before}").map_err(failed)?;
            serde_json::to_writer(&mut *out, &line).map_err(|e| failed(e.into()))?;
            before = ",";
        }
        let start = if before == "[" { "[" } else { "" };
        writeln!(out, "{start}\n]").map_err(failed)
    })
}

fn read<T: DeserializeOwned>(path: &Path, what: &str) -> Result<T> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    serde_json::from_reader(BufReader::new(file)).map_err(|e| {
        let line = Some(e.line() as u64).filter(|line| *line > 0);
        Error::data(path.display().to_string(), line, format!("not {what}: {e}"))
    })
}

/// The place of each id, or one that comes twice.
fn places(ids: impl Iterator<Item = i64>) -> std::result::Result<HashMap<i64, u32>, i64> {
    let mut places = HashMap::new();
    for (id, place) in ids.zip(0..) {
        if places.insert(id, place).is_some() {
            return Err(id);
        }
    }
    Ok(places)
}
