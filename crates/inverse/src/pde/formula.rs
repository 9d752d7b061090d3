//! Expressions whose names have a meaning, and their values at many points at once.
//!
//! What depends on coordinates alone is computed in double precision on plain numbers; what depends on the unknown function, on
//! tensors that can be differentiated. An operation of both goes over to tensors.

use super::expression::{Expression, wrong};
use ndarray::ArrayView2;
use quadrat_core::{Result, nearest};
use quadrat_nn::{Tensor, tensor_of};

/// The unknown function or one of its derivatives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Term {
    /// u.
    Value,
    /// Its derivative by a coordinate.
    Slope(usize),
    /// Its second derivative by two coordinates, the lower number first.
    Second(usize, usize),
    /// The sum of its second derivatives by each coordinate.
    Laplacian,
    /// Its derivative along the outward normal, on the boundary.
    Normal,
}

/// An expression of coordinates and the unknown function.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Formula {
    Number(f64),
    Coordinate(usize),
    Term(Term),
    Call(&'static Function, Box<Formula>),
    Minus(Box<Formula>),
    Pair(char, Box<Formula>, Box<Formula>),
}

/// A function of one number, on both kinds of numbers.
pub(crate) struct Function {
    name: &'static str,
    plain: fn(f64) -> f64,
    graph: fn(Tensor<2>) -> Tensor<2>,
}

#[cfg(test)]
impl Function {
    pub(super) fn plain(&self, v: f64) -> f64 {
        (self.plain)(v)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const FUNCTIONS: &[Function] = &[
    Function { name: "sin", plain: f64::sin, graph: Tensor::sin },
    Function { name: "cos", plain: f64::cos, graph: Tensor::cos },
    Function { name: "tan", plain: f64::tan, graph: |x| x.clone().sin() / x.cos() },
    Function { name: "sinh", plain: f64::sinh, graph: |x| (x.clone().exp() - x.neg().exp()) * 0.5 },
    Function { name: "cosh", plain: f64::cosh, graph: |x| (x.clone().exp() + x.neg().exp()) * 0.5 },
    Function { name: "tanh", plain: f64::tanh, graph: Tensor::tanh },
    Function { name: "exp", plain: f64::exp, graph: Tensor::exp },
    Function { name: "ln", plain: f64::ln, graph: Tensor::log },
    Function { name: "log", plain: f64::ln, graph: Tensor::log },
    Function { name: "log10", plain: f64::log10, graph: |x| x.log() * std::f32::consts::LOG10_E },
    Function { name: "sqrt", plain: f64::sqrt, graph: Tensor::sqrt },
    Function { name: "abs", plain: f64::abs, graph: Tensor::abs },
];

/// What names mean.
pub(crate) struct Scope<'a> {
    /// The coordinates.
    pub coordinates: &'a [String],
    /// Numbers and expressions that the file gave names.
    pub named: &'a [(String, Formula)],
    /// Whether the unknown function and its derivatives may occur; on the boundary these are u and u_n.
    pub unknown: Unknown,
}

/// Where the unknown function may occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    Inside,
    OnBoundary,
    Nowhere,
}

impl Scope<'_> {
    /// The expression with the meaning of its names; `what` and `text` are for the error.
    pub fn resolve(&self, what: &str, text: &str, expression: &Expression) -> Result<Formula> {
        let inner = |e: &Expression| self.resolve(what, text, e).map(Box::new);
        Ok(match expression {
            Expression::Number(v) => Formula::Number(*v),
            Expression::Minus(of) => Formula::Minus(inner(of)?),
            Expression::Pair(operator, a, b) => Formula::Pair(*operator, inner(a)?, inner(b)?),
            Expression::Name(name, place) => self.name(name).ok_or_else(|| {
                let near = nearest(name, self.names().iter().map(String::as_str)).join(", ");
                wrong(what, text, *place, &format!("an unknown name `{name}`"), &format!("near it are {near}"))
            })?,
            Expression::Call(name, place, arguments) => {
                if name == "laplacian" {
                    let of_u = matches!(&arguments[..], [Expression::Name(u, _)] if u == "u");
                    if of_u && self.unknown == Unknown::Inside {
                        return Ok(Formula::Term(Term::Laplacian));
                    }
                    let got = "a Laplacian here";
                    return Err(wrong(
                        what,
                        text,
                        *place,
                        got,
                        "it is known of u alone, in the equation: laplacian(u)",
                    ));
                }
                let Some(function) = FUNCTIONS.iter().find(|function| function.name == name) else {
                    let all = FUNCTIONS.iter().map(|function| function.name).chain(["laplacian"]);
                    let want = format!("known are {}", all.collect::<Vec<_>>().join(", "));
                    return Err(wrong(what, text, *place, &format!("an unknown function `{name}`"), &want));
                };
                let [of] = &arguments[..] else {
                    let got = format!("{} arguments of `{name}`", arguments.len());
                    return Err(wrong(what, text, *place, &got, "one"));
                };
                Formula::Call(function, inner(of)?)
            }
        })
    }

    fn name(&self, name: &str) -> Option<Formula> {
        if let Some(k) = self.coordinates.iter().position(|coordinate| coordinate == name) {
            return Some(Formula::Coordinate(k));
        }
        if let Some((_, formula)) = self.named.iter().find(|(own, _)| own == name) {
            return Some(formula.clone());
        }
        if let Some(term) = self.term(name) {
            return Some(Formula::Term(term));
        }
        match name {
            "pi" | "PI" | "π" => Some(Formula::Number(std::f64::consts::PI)),
            "e" => Some(Formula::Number(std::f64::consts::E)),
            _ => None,
        }
    }

    /// `u`, `u_x`, `u_xy`; on the boundary `u` and `u_n`.
    fn term(&self, name: &str) -> Option<Term> {
        match (self.unknown, name) {
            (Unknown::Nowhere, _) => return None,
            (_, "u") => return Some(Term::Value),
            (Unknown::OnBoundary, "u_n") => return Some(Term::Normal),
            (Unknown::OnBoundary, _) => return None,
            (Unknown::Inside, _) => (),
        }
        let by = name.strip_prefix("u_")?;
        let axis = |name: &str| self.coordinates.iter().position(|coordinate| coordinate == name);
        if let Some(k) = axis(by) {
            return Some(Term::Slope(k));
        }
        let parts = by.char_indices().skip(1).map(|(at, _)| by.split_at(at));
        parts.filter_map(|(a, b)| axis(a).zip(axis(b))).map(|(a, b)| Term::Second(a.min(b), a.max(b))).next()
    }

    /// All names, for a hint.
    fn names(&self) -> Vec<String> {
        let own = self.coordinates.iter().cloned().chain(self.named.iter().map(|(name, _)| name.clone()));
        let more: Vec<String> = match self.unknown {
            Unknown::Inside => {
                let slopes = self.coordinates.iter().flat_map(|x| [format!("u_{x}"), format!("u_{x}{x}")]);
                slopes.chain(["u".to_owned(), "laplacian(u)".to_owned()]).collect()
            }
            Unknown::OnBoundary => vec!["u".to_owned(), "u_n".to_owned()],
            Unknown::Nowhere => Vec::new(),
        };
        own.chain(more).chain(["pi".to_owned(), "e".to_owned()]).collect()
    }
}

/// Values at many points.
// A handful of these are alive at a time: a box for each would cost more than it saves.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// One number for each point.
    Plain(Vec<f64>),
    /// The same as a tensor, points x 1.
    Graph(Tensor<2>),
}

impl Formula {
    /// The terms of the unknown function that it needs.
    pub fn terms(&self, found: &mut Vec<Term>) {
        match self {
            Formula::Term(term) if !found.contains(term) => found.push(*term),
            Formula::Call(_, of) | Formula::Minus(of) => of.terms(found),
            Formula::Pair(_, a, b) => {
                a.terms(found);
                b.terms(found);
            }
            _ => (),
        }
    }

    /// Its values at points (rows), where the unknown function's terms are what `terms` says.
    pub fn at(&self, x: ArrayView2<f32>, terms: &dyn Fn(Term) -> Value) -> Value {
        match self {
            Formula::Number(v) => Value::Plain(vec![*v; x.nrows()]),
            Formula::Coordinate(k) => Value::Plain(x.column(*k).iter().map(|v| f64::from(*v)).collect()),
            Formula::Term(term) => terms(*term),
            Formula::Minus(of) => of.at(x, terms).map(|v| -v, Tensor::neg),
            Formula::Call(function, of) => of.at(x, terms).map(function.plain, function.graph),
            Formula::Pair('^', a, b) => match (a.at(x, terms), &**b) {
                (Value::Graph(a), Formula::Number(b)) if b.fract() == 0.0 && b.abs() < 64.0 => {
                    Value::Graph(a.powi_scalar(*b as i32))
                }
                (Value::Graph(a), Formula::Number(b)) => Value::Graph(a.powf_scalar(*b as f32)),
                (a, b) => a.with(b.at(x, terms), f64::powf, |a, b| (b * a.log()).exp()),
            },
            Formula::Pair(operator, a, b) => {
                let (a, b) = (a.at(x, terms), b.at(x, terms));
                match operator {
                    '+' => a.with(b, |a, b| a + b, |a, b| a + b),
                    '-' => a.with(b, |a, b| a - b, |a, b| a - b),
                    '*' => a.with(b, |a, b| a * b, |a, b| a * b),
                    _ => a.with(b, |a, b| a / b, |a, b| a / b),
                }
            }
        }
    }

    /// Its values at points of a formula without the unknown function, which is 0 elsewhere.
    pub fn plain(&self, x: ArrayView2<f32>) -> Vec<f64> {
        self.at(x, &|_| Value::Plain(vec![0.0; x.nrows()])).plain()
    }
}

impl Value {
    fn map(self, plain: fn(f64) -> f64, graph: fn(Tensor<2>) -> Tensor<2>) -> Value {
        match self {
            Value::Plain(v) => Value::Plain(v.into_iter().map(plain).collect()),
            Value::Graph(t) => Value::Graph(graph(t)),
        }
    }

    fn with(self, other: Value, plain: fn(f64, f64) -> f64, graph: fn(Tensor<2>, Tensor<2>) -> Tensor<2>) -> Value {
        match (self, other) {
            (Value::Plain(a), Value::Plain(b)) => Value::Plain(a.iter().zip(&b).map(|(a, b)| plain(*a, *b)).collect()),
            (Value::Plain(a), Value::Graph(b)) => Value::Graph(graph(column(&a, &b), b)),
            (Value::Graph(a), Value::Plain(b)) => {
                let b = column(&b, &a);
                Value::Graph(graph(a, b))
            }
            (Value::Graph(a), Value::Graph(b)) => Value::Graph(graph(a, b)),
        }
    }

    /// As plain numbers; none of a tensor.
    pub fn plain(self) -> Vec<f64> {
        match self {
            Value::Plain(v) => v,
            Value::Graph(_) => Vec::new(),
        }
    }

    /// As a tensor beside `like`.
    pub fn graph(self, like: &Tensor<2>) -> Tensor<2> {
        match self {
            Value::Plain(v) => column(&v, like),
            Value::Graph(t) => t,
        }
    }
}

/// Numbers as a column beside a tensor.
pub(crate) fn column(values: &[f64], like: &Tensor<2>) -> Tensor<2> {
    let single: Vec<f32> = values.iter().map(|v| *v as f32).collect();
    match ArrayView2::from_shape((single.len(), 1), &single) {
        Ok(rows) => tensor_of(rows, like.is_autodiff()),
        Err(_) => like.zeros_like(),
    }
}
