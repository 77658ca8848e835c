use mainframe_base::Luminosity;
use mainframe_sim::baselines::Baseline;
use mainframe_sim::compare::checks::{Expectation, SelfCheck};
use mainframe_sim::compare::report::Comparison;
use mainframe_sim::compare::tables::Tables;
use mainframe_sim::compare::trial::{Errand, Outcome};
use mainframe_sim::compare::{CompareOptions, compare, grow};
use mainframe_sim::dice::Dice;
use mainframe_sim::net::NetConfig;
use mainframe_sim::population::{Growth, Population, PopulationConfig};
use mainframe_sim::progress::Progress;

const HALF: Luminosity = Luminosity::at_most(1);

#[test]
fn every_baseline_reaches_its_whole_region_when_everyone_is_honest_and_nothing_is_lost() {
    let mut population = lossless(100);
    for baseline in Baseline::ALL {
        let (outcome, _) = play(&mut population, baseline);
        assert_eq!(outcome.coverage_min, 1.0, "{}: {outcome:?}", baseline.name());
    }
}

#[test]
fn a_self_check_passes_what_is_right_and_not_a_wrong_count() {
    let mut population = lossless(100);
    for baseline in Baseline::ALL {
        let (outcome, errand) = play(&mut population, baseline);
        let check = |outcome: &Outcome| -> Vec<SelfCheck> {
            let tables = &Tables::of(&population);
            let expectation = Expectation { tables, errand: &errand, part: "honest", loss_per_million: 0 };
            expectation.checks(baseline, outcome, &mut Dice::new(1, "test"))
        };
        assert!(check(&outcome).iter().all(|check| check.pass), "{:?}", check(&outcome));
        for wrong in [0.7, 1.3] {
            let wrong = Outcome {
                copies_per_region_node: outcome.copies_per_region_node * wrong,
                duplicates_per_region_node: outcome.duplicates_per_region_node + (wrong - 1.0) * 10.0,
                coverage_mean: outcome.coverage_mean * 0.5,
                ..outcome.clone()
            };
            assert!(check(&wrong).iter().all(|check| !check.pass), "{:?}", check(&wrong));
        }
    }
}

#[test]
fn one_seed_gives_one_comparison_and_ours_is_the_measure() {
    let timeless = |comparison: Comparison| Comparison { wall_s: 0.0, peak_mb: 0, ..comparison };
    let first = timeless(comparison(7));
    assert_eq!(first, timeless(comparison(7)));
    assert_eq!(first.honest["ours"].payload_over_ours, 1.0);
    assert!(first.honest["pss"].payload_over_ours > 8.0, "{first}");
}

fn comparison(seed: u64) -> Comparison {
    let options = CompareOptions { nodes: 30, seed, packets: 3, luminosity: Luminosity::DARKEST, droppers: 0.1 };
    let progress = &mut Progress::new(false);
    let mut population = grow(&options, progress);
    compare(&options, &mut population, |_| (), progress)
}

fn play(population: &mut Population, baseline: Baseline) -> (Outcome, Errand) {
    let errand = Errand::draw(population, 60, HALF, 0.0, 7);
    baseline.dress(population, HALF, 7);
    (errand.run(population, &mut Progress::new(false), baseline.name()), errand)
}

fn lossless(nodes: usize) -> Population {
    let net = NetConfig { loss_per_million: 0, ..NetConfig::default() };
    let mut population = Population::new(PopulationConfig { net, relay: Default::default(), seed: 7, nudge: None });
    let complete = Growth { rest_s: 10, ..Growth::of(nodes) }.run(&mut population, |_| ());
    assert!(complete >= 0.99, "neighbourhoods are complete to {complete}");
    population
}
