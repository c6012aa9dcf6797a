//! Markup as text, for the rows of the longest list: a tree of views costs ten times as much there.

/// HTML under construction. Tags come from the source alone (`&'static str`); everything else is
/// escaped, so that what people are called stays text.
#[derive(Debug, Default)]
pub(crate) struct Markup(String);

impl Markup {
    /// Room for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    /// Appends markup that is written in the source.
    pub(crate) fn tag(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Appends text, between tags or inside a quoted attribute.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        let mut rest = text;
        while let Some((before, entity, after)) = next_special(rest) {
            self.0.push_str(before);
            self.0.push_str(entity);
            rest = after;
        }
        self.0.push_str(rest);
        self
    }

    /// The whole.
    pub(crate) fn into_html(self) -> String {
        self.0
    }
}

/// What stands before the first special character, its entity, and what comes after it.
fn next_special(text: &str) -> Option<(&str, &'static str, &str)> {
    let position = text.bytes().position(|byte| matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\''))?;
    let (before, from) = text.split_at(position);
    let mut characters = from.chars();
    let entity = match characters.next()? {
        '&' => "&amp;",
        '<' => "&lt;",
        '>' => "&gt;",
        '"' => "&quot;",
        _ => "&#39;",
    };
    Some((before, entity, characters.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup_anywhere() {
        let mut markup = Markup::default();
        markup.tag("<b title=\"").text("\"><script>'&amp;").tag("\">").text("Zoë <3").tag("</b>");
        let html = "<b title=\"&quot;&gt;&lt;script&gt;&#39;&amp;amp;\">Zoë &lt;3</b>";
        assert_eq!(markup.into_html(), html);
    }
}
