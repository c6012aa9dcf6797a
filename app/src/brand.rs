//! The brand, in one place: name, mark and hue. The rest of the look is in `style/`.

/// The name in the top bar, in titles and on the sign-in page.
pub const TITLE: &str = "Entra Starter";

/// The mark before the name, and the favicon: SVG in a box of 32 by 32, in the accent where it names no colour.
pub const MARK: &str = r#"<path d="M16 2 29 9v14L16 30 3 23V9z"/>"#;

/// The hue of the accent and, faintly, of the greys, in degrees of OKLCH: 25 is red, 150 green, 262 blue.
pub const HUE: u16 = 262;
