//! The colours of the plots, each for a light and a dark theme.
//!
//! Plotters writes a colour as `fill="#RRGGBB"` or `stroke="#RRGGBB"`. Any CSS rule overrides such an attribute, so the
//! plots are drawn in the light colours, and the style sheet selects these attributes and replaces the colours if the
//! reader prefers a dark theme. This requires the light colours to be distinct, which a test checks.

use plotters::style::RGBColor;

/// What a colour represents.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Ink {
    /// The readout of the whole network.
    Network,
    /// Text on axes.
    Label,
    /// Grid lines and axes.
    Grid,
    /// Background of every other phase of a greedy schedule.
    Band,
    /// Edges of a graph.
    Edge,
    /// Background of a plot: text on coloured marks.
    Card,
    /// Positive samples.
    Positive,
    /// Negative samples.
    Negative,
    /// A block at a relative depth: 0 is the first of the ramp, [`DEPTHS`] - 1 the last.
    Depth(usize),
    /// One of several unordered things; from [`SERIES`] on, dashed.
    Series(usize),
}

/// Number of steps in the depth ramp.
pub(super) const DEPTHS: usize = 12;
/// Number of colours for unordered series; further series repeat them dashed.
pub(super) const SERIES: usize = 8;

type Rgb = (u8, u8, u8);

/// The depth ramp goes from cool to warm, at a lightness that stands out from the background of its theme.
const DEPTH_LIGHT: [Rgb; 5] = [(62, 52, 168), (137, 42, 172), (199, 50, 118), (217, 92, 31), (186, 134, 4)];
const DEPTH_DARK: [Rgb; 5] = [(140, 155, 255), (194, 139, 255), (255, 134, 184), (255, 160, 107), (255, 212, 94)];
const SERIES_LIGHT: [Rgb; SERIES] = [
    (37, 99, 184),
    (194, 87, 12),
    (19, 128, 79),
    (163, 49, 143),
    (138, 106, 0),
    (15, 124, 140),
    (180, 35, 47),
    (91, 91, 214),
];
const SERIES_DARK: [Rgb; SERIES] = [
    (127, 178, 255),
    (255, 162, 92),
    (88, 208, 143),
    (240, 139, 221),
    (227, 194, 74),
    (79, 208, 223),
    (255, 132, 128),
    (169, 165, 255),
];

impl Ink {
    /// Colour for block `block` of `blocks`, spread over the ramp.
    pub(super) fn block(block: usize, blocks: usize) -> Self {
        Self::Depth((block * (DEPTHS - 1)).checked_div(blocks.saturating_sub(1)).unwrap_or(0).min(DEPTHS - 1))
    }

    /// Colour of the `i`-th of several unordered series. After [`SERIES`] solid and as many dashed ones they repeat.
    pub(super) fn series(i: usize) -> Self {
        Self::Series(i % (2 * SERIES))
    }

    /// The colour as written into the SVG.
    pub(super) fn color(self) -> RGBColor {
        let (r, g, b) = self.light();
        RGBColor(r, g, b)
    }

    /// The CSS class that sets the text colour to this ink.
    pub(super) fn class(self) -> String {
        let dashed = if self.is_dashed() { " dashed" } else { "" };
        format!("ink-{}{dashed}", hex(self.light()))
    }

    fn is_dashed(self) -> bool {
        matches!(self, Self::Series(i) if i >= SERIES)
    }

    fn light(self) -> Rgb {
        match self {
            Self::Network => (22, 32, 42),
            Self::Label => (92, 102, 114),
            Self::Grid => (221, 225, 230),
            Self::Band => (240, 242, 246),
            Self::Edge => (158, 167, 178),
            Self::Card => (255, 255, 255),
            Self::Positive => (28, 112, 178),
            Self::Negative => (201, 84, 24),
            Self::Depth(step) => ramp(&DEPTH_LIGHT, step),
            // A dashed colour differs from its solid one in one bit of blue, so that CSS can distinguish them.
            Self::Series(i) => {
                let (r, g, b) = SERIES_LIGHT[i % SERIES];
                (r, g, b ^ u8::from(i >= SERIES))
            }
        }
    }

    fn dark(self) -> Rgb {
        match self {
            Self::Network => (240, 244, 248),
            Self::Label => (152, 163, 176),
            Self::Grid => (52, 60, 70),
            Self::Band => (35, 41, 50),
            Self::Edge => (94, 105, 118),
            Self::Card => (26, 31, 38),
            Self::Positive => (98, 176, 240),
            Self::Negative => (245, 147, 90),
            Self::Depth(step) => ramp(&DEPTH_DARK, step),
            Self::Series(i) => SERIES_DARK[i % SERIES],
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        use Ink::{Band, Card, Edge, Grid, Label, Negative, Network, Positive};
        [Network, Label, Grid, Band, Edge, Card, Positive, Negative]
            .into_iter()
            .chain((0..DEPTHS).map(Self::Depth))
            .chain((0..2 * SERIES).map(Self::Series))
    }
}

/// The rules that apply the reader's theme to plots and legends. Print is always light.
pub(super) fn css() -> String {
    let (mut light, mut dark) = (String::new(), String::new());
    for ink in Ink::all() {
        let (day, night) = (hex(ink.light()), hex(ink.dark()));
        light.push_str(&format!(".ink-{day}{{color:#{day}}}"));
        if ink.is_dashed() {
            light.push_str(&format!("svg [stroke=\"#{day}\"]{{stroke-dasharray:24 18}}"));
        }
        dark.push_str(&format!(
            ".ink-{day}{{color:#{night}}}svg [fill=\"#{day}\"]{{fill:#{night}}}svg [stroke=\"#{day}\"]{{stroke:#{night}}}"
        ));
    }
    format!("{light}\n@media screen and (prefers-color-scheme:dark){{{dark}}}\n")
}

fn hex((r, g, b): Rgb) -> String {
    format!("{r:02X}{g:02X}{b:02X}")
}

/// Step `step` of [`DEPTHS`], interpolated between the anchors.
fn ramp(anchors: &[Rgb; 5], step: usize) -> Rgb {
    let place = 4.0 * step.min(DEPTHS - 1) as f64 / (DEPTHS - 1) as f64;
    let from = (place.floor() as usize).min(3);
    let part = place - from as f64;
    let mix = |a: u8, b: u8| (f64::from(a) + part * (f64::from(b) - f64::from(a))).round() as u8;
    let ((r0, g0, b0), (r1, g1, b1)) = (anchors[from], anchors[from + 1]);
    (mix(r0, r1), mix(g0, g1), mix(b0, b1))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn light_colours_are_distinct_so_that_css_can_exchange_each() {
        let distinct: BTreeSet<_> = Ink::all().map(Ink::light).collect();
        assert_eq!(distinct.len(), Ink::all().count());
    }

    #[test]
    fn lines_and_labels_stand_out_in_both_themes() {
        // WCAG 2.1: 3:1 for graphics, 4.5:1 for text, on the cards of style.css.
        let luminance = |(r, g, b): Rgb| {
            let linear = |c: u8| {
                let c = f64::from(c) / 255.0;
                if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
        };
        let contrast = |a, b| {
            let (a, b) = (luminance(a), luminance(b));
            (f64::max(a, b) + 0.05) / (f64::min(a, b) + 0.05)
        };
        for ink in Ink::all().filter(|ink| !matches!(ink, Ink::Grid | Ink::Band | Ink::Edge | Ink::Card)) {
            let needed = if ink == Ink::Label { 4.5 } else { 3.0 };
            for (color, card) in [(ink.light(), (255, 255, 255)), (ink.dark(), (26, 31, 38))] {
                let found = contrast(color, card);
                assert!(found >= needed, "{ink:?}: {color:?} on {card:?} has a contrast of {found:.2}");
            }
        }
    }

    #[test]
    fn blocks_spread_over_the_ramp() {
        assert_eq!(Ink::block(0, 1), Ink::Depth(0));
        assert_eq!([0, 1, 2].map(|block| Ink::block(block, 3)), [Ink::Depth(0), Ink::Depth(5), Ink::Depth(11)]);
        assert_eq!(Ink::block(99, 100), Ink::Depth(11));
    }
}
