//! The four pictures.

use std::cmp::Ordering;

use anyhow::bail;
use mainframe_base::Luminosity;
use mainframe_core::cost::{Network, quote_region};
use mainframe_core::wire::SizeClass;

use super::{Series, Source, Words, bars, lines};
use crate::compare::OURS;
use crate::figures::mean;
use crate::masks::Mask;

/// A picture there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Picture {
    /// Transmissions per packet against luminosity, measured and by the closed form.
    Cost,
    /// Coverage and payloads against the share of silent droppers.
    Coverage,
    /// What colluders learn of receiver and sender.
    Entropy,
    /// Payloads per region node, ours beside other protocols'.
    Others,
}

impl Picture {
    /// All of them.
    pub const ALL: [Picture; 4] = [Picture::Cost, Picture::Coverage, Picture::Entropy, Picture::Others];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Picture::Cost => "cost",
            Picture::Coverage => "coverage",
            Picture::Entropy => "entropy",
            Picture::Others => "others",
        }
    }

    /// The picture of that name.
    pub fn find(name: &str) -> Option<Picture> {
        Picture::ALL.into_iter().find(|picture| picture.name() == name)
    }

    /// Draws it from those of the reports that belong in it.
    ///
    /// # Errors
    /// If none does, or one that does lacks a key.
    pub fn draw(self, sources: &[Source]) -> anyhow::Result<String> {
        match self {
            Picture::Cost => cost(sources),
            Picture::Coverage => coverage(sources),
            Picture::Entropy => entropy(sources),
            Picture::Others => others(sources),
        }
    }
}

/// Whether nobody lies in another way than by dropping in silence.
fn drops_at_most(source: &Source) -> bool {
    source.report["liars"].as_object().is_none_or(|liars| liars.keys().all(|kind| kind == Mask::SilentDropper.name()))
}

/// One figure of many reports: the mean of those that agree in `x`, by rising x.
fn curve(
    name: &str,
    sources: &[&Source],
    x: impl Fn(&Source) -> anyhow::Result<f64>,
    y: impl Fn(&Source) -> anyhow::Result<f64>,
) -> anyhow::Result<Series> {
    let mut all: Vec<(f64, f64)> = Vec::with_capacity(sources.len());
    for source in sources {
        all.push((x(source)?, y(source)?));
    }
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    let points = all
        .chunk_by(|one, other| one.0 == other.0)
        .map(|same| (same[0].0, mean(&same.iter().map(|(_, y)| *y).collect::<Vec<f64>>())))
        .collect();
    Ok(Series { name: name.to_owned(), points, formula: false })
}

fn of_scenario<'a>(sources: &'a [Source], scenario: &str) -> anyhow::Result<Vec<&'a Source>> {
    let found: Vec<&Source> = sources.iter().filter(|source| source.is_of(scenario) && drops_at_most(source)).collect();
    if found.is_empty() {
        bail!("none of the {} reports is of `{scenario}` without liars but silent droppers", sources.len());
    }
    Ok(found)
}

fn nodes_of(sources: &[&Source]) -> anyhow::Result<Vec<u64>> {
    let nodes: anyhow::Result<Vec<f64>> = sources.iter().map(|source| source.number("nodes")).collect();
    let mut nodes: Vec<u64> = nodes?.into_iter().map(|nodes| nodes as u64).collect();
    nodes.sort_unstable();
    nodes.dedup();
    Ok(nodes)
}

fn transmissions(source: &Source) -> anyhow::Result<f64> {
    Ok(source.number("payload_per_region_node")? * source.number("region_nodes")?)
}

fn quoted(source: &Source) -> anyhow::Result<f64> {
    let network = Network { relays: source.number("nodes")? as u64, droppers_per_mille: 0 };
    let luminosity = Luminosity::at_most(source.number("luminosity")? as u16);
    let milli_region = (source.number("region_nodes")? * 1e3) as u64;
    let quote = quote_region(&network, luminosity, milli_region, SizeClass::T);
    Ok(quote.milli_transmissions as f64 / 1e3)
}

/// Those of one setting: the one in which most was tried, the largest of equals.
fn of_fullest<K: Ord>(sources: Vec<&Source>, setting: impl Fn(&Source) -> K) -> Vec<&Source> {
    let tried = |wanted: &K| sources.iter().filter(|source| setting(source) == *wanted).count();
    let fullest = sources.iter().map(|source| setting(source)).max_by(|one, other| {
        let (one, other) = ((tried(one), one), (tried(other), other));
        one.cmp(&other)
    });
    sources.into_iter().filter(|source| Some(setting(source)) == fullest).collect()
}

fn whole(source: &Source, key: &str) -> Option<u64> {
    source.report[key].as_u64()
}

fn cost(sources: &[Source]) -> anyhow::Result<String> {
    let honest: Vec<&Source> = of_scenario(sources, "dark-routing")?
        .into_iter()
        .filter(|source| source.report["droppers"] == 0.0 && source.report["offline"] == 0.0)
        .collect();
    if honest.is_empty() {
        bail!("no dark-routing report is of honest nodes");
    }
    let alike = of_fullest(honest, |source| whole(source, "nodes"));
    let bits = |source: &Source| source.number("luminosity");
    let formula = Series { formula: true, ..curve("closed form", &alike, bits, quoted)? };
    let series = [curve("measured", &alike, bits, transmissions)?, formula];
    let words = Words {
        title: format!("What a dark packet costs among {} relays", nodes_text(&alike)?),
        x: "luminosity: revealed bits of the destination".to_owned(),
        y: "transmissions per packet".to_owned(),
    };
    Ok(lines(&words, &series, true))
}

fn coverage(sources: &[Source]) -> anyhow::Result<String> {
    let all = of_scenario(sources, "dark-routing")?;
    let all = of_fullest(all, |source| (whole(source, "nodes"), whole(source, "luminosity")));
    let share = |source: &Source| Ok(source.number("droppers")? * 100.0);
    let series = [
        curve("coverage", &all, share, |source| source.number("coverage_mean"))?,
        curve("payloads per region node", &all, share, |source| source.number("payload_per_region_node"))?,
    ];
    let words = Words {
        title: format!("Silent droppers cost copies, not coverage ({} relays)", nodes_text(&all)?),
        x: "relays that drop silently, in per cent".to_owned(),
        y: "share, and cells".to_owned(),
    };
    Ok(lines(&words, &series, false))
}

/// Of the run's own luminosity.
fn receiver_entropy(source: &Source) -> anyhow::Result<f64> {
    let luminosity = source.number("luminosity")?;
    let report = source.report["by_luminosity"][luminosity.to_string()].clone();
    let name = format!("{}, by_luminosity, {luminosity}", source.name);
    Source { name, report }.number("receiver_entropy_mean")
}

fn entropy(sources: &[Source]) -> anyhow::Result<String> {
    let all: Vec<&Source> = sources.iter().filter(|source| source.report.get("colluders").is_some()).collect();
    if all.is_empty() {
        bail!("none of the {} reports has `colluders`", sources.len());
    }
    let share = |source: &Source| Ok(source.number("colluders")? * 100.0);
    let series = [
        curve("receiver entropy, bits", &all, share, receiver_entropy)?,
        curve("senders named rightly, of 10", &all, share, |source| Ok(source.number("attribution_true")? * 10.0))?,
    ];
    let words = Words {
        title: format!("What colluding relays learn ({} relays)", nodes_text(&all)?),
        x: "relays that collude, in per cent".to_owned(),
        y: "bits, and tenths".to_owned(),
    };
    Ok(lines(&words, &series, false))
}

/// What `sim compare --json` reports of honest nodes.
fn others(sources: &[Source]) -> anyhow::Result<String> {
    let comparison = sources.iter().find_map(|source| Some((source, source.report["honest"].as_object()?)));
    let Some((source, standings)) = comparison else {
        bail!("none of the {} reports has `honest`; `sim compare --json` writes one", sources.len());
    };
    let mut values: Vec<(String, f64)> = Vec::with_capacity(standings.len());
    for (name, standing) in standings {
        let row = Source { name: format!("{name} in {}", source.name), report: standing.clone() };
        values.push((name.clone(), row.number("payload_per_region_node")?));
    }
    values.sort_by(|one, other| {
        (one.0 != OURS, one.1).partial_cmp(&(other.0 != OURS, other.1)).unwrap_or(Ordering::Equal)
    });
    let words = Words {
        title: format!("Cells sent per relay of the region ({} relays)", nodes_text(&[source])?),
        x: "payloads per region node".to_owned(),
        y: String::new(),
    };
    Ok(bars(&words, &values))
}

fn nodes_text(sources: &[&Source]) -> anyhow::Result<String> {
    let nodes: Vec<String> = nodes_of(sources)?.into_iter().map(|nodes| super::axis::label(nodes as f64)).collect();
    Ok(nodes.join(" and "))
}
