//! What is learnt.

use super::*;

fn quality(shop: &Shop, method: &dyn Recommender) -> f64 {
    let (train, test) = hold_out(&shop.log, 0.3, Seed(1)).unwrap();
    let task = Task { interactions: &train, ..shop.task() };
    let trained = method.fit(&task, Seed(2), &Silent).unwrap();
    let found = Quality::of(&trained.model, &train, &test, &slices(&train), &Silent).unwrap();
    assert_eq!(found.len(), 4);
    if let (Some(first), Some(last)) = (trained.losses.first(), trained.losses.last()) {
        assert!(last < first, "{:?}", trained.losses);
    }
    found[3].ndcg_at_20
}

#[test]
fn what_was_held_back_is_found() {
    let shop = Shop::new();
    let popular = quality(&shop, &Popularity {});
    for regulariser in REGULARISERS {
        let alpha = if regulariser == Regulariser::FeatureDropout { 0.2 } else { 0.1 };
        for log_q in [false, true] {
            let method = SslItems { regulariser, alpha, log_q, epochs: 30, ..SHORT() };
            let found = quality(&shop, &method);
            assert!(found > popular + 0.1, "{regulariser:?}, {log_q}: {found} {popular}");
        }
    }
    for method in [&Ease { lambda: 5.0 } as &dyn Recommender, &ItemKnn::default()] {
        let found = quality(&shop, method);
        assert!(found > popular + 0.1, "{}: {found} {popular}", method.card().slug);
    }
}

/// Features of users tell them apart where their numbers have not been seen often enough.
#[test]
fn numbers_and_features_of_users_are_read() {
    let shop = Shop::new();
    let users = Features::new(80, vec![Field::of("likes", (0..80).map(|u| [(u % 4).to_string()]))], None).unwrap();
    let dense = Array2::from_shape_fn((60, 2), |(i, j)| (i * (j + 1)) as f64);
    let items = Features::new(60, shop.items.fields().to_vec(), Some(dense)).unwrap();
    let task = Task { users: Some(&users), items: Some(&items), ..shop.task() };
    let fit = |task: &Task| SslItems { alpha: 0.1, ..SHORT() }.fit(task, Seed(1), &Silent).unwrap();
    let (with, without) = (fit(&task), fit(&Task { users: None, ..task }));
    assert!(with.losses[3] < without.losses[3], "{:?} {:?}", with.losses, without.losses);
}

#[test]
fn bits_do_not_depend_on_threads() {
    let shop = Shop::new();
    let run = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let fit = |method: &dyn Recommender| method.fit(&shop.task(), Seed(seed), &Silent).unwrap();
            let mut all: Vec<Trained> =
                REGULARISERS.map(|regulariser| fit(&SslItems { regulariser, ..SHORT() })).into();
            all.extend([fit(&Ease::default()), fit(&ItemKnn::default()), fit(&Popularity {})]);
            all
        })
    };
    assert!(run(1, 4) == run(2, 4));
    assert!(run(1, 4) != run(1, 5));
}

#[test]
fn what_says_nothing_is_told() {
    let mut shop = Shop::new();
    let mut fields = shop.items.fields().to_vec();
    fields.push(Field::of("shop", (0..60).map(|_| ["here"])));
    fields.push(Field::of("award", (0..60).map(|i| if i == 0 { vec!["best"] } else { vec![] })));
    shop.items = Features::new(60, fields[4..].to_vec(), None).unwrap();
    let notes = SslItems { epochs: 1, ..SHORT() }.fit(&shop.task(), Seed(1), &Silent).unwrap().notes;
    assert!(notes[0].contains("`shop` is the same"), "{notes:?}");
    assert!(notes[1].contains("showed nothing"), "{notes:?}");
}
