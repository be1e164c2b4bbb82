//! From where the calls of each provider leave, for operators.

use super::Bridge;
use super::object::ask_soon;
use super::platform::{ObjectAddress, Platform};
use super::wait::within;
use crate::config::{EgressRule, Millis, Provider, Region};
use crate::policy::region::Place;

/// How long a trace is waited for.
const TRACE_TIME: Millis = 2_000;
/// The most objects of a region, and of all regions, that are asked where they are.
const MAX_ASKED: usize = 8;
const MAX_ASKED_TOGETHER: usize = 24;

/// From where calls leave.
#[derive(Debug)]
pub struct Departures<'b> {
    /// Where this isolate runs; `None` if nobody says.
    pub here: Option<Place>,
    /// The address that is asked for places.
    pub trace: Option<&'b str>,
    /// The ways of providers, in the order of the configuration, each followed by those of its models that
    /// have one of their own.
    pub ways: Vec<Way<'b>>,
    /// The regions in use.
    pub regions: Vec<RegionPlaces>,
}

/// How calls of a provider or model leave.
#[derive(Debug)]
pub struct Way<'b> {
    /// The provider's name.
    pub provider: &'b str,
    /// The name of the model's row; `None` for all of the provider's others.
    pub model: Option<&'b str>,
    /// The rule.
    pub rule: &'b EgressRule,
    /// Whether direct calls go through a proxy.
    pub is_proxied: bool,
}

/// A region, and where its objects are.
#[derive(Debug)]
pub struct RegionPlaces {
    /// The region.
    pub region: Region,
    /// Its objects, by their numbers: up to the first in a place that is not to be avoided.
    pub objects: Vec<ObjectPlace>,
}

/// Where an object is.
#[derive(Clone, Copy, Debug)]
pub struct ObjectPlace {
    /// `None` if nobody says.
    pub place: Option<Place>,
    /// Whether it has responded.
    pub is_reached: bool,
    /// Whether no provider is called from there.
    pub is_avoided: bool,
}

/// Finds out from where calls leave. Objects that do not exist yet are made by it.
pub async fn departures<'b, P: Platform>(bridge: &'b Bridge, platform: &P) -> Departures<'b> {
    let trace = bridge.config.regions.trace.as_deref();
    let here = match trace {
        Some(trace) => within(platform, TRACE_TIME, platform.fetch_text(trace)).await.ok(),
        None => None,
    };
    let ways: Vec<Way<'b>> = bridge.config.providers.iter().enumerate().flat_map(|row| ways(bridge, row)).collect();
    let (mut regions, mut asked) = (Vec::<RegionPlaces>::new(), 0);
    for way in &ways {
        if let EgressRule::Region(rule) = way.rule
            && regions.iter().all(|known| known.region != rule.region)
        {
            let objects = objects(bridge, platform, rule.region, &mut asked).await;
            regions.push(RegionPlaces { region: rule.region, objects });
        }
    }
    Departures { here: here.as_deref().and_then(Place::of_trace), trace, ways, regions }
}

fn ways<'b>(bridge: &'b Bridge, (index, provider): (usize, &'b Provider)) -> Vec<Way<'b>> {
    if provider.address.is_none() {
        return Vec::new();
    }
    let is_proxied = bridge.proxy(index).is_some();
    let way = |model, rule| Way { provider: &provider.name, model, rule, is_proxied };
    let models = provider.models.iter().chain(&provider.patterns);
    let own = models.filter_map(|model| Some(way(Some(model.name.as_str()), model.egress.as_ref()?)));
    [way(None, &provider.egress)].into_iter().chain(own).collect()
}

/// Asks the objects of a region where they are. `asked`: how many have been asked so far.
async fn objects<P: Platform>(bridge: &Bridge, platform: &P, region: Region, asked: &mut usize) -> Vec<ObjectPlace> {
    let mut objects = Vec::new();
    for number in 0..MAX_ASKED {
        if *asked >= MAX_ASKED_TOGETHER {
            break;
        }
        *asked += 1;
        let said = ask_soon(platform, ObjectAddress::Region(region, number), String::new()).await;
        let text = said.as_ref().ok().and_then(|said| serde_json::from_str::<Option<String>>(said).ok().flatten());
        let place = text.and_then(|text| Place::read(&text));
        let is_avoided = place.is_some_and(|place| place.is_avoided(&bridge.config.regions));
        objects.push(ObjectPlace { place, is_reached: said.is_ok(), is_avoided });
        if !is_avoided {
            break;
        }
    }
    objects
}
