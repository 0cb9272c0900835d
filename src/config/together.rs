//! What only the whole configuration can show: names that nobody has, and
//! settings that contradict each other.

use super::Config;
use super::problem::{Found, Origin};
use super::settings::Settings;

/// Checks what no table shows alone.
pub(super) fn check(config: &Config, settings: &Settings, found: &mut Found) {
    if config.listen == config.admin && !config.listen.is_empty() && !config.listen.ends_with(":0") {
        let top = settings.section("");
        let origin = [top.placed("admin"), top.placed("listen")].into_iter().max_by_key(Origin::layer);
        let mend = "give them two ports; the admin listener must not be public";
        found.error(&origin.unwrap_or(Origin::Nowhere), "`listen` and `admin` are one address", mend);
    }
    recipients(config, settings, found);
    kept(config, settings, found);
    if config.limits.bodies_in_flight < config.limits.request_body {
        let origin = settings.section("limits").placed("bodies_in_flight");
        let message = "`bodies_in_flight` is less than `request_body`, so one request could never be served";
        found.error(&origin, message, "write at least as much, better sixteen times as much");
    }
}

/// Whether what is to be forgotten has purposes and tenants that somebody has.
/// Values of others may still be there, so it is no error.
fn kept(config: &Config, settings: &Settings, found: &mut Found) {
    for section in settings.list("retention", "retention[]") {
        if let Some(purpose) = section.text("purpose").filter(|purpose| config.purpose(&purpose.value).is_none()) {
            let message = format!("no route and no [[purposes]] has the purpose `{}`", purpose.value);
            found.warning(&purpose.origin, message, "values that come for another one are not kept by this table");
        }
        let is_known = |tenant: &str| config.tenant == tenant || config.routes.iter().any(|one| one.tenant == tenant);
        if let Some(tenant) = section.text("tenant").filter(|tenant| !is_known(&tenant.value)) {
            let message = format!("no route has the tenant `{}`", tenant.value);
            found.warning(&tenant.origin, message, "values of another one are not kept by this table");
        }
    }
}

/// Whether what routes forward may go where they forward it.
fn recipients(config: &Config, settings: &Settings, found: &mut Found) {
    let top = settings.section("").placed("upstream");
    let of_purpose = |name: &str| {
        let mut purposes = settings.list("purposes", "purposes[]");
        let purpose = purposes.find(|section| section.text("name").is_some_and(|placed| placed.value == name));
        purpose.map_or(Origin::Nowhere, |section| section.placed("upstreams"))
    };
    let of_upstream = |name: &str| {
        let mut upstreams = settings.list("upstreams", "upstreams[]");
        let upstream = upstreams.find(|section| section.text("name").is_some_and(|placed| placed.value == name));
        upstream.map_or(top.clone(), |section| section.origin())
    };
    for purpose in &config.purposes {
        for name in purpose.upstreams.iter().flatten() {
            if config.upstream(Some(name)).is_none() {
                let message = format!("the purpose `{}` names the upstream `{name}`, which nobody has", purpose.name);
                found.error(&of_purpose(&purpose.name), message, "write a name that stands under [[upstreams]]");
            }
        }
    }
    for route in &config.routes {
        let Some(upstream) = config.upstream(route.upstream.as_deref()) else { continue };
        if !config.may_receive(upstream) {
            let message = format!(
                "the upstream `{}` of the route {} does not stand in one of the `regions` of [recipients]",
                upstream.name, route.path
            );
            let mend = "write its `region` or `country` under [[upstreams]], or let the route use another one";
            found.error(&of_upstream(&upstream.name), message, mend);
        }
        let allowed = config.purpose(&route.purpose).and_then(|purpose| purpose.upstreams.as_ref());
        if allowed.is_some_and(|allowed| !allowed.contains(&upstream.name)) {
            let message = format!(
                "the purpose `{}` of the route {} may not be served by the upstream `{}`",
                route.purpose, route.path, upstream.name
            );
            let mend = "let the route use another one, or add it to `upstreams` of the purpose";
            found.error(&of_purpose(&route.purpose), message, mend);
        }
    }
}
