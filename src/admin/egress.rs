//! From where the calls of each provider leave.

use serde::Serialize;

use super::json_response::json;
use crate::config::EgressRule;
use crate::gateway::{Bridge, ObjectPlace, Platform, RegionPlaces, Response, Way, departures};
use crate::policy::region::Place;

#[derive(Serialize)]
struct EgressView<'b> {
    object: &'static str,
    here: Option<PlaceView>,
    trace: Option<&'b str>,
    data: Vec<WayView<'b>>,
}

#[derive(Serialize)]
struct PlaceView {
    country: String,
    data_center: String,
}

#[derive(Serialize)]
struct WayView<'b> {
    provider: &'b str,
    model: Option<&'b str>,
    way: &'static str,
    binding: Option<&'b str>,
    region: Option<&'static str>,
    is_fallback: bool,
    place: Option<PlaceView>,
    objects: Vec<ObjectView>,
}

#[derive(Serialize)]
struct ObjectView {
    number: usize,
    place: Option<PlaceView>,
    is_reached: bool,
    is_avoided: bool,
}

/// Says from where the calls of each provider leave.
pub async fn show<P: Platform>(bridge: &Bridge, platform: &P) -> Response<P> {
    let found = departures(bridge, platform).await;
    let data = found.ways.iter().map(|row| way(row, found.here, &found.regions)).collect();
    json(200, &EgressView { object: "egress", here: found.here.as_ref().map(place), trace: found.trace, data })
}

fn way<'b>(way: &Way<'b>, here: Option<Place>, regions: &[RegionPlaces]) -> WayView<'b> {
    let direct = WayView {
        provider: way.provider,
        model: way.model,
        way: "direct",
        binding: None,
        region: None,
        is_fallback: false,
        place: None,
        objects: Vec::new(),
    };
    match way.rule {
        EgressRule::Direct if way.is_proxied => WayView { way: "proxy", ..direct },
        EgressRule::Direct => WayView { place: here.as_ref().map(place), ..direct },
        EgressRule::Binding(name) => WayView { way: "binding", binding: Some(name), ..direct },
        EgressRule::Region(rule) => {
            let asked = regions.iter().find(|found| found.region == rule.region);
            let objects = asked.map_or(&[][..], |found| &found.objects);
            let used = objects.iter().find(|object| !object.is_avoided).and_then(|object| object.place);
            let leaves = if rule.is_fallback { here } else { used };
            WayView {
                way: "region",
                region: Some(rule.region.name()),
                is_fallback: rule.is_fallback,
                place: leaves.as_ref().map(place),
                objects: objects.iter().enumerate().map(object).collect(),
                ..direct
            }
        }
    }
}

fn object((number, object): (usize, &ObjectPlace)) -> ObjectView {
    let ObjectPlace { place: at, is_reached, is_avoided } = object;
    ObjectView { number, place: at.as_ref().map(place), is_reached: *is_reached, is_avoided: *is_avoided }
}

fn place(place: &Place) -> PlaceView {
    PlaceView { country: place.country().to_owned(), data_center: place.data_center().to_owned() }
}
