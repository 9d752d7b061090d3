//! Problems as files: an equation, a box, conditions on its boundary, written as they are read.
//!
//! ```toml
//! equation = "-laplacian(u) = 2*pi^2*s"   # u, u_x, u_xy, laplacian(u), coordinates, names from [let]
//! exact = "s"                             # where it is known: errors are then told
//!
//! [domain]
//! x = [0, 1]
//! y = [0, 1]
//!
//! [let]                                   # numbers and expressions by name
//! s = "sin(pi*x)*sin(pi*y)"
//!
//! [boundary]                              # a condition for each face, linear in u and u_n, the outward derivative
//! "x = 0" = "u = 0"                       # one face
//! y = "u = 0"                             # both faces of a coordinate
//! everywhere = "u = 0"                    # all others; "free" says that nothing is to hold there
//! ```

mod boundary;

use super::domain::{Domain, Face};
use super::expression::Expression;
use super::formula::{Formula, Scope, Term, Unknown, Value};
use super::{Pde, Walls, Wants};
use ndarray::{ArrayView2, Axis};
use quadrat_core::{Error, Result, Rng};
use quadrat_nn::{Jet, Tensor};
use serde::Deserialize;
use std::path::Path;

/// A problem that was read from a text.
#[derive(Debug, Clone)]
pub struct Problem {
    domain: Domain,
    residual: Formula,
    terms: Vec<Term>,
    /// The faces with a condition, and what is to be zero there.
    conditions: Vec<(Face, Formula)>,
    exact: Option<Formula>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    equation: String,
    exact: Option<String>,
    domain: toml::Table,
    #[serde(default, rename = "let")]
    named: toml::Table,
    #[serde(default)]
    boundary: toml::Table,
}

impl Problem {
    /// Reads a problem file.
    ///
    /// # Errors
    /// A file that cannot be read or is no TOML, a key that is not known, a box with a lower end that is not below the upper one, an
    /// unknown name or function (its place is pointed at), a face without a condition, a condition that is not linear in u.
    pub fn open(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        let named = |e: Error| match e {
            Error::Input { what, got, want } => Error::input(format!("{}: {what}", path.display()), got, want),
            other => other,
        };
        Problem::read(&text).map_err(named)
    }

    /// The same from a text.
    ///
    /// # Errors
    /// As [`Problem::open`].
    ///
    /// ```
    /// use quadrat_inverse::pde::{Pde, Problem};
    /// let text = "equation = 'u_xx = 2'\nexact = 'x^2'\n[domain]\nx = [0, 1]\n[boundary]\neverywhere = 'u = x'";
    /// assert_eq!(Problem::read(text)?.exact(&[0.5]), Some(0.25));
    /// let wrong = Problem::read(&text.replace("u_xx", "sine(u)")).unwrap_err().to_string();
    /// assert!(wrong.contains("unknown function `sine`"));
    /// # Ok::<(), quadrat_core::Error>(())
    /// ```
    pub fn read(text: &str) -> Result<Self> {
        let file: File = toml::from_str(text).map_err(|e| {
            Error::input("problem", e.to_string().trim_end(), "a TOML file with an equation and a [domain]")
        })?;
        let domain = read_domain(&file.domain)?;
        let names = domain.names().to_vec();
        let named = read_named(&file.named, &names)?;
        let exact =
            file.exact.map(|text| read_formula("exact", &text, &names, &named, Unknown::Nowhere)).transpose()?;
        let residual = equation("equation", &file.equation, &names, &named, Unknown::Inside)?;
        let mut terms = Vec::new();
        residual.terms(&mut terms);
        if terms.is_empty() {
            return Err(Error::input("equation", file.equation, "u or one of its derivatives in it"));
        }
        let conditions = boundary::read(&file.boundary, &domain, &named)?;
        Ok(Problem { domain, residual, terms, conditions, exact })
    }

    #[cfg(test)]
    pub(super) fn residual_formula(&self) -> &Formula {
        &self.residual
    }

    #[cfg(test)]
    pub(super) fn exact_formula(&self) -> Option<&Formula> {
        self.exact.as_ref()
    }

    /// The place of a second derivative among those asked for.
    fn second(&self, term: Term) -> usize {
        let seconds = self.terms.iter().filter(|term| matches!(term, Term::Second(..) | Term::Laplacian));
        seconds.clone().position(|other| *other == term).unwrap_or(usize::MAX)
    }
}

impl Pde for Problem {
    fn domain(&self) -> &Domain {
        &self.domain
    }

    fn wants(&self) -> Wants {
        let d = self.domain.dims();
        let sums = self.terms.iter().filter_map(|term| match term {
            Term::Second(a, b) => Some(vec![(*a, *b)]),
            Term::Laplacian => Some((0..d).map(|k| (k, k)).collect()),
            _ => None,
        });
        Wants { sums: sums.collect() }
    }

    fn residual(&self, x: ArrayView2<f32>, u: &Jet) -> Result<Tensor<2>> {
        let value = u.value();
        let terms = |term: Term| {
            Value::Graph(match term {
                Term::Value => value.clone(),
                Term::Slope(k) => u.slope(k),
                // Not in an equation.
                Term::Normal => value.zeros_like(),
                second => u.second(self.second(second)),
            })
        };
        Ok(self.residual.at(x, &terms).graph(&value))
    }

    fn boundary(&self, n: usize, rng: &mut Rng) -> Walls {
        let faces: Vec<Face> = self.conditions.iter().map(|(face, _)| *face).collect();
        let (x, normals, on) = self.domain.draw_on(&faces, n, rng);
        let mut walls = Walls { value: vec![0.0; n], slope: vec![0.0; n], wanted: vec![0.0; n], x, normals };
        for (face, (_, condition)) in self.conditions.iter().enumerate() {
            let rows: Vec<usize> = (0..n).filter(|i| on[*i] == face).collect();
            let [a, b, g] = linear(condition, walls.x.select(Axis(0), &rows).view());
            for (i, row) in rows.into_iter().enumerate() {
                (walls.value[row], walls.slope[row], walls.wanted[row]) = (a[i] as f32, b[i] as f32, g[i] as f32);
            }
        }
        walls
    }

    fn exact(&self, x: &[f64]) -> Option<f64> {
        let single: Vec<f32> = x.iter().map(|v| *v as f32).collect();
        let row = ArrayView2::from_shape((1, x.len()), &single).ok()?;
        self.exact.as_ref().and_then(|exact| exact.plain(row).first().copied())
    }
}

/// Values a, b and g of a condition a u + b u_n = g at points, from what it says of chosen u and u_n.
fn linear(condition: &Formula, x: ArrayView2<f32>) -> [Vec<f64>; 3] {
    let [none, of_u, of_slope] = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)].map(|(u, slope)| with(condition, x, u, slope));
    let less = |v: Vec<f64>| v.iter().zip(&none).map(|(v, none)| v - none).collect();
    [less(of_u), less(of_slope), none.iter().map(|v| -v).collect()]
}

/// A condition's values at points where the function is `u` and its normal derivative `slope`.
fn with(condition: &Formula, x: ArrayView2<f32>, u: f64, slope: f64) -> Vec<f64> {
    let terms = |term: Term| Value::Plain(vec![if term == Term::Value { u } else { slope }; x.nrows()]);
    condition.at(x, &terms).plain()
}

fn read_domain(table: &toml::Table) -> Result<Domain> {
    let mut sides = Vec::new();
    for (name, ends) in table {
        let number = |v: &toml::Value| v.as_float().or_else(|| v.as_integer().map(|v| v as f64));
        let numbers: Option<Vec<f64>> = ends.as_array().and_then(|ends| ends.iter().map(number).collect());
        let Some([low, high]) = numbers.as_deref() else {
            return Err(Error::input(format!("domain of {name}"), format!("{ends:?}"), "its two ends, such as [0, 1]"));
        };
        if name == "u" || !name.chars().all(|c| c.is_alphanumeric()) || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Error::input("domain", format!("`{name}`"), "letters and digits, a letter first, and not `u`"));
        }
        sides.push((name.as_str(), *low, *high));
    }
    // A table has no order: x before y, x2 before x10, time last.
    sides.sort_by_key(|(name, _, _)| {
        let letters = name.trim_end_matches(|c: char| c.is_ascii_digit());
        (*name == "t", letters, name[letters.len()..].parse::<u64>().unwrap_or(0))
    });
    Domain::new(&sides)
}

/// The names of `[let]`, which may use each other in any order.
fn read_named(table: &toml::Table, names: &[String]) -> Result<Vec<(String, Formula)>> {
    let mut named: Vec<(String, Formula)> = Vec::new();
    let mut left: Vec<(String, String)> = Vec::new();
    for (name, value) in table {
        left.push((name.clone(), said(&format!("let {name}"), value)?));
    }
    while !left.is_empty() {
        let (mut later, mut first_error) = (Vec::new(), None);
        let before = left.len();
        for (name, text) in left {
            match read_formula(&format!("let {name}"), &text, names, &named, Unknown::Nowhere) {
                Ok(formula) => named.push((name, formula)),
                Err(error) => {
                    first_error.get_or_insert(error);
                    later.push((name, text));
                }
            }
        }
        match first_error {
            Some(error) if later.len() == before => return Err(error),
            _ => left = later,
        }
    }
    Ok(named)
}

/// A number or a text of the file as a text.
fn said(what: &str, value: &toml::Value) -> Result<String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(v) => Ok(v.to_string()),
        toml::Value::Float(v) => Ok(v.to_string()),
        other => Err(Error::input(what, other.type_str(), "a number, or an expression in quotation marks")),
    }
}

fn read_formula(
    what: &str,
    text: &str,
    coordinates: &[String],
    named: &[(String, Formula)],
    unknown: Unknown,
) -> Result<Formula> {
    Scope { coordinates, named, unknown }.resolve(what, text, &Expression::read(what, text)?)
}

/// What is zero where an equation holds: its left side less its right one.
fn equation(
    what: &str,
    text: &str,
    coordinates: &[String],
    named: &[(String, Formula)],
    unknown: Unknown,
) -> Result<Formula> {
    let scope = Scope { coordinates, named, unknown };
    let (left, right) = Expression::sides(what, text)?;
    let [left, right] = [left, right].map(|side| scope.resolve(what, text, &side));
    let right = right?;
    Ok(if right == Formula::Number(0.0) { left? } else { Formula::Pair('-', Box::new(left?), Box::new(right)) })
}
