//! Pictures are XML, the same for the same reports, and say what is missing.

use serde_json::json;

use super::{Picture, Source, Words, bars};

fn source(report: serde_json::Value) -> Source {
    Source { name: "a.json".into(), report }
}

fn dark(luminosity: u16, droppers: f64, payload: f64) -> Source {
    source(json!({"scenario": "dark-routing", "nodes": 1_000, "luminosity": luminosity, "droppers": droppers,
        "offline": 0.0, "region_nodes": f64::from(1_000 >> luminosity), "payload_per_region_node": payload,
        "coverage_mean": 1.0}))
}

/// Every element that opens is closed in order, and text holds no markup of its own.
fn assert_xml(picture: &str) {
    let mut open: Vec<&str> = Vec::new();
    for part in picture.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("what opens with < closes with >");
        let name = tag.trim_end_matches('/').split([' ', '\n']).next().expect("a tag has a name");
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None if tag.ends_with('/') => {}
            None => open.push(name),
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        for rest in text.split('&').skip(1) {
            assert!(["lt;", "gt;", "amp;", "quot;"].iter().any(|name| rest.starts_with(name)), "{text}");
        }
    }
    assert!(open.is_empty(), "{open:?} stay open");
    assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
}

#[test]
fn every_picture_is_xml_and_the_same_twice() {
    let dark = [dark(0, 0.0, 1.07), dark(3, 0.0, 1.03), dark(3, 0.1, 1.4), dark(7, 0.0, 1.3)];
    let colluders = [0.1, 0.2].map(|share| {
        source(json!({"nodes": 1_000, "colluders": share, "luminosity": 3, "attribution_true": 0.2,
            "by_luminosity": {"3": {"receiver_entropy_mean": 6.0}}}))
    });
    let compared = [source(json!({"nodes": 500, "honest": {
        "flood": {"payload_per_region_node": 9.1},
        "ours": {"payload_per_region_node": 1.03},
    }}))];
    for (picture, sources) in [
        (Picture::Cost, &dark[..]),
        (Picture::Coverage, &dark[..]),
        (Picture::Entropy, &colluders[..]),
        (Picture::Others, &compared[..]),
    ] {
        let drawn = picture.draw(sources).unwrap();
        assert_xml(&drawn);
        assert_eq!(drawn, picture.draw(sources).unwrap());
    }
}

#[test]
fn text_cannot_break_out_of_the_picture() {
    let words = Words { title: "a < b & \"c\"".into(), x: "</svg>".into(), y: String::new() };
    let drawn = bars(&words, &[("<script>".into(), 1.0)]);
    assert_xml(&drawn);
    assert!(!drawn.contains("<script>"));
}

#[test]
fn a_report_that_lacks_a_figure_is_named_with_the_figure() {
    let lacking = source(json!({"nodes": 1_000, "colluders": 0.1, "luminosity": 3}));
    let error = Picture::Entropy.draw(&[lacking]).unwrap_err().to_string();
    assert!(error.contains("a.json") && error.contains("receiver_entropy_mean"), "{error}");
    assert!(Picture::Others.draw(&[dark(3, 0.0, 1.0)]).unwrap_err().to_string().contains("honest"));
}
