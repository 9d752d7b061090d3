use super::*;
use crate::losses::{in_batch, symmetric_in_batch};
use crate::training::Vocabulary;
use ndarray::{Axis, array, s};
use quadrat_core::{Lists, Rng, Silent};
use quadrat_numeric::layers::Real;

fn normal<F: Real>(shape: (usize, usize), rng: &mut Rng) -> Array2<F> {
    Array2::from_shape_simple_fn(shape, || F::from_f64(rng.normal()))
}

/// References of eight values; a sentence says in which of four directions the target lies, every third query has none.
struct Synthetic {
    references: Array2<f32>,
    sentences: Sentences,
    targets: Array2<f32>,
}

impl Synthetic {
    fn new(n: usize) -> Synthetic {
        let mut rng = Seed(3).rng(0);
        let (references, directions) = (normal((n, 8), &mut rng), normal::<f32>((4, 8), &mut rng));
        let mut targets = references.clone();
        let texts: Vec<String> = (0..n)
            .map(|row| {
                let way = rng.below(4);
                targets.row_mut(row).scaled_add(1.5, &directions.row(way));
                if row % 3 == 0 { String::new() } else { format!("go way{way}") }
            })
            .collect();
        let sentences = Sentences::Bags(Vocabulary::learn(texts.iter().map(String::as_str)).unwrap().bags(&texts));
        Synthetic { references, sentences, targets }
    }

    fn task(&self) -> Task<'_> {
        Task { references: self.references.view(), sentences: &self.sentences, targets: self.targets.view() }
    }

    fn start(&self, composer: Composer) -> ComposedEncoder {
        ComposedEncoder::start(composer, 16, &self.task(), Seed(1)).unwrap()
    }

    fn recall(&self, encoder: &ComposedEncoder) -> Recall {
        let queries = encoder.compose(self.references.view(), &self.sentences).unwrap();
        let gallery = encoder.project(self.targets.view()).unwrap();
        let own: Vec<u32> = (0..queries.nrows() as u32).collect();
        recall(&ranks(queries.view(), gallery.view(), &own).unwrap())
    }
}

const COMPOSERS: [Composer; 3] = [Composer::GatedResidual, Composer::GatedSum, Composer::Concat];
const SHORT: Passes = Passes { epochs: 12, batch: 32, rate: 0.005 };

#[test]
fn both_methods_learn_with_every_composer() {
    let data = Synthetic::new(240);
    for composer in COMPOSERS {
        let before = data.recall(&data.start(composer));
        let mgur = MultiGrainedUncertainty { passes: SHORT, ..Default::default() };
        let viml = LanguageGuidedMusic { passes: SHORT, ..Default::default() };
        let methods: [&dyn ComposedTraining; 2] = [&mgur, &viml];
        for method in methods {
            let mut encoder = data.start(composer);
            let losses = method.train(&mut encoder, &data.task(), Seed(2), &Silent).unwrap();
            let after = data.recall(&encoder);
            assert_eq!(losses.len(), 12);
            assert!(after.at[1] > before.at[1] + 0.3, "{composer:?} {}: {before:?} {after:?}", method.card().slug);
            assert!(after.median_rank < before.median_rank, "{before:?} {after:?}");
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    let data = Synthetic::new(130);
    let run = |threads: usize, seed: u64, name: &str| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let method = build(name, &[("epochs", "3"), ("batch", "60")].into_iter().collect()).unwrap();
            let mut encoder = data.start(method.composer());
            method.train(&mut encoder, &data.task(), Seed(seed), &Silent).unwrap();
            encoder
        })
    };
    for name in ["mgur", "viml"] {
        assert_eq!(run(1, 4, name), run(2, 4, name));
        assert_ne!(run(1, 4, name), run(1, 5, name));
    }
}

#[test]
fn derivatives_of_the_encoder_agree_with_differences() {
    let mut rng = Seed(7).rng(0);
    let (references, targets) = (normal((5, 3), &mut rng), normal((5, 4), &mut rng));
    let vectors = normal((5, 2), &mut rng);
    let sentences = Sentences::Vectors(vectors);
    let task = Task { references: references.view(), sentences: &sentences, targets: targets.view() };
    let rows = [4, 0, 3, 1];
    // Any smooth function of queries and target vectors will do for a loss.
    let (a, b): (Array2<f64>, Array2<f64>) = (normal((4, 6), &mut rng), normal((4, 6), &mut rng));
    for composer in COMPOSERS {
        let encoder = ComposedEncoder::<f64>::start(composer, 6, &task, Seed(1)).unwrap();
        let loss = |encoder: &ComposedEncoder<f64>| {
            let kept = encoder.forward(&task, &rows, encoder.sentences(&task, &rows));
            (&kept.queries * &a).sum()
                + (&kept.vectors * &b).sum()
                + (&kept.queries * &kept.vectors).mapv(|v| v * v).sum()
        };
        let kept = encoder.forward(&task, &rows, encoder.sentences(&task, &rows));
        let both = &kept.queries * &kept.vectors * 2.0;
        let to = [&a + &(&both * &kept.vectors), &b + &(&both * &kept.queries)];
        let mut slope = encoder.zeros();
        let to_t = encoder.backward(&kept, to, &mut slope);
        encoder.backward_words(&task, &rows, to_t.view(), &mut slope);
        for at in 0..encoder.clone().numbers().len() {
            let moved = |by: f64| {
                let mut other = encoder.clone();
                *other.numbers()[at] += by;
                loss(&other)
            };
            let difference = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            let found = *slope.numbers()[at];
            assert!((difference - found).abs() < 1e-7, "{composer:?} {at}: {difference} {found}");
        }
    }
}

impl<F: Real> ComposedEncoder<F> {
    /// All weights, one by one.
    fn numbers(&mut self) -> Vec<&mut F> {
        let ComposedEncoder { reference, target, words, composition, .. } = self;
        let [gate, rest] = &mut composition.nets;
        let nets = [reference, target, gate, rest].into_iter().flat_map(|net| &mut net.layers);
        let layers = nets.flat_map(|(weights, biases)| weights.iter_mut().chain(biases.iter_mut()));
        layers.chain(words.iter_mut()).chain(composition.weights.iter_mut()).collect()
    }
}

#[test]
fn without_a_sentence_the_gated_sum_is_the_reference_alone() {
    let data = Synthetic::new(30);
    let encoder = data.start(Composer::GatedSum);
    let missing = encoder.compose(data.references.view(), &with_nothing(&data.sentences)).unwrap();
    // Whatever the words' vectors: the reference's projection, of length 1.
    let words = |name: &str, rows: usize| {
        let (_, matrix) = encoder.matrices().into_iter().find(|(found, _)| found == name).unwrap();
        assert_eq!(matrix.nrows(), rows);
        Ok(if name == "words" { matrix * 9.0 } else { matrix })
    };
    let other = ComposedEncoder::from_matrices(encoder.shape(), &words).unwrap();
    assert_eq!(other.compose(data.references.view(), &with_nothing(&data.sentences)).unwrap(), missing);
    assert_ne!(other.compose(data.references.view(), &data.sentences).unwrap(), missing);
    let (unit, (_, weights)) = (encoder.shape().units[0], encoder.matrices().swap_remove(2));
    let mut want = (&data.references * unit as f32).dot(&weights.slice(s![..8, ..])) + weights.row(8);
    crate::dense::normalise(want.view_mut());
    assert!((want - missing).iter().all(|v| v.abs() < 1e-6));
}

fn with_nothing(sentences: &Sentences) -> Sentences {
    Sentences::Vectors(Array2::zeros((sentences.rows(), sentences.width())))
}

#[test]
fn an_encoder_comes_back_from_its_matrices() {
    let data = Synthetic::new(30);
    for composer in COMPOSERS {
        let encoder = data.start(composer);
        let all = encoder.matrices();
        let read = |name: &str, _: usize| Ok(all.iter().find(|(found, _)| found == name).unwrap().1.clone());
        assert_eq!(ComposedEncoder::from_matrices(encoder.shape(), &read).unwrap(), encoder);
        let short = |name: &str, rows: usize| read(name, rows).map(|matrix| matrix.slice(s![..1, ..1]).to_owned());
        let error = ComposedEncoder::from_matrices(encoder.shape(), &short).unwrap_err().to_string();
        assert!(error.contains("weights `weights`: got 1 x 1") && error.contains("1 x 2"), "{error}");
    }
}

// MGUR.

/// Values and derivatives as PyTorch computes them; `tests/golden/uncertainty.py` says how.
#[test]
fn uncertainty_is_what_pytorch_computes() {
    let queries = array![[1.5, -0.5, 0.25, 2.0], [0.75, 1.25, -1.0, 0.5], [-0.25, 1.0, 2.0, -1.5]];
    let targets = array![[1.0, 0.5, -0.25, 1.75], [0.5, 2.0, -0.5, 0.25], [0.0, 0.75, 1.5, -2.0]];
    let noise = Noise {
        factors: array![[0.5, -1.25, 0.25, 1.0], [-0.75, 0.125, 1.5, -0.5], [2.0, -0.25, -1.0, 0.375]],
        terms: array![[-0.5, 0.75, 1.25, -1.5], [1.0, -0.125, 0.25, -2.0], [0.625, -0.875, 0.5, 1.75]],
    };
    let close = |gamma: f64, scales: [f64; 2], parts: [f64; 4], to: [Array2<f64>; 2]| {
        let [alpha_scale, beta_scale] = scales;
        let regulariser = Uncertainty { alpha_scale, beta_scale, ..Default::default() };
        let found = regulariser.loss(queries.view(), targets.view(), gamma, &noise).unwrap();
        let Parts { coarse, fine, sigma, .. } = found.parts;
        for (found, want) in [found.value, coarse, fine, sigma].into_iter().zip(parts) {
            assert!((found - want).abs() < 1e-6, "{found} {want}");
        }
        for (found, want) in [found.to_queries, found.to_targets].into_iter().zip(to) {
            let apart = (found.mapv(f64::from) - want).mapv(f64::abs);
            assert!(apart.iter().all(|v| *v < 1e-6), "{apart}");
        }
    };
    close(
        0.6,
        [1.0, 1.0],
        [0.504_892_676_396_492_4, 0.768_060_747_288_279_1, 0.110_140_570_058_812_4, 1.403_287_911_876_781_8],
        [
            array![
                [-0.00070951, -0.00265332, -0.00010494, -0.00586198],
                [0.01538397, -0.05670916, 0.0165932, 0.0623265],
                [0.01218857, 0.0561898, -0.03836938, -0.02292256]
            ],
            array![
                [0.01442301, 0.03568075, -0.02615606, 0.0250567],
                [-0.01892359, -0.04249299, 0.04702049, -0.03526977],
                [0.02668275, -0.03164983, 0.00918633, -0.00355779]
            ],
        ],
    );
    close(
        1.0,
        [0.5, 1.5],
        [1.378_886_290_622_544_5, 1.378_886_290_622_544_5, 0.110_140_570_058_812_4, 1.596_875_145_443_231_3],
        [
            array![
                [0.02264447, -0.12811513, -0.03132535, 0.07800383],
                [-0.01276895, 0.00115689, 0.01630101, 0.02484545],
                [-0.00660112, 0.12302596, 0.01077449, -0.10570022]
            ],
            array![
                [0.00734563, 0.01775845, -0.01385214, -0.01125194],
                [-0.01295038, 0.00997066, 0.01894891, -0.01596919],
                [0.04747563, -0.03488533, 0.00028075, -0.01287105]
            ],
        ],
    );
}

/// Pairs of length 4, as the paper's.
fn pairs(n: usize, d: usize, seed: u64) -> [Array2<f32>; 2] {
    let mut rng = Seed(seed).rng(0);
    [(); 2].map(|()| {
        let mut rows = normal((n, d), &mut rng);
        crate::dense::normalise(rows.view_mut());
        rows * 4.0
    })
}

#[test]
fn derivatives_agree_with_differences_while_the_noise_is_frozen() {
    // In 1024ths, so that a small step is exact.
    let [queries, targets] = pairs(5, 7, 1).map(|rows| rows.mapv(|v| (v * 1024.0).round() / 1024.0));
    let noise = Noise::draw(&[0, 1, 2, 3, 4], 7, Seed(2));
    for (gamma, alpha_scale) in [(0.0, 1.0), (1.0, 1.0), (0.4, 0.7)] {
        let regulariser = Uncertainty { alpha_scale, ..Default::default() };
        let loss = |q: &Array2<f32>, t: &Array2<f32>| regulariser.loss(q.view(), t.view(), gamma, &noise).unwrap();
        let found = loss(&queries, &targets);
        // A and B of moved targets would move: constants to the derivative, so they are held by hand.
        let held = held(&targets, &noise, &regulariser);
        for place in ndarray::indices(queries.dim()) {
            let moved = |by: f32| {
                let mut q = queries.clone();
                q[place] += by;
                loss(&q, &targets).value
            };
            let difference = (moved(1.0 / 1024.0) - moved(-1.0 / 1024.0)) * 512.0;
            assert!((difference - f64::from(found.to_queries[place])).abs() < 2e-3, "{gamma}");
            let moved = |by: f32| {
                let mut t = targets.clone();
                t[place] += by;
                held(&queries, &t, gamma)
            };
            let difference = (moved(1.0 / 1024.0) - moved(-1.0 / 1024.0)) * 512.0;
            assert!((difference - f64::from(found.to_targets[place])).abs() < 2e-3, "{gamma}: {difference}");
        }
    }
}

/// The loss in double precision from the equations, with A and B those of the first targets.
fn held(targets: &Array2<f32>, noise: &Noise, of: &Uncertainty) -> impl Fn(&Array2<f32>, &Array2<f32>, f64) -> f64 {
    let double = |x: &Array2<f32>| x.mapv(f64::from);
    let mean = |x: &Array2<f64>| x.mean_axis(Axis(1)).unwrap().insert_axis(Axis(1));
    let t = double(targets);
    let deviation = t.std_axis(Axis(1), 1.0).insert_axis(Axis(1));
    let a = (&deviation * &double(&noise.factors) + 1.0) * of.alpha_scale;
    let b = (&deviation * &double(&noise.terms) + mean(&t)) * of.beta_scale;
    let info_nce = |q: &Array2<f64>, t: &Array2<f64>| {
        let scores = q.dot(&t.t());
        let of = |(i, row): (usize, ndarray::ArrayView1<f64>)| row.mapv(f64::exp).sum().ln() - row[i];
        scores.outer_iter().enumerate().map(of).sum::<f64>() / q.nrows() as f64
    };
    move |q, t, gamma| {
        let (q, t) = (double(q), double(t));
        let white = (&t - &mean(&t)) / (t.var_axis(Axis(1), 0.0) + 1e-5).mapv(f64::sqrt).insert_axis(Axis(1));
        let blurred = &a * &white + &b;
        let sigma = blurred.std(1.0);
        gamma * 0.5 * ((-sigma).exp() * info_nce(&q, &blurred) + sigma) + (1.0 - gamma) * info_nce(&q, &t)
    }
}

/// E[f^] = g + m and Var[f^_j] = s^2 (g_j^2 + 1), each within 5 standard errors, that of a variance from the normal's fourth moment; and
/// sigma is about the root of 1 + 2 s^2. With 2 x 8 values one alarm in some hundred thousand seeds.
#[test]
fn blurred_targets_have_their_moments() {
    let target = array![[0.5, -1.0, 0.25, 1.5, -0.75, 2.0, 0.0, -0.5_f32]];
    let targets = ndarray::concatenate![Axis(0), target, target];
    let row = target.row(0).mapv(f64::from);
    let (mean, deviation) = (row.mean().unwrap(), row.std(1.0));
    let white = (&row - mean) / (row.var(0.0) + 1e-5).sqrt();
    let draws = 100_000;
    let [mut sum, mut squares] = [(); 2].map(|()| ndarray::Array1::<f64>::zeros(8));
    for draw in 0..draws / 2 {
        let noise = Noise::draw(&[2 * draw, 2 * draw + 1], 8, Seed(9));
        let blurred = uncertainty::blurred(&Uncertainty::default(), targets.view(), &noise);
        for row in blurred.outer_iter() {
            let off = row.mapv(f64::from) - &white - mean;
            squares += &(&off * &off);
            sum += &off;
        }
    }
    let n = f64::from(draws);
    for j in 0..8 {
        let variance = deviation * deviation * (white[j] * white[j] + 1.0);
        assert!((sum[j] / n).abs() < 5.0 * (variance / n).sqrt(), "{j}: {}", sum[j] / n);
        assert!((squares[j] / n / variance - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "{j}: {}", squares[j] / n / variance);
    }
    // At the paper's size.
    let [queries, targets] = pairs(64, 512, 4);
    let noise = Noise::draw(&(0..64).collect::<Vec<_>>(), 512, Seed(1));
    let found = Uncertainty::default().loss(queries.view(), targets.view(), 1.0, &noise).unwrap().parts.sigma;
    let spread = 16.0 / 512.0_f64;
    assert!((found - (1.0 + 2.0 * spread).sqrt()).abs() < 0.01, "{found}");
    assert!((found - 1.03).abs() < 0.01);
}

#[test]
fn training_goes_from_coarse_to_fine() {
    let usual = Schedule::CoarseToFine { gamma0: 1.0 };
    let gammas: Vec<f64> = (0..5).map(|epoch| usual.gamma(epoch, 4)).collect();
    for (epoch, gamma) in gammas.iter().enumerate() {
        assert!((gamma - (-(epoch as f64) / 4.0).exp()).abs() < 1e-12);
    }
    assert_eq!((gammas[0], usual.gamma(9, 4)), (1.0, gammas[4]));
    assert_eq!(Schedule::Fixed { gamma: 0.3 }.gamma(2, 4), 0.3);
    // In the limit InfoNCE alone from the second epoch on.
    let steep = Schedule::CoarseToFine { gamma0: 1e6 };
    assert_eq!((steep.gamma(0, 4), steep.gamma(1, 4)), (1.0, 0.0));
    let [queries, targets] = pairs(6, 9, 5);
    let noise = Noise::draw(&[0, 1, 2, 3, 4, 5], 9, Seed(1));
    let found = Uncertainty::default().loss(queries.view(), targets.view(), steep.gamma(1, 4), &noise).unwrap();
    let plain = in_batch(queries.dot(&targets.t()).view(), 1.0).unwrap();
    assert_eq!((found.value, found.parts.fine), (plain.value, plain.value));
    assert!((found.to_queries - plain.slope.dot(&targets)).iter().all(|v| v.abs() < 1e-6));
    assert!((found.to_targets - plain.slope.t().dot(&queries)).iter().all(|v| v.abs() < 1e-6));
}

#[test]
fn without_noise_it_is_the_loss_of_whitened_targets() {
    let [queries, targets] = pairs(6, 9, 6);
    let zeros = Array2::zeros((6, 9));
    let none = Noise { factors: zeros.clone(), terms: zeros };
    let found =
        Uncertainty { beta_scale: 0.0, ..Default::default() }.loss(queries.view(), targets.view(), 1.0, &none).unwrap();
    let mut white = targets.clone();
    for mut row in white.outer_iter_mut() {
        let (mean, deviation) = (row.mean().unwrap(), (row.var(0.0) + 1e-5).sqrt());
        row.mapv_inplace(|v| (v - mean) / deviation);
    }
    let plain = in_batch(queries.dot(&white.t()).view(), 1.0).unwrap();
    let sigma = f64::from(white.std(1.0));
    assert!((found.parts.sigma - sigma).abs() < 1e-5);
    assert!((found.value - 0.5 * ((-sigma).exp() * plain.value + sigma)).abs() < 1e-5);
    // A row without any spread stays finite.
    let flat = Array2::from_elem((6, 9), 0.5_f32);
    let found = Uncertainty::default().loss(queries.view(), flat.view(), 0.5, &none).unwrap();
    assert!(found.value.is_finite() && found.to_targets.iter().all(|v| v.is_finite()), "{found:?}");
}

#[test]
fn the_order_of_a_batch_changes_nothing() {
    let [queries, targets] = pairs(40, 24, 7);
    let rows: Vec<u32> = (100..140).collect();
    let turned: Vec<usize> = (0..40).map(|i| (7 * i + 3) % 40).collect();
    let loss = |order: &[usize]| {
        let rows: Vec<u32> = order.iter().map(|i| rows[*i]).collect();
        let noise = Noise::draw(&rows, 24, Seed(8));
        let of = |x: &Array2<f32>| x.select(Axis(0), order);
        Uncertainty::default().loss(of(&queries).view(), of(&targets).view(), 0.7, &noise).unwrap()
    };
    let (plain, other) = (loss(&(0..40).collect::<Vec<_>>()), loss(&turned));
    assert!((plain.value - other.value).abs() < 1e-6);
    for (plain, other) in [(plain.to_queries, other.to_queries), (plain.to_targets, other.to_targets)] {
        assert!((plain.select(Axis(0), &turned) - other).iter().all(|v| v.abs() < 1e-5));
    }
}

// ViML.

#[test]
fn all_sentences_dropped_train_what_no_sentences_train() {
    let data = Synthetic::new(90);
    let all = LanguageGuidedMusic { text_dropout: 1.0, passes: SHORT, ..Default::default() };
    for composer in COMPOSERS {
        let (start, mut dropped) = (data.start(composer), data.start(composer));
        all.train(&mut dropped, &data.task(), Seed(2), &Silent).unwrap();
        let nothing = with_nothing(&data.sentences);
        let mut alone = start.clone();
        let task = Task { sentences: &nothing, ..data.task() };
        LanguageGuidedMusic { text_dropout: 0.0, ..all }.train(&mut alone, &task, Seed(2), &Silent).unwrap();
        assert_eq!(dropped, alone);
        let words =
            |encoder: &ComposedEncoder| encoder.matrices().into_iter().find(|(name, _)| name == "words").unwrap();
        assert_eq!(words(&dropped), words(&start));
    }
}

/// Each row's loss depends on whether its own sentence is there, so that the mean over all ways of dropping is exactly what p says.
#[test]
fn the_mean_over_all_masks_is_the_mixture_of_both_losses() {
    let data = Synthetic::new(6);
    let encoder = data.start(Composer::GatedSum);
    let vectors = encoder.project(data.targets.view()).unwrap();
    let with = encoder.compose(data.references.view(), &data.sentences).unwrap();
    let without = encoder.compose(data.references.view(), &with_nothing(&data.sentences)).unwrap();
    let loss = |queries: &Array2<f32>| in_batch(queries.dot(&vectors.t()).view(), 0.07).unwrap().value;
    for p in [0.2_f64, 0.5, 0.8] {
        let mut mean = 0.0;
        for mask in 0..64_u32 {
            let dropped = |row: usize| mask >> row & 1 == 1;
            let queries =
                Array2::from_shape_fn(with.dim(), |(i, j)| if dropped(i) { without[[i, j]] } else { with[[i, j]] });
            let count = mask.count_ones() as i32;
            mean += p.powi(count) * (1.0 - p).powi(6 - count) * loss(&queries);
        }
        assert!((mean - (p * loss(&without) + (1.0 - p) * loss(&with))).abs() < 1e-6);
    }
}

#[test]
fn dropout_erases_whole_rows_by_their_numbers() {
    let rows: Vec<u32> = (0..20_000).collect();
    let mut x = Array2::<f32>::ones((20_000, 2));
    let dropped = ModalityDropout::new(0.3).unwrap().apply(&mut x, &rows, Seed(1));
    for (row, dropped) in x.outer_iter().zip(&dropped) {
        assert!(row.iter().all(|v| *v == if *dropped { 0.0 } else { 1.0 }), "what is kept keeps its size");
    }
    // Five standard errors: one false alarm in two million seeds.
    let share = dropped.iter().filter(|dropped| **dropped).count() as f64 / 20_000.0;
    assert!((share - 0.3).abs() < 5.0 * (0.21_f64 / 20_000.0).sqrt(), "{share}");
    let turned: Vec<u32> = rows.iter().rev().copied().collect();
    let mut again = ModalityDropout::new(0.3).unwrap().apply(&mut x.clone(), &turned, Seed(1));
    again.reverse();
    assert_eq!(again, dropped);
    for (p, all) in [(0.0, false), (1.0, true)] {
        assert!(ModalityDropout::new(p).unwrap().apply(&mut x, &rows, Seed(2)).iter().all(|dropped| *dropped == all));
    }
    for p in [-0.1, 1.1, f64::NAN] {
        assert!(ModalityDropout::new(p).unwrap_err().to_string().contains("from 0 to 1"));
    }
}

#[test]
fn both_directions_see_a_permutation_as_the_same_batch() {
    let [queries, targets] = pairs(10, 5, 8);
    let order = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7];
    let loss = |q: &Array2<f32>, t: &Array2<f32>| symmetric_in_batch(q.dot(&t.t()).view(), 0.5).unwrap().value;
    let turned = loss(&queries.select(Axis(0), &order), &targets.select(Axis(0), &order));
    assert!((loss(&queries, &targets) - turned).abs() < 1e-6);
}

#[test]
fn a_track_is_the_mean_of_its_segments() {
    let mut segments = normal::<f32>((4, 3), &mut Seed(1).rng(0));
    crate::dense::normalise(segments.view_mut());
    let tracks: Lists = [vec![2], vec![0, 1]].into_iter().collect();
    let found = average(segments.view(), &tracks).unwrap();
    assert!((&found.row(0) - &segments.row(2)).iter().all(|v| v.abs() < 1e-6), "one segment is its track");
    let mut mean = (&segments.row(0) + &segments.row(1)).insert_axis(Axis(0));
    crate::dense::normalise(mean.view_mut());
    assert!((&found.row(1) - &mean.row(0)).iter().all(|v| v.abs() < 1e-6));
    for (bad, part) in [(vec![vec![]], "no segment"), (vec![vec![4]], "there are 4 rows")] {
        let error = average(segments.view(), &bad.into_iter().collect()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn ranks_count_ties_by_their_place() {
    let gallery = array![[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.5, 0.0]];
    let queries = array![[1.0, 0.0], [1.0, 0.0], [1.0, 0.2]];
    let found = ranks(queries.view(), gallery.view(), &[2, 3, 1]).unwrap();
    assert_eq!(found, [2, 3, 4]);
    assert_eq!(recall(&found), Recall { at: [0.0, 1.0, 1.0], median_rank: 3.0 });
    for (own, part) in [(&[0, 1][..], "3 queries"), (&[0, 1, 4], "4 rows")] {
        assert!(ranks(queries.view(), gallery.view(), own).unwrap_err().to_string().contains(part));
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let data = Synthetic::new(20);
    let task = data.task();
    let mut holes = data.targets.clone();
    holes[[3, 1]] = f32::NAN;
    let few = Sentences::missing(19);
    let wide = Sentences::Vectors(Array2::zeros((20, 3)));
    let not = Sentences::Vectors(Array2::from_elem((20, data.sentences.width()), f32::INFINITY));
    for (bad, part) in [
        (Task { references: task.references.slice(s![..1, ..]), ..task }, "at least two pairs"),
        (Task { targets: task.targets.slice(s![..19, ..]), ..task }, "one for each of 20 queries"),
        (Task { targets: holes.view(), ..task }, "row 3, column 1 of the targets (from 0): got NaN"),
        (Task { sentences: &few, ..task }, "sentences: got 19"),
        (Task { sentences: &not, ..task }, "sentence 0"),
        (Task { sentences: &wide, ..task }, "values of a sentence: got 3"),
        (Task { references: task.references.slice(s![.., ..7]), ..task }, "values of a reference: got 7"),
    ] {
        for name in ["multi-grained-uncertainty", "language-guided-music"] {
            let method = build(name, &Params::none()).unwrap();
            let error =
                method.train(&mut data.start(Composer::Concat), &bad, Seed(0), &Silent).unwrap_err().to_string();
            assert!(error.contains(part), "{name}: {error}");
        }
    }
    assert!(
        ComposedEncoder::<f32>::start(Composer::Concat, 0, &task, Seed(0)).unwrap_err().to_string().contains("dims")
    );
    let error =
        |name: &str, given: (&str, &str)| build(name, &[given].into_iter().collect()).err().unwrap().to_string();
    assert!(error("viml", ("text-dropout", "1.5")).contains("text-dropout"));
    assert!(error("viml", ("temperature", "0.001")).contains("0.01"));
    assert!(error("mgur", ("gamma0", "-1")).contains("gamma0"));
    assert!(error("mgur", ("alpha-scale", "-1")).contains("alpha-scale"));
    assert!(error("mgur", ("epochs", "0")).contains("epochs"));
    assert!(error("mgru", ("epochs", "1")).contains("multi-grained-uncertainty"));

    let [queries, targets] = pairs(4, 5, 1);
    let noise = |n, d| Noise::draw(&(0..n).collect::<Vec<_>>(), d, Seed(1));
    let told = |q: &Array2<f32>, t: &Array2<f32>, gamma, noise: &Noise| {
        Uncertainty::default().loss(q.view(), t.view(), gamma, noise).unwrap_err().to_string()
    };
    assert!(told(&queries, &targets, 1.5, &noise(4, 5)).contains("gamma"));
    assert!(told(&queries, &targets, 1.0, &noise(4, 4)).contains("factors: got 4 x 4"));
    assert!(told(&queries.slice(s![..3, ..]).to_owned(), &targets, 1.0, &noise(4, 5)).contains("queries: got 3 x 5"));
    let one = |x: &Array2<f32>| x.slice(s![..1, ..]).to_owned();
    assert!(told(&one(&queries), &one(&targets), 1.0, &noise(1, 5)).contains("at least two pairs"));
    let thin = |x: &Array2<f32>| x.slice(s![.., ..1]).to_owned();
    assert!(told(&thin(&queries), &thin(&targets), 1.0, &noise(4, 1)).contains("at least 2"));
    assert!(told(&(&queries * f32::NAN), &targets, 1.0, &noise(4, 5)).contains("finite"));
}
