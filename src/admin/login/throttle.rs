//! How many log-ins may fail: ten a minute from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use tokio::time::{Duration, Instant};

/// Failures of one address within [`WINDOW`] before it has to wait.
const MOST: u32 = 10;
const WINDOW: Duration = Duration::from_mins(1);

/// Addresses that are remembered. Where more fail at a time, all others count
/// as one.
const ADDRESSES: usize = 4096;

/// Counts failures by address.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<HashMap<IpAddr, (Instant, u32)>>);

impl Throttle {
    /// Whether this address has failed too often.
    pub(super) fn is_over(&self, from: Option<IpAddr>) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = place(&mut counts, from);
        counts.get(&from).is_some_and(|(since, count)| since.elapsed() < WINDOW && *count >= MOST)
    }

    /// One more failure of this address; whether it was one too many.
    pub(super) fn failed(&self, from: Option<IpAddr>) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = place(&mut counts, from);
        let (since, count) = counts.entry(from).or_insert((Instant::now(), 0));
        if since.elapsed() >= WINDOW {
            (*since, *count) = (Instant::now(), 0);
        }
        *count = count.saturating_add(1);
        *count > MOST
    }
}

/// The key under which an address is counted: of IPv6 its network of 64 bits,
/// which is what one client has.
fn place(counts: &mut HashMap<IpAddr, (Instant, u32)>, from: Option<IpAddr>) -> IpAddr {
    let other = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let from = match from {
        Some(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        Some(address) => address,
        None => other,
    };
    if counts.len() >= ADDRESSES && !counts.contains_key(&from) {
        counts.retain(|_, (since, _)| since.elapsed() < WINDOW);
        if counts.len() >= ADDRESSES {
            return other;
        }
    }
    from
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_address_waits_and_others_do_not() {
        let throttle = Throttle::default();
        let (one, other) = (Some("192.0.2.1".parse().unwrap()), Some("192.0.2.2".parse().unwrap()));
        for _ in 0..MOST {
            assert!(!throttle.is_over(one));
            assert!(!throttle.failed(one));
        }
        assert!(throttle.is_over(one) && throttle.failed(one));
        assert!(!throttle.is_over(other));
        tokio::time::advance(WINDOW).await;
        assert!(!throttle.is_over(one) && !throttle.failed(one));
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_are_bounded_and_a_network_is_one() {
        let throttle = Throttle::default();
        for n in 0..20_000_u32 {
            throttle.failed(Some(IpAddr::V4(n.into())));
        }
        assert!(throttle.0.lock().unwrap().len() <= ADDRESSES + 1);
        let throttle = Throttle::default();
        for n in 0..=MOST {
            throttle.failed(Some(format!("2001:db8::{n:x}").parse().unwrap()));
        }
        assert!(throttle.is_over(Some("2001:db8::ffff".parse().unwrap())));
        assert!(!throttle.is_over(Some("2001:db8:0:1::1".parse().unwrap())));
    }
}
