use super::*;
use quadrat_core::{Seed, Silent};
use std::path::PathBuf;

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("quadrat-vectors-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn setup() -> Setup {
    Setup::of(Kind::Dense { columns: 3, encoder: None })
}

/// Small whole numbers, so that scores tie.
fn vectors(rows: usize, seed: u64) -> Array2<f32> {
    let mut rng = Seed(seed).rng(0);
    Array2::from_shape_fn((rows, 3), |_| (rng.next_u64() % 5) as f32 - 2.0)
}

#[test]
fn history_leaves_no_trace() {
    let folder = folder("history");
    let mut left: Vec<(String, Vec<f32>)> = Vec::new();
    for round in 0..6_u64 {
        let mut writer = match round {
            0 => VectorWriter::create(&folder, setup()).unwrap(),
            _ => VectorWriter::open(&folder).unwrap(),
        };
        let rows = vectors(20 + 7 * round as usize, round);
        let ids: Vec<String> = (0..rows.nrows()).map(|row| format!("{round}-{row}")).collect();
        left.extend(ids.iter().cloned().zip(rows.rows().into_iter().map(|row| row.to_vec())));
        writer.add(ids, rows).unwrap();
        for at in [3, 11, 5 * round as usize] {
            let (id, _) = left.remove(at % left.len());
            assert!(writer.delete(&id).unwrap());
        }
        let index = writer.commit().unwrap();
        assert_eq!(index.len(), left.len());
        let queries = vectors(9, 99);
        let rows =
            Array2::from_shape_vec((left.len(), 3), left.iter().flat_map(|(_, row)| row.clone()).collect()).unwrap();
        let expected = dense::search(rows.view(), queries.view(), 10, None, &Silent).unwrap();
        let found = index.search(queries.view(), 10, None, &Silent).unwrap();
        let only = index.named(&left.iter().step_by(2).map(|(id, _)| id.as_str()).collect()).0;
        let half = index.search(queries.view(), 200, Some(&only), &Silent).unwrap();
        for query in 0..9 {
            let (rows, scores) = expected.of(query);
            let expected: Vec<(&str, f32)> =
                rows.iter().zip(scores).map(|(row, score)| (left[*row as usize].0.as_str(), *score)).collect();
            let named: Vec<(&str, f32)> = found[query].iter().map(|hit| (index.id(hit.document), hit.score)).collect();
            assert_eq!(named, expected, "round {round}");
            assert_eq!(half[query].len(), left.len().div_ceil(2));
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_does_not_fit_is_refused() {
    let folder = folder("wrong");
    let mut writer = VectorWriter::create(&folder, setup()).unwrap();
    let ids = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
    let mut bad = vectors(2, 1);
    bad[[1, 2]] = f32::NAN;
    for (ids, rows, part) in [
        (ids(3), vectors(2, 1), "vectors: got 2 x 3; one for each of 3 documents"),
        (ids(2), bad, "vector of `1`, column 2"),
        (vec!["a".into(), "a".into()], vectors(2, 1), "`a` twice"),
    ] {
        let error = writer.add(ids, rows).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    writer.add(ids(2), vectors(2, 1)).unwrap();
    let index = writer.commit().unwrap();
    let none = Set::none(1);
    for (columns, k, only, part) in [
        (2, 1, None, "columns of the queries"),
        (3, 0, None, "k: got 0"),
        (3, 1, Some(&none), "this index's 2 numbers"),
    ] {
        let error = index.search(Array2::zeros((1, columns)).view(), k, only, &Silent).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let error = crate::Index::open(&folder).unwrap_err().to_string();
    assert!(error.contains("this one holds vectors"), "{error}");
    let path = folder.join("000001.segment");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[70] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(VectorIndex::open(&folder).unwrap_err().to_string().contains("damaged"));
    std::fs::remove_dir_all(folder).unwrap();
}
