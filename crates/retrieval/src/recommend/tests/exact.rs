//! What the method's paper says exactly.

use super::super::masking::view;
use super::super::ssl::objective::{contrast, others, spread_out};
use super::super::tower::{Learner, Tower};
use super::*;
use crate::losses::Label;
use proptest::prelude::*;
use quadrat_core::stats;

fn table(rows: &[(&[&str], &[&str])]) -> Features {
    let fields = vec![
        Field::of("a", rows.iter().map(|row| row.0.to_vec())),
        Field::of("b", rows.iter().map(|row| row.1.to_vec())),
    ];
    Features::new(rows.len(), fields, None).unwrap()
}

fn information(features: &Features, estimator: Estimator, many: ManyValues) -> Array2<f64> {
    mutual_information(features, estimator, many, Seed(1))
}

#[test]
fn information_of_small_tables_by_hand() {
    use Estimator::*;
    use ManyValues::*;
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    // Masses 1/2, 1/4 (a missing value is one, too), 1/4; b follows from a.
    let follows = table(&[(&["x"], &["1"]), (&["x"], &["1"]), (&["y"], &["2"]), (&[], &["2"])]);
    let plugin = information(&follows, Plugin, Spread);
    close(plugin[[0, 0]], 1.5 * 2_f64.ln());
    close(plugin[[0, 1]], 2_f64.ln());
    close(plugin[[1, 0]], 2_f64.ln());
    close(information(&follows, Normalised, Joint)[[0, 1]], 2_f64.ln() / (1.5_f64.sqrt() * 2_f64.ln()));
    // Independent: nothing.
    let apart = table(&[(&["x"], &["1"]), (&["x"], &["2"]), (&["y"], &["1"]), (&["y"], &["2"])]);
    close(information(&apart, Plugin, Spread)[[0, 1]], 0.0);
    // A row of two values: P(x,1) = 1/4 + 1/2, P(y,1) = 1/4; and with both as one value P({x,y},1) = 1/2.
    let two = table(&[(&["x", "y"], &["1"]), (&["x"], &["2"])]);
    let spread = 0.25 * (0.25 / (0.75 * 0.5_f64)).ln() + 0.25 * 2_f64.ln() + 0.5 * (0.5 / (0.75 * 0.5_f64)).ln();
    close(information(&two, Plugin, Spread)[[0, 1]], spread);
    close(information(&two, Plugin, Joint)[[0, 1]], 2_f64.ln());
    // Shuffles find as much in fields of a value for each row.
    let names: Vec<(Vec<&str>, Vec<&str>)> = ["a", "b", "c", "d", "e"].map(|name| (vec![name], vec![name])).into();
    let rows: Vec<(&[&str], &[&str])> = names.iter().map(|(a, b)| (&a[..], &b[..])).collect();
    close(information(&table(&rows), Adjusted, Spread)[[0, 1]], 0.0);
    assert!(information(&follows, Adjusted, Spread)[[0, 1]] > 0.2);
}

proptest! {
    #[test]
    fn information_is_symmetric_and_bounded(
        rows in prop::collection::vec((prop::collection::vec(0..4_u8, 0..3), 0..3_u8, 0..5_u8), 1..40),
    ) {
        let fields = vec![
            Field::of("a", rows.iter().map(|row| row.0.iter().map(u8::to_string).collect::<Vec<_>>())),
            Field::of("b", rows.iter().map(|row| [row.1.to_string()])),
            Field::of("c", rows.iter().map(|row| [row.2.to_string()])),
        ];
        let features = Features::new(rows.len(), fields, None).unwrap();
        for many in [ManyValues::Spread, ManyValues::Joint] {
            let table = information(&features, Estimator::Plugin, many);
            prop_assert_eq!(&table, &table.t());
            for ((i, j), value) in table.indexed_iter() {
                prop_assert!(*value >= -1e-12 && *value <= table[[i, i]].min(table[[j, j]]) + 1e-12);
            }
        }
    }

    #[test]
    fn masks_share_the_fields_out(fields in 2..12_usize, n in 0..10_usize, seed in any::<u64>()) {
        let n = n.min(fields - 2);
        let mut rng = Seed(seed).rng(0);
        let mut information = Array2::from_shape_simple_fn((fields, fields), || rng.uniform());
        information = &information + &information.t();
        let count = |mask: &Mask| mask.iter().filter(|hidden| **hidden).count();
        let [one, other] = Masking::Correlated { information: information.clone(), n }.draw(fields, &mut rng);
        prop_assert!(one.iter().zip(&other).all(|(a, b)| a != b));
        prop_assert_eq!(count(&one), n + 1);
        // What is hidden beside the seed, whichever that was, tells more of it than what is not.
        let fits = |seed: usize| {
            let one = &one;
            let of = |wanted: bool| (0..fields).filter(move |f| *f != seed && one[*f] == wanted).map(|f| information[[seed, f]]).collect::<Vec<_>>();
            one[seed] && of(true).iter().all(|a| of(false).iter().all(|b| a >= b))
        };
        prop_assert!((0..fields).any(fits));
        let [one, other] = Masking::Random.draw(fields, &mut rng);
        prop_assert!(count(&one) == fields / 2 && one.iter().zip(&other).all(|(a, b)| a != b));
        let apart = Masking::RandomApart.draw(fields, &mut rng);
        prop_assert!(apart.iter().all(|mask| count(mask) == fields / 2));
    }
}

/// Two fields that are functions of each other are never on different sides, whichever field the seed is; random halves part them.
#[test]
fn correlated_masks_keep_twins_together() {
    let mut rng = Seed(3).rng(0);
    let codes: Vec<[usize; 4]> = (0..200).map(|_| [rng.below(9), rng.below(9), rng.below(2), rng.below(2)]).collect();
    let field =
        |name: &str, of: &dyn Fn(&[usize; 4]) -> usize| Field::of(name, codes.iter().map(|c| [of(c).to_string()]));
    let fields = vec![
        field("a", &|c| c[0]),
        field("twin of a", &|c| 8 - c[0]),
        field("b", &|c| c[1]),
        field("twin of b", &|c| c[1] * c[1]),
    ];
    let features = Features::new(200, fields, None).unwrap();
    let table = information(&features, Estimator::Plugin, ManyValues::Spread);
    let parted = |masking: &Masking| {
        (0..200)
            .filter(|i| {
                let [one, _] = masking.draw(4, &mut Seed(*i).rng(0));
                one[0] != one[1] || one[2] != one[3]
            })
            .count()
    };
    assert_eq!(parted(&Masking::Correlated { information: table, n: 1 }), 0);
    // Two of six halves keep both pairs: 133 of 200 part them, give or take five deviations of 6.7.
    assert!((100..=167).contains(&parted(&Masking::Random)));
}

/// With nothing hidden and one tower, L_self = -(1/N) sum ln(e^(1/tau) / (e^(1/tau) + sum over j != i of e^(s_ij/tau))).
#[test]
fn identical_views_give_the_closed_form() {
    let shop = Shop::new();
    let tower = Tower::random(&shop.items, 4, 16, 8, &mut Seed(2).rng(0));
    let rows: Vec<u32> = (0..40).collect();
    let rng = &mut Seed(0).rng(0);
    let z = tower.forward(view(&shop.items, &rows, |_, _| false, 0.0, rng), None).vectors;
    let tau = 0.1;
    let found = contrast(&z, &z, &others(&rows), tau, None).unwrap().value;
    let of_row = |i: usize| {
        let e = |j: usize| (z.row(i).iter().zip(z.row(j)).map(|(a, b)| f64::from(a * b)).sum::<f64>() / tau).exp();
        let own = (1.0 / tau).exp();
        -(own / (own + (0..40).filter(|j| *j != i).map(e).sum::<f64>())).ln()
    };
    let expected = (0..40).map(of_row).sum::<f64>() / 40.0;
    assert!((found - expected).abs() < 1e-4 * expected, "{found} {expected}");
}

/// Without the second task all regularisers are one program; and a second task that weighs nothing changes no bit of the first.
#[test]
fn an_alpha_of_0_is_the_plain_two_towers() {
    let shop = Shop::new();
    let fit = |regulariser, alpha| {
        SslItems { regulariser, alpha, ..SHORT() }.fit(&shop.task(), Seed(3), &Silent).unwrap().model
    };
    let plain = fit(Regulariser::SpreadOut, 0.0);
    for regulariser in REGULARISERS {
        assert!(fit(regulariser, 0.0) == plain, "{regulariser:?}");
        if regulariser != Regulariser::FeatureDropout {
            assert!(fit(regulariser, 1e-60) == plain, "{regulariser:?}");
        }
        assert!(fit(regulariser, 0.3) != plain, "{regulariser:?}");
    }
}

/// Pearson's statistic of items drawn uniformly against its 1 - 1e-6 quantile: one alarm in a million seeds.
#[test]
fn items_of_the_second_task_are_drawn_uniformly() {
    let mut counts = [0_usize; 60];
    for step in 0..2000 {
        let drawn = SslItems { batch: 12, ..SHORT() }.drawn(&Shop::new().log, 60, &mut Seed(4).rng(step));
        drawn.iter().for_each(|item| counts[*item as usize] += 1);
    }
    // Drawn without replacement: the variance is that of independent draws times (1 - 12/60), so that the test errs still more rarely.
    let expected = 400.0;
    let statistic: f64 = counts.iter().map(|count| (*count as f64 - expected).powi(2) / expected).sum();
    assert!(stats::chi_square_tail(statistic, 59.0) > 1e-6, "{statistic}");
    // From the log: an item is drawn as often as it is liked, whatever five deviations leave.
    let log = Shop::new().log;
    let popular = log.popularity();
    let method = SslItems { sampling: Sampling::Log, batch: 60_000, ..SHORT() };
    let drawn = method.drawn(&log, 60, &mut Seed(4).rng(0));
    for (item, liked) in popular.into_iter().enumerate() {
        let p = f64::from(liked) / log.pairs().len() as f64;
        let found = drawn.iter().filter(|drawn| **drawn as usize == item).count() as f64;
        assert!((found - 6e4 * p).abs() <= 5.0 * (6e4 * p * (1.0 - p)).sqrt(), "{item}: {found} {p}");
    }
}

/// Through cosine, temperature, layers, means over values and defaults: the derivatives agree with differences.
#[test]
fn derivatives_agree_with_differences() {
    let shop = Shop::new();
    let rows: Vec<u32> = (0..12).collect();
    let tower = Tower::random(&shop.items, 3, 7, 5, &mut Seed(2).rng(0));
    let masks = [vec![true, false, false, true], vec![false, true, true, false]];
    // Of smooth losses: the softmax over two views, and the spread of one.
    let views = || masks.clone().map(|mask| view(&shop.items, &rows, |field, _| mask[field], 0.0, &mut Seed(0).rng(0)));
    let loss = |tower: &Tower| {
        let [one, other] = views().map(|view| tower.forward(view, None).vectors);
        contrast(&one, &other, &others(&rows), 0.5, None).unwrap().value + spread_out(&one).0
    };
    let mut learner = Learner::new(tower.clone());
    let [one, other] = views().map(|view| tower.forward(view, None));
    let found = contrast(&one.vectors, &other.vectors, &others(&rows), 0.5, None).unwrap();
    tower.backward(&one, found.left + spread_out(&one.vectors).1, &mut learner.slope);
    tower.backward(&other, found.right, &mut learner.slope);
    let slope = learner.slope;
    let h = 1.0 / 512.0;
    let agree = |place: &str, slope: f32, moved: &dyn Fn(f32) -> Tower| {
        let difference = (loss(&moved(h)) - loss(&moved(-h))) / (2.0 * f64::from(h));
        assert!(
            (difference - f64::from(slope)).abs() < 2e-3 * (1.0 + difference.abs()),
            "{place}: {difference} {slope}"
        );
    };
    let mut defaults = 0.0_f32;
    for at in 0..4 {
        for (place, slope) in slope.tables[at].indexed_iter() {
            agree(&format!("table {at}, {place:?}"), *slope, &|by| {
                let mut other = tower.clone();
                other.tables[at][place] += by;
                other
            });
        }
        defaults += slope.tables[at].row(0).iter().map(|v| v.abs()).sum::<f32>();
    }
    assert!(defaults > 0.1, "the defaults learn, too");
    for at in 0..2 {
        for (place, slope) in slope.layers.layers[at].0.indexed_iter().step_by(5) {
            agree(&format!("layer {at}, {place:?}"), *slope, &|by| {
                let mut other = tower.clone();
                other.layers.layers[at].0[place] += by;
                other
            });
        }
    }
}

#[test]
fn values_drop_out_but_never_the_last() {
    let rows = vec![vec!["a", "b", "c", "d"]; 5000];
    let features = Features::new(5000, vec![Field::of("tags", rows)], None).unwrap();
    let all: Vec<u32> = (0..5000).collect();
    let shown = &view(&features, &all, |_, _| false, 0.5, &mut Seed(1).rng(0))[0];
    assert!(shown.iter().all(|values| !values.is_empty()));
    // 4 x 1/2, and one more where all four were dropped; five deviations of the mean.
    let mean = shown.items().len() as f64 / 5000.0;
    assert!((mean - (2.0 + 1.0 / 16.0)).abs() < 0.07, "{mean}");
    assert!(view(&features, &all, |_, _| true, 0.5, &mut Seed(1).rng(0))[0].items().is_empty());
}

#[test]
fn items_that_a_user_likes_are_no_negatives() {
    let log = Interactions::new(2, 3, vec![(0, 0), (0, 1), (1, 2), (1, 1)], None).unwrap();
    use Label::*;
    let labels = super::super::ssl::objective::accidental_hits(&log, &[0, 1, 0], &[0, 2, 0]);
    assert_eq!(
        labels,
        ndarray::array![[Relevant, Negative, Absent], [Negative, Relevant, Negative], [Absent, Negative, Relevant]]
    );
}
