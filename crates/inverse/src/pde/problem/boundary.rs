//! What a problem file says of the boundary.

use super::{equation, linear, said, with};
use crate::pde::domain::{Domain, Face};
use crate::pde::formula::{Formula, Unknown};
use quadrat_core::{Error, Result};

/// The condition of each face that has one.
pub(super) fn read(table: &toml::Table, domain: &Domain, named: &[(String, Formula)]) -> Result<Vec<(Face, Formula)>> {
    let names = domain.names();
    let mut of_face: Vec<Option<(usize, String)>> = vec![None; 2 * domain.dims()];
    for (key, condition) in table {
        // The narrower a key, the more it counts.
        let (rank, faces) = match key.split_once('=') {
            _ if key == "everywhere" => (0, (0..of_face.len()).collect()),
            None => (1, axis(key, names).map(|k| vec![2 * k, 2 * k + 1])?),
            Some((name, end)) => {
                let k = axis(name, names)?;
                let ends = [domain.low()[k], domain.high()[k]];
                let at = end.trim().parse::<f64>().ok().and_then(|v| ends.iter().position(|end| *end == v));
                let want = format!("the ends of {} are {} and {}", names[k], ends[0], ends[1]);
                (2, vec![2 * k + at.ok_or_else(|| Error::input("boundary", format!("`{key}`"), want))?])
            }
        };
        let text = said(&format!("boundary {key}"), condition)?;
        for face in faces {
            if of_face[face].as_ref().is_none_or(|(known, _)| *known < rank) {
                of_face[face] = Some((rank, text.clone()));
            }
        }
    }
    let mut conditions = Vec::new();
    for (face, found) in domain.faces().into_iter().zip(of_face) {
        let end = if face.upper { domain.high()[face.axis] } else { domain.low()[face.axis] };
        let place = format!("{} = {end}", names[face.axis]);
        let Some((_, text)) = found else {
            let want = format!("a condition in [boundary], such as \"{place}\" = \"u = 0\", or \"{place}\" = \"free\"");
            return Err(Error::input("boundary", format!("nothing said of the face {place}"), want));
        };
        if text.trim() == "free" {
            continue;
        }
        let what = format!("boundary at {place}");
        let condition = equation(&what, &text, names, named, Unknown::OnBoundary)?;
        if !is_linear(&condition, domain, face) {
            let want = "a condition that is linear in u and its outward derivative u_n, and has one of them";
            return Err(Error::input(what, format!("`{text}`"), want));
        }
        conditions.push((face, condition));
    }
    if conditions.is_empty() {
        return Err(Error::input("boundary", "every face free", "a condition on at least one: else nothing fixes u"));
    }
    Ok(conditions)
}

fn axis(name: &str, names: &[String]) -> Result<usize> {
    names.iter().position(|own| own == name.trim()).ok_or_else(|| {
        let want =
            format!("`everywhere`, or one of {} alone or with an end, such as \"{} = 0\"", names.join(", "), names[0]);
        Error::input("boundary", format!("`{}`", name.trim()), want)
    })
}

/// Whether a condition is linear in u and u_n at a few points of its face, and has one of them.
fn is_linear(condition: &Formula, domain: &Domain, face: Face) -> bool {
    let (x, _, _) = domain.draw_on(&[face], 5, &mut quadrat_core::Seed(0).rng(0));
    let [a, b, g] = linear(condition, x.view());
    [(2.0, 0.5), (-1.5, 3.0)].into_iter().all(|(u, slope)| {
        let found = with(condition, x.view(), u, slope);
        let parts = found.iter().zip(a.iter().zip(b.iter().zip(&g)));
        parts.fold(true, |fits, (found, (a, (b, g)))| {
            let wanted = a * u + b * slope - g;
            fits && (a.abs() + b.abs() > 0.0) && (found - wanted).abs() <= 1e-9 * (1.0 + found.abs() + wanted.abs())
        })
    })
}
