//! `estimate inductive-bias`.

use crate::common::{Folder, Numbers, train_csv};

/// `y` is a smooth function of two of three columns.
fn regression_csv(rows: usize, seed: u64) -> String {
    let mut numbers = Numbers::new(seed);
    let mut text = String::from("name,a,b,c,y\n");
    for i in 0..rows {
        let (a, b, c) = (numbers.next(), numbers.next(), numbers.next());
        text.push_str(&format!("r{i},{a:.6},{b:.6},{c:.6},{:.6}\n", 100.0 * (3.0 * a + b).sin()));
    }
    text
}

#[test]
fn the_line_of_the_guide_works_and_repeats() {
    let folder = Folder::new("bias");
    folder.write("train.csv", &regression_csv(160, 5));
    let line = "quadrat estimate inductive-bias --in train.csv --target y --space kernel:rbf --json";
    let first = folder.json(line);
    let bias = &first["bias"][0];
    let at = |place: usize| bias["interval"][place].as_f64().unwrap();
    let value = bias["value"].as_f64().unwrap();
    assert!(at(0) <= value && value <= at(1) && value > 0.0, "{first}");
    assert_eq!((first["task"].as_str(), first["splits"].as_u64()), (Some("regression"), Some(5)));
    assert_eq!((&first["rows"]["train"], &first["rows"]["test"]), (&120.into(), &40.into()));
    assert_eq!(bias["eps"], first["reference_error"]);
    assert!(first["training_error"].as_f64().unwrap() < 1.0, "of a variance of thousands");
    assert_eq!(first["columns"]["left_out"].as_array().unwrap().len(), 1, "{first}");
    let again = folder.json(&format!("{line} --threads 1"));
    assert_eq!(again["bias"], first["bias"]);
    // Errors are in the target's units: the unit of the target does not matter.
    let eps = bias["eps"].as_f64().unwrap();
    let lower = folder.json(&format!("{line} --eps {},{eps} --unit nats", 0.1 * eps));
    let nats = |place: usize| lower["bias"][place]["value"].as_f64().unwrap();
    assert!(nats(0) > nats(1) && (nats(1) / value - std::f64::consts::LN_2).abs() < 1e-9);
}

#[test]
fn spaces_and_fits_are_compared_on_a_test_file() {
    let folder = Folder::new("bias-test");
    let all = train_csv(150);
    let lines: Vec<&str> = all.lines().collect();
    folder.write("train.csv", &lines[..91].join("\n"));
    folder.write("test.csv", &[&lines[..1], &lines[91..]].concat().join("\n"));
    let line = "quadrat estimate inductive-bias --in train.csv --test test.csv --target label --eps 0.002 --json";
    let exact = folder.json(line);
    assert_eq!(exact["classes"].as_array().unwrap().len(), 2);
    assert!(exact["bias"][0]["interval"].is_null(), "nothing is sampled: {exact}");
    let fitted = folder.json(&format!("{line} --fit ncx2 --samples 2000"));
    assert_eq!(fitted["bias"][0]["laws"][0]["law"], "ncx2");
    assert!(fitted["bias"][0]["interval"][0].is_number() && fitted["bias"][0]["ks_distance"][0].is_number());
    let (a, b) = (&exact["bias"][0]["value"], &fitted["bias"][0]["value"]);
    let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
    assert!((a - b).abs() < 0.5 * a.max(1.0), "{a} {b}");
    let linear = folder.json(&format!("{line} --space kernel:linear"));
    assert!(linear["noise"].as_f64().unwrap() > 0.0 && linear["sigma"].is_null());
    let few = folder.json(&format!("{line} --max-rows 40"));
    assert!(few["notes"].to_string().contains("of 90 training rows a random 40 are used"), "{few}");
    let network = folder.json(&format!("{line} --space network:8 --samples 50 --epochs 5"));
    assert!(network["bias"][0]["value"].is_number() && network["splits"] == 1, "{network}");
}

#[test]
fn a_curve_goes_into_the_report() {
    let folder = Folder::new("bias-report");
    let said = folder.ok(
        "quadrat estimate inductive-bias --in builtin:iris --target class --eps 0.02,0.05,0.1 --repeats 2 --report r.html",
    );
    assert!(said.contains("bits") && said.contains("3 classes") && said.contains("wrote r.html"), "{said}");
    assert!(folder.read("r.html").contains("<svg"));
    assert!(folder.ok("quadrat show inductive-bias").contains("quadrat estimate"));
}

/// Smooth functions that go through all training rows of irises cannot but err at others.
#[test]
fn a_figure_beyond_all_digits_is_called_out() {
    let folder = Folder::new("bias-artefact");
    let line = "quadrat estimate inductive-bias --in builtin:iris --target class --repeats 2 --json";
    let stiff = folder.json(line);
    assert!(stiff["notes"].to_string().contains("out of reach of this space"), "{stiff}");
    let noisy = folder.json(&format!("{line} --noise 0.1"));
    assert!(!noisy["notes"].to_string().contains("out of reach"), "{noisy}");
}

#[test]
fn what_does_not_fit_is_said() {
    let folder = Folder::new("bias-errors");
    folder.write("train.csv", &train_csv(40));
    folder.write("other.csv", "width,height,label\n1,2,unheard\n");
    folder.write("flat.csv", "a,y\n1,2.5\n2,2.5\n3,2.5\n4,2.5\n5,2.5\n");
    folder.write("hole.csv", "a,y\n1,2.5\n,2.5\n3,0.5\n4,1.5\n5,2.5\n");
    folder.write("words.csv", "a,y\nx,2.5\ny,2.5\nz,0.5\nu,1.5\nv,2.5\n");
    folder.write("small.csv", "a,y\n1,2.5\n2,3.5\n");
    let verb = "quadrat estimate inductive-bias";
    for (rest, part) in [
        ("--in train.csv --target nothing", "nothing"),
        ("--in train.csv --target label --space kernel:cubic", "kernel:linear"),
        ("--in train.csv --target label --fit chi", "ncx2"),
        ("--in train.csv --target label --space network --fit exact", "ncx2"),
        ("--in train.csv --target label --space network --sigma 1", "kernel:rbf"),
        ("--in train.csv --target label --samples 100", "exact route"),
        ("--in train.csv --target label --fit ncx2 --samples 10", "50 or more"),
        ("--in train.csv --target label --eps 0", "above 0"),
        ("--in train.csv --target label --eps 0.1,NaN", "above 0"),
        ("--in train.csv --target label --sigma -1", "sigma"),
        ("--in train.csv --target label --sigma 0", "sigma"),
        ("--in train.csv --target label --repeats 0", "--repeats"),
        ("--in train.csv --target label --test-share 1", "share"),
        ("--in train.csv --target label --test other.csv", "unheard"),
        ("--in train.csv --target label --features label", "target"),
        ("--in train.csv --target label --report .", "file"),
        ("--in flat.csv --target y", "does not vary"),
        ("--in hole.csv --target y", "missing"),
        ("--in words.csv --target y", "numeric"),
        ("--in small.csv --target y", "at least 3"),
        ("--in absent.csv --target y", "absent.csv"),
    ] {
        let message = folder.fails(&format!("{verb} {rest}"));
        assert!(message.contains(part), "{rest}\n{message}");
    }
}
