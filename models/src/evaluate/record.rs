//! The evaluation as JSON, with no more digits than mean something: a line for each network and
//! quantity, so that the files of two versions can be compared line by line.

use serde_json::{Map, Value, json};
use weather::LEADS;

use super::report::quantities;
use super::summary::{Group, Score, Spread};
use super::tally::Contender;
use super::{Evaluation, REPORTED};

impl Evaluation {
    /// All scores.
    #[must_use]
    pub fn json(&self) -> String {
        let each = |of: fn(&Group) -> Vec<Value>| self.groups.iter().flat_map(of).collect::<Vec<_>>();
        let verdicts = self.verdicts().iter().map(|v| json!(v)).collect::<Vec<_>>();
        let networks: Vec<Value> = self
            .groups
            .iter()
            .map(|group| {
                let (from, to) = group.period.unzip();
                json!({ "network": group.name, "stations": group.stations, "from": from, "to": to })
            })
            .collect();
        let parts = [
            ("networks", networks),
            ("targets", verdicts),
            ("scores", each(scores)),
            ("model_by_lead", each(by_lead)),
            ("rain", each(rain)),
            ("reliability", each(reliability)),
            ("ranks", each(ranks)),
            ("stations", self.stations()),
        ];
        let mut text = format!("{{\n\"format\": 1,\n\"facts\": {},\n\"leads\": {:?}", json!(self.facts), REPORTED);
        for (name, lines) in parts {
            let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
            text.push_str(&format!(",\n\"{name}\": [\n{}\n]", lines.join(",\n")));
        }
        text.push_str("\n}\n");
        text
    }

    /// The model's score at each station by quantity and lead, and the strongest baseline's for temperature.
    fn stations(&self) -> Vec<Value> {
        let mut lines: Vec<Value> = Vec::new();
        let mut names: Vec<(&str, &str)> = self.stations.iter().map(|s| (&*s.network, &*s.station)).collect();
        names.sort_unstable();
        names.dedup();
        for (network, station) in names {
            let own: Vec<_> = self.stations.iter().filter(|s| s.network == network && s.station == station).collect();
            let mut model = Map::new();
            let mut rival = Value::Null;
            for quantity in self.groups.first().map(quantities).unwrap_or_default() {
                let of = |name: &str| {
                    let at = |lead| own.iter().find(|s| s.quantity == quantity && s.lead == lead);
                    let found = REPORTED.map(|lead| at(lead).and_then(|s| s.scores.get(name)).copied());
                    found.iter().any(Option::is_some).then(|| json!(found.map(|v| short(v.unwrap_or(f64::NAN), 3))))
                };
                let name = quantity.split(',').next().unwrap_or(quantity);
                model.extend(of(Contender::Model.name()).map(|scores| (name.to_owned(), scores)));
                if name == "temperature" {
                    let strongest = [Contender::Learned, Contender::Ridge, Contender::Diurnal];
                    rival = json!(strongest.into_iter().find_map(|c| Some((c.name(), of(c.name())?))));
                }
            }
            let n = own.iter().map(|s| s.n).max();
            lines.push(
                json!({ "network": network, "station": station, "n": n, "model": model, "temperature_of": rival }),
            );
        }
        lines
    }
}

/// A number with so many digits that count; null for none.
fn short(value: f64, digits: i32) -> Value {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { json!(0) } else { Value::Null };
    }
    #[allow(clippy::cast_possible_truncation)] // an exponent
    let scale = 10_f64.powi(digits - 1 - value.abs().log10().floor() as i32);
    json!((value * scale).round() / scale)
}

fn four(value: Option<f64>) -> Value {
    short(value.unwrap_or(f64::NAN), 4)
}

/// Shares and skills to a tenth of a percent.
fn thousandth(value: f64) -> Value {
    if value.is_finite() { json!((value * 1000.0).round() / 1000.0) } else { Value::Null }
}

/// All contenders at the reported leads.
fn scores(group: &Group) -> Vec<Value> {
    let line = |quantity: &'static str| {
        let at = |contender, lead| {
            group.scores.iter().find(|s| s.quantity == quantity && s.contender == contender && s.lead == lead)
        };
        let (mut scores, mut crps, mut saved, mut saved_crps) = (Map::new(), Map::new(), Map::new(), Map::new());
        for contender in Contender::ALL {
            let found = REPORTED.map(|lead| at(contender, lead));
            let name = contender.name().to_owned();
            if found.iter().any(Option::is_some) {
                scores.insert(name.clone(), json!(found.map(|s| four(s.map(|s| s.score)))));
            }
            if found.iter().flatten().any(|s| s.spread.is_some()) {
                crps.insert(name.clone(), json!(found.map(|s| four(s.and_then(|s| Some(s.spread.as_ref()?.crps))))));
            }
            for (of, map) in [("score", &mut saved), ("crps", &mut saved_crps)] {
                let found = REPORTED.map(|lead| {
                    let wanted = |c: &&super::Comparison| {
                        c.quantity == quantity && c.lead == lead && c.against == contender && c.of == of
                    };
                    group.comparisons.iter().find(wanted)
                });
                if found.iter().any(Option::is_some) {
                    let parts = found.map(|c| {
                        c.map(|c| {
                            let (low, high) = c.interval.unwrap_or((f64::NAN, f64::NAN));
                            [c.skill, low, high].map(thousandth)
                        })
                    });
                    map.insert(name.clone(), json!(parts));
                }
            }
        }
        let n = REPORTED.map(|lead| at(Contender::Model, lead).map(|s| s.n));
        let interval =
            REPORTED.map(|lead| at(Contender::Model, lead)?.interval.map(|(l, h)| [l, h].map(|v| short(v, 4))));
        json!({
            "network": group.name, "quantity": quantity, "n": n, "score": scores, "model_interval": interval,
            "crps": crps, "saved": saved, "saved_crps": saved_crps,
        })
    };
    quantities(group).into_iter().map(line).collect()
}

/// The model alone at every lead.
fn by_lead(group: &Group) -> Vec<Value> {
    let line = |quantity: &'static str| {
        let of = |value: &dyn Fn(&Score) -> Value| {
            let at = |lead| group.by_lead.iter().find(|s| s.quantity == quantity && s.lead == lead);
            (1..=LEADS).map(|lead| at(lead).map_or(Value::Null, value)).collect::<Vec<_>>()
        };
        let mut line = Map::new();
        line.insert("network".into(), json!(group.name));
        line.insert("quantity".into(), json!(quantity));
        line.insert("n".into(), json!(of(&|s| json!(s.n))));
        line.insert("score".into(), json!(of(&|s| short(s.score, 4))));
        line.insert("bias".into(), json!(of(&|s| s.bias.map_or(Value::Null, |bias| short(bias, 2)))));
        let spread = |value: &dyn Fn(&Spread) -> Value| of(&|s| s.spread.as_ref().map_or(Value::Null, value));
        if group.by_lead.iter().any(|s| s.quantity == quantity && s.spread.is_some()) {
            line.insert("crps".into(), json!(spread(&|s| short(s.crps, 4))));
            for (index, name) in ["within_50", "within_80", "within_90"].into_iter().enumerate() {
                line.insert(name.into(), json!(spread(&|s| thousandth(s.coverage[index]))));
            }
        }
        Value::Object(line)
    };
    quantities(group).into_iter().map(line).collect()
}

fn rain(group: &Group) -> Vec<Value> {
    let of = |value: &dyn Fn(&super::RainSkill) -> Option<f64>| {
        group.rain.iter().map(|r| thousandth(value(r).unwrap_or(f64::NAN))).collect::<Vec<_>>()
    };
    let leads: Vec<usize> = group.rain.iter().map(|r| r.lead).collect();
    let line = json!({
        "network": group.name, "leads": leads, "frequency": of(&|r| Some(r.frequency)),
        "brier_skill_over_frequency": of(&|r| r.over_frequency), "brier_skill_over_window": of(&|r| r.over_window),
    });
    if leads.is_empty() { Vec::new() } else { vec![line] }
}

fn reliability(group: &Group) -> Vec<Value> {
    let shown = [Contender::Model, Contender::Ridge, Contender::Learned];
    let wanted = group.reliability.iter().filter(|r| shown.contains(&r.contender));
    wanted
        .map(|r| {
            let bins: Vec<Value> =
                r.bins.iter().map(|(n, said, came)| json!([n, thousandth(*said), thousandth(*came)])).collect();
            json!({ "network": group.name, "lead": r.lead, "contender": r.contender.name(), "bins": bins })
        })
        .collect()
}

fn ranks(group: &Group) -> Vec<Value> {
    let line = |quantity: &'static str| {
        let of = group.ranks.iter().filter(|r| r.quantity == quantity).map(|r| r.counts).collect::<Vec<_>>();
        (!of.is_empty()).then(|| json!({ "network": group.name, "quantity": quantity, "counts": of }))
    };
    quantities(group).into_iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_never_break_the_file() {
        let written = [0.0, 1.0, 0.123_456, -12.345_6, 123_456.0, f64::NAN].map(|v| short(v, 3).to_string());
        assert_eq!(written, ["0", "1.0", "0.123", "-12.3", "123000.0", "null"]);
        assert_eq!(thousandth(0.123_45), json!(0.123));
    }
}
