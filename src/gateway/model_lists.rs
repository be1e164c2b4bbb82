//! Asks providers for the models that they have. No call of a model waits for that.

use std::rc::Rc;

use futures::future::join_all;

use super::bridge::Bridge;
use super::call::{self, GatheredBody};
use super::credentials;
use super::platform::{Egress, Platform, ProviderRequest, ProviderResponse as _, RequestMethod};
use super::provider_models::TIMEOUT;
use super::wait::sleep;
use crate::config::{EgressRule, Millis, Provider};
use crate::formats::auth::AuthScheme;
use crate::formats::{self, ModelListing};
use crate::provider::ProviderAccount;

/// How often a request that waits for what another one has asked looks for it.
const POLL_INTERVAL: Millis = 20;
/// The longest list that is read, in bytes.
const MAX_LIST: usize = 2 << 20;

/// Asks each provider for its models, if the last answer is old. The caller waits only for providers that
/// have never answered.
pub(super) async fn refresh<P: Platform>(bridge: &Rc<Bridge>, platform: &P) {
    let mut unknown = Vec::new();
    for (index, provider) in bridge.config.providers.iter().enumerate() {
        let Some((listing, egress)) = listing(bridge, index, provider) else { continue };
        let now = platform.now();
        let Some(waits) = bridge.provider_models.begin(index, now) else { continue };
        let asking = ask(Rc::clone(bridge), platform.clone(), index, (listing, egress, now));
        if waits {
            unknown.push(asking);
        } else {
            platform.keep(asking);
        }
    }
    join_all(unknown).await;
    // On Workers, a request cannot await a promise of another request.
    while bridge.provider_models.is_waited_for(platform.now()) {
        sleep(platform, POLL_INTERVAL).await;
    }
}

/// How a provider lists its models; `None` if all that may be called are configured, or if it cannot be
/// asked. A region is for calls of models only.
fn listing(bridge: &Bridge, index: usize, provider: &Provider) -> Option<(ModelListing, Egress)> {
    let is_open = !provider.patterns.is_empty() && !matches!(bridge.account(index), ProviderAccount::Missing(_));
    let listing = formats::provider_format(provider.adapter).filter(|_| is_open)?.listing?;
    let egress = match &provider.egress {
        EgressRule::Region(rule) if !rule.is_fallback => return None,
        EgressRule::Binding(name) => Egress::Binding(name.clone()),
        EgressRule::Direct | EgressRule::Region(_) => {
            bridge.proxy(index).map_or(Egress::Direct, |proxy| Egress::Proxy(Rc::clone(proxy)))
        }
    };
    Some((listing, egress))
}

async fn ask<P: Platform>(
    bridge: Rc<Bridge>,
    platform: P,
    index: usize,
    (listing, egress, now): (ModelListing, Egress, Millis),
) {
    let names = match request(&bridge, index, &listing, (egress, now)) {
        Some(request) => fetch(&bridge, &platform, request).await.and_then(|body| listing.read(&body)),
        None => None,
    };
    bridge.provider_models.end(index, names, now);
}

fn request(
    bridge: &Bridge,
    index: usize,
    listing: &ModelListing,
    (egress, now): (Egress, Millis),
) -> Option<ProviderRequest> {
    let provider = bridge.config.providers.get(index)?;
    let mut headers = provider.headers.clone();
    headers.extend(listing.headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let mut request = ProviderRequest {
        method: RequestMethod::Get,
        url: provider.address.as_ref()?.join(listing.path),
        headers,
        body: Rc::default(),
        stream: false,
        ends_with_client: false,
        egress,
    };
    let signer = formats::provider_format(provider.adapter).and_then(|format| format.signer);
    let key = bridge.account(index).key(&provider.name, 0).ok()?;
    credentials::apply(&mut request, AuthScheme::of(provider.adapter, signer, provider.host), key, now);
    Some(request)
}

/// The body of a successful response; `None` if there is none.
async fn fetch<P: Platform>(bridge: &Bridge, platform: &P, request: ProviderRequest) -> Option<Vec<u8>> {
    let (_, room) = bridge.answer_room(platform.now())?;
    let answer = call::send(platform, request, TIMEOUT, None).await.ok()?;
    if answer.status() != 200 {
        platform.abort_answer(&answer);
        return None;
    }
    match call::gather(platform, answer, TIMEOUT, MAX_LIST, &room).await.ok()? {
        GatheredBody::Whole(body, _) => Some(body),
        GatheredBody::Long(rest, _) => {
            platform.abort(&rest);
            None
        }
    }
}
