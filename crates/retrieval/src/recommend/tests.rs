mod exact;
mod learning;

use super::*;
use ndarray::Array2;
use quadrat_core::Silent;

/// 60 items of four kinds, told by a kind, a maker that follows from it, tags of which some do, and a colour that says nothing; 80 users
/// who like items of one kind. Items of each kind are popular or rare.
struct Shop {
    items: Features,
    log: Interactions,
}

impl Shop {
    fn new() -> Shop {
        let mut rng = Seed(5).rng(0);
        let kind = |item: usize| item % 4;
        let field = |name: &str, of: &mut dyn FnMut(usize) -> Vec<String>| Field::of(name, (0..60).map(&mut *of));
        let fields = vec![
            field("kind", &mut |i| vec![format!("k{}", kind(i))]),
            field("maker", &mut |i| vec![format!("m{}", kind(i) * 2 + rng.below(2))]),
            field("tags", &mut |i| vec![format!("t{}", kind(i)), format!("x{}", i % 7), format!("y{}", i % 3)]),
            field("colour", &mut |i| if i % 10 == 9 { vec![] } else { vec![format!("c{}", (i / 4) % 3)] }),
        ];
        let mut rng = Seed(6).rng(0);
        let mut pairs = Vec::new();
        for user in 0..80_u32 {
            for _ in 0..14 {
                // The square makes low numbers, and so some items, popular.
                let rank = (rng.uniform().powi(2) * 15.0) as u32;
                pairs.push((user, (rank * 4 + user % 4).min(59)));
            }
        }
        Shop { items: Features::new(60, fields, None).unwrap(), log: Interactions::new(80, 60, pairs, None).unwrap() }
    }

    fn task(&self) -> Task<'_> {
        Task { interactions: &self.log, items: Some(&self.items), users: None }
    }
}

const SHORT: fn() -> SslItems =
    || SslItems { dims: 4, hidden: 16, width: 8, epochs: 4, batch: 64, rate: 0.01, ..SslItems::default() };

/// All regularisers.
const REGULARISERS: [Regulariser; 5] = [
    Regulariser::Cfm { n: None },
    Regulariser::Rfm,
    Regulariser::RfmAny,
    Regulariser::FeatureDropout,
    Regulariser::SpreadOut,
];

fn error(found: quadrat_core::Result<impl Sized>) -> String {
    found.err().map_or_else(String::new, |e| e.to_string())
}

#[test]
fn interactions_count_once_and_are_held_back_in_order() {
    let pairs = vec![(0, 1), (0, 2), (0, 1), (1, 0), (0, 0), (0, 3)];
    let all = Interactions::new(3, 4, pairs, Some(vec![5.0, 1.0, 3.0, 2.0, 9.0, 4.0])).unwrap();
    assert_eq!(all.pairs(), [(0, 2), (0, 1), (1, 0), (0, 0), (0, 3)]);
    assert_eq!((&all.by_user()[0], &all.by_user()[2]), (&[0, 1, 2, 3][..], &[][..]));
    assert_eq!((all.popularity(), &all.by_item()[0]), (vec![2, 1, 1, 1], &[0, 1][..]));
    // The latest half of each user, and of a single one nothing.
    let (train, test) = hold_out(&all, 0.5, Seed(1)).unwrap();
    assert_eq!((train.pairs(), test.pairs()), (&[(0, 2), (0, 1), (1, 0)][..], &[(0, 0), (0, 3)][..]));
    let drawn = Interactions::new(3, 4, all.pairs().to_vec(), None).unwrap();
    let (train, test) = hold_out(&drawn, 0.5, Seed(1)).unwrap();
    assert_eq!((train.pairs().len(), test.pairs().len()), (3, 2));

    for (found, part) in [
        (Interactions::new(1, 1, vec![], None), "at least one"),
        (Interactions::new(1, 1, vec![(0, 1)], None), "1 users and 1 items"),
        (Interactions::new(1, 1, vec![(0, 0)], Some(vec![])), "one for each of 1 pairs"),
        (Interactions::new(1, 1, vec![(0, 0)], Some(vec![f64::NAN])), "finite"),
    ] {
        assert!(error(found).contains(part));
    }
    assert!(error(hold_out(&all, 1.0, Seed(0))).contains("below 1"));
    assert!(error(hold_out(&all, 0.01, Seed(0))).contains("too few"));
}

#[test]
fn features_are_checked_and_numbers_standardised() {
    let field = Field::of("tags", [vec!["a", "b", "a"], vec![], vec!["b"]]);
    assert_eq!((field.values.iter().collect::<Vec<_>>(), field.size), (vec![&[1, 2][..], &[], &[2]], 2));
    assert!(!field.names_rows() && Field::of("title", [["x"], ["y"], ["z"]]).names_rows());
    let numbers = ndarray::array![[1.0, 7.0], [f64::NAN, 7.0], [3.0, 7.0]];
    let features = Features::new(3, vec![field.clone()], Some(numbers)).unwrap();
    let half = 0.5_f32.sqrt();
    assert_eq!(features.dense().unwrap(), &ndarray::array![[-half, 0.0], [0.0, 0.0], [half, 0.0]]);
    let bad = Field { size: 1, ..field.clone() };
    for (found, part) in [
        (Features::new(2, vec![field], None), "3 rows"),
        (Features::new(3, vec![bad], None), "value 2"),
        (Features::new(0, vec![], None), "at least one"),
        (Features::new(1, vec![], Some(ndarray::array![[f64::INFINITY]])), "finite"),
    ] {
        assert!(error(found).contains(part), "{part}");
    }
}

#[test]
fn slices_have_a_third_of_the_interactions_each() {
    let counts = [30, 20, 10, 10, 9, 9, 2, 0];
    let pairs = counts.iter().enumerate().flat_map(|(item, n)| (0..*n).map(move |user| (user, item as u32)));
    let log = Interactions::new(30, 8, pairs.collect(), None).unwrap();
    assert_eq!(slices(&log), [vec![0], vec![1, 2], vec![3, 4, 5, 6, 7]]);
}

/// EASE minimises |X - X B|^2 + lambda |B|^2 with a diagonal of 0: no small change of B is better. Item-kNN's cosine by hand.
#[test]
fn the_baselines_are_what_their_papers_say() {
    let Shop { log, .. } = Shop::new();
    let task = Task { interactions: &log, items: None, users: None };
    let lambda = 3.0;
    let Model::Linear(weights) = Ease { lambda }.fit(&task, Seed(0), &Silent).unwrap().model else { panic!() };
    let mut x = Array2::<f64>::zeros((80, 60));
    log.pairs().iter().for_each(|(user, item)| x[[*user as usize, *item as usize]] = 1.0);
    let b = weights.mapv(f64::from);
    assert!(b.diag().iter().all(|v| *v == 0.0));
    let mut slope = x.t().dot(&(&x.dot(&b) - &x)) + &b * lambda;
    slope.diag_mut().fill(0.0);
    assert!(slope.iter().all(|v| v.abs() < 1e-4), "{slope}");

    let pairs = vec![(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 2), (3, 2)];
    let log = Interactions::new(4, 3, pairs, None).unwrap();
    let task = Task { interactions: &log, items: None, users: None };
    let knn = |k, shrinkage| ItemKnn { k, shrinkage }.fit(&task, Seed(0), &Silent).unwrap().model;
    let Model::Neighbours(near) = knn(2, 0.0) else { panic!() };
    assert_eq!(near.row(0).0, [1, 2]);
    let expected = [2.0 / 6.0_f32.sqrt(), 1.0 / 6.0_f32.sqrt()];
    assert!(near.row(0).1.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{near:?}");
    let Model::Neighbours(near) = knn(1, 2.0) else { panic!() };
    assert_eq!(near.row(0), (&[1][..], &[(2.0 / (6.0_f64.sqrt() + 2.0)) as f32][..]));
    // User 3 liked item 2, whose only neighbour with a user in common is item 0.
    let found = recommend(&knn(5, 0.0), &log, &[3], 5, &Silent).unwrap();
    assert_eq!(found[0].iter().map(|(item, _)| *item).collect::<Vec<_>>(), [0, 1]);
    let popular = Popularity {}.fit(&task, Seed(0), &Silent).unwrap().model;
    assert_eq!(recommend(&popular, &log, &[3, 0], 1, &Silent).unwrap(), [vec![(0, 3.0)], vec![(2, 2.0)]]);
    assert!(error(recommend(&popular, &log, &[4], 1, &Silent)).contains("there are 4"));
    assert!(error(recommend(&popular, &log, &[0], 0, &Silent)).contains("1 item"));
}

#[test]
fn what_does_not_fit_is_refused() {
    let shop = Shop::new();
    let one = Features::new(60, shop.items.fields()[..1].to_vec(), None).unwrap();
    let few = Features::new(1, vec![Field::of("kind", [["a"]])], None).unwrap();
    let none = Features::new(60, vec![], None).unwrap();
    let lone = Interactions::new(80, 60, vec![(0, 0)], None).unwrap();
    let task = shop.task();
    for (params, task, part) in [
        (vec![], Task { items: None, ..task }, "reads items by their features"),
        (vec![], Task { items: Some(&one), ..task }, "at least two features"),
        (vec![], Task { items: Some(&few), ..task }, "the interactions are of 60"),
        (vec![], Task { users: Some(&few), ..task }, "the interactions are of 80"),
        (vec![], Task { items: Some(&none), ..task }, "name one at least"),
        (vec![], Task { interactions: &lone, ..task }, "needs 2 at least"),
        (vec![("n", "3")], task, "at most 2"),
        (vec![("temperature", "0")], task, "temperature"),
        (vec![("batch", "1")], task, "batch"),
        (vec![("regulariser", "feature-dropout"), ("alpha", "1")], task, "below 1"),
        (vec![("regulariser", "mask")], task, "rfm-any"),
    ] {
        let params: Params = params.into_iter().collect();
        let found = build("ssl-item-recommendation", &params).and_then(|m| m.fit(&task, Seed(0), &Silent));
        assert!(error(found).contains(part), "{part}");
    }
    assert!(error(build("ease", &Params::from([("lambda", "0")]))).contains("lambda"));
    assert!(error(build("eas", &Params::none())).contains("ease"));
}
