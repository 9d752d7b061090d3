//! `order` and `compare`.

use crate::common::{Folder, train_csv};
use std::collections::HashSet;
use std::fs;

#[test]
fn order_writes_epochs_of_row_numbers() {
    let folder = Folder::new("order");
    let said =
        folder.ok("quadrat order --rows 1000000 --method rs2 --fraction 10% --epochs 3 --seed 1 --out order.npy");
    assert!(said.contains("3 epochs of 100,000 of 1,000,000 rows"), "{said}");
    let bytes = fs::read(folder.path("order.npy")).unwrap();
    assert_eq!(bytes.len() % 64, (3 * 100_000 * 4) % 64);
    assert!(String::from_utf8_lossy(&bytes[..128]).contains("'<u4', 'fortran_order': False, 'shape': (3, 100000)"));
    let rows: Vec<u32> =
        bytes[bytes.len() - 1_200_000..].chunks(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect();
    assert!(rows.iter().all(|row| *row < 1_000_000));
    assert_eq!(rows.iter().collect::<HashSet<_>>().len(), 300_000, "no row twice before all came once");
}

#[test]
fn an_order_goes_on_from_its_state() {
    let folder = Folder::new("order-state");
    folder.ok("quadrat order --rows 50 --fraction 20 --epochs 6 --seed 3 --out whole.txt");
    let part = "quadrat order --rows 50 --fraction 20 --epochs 3 --seed 3 --state state.json";
    let parts = folder.ok(part) + &folder.ok(part);
    assert_eq!(parts.split_whitespace().collect::<Vec<_>>(), folder.read("whole.txt").lines().collect::<Vec<_>>());
    let error = folder.fails("quadrat order --rows 51 --fraction 20 --seed 3 --state state.json");
    assert!(error.contains("state.json") && error.contains("50 rows"), "{error}");
}

#[test]
fn a_stratified_order_keeps_the_shares() {
    let folder = Folder::new("order-strata");
    folder.write("train.csv", &train_csv(50));
    folder.ok("quadrat order --in train.csv --target label --draw stratified --fraction 20% --epochs 2 --out o.txt");
    assert_eq!(folder.read("o.txt").lines().count(), 20);
    for (line, part) in [
        ("quadrat order --rows 50 --draw stratified --fraction 20% --out x.txt", "class"),
        ("quadrat order --rows 50 --draw sideways --fraction 20% --out x.txt", "stratified"),
        ("quadrat order --rows 50 --fraction 120% --out x.txt", "1 to 50"),
        ("quadrat order --rows 50 --fraction 5 --out x.csv", ".npy or .txt"),
        ("quadrat order --rows 50 --fraction 5 --epochs 0 --out x.txt", "at least 1"),
        ("quadrat order --rows 50 --method smote --fraction 5 --out x.txt", "quadrat balance"),
    ] {
        let message = folder.fails(line);
        assert!(message.contains(part), "{line}\n{message}");
    }
}

#[test]
fn compare_hears_selectors_and_goes_on() {
    let folder = Folder::new("compare");
    let line = "quadrat compare --in builtin:iris --target class --budgets 9,10% --seeds 3 --visits 2000 \
                --methods random,k-center,top-score --state heard.json --report r.html --json";
    let first = folder.json(line);
    let at = |place: usize| first["budgets"][place]["methods"].as_array().unwrap().clone();
    assert_eq!((&first["pool"], first["budgets"][1]["rows"].as_u64()), (&120.into(), Some(12)));
    let methods: HashSet<String> = at(0).iter().map(|m| m["method"].as_str().unwrap().to_owned()).collect();
    assert_eq!(methods, ["random", "k-center", "top-score", "rs2"].map(str::to_owned).into());
    let refused = at(0).into_iter().find(|m| m["method"] == "top-score").unwrap();
    assert!(refused["refused"].as_str().unwrap().contains("scores") && refused["accuracy"].is_null());
    let verdict = first["budgets"][0]["verdict"].as_str().unwrap();
    assert!(["Better than", "No better than", "Undecided: "].iter().any(|word| verdict.contains(word)), "{verdict}");
    assert!(!verdict.contains("Random wins"), "{verdict}");
    let heard = at(0).into_iter().find(|m| m["method"] == "k-center").unwrap();
    let rulings = ["better", "worse", "no_better", "undecided"];
    assert!(rulings.contains(&heard["ruling"].as_str().unwrap()) && heard["resolution"].as_f64().unwrap() > 0.0);
    assert!(at(0).into_iter().find(|m| m["method"] == "random").unwrap()["ruling"].is_null());
    assert_eq!(folder.json(line), first, "all was heard before, seconds included");
    assert!(folder.read("r.html").contains("<svg"));

    let other = line.replace("--visits 2000", "--visits 3000");
    let output = folder.run(&other);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("visits"));
    for (line, part) in [
        ("quadrat compare --in builtin:iris", "--target"),
        ("quadrat compare --in builtin:iris --target class --budgets 121", "1 to 120"),
        ("quadrat compare --in builtin:iris --target class --seeds 1", "repetitions"),
        ("quadrat compare --in builtin:iris --target class --test-share 1", "test share"),
        ("quadrat compare --in builtin:iris --target class --margin 100", "margin"),
        ("quadrat compare --in builtin:iris --target class --methods k-centre", "`k-center`"),
    ] {
        let message = folder.fails(line);
        assert!(message.contains(part), "{line}\n{message}");
    }
}
