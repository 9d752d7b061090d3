use super::*;
use ndarray::{array, s};
use proptest::prelude::*;

fn random(rows: usize, columns: usize, seed: u64) -> Array2<f64> {
    let mut rng = Seed(seed).rng(0);
    Array2::from_shape_simple_fn((rows, columns), || rng.normal())
}

/// One of each kind.
fn all(seed: u64) -> Vec<(&'static str, Box<dyn LinearOp>)> {
    let shape = [2, 6, 4];
    let chain: Vec<Box<dyn LinearOp>> = vec![
        Box::new(Separable::blur(shape, 0.8).unwrap()),
        Box::new(Separable::downsample(shape, 2).unwrap()),
        Box::new(Mask::new(12, vec![11, 0, 3]).unwrap()),
    ];
    let matrix = random(5, 7, seed);
    let of = matrix.clone();
    vec![
        ("matrix", Box::new(Matrix::new(matrix.clone()).unwrap()) as Box<dyn LinearOp>),
        ("wide blur", Box::new(Separable::blur([1, 3, 5], 30.0).unwrap())),
        ("blur", Box::new(Separable::blur(shape, 1.2).unwrap())),
        ("downsample", Box::new(Separable::downsample(shape, 2).unwrap())),
        ("mask", Box::new(Mask::new(9, vec![4, 1, 8]).unwrap())),
        ("composed", Box::new(Composed::new(chain).unwrap())),
        ("closures", Box::new(operator_fn(7, 5, move |x| Ok(x.dot(&matrix.t())), move |y| Ok(y.dot(&of))))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn adjoints_are_adjoint(seed in 0u64..1 << 40) {
        for (name, op) in all(seed) {
            let (x, u) = (random(3, op.inputs(), seed + 1), random(3, op.outputs(), seed + 2));
            let (y, back) = (op.forward(x.view()).unwrap(), op.adjoint(u.view()).unwrap());
            prop_assert_eq!((y.dim(), back.dim()), (u.dim(), x.dim()));
            for i in 0..3 {
                let (left, right) = (y.row(i).dot(&u.row(i)), x.row(i).dot(&back.row(i)));
                prop_assert!((left - right).abs() < 1e-12 * (1.0 + left.abs()) * 50.0, "{name}: {left} and {right}");
            }
            check_operator(op.as_ref()).unwrap();
        }
    }

    /// The norm is the largest singular value of the matrix that the operator is, and A⁺ satisfies Penrose's equations.
    #[test]
    fn norms_and_pseudo_inverses_are_those_of_the_matrix(seed in 0u64..1 << 40) {
        for (name, op) in all(seed) {
            let matrix = op.forward(Array2::eye(op.inputs()).view()).unwrap().reversed_axes();
            let (values, _) = crate::linalg::symmetric_eigen(matrix.dot(&matrix.t()).view()).unwrap();
            let norm = op.norm().unwrap();
            prop_assert!((norm / values[0].sqrt() - 1.0).abs() < 2e-3, "{name}: {norm}, not {}", values[0].sqrt());
            prop_assert!(norm <= values[0].sqrt() * (1.0 + 1e-12));
            // Blurs multiply rounding by the inverse of their least singular value.
            if !name.contains("blur") {
                let y = random(2, op.outputs(), seed + 3);
                let x = op.pseudo_inverse(y.view()).unwrap();
                let again = op.pseudo_inverse(op.forward(x.view()).unwrap().view()).unwrap();
                let off = lengths((&again - &x).view()).sum() / (1.0 + lengths(x.view()).sum());
                prop_assert!(off < 1e-6, "{name}: A⁺ A A⁺ differs by {off}");
                let slope = op.adjoint((&y - &op.forward(x.view()).unwrap()).view()).unwrap();
                prop_assert!(lengths(slope.view()).sum() < 1e-6 * lengths(y.view()).sum(), "{name}: not the nearest");
            }
        }
    }
}

#[test]
fn blocks_are_averaged_and_blurs_keep_what_is_even() {
    let image = Array2::from_shape_fn((1, 16), |(_, j)| j as f64);
    let half = Separable::downsample([1, 4, 4], 2).unwrap();
    assert_eq!(half.forward(image.view()).unwrap(), array![[2.5, 4.5, 10.5, 12.5]]);
    // A⁺ repeats the mean; Aᵀ alone is a quarter of that.
    assert!((half.pseudo_inverse(array![[4.0, 0.0, 0.0, 0.0]].view()).unwrap()[[0, 5]] - 4.0).abs() < 1e-12);
    assert!((half.norm().unwrap() - 0.5).abs() < 1e-9);
    let blur = Separable::blur([1, 4, 4], 1.5).unwrap();
    let even = blur.forward(Array2::ones((1, 16)).view()).unwrap();
    assert!(even.iter().all(|v| (v - 1.0).abs() < 1e-12));
    assert!((blur.forward(image.view()).unwrap().sum() - image.sum()).abs() < 1e-9);
}

#[test]
fn least_squares_stops_at_the_misfit() {
    let blur = Separable::blur([1, 8, 8], 1.5).unwrap();
    let x = random(2, 64, 1);
    let y = blur.forward(x.view()).unwrap() + 0.1 * random(2, 64, 2);
    let found = least_squares(&blur, y.view(), 0.8).unwrap();
    let off = lengths((&y - &blur.forward(found.view()).unwrap()).view());
    assert!(off.iter().all(|v| *v <= 0.8));
    let whole = lengths(least_squares(&blur, y.view(), 0.0).unwrap().view());
    let short = lengths(found.view());
    assert!((0..2).all(|i| short[i] < 30.0 && whole[i] > 3.0 * short[i]), "{short} beside {whole}");
    // Rows do not depend on each other, and 0 stays 0.
    let one = least_squares(&blur, y.slice(s![1.., ..]), 0.8).unwrap();
    assert_eq!(one.row(0), found.row(1));
    assert_eq!(least_squares(&blur, Array2::zeros((1, 64)).view(), 0.0).unwrap().sum(), 0.0);
}

#[test]
fn what_is_no_operator_is_refused() {
    assert!(Matrix::new(Array2::zeros((0, 3))).is_err());
    assert!(Matrix::new(array![[1.0, f64::NAN]]).is_err());
    for kept in [vec![], vec![3], vec![0, 0]] {
        assert!(Mask::new(3, kept).is_err());
    }
    let said = Separable::downsample([1, 27, 28], 4).unwrap_err().to_string();
    assert!(said.contains("28, the nearest"), "{said}");
    assert!(Separable::downsample([1, 4, 4], 0).is_err());
    assert!(Separable::downsample([0, 4, 4], 2).is_err());
    for deviation in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Separable::blur([1, 4, 4], deviation).is_err());
    }
    assert!(Composed::new(vec![]).is_err());
    let two = || Box::new(Mask::new(3, vec![0, 1]).unwrap()) as Box<dyn LinearOp>;
    assert!(Composed::new(vec![two(), two()]).is_err());
    for (_, op) in all(1) {
        assert!(op.forward(Array2::zeros((1, op.inputs() + 1)).view()).is_err());
        assert!(op.adjoint(Array2::zeros((1, op.outputs() + 1)).view()).is_err());
        assert_eq!(op.forward(Array2::zeros((0, op.inputs())).view()).unwrap().dim(), (0, op.outputs()));
    }
    type Map = fn(ArrayView2<f64>) -> Result<Array2<f64>>;
    let wrong: [(&str, Map, Map); 4] = [
        ("adjoint", |x| Ok(2.0 * &x), |y| Ok(y.to_owned())),
        ("linear", |x| Ok(&x + 1.0), |y| Ok(y.to_owned())),
        ("1 x 2", |x| Ok(x.to_owned()), |_| Ok(Array2::zeros((1, 1)))),
        ("finite", |x| Ok(&x * f64::NAN), |y| Ok(y.to_owned())),
    ];
    for (says, forward, adjoint) in wrong {
        let op = operator_fn(2, 2, forward, adjoint);
        let said = check_operator(&op).unwrap_err().to_string();
        assert!(said.contains(says) || (says == "1 x 2" && said.contains("2 x 2")), "{said}");
    }
    assert!(check_operator(&operator_fn(0, 2, |x| Ok(x.to_owned()), |y| Ok(y.to_owned()))).is_err());
}
