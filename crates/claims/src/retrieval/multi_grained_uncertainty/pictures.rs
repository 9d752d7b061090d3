//! Clothes of Fashion-MNIST, tinted, scaled and placed on a canvas; what a fixed eye sees of them; and queries of a picture and words.

use ndarray::{Array2, ArrayView2, s};
use quadrat_core::{Result, Rng, Seed};
use quadrat_data::builtin;
use quadrat_numeric::linalg::Pca;
use quadrat_retrieval::composed::Sentences;
use quadrat_retrieval::training::Vocabulary;

const TINTS: [(&str, [f32; 3]); 8] = [
    ("red", [1.0, 0.15, 0.15]),
    ("green", [0.15, 0.9, 0.15]),
    ("blue", [0.2, 0.3, 1.0]),
    ("yellow", [1.0, 0.95, 0.1]),
    ("purple", [0.7, 0.15, 0.9]),
    ("cyan", [0.1, 0.9, 0.95]),
    ("orange", [1.0, 0.55, 0.05]),
    ("white", [1.0, 1.0, 1.0]),
];
const SIZES: [(&str, usize); 3] = [("small", 16), ("medium", 22), ("large", 28)];
const PLACES: [(&str, [usize; 2]); 4] =
    [("top left", [0, 0]), ("top right", [0, 1]), ("bottom left", [1, 0]), ("bottom right", [1, 1])];

const CANVAS: usize = 40;
const PHOTO: usize = 28;
/// The eye: filters of 5 x 5 x 3 at every second place, rectified, averaged over 3 x 3 fields, and their principal components.
const FILTERS: usize = 32;
const SIDE: usize = 5;
const PLACES_A_SIDE: usize = (CANVAS - SIDE) / 2 + 1;
const FIELDS: usize = 3;
const COMPONENTS: usize = 96;

/// All photographs.
pub struct Clothes {
    photos: Array2<f64>,
    classes: Vec<u32>,
    names: Vec<String>,
}

/// A photograph as it stands on a canvas.
#[derive(Clone, Copy)]
pub struct Picture {
    photo: usize,
    tint: usize,
    size: usize,
    place: usize,
}

/// Queries with their targets.
pub struct Queries {
    pub references: Vec<Picture>,
    pub sentences: Vec<String>,
    pub targets: Vec<Picture>,
    /// Whether a sentence names one of the changes only.
    pub coarse: Vec<bool>,
}

impl Clothes {
    pub fn load() -> Result<Clothes> {
        let (photos, classes, names) = builtin::labelled("fashion-mnist")?;
        Ok(Clothes { photos, classes, names: names.into_iter().map(|name| name.replace('_', " ")).collect() })
    }

    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// Any picture of one of the photographs, of the class if one is asked for.
    fn draw(&self, photos: &[usize], class: Option<u32>, rng: &mut Rng) -> Picture {
        loop {
            let photo = photos[rng.below(photos.len())];
            if class.is_none_or(|class| self.classes[photo] == class) {
                return Picture {
                    photo,
                    tint: rng.below(TINTS.len()),
                    size: rng.below(SIZES.len()),
                    place: rng.below(PLACES.len()),
                };
            }
        }
    }

    /// Pictures of any kind.
    pub fn pictures(&self, photos: &[usize], n: usize, rng: &mut Rng) -> Vec<Picture> {
        (0..n).map(|_| self.draw(photos, None, rng)).collect()
    }

    /// `n` queries. A target has what the reference has (but another photograph) apart from one to three changes. Of ten sentences
    /// three are coarse: of two or three changes they name one.
    pub fn queries(&self, photos: &[usize], n: usize, rng: &mut Rng) -> Queries {
        let (mut references, mut sentences, mut targets, mut coarse) = (vec![], vec![], vec![], vec![]);
        for _ in 0..n {
            let reference = self.draw(photos, None, rng);
            let vague = rng.uniform() < 0.3;
            let count = if vague { 2 + rng.below(2) } else { 1 + rng.below(3) };
            let changes = rng.sample(4, count);
            let class = self.classes[reference.photo];
            let other = |now: usize, of: usize, rng: &mut Rng| (now + 1 + rng.below(of - 1)) % of;
            let changed = |what: usize| changes.contains(&what);
            let class = if changed(0) { other(class as usize, self.names.len(), rng) as u32 } else { class };
            let mut target = self.draw(photos, Some(class), rng);
            target.tint = if changed(1) { other(reference.tint, TINTS.len(), rng) } else { reference.tint };
            target.size = if changed(2) { other(reference.size, SIZES.len(), rng) } else { reference.size };
            target.place = if changed(3) { other(reference.place, PLACES.len(), rng) } else { reference.place };
            let named = if vague { &changes[..1] } else { &changes[..] };
            sentences.push(self.sentence(target, named, rng));
            references.push(reference);
            targets.push(target);
            coarse.push(vague);
        }
        Queries { references, sentences, targets, coarse }
    }

    fn sentence(&self, target: Picture, named: &[usize], rng: &mut Rng) -> String {
        let class = &self.names[self.classes[target.photo] as usize];
        let (tint, size, place) = (TINTS[target.tint].0, SIZES[target.size].0, PLACES[target.place].0);
        let part = |what: &usize, rng: &mut Rng| match (what, rng.below(2)) {
            (0, 0) => format!("a {class} instead"),
            (0, _) => format!("show me a {class}"),
            (1, 0) => format!("in {tint}"),
            (1, _) => format!("make it {tint}"),
            (2, 0) => format!("{size} now"),
            (2, _) => format!("it should be {size}"),
            (_, 0) => format!("at the {place}"),
            (_, _) => format!("move it to the {place}"),
        };
        let parts: Vec<String> = named.iter().map(|what| part(what, rng)).collect();
        let start = if named.contains(&0) { "" } else { "the same but " };
        format!("{start}{}", parts.join(" and "))
    }
}

/// What looks at pictures: it is drawn once, and never trained but for its principal components.
pub struct Eye {
    filters: Array2<f32>,
    components: Pca,
}

impl Eye {
    /// An eye whose components are those of these pictures.
    pub fn new(clothes: &Clothes, pictures: &[Picture], seed: Seed) -> Result<Eye> {
        let mut rng = seed.stream("eye").rng(0);
        let inputs = SIDE * SIDE * 3;
        let filters =
            Array2::from_shape_simple_fn((inputs, FILTERS), || (rng.normal() / (inputs as f64).sqrt()) as f32);
        let fields = fields(clothes, pictures, filters.view());
        Ok(Eye { components: Pca::fit_f32(fields.view(), COMPONENTS)?, filters })
    }

    /// A row of features for each picture.
    pub fn look(&self, clothes: &Clothes, pictures: &[Picture]) -> Result<Array2<f32>> {
        let fields = fields(clothes, pictures, self.filters.view());
        Ok(self.components.transform(fields.mapv(f64::from).view())?.mapv(|v| v as f32))
    }
}

/// Means of the rectified filters over each field.
fn fields(clothes: &Clothes, pictures: &[Picture], filters: ArrayView2<f32>) -> Array2<f32> {
    let mut all = Array2::zeros((pictures.len(), FIELDS * FIELDS * FILTERS));
    let mut patches = Array2::<f32>::zeros((PLACES_A_SIDE * PLACES_A_SIDE, SIDE * SIDE * 3));
    let across = PLACES_A_SIDE / FIELDS;
    for (picture, mut row) in pictures.iter().zip(all.outer_iter_mut()) {
        let canvas = render(clothes, picture);
        for (at, mut patch) in patches.outer_iter_mut().enumerate() {
            let (y, x) = (at / PLACES_A_SIDE * 2, at % PLACES_A_SIDE * 2);
            for line in 0..SIDE {
                let from = ((y + line) * CANVAS + x) * 3;
                let values = &canvas[from..from + SIDE * 3];
                patch
                    .slice_mut(s![line * SIDE * 3..(line + 1) * SIDE * 3])
                    .iter_mut()
                    .zip(values)
                    .for_each(|(to, v)| *to = *v);
            }
        }
        for (at, responses) in patches.dot(&filters).outer_iter().enumerate() {
            let (y, x) = (at / PLACES_A_SIDE / across, at % PLACES_A_SIDE / across);
            let from = (y * FIELDS + x) * FILTERS;
            let mut field = row.slice_mut(s![from..from + FILTERS]);
            field.zip_mut_with(&responses, |sum, v| *sum += v.max(0.0) / (across * across) as f32);
        }
    }
    all
}

/// Canvas x canvas x 3 values, the photograph scaled by linear interpolation.
fn render(clothes: &Clothes, picture: &Picture) -> Vec<f32> {
    let photo = clothes.photos.row(picture.photo);
    let (_, tint) = TINTS[picture.tint];
    let (_, side) = SIZES[picture.size];
    let (_, [down, right]) = PLACES[picture.place];
    let [top, left] = [down, right].map(|far| if far == 1 { CANVAS - side - 1 } else { 1 });
    let mut canvas = vec![0.0; CANVAS * CANVAS * 3];
    let step = (PHOTO - 1) as f64 / (side - 1) as f64;
    let near = |at: usize| {
        let at = at as f64 * step;
        let first = (at as usize).min(PHOTO - 2);
        (first, at - first as f64)
    };
    for y in 0..side {
        for x in 0..side {
            let ((i, dy), (j, dx)) = (near(y), near(x));
            let pixel = |i: usize, j: usize| photo[i * PHOTO + j] / 255.0;
            let upper = pixel(i, j) * (1.0 - dx) + pixel(i, j + 1) * dx;
            let lower = pixel(i + 1, j) * (1.0 - dx) + pixel(i + 1, j + 1) * dx;
            let value = (upper * (1.0 - dy) + lower * dy) as f32;
            let from = ((top + y) * CANVAS + left + x) * 3;
            canvas[from..from + 3].iter_mut().zip(tint).for_each(|(to, tint)| *to = value * tint);
        }
    }
    canvas
}

/// Sentences as bags of the words of the first ones, which are those to learn from.
pub fn bags(train: &[String], test: &[String]) -> Result<[Sentences; 2]> {
    let vocabulary = Vocabulary::learn(train.iter().map(String::as_str))?;
    Ok([train, test].map(|texts| Sentences::Bags(vocabulary.bags(texts))))
}
