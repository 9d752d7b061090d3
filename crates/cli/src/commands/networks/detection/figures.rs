//! Figures of detections, and boxes in an image's own pixels.

use crate::output::{figure, table};
use quadrat::data::coco::Annotations;
use quadrat::numeric::average_precision::{AveragePrecision, Detection, Truth, average_precision};
use quadrat::robust::detection::detector::Found;
use serde_json::{Value, json};

/// A box in the image's own pixels: left, top, width, height.
pub fn own_pixels(found: &Found, size: (usize, usize), shape: [usize; 3]) -> [f32; 4] {
    let [x, y] = [size.1 as f32 / shape[2] as f32, size.0 as f32 / shape[1] as f32];
    let [left, top, right, bottom] = found.bounds;
    [left * x, top * y, (right - left) * x, (bottom - top) * y]
}

/// How good detections in some of the images are.
pub fn judge(
    all: &Annotations,
    images: &[usize],
    said: &[Vec<Found>],
    sizes: &[(usize, usize)],
    shape: [usize; 3],
) -> AveragePrecision {
    let mut found = Vec::new();
    for (image, said) in images.iter().zip(said) {
        found.extend(said.iter().map(|f| Detection {
            image: *image as u32,
            class: f.class,
            bounds: own_pixels(f, sizes[*image], shape).map(f64::from),
            score: f64::from(f.score),
        }));
    }
    let truth: Vec<Truth> =
        all.objects.iter().filter(|t| images.binary_search(&(t.image as usize)).is_ok()).copied().collect();
    average_precision(&truth, &found, all.categories.len())
}

/// Figures as lines.
pub fn lines(precision: &AveragePrecision, annotations: &Annotations) -> String {
    let shown = |name: &str, value: Option<f64>| vec![name.to_owned(), value.map_or("-".to_owned(), figure)];
    let mut rows: Vec<Vec<String>> = precision.figures.iter().map(|(name, value)| shown(name, *value)).collect();
    if annotations.categories.len() <= MOST_CLASSES {
        let classes = annotations.categories.iter().zip(&precision.classes);
        rows.extend(classes.map(|(category, value)| shown(&format!("AP of {}", category.name), *value)));
    }
    table(&rows, &[1])
}

/// Classes that are shown one by one.
const MOST_CLASSES: usize = 12;

/// Figures as JSON.
pub fn tell(value: &mut Value, precision: &AveragePrecision, annotations: &Annotations) {
    value["figures"] = precision.figures.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let classes = annotations.categories.iter().zip(&precision.classes);
    value["classes"] = classes.map(|(category, value)| (category.name.clone(), json!(value))).collect();
}
