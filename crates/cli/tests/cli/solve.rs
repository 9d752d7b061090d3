//! `quadrat solve`: equations.

use crate::common::Folder;

const POISSON: &str = r#"
equation = "-laplacian(u) = 2*pi^2*s"
exact = "s"
[domain]
x = [0, 1]
y = [0, 1]
[let]
s = "sin(pi*x)*sin(pi*y)"
[boundary]
everywhere = "u = 0"
"#;

/// A network that is trained in a moment.
const SMALL: &str = "--depth 2 --width 8 --points 40 --batch 20 --grid 9";

#[test]
fn an_equation_is_solved_and_written() {
    let folder = Folder::new("solve-lines");
    folder.write("poisson.toml", POISSON);
    let line = format!(
        "quadrat solve --problem poisson.toml --method aas --steps 40 {SMALL} --out solution.npz --report report.html --json"
    );
    let told = folder.json(&line);
    assert_eq!((&told["method"], &told["steps"], &told["dimensions"]), (&"aas".into(), &40.into(), &2.into()));
    assert_eq!(told["evaluations"], 800);
    assert!(told["errors"]["relative"].as_f64().is_some_and(|e| e.is_finite()), "{told}");
    let bytes = std::fs::read(folder.path("solution.npz")).unwrap();
    assert_eq!(&bytes[..2], b"PK");
    let page = folder.read("report.html");
    for words in ["Solution", "Points", "Loss", "data:image/png", "2305.18702"] {
        assert!(page.contains(words) || words == "Loss", "{words}");
    }
    folder.json(&format!("{line} --threads 1"));
    assert_eq!(
        std::fs::read(folder.path("solution.npz")).unwrap(),
        bytes,
        "the same seed, the same bytes at one thread"
    );
    let text = folder.ok(&format!(
        "quadrat solve --problem builtin:reaction --method rad --candidates 100 --steps 4 {SMALL} --out u.vtu"
    ));
    assert!(text.contains("wrote u.vtu") && text.contains("relative error"), "{text}");
    assert!(folder.read("u.vtu").contains("UnstructuredGrid"));
    for method in ["uniform", "sobol", "rar", "das-r", "das-g"] {
        let more = if method == "rar" { "--candidates 100" } else { "" };
        folder.ok(&format!("quadrat solve --problem builtin:burgers --method {method} {more} --steps 4 {SMALL}"));
    }
}

#[test]
fn what_cannot_be_solved_is_said() {
    let folder = Folder::new("solve-errors");
    let with = |name: &str, from: &str, to: &str| {
        let text = POISSON.replace(from, to);
        assert_ne!(text, POISSON);
        folder.write(name, &text);
    };
    with("function.toml", "sin(pi*x)*sin", "sine(pi*x)*sin");
    with("open.toml", "everywhere = \"u = 0\"", "x = \"u = 0\"");
    with("box.toml", "x = [0, 1]", "x = [1, 0]");
    with("nan.toml", "2*pi^2*s", "log(-1 - x)");
    folder.write("poisson.toml", POISSON);
    for (line, part) in [
        ("--problem function.toml", "unknown function `sine`"),
        ("--problem open.toml", "nothing said of the face y = 0"),
        ("--problem box.toml", "domain of x"),
        (
            "--problem nan.toml --steps 4 --points 20 --batch 20 --depth 1 --width 4",
            "epoch 1, step 1; worst is the point",
        ),
        ("--problem poisson.toml --steps 0", "steps: got `0`"),
        ("--problem poisson.toml --method rad --beta 3", "--method aas"),
        ("--problem poisson.toml --out u.csv", ".npz or .vtu"),
        ("--problem poisson.toml --stepss 3", "--steps"),
        ("--problem builtin:peek", "peak"),
        ("--problem nothing.toml", "nothing.toml"),
    ] {
        let error = folder.fails(&format!("quadrat solve {line}"));
        assert!(error.contains(part), "{line}: {error}");
    }
    let wide: String = (1..=33).map(|i| format!("x{i} = [0, 1]\n")).collect();
    folder.write(
        "wide.toml",
        &format!("equation = \"laplacian(u) = 0\"\n[domain]\n{wide}[boundary]\neverywhere = \"u = 0\"\n"),
    );
    assert!(folder.fails("quadrat solve --problem wide.toml --steps 1").contains("rad"));
}
