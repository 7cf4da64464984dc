//! Line and bar plots as SVG, drawn here so that a page needs nothing from elsewhere.
//!
//! Colours are CSS variables of the page (`--s0`, `--s1`, ...), so that a plot follows its light and dark scheme.

use std::fmt::Write as _;

use super::table::number;

/// Colours that the page has.
pub(super) const COLOURS: usize = 8;

const WIDTH: f64 = 560.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 14.0;
const HEIGHT: f64 = 230.0;
const AXIS: f64 = 44.0;
const LEGEND_LINE: f64 = 20.0;

/// Values of several implementations along one setting.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    pub(super) x_title: &'static str,
    pub(super) y_title: &'static str,
    /// Labels of the positions, evenly spaced: settings come in powers of two.
    pub(super) xs: Vec<String>,
    pub(super) series: Vec<Series>,
    /// Whether the vertical axis is logarithmic; it starts at zero otherwise.
    pub(super) logarithmic: bool,
}

/// A line of a plot.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) colour: usize,
    pub(super) dashed: bool,
    /// One for each position.
    pub(super) values: Vec<Option<f64>>,
}

/// A bar of a plot.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) colour: usize,
    pub(super) value: f64,
}

/// Text as it may stand in HTML and in an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Horizontal bars from zero, each with its value.
pub(super) fn bars(unit: &str, bars: &[Bar]) -> String {
    const NAMES: f64 = 150.0;
    const VALUES: f64 = 80.0;
    const ROW: f64 = 28.0;
    let most = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
    let height = ROW * bars.len() as f64 + 8.0;
    let mut svg = open(height, &format!("{unit} by implementation"));
    for (index, bar) in bars.iter().enumerate() {
        let (y, name, value) = (4.0 + ROW * index as f64, escape(&bar.name), number(bar.value));
        let length = (WIDTH - NAMES - VALUES) * bar.value / most;
        let text = y + ROW / 2.0 + 4.0;
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{text:.1}\" text-anchor=\"end\">{name}</text>\
             <rect x=\"{NAMES:.1}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"{:.1}\" rx=\"2\" \
             fill=\"var(--s{})\"><title>{name}: {value} {}</title></rect>\
             <text x=\"{:.1}\" y=\"{text:.1}\">{value}</text>",
            NAMES - 8.0,
            y + 4.0,
            ROW - 8.0,
            bar.colour % COLOURS,
            escape(unit),
            NAMES + length + 6.0,
        );
    }
    svg.push_str("</svg>");
    svg
}

/// Lines over evenly spaced positions, with a legend.
pub(super) fn lines(plot: &Lines) -> String {
    let values = || plot.series.iter().flat_map(|series| series.values.iter().flatten().copied());
    let scale = Scale::over(values(), plot.logarithmic);
    let (legend, legend_height) = legend(&plot.series);
    let mut svg = open(TOP + HEIGHT + AXIS + legend_height, &format!("{} by {}", plot.y_title, plot.x_title));
    for tick in &scale.ticks {
        let y = scale.y(*tick);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            y + 4.0,
            short(*tick),
        );
    }
    let inner = WIDTH - LEFT - RIGHT;
    let x = |index: usize| LEFT + inner * (index as f64 + 0.5) / plot.xs.len().max(1) as f64;
    for (index, label) in plot.xs.iter().enumerate() {
        let _ = write!(
            svg,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            x(index),
            TOP + HEIGHT + 18.0,
            escape(label),
        );
    }
    let _ = write!(
        svg,
        "<text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
         <text class=\"axis\" transform=\"translate(14 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        LEFT + inner / 2.0,
        TOP + HEIGHT + 37.0,
        escape(plot.x_title),
        TOP + HEIGHT / 2.0,
        escape(plot.y_title),
    );
    for series in &plot.series {
        draw(&mut svg, plot, series, &scale, &x);
    }
    svg.push_str(&legend);
    svg.push_str("</svg>");
    svg
}

/// A line with a point at every value; a gap where there is none.
fn draw(svg: &mut String, plot: &Lines, series: &Series, scale: &Scale, x: &dyn Fn(usize) -> f64) {
    let (mut path, mut pen_down) = (String::new(), false);
    let mut points = String::new();
    for (index, value) in series.values.iter().enumerate() {
        let Some(value) = value else {
            pen_down = false;
            continue;
        };
        let (x, y) = (x(index), scale.y(*value));
        let _ = write!(path, "{}{x:.1} {y:.1}", if pen_down { "L" } else { "M" });
        pen_down = true;
        let _ = write!(
            points,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"var(--s{})\"><title>{}, {} {}: {} {}</title></circle>",
            series.colour % COLOURS,
            escape(&series.name),
            escape(plot.x_title),
            escape(&plot.xs[index]),
            number(*value),
            escape(plot.y_title),
        );
    }
    let dash = if series.dashed { " stroke-dasharray=\"5 4\"" } else { "" };
    let colour = series.colour % COLOURS;
    let _ = write!(svg, "<path class=\"line\" d=\"{path}\" stroke=\"var(--s{colour})\"{dash}/>{points}");
}

/// Names of the lines under the plot, as many in a row as fit; and the height they take.
fn legend(series: &[Series]) -> (String, f64) {
    const KEY: f64 = 30.0;
    const LETTER: f64 = 7.2;
    let (mut svg, mut x, mut row) = (String::new(), LEFT, 0.0);
    for series in series {
        let width = KEY + LETTER * series.name.chars().count() as f64 + 18.0;
        if x > LEFT && x + width > WIDTH {
            (x, row) = (LEFT, row + 1.0);
        }
        let y = TOP + HEIGHT + AXIS + LEGEND_LINE * row + 12.0;
        let dash = if series.dashed { " stroke-dasharray=\"5 4\"" } else { "" };
        let _ = write!(
            svg,
            "<line class=\"line\" x1=\"{x:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" \
             stroke=\"var(--s{})\"{dash}/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            x + 22.0,
            series.colour % COLOURS,
            x + KEY,
            y + 4.0,
            escape(&series.name),
        );
        x += width;
    }
    (svg, LEGEND_LINE * (row + 1.0) + 6.0)
}

fn open(height: f64, label: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{}\">", escape(label))
}

/// The vertical axis.
struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
    ticks: Vec<f64>,
}

impl Scale {
    fn over(values: impl Iterator<Item = f64>, logarithmic: bool) -> Self {
        let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
        for value in values.filter(|value| value.is_finite() && *value > 0.0) {
            (low, high) = (low.min(value), high.max(value));
        }
        if high == 0.0 {
            (low, high) = (1.0, 10.0);
        }
        if logarithmic {
            // Whole decades.
            let (low, high) = (low.log10().floor(), (high.log10() + 1e-9).ceil());
            let high = high.max(low + 1.0);
            let mut ticks = vec![10_f64.powf(low)];
            while ticks[ticks.len() - 1].log10() + 0.5 < high {
                ticks.push(ticks[ticks.len() - 1] * 10.0);
            }
            return Self { low: 10_f64.powf(low), high: 10_f64.powf(high), logarithmic, ticks };
        }
        let step = round_step(high / 5.0);
        let count = (high / step).ceil();
        let mut ticks = vec![0.0];
        while (ticks.len() as f64) <= count {
            ticks.push(step * ticks.len() as f64);
        }
        Self { low: 0.0, high: step * count, logarithmic, ticks }
    }

    fn y(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            (value.max(self.low) / self.low).log10() / (self.high / self.low).log10()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        TOP + HEIGHT * (1.0 - share)
    }
}

/// 1, 2 or 5 times a power of ten, at least `step`.
fn round_step(step: f64) -> f64 {
    let decade = 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|factor| factor * decade).into_iter().find(|round| *round >= step).unwrap_or(step)
}

/// A value on an axis: 1.5M, 20k, 300, 0.5.
fn short(value: f64) -> String {
    let (value, unit) = match value {
        value if value >= 1e9 => (value / 1e9, "G"),
        value if value >= 1e6 => (value / 1e6, "M"),
        value if value >= 1e3 => (value / 1e3, "k"),
        value => (value, ""),
    };
    let digits = format!("{value:.2}");
    format!("{}{unit}", digits.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(logarithmic: bool) -> Lines {
        let series = |name: &str, colour, values: &[f64]| Series {
            name: name.to_owned(),
            colour,
            dashed: colour == 1,
            values: values.iter().map(|value| (*value > 0.0).then_some(*value)).collect(),
        };
        Lines {
            x_title: "batch",
            y_title: "ops/CPU s",
            xs: ["1", "64", "1024"].map(str::to_owned).into(),
            series: vec![
                series("a<b", 0, &[27_000.0, 120_000.0, 152_000.0]),
                series("c", 1, &[25_500.0, 0.0, 25_400.0]),
            ],
            logarithmic,
        }
    }

    /// Heights of a colour's points.
    fn heights(svg: &str, colour: usize) -> Vec<f64> {
        let points = svg.split("<circle ").skip(1).map(|point| point.split('>').next().unwrap());
        let of_colour = points.filter(|point| point.contains(&format!("var(--s{colour})")));
        of_colour
            .map(|point| point.split("cy=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
            .collect()
    }

    #[test]
    fn every_value_is_a_point_at_its_height() {
        for logarithmic in [false, true] {
            let svg = lines(&plot(logarithmic));
            let ours = heights(&svg, 0);
            assert_eq!(ours.len(), 3);
            // Larger values are higher up, and all lie inside.
            assert!(ours[0] > ours[1] && ours[1] > ours[2] && ours[2] >= TOP && ours[0] <= TOP + HEIGHT, "{ours:?}");
            assert_eq!(heights(&svg, 1).len(), 2, "a missing value is a gap");
            assert!(svg.contains("120,000") && svg.contains("a&lt;b") && !svg.contains("a<b"), "{svg}");
        }
        // On the axis from zero to 200k.
        let svg = lines(&plot(false));
        let expected = TOP + HEIGHT * (1.0 - 152_000.0 / 200_000.0);
        assert!((heights(&svg, 0)[2] - expected).abs() < 0.1);
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        let bar = |name: &str, value| Bar { name: name.to_owned(), colour: 0, value };
        let svg = bars("ops/CPU s", &[bar("one", 400.0), bar("other", 100.0)]);
        let widths: Vec<f64> = svg
            .split("<rect ")
            .skip(1)
            .map(|rect| rect.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(widths.len(), 2);
        assert!((widths[0] / widths[1] - 4.0).abs() < 0.01, "{widths:?}");
        assert!(svg.contains("other: 100 ops/CPU s"));
    }

    #[test]
    fn axes_have_round_ticks() {
        assert_eq!(Scale::over([152.0].into_iter(), false).ticks, [0.0, 50.0, 100.0, 150.0, 200.0]);
        let decades = Scale::over([30.0, 2500.0].into_iter(), true).ticks;
        assert!(decades.iter().zip([10.0, 100.0, 1000.0, 10_000.0]).all(|(tick, round)| (tick - round).abs() < 1e-6));
        assert_eq!(decades.len(), 4);
        assert_eq!(Scale::over([].into_iter(), false).ticks.first(), Some(&0.0));
        assert_eq!([1_500_000.0, 20_000.0, 300.0, 0.5, 0.0].map(short), ["1.5M", "20k", "300", "0.5", "0"]);
    }
}
