//! What the benchmark found, beside the published records.

use std::fmt::Write as _;

use serde::Serialize;

use super::BenchmarkOptions;
use super::score::BenchmarkScore;

/// One model of the benchmark.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BenchmarkRow {
    /// Steps it sees.
    pub lookback: usize,
    /// Steps it forecasts.
    pub horizon: usize,
    /// Which of the models.
    pub model: String,
    /// What its randomness followed from; nothing when it has none.
    pub seed: Option<u64>,
    /// Windows it was judged by.
    pub windows: usize,
    /// On the validation part, which chose.
    pub validation: BenchmarkScore,
    /// On the test part.
    pub test: BenchmarkScore,
    /// Time to train and score it.
    pub seconds: f64,
}

/// Everything the benchmark found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BenchmarkReport {
    /// In the order they were trained.
    pub rows: Vec<BenchmarkRow>,
}

/// A published result: model, lookback (0 where it was searched), MSE and MAE where they were given,
/// at 96, 192, 336 and 720 steps.
type Published = (&'static str, usize, [f64; 4], Option<[f64; 4]>);

const PUBLISHED: [Published; 13] = [
    ("TimeMixer++", 96, [0.155, 0.201, 0.237, 0.312], Some([0.205, 0.245, 0.265, 0.334])),
    ("TimeMixer", 96, [0.163, 0.208, 0.251, 0.339], Some([0.209, 0.250, 0.287, 0.341])),
    ("OLinear", 96, [0.153, 0.200, 0.258, 0.337], Some([0.190, 0.235, 0.280, 0.333])),
    ("TQNet", 96, [0.157, 0.206, 0.262, 0.344], Some([0.200, 0.245, 0.287, 0.342])),
    ("TimeXer", 96, [0.157, 0.204, 0.261, 0.340], Some([0.205, 0.248, 0.290, 0.341])),
    ("CycleNet-MLP", 96, [0.159, 0.207, 0.263, 0.345], Some([0.203, 0.248, 0.290, 0.345])),
    ("iTransformer", 96, [0.174, 0.221, 0.278, 0.358], Some([0.214, 0.254, 0.296, 0.349])),
    ("PatchTST", 96, [0.177, 0.225, 0.278, 0.354], Some([0.218, 0.259, 0.297, 0.348])),
    ("DLinear", 96, [0.196, 0.237, 0.283, 0.345], Some([0.255, 0.296, 0.335, 0.381])),
    ("FITS, test windows complete", 0, [0.144, 0.188, 0.238, 0.308], None),
    ("TSMixer", 512, [0.145, 0.191, 0.242, 0.320], Some([0.198, 0.242, 0.280, 0.336])),
    ("CycleNet-MLP", 720, [0.150, 0.193, 0.243, 0.313], Some([0.203, 0.245, 0.284, 0.333])),
    ("PatchTST, test windows complete", 512, [0.151, 0.195, 0.249, 0.321], None),
];
/// The least of the published errors, each of whichever model it is: MSE, then MAE.
const RECORDS: [(&str, [f64; 4], [f64; 4]); 2] = [
    ("lookback 96", [0.153, 0.200, 0.237, 0.312], [0.190, 0.235, 0.265, 0.333]),
    ("any lookback", [0.144, 0.188, 0.237, 0.308], [0.190, 0.235, 0.265, 0.333]),
];

impl BenchmarkReport {
    /// The report, with the command that makes it.
    #[must_use]
    pub fn markdown(&self, options: &BenchmarkOptions) -> String {
        let mut text = format!(
            "# The public \"weather\" benchmark\n\n\
             Made by `weatherglass evaluate --benchmark ltsf-weather --lookbacks {} --horizons {} --seeds {} --steps {} --data \
             DIR`, DIR holding `benchmarks/ltsf_weather.csv.gz`.\n\n{PROTOCOL}",
            list(&options.lookbacks),
            list(&options.horizons),
            list(&options.seeds),
            options.steps
        );
        text += "\n## Beside the published records\n\n\
                 Test MSE / MAE; networks are the mean over the seeds, with the largest distance of a seed from it. \
                 A record is the least published error of each kind, not of one model.\n\n";
        self.summary(options, &mut text);
        text += "\n## Every model and seed\n\n\
                 | lookback | horizon | model | seed | test windows | validation MSE / MAE | test MSE / MAE | seconds |\n\
                 |---|---|---|---|---|---|---|---|\n";
        for row in &self.rows {
            let seed = row.seed.map_or_else(|| "none".to_owned(), |seed| seed.to_string());
            let (BenchmarkRow { lookback, horizon, model, windows, .. }, seconds) = (row, row.seconds);
            let (validation, test) = (figures(row.validation), figures(row.test));
            let _ = writeln!(
                text,
                "| {lookback} | {horizon} | {model} | {seed} | {windows} | {validation} | {test} | {seconds:.0} |"
            );
        }
        text += "\n## Published results\n\nTest MSE / MAE as the papers and repositories give them. Those before 2024 \
                 often left out the last, incomplete batch of test windows.\n\n\
                 | model | lookback | 96 | 192 | 336 | 720 |\n|---|---|---|---|---|---|\n";
        for (model, lookback, mse, mae) in PUBLISHED {
            let lookback = if lookback == 0 { "searched".to_owned() } else { lookback.to_string() };
            let _ = write!(text, "| {model} | {lookback} |");
            for (at, mse) in mse.iter().enumerate() {
                let mae = mae.map_or_else(String::new, |mae| format!(" / {:.3}", mae[at]));
                let _ = write!(text, " {mse:.3}{mae} |");
            }
            text.push('\n');
        }
        text
    }

    /// A line per lookback and model, a column per horizon.
    fn summary(&self, options: &BenchmarkOptions, text: &mut String) {
        let columns = |cell: &dyn Fn(usize) -> String| -> String {
            options.horizons.iter().map(|horizon| format!(" {} |", cell(*horizon))).collect()
        };
        let heads = columns(&|horizon| horizon.to_string());
        let _ = writeln!(text, "| lookback | model |{heads}\n|---|---|{}", "---|".repeat(options.horizons.len()));
        for &lookback in &options.lookbacks {
            let mut models: Vec<&str> = Vec::new();
            for row in self.rows.iter().filter(|row| row.lookback == lookback) {
                if !models.contains(&row.model.as_str()) {
                    models.push(&row.model);
                }
            }
            for model in models {
                let cells = columns(&|horizon| self.cell(lookback, horizon, model));
                let _ = writeln!(text, "| {lookback} | {model} |{cells}");
            }
        }
        for (name, mse, mae) in RECORDS {
            let cells = columns(&|horizon| {
                let at = super::HORIZONS.iter().position(|published| *published == horizon);
                at.map_or_else(|| "-".to_owned(), |at| format!("{:.3} / {:.3}", mse[at], mae[at]))
            });
            let _ = writeln!(text, "| {name} | record |{cells}");
        }
    }

    /// Mean over the seeds, and the largest distance from it.
    #[allow(clippy::cast_precision_loss)] // a handful of seeds
    fn cell(&self, lookback: usize, horizon: usize, model: &str) -> String {
        let same = |row: &&BenchmarkRow| row.lookback == lookback && row.horizon == horizon && row.model == model;
        let scores: Vec<BenchmarkScore> = self.rows.iter().filter(same).map(|row| row.test).collect();
        let count = scores.len() as f64;
        let mean = BenchmarkScore {
            mse: scores.iter().map(|score| score.mse).sum::<f64>() / count,
            mae: scores.iter().map(|score| score.mae).sum::<f64>() / count,
        };
        match scores.len() {
            0 => "-".to_owned(),
            1 => figures(mean),
            _ => {
                let spread = scores.iter().map(|score| (score.mse - mean.mse).abs()).fold(0.0, f64::max);
                format!("{} (± {spread:.4})", figures(mean))
            }
        }
    }
}

const PROTOCOL: &str = "\
One year of Jena (2020), 21 channels, every ten minutes, 52,696 rows. The first 70 % train, the last 20 % test, the \
rest between them validates; channels are standardised by the training part, with the file's -9999 counted in as \
everyone does; every test window counts, the last ones too; errors are means over all windows, steps and channels. \
Penalties, the step at which a network's training ends and the longer lookback were chosen on the validation part; nothing was \
chosen by the test part.

**Not the published task to the letter**: beside the file our models know the place, and so the radiation that the sun \
would give under a clear sky at the times to come. \
What that is worth has no row here yet; a good part of the lead over the records may be the sun's. \
In MAE the published OLinear is better at 96 and 192 steps and level at 336. In validation MSE \
`linear` is the better of our two; the network is trained and stopped by a robust loss.

`persistence` is the newest row again and again, whose score shows that the protocol is the published one. \
`linear` is ridge regression in closed form, in two stages: each channel from means over ever longer bins of its own \
past, then all channels from the last day of all. `network` adds a small network that learns what the linear model \
leaves over, and `mean of seeds` is the mean of the networks' forecasts: one more model, not a seed. Beside the window \
they see the clock and the radiation that the sun would give under a clear sky at the place and the time to come, \
which is known in advance; of these the published models have at most the clock. What the file marks as absent (-9999) \
they see filled with the last value before.
";

fn figures(score: BenchmarkScore) -> String {
    format!("{:.4} / {:.4}", score.mse, score.mae)
}

fn list<T: ToString>(values: &[T]) -> String {
    values.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_all_there_and_their_mean_beside_the_record() {
        let row = |seed, mse| BenchmarkRow {
            lookback: 96,
            horizon: 192,
            model: "network".to_owned(),
            seed: Some(seed),
            windows: 10,
            validation: BenchmarkScore::default(),
            test: BenchmarkScore { mse, mae: 0.25 },
            seconds: 1.0,
        };
        let report = BenchmarkReport { rows: vec![row(1, 0.20), row(2, 0.21), row(3, 0.25)] };
        let (lookbacks, horizons, seeds) = (vec![96], vec![192, 720], vec![1, 2, 3]);
        let text = report.markdown(&BenchmarkOptions { data: "secret".into(), lookbacks, horizons, seeds, steps: 5 });
        assert!(text.contains("| 96 | network | 0.2200 / 0.2500 (± 0.0300) | - |"), "{text}");
        assert!(text.contains("| lookback 96 | record | 0.200 / 0.235 | 0.312 / 0.333 |"), "{text}");
        assert!(text.contains("| 96 | 192 | network | 3 | 10 | 0.0000 / 0.0000 | 0.2500 / 0.2500 | 1 |"), "{text}");
        assert!(
            text.contains("--horizons 192,720 --seeds 1,2,3 --steps 5 --data DIR") && !text.contains("secret"),
            "{text}"
        );
    }
}
