//! The evaluation as Markdown that reads well in a terminal too.

use super::summary::{Comparison, Group, Score};
use super::table::table;
use super::tally::Contender;
use super::targets::{Verdict, hardest, percent};
use super::{Evaluation, REPORTED};

const PLOTS: [(&str, &str); 4] = [
    ("errors.svg", "Errors by lead, of the model and the baselines"),
    ("coverage.svg", "Share of observations within the 80 % interval, by lead and network"),
    ("ranks.svg", "Where observations fall among the model's quantiles; flat is right"),
    ("reliability.svg", "Forecast chances of rain and how often it rained"),
];

impl Evaluation {
    /// The targets and the scores over all networks.
    #[must_use]
    pub fn overview(&self) -> String {
        let all = self.groups.first().map(all_networks).unwrap_or_default();
        format!("{}\n{all}", self.targets())
    }

    /// The whole report. `command` made it, and its plots lie in the folder `plots`.
    #[must_use]
    pub fn markdown(&self, command: &str, plots: &str) -> String {
        let model = &self.facts.model;
        let mut text = format!("# Evaluation of {} {}\n\n", model.name, model.version);
        text.push_str(&self.method(command));
        text.push_str(&self.overview());
        text.push_str("## Plots\n\n");
        for (file, title) in PLOTS {
            text.push_str(&format!("{title}:\n\n![{title}]({plots}/{file})\n\n"));
        }
        text.push_str(&format!(
            "## Network by network\n\nEvery lead from 1 to 48 h, all contenders and every station are in \
             [evaluation.json]({plots}/evaluation.json).\n\n"
        ));
        for group in self.groups.iter().skip(1) {
            text.push_str(&network(group));
        }
        text
    }

    /// How it was judged, in words.
    fn method(&self, command: &str) -> String {
        let facts = &self.facts;
        let judged = facts.cut.map_or_else(
            || "Judged are all stations over their whole period: right only for data that was not trained on.".into(),
            |cut| {
                format!(
                    "The version was trained on what most stations reported before {cut}. It is judged by what came \
                     after, at stations that were not trained on: every fifth, by a hash of its id, and all those of \
                     a network that only begins after that moment."
                )
            },
        );
        let mut text = format!(
            "Made by `{command}`, DIR holding the networks named below.\n\n{judged} {} moments of {} stations, at most \
             {} of each, spread evenly over its period.",
            facts.judged,
            self.groups.first().map_or(0, |all| all.stations),
            facts.per_station
        );
        if facts.fitted > 0 {
            text.push_str(&format!(
                " The baselines were fitted on {} moments of the stations and the time that the version was trained on.",
                facts.fitted
            ));
        }
        text.push_str("\n\n");
        text.push_str(METHOD);
        if let Some(learned) = &facts.learned {
            text.push_str(&format!("\nLightGBM: {learned}.\n"));
        }
        for left_out in &facts.left_out {
            text.push_str(&format!("\nLeft out: {left_out}.\n"));
        }
        text.push('\n');
        text
    }

    fn targets(&self) -> String {
        let verdicts = self.verdicts();
        let count = |wanted: Option<bool>| verdicts.iter().filter(|v| v.reached == wanted).count();
        let measured = verdicts.iter().filter_map(|v| Some((v, v.reached?)));
        let row = |(v, reached): (&Verdict, bool)| {
            let verdict = if reached { "met" } else { "NOT met" };
            vec![v.what.clone(), v.wanted.clone(), v.found.clone(), verdict.to_owned()]
        };
        let rows: Vec<Vec<String>> = measured.map(row).collect();
        format!(
            "## Targets\n\n{} met, {} not met, {} not measured. The mean decides; in brackets the 95 % interval over \
             draws of ten-day blocks, both contenders in the same draw. Coverage is that of every lead from 1 to 48 \
             h.\n\n{}",
            count(Some(true)),
            count(Some(false)),
            count(None),
            table(&["target", "wanted", "measured", "verdict"], 4, &rows)
        )
    }
}

const METHOD: &str = "Errors are mean absolute errors of the median; of a direction the mean angle, where at least 3 m/s \
    were observed; of the chance of rain the Brier score. A case counts where the observation passed quality control \
    and every contender has a forecast of it, so all are judged by the same cases. Everything is averaged within a \
    station first, then over stations.\n\n\
    - `persistence`: the newest value. `diurnal`: the newest value at the same hour of the day.\n\
    - `climatology`: harmonics of the day and the year of the station's own past, where it has a year of it; else the \
    mean of the window's days at that hour.\n\
    - `damped`: that mean, and what is left by then of the newest value's distance from it.\n\
    - `blend`: the mixture of these four (weights that add up to 1, by quantity and lead) with the least error on the \
    training cases. `best simple`: whichever of these five did best here, so that a blend that was fitted elsewhere \
    makes nobody look good.\n\
    - `ridge`: linear regression on some 300 columns of the window: the last three days, where the model sees four. \
    `LightGBM`: trees on the same columns. They are fitted on all but the last 12 % of the training period; their \
    quantiles are those of their residuals in that part, and not quantile regression.\n\
    - CRPS is from the seven served quantiles, weighted by the ranks they stand for. Most hours are dry, and a dry hour \
    lies at 0 where several quantiles of precipitation are 0 too: its share in 80 % is high by nature.\n\n\
    These are development results: the judged cases were looked at while the recipe was chosen. Faults (sensors that \
    hang, spikes) were marked with the whole series known: what is judged leaves them out, and the baselines' inputs \
    too, while the model's inputs have the flags that a worker would have given. Intervals say how much the weather of \
    these days counts, not which stations there are; a network of two months has six blocks, which is few.\n";

/// The contenders that a group has.
fn present(group: &Group) -> Vec<Contender> {
    Contender::ALL.into_iter().filter(|c| group.scores.iter().any(|s| s.contender == *c)).collect()
}

/// The scores of one quantity and lead.
fn at<'a>(group: &'a Group, quantity: &str, lead: usize) -> impl Fn(Contender) -> Option<&'a Score> {
    let scores = group.scores.iter().filter(|s| s.quantity == quantity && s.lead == lead);
    let scores: Vec<&Score> = scores.collect();
    move |contender| scores.iter().copied().find(|s| s.contender == contender)
}

/// The names of the quantities that were scored, in the order of the tables.
pub(crate) fn quantities(group: &Group) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = group.scores.iter().map(|s| s.quantity).collect();
    names.dedup();
    names
}

fn rows(group: &Group, row: impl Fn(&'static str, usize) -> Option<Vec<String>>) -> Vec<Vec<String>> {
    let leads = |quantity| REPORTED.into_iter().map(move |lead| (quantity, lead));
    let all = quantities(group).into_iter().flat_map(leads);
    all.filter_map(|(quantity, lead)| {
        let mut cells = vec![quantity.to_owned(), lead.to_string()];
        cells.extend(row(quantity, lead)?);
        Some(cells)
    })
    .collect()
}

fn number(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| format!("{value:.3}"))
}

fn all_networks(group: &Group) -> String {
    format!(
        "## All networks\n\nErrors:\n\n{}\nThe part of the error that the model saves:\n\n{}\nQuantiles:\n\n{}\nThe \
         chance of rain, its Brier skill over two constant chances: how often it rained in the judged hours, which \
         nobody knew beforehand, and in each case's own window:\n\n{}\n",
        errors(group),
        savings(group),
        quantiles(group),
        rain(group)
    )
}

fn errors(group: &Group) -> String {
    let contenders = present(group);
    let mut head = vec!["error", "lead h", "n"];
    head.extend(contenders.iter().map(|c| c.name()));
    let rows = rows(group, |quantity, lead| {
        let of = at(group, quantity, lead);
        let n = of(Contender::Model)?.n.to_string();
        Some(std::iter::once(n).chain(contenders.iter().map(|c| number(of(*c).map(|s| s.score)))).collect())
    });
    table(&head, 1, &rows)
}

fn savings(group: &Group) -> String {
    let columns = [
        ("over best simple", None, "score"),
        ("over ridge", Some(Contender::Ridge), "score"),
        ("over LightGBM", Some(Contender::Learned), "score"),
        ("CRPS, over LightGBM", Some(Contender::Learned), "crps"),
    ];
    let present = present(group);
    let known = |against: Option<Contender>| against.is_none_or(|against| present.contains(&against));
    let shown: Vec<_> = columns.into_iter().filter(|(_, against, _)| known(*against)).collect();
    let mut head = vec!["saved", "lead h"];
    head.extend(shown.iter().map(|(name, ..)| *name));
    let rows = rows(group, |quantity, lead| {
        let cell = |(_, against, of): &(&str, Option<Contender>, &str)| {
            let against = against.or_else(|| hardest(group, quantity, lead))?;
            let wanted =
                |c: &&Comparison| c.quantity == quantity && c.lead == lead && c.against == against && c.of == *of;
            group.comparisons.iter().find(wanted).map(percent)
        };
        Some(shown.iter().map(|column| cell(column).unwrap_or_default()).collect())
    });
    table(&head, 1, &rows)
}

fn crps(score: Option<&Score>) -> String {
    number(score.and_then(|s| s.spread.as_ref()).map(|s| s.crps))
}

fn share(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

fn quantiles(group: &Group) -> String {
    let head = ["quantiles", "lead h", "CRPS", "of ridge", "of LightGBM", "in 50 %", "in 80 %", "in 90 %", "bias"];
    let rows = rows(group, |quantity, lead| {
        let of = at(group, quantity, lead);
        let model = of(Contender::Model)?;
        let [half, most, nearly] = model.spread.as_ref()?.coverage.map(share);
        let [own, ridge, learned] = [Contender::Model, Contender::Ridge, Contender::Learned].map(|c| crps(of(c)));
        let bias = model.bias.map_or(String::new(), |bias| format!("{bias:+.3}"));
        Some(vec![own, ridge, learned, half, most, nearly, bias])
    });
    table(&head, 1, &rows)
}

fn rain(group: &Group) -> String {
    let skill = |value: Option<f64>| value.map_or(String::new(), |skill| format!("{skill:+.3}"));
    let lines = group.rain.iter().filter(|line| REPORTED.contains(&line.lead));
    let rows: Vec<Vec<String>> = lines
        .map(|line| {
            vec![line.lead.to_string(), share(line.frequency), skill(line.over_frequency), skill(line.over_window)]
        })
        .collect();
    table(&["lead h", "it rained", "over that frequency", "over the window's own"], 0, &rows)
}

/// The scores of one network, fewer columns than those of all.
fn network(group: &Group) -> String {
    let Group { name, stations, period, .. } = group;
    let period = period.map(|(from, to)| format!(", {from} to {to}")).unwrap_or_default();
    let head = ["error", "lead h", "n", "model", "best simple", "ridge", "LightGBM", "CRPS", "in 80 %"];
    let rows = rows(group, |quantity, lead| {
        let of = at(group, quantity, lead);
        let model = of(Contender::Model)?;
        let score = |contender| number(of(contender).map(|s| s.score));
        let simple = hardest(group, quantity, lead).map(score).unwrap_or_default();
        let covered = model.spread.as_ref().map_or(String::new(), |spread| share(spread.coverage[1]));
        Some(vec![
            model.n.to_string(),
            score(Contender::Model),
            simple,
            score(Contender::Ridge),
            score(Contender::Learned),
            crps(Some(model)),
            covered,
        ])
    });
    format!("### {name}\n\n{stations} stations{period}.\n\n{}\n", table(&head, 1, &rows))
}
