//! The status page: facts that are known when the process starts, as plain
//! HTML without a script or anything from elsewhere.

use std::fmt::Write;

/// The style sheet of the page.
pub(super) const STYLE: &str = include_str!("page/style.css");

const HEAD: &str = include_str!("page/head.html");
const FOOT: &str = include_str!("page/foot.html");

/// Facts of the configuration, each a name and a value, in order.
#[derive(Clone, Debug, Default)]
pub struct Facts(Vec<(String, String)>);

impl Facts {
    /// No facts but the version.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fact. It must hold no secret: the page needs no login.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }
}

pub(super) fn render(facts: &Facts) -> String {
    let mut page = String::from(HEAD);
    row(&mut page, "Version", env!("CARGO_PKG_VERSION"));
    for (name, value) in &facts.0 {
        row(&mut page, name, value);
    }
    page.push_str(FOOT);
    page
}

fn row(page: &mut String, name: &str, value: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(page, "      <div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(value));
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_escaped_and_in_order() {
        let page = render(&Facts::new().with("Upstream", "https://a.example/?a=1&b=2").with("<b>", "\"'"));
        assert!(page.contains("<dt>Upstream</dt><dd>https://a.example/?a=1&amp;b=2</dd>"), "{page}");
        assert!(page.contains("<dt>&lt;b&gt;</dt><dd>&quot;&#39;</dd>"), "{page}");
        let places = ["Version", "Upstream", "&lt;b&gt;"].map(|name| page.find(&format!("<dt>{name}")).unwrap());
        assert!(places.is_sorted());
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let page = render(&Facts::new());
        assert!(!page.contains("<script") && !page.contains("//") && !page.contains("style="), "{page}");
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
    }
}
