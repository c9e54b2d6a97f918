//! Line charts as SVG, for the documents.

use std::fmt::Write;

/// One line of a chart.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A chart whose axes begin at 0; with `x_log`, x is logarithmic and begins at the first point.
pub(crate) struct Chart<'a> {
    pub(crate) title: &'a str,
    pub(crate) x_name: &'a str,
    pub(crate) y_name: &'a str,
    pub(crate) x_log: bool,
    pub(crate) lines: Vec<Line>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 50.0;
/// Readable on a light and on a dark page.
const COLOURS: [&str; 4] = ["#2a7de1", "#e8590c", "#2b9348", "#9c36b5"];

impl Chart<'_> {
    /// The chart as a file.
    pub(crate) fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| line.points.iter().copied());
        let place = |x: f64| if self.x_log { x.max(1e-9).log10() } else { x };
        let x_min = if self.x_log {
            points().map(|(x, _)| place(x)).fold(f64::INFINITY, f64::min)
        } else {
            0.0
        };
        let x_max = points().map(|(x, _)| place(x)).fold(x_min + 1e-9, f64::max);
        let step = nice_step(points().map(|(_, y)| y).fold(1e-9, f64::max) / 5.0);
        let y_max = (points().map(|(_, y)| y).fold(0.0, f64::max) / step)
            .ceil()
            .max(1.0)
            * step;
        let to_x = |x: f64| LEFT + (place(x) - x_min) / (x_max - x_min) * (WIDTH - LEFT - RIGHT);
        let to_y = |y: f64| HEIGHT - BOTTOM - y / y_max * (HEIGHT - TOP - BOTTOM);

        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\" fill=\"#808080\">\n"
        );
        let mut text = |x: f64, y: f64, anchor: &str, extra: &str, words: &str| {
            let words = words.replace('&', "&amp;").replace('<', "&lt;");
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {extra}>{words}</text>"
            );
        };
        text(LEFT, 18.0, "start", "font-weight=\"bold\"", self.title);
        let middle = (LEFT + WIDTH - RIGHT) / 2.0;
        text(middle, HEIGHT - 10.0, "middle", "", self.x_name);
        let turned = format!("transform=\"rotate(-90 14 {0})\"", HEIGHT / 2.0);
        text(14.0, HEIGHT / 2.0, "middle", &turned, self.y_name);
        let mut rules = String::new();
        for at in 0..=(y_max / step).round() as u32 {
            let y = to_y(f64::from(at) * step);
            text(LEFT - 6.0, y + 4.0, "end", "", &number(f64::from(at) * step));
            let _ = writeln!(
                rules,
                "<path d=\"M{LEFT} {y:.1}H{:.1}\" stroke=\"#808080\" stroke-opacity=\"0.3\"/>",
                WIDTH - RIGHT
            );
        }
        for x in self.x_ticks(x_max) {
            text(to_x(x), HEIGHT - BOTTOM + 18.0, "middle", "", &number(x));
        }
        for (at, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[at % COLOURS.len()];
            let fill = format!("fill=\"{colour}\"");
            let y = TOP + 12.0 + 18.0 * at as f64;
            text(WIDTH - RIGHT + 14.0, y, "start", &fill, &line.name);
            let path: Vec<String> = line
                .points
                .iter()
                .map(|&(x, y)| format!("{:.1} {:.1}", to_x(x), to_y(y)))
                .collect();
            let _ = writeln!(
                rules,
                "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                path.join("L")
            );
        }
        svg + &rules + "</svg>\n"
    }

    fn x_ticks(&self, x_max: f64) -> Vec<f64> {
        if self.x_log {
            let mut ticks: Vec<f64> = self
                .lines
                .iter()
                .flat_map(|line| line.points.iter().map(|&(x, _)| x))
                .collect();
            ticks.sort_by(f64::total_cmp);
            ticks.dedup();
            return ticks;
        }
        let step = nice_step(x_max / 8.0);
        (0..=(x_max / step) as u32)
            .map(|at| f64::from(at) * step)
            .collect()
    }
}

/// The next of 1, 2, 5, 10, … that is not below `least`.
fn nice_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= least);
    factor.unwrap_or(10.0) * power
}

fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[test]
fn steps_are_round_numbers() {
    for (least, step) in [
        (0.9, 1.0),
        (1.1, 2.0),
        (3.0, 5.0),
        (6.0, 10.0),
        (230.0, 500.0),
        (0.03, 0.05),
    ] {
        assert!((nice_step(least) - step).abs() < step * 1e-6, "{least}");
    }
}

#[test]
fn a_chart_keeps_its_points_inside() {
    let line = Line {
        name: "a < b".to_owned(),
        points: vec![(0.0, 0.0), (5.0, 10.0)],
    };
    let chart = Chart {
        title: "t",
        x_name: "x",
        y_name: "y",
        x_log: false,
        lines: vec![line],
    };
    let svg = chart.svg();
    assert!(svg.contains("M60.0 290.0L490.0 36.0"), "{svg}");
    assert!(svg.contains("a &lt; b"), "{svg}");
}
