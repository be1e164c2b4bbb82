//! Operators see from where the calls of each provider leave.

use serde_json::{Value, json};

use crate::setup::ADMIN;
use crate::support::{World, ask, bridge};

const CONFIG: &str = "
providers:
  demo: { adapter: echo, models: { echo: {} } }
  plain: { base_url: https://plain.example, models: { m: {}, far: { region: oc } } }
  home: { base_url: https://home.example, models: \"*\", binding: HOME }
  behind: { base_url: https://behind.example, models: \"*\", proxy: \"http://proxy.example:8080\" }
  far: { base_url: https://far.example, models: { m: {}, near: { region: none } }, region: apac }
  maybe: { base_url: https://maybe.example, models: \"*\", region: { fallback: apac } }
regions: { trace: https://trace.example/, avoid: [HKG] }
";

const SECRETS: &[(&str, &str)] = &[("ADMIN_API_KEYS", "admin")];

fn egress(world: &World) -> Value {
    let got = ask(&bridge(CONFIG, SECRETS), world, "GET /admin/api/egress", ADMIN, "");
    assert_eq!(got.status, 200, "{}", got.body);
    got.json()
}

fn rows(seen: &Value) -> Vec<(&str, Option<&str>, &str, Option<&str>)> {
    seen["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let place = row["place"]["data_center"].as_str();
            (row["provider"].as_str().unwrap(), row["model"].as_str(), row["way"].as_str().unwrap(), place)
        })
        .collect()
}

#[test]
fn each_way_has_its_place() {
    let world = World::default();
    world.texts.borrow_mut().push_back("colo=FRA\nloc=DE\n".to_owned());
    world.places.borrow_mut().extend([
        (("apac", 0), "XX HKG".to_owned()),
        (("apac", 1), "JP NRT".to_owned()),
        (("oc", 0), "AU SYD".to_owned()),
    ]);
    let seen = egress(&world);
    assert_eq!(world.fetched.borrow().as_slice(), ["https://trace.example/"]);
    assert_eq!(seen["here"], json!({ "country": "DE", "data_center": "FRA" }));
    assert_eq!(
        rows(&seen),
        [
            ("plain", None, "direct", Some("FRA")),
            ("plain", Some("far"), "region", Some("SYD")),
            ("home", None, "binding", None),
            ("behind", None, "proxy", None),
            ("far", None, "region", Some("NRT")),
            ("far", Some("near"), "direct", Some("FRA")),
            ("maybe", None, "region", Some("FRA")),
        ]
    );
    let objects = json!([
        { "number": 0, "place": { "country": "XX", "data_center": "HKG" }, "is_reached": true, "is_avoided": true },
        { "number": 1, "place": { "country": "JP", "data_center": "NRT" }, "is_reached": true, "is_avoided": false },
    ]);
    assert_eq!((&seen["data"][4]["objects"], &seen["data"][6]["objects"]), (&objects, &objects));
    assert_eq!((&seen["data"][4]["is_fallback"], &seen["data"][6]["is_fallback"]), (&false.into(), &true.into()));
    assert_eq!((&seen["data"][2]["binding"], &seen["data"][4]["region"]), (&"HOME".into(), &"apac".into()));
}

#[test]
fn a_place_that_nobody_says_is_not_known() {
    let seen = egress(&World::default());
    assert_eq!(seen["here"], Value::Null);
    assert!(rows(&seen).iter().all(|(.., place)| place.is_none()), "{seen}");
    assert_eq!(seen["data"][4]["objects"].as_array().unwrap().len(), 1);
}

#[test]
fn a_region_without_a_good_place_is_asked_so_often_and_no_more() {
    let world = World::default();
    world.places.borrow_mut().extend((0..30).map(|number| (("apac", number), "HK HKG".to_owned())));
    let seen = egress(&world);
    assert_eq!(seen["data"][4]["objects"].as_array().unwrap().len(), 8);
    assert_eq!(seen["data"][4]["place"], Value::Null);
}
