//! How a report looks.

use super::{Block, Page};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use quadrat_serve::STYLE;
use std::fmt::Write as _;

/// The whole page.
pub fn render(page: &Page) -> String {
    let mut body = String::new();
    for block in &page.blocks {
        push(&mut body, block);
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <header><p class=\"mark\">quadrat</p><h1>{title}</h1><p class=\"lead\">{lead}</p></header>\n\
         {body}</main>\n</body>\n</html>\n",
        title = escape(&page.title),
        lead = escape(&page.lead),
    )
}

/// Writing to a `String` cannot fail, so the results of `write!` carry no news here.
fn push(html: &mut String, block: &Block) {
    let _ = match block {
        Block::Heading(text) => writeln!(html, "<h2>{}</h2>", escape(text)),
        Block::Text(text) => writeln!(html, "<p>{}</p>", escape(text)),
        Block::Code(text) => writeln!(html, "<pre><code>{}</code></pre>", escape(text)),
        Block::Verdict { word, good } => {
            let class = good.map_or("open", |good| if good { "good" } else { "bad" });
            writeln!(html, "<p><span class=\"verdict {class}\">{}</span></p>", escape(word))
        }
        Block::Facts(facts) => writeln!(html, "<dl>{}</dl>", named(facts)),
        Block::Beside(texts) => writeln!(html, "<dl class=\"beside\">{}</dl>", named(texts)),
        Block::Table { rows, right } => writeln!(html, "{}", table(rows, right)),
        Block::Bars { series, rows } => writeln!(html, "{}", bars(series, rows)),
        Block::Picture { png, caption } => writeln!(
            html,
            "<figure><img style=\"image-rendering:pixelated;width:100%;max-width:36rem\" alt=\"{}\" \
             src=\"data:image/png;base64,{}\"><figcaption>{}</figcaption></figure>",
            escape(caption),
            BASE64_STANDARD.encode(png),
            escape(caption)
        ),
        Block::Figure { drawing, caption } => {
            let legend: String = drawing
                .legend
                .iter()
                .map(|(name, colour)| {
                    format!("<span><i style=\"background:var(--c{colour})\"></i>{}</span>", escape(name))
                })
                .collect();
            writeln!(
                html,
                "<figure><div class=\"legend\">{legend}</div>{}<figcaption>{}</figcaption></figure>",
                drawing.svg,
                escape(caption)
            )
        }
    };
}

fn named(facts: &[(String, String)]) -> String {
    facts
        .iter()
        .map(|(name, value)| format!("<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(value)))
        .collect()
}

fn table(rows: &[Vec<String>], right: &[usize]) -> String {
    let line = |row: &Vec<String>, tag: &str| -> String {
        let cell = |(c, text): (usize, &String)| {
            let class = if right.contains(&c) { " class=\"n\"" } else { "" };
            format!("<{tag}{class}>{}</{tag}>", escape(text))
        };
        format!("<tr>{}</tr>", row.iter().enumerate().map(cell).collect::<String>())
    };
    let head: String = rows.first().map(|row| line(row, "th")).unwrap_or_default();
    let body: String = rows.iter().skip(1).map(|row| line(row, "td")).collect();
    format!("<div class=\"wide\"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>")
}

/// More rows of bars than this are cut off: nobody reads them.
const MOST_BARS: usize = 40;

fn bars(series: &[String], rows: &[(String, Vec<(f64, String)>)]) -> String {
    let largest = rows.iter().flat_map(|(_, values)| values).map(|(value, _)| *value).fold(f64::MIN_POSITIVE, f64::max);
    let legend: String = series
        .iter()
        .enumerate()
        .map(|(i, name)| format!("<span><i style=\"background:var(--c{i})\"></i>{}</span>", escape(name)))
        .collect();
    let mut html = format!("<figure><div class=\"legend\">{legend}</div><div class=\"bars\">");
    for (name, values) in rows.iter().take(MOST_BARS) {
        let _ = write!(html, "<span class=\"name\">{}</span><div>", escape(name));
        for (i, (value, text)) in values.iter().enumerate() {
            let share = 100.0 * value / largest;
            let text = escape(text);
            let _ = write!(html, "<div><i style=\"width:{share:.2}%;background:var(--c{i})\"></i><b>{text}</b></div>");
        }
        html.push_str("</div>");
    }
    html.push_str("</div>");
    if rows.len() > MOST_BARS {
        let _ = write!(html, "<figcaption>and {} more classes</figcaption>", rows.len() - MOST_BARS);
    }
    html.push_str("</figure>");
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_text_is_escaped_everywhere() {
        let evil = || "<script>\"&".to_owned();
        let mut page = Page::new(evil(), evil());
        page.blocks = vec![
            Block::Heading(evil()),
            Block::Text(evil()),
            Block::Code(evil()),
            Block::Facts(vec![(evil(), evil())]),
            Block::Beside(vec![(evil(), evil())]),
            Block::Table { rows: vec![vec![evil()], vec![evil()]], right: vec![0] },
            Block::Bars { series: vec![evil()], rows: vec![(evil(), vec![(3.0, evil())])] },
            Block::Verdict { word: evil(), good: None },
        ];
        let html = render(&page);
        assert!(!html.contains("<script") && html.contains("&lt;script&gt;&quot;&amp;"));
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let html = render(&Page::new("t", "l"));
        assert!(
            !html.contains("http") && !html.contains("src=") && !html.contains("@import") && !html.contains("url(")
        );
    }

    #[test]
    fn long_lists_of_bars_are_cut() {
        let rows: Vec<(String, Vec<(f64, String)>)> =
            (0..45).map(|i| (i.to_string(), vec![(0.0, "0".into())])).collect();
        assert!(bars(&["n".into()], &rows).contains("and 5 more classes"));
    }
}
