//! Pieces of HTML. Types keep text and markup apart, so that no text from a file reaches the page unescaped.

use std::fmt;

use super::palette::Ink;

/// Markup that is safe to put into the page.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Html(String);

impl Html {
    /// Text of any origin, escaped for element content and quoted attributes.
    pub(super) fn text(text: impl AsRef<str>) -> Self {
        let mut escaped = String::with_capacity(text.as_ref().len());
        for c in text.as_ref().chars() {
            match c {
                '&' => escaped.push_str("&amp;"),
                '<' => escaped.push_str("&lt;"),
                '>' => escaped.push_str("&gt;"),
                '"' => escaped.push_str("&quot;"),
                '\'' => escaped.push_str("&#39;"),
                other => escaped.push(other),
            }
        }
        Self(escaped)
    }

    /// Markup written by the report modules; it contains text from files only as [`Html::text`].
    pub(super) fn markup(markup: impl Into<String>) -> Self {
        Self(markup.into())
    }

    /// Appends `more`.
    pub(super) fn push(&mut self, more: Self) {
        self.0.push_str(&more.0);
    }

    /// A paragraph that tells what is missing.
    pub(super) fn missing(text: impl AsRef<str>) -> Self {
        Self(format!("<p class=\"missing\">{}</p>\n", Self::text(text)))
    }

    /// A paragraph with an explanation.
    pub(super) fn hint(text: impl AsRef<str>) -> Self {
        Self(format!("<p class=\"hint\">{}</p>\n", Self::text(text)))
    }
}

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromIterator<Html> for Html {
    fn from_iter<I: IntoIterator<Item = Html>>(pieces: I) -> Self {
        Self(pieces.into_iter().map(|piece| piece.0).collect())
    }
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column<'a> {
    /// Left-aligned words.
    Words(&'a str),
    /// Right-aligned figures.
    Figures(&'a str),
}

/// A table that scrolls by itself if the page is narrower. Short rows are filled with empty cells.
pub(super) fn table(columns: &[Column<'_>], rows: impl IntoIterator<Item = Vec<Html>>) -> Html {
    let class = |column: &Column<'_>| if matches!(column, Column::Words(_)) { " class=\"words\"" } else { "" };
    let head: String = columns
        .iter()
        .map(|column| {
            let (Column::Words(title) | Column::Figures(title)) = column;
            format!("<th scope=\"col\"{}>{}</th>", class(column), Html::text(title))
        })
        .collect();
    let mut body = String::new();
    for row in rows {
        let empty = Html::default();
        body.push_str("<tr>");
        for (i, column) in columns.iter().enumerate() {
            body.push_str(&format!("<td{}>{}</td>", class(column), row.get(i).unwrap_or(&empty)));
        }
        body.push_str("</tr>\n");
    }
    Html(format!(
        "<div class=\"scroll\"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n"
    ))
}

/// A plot with its caption.
pub(super) fn figure(caption: impl AsRef<str>, svg: &str) -> Html {
    Html(format!("<figure><figcaption>{}</figcaption>{svg}</figure>\n", Html::text(caption)))
}

/// A plot with its caption and its own colour key.
pub(super) fn figure_with_key(caption: impl AsRef<str>, key: Html, svg: &str) -> Html {
    Html(format!("<figure><figcaption>{}</figcaption>{key}{svg}</figure>\n", Html::text(caption)))
}

/// Plots side by side, as many as fit.
pub(super) fn grid(figures: impl IntoIterator<Item = Html>) -> Html {
    Html(format!("<div class=\"grid\">{}</div>\n", figures.into_iter().collect::<Html>()))
}

/// The colour key for the plots below it.
pub(super) fn legend(entries: impl IntoIterator<Item = (Ink, Html)>) -> Html {
    let entry = |(ink, text): (Ink, Html)| format!("<li><i class=\"{}\"></i>{text}</li>", ink.class());
    Html(format!("<ul class=\"legend\">{}</ul>\n", entries.into_iter().map(entry).collect::<String>()))
}

/// The key to the marks in the plots below it, by CSS class.
pub(super) fn marks(entries: impl IntoIterator<Item = (Ink, &'static str, Html)>) -> Html {
    let entry =
        |(ink, class, text): (Ink, &str, Html)| format!("<li><b class=\"{} {class}\"></b>{text}</li>", ink.class());
    Html(format!("<ul class=\"legend\">{}</ul>\n", entries.into_iter().map(entry).collect::<String>()))
}

/// A table of names and values.
pub(super) fn facts(entries: impl IntoIterator<Item = (String, String)>) -> Html {
    let row = |(name, value): (String, String)| {
        format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", Html::text(name), Html::text(value))
    };
    let rows: String = entries.into_iter().map(row).collect();
    Html(format!("<div class=\"scroll\"><table class=\"facts\"><tbody>\n{rows}</tbody></table></div>\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_markup_is_not() {
        assert_eq!(
            Html::text("<script>alert('a' & \"b\")</script>").to_string(),
            "&lt;script&gt;alert(&#39;a&#39; &amp; &quot;b&quot;)&lt;/script&gt;"
        );
        assert_eq!(Html::markup("<b>a</b>").to_string(), "<b>a</b>");
    }

    #[test]
    fn short_rows_are_filled() {
        let table = table(&[Column::Words("a"), Column::Figures("b")], [vec![Html::text("x")]]).to_string();
        assert!(table.contains("<td class=\"words\">x</td><td></td>"), "{table}");
    }
}
